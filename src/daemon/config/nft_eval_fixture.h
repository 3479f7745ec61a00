/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Rules from text to verdict, for tests: a stack with rules, and one packet of each kind.
 */
#ifndef YG_DAEMON_CONFIG_NFT_EVAL_FIXTURE_H
#define YG_DAEMON_CONFIG_NFT_EVAL_FIXTURE_H

#include "stack/ip/stack_fixture.h"

#include "daemon/config/config.h"
#include "stack/wire/icmp.h"

struct eval_fixture {
	struct stack_fixture *b;
	struct conntrack *ct;
	struct rules *r;
	struct config *cfg;
	struct ruleset *rs;
};

static inline void eval_open(struct eval_fixture *w)
{
	static const struct ct_limits limits = { .n_connections = 64, .n_fragments = 16 };

	*w = (struct eval_fixture){ .b = fixture_create_settled() };
	w->ct = conntrack_create(&w->b->env, &limits);
	assert_non_null(w->ct);
	w->r = rules_create(&w->b->env, w->b->s, w->ct);
	assert_non_null(w->r);
}

static inline void eval_rules(struct eval_fixture *w, const char *text)
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
	assert_int_equal(rules_prepare(w->r, w->rs), 0);
	rules_commit(w->r);
	ruleset_destroy(old);
}

static inline void eval_close(struct eval_fixture *w)
{
	rules_destroy(w->r);
	ruleset_destroy(w->rs);
	config_free(w->cfg);
	conntrack_destroy(w->ct);
	fixture_destroy(w->b);
}

/* A packet as it passes FORWARD from lan0 to wan0. */
static inline struct packet *eval_packet(struct eval_fixture *w, const struct packet_spec *sp)
{
	struct frame *f = malloc(sizeof(*f));
	struct packet *p;

	fixture_frame(f, sp);
	p = fixture_receive(w->b, f);
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
static inline int eval_run(struct eval_fixture *w, enum ip_hook hook, struct packet *p)
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

static const struct packet_spec specs[N_KINDS] = {
	[TCP] = { .src = LAN_HOST,
		  .dst = FAR,
		  .proto = IPPROTO_NR_TCP,
		  .sport = 40000,
		  .dport = 80,
		  .flags = TCP_SYN,
		  .payload_len = 10 },
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
		  .payload_len = 12,
		  .df = true },
	[PING] = { .src = LAN_HOST, .dst = FAR, .proto = IPPROTO_NR_ICMP, .type = ICMP_ECHO_REQUEST, .payload_len = 8 },
	[FRAG] = { .src = LAN_HOST,
		   .dst = FAR,
		   .proto = IPPROTO_NR_TCP,
		   .frag_off = 64,
		   .payload_len = 40,
		   .ip_id = 77 },
	[ESP] = { .src = LAN_HOST, .dst = FAR, .proto = 50, .payload_len = 40, .ttl = 9 },
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

static inline struct packet *eval_kind(struct eval_fixture *w, int kind)
{
	struct packet *p = eval_packet(w, &specs[kind]);
	struct conn *c = conntrack_conn(w->ct, 0);

	p->ct_info = CT_INFO_NEW;
	if (kind == MARKED)
		p->mark = 0x1234;
	if (kind != CONN)
		return p;
	*c = (struct conn){ 0 };
	c->status = CT_SEEN_REPLY | CT_ASSURED | CT_CONFIRMED | CT_SNAT;
	c->half[CT_ORIGINAL].tuple = (struct tuple){
		.src = LAN_HOST, .dst = FAR, .sport = 40000, .dport = 443, .proto = IPPROTO_NR_TCP, .zone = 3
	};
	conntrack_ext(w->ct, 0)->mark = 0x12;
	p->conn_ref = 1; /* connection 0, reply */
	p->ct_info = CT_INFO_ESTABLISHED;
	return p;
}

#endif
