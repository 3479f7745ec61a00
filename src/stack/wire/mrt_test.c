/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Records that are written are read again; tests/bgp/mrt_test has bgpdump read them.
 */
#include "stack/wire/mrt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"

static const uint8_t attrs[] = { 0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe9 };

/* Every record that is shorter than it says is refused: `reads` on a copy of just so many bytes. */
static void refused_when_cut(const uint8_t *body, size_t len, bool (*reads)(const uint8_t *p, size_t len))
{
	for (size_t n = 0; n < len; n++) {
		uint8_t *copy = malloc(n + 1);

		memcpy(copy, body, n);
		assert_false(reads(copy, n));
		free(copy);
	}
	assert_true(reads(body, len));
}

static bool reads_peers(const uint8_t *p, size_t len)
{
	struct mrt_peers t;
	struct mrt_peer peer;

	if (!mrt_peers_parse(p, len, &t))
		return false;
	for (uint32_t i = 0; i < t.n_peers; i++)
		if (!mrt_peers_next(&t, &peer))
			return false;
	return true;
}

/* Would catch: a field at another place than RFC 6396 section 4.3.1 has it; a table that is cut and read. */
static void test_peers(void **state)
{
	struct mrt_peer in[2] = { { true, 1, IP4(192, 0, 2, 1), 65001 }, { true, 2, IP4(192, 0, 2, 2), 4200000000u } };
	uint8_t p[100];
	size_t len = mrt_peers_emit(p, sizeof(p), 1000, 7, "a view", in, 2);
	struct mrt_header h = mrt_header_parse(p);
	struct mrt_peers t;

	assert_int_equal(len, MRT_HEADER_LEN + 8 + 6 + 26);
	assert_int_equal(h.time_s, 1000);
	assert_int_equal(h.type, MRT_TABLE_DUMP_V2);
	assert_int_equal(h.subtype, MRT_PEER_INDEX_TABLE);
	assert_int_equal(h.len, len - MRT_HEADER_LEN);
	assert_true(mrt_peers_parse(p + MRT_HEADER_LEN, h.len, &t));
	assert_int_equal(t.collector, 7);
	assert_int_equal(t.n_peers, 2);
	assert_memory_equal(t.view, "a view", t.view_len);
	for (uint32_t i = 0; i < 2; i++) {
		struct mrt_peer out;

		assert_true(mrt_peers_next(&t, &out));
		assert_true(out.is_ipv4);
		assert_int_equal(out.id, in[i].id);
		assert_int_equal(out.addr, in[i].addr);
		assert_int_equal(out.as, in[i].as);
	}
	refused_when_cut(p + MRT_HEADER_LEN, h.len, reads_peers);
	assert_int_equal(mrt_peers_emit(p, len - 1, 1000, 7, "a view", in, 2), 0);
}

/* Would catch: a peer with an address of IPv6, or an AS of two octets, that makes all behind it be read wrongly. */
static void test_other_peers(void **state)
{
	uint8_t p[8 + 1 + 4 + 16 + 2 + 1 + 4 + 4 + 2] = {
		[7] = 2, [8] = 1, [12] = 9, [30] = 5, [31] = 0, [35] = 8, [39] = 6, [41] = 7
	};
	struct mrt_peers t;
	struct mrt_peer out;

	assert_true(mrt_peers_parse(p, sizeof(p), &t));
	assert_true(mrt_peers_next(&t, &out));
	assert_false(out.is_ipv4);
	assert_int_equal(out.id, 9);
	assert_int_equal(out.as, 5);
	assert_true(mrt_peers_next(&t, &out));
	assert_true(out.is_ipv4);
	assert_int_equal(out.id, 8);
	assert_int_equal(out.addr, 6);
	assert_int_equal(out.as, 7);
}

static bool reads_rib(const uint8_t *p, size_t len)
{
	struct mrt_rib r;
	struct mrt_entry e;

	if (!mrt_rib_parse(p, len, &r))
		return false;
	for (uint32_t i = 0; i < r.n_entries; i++)
		if (!mrt_rib_next(&r, &e))
			return false;
	return true;
}

