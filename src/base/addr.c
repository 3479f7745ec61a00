/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Addresses of both families: order and text. IPv6 is written as
 * RFC 5952 says: lower case, no leading zeros, the longest run of zero groups (of
 * two or more, the first of equals) as "::", and an IPv4-mapped address with its
 * IPv4 part in dotted quad (section 5).
 */
#include "base/addr.h"

#include <stdio.h>

#include "base/util.h"

#define N_GROUPS 8

int ip_addr_compare(const struct ip_addr *a, const struct ip_addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	if (a->family == IP_FAMILY_V4)
		return a->v4 != b->v4 ? (a->v4 < b->v4 ? -1 : 1) : 0;
	return memcmp(a->v6, b->v6, sizeof(a->v6));
}

int ip_prefix_compare(const struct ip_prefix *a, const struct ip_prefix *b)
{
	int order = ip_addr_compare(&a->addr, &b->addr);

	if (order != 0 || a->len == b->len)
		return order;
	return a->len < b->len ? -1 : 1;
}

/* --- text --- */

static uint32_t group_of(const struct ip_addr *a, uint32_t i)
{
	return (uint32_t)a->v6[2 * i] << 8 | a->v6[2 * i + 1];
}

/* The run that is written as "::"; length 0: none. */
static uint32_t zero_run(const struct ip_addr *a, uint32_t *first)
{
	uint32_t best = 1;

	*first = 0;
	for (uint32_t i = 0; i < N_GROUPS; i++) {
		uint32_t n = 0;

		while (i + n < N_GROUPS && group_of(a, i + n) == 0)
			n++;
		if (n > best) {
			best = n;
			*first = i;
		}
	}
	return best > 1 ? best : 0;
}

static bool is_v4_mapped(const struct ip_addr *a)
{
	for (uint32_t i = 0; i < 5; i++) {
		if (group_of(a, i) != 0)
			return false;
	}
	return group_of(a, 5) == 0xffff;
}

static void format_v6(const struct ip_addr *a, char buf[IP_TEXT_MAX])
{
	uint32_t first, n = zero_run(a, &first);
	char *at = buf;

	if (is_v4_mapped(a)) {
		snprintf(buf, IP_TEXT_MAX, "::ffff:%u.%u.%u.%u", a->v6[12], a->v6[13], a->v6[14], a->v6[15]);
		return;
	}
	for (uint32_t i = 0; i < N_GROUPS;) {
		if (n > 0 && i == first) {
			at += snprintf(at, 3, "::");
			i += n;
			continue;
		}
		const char *colon = i == 0 || (n > 0 && i == first + n) ? "" : ":";

		at += snprintf(at, 6, "%s%x", colon, group_of(a, i));
		i++;
	}
}

char *ip_addr_format(const struct ip_addr *a, char buf[IP_TEXT_MAX])
{
	if (a->family == IP_FAMILY_V4)
		return ip4_format(a->v4, buf);
	if (a->family == IP_FAMILY_V6)
		format_v6(a, buf);
	else
		snprintf(buf, IP_TEXT_MAX, "-");
	return buf;
}

char *ip_prefix_format(const struct ip_prefix *p, char buf[IP_TEXT_MAX])
{
	size_t n = strlen(ip_addr_format(&p->addr, buf));

	snprintf(buf + n, IP_TEXT_MAX - n, "/%u", p->len);
	return buf;
}
