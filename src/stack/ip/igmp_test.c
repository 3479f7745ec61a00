/* SPDX-License-Identifier: BSD-2-Clause
 *
 * IGMP as routers and switches see it: a host's reports, in virtual time, byte by byte.
 */
#include <errno.h>

#include "stack/ip/stack_fixture.h"
#include "stack/wire/checksum.h"
#include "stack/wire/igmp.h"

#define GROUP IP4(239, 1, 2, 3)
#define OTHER IP4(239, 1, 2, 4)
#define OF_LINK IP4(224, 0, 0, 5)
#define ALL_HOSTS IP4(224, 0, 0, 1)
#define ALL_ROUTERS IP4(224, 0, 0, 2)
#define ALL_V3_ROUTERS IP4(224, 0, 0, 22)
#define QUERIER LAN_HOST

static const uint8_t router_alert[4] = { IPV4_OPT_ROUTER_ALERT, 4 };

/* What one group's record of a report says, or a message of an older version: type 0x16 and the like. */
struct said {
	uint32_t dst;
	uint8_t type;   /* of the message */
	uint8_t record; /* of version 3 */
	uint32_t group;
	uint32_t n_records, n_sources;
	uint32_t source; /* the first */
};

/* The i-th message on the LAN, whose every byte that all have in common is right. */
static struct said said(const struct stack_fixture *b, uint32_t i)
{
	const struct fake_device *f = &b->dev[LAN];
	struct ipv4_view ip;
	struct said s = { 0 };

	assert_true(i < f->n);
	const uint8_t *l3 = f->sent[i].bytes + ETHER_HEADER_LEN, *p = l3 + 24;

	assert_int_equal(ipv4_parse(l3, f->sent[i].len - ETHER_HEADER_LEN, &ip), IPV4_OK);
	assert_int_equal(ip.proto, IPPROTO_NR_IGMP);
	assert_int_equal(ip.src, LAN_US);
	assert_int_equal(ip.ttl, 1);
	assert_int_equal(ip.tos, 0xc0);
	assert_int_equal(ip.header_len, 24);
	assert_memory_equal(l3 + 20, router_alert, 4);
	assert_int_equal(checksum_finish(checksum_add(0, p, ip.total_len - 24u)), 0);
	assert_memory_equal(f->sent[i].bytes,
			    ((uint8_t[]){ 0x01, 0x00, 0x5e, (uint8_t)(ip.dst >> 16 & 0x7f), (uint8_t)(ip.dst >> 8),
					  (uint8_t)ip.dst }),
			    6);
	s.dst = ip.dst;
	s.type = p[0];
	if (s.type == IGMP_V3_REPORT) {
		s.n_records = p[7];
		p += 8;
		s.record = p[0];
		s.n_sources = p[3];
		s.source = s.n_sources > 0 ? IP4(p[8], p[9], p[10], p[11]) : 0;
	}
	s.group = IP4(p[4], p[5], p[6], p[7]);
	return s;
}

static void check_said(const struct stack_fixture *b, uint32_t i, uint32_t dst, uint8_t type, uint8_t record,
		       uint32_t group)
{
	struct said s = said(b, i);

	assert_int_equal(s.dst, dst);
	assert_int_equal(s.type, type);
	assert_int_equal(s.record, record);
	assert_int_equal(s.group, group);
}

/* A message of somebody on the LAN; its checksum is made right. */
static void hear_ttl(struct stack_fixture *b, uint32_t src, uint32_t dst, uint8_t *message, uint16_t len,
		     bool has_alert, uint8_t ttl)
{
	uint16_t check;

	message[2] = message[3] = 0;
	check = checksum_finish(checksum_add(0, message, len));
	message[2] = (uint8_t)(check >> 8);
	message[3] = (uint8_t)check;
	fixture_input_spec(b, &(struct packet_spec){ .src = src,
						     .dst = dst,
						     .proto = IPPROTO_NR_IGMP,
						     .ttl = ttl,
						     .in = LAN,
						     .ip_options = router_alert,
						     .ip_options_len = has_alert ? 4 : 0,
						     .payload = message,
						     .payload_len = len });
}

static void hear(struct stack_fixture *b, uint32_t src, uint32_t dst, uint8_t *message, uint16_t len, bool has_alert)
{
	hear_ttl(b, src, dst, message, len, has_alert, 1);
}

