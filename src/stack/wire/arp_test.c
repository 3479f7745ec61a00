/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ARP packets there and back.
 */
#include "stack/wire/arp.h"

#include "stack/wire/wire_test.h"

static const uint8_t request[ARP_LEN] = { 0,  1,  8, 0, 6, 4, 0, 1, 0x02, 0, 0,  0,  0, 1,
					  10, 77, 0, 1, 0, 0, 0, 0, 0,    0, 10, 77, 0, 2 };

/* Would catch: a field at the wrong place, and a packet cut anywhere read past
 * its end. */
static void test_parse_and_emit(void **state)
{
	struct arp_view v;
	uint8_t out[ARP_LEN];

	for (size_t len = 0; len < ARP_LEN; len++) {
		uint8_t *cut = exact_copy(request, len);

		assert_false(arp_parse(cut, len, &v));
		free(cut);
	}
	assert_true(arp_parse(request, sizeof(request), &v));
	assert_int_equal(v.op, ARP_REQUEST);
	assert_int_equal(v.sha.b[0], 2);
	assert_int_equal(v.spa, 0x0a4d0001);
	assert_true(ether_is_zero(&v.tha));
	assert_int_equal(v.tpa, 0x0a4d0002);
	arp_emit(out, &v);
	assert_memory_equal(out, request, sizeof(out));
}

/* Would catch: another network's ARP read as ours. */
static void test_other_networks(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} bad[] = { { 0, 1 }, { 1, 6 }, { 2, 0x86 }, { 3, 6 }, { 4, 8 }, { 5, 16 } };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct arp_view v;
		uint8_t packet[ARP_LEN];

		memcpy(packet, request, sizeof(packet));
		packet[bad[i].at] = bad[i].value;
		assert_false(arp_parse(packet, sizeof(packet), &v));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_and_emit),
		cmocka_unit_test(test_other_networks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
