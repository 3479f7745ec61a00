/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Connection tracking and NAT at the hooks, under any exchange of packets that
 * three inside and three outside hosts can think of: TCP with any flags and
 * numbers, UDP, pings, ICMP errors about anything that was sent, fragments in any
 * order, several packets a batch, rules that drop in between, time that jumps,
 * pools of few ports, a new config in the middle.
 *
 * What must hold: the law of conservation; every checksum of whatever comes out is
 * right at every depth (it was right when it went in); nothing leaves to the
 * outside with an inside address in it; an answer goes to whoever asked; every
 * tuple of a connection leads to it and to nobody else; ports in use are those of
 * the connections; and when all has ended, nothing is held.
 */
#include "gateway/conntrack/conntrack_priv.h"
#include "stack/ip/icmp.h"
#include "gateway/nat/nat_priv.h"
#include "wire_fuzz.h"
#include "stack/ip/route.h"

#define LAN 1u
#define WAN 2u
#define L3 14u
#define WAN_ADDR IP4(203, 0, 113, 1)
#define POOL_ADDR IP4(203, 0, 113, 16)
#define N_KEPT 16

struct fixture {
	struct env env;
	struct conntrack *ct;
	struct ports *ports;
	struct nat *nat;
	struct ip_config ip;
	struct nat_config cfg;
	struct nat_action snat, dnat;
	uint32_t drop_mask; /* which packets of the next batch the rules drop */
	uint32_t n_errors_wanted;
	struct kept {
		uint8_t bytes[128];
		uint32_t len, ifindex;
	} kept[N_KEPT]; /* what came out lately, to be quoted */
	uint32_t n_kept;
};

/* The part of the IP layer that NAT asks. */
struct ip_stack {
	struct fixture *w;
};

uint32_t ip_interface_address(const struct ip_stack *s, uint32_t ifindex, uint32_t dst)
{
	(void)s;
	(void)dst;
	return ifindex == WAN ? WAN_ADDR : IP4(10, 0, 0, 1);
}

const struct ip_config *ip_stack_config(const struct ip_stack *s)
{
	return &s->w->ip;
}

enum icmp_silence icmp_send_error(struct ip_stack *s, const struct packet *p, uint8_t type, uint8_t code, uint32_t info)
{
	(void)p;
	(void)info;
	s->w->n_errors_wanted += type == 3 && code == 13;
	return ICMP_SENT;
}

void tcp_send_unknown_reset(struct ip_stack *s, const struct packet *p)
{
	(void)s;
	(void)p;
}

static bool is_inside(uint32_t addr)
{
	return addr >> 24 == 10;
}

static enum packet_verdict rules(void *ctx, enum ip_hook hook, struct packet *p, struct nat_action *out)
{
	struct fixture *w = ctx;

	out->kind = NAT_ACTION_NONE;
	if (hook == HOOK_POSTROUTING && p->out_ifindex == WAN && is_inside(p->ip.src))
		*out = w->snat;
	if (hook == HOOK_PREROUTING && p->in_ifindex == WAN && p->ip.dst == WAN_ADDR && p->l4.dport == 80)
		*out = w->dnat;
	return VERDICT_CONTINUE;
}

static void ignore_event(void *ctx, const struct yg_event *e)
{
	(void)ctx;
	(void)e;
}

