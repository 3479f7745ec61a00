/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One packet into fragments that fit.
 *
 * Every fragment but the last carries a multiple of 8 bytes. The first keeps all
 * options, the later ones those with the copied flag (RFC 791 section 3.1). The
 * fragments behind the first are made while the packet is still whole, then the
 * packet itself is cut down and goes first: when a buffer is missing, nothing
 * has happened yet.
 *
 * Next: src/stack/ip/output.c
 */
#include <string.h>

#include "base/util.h"
#include "stack/ip/fragment.h"
#include "stack/wire/ipv4.h"

struct cut {
	uint8_t options[40];
	uint8_t later_header_len;
	uint32_t first_bytes; /* payload of the first fragment */
	uint32_t later_bytes; /* of those between first and last, at most */
};

static bool cut_plan(const struct packet *p, uint32_t mtu, uint8_t options_len, struct cut *c)
{
	c->later_header_len = (uint8_t)(IPV4_HEADER_LEN + options_len);
	if (mtu < (uint32_t)p->ip.header_len + 8)
		return false;
	c->first_bytes = (mtu - p->ip.header_len) & ~7u;
	c->later_bytes = (mtu - c->later_header_len) & ~7u;
	return true;
}

/* The last fragment may fill its MTU to the byte; it is at most a multiple of 8 and
 * 7 bytes larger than c->later_bytes, which a separate fragment is not worth
 * telling apart for: fragments are counted by the multiple. */
static uint32_t cut_count(const struct packet *p, const struct cut *c)
{
	uint32_t bytes = packet_l4_len(p);

	if (bytes <= c->first_bytes)
		return 1;
	return 1 + (bytes - c->first_bytes + c->later_bytes - 1) / c->later_bytes;
}

uint32_t ip_fragment_count(const struct packet *p, uint32_t mtu)
{
	struct cut c;

	/* Without the bytes the copied options are not known; all of them are the worst case. */
	if (!cut_plan(p, mtu, (uint8_t)(p->ip.header_len - IPV4_HEADER_LEN), &c))
		return 0;
	return cut_count(p, &c);
}

/* Makes the fragment at payload offset `at`, with `bytes` of payload. */
static struct packet *make_fragment(struct env *env, struct packet *p, const struct cut *c, uint32_t at, uint32_t bytes)
{
	struct packet *q = packet_alloc(env->pool, p->l3_off + c->later_header_len + bytes);

	if (q == NULL)
		return NULL;
	q->in_ifindex = p->in_ifindex;
	q->out_ifindex = p->out_ifindex;
	q->next_hop = p->next_hop;
	q->mark = p->mark;
	q->ct_info = p->ct_info;
	q->conn_ref = p->conn_ref;
	q->forwarded = p->forwarded;
	q->is_broadcast = p->is_broadcast;
	q->link_group = p->link_group;
	q->l3_off = p->l3_off;
	q->l4_off = (uint16_t)(p->l3_off + c->later_header_len);
	memcpy(packet_frame(q), packet_frame(p), p->l3_off);

	uint8_t *l3 = packet_l3(q);
	bool is_last = at + bytes == packet_l4_len(p);

	q->ip = p->ip;
	q->ip.header_len = c->later_header_len;
	q->ip.total_len = (uint16_t)(c->later_header_len + bytes);
	q->ip.frag_off = (uint16_t)(p->ip.frag_off + at);
	q->ip.mf = !is_last || p->ip.mf;
	memcpy(l3, packet_l3(p), IPV4_HEADER_LEN);
	memcpy(l3 + IPV4_HEADER_LEN, c->options, c->later_header_len - IPV4_HEADER_LEN);
	memcpy(packet_l4(q), packet_l4(p) + at, bytes);
	ipv4_set_header_len(l3, c->later_header_len);
	ipv4_set_fragment(l3, q->ip.total_len, q->ip.frag_off, q->ip.df, q->ip.mf);
	return q;
}

uint32_t ip_fragment(struct env *env, struct packet *p, uint32_t mtu, struct batch *out)
{
	struct cut c;
	uint32_t total = packet_l4_len(p);
	uint32_t first_place = out->n;
	uint8_t options_len = 0;

	memset(&c, 0, sizeof(c));
	if (p->ip.header_len > IPV4_HEADER_LEN)
		options_len = ipv4_options_copied(packet_l3(p), &p->ip, c.options);
	if (!cut_plan(p, mtu, options_len, &c))
		return 0;
	uint32_t n = cut_count(p, &c);

	if (n > BATCH_MAX - out->n)
		return 0;
	batch_add(out, p);
	for (uint32_t at = c.first_bytes; at < total;) {
		uint32_t bytes = min_u32(c.later_bytes, total - at);
		struct packet *q = make_fragment(env, p, &c, at, bytes);

		if (q == NULL) {
			while (out->n > first_place + 1)
				packet_free(env->pool, out->p[--out->n]);
			out->n = first_place;
			return 0;
		}
		batch_add(out, q);
		at += bytes;
	}
	if (n > 1) {
		p->ip.total_len = (uint16_t)(p->ip.header_len + c.first_bytes);
		p->ip.mf = true;
		p->len = p->l3_off + p->ip.total_len;
		ipv4_set_fragment(packet_l3(p), p->ip.total_len, p->ip.frag_off, p->ip.df, true);
	}
	env->ledger.n_pieces_made += n - 1;
	return n;
}
