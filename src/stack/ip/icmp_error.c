/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Refusals that we send: ICMP errors and TCP resets.
 *
 * An error quotes as much of the packet as makes a message of 576 bytes (RFC
 * 1812 section 4.3.2.3), comes from the address that the packet was for if that is
 * ours, else from the address of the interface that the error leaves by (as Linux
 * does), and has precedence 6 (section 4.3.2.5). It is never sent for the
 * five cases of RFC 1122 section 3.2.2, nor to somebody in whose name we made the
 * packet (a reset).
 *
 * It is not sent more often than some budgets allow (RFC 1812 section 4.3.2.8).
 * Each kind has one for each destination; "fragmentation needed", without which a
 * path stands still, has one for each interface that packets come in by, so that
 * nobody elsewhere can use it up; all other kinds share one.
 *
 * What is left of a shared budget tells an outsider whether an answer was sent to
 * somebody else, and so whether a port is in use (SAD DNS, CVE-2020-25705). So an
 * answer costs the shared ones nothing, one or two tokens by chance, one on the
 * average: what an outsider counts has a larger spread than what one destination
 * may cost. And destinations stand in a keyed hash whose key changes with each
 * window of about a second: who shares a slot with whom is another thing each time.
 *
 * An error and a reset are answers to a packet that conntrack may know, perhaps
 * by a connection that its own look-up would not find: one that is in no table
 * yet, or whose packet was caught half translated. So an error names the quoted
 * packet's connection as a hint to conntrack, and a reset belongs to it from
 * the start, in the other direction (as by Linux's nf_ct_attach); NAT then puts
 * addresses into the words of whoever receives them. A reset from a port of ours
 * finds its connection by itself, and must: conntrack learns from it that the
 * connection is over.
 *
 * A large segment is quoted as its first segment would look on the wire.
 *
 * Next: src/stack/ip/output.c
 */
#include <string.h>

#include "stack/ip/stack_priv.h"
#include "stack/packet/gso.h"

/* RFC 1812 section 4.3.2.5: internetwork control. */
#define ICMP_ERROR_TOS 0xc0

#define RATE_ALL_DEFAULT 1000
#define RATE_DEST_DEFAULT 10
#define RATE_PATH_MTU_DEFAULT 1000
/* Of an interface's path MTU messages one destination has at most this share. */
#define PATH_MTU_SHARE 4
#define WINDOW_MIN_NS (750 * NS_PER_MS)
#define WINDOW_SPREAD_MS 500 /* one second on the average */
#define RATE_MAX 1000000
#define TOKEN 1000u /* a bucket counts thousandths */

const char *const icmp_silence_names[N_ICMP_SILENCE] = {
	[ICMP_SENT] = "sent",
	[ICMP_SILENT_ERROR] = "about-an-icmp-error",
	[ICMP_SILENT_DESTINATION] = "destination-not-one-host",
	[ICMP_SILENT_LINK] = "link-layer-broadcast",
	[ICMP_SILENT_FRAGMENT] = "later-fragment",
	[ICMP_SILENT_SOURCE] = "source-not-one-host",
	[ICMP_SILENT_OURS] = "made-here",
	[ICMP_SILENT_RATE] = "rate",
	[ICMP_SILENT_NO_BUFFER] = "no-buffer",
};

void icmp_init(struct ip_stack *s)
{
	/* Full from the start: nothing has been sent. */
	s->icmp.all.tokens = UINT32_MAX;
	for (uint32_t i = 0; i < IP_INTERFACES_MAX; i++)
		s->icmp.path_mtu[i].tokens = UINT32_MAX;
}

const uint64_t *icmp_counts(const struct ip_stack *s)
{
	return s->icmp.counts;
}

/* Brings the bucket up to now: rate tokens a second, a second's worth at most. */
static void bucket_fill(struct icmp_bucket *b, uint32_t rate_per_s, uint64_t now)
{
	uint64_t full = (uint64_t)min_u32(rate_per_s, RATE_MAX) * TOKEN;
	uint64_t elapsed_us = min_u64(now - b->at, NS_PER_S) / NS_PER_US;
	uint64_t gained = elapsed_us * full / (NS_PER_S / NS_PER_US);

	/* What was less than a thousandth is not lost: `at` stays. */
	if (gained == 0 && b->tokens < full)
		return;
	b->tokens = (uint32_t)min_u64(full, b->tokens + gained);
	b->at = now;
}

/* Whoever shares a bucket cannot count what others took. */
static void bucket_take(struct icmp_bucket *b, struct rng *rng)
{
	b->tokens -= min_u32(b->tokens, rng_u32(rng) % 3 * TOKEN);
}

static struct icmp_slot *slot_of(struct ip_stack *s, uint32_t dst, uint8_t type, bool path_mtu)
{
	struct icmp_state *c = &s->icmp;

	if (s->env->now >= c->window_ends) {
		c->window++;
		c->window_ends = s->env->now + WINDOW_MIN_NS + rng_u32(&s->env->rng) % WINDOW_SPREAD_MS * NS_PER_MS;
		c->slot_key = (struct siphash_key){ rng_u64(&s->env->rng), rng_u64(&s->env->rng) };
	}
	struct icmp_slot *slot =
		&c->slot[siphash13_16(&c->slot_key, dst, (uint64_t)path_mtu << 8 | type) & (ICMP_SLOTS - 1)];

	if (slot->window != c->window)
		*slot = (struct icmp_slot){ .window = c->window };
	return slot;
}

static uint32_t rate_of(uint32_t configured, uint32_t otherwise)
{
	return configured != 0 ? configured : otherwise;
}

static bool rate_allows(struct ip_stack *s, const struct packet *p, uint8_t type, uint8_t code)
{
	bool path_mtu = type == ICMP_DEST_UNREACHABLE && code == ICMP_FRAGMENTATION_NEEDED;
	uint32_t rate = path_mtu ? rate_of(s->cfg->icmp_rate_path_mtu_s, RATE_PATH_MTU_DEFAULT)
				 : rate_of(s->cfg->icmp_rate_per_s, RATE_ALL_DEFAULT);
	uint32_t rate_dest =
		path_mtu ? max_u32(rate / PATH_MTU_SHARE, 1) : rate_of(s->cfg->icmp_rate_per_dest_s, RATE_DEST_DEFAULT);
	struct icmp_bucket *shared = path_mtu ? &s->icmp.path_mtu[p->in_ifindex] : &s->icmp.all;
	struct icmp_slot *slot = slot_of(s, p->ip.src, type, path_mtu);

	if (s->n_shares > 1)
		rate = max_u32(rate / s->n_shares, 1);
	bucket_fill(shared, rate, s->env->now);
	if (slot->n_sent >= rate_dest || shared->tokens < TOKEN)
		return false;
	slot->n_sent++;
	bucket_take(shared, &s->env->rng);
	return true;
}

/* From an address of the host itself to one of ours: it never was on a link. */
static bool is_loopback(const struct packet *p)
{
	return p->in_ifindex == 0 && ip4_is_loopback(p->ip.src);
}

static bool is_of_one_host(const struct ip_stack *s, const struct packet *p)
{
	return is_loopback(p) ||
	       (ip4_is_unicast(p->ip.src) && ip_route(s, ip_zone_from(s, p), p->ip.src)->kind != FIB_BROADCAST);
}

static bool is_for_many(const struct ip_stack *s, const struct packet *p)
{
	return p->is_broadcast || ip4_is_multicast(p->ip.dst) || ip4_is_limited_broadcast(p->ip.dst) ||
	       ip_route(s, p->zone, p->ip.dst)->kind == FIB_BROADCAST;
}

/* A reset is made here in the name of whoever would not answer; nobody waits to hear what became of it. */
static bool is_made_for_another(const struct ip_stack *s, const struct packet *p)
{
	enum fib_kind kind;

	if (p->in_ifindex != 0 || is_loopback(p))
		return false;
	if (p->l4.kind == L4_TCP && (p->l4.flags & TCP_RST) != 0)
		return true;
	kind = (enum fib_kind)ip_route(s, p->zone, p->ip.src)->kind;
	return kind != FIB_LOCAL && kind != FIB_TRANSLATED;
}

/* RFC 1122 section 3.2.2, in its order. */
static enum icmp_silence must_be_silent(const struct ip_stack *s, const struct packet *p)
{
	if (p->ip.frag_off != 0)
		return ICMP_SILENT_FRAGMENT;
	if (p->ip.proto == IPPROTO_NR_ICMP && p->l4.kind != L4_ICMP_QUERY)
		return ICMP_SILENT_ERROR;
	if (is_for_many(s, p))
		return ICMP_SILENT_DESTINATION;
	if (p->link_group)
		return ICMP_SILENT_LINK;
	if (!is_of_one_host(s, p))
		return ICMP_SILENT_SOURCE;
	if (is_made_for_another(s, p))
		return ICMP_SILENT_OURS;
	return ICMP_SENT;
}

static bool is_tracked(const struct packet *p)
{
	return p->conn_ref != CONN_NONE && !p->ct_icmp_error &&
	       (p->ct_info == CT_INFO_NEW || p->ct_info == CT_INFO_ESTABLISHED || p->ct_info == CT_INFO_RELATED);
}

static uint32_t quote_len(const struct packet *p)
{
	return min_u32(offload_segment_len(p), ICMP_ERROR_MAX - IPV4_HEADER_LEN - ICMP_HEADER_LEN);
}

/* Copies the head of p behind q's ICMP header, finished as far as it can be. */
static void write_quote(const struct packet *p, struct packet *q)
{
	uint8_t *quote = packet_l4(q) + ICMP_HEADER_LEN;
	uint32_t len = quote_len(p), segment_len = offload_segment_len(p);

	memcpy(quote, p->buf + p->off + p->l3_off, len);
	if (p->offload.gso_type != GSO_NONE)
		ipv4_set_fragment(quote, (uint16_t)segment_len, 0, p->ip.df, false);
	/* With all bytes there the checksum that was left to a device can be had. */
	if (p->offload.csum_partial && p->offload.gso_type == GSO_NONE && len == p->ip.total_len)
		l4_checksum_set(&p->ip, quote + p->ip.header_len, len - p->ip.header_len);
}

/* 0: by the route (ip_local_out). */
static uint32_t error_source(const struct ip_stack *s, const struct packet *p)
{
	enum fib_kind back = (enum fib_kind)ip_route(s, ip_zone_from(s, p), p->ip.src)->kind;

	if (p->to_us && ip_is_local(s, p->zone, p->ip.dst))
		return p->ip.dst;
	/* Its source was translated already, and NAT alone knows to whom the error goes: back to where it came from. */
	if (p->in_ifindex != 0 && (back == FIB_LOCAL || back == FIB_TRANSLATED))
		return ip_source_for(s, p->in_ifindex, p->ip.src);
	return 0;
}

static enum icmp_silence send_error(struct ip_stack *s, const struct packet *p, uint8_t type, uint8_t code,
				    uint32_t info)
{
	enum icmp_silence silence = must_be_silent(s, p);

	if (silence != ICMP_SENT)
		return silence;
	if (!rate_allows(s, p, type, code))
		return ICMP_SILENT_RATE;
	uint32_t src = error_source(s, p);
	struct packet *q = ip_packet_new(s, src, p->ip.src, IPPROTO_NR_ICMP, ICMP_HEADER_LEN + quote_len(p));

	if (q == NULL)
		return ICMP_SILENT_NO_BUFFER;
	q->ip.tos = ICMP_ERROR_TOS;
	ip_packet_finish(q);
	icmp_emit(packet_l4(q), type, code, info);
	write_quote(p, q);
	l4_checksum_set(&q->ip, packet_l4(q), packet_l4_len(q));
	l4_parse(&q->ip, packet_l4(q), packet_l4_len(q), &q->l4);
	q->translated = p->translated;
	q->zone = ip_zone_from(s, p);
	/* Waited for a neighbour on its other side, and nobody knows any more whose it is: as it stands there. */
	if (p->translated && !is_tracked(p) && p->out_ifindex != 0)
		q->zone = ip_interface_cfg(s, p->out_ifindex)->zone;
	/* A hint that conntrack checks: it has not seen q yet. */
	if (is_tracked(p))
		q->conn_ref = p->conn_ref;
	ip_local_out_one(s, q);
	return ICMP_SENT;
}

enum icmp_silence icmp_send_error(struct ip_stack *s, const struct packet *p, uint8_t type, uint8_t code, uint32_t info)
{
	enum icmp_silence silence = send_error(s, p, type, code, info);

	s->icmp.counts[silence]++;
	if (env_traced(s->env))
		ip_trace_answered(s, p, type, code, silence);
	return silence;
}

/* The reset that answers p; NULL when none may be sent, or without a buffer. */
static struct packet *reset_for(struct ip_stack *s, const struct packet *p)
{
	if (p->l4.kind != L4_TCP || (p->l4.flags & TCP_RST) != 0 || ipv4_is_fragment(&p->ip) || p->link_group ||
	    is_for_many(s, p) || !is_of_one_host(s, p))
		return NULL;
	struct packet *q = ip_packet_new(s, p->ip.dst, p->ip.src, IPPROTO_NR_TCP, TCP_HEADER_LEN);

	if (q == NULL)
		return NULL;
	uint32_t seq = 0, ack = 0;
	uint8_t flags = TCP_RST;

	if (p->l4.flags & TCP_ACK) {
		seq = p->l4.ack;
	} else {
		ack = p->l4.seq + p->l4.payload_len + ((p->l4.flags & TCP_SYN) != 0) + ((p->l4.flags & TCP_FIN) != 0);
		flags |= TCP_ACK;
	}
	q->ip.df = true;
	if (env_traced(s->env))
		trace_end(&s->env->trace, TRACE_RESET, p);
	q->zone = p->to_us ? p->zone : ip_zone_from(s, p);
	ip_packet_finish(q);
	tcp_emit(packet_l4(q), p->l4.dport, p->l4.sport, seq, ack, flags, 0);
	l4_checksum_set(&q->ip, packet_l4(q), TCP_HEADER_LEN);
	l4_parse(&q->ip, packet_l4(q), TCP_HEADER_LEN, &q->l4);
	return q;
}

void tcp_send_reset(struct ip_stack *s, const struct packet *p)
{
	struct packet *q = reset_for(s, p);

	if (q == NULL)
		return;
	if (is_tracked(p) && (!p->to_us || p->conn_unconfirmed)) {
		q->conn_ref = p->conn_ref ^ 1;
		q->ct_info = CT_INFO_ESTABLISHED;
	}
	ip_local_out_one(s, q);
}

void tcp_send_unknown_reset(struct ip_stack *s, const struct packet *p)
{
	struct packet *q = reset_for(s, p);

	if (q == NULL)
		return;
	/* It belongs to no connection, and nobody is to translate it or to call it invalid. */
	q->ct_info = CT_INFO_UNTRACKED;
	ip_local_out_one(s, q);
}
