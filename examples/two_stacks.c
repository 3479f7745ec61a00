/* SPDX-License-Identifier: BSD-2-Clause: two stacks by hand, on a clock that nobody waits for */
#include <stdio.h>
#include <stdlib.h>
#include <yangguan/socket.h>
#include <yangguan/stack.h>

static struct yg_stack *at[2];
static int give(void *ctx, struct yg_packet *const *p, unsigned int n)
{
	struct yg_stack *own = at[!!ctx];
	for (unsigned int i = 0; i < n; yg_packet_free(own, p[i++]))
		yg_input_bytes(at[!ctx], yg_packet_data(p[i], own), yg_packet_len(p[i], own), yg_now(own));
	return (int)n;
}

int main(int argc, char **argv)
{
	static char b[65536];
	size_t total = argc > 1 ? strtoul(argv[1], NULL, 10) : 1u << 30, got = 0;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(7), .sin_addr = { htonl(0x0a000002) } };
	struct yg_stack_config cfg = { .size = sizeof(cfg), .output = give, .address = "10.0.0.1/24" };
	at[0] = yg_stack_create(&cfg), cfg.ctx = at, cfg.address = "10.0.0.2/24", at[1] = yg_stack_create(&cfg);
	int l = yg_socket(at[1], AF_INET, SOCK_STREAM, 0), c = yg_socket(at[0], AF_INET, SOCK_STREAM, 0), s = -1;
	yg_bind(at[1], l, (struct sockaddr *)&to, sizeof(to)), yg_listen(at[1], l, 1);
	yg_connect(at[0], c, (struct sockaddr *)&to, sizeof(to));
	for (uint64_t now = 0; got < total; yg_run(at[0], now), yg_run(at[1], now), now += 1000000)
		for (ssize_t n = yg_send(at[0], c, b, sizeof(b), 0);
		     (s >= 0 || (s = yg_accept(at[1], l, NULL, NULL)) >= 0) &&
		     (n = yg_recv(at[1], s, b, sizeof(b), 0)) > 0;)
			got += (size_t)n;
	return printf("%zu bytes\n", got), yg_stack_destroy(at[0]), yg_stack_destroy(at[1]), 0;
}
