# SPDX-License-Identifier: BSD-2-Clause
"""The bench's network: a client, a router and a server, each a network namespace.

    client 10.77.0.2 -- c0 === r0 | router | r1 === s0 -- server 203.0.113.254
    100.64.0.0/10 behind it         10.77.0.1   203.0.113.1    198.18.0.0/15 behind it

What the router is, is a side: Linux with nft's masquerade, the bare program, or
Yangguan with one of its drivers. A lab has one side; a row that compares two has
two labs at the same time and asks them in turn.

bench/run has put us in mount and process namespaces of our own (`enclose`), so
nothing outlives us, whatever happens: not the processes, and with them not the
network namespaces.
"""
import ctypes
import itertools
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time

DEADLINE_S = 60
GENERATOR_CPU, GATEWAY_CPU = 0, 1
CLIENT, INSIDE, OUTSIDE, SERVER = "10.77.0.2", "10.77.0.1", "203.0.113.1", "203.0.113.254"
CLIENTS, SERVERS = "100.64.0.0/10", "198.18.0.0/15"
# One of the kernel's tables for all namespaces, so it is set once, for the largest row.
CONNTRACK_MAX, CONNTRACK_BUCKETS = 4 << 20, 2 << 20

NFT = """table ip nat {
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		oifname "r1" masquerade
	}
}
"""
CONFIG = """interface r0 { address %(inside)s/24; driver %(driver)s; }
interface r1 { address %(outside)s/24; driver %(driver)s; }
route %(clients)s via %(client)s;
route 0.0.0.0/0 via %(server)s;
workers %(workers)d;
conntrack { size %(size)d; timeout udp new 3600s; timeout udp stream 3600s; %(options)s }
""" + NFT


class Missing(Exception):
    """This cannot be measured here, and why."""


class Side:
    """What stands between client and server. `key` names it in results, `text` in tables; `options` stand in the
    config's conntrack block."""

    def __init__(self, key, text, kind, driver=None, options="", rootless=False, workers=1):
        self.key, self.text, self.kind = key, text, kind
        self.driver, self.options, self.rootless, self.workers = driver, options, rootless, workers

    @property
    def is_xdp(self):
        """Frames pass XDP programs: the ends must finish their checksums themselves."""
        return self.driver == "xdp"


LINUX = Side("linux", "Linux nft", "linux")
BARE_XDP = Side("bare-xdp", "bare XDP", "bare", "xdp")
BARE_TC = Side("bare-tc", "bare tc", "bare", "tc")
BARE_TC_PEER = Side("bare-tc-peer", "bare tc, to the peer", "bare", "tc_peer")
XDP = Side("xdp", "xdp", "yangguan", "xdp")
TC = Side("tc", "tc", "yangguan", "tc")
AF_XDP = Side("af_xdp", "xdp, offload off", "yangguan", "xdp", "offload off;")
AF_PACKET = Side("af_packet", "af_packet", "yangguan", "af_packet")
AF_PACKET_ROOTLESS = Side("af_packet-rootless", "af_packet, no root", "yangguan", "af_packet", rootless=True)


def die_with_parent():
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)


def enclose(argv):
    """Runs ourselves again in namespaces of our own. Returns only inside."""
    if os.environ.pop("YG_BENCH_INSIDE", None):
        subprocess.run("mount -t tmpfs run /run && mkdir /run/netns && mkdir -m 755 /run/bench", shell=True, check=True)
        return
    os.environ["YG_BENCH_INSIDE"] = "1"
    os.environ["YG_BENCH_PID"] = str(os.getpid())
    os.execvp("unshare", ["unshare", "-mpf", "--kill-child", "--mount-proc", sys.executable] + argv)


