# SPDX-License-Identifier: BSD-2-Clause
"""The rows of the bench: what each measures, against what, and the bar it must reach.

A group is measured in one go: its sides stand side by side and take turns, round
by round, and begin with another one each round, so that a machine that slows down
slows all of them. It gives one row or several. A side that cannot run is `missing`
in the row, with its own words.
"""
import contextlib
import fnmatch
import gzip
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time

from lab import (AF_PACKET, AF_PACKET_ROOTLESS, AF_XDP, BARE_TC, BARE_TC_PEER, BARE_XDP, GATEWAY_CPU,
                 GENERATOR_CPU, CLIENT, LINUX, SERVER, TC, XDP, Lab, Missing, Process, Side, cpu_s, die_with_parent,
                 write)

GROUPS = []
HERE = os.path.dirname(os.path.realpath(__file__))
FLOWS = {"1": 1, "1k": 1000, "50k": 50000, "1m": 1000000}


class Options:
    """What the command line says about how long to measure."""

    def __init__(self, tools, patterns, seconds, rounds, prefixes, profile):
        self.tools, self.patterns, self.seconds, self.rounds = tools, patterns, seconds, rounds
        self.prefixes, self.profile = prefixes, profile

    def wants(self, name):
        return any(fnmatch.fnmatch(name, p) for p in self.patterns) and (name != "smoke" or "smoke" in self.patterns)


class Bar:
    """`key`'s value divided by `to`'s must be at least `least`; or the difference at most `most_more`; or the value
    itself at most `most`."""

    def __init__(self, key, to=None, least=None, most_more=None, most=None, also=None):
        self.key, self.to, self.least, self.most_more, self.most = key, to, least, most_more, most
        self.also = also # a ratio that is only reported: its other side

    def text(self):
        if self.least is not None:
            return f">= {self.least:g} x {self.to}"
        if self.most_more is not None:
            return f"<= {self.to} + {self.most_more:g}"
        return f"<= {self.most:g}" if self.most is not None else "reported"

    def judge(self, values):
        """The row's ratio in numbers, and whether it reaches the bar (None: there is none, or not measured)."""
        mine = values.get(self.key, {}).get("median")
        other = values.get(self.to, {}).get("median") if self.to else None
        out = {"of": self.key, "bar": self.text(), "ok": None}
        if self.also and mine is not None and values.get(self.also, {}).get("median"):
            out["also"] = {"to": self.also, "ratio": mine / values[self.also]["median"]}
        if mine is None or (self.to and not other):
            return out
        if self.to:
            out["to"], out["ratio"] = self.to, mine / other
        if self.least is not None:
            out["ok"] = out["ratio"] >= self.least
        elif self.most_more is not None:
            out["difference"] = mine - other
            out["ok"] = out["difference"] <= self.most_more
        elif self.most is not None:
            out["ok"] = mine <= self.most
        return out


def row(name, what, unit, values, bar, notes=()):
    return {"row": name, "what": what, "unit": unit, "values": values, **bar.judge(values), "notes": list(notes),
            "command": f"make bench ROWS='{name}'"}


def summary(samples, **more):
    return {"median": statistics.median(samples), "min": min(samples), "max": max(samples), "n": len(samples), **more}


def group(*names):
    def add(function):
        GROUPS.append((names, function))
        return function
    return add


def chosen(options):
    """The groups that have a row which is wanted; `smoke` only when it is asked for by name."""
    return [(names, function) for names, function in GROUPS if any(options.wants(name) for name in names)]


def profile(key, run):
    """Where the time goes while run() does: a note for each CPU."""
    path, notes = "/run/bench/perf.data", []
    try:
        perf = Process(["perf", "record", "-a", "-o", path])
    except OSError:
        return ["--profile: perf is not installed"]
    time.sleep(0.3) # until it records
    try:
        run()
    finally:
        perf.process.send_signal(signal.SIGINT)
        perf.process.communicate()
    for cpu in (GENERATOR_CPU, GATEWAY_CPU):
        done = subprocess.run(["perf", "report", "-i", path, "--stdio", "-C", str(cpu), "--sort", "comm,sym",
                               "--comms", f"load,worker,yangguan,ksoftirqd/{cpu}", "--percentage", "relative",
                               "--percent-limit", "2"], capture_output=True, text=True)
        top = [" ".join(line.split()) for line in done.stdout.split("\n") if line.strip() and line[0] != "#"]
        samples = re.search(r"^# Samples: (\d+)(K?)", done.stdout, re.M)
        if top and samples and (samples[2] or int(samples[1]) >= 300): # else it had next to nothing to do
            notes.append(f"{key}, perf, CPU {cpu}: {'; '.join(top[:8])}")
    return notes


