/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the scenarios share: the gateway's config, packets in and out by the end
 * that they seem to come from, errors, and the notes that a failure prints.
 */
#include <stdio.h>

#include "rfc.h"

static const char *const mapping_of[N_RFC_MODES] = {
	[RFC_EIM] = "endpoint-independent",
	[RFC_APDM] = "address-and-port-dependent",
};

static const char *or_else(const char *s, const char *usual)
{
	return s != NULL ? s : usual;
}

static void write_config(const struct rfc *t, const struct rfc_setup *s, char *out, size_t cap)
{
	int n = snprintf(out, cap,
			 "interface lan0 { address 10.77.0.1/24; }\n"
			 "interface wan0 { address 203.0.113.1/24; mtu %u; }\n"
			 "route 10.78.0.0/16 via 10.77.0.254;\n"
			 "route 0.0.0.0/0 via 203.0.113.254;\n"
			 "pool public { %s; mapping %s; %s }\n"
			 "table ip nat {\n"
			 " chain prerouting { type nat hook prerouting priority dstnat; policy accept;\n%s\n }\n"
			 " chain postrouting { type nat hook postrouting priority srcnat; policy accept;\n%s\n }\n"
			 "}\n%s\n",
			 s->wan_mtu != 0 ? s->wan_mtu : 1500, or_else(s->addresses, "203.0.113.16/30"),
			 mapping_of[t->mode], or_else(s->pool_options, ""), or_else(s->prerouting, ""),
			 or_else(s->postrouting, "oifname \"wan0\" snat to pool public"), or_else(s->more, ""));

	if (n < 0 || (size_t)n >= cap)
		fail_msg("the scenario's config is too long");
}

void rfc_start(struct rfc *t, const struct rfc_setup *s)
{
	static const struct rfc_setup usual;
	struct gateway_limits limits = {
		.packets = { .n_packets = 4096, .n_small = 2048, .n_large = 64 },
		.conntrack = { .n_connections = s != NULL && s->n_connections != 0 ? s->n_connections : 65536 },
	};
	char text[4096];

	write_config(t, s != NULL ? s : &usual, text, sizeof(text));
	fixture_start(&t->w, text, &limits);
	t->lan = fixture_station(&t->w, "lan0", RFC_LAN_ROUTER, NULL);
	t->wan = fixture_station(&t->w, "wan0", RFC_WAN_ROUTER, NULL);
	rfc_run_s(t, 5); /* announcements are over */
	/* ARP for both routers is done before anything counts. */
	struct packet_spec hello = { .src = RFC_PEER1, .dst = RFC_HOST3, .proto = 253, .payload_len = 8 };
	station_send(t->wan, &hello);
	hello = (struct packet_spec){ .src = RFC_LAN_ROUTER, .dst = RFC_PEER1, .proto = 253, .payload_len = 8 };
	station_send(t->lan, &hello);
	rfc_run_s(t, 1);
	station_clear(t->lan);
	station_clear(t->wan);
	t->started = true;
}

void rfc_reload(struct rfc *t, const struct rfc_setup *s)
{
	char text[4096];

	write_config(t, s, text, sizeof(text));
	if (fixture_reload(&t->w, text) != 0)
		fail_msg("the config was refused");
	rfc_note(t, "the config is loaded again");
}

/* Notes. */

#define NOTE_MAX 512

void rfc_note(struct rfc *t, const char *fmt, ...)
{
	va_list ap;
	int n, m;

	if (sizeof(t->seen) - t->seen_len < NOTE_MAX) { /* the end is what counts */
		t->seen_len /= 2;
		memmove(t->seen, t->seen + t->seen_len, t->seen_len);
	}
	size_t room = sizeof(t->seen) - t->seen_len;

	n = snprintf(t->seen + t->seen_len, room, "#   %9.3f s  ", (double)t->w.now / NS_PER_S - 1000);
	if (n < 0)
		return;
	va_start(ap, fmt);
	m = vsnprintf(t->seen + t->seen_len + n, room - (size_t)n, fmt, ap);
	va_end(ap);
	if (m < 0 || (size_t)n + (size_t)m + 2 > room)
		return;
	t->seen_len += (size_t)n + (size_t)m;
	t->seen[t->seen_len++] = '\n';
}