def sh(*argv, **kw):
    """Runs a command; what it said is in the exception when it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=DEADLINE_S, **kw)
    if done.returncode != 0:
        raise Missing(f"{' '.join(argv)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def write(path, text):
    with open(path, "w") as f:
        f.write(text)
    return path


def read(path, default=""):
    try:
        with open(path) as f:
            return f.read().strip()
    except OSError:
        return default


class Tuned:
    """The kernel's connection table, large enough for every row; as it was when done."""

    FILES = {"/proc/sys/net/netfilter/nf_conntrack_max": CONNTRACK_MAX,
             "/sys/module/nf_conntrack/parameters/hashsize": CONNTRACK_BUCKETS}

    def __enter__(self):
        if not os.path.exists(list(self.FILES)[0]):
            subprocess.run(["modprobe", "nf_conntrack"], capture_output=True)
        self.before = {path: read(path) for path in self.FILES}
        for path, value in self.FILES.items():
            try:
                write(path, str(value))
            except OSError as e:
                print(f"bench: cannot set {path}: {e.strerror}; Linux's large rows may lose packets", file=sys.stderr)
        return self

    def __exit__(self, *_):
        for path, value in self.before.items():
            try:
                write(path, value)
            except OSError:
                pass


class Process:
    """A program that we started, in a namespace or not; its output line by line, with a deadline."""

    def __init__(self, argv, **kw):
        self.argv, self.out = argv, ""
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        preexec_fn=die_with_parent, bufsize=0, **kw)

    def line(self, deadline_s=DEADLINE_S):
        end = time.monotonic() + deadline_s
        text = b""
        while not text.endswith(b"\n"):
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise Missing(f"no answer in {deadline_s:.0f} s: {' '.join(self.argv)}\n{self.out}")
            byte = self.process.stdout.read(1)
            if not byte:
                raise Missing(" ".join((self.out + text.decode()).split()) or f"ended: {' '.join(self.argv)}")
            text += byte
        self.out += text.decode()
        return text.decode().rstrip("\n")

    def until(self, wanted, deadline_s=DEADLINE_S):
        while wanted not in self.line(deadline_s):
            pass

    def ask(self, command, deadline_s):
        try:
            self.process.stdin.write((command + "\n").encode())
        except OSError:
            raise Missing(f"ended: {' '.join(self.argv)}: {self.out.strip()[-200:]}") from None
        answer = json.loads(self.line(deadline_s))
        if "error" in answer:
            raise Missing(answer["error"])
        return answer

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Lab:
    """The three namespaces with one side between them. With `load`, frames come from the generator; without,
    client and server are ordinary hosts. Used as a context."""

    numbers = itertools.count(1)

    def __init__(self, tools, side, load=None, n_flows=1000):
        self.tools, self.side, self.load_kind, self.n_flows = tools, side, load, n_flows
        prefix = f"ygbench{os.environ['YG_BENCH_PID']}-{next(Lab.numbers)}"
        self.client, self.router, self.server = f"{prefix}-c", f"{prefix}-r", f"{prefix}-s"
        self.processes, self.namespaces = [], []
        self.gateway = self.load = None
        self.router_enter = ["nsenter", f"--net=/run/netns/{self.router}"]

    def __enter__(self):
        try:
            self.build()
            self.start_side()
            if self.load_kind:
                self.start_load()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.end()
        for name in self.namespaces:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)
        self.processes, self.namespaces = [], []

    # --- hosts ---

    @staticmethod
    def enter(netns):
        return ["nsenter", f"--net=/run/netns/{netns}"]

    def run(self, netns, *argv):
        return sh(*self.enter(netns), *argv)

    def start(self, netns, *argv, **kw):
        # Ahead of whatever else this machine does; the same for every side.
        process = Process(["nice", "-n", "-10"] + (self.router_enter if netns == self.router else self.enter(netns)) +
                          list(argv), **kw)
        self.processes.append(process)
        return process

    def sysctl(self, netns, name, value):
        sh(*self.enter(netns), "sh", "-c", f"[ ! -e /proc/sys/{name} ] || echo {value} >/proc/sys/{name}")

    def build(self):
        for name in (self.client, self.router, self.server):
            if name == self.router and self.side.rootless:
                self.rootless_namespace()
            else:
                sh("ip", "netns", "add", name)
            self.namespaces.append(name)
            sh("ip", "-n", name, "link", "set", "lo", "up")
            # The kernel must not fill the wire with IPv6 of its own.
            self.sysctl(name, "net/ipv6/conf/all/disable_ipv6", 1)
        for near, far, netns in (("r0", "c0", self.client), ("r1", "s0", self.server)):
            sh("ip", "-n", self.router, "link", "add", near, "type", "veth", "peer", "name", far, "netns", netns)
        self.offloads()
        for netns, dev, address, via in ((self.client, "c0", CLIENT, INSIDE), (self.server, "s0", SERVER, None)):
            sh("ip", "-n", netns, "address", "add", address + "/24", "dev", dev)
            sh("ip", "-n", netns, "link", "set", dev, "up")
            if via:
                sh("ip", "-n", netns, "route", "add", "default", "via", via)
        for dev in ("r0", "r1"):
            sh("ip", "-n", self.router, "link", "set", dev, "up")

    def rootless_namespace(self):
        """The router's namespaces are made by an ordinary user, and its program has no right outside them."""
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        keeper = Process(nobody + ["unshare", "-Urnm", "sh", "-c", "echo there; exec cat"])
        self.processes.append(keeper)
        keeper.until("there")
        sh("ip", "netns", "attach", self.router, str(keeper.process.pid))
        self.router_enter = nobody + ["nsenter", "-t", str(keeper.process.pid), "-U", "-n", "--preserve-credentials"]

    def offloads(self):
        """Redirected frames are taken only by a veth that polls, for GRO or for an XDP program, and whoever redirects
        looks before the receivers come; and XDP does not see which checksums are unfinished."""
        if self.load_kind:
            for dev in ("r0", "r1"):
                self.run(self.router, "ethtool", "-K", dev, "gro", "on")
        for netns, dev in ((self.client, "c0"), (self.server, "s0")):
            if self.load_kind == "xdp":
                self.run(netns, "ethtool", "-K", dev, "gro", "on")
            elif not self.load_kind and self.side.is_xdp:
                self.run(netns, "ethtool", "-K", dev, "tx", "off", "gro", "on")

    def mac(self, netns, dev):
        return json.loads(sh("ip", "-j", "-n", netns, "link", "show", dev))[0]["address"]

    # --- sides ---

    def start_side(self):
        {"linux": self.start_linux, "bare": self.start_bare, "yangguan": self.start_yangguan}[self.side.kind]()

    def kernel_addresses(self):
        for dev, address in (("r0", INSIDE), ("r1", OUTSIDE)):
            sh("ip", "-n", self.router, "address", "add", address + "/24", "dev", dev)

    def start_linux(self):
        self.kernel_addresses()
        sh("ip", "-n", self.router, "route", "add", CLIENTS, "via", CLIENT)
        sh("ip", "-n", self.router, "route", "add", "default", "via", SERVER)
        self.sysctl(self.router, "net/ipv4/ip_forward", 1)
        for name in ("udp_timeout", "udp_timeout_stream"):
            self.sysctl(self.router, f"net/netfilter/nf_conntrack_{name}", 3600)
        sh(*self.enter(self.router), "nft", "-f", "-", input=NFT)

    def start_bare(self):
        self.kernel_addresses() # for ARP
        whole = "whole" if self.load_kind or self.side.is_xdp else "partial"
        self.start(self.router, self.tools.path("bare"), self.side.driver, "r0", self.mac(self.client, "c0"), "r1",
                   self.mac(self.server, "s0"), OUTSIDE, whole).until("ready")

    def start_yangguan(self):
        text = CONFIG % {"inside": INSIDE, "outside": OUTSIDE, "client": CLIENT, "server": SERVER, "clients": CLIENTS,
                         "driver": self.side.driver, "options": self.side.options, "workers": self.side.workers,
                         "size": max(262144, int(self.n_flows * 1.2))}
        self.config = write(f"/run/bench/{self.router}.conf", text)
        # Where an ordinary user's control socket may lie.
        place = f"/run/bench/{self.router}"
        os.mkdir(place)
        if self.side.rootless:
            os.chown(place, 65534, 65534)
        self.socket = f"{place}/socket"
        self.gateway = self.start(self.router, "taskset", "-c", str(GATEWAY_CPU), self.tools.yangguan, "run", "-c",
                                  self.config, "--socket", self.socket)
        self.gateway.until("ready")

    def gateway_says(self, *argv):
        """Output of `yangguan ARGV`, empty when it cannot be had."""
        done = subprocess.run(self.router_enter + [self.tools.yangguan, *argv, "--socket", self.socket],
                              capture_output=True, text=True, timeout=DEADLINE_S)
        return done.stdout if done.returncode == 0 else ""

    # --- load ---

    def start_load(self):
        self.load = self.start(self.client, self.tools.path("load"), self.load_kind, f"/run/netns/{self.client}", "c0",
                               f"/run/netns/{self.server}", "s0", self.mac(self.router, "r0"), str(GENERATOR_CPU))
        self.load.until("ready")

    def warm(self, flows, n_flows=None, seconds=150, rate=20000, replies=4):
        """Sends and answers every flow until it has had some replies."""
        n_flows = n_flows or self.n_flows
        answer = self.load.ask(f"warm {flows} {n_flows} {replies} {rate} {seconds}", seconds + DEADLINE_S)
        if answer["warm"] < 0.5:
            raise Missing(f"only {answer['warm']:.1%} of {n_flows} flows had replies after "
                          f"{answer['seconds']:.0f} s, at {answer['rate']:,.0f} a second")
        return answer

    def blast(self, seconds, flood=0):
        return self.load.ask(f"blast {seconds} {flood}", seconds + DEADLINE_S)


