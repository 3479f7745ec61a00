/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One round of a load is what all its connections do once, both ends in turns; between the turns
 * the wire is emptied. Acknowledgements are held back as on a real path.
 */
#include "tcp_load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "stack/socket/abi.h"
#include "stack/transport/tcp_reason.h"

#define SERVICE 7u
#define CHUNK 16384u
#define MESSAGE 64u
#define WIRE_NS 1000u
#define BULK_TURNS 16u
#define BULK_WIRE_NS 5000u
#define OPENED_AT_ONCE 1000u
/* How long a TIME_WAIT record stands over how many there are when as many end as begin. */
#define TIME_WAITS 50000u

struct load {
	struct load_config cfg;
	struct pair *p;
	struct tcp_listener *l;
	struct tcp_conn **a, **b;
	struct udp_socket *ua, *ub;
	uint32_t n, at;
};

static uint8_t from[CHUNK], to[CHUNK];

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

static struct tcp_conn *connect_to(struct side *s, uint32_t src, uint32_t dst)
{
	struct tcp_conn *c = tcp_open(s->tcp, s->user);
	struct tcp_end local = { .addr = ip_addr_v4(src) }, remote = { ip_addr_v4(dst), SERVICE };

	must(c != NULL && tcp_connect(s->tcp, c, 0, &local, &remote) == -EINPROGRESS, "no connection");
	side_flush(s);
	return c;
}

/* Both know each other's Ethernet addresses from here on. */
static void meet(struct pair *p)
{
	for (uint32_t i = 0; i < PAIR_ADDRESSES; i++) {
		struct tcp_conn *c = connect_to(&p->a, PAIR_A + i, PAIR_B + i);

		pair_settle(p);
		tcp_close(p->a.tcp, c);
		pair_settle(p);
	}
}

static struct load *load_start(const struct load_config *c)
{
	struct load *l = calloc(1, sizeof(*l));
	struct tcp_end local = { .port = SERVICE };
	struct tcp_listen_options o = { .backlog = 65536 };

	must(l != NULL, "no memory");
	l->cfg = *c;
	l->cfg.pair.n_conns = c->n + c->n_idle + 4096;
	l->n = c->n;
	l->a = calloc(l->n, sizeof(struct tcp_conn *));
	l->b = calloc(l->n, sizeof(struct tcp_conn *));
	must(l->a != NULL && l->b != NULL, "no memory");
	l->p = pair_start(&l->cfg.pair);
	meet(l->p);
	must(tcp_listen(l->p->b.tcp, 0, &local, &o, l->p->b.user, &l->l) == 0, "no listener");
	return l;
}

void load_end(struct load *l)
{
	pair_end(l->p);
	free(l->a);
	free(l->b);
	free(l);
}

/* n connections, of every address to every other; a and b: their ends, NULL: of no interest. */
static void open_many(struct load *l, uint32_t n, struct tcp_conn **a, struct tcp_conn **b)
{
	uint32_t n_accepted = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct tcp_conn *c =
			connect_to(&l->p->a, PAIR_A + i % PAIR_ADDRESSES, PAIR_B + i / PAIR_ADDRESSES % PAIR_ADDRESSES);

		if (a != NULL)
			a[i] = c;
		if (i % OPENED_AT_ONCE != OPENED_AT_ONCE - 1 && i + 1 != n)
			continue;
		pair_settle(l->p);
		while ((c = tcp_accept(l->p->b.tcp, l->l, l->p->b.user)) != NULL) {
			if (b != NULL)
				b[n_accepted] = c;
			n_accepted++;
		}
	}
	must(n_accepted == n, "a connection was not opened");
}

/* --- bulk --- */

struct load *bulk_start(const struct load_config *c)
{
	struct load *l = load_start(c);

	open_many(l, 1, l->a, l->b);
	return l;
}

static void send_some(struct tcp *t, struct tcp_conn *c, enum load_calls calls)
{
	struct span s = { from, CHUNK };

	if (calls == LOAD_COPY) {
		while (tcp_send(t, c, &s, 1, 0) > 0)
			;
		return;
	}
	/* Whoever fills the place in pays for it: here nobody does. */
	while (tcp_reserve(t, c, &s) == 0)
		must(tcp_commit(t, c, (uint32_t)s.len, 0) == 0, "nothing is sent");
}

