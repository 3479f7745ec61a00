/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Rules from text to verdict: each construct of the language is read, compiled
 * and asked about packets. A row of the first table would catch a match that is
 * read as something else than nft means by it.
 */
#include "ip/stack_bench.h"

#include "control/config.h"
#include "wire/icmp.h"

struct world {
	struct bench *b;
	struct conntrack *ct;
	struct rules *r;
	struct config *cfg;
	struct ruleset *rs;
};

static void world_open(struct world *w)
{
	static const struct ct_limits limits = { .n_connections = 64, .n_fragments = 16 };

	*w = (struct world){ .b = bench_create_settled() };
	w->ct = conntrack_create(&w->b->env, &limits);
	assert_non_null(w->ct);
	w->r = rules_create(&w->b->env, w->b->s, w->ct);
	assert_non_null(w->r);
}

static void world_rules(struct world *w, const char *text)
{
	struct config_errors *errors = NULL;
	struct rules_error re[4];
	struct ruleset *old = w->rs;
	size_t n;

	config_free(w->cfg);
	w->cfg = config_read_text("test", text, strlen(text), &errors);
	if (w->cfg == NULL) {
		config_errors_print(errors, stderr);
		fail_msg("does not load: %s", text);
	}
	config_errors_free(errors);
	w->rs = rules_compile(&w->cfg->rules, &w->cfg->nat, re, 4, &n);
	assert_non_null(w->rs);
	assert_int_equal(rules_configure(w->r, w->rs), 0);
	ruleset_destroy(old);
}

static void world_close(struct world *w)
{
	rules_destroy(w->r);
	ruleset_destroy(w->rs);
	config_free(w->cfg);
	conntrack_destroy(w->ct);
	bench_destroy(w->b);
}

/* A packet as it passes FORWARD from lan0 to wan0. */
static struct packet *world_packet(struct world *w, const struct spec *sp)
{
	struct frame *f = malloc(sizeof(*f));
	struct packet *p;

	make_frame(f, sp);
	p = bench_receive(w->b, f);
	free(f);
	p->in_ifindex = LAN;
	p->out_ifindex = WAN;
	p->l3_off = ETHER_HEADER_LEN;
	assert_int_equal(ipv4_parse(packet_l3(p), p->len - 14, &p->ip), IPV4_OK);
	p->l4_off = (uint16_t)(p->l3_off + p->ip.header_len);
	assert_int_equal(l4_parse(&p->ip, packet_l4(p), packet_l4_len(p), &p->l4), L4_OK);
	return p;
}

/* Through every filter chain of the hook; the reason of a drop, or -1. Frees the packet. */
static int world_run(struct world *w, enum ip_hook hook, struct packet *p)
{
	struct batch b = { .n = 1, .p = { p } };
	struct hook_entry e;
	int reason = -1;

	for (uint32_t i = 0; p->verdict == VERDICT_CONTINUE && rules_hook_entry(w->r, hook, i, &e); i++)
		e.fn(e.ctx, hook, &b);
	if (p->verdict == VERDICT_DROP)
		reason = p->reason;
	env_drop(&w->b->env, p, DROP_RULE_DROP);
	return reason;
}

enum { TCP, SYNACK, UDP, PING, FRAG, ESP, CONN, MARKED, N_KINDS };

static const struct spec specs[N_KINDS] = {
	[TCP] = { .src = LAN_HOST,
		  .dst = FAR,
		  .proto = IPPROTO_NR_TCP,
		  .sport = 40000,
		  .dport = 80,
		  .flags = TCP_SYN,
		  .payload = 10 },
	[SYNACK] = { .src = LAN_HOST,
		     .dst = FAR,
		     .proto = IPPROTO_NR_TCP,
		     .sport = 1,
		     .dport = 9,
		     .flags = TCP_SYN | TCP_ACK },
	[UDP] = { .src = LAN_HOST,
		  .dst = FAR,
		  .proto = IPPROTO_NR_UDP,
		  .sport = 53,
		  .dport = 5353,
		  .payload = 12,
		  .df = true },
	[PING] = { .src = LAN_HOST,
		   .dst = FAR,
		   .proto = IPPROTO_NR_ICMP,
		   .icmp_type = ICMP_ECHO_REQUEST,
		   .payload = 8 },
	[FRAG] = { .src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_TCP, .frag_off = 64, .payload = 40, .id = 77 },
	[ESP] = { .src = LAN_HOST, .dst = FAR, .proto = 50, .payload = 40, .ttl = 9 },
	[CONN] = { .src = LAN_HOST,
		   .dst = FAR,
		   .proto = IPPROTO_NR_TCP,
		   .sport = 40000,
		   .dport = 443,
		   .flags = TCP_ACK },
	[MARKED] = { .src = LAN_HOST,
		     .dst = FAR,
		     .proto = IPPROTO_NR_TCP,
		     .sport = 40000,
		     .dport = 443,
		     .flags = TCP_ACK },
};

static struct packet *world_kind(struct world *w, int kind)
{
	struct packet *p = world_packet(w, &specs[kind]);
	struct conn *c = conntrack_conn(w->ct, 0);