class Tools:
    """Where the programs are, and what is missing."""

    NEEDED = {"ip": "iproute2", "ethtool": "ethtool", "nft": "nftables", "nsenter": "util-linux",
              "unshare": "util-linux", "setpriv": "util-linux", "taskset": "util-linux"}
    PACKAGES = {"redis-benchmark": "redis-tools"}

    def __init__(self, build):
        self.build = os.path.realpath(build)
        self.yangguan = self.path("../yangguan")
        if os.path.exists(self.yangguan):
            self.yangguan = copy_for_all(self.yangguan)

    def path(self, name):
        return os.path.normpath(os.path.join(self.build, "bench", name))

    def check(self):
        """What stops us, as a sentence; None when nothing does."""
        missing = sorted({package for name, package in self.NEEDED.items() if not shutil.which(name)})
        if missing:
            return f"{', '.join(missing)} missing: run tools/setup"
        if not os.path.exists(self.yangguan):
            return f"there is no {self.yangguan}: run make first"
        if not os.path.exists(self.path("load")):
            return f"there is no {self.path('load')}: clang or libbpf was missing when the build was set up; run " \
                   "tools/setup, then make clean bench"
        return None

    def need(self, *names):
        for name in names:
            if not shutil.which(name):
                raise Missing(f"{self.PACKAGES.get(name, name)} is not installed: run tools/setup")


def copy_for_all(path):
    """A copy that any user can run; the build may lie where only root may look."""
    place = f"/run/bench/{os.path.basename(path)}"
    shutil.copy(path, place)
    os.chmod(place, 0o755)
    return place


def cpu_s(pid):
    """Seconds of CPU that a process has used, all threads."""
    fields = re.sub(r"^.*\) ", "", read(f"/proc/{pid}/stat")).split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
