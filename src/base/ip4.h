/* SPDX-License-Identifier: BSD-2-Clause
 *
 * IPv4 addresses and prefixes as values: host-order integers, text both ways,
 * and the classes of RFC 1122 section 3.2.1.3 and RFC 6890.
 */
#ifndef YG_BASE_IP4_H
#define YG_BASE_IP4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "255.255.255.255/32" and its NUL. */
#define IP4_TEXT_MAX 19

struct ip4_prefix {
	uint32_t addr; /* bits behind len are zero */
	uint8_t len;   /* 0 to 32 */
};

#define IP4(a, b, c, d) (((uint32_t)(a) << 24) | ((uint32_t)(b) << 16) | ((uint32_t)(c) << 8) | (uint32_t)(d))

static inline uint32_t ip4_mask(uint8_t len)
{
	return len == 0 ? 0 : UINT32_MAX << (32 - len);
}

static inline bool ip4_in(uint32_t addr, struct ip4_prefix p)
{
	return ((addr ^ p.addr) & ip4_mask(p.len)) == 0;
}

static inline bool ip4_is_multicast(uint32_t a)
{
	return (a >> 28) == 0xe;
}

static inline bool ip4_is_loopback(uint32_t a)
{
	return (a >> 24) == 127;
}

static inline bool ip4_is_limited_broadcast(uint32_t a)
{
	return a == UINT32_MAX;
}

/* One host can have it. 240.0.0.0/4 and 0.0.0.0/8 but 0.0.0.0 count as such, as in Linux: clouds number their networks
 * with the former, and nothing is gained by refusing either. */
static inline bool ip4_is_unicast(uint32_t a)
{
	return a != 0 && !ip4_is_loopback(a) && !ip4_is_multicast(a) && !ip4_is_limited_broadcast(a);
}

/* Writes dotted quad into buf (IP4_TEXT_MAX bytes) and returns buf. */
char *ip4_format(uint32_t addr, char buf[IP4_TEXT_MAX]);
/* Writes "a.b.c.d/len". */
char *ip4_prefix_format(struct ip4_prefix p, char buf[IP4_TEXT_MAX]);

/* Reads strictly four decimal parts without leading zeros; the text need not
 * end behind the address. Returns the characters used, 0 if it is no address. */
size_t ip4_parse(const char *text, size_t len, uint32_t *addr);

#endif
