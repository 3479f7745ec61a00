# SPDX-License-Identifier: BSD-2-Clause
"""Questions as those of calls.py, about what few programs do: full queues, ports that are still somebody's, times beside
datagrams.

    calls_rare.py ADDRESS
"""
import fcntl
import select
import socket
import struct
import sys

from calls_asked import *

HERE = begin(sys.argv[1])
TCP = socket.IPPROTO_TCP


def not_blocking():
    s = socket.socket()
    s.setblocking(False)
    return s


# --- how many wait to be accepted ---
def connected(backlog, tries):
    """How many of so many connections are made that nobody accepts, and then how many an accept makes room for."""
    l = socket.socket()
    l.bind((HERE, 0))
    l.listen(backlog)
    all = []
    for i in range(tries):
        c = not_blocking()
        told(c.connect, l.getsockname())
        # One by one: a SYN that comes while others are on their way is let in by either.
        events(c, select.POLLOUT, 300 if i <= backlog else 30)
        all.append(c)
    n = sum(bool(events(c, select.POLLOUT, 0)) for c in all)
    waits = l.getsockopt(TCP, socket.TCP_INFO, 32)[24]
    l.accept()
    more = socket.socket()
    more.settimeout(5)
    told(more.connect, l.getsockname())
    return n, waits, told(more.getpeername) == l.getsockname()


for backlog in (0, 1, 4):
    ask(f"backlog {backlog}: how many are connected", connected, backlog, backlog + 3)


def left_over(how):
    """One that is still connecting when its listener ends."""
    l = socket.socket()
    l.bind((HERE, 0))
    l.listen(0)
    a, b = not_blocking(), not_blocking()
    told(a.connect, l.getsockname())
    events(l, select.POLLIN)
    told(b.connect, l.getsockname())
    how(l)
    return events(b, select.POLLIN, 5000), told(b.recv, 1)


ask("it connects when its listener is closed", left_over, lambda l: l.close())
ask("... is shut down", left_over, lambda l: l.shutdown(socket.SHUT_RD))
l = socket.socket()
l.bind((HERE, 0))
l.listen(3)
for i in range(20):
    with socket.create_connection(l.getsockname()) as c, l.accept()[0] as s:
        c.send(b"%d" % i)
        s.recv(10)
ask("a queue that is emptied is never full", l.getsockopt, TCP, socket.TCP_INFO, 1)


# --- ports ---
def time_wait(reuse_before, reuse_after):
    """bind to the port of a connection that we closed first."""
    l = socket.socket()
    l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse_before)
    l.bind((HERE, 0))
    l.listen()
    c = socket.create_connection(l.getsockname())
    s, _ = l.accept()
    # Of c's end nothing was said, s has it of the listener.
    at = c.getsockname() if reuse_before else s.getsockname()
    (c if reuse_before else s).close()
    (s if reuse_before else c).recv(1)
    (s if reuse_before else c).close()
    l.close()
    with socket.socket() as n:
        n.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse_after)
        return told(n.bind, at)


for before in (0, 1):
    for after in (0, 1):
        ask(f"a port of TIME-WAIT, SO_REUSEADDR {before} and {after}", time_wait, before, after)


def server_again():
    """What SO_REUSEADDR is for."""
    l = socket.socket()
    l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    l.bind((HERE, 0))
    l.listen()
    c = socket.create_connection(l.getsockname())
    s, _ = l.accept()
    at = l.getsockname()
    s.close()
    c.recv(1)
    c.close()
    l.close()
    with socket.socket() as n:
        n.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return told(n.bind, at), told(n.listen)


ask("a server that begins again", server_again)


def drawn(n):
    """How many of so many ports are another's too."""
    all = []
    for _ in range(n):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((HERE, 0))
        all.append(s)
    return n - len({s.getsockname()[1] for s in all})


ask("ports that are drawn with SO_REUSEADDR", drawn, 600)

# --- when a datagram had come ---
SIOCGSTAMP, SIOCGSTAMPNS = 0x8906, 0x8907


def stamp(s, request=SIOCGSTAMP):
    return struct.unpack("qq", fcntl.ioctl(s, request, bytes(16)))


u, v = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
u.bind((HERE, 0))
v.connect(u.getsockname())
ask("the time of none", stamp, u)
# The kernel begins to note them when it is asked for the first time.
before = time.time()
v.send(b"x")
u.recv(10)
ask("the time of one", lambda: before - 1 < stamp(u)[0] + stamp(u)[1] / 1e6 < time.time() + 1)
ask("... in ns", lambda: before - 1 < stamp(u, SIOCGSTAMPNS)[0] + stamp(u, SIOCGSTAMPNS)[1] / 1e9 < time.time() + 1)
ask("... by its other number", lambda: stamp(u, 0x80108906) == stamp(u))
first = stamp(u, SIOCGSTAMPNS)
v.send(b"x")
u.recv(10)
ask("the next one's is later", lambda: stamp(u, SIOCGSTAMPNS) > first)
ask("who has received nothing has none", stamp, v)
c, s, l = pair(HERE)
c.send(b"x")
s.recv(1)
ask("nor has a connection", stamp, s)

print("end", flush=True)