/* Everything that can be said of the tables. */
static void check_tables(struct fixture *w)
{
	uint32_t cursor = 0, index, n = 0, n_mapped = 0;

	while (conntrack_next(w->ct, &cursor, &index)) {
		const struct conn *c = conntrack_conn(w->ct, index);
		for (uint32_t d = 0; d < N_CT_DIRS; d++) {
			uint32_t ref = conntrack_find(w->ct, &c->half[d].tuple);
			FUZZ_CHECK(ref != CONN_NONE && conn_index(ref) == index);
			FUZZ_CHECK(conn_dir(ref) == d || tuple_equal(&c->half[0].tuple, &c->half[1].tuple));
		}
		FUZZ_CHECK(timer_armed(&w->ct->side[index].timer));
		/* An inside source never shows in what the outside answers to; the gateway may see it. */
		if (is_inside(c->half[CT_ORIGINAL].tuple.src) && !is_inside(c->half[CT_REPLY].tuple.src) &&
		    c->half[CT_REPLY].tuple.src != WAN_ADDR)
			FUZZ_CHECK(!is_inside(c->half[CT_REPLY].tuple.dst));
		n_mapped += (c->status & CT_MAPPED) != 0;
		n++;
	}
	FUZZ_CHECK(n == conntrack_n_connections(w->ct));
	FUZZ_CHECK(w->ct->n_unconfirmed == 0);
	FUZZ_CHECK(n_mapped + w->ct->n_dying >= conntrack_n_mapped(w->ct));
	FUZZ_CHECK(n_mapped <= conntrack_n_mapped(w->ct));
	FUZZ_CHECK(nat_law_difference(w->nat) == 0);
	FUZZ_CHECK(ledger_expected_held(&w->env.ledger) == (int64_t)packet_pool_used(w->env.pool));
}

static void check_out(struct fixture *w, struct packet *p)
{
	struct ipv4_view ip;
	struct l4_view l4;
	struct icmp_quote q;
	uint8_t *l3 = packet_l3(p);
	bool outside = p->out_ifindex == WAN;

	FUZZ_CHECK(ipv4_parse(l3, p->len - p->l3_off, &ip) == IPV4_OK);
	FUZZ_CHECK(ip.src == p->ip.src && ip.dst == p->ip.dst);
	FUZZ_CHECK(!p->conn_unconfirmed);
	if (outside)
		FUZZ_CHECK(!is_inside(ip.src) && !is_inside(ip.dst));
	if (!ipv4_is_fragment(&ip)) {
		uint8_t *p4 = l3 + ip.header_len;
		uint32_t len = (uint32_t)ip.total_len - ip.header_len;
		FUZZ_CHECK(l4_parse(&ip, p4, len, &l4) == L4_OK);
		FUZZ_CHECK(l4.sport == p->l4.sport && l4.dport == p->l4.dport && l4.id == p->l4.id);
		FUZZ_CHECK(l4_checksum_ok(&ip, p4, len));
		/* A quote in an error that is INVALID may say what it likes. */
		if (l4.kind == L4_ICMP_ERROR && p->ct_info == CT_INFO_RELATED) {
			FUZZ_CHECK(icmp_quote_parse(p4, len, &q));
			FUZZ_CHECK(q.ip.src == ip.dst);
			if (outside)
				FUZZ_CHECK(!is_inside(q.ip.src) && !is_inside(q.ip.dst));
			if (q.len == q.ip.total_len && !ipv4_is_fragment(&q.ip))
				FUZZ_CHECK(l4_checksum_ok(&q.ip, p4 + q.l4_offset, q.len - q.ip.header_len));
		}
	}
	struct kept *k = &w->kept[w->n_kept++ % N_KEPT];
	k->len = p->len - L3 < sizeof(k->bytes) ? p->len - L3 : sizeof(k->bytes);
	k->ifindex = p->out_ifindex;
	memcpy(k->bytes, l3, k->len);
	w->env.ledger.n_handed++;
	packet_free(w->env.pool, p);
}

static void settle(struct fixture *w, struct batch *b)
{
	batch_settle(b, w->env.pool, &w->env.ledger);
}

