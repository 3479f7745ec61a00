/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a capture is told of a segment that came: the names of the counters that it moved.
 * So whatever TCP counts is said where it happened, and nothing needs to be said twice.
 */
#include "base/text.h"
#include "stack/transport/tcp_list.h"
#include "stack/transport/tcp_priv.h"

bool tcp_capture_keep(struct tcp *t, const struct packet *p)
{
	if (!captures_keep(t->captures, p))
		return false;
	memcpy(t->seen.counts, t->counts, sizeof(t->counts));
	memcpy(t->seen.resets, t->resets, sizeof(t->resets));
	memcpy(t->seen.resets_in, t->resets_in, sizeof(t->resets_in));
	return true;
}

static void add(struct text *t, const char *what, const char *name)
{
	text_add(t, "%s%s%s", t->len > 0 ? ", " : "", what, name);
}

/* Every segment counts in these. */
static bool is_of_all(uint32_t counter)
{
	return counter == TCP_COUNT_IN_SEGMENTS || counter == TCP_COUNT_OUT_SEGMENTS;
}

void tcp_capture_came(struct tcp *t)
{
	char comment[CAPTURE_COMMENT_MAX];
	struct text text = text_of(comment, sizeof(comment));

	for (uint32_t i = 0; i < N_TCP_COUNTERS; i++)
		if (t->counts[i] != t->seen.counts[i] && !is_of_all(i))
			add(&text, "", tcp_counter_names[i]);
	for (uint32_t i = 0; i < N_TCP_RESETS_IN; i++)
		if (t->resets_in[i] != t->seen.resets_in[i])
			add(&text, "reset: ", tcp_reset_in_info[i].name);
	for (uint32_t i = 0; i < N_TCP_REASONS; i++)
		if (t->resets[i] != t->seen.resets[i])
			add(&text, "answered by reset: ", tcp_reason_info[i].name);
	captures_came(t->captures, text.len > 0 ? comment : NULL);
}

void tcp_capture_sent(struct tcp *t, const struct packet *p)
{
	/* What it is the answer to comes before it. */
	if (t->captures->kept.protocol != 0)
		tcp_capture_came(t);
	captures_sent(t->captures, p);
}

void tcp_capture_gone(struct tcp *t, const struct tcp_conn *c)
{
	const struct capture_filter of = { .protocol = IPPROTO_NR_TCP,
					   .zone = c->node.zone,
					   .laddr = c->node.laddr,
					   .raddr = c->node.raddr,
					   .lport = c->node.lport,
					   .rport = c->node.rport };

	captures_gone(t->captures, capture_id(IPPROTO_NR_TCP, TCP_ENTRY_CONN, c->index), &of);
}

void tcp_capture_closing(struct tcp *t, const struct tcp_listener *l)
{
	uint32_t n_left = 0;

	for (uint32_t i = 0; i < t->conns.n_fresh; i++) {
		const struct tcp_conn *c = tcp_conn_at(t, i);

		n_left += c->is_used && c->state != TCP_CLOSED && c->node.lport == l->port && c->node.zone == l->zone &&
			  (l->addr == 0 || c->node.laddr == l->addr);
	}
	captures_closing(t->captures, capture_id(IPPROTO_NR_TCP, TCP_ENTRY_LISTENER, l->index), n_left);
}
