/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ethernet II headers (IEEE 802.3 clause 3, RFC 894).
 */
#ifndef YG_STACK_WIRE_ETHER_H
#define YG_STACK_WIRE_ETHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ETHER_HEADER_LEN 14
#define ETHER_MIN_FRAME 60 /* without the checksum */

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_ARP 0x0806
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_QINQ 0x88a8
#define ETHERTYPE_IPV6 0x86dd

struct ether_addr {
	uint8_t b[6];
};

/* "aa:bb:cc:dd:ee:ff" and its NUL */
#define ETHER_TEXT_MAX 18

extern const struct ether_addr ether_broadcast;

static inline bool ether_equal(const struct ether_addr *a, const struct ether_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* Group bit: multicast or broadcast. */
static inline bool ether_is_group(const struct ether_addr *a)
{
	return (a->b[0] & 1) != 0;
}

static inline bool ether_is_broadcast(const struct ether_addr *a)
{
	return ether_equal(a, &ether_broadcast);
}

static inline bool ether_is_zero(const struct ether_addr *a)
{
	return (a->b[0] | a->b[1] | a->b[2] | a->b[3] | a->b[4] | a->b[5]) == 0;
}

struct ether_view {
	struct ether_addr dst, src;
	uint16_t type;
};

/* False when len is under ETHER_HEADER_LEN. */
bool ether_parse(const uint8_t *frame, size_t len, struct ether_view *v);
#define ETHER_TAG_LEN 4
/* The frame has an outer tag that names no VLAN but only a priority (802.1Q section 6.9.1: VLAN 0): it belongs to the
 * untagged network. len may be anything. */
bool ether_priority_tagged(const uint8_t *frame, size_t len);
/* Takes that tag out: the addresses move up to what is behind it, and the frame begins ETHER_TAG_LEN later. */
void ether_take_tag_out(uint8_t *frame);
/* Writes ETHER_HEADER_LEN bytes. */
void ether_emit(uint8_t *frame, const struct ether_view *v);

char *ether_format(const struct ether_addr *a, char buf[ETHER_TEXT_MAX]);
/* Six two-digit hex numbers with colons, and nothing else. */
bool ether_addr_parse(const char *text, struct ether_addr *a);

#endif