	p->ct_info = CT_INFO_NEW;
	if (kind == MARKED)
		p->mark = 0x1234;
	if (kind != CONN)
		return p;
	*c = (struct conn){ .status = CT_SEEN_REPLY | CT_ASSURED | CT_CONFIRMED | CT_SNAT,
			    .mark = 0x12,
			    .tuple = { [CT_ORIGINAL] = { .src = LAN_HOST,
							 .dst = FAR,
							 .sport = 40000,
							 .dport = 443,
							 .proto = IPPROTO_NR_TCP,
							 .zone = 3 } } };
	p->conn_ref = 1; /* connection 0, reply */
	p->ct_info = CT_INFO_ESTABLISHED;
	return p;
}

struct row {
	const char *match;
	uint32_t hits; /* a bit for each kind that matches */
};

#define B(kind) (1u << (kind))
#define ALL (B(N_KINDS) - 1)
#define ALL_TCP (B(TCP) | B(SYNACK) | B(CONN) | B(MARKED))

static const struct row rows[] = {
	{ "", ALL },
	{ "iifname \"lan0\"", ALL },
	{ "iifname lan0", ALL },
	{ "iif \"lan0\"", ALL },
	{ "iifname \"wan0\"", 0 },
	{ "iifname \"nobody\"", 0 },
	{ "iifname != \"nobody\"", ALL },
	{ "iifname != lan0", 0 },
	{ "iifname \"la*\"", ALL },
	{ "iifname wan*", 0 },
	{ "oifname { \"x\", \"wan0\" }", ALL },
	{ "meta oifname { \"x\", \"y*\" }", 0 },
	{ "meta l4proto tcp", ALL_TCP | B(FRAG) },
	{ "meta l4proto { tcp, udp }", ALL_TCP | B(FRAG) | B(UDP) },
	{ "meta l4proto != { 6, 17 }", B(PING) | B(ESP) },
	{ "ip protocol 50", B(ESP) },
	{ "ip protocol esp", B(ESP) },
	{ "meta length 20-54", B(SYNACK) | B(UDP) | B(PING) | B(TCP) | B(CONN) | B(MARKED) },
	{ "ip length > 54", B(FRAG) | B(ESP) },
	{ "meta mark 0x1234", B(MARKED) },
	{ "mark & 0xff == 0x34", B(MARKED) },
	{ "mark and 0xff00 != 0x1200", ALL & ~B(MARKED) },
	{ "meta mark { 1, 0x1234 }", B(MARKED) },
	{ "meta pkttype host", ALL },
	{ "pkttype broadcast", 0 },
	{ "meta nfproto ipv4", ALL },
	{ "meta nfproto != ipv4", 0 },
	{ "ip saddr 10.0.1.2", ALL },
	{ "ip saddr 10.0.1.0/24", ALL },
	{ "ip saddr 10.0.1.77/24", ALL },
	{ "ip saddr != 10.0.0.0/8", 0 },
	{ "ip daddr 198.51.100.0-198.51.100.6", 0 },
	{ "ip daddr 198.51.100.0-198.51.100.7", ALL },
	{ "ip daddr { 1.1.1.1, 198.51.100.0/28, 9.9.9.9 }", ALL },
	{ "ip daddr @far", ALL },
	{ "ip daddr != @far", 0 },
	{ "ip saddr @far", 0 },
	{ "ip saddr @none", 0 },
	{ "ip saddr != @none", ALL },
	{ "ip daddr & 255.0.0.255 == 198.0.0.7", ALL },
	{ "ip ttl 9", B(ESP) },
	{ "ip ttl < 10", B(ESP) },
	{ "ip ttl <= 9", B(ESP) },
	{ "ip ttl >= 64", ALL & ~B(ESP) },
	{ "ip ttl > 255", 0 },
	{ "ip ttl lt 0", 0 },
	{ "ip dscp cs0", ALL },
	{ "ip dscp != be", 0 },
	{ "ip id 77", B(FRAG) },
	{ "ip frag-off & 0x1fff != 0", B(FRAG) },
	{ "ip frag-off & 8191 == 8", B(FRAG) },
	{ "ip frag-off & 0x4000 == 0x4000", B(UDP) },
	{ "tcp dport 80", B(TCP) },
	{ "tcp dport http", B(TCP) },
	{ "tcp dport != 80", ALL_TCP & ~B(TCP) },
	{ "tcp dport { 22, 80-90, 443 }", B(TCP) | B(CONN) | B(MARKED) },
	{ "tcp dport { 1, 3, 5, 7, 11, 80-90, 65535 }", B(TCP) },
	{ "tcp dport { 1, 3, 5, { 7, 80 } }", B(TCP) },
	{ "tcp dport @web", B(TCP) | B(CONN) | B(MARKED) },
	{ "tcp sport >= 40000", ALL_TCP & ~B(SYNACK) },
	{ "udp sport 53", B(UDP) },
	{ "udp length 20", B(UDP) },
	{ "th dport { 80, 5353 }", B(TCP) | B(UDP) },
	{ "th sport 0-65535", ALL_TCP | B(UDP) },
	{ "tcp flags syn", B(TCP) | B(SYNACK) },
	{ "tcp flags syn,ack", ALL_TCP },
	{ "tcp flags == syn", B(TCP) },
	{ "tcp flags != syn", ALL_TCP & ~B(TCP) },
	{ "tcp flags & (fin | syn | rst | ack) == syn", B(TCP) },
	{ "tcp flags & (syn|ack) == (syn|ack)", B(SYNACK) },
	{ "tcp flags & (syn|ack) == syn,ack", B(SYNACK) },
	{ "tcp flags & syn != 0", B(TCP) | B(SYNACK) },
	{ "tcp flags syn / fin,syn,rst,ack", B(TCP) },
	{ "tcp flags ack / syn,ack", B(CONN) | B(MARKED) },
	{ "tcp flags ! syn", B(CONN) | B(MARKED) },
	{ "tcp flags 0x12", ALL_TCP },
	{ "tcp flags { syn, syn | ack }", B(TCP) | B(SYNACK) },
	{ "icmp type echo-request", B(PING) },
	{ "icmp type { echo-reply, 13 }", 0 },
	{ "icmp code 0", B(PING) },
	{ "icmp id 0x1234", B(PING) },
	{ "icmp type != echo-request", 0 },
	{ "ct state new", ALL & ~B(CONN) },
	{ "ct state established,related", B(CONN) },
	{ "ct state { established, related }", B(CONN) },
	{ "ct state != established", ALL & ~B(CONN) },
	{ "ct state != { established, related }", ALL & ~B(CONN) },
	{ "ct state != established | related", ALL },
	{ "ct state invalid,untracked", 0 },
	{ "ct status assured", B(CONN) },
	{ "ct status dnat,snat", B(CONN) },
	{ "ct status & (dnat|snat) == snat", B(CONN) },
	{ "ct mark 0x12", B(CONN) },
	{ "ct mark != 0x12", 0 }, /* without a connection there is no mark to be unequal */
	{ "ct mark & 0xf0 == 0x10", B(CONN) },
	{ "ct direction reply", B(CONN) },
	{ "ct direction original", 0 },
	{ "ct zone 3", B(CONN) },
	{ "ct protocol tcp", B(CONN) },
	{ "ct original ip saddr 10.0.1.2", B(CONN) },
	{ "ct original daddr 198.51.100.0/24", B(CONN) },
	{ "ct original proto-dst 443", B(CONN) },
	{ "ip protocol tcp ip ttl 64 tcp dport 80 iifname lan0 oifname wan0", B(TCP) },
	{ "counter ip protocol udp counter packets 3 bytes 4", B(UDP) },
	{ "ip saddr $nets", ALL },
	{ "ip saddr { $nets, 9.9.9.9 }", ALL },
	{ "tcp dport $port", B(TCP) },
};

