/* SPDX-License-Identifier: BSD-2-Clause: as tun2socks, behind NAT and rules of its own: nat_tun2socks PROXY PORT */
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <time.h>
#include <yangguan/gateway.h>

#include "socks_relay.h"

static struct yg_gateway *gw; /* between the TUN and the stack s, which knows no way to clients but by its address */
static const char policy[] = "interface in { address 10.9.0.2/24; } interface out { address 198.18.0.1/30; }\n"
			     "route 0.0.0.0/0 via 198.18.0.2;\n"
			     "table ip t { chain forward { type filter hook forward priority 0;\n"
			     "                tcp dport 25 reject with tcp reset }\n"
			     "        chain post { type nat hook postrouting priority 100;\n"
			     "                oifname out masquerade } }\n";
static int tun, in, out;

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int from_gateway(void *ctx, unsigned int interface, const struct yg_frame *f, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if ((int)interface == in ? write(tun, f[i].bytes, f[i].len) < 0
					 : yg_input_bytes(s, f[i].bytes, f[i].len, now()) < 0)
			return (int)i;
	return (int)n;
}

static int from_stack(void *ctx, struct yg_packet *const *p, unsigned int n)
{
	for (unsigned int i = 0; i < n; yg_packet_free(s, p[i++])) {
		struct yg_frame f = { .bytes = yg_packet_data(p[i], s), .len = yg_packet_len(p[i], s) };
		yg_gateway_input(gw, (unsigned int)out, &f, 1, now());
	}
	return (int)n;
}

int main(int argc, char **argv)
{
	char why[500], b[65536];
	struct yg_gateway_config g = { .size = sizeof(g), .parts = YG_GATEWAY_NAT, .output = from_gateway };
	struct yg_stack_config c = { .size = sizeof(c), .output = from_stack, .address = "198.18.0.2/30" };
	struct ifreq r = { .ifr_name = "yg0", .ifr_flags = IFF_TUN | IFF_NO_PI };
	tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	if (argc != 3 || !inet_aton(argv[1], &proxy.sin_addr) || ioctl(tun, TUNSETIFF, &r) != 0)
		return 1;
	getrandom(g.seed, 32, 0), getrandom(c.seed, 32, 0), g.now = c.now = now();
	gw = yg_gateway_create(&g,
			       &(struct yg_gateway_policy){ .size = sizeof(struct yg_gateway_policy), .text = policy },
			       why, sizeof(why));
	if (gw == NULL)
		return fprintf(stderr, "%s\n", why), 1;
	in = yg_gateway_attach(gw, "in", NULL, now()), out = yg_gateway_attach(gw, "out", NULL, now());
	proxy.sin_port = htons((uint16_t)atoi(argv[2])), s = yg_stack_create(&c), ep = epoll_create1(0);
	yg_forward(s, told, NULL, 0), epoll_ctl(ep, EPOLL_CTL_ADD, tun, &(struct epoll_event){ EPOLLIN });
	for (struct epoll_event e[64];;) {
		uint64_t due = yg_next_deadline(s), other = yg_gateway_next_deadline(gw), t = now();
		due = other < due ? other : due;
		epoll_wait(ep, e, 64, due <= t ? 0 : due == YG_NEVER ? -1 : (int)((due - t) / 1000000 % 1000000 + 1));
		for (ssize_t n; (n = read(tun, b, sizeof(b))) > 0;)
			yg_gateway_input(gw, (unsigned int)in, &(struct yg_frame){ .bytes = b, .len = (size_t)n }, 1,
					 now());
		yg_run(s, now()), yg_gateway_run(gw, now()), all_go_on();
	}
}
