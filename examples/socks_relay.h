/* SPDX-License-Identifier: BSD-2-Clause: TCP flows of a stack go on through a SOCKS5 proxy, for the programs beside
 * this */
#ifndef SOCKS_RELAY_H
#define SOCKS_RELAY_H

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <yangguan/forward.h>
#include <yangguan/socket.h>
#include <yangguan/stack.h>
#include <yangguan/zerocopy.h>

static struct relay {
	struct relay *next;
	uint64_t id;
	int in, out, asked, ended; /* the stack's socket, once the flow is accepted; the kernel's */
	unsigned char ask[13];
} * all;
static struct yg_stack *s;
static struct sockaddr_in proxy = { .sin_family = AF_INET };
static int ep; /* whatever happens wakes the loop, which looks at all */

static void told(void *ctx, const struct yg_flow *f)
{
	struct relay *r = f->protocol == IPPROTO_TCP && !f->is_gone ? calloc(1, sizeof(*r)) : NULL;
	if (r == NULL && yg_flow_refuse(s, f->id, YG_REFUSE_RESET) <= 0)
		return; /* one that is gone ends when the proxy has answered */
	*r = (struct relay){ .next = all, .id = f->id, .in = -1, .ask = { 5, 1, 0, 5, 1, 0, 1 } };
	memcpy(r->ask + 7, &((const struct sockaddr_in *)&f->to)->sin_addr, 4);
	memcpy(r->ask + 11, &((const struct sockaddr_in *)&f->to)->sin_port, 2);
	r->out = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), all = r;
	(void)connect(r->out, (struct sockaddr *)&proxy, sizeof(proxy));
	epoll_ctl(ep, EPOLL_CTL_ADD, r->out, &(struct epoll_event){ EPOLLIN | EPOLLOUT | EPOLLET });
}

/* Does what can be done now; 0: it is over. */
static int go_on(struct relay *r)
{
	struct iovec v;
	ssize_t n = errno = 0;
	if (!r->asked && !(r->asked = send(r->out, r->ask, 13, MSG_NOSIGNAL) == 13))
		return errno == EAGAIN;
	if (r->in < 0 && (n = recv(r->out, r->ask, 12, MSG_PEEK)) != 12)
		return n > 0 || (n < 0 && errno == EAGAIN); /* two answers, maybe not together */
	if (r->in < 0 && (recv(r->out, r->ask, 12, 0) != 12 || r->ask[3] || (r->in = yg_flow_accept(s, r->id)) < 0))
		return 0;
	while ((n = yg_recv_peek(s, r->in, &v, 1)) > 0 && (n = send(r->out, v.iov_base, v.iov_len, MSG_NOSIGNAL)) > 0)
		yg_recv_release(s, r->in, (size_t)n);
	r->ended |= n == 0 ? shutdown(r->out, SHUT_WR), 1 : 0;
	int broke = n < 0 && n != -EAGAIN && errno != EAGAIN;
	for (n = -EAGAIN; !(r->ended & 2) && (n = yg_send_reserve(s, r->in, &v)) >= 0 &&
			  (n = recv(r->out, v.iov_base, v.iov_len, 0)) > 0;)
		yg_send_commit(s, r->in, (size_t)n, 0);
	r->ended |= n == 0 ? yg_shutdown(s, r->in, SHUT_WR), 2 : 0;
	return !broke && r->ended != 3 && (n == 0 || n == -EAGAIN || errno == EAGAIN);
}

/* What is over leaves the list. */
static void all_go_on(void)
{
	for (struct relay **p = &all, *r; (r = *p) != NULL;)
		if (go_on(r) ? (p = &r->next, 0) : (*p = r->next, 1)) /* refused or closed: one of the two is right */
			yg_flow_refuse(s, r->id, YG_REFUSE_RESET), yg_close(s, r->in), close(r->out), free(r);
}

#endif