#define HEAD \
	"define nets = { 10.0.1.0/24, 10.9.0.0/16 }\n" \
	"define port = 80\n" \
	"table ip t {\n" \
	" set far { type ipv4_addr; flags interval; elements = { 1.2.3.4, 198.51.100.0/24 } }\n" \
	" set none { type ipv4_addr; }\n" \
	" set web { type inet_service\n elements = { 80, 443,\n 8080-8090 } }\n" \
	" chain c { type filter hook forward priority filter; policy accept;\n"

static void test_matches(void **state)
{
	struct world w;
	char text[1024];

	world_open(&w);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(text, sizeof(text), HEAD "%s drop\n }\n}\n", rows[i].match);
		world_rules(&w, text);
		for (int k = 0; k < N_KINDS; k++) {
			int want = rows[i].hits & B(k) ? DROP_RULE_DROP : -1;
			int got = world_run(&w, HOOK_FORWARD, world_kind(&w, k));

			if (got != want)
				fail_msg("\"%s\", packet %d: %d, not %d", rows[i].match, k, got, want);
		}
	}
	world_close(&w);
}

struct verdict_row {
	const char *rules; /* of chain c; policy drop */
	int kind;
	int want; /* drop reason, -1: through */
};

/* Would catch a verdict that goes on where it should end, or comes back to the wrong place. */
static const struct verdict_row verdict_rows[] = {
	{ "", TCP, DROP_POLICY_DROP },
	{ "accept", TCP, -1 },
	{ "drop", TCP, DROP_RULE_DROP },
	{ "return\n accept", TCP, DROP_POLICY_DROP },
	{ "continue\n accept", TCP, -1 },
	{ "jump a", TCP, -1 },
	{ "jump b\n accept", TCP, -1 },
	{ "goto b\n accept", TCP, DROP_POLICY_DROP },
	{ "jump c2\n accept", TCP, -1 },
	{ "jump c3\n drop", TCP, DROP_RULE_DROP },
	{ "jump deny\n accept", TCP, DROP_RULE_DROP },
	{ "udp dport 1 jump a", TCP, DROP_POLICY_DROP },
	{ "ip protocol vmap { tcp : jump a, udp : drop }", TCP, -1 },
	{ "ip protocol vmap { tcp : jump a, udp : drop }", UDP, DROP_RULE_DROP },
	{ "ip protocol vmap { tcp : jump a, udp : drop }", PING, DROP_POLICY_DROP },
	{ "tcp dport vmap { 22 : drop, 80-90 : accept }", TCP, -1 },
	{ "tcp dport vmap { 22 : drop, 80-90 : accept }", UDP, DROP_POLICY_DROP },
	{ "tcp dport vmap { 22 : drop, 80-90 : return }\n accept", TCP, DROP_POLICY_DROP },
	{ "tcp dport vmap { 22 : drop, 80-90 : continue }\n accept", TCP, -1 },
	{ "tcp dport vmap { 22 : drop, 80-90 : goto b }\n accept", TCP, DROP_POLICY_DROP },
	{ "iifname vmap { \"wan0\" : drop, \"lan*\" : accept }", TCP, -1 },
	{ "ct state vmap { invalid : drop, established : accept, related : accept }", CONN, -1 },
	{ "ct state vmap { invalid : drop, established : accept, related : accept }", TCP, DROP_POLICY_DROP },
	{ "reject", TCP, DROP_RULE_REJECT },
	{ "reject with tcp reset", TCP, DROP_RULE_REJECT },
	{ "reject with tcp reset", UDP, DROP_POLICY_DROP }, /* not for what is no TCP */
	{ "reject with icmp type host-unreachable", UDP, DROP_RULE_REJECT },
	{ "meta mark set 5 meta mark 5 accept", TCP, -1 },
	{ "meta mark set mark & 0xff00 | 0x7 meta mark 0x1207 accept", MARKED, -1 },
	{ "meta mark set meta mark xor 0xffff or 0x1 meta mark 0xedcb accept", MARKED, -1 },
	{ "meta mark set mark or 0x30 meta mark 0x1234 accept", MARKED, -1 },
	{ "meta mark set ct mark meta mark 0x12 accept", CONN, -1 },
	{ "meta mark set ct mark accept", TCP, DROP_POLICY_DROP },
	{ "ct mark set 9 ct mark 9 accept", CONN, -1 },
	{ "ct mark set meta mark accept", TCP, DROP_POLICY_DROP },
};