/* Through all hooks, with the rules' drops in the middle. */
static void walk(struct fixture *w, struct batch *b)
{
	struct batch way[2] = { { .n = 0 }, { .n = 0 } };

	conntrack_defrag(w->ct, HOOK_PREROUTING, b);
	settle(w, b);
	conntrack_in(w->ct, HOOK_PREROUTING, b);
	settle(w, b);
	nat_dst(w->nat, HOOK_PREROUTING, b);
	settle(w, b);
	for (uint32_t i = 0; i < b->n; i++, w->drop_mask >>= 1) {
		struct packet *p = b->p[i];
		p->to_us = p->ip.dst == WAN_ADDR || p->ip.dst == IP4(10, 0, 0, 1);
		p->forwarded = !p->to_us;
		p->out_ifindex = p->to_us ? 0 : is_inside(p->ip.dst) ? LAN : WAN;
		p->next_hop = p->ip.dst;
		if (w->drop_mask & 1)
			env_drop(&w->env, p, DROP_RULE_DROP);
		/* An inside address that no connection leads to is not routed from outside. */
		else if (p->out_ifindex == LAN && p->in_ifindex == WAN && p->conn_ref == CONN_NONE)
			env_drop(&w->env, p, DROP_POLICY_DROP);
		/* A pool's address without a mapping goes nowhere. */
		else if ((p->ip.dst & ~3u) == POOL_ADDR)
			env_drop(&w->env, p, DROP_NAT_NO_MAPPING);
		else
			batch_add(&way[p->to_us], p);
	}
	w->drop_mask = 0;
	b->n = 0;
	for (uint32_t k = 0; k < 2; k++) {
		enum ip_hook hook = k == 0 ? HOOK_POSTROUTING : HOOK_INPUT;
		nat_src(w->nat, hook, &way[k]);
		settle(w, &way[k]);
		conntrack_confirm(w->ct, hook, &way[k]);
		settle(w, &way[k]);
		for (uint32_t i = 0; i < way[k].n; i++)
			check_out(w, way[k].p[i]);
	}
}

static void resume(void *ctx, struct batch *b)
{
	walk(ctx, b);
}

/* An IPv4 packet of n bytes behind its header, at l4. */
static struct packet *finish(struct fixture *w, struct ipv4_view ip, const uint8_t *l4, uint32_t n, uint32_t in_ifindex)
{
	struct packet *p = packet_alloc(w->env.pool, L3 + IPV4_HEADER_LEN + n);

	if (p == NULL)
		return NULL;
	w->env.ledger.n_received++;
	p->l3_off = L3;
	p->l4_off = L3 + IPV4_HEADER_LEN;
	ip.total_len = (uint16_t)(IPV4_HEADER_LEN + n);
	ip.header_len = IPV4_HEADER_LEN;
	ip.ttl = 64;
	memset(packet_frame(p), 0, L3);
	ipv4_emit(packet_l3(p), &ip);
	memcpy(packet_l4(p), l4, n);
	p->in_ifindex = in_ifindex;
	if (ipv4_parse(packet_l3(p), p->len - L3, &p->ip) != IPV4_OK ||
	    l4_parse(&p->ip, packet_l4(p), n, &p->l4) != L4_OK) {
		env_drop(&w->env, p, DROP_IP_FRAGMENT_BAD);
		return NULL;
	}
	return p;
}

#define PPTP_FAR 1723

/* Another transport than those three: kind says which, number its tag, identifier or call. Returns the protocol. */
static uint8_t make_other(uint8_t *l4, uint32_t len, uint16_t sport, uint16_t dport, uint8_t kind, uint8_t number)
{
	static const uint8_t protos[] = {
		47, 47, 47, IPPROTO_NR_ESP, IPPROTO_NR_SCTP, IPPROTO_NR_DCCP, IPPROTO_NR_UDPLITE
	};
	uint8_t proto = protos[(kind & 7) % 7];

	fuzz_put16(l4, sport);
	fuzz_put16(l4 + 2, dport);
	if (proto == 47 && (kind & 7) != 0) {
		bool call = (kind & 7) == 2;

		fuzz_put16(l4, call ? 0x3001 : 0x2000);
		fuzz_put16(l4 + 2, call ? 0x880b : 0x0800);
		fuzz_put16(l4 + 6, number & 7);
	} else if (proto == IPPROTO_NR_ESP) {
		fuzz_put16(l4, 0);
		fuzz_put16(l4 + 2, 1 + (number & 7));
	} else if (proto == IPPROTO_NR_SCTP) {
		l4[7] = number & 7;
		l4[12] = kind >> 3 & 15;
		l4[15] = (uint8_t)(len - 12);
		l4[19] = number >> 3 & 7; /* the initiate tag */
	} else if (proto == IPPROTO_NR_DCCP) {
		l4[4] = (uint8_t)(len / 4 > 255 ? 255 : len / 4);
		l4[8] = (uint8_t)((kind >> 3 & 15) << 1 | 1);
	} else if (proto == IPPROTO_NR_UDPLITE) {
		l4[5] = 8;
	}
	return proto;
}

