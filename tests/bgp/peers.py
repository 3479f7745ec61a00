# SPDX-License-Identifier: BSD-2-Clause
"""Speakers of the field, each in a namespace: how they are told what to do, and what they have to say.

    start(as, address, prefixes, **how)   how: password, two_octets, ttl_security
"""
import contextlib
import os
import signal
import subprocess
import threading
import time

from bgp_fixture import DEADLINE_S, US, rest_of, write

HERE = "/tmp"


class Peer:
    programs = ()
    can_change = can_two_octets = says_end_of_rib = tells_texts = can_password = can_ttl = True
    can_refresh = can_show = True
    shows_own = False  # in routes()

    def __init__(self, host):
        self.host = host
        self.process = None
        self.said = ""
        self.heard = threading.Condition()

    def popen(self, *argv, **kw):
        """Its output is read by a thread of its own, so that whatever is waited for in it is found."""
        self.process = self.host.popen(*argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace", **kw)
        threading.Thread(target=self.listen, args=(self.process,), daemon=True).start()

    def listen(self, process):
        for line in process.stdout:
            with self.heard:
                self.said += line
                self.heard.notify_all()

    def until_said(self, *texts):
        with self.heard:
            if not self.heard.wait_for(lambda: any(t in self.said for t in texts), DEADLINE_S):
                raise AssertionError(f"{type(self).__name__} does not say {texts}:\n{self.said}")

    def stall(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()

    def shutdown(self, text):
        """True: the session is ended with this text."""
        return False


class Bird(Peer):
    programs = ("bird", "birdc")
    control = HERE + "/bird.ctl"

    def start(self, number, address, prefixes, password=None, two_octets=False, ttl_security=False):
        self.prefixes, self.number, self.address = list(prefixes), number, address
        self.options = ("hold time 90; connect retry time 1; connect delay time 1; error wait time 1, 1; error forget time 1; " +
                        "startup hold time 10;" + (f'password "{password}"; ' if password else "") +
                        ("enable as4 off; " if two_octets else "") + ("ttl security on; " if ttl_security else ""))
        self.configure()
        self.said = ""
        if os.path.exists(self.control):
            os.unlink(self.control)
        self.popen("bird", "-f", "-c", HERE + "/bird.conf", "-s", self.control)
        self.until_said("Started")

    def configure(self):
        routes = " ".join(f"route {p} blackhole;" for p in self.prefixes)
        write(HERE + "/bird.conf", f"""log stderr all;
router id {self.address};
debug protocols {{ states, events }};
protocol device {{ }}
protocol static {{ ipv4; {routes} }}
protocol bgp yg {{ local {self.address} as {self.number}; neighbor {US} as 65000; {self.options}
    ipv4 {{ import all; export where source = RTS_STATIC; }}; }}
""")

    def control_it(self, *words):
        return self.host.run("birdc", "-s", self.control, *words, check=True).stdout

    def withdraw(self, prefix):
        self.prefixes.remove(prefix)
        self.configure()
        self.control_it("configure")

    def announce(self, prefix):
        self.prefixes.append(prefix)
        self.configure()
        self.control_it("configure")

    def routes(self):
        return self.control_it("show", "route", "protocol", "yg")

    def shutdown(self, text):
        self.control_it("disable", "yg", f'"{text}"')
        return True

    def until_down(self):
        self.said_before = len(self.said)
        self.until_said("Connection closed", "Neighbor graceful restart", "Received: ", "Hold timer expired", "Connection lost")


class Frr(Peer):
    programs = ("/usr/lib/frr/bgpd", "vtysh")
    says_end_of_rib = False  # without graceful restart
    shows_own = True

    def start(self, number, address, prefixes, password=None, two_octets=False, ttl_security=False):
        self.number = number
        lines = [f"neighbor {US} remote-as 65000", f"neighbor {US} timers connect 1", "bgp router-id " + address,
                 "no bgp ebgp-requires-policy", "no bgp network import-check"]
        if password:
            lines.append(f"neighbor {US} password {password}")
        if ttl_security:
            lines.append(f"neighbor {US} ttl-security hops 1")
        write(HERE + "/frr.conf", "log stdout\ndebug bgp neighbor-events\n" + f"router bgp {number}\n" +
              "".join(f" {line}\n" for line in lines) +
              " address-family ipv4 unicast\n" + "".join(f"  network {p}\n" for p in prefixes))
        os.makedirs("/run/frr", exist_ok=True)
        self.said = ""
        self.popen("/usr/lib/frr/bgpd", "-S", "-Z", "-f", HERE + "/frr.conf", "-i", "/run/frr/bgpd.pid", "--vty_socket", "/run/frr",
                   "-l", address)
        end = time.monotonic() + DEADLINE_S
        while not self.vtysh("show version") and time.monotonic() < end:
            pass

    def vtysh(self, *commands):
        words = [w for c in commands for w in ("-c", c)]
        return self.host.run("vtysh", "--vty_socket", "/run/frr", *words).stdout

    def configure(self, *lines):
        self.vtysh("configure terminal", f"router bgp {self.number}", *lines)

    def withdraw(self, prefix):
        self.configure("address-family ipv4 unicast", f"no network {prefix}")

    def announce(self, prefix):
        self.configure("address-family ipv4 unicast", f"network {prefix}")

    def routes(self):
        return self.vtysh("show bgp ipv4 unicast")

    def shutdown(self, text):
        self.configure(f"neighbor {US} shutdown message {text}")
        return True

    can_two_octets = False

    def until_down(self):
        self.until_said("Down", "went from Established", "lost")


class Gobgp(Peer):
    programs = ("gobgpd", "gobgp")
    can_two_octets = says_end_of_rib = False
    shows_own = True

    def start(self, number, address, prefixes, password=None, two_octets=False, ttl_security=False):
        write(HERE + "/gobgp.toml", f"""[global.config]
  as = {number}
  router-id = "{address}"
[[neighbors]]
  [neighbors.config]
    neighbor-address = "{US}"
    peer-as = 65000
    {f'auth-password = "{password}"' if password else ""}
  [neighbors.timers.config]
    connect-retry = 1
    idle-hold-time-after-reset = 1
  {"[neighbors.ttl-security.config]" if ttl_security else ""}
    {"enabled = true" if ttl_security else ""}
    {"ttl-min = 255" if ttl_security else ""}
""")
        self.said = ""
        self.popen("gobgpd", "-t", "toml", "-f", HERE + "/gobgp.toml", "--api-hosts", "127.0.0.1:50051", "--log-level", "debug")
        self.until_said("Add a peer configuration")
        for p in prefixes:
            self.announce(p)

    def gobgp(self, *words):
        return self.host.run("gobgp", *words)

    def withdraw(self, prefix):
        self.gobgp("global", "rib", "del", prefix)

    def announce(self, prefix):
        end = time.monotonic() + DEADLINE_S
        while self.gobgp("global", "rib", "add", prefix).returncode != 0 and time.monotonic() < end:
            pass

    def routes(self):
        return self.gobgp("global", "rib").stdout

    def until_down(self):
        self.until_said("Peer Down")


class Openbgpd(Peer):
    programs = ("/usr/sbin/bgpd", "bgpctl")
    can_two_octets = can_change = False
    says_end_of_rib = False  # without graceful restart
    can_refresh = False  # 7.7 says that IPv4 unicast, which both OPENs have, was not negotiated
    shows_own = True

    def start(self, number, address, prefixes, password=None, two_octets=False, ttl_security=False):
        path = HERE + "/openbgpd.conf"
        write(path, f"AS {number}\nrouter-id {address}\nfib-update no\nlisten on {address}\n" +
              "".join(f"network {p}\n" for p in prefixes) +
              f"neighbor {US} {{\n remote-as 65000\n local-address {address}\n" +
              (f' tcp md5sig password "{password}"\n' if password else "") + (" ttl-security yes\n" if ttl_security else "") +
              "}\nallow from any\nallow to any\n")
        os.chmod(path, 0o600)
        os.makedirs("/run/openbgpd", exist_ok=True)
        self.said = ""
        self.popen("/usr/sbin/bgpd", "-d", "-v", "-f", path)

    def bgpctl(self, *words):
        return self.host.run("bgpctl", *words)

    def routes(self):
        return self.bgpctl("show", "rib").stdout

    def shutdown(self, text):
        return self.bgpctl("neighbor", US, "down", text).returncode == 0

    def children(self):
        """Its parts, of which one has the sessions."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as f:
            return [int(c) for c in f.read().split()]

    def stall(self):
        for c in self.children():
            os.kill(c, signal.SIGSTOP)

    def go_on(self):
        for c in self.children():
            os.kill(c, signal.SIGCONT)

    def kill(self):
        for c in self.children():
            # The first that ends takes the others along.
            with contextlib.suppress(ProcessLookupError):
                os.kill(c, signal.SIGKILL)
        super().kill()

    def stop(self):
        if self.process.poll() is None:
            self.kill()

    def until_down(self):
        self.until_said("Connection reset", "closed", "change Established -> Idle")


class Exabgp(Peer):
    programs = ("exabgp",)
    can_two_octets = can_change = tells_texts = can_show = False
    can_refresh = False  # 4.2.21 ends the session when it is asked

    def start(self, number, address, prefixes, password=None, two_octets=False, ttl_security=False):
        routes = "".join(f" route {p} next-hop {address};" for p in prefixes)
        write(HERE + "/exabgp.conf", f"""neighbor {US} {{
    router-id {address}; local-address {address}; local-as {number}; peer-as 65000;
    capability {{ route-refresh enable; graceful-restart disable; }}
    {f'md5-password "{password}"; md5-base64 false;' if password else ""}
    {"incoming-ttl 255; outgoing-ttl 255;" if ttl_security else ""}
    static {{ {routes} }}
}}
""")
        self.said = ""
        env = dict(os.environ, **{"exabgp.daemon.user": "root", "exabgp.log.all": "true", "exabgp.log.destination": "stdout"})
        self.popen("exabgp", HERE + "/exabgp.conf", env=env)

    def routes(self):
        return self.said

    def until_down(self):
        self.until_said("closing connection")


PEERS = {"bird": Bird, "frr": Frr, "gobgp": Gobgp, "openbgpd": Openbgpd, "exabgp": Exabgp}
