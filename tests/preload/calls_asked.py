# SPDX-License-Identifier: BSD-2-Clause
"""How calls.py and calls_rare.py ask: each line that they print is one question and what came of it."""
import errno
import select
import signal
import socket
import time  # noqa: F401


def begin(address):
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.alarm(120)
    return address


def told(fn, *args):
    try:
        return fn(*args)
    except OSError as e:
        return errno.errorcode.get(e.errno, e.errno) if e.errno is not None else type(e).__name__


def ask(name, fn, *args):
    print(f"{name}: {told(fn, *args)}", flush=True)


def pair(address, backlog=5):
    """A connection: the two ends, and the listener."""
    l = socket.socket()
    l.bind((address, 0))
    l.listen(backlog)
    c = socket.create_connection(l.getsockname())
    s, _ = l.accept()
    return c, s, l


def events(fd, mask, ms=1000):
    p = select.poll()
    p.register(fd, mask)
    return [hex(e) for _, e in p.poll(ms)]
