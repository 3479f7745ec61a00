# SPDX-License-Identifier: BSD-2-Clause
"""What calls_test has run twice, on our stack and on the kernel's: each line is one question and what came of it.

    calls.py ADDRESS

ADDRESS is one of the stack's own.
"""
import array
import ctypes
import errno
import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time

from calls_asked import *
from calls_asked import pair as asked_pair

HERE = begin(sys.argv[1])


def pair(backlog=5):
    return asked_pair(HERE, backlog)


def state_of(s):
    return s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


# --- names ---
c, s, l = pair()
ask("names agree", lambda: c.getsockname() == s.getpeername() and c.getpeername() == s.getsockname() == l.getsockname())
ask("a listener has no peer", l.getpeername)
ask("family, type, protocol", lambda: [s.getsockopt(socket.SOL_SOCKET, o) for o in (socket.SO_DOMAIN, socket.SO_TYPE, socket.SO_PROTOCOL)])
ask("who listens", lambda: [x.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) for x in (l, s)])
ask("state", lambda: [state_of(x) for x in (c, s, l)])
ask("it is a socket", lambda: os.fstat(s.fileno()).st_mode >> 12 == 12)
ask("a small number", lambda: s.fileno() < 32)

# --- before and without a connection ---
n = socket.socket()
ask("recv without a connection", n.recv, 1)
ask("send without a connection", n.send, b"x")
ask("getpeername without one", n.getpeername)
ask("shutdown without one", n.shutdown, socket.SHUT_RDWR)
ask("accept without listen", n.accept)
ask("its own name", n.getsockname)
ask("send on a listener", l.send, b"x")
ask("recv on a listener", l.recv, 1)
ask("bind to a strange address", n.bind, ("198.51.100.77", 0))
ask("bind twice", lambda: (n.bind((HERE, 0)), told(n.bind, (HERE, 0)))[1])
ask("bind where another listens", socket.socket().bind, l.getsockname())
ask("connect again", c.connect, l.getsockname())
n.close()

# --- bytes ---
c.sendall(b"abcdef")
ask("peek", s.recv, 3, socket.MSG_PEEK)
ask("how many wait", lambda: struct.unpack("i", fcntl.ioctl(s, termios.FIONREAD, b"\0" * 4))[0])
ask("how many would be dropped", lambda: told(s.recv_into, B := bytearray(4), 4, socket.MSG_TRUNC | socket.MSG_PEEK) == 4 and B == bytes(4))
ask("recv", s.recv, 3)
ask("recv_into", lambda: s.recv_into(bytearray(3)))
c.send(b"dropped")
events(s, select.POLLIN)
ask("some are dropped", lambda: told(s.recv_into, B := bytearray(4), 4, socket.MSG_TRUNC) == 4 and B == bytes(4))
ask("... not the rest", s.recv, 10)
ask("recvfrom has no name", lambda: (c.send(b"x"), s.recvfrom(10))[1][1] in (None, ("", 0)) or "a name")
ask("nothing there", s.recv, 10, socket.MSG_DONTWAIT)
s.settimeout(0.05)
ask("nothing in time", s.recv, 10)
s.settimeout(None)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 50000))
ask("SO_RCVTIMEO", s.recv, 10)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 0))
threading.Timer(0.05, lambda: (c.send(b"1"), time.sleep(0.05), c.send(b"2"))).start()
ask("MSG_WAITALL", s.recv, 2, socket.MSG_WAITALL)
c.sendmsg([b"a", b"b", b"", b"c"])
ask("sendmsg and recvmsg", s.recvmsg, 10)
ask("recvmsg into several", lambda: (c.send(b"hello"), s.recvmsg_into([bytearray(2), bytearray(9)]))[1][0])
os.write(c.fileno(), b"written")
ask("os.read", os.read, s.fileno(), 100)
ask("readv, writev", lambda: (os.writev(c.fileno(), [b"x", b"yz"]), os.readv(s.fileno(), [bytearray(2), bytearray(5)]))[1])
with open("/tmp/calls.file", "wb") as f:
    f.write(b"0123456789" * 10000)
with open("/tmp/calls.file", "rb") as f:
    t = threading.Thread(target=lambda: c.sendfile(f))
    t.start()
    got = b""
    while len(got) < 100000:
        got += s.recv(1 << 16)
    t.join()
    ask("sendfile", lambda: got == b"0123456789" * 10000)