/* code: 0 is version 1's. group 0: a general query. */
static void query_old(struct stack_fixture *b, uint8_t code, uint32_t group)
{
	uint8_t m[8] = {
		IGMP_QUERY,    code, 0, 0, (uint8_t)(group >> 24), (uint8_t)(group >> 16), (uint8_t)(group >> 8),
		(uint8_t)group
	};

	hear(b, QUERIER, group == 0 ? ALL_HOSTS : group, m, sizeof(m), code != 0);
}

static void query_v3(struct stack_fixture *b, uint8_t code, uint32_t group, uint8_t robustness, uint32_t n_sources)
{
	uint8_t m[12 + 4 * 64] = { IGMP_QUERY,
				   code,
				   0,
				   0,
				   (uint8_t)(group >> 24),
				   (uint8_t)(group >> 16),
				   (uint8_t)(group >> 8),
				   (uint8_t)group,
				   robustness,
				   125,
				   0,
				   (uint8_t)n_sources };

	for (uint32_t i = 0; i < n_sources; i++)
		memcpy(m + 12 + 4 * i, ((uint8_t[]){ 10, 0, 1, (uint8_t)(100 + i) }), 4);
	hear(b, QUERIER, group == 0 ? ALL_HOSTS : group, m, (uint16_t)(12 + 4 * n_sources), true);
}

static void join(struct stack_fixture *b, uint32_t group)
{
	assert_int_equal(ip_group_join(b->s, LAN, group), 0);
	ip_flush(b->s);
}

static void leave(struct stack_fixture *b, uint32_t group)
{
	ip_group_leave(b->s, LAN, group);
	ip_flush(b->s);
}

/* With GROUP joined, and nothing more to say about it. */
static struct stack_fixture *joined(void)
{
	struct stack_fixture *b = fixture_create_settled();

	join(b, GROUP);
	fixture_run_for(b, 20 * NS_PER_S);
	fixture_forget(b);
	return b;
}

/* Would catch: a join or an end that is not reported at once, or not again within a second; one that is reported
 * though somebody has joined before or is still there; a group of the link that is reported. */
static void test_changes(void **state)
{
	struct stack_fixture *b = fixture_create_settled();

	(void)state;
	join(b, OF_LINK);
	fixture_run_for(b, 20 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 0);
	join(b, GROUP);
	assert_int_equal(b->dev[LAN].n, 1);
	join(b, GROUP);
	fixture_run_for(b, NS_PER_S + 2 * NS_PER_MS);
	assert_int_equal(b->dev[LAN].n, 2);
	fixture_run_for(b, 100 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 2);
	for (uint32_t i = 0; i < 2; i++)
		check_said(b, i, ALL_V3_ROUTERS, IGMP_V3_REPORT, IGMP_CHANGE_TO_EXCLUDE, GROUP);
	fixture_forget(b);

	leave(b, GROUP);
	assert_int_equal(b->dev[LAN].n, 0);
	leave(b, GROUP);
	fixture_run_for(b, 100 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 2);
	for (uint32_t i = 0; i < 2; i++)
		check_said(b, i, ALL_V3_ROUTERS, IGMP_V3_REPORT, IGMP_CHANGE_TO_INCLUDE, GROUP);
	/* Joined again before its end was told twice: that is not told any more. */
	join(b, GROUP);
	leave(b, GROUP);
	fixture_forget(b);
	join(b, GROUP);
	fixture_run_for(b, 100 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 2);
	check_said(b, 1, ALL_V3_ROUTERS, IGMP_V3_REPORT, IGMP_CHANGE_TO_EXCLUDE, GROUP);
	fixture_forget(b);
	/* Nobody need have heard it while the link was down. */
	ip_stack_device_changed(b->s, LAN);
	fixture_run_for(b, 3 * NS_PER_S);
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->dev[LAN].n; i++)
		n += b->dev[LAN].sent[i].bytes[13] == 0 && b->dev[LAN].sent[i].bytes[23] == IPPROTO_NR_IGMP;
	assert_int_equal(n, 2);
	fixture_destroy(b);
}

/* Would catch: an answer at once, later than asked for or always at the same moment, one report a group, a group of the
 * link in it, an answer to who cannot be a router near by. */
