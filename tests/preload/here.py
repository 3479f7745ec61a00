# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of `yangguan exec` share, on top of tests/run/fixture.py.

    kernel 10.9.0.1 -- yg0 (a TAP) -- 10.9.0.2 our stack

Both stand in the test's namespace: what is started by `ours` has its IPv4 sockets on our stack, what is started by
`kernels` the kernel's. A program that serves is waited for until its port answers, from the other side.
"""
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "run"))
from fixture import *  # noqa: F401,F403

KERNEL, OURS, CONF, LIBRARY = "10.9.0.1", "10.9.0.2", "/tmp/stack.conf", "/tmp/libyangguan-preload.so"
STACK = """interface yg0 { address 10.9.0.2/24; driver tap; }
route 0.0.0.0/0 via 10.9.0.1;
"""


def begin(*programs, root=False, n_files=2):
    enter(root=root, n_files=n_files)
    # Programs in which it is loaded have other descriptors.
    shutil.copyfile(sys.argv[2], LIBRARY)
    needs(*programs)
    if subprocess.run("ip tuntap add yg0 mode tap", shell=True, capture_output=True).returncode != 0:
        print("1..0 # SKIP no TAP can be made here")
        sys.exit(77)
    sh("ip addr add 10.9.0.1/24 dev yg0; ip link set yg0 up")
    write(CONF, STACK)


def on_ours(argv, options=()):
    return [binary(), "exec", "-c", CONF, "--library", LIBRARY, *options, "--", *argv]


def run(argv, **kw):
    kw.setdefault("timeout", DEADLINE_S)
    try:
        return subprocess.run(argv, capture_output=True, text=True, **kw)
    except subprocess.TimeoutExpired as e:
        # Bytes, whatever was asked for.
        out, err = ((text or b"").decode(errors="replace") for text in (e.stdout, e.stderr))
        return subprocess.CompletedProcess(argv, 124, out, f"{err}\ntook longer than {e.timeout} s")


def ours(*argv, options=(), **kw):
    return run(on_ours(argv, options), **kw)


def kernels(*argv, **kw):
    return run(list(argv), **kw)


# Of a program on our stack that speaks the wire itself, past the library: the family's broker, and a new channel. 72: SYS_fcntl,
# whose F_DUPFD copies what the library hides.
CHANNEL = """
import ctypes, os, socket, struct
def broker():
    return socket.socket(fileno=ctypes.CDLL(None).syscall(72, int(os.environ["YANGGUAN_PRELOAD"]), 0, 3))
def channel():
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    b.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    socket.send_fds(broker(), [struct.pack("IIIiiiI", 1, 0, 0, 0, 0, 0, 0)], [b.fileno()])
    return a
"""


class Server:
    """A program that serves at a port, on our stack or the kernel's, until `end`."""

    def __init__(self, argv, port, is_ours, options=(), env=None, at=None, says=None):
        """`says`: what it prints when it is ready, for a server to which the question itself would be a client."""
        self.out = open(f"/tmp/server.{port}.{is_ours}", "w+", encoding="utf-8", errors="replace")
        self.process = subprocess.Popen(on_ours(argv, options) if is_ours else list(argv), stdin=subprocess.DEVNULL,
                                        stdout=self.out, stderr=subprocess.STDOUT, env=env)
        if says:
            self.has_said(says)
        else:
            self.answers(at or (OURS if is_ours else KERNEL), port)

    def has_said(self, words, times=1):
        """Until it has printed them so many times."""
        deadline = time.monotonic() + DEADLINE_S
        while len(re.findall(words, self.text())) < times:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(f"it has not said {words} {times} times: {self.text()}")
            time.sleep(0.01)

    def answers(self, address, port):
        """Until it takes a connection of the kernel's."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None and self.process.returncode != 0:
                raise AssertionError(f"it ended: {self.text()}")
            try:
                socket.create_connection((address, port), timeout=2).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"nobody at {address}:{port}: {self.text()}")

    def text(self):
        self.out.flush()
        with open(self.out.name, encoding="utf-8", errors="replace") as f:
            return f.read()

    def end(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def python(code):
    return (sys.executable, "-c", code)


def succeeds(name, p, wanted=None):
    case(name, p.returncode == 0 and (wanted is None or re.search(wanted, p.stdout) is not None),
         f"status {p.returncode}\n{p.stdout[-2000:]}\n{p.stderr[-2000:]}")