r, w = os.pipe()
os.write(w, b"spliced")
ask("splice in", os.splice, r, c.fileno(), 7)
ask("splice out", lambda: (events(s, select.POLLIN), os.splice(s.fileno(), w, 100))[1])
ask("what was spliced", os.read, r, 100)
ask("a file of it", lambda: (c.send(b"line one\nline two\n"), s.makefile("r").readline())[1])
f = os.fdopen(os.dup(s.fileno()), "rb", 0)
c.send(b"by a file")
ask("fdopen", f.read, 9)
f.close()

# --- ready ---
ask("both can write", lambda: [events(x, select.POLLOUT | select.POLLIN) for x in (c, s)])
ep = select.epoll()
ep.register(s, select.EPOLLIN | select.EPOLLET)
ep.register(r, select.EPOLLIN)
ask("epoll: nothing", ep.poll, 0)
c.send(b"x")
ask("epoll: an edge", lambda: [e for fd, e in ep.poll(1)])
ask("epoll: no edge again", ep.poll, 0)
os.write(w, b"x")
ask("epoll: a pipe beside", lambda: [fd == r for fd, e in ep.poll(1)])
os.read(r, 1)
c.send(b"y")
ask("epoll: another edge", lambda: [e for fd, e in ep.poll(1)])
ask("select", lambda: [len(x) for x in select.select([s, r], [s], [], 1)])
s.recv(10)
ep.close()
q = socket.socket()
q.bind((HERE, 0))
q.listen(1)
ask("a listener is not ready", events, q, select.POLLIN, 0)
k = socket.create_connection(q.getsockname())
ask("a listener is ready", events, q, select.POLLIN)
q.setblocking(False)
a, _ = q.accept()
ask("accepted does block", lambda: fcntl.fcntl(a, fcntl.F_GETFL) & os.O_NONBLOCK)
ask("accepted closes at exec", lambda: fcntl.fcntl(a, fcntl.F_GETFD))
ask("none is left", q.accept)
for x in (q, k, a):
    x.close()

# --- full ---
c.setblocking(False)
sent = 0
# What is on its way to the other end makes room again for a while: it is full when a second of waiting has made room for nothing.
before = -1
while sent > before:
    before = sent
    for size in (65536, 1):
        try:
            while True:
                sent += c.send(b"z" * size)
        except BlockingIOError:
            pass
    select.select([], [c], [], 1)
ask("it is full", events, c, select.POLLOUT, 0)
ask("send when full", c.send, b"x")
got = 0
while got < sent:
    got += len(s.recv(1 << 20))
ask("each byte came", lambda: got == sent)
ask("it is not full", events, c, select.POLLOUT)
c.setblocking(True)

# --- ends ---
c.shutdown(socket.SHUT_WR)
ask("end of one direction", lambda: (events(s, select.POLLIN), s.recv(10))[1])
ask("... is told by poll", events, s, select.POLLIN | select.POLLRDHUP)
ask("write behind it", c.send, b"x")
s.send(b"still")
ask("the other goes on", c.recv, 10)
s.close()
ask("then its end", c.recv, 10)
ask("both ended: poll", events, c, select.POLLIN | select.POLLRDHUP)
ask("no error", c.getsockopt, socket.SOL_SOCKET, socket.SO_ERROR)
c.close()


def reset(c, s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
    events(c, 0)


c, s, l = pair()
reset(c, s)
ask("poll behind a reset", events, c, select.POLLIN | select.POLLOUT)
ask("recv behind a reset", c.recv, 10)
ask("... and then poll", events, c, select.POLLIN | select.POLLOUT)
ask("... once", c.recv, 10)
ask("send behind that", c.send, b"x")
c, s, l = pair()
reset(c, s)
ask("send behind a reset", c.send, b"x")
ask("... then", c.send, b"x")
c, s, l = pair()
reset(c, s)
ask("SO_ERROR behind a reset", lambda: errno.errorcode[c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)])
ask("... once", c.getsockopt, socket.SOL_SOCKET, socket.SO_ERROR)
ask("... then recv", c.recv, 10)
c, s, l = pair()
c.send(b"unread")
events(s, select.POLLIN)
s.close()
events(c, select.POLLIN)
ask("closed with bytes unread is a reset", c.recv, 10)
c, s, l = pair()
s.send(b"last words")
events(c, select.POLLIN)
reset(c, s)
ask("bytes before a reset", c.recv, 100)
c, s, l = pair()
threading.Timer(0.05, s.shutdown, [socket.SHUT_RDWR]).start()
ask("shutdown wakes who reads there", s.recv, 10)
ask("... and the other end", c.recv, 10)
threading.Timer(0.1, l.shutdown, [socket.SHUT_RD]).start()
ask("shutdown wakes who accepts", l.accept)
l.listen()
ask("... and it may listen again", lambda: (k := socket.create_connection(l.getsockname()), l.shutdown(socket.SHUT_WR), l.accept()[0].getpeername() == k.getsockname())[2])
k = socket.create_connection(l.getsockname())
l.close()
ask("a listener's end resets who was not accepted", k.recv, 1)
c, s, l = pair()
k = socket.create_connection(l.getsockname())
l.shutdown(socket.SHUT_RD)
ask("so does its shutdown", k.recv, 1)

