# SPDX-License-Identifier: BSD-2-Clause
"""What `make bbr` runs and what is asked of it.

A cell is one command line of `yangguan bbr`, run with each seed; a measure makes one number of what it says, and a bar says what the
mean over the seeds has to be. Rates are shares of the path in percent, queues are BDPs.
"""
import dataclasses
import typing

V3, V1, CUBIC, RENO = "bbr", "bbr1", "cubic", "reno"
NAMES = {V3: "BBRv3", V1: "BBRv1", CUBIC: "CUBIC", RENO: "NewReno"}
IP = 1500  # bytes of a segment's packet


@dataclasses.dataclass
class Measure:
    name: str
    of: typing.Callable
    bar: tuple = ()        # ("at least", x), ("at most", x), ("within", low, high); (): it is shown
    reference: str = ""    # what an independent simulation of the draft reaches
    why: str = ""          # of a miss that is explained; it ends with what shows it
    unit: str = ""


@dataclasses.dataclass
class Cell:
    group: str
    name: str
    args: list
    measures: list


# --- what is made of a run ---

def share(r):
    """All flows' part of the path, in percent."""
    return 100 * sum(f["share"] for f in r["flows"])


def lost(r):
    sent = sum(f["sent"] for f in r["flows"])
    return 100 * sum(f["lost"] * f["sent"] for f in r["flows"]) / max(sent, 1)


def power(r):
    return r["flows"][0]["power"]


def jain(r):
    rates = [f["rate_bps"] for f in r["flows"]]
    return sum(rates) ** 2 / (len(rates) * sum(x * x for x in rates)) if any(rates) else 0


def part_of(kind):
    """The part that flows of this kind have of what all have."""
    def part(r):
        whole = sum(f["rate_bps"] for f in r["flows"])
        return sum(f["rate_bps"] for f in r["flows"] if f["cc"] == kind) / whole if whole else 0
    return part


def key(name):
    return lambda r: r[name]


def cubic_formula(rtt_s, p):
    """RFC 9438 section 5.1 (figure 6: C 0.4, beta 0.7): segments a round trip, with one loss in 1/p segments."""
    return 1.054 * (rtt_s / p) ** 0.75


def formula_ratio(rtt_s, p):
    def ratio(r):
        bps = r["flows"][0]["rate_bps"]
        return bps / (cubic_formula(rtt_s, p) * IP * 8 / rtt_s)
    return ratio


def rounds_of(r):
    names = r["round_columns"]
    return [dict(zip(names, row)) for row in r["rounds"]]


def rounds_to_95(at_s, rate):
    """Round trips from when UP began next behind the step until 95% of the new rate are delivered."""
    def rounds(r):
        after = [x for x in rounds_of(r) if x["at_s"] > at_s]
        first = next((i for i, x in enumerate(after) if x["state"] == "UP"), None)
        if first is None:
            return float("inf")
        return next((i - first for i, x in enumerate(after) if i >= first and x["rate_bps"] >= 0.95 * rate),
                    float("inf"))
    return rounds


def seconds_until(at_s, is_so):
    """Seconds behind the step until the first round trip of which that is so."""
    return lambda r: next((x["at_s"] - at_s for x in rounds_of(r) if x["at_s"] > at_s and is_so(x)), float("inf"))


def seconds_to_95(at_s, rate):
    return seconds_until(at_s, lambda x: x["rate_bps"] >= 0.95 * rate)


def seconds_to_believe(at_s, rate):
    """... the sender's own max_bw is within a tenth of the path."""
    return seconds_until(at_s, lambda x: x["max_bw_bps"] <= 1.1 * rate)


SHARE = Measure("share", share, unit="%")
LOST = Measure("lost", lost, unit="%")
POWER = Measure("power", power)
QUEUE = Measure("queue mean", key("queue_mean"), unit="BDP")
JAIN = Measure("Jain", jain)


def bar(m, how, *values, reference="", why=""):
    return dataclasses.replace(m, bar=(how, *values), reference=reference, why=why)


def flags(cc, seconds, **more):
    words = ["--cc", cc, "--seconds", f"{seconds}s"]
    for name, value in more.items():
        name = "--" + name.replace("_", "-")
        if isinstance(value, list):
            for v in value:
                words += [name, v]
        elif value is True:
            words.append(name)
        else:
            words += [name, str(value)]
    return words


# --- the cells ---

LOSSES = ["0", "0.01", "0.1", "0.2", "0.5", "1", "1.5", "2", "5", "10", "20"]
BUFFERS = [2, 5, 10, 25, 50, 100, 200, 400, 1000, 10000]  # percent of a BDP
RTTS = {"1ms": 3, "10ms": 10, "40ms": 10, "100ms": 15, "200ms": 20, "1000ms": 40}  # and seconds