def take_turns(options, sides, open_side, measure, rounds=None, notes=None):
    """{side.key: samples or the reason why there are none}. `open_side(side)` is a context that gives what `measure`
    is called with, once a round."""
    found, failed = {side.key: [] for side in sides}, {}
    with contextlib.ExitStack() as stack:
        opened = []
        for side in sides:
            try:
                opened.append((side, stack.enter_context(open_side(side))))
            except Missing as e:
                failed[side.key] = str(e)
        for i in range(rounds or options.rounds):
            for k in range(len(opened)):
                side, thing = opened[(i + k) % len(opened)]
                if side.key in failed:
                    continue
                try:
                    found[side.key].append(measure(side, thing))
                except Missing as e:
                    failed[side.key] = str(e)
        for side, thing in opened:
            if options.profile and notes is not None and side.key not in failed:
                notes += profile(side.key, lambda: measure(side, thing))
    return found, failed


def values_of(sides, found, failed, pick, more=lambda samples: {}):
    values = {}
    for side in sides:
        if side.key in failed or not found[side.key]:
            values[side.key] = {"missing": failed.get(side.key, "no sample")}
        else:
            values[side.key] = summary([pick(s) for s in found[side.key]], **more(found[side.key]))
    return values


# --- packets a second ---

def wrong(key, samples, n_empty_may=0):
    """Notes on samples in which frames arrived as they must not, or, in more windows than may be so, none at all."""
    notes = []
    for what, text in (("bad", "with a wrong checksum"), ("untranslated", "not translated")):
        n = sum(s[what] for s in samples)
        if n:
            notes.append(f"{key}: {n} frames {text}")
    n = sum(s["pps"] == 0 for s in samples)
    return notes + ([f"{key}: in {n} windows no frame arrived"] if n > n_empty_may else [])


def packets(options, name, what, sides, load, n_flows, bar, notes=(), seconds=None, rounds=None, n_empty_may=0,
            oneway=False):
    notes = list(notes)

    @contextlib.contextmanager
    def open_side(side):
        with Lab(options.tools, side, load, n_flows) as lab:
            answer = lab.warm("oneway", replies=24) if oneway else lab.warm("spread")
            if answer["warm"] < 0.9999:
                notes.append(f"{side.key}: {answer['warm']:.2%} of the flows were warm after {answer['seconds']:.0f} s")
            yield lab

    found, failed = take_turns(options, sides, open_side,
                               lambda side, lab: lab.blast(seconds or options.seconds), rounds, notes)
    values = values_of(sides, found, failed, lambda s: s["pps"] / 1e6)
    for side in sides:
        notes += wrong(side.key, found[side.key], n_empty_may)
    return [row(name, what, "Mpps", values, bar, notes)]


def add_packet_rows():
    for size, n_flows in FLOWS.items():
        large = n_flows > 1000
        bar = Bar("xdp", "bare-xdp", 0.85, also="linux") if large else Bar("xdp", "linux", 5, also="bare-xdp")

        @group(f"veth-xdp-{size}")
        def xdp(options, size=size, n_flows=n_flows, bar=bar):
            return packets(options, f"veth-xdp-{size}", f"60-byte UDP, {n_flows:,} flows, XDP",
                           [LINUX, BARE_XDP, XDP], "xdp", n_flows, bar)
    for size, n_flows in FLOWS.items():
        @group(f"veth-tc-{size}")
        def tc(options, size=size, n_flows=n_flows):
            return packets(options, f"veth-tc-{size}", f"60-byte UDP, {n_flows:,} flows, tc",
                           [LINUX, BARE_TC, BARE_TC_PEER, TC], "tc", n_flows, Bar("tc", "linux", 1.3, also="bare-tc"))


add_packet_rows()


def add_oneway_rows():
    """Flows that nobody answers; each has been seen two dozen times before."""
    for kind, size, least in (("xdp", "1k", 4), ("xdp", "50k", 3), ("tc", "1k", 1.3)):
        name, n_flows = f"veth-{kind}-oneway-{size}", FLOWS[size]

        @group(name)
        def oneway(options, name=name, kind=kind, n_flows=n_flows, least=least):
            return packets(options, name, f"60-byte UDP, {n_flows:,} flows that nobody answers, {kind}",
                           [LINUX, {"xdp": XDP, "tc": TC}[kind]], kind, n_flows, Bar(kind, "linux", least), oneway=True)


add_oneway_rows()


@group("veth-af_xdp-1k")
def af_xdp(options):
    return packets(options, "veth-af_xdp-1k", "60-byte UDP, 1,000 flows, in user space by AF_XDP", [LINUX, AF_XDP],
                   "xdp", 1000, Bar("af_xdp", "linux", 1.3))


@group("veth-af_packet-1k")
def af_packet(options):
    return packets(options, "veth-af_packet-1k", "60-byte UDP, 1,000 flows, in user space by AF_PACKET, with and "
                   "without root", [LINUX, AF_PACKET, AF_PACKET_ROOTLESS], "tc", 1000, Bar("af_packet", "linux"))


