/* SPDX-License-Identifier: BSD-2-Clause: NAT between two arrays of packets, on a clock that nobody waits for */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <yangguan/gateway.h>

enum { INSIDE = 1, OUTSIDE, N = 3 };
static struct {
	unsigned char bytes[64];
	size_t len;
} sent[3][N]; /* what left, by interface */
static unsigned int n_sent[3];

static int output(void *ctx, unsigned int interface, const struct yg_frame *frames, unsigned int n)
{
	for (unsigned int i = 0; i < n && n_sent[interface] < N; i++, n_sent[interface]++) {
		sent[interface][n_sent[interface]].len = frames[i].len;
		memcpy(sent[interface][n_sent[interface]].bytes, frames[i].bytes, frames[i].len);
	}
	return (int)n;
}

/* An IPv4 packet with eight bytes of UDP, which needs no checksum; its own is the gateway's to check. */
static struct yg_frame packet(unsigned char *p, const char *from, const char *to, unsigned int sport,
			      unsigned int dport)
{
	unsigned char ip[28] = { 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, [25] = 8 };
	ip[20] = (unsigned char)(sport >> 8), ip[21] = (unsigned char)sport;
	ip[22] = (unsigned char)(dport >> 8), ip[23] = (unsigned char)dport;
	inet_pton(AF_INET, from, ip + 12), inet_pton(AF_INET, to, ip + 16);
	unsigned int sum = 0;
	for (int i = 0; i < 20; i += 2)
		sum += (unsigned int)ip[i] << 8 | ip[i + 1];
	sum = ~((sum & 0xffff) + (sum >> 16));
	ip[10] = (unsigned char)(sum >> 8), ip[11] = (unsigned char)sum;
	return (struct yg_frame){ .bytes = memcpy(p, ip, sizeof(ip)), .len = sizeof(ip) };
}

static void show(void *ctx, const struct yg_connection *c)
{
	printf("port %u is %u outside\n", ntohs(((const struct sockaddr_in *)&c->source)->sin_port),
	       ntohs(((const struct sockaddr_in *)&c->reply_destination)->sin_port));
}

int main(void)
{
	char why[500];
	unsigned char b[N][28];
	struct yg_gateway_config cfg = { .size = sizeof(cfg), .parts = YG_GATEWAY_NAT, .output = output };
	struct yg_gateway_interface both[] = { { sizeof(both[0]), "in", "10.0.0.1/24", 0, 0 },
					       { sizeof(both[0]), "out", "192.0.2.1/24", YG_INTERFACE_MASQUERADE, 0 } };
	struct yg_gateway_policy policy = { .size = sizeof(policy), .interface = both, .n_interfaces = 2 };
	struct yg_gateway *gw = yg_gateway_create(&cfg, &policy, why, sizeof(why));
	if (gw == NULL || yg_gateway_attach(gw, "in", NULL, 0) != INSIDE ||
	    yg_gateway_attach(gw, "out", NULL, 0) != OUTSIDE)
		return fprintf(stderr, "%s\n", why), 1;
	struct yg_frame in[N], back[N];
	for (unsigned int i = 0; i < N; i++)
		in[i] = packet(b[i], "10.0.0.2", "192.0.2.9", 5000 + i, 53);
	yg_gateway_input(gw, INSIDE, in, N, 1000000);
	for (unsigned int i = 0; i < n_sent[OUTSIDE]; i++)
		back[i] = packet(b[i], "192.0.2.9", "192.0.2.1", 53,
				 sent[OUTSIDE][i].bytes[20] * 256u + sent[OUTSIDE][i].bytes[21]);
	yg_gateway_input(gw, OUTSIDE, back, n_sent[OUTSIDE], 2000000);
	yg_gateway_connections(gw, show, NULL);
	printf("%u went out, %u came back\n", n_sent[OUTSIDE], n_sent[INSIDE]);
	return yg_gateway_destroy(gw), 0;
}
