/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Addresses of both families: order, containment, and text. IPv6 is written as
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

struct ip_addr ip_addr_masked(const struct ip_addr *a, uint32_t len)
{
	struct ip_addr r = *a;

	if (r.family == IP_FAMILY_V4) {
		r.v4 &= ip4_mask((uint8_t)min_u32(len, 32));
		return r;
	}
	for (uint32_t i = 0; i < sizeof(r.v6); i++) {
		uint32_t kept = len > 8 * i ? min_u32(len - 8 * i, 8) : 0;

		r.v6[i] &= (uint8_t)(0xff00u >> kept);
	}
	return r;
}

bool ip_addr_in(const struct ip_addr *a, const struct ip_prefix *p)
{
	if (a->family != p->addr.family)
		return false;
	struct ip_addr net = ip_addr_masked(a, p->len);

	return ip_addr_equal(&net, &p->addr);
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

/* Up to four hexadecimal digits. The digits read; 0: none, or too many. */
static size_t parse_group(const char *text, uint32_t *out)
{
	size_t n = 0;

	*out = 0;
	for (;; n++) {
		char c = text[n];
		uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
				 : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
				 : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
							: 16;

		if (digit == 16)
			return n;
		if (n == 4)
			return 0;
		*out = *out << 4 | digit;
	}
}

/* What stands before "::", or behind it; *n groups. False when it is no such thing. *text moves to its end. */
static bool parse_groups(const char **text, uint8_t *bytes, uint32_t max, uint32_t *n)
{
	uint32_t value, v4;

	for (*n = 0;;) {
		size_t dotted = ip4_parse(*text, strlen(*text), &v4);

		if (dotted > 0 && (*text)[dotted] == '\0' && *n + 2 <= max) {
			for (uint32_t i = 0; i < 4; i++)
				bytes[2 * *n + i] = (uint8_t)(v4 >> (24 - 8 * i));
			*n += 2;
			*text += dotted;
			return true;
		}
		size_t digits = parse_group(*text, &value);

		if (digits == 0 || *n == max)
			return false;
		bytes[2 * *n] = (uint8_t)(value >> 8);
		bytes[2 * *n + 1] = (uint8_t)value;
		(*n)++;
		*text += digits;
		if (**text != ':' || (*text)[1] == ':')
			return true;
		(*text)++;
	}
}

static bool parse_v6(const char *text, struct ip_addr *out)
{
	uint8_t behind[16] = { 0 };
	uint32_t n_before = 0, n_behind = 0;

	*out = (struct ip_addr){ .family = IP_FAMILY_V6 };
	if (strncmp(text, "::", 2) != 0 && !parse_groups(&text, out->v6, N_GROUPS, &n_before))
		return false;
	if (*text == '\0')
		return n_before == N_GROUPS;
	if (strncmp(text, "::", 2) != 0)
		return false;
	text += 2;
	if (*text != '\0' && (!parse_groups(&text, behind, N_GROUPS, &n_behind) || *text != '\0'))
		return false;
	/* "::" stands for one group at least. */
	if (n_before + n_behind >= N_GROUPS)
		return false;
	memcpy(out->v6 + 16 - 2 * n_behind, behind, 2 * (size_t)n_behind);
	return true;
}

bool ip_addr_parse(const char *text, struct ip_addr *out)
{
	uint32_t v4;
	size_t n = ip4_parse(text, strlen(text), &v4);

	if (n > 0 && text[n] == '\0') {
		*out = ip_addr_v4(v4);
		return true;
	}
	if (parse_v6(text, out))
		return true;
	*out = (struct ip_addr){ 0 };
	return false;
}
