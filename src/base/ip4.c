/* SPDX-License-Identifier: BSD-2-Clause
 *
 * IPv4 addresses to text and back. Reading is strict: a part with a leading
 * zero is refused, since some programs take it for octal, and two readers of
 * one config must not see two addresses.
 */
#include "base/ip4.h"

static char *part_format(char *p, uint32_t part)
{
	if (part >= 100)
		*p++ = (char)('0' + part / 100);
	if (part >= 10)
		*p++ = (char)('0' + part / 10 % 10);
	*p++ = (char)('0' + part % 10);
	return p;
}

static char *quad_format(char *p, uint32_t addr)
{
	for (int shift = 24; shift >= 0; shift -= 8) {
		p = part_format(p, (addr >> shift) & 0xff);
		if (shift > 0)
			*p++ = '.';
	}
	return p;
}

char *ip4_format(uint32_t addr, char buf[IP4_TEXT_MAX])
{
	*quad_format(buf, addr) = '\0';
	return buf;
}

char *ip4_prefix_format(struct ip4_prefix prefix, char buf[IP4_TEXT_MAX])
{
	char *p = quad_format(buf, prefix.addr);
	*p++ = '/';
	*part_format(p, prefix.len) = '\0';
	return buf;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* One number from 0 to 255. Returns the characters used, 0 if it is none. */
static size_t part_parse(const char *text, size_t len, uint32_t *part)
{
	size_t n = 0;
	uint32_t value = 0;
	while (n < len && is_digit(text[n])) {
		value = value * 10 + (uint32_t)(text[n] - '0');
		n++;
		if (value > 255 || (n > 1 && text[0] == '0'))
			return 0;
	}
	*part = value;
	return n;
}

size_t ip4_parse(const char *text, size_t len, uint32_t *addr)
{
	size_t used = 0;
	uint32_t value = 0;
	for (int i = 0; i < 4; i++) {
		if (i > 0) {
			if (used == len || text[used] != '.')
				return 0;
			used++;
		}
		uint32_t part;
		size_t n = part_parse(text + used, len - used, &part);
		if (n == 0)
			return 0;
		used += n;
		value = value << 8 | part;
	}
	*addr = value;
	return used;
}