@group("smoke")
def smoke(options):
    """Seconds: that the generator sends, Linux forwards, and a table comes out. On a busy machine a gateway under the
    sanitizers may get no processor at all in windows as short as these, so one with frames is enough."""
    return packets(options, "smoke", "the bench itself", [LINUX, BARE_XDP, AF_PACKET], "xdp", 64,
                   Bar("af_packet", "linux"), seconds=min(options.seconds, 0.2), rounds=min(options.rounds, 3), n_empty_may=2)


# --- all ports taken ---

FLOOD_PPS = 20000
PORTS = 64512


@group("ports-taken-xdp", "ports-taken-tc")
def ports_taken(options):
    """Every port towards one destination is in use, and FLOOD_PPS packets a second want new flows there. What of the
    rate of the established flows is left?"""
    rows = []
    for load, mine in (("xdp", XDP), ("tc", TC)):
        notes, sides = [], [LINUX, mine]

        @contextlib.contextmanager
        def open_side(side):
            with Lab(options.tools, side, load, PORTS) as lab:
                answer = lab.warm("taken")
                if answer["warm"] < 1:
                    notes.append(f"{side.key}: {answer['warm']:.2%} of the ports were taken")
                yield lab

        def measure(side, lab):
            quiet, flooded = lab.blast(options.seconds), lab.blast(options.seconds, FLOOD_PPS)
            return {"share": flooded["pps"] / quiet["pps"] * 100, "quiet": quiet, "flooded": flooded}

        found, failed = take_turns(options, sides, open_side, measure, notes=notes)
        values = values_of(sides, found, failed, lambda s: s["share"], lambda samples: {
            "quiet_mpps": statistics.median(s["quiet"]["pps"] for s in samples) / 1e6,
            "flooded_mpps": statistics.median(s["flooded"]["pps"] for s in samples) / 1e6,
            "flood_pps": statistics.median(s["flooded"]["flood_sent_pps"] for s in samples)})
        for side in sides:
            notes += wrong(side.key, [s[k] for s in found[side.key] for k in ("quiet", "flooded")])
        judged = row(f"ports-taken-{mine.key}", f"{PORTS:,} ports towards one destination taken, {FLOOD_PPS:,} new flows "
                     f"a second wanted: rate of the established, {mine.text}", "% of the rate without", values,
                     Bar(mine.key), notes)
        share = values[mine.key].get("median")
        rows.append({**judged, "bar": ">= 90", "ok": None if share is None else share >= 90})
    return rows


# --- ordinary hosts ---

def iperf(lab, n_streams, seconds):
    server = lab.start(lab.server, "taskset", "-c", "1", "iperf3", "-s", "-1", "--forceflush")
    try:
        server.until("listening")
        argv = lab.enter(lab.client) + ["taskset", "-c", "0", "iperf3", "-c", SERVER, "-J", "-t", str(seconds), "-O", "1", "-P",
                                        str(n_streams)]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + 30,
                                  preexec_fn=die_with_parent)
        except subprocess.TimeoutExpired:
            raise Missing("iperf3 did not end") from None
        result = json.loads(done.stdout)
        if "error" in result:
            raise Missing(f"iperf3: {result['error']}")
        return result["end"]["sum_received"]["bits_per_second"] / 1e9
    finally:
        server.end()
        lab.processes.remove(server)


def add_bulk_rows():
    for n_streams in (1, 8):
        names = [f"bulk-{kind}-{n_streams}" for kind in ("tc", "af_packet", "xdp")]

        @group(*names)
        def bulk(options, n_streams=n_streams):
            options.tools.need("iperf3")
            sides = [LINUX, TC, AF_PACKET, BARE_XDP, XDP]
            found, failed = take_turns(options, sides, lambda side: Lab(options.tools, side),
                                       lambda side, lab: iperf(lab, n_streams, max(1, round(options.seconds))))
            values = values_of(sides, found, failed, lambda gbps: gbps)
            what = f"bulk TCP, {n_streams} stream{'s' * (n_streams > 1)}, "
            return [row(f"bulk-tc-{n_streams}", what + "tc", "Gbit/s", {k: values[k] for k in ("linux", "tc")},
                        Bar("tc", "linux", 1)),
                    row(f"bulk-af_packet-{n_streams}", what + "AF_PACKET", "Gbit/s",
                        {k: values[k] for k in ("linux", "af_packet")}, Bar("af_packet", "linux", 0.8)),
                    row(f"bulk-xdp-{n_streams}", what + "XDP", "Gbit/s",
                        {k: values[k] for k in ("linux", "bare-xdp", "xdp")},
                        Bar("xdp", "bare-xdp", 0.9, also="linux"))]


add_bulk_rows()

NGINX = """daemon off; worker_processes 1; pid %(dir)s/pid; error_log stderr error;
events { worker_connections 8192; }
http {
	access_log off; client_body_temp_path %(dir)s; proxy_temp_path %(dir)s; fastcgi_temp_path %(dir)s;
	uwsgi_temp_path %(dir)s; scgi_temp_path %(dir)s;
	server { listen 80 backlog=4096; location / { return 200 "there\\n"; } }
}
"""


