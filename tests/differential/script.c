/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An exchange is a handful of flows whose packets are mixed. Each flow has a
 * model of its two ends and a hostility: that share of its packets is anything
 * (numbers around the edges of the windows, flags that do not fit, errors with
 * quotes that lie), the rest is what the ends would send. The model moves only
 * with packets that were delivered, so a sane end answers what it has received.
 */
#include "script.h"

#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "stack/wire/icmp.h"
#include "stack/wire/l4.h"

#define S TCP_SYN
#define A TCP_ACK
#define F TCP_FIN
#define R TCP_RST

static const char *const side_names[N_SIDES] = { [INSIDE] = "inside", [OUTSIDE] = "outside" };

static bool chance(struct script *s, uint32_t percent)
{
	return rng_below(s->rng, 100) < percent;
}

static enum side other(enum side s)
{
	return s == INSIDE ? OUTSIDE : INSIDE;
}

/* --- flows --- */

static void begin_flow(struct script *s, struct flow *f, uint32_t number)
{
	static const uint8_t protos[] = {
		IPPROTO_NR_TCP, IPPROTO_NR_TCP, IPPROTO_NR_TCP,  IPPROTO_NR_TCP,  IPPROTO_NR_TCP,
		IPPROTO_NR_UDP, IPPROTO_NR_UDP, IPPROTO_NR_ICMP, IPPROTO_NR_ICMP, 253
	};
	static const uint32_t hostilities[] = { 0, 5, 15, 40, 80 };

	memset(f, 0, sizeof(*f));
	f->proto = protos[rng_below(s->rng, (uint32_t)ARRAY_LEN(protos))];
	f->kind = chance(s, 88) ? FLOW_NATTED : chance(s, 50) ? FLOW_TO_WAN : FLOW_TO_LAN;
	f->hostility = hostilities[rng_below(s->rng, (uint32_t)ARRAY_LEN(hostilities))];
	f->addr[INSIDE] = LAN_NET + HOST_NUMBER(rng_below(s->rng, N_HOSTS));
	f->addr[OUTSIDE] = WAN_NET + HOST_NUMBER(rng_below(s->rng, N_HOSTS));
	/* Hosts often share a port, so the gateway has to part them. */
	f->port[INSIDE] = (uint16_t)(chance(s, 25) ? 20000 : 20001 + number);
	f->port[OUTSIDE] = (uint16_t)(500 + rng_below(s->rng, 2));
	if (f->kind == FLOW_TO_WAN)
		f->addr[INSIDE] = WAN_ADDR, f->port[INSIDE] = (uint16_t)(600 + number);
	else if (f->kind == FLOW_TO_LAN)
		f->addr[OUTSIDE] = LAN_ADDR;
	for (int i = 0; i < N_SIDES; i++) {
		struct peer *p = &f->peer[i];

		p->first = chance(s, 20) ? 0u - rng_below(s->rng, 3000) : rng_u32(s->rng);
		p->window = (uint16_t)(chance(s, 20) ? rng_below(s->rng, 600) : 1000 + rng_below(s->rng, 64000));
		/* Sane ends never fill it. */
		if (f->hostility == 0)
			p->window = 65535;
		p->scale = (uint8_t)(chance(s, 40) ? rng_below(s->rng, 9) + 1 : 0);
		p->sack = chance(s, 50);
	}
}

static bool same_ends(const struct flow *a, const struct flow *b)
{
	return a->proto == b->proto && memcmp(a->addr, b->addr, sizeof(a->addr)) == 0 &&
	       memcmp(a->port, b->port, sizeof(a->port)) == 0;
}

void script_begin(struct script *s, struct rng *rng)
{
	s->rng = rng;
	s->n_flows = 0;
	for (uint32_t i = 0; i < FLOWS_MAX; i++) {
		struct flow *f = &s->flow[s->n_flows];
		bool again = false;

		begin_flow(s, f, i);
		for (uint32_t k = 0; k < s->n_flows; k++) {
			const struct flow *g = &s->flow[k];

			/* Without ports, one host at a time can speak to another. */
			again |= same_ends(f, g) ||
				 (f->proto == 253 && g->proto == 253 && f->addr[OUTSIDE] == g->addr[OUTSIDE]);
		}
		s->n_flows += !again;
	}
}

