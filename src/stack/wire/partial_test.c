/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Unfinished checksums told from finished, damaged and absent ones.
 */
#include "stack/wire/partial.h"

#include "stack/wire/checksum.h"
#include "stack/wire/ether.h"
#include "stack/wire/l4.h"
#include "stack/wire/wire_test.h"

#define FRAME_MAX 200

enum sum { FINISHED, UNFINISHED, ABSENT, DAMAGED };

/* An Ethernet frame with n_options bytes of IP options and n bytes behind the IP header. */
static uint32_t make(uint8_t *f, uint8_t proto, uint32_t n_options, uint32_t n, enum sum sum, struct rng *r)
{
	uint32_t header_len = IPV4_HEADER_LEN + n_options;
	struct ipv4_view ip = { .src = rng_u32(r),
				.dst = rng_u32(r),
				.total_len = (uint16_t)(IPV4_HEADER_LEN + n),
				.header_len = IPV4_HEADER_LEN,
				.ttl = 64,
				.proto = proto };
	uint8_t *l4 = f + ETHER_HEADER_LEN + header_len;
	uint16_t at = proto == IPPROTO_NR_TCP ? 16 : proto == IPPROTO_NR_UDP ? 6 : 2;

	random_bytes(r, f, FRAME_MAX);
	f[12] = 8;
	f[13] = 0;
	ipv4_emit(f + ETHER_HEADER_LEN, &ip);
	f[14] = (uint8_t)(0x40 | header_len / 4);
	f[17] = (uint8_t)(header_len + n);
	if (proto == IPPROTO_NR_UDP && n >= UDP_HEADER_LEN) {
		l4[4] = 0;
		l4[5] = (uint8_t)n;
	}
	if (n >= 20)
		l4_checksum_set(&ip, l4, n);
	uint16_t field = (uint16_t)(l4[at] << 8 | l4[at + 1]);
	if (sum == UNFINISHED)
		field = checksum_fold(checksum_pseudo(ip.src, ip.dst, proto, n));
	else if (sum == ABSENT)
		field = 0;
	else if (sum == DAMAGED)
		field ^= 0x0100;
	l4[at] = (uint8_t)(field >> 8);
	l4[at + 1] = (uint8_t)field;
	return ETHER_HEADER_LEN + header_len + n;
}

/* Would catch: an unfinished frame sent on as it is (its receiver drops it), and
 * a finished, absent or wrong checksum repaired; options or padding counted in. */
static void test_kinds(void **state)
{
	static const struct {
		const char *what;
		uint8_t proto;
		uint32_t n_options, n, n_padding;
		enum sum sum;
		bool want;
		uint16_t start, offset;
	} rows[] = {
		{ "tcp", 6, 0, 60, 0, UNFINISHED, true, 34, 16 },
		{ "tcp, odd", 6, 0, 61, 0, UNFINISHED, true, 34, 16 },
		{ "tcp, options", 6, 8, 60, 0, UNFINISHED, true, 42, 16 },
		{ "tcp, padding", 6, 0, 20, 6, UNFINISHED, true, 34, 16 },
		{ "udp", 17, 0, 60, 0, UNFINISHED, true, 34, 6 },
		{ "udp, empty", 17, 0, 8, 18, UNFINISHED, true, 34, 6 },
		{ "tcp, finished", 6, 0, 60, 0, FINISHED, false, 0, 0 },
		{ "udp, finished", 17, 0, 60, 0, FINISHED, false, 0, 0 },
		{ "udp, absent", 17, 0, 60, 0, ABSENT, false, 0, 0 },
		{ "tcp, damaged", 6, 0, 60, 0, DAMAGED, false, 0, 0 },
		{ "udp, damaged", 17, 0, 60, 0, DAMAGED, false, 0, 0 },
		{ "icmp has no pseudo header", 1, 0, 60, 0, UNFINISHED, false, 0, 0 },
		{ "tcp, short", 6, 0, 19, 0, UNFINISHED, false, 0, 0 },
		{ "udp, short", 17, 0, 7, 0, UNFINISHED, false, 0, 0 },
	};
	struct rng r = test_rng(1);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		/* Random bytes each time: a chance value would show. */
		for (uint32_t k = 0; k < 200; k++) {
			uint8_t f[FRAME_MAX];
			uint16_t start = 0, offset = 0;
			uint32_t len = make(f, rows[i].proto, rows[i].n_options, rows[i].n, rows[i].sum, &r);
			uint8_t *copy = exact_copy(f, len + rows[i].n_padding);
			bool found = partial_find(copy, len + rows[i].n_padding, &start, &offset);

			free(copy);
			if (found != rows[i].want || (found && (start != rows[i].start || offset != rows[i].offset)))
				fail_msg("%s: %d, %u + %u", rows[i].what, found, start, offset);
		}
	}
}

/* Would catch: reading past the end, and frames that are no whole IPv4 packet. */
static void test_lies(void **state)
{
	static const struct {
		const char *what;
		uint32_t at;
		uint8_t value;
	} lies[] = {
		{ "not IPv4", 13, 6 },
		{ "version 6", 14, 0x65 },
		{ "header of 16 bytes", 14, 0x44 },
		{ "longer than it is", 17, 200 },
		{ "more fragments", 20, 0x20 },
		{ "a later fragment", 21, 1 },
	};
	struct rng r = test_rng(2);
	uint8_t f[FRAME_MAX];
	uint16_t start, offset;

	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		uint32_t len = make(f, IPPROTO_NR_TCP, 0, 60, UNFINISHED, &r);
		assert_true(partial_find(f, len, &start, &offset));
		f[lies[i].at] = lies[i].value;
		if (partial_find(f, len, &start, &offset))
			fail_msg("%s", lies[i].what);
	}
	uint32_t whole = make(f, IPPROTO_NR_UDP, 0, 60, UNFINISHED, &r);
	for (uint32_t len = 0; len < whole; len++) {
		uint8_t *copy = exact_copy(f, len);
		assert_false(partial_find(copy, len, &start, &offset));
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