static void test_general_query(void **state)
{
	struct stack_fixture *b = joined();
	uint64_t first = 0, last = 0;

	(void)state;
	join(b, OF_LINK);
	join(b, OTHER);
	assert_int_equal(ip_group_join(b->s, WAN, GROUP + 7), 0);
	fixture_run_for(b, 20 * NS_PER_S);
	for (int i = 0; i < 20; i++) {
		uint64_t asked = b->env.now, took;

		fixture_forget(b);
		query_v3(b, 50, 0, 2, 0);
		assert_int_equal(b->dev[LAN].n, 0);
		while (b->dev[LAN].n == 0)
			fixture_run_until(b, ip_next_deadline(b->s));
		took = b->env.now - asked;
		assert_in_range(took, 1, 5 * NS_PER_S + 2 * NS_PER_MS);
		first = i == 0 ? took : min_u64(first, took);
		last = max_u64(last, took);
		assert_int_equal(said(b, 0).n_records, 2);
		check_said(b, 0, ALL_V3_ROUTERS, IGMP_V3_REPORT, IGMP_MODE_IS_EXCLUDE, GROUP);
		fixture_run_for(b, 20 * NS_PER_S);
		assert_int_equal(b->dev[LAN].n, 1);
	}
	assert_true(last - first > 2 * NS_PER_S);
	fixture_forget(b);
	uint8_t m[12] = { IGMP_QUERY, 10, 0, 0, 0, 0, 0, 0, 2, 125 };

	hear(b, QUERIER, ALL_HOSTS, m, sizeof(m), false); /* without Router Alert */
	hear(b, QUERIER, GROUP, m, sizeof(m), true);      /* a general one for a group */
	b->cfg.interface[LAN].rpf = IP_RPF_OFF;
	hear(b, FAR, ALL_HOSTS, m, sizeof(m), true); /* from another link */
	b->cfg.interface[LAN].rpf = IP_RPF_STRICT;
	fixture_run_for(b, 20 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 0);
	/* A switch without an address, as good as a router. */
	hear(b, 0, ALL_HOSTS, m, sizeof(m), true);
	fixture_run_for(b, 20 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 1);
	fixture_destroy(b);
}

/* Would catch: an answer for a group that nobody has joined, a query for sources answered with all of the group or the
 * other way round, one of two queries whose sources are lost, two answers where a general one says all. */
static void test_group_query(void **state)
{
	struct stack_fixture *b = joined();

	(void)state;
	query_v3(b, 10, OTHER, 2, 0);
	fixture_run_for(b, 20 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 0);

	query_v3(b, 10, GROUP, 2, 0);
	fixture_run_for(b, 20 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 1);
	check_said(b, 0, ALL_V3_ROUTERS, IGMP_V3_REPORT, IGMP_MODE_IS_EXCLUDE, GROUP);
	fixture_forget(b);

	query_v3(b, 10, GROUP, 2, 1);
	query_v3(b, 10, GROUP, 2, 3);
	fixture_run_for(b, 20 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 1);
	check_said(b, 0, ALL_V3_ROUTERS, IGMP_V3_REPORT, IGMP_MODE_IS_INCLUDE, GROUP);
	assert_int_equal(said(b, 0).n_sources, 3);
	assert_int_equal(said(b, 0).source, IP4(10, 0, 1, 100));
	fixture_forget(b);

	/* What was answered is not asked for any more; what is still to be answered is. */
	query_v3(b, 10, GROUP, 2, 1);
	fixture_run_for(b, 20 * NS_PER_S);
	assert_int_equal(said(b, 0).n_sources, 1);
	fixture_forget(b);
	query_v3(b, 10, GROUP, 2, 3);
	query_v3(b, 10, GROUP, 2, 1);
	fixture_run_for(b, 20 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 1);
	assert_int_equal(said(b, 0).n_sources, 3);
	fixture_forget(b);

	/* More than are remembered, or all of it asked for as well: all of it. */
	query_v3(b, 10, GROUP, 2, 60);
	fixture_run_for(b, 20 * NS_PER_S);
	query_v3(b, 10, GROUP, 2, 2);
	query_v3(b, 10, GROUP, 2, 0);
	query_v3(b, 10, GROUP, 2, 2);
	fixture_run_for(b, 20 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 2);
	for (uint32_t i = 0; i < 2; i++)
		check_said(b, i, ALL_V3_ROUTERS, IGMP_V3_REPORT, IGMP_MODE_IS_EXCLUDE, GROUP);
	fixture_forget(b);

	query_v3(b, 1, 0, 2, 0);
	query_v3(b, 127, GROUP, 2, 0); /* 12.7 s: that falls behind the other but once in 127 times */
	fixture_run_for(b, 20 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 1);
	/* Left while an answer is due. */
	fixture_forget(b);
	query_v3(b, 100, GROUP, 2, 0);
	leave(b, GROUP);
	fixture_run_for(b, 20 * NS_PER_S);
	for (uint32_t i = 0; i < b->dev[LAN].n; i++)
		check_said(b, i, ALL_V3_ROUTERS, IGMP_V3_REPORT, IGMP_CHANGE_TO_INCLUDE, GROUP);
	fixture_destroy(b);
}