/* --- TCP --- */

static const char *flags_text(uint8_t flags)
{
	switch (flags & (S | A | F | R)) {
	case S:
		return "SYN";
	case S | A:
		return "SYN-ACK";
	case A:
		return "ACK";
	case F | A:
		return "FIN";
	case R:
		return "RST";
	case R | A:
		return "RST-ACK";
	default:
		return "odd flags";
	}
}

/* Where a number stands seen from another, in words that patterns can name. */
static const char *place(uint32_t n, uint32_t from)
{
	int32_t d = (int32_t)(n - from);

	return d == 0                ? "exact"
	       : d == -1             ? "before"
	       : d < 0 && d > -66000 ? "behind"
	       : d > 0 && d < 66000  ? "beyond"
				     : "far";
}

static void set_options(struct script *s, struct step *st, const struct flow *f)
{
	const struct peer *p = &f->peer[st->from];
	uint8_t *o = st->options;
	uint8_t n = 0;

	if (st->flags & S) {
		static const uint8_t mss[] = { 2, 4, 0x05, 0xb4 }, sack_ok[] = { 1, 1, 4, 2 };

		memcpy(o, mss, 4);
		n = 4;
		if (p->scale != 0) {
			const uint8_t scale[] = { 1, 3, 3, p->scale };
			memcpy(o + n, scale, 4);
			n = (uint8_t)(n + 4);
		}
		if (p->sack) {
			memcpy(o + n, sack_ok, 4);
			n = (uint8_t)(n + 4);
		}
	} else if ((st->flags & A) && f->hostility > 0 && f->peer[0].sack && f->peer[1].sack && chance(s, 10)) {
		uint32_t left = p->expected + rng_below(s->rng, 3000), right = left + 1 + rng_below(s->rng, 1000);
		const uint8_t block[] = { 1,
					  1,
					  5,
					  10,
					  (uint8_t)(left >> 24),
					  (uint8_t)(left >> 16),
					  (uint8_t)(left >> 8),
					  (uint8_t)left,
					  (uint8_t)(right >> 24),
					  (uint8_t)(right >> 16),
					  (uint8_t)(right >> 8),
					  (uint8_t)right };
		memcpy(o, block, sizeof(block));
		n = sizeof(block);
	}
	st->n_options = n;
}

/* What a sane end sends next. */
static void sane_segment(struct script *s, struct step *st, struct flow *f)
{
	struct peer *in = &f->peer[INSIDE], *out = &f->peer[OUTSIDE];
	struct peer *p;

	if (!in->opened) {
		st->from = INSIDE;
		st->flags = S;
		st->seq = in->first;
		return;
	}
	if (!out->opened) {
		uint32_t dice = rng_below(s->rng, 100);

		st->from = dice < 12 ? INSIDE : OUTSIDE;
		st->flags = dice < 12 ? S : dice < 20 ? S : dice < 28 ? R | A : S | A;
		p = &f->peer[st->from];
		st->seq = st->flags & R ? 0 : p->first;
		st->ack = st->flags & A ? p->expected : 0;
		return;
	}
	st->from = chance(s, 50) ? INSIDE : OUTSIDE;
	p = &f->peer[st->from];
	const struct peer *q = &f->peer[other(st->from)];
	uint32_t dice = rng_below(s->rng, 100);

	st->seq = p->next;
	st->ack = p->expected;
	st->flags = A;
	if (!p->heard || dice < 8) { /* its SYN or SYN-ACK again, or the first */
		st->flags = st->from == OUTSIDE || !p->heard ? S | A : A;
		st->seq = st->flags & S ? p->first : p->next;
		if (!p->heard)
			st->ack = q->first + 1;
	} else if (p->fin && q->fin && dice < 30) { /* the same ports once more */
		st->flags = S;
		st->from = INSIDE;
		st->seq = in->next + 100000 + rng_below(s->rng, 1000);
		st->ack = 0;
	} else if (dice < 50 && !p->fin) {
		st->payload_len = (uint16_t)(1 + rng_below(s->rng, min_u32(600, max_u32(q->window, 1))));
	} else if (dice < 60) {
		st->flags = F | A;
		st->seq -= p->fin;
	} else if (dice < 63) {
		st->flags = chance(s, 50) ? R : R | A;
	} else if (dice < 66) { /* a keepalive */
		st->seq -= 1;
	}
}