/* Would catch: a prefix whose bytes are too many or too few; entries that run over the record. */
static void test_rib(void **state)
{
	for (uint8_t bits = 0; bits <= 32; bits++) {
		struct mrt_entry in[2] = { { 0, 50, attrs, sizeof(attrs) }, { 1, 60, attrs, 4 } }, out;
		struct ip4_prefix prefix = { 0xffffffff & ip4_mask(bits), bits };
		uint8_t p[100];
		size_t len = mrt_rib_emit(p, sizeof(p), 1000, 3, prefix, in, 2);
		struct mrt_header h = mrt_header_parse(p);
		struct mrt_rib r;

		assert_int_equal(h.subtype, MRT_RIB_IPV4_UNICAST);
		assert_int_equal(h.len, len - MRT_HEADER_LEN);
		assert_true(mrt_rib_parse(p + MRT_HEADER_LEN, h.len, &r));
		assert_int_equal(r.seq, 3);
		assert_int_equal(r.prefix.addr, prefix.addr);
		assert_int_equal(r.prefix.len, bits);
		assert_int_equal(r.n_entries, 2);
		for (uint32_t i = 0; i < 2; i++) {
			assert_true(mrt_rib_next(&r, &out));
			assert_int_equal(out.peer, i);
			assert_int_equal(out.since_s, in[i].since_s);
			assert_int_equal(out.attrs_len, in[i].attrs_len);
			assert_memory_equal(out.attrs, attrs, out.attrs_len);
		}
		refused_when_cut(p + MRT_HEADER_LEN, h.len, reads_rib);
		assert_int_equal(mrt_rib_emit(p, len - 1, 1000, 3, prefix, in, 2), 0);
	}
	assert_false(reads_rib((const uint8_t[]){ 0, 0, 0, 0, 33, 1, 2, 3, 4, 5, 0, 0 }, 12));
}

static bool reads_state(const uint8_t *p, size_t len)
{
	struct mrt_header h = { .type = MRT_BGP4MP_ET, .subtype = MRT_STATE_CHANGE_AS4, .len = (uint32_t)len };
	struct mrt_event e;

	return mrt_event_parse(&h, p, &e);
}

/* Would catch: ends that are changed over; a message that is not all there; microseconds taken for an AS. */
static void test_events(void **state)
{
	struct mrt_event in = { .us = 999999,
				.peer = { true, 0, IP4(192, 0, 2, 1), 4200000000u },
				.local = { true, 0, IP4(192, 0, 2, 9), 65000 },
				.from = MRT_OPEN_CONFIRM,
				.to = MRT_ESTABLISHED,
				.is_state = true },
			 out;
	uint8_t p[100];
	size_t len = mrt_event_emit(p, sizeof(p), 1000, &in);
	struct mrt_header h = mrt_header_parse(p);

	assert_int_equal(h.type, MRT_BGP4MP_ET);
	assert_true(mrt_event_parse(&h, p + MRT_HEADER_LEN, &out));
	assert_true(out.is_state && out.is_as4 && !out.is_sent);
	assert_int_equal(out.us, 999999);
	assert_int_equal(out.peer.as, 4200000000u);
	assert_int_equal(out.local.as, 65000);
	assert_int_equal(out.peer.addr, IP4(192, 0, 2, 1));
	assert_int_equal(out.local.addr, IP4(192, 0, 2, 9));
	assert_int_equal(out.from, MRT_OPEN_CONFIRM);
	assert_int_equal(out.to, MRT_ESTABLISHED);
	refused_when_cut(p + MRT_HEADER_LEN, h.len, reads_state);
	in.is_state = false;
	in.is_sent = true;
	in.message = attrs;
	in.message_len = sizeof(attrs);
	len = mrt_event_emit(p, sizeof(p), 1000, &in);
	h = mrt_header_parse(p);
	assert_int_equal(h.subtype, MRT_MESSAGE_AS4_LOCAL);
	assert_true(mrt_event_parse(&h, p + MRT_HEADER_LEN, &out));
	assert_true(out.is_sent && !out.is_state);
	assert_int_equal(out.message_len, sizeof(attrs));
	assert_memory_equal(out.message, attrs, sizeof(attrs));
	assert_int_equal(mrt_event_emit(p, len - 1, 1000, &in), 0);
	/* Without microseconds and with two octets, as an old collector writes it. */
	uint8_t old[] = { 0xfd, 0xe9, 0xfd, 0xe8, 0, 0, 0, 1, 192, 0, 2, 1, 192, 0, 2, 9, 0xff };

	h = (struct mrt_header){ .type = MRT_BGP4MP, .subtype = MRT_MESSAGE, .len = sizeof(old) };
	assert_true(mrt_event_parse(&h, old, &out));
	assert_int_equal(out.peer.as, 65001);
	assert_int_equal(out.local.addr, IP4(192, 0, 2, 9));
	assert_int_equal(out.message_len, 1);
	old[7] = 3;
	assert_false(mrt_event_parse(&h, old, &out));
	old[7] = 1;
	h.subtype = 2;
	assert_false(mrt_event_parse(&h, old, &out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_peers),
		cmocka_unit_test(test_other_peers),
		cmocka_unit_test(test_rib),
		cmocka_unit_test(test_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
