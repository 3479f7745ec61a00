/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Captures of sockets' packets.
 *
 * What came is copied before anybody touches it, since its buffer may be cut, merged or
 * given back by whoever takes it, and told when that has been done and there is a
 * comment; what is sent meanwhile comes behind it (tcp_capture.c).
 */
#include "stack/transport/capture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

int captures_add(struct captures *c, struct capture_slot *one)
{
	if (c->bytes == NULL)
		c->bytes = malloc(CAPTURE_BYTES_MAX);
	if (c->bytes == NULL)
		return -ENOMEM;
	if (c->first == NULL)
		c->why = NULL;
	one->next = c->first;
	c->first = one;
	return 0;
}

void captures_remove(struct captures *c, struct capture_slot *one)
{
	struct capture_slot **at = &c->first;

	while (*at != NULL && *at != one)
		at = &(*at)->next;
	if (*at != NULL)
		*at = one->next;
	if (c->first != NULL)
		return;
	free(c->bytes);
	c->bytes = NULL;
	c->kept.protocol = 0;
}

static bool fits(const struct capture_filter *f, const struct capture_filter *of)
{
	return f->protocol == of->protocol && f->zone == of->zone && (f->laddr == 0 || f->laddr == of->laddr) &&
	       (f->raddr == 0 || f->raddr == of->raddr) && (f->lport == 0 || f->lport == of->lport) &&
	       (f->rport == 0 || f->rport == of->rport);
}

static bool is_wanted(const struct captures *c, const struct capture_filter *of)
{
	const struct capture_slot *one = c->first;

	while (one != NULL && !fits(&one->filter, of))
		one = one->next;
	return one != NULL;
}

static void tell(const struct captures *c, const struct capture_filter *of, const struct capture_packet *p)
{
	struct capture_slot *next;

	for (struct capture_slot *one = c->first; one != NULL; one = next) {
		next = one->next;
		if (fits(&one->filter, of))
			one->fn(one->ctx, p);
	}
}

static struct capture_filter filter_of(const struct packet *p, uint32_t l, uint32_t r, uint16_t lport, uint16_t rport)
{
	bool has_ports = p->ip.proto == IPPROTO_NR_TCP || p->ip.proto == IPPROTO_NR_UDP;

	return (struct capture_filter){ .protocol = p->ip.proto,
					.zone = p->zone,
					.laddr = l,
					.raddr = r,
					.lport = has_ports ? lport : 0,
					.rport = has_ports ? rport : 0 };
}

bool captures_keep(struct captures *c, const struct packet *p)
{
	struct capture_filter of = filter_of(p, p->ip.dst, p->ip.src, p->l4.dport, p->l4.sport);

	c->kept.protocol = 0;
	if (!is_wanted(c, &of))
		return false;
	c->kept = of;
	c->at = c->env->now;
	c->len = min_u32(p->ip.total_len, CAPTURE_BYTES_MAX);
	memcpy(c->bytes, packet_l3_const(p), c->len);
	return true;
}

void captures_came(struct captures *c, const char *comment)
{
	struct capture_packet told = { .at = c->at, .len = c->len, .bytes = c->bytes, .comment = comment };
	struct capture_filter of = c->kept;

	if (of.protocol == 0)
		return;
	c->kept.protocol = 0;
	tell(c, &of, &told);
}

void captures_sent(struct captures *c, const struct packet *p)
{
	struct capture_filter of = filter_of(p, p->ip.src, p->ip.dst, p->l4.sport, p->l4.dport);
	struct capture_packet told = { .at = c->env->now,
				       .is_out = true,
				       .len = p->ip.total_len,
				       .bytes = packet_l3_const(p),
				       .comment = c->why };

	c->why = NULL;
	tell(c, &of, &told);
}

static bool is_same(const struct capture_filter *a, const struct capture_filter *b)
{
	return a->protocol == b->protocol && a->zone == b->zone && a->laddr == b->laddr && a->raddr == b->raddr &&
	       a->lport == b->lport && a->rport == b->rport;
}

void captures_gone(struct captures *c, uint64_t id, const struct capture_filter *of)
{
	for (struct capture_slot *one = c->first; one != NULL; one = one->next) {
		bool is_last = of != NULL && one->n_left > 0 && fits(&one->filter, of) && --one->n_left == 0;

		if (one->gone != NULL && (one->id == id || is_last || (of != NULL && is_same(&one->filter, of))))
			one->gone(one->ctx);
	}
}

void captures_closing(struct captures *c, uint64_t id, uint32_t n_left)
{
	if (n_left == 0) {
		captures_gone(c, id, NULL);
		return;
	}
	for (struct capture_slot *one = c->first; one != NULL; one = one->next) {
		if (one->id != id)
			continue;
		one->n_left = n_left;
		/* Its place may be another one's soon. */
		one->id = 0;
	}
}