/* Anything. */
static void hostile_segment(struct script *s, struct step *st, struct flow *f)
{
	static const uint8_t flags[] = {
		S, S | A, A, A, A, F | A, R, R, R | A, S, S | F, 0, F, S | R, A | F | TCP_PSH
	};

	st->from = chance(s, 50) ? INSIDE : OUTSIDE;
	const struct peer *p = &f->peer[st->from], *q = &f->peer[other(st->from)];
	const uint32_t seqs[] = { p->next,
				  p->next,
				  p->first,
				  p->next - 1,
				  p->next + 1,
				  p->next + q->window,
				  p->next + q->window + 1,
				  p->next + ((uint32_t)q->window << q->scale),
				  p->next + ((uint32_t)q->window << q->scale) + 1,
				  p->next - q->window,
				  p->next - q->window - 2,
				  q->expected,
				  p->next + rng_below(s->rng, 70000),
				  p->next - rng_below(s->rng, 70000),
				  rng_u32(s->rng) };
	const uint32_t acks[] = { p->expected,     p->expected,
				  p->expected,     q->next,
				  q->first + 1,    q->first,
				  q->next + 1,     q->next - 66001,
				  q->next - 65000, q->next + rng_below(s->rng, 3000),
				  rng_u32(s->rng), 0 };

	st->flags = flags[rng_below(s->rng, (uint32_t)ARRAY_LEN(flags))];
	st->seq = seqs[rng_below(s->rng, (uint32_t)ARRAY_LEN(seqs))];
	st->ack = (st->flags & A) || chance(s, 20) ? acks[rng_below(s->rng, (uint32_t)ARRAY_LEN(acks))] : 0;
	if (chance(s, 30))
		st->payload_len = (uint16_t)rng_below(s->rng, 800);
	st->bad_checksum = chance(s, 3);
}

static void tcp_step(struct script *s, struct step *st, struct flow *f, bool hostile)
{
	struct peer *p;

	if (hostile)
		hostile_segment(s, st, f);
	else
		sane_segment(s, st, f);
	if (f->kind != FLOW_NATTED)
		st->from = f->kind == FLOW_TO_WAN ? OUTSIDE : INSIDE;
	p = &f->peer[st->from];
	st->window = p->window;
	if (f->hostility > 0 && chance(s, 10))
		st->window = (uint16_t)rng_below(s->rng, 3000);
	if (st->flags & R)
		st->window = 0;
	set_options(s, st, f);
	snprintf(st->text, sizeof(st->text), "TCP %s %s seq %s ack %s%s%s%s", side_names[st->from],
		 flags_text(st->flags), place(st->seq, p->next), st->flags & A ? place(st->ack, p->expected) : "none",
		 st->payload_len != 0 ? " data" : "", st->n_options == 12 && !(st->flags & S) ? " sack" : "",
		 st->bad_checksum ? " bad checksum" : "");
}

static void tcp_delivered(struct flow *f, const struct step *st)
{
	struct peer *p = &f->peer[st->from], *q = &f->peer[other(st->from)];
	uint32_t end = st->seq + st->payload_len + !!(st->flags & S) + !!(st->flags & F);

	if (st->flags & R)
		return;
	if ((st->flags & S) && (!p->opened || st->flags == S)) {
		if (st->flags == S && p->opened && st->seq != p->first) {
			/* The other end answers with a number of its own, if it believes it. */
			q->opened = q->fin = false;
			q->first = q->next + 200000;
		}
		p->opened = true;
		p->fin = false;
		p->first = st->seq;
		p->next = end;
		q->expected = end;
		q->heard = true;
		return;
	}
	if (st->seq == p->next)
		p->next = end;
	if (st->flags & F)
		p->fin = true;
	if (st->seq == q->expected)
		q->expected = end;
}

/* --- the others --- */