static uint64_t recv_some(struct tcp *t, struct tcp_conn *c, enum load_calls calls)
{
	struct span s[64] = { { to, CHUNK } };
	uint64_t total = 0;

	if (calls == LOAD_COPY) {
		for (int64_t n; (n = tcp_recv(t, c, s, 1, 0)) > 0;)
			total += (uint64_t)n;
		return total;
	}
	for (uint32_t n; (n = tcp_peek(t, c, s, ARRAY_LEN(s))) > 0;) {
		uint32_t bytes = 0;

		for (uint32_t i = 0; i < n; i++)
			bytes += (uint32_t)s[i].len;
		tcp_release(t, c, bytes);
		total += bytes;
	}
	return total;
}

uint64_t bulk_round(struct load *l)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < BULK_TURNS; i++) {
		send_some(l->p->a.tcp, l->a[0], l->cfg.calls);
		pair_step(l->p, BULK_WIRE_NS);
		bytes += recv_some(l->p->b.tcp, l->b[0], l->cfg.calls);
		pair_step(l->p, BULK_WIRE_NS);
	}
	return bytes;
}

/* --- connections --- */

struct load *connections_start(const struct load_config *c)
{
	struct load *l = load_start(c);

	open_many(l, c->n_idle, NULL, NULL);
	return l;
}

static void send_message(struct tcp *t, struct tcp_conn *c)
{
	struct span s = { from, MESSAGE };

	must(tcp_send(t, c, &s, 1, 0) == MESSAGE, "a message was not sent");
}

static void recv_message(struct tcp *t, struct tcp_conn *c)
{
	struct span s = { to, CHUNK };

	must(c != NULL && tcp_recv(t, c, &s, 1, 0) == MESSAGE, "a message did not arrive");
}

uint64_t connections_round(struct load *l)
{
	struct pair *p = l->p;

	for (uint32_t i = 0; i < l->n; i++)
		l->a[i] = connect_to(&p->a, PAIR_A, PAIR_B);
	pair_step(p, WIRE_NS);
	for (uint32_t i = 0; i < l->n; i++)
		send_message(p->a.tcp, l->a[i]);
	pair_step(p, WIRE_NS);
	for (uint32_t i = 0; i < l->n; i++) {
		l->b[i] = tcp_accept(p->b.tcp, l->l, p->b.user);
		recv_message(p->b.tcp, l->b[i]);
		send_message(p->b.tcp, l->b[i]);
	}
	pair_step(p, WIRE_NS);
	for (uint32_t i = 0; i < l->n; i++) {
		recv_message(p->a.tcp, l->a[i]);
		tcp_close(p->a.tcp, l->a[i]);
	}
	pair_step(p, WIRE_NS);
	for (uint32_t i = 0; i < l->n; i++)
		tcp_close(p->b.tcp, l->b[i]);
	/* The last FIN, and its acknowledgement. */
	pair_step(p, WIRE_NS);
	pair_step(p, WIRE_NS);
	/* The clock goes on so that TIME_WAIT ends as often as it begins. */
	pair_step(p, l->n * tcp_default_config.time_wait / TIME_WAITS);
	return l->n;
}

/* --- requests --- */

struct load *requests_start(const struct load_config *c)
{
	struct load *l = load_start(c);

	open_many(l, c->n, l->a, l->b);
	return l;
}

uint64_t requests_round(struct load *l)
{
	struct pair *p = l->p;
	uint32_t turn = min_u32(l->n, BATCH_MAX);

	for (uint32_t i = 0; i < turn; i++)
		send_message(p->a.tcp, l->a[(l->at + i) % l->n]);
	pair_step(p, WIRE_NS);
	for (uint32_t i = 0; i < turn; i++) {
		recv_message(p->b.tcp, l->b[(l->at + i) % l->n]);
		send_message(p->b.tcp, l->b[(l->at + i) % l->n]);
	}
	pair_step(p, WIRE_NS);
	for (uint32_t i = 0; i < turn; i++)
		recv_message(p->a.tcp, l->a[(l->at + i) % l->n]);
	l->at = (l->at + turn) % l->n;
	return turn;
}

/* --- UDP --- */

struct load *echo_start(const struct load_config *c)
{
	struct load *l = load_start(c);
	struct datagram_end server = { .addr = ip_addr_v4(PAIR_B), .port = SERVICE };

	l->ua = udp_open(l->p->a.udp, 0);
	l->ub = udp_open(l->p->b.udp, 0);
	must(l->ua != NULL && l->ub != NULL && udp_bind(l->p->b.udp, l->ub, &server) == 0 &&
		     udp_connect(l->p->a.udp, l->ua, &server) == 0,
	     "no sockets of UDP");
	return l;
}

