/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a stack tells of its sockets: which there are, their packets, and why connections ended.
 */
#include <yangguan/info.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/lib_priv.h"
#include "stack/socket/socket_list.h"

#define SLICE 16u

/* One layout, so that a list of them is handed out as it is. */
_Static_assert(sizeof(struct yg_socket_fact) == sizeof(struct cc_fact), "a fact");
_Static_assert(offsetof(struct yg_socket_fact, value) == offsetof(struct cc_fact, value), "a fact's value");
_Static_assert(offsetof(struct yg_socket_fact, text) == offsetof(struct cc_fact, text), "its name");

struct sockaddr_storage lib_name_of(const struct tcp_end *e)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(e->port) };
	struct sockaddr_storage out = { 0 };

	in.sin_addr.s_addr = htonl(e->addr.v4);
	memcpy(&out, &in, sizeof(in));
	return out;
}

int lib_take_address(const struct sockaddr *from, uint32_t *addr)
{
	struct sockaddr_in in;

	if (from->sa_family != AF_INET)
		return -EAFNOSUPPORT;
	memcpy(&in, from, sizeof(in));
	*addr = ntohl(in.sin_addr.s_addr);
	return 0;
}

static struct yg_socket_info info_of(const struct socket_entry *e)
{
	static const int type_of[N_SOCKET_KINDS] = { [SOCKET_TCP] = SOCK_STREAM,
						     [SOCKET_LISTENER] = SOCK_STREAM,
						     [SOCKET_UDP] = SOCK_DGRAM,
						     [SOCKET_RAW] = SOCK_RAW };
	const struct tcp_entry *t = &e->t;
	struct yg_socket_info out = {
		.size = sizeof(out),
		.fd = e->number,
		.type = type_of[e->kind],
		.protocol = e->protocol,
		.state = tcp_state_names[t->state],
		.local = lib_name_of(&t->local),
		.remote = lib_name_of(&t->remote),
		.recv_q = t->recv_q,
		.send_q = t->send_q,
		.id = e->id,
		.rcvbuf = t->rcvbuf,
		.sndbuf = t->sndbuf,
		.dropped = e->n_dropped,
		.error = t->error,
		.congestion = t->congestion,
	};

	if (t->n_timers > 0) {
		out.timer = tcp_timer_names[t->timer[0].kind];
		out.timer_ns = t->timer[0].left;
	}
	if (t->side != TCP_SIDE_NONE)
		out.closed_by = tcp_side_names[t->side];
	if (t->reason != TCP_REASON_NONE) {
		out.reason = tcp_reason_info[t->reason].name;
		out.reason_text = tcp_reason_info[t->reason].text;
	}
	if (t->has_info) {
		out.tcp_info = &t->info;
		out.tcp_info_len = sizeof(t->info);
		out.facts = (const struct yg_socket_fact *)t->fact;
		out.n_facts = t->n_facts;
	}
	return out;
}

void yg_sockets(const struct yg_stack *s, void (*fn)(void *ctx, const struct yg_socket_info *info), void *ctx)
{
	struct socket_entry entry[SLICE];
	struct socket_cursor cursor = { 0 };

	while (!sockets_at_end(&cursor)) {
		uint32_t n = sockets_list(s->ss, &cursor, entry, SLICE);

		for (uint32_t i = 0; i < n; i++) {
			struct yg_socket_info info = info_of(&entry[i]);

			fn(ctx, &info);
		}
	}
}

void yg_resets(const struct yg_stack *s,
	       void (*fn)(void *ctx, const char *name, uint64_t n_ended, uint64_t n_sent, uint64_t n_received,
			  const char *what),
	       void *ctx)
{
	const struct tcp *t = sockets_tcp(s->ss);

	for (uint32_t i = TCP_REASON_NONE + 1; i < N_TCP_REASONS; i++)
		fn(ctx, tcp_reason_info[i].name, tcp_ends_by_reason(t)[i], tcp_resets(t)[i], 0,
		   tcp_reason_info[i].text);
	for (uint32_t i = 0; i < N_TCP_RESETS_IN; i++)
		fn(ctx, tcp_reset_in_info[i].name, 0, 0, tcp_resets_in(t)[i], tcp_reset_in_info[i].text);
}

/* --- packets of a socket --- */

struct lib_trace {
	struct capture_slot capture;
	int fd;
	void (*fn)(void *ctx, const struct yg_traced *packet);
	void *ctx;
	struct lib_trace *next;
};

static void traced(void *ctx, const struct capture_packet *p)
{
	const struct lib_trace *t = ctx;
	struct yg_traced out = { .size = sizeof(out),
				 .at = p->at,
				 .outgoing = p->is_out,
				 .bytes = p->bytes,
				 .len = p->len,
				 .comment = p->comment };

	t->fn(t->ctx, &out);
}

void lib_trace_end(struct yg_stack *s, int fd)
{
	struct lib_trace **at = &s->traces;

	while (*at != NULL) {
		struct lib_trace *t = *at;

		if (fd >= 0 && t->fd != fd) {
			at = &t->next;
			continue;
		}
		captures_remove(sockets_captures(s->ss), &t->capture);
		*at = t->next;
		free(t);
	}
}

/* What a capture of fd asks for. */
static int filter_for(const struct yg_stack *s, int fd, struct capture_filter *out)
{
	struct socket_entry entry[SLICE];
	struct socket_cursor cursor = { 0 };

	while (!sockets_at_end(&cursor)) {
		uint32_t n = sockets_list(s->ss, &cursor, entry, SLICE);

		for (uint32_t i = 0; i < n; i++) {
			const struct socket_entry *e = &entry[i];

			if (e->number != fd)
				continue;
			bool has_ends = e->kind == SOCKET_RAW || e->t.local.port != 0;

			return socket_entry_filter(e, out) && has_ends ? 0 : -EOPNOTSUPP;
		}
	}
	return -EBADF;
}

int yg_trace(struct yg_stack *s, int fd, void (*fn)(void *ctx, const struct yg_traced *packet), void *ctx)
{
	struct capture_filter filter;
	int rc = filter_for(s, fd, &filter);

	if (rc != 0)
		return rc;
	lib_trace_end(s, fd);
	if (fn == NULL)
		return 0;
	struct lib_trace *t = malloc(sizeof(*t));

	if (t == NULL)
		return -ENOMEM;
	*t = (struct lib_trace){ .fd = fd, .fn = fn, .ctx = ctx, .next = s->traces };
	t->capture = (struct capture_slot){ .filter = filter, .fn = traced, .ctx = t };
	rc = captures_add(sockets_captures(s->ss), &t->capture);
	if (rc != 0) {
		free(t);
		return rc;
	}
	s->traces = t;
	return 0;
}