# --- connect ---
n = socket.socket()
n.bind((HERE, 0))
nobody = n.getsockname()
n.close()
ask("refused", socket.socket().connect, nobody)
n = socket.socket()
n.setblocking(False)
ask("refused, not blocking: at first", lambda: told(n.connect, nobody) in ("EINPROGRESS", "ECONNREFUSED"))
ask("... ready", lambda: len(select.select([], [n], [], 2)[1]))
ask("... SO_ERROR", lambda: errno.errorcode.get(n.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0) in ("ECONNREFUSED", 0))
# Behind the hang-up, which is heard of whatever is asked for.
ask("... poll", lambda: events(n, 0) and events(n, select.POLLIN | select.POLLOUT | select.POLLRDHUP))
ask("... recv", n.recv, 10)
ask("... send", n.send, b"x")
ask("... connect: the outcome", lambda: told(n.connect, nobody) in ("ECONNABORTED", "ECONNREFUSED"))
q = socket.socket()
q.bind((HERE, 0))
q.listen()
n.setblocking(True)
ask("... and then there is somebody", n.connect, q.getsockname())
ask("... who hears it", lambda: (n.send(b"again"), q.accept()[0].recv(10))[1])
n = socket.socket()
n.bind((HERE, 0))
# From Linux 6.18 on it may not (EINVAL).
ask("refused, and then it listens", lambda: (told(n.connect, nobody), told(n.listen) in (None, "EINVAL")))
n = socket.socket()
n.setblocking(False)
told(n.connect, nobody)
ask("refused: who waits for something to read is told", lambda: len(select.select([n], [], [], 2)[0]))
c, s, l = pair()
n = socket.socket()
n.setblocking(False)
ask("not blocking: at first", n.connect, l.getsockname())
ask("... ready", lambda: len(select.select([], [n], [], 2)[1]))
ask("... SO_ERROR", n.getsockopt, socket.SOL_SOCKET, socket.SO_ERROR)
ask("... its peer", lambda: n.getpeername() == l.getsockname())
ask("... connect again: the outcome", n.connect, l.getsockname())
ask("... and then", n.connect, l.getsockname())
ask("... can send", n.send, b"x")
ask("another family", lambda: socket.socket().connect_ex(("", 0)) in (errno.ECONNREFUSED, errno.EADDRNOTAVAIL))

# --- options ---
for level, name, value in ((socket.SOL_SOCKET, "SO_KEEPALIVE", 1), (socket.IPPROTO_TCP, "TCP_NODELAY", 1), (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 77),
                           (socket.SOL_SOCKET, "SO_REUSEADDR", 1), (socket.SOL_SOCKET, "SO_RCVBUF", 50000), (socket.SOL_SOCKET, "SO_SNDBUF", 50000),
                           (socket.IPPROTO_TCP, "TCP_MAXSEG", 500), (socket.IPPROTO_IP, "IP_TOS", 16), (socket.IPPROTO_TCP, "TCP_CORK", 1)):
    n = socket.socket()
    n.setsockopt(level, getattr(socket, name), value)
    ask(f"option {name}", n.getsockopt, level, getattr(socket, name))
ask("an option that is none", n.setsockopt, socket.IPPROTO_TCP, 9999, 1)
ask("a value too short", n.setsockopt, socket.SOL_SOCKET, socket.SO_KEEPALIVE, b"\0")

# --- numbers ---
c, s, l = pair()
d = os.dup(s.fileno())
s.close()
c.send(b"to a copy")
ask("a copy", os.read, d, 100)
os.dup2(d, 200)
os.close(d)
ask("another copy", os.write, 200, b"from a copy")
ask("... its bytes", c.recv, 100)
ask("... its name", lambda: socket.socket(fileno=os.dup(200)).getpeername() == c.getsockname())
os.close(200)
ask("the last copy is closed", c.recv, 10)
c, s, l = pair()
d = fcntl.fcntl(s, fcntl.F_DUPFD, 100)
ask("F_DUPFD", lambda: d >= 100 and socket.socket(fileno=d).getsockname() == l.getsockname())
ask("closed twice", lambda: (os.close(s.detach()), told(os.close, d), told(os.close, d))[2])
ask("nothing there any more", lambda: told(socket.socket, socket.AF_INET, socket.SOCK_STREAM, 0, d))
c, s, l = pair()
os.closerange(s.fileno(), s.fileno() + 1)
ask("closerange", c.recv, 10)
s.detach()