/* Would catch: a host that goes on in version 3 where a querier of version 2 is, or for ever in 2; reports of others
 * that are not heard, or an end told by who was not the last to report. */
static void test_version_2(void **state)
{
	struct stack_fixture *b = joined();
	uint8_t report[8] = { IGMP_V2_REPORT, 0, 0, 0, 239, 1, 2, 3 };

	(void)state;
	query_old(b, 100, 0);
	fixture_run_for(b, 20 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 1);
	check_said(b, 0, GROUP, IGMP_V2_REPORT, 0, GROUP);
	fixture_forget(b);
	join(b, OTHER);
	fixture_run_for(b, 20 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 2);
	check_said(b, 1, OTHER, IGMP_V2_REPORT, 0, OTHER);
	fixture_forget(b);
	leave(b, OTHER);
	fixture_run_for(b, 20 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 1);
	check_said(b, 0, ALL_ROUTERS, IGMP_V2_LEAVE, 0, OTHER);
	fixture_forget(b);

	query_old(b, 10, GROUP);
	hear(b, LAN_HOST, GROUP, report, sizeof(report), true);
	fixture_run_for(b, 20 * NS_PER_S);
	leave(b, GROUP);
	fixture_run_for(b, 20 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 0);

	/* Two of its queries have not come: 2 * 125 s and the 10 s of its last general one. */
	fixture_run_for(b, 260 * NS_PER_S);
	join(b, GROUP);
	check_said(b, 0, ALL_V3_ROUTERS, IGMP_V3_REPORT, IGMP_CHANGE_TO_EXCLUDE, GROUP);
	fixture_destroy(b);
}

/* Would catch: an end told to a querier of version 1, a wrong message; what was due in another version said after all;
 * a querier's robustness that is not taken over. */
static void test_version_1_and_robustness(void **state)
{
	struct stack_fixture *b = joined();

	(void)state;
	query_v3(b, 100, 0, 4, 0);
	query_old(b, 0, 0);
	fixture_run_for(b, 20 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 1);
	check_said(b, 0, GROUP, IGMP_V1_REPORT, 0, GROUP);
	/* Another member's answer will do. */
	uint8_t report[8] = { IGMP_V1_REPORT, 0, 0, 0, 239, 1, 2, 3 };
	query_old(b, 0, 0);
	hear(b, LAN_HOST, GROUP, report, sizeof(report), false);
	fixture_run_for(b, 20 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 1);
	leave(b, GROUP);
	fixture_run_for(b, 20 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 1);
	fixture_run_for(b, 600 * NS_PER_S);
	fixture_forget(b);
	join(b, GROUP);
	fixture_run_for(b, 20 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 4);
	fixture_destroy(b);
}

/* The querier of version 2 has been silent for long, and nobody has looked since. Would catch: an end that is told on
 * another interface, or not at all, since its record was given free on the way. */
static void test_left_as_the_version_changes(void **state)
{
	struct stack_fixture *b = joined();

	(void)state;
	query_old(b, 100, 0);
	fixture_run_for(b, 20 * NS_PER_S);
	fixture_forget(b);
	fixture_run_for(b, 300 * NS_PER_S);
	leave(b, GROUP);
	assert_int_equal(b->dev[LAN].n, 1);
	check_said(b, 0, ALL_V3_ROUTERS, IGMP_V3_REPORT, IGMP_CHANGE_TO_INCLUDE, GROUP);
	fixture_run_for(b, 20 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 2);
	assert_int_equal(b->dev[WAN].n, 0);
	fixture_destroy(b);
}

/* A querier of version 2 is heard while joins are still to be said a second time. Would catch: one that is said in the
 * old version's stead, one that is not said on another interface. */