static void test_verdicts(void **state)
{
	struct world w;
	char text[1024];

	world_open(&w);
	for (size_t i = 0; i < ARRAY_LEN(verdict_rows); i++) {
		const struct verdict_row *r = &verdict_rows[i];
		int got;

		snprintf(text, sizeof(text),
			 "table ip t {\n chain c { type filter hook forward priority 0; policy drop;\n %s\n }\n"
			 " chain a { accept }\n chain b { return\n accept }\n chain deny { drop }\n"
			 " chain c2 { jump b; goto b; }\n chain c3 { jump c2 }\n}\n",
			 r->rules);
		world_rules(&w, text);
		got = world_run(&w, HOOK_FORWARD, world_kind(&w, r->kind));
		if (got != r->want)
			fail_msg("\"%s\": %d, not %d", r->rules, got, r->want);
	}
	world_close(&w);
}

/* Chains of one hook run by priority; accept ends its own chain only, drop ends all. */
static void test_chains_by_priority(void **state)
{
	struct world w;

	world_open(&w);
	world_rules(&w, "table ip a { chain late { type filter hook forward priority filter + 5; mark 1 drop; }\n"
			" chain early { type filter hook forward priority mangle; meta mark set 1 accept; } }");
	assert_int_equal(world_run(&w, HOOK_FORWARD, world_kind(&w, TCP)), DROP_RULE_DROP);
	assert_int_equal(world_run(&w, HOOK_INPUT, world_kind(&w, TCP)), -1);
	world_close(&w);
}

/* What a rejected packet brings back to its sender. */
static void test_reject_answers(void **state)
{
	struct world w;
	struct seen v;

	world_open(&w);
	world_rules(&w, "table inet t { chain c { type filter hook forward priority 0;\n"
			"tcp dport 80 reject with tcp reset\n reject with icmpx admin-prohibited\n } }");
	assert_int_equal(world_run(&w, HOOK_FORWARD, world_kind(&w, TCP)), DROP_RULE_REJECT);
	ip_flush(w.b->s);
	v = bench_seen(w.b, LAN, 0);
	assert_int_equal(v.l4.kind, L4_TCP);
	assert_true(v.l4.flags & TCP_RST);
	assert_int_equal(world_run(&w, HOOK_FORWARD, world_kind(&w, UDP)), DROP_RULE_REJECT);
	ip_flush(w.b->s);
	v = bench_seen(w.b, LAN, 1);
	assert_int_equal(v.l4.type, ICMP_DEST_UNREACHABLE);
	assert_int_equal(v.l4.code, ICMP_ADMIN_PROHIBITED);
	world_close(&w);
}

/* notrack marks what conntrack has not seen, and nothing else. */
static void test_notrack(void **state)
{
	struct world w;
	struct packet *p;
	struct batch b = { .n = 1 };
	struct hook_entry e;

	world_open(&w);
	world_rules(&w, "table ip raw { chain p { type filter hook prerouting priority raw; udp sport 53 notrack; } }");
	assert_true(rules_hook_entry(w.r, HOOK_PREROUTING, 0, &e));
	assert_int_equal(e.priority, -300);
	assert_string_equal(e.name, "raw p");
	assert_false(rules_hook_entry(w.r, HOOK_PREROUTING, 1, &e));
	p = world_packet(&w, &specs[UDP]);
	b.p[0] = p;
	e.fn(e.ctx, HOOK_PREROUTING, &b);
	assert_int_equal(p->ct_info, CT_INFO_UNTRACKED);
	env_drop(&w.b->env, p, DROP_RULE_DROP);
	p = world_kind(&w, UDP);
	b.p[0] = p;
	e.fn(e.ctx, HOOK_PREROUTING, &b);
	assert_int_equal(p->ct_info, CT_INFO_NEW);
	env_drop(&w.b->env, p, DROP_RULE_DROP);
	world_close(&w);
}