@contextlib.contextmanager
def web(options, side):
    with Lab(options.tools, side) as lab:
        place = f"/run/bench/{lab.server}"
        os.mkdir(place)
        lab.start(lab.server, "nginx", "-e", "stderr", "-c", write(f"{place}/nginx.conf", NGINX % {"dir": place}))
        lab.sysctl(lab.client, "net/ipv4/ip_local_port_range", '"1024 65535"')
        lab.sysctl(lab.server, "net/ipv4/tcp_max_syn_backlog", 8192)
        lab.sysctl(lab.server, "net/core/somaxconn", 8192)
        end = time.monotonic() + 10
        while subprocess.run(lab.enter(lab.client) + ["curl", "-sf", "-m", "1", "-o", "/dev/null", f"http://{SERVER}/"]
                             ).returncode:
            if time.monotonic() > end:
                raise Missing("no web page comes through")
            time.sleep(0.05)
        yield lab


def wrk(lab, seconds):
    out = lab.run(lab.client, "wrk", "-t1", "-c64", f"-d{seconds}s", "-H", "Connection: close", f"http://{SERVER}/")
    rate = [line.split()[1] for line in out.split("\n") if line.startswith("Requests/sec:")]
    if not rate or not float(rate[0]):
        raise Missing(f"wrk: {' '.join(out.split())}")
    return {"rate": float(rate[0]), "errors": [line.strip() for line in out.split("\n") if "Socket errors" in line]}


@group("connections")
def connections(options):
    options.tools.need("nginx", "wrk", "curl")
    sides = [LINUX, TC, XDP, AF_PACKET]
    found, failed = take_turns(options, sides, lambda side: web(options, side),
                               lambda side, lab: wrk(lab, max(1, round(options.seconds))))
    values = values_of(sides, found, failed, lambda s: s["rate"])
    notes = [f"{key}: {line}" for key, samples in found.items() for s in samples for line in s["errors"]]
    return [row("connections", "new connections, nginx and wrk, one a request", "1/s", values, Bar("tc", "linux", 0.9),
                notes)]


TRIPS = 4000


@contextlib.contextmanager
def echo(options, side):
    with Lab(options.tools, side) as lab:
        lab.start(lab.server, options.tools.path("pingpong"), "serve", "7", str(GATEWAY_CPU)).until("ready")
        yield lab


@group("rtt-xdp", "rtt-tc", "rtt-af_xdp", "rtt-af_packet")
def rtt(options):
    sides = [LINUX, XDP, TC, AF_XDP, AF_PACKET]

    def measure(side, lab):
        return json.loads(lab.run(lab.client, options.tools.path("pingpong"), SERVER, "7", str(TRIPS), "0"))

    found, failed = take_turns(options, sides, lambda side: echo(options, side), measure)
    values = values_of(sides, found, failed, lambda s: s["median_us"],
                       lambda samples: {"p99": statistics.median(s["p99_us"] for s in samples),
                                        "lost": sum(s["lost"] for s in samples)})
    return [row(f"rtt-{side.key}", f"round trip through the idle gateway, {side.text}", "us",
                {k: values[k] for k in ("linux", side.key)},
                Bar(side.key, "linux", most_more=10 if side in (XDP, TC) else None)) for side in sides[1:]]


@group("idle")
def idle(options):
    sides = [XDP, TC, AF_XDP, AF_PACKET]

    def measure(side, lab):
        before, start = cpu_s(lab.gateway.process.pid), time.monotonic()
        time.sleep(options.seconds)
        return (cpu_s(lab.gateway.process.pid) - before) / (time.monotonic() - start) * 100

    found, failed = take_turns(options, sides, lambda side: Lab(options.tools, side), measure)
    values = values_of(sides, found, failed, lambda share: share)
    measured = [v["median"] for v in values.values() if "median" in v]
    judged = row("idle", "CPU of an idle gateway", "% of a core", values, Bar("tc", most=1))
    return [{**judged, "bar": "< 1 each", "ok": max(measured) < 1 if measured else None}]


# --- routes that change while the kernel forwards ---

PREFIXES, CHANGES = 1 << 20, 20000
# /24s that no flow goes to, now by the one neighbour and now by the other; 5 ms of changes a chunk, until our end of the
# pipe is closed.
FEED = '''
import os, random, select, sys, time
rate = int(sys.argv[1])
rng = random.Random(1)
def change():
    i = rng.randrange(%d)
    return f"replace {32 + (i >> 16)}.{i >> 8 & 255}.{i & 255}.0/24 via {rng.choice(sys.argv[2:])}\\n"
chunks = ["".join(change() for _ in range(rate // 200)).encode() for _ in range(400)]
at, k = time.monotonic(), 0
while not select.select([0], [], [], max(0, at - time.monotonic()))[0]:
    os.write(1, chunks[k %% 400])
    at, k = at + 0.005, k + 1
''' % PREFIXES
# The same use of the processor, as often, and nothing is changed.
BURN = '''
import select, sys, time
share = float(sys.argv[1])
at = time.monotonic()
while not select.select([0], [], [], max(0, at - time.monotonic()))[0]:
    end = time.process_time() + share * 0.005
    while time.process_time() < end:
        pass
    at += 0.005
'''


