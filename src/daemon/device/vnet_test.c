/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The vnet header against struct offload: honest ones, hints, and lies.
 */
#include "daemon/device/vnet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/ip4.h"
#include "stack/wire/checksum.h"
#include "stack/wire/ether.h"
#include "stack/wire/ipv4.h"
#include "stack/wire/l4.h"

#define SRC IP4(10, 0, 0, 1)
#define DST IP4(10, 0, 0, 2)
#define L4_OFF (ETHER_HEADER_LEN + IPV4_HEADER_LEN)
#define TCP_CHECK (L4_OFF + 16)
#define ECN VIRTIO_NET_HDR_GSO_ECN
#define CSUM VIRTIO_NET_HDR_F_NEEDS_CSUM
#define VALID VIRTIO_NET_HDR_F_DATA_VALID
#define UDP_L4 5

/* An Ethernet frame on the heap, exactly as long as it is. */
static uint8_t *make_frame(uint16_t ether_type, uint8_t proto, uint16_t payload_len, uint32_t *len)
{
	uint16_t l4_len = (uint16_t)((proto == IPPROTO_NR_TCP ? TCP_HEADER_LEN : UDP_HEADER_LEN) + payload_len);
	struct ether_view eth = { .dst = { { 2, 0, 0, 0, 0, 2 } },
				  .src = { { 2, 0, 0, 0, 0, 1 } },
				  .type = ether_type };
	struct ipv4_view ip = { .src = SRC,
				.dst = DST,
				.ttl = 64,
				.proto = proto,
				.header_len = IPV4_HEADER_LEN,
				.total_len = (uint16_t)(IPV4_HEADER_LEN + l4_len) };

	*len = ETHER_HEADER_LEN + ip.total_len;
	uint8_t *f = calloc(1, *len);
	assert_non_null(f);
	ether_emit(f, &eth);
	ipv4_emit(f + ETHER_HEADER_LEN, &ip);
	if (proto == IPPROTO_NR_TCP)
		tcp_emit(f + L4_OFF, 1000, 80, 1, 2, TCP_ACK, 500);
	else
		udp_emit(f + L4_OFF, 1000, 53, payload_len);
	return f;
}

struct row {
	const char *name;
	uint16_t ether_type;
	uint8_t proto;
	uint16_t payload_len;
	struct virtio_net_hdr in;
	bool ok;
	struct offload want;
};

