# SPDX-License-Identifier: BSD-2-Clause
"""The fixture of the tests of `yangguan run`: namespaces, hosts, a gateway.

The test re-executes itself in user, mount, network and process namespaces of
its own, so it needs no rights, and nothing outlives it, whatever happens.

    client 10.77.0.2 -- c0 === lan0 | gateway | wan0 === s0 -- server 203.0.113.254
                              10.77.0.1     203.0.113.1

The test itself stands in the gateway's namespace. Nothing here waits for a fixed
time: the gateway says when it is ready, and everything else is an event.
"""
import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

DEADLINE_S = 60
# Debian leaves these out of an ordinary user's PATH.
os.environ["PATH"] += ":/usr/local/sbin:/usr/sbin:/sbin"
CONFIG = """interface lan0 { address 10.77.0.1/24; }
interface wan0 { address 203.0.113.1/24; }
route 0.0.0.0/0 via 203.0.113.254;
"""
MASQUERADE = """table ip nat {
    chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        oifname "wan0" ip saddr 10.77.0.0/24 masquerade
    }
}
"""
# N echo requests to WHERE with the identifier ID, every 20 ms, and then until all are answered: how many were, and how many
# answers came twice. (iputils' ping leaves two round trips after its last request: too early when the machine stops for a
# moment. With a deadline it sends more than it was asked to.)
ECHOES = """
import os, select, socket, struct, sys, time
where, n, ident = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def summed(d):
    s = sum(struct.unpack(f'!{len(d) // 2}H', d))
    s = (s & 0xffff) + (s >> 16)
    return ~(s + (s >> 16)) & 0xffff
def request(i):
    d = struct.pack('!BBHHH', 8, 0, 0, ident, i) + bytes(48)
    return d[:2] + struct.pack('!H', summed(d)) + d[4:]
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
s.connect((where, 0))
seen, twice, sent = set(), 0, 0
due = time.monotonic()
end = due + 30
while len(seen) < n and time.monotonic() < end:
    if sent < n and time.monotonic() >= due:
        sent += 1
        due += 0.02
        s.send(request(sent))
    if not select.select([s], [], [], max(0, (due if sent < n else end) - time.monotonic()))[0]: continue
    d = s.recv(65535)[20:]
    kind, code, _, i, k = struct.unpack('!BBHHH', d[:8])
    if (kind, code, i) == (0, 0, ident):
        twice += k in seen
        seen.add(k)
print(len(seen), twice)
"""
n_cases = n_failed = 0


def case(name, good, seen=""):
    global n_cases, n_failed
    n_cases += 1
    n_failed += not good
    print(f"{'ok' if good else 'not ok'} {n_cases} - {name}", flush=True)
    if not good:
        print("".join(f"# {line}\n" for line in str(seen).strip().split("\n")), flush=True)


def finish():
    print(f"1..{n_cases}", flush=True)
    sys.exit(1 if n_failed or n_cases == 0 else 0)


def enter(root=False, n_files=1):
    """Into namespaces of our own; status 77 (skipped) where the kernel allows none. root: without a user namespace, for
    what only the machine's own root may do. n_files: how many of the arguments name files."""
    if os.environ.get("YG_TEST_INSIDE") == "1":
        os.environ.pop("YG_TEST_INSIDE")
        subprocess.run("mount -t tmpfs run /run && mount -t tmpfs tmp /tmp && ip link set lo up", shell=True,
                       check=True)
        os.environ.pop("XDG_RUNTIME_DIR", None)
        return
    unshare = ["unshare", "-nmpf" if root else "-Urnmpf", "--kill-child", "--mount-proc"]
    if root and os.geteuid() != 0:
        print("1..0 # SKIP only root may put programs into the kernel")
        sys.exit(77)
    if subprocess.run(unshare + ["true"], stderr=subprocess.DEVNULL).returncode != 0:
        print("1..0 # SKIP this kernel allows no unprivileged namespaces")
        sys.exit(77)
    # What the test names may lie in /tmp, which will be another one inside.
    fds = [os.open(os.path.realpath(name), os.O_RDONLY) for name in sys.argv[1:1 + n_files]]
    env = dict(os.environ, YG_TEST_INSIDE="1")
    status = subprocess.run(unshare + [sys.executable, os.path.realpath(sys.argv[0]), *(f"/proc/self/fd/{fd}" for fd in fds)]
                            + sys.argv[1 + n_files:], pass_fds=fds, env=env).returncode
    sys.exit(status)


def needs(*programs):
    for name in programs:
        if subprocess.run(["sh", "-c", f"command -v {name}"], capture_output=True).returncode != 0:
            print(f"1..0 # SKIP {name} is missing: run tools/setup")
            sys.exit(77)


def sh(command, **kw):
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True, timeout=DEADLINE_S, **kw)


def binary():
    """The program, copied to where any namespace of the test can run it."""
    path = "/tmp/yangguan"
    if not os.path.exists(path):
        with open(sys.argv[1], "rb") as src, open(path, "wb") as dst:
            dst.write(src.read())
        os.chmod(path, 0o755)
    return path


def rest_of(process):
    """What it still writes until it ends, which it must in time. (communicate() passes over what lines that were read
    before have left in the buffer.)"""
    killer = threading.Timer(DEADLINE_S, process.kill)
    killer.start()
    out = process.stdout.read()
    process.wait()
    killer.cancel()
    return out


