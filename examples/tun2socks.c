/* SPDX-License-Identifier: BSD-2-Clause: TCP that comes by a TUN goes on through a SOCKS5 proxy: tun2socks PROXY PORT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <yangguan/forward.h>
#include <yangguan/linux.h>
#include <yangguan/socket.h>
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
static struct epoll_event any = { .events = EPOLLIN | EPOLLOUT | EPOLLET };

static void told(void *ctx, const struct yg_flow *f)
{
	struct relay *r = f->protocol == IPPROTO_TCP && !f->is_gone ? calloc(1, sizeof(*r)) : NULL;
	if (r == NULL && yg_flow_refuse(s, f->id, YG_REFUSE_RESET) <= 0)
		return; /* one that is gone ends when the proxy has answered */
	*r = (struct relay){ .next = all, .id = f->id, .in = -1, .ask = { 5, 1, 0, 5, 1, 0, 1 } };
	memcpy(r->ask + 7, &((const struct sockaddr_in *)&f->to)->sin_addr, 4);
	memcpy(r->ask + 11, &((const struct sockaddr_in *)&f->to)->sin_port, 2);
	r->out = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), all = r;
	(void)connect(r->out, (struct sockaddr *)&proxy, sizeof(proxy)), epoll_ctl(ep, EPOLL_CTL_ADD, r->out, &any);
}

/* Does what can be done now; 0: it is over. */
static int go_on(struct relay *r)
{
	struct iovec v;
	ssize_t n;
	if (!r->asked && !(r->asked = send(r->out, r->ask, 13, MSG_NOSIGNAL) == 13))
		return errno == EAGAIN;
	if (r->in < 0 && (n = recv(r->out, r->ask, 12, MSG_PEEK)) != 12)
		return n > 0 || (n < 0 && errno == EAGAIN); /* two answers, maybe not together */
	if (r->in < 0 && (recv(r->out, r->ask, 12, 0) != 12 || r->ask[3] || (r->in = yg_flow_accept(s, r->id)) < 0))
		return 0;
	errno = 0;
	while ((n = yg_recv_peek(s, r->in, &v, 1)) > 0 && (n = send(r->out, v.iov_base, v.iov_len, MSG_NOSIGNAL)) > 0)
		yg_recv_release(s, r->in, (size_t)n);
	r->ended |= n == 0 ? shutdown(r->out, SHUT_WR), 1 : 0;
	int broke = n < 0 && n != -EAGAIN && errno != EAGAIN;
	for (n = -EAGAIN; !(r->ended & 2) && (n = yg_send_reserve(s, r->in, &v)) >= 0 &&
			  (n = recv(r->out, v.iov_base, v.iov_len, 0)) > 0;)
		yg_send_commit(s, r->in, (size_t)n, 0);
	if (n == 0)
		r->ended |= 2, yg_shutdown(s, r->in, SHUT_WR);
	return !broke && r->ended != 3 && (n == 0 || n == -EAGAIN || errno == EAGAIN);
}

int main(int argc, char **argv)
{
	struct yg_host_config c = { .size = sizeof(c), .tun = "yg0", .address = "10.9.0.2/24" };
	struct yg_host *h = argc == 3 && inet_aton(argv[1], &proxy.sin_addr) ? yg_host_open(&c) : NULL;
	if (h == NULL)
		return 1;
	proxy.sin_port = htons((uint16_t)atoi(argv[2])), s = yg_host_stack(h), ep = epoll_create1(0);
	yg_forward(s, told, NULL, 0), epoll_ctl(ep, EPOLL_CTL_ADD, yg_host_fd(h), &(struct epoll_event){ EPOLLIN });
	for (struct epoll_event e[64];; epoll_wait(ep, e, 64, -1), yg_host_run(h))
		for (struct relay **at = &all, *r; (r = *at) != NULL;)
			if (go_on(r))
				at = &r->next;
			else /* one of the two */
				yg_flow_refuse(s, r->id, YG_REFUSE_RESET), yg_close(s, r->in), close(r->out),
					*at = r->next, free(r);
}