static void test_version_changes_behind_a_join(void **state)
{
	struct stack_fixture *b = joined();

	(void)state;
	assert_int_equal(ip_group_join(b->s, WAN, GROUP), 0);
	join(b, OTHER);
	fixture_forget(b);
	query_old(b, 100, 0);
	fixture_run_for(b, 20 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 2);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(said(b, i).type, IGMP_V2_REPORT);
	assert_int_equal(b->dev[WAN].n, 1);
	assert_int_equal(fixture_seen(b, WAN, 0).ip.dst, ALL_V3_ROUTERS);
	fixture_destroy(b);
}

/* Would catch: somebody beyond the link who turns the host's version back, has it answer, or silences it, so that a
 * router takes the group away. */
static void test_from_afar(void **state)
{
	struct stack_fixture *b = joined();
	uint8_t v1[8] = { IGMP_QUERY, 0, 0, 0, 0, 0, 0, 0 }, v2[8] = { IGMP_QUERY, 10, 0, 0, 239, 1, 2, 3 };
	uint8_t report[8] = { IGMP_V2_REPORT, 0, 0, 0, 239, 1, 2, 3 };

	(void)state;
	hear(b, QUERIER, LAN_US, v1, sizeof(v1), false);              /* version 1 to one host */
	hear(b, IP4(192, 0, 2, 1), ALL_HOSTS, v1, sizeof(v1), false); /* no address of the link */
	hear_ttl(b, QUERIER, ALL_HOSTS, v1, sizeof(v1), false, 57);   /* it has come a long way */
	hear(b, IP4(192, 0, 2, 1), LAN_US, v2, sizeof(v2), true);     /* likewise */
	hear(b, QUERIER, OTHER, v2, sizeof(v2), true);                /* to another group */
	fixture_run_for(b, 20 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 0);
	/* A query for a group is no querier of that version: the answer is version 3's. And it may be to us alone. */
	hear(b, QUERIER, LAN_US, v2, sizeof(v2), true);
	fixture_run_for(b, 20 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 1);
	check_said(b, 0, ALL_V3_ROUTERS, IGMP_V3_REPORT, IGMP_MODE_IS_EXCLUDE, GROUP);
	fixture_forget(b);
	/* Where version 2 is spoken: a report that is not the group's silences nobody. */
	query_old(b, 10, 0);
	hear(b, LAN_HOST, LAN_US, report, sizeof(report), true);
	hear(b, IP4(192, 0, 2, 1), GROUP, report, sizeof(report), true);
	fixture_run_for(b, 20 * NS_PER_S);
	assert_int_equal(b->dev[LAN].n, 1);
	check_said(b, 0, GROUP, IGMP_V2_REPORT, 0, GROUP);
	fixture_destroy(b);
}

/* Would catch: more groups than are remembered, or ends of groups that keep others from being joined. */
static void test_many(void **state)
{
	struct stack_fixture *b = fixture_create_settled();

	(void)state;
	for (uint32_t round = 0; round < 4; round++) {
		for (uint32_t i = 0; i < IP_GROUPS_MAX; i++)
			join(b, GROUP + round * 1000 + i);
		assert_int_equal(ip_group_join(b->s, LAN, OTHER + 5000), -ENOSPC);
		fixture_forget(b);
		query_v3(b, 10, 0, 2, 0);
		fixture_run_for(b, 20 * NS_PER_S);
		uint32_t n = 0;

		for (uint32_t i = 0; i < b->dev[LAN].n; i++)
			n += said(b, i).n_records == IP_GROUPS_MAX;
		assert_int_equal(n, 1);
		fixture_forget(b);
		for (uint32_t i = 0; i < IP_GROUPS_MAX; i++)
			leave(b, GROUP + round * 1000 + i);
		fixture_forget(b);
	}
	fixture_destroy(b);
}

/* Would catch: a message that does not hold together and is not dropped by its name. */
static void test_bad(void **state)
{
	struct stack_fixture *b = joined();
	uint8_t m[8] = { IGMP_QUERY, 10, 0, 0, 10, 1, 2, 3 };

	(void)state;
	hear(b, QUERIER, ALL_HOSTS, m, sizeof(m), true);
	assert_int_equal(b->env.ledger.n_dropped[DROP_IGMP_BAD], 1);
	fixture_destroy(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_general_query),
		cmocka_unit_test(test_group_query),
		cmocka_unit_test(test_version_2),
		cmocka_unit_test(test_version_1_and_robustness),
		cmocka_unit_test(test_left_as_the_version_changes),
		cmocka_unit_test(test_from_afar),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_version_changes_behind_a_join),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
