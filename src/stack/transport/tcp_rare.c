/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The pool of what few connections have. Its memory is touched only where somebody has
 * one.
 */
#include <errno.h>

#include "stack/transport/tcp_md5.h"

const struct tcp_rare tcp_rare_none = { .max_pacing_rate = TCP_UNPACED,
					.saved_syn = POOL_NONE,
					.pmtu = DATAGRAM_PMTU_WANT };

struct tcp_rare *tcp_rare_get(struct tcp *t, uint32_t *of)
{
	if (*of == POOL_NONE) {
		*of = pool_alloc(&t->rares);
		*(struct tcp_rare *)pool_at(&t->rares, *of) = tcp_rare_none;
	}
	return pool_at(&t->rares, *of);
}

void tcp_rare_release(struct tcp *t, uint32_t *of)
{
	struct tcp_rare *r;

	if (*of == POOL_NONE)
		return;
	r = pool_at(&t->rares, *of);
	tcp_syn_forget(t, &r->saved_syn);
	tcp_md5_free(t, r->md5);
	datagram_errors_free(t->env, &r->errors);
	pool_free(&t->rares, *of);
	*of = POOL_NONE;
}

bool tcp_rare_inherit(struct tcp *t, const struct tcp_listener *l, uint32_t raddr, uint32_t *of)
{
	const struct tcp_md5_key *key = tcp_md5_for(t, l->rare, raddr);
	uint16_t copy = key != NULL ? tcp_md5_copy(t, key) : 0;

	if (key != NULL && copy == 0)
		return false;
	if (l->rare == POOL_NONE)
		return true;
	struct tcp_rare *r = tcp_rare_get(t, of);

	*r = *tcp_rare_at(t, l->rare);
	r->md5 = copy;
	r->has_urgent = false;
	r->errors = (struct datagram_errors){ 0 };
	r->saved_syn = POOL_NONE;
	return true;
}

/* --- SYNs that are kept --- */

uint32_t tcp_syn_save(struct tcp *t, const struct tcp_listener *l, struct packet *p)
{
	uint8_t how = tcp_rare_at(t, l->rare)->save_syn;
	uint32_t index = how != 0 ? pool_alloc(&t->saved_syns) : POOL_NONE;

	if (index == POOL_NONE)
		return POOL_NONE;
	struct tcp_saved_syn *s = pool_at(&t->saved_syns, index);
	const uint8_t *from = how == 1 ? packet_l3(p) : packet_frame(p);
	uint32_t before = how == 1 ? 0 : p->l3_off;

	s->len = (uint8_t)min_u32(before + p->ip.header_len + p->l4.header_len, TCP_SAVED_SYN_MAX);
	memcpy(s->bytes, from, s->len);
	return index;
}

void tcp_syn_forget(struct tcp *t, uint32_t *saved)
{
	if (*saved != POOL_NONE)
		pool_free(&t->saved_syns, *saved);
	*saved = POOL_NONE;
}

int tcp_saved_syn(struct tcp *t, struct tcp_conn *c, uint8_t *out, uint32_t *len)
{
	uint32_t room = *len, saved = tcp_rare_at(t, c->rare)->saved_syn;

	*len = 0;
	if (saved == POOL_NONE)
		return 0;
	const struct tcp_saved_syn *s = pool_at(&t->saved_syns, saved);

	*len = s->len;
	if (room < s->len)
		return -EINVAL;
	memcpy(out, s->bytes, s->len);
	tcp_syn_forget(t, &tcp_rare_get(t, &c->rare)->saved_syn);
	return 0;
}