@contextlib.contextmanager
def beside(lab, argv):
    """A command beside what is measured, on the gateway's processor, that ends when its input does. Its output is in
    the list that it gives, and its share of a processor together with the gateway's."""
    said, start = [], time.monotonic()
    before = cpu_s(lab.gateway.process.pid)
    process = subprocess.Popen(lab.router_enter + ["taskset", "-c", str(GATEWAY_CPU), *argv], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
    try:
        time.sleep(0.5) # until the interpreter runs, and with it what it is for
        yield said
    finally:
        process.stdin.close()
        out = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        took = time.monotonic() - start
        said += [out, (cpu_s(lab.gateway.process.pid) - before + used.ru_utime + used.ru_stime) / took, took]


def changing(lab, options):
    feed = f"'{sys.executable}' -c \"$0\" {CHANGES} {CLIENT} {SERVER} | '{lab.tools.yangguan}' route --batch - -j " \
           f"--socket '{lab.socket}'"
    quiet = lab.blast(options.seconds)
    with beside(lab, ["sh", "-c", feed, FEED]) as said:
        changed = lab.blast(options.seconds)
    out, share, took = said
    try:
        n = json.loads(out)["replaced"]
    except ValueError:
        raise Missing(f"the changes were not made: {out}") from None
    with beside(lab, [sys.executable, "-c", BURN, str(share)]):
        idle = lab.blast(options.seconds)
    return {"quiet": quiet, "changed": changed, "idle": idle, "per_s": n / (took - 0.1), "cpu": share * 100}


def load_routes(lab):
    path = f"/run/bench/{lab.router}.routes"
    with open(path, "w") as f:
        for i in range(PREFIXES):
            f.write(f"add {32 + (i >> 16)}.{i >> 8 & 255}.{i & 255}.0/24 via {CLIENT}\n")
    said = lab.gateway_says("route", "--batch", path, "-j")
    os.unlink(path)
    if not said or json.loads(said)["added"] != PREFIXES:
        raise Missing(f"the routes were not added: {said}")


def add_route_rows():
    for n in (1, 2, 4):
        @group(f"routes-tc-{n}")
        def routes_tc(options, n=n):
            notes, side = [], Side("tc", f"tc, {n} workers", "yangguan", "tc", workers=n)

            @contextlib.contextmanager
            def open_side(side):
                with Lab(options.tools, side, "tc", 50000) as lab:
                    lab.warm("spread")
                    load_routes(lab)
                    yield lab

            found, failed = take_turns(options, [side], open_side, lambda side, lab: changing(lab, options),
                                       notes=notes)
            values = values_of([side], found, failed, lambda s: s["changed"]["pps"] / s["quiet"]["pps"] * 100,
                               lambda samples: {
                                   "quiet_mpps": statistics.median(s["quiet"]["pps"] for s in samples) / 1e6,
                                   "flooded_mpps": statistics.median(s["changed"]["pps"] for s in samples) / 1e6})
            samples = found["tc"]
            notes += wrong("tc", [s[k] for s in samples for k in ("quiet", "changed", "idle")])
            judged = row(f"routes-tc-{n}", f"{CHANGES:,} changes of {PREFIXES:,} routes a second: rate of 50,000 flows "
                         f"that none concerns, tc, {n} worker{'s' * (n > 1)}", "% of the rate without", values,
                         Bar("tc"), notes)
            share = values["tc"].get("median")
            if samples:
                idle = statistics.median(s["idle"]["pps"] / s["quiet"]["pps"] * 100 for s in samples)
                per_s, cpu = (statistics.median(s[k] for s in samples) for k in ("per_s", "cpu"))
                judged["ratio_text"] = f"{idle:.3g} where nothing changes"
                judged["notes"].append(f"{per_s:,.0f} changes a second took {cpu:.1f}% of a processor, gateway and feeder")
            return [{**judged, "bar": "at least 95", "ok": None if share is None else share >= 95}]


add_route_rows()


# --- in memory ---

MEMORY_ROWS = [f"memory-{name}" for name in ("udp-1", "udp-1000", "udp-64000", "udp-1000000", "udp-10000000",
                                             "tcp-64000", "new-10000", "new-8000000", "flow-bytes")]
HOST_ROWS = ["host-in", "host-out", "host-self", "host-out-router"]
WORKERS_ROWS = ["workers-disjoint", "workers-shared-half", "workers-fill-1", "workers-fill-2", "workers-fill-4"]
ROUTES_ROWS = ["routes-changes", "routes-lost", "routes-lost-flows"] + [f"routes-{name}-{n}" for name in ("flows", "pause", "reload")
                                                   for n in (1, 2, 4)]
FIB_ROWS = [f"fib-{name}" for name in ("prefixes", "load", "memory", "random", "drawn", "change")]
BGP_ROWS = [f"bgp-{name}" for name in ("load-1", "load-3", "churn", "dead", "policy")]
BGP_OUT_ROWS = ["bgp-out-dump", "bgp-out-dump-10", "bgp-out-policy", "bgp-out-slow", "bgp-out-dead", "bgp-many-3", "bgp-many-50", "bgp-many-100"]
BGP_FIB_ROWS = [f"bgp-fib-{name}" for name in ("load-1", "load-3", "cost", "list", "dead-write", "dead-seen")]
# Half of what BIRD 2.0.12 takes of memory for as many prefixes and neighbours (136 and 328 MB); a tenth of its time to judge
# three million paths anew (20.4 s).
BGP_BARS = {"bgp-load-1-memory": 68, "bgp-load-3-memory": 164, "bgp-policy": 2000,
            # A tenth of BIRD's time for a full table to a new neighbour (6.5 s), a quarter for one that dies (8.1 s).
            "bgp-out-dump": 650, "bgp-out-dump-messages": 1.02, "bgp-out-dump-10-of-one": 1.5, "bgp-out-dump-call": 1,
            "bgp-out-slow": 1.1, "bgp-out-slow-memory": 10, "bgp-out-dead": 2025, "bgp-out-dead-call": 1,
            "bgp-many-50-of-3": 1.2, "bgp-many-50-bytes-of-3": 1.2, "bgp-many-100-of-3": 1.2, "bgp-many-100-bytes-of-3": 1.2,
            "bgp-fib-load-1": 2000, "bgp-fib-load-1-vanished": 0, "bgp-fib-load-3-vanished": 0, "bgp-fib-dead-seen": 50,
            "bgp-fib-dead-slice": 2, "bgp-fib-cost-slice": 2, "bgp-fib-list-slice": 2}
# What a row of bench/fib must reach: in its own unit.
FIB_BARS = {"fib-random-of-bare": ("at least", 70), "fib-drawn-of-bare": ("at least", 70), "fib-load": ("at most", 1000),
            "fib-memory-resident": ("at most", 80), "rib-and-fib-load": ("at most", 1000)}


def program(options, name, *argv):
    """What a program prints: a line of JSON a row. Its own table goes to the error output."""
    path = options.tools.path(name)
    if not os.path.exists(path):
        raise Missing(f"there is no {path}")
    done = subprocess.run([path, *argv], stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
    found = [json.loads(line) for line in done.stdout.split("\n") if line.startswith("{")]
    if done.returncode != 0 or not found:
        raise Missing(f"{name} ended with status {done.returncode}")
    return found


def memory_row(name, text, ratio, bar, ok, found, unit="", notes=(), command=None):
    command = command or f"make bench ROWS='{name}'"
    return {"row": name, "what": "in memory", "unit": unit, "values": {"memory": {"text": text, **found}},
            "ratio_text": ratio, "bar": bar, "ok": ok, "notes": list(notes), "command": command}


@group(*MEMORY_ROWS)
def memory(options):
    """Established flows as multiples of the yardstick, new flows a second, bytes a flow (bench/memory.c)."""
    wanted = [name for name in MEMORY_ROWS if options.wants(name)]
    if "memory-new-8000000" in wanted and "memory-new-10000" not in wanted:
        wanted.insert(0, "memory-new-10000") # of which it is a share
    rows = []
    for f in program(options, "memory", *(["--instructions"] if shutil.which("valgrind") else []), *wanted):
        name, bar, ratio = f["row"], f["bar"], f.get("ratio")
        if "bytes" in f:
            rows.append(memory_row(name, f"{f['bytes']:.0f} bytes", "", f"<= {bar:g}", f["bytes"] <= bar, f))
            continue
        text = f"{f['clocks']:.0f} ({f['min']:.0f}-{f['max']:.0f}) clocks, {f['ns']:.1f} ns"
        if "instructions" in f:
            text += f", {f['instructions']:,} instructions"
        if "per_s" in f:
            text = f"{f['per_s'] / 1e6:.2f} M/s, {text}"
        if "yardstick" in f:
            vpp = f"; {f['vpp_ratio']:.2f} x VPP's {f['vpp_clocks']}" if "vpp_ratio" in f else ""
            more = f"; should be <= {f['vpp_bar']:g} x VPP" if "vpp_bar" in f else ""
            rows.append(memory_row(name, text, f"{ratio:.2f} x yardstick of {f['yardstick']:.0f}{vpp}",
                                   f"<= {bar:g} x yardstick{more}", ratio <= bar, f))
        elif ratio is not None:
            rows.append(memory_row(name, text, f"{ratio:.2f} x memory-new-10000", f">= {bar:g}", ratio >= bar, f))
        else:
            rows.append(memory_row(name, text, "", f">= {bar / 1e6:g} M/s", f["per_s"] >= bar if bar > 1 else None, f))
    return rows


@group(*HOST_ROWS)
def host(options):
    """Packets of the gateway's own host, by the flow cache and by the slow path (bench/memory_host.c)."""
    rows = []
    for f in program(options, "memory_host", *(["--instructions"] if shutil.which("valgrind") else [])):
        text = f"{f['clocks']:.0f} clocks; slow path {f['slow_clocks']:.0f}"
        ratio, bar, ok = f"{f['clocks'] / f['slow_clocks']:.2f} of the slow path", "", None
        if "instructions" in f:
            text += f"; {f['instructions']:,} instructions; slow path {f['slow_instructions']:,}"
            if f["row"] != "host-out-router":
                bar, ok = "<= 0.6 of its instructions", f["instructions"] <= 0.6 * f["slow_instructions"]
        rows.append(memory_row(f["row"], text, ratio, bar, ok, f, command="make bench ROWS='host-*'"))
    return rows


@group(*WORKERS_ROWS)
def workers(options):
    """Two workers against one, and ports used with several (bench/memory_workers.c)."""
    rows = []
    for f in program(options, "memory_workers"):
        text = f"{f['mpps_2']:.2f} against {f['mpps_1']:.2f} Mpps" if "mpps_2" in f else f"{f['used']:,} of {f['ports']:,}"
        rows.append(memory_row(f["row"], text, f"{f['ratio']:.2f}", f">= {f['bar']:g}", f["ratio"] >= f["bar"], f))
    return rows


@group(*ROUTES_ROWS)
def routes(options):
    """Routes that change while packets flow (bench/routes.c)."""
    rows = []
    for f in program(options, "routes"):
        ok = f["value"] >= f["bar"] if f["sense"] == "at least" else f["value"] <= f["bar"]
        text = f"{f['value']:,.0f}" if f["value"] >= 1000 else f"{f['value']:.3g}"
        beside = f"{f['idle']:.3g} where nothing changes" if "idle" in f else ""
        rows.append(memory_row(f["row"], text, beside, f"{f['sense']} {f['bar']:g}", ok, f, f["unit"],
                               command="make bench ROWS='routes-*'"))
    return rows


TCP_ROWS = [f"tcp-{name}" for name in ("bulk", "bulk-in-place", "bulk-4m", "bulk-64k", "bulk-64k-in-place",
                                       "connections-16", "connections-1000", "connections-idle-1m",
                                       "connections-acks-wait-16", "connections-acks-wait-1000",
                                       "requests-64", "requests-10000", "requests-1m", "host-bulk",
                                       "idle-bytes", "half-open-bytes", "time-wait-bytes", "idle-keepalive")] + ["udp-echo"]
# The same load on two stacks without a gateway.
TCP_BARE = {"tcp-host-bulk": "tcp-bulk", "tcp-host-requests": "tcp-requests-64"}


def tcp_row(f, beside):
    scale, unit = {"bit/s": (1e9, "Gbit/s of processor time"), "/s": (1e6, "M/s of processor time")}.get(f["unit"], (1, f["unit"]))
    at_most = scale == 1
    text = f"{f['median'] / scale:.3g}"
    if not at_most:
        text += f" ({f['best'] / scale:.3g} at best)"
    if "instructions" in f:
        text += f", {f['instructions']:,} instructions" + (" a KB" if f["unit"] == "bit/s" else "")
    bar = f"{'<=' if at_most else '>='} {f['bar'] / scale:g}" if f["bar"] else ""
    ok = None if not f["bar"] else f["median"] <= f["bar"] if at_most else f["median"] >= f["bar"]
    return memory_row(f["row"], text, beside, bar, ok, f, unit)


@group(*TCP_ROWS)
def tcp(options):
    """Our own TCP and UDP, two stacks in one thread (bench/tcp.c)."""
    wanted = [name for name in TCP_ROWS if options.wants(name)]
    wanted += [TCP_BARE[name] for name in wanted if name in TCP_BARE and TCP_BARE[name] not in wanted]
    found = {f["row"]: f for f in program(options, "tcp", *(["--instructions"] if shutil.which("valgrind") else []),
                                          "tcp-yardstick", *wanted)}
    rows = []
    for name in wanted:
        f, beside = found[name], ""
        if name in TCP_BARE:
            beside = f"{f['median'] / found[TCP_BARE[name]]['median']:.2f} x {TCP_BARE[name]}"
        elif f["unit"] == "bit/s":
            beside = f"{f['median'] / found['tcp-yardstick']['median']:.2f} x copy and sum, sum, copy"
        rows.append(tcp_row(f, beside))
    return rows


TAP_ROWS = ["tap-to-kernel", "tap-from-kernel"]


@group(*TAP_ROWS)
def tap(options):
    """Bulk to and from the kernel over a TAP, beside the kernel's own over veth, all on one processor (bench/tap.c)."""
    return [memory_row(f["row"], f"{f['median'] / 1e9:.3g} ({f['best'] / 1e9:.3g} at best)",
                       f"{f['ratio']:.2f} x the kernel to itself over veth, {f['veth'] / 1e9:.3g}",
                       f">= {f['bar']:g} x veth", f["ratio"] >= f["bar"], f, "Gbit/s of processor time of both",
                       command="make bench ROWS='tap-*'")
            for f in program(options, "tap")]


PRELOAD_ROWS = [f"preload-{name}" for name in ("nginx-keepalive", "nginx-connections", "redis-get", "redis-get-16",
                                               "iperf3-receives", "iperf3-sends")]


@group(*PRELOAD_ROWS)
def preload(options):
    """Unmodified servers on our stack, beside the kernel's behind a TAP and behind a veth (bench/preload)."""
    options.tools.need("nginx", "wrk", "iperf3", "redis-server", "redis-benchmark")
    wanted = [name.removeprefix("preload-") for name in PRELOAD_ROWS if options.wants(name)]
    library = options.tools.path("../src/preload/libyangguan-preload.so")
    rows = []
    for f in program(options, os.path.join(HERE, "preload"), options.tools.yangguan, library, options.tools.path("relay"),
                     "--json", "--rounds", str(options.rounds), *wanted):
        text = f"{f['ours']:.3g} (server {f['server']:.3g}, stack {f['stack']:.3g})"
        beside = (f"{f['of_tap']:.2f} of the speed of the kernel over a TAP ({f['tap']:.3g}; {f['of_tap_half']:.2f} with half "
                  f"of the relay, {f['tap_half']:.3g}), {f['of_veth']:.2f} over veth ({f['veth']:.3g})")
        bar = f">= {f['bar']:g} of the kernel over a TAP" if f["bar"] else "reported"
        rows.append(memory_row(f["row"], text, beside, bar, f["of_tap"] >= f["bar"] if f["bar"] else None, f, f["unit"]))
    return rows


@group(*FIB_ROWS)
def fib(options):
    """A full Internet table (bench/fib.c), read from --prefixes."""
    argv = []
    if options.prefixes:
        opener = gzip.open if options.prefixes.endswith(".gz") else open
        with opener(options.prefixes, "rt") as f:
            argv = [write("/run/bench/prefixes", f.read())]
    rows, notes = [], []
    for f in program(options, "fib", *argv):
        if isinstance(f["value"], str):
            notes = [f"the table: {os.path.basename(options.prefixes or str(f['value']))}"]
            continue
        sense, bar = FIB_BARS.get(f["row"], ("", None))
        ok = None if bar is None else f["value"] >= bar if sense == "at least" else f["value"] <= bar
        text = f"{f['value']:,.0f}" if f["value"] >= 1000 else f"{f['value']:.3g}"
        rows.append(memory_row(f["row"], text, "", f"{sense} {bar:g}" if bar else "", ok, f, f["unit"],
                               notes if f["row"] == "fib-prefixes" else (), "make bench ROWS='fib*'"))
    return rows


@group(*BGP_ROWS)
def bgp(options):
    """A million prefixes of one neighbour, and of three, from UPDATEs in memory into the table of paths (bench/bgp.c)."""
    return bgp_rows(program(options, "bgp"))


@group(*BGP_OUT_ROWS)
def bgp_out(options):
    """What neighbours are told of a full table, and tables of 50 and a hundred neighbours (bench/bgp_out.c)."""
    return bgp_rows(program(options, "bgp_out"))


@group(*BGP_FIB_ROWS)
def bgp_fib(options):
    """The same into the FIB, and a neighbour that dies, while another thread looks addresses up (bench/bgp_rib.c)."""
    return bgp_rows(program(options, "bgp_rib"))


def bgp_rows(found):
    rows = []
    for f in found:
        bar = BGP_BARS.get(f["row"])
        ok = None if bar is None else f["value"] <= bar
        text = f"{f['value']:,.0f}" if f["value"] >= 1000 else f"{f['value']:.3g}"
        rows.append(memory_row(f["row"], text, "", "" if bar is None else f"at most {bar}", ok, f, f["unit"], (),
                               "make bench ROWS='bgp-*'"))
    return rows


def measure_all(options, done):
    """Runs what was chosen; done(rows) after each group. A group that cannot run at all is a row that says so."""
    for names, function in chosen(options):
        print(f"bench: {', '.join(names)}", file=sys.stderr, flush=True)
        try:
            rows = function(options)
        except (Missing, OSError, ValueError, subprocess.SubprocessError) as e:
            rows = [{"row": name, "what": "", "values": {}, "missing": str(e), "bar": "", "ok": None, "notes": [],
                     "command": f"make bench ROWS='{name}'"} for name in names]
        done(rows)