class Host:
    """A network namespace that lives as long as this process."""

    def __init__(self):
        self.keeper = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo there; exec cat"], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True)
        self.keeper.stdout.readline()

    def enter(self):
        return ["nsenter", "-t", str(self.keeper.pid), "-n"]

    def run(self, *argv, check=False, **kw):
        kw.setdefault("timeout", DEADLINE_S)
        return subprocess.run(self.enter() + list(argv), capture_output=True, text=True, check=check, **kw)

    def popen(self, *argv, **kw):
        return subprocess.Popen(self.enter() + list(argv), text=True, **kw)

    def echoes(self, where, n, ident=77):
        """ECHOES, begun; what it says in the end is "N 0" when each request was answered once."""
        return self.popen(sys.executable, "-c", ECHOES, where, str(n), str(ident), stdout=subprocess.PIPE)

    def take(self, near, far, address, route=None):
        """A veth from here (near) to the host (far)."""
        sh(f"ip link add {near} type veth peer name {far} netns {self.keeper.pid} && ip link set {near} up")
        self.setup(far, address, route)

    def setup(self, far, address, route=None):
        self.run("ip", "address", "add", address, "dev", far, check=True)
        self.run("ip", "link", "set", far, "up", check=True)
        self.run("ip", "link", "set", "lo", "up", check=True)
        if route:
            self.run("ip", "route", "add", "default", "via", route, check=True)


def two_hosts():
    """The two hosts of the drawing."""
    client, server = Host(), Host()
    client.take("lan0", "c0", "10.77.0.2/24", "10.77.0.1")
    server.take("wan0", "s0", "203.0.113.254/24")
    # The kernel must not fill the wire with IPv6 of its own.
    for host in ([], client.enter(), server.enter()):
        subprocess.run(host + ["sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6"], capture_output=True)
    return client, server


def write(path, text):
    with open(path, "w") as f:
        f.write(text)
    return path


def config(text=CONFIG + MASQUERADE, path="/tmp/yangguan.conf"):
    return write(path, text)


def ask(*argv, **kw):
    kw.setdefault("timeout", DEADLINE_S)
    return subprocess.run([binary()] + list(argv), capture_output=True, text=True, **kw)


class Gateway:
    def __init__(self, *options, conf=None, prefix=()):
        self.out = ""
        self.process = subprocess.Popen(list(prefix) + [binary(), "run", "-c", conf or config()] + list(options),
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in self.process.stdout:
            self.out += line
            if line == "ready\n":
                return
        raise AssertionError(f"the gateway did not get ready:\n{self.out}")

    @property
    def pid(self):
        return self.process.pid

    def line(self, pattern):
        """The next line of its output that matches."""
        for line in self.process.stdout:
            self.out += line
            if re.search(pattern, line):
                return line
        raise AssertionError(f"no line {pattern} in:\n{self.out}")

    def end(self, sig=signal.SIGTERM):
        self.process.send_signal(sig)
        self.out += rest_of(self.process)
        return self.process.returncode

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Events:
    """`yangguan events -j`, read one at a time."""

    def __init__(self, *words):
        self.process = subprocess.Popen([binary(), "events", "-j"] + list(words), stdout=subprocess.PIPE, text=True)

    def next(self, kind=None, **fields):
        """The next one of that kind; one that never comes fails the test, long after it should have come."""
        killer = threading.Timer(4 * DEADLINE_S, self.process.kill)
        killer.start()
        try:
            for line in self.process.stdout:
                event = json.loads(line)
                if kind in (None, event["event"]) and all(event.get(k) == v for k, v in fields.items()):
                    return event
        finally:
            killer.cancel()
        raise AssertionError(f"the stream ended before {kind} {fields}")

    def close(self):
        self.process.kill()
        self.process.communicate()


def heard(*kinds):
    """Events from here on. The gateway says "ready" to whoever begins to listen: then nothing is missed any more."""
    events = Events("ready", *kinds)
    events.next("ready")
    return events


def web_server(host, **kw):
    """An HTTP server on port 80 of the host, which listens."""
    p = host.popen(sys.executable, "-u", "-m", "http.server", "80", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **kw)
    if not p.stdout.readline().startswith("Serving"):
        raise AssertionError("the web server does not listen")
    return p


def try_until(what, probe):
    """Until probe() is true; for what the gateway does in its own time and tells nobody. The probe must be an exchange with
    it that ends by an answer, or an event, or a time-out of its own: that is what a try waits for, and no time is slept."""
    end = time.monotonic() + DEADLINE_S
    while not probe():
        if time.monotonic() > end:
            raise AssertionError(f"in vain: {what}")


def cpu_s(*pids):
    """CPU time of all their threads, in seconds, from the scheduler's own clock."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat") as f:
                total += int(f.read().split()[0])
    return total / 1e9


def idle_percent(pids, wait, allowed=1, tries=5):
    """The CPU time that processes use while wait() waits, in percent of that time: the least of some tries, up to the first
    that is less than allowed. What the machine's other guests steal counts as a thread's own time, so one try proves
    nothing; a busy loop, or a wake-up without need, is in each of them."""
    least = math.inf
    for _ in range(tries):
        start, used = time.monotonic(), cpu_s(*pids)
        wait()
        least = min(least, 100 * (cpu_s(*pids) - used) / (time.monotonic() - start))
        if least < allowed:
            break
    return least


class Links:
    """What the kernel tells of its interfaces from now on."""

    RTMGRP_LINK = 1

    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self.socket.bind((0, self.RTMGRP_LINK))
        self.socket.settimeout(DEADLINE_S)

    def until_up(self, name):
        """Until the interface is up; asked for once, and again after each message."""
        while "UP" not in json.loads(sh(f"ip -j link show {name}").stdout)[0]["flags"]:
            self.socket.recv(65536)