/* The MSS that a SYN with 1460 has behind this rule. */
static uint16_t mss_after(struct world *w, const char *rule)
{
	struct packet *p = world_kind(w, TCP);
	struct hook_entry e;
	struct batch b = { .n = 1, .p = { p } };
	struct tcp_options o;
	uint8_t *l4 = packet_l4(p);
	char text[512];

	snprintf(text, sizeof(text), "table ip t { chain c { type filter hook forward priority 0;\n%s\n } }", rule);
	world_rules(w, text);
	l4[12] = 6 << 4;
	memcpy(l4 + TCP_HEADER_LEN, (const uint8_t[]){ 2, 4, 1460 >> 8, 1460 & 0xff }, 4);
	l4_checksum_set(&p->ip, l4, packet_l4_len(p));
	assert_int_equal(l4_parse(&p->ip, l4, packet_l4_len(p), &p->l4), L4_OK);
	assert_true(rules_hook_entry(w->r, HOOK_FORWARD, 0, &e));
	e.fn(e.ctx, HOOK_FORWARD, &b);
	assert_true(l4_checksum_ok(&p->ip, l4, packet_l4_len(p)));
	assert_true(tcp_options_parse(l4, &p->l4, &o));
	env_drop(&w->b->env, p, DROP_RULE_DROP);
	return o.mss;
}

/* Would catch: an MSS that forgets the headers or one of the two links, and one that is raised. */
static void test_mss(void **state)
{
	uint32_t wan, lan;
	struct world w;

	world_open(&w);
	wan = w.b->cfg.interface[WAN].mtu;
	lan = w.b->cfg.interface[LAN].mtu;
	assert_int_equal(mss_after(&w, "tcp flags syn tcp option maxseg size set 1300"), 1300);
	assert_int_equal(mss_after(&w, "tcp option maxseg size set 1461"), 1460);
	assert_int_equal(mss_after(&w, "udp dport 1 tcp option maxseg size set 1300"), 1460);
	w.b->cfg.interface[WAN].mtu = 1400;
	assert_int_equal(mss_after(&w, "tcp flags syn tcp option maxseg size set rt mtu"), 1360);
	w.b->cfg.interface[LAN].mtu = 1200;
	assert_int_equal(mss_after(&w, "tcp flags syn tcp option maxseg size set rt mtu accept"), 1160);
	w.b->cfg.interface[WAN].mtu = wan;
	w.b->cfg.interface[LAN].mtu = lan;
	world_close(&w);
}

/* A rate of 10/second with a burst of 5: five at once, then one every 100 ms, exactly. */
static void test_limit(void **state)
{
	struct world w;
	int n = 0;

	world_open(&w);
	world_rules(&w, "table ip t { chain c { type filter hook forward priority 0; policy drop;\n"
			"limit rate 10/second burst 5 packets accept; } }");
	for (int i = 0; i < 20; i++)
		n += world_run(&w, HOOK_FORWARD, world_kind(&w, TCP)) == -1;
	assert_int_equal(n, 5);
	w.b->env.now += 99 * NS_PER_MS;
	assert_int_equal(world_run(&w, HOOK_FORWARD, world_kind(&w, TCP)), DROP_POLICY_DROP);
	w.b->env.now += 1 * NS_PER_MS;
	assert_int_equal(world_run(&w, HOOK_FORWARD, world_kind(&w, TCP)), -1);
	assert_int_equal(world_run(&w, HOOK_FORWARD, world_kind(&w, TCP)), DROP_POLICY_DROP);
	w.b->env.now += 1000000 * NS_PER_S; /* a long sleep gives the burst, not more */
	n = 0;
	for (int i = 0; i < 20; i++)
		n += world_run(&w, HOOK_FORWARD, world_kind(&w, TCP)) == -1;
	assert_int_equal(n, 5);
	world_rules(&w, "table ip t { chain c { type filter hook forward priority 0;\n"
			"limit rate over 1/minute burst 2 packets drop; } }");
	assert_int_equal(world_run(&w, HOOK_FORWARD, world_kind(&w, TCP)), -1);
	assert_int_equal(world_run(&w, HOOK_FORWARD, world_kind(&w, TCP)), -1);
	assert_int_equal(world_run(&w, HOOK_FORWARD, world_kind(&w, TCP)), DROP_RULE_DROP);
	world_close(&w);
}

/* Counters begin where the file says and count what reaches them, in bytes of IP. */
static void test_counters_and_listing(void **state)
{
	struct world w;
	struct rules_line line;
	uint32_t cursor = 0;

	world_open(&w);
	world_rules(&w, "table inet t { chain c { type filter hook forward priority 0;\n"
			"  tcp dport 80   counter packets 7 bytes 100 # well\n"
			"  udp dport {\n 1, # one\n 2 } accept comment \"two  blanks\"\n } }");
	world_run(&w, HOOK_FORWARD, world_kind(&w, TCP));
	world_run(&w, HOOK_FORWARD, world_kind(&w, UDP));
	assert_true(rules_next(w.r, &cursor, &line));
	assert_null(line.rule);
	assert_string_equal(line.family, "inet");
	assert_string_equal(line.table, "t");
	assert_true(rules_next(w.r, &cursor, &line));
	assert_string_equal(line.rule, "tcp dport 80 counter packets 7 bytes 100");
	assert_true(line.has_counter);
	assert_int_equal(line.packets, 8);
	assert_int_equal(line.bytes, 150);
	assert_true(rules_next(w.r, &cursor, &line));
	assert_string_equal(line.rule, "udp dport { 1, 2 } accept comment \"two  blanks\"");
	assert_false(line.has_counter);
	assert_false(rules_next(w.r, &cursor, &line));
	world_close(&w);
}

struct nat_row {
	const char *rule;
	enum ip_hook hook;
	struct nat_action want;
};

#define RANGE(a, b) \
	{ \
		a, b \
	}