def loss_cells():
    v3 = {"0": (95, "97"), "0.1": (85, "89 (87-90)"), "0.5": (80, "84"), "1": (73, "78")}
    v1 = {"1": (95, "98"), "5": (90, "94"), "10": (85, "90")}
    shown = {V3: {"0.01": "96", "0.2": "86-88", "1.5": "38-55", "2": "17-22", "5": "2.0-2.4", "10": "1.0"},
             V1: {"0": "98.9", "0.1": "98.8", "2": "97"},
             CUBIC: {"0": "100", "0.01": "37-40", "0.1": "11-12.7", "0.5": "4.9-5.6", "1": "3.7-3.9", "2": "2.6-2.9"}}
    for cc in (V3, V1, CUBIC, RENO):
        seconds = {V3: 30, CUBIC: 40}.get(cc, 20)
        for loss in LOSSES:
            asked = {V3: v3, V1: v1}.get(cc, {}).get(loss)
            m = bar(SHARE, "at least", asked[0], reference=asked[1]) if asked else \
                dataclasses.replace(SHARE, reference=shown.get(cc, {}).get(loss, ""))
            yield Cell("loss", f"{NAMES[cc]}, loss {loss}%", flags(cc, seconds, buffer=1, loss=loss), [m])


def buffer_cells():
    """How much of the path a flow has in the long run, and what it loses then: without BBR's first three seconds, which are one in
    twenty of the reference's runs (60 to 90 s) and would be a quarter of these; CUBIC without its first fifteen, since behind a
    slow start that a shallow buffer cuts off at a fifth of the path's volume it takes twelve to fill the path."""
    shown = {V3: {2: "86.4", 5: "89", 10: "93.0", 25: "96.7"}, V1: {2: "97.2", 5: "97.4", 10: "97.7", 25: "98.4"},
             CUBIC: {2: "89.6", 5: "92", 10: "94.6", 25: "99"}}
    for cc in (V3, V1, CUBIC):
        for percent in BUFFERS:
            measures = [dataclasses.replace(SHARE, reference=shown[cc].get(percent, "")), LOST, QUEUE]
            if cc == V3 and percent == 5:
                measures = [bar(SHARE, "at least", 85, reference="89"), bar(LOST, "at most", 0.5, reference="0.07"), QUEUE]
            yield Cell("buffer", f"{NAMES[cc]}, buffer {percent}% of a BDP",
                       flags(cc, 40 if cc == CUBIC else 13 if percent < 10000 else 23, buffer=percent / 100,
                             **{"from": "15s" if cc == CUBIC else "3s"}), measures)


def steady_cells():
    """One flow, ten BDPs of buffer, without its beginning."""
    v3 = [bar(QUEUE, "at most", 0.1, reference="0.06"),
          bar(Measure("queue median", key("queue_median"), unit="BDP"), "at most", 0.02, reference="0.00"),
          bar(Measure("queue 95%", key("queue_95"), unit="BDP"), "at most", 0.7, reference="0.55"),
          bar(Measure("queue max", key("queue_max"), unit="BDP"), "at most", 1.1, reference="0.90"),
          bar(POWER, "at least", 0.88, reference="0.92"), SHARE]
    yield Cell("steady", "BBRv3, 40 ms, buffer 10 BDP", flags(V3, 40, buffer=10, **{"from": "10s"}), v3)
    yield Cell("steady", "BBRv1, 40 ms, buffer 10 BDP", flags(V1, 40, buffer=10, **{"from": "10s"}),
               [bar(POWER, "at least", 0.92, reference="0.96"), dataclasses.replace(QUEUE, reference="0.033"), SHARE])
    yield Cell("steady", "CUBIC, 40 ms, buffer 10 BDP", flags(CUBIC, 40, buffer=10, **{"from": "10s"}),
               [dataclasses.replace(POWER, reference="0.11"), dataclasses.replace(QUEUE, reference="7.8"), SHARE])
    yield Cell("steady", "BBRv3, 200 ms, buffer 10 BDP",
               flags(V3, 60, rtt="200ms", buffer=10, **{"from": "15s"}),
               [bar(QUEUE, "at most", 0.25, reference="0.20"), POWER, SHARE])


def rtt_cells():
    for cc in (V3, V1, CUBIC):
        for rtt, seconds in RTTS.items():
            yield Cell("rtt", f"{NAMES[cc]}, {rtt}", flags(cc, seconds, rtt=rtt, buffer=2), [SHARE, QUEUE])


def formula_cells():
    """The formula's model is one loss in 1/p segments, so that is what they get."""
    for rtt, p_each in (("100ms", 10000), ("200ms", 5000), ("200ms", 10000)):
        s = float(rtt[:-2]) / 1000
        yield Cell("formula", f"CUBIC, {rtt}, one loss in {p_each}",
                   flags(CUBIC, 160, rtt=rtt, buffer=10, loss_every=p_each, **{"from": "40s"}),
                   [bar(Measure("rate / RFC 9438's", formula_ratio(s, 1 / p_each)), "within", 0.85, 1.15)])