static const char *protocol_name(uint8_t proto, char *buf, size_t cap)
{
	if (proto == IPPROTO_NR_TCP || proto == IPPROTO_NR_UDP || proto == IPPROTO_NR_ICMP)
		return proto == IPPROTO_NR_TCP ? "tcp" : proto == IPPROTO_NR_UDP ? "udp" : "icmp";
	snprintf(buf, cap, "protocol %u", proto);
	return buf;
}

#define ADDR_FMT "%u.%u.%u.%u"
#define ADDR_ARGS(a) (a) >> 24, (a) >> 16 & 255, (a) >> 8 & 255, (a)&255

static const char *way(const struct rfc *t, const struct station *s, bool sent)
{
	if (s == t->lan)
		return sent ? "lan -> gateway" : "lan <- gateway";
	return sent ? "wan -> gateway" : "wan <- gateway";
}

static void note_packet(struct rfc *t, const struct station *s, bool sent, const struct ipv4_view *ip,
			const struct l4_view *l4)
{
	char buf[32], rest[96] = "";

	if (ipv4_is_fragment(ip))
		snprintf(rest, sizeof(rest), " fragment at %u%s, id %u", ip->frag_off, ip->mf ? ", more follow" : "",
			 ip->id);
	else if (l4->kind == L4_UDP)
		snprintf(rest, sizeof(rest), " %u > %u", l4->sport, l4->dport);
	else if (l4->kind == L4_TCP)
		snprintf(rest, sizeof(rest), " %u > %u flags 0x%02x seq %u ack %u", l4->sport, l4->dport, l4->flags,
			 l4->seq, l4->ack);
	else if (l4->kind != L4_NONE)
		snprintf(rest, sizeof(rest), " type %u code %u id %u", l4->type, l4->code, l4->id);
	rfc_note(t, "%s: " ADDR_FMT " > " ADDR_FMT " %s%s, %u bytes, ttl %u%s", way(t, s, sent), ADDR_ARGS(ip->src),
		 ADDR_ARGS(ip->dst), protocol_name(ip->proto, buf, sizeof(buf)), rest, ip->total_len, ip->ttl,
		 ip->df ? ", DF" : "");
}

/* Packets. */

void rfc_run_s(struct rfc *t, uint32_t seconds)
{
	fixture_run(&t->w, seconds * (uint64_t)NS_PER_S);
}

void rfc_send(struct rfc *t, struct station *from, const struct packet_spec *p)
{
	static uint8_t bytes[PACKET_BUILD_MAX];
	uint32_t len = station_build(from, p, bytes);
	struct ipv4_view ip;
	struct l4_view l4 = { .kind = L4_NONE };

	if (ipv4_parse(bytes, len, &ip) == IPV4_OK) {
		l4_parse(&ip, bytes + ip.header_len, len - ip.header_len, &l4);
		note_packet(t, from, true, &ip, &l4);
	}
	station_send(from, p);
	fixture_run(&t->w, 20 * NS_PER_MS);
}

struct packet *rfc_next(struct rfc *t, struct station *at)
{
	struct packet *p = station_next(at);

	if (p != NULL)
		note_packet(t, at, false, &p->ip, &p->l4);
	return p;
}

struct packet *rfc_carry(struct rfc *t, struct station *from, const struct packet_spec *p, struct station *at)
{
	rfc_send(t, from, p);
	return rfc_next(t, at);
}