static const struct nat_row nat_rows[] = {
	{ "tcp dport 81 snat to 192.0.2.9", HOOK_POSTROUTING, { .kind = NAT_ACTION_NONE } },
	{ "accept\n masquerade", HOOK_POSTROUTING, { .kind = NAT_ACTION_NONE } },
	{ "masquerade", HOOK_POSTROUTING, { .kind = NAT_ACTION_MASQUERADE } },
	{ "masquerade random,persistent",
	  HOOK_POSTROUTING,
	  { .kind = NAT_ACTION_MASQUERADE, .flags = NAT_FLAG_RANDOM | NAT_FLAG_PERSISTENT } },
	{ "masquerade preserve", HOOK_POSTROUTING, { .kind = NAT_ACTION_MASQUERADE, .flags = NAT_FLAG_PRESERVE } },
	{ "ip protocol tcp masquerade to :1024-65535 fully-random",
	  HOOK_POSTROUTING,
	  { .kind = NAT_ACTION_MASQUERADE, .flags = NAT_FLAG_PORT | NAT_FLAG_RANDOM, .ports = RANGE(1024, 65535) } },
	{ "snat to 192.0.2.9",
	  HOOK_POSTROUTING,
	  { .kind = NAT_ACTION_RANGE, .flags = NAT_FLAG_ADDRESS, .range = RANGE(0xc0000209, 0xc0000209) } },
	{ "snat ip to 192.0.2.9-192.0.2.12 persistent",
	  HOOK_INPUT,
	  { .kind = NAT_ACTION_RANGE,
	    .flags = NAT_FLAG_ADDRESS | NAT_FLAG_PERSISTENT,
	    .range = RANGE(0xc0000209, 0xc000020c) } },
	{ "tcp sport 40000 snat to 192.0.2.9:5-7",
	  HOOK_POSTROUTING,
	  { .kind = NAT_ACTION_RANGE,
	    .flags = NAT_FLAG_ADDRESS | NAT_FLAG_PORT,
	    .range = RANGE(0xc0000209, 0xc0000209),
	    .ports = RANGE(5, 7) } },
	{ "snat prefix to 192.0.2.0/28",
	  HOOK_POSTROUTING,
	  { .kind = NAT_ACTION_PREFIX,
	    .flags = NAT_FLAG_ADDRESS,
	    .prefix_len = 28,
	    .range = RANGE(0xc0000200, 0xc000020f) } },
	{ "snat to pool second", HOOK_POSTROUTING, { .kind = NAT_ACTION_POOL, .pool = 1 } },
	{ "tcp dport 80 dnat to 10.0.1.9:8080",
	  HOOK_PREROUTING,
	  { .kind = NAT_ACTION_RANGE,
	    .flags = NAT_FLAG_ADDRESS | NAT_FLAG_PORT,
	    .range = RANGE(0x0a000109, 0x0a000109),
	    .ports = RANGE(8080, 8080) } },
	{ "tcp dport 80 dnat to :8080",
	  HOOK_OUTPUT,
	  { .kind = NAT_ACTION_RANGE, .flags = NAT_FLAG_PORT, .ports = RANGE(8080, 8080) } },
	{ "redirect", HOOK_PREROUTING, { .kind = NAT_ACTION_REDIRECT } },
	{ "tcp dport 80 redirect to :8080",
	  HOOK_PREROUTING,
	  { .kind = NAT_ACTION_REDIRECT, .flags = NAT_FLAG_PORT, .ports = RANGE(8080, 8080) } },
};

/* What NAT is told. A second chain behind the first one is asked when the first says nothing. */
static void test_nat(void **state)
{
	struct world w;
	char text[1024];
	struct nat_action got;
	struct packet *p;

	world_open(&w);
	for (size_t i = 0; i < ARRAY_LEN(nat_rows); i++) {
		const struct nat_row *r = &nat_rows[i];

		snprintf(text, sizeof(text),
			 "pool first { 192.0.2.32; }\npool second { 192.0.2.33; }\n"
			 "table ip nat { chain c { type nat hook %s priority 0;\n%s\n } }",
			 hook_names[r->hook], r->rule);
		world_rules(&w, text);
		p = world_kind(&w, TCP);
		assert_int_equal(rules_nat(w.r, r->hook, p, &got), VERDICT_CONTINUE);
		if (got.kind != r->want.kind || got.flags != r->want.flags || got.pool != r->want.pool ||
		    got.prefix_len != r->want.prefix_len || got.range.first != r->want.range.first ||
		    got.range.last != r->want.range.last || got.ports.first != r->want.ports.first ||
		    got.ports.last != r->want.ports.last)
			fail_msg("%s", r->rule);
		assert_int_equal(rules_nat(w.r, HOOK_FORWARD, p, &got), VERDICT_CONTINUE);
		assert_int_equal(got.kind, NAT_ACTION_NONE);
		env_drop(&w.b->env, p, DROP_RULE_DROP);
	}
	world_rules(&w, "table ip n { chain b { type nat hook postrouting priority 5; masquerade; }\n"
			" chain a { type nat hook postrouting priority 1; udp dport 1 drop; accept; } }");
	p = world_kind(&w, TCP);
	assert_int_equal(rules_nat(w.r, HOOK_POSTROUTING, p, &got), VERDICT_CONTINUE);
	assert_int_equal(got.kind, NAT_ACTION_MASQUERADE);
	p->l4.kind = L4_UDP;
	p->l4.dport = 1;
	assert_int_equal(rules_nat(w.r, HOOK_POSTROUTING, p, &got), VERDICT_DROP);
	env_drop(&w.b->env, p, DROP_RULE_DROP);
	world_close(&w);
}

