/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ports of every transport that has them, from text to verdict, and what has none.
 */
#include "daemon/config/nft_eval_fixture.h"

enum { N_TRANSPORTS = 7 };

static const uint8_t protos[N_TRANSPORTS] = { IPPROTO_NR_TCP,     IPPROTO_NR_UDP, IPPROTO_NR_SCTP, IPPROTO_NR_DCCP,
					      IPPROTO_NR_UDPLITE, IPPROTO_NR_ESP, IPPROTO_NR_ICMP };
enum { TCP_BIT = 1, UDP_BIT = 2, SCTP_BIT = 4, DCCP_BIT = 8, UDPLITE_BIT = 16, PORTS_BITS = 31 };

static const struct {
	const char *match;
	uint32_t hits; /* of packets from port 7 to port 80 */
} match_rows[] = {
	{ "tcp dport 80", TCP_BIT },
	{ "udp dport 80", UDP_BIT },
	{ "sctp dport 80", SCTP_BIT },
	{ "sctp dport { 79, 80-90 }", SCTP_BIT },
	{ "sctp sport 7", SCTP_BIT },
	{ "sctp dport 7", 0 },
	{ "sctp dport != 81", SCTP_BIT },
	{ "dccp dport 80", DCCP_BIT },
	{ "dccp sport != 7", 0 },
	{ "dccp sport 7", DCCP_BIT },
	{ "udplite dport http", UDPLITE_BIT },
	{ "udplite sport 6-8", UDPLITE_BIT },
	{ "th dport 80", PORTS_BITS },
	{ "th sport != 8", (1u << N_TRANSPORTS) - 1 }, /* whatever stands there, as in nft */
	{ "meta l4proto sctp th dport 80", SCTP_BIT },
};

/* Would catch: a key that speaks of another protocol, or of none; `th` that does not read the bytes as they stand. */
static void test_matches(void **state)
{
	struct eval_fixture w;
	char text[512];

	(void)state;
	eval_open(&w);
	for (size_t i = 0; i < ARRAY_LEN(match_rows); i++) {
		snprintf(text, sizeof(text),
			 "table ip t { chain c { type filter hook forward priority 0; policy accept;\n%s drop\n} }",
			 match_rows[i].match);
		eval_rules(&w, text);
		for (int k = 0; k < N_TRANSPORTS; k++) {
			struct packet *p = eval_packet(&w, &(struct packet_spec){ .src = LAN_HOST,
										  .dst = FAR,
										  .proto = protos[k],
										  .sport = 7,
										  .dport = 80,
										  .type = ICMP_ECHO_REQUEST,
										  .payload_len = 50 });
			int want = match_rows[i].hits >> k & 1 ? DROP_RULE_DROP : -1;

			p->ct_info = CT_INFO_NEW;
			int got = eval_run(&w, HOOK_FORWARD, p);
			if (got != want)
				fail_msg("\"%s\", protocol %d: %d, not %d", match_rows[i].match, protos[k], got, want);
		}
	}
	eval_close(&w);
}

/* Would catch: a published port of one of these that is refused, or not changed. */
static void test_nat(void **state)
{
	static const uint8_t ported[] = { IPPROTO_NR_SCTP, IPPROTO_NR_DCCP, IPPROTO_NR_UDPLITE };
	static const char *const names[] = { "sctp", "dccp", "udplite" };
	struct eval_fixture w;
	char text[512];

	(void)state;
	eval_open(&w);
	for (size_t i = 0; i < ARRAY_LEN(ported); i++) {
		struct nat_action got = { .kind = NAT_ACTION_NONE };

		snprintf(text, sizeof(text),
			 "table ip n { chain c { type nat hook prerouting priority dstnat;\n"
			 "%s dport 80 dnat to 10.0.1.9:8080\n} }",
			 names[i]);
		eval_rules(&w, text);
		struct packet *p = eval_packet(
			&w, &(struct packet_spec){
				    .src = LAN_HOST, .dst = FAR, .proto = ported[i], .sport = 7, .dport = 80 });
		assert_int_equal(rules_nat(w.r, HOOK_PREROUTING, p, &got), VERDICT_CONTINUE);
		assert_int_equal(got.kind, NAT_ACTION_RANGE);
		assert_int_equal(got.ports.first, 8080);
		env_drop(&w.b->env, p, DROP_RULE_DROP);
	}
	eval_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_matches), cmocka_unit_test(test_nat) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