static const struct row rows[] = {
	/* Would catch: work invented where there is none. */
	{ "nothing to do", ETHERTYPE_IPV4, IPPROTO_NR_TCP, 100, { 0 }, true, { 0 } },
	{ "checked by the device",
	  ETHERTYPE_IPV4,
	  IPPROTO_NR_TCP,
	  100,
	  { .flags = VALID },
	  true,
	  { .csum_valid = true } },
	{ "partial checksum",
	  ETHERTYPE_IPV4,
	  IPPROTO_NR_TCP,
	  100,
	  { .flags = CSUM, .csum_start = L4_OFF, .csum_offset = 16 },
	  true,
	  { .csum_partial = true, .csum_start = L4_OFF, .csum_offset = 16 } },
	/* Would catch: both flags taken for a finished checksum. */
	{ "partial wins over checked",
	  ETHERTYPE_IPV4,
	  IPPROTO_NR_TCP,
	  100,
	  { .flags = CSUM | VALID, .csum_start = L4_OFF, .csum_offset = 16 },
	  true,
	  { .csum_partial = true, .csum_start = L4_OFF, .csum_offset = 16 } },
	{ "field in the last two bytes",
	  ETHERTYPE_IPV4,
	  IPPROTO_NR_TCP,
	  0,
	  { .flags = CSUM, .csum_start = L4_OFF, .csum_offset = 18 },
	  true,
	  { .csum_partial = true, .csum_start = L4_OFF, .csum_offset = 18 } },
	/* Would catch: a write past the frame's end when the checksum is finished. */
	{ "field one byte past the end",
	  ETHERTYPE_IPV4,
	  IPPROTO_NR_TCP,
	  0,
	  { .flags = CSUM, .csum_start = L4_OFF, .csum_offset = 19 },
	  false,
	  { 0 } },
	{ "sum that overflows 16 bits",
	  ETHERTYPE_IPV4,
	  IPPROTO_NR_TCP,
	  100,
	  { .flags = CSUM, .csum_start = 0xffff, .csum_offset = 0xffff },
	  false,
	  { 0 } },
	{ "field in the Ethernet header",
	  ETHERTYPE_IPV4,
	  IPPROTO_NR_TCP,
	  100,
	  { .flags = CSUM, .csum_start = 2, .csum_offset = 4 },
	  false,
	  { 0 } },
	/* Would catch: Linux's hdr_len (a hint, 1,000 here) taken for the headers' length. */
	{ "TCP segments",
	  ETHERTYPE_IPV4,
	  IPPROTO_NR_TCP,
	  5000,
	  { .flags = CSUM, .gso_type = 1, .hdr_len = 1000, .gso_size = 1448, .csum_start = L4_OFF, .csum_offset = 16 },
	  true,
	  { .csum_partial = true,
	    .csum_start = L4_OFF,
	    .csum_offset = 16,
	    .gso_type = GSO_TCP4,
	    .gso_size = 1448,
	    .gso_hdr_len = L4_OFF + 20 } },
	{ "TCP segments, CWR on the first",
	  ETHERTYPE_IPV4,
	  IPPROTO_NR_TCP,
	  5000,
	  { .flags = CSUM, .gso_type = 1 | ECN, .gso_size = 1448, .csum_start = L4_OFF, .csum_offset = 16 },
	  true,
	  { .csum_partial = true,
	    .csum_start = L4_OFF,
	    .csum_offset = 16,
	    .gso_type = GSO_TCP4_ECN,
	    .gso_size = 1448,
	    .gso_hdr_len = L4_OFF + 20 } },
	{ "UDP segments",
	  ETHERTYPE_IPV4,
	  IPPROTO_NR_UDP,
	  5000,
	  { .flags = CSUM, .gso_type = UDP_L4, .gso_size = 1000, .csum_start = L4_OFF, .csum_offset = 6 },
	  true,
	  { .csum_partial = true,
	    .csum_start = L4_OFF,
	    .csum_offset = 6,
	    .gso_type = GSO_UDP4,
	    .gso_size = 1000,
	    .gso_hdr_len = L4_OFF + 8 } },
	/* Would catch: a NIC's own merged segment sent on with a whole checksum. */
	{ "segments with a finished checksum become partial",
	  ETHERTYPE_IPV4,
	  IPPROTO_NR_TCP,
	  5000,
	  { .flags = VALID, .gso_type = 1, .gso_size = 1448 },
	  true,
	  { .csum_partial = true,
	    .csum_start = L4_OFF,
	    .csum_offset = 16,
	    .gso_type = GSO_TCP4,
	    .gso_size = 1448,
	    .gso_hdr_len = L4_OFF + 20 } },
	{ "one segment only is an ordinary frame",
	  ETHERTYPE_IPV4,
	  IPPROTO_NR_TCP,
	  1448,
	  { .flags = CSUM, .gso_type = 1, .gso_size = 1448, .csum_start = L4_OFF, .csum_offset = 16 },
	  true,
	  { .csum_partial = true, .csum_start = L4_OFF, .csum_offset = 16 } },
	/* Would catch: a division by zero in whoever counts pieces. */
	{ "segments of no size",
	  ETHERTYPE_IPV4,
	  IPPROTO_NR_TCP,
	  5000,
	  { .flags = CSUM, .gso_type = 1, .csum_start = L4_OFF, .csum_offset = 16 },
	  false,
	  { 0 } },
	{ "TCP segments of a UDP packet",
	  ETHERTYPE_IPV4,
	  IPPROTO_NR_UDP,
	  5000,
	  { .flags = CSUM, .gso_type = 1, .gso_size = 1000, .csum_start = L4_OFF, .csum_offset = 6 },
	  false,
	  { 0 } },
	{ "UDP fragments (UFO), not asked for",
	  ETHERTYPE_IPV4,
	  IPPROTO_NR_UDP,
	  5000,
	  { .flags = CSUM, .gso_type = 3, .gso_size = 1000, .csum_start = L4_OFF, .csum_offset = 6 },
	  false,
	  { 0 } },
	{ "a kind nobody knows",
	  ETHERTYPE_IPV4,
	  IPPROTO_NR_TCP,
	  5000,
	  { .gso_type = 0x7f, .gso_size = 9 },
	  false,
	  { 0 } },
	{ "IPv6 segments inside an IPv4 frame",
	  ETHERTYPE_IPV4,
	  IPPROTO_NR_TCP,
	  5000,
	  { .flags = CSUM, .gso_type = 4, .gso_size = 1000, .csum_start = L4_OFF, .csum_offset = 16 },
	  false,
	  { 0 } },
	/* The layer above drops it as IPv6, which is the better name. */
	{ "IPv6 segments",
	  ETHERTYPE_IPV6,
	  IPPROTO_NR_TCP,
	  5000,
	  { .flags = CSUM, .gso_type = 4, .gso_size = 1000, .csum_start = 54, .csum_offset = 16 },
	  true,
	  { .csum_partial = true, .csum_start = 54, .csum_offset = 16 } },
};