# --- processes ---
c, s, l = pair()
if os.fork() == 0:
    c.close()
    s.send(b"of the child: " + str(s.getpeername() == s.getpeername()).encode())
    n = socket.create_connection(l.getsockname())
    n.send(b"made there")
    os._exit(0)
s.close()
ask("a child has it", c.recv, 100)
k, _ = l.accept()
ask("a child's own", k.recv, 100)
os.wait()
ask("the child's end is the end", c.recv, 10)


def ask_often(value):
    """How many answers were another's."""
    bad = 0
    for i in range(300):
        n = socket.socket()
        n.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, value)
        bad += n.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) != value
        n.close()
    return bad


children = [os.fork() or os._exit(min(ask_often(100 + i), 255)) for i in range(3)]
ask("children and their parent ask at once", lambda: [ask_often(99)] + [os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]) for p in children])
threads = [threading.Thread(target=lambda i=i: bads.append(ask_often(200 + i))) for i in range(3)]
bads = []
for t in threads:
    t.start()
for t in threads:
    t.join()
ask("threads ask at once", lambda: bads)
c, s, l = pair()
p = subprocess.run(["cat"], stdin=s, stdout=subprocess.PIPE) if c.send(b"through cat") and c.shutdown(socket.SHUT_WR) is None else None
ask("exec: bytes", lambda: p.stdout)
c, s, l = pair()
p = subprocess.run([sys.executable, "-c", "import socket; s = socket.socket(fileno=0); print(s.getpeername()[0] != '', s.family.name, s.recv(9))"],
                   stdin=s, stdout=subprocess.PIPE) if c.send(b"greetings") else None
ask("exec: a name", lambda: p.stdout)
a, b = socket.socketpair()
c, s, l = pair()
socket.send_fds(a, [b"x"], [s.fileno()])
name = s.getpeername()
s.close()
d = socket.recv_fds(b, 10, 1)[1][0]
ask("passed along", lambda: socket.socket(fileno=d).getpeername() == name)

# --- signals ---
def handler(number, frame):
    raise InterruptedError


signal.signal(signal.SIGUSR1, handler)
c, s, l = pair()
for name, fn in (("recv", lambda: c.recv(1)), ("accept", l.accept), ("poll", lambda: select.select([c], [], []))):
    threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGUSR1]).start()
    ask(f"a signal ends {name}", fn)

# --- datagrams ---
ask("send to nobody", socket.socket(socket.AF_INET, socket.SOCK_DGRAM).send, b"x")
u, v = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for i in range(2))
u.bind((HERE, 0))
v.bind((HERE, 0))
v.connect(u.getsockname())
ask("its peer", lambda: v.getpeername() == u.getsockname())
for size in (0, 1, 1000, 5000):
    v.send(b"d" * size)
    ask(f"{size} bytes", lambda: [len(x) if isinstance(x, bytes) else x == v.getsockname() for x in u.recvfrom(10000)])
v.send(b"12345")
v.send(b"678")
events(u, select.POLLIN)
ask("how many wait", lambda: struct.unpack("i", fcntl.ioctl(u, termios.FIONREAD, b"\0" * 4))[0])
ask("peek", u.recv, 3, socket.MSG_PEEK)
ask("cut off", lambda: u.recvmsg(2)[::2])
ask("the next", u.recv, 100)
ask("none", u.recv, 10, socket.MSG_DONTWAIT)
ask("too long", v.send, b"x" * 65508)
ask("to port 0", u.sendto, b"x", (HERE, 0))
u.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 9)
v.setsockopt(socket.IPPROTO_IP, 12, 1)  # IP_RECVTTL
u.sendto(b"t", v.getsockname())
ask("TTL beside it, in as little room as it has", lambda: (u.sendto(b"t", v.getsockname()), v.recvmsg(10, socket.CMSG_LEN(4)))[1][1:3])
ask("... and in less", lambda: (u.sendto(b"t", v.getsockname()), v.recvmsg(10, socket.CMSG_LEN(0)))[1][2] & socket.MSG_CTRUNC != 0)
ask("TTL beside it", lambda: [(l, t, struct.unpack("i", d)[0]) for l, t, d in v.recvmsg(10, 100)[1]])
os.write(v.fileno(), b"written")
ask("read", os.read, u.fileno(), 3)
w = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
w.connect(nobody)
w.send(b"x")
events(w, select.POLLIN | select.POLLERR)
ask("refused", w.recv, 10)
ask("accept", u.accept)
ask("listen", u.listen)
v.shutdown(socket.SHUT_RD)
ask("recv behind shutdown", v.recv, 10)
ask("... without waiting", v.recv, 10, socket.MSG_DONTWAIT)
ask("options", lambda: [u.getsockopt(socket.SOL_SOCKET, o) for o in (socket.SO_TYPE, socket.SO_ERROR, socket.SO_BROADCAST)])

x = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
x.sendto(b"x", u.getsockname())
ask("a port behind the first datagram", lambda: x.getsockname()[1] != 0)
x.connect(u.getsockname())
x.shutdown(socket.SHUT_WR)
ask("send behind shutdown", x.send, b"x")
x.settimeout(5)
u.sendto(b"still", (HERE, x.getsockname()[1]))
ask("recv behind shutdown of sending", x.recv, 10)
x = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
x.connect(u.getsockname())
x.connect((HERE, 0))
ask("a peer with port 0", x.getpeername)


def to_group(joined):
    """What a member of a group on an interface hears by a socket that sends on lo, and where it came in."""
    m, o = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for i in range(2))
    m.settimeout(0.2)
    m.bind(("", 0))
    m.setsockopt(socket.IPPROTO_IP, 49, 0)  # IP_MULTICAST_ALL
    m.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
    m.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.1.2.3") + joined)
    o.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
    o.sendto(b"to all", ("239.1.2.3", m.getsockname()[1]))
    return [struct.unpack("i", d[:4])[0] == socket.if_nametoindex("lo") for l, t, d in m.recvmsg(10, 100)[1]]


ask("a group on lo", to_group, socket.inet_aton("127.0.0.1"))
ask("... by its number", to_group, struct.pack("=ii", 0, socket.if_nametoindex("lo")))
ask("... by a number that none has", to_group, struct.pack("=ii", 0, 999))
ask("... and one elsewhere", to_group, socket.inet_aton(HERE))


def disconnect(s):
    """connect(AF_UNSPEC), which Python has no words for."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.connect(s.fileno(), bytes(16), 16) != 0:
        raise OSError(ctypes.get_errno(), "")


ask("connect to nobody", disconnect, x)
ask("... its peer", x.getpeername)
ask("... send", x.send, b"x")

c, s, l = pair()
c.send(b"not read")
s.send(b"nor this")
events(c, select.POLLIN)
ask("a connection to nobody", disconnect, c)
ask("... its peer", c.getpeername)
ask("... recv", c.recv, 10)
ask("... is a reset", lambda: (events(s, select.POLLHUP), s.recv(8), s.recv(10)))
ask("... and may connect", c.connect, l.getsockname())
ask("... be heard", lambda: (c.send(b"again"), l.accept()[0].recv(10))[1])
ask("a listener to nobody", disconnect, l)
ask("... listens no more", lambda: l.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
ask("an unconnected one", lambda: disconnect(socket.socket()))

# --- others are the kernel's ---
ask("AF_UNIX", lambda: socket.socketpair()[0].getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN))
ask("an unknown type", socket.socket, socket.AF_INET, 77)
ask("an unknown protocol", socket.socket, socket.AF_INET, socket.SOCK_STREAM, 99)
# --- a port is free, and nobody's, as soon as close() is back ---
def bind_again(kind):
    a = socket.socket(socket.AF_INET, kind)
    a.bind((HERE, 0))
    name = a.getsockname()
    a.close()
    with socket.socket(socket.AF_INET, kind) as b:
        return told(b.bind, name)


def knock_at_closed():
    a = socket.socket()
    a.bind((HERE, 0))
    a.listen()
    name = a.getsockname()
    a.close()
    with socket.socket() as b:
        return told(b.connect, name)


for name, ask_it in (("a TCP port that was closed, bound again", lambda: bind_again(socket.SOCK_STREAM)),
                     ("a UDP port", lambda: bind_again(socket.SOCK_DGRAM)), ("connect to a listener that was closed", knock_at_closed)):
    print(f"{name}, fifty times: {set(ask_it() for _ in range(50))}", flush=True)

print("end", flush=True)