/* A control message of PPTP behind a TCP header, which names a call. */
static void make_call(uint8_t *p, uint8_t kind, uint8_t number)
{
	fuzz_put16(p, 32);
	fuzz_put16(p + 2, 1);
	fuzz_put16(p + 4, 0x1a2b);
	fuzz_put16(p + 6, 0x3c4d);
	fuzz_put16(p + 8, (uint16_t)(7 + (kind >> 3 & 15) % 9));
	fuzz_put16(p + 12, number & 7);
	fuzz_put16(p + 14, number >> 3 & 7);
	p[16] = (number >> 6 & 1) ^ 1;
}

static struct packet *make_packet(struct fixture *w, struct fuzz_input *in)
{
	static const uint8_t protos[] = { IPPROTO_NR_TCP, IPPROTO_NR_UDP, IPPROTO_NR_ICMP, 47 };
	uint8_t l4[256] = { 0 };
	uint32_t who = fuzz_take(in, 1), ports = fuzz_take(in, 1), how = fuzz_take(in, 1);
	bool from_inside = who & 1;
	uint32_t inside = IP4(10, 0, 0, 2) + (who >> 1 & 3) % 3, outside = IP4(198, 51, 100, 2) + (who >> 3 & 3) % 3;
	struct ipv4_view ip = { .proto = protos[how & 3], .id = (uint16_t)(how >> 6) };
	uint16_t near = (uint16_t)(4000 + (ports & 3)), far = (uint16_t)(ports & 4 ? 80 : 53);
	uint32_t len = 24 + (ports >> 5) * 8;

	ip.src = from_inside ? inside : outside;
	ip.dst = from_inside ? outside : (who & 0x20 ? POOL_ADDR + (who >> 1 & 1) : WAN_ADDR);
	/* A hairpin, or the gateway itself. */
	if (from_inside && (who & 0xc0) == 0xc0)
		ip.dst = who & 0x20 ? WAN_ADDR : POOL_ADDR;
	uint16_t sport = from_inside ? near : far, dport = from_inside ? far : near;
	if (!from_inside && (ports & 8))
		dport = 80;
	else if (!from_inside || ip.dst == POOL_ADDR)
		dport = (uint16_t)(2000 + (ports >> 3 & 7));
	switch (ip.proto) {
	case IPPROTO_NR_TCP: {
		uint32_t numbers = fuzz_take(in, 1), flags = fuzz_take(in, 1);
		tcp_emit(l4, sport, dport, 1000 * (numbers & 15), 1000 * (numbers >> 4), (uint8_t)flags,
			 (uint16_t)(flags << 6));
		break;
	}
	case IPPROTO_NR_UDP:
		udp_emit(l4, sport, dport, (uint16_t)(len - UDP_HEADER_LEN));
		break;
	case IPPROTO_NR_ICMP:
		icmp_emit(l4, from_inside ^ (ports >> 7 & 1) ? ICMP_ECHO_REQUEST : ICMP_ECHO_REPLY, 0,
			  (uint32_t)(from_inside ? near : dport) << 16);
		break;
	default: {
		uint8_t kind = (uint8_t)fuzz_take(in, 1), number = (uint8_t)fuzz_take(in, 1);

		if ((kind & 7) != 7) {
			ip.proto = make_other(l4, len, sport, dport, kind, number);
			break;
		}
		uint32_t numbers = fuzz_take(in, 1), flags = fuzz_take(in, 1);
		ip.proto = IPPROTO_NR_TCP;
		len = TCP_HEADER_LEN + 32;
		tcp_emit(l4, from_inside ? near : PPTP_FAR, from_inside ? PPTP_FAR : dport, 1000 * (numbers & 15),
			 1000 * (numbers >> 4), (uint8_t)flags, (uint16_t)(flags << 6));
		make_call(l4 + TCP_HEADER_LEN, kind, number);
		break;
	}
	}
	ip.total_len = (uint16_t)(IPV4_HEADER_LEN + len);
	l4_checksum_set(&ip, l4, len);
	if (!(how & 4))
		return finish(w, ip, l4, len, from_inside ? LAN : WAN);
	/* A piece: from an offset of 0 to 24, to the end or not. */
	uint32_t off = (how >> 3 & 3) * 8;
	ip.mf = how & 0x20;
	ip.frag_off = (uint16_t)off;
	return finish(w, ip, l4 + off, ip.mf ? (off == 0 && ip.proto == IPPROTO_NR_TCP ? 24 : 8) : len - off,
		      from_inside ? LAN : WAN);
}

