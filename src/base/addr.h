/* SPDX-License-Identifier: BSD-2-Clause
 *
 * IP addresses and prefixes of either family as values. Everything above the IP
 * layer that is new keeps its addresses in these; the packet's way, which is
 * IPv4's alone so far, has bare integers (base/ip4.h).
 *
 * What always holds: bytes that an address does not use are zero, so two values
 * are equal when their bytes are, and the zero value is no address at all.
 */
#ifndef YG_BASE_ADDR_H
#define YG_BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/ip4.h"

enum ip_family { IP_FAMILY_NONE, IP_FAMILY_V4 = 4, IP_FAMILY_V6 = 6 };

struct ip_addr {
	uint8_t family; /* enum ip_family */
	uint8_t reserved[3];
	union {
		uint32_t v4;    /* as everywhere here: a host-order integer; 0 where there is none */
		uint8_t v6[16]; /* network order */
	};
};
_Static_assert(sizeof(struct ip_addr) == 20, "no bytes that nobody clears");

struct ip_prefix {
	struct ip_addr addr; /* bits behind len are zero */
	uint32_t len;        /* 0 to 32 or 128 */
};
_Static_assert(sizeof(struct ip_prefix) == 24, "no bytes that nobody clears");

/* One direction of a flow. Ports in host order; ICMP: the identifier, and type << 8 | code; GRE and ESP: the halves of
 * the identifier; 0 where there are none. What is not known or not told is 0 too, an address of no family. */
struct ip_tuple {
	struct ip_addr src, dst;
	uint16_t sport, dport;
	uint16_t zone;
	uint8_t proto;
	uint8_t reserved;
};
_Static_assert(sizeof(struct ip_tuple) == 48, "no bytes that nobody clears");

/* "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128" and its NUL. */
#define IP_TEXT_MAX 50

static inline struct ip_addr ip_addr_v4(uint32_t addr)
{
	return (struct ip_addr){ .family = IP_FAMILY_V4, .v4 = addr };
}

static inline struct ip_addr ip_addr_v6(const uint8_t bytes[16])
{
	struct ip_addr a = { .family = IP_FAMILY_V6 };

	memcpy(a.v6, bytes, sizeof(a.v6));
	return a;
}

static inline struct ip_prefix ip_prefix_v4(uint32_t addr, uint32_t len)
{
	return (struct ip_prefix){ ip_addr_v4(addr & ip4_mask((uint8_t)len)), len };
}

static inline struct ip4_prefix ip_prefix_to_v4(const struct ip_prefix *p)
{
	return (struct ip4_prefix){ p->addr.v4, (uint8_t)p->len };
}

static inline bool ip_addr_is_none(const struct ip_addr *a)
{
	return a->family == IP_FAMILY_NONE;
}

static inline bool ip_addr_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static inline bool ip_prefix_equal(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return a->len == b->len && ip_addr_equal(&a->addr, &b->addr);
}

/* 32 or 128; 0 of no address. */
static inline uint32_t ip_family_bits(uint8_t family)
{
	return family == IP_FAMILY_V4 ? 32 : family == IP_FAMILY_V6 ? 128 : 0;
}

/* By family, then as numbers: below, above or 0. */
int ip_addr_compare(const struct ip_addr *a, const struct ip_addr *b);
/* The same, a shorter prefix before a longer one with the same address. */
int ip_prefix_compare(const struct ip_prefix *a, const struct ip_prefix *b);

/* Dotted quad, or RFC 5952; "-" for none. Returns buf. */
char *ip_addr_format(const struct ip_addr *a, char buf[IP_TEXT_MAX]);
/* The same with "/len". */
char *ip_prefix_format(const struct ip_prefix *p, char buf[IP_TEXT_MAX]);

#endif