/* remote NULL: where it is connected to. */
static void send_datagram(struct udp *u, struct udp_socket *s, const struct datagram_end *remote)
{
	struct span span = { from, MESSAGE };
	struct datagram_out out = datagram_out_default;

	if (remote != NULL)
		out.to = *remote;
	must(udp_send(u, s, &out, &span, 1) == MESSAGE, "a datagram was not sent");
}

uint64_t echo_round(struct load *l)
{
	struct pair *p = l->p;
	struct span s = { to, CHUNK };
	struct datagram_info info;

	for (uint32_t i = 0; i < l->n; i++)
		send_datagram(p->a.udp, l->ua, NULL);
	pair_step(p, WIRE_NS);
	for (uint32_t i = 0; i < l->n; i++) {
		must(udp_recv(p->b.udp, l->ub, &s, 1, 0, &info) == MESSAGE, "a datagram did not arrive");
		send_datagram(p->b.udp, l->ub, &info.from);
	}
	pair_step(p, WIRE_NS);
	for (uint32_t i = 0; i < l->n; i++)
		must(udp_recv(p->a.udp, l->ua, &s, 1, 0, &info) == MESSAGE, "a datagram did not come back");
	return l->n;
}

/* --- connections at rest --- */

/* More tuples than connections, so that a drawn port is found at once. */
#define SERVICES 4u

static int listen_by_socket(struct sockets *ss, uint16_t port)
{
	struct yg_sockaddr_in name = { .family = YG_AF_INET, .port = be16_of(port) };
	int n = socket_open(ss, YG_AF_INET, YG_SOCK_STREAM | YG_SOCK_NONBLOCK, 0), one = 1;

	must(n >= 0 && socket_bind(ss, n, &name, sizeof(name)) == 0 &&
		     socket_set_option(ss, n, YG_SOL_SOCKET, YG_SO_KEEPALIVE, &one, sizeof(one)) == 0 &&
		     socket_listen(ss, n, (int)OPENED_AT_ONCE) == 0,
	     "no listener");
	return n;
}

static void connect_by_socket(struct sockets *ss, uint32_t dst, uint16_t port)
{
	struct yg_sockaddr_in name = { .family = YG_AF_INET, .port = be16_of(port), .addr = be32_of(dst) };
	int n = socket_open(ss, YG_AF_INET, YG_SOCK_STREAM | YG_SOCK_NONBLOCK, 0);

	must(n >= 0 && socket_connect(ss, n, &name, sizeof(name)) == -EINPROGRESS, "no connection");
}

struct load *idle_start(const struct load_config *c)
{
	struct load *l = load_start(c);
	struct pair *p = l->p;
	int listener[SERVICES];
	uint32_t n_accepted = 0;

	tcp_unlisten(p->b.tcp, l->l);
	for (uint16_t i = 0; i < SERVICES; i++)
		listener[i] = listen_by_socket(p->b.ss, (uint16_t)(SERVICE + i));
	for (uint32_t i = 0; i < c->n; i++) {
		connect_by_socket(p->a.ss, PAIR_B + i % PAIR_ADDRESSES,
				  (uint16_t)(SERVICE + i / PAIR_ADDRESSES % SERVICES));
		if (i % OPENED_AT_ONCE != OPENED_AT_ONCE - 1 && i + 1 != c->n)
			continue;
		pair_settle(p);
		for (uint32_t k = 0; k < SERVICES; k++)
			while (socket_accept(p->b.ss, listener[k], NULL, NULL, YG_SOCK_NONBLOCK) >= 0)
				n_accepted++;
		pair_step(p, tcp_default_config.keepalive_time / (c->n / OPENED_AT_ONCE));
	}
	must(n_accepted == c->n, "a connection was not opened");
	return l;
}

uint64_t idle_round(struct load *l)
{
	const uint64_t *counts = tcp_counts(l->p->b.tcp);
	uint64_t end = l->p->now + tcp_default_config.keepalive_time, asked = counts[TCP_COUNT_KEEPALIVES];

	for (uint64_t next; (next = pair_next(l->p)) < end;)
		pair_step(l->p, max_u64(next, l->p->now) - l->p->now);
	pair_step(l->p, end - l->p->now);
	pair_settle(l->p);
	/* Whoever does not answer is asked once more, and closed in the end. */
	must(counts[TCP_COUNT_KEEPALIVES] - asked >= l->n - l->n / 100 &&
		     counts[TCP_COUNT_KEEPALIVES] - asked <= l->n + l->n / 100 &&
		     tcp_ends_by_reason(l->p->b.tcp)[TCP_REASON_KEEPALIVE] == 0,
	     "a connection was not asked, or did not answer");
	return tcp_default_config.keepalive_time;
}
