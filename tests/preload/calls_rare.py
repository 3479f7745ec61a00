# SPDX-License-Identifier: BSD-2-Clause
"""Questions as those of calls.py, about what few programs do: full queues, ports that are still somebody's, times beside
datagrams.

    calls_rare.py ADDRESS
"""
import ctypes
import errno
import fcntl
import os
import resource
import select
import signal
import socket
import struct
import sys
import threading

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

ask("as what the time is told is said behind its coming", lambda: (v.send(b"x"), events(u, select.POLLIN), u.setsockopt(socket.SOL_SOCKET, 29, 1),
                                                                   [(l, t, len(d)) for l, t, d in u.recvmsg(10, 100)[1]])[3])
last = told(stamp, u, SIOCGSTAMPNS)
v.send(b"x")
u.recv(10)
ask("... and not once more", lambda: stamp(u, SIOCGSTAMPNS) == last)


# --- readiness of what has no connection ---
n = socket.socket()
ask("poll before a connection", lambda: [events(n, m, 0) for m in (0, select.POLLIN, select.POLLOUT | select.POLLHUP)])
n.bind((HERE, 0))
ask("... bound", events, n, select.POLLIN)
n.listen()
ask("... listening", events, n, select.POLLIN, 0)


def given_up(how):
    """A connect that is shut down."""
    l = socket.socket()
    l.bind((HERE, 0))
    l.listen(0)
    a, b = not_blocking(), not_blocking()
    told(a.connect, l.getsockname())
    events(l, select.POLLIN)
    told(b.connect, l.getsockname())
    b.shutdown(how)
    seen = events(b, 0), told(b.recv, 1), told(b.getpeername)
    l.accept()
    events(a, select.POLLOUT)
    b.setblocking(True)
    return *seen, told(b.connect, l.getsockname()), told(b.send, b"x")


for how in (socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR):
    ask(f"a connect that is shut down ({how})", given_up, how)


# --- a signal while it connects ---
def interrupted(restarts):
    """A connect that waits for room in its listener's queue, which comes behind the signal."""
    libc = ctypes.CDLL(None, use_errno=True)
    # Python's own, without SA_RESTART: all handlers must say the same.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGUSR1, lambda number, frame: None)
    signal.siginterrupt(signal.SIGUSR1, not restarts)
    l = socket.socket()
    l.bind((HERE, 0))
    l.listen(0)
    a, b = not_blocking(), socket.socket()
    told(a.connect, l.getsockname())
    events(l, select.POLLIN)
    to = struct.pack("=HH4s8x", socket.AF_INET, socket.htons(l.getsockname()[1]), socket.inet_aton(HERE))
    begun = threading.Event()

    def interrupt():
        # It is on its way when it has a port.
        while b.getsockname()[1] == 0:
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
        l.accept()

    t = threading.Thread(target=interrupt)
    t.start()
    rc = libc.connect(b.fileno(), to, 16)
    error = ctypes.get_errno() if rc != 0 else 0
    t.join()
    return errno.errorcode.get(error, error)


ask("a signal in connect", interrupted, False)
ask("... whose handler says SA_RESTART", interrupted, True)


# --- no number left ---
def accept_without_number():
    l = socket.socket()
    l.bind((HERE, 0))
    l.listen()
    c = socket.create_connection(l.getsockname())
    events(l, select.POLLIN)
    were = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (l.fileno() + 1, were[1]))
    held = []
    try:
        while len(held) < 100:
            held.append(os.dup(l.fileno()))
    except OSError:
        pass
    refused = told(l.accept)
    resource.setrlimit(resource.RLIMIT_NOFILE, were)
    for fd in held:
        os.close(fd)
    return refused, l.accept()[0].getpeername() == c.getsockname()


ask("accept without a number left, and then with one", accept_without_number)


# --- pointers that lead nowhere, and lengths that are none ---
libc = ctypes.CDLL(None, use_errno=True)


def call(name, *args):
    rc = getattr(libc, name)(*(ctypes.c_void_p(a) if isinstance(a, int) and abs(a) > 1 << 20 else a for a in args))
    return errno.errorcode[ctypes.get_errno()] if rc < 0 else rc


