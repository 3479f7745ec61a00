/* SPDX-License-Identifier: BSD-2-Clause: the echo server by completion: what it wants is submitted, what is done is
 * reaped */
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <yangguan/event.h>
#include <yangguan/linux.h>
#include <yangguan/socket.h>

/* Its bytes are the stack's while an operation is under way: one at a time, so that it may be freed when it is closed.
 */
struct client {
	int fd;
	char bytes[4096];
};

static void want(struct yg_stack *s, int kind, int fd, struct client *c, size_t len)
{
	struct yg_op op = { .kind = kind, .fd = fd, .len = len, .user_data = (uintptr_t)c };

	op.bytes = c != NULL ? c->bytes : NULL;
	if (yg_submit(s, &op, 1) != 1)
		abort();
}

static void done(struct yg_stack *s, const struct yg_done *d)
{
	struct client *c = (struct client *)(uintptr_t)d->user_data;

	if (d->kind == YG_OP_ACCEPT) {
		c = d->result >= 0 ? malloc(sizeof(*c)) : NULL;
		if (c != NULL)
			want(s, YG_OP_RECV, c->fd = (int)d->result, c, sizeof(c->bytes));
		else if (d->result >= 0)
			yg_close(s, (int)d->result);
		want(s, YG_OP_ACCEPT, d->fd, NULL, 0);
	} else if (d->kind == YG_OP_CLOSE) {
		free(c);
	} else if (d->result <= 0) {
		want(s, YG_OP_CLOSE, c->fd, c, 0);
	} else if (d->kind == YG_OP_RECV) {
		want(s, YG_OP_SEND, c->fd, c, (size_t)d->result); /* done when all of it was taken */
	} else {
		want(s, YG_OP_RECV, c->fd, c, sizeof(c->bytes));
	}
}

int main(void)
{
	struct yg_host_config cfg = { .size = sizeof(cfg), .tap = "yg0", .address = "10.9.0.2/24" };
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(7) };
	struct yg_host *host = yg_host_open(&cfg);

	if (host == NULL)
		return 1; /* it has said why */
	struct yg_stack *s = yg_host_stack(host);
	int server = yg_socket(s, AF_INET, SOCK_STREAM, 0);

	yg_bind(s, server, (struct sockaddr *)&any, sizeof(any));
	yg_listen(s, server, 128);
	want(s, YG_OP_ACCEPT, server, NULL, 0);
	for (struct pollfd p = { .fd = yg_host_fd(host), .events = POLLIN };;) {
		struct yg_done d;

		poll(&p, 1, -1);
		yg_host_run(host);
		while (yg_reap(s, &d, 1) == 1)
			done(s, &d);
	}
}
