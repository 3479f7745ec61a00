# SPDX-License-Identifier: BSD-2-Clause
"""The pictures of `make bbr`: plain SVG, nothing in it moves or loads anything."""
import math
from xml.sax.saxutils import escape

COLOURS = {"STARTUP": "#1f77b4", "DRAIN": "#9467bd", "DOWN": "#8c564b", "CRUISE": "#2ca02c", "REFILL": "#bcbd22",
           "UP": "#d62728", "PROBE_RTT": "#7f7f7f", "": "#ff7f0e"}
ORDER = ["STARTUP", "DRAIN", "DOWN", "CRUISE", "REFILL", "UP", "PROBE_RTT"]
GREY, INK = "#b8b8b8", "#222"
PLAIN = "{:g}".format


class Svg:
    def __init__(self, width, height, title):
        self.width, self.height, self.dots = width, height, set()
        self.parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
                      f'height="{height}" font-family="DejaVu Sans, Verdana, sans-serif" font-size="13" fill="{INK}">',
                      f"<title>{escape(title)}</title>", f'<rect width="{width}" height="{height}" fill="#fff"/>']

    def add(self, text):
        self.parts.append(text)

    def text(self, x, y, text, size=13, anchor="start", colour=INK, weight="normal"):
        self.add(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}" '
                 f'font-weight="{weight}">{escape(text)}</text>')

    def line(self, points, colour, width=1.0, dash=""):
        if len(points) < 2:
            return
        # Those on a level line with both their neighbours are left out.
        points = [p for i, p in enumerate(points) if not 0 < i < len(points) - 1 or
                  not abs(points[i - 1][1] - p[1]) < 0.05 > abs(points[i + 1][1] - p[1])]
        at = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        extra = f' stroke-dasharray="{dash}"' if dash else ""
        self.add(f'<polyline points="{at}" fill="none" stroke="{colour}" stroke-width="{width}"{extra}/>')

    def area(self, points, colour):
        at = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.add(f'<polygon points="{at}" fill="{colour}"/>')

    def dot(self, x, y, colour, radius=3.2):
        """The fourth at one place adds nothing that one could see."""
        place = next(((x, y, colour, n) for n in range(3) if (round(x), round(y), colour, n) not in self.dots), None)
        if place is None:
            return
        self.dots.add((round(x), round(y), colour, place[3]))
        self.add(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}" fill-opacity="0.65"/>')

    def rect(self, x, y, w, h, colour):
        self.add(f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="{colour}"/>')

    def done(self):
        return "\n".join([*self.parts, "</svg>", ""])


def legend(svg, x, y, states):
    for state in states:
        svg.rect(x, y - 10, 11, 11, COLOURS[state])
        name = state or "without states (CUBIC)"
        svg.text(x + 16, y, name)
        x += 34 + 8.6 * len(name)


# --- Kleinrock's plane ---

class Plane:
    """One column of the sheet: where a point lies."""

    def __init__(self, left, width, top, height, x_range, y_range, x_log=True):
        self.left, self.width, self.top, self.height = left, width, top, height
        self.x_range, self.y_range, self.x_log = x_range, y_range, x_log

    def x(self, v):
        a, b = self.x_range
        v = min(max(v, a), b)
        share = math.log(v / a) / math.log(b / a) if self.x_log else (v - a) / (b - a)
        return self.left + self.width * share

    def y(self, v):
        a, b = self.y_range
        return self.top + self.height * (1 - (min(max(v, a), b) - a) / (b - a))


X_MARKS = (0.0625, 0.125, 0.25, 0.5, 1, 2, 4, 8, 16)


def levels(svg, p, marks, text):
    """A line across for each mark, and left of it what the mark is called, if text is there to say so."""
    for mark in marks:
        svg.line([(p.left, p.y(mark)), (p.left + p.width, p.y(mark))], "#eee")
        if text:
            svg.text(p.left - 7, p.y(mark) + 4, text(mark), 11, "end")


def border(svg, p):
    svg.add(f'<rect x="{p.left}" y="{p.top}" width="{p.width}" height="{p.height}" fill="none" stroke="#ccc"/>')


def frame(svg, p, y_marks, y_format):
    for mark in X_MARKS:
        if p.x_range[0] <= mark <= p.x_range[1]:
            svg.line([(p.x(mark), p.top), (p.x(mark), p.top + p.height)], "#eee")
    levels(svg, p, y_marks, y_format)
    border(svg, p)


def limit(plane, value):
    a, b = plane.x_range
    points = [a * (b / a) ** (i / 200) for i in range(201)]
    return [(plane.x(v), plane.y(value(v))) for v in points if value(v) <= plane.y_range[1]]


def ring(svg, x, y, text=""):
    svg.add(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="10" fill="none" stroke="#000" stroke-width="2"/>')
    if text:
        svg.text(x + 14, y - 9, text, 12, weight="bold")


def plane_sheet(columns, rate_bps, rtt_ms, buffer_bdp, title):
    """columns: (title, subtitle, rounds of one flow as dicts); one point a round trip, all on the same axes."""
    left, gap, top, half = 70, 26, 96, 285
    width = 400 if len(columns) <= 3 else 310
    svg = Svg(left + len(columns) * (width + gap) + 10, top + 2 * half + 120, title)
    bdp = rate_bps / 8 * rtt_ms / 1000
    x_range = (1 / 32, (buffer_bdp + 1) * 1.25)
    states = [s for s in ORDER if any(r["state"] == s for _, _, rounds in columns for r in rounds)]
    if any(r["state"] == "" for _, _, rounds in columns for r in rounds):
        states.append("")
    svg.text(left, 26, title, 18)
    legend(svg, left, 52, states)
    for i, (name, below, rounds) in enumerate(columns):
        x0 = left + i * (width + gap)
        above = Plane(x0, width, top, half, x_range, (0, rate_bps * 1.12 / 1e6))
        under = Plane(x0, width, top + half + 46, half, x_range, (0, rtt_ms * (buffer_bdp + 1) * 1.04))
        rates = [rate_bps / 1e6 * k / 4 for k in range(5)]
        trips = [rtt_ms * k for k in (1, 2, 4, 6, 8, 10, 12) if k <= buffer_bdp + 1]
        frame(svg, above, rates, PLAIN if i == 0 else None)
        frame(svg, under, trips, PLAIN if i == 0 else None)
        svg.text(x0 + 4, top - 10, name, 15, weight="bold")
        svg.text(x0 + width, top - 10, below, 12, "end", "#555")
        svg.line(limit(above, lambda v: min(v, 1) * rate_bps / 1e6), GREY, 2.5)
        svg.line(limit(under, lambda v: max(v, 1) * rtt_ms), GREY, 2.5)
        for r in rounds:
            x, colour = r["inflight_bytes"] / bdp, COLOURS[r["state"]]
            radius = 3.4 if r["state"] else 2
            svg.dot(above.x(x), above.y(r["rate_bps"] / 1e6), colour, radius)
            svg.dot(under.x(x), under.y(r["rtt_ms"]), colour, radius)
        ring(svg, above.x(1), above.y(rate_bps / 1e6))
        ring(svg, under.x(1), under.y(rtt_ms))
        svg.text(above.x(1) - 8, above.y(rate_bps / 1e6) - 13, "optimum: inflight = 1 BDP", 11, "end", weight="bold")
        for mark in X_MARKS:
            if x_range[0] <= mark <= x_range[1]:
                label = f"{mark:g}" if mark >= 1 else f"1/{round(1 / mark)}"
                svg.text(under.x(mark), under.top + half + 17, label, 11, "middle")
        svg.text(x0 + width / 2, under.top + half + 36, "inflight / BDP (log)", 12, "middle")
    svg.text(8, top - 8, "delivery", 12)
    svg.text(8, top + 8, "Mbit/s", 12)
    svg.text(8, top + half + 34, "round", 12)
    svg.text(8, top + half + 50, "trip, ms", 12)
    svg.text(left, svg.height - 22, "Grey: what the path allows. Left of the ring each byte in flight is rate; right of it each byte is queue. "
             "Only at the ring there is all of the rate and no queue.", 12, colour="#555")
    return svg.done()


# --- time lines ---

def strip(svg, p, marks, label, unit):
    levels(svg, p, marks, PLAIN)
    border(svg, p)
    svg.text(8, p.top + 14, label, 12, weight="bold")
    svg.text(8, p.top + 30, unit, 11, colour="#555")


def nice_marks(most):
    step = 10 ** math.floor(math.log10(most)) if most > 0 else 1
    while most / step < 2.5:
        step /= 2
    while most / step > 6:
        step *= 2
    return [step * k for k in range(int(most / step) + 1)]


def time_line(points, rtt_ms, title):
    """points: dicts of a trace, in time. Estimate against the true rate, inflight, queue, and a bar of states."""
    left, width, top, height, gap = 122, 1000, 74, 120, 16
    svg = Svg(left + width + 30, top + 3 * (height + gap) + 78, title)
    svg.text(left, 24, title, 17)
    begin, end = points[0]["at_s"], points[-1]["at_s"]
    bdp = [p["path_bps"] / 8 * rtt_ms / 1000 for p in points]
    rows = [("bandwidth", "Mbit/s", [p["bw_bps"] / 1e6 for p in points]),
            ("inflight", "BDP", [p["inflight_bytes"] / b for p, b in zip(points, bdp)]),
            ("queue", "BDP", [p["queue_bytes"] / b for p, b in zip(points, bdp)])]
    truth = [p["path_bps"] / 1e6 for p in points]
    states = [s for s in ORDER if any(p["state"] == s for p in points)]
    legend(svg, left, 50, states)
    for i, (name, unit, values) in enumerate(rows):
        most = max(values + (truth if i == 0 else [1.0 if i == 1 else 0.05])) * 1.1
        p = Plane(left, width, top + i * (height + gap), height, (begin, end), (0, most), x_log=False)
        strip(svg, p, nice_marks(most / 1.1), name, unit)
        if i == 0:
            svg.line([(p.x(a["at_s"]), p.y(v)) for a, v in zip(points, truth)], GREY, 4)
        if i == 1:
            svg.line([(p.x(begin), p.y(1)), (p.x(end), p.y(1))], GREY, 2, "6 4")
        colour = ("#c2410c", "#1d4ed8", "#7c3aed")[i]
        shown = [(p.x(a["at_s"]), p.y(v)) for a, v in zip(points, values) if i != 0 or v > 0]
        svg.line(shown, colour, 1.5)
    y = top + 3 * (height + gap)
    state_bar(svg, points, left, width, y, begin, end)
    svg.text(8, y + 14, "state", 12, weight="bold")
    step = next(s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10) if (end - begin) / s <= 12)
    at = math.ceil(begin / step - 1e-9) * step
    while at <= end + 1e-9:
        x = left + width * (at - begin) / (end - begin)
        svg.line([(x, y + 22), (x, y + 27)], INK)
        svg.text(x, y + 41, f"{at:g}", 11, "middle")
        at += step
    svg.text(left + width, y + 58, "seconds", 11, "end")
    svg.text(left, y + 58, "grey: the true rate of the path; one BDP", 11, colour="#555")
    return svg.done()


def state_bar(svg, points, left, width, y, begin, end):
    first, has_states = 0, any(p["state"] for p in points)
    for i in range(1, len(points) + 1):
        if i < len(points) and points[i]["state"] == points[first]["state"]:
            continue
        a, b = points[first]["at_s"], points[min(i, len(points) - 1)]["at_s"]
        svg.rect(left + width * (a - begin) / (end - begin), y, max(width * (b - a) / (end - begin), 0.5), 20,
                 COLOURS[points[first]["state"]] if points[first]["state"] or not has_states else "#eee")
        first = i


# --- curves over a parameter ---

def curves(series, x_label, y_label, title, x_marks, y_most=105):
    """series: name -> [(x, mean, least, most)]; x is logarithmic, y from 0."""
    colour = {"BBRv3": "#2ca02c", "BBRv1": "#1f77b4", "CUBIC": "#ff7f0e", "NewReno": "#7f7f7f"}
    svg = Svg(720, 420, title)
    xs = [x for points in series.values() for x, *_ in points]
    p = Plane(66, 520, 50, 300, (min(xs) * 0.9, max(xs) * 1.1), (0, y_most))
    svg.text(66, 28, title, 16)
    levels(svg, p, nice_marks(y_most / 1.05), PLAIN)
    for m, text in x_marks:
        svg.line([(p.x(m), p.top), (p.x(m), p.top + p.height)], "#eee")
        svg.text(p.x(m), p.top + p.height + 17, text, 11, "middle")
    border(svg, p)
    for i, (name, points) in enumerate(series.items()):
        c = colour.get(name, INK)
        for x, _, low, high in points:
            svg.line([(p.x(x), p.y(low)), (p.x(x), p.y(high))], c, 1)
        svg.line([(p.x(x), p.y(y)) for x, y, *_ in points], c, 2)
        for x, y, *_ in points:
            svg.dot(p.x(x), p.y(y), c)
        svg.rect(606, 60 + 22 * i, 11, 11, c)
        svg.text(623, 70 + 22 * i, name)
    svg.text(p.left + p.width / 2, 392, x_label, 12, "middle")
    svg.text(8, 44, y_label, 12)
    return svg.done()