struct map_row {
	const char *rule;     /* in a nat chain; behind it stands a dnat to 10.0.1.99 */
	uint32_t want[2];     /* last byte of the address for specs[TCP] and specs[UDP], 99: a hole */
	uint16_t first, last; /* ports for TCP */
};

/* TCP: 10.0.1.2:40000 to 198.51.100.7:80; UDP: from port 53 to port 5353; mark 0, from lan0. */
static const struct map_row map_rows[] = {
	{ "dnat to ip saddr map { 10.0.1.2 : 10.0.1.9 }", { 9, 9 }, 0, 0 },
	{ "dnat to ip saddr map { 10.0.1.3 : 10.0.1.9, 10.0.1.1 : 10.0.1.8 }", { 99, 99 }, 0, 0 },
	{ "dnat to ip saddr map { 10.9.0.0/16 : 10.0.1.7, 10.0.1.0-10.0.1.1 : 10.0.1.8, 10.0.1.2-10.0.1.9 : 10.0.1.9 }",
	  { 9, 9 },
	  0,
	  0 },
	{ "dnat to ip saddr map { 10.0.1.3 : 10.0.1.9, * : 10.0.1.8 }", { 8, 8 }, 0, 0 },
	{ "dnat to tcp dport map { 79 : 10.0.1.1, 80 : 10.0.1.2, 81 : 10.0.1.3 }", { 2, 99 }, 0, 0 },
	{ "dnat to tcp dport map { http : 10.0.1.2 . 8080, 81 : 10.0.1.3 . 81 }", { 2, 99 }, 8080, 8080 },
	{ "dnat to th dport map { 80 : 10.0.1.2 . 8080-8090, 5353 : 10.0.1.3 . 53 }", { 2, 3 }, 8080, 8090 },
	{ "tcp sport 1-65535 dnat to ip daddr map @hosts:8080", { 5, 99 }, 8080, 8080 },
	{ "dnat to ip daddr map @hosts", { 5, 5 }, 0, 0 },
	{ "dnat to tcp dport map @ports", { 6, 99 }, 8443, 8443 },
	{ "dnat to iifname map { \"wan0\" : 10.0.1.1, \"la*\" : 10.0.1.2, \"lan0\" : 10.0.1.3 }", { 2, 2 }, 0, 0 },
	{ "dnat to iifname map { \"wan0\" : 10.0.1.1 }", { 99, 99 }, 0, 0 },
	{ "dnat to iifname map { \"wan0\" : 10.0.1.1, * : 10.0.1.7 }", { 7, 7 }, 0, 0 },
	{ "dnat to meta mark map { 0 : 10.0.1.4, 1-0xffffffff : 10.0.1.5 }", { 4, 4 }, 0, 0 },
	{ "dnat to ct mark map { 0 : 10.0.1.4, * : 10.0.1.5 }", { 99, 99 }, 0, 0 },
	{ "dnat to ct state map { new : 10.0.1.4 }", { 4, 4 }, 0, 0 },
	{ "dnat to numgen random mod 1 offset 7 map { 7 : 10.0.1.4 }", { 4, 4 }, 0, 0 },
	{ "dnat to numgen random mod 5 map { 0-4 : 10.0.1.4 } random,persistent", { 4, 4 }, 0, 0 },
	{ "dnat to numgen inc mod 2 offset 3 map { 3 : 10.0.1.1, 4 : 10.0.1.2 }", { 1, 2 }, 0, 0 },
	{ "dnat to numgen inc mod 2 map { 1 : 10.0.1.2 }", { 99, 2 }, 0, 0 },
	{ "dnat to jhash ip saddr mod 7 offset 1 map { 1-7 : 10.0.1.4 }", { 4, 4 }, 0, 0 },
	{ "dnat to jhash ip saddr . tcp dport mod 7 map { 0-6 : 10.0.1.4 }", { 4, 99 }, 0, 0 },
	{ "ip protocol tcp dnat to jhash ip saddr . tcp dport mod 7 seed 9 map { 0-6 : 10.0.1.4 }:1-9",
	  { 4, 99 },
	  1,
	  9 },
};

static void map_rules(struct world *w, const char *rule)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 "table ip nat { map hosts { type ipv4_addr : ipv4_addr; flags interval\n"
		 "  elements = { 198.51.100.0/24 : 10.0.1.5, 10.0.0.0/8 : 10.0.1.6 } }\n"
		 " map ports { type inet_service : ipv4_addr . inet_service\n elements = { 443 : 10.0.1.5 . 1,\n"
		 "  80 : 10.0.1.6 . 8443, } }\n"
		 " chain c { type nat hook prerouting priority dstnat;\n%s\ndnat to 10.0.1.99\n } }",
		 rule);
	world_rules(w, text);
}

/* The last byte of the address that a packet goes to. */
static uint32_t map_ask(struct world *w, struct packet *p, struct nat_action *got)
{
	assert_int_equal(rules_nat(w->r, HOOK_PREROUTING, p, got), VERDICT_CONTINUE);
	assert_int_equal(got->kind, NAT_ACTION_RANGE);
	assert_true(got->flags & NAT_FLAG_ADDRESS);
	assert_int_equal(got->range.first, got->range.last);
	env_drop(&w->b->env, p, DROP_RULE_DROP);
	return got->range.first & 0xff;
}

