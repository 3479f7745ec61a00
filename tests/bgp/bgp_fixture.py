# SPDX-License-Identifier: BSD-2-Clause
"""The fixture of BGP's tests: a gateway with `transport kernel` and its neighbours, real ones and such of raw bytes.

The test stands in the gateway's namespace, whose kernel has 10.9.0.1 on the bridge br0; each host is a namespace on it.

    gateway, AS 65000, 10.9.0.1 -- br0 -+-- host 10.9.0.11
                                        +-- host 10.9.0.12 ...

Nothing waits for a fixed time: the gateway tells what happens by `yangguan events`, and what a neighbour has is asked of it
until it is so (try_until).
"""
import ctypes
import json
import os
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../run"))
from fixture import *  # noqa: F401,F403,E402
import fixture  # noqa: E402

US = "10.9.0.1"
SELF = "as 65000; router-id 10.9.0.1; transport kernel;"
ANSWER_S = 20
CLONE_NEWNET = 0x40000000
MARKER = b"\xff" * 16
OPEN, UPDATE, NOTIFICATION, KEEPALIVE, REFRESH = 1, 2, 3, 4, 5


def bridge():
    sh(f"ip link add br0 type bridge && ip address add {US}/24 dev br0 && ip link set br0 up")


n_hosts = 0


def host(*addresses):
    """A namespace on the bridge with these addresses."""
    global n_hosts
    n_hosts += 1
    h = Host()
    sh(f"ip link add p{n_hosts} type veth peer name e0 netns {h.keeper.pid} && ip link set p{n_hosts} master br0 up")
    for a in addresses:
        h.run("ip", "address", "add", f"{a}/24", "dev", "e0", check=True)
    h.run("ip", "link", "set", "lo", "up", check=True)
    h.run("ip", "link", "set", "e0", "up", check=True)
    return h


def bgp(text, path="/tmp/yangguan.conf"):
    """The config with this inside of `bgp { }`."""
    return config(f"bgp {{ {SELF}\n{text}\n}}\n", path)


def asked(*words):
    """`yangguan bgp WORDS -j`."""
    p = ask("bgp", *words, "-j")
    try:
        return json.loads(p.stdout)
    except ValueError:
        raise AssertionError(f"bgp {' '.join(words)}: {p.returncode} {p.stdout} {p.stderr}") from None


def peer(address):
    return asked("neighbors").get(address, {})


def prefixes(*words):
    """Of `bgp routes`, with all that is said of each path."""
    return asked("routes", *words)["routes"]


# --- a neighbour of raw bytes ---


def message(kind, body=b""):
    return MARKER + struct.pack("!HB", 19 + len(body), kind) + body


def capability(code, value=b""):
    return bytes([code, len(value)]) + value


IPV4 = capability(1, bytes((0, 1, 0, 1)))
ROUTE_REFRESH = capability(2)
ENHANCED_REFRESH = capability(70)


def as4(number):
    return capability(65, struct.pack("!I", number))


def opening(number, identifier, hold=90, capabilities=None):
    if capabilities is None:
        capabilities = IPV4 + ROUTE_REFRESH + as4(number)
    options = bytes([2, len(capabilities)]) + capabilities if capabilities else b""
    return message(OPEN, struct.pack("!BHH4sB", 4, min(number, 23456) if number > 65535 else number, hold,
                                     socket.inet_aton(identifier), len(options)) + options)


def prefix_bytes(text):
    address, length = text.split("/")
    return bytes([int(length)]) + socket.inet_aton(address)[:(int(length) + 7) // 8]


def attribute(flags, kind, value):
    return struct.pack("!BBB", flags, kind, len(value)) + value


def announcement(path, hop, *announced, more=b"", four=True):
    """An UPDATE: ORIGIN IGP, this AS_PATH and NEXT_HOP."""
    numbers = b"".join(struct.pack("!I" if four else "!H", n) for n in path)
    attributes = attribute(0x40, 1, b"\0") + attribute(0x40, 2, bytes([2, len(path)]) + numbers if path else b"") + \
        attribute(0x40, 3, socket.inet_aton(hop)) + more
    return message(UPDATE, b"\0\0" + struct.pack("!H", len(attributes)) + attributes +
                   b"".join(prefix_bytes(p) for p in announced))


END_OF_RIB = message(UPDATE, b"\0\0\0\0")


class Raw:
    """A TCP connection from one of a host's addresses to the gateway's BGP port, or one that came from it."""

    def __init__(self, host, address, connection=None):
        self.connection = connection or connect(host, address)
        self.connection.settimeout(ANSWER_S)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.bytes = b""

    def send(self, *messages):
        self.connection.sendall(b"".join(messages))

    def read(self):
        """The next message, (type, body); None: the connection is over."""
        while True:
            if len(self.bytes) >= 19:
                length = struct.unpack("!H", self.bytes[16:18])[0]
                if len(self.bytes) >= length:
                    found, self.bytes = self.bytes[:length], self.bytes[length:]
                    return found[18], found[19:]
            try:
                more = self.connection.recv(65536)
            except ConnectionResetError:
                return None
            if not more:
                return None
            self.bytes += more

    def until(self, *kinds):
        """The next message of these types; None: the connection ended before."""
        while True:
            found = self.read()
            if found is None or found[0] in kinds:
                return found

    def close(self):
        self.connection.close()


def connect(host, address, where=US, port=179):
    """A socket of the host's namespace that is connected. (This thread is there for a moment.)"""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net") as home, open(f"/proc/{host.keeper.pid}/ns/net") as away:
        if libc.setns(away.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        try:
            return socket.create_connection((where, port), ANSWER_S, (address, 0))
        finally:
            if libc.setns(home.fileno(), CLONE_NEWNET) != 0:
                os._exit(1)


def established(raw, number, identifier, **kw):
    """Through OPENs and KEEPALIVEs, behind the gateway's own OPEN."""
    raw.send(opening(number, identifier, **kw), message(KEEPALIVE))
    found = raw.until(KEEPALIVE, NOTIFICATION)
    if found is None or found[0] != KEEPALIVE:
        raise AssertionError(f"no KEEPALIVE but {found}")