def odd_cells():
    for cc in (V3, V1, CUBIC):
        yield Cell("policer", f"{NAMES[cc]}, policer 20 Mbit/s, bucket 1 BDP",
                   flags(cc, 20, policer="20M", buffer=1), [
                       Measure("of the policer's rate", lambda r: 5 * share(r), unit="%"), LOST])
        yield Cell("ACK batches", f"{NAMES[cc]}, acknowledgements each 10 ms",
                   flags(cc, 20, ack_batch="10ms", buffer=2), [SHARE, QUEUE])


def step_cells():
    up = flags(V3, 20, rate="10M", buffer=10, step="8s:100M", rounds=True)
    yield Cell("step", "BBRv3, 10 to 100 Mbit/s", up, [
        bar(Measure("rounds from UP to 95%", rounds_to_95(8, 100e6)), "at most", 25, reference="18"),
        dataclasses.replace(Measure("seconds to 95%", seconds_to_95(8, 100e6), unit="s"), reference="2.2-2.5")])
    # One BDP of the slower path; behind ten of them a round trip is half a second, and so are the rounds of a cycle.
    for buffer, asked in (("0.1", True), ("1", False)):
        m = Measure("seconds until max_bw fits", seconds_to_believe(8, 10e6), unit="s")
        yield Cell("step", f"BBRv3, 100 to 10 Mbit/s, buffer {float(buffer) * 10:g} BDP of 10",
                   flags(V3, 30, rate="100M", buffer=buffer, step="8s:10M", rounds=True),
                   [bar(m, "at most", 7, reference="5.2-5.6") if asked else m])
    for cc in (V1, CUBIC):
        yield Cell("step", f"{NAMES[cc]}, 10 to 100 Mbit/s",
                   flags(cc, 20, rate="10M", buffer=10, step="8s:100M", rounds=True),
                   [Measure("seconds to 95%", seconds_to_95(8, 100e6), unit="s")])


def flow_cells():
    """Five flows from 100 to 120 s, whose beginning is over by then, and two of two kinds over 90 s, beginning included."""
    for buffer, least, reference in ((1, 0.95, "0.97-1.0"), (10, 0.88, "0.90-0.98")):
        yield Cell("flows", f"five BBRv3, buffer {buffer} BDP",
                   flags(V3, 120, flows=5, start="2s", buffer=buffer, **{"from": "100s"}),
                   [bar(JAIN, "at least", least, reference=reference), SHARE, QUEUE])
    for n in (2, 16):
        yield Cell("flows", f"{n} BBRv3, buffer 2 BDP",
                   flags(V3, 30, flows=n, start="0.5s", buffer=2, **{"from": "15s"}), [JAIN, SHARE, QUEUE])
    v3 = part_of(V3)
    for buffer, asked, reference in ((1, ("at most", 0.85), "0.81"), (2, ("within", 0.4, 0.6), "0.48"),
                                     (4, ("within", 0.4, 0.6), "0.45"), (10, ("at least", 0.2), "0.28")):
        yield Cell("flows", f"BBRv3 and CUBIC, buffer {buffer} BDP", flags(f"{V3},{CUBIC}", 90, buffer=buffer),
                   [bar(Measure("BBRv3's part", v3), *asked, reference=reference), SHARE])
    for buffer, reference in ((1, "0.90"), (4, "0.33")):
        yield Cell("flows", f"BBRv1 and CUBIC, buffer {buffer} BDP", flags(f"{V1},{CUBIC}", 40, buffer=buffer),
                   [dataclasses.replace(Measure("BBRv1's part", part_of(V1)), reference=reference), SHARE])
    yield Cell("flows", "BBRv3 and BBRv1, buffer 2 BDP", flags(f"{V3},{V1}", 40, buffer=2), [Measure("BBRv3's part", v3)])
    yield Cell("flows", "16 of all four kinds, buffer 2 BDP",
               flags(f"{V3},{V1},{CUBIC},{RENO}", 40, flows=16, buffer=2, **{"from": "10s"}),
               [Measure(f"{NAMES[k]}'s part", part_of(k)) for k in (V3, V1, CUBIC, RENO)] + [SHARE])
    yield Cell("flows", "BBRv3 of 10 and of 100 ms, buffer 1 BDP of 100 ms",
               flags(V3, 60, rtt="100ms,10ms", buffer=1),
               [dataclasses.replace(Measure("part of 10 ms", lambda r: r["flows"][1]["rate_bps"] /
                                            sum(f["rate_bps"] for f in r["flows"])), reference="0.14")])


def all_cells():
    for make in (steady_cells, loss_cells, buffer_cells, rtt_cells, formula_cells, odd_cells, step_cells, flow_cells):
        yield from make()