/* An ICMP error about something that came out. */
static struct packet *make_error(struct fixture *w, struct fuzz_input *in)
{
	static const uint8_t types[] = { ICMP_DEST_UNREACHABLE, ICMP_TIME_EXCEEDED, ICMP_PARAMETER_PROBLEM,
					 ICMP_REDIRECT };
	uint8_t l4[8 + sizeof(w->kept[0].bytes)];
	uint32_t which = fuzz_take(in, 1), how = fuzz_take(in, 1);
	const struct kept *k = &w->kept[which % N_KEPT];
	struct ipv4_view quoted, ip = { .proto = IPPROTO_NR_ICMP };
	uint32_t len = k->len;

	if (k->len == 0 || k->ifindex == 0 || ipv4_parse_quoted(k->bytes, k->len, &quoted) != IPV4_OK)
		return NULL;
	if (how & 8 && len > 28)
		len = 28;
	icmp_emit(l4, types[how & 3], (uint8_t)(how >> 4 & 3), 0);
	memcpy(l4 + ICMP_HEADER_LEN, k->bytes, len);
	ip.dst = quoted.src;
	ip.src = how & 4 ? quoted.dst : (k->ifindex == WAN ? IP4(192, 0, 2, 9) : IP4(10, 9, 9, 9));
	ip.total_len = (uint16_t)(IPV4_HEADER_LEN + ICMP_HEADER_LEN + len);
	l4_checksum_set(&ip, l4, ICMP_HEADER_LEN + len);
	return finish(w, ip, l4, ICMP_HEADER_LEN + len, k->ifindex);
}

static void configure(struct fixture *w, uint32_t how)
{
	struct ct_config ct = { .pick_up = how & 1, .max_per_source = how & 2 ? 5 : 0 };
	struct nat_pool_config *pool = &w->cfg.pool[0];

	conntrack_configure(w->ct, &ct);
	w->cfg.n_pools = 1;
	strcpy(pool->name, "p");
	pool->n_ranges = 1;
	pool->range[0] = (struct nat_address_range){ POOL_ADDR, POOL_ADDR + (how >> 2 & 1) };
	pool->ports = (struct port_range){ 2000, (uint16_t)(how & 8 ? 2001 : 2007) };
	pool->mapping = how >> 4 & 1;
	pool->filtering = (uint8_t)((how >> 5 & 3) % 3);
	pool->preserve_parity = how >> 7 & 1;
	pool->paired = how >> 8 & 1;
	static const uint8_t kinds[] = { NAT_ACTION_POOL, NAT_ACTION_MASQUERADE, NAT_ACTION_RANGE, NAT_ACTION_PREFIX };
	w->snat = (struct nat_action){ .kind = kinds[how >> 9 & 3],
				       .flags = NAT_FLAG_ADDRESS | (how & 0x800 ? NAT_FLAG_PORT : 0),
				       .prefix_len = 24,
				       .range = { WAN_ADDR, WAN_ADDR },
				       .ports = { 2000, 2003 } };
	if (w->snat.kind == NAT_ACTION_POOL)
		w->snat.flags = 0;
	w->dnat = (struct nat_action){ .kind = NAT_ACTION_RANGE,
				       .flags = NAT_FLAG_ADDRESS | NAT_FLAG_PORT,
				       .range = { IP4(10, 0, 0, 2), IP4(10, 0, 0, 3) },
				       .ports = { 4000, 4001 } };
	nat_configure(w->nat, &w->cfg);
}