void rfc_send_ip(struct rfc *t, struct station *from, const uint8_t *ip, uint32_t len)
{
	struct ether_view eth = { .dst = from->gateway_mac, .src = from->mac, .type = ETHERTYPE_IPV4 };
	struct packet *p = packet_alloc(from->env.pool, max_u32(ETHER_HEADER_LEN + len, ETHER_MIN_FRAME));
	struct batch b = { .n = 0 };
	struct ipv4_view v;
	struct l4_view l4 = { .kind = L4_NONE };

	assert_non_null(p);
	memset(packet_frame(p), 0, p->len);
	ether_emit(packet_frame(p), &eth);
	memcpy(packet_frame(p) + ETHER_HEADER_LEN, ip, len);
	if (ipv4_parse(ip, len, &v) == IPV4_OK) {
		l4_parse(&v, ip + v.header_len, v.total_len - v.header_len, &l4);
		note_packet(t, from, true, &v, &l4);
	}
	batch_add(&b, p);
	from->env.ledger.n_originated++;
	from->device->ops->tx(from->device, &b);
	fixture_run(&t->w, 20 * NS_PER_MS);
}

void rfc_send_pieces(struct rfc *t, struct station *from, const struct packet_spec *p, const uint8_t *order, uint32_t n)
{
	static uint8_t bytes[PACKET_BUILD_MAX], fragment[65536];
	uint32_t len = station_build(from, p, bytes) - IPV4_HEADER_LEN;
	uint32_t size = (len / n + 7) & ~7u;
	struct ipv4_view ip;

	assert_int_equal(ipv4_parse(bytes, len + IPV4_HEADER_LEN, &ip), IPV4_OK);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t off = order[i] * size, part = min_u32(size, len - off);

		ip.frag_off = (uint16_t)off;
		ip.mf = off + part < len;
		ip.total_len = (uint16_t)(IPV4_HEADER_LEN + part);
		ipv4_emit(fragment, &ip);
		memcpy(fragment + IPV4_HEADER_LEN, bytes + IPV4_HEADER_LEN + off, part);
		rfc_send_ip(t, from, fragment, ip.total_len);
	}
}

struct rfc_whole rfc_gather(struct rfc *t, struct station *at)
{
	static uint8_t bytes[PACKET_BUILD_MAX];
	struct rfc_whole w = { .in_order = true };
	uint32_t len = 0, end = 0, next = 0;
	struct packet *p;

	while ((p = rfc_next(t, at)) != NULL) {
		uint32_t part = (uint32_t)p->ip.total_len - p->ip.header_len;

		if (w.n_fragments++ == 0)
			w.ip = p->ip;
		if (p->ip.id != w.ip.id || p->ip.src != w.ip.src || p->ip.dst != w.ip.dst)
			fail_msg("the fragments do not belong together");
		w.in_order = w.in_order && p->ip.frag_off == next;
		next = p->ip.frag_off + part;
		memcpy(bytes + p->ip.frag_off, packet_l4(p), part);
		len += part;
		if (!p->ip.mf)
			end = next;
	}
	if (w.n_fragments == 0 || len != end)
		fail_msg("%u fragments with %u bytes of %u arrived", w.n_fragments, len, end);
	w.ip.mf = false;
	w.ip.frag_off = 0;
	w.ip.total_len = (uint16_t)(w.ip.header_len + end);
	assert_int_equal(l4_parse(&w.ip, bytes, end, &w.l4), L4_OK);
	assert_true(l4_checksum_ok(&w.ip, bytes, end));
	return w;
}

static struct packet_spec make(uint8_t proto, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport,
			       uint8_t icmp_type)
{
	struct packet_spec p = {
		.src = src, .dst = dst, .proto = proto, .sport = sport, .dport = dport, .payload_len = 8
	};

	if (proto == IPPROTO_NR_TCP) {
		p.flags = TCP_SYN;
		p.seq = 1000;
		p.payload_len = 0;
	}
	if (proto == IPPROTO_NR_ICMP) {
		p.type = icmp_type;
		p.id = icmp_type == ICMP_ECHO_REQUEST ? sport : dport;
	}
	return p;
}

struct rfc_end rfc_try_out(struct rfc *t, uint8_t proto, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport)
{
	struct packet_spec rq = make(proto, src, sport, dst, dport, ICMP_ECHO_REQUEST);
	const struct packet *p = rfc_carry(t, t->lan, &rq, t->wan);