libc.mmap.restype = ctypes.c_void_p
HOLE = libc.mmap(None, 4096, 0, 0x22, -1, 0)
c, s, l = pair(HERE)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.bind((HERE, 0))
n = socket.socket()
word, minus, name = ctypes.c_uint(16), ctypes.c_uint(2**32 - 1), ctypes.create_string_buffer(128)
here = struct.pack("=HH4s8x", socket.AF_INET, socket.htons(u.getsockname()[1]), socket.inet_aton(HERE))
for where, bad in (("in no page", HOLE), ("at the end", -1)):
    ask(f"bind, a name {where}", call, "bind", n.fileno(), bad, 16)
    ask(f"connect, a name {where}", call, "connect", n.fileno(), bad, 16)
    ask(f"getsockname, a name {where}", call, "getsockname", s.fileno(), bad, ctypes.byref(ctypes.c_uint(16)))
    ask(f"getsockname, a length {where}", call, "getsockname", s.fileno(), name, bad)
    ask(f"getpeername, a name {where}", call, "getpeername", s.fileno(), bad, ctypes.byref(ctypes.c_uint(16)))
    ask(f"getsockopt, a value {where}", call, "getsockopt", s.fileno(), socket.SOL_SOCKET, socket.SO_TYPE, bad, ctypes.byref(ctypes.c_uint(4)))
    ask(f"getsockopt, a length {where}", call, "getsockopt", s.fileno(), socket.SOL_SOCKET, socket.SO_TYPE, name, bad)
    ask(f"setsockopt, a value {where}", call, "setsockopt", s.fileno(), socket.SOL_SOCKET, socket.SO_KEEPALIVE, bad, 4)
    ask(f"send, bytes {where}", call, "send", s.fileno(), bad, 10, 0)
    ask(f"sendmmsg, messages {where}", call, "sendmmsg", u.fileno(), bad, 1, 0)
    ask(f"recvmmsg, messages {where}", call, "recvmmsg", u.fileno(), bad, 1, 0x40, None)
    ask(f"sendto, bytes {where}", call, "sendto", u.fileno(), bad, 10, 0, here, 16)
ask("sendmsg, a message at the end", call, "sendmsg", s.fileno(), -1, 0)
ask("sendto, a name at the end", call, "sendto", u.fileno(), name, 10, 0, -1, 16)
ask("getsockname, a length below 0", call, "getsockname", s.fileno(), name, ctypes.byref(minus))
ask("getsockopt, a length below 0", call, "getsockopt", s.fileno(), socket.SOL_SOCKET, socket.SO_TYPE, name, ctypes.byref(minus))
c.send(b"xx")
events(s, select.POLLIN)
ask("recvfrom of a connection, a name at the end", call, "recvfrom", s.fileno(), name, 1, 0, -1, ctypes.byref(word))
ask("recvfrom, a length below 0", call, "recvfrom", s.fileno(), name, 1, 0, name, ctypes.byref(minus))
ask("accept, a name in no page", lambda: (k := socket.create_connection(l.getsockname()), call("accept", l.fileno(), HOLE, ctypes.byref(word)))[1])
for i in range(100):
    c.send(b"x")
ask("and behind many, bytes at the end", call, "send", c.fileno(), -1, 10, 0)

# --- by number ---
SOCKET, CONNECT, ACCEPT4, GETPEERNAME, SENDTO, RECVFROM, CLOSE = 41, 42, 288, 52, 44, 45, 3


def numbered():
    fd = libc.syscall(SOCKET, socket.AF_INET, socket.SOCK_STREAM, 0)
    to = struct.pack("=HH4s8x", socket.AF_INET, socket.htons(l.getsockname()[1]), socket.inet_aton(HERE))
    rc = libc.syscall(CONNECT, fd, to, 16)
    other = libc.syscall(ACCEPT4, l.fileno(), None, None, socket.SOCK_NONBLOCK)
    sent = libc.syscall(SENDTO, fd, b"by number", 9, 0, None, 0)
    events(other, select.POLLIN)
    got = ctypes.create_string_buffer(20)
    return (rc, libc.syscall(GETPEERNAME, fd, name, ctypes.byref(word)), sent, libc.syscall(RECVFROM, other, got, 20, 0, None, None),
            got.value, libc.syscall(CLOSE, fd), libc.syscall(CLOSE, fd), events(other, select.POLLIN) and os.read(other, 9))


l = socket.create_server((HERE, 0))
ask("calls by their numbers", numbered)

# --- MSG_MORE ---
v.connect(u.getsockname())
v.send(b"one, ", socket.MSG_MORE)
v.send(b"two, ", socket.MSG_MORE)
v.send(b"three")
ask("datagrams that are one", u.recv, 100)


# --- options behind the end ---
def behind(end):
    c, s, l = pair(HERE)
    c.setsockopt(TCP, socket.TCP_KEEPIDLE, 77)
    end(c, s)
    events(c, select.POLLHUP)
    return (told(c.getsockopt, TCP, socket.TCP_KEEPIDLE), told(c.setsockopt, socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            told(c.getsockopt, socket.SOL_SOCKET, socket.SO_KEEPALIVE), c.getsockopt(TCP, socket.TCP_INFO, 1))


def reset(c, s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def both(c, s):
    c.shutdown(socket.SHUT_WR)
    s.close()


ask("options behind a reset", behind, reset)
ask("... behind both ends", lambda: behind(both)[:3])
ask("... of many", lambda: {behind(reset) for _ in range(100)} == {behind(reset)})

# --- groups ---
def as_whom():
    """IP_PKTINFO of what was sent to a group on lo: as which of our addresses it was heard."""
    m, o = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    m.settimeout(5)
    m.bind(("", 0))
    m.setsockopt(socket.IPPROTO_IP, 8, 1)
    m.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.1.2.3") + socket.inet_aton("127.0.0.1"))
    o.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
    o.sendto(b"to all", ("239.1.2.3", m.getsockname()[1]))
    return [(socket.inet_ntoa(d[4:8]), socket.inet_ntoa(d[8:12])) for l, t, d in m.recvmsg(10, 100)[1]]


ask("as whom a group on lo is heard", as_whom)

print("end", flush=True)