static void pass(struct fixture *w, uint64_t ns)
{
	w->env.now += ns;
	conntrack_expire(w->ct);
	nat_expire(w->nat);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t seed[RNG_SEED_BYTES] = { 1 };
	static const struct packet_pool_config pool = { .n_packets = 160, .n_small = 160, .n_large = 1 };
	struct fuzz_input in = { data, size };
	struct fixture *w = calloc(1, sizeof(*w));
	struct ip_stack stack = { w };
	struct batch b = { .n = 0 };

	FUZZ_CHECK(w != NULL);
	w->env = (struct env){ .pool = packet_pool_create(&pool), .emit = ignore_event, .now = NS_PER_S };
	rng_init(&w->env.rng, seed);
	w->ip.interface[WAN].n_addresses = 1;
	w->ip.interface[WAN].address[0].addr = WAN_ADDR;
	w->ct = conntrack_create(&w->env, &(struct ct_limits){ .n_connections = 12, .n_fragments = 12 });
	w->ports = ports_create(3, &w->env.rng);
	FUZZ_CHECK(w->ports != NULL);
	w->nat =
		nat_create(&w->env, &stack, w->ct, w->ports, &(struct nat_limits){ .n_addresses = 3, .n_mappings = 8 });
	FUZZ_CHECK(w->env.pool != NULL && w->ct != NULL && w->nat != NULL);
	packet_pool_set_conn_slots(w->env.pool,
				   &(struct packet_conn_slots){ .ctx = w->ct, .put = conntrack_packet_put });
	conntrack_set_ip(w->ct, &(struct ct_ip_ops){ .resume = resume }, w);
	nat_set_rules(w->nat, rules, w);
	configure(w, fuzz_take(&in, 2));
	while (in.n_left > 0) {
		uint32_t op = fuzz_take(&in, 1);
		struct packet *p = NULL;
		if ((op & 7) < 5)
			p = make_packet(w, &in);
		else if ((op & 7) == 5)
			p = make_error(w, &in);
		else if (op == 0x0e)
			configure(w, fuzz_take(&in, 2));
		else if ((op & 7) == 6)
			w->drop_mask = op >> 3;
		else
			pass(w, (uint64_t)fuzz_take(&in, 1) * fuzz_take(&in, 1) * NS_PER_S / 4);
		if (p != NULL)
			batch_add(&b, p);
		if (b.n == BATCH_MAX || (op & 0x80) || in.n_left == 0) {
			walk(w, &b);
			check_tables(w);
		}
	}
	pass(w, 31 * NS_PER_S);
	for (int i = 0; i < 9; i++)
		pass(w, 8000 * NS_PER_S);
	check_tables(w);
	FUZZ_CHECK(packet_pool_used(w->env.pool) == 0);
	FUZZ_CHECK(conntrack_n_connections(w->ct) == 0);
	FUZZ_CHECK(w->ct->conns.n_used == 0 && w->ct->table.n_entries == 0 && w->ct->sources.pool.n_used == 0);
	FUZZ_CHECK(w->nat->mappings.pool.n_used == 0 && w->nat->mappings.pairs.n_used == 0);
	FUZZ_CHECK(w->nat->mappings.pinholes.n_used == 0 && w->nat->calls.pool.n_used == 0);
	nat_destroy(w->nat);
	ports_destroy(w->ports);
	conntrack_destroy(w->ct);
	packet_pool_destroy(w->env.pool);
	free(w);
	return 0;
}