static void assert_offload(const char *name, const struct offload *a, const struct offload *b)
{
	if (a->csum_partial != b->csum_partial || a->csum_valid != b->csum_valid || a->gso_type != b->gso_type ||
	    a->csum_start != b->csum_start || a->csum_offset != b->csum_offset || a->gso_size != b->gso_size ||
	    a->gso_hdr_len != b->gso_hdr_len)
		fail_msg("%s: partial %d valid %d start %u offset %u gso %u size %u headers %u", name, a->csum_partial,
			 a->csum_valid, a->csum_start, a->csum_offset, a->gso_type, a->gso_size, a->gso_hdr_len);
}

static void test_rows(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		struct offload o, again;
		struct virtio_net_hdr h;
		uint32_t len;
		uint8_t *f = make_frame(r->ether_type, r->proto, r->payload_len, &len);

		memset(&o, 0xff, sizeof(o));
		if (vnet_to_offload(&r->in, f, len, &o) != r->ok)
			fail_msg("%s: taken %d", r->name, !r->ok);
		assert_offload(r->name, &o, &r->want);
		/* What we send for it is understood as the same. */
		vnet_of_offload(&o, &h);
		assert_true(vnet_to_offload(&h, f, len, &again));
		assert_offload(r->name, &again, &o);
		free(f);
	}
}

/* Would catch: a merged segment whose checksum field keeps the old whole sum,
 * which every piece cut from it would then inherit. */
static void test_made_partial_holds_pseudo_sum(void **state)
{
	struct virtio_net_hdr h = { .gso_type = 1, .gso_size = 1448 };
	struct offload o;
	uint32_t len;
	uint8_t *f = make_frame(ETHERTYPE_IPV4, IPPROTO_NR_TCP, 5000, &len);

	f[TCP_CHECK] = 0xde;
	f[TCP_CHECK + 1] = 0xad;
	assert_true(vnet_to_offload(&h, f, len, &o));
	uint16_t want = checksum_fold(checksum_pseudo(SRC, DST, IPPROTO_NR_TCP, TCP_HEADER_LEN + 5000));
	assert_int_equal((f[TCP_CHECK] << 8) | f[TCP_CHECK + 1], want);
	free(f);
}

/* Would catch: a look at headers that are not there. A large segment whose
 * frame is cut anywhere in its headers passes as an ordinary frame. */
static void test_every_short_frame(void **state)
{
	struct virtio_net_hdr h = { .gso_type = 1, .gso_size = 100 };

	for (uint32_t cut = 0; cut < L4_OFF + TCP_HEADER_LEN; cut++) {
		struct offload o;
		uint32_t len;
		uint8_t *whole = make_frame(ETHERTYPE_IPV4, IPPROTO_NR_TCP, 500, &len);
		uint8_t *f = malloc(cut + 1);
		memcpy(f, whole, cut);
		f = realloc(f, cut ? cut : 1);
		assert_true(vnet_to_offload(&h, f, cut, &o));
		assert_int_equal(o.gso_type, GSO_NONE);
		free(f);
		free(whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_made_partial_holds_pseudo_sum),
		cmocka_unit_test(test_every_short_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