	if (p == NULL) {
		station_clear(t->lan); /* the refusal */
		return (struct rfc_end){ 0, 0 };
	}
	assert_int_equal(p->ip.proto, proto);
	assert_int_equal(p->ip.dst, dst);
	if (proto == IPPROTO_NR_ICMP)
		return (struct rfc_end){ p->ip.src, p->l4.id };
	assert_int_equal(p->l4.dport, dport);
	return (struct rfc_end){ p->ip.src, p->l4.sport };
}

struct rfc_end rfc_out(struct rfc *t, uint8_t proto, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport)
{
	struct rfc_end e = rfc_try_out(t, proto, src, sport, dst, dport);

	if (e.addr == 0)
		fail_msg("a new connection from inside did not come out");
	return e;
}

struct rfc_end rfc_in(struct rfc *t, uint8_t proto, uint32_t src, uint16_t sport, struct rfc_end dst)
{
	struct packet_spec rq = make(proto, src, sport, dst.addr, dst.port, ICMP_ECHO_REPLY);
	const struct packet *p = rfc_carry(t, t->wan, &rq, t->lan);

	if (p == NULL)
		return (struct rfc_end){ 0, 0 };
	assert_int_equal(p->ip.proto, proto);
	assert_int_equal(p->ip.src, src);
	if (proto == IPPROTO_NR_ICMP)
		return (struct rfc_end){ p->ip.dst, p->l4.id };
	assert_int_equal(p->l4.sport, sport);
	return (struct rfc_end){ p->ip.dst, p->l4.dport };
}

bool rfc_is_end(struct rfc_end e, uint32_t addr, uint16_t port)
{
	return e.addr == addr && e.port == port;
}

void rfc_same_end(struct rfc_end a, struct rfc_end b, const char *what)
{
	if (!rfc_is_end(a, b.addr, b.port))
		fail_msg("%s: " ADDR_FMT " port %u, then " ADDR_FMT " port %u", what, ADDR_ARGS(a.addr), a.port,
			 ADDR_ARGS(b.addr), b.port);
}

struct packet *rfc_hairpin(struct rfc *t, uint8_t proto, uint32_t src, uint16_t sport, struct rfc_end dst)
{
	struct packet_spec rq = make(proto, src, sport, dst.addr, dst.port, ICMP_ECHO_REQUEST);

	return rfc_carry(t, t->lan, &rq, t->lan);
}

/* Errors. */

struct packet *rfc_error(struct rfc *t, struct station *at, uint8_t type, uint8_t code, struct icmp_quote *q)
{
	struct packet *p = rfc_next(t, at);

	if (p == NULL)
		fail_msg("no ICMP error of type %u code %u arrived", type, code);
	if (p->l4.kind != L4_ICMP_ERROR || p->l4.type != type || p->l4.code != code)
		fail_msg("not an ICMP error of type %u code %u", type, code);
	const uint8_t *icmp = packet_l4(p);
	assert_true(icmp_quote_parse(icmp, packet_l4_len(p), q));
	assert_int_equal(q->ip.src, p->ip.dst);
	/* ipv4_parse verifies the quoted header's checksum. */
	struct ipv4_view inner;
	assert_int_equal(ipv4_parse(icmp + q->ip_offset, q->ip.total_len, &inner), IPV4_OK);
	if (q->len == q->ip.total_len && !ipv4_is_fragment(&q->ip))
		assert_true(l4_checksum_ok(&q->ip, icmp + q->l4_offset, q->len - q->ip.header_len));
	return p;
}

struct packet_spec rfc_error_about(struct packet *p, uint32_t src, uint8_t type, uint8_t code, uint8_t *quote,
				   uint16_t quote_len)
{
	assert_non_null(p);
	memcpy(quote, packet_l3(p), quote_len);
	return (struct packet_spec){
		.src = src,
		.dst = p->ip.src,
		.proto = IPPROTO_NR_ICMP,
		.type = type,
		.code = code,
		.payload = quote,
		.payload_len = quote_len,
	};
}
