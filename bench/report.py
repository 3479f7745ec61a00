# SPDX-License-Identifier: BSD-2-Clause
"""The table of the bench, its JSON, and the results section of bench/README.md."""
import json
import os
import platform
import subprocess
import time

from lab import read

BEGIN, END = "<!-- results: written by bench/run --readme -->", "<!-- end of results -->"
COLUMNS = ("row", "Linux nft", "bare program", "Yangguan", "ratio", "bar", "", "command")


def number(x):
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.4g}" if abs(x) >= 1 else f"{x:.3f}"


def said(text, most=160):
    """One line that a table can hold."""
    text = " ".join(text.split()).replace("|", "/")
    return text if len(text) <= most else text[:most - 3] + "..."


def cell(value):
    if "missing" in value:
        return "missing: " + said(value["missing"])
    if "text" in value:
        return value["text"]
    text = f"{number(value['median'])} ({number(value['min'])}-{number(value['max'])})" if value.get("n", 1) > 1 \
        else number(value["median"])
    if "p99" in value:
        text += f", p99 {number(value['p99'])}"
    if "quiet_mpps" in value:
        text += f", {number(value['flooded_mpps'])} of {number(value['quiet_mpps'])} Mpps"
    return text


def cells(row):
    """The columns of a row, as text."""
    columns = {"linux": [], "bare": [], "yangguan": []}
    several = sum(not key.startswith(("linux", "bare")) for key in row["values"]) > 1
    for key, value in row["values"].items():
        column = "linux" if key == "linux" else "bare" if key.startswith("bare") else "yangguan"
        label = key.replace("bare-tc-", "") + " " if key == "bare-tc-peer" or (column == "yangguan" and several) else ""
        columns[column].append(label + cell(value))
    if "missing" in row:
        columns["yangguan"].append("missing: " + said(row["missing"]))
    ratios = [row["ratio_text"]] if row.get("ratio_text") else []
    if row.get("difference") is not None:
        ratios.append(f"{row['difference']:+.1f}")
    elif row.get("ratio") is not None:
        ratios.append(f"{row['ratio']:.2f} x {row['to']}")
    if row.get("also"):
        ratios.append(f"{row['also']['ratio']:.2f} x {row['also']['to']}")
    verdict = {True: "reached", False: "MISSED", None: ""}[row.get("ok")]
    name = row["row"] + (f", {row['unit']}" if row.get("unit") else "")
    return [name] + ["; ".join(columns[c]) for c in ("linux", "bare", "yangguan")] + [
        "; ".join(ratios), str(row.get("bar", "")), verdict, row["command"]]


def print_head(args):
    print(f"medians of {args.rounds} windows of {args.seconds:g} s, (least-most); sides take turns\n")
    print(" | ".join(COLUMNS), flush=True)


def print_rows(rows):
    for row in rows:
        print(" | ".join(cells(row)))
        for note in row["notes"]:
            print(f"    {note}")
    print(end="", flush=True)


def wrong(rows):
    """What a check of the bench itself must not see: sides that could not run, and what the run had to say."""
    out = []
    for row in rows:
        out += [f"{row['row']}: {row['missing']}"] if "missing" in row else []
        out += [f"{row['row']}, {key}: {value['missing']}" for key, value in row["values"].items() if "missing" in value]
        out += [f"{row['row']}: {note}" for note in row["notes"]]
    return out


def machine():
    cpu = [line.split(":", 1)[1].strip() for line in read("/proc/cpuinfo").split("\n") if line.startswith("model name")]
    memory = [int(line.split()[1]) for line in read("/proc/meminfo").split("\n") if line.startswith("MemTotal")]
    clock = read("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    return {"cpu": f"{len(cpu)} x {cpu[0] if cpu else platform.machine()}", "kernel": ".".join(platform.release().split(".")[:2]),
            "memory_gib": round(memory[0] / 2**20, 1) if memory else None, "clock": clock,
            "load_before": os.getloadavg()[0]}


def commit():
    here = os.path.dirname(os.path.realpath(__file__))
    done = subprocess.run(["git", "-c", "safe.directory=*", "-C", here, "describe", "--always", "--dirty"],
                          capture_output=True, text=True)
    return done.stdout.strip()


class Results:
    """The JSON file: one object, with the rows in the order in which they were first measured."""

    def __init__(self, path):
        self.path = path
        try:
            with open(path) as f:
                self.all = json.load(f)
        except (OSError, ValueError):
            self.all = {"rows": []}
        self.all["machine"] = machine()
        self.stamp = {"when": time.strftime("%Y-%m-%d %H:%M"), "commit": commit()}

    def put(self, rows):
        place = {row["row"]: i for i, row in enumerate(self.all["rows"])}
        for row in rows:
            row = {**row, **self.stamp}
            if row["row"] in place:
                self.all["rows"][place[row["row"]]] = row
            else:
                self.all["rows"].append(row)
        with open(self.path + ".new", "w") as f:
            json.dump(self.all, f, indent=1)
            f.write("\n")
        os.replace(self.path + ".new", self.path)


def into_readme(path, names):
    """`names`: the rows in the order in which they shall stand; those unknown to it come last, as they were measured."""
    with open(path) as f:
        results = json.load(f)
    place = {name: i for i, name in enumerate(names)}
    results["rows"] = sorted((row for row in results["rows"] if row["row"] != "smoke"),
                             key=lambda row: place.get(row["row"], len(place)))
    m = results["machine"]
    lines = [f"On {m['cpu']}, {m['memory_gib']} GiB, Linux {m['kernel']}, clock {m['clock']}.", "",
             "| " + " | ".join(COLUMNS) + " |", "| --- " * len(COLUMNS) + "|"]
    notes, stamps = [], set()
    for row in results["rows"]:
        *texts, command = cells(row)
        lines.append("| " + " | ".join(texts) + f" | `{command}` |")
        notes += [f"- `{row['row']}`: {note}" for note in row["notes"]]
        stamps.add(f"{row['when']} ({row['commit']})")
    lines += ["", f"Measured {', '.join(sorted(stamps))}."]
    if notes:
        lines += ["", "What the run had to say:", ""] + notes
    readme = os.path.join(os.path.dirname(os.path.realpath(__file__)), "README.md")
    with open(readme) as f:
        text = f.read()
    before, rest = text.split(BEGIN, 1)
    with open(readme, "w") as f:
        f.write(before + BEGIN + "\n\n" + "\n".join(lines) + "\n\n" + END + rest.split(END, 1)[1])