/* Would catch a map that is searched wrong, a hole that ends the chain, and a port that is lost or made up. */
static void test_maps(void **state)
{
	struct world w;
	struct nat_action got;

	world_open(&w);
	for (size_t i = 0; i < ARRAY_LEN(map_rows); i++) {
		const struct map_row *r = &map_rows[i];

		map_rules(&w, r->rule);
		for (int k = 0; k < 2; k++) {
			uint32_t addr = map_ask(&w, world_kind(&w, k == 0 ? TCP : UDP), &got);
			bool port = (got.flags & NAT_FLAG_PORT) != 0;

			if (addr != r->want[k])
				fail_msg("\"%s\": packet %d goes to .%u, not .%u", r->rule, k, addr, r->want[k]);
			if (k == 0 &&
			    (port != (r->first != 0) || got.ports.first != r->first || got.ports.last != r->last))
				fail_msg("\"%s\": ports %u-%u", r->rule, got.ports.first, got.ports.last);
		}
	}
	world_close(&w);
}

/* Would catch a draw that favours a back end, an inc that does not take turns, and a hash that moves
 * clients at a reload, puts all on one, or does not look at all its keys. */
static void test_numbers(void **state)
{
	static const char inc[] = "dnat to numgen inc mod 3 map { 0 : 10.0.1.0, 1 : 10.0.1.1, 2 : 10.0.1.2 }";
	static const char random[] = "dnat to numgen random mod 3 map { 0 : 10.0.1.0, 1 : 10.0.1.1, 2 : 10.0.1.2 }";
	static const char *const hashes[] = {
		"dnat to jhash ip saddr mod 3 map { 0 : 10.0.1.0, 1 : 10.0.1.1, 2 : 10.0.1.2 }",
		"dnat to jhash ip saddr mod 3 seed 1 map { 0 : 10.0.1.0, 1 : 10.0.1.1, 2 : 10.0.1.2 }",
		"dnat to jhash tcp dport . ip saddr mod 3 map { 0 : 10.0.1.0, 1 : 10.0.1.1, 2 : 10.0.1.2 }",
	};
	struct world w;
	struct nat_action got;
	uint32_t n[3] = { 0 };

	world_open(&w);
	map_rules(&w, inc);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(map_ask(&w, world_kind(&w, TCP), &got), i % 3);
	map_rules(&w, random);
	for (uint32_t i = 0; i < 3000; i++)
		n[map_ask(&w, world_kind(&w, TCP), &got)]++;
	for (int i = 0; i < 3; i++)
		assert_in_range(n[i], 900, 1100); /* 3.9 standard deviations */
	for (size_t h = 0; h < ARRAY_LEN(hashes); h++) {
		uint8_t at[300];
		uint32_t same_server = 0;

		memset(n, 0, sizeof(n));
		for (int again = 0; again < 2; again++) {
			map_rules(&w, hashes[h]);
			for (uint32_t i = 0; i < ARRAY_LEN(at); i++) {
				struct packet *p = world_kind(&w, TCP);
				uint32_t to;

				p->ip.src += i;
				to = map_ask(&w, p, &got);
				assert_true(again == 0 || at[i] == to);
				at[i] = (uint8_t)to;
				n[to]++;
				p = world_kind(&w, TCP);
				p->ip.src += i;
				p->l4.dport++;
				same_server += map_ask(&w, p, &got) == to;
			}
		}
		for (int i = 0; i < 3; i++)
			assert_in_range(n[i], 2 * 68, 2 * 132);
		if (h < 2)
			assert_int_equal(same_server, 2 * ARRAY_LEN(at));
		else
			assert_in_range(same_server, 1, ARRAY_LEN(at));
	}
	world_close(&w);
}

/* A name means the interface that has it now, also after the interfaces changed. */
static void test_interfaces_change(void **state)
{
	struct world w;
	struct ip_config *other = calloc(1, sizeof(*other));

	world_open(&w);
	*other = w.b->cfg;
	memcpy(other->interface[LAN].name, "new0", 5);
	world_rules(&w, "table ip t { chain c { type filter hook forward priority 0; iifname new0 drop; } }");
	assert_int_equal(world_run(&w, HOOK_FORWARD, world_kind(&w, TCP)), -1);
	ip_stack_configure(w.b->s, other);
	assert_int_equal(world_run(&w, HOOK_FORWARD, world_kind(&w, TCP)), DROP_RULE_DROP);
	ip_stack_configure(w.b->s, &w.b->cfg);
	assert_int_equal(world_run(&w, HOOK_FORWARD, world_kind(&w, TCP)), -1);
	world_close(&w);
	free(other);
}

/* A packet made here came in on no interface: it has no name to be equal to, and is unequal to all. */
static void test_no_interface(void **state)
{
	struct world w;
	struct packet *p;

	world_open(&w);
	world_rules(&w, "table ip t { chain c { type filter hook output priority 0; iifname \"*\" drop\n"
			" iifname != lan0 reject; } }");
	p = world_kind(&w, UDP);
	p->in_ifindex = 0;
	assert_int_equal(world_run(&w, HOOK_OUTPUT, p), DROP_RULE_REJECT);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_chains_by_priority),
		cmocka_unit_test(test_reject_answers),
		cmocka_unit_test(test_notrack),
		cmocka_unit_test(test_mss),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_counters_and_listing),
		cmocka_unit_test(test_nat),
		cmocka_unit_test(test_maps),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_interfaces_change),
		cmocka_unit_test(test_no_interface),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
