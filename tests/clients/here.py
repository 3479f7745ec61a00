# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of real clients share, on top of tests/run/fixture.py.

    client 10.77.0.2 -- lan0 | gateway | wan0 -- server 203.0.113.254

`start` starts a small server written in the test itself, on a host, and returns
when it listens: its code prints `up` then.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "run"))
from fixture import *  # noqa: F401,F403

CLIENT, SERVER, OUTSIDE = "10.77.0.2", "203.0.113.254", "203.0.113.1"


def start(host, code, *argv):
    """Python code on a host, ready when it has printed `up`."""
    process = host.popen(sys.executable, "-c", code, *argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    line = process.stdout.readline()
    if line != "up\n":
        raise AssertionError(f"no server: {line!r} {process.poll()}")
    return process


def program(host, *argv, ready):
    """A program on a host, ready when its output has a line that matches."""
    process = host.popen(*argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = ""
    for line in process.stdout:
        text += line
        if re.search(ready, line):
            return process
    raise AssertionError(f"{argv} ended before it was ready:\n{text}")


def kernel(host, name, value):
    """Sets /proc/sys/NAME on a host."""
    host.run("sh", "-c", f"echo {value} >/proc/sys/{name}", check=True)


def no_ipv6(host):
    """Its kernel fills no wire with IPv6 of its own, if it has any."""
    host.run("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6")


def drops():
    """What the gateway dropped, by name."""
    return {row["reason"]: row["count"] for row in json.loads(ask("drops", "-j").stdout)}
