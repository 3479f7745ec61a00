# SPDX-License-Identifier: BSD-2-Clause
"""Speakers of the field, each in a namespace: how they are told what to do, and what they have to say.

    start(as, address, prefixes, **how)   how: password, two_octets, ttl_security
"""
import glob
import os
import signal
import subprocess
import threading
import time

from bgp_fixture import DEADLINE_S, US, rest_of, write

HERE = "/tmp"


class Peer:
    programs = ()
    can_change = can_two_octets = True
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


PEERS = {"bird": Bird, "frr": Frr}