static void udp_step(struct script *s, struct step *st, struct flow *f, bool hostile)
{
	st->from = chance(s, 50) && f->peer[INSIDE].opened ? OUTSIDE : INSIDE;
	st->payload_len = (uint16_t)(chance(s, 90) ? rng_below(s->rng, 600) : 1380 + rng_below(s->rng, 90));
	st->no_checksum = chance(s, 10);
	st->bad_checksum = hostile && chance(s, 20);
	snprintf(st->text, sizeof(st->text), "UDP %s%s%s%s", side_names[st->from],
		 st->bad_checksum ? " bad checksum" : "", st->no_checksum ? " without checksum" : "",
		 st->payload_len > 1352 ? " large" : "");
}

static void icmp_step(struct script *s, struct step *st, struct flow *f, bool hostile)
{
	static const uint8_t types[] = { 8, 0, 13, 14, 17, 18, 15, 16, 9, 10, 40, 5, 4 };
	static const char *const names[] = { [0] = "echo reply", [8] = "echo request" };

	st->from = chance(s, 50) && f->peer[INSIDE].opened ? OUTSIDE : INSIDE;
	st->type = st->from == INSIDE ? ICMP_ECHO_REQUEST : ICMP_ECHO_REPLY;
	if (hostile)
		st->type = types[rng_below(s->rng, (uint32_t)ARRAY_LEN(types))];
	st->code = hostile && chance(s, 10) ? 1 : 0;
	st->info = rng_below(s->rng, 4);
	st->payload_len = (uint16_t)rng_below(s->rng, 100);
	st->bad_checksum = hostile && chance(s, 10);
	/* RFC 792, RFC 950: a timestamp message has 12 bytes more, an address mask one 4. */
	bool cut = ((st->type == 13 || st->type == 14) && st->payload_len < 12) ||
		   ((st->type == 17 || st->type == 18) && st->payload_len < 4);
	char number[24];

	snprintf(number, sizeof(number), "type %u", st->type);
	snprintf(st->text, sizeof(st->text), "ICMP %s %s%s%s%s", side_names[st->from],
		 st->type == 0 || st->type == 8 ? names[st->type] : number, st->code != 0 ? " code 1" : "",
		 cut ? " cut" : "", st->bad_checksum ? " bad checksum" : "");
}

static void other_step(struct script *s, struct step *st, struct flow *f)
{
	st->from = chance(s, 50) && f->peer[INSIDE].opened ? OUTSIDE : INSIDE;
	st->payload_len = (uint16_t)rng_below(s->rng, 200);
	snprintf(st->text, sizeof(st->text), "other %s", side_names[st->from]);
}

/* An ICMP error about the last packet that one side received of the flow. */
static void error_step(struct script *s, struct step *st, struct flow *f, bool hostile)
{
	static const char *const lies[N_LIES] = {
		[LIE_NONE] = "true",           [LIE_SEQ_NEAR] = "seq near", [LIE_SEQ_FAR] = "seq far",
		[LIE_PEER_PORT] = "peer port", [LIE_OWN_PORT] = "own port", [LIE_PEER_ADDR] = "peer address",
		[LIE_PROTO] = "protocol",      [LIE_SHORT] = "short",       [LIE_RECEIVER] = "wrong receiver"
	};
	static const uint8_t kinds[][2] = { { 3, 0 }, { 3, 1 }, { 3, 3 }, { 3, 4 }, { 3, 13 }, { 11, 0 }, { 12, 0 } };
	const uint8_t *kind = kinds[rng_below(s->rng, (uint32_t)ARRAY_LEN(kinds))];

	st->from = chance(s, 60) ? OUTSIDE : INSIDE;
	st->proto = IPPROTO_NR_ICMP;
	st->quotes = true;
	st->type = kind[0];
	st->code = kind[1];
	st->info = kind[0] == 3 && kind[1] == 4 ? 1200 : 0;
	st->payload_len = chance(s, 50) ? 8 : 500; /* at most so much of what stands behind the IP header */
	st->lie = hostile ? (enum lie)rng_below(s->rng, N_LIES) : LIE_NONE;
	/* From the host itself, or a router on the way. */
	st->src = chance(s, 50) ? f->addr[st->from] : (st->from == INSIDE ? LAN_NET : WAN_NET) + HOST_NUMBER(0);
	snprintf(st->text, sizeof(st->text), "error %s %u/%u about %s, quote %s", side_names[st->from], st->type,
		 st->code,
		 f->proto == IPPROTO_NR_TCP    ? "TCP"
		 : f->proto == IPPROTO_NR_UDP  ? "UDP"
		 : f->proto == IPPROTO_NR_ICMP ? "ICMP"
					       : "other",
		 lies[st->lie]);
}

