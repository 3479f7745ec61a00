# SPDX-License-Identifier: BSD-2-Clause
"""The kernel's own congestion controls for the sheet: over the same path, in real time, between two TUNs (wire.c; root).

A fifth of the rate, so that a machine that has other things to do keeps up; for the sheet what has bits or bytes is multiplied by
five, and so stands at the same place of the plane.
"""
import json
import os
import subprocess

RATE, SHEET_RATE, SECONDS = 20_000_000, 100_000_000, 12
CONTROLS = (("bbr", "Linux BBRv1"), ("cubic", "Linux CUBIC"))


class Failed(Exception):
    """Something that should work does not; what is only missing here is an OSError."""


def run(wire, cc):
    words = [wire, cc, str(RATE), "40", "10", str(SECONDS)]
    p = subprocess.run(words, capture_output=True, text=True, check=False, timeout=10 * SECONDS)
    if p.returncode < 0:
        raise Failed(f"{' '.join(words)}: ended by signal {-p.returncode}")
    if p.returncode != 0:
        raise OSError(p.stderr.strip() or f"{' '.join(words)} ended with {p.returncode}")
    r = json.loads(p.stdout)
    by = SHEET_RATE / RATE
    inflight, rate = r["round_columns"].index("inflight_bytes"), r["round_columns"].index("rate_bps")
    for row in r["rounds"]:
        row[inflight] *= by
        row[rate] *= by
    r["flows"][0]["rate_bps"] *= by
    return r


def columns(program):
    """[(title, run)], and a sentence about them."""
    wire = os.path.join(os.path.dirname(os.path.abspath(program)), "bench", "bbr_wire")
    if not os.path.exists(wire):
        return [], "The kernel's columns are missing: there is no bench/bbr_wire in this build (make bbr builds it)."
    found = []
    for cc, title in CONTROLS:
        try:
            found.append((title, run(wire, cc)))
        except (OSError, ValueError, subprocess.TimeoutExpired) as e:
            return [], f"The kernel's columns are missing: {e} (root, /dev/net/tun and tcp_bbr are needed)."
    with open("/proc/loadavg", encoding="ascii") as f:
        load = f.read().split()[0]
    with open("/proc/sys/kernel/osrelease", encoding="ascii") as f:
        release = f.read().strip()
    return found, (f"Linux: its own TCP (kernel {release}) over the same path in real time at {RATE // 1_000_000} Mbit/s, drawn as "
                   f"if at {SHEET_RATE // 1_000_000}. What the machine does meanwhile is in it (load {load}).")