/* Somebody else speaks to the flow's outside port, or past the gateway's NAT. */
static void disturb(struct script *s, struct step *st, struct flow *f)
{
	const char *how;

	if (f->kind != FLOW_NATTED || st->from != OUTSIDE || st->quotes)
		return;
	switch (rng_below(s->rng, 3)) {
	case 0:
		st->src = f->addr[OUTSIDE] == WAN_NET + HOST_NUMBER(0) ? f->addr[OUTSIDE] + 1 : f->addr[OUTSIDE] - 1;
		how = ", from another host";
		break;
	case 1:
		if (f->proto != IPPROTO_NR_TCP && f->proto != IPPROTO_NR_UDP)
			return;
		st->sport = 499;
		how = ", from another port";
		break;
	default:
		st->dst = f->addr[INSIDE];
		st->dport = f->port[INSIDE];
		st->to_mapping = false;
		how = ", to the inside address";
		break;
	}
	size_t n = strlen(st->text);

	snprintf(st->text + n, sizeof(st->text) - n, "%s", how);
}

static void address(struct step *st, const struct flow *f)
{
	st->src = st->src != 0 ? st->src : f->addr[st->from];
	st->dst = f->addr[other(st->from)];
	st->sport = f->port[st->from];
	st->dport = f->port[other(st->from)];
	if (st->from == OUTSIDE && f->kind == FLOW_NATTED) {
		st->dst = WAN_ADDR;
		st->to_mapping = true;
	}
	if (f->proto == IPPROTO_NR_ICMP && !st->quotes)
		st->info |= (uint32_t)f->port[INSIDE] << 16;
}

bool script_next(struct script *s, struct step *st)
{
	uint32_t alive[FLOWS_MAX], n = 0;

	for (uint32_t i = 0; i < s->n_flows; i++)
		if (!s->flow[i].retired)
			alive[n++] = i;
	if (n == 0)
		return false;
	memset(st, 0, sizeof(*st));
	st->flow = alive[rng_below(s->rng, n)];
	struct flow *f = &s->flow[st->flow];
	bool hostile = chance(s, f->hostility);

	st->proto = f->proto;
	st->ttl = 64;
	st->tos = (uint8_t)(chance(s, 10) ? 0x28 : 0);
	st->df = chance(s, 70);
	if (f->kind == FLOW_NATTED && f->peer[INSIDE].opened && chance(s, hostile ? 15 : 3))
		error_step(s, st, f, hostile);
	else if (f->proto == IPPROTO_NR_TCP)
		tcp_step(s, st, f, hostile);
	else if (f->proto == IPPROTO_NR_UDP)
		udp_step(s, st, f, hostile);
	else if (f->proto == IPPROTO_NR_ICMP)
		icmp_step(s, st, f, hostile);
	else
		other_step(s, st, f);
	if (f->kind != FLOW_NATTED)
		st->from = f->kind == FLOW_TO_WAN ? OUTSIDE : INSIDE;
	address(st, f);
	if (hostile && chance(s, 15))
		disturb(s, st, f);
	if (!st->quotes && chance(s, hostile ? 8 : 1)) {
		size_t len = strlen(st->text);

		st->ttl = 1;
		snprintf(st->text + len, sizeof(st->text) - len, ", last hop");
	}
	/* The outside link is the narrower one. Pieces are not compared here. */
	if (st->from == OUTSIDE)
		st->payload_len = (uint16_t)min_u32(st->payload_len, 800);
	else if (st->payload_len > 1352)
		st->df = true;
	return true;
}

void script_delivered(struct script *s, const struct step *st)
{
	struct flow *f = &s->flow[st->flow];

	if (st->quotes)
		return;
	if (st->proto == IPPROTO_NR_TCP)
		tcp_delivered(f, st);
	else if (st->from == INSIDE)
		f->peer[INSIDE].opened = true;
}
