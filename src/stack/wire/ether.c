/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ethernet II headers to values and back, and hardware addresses as text.
 *
 * The type field is taken as it stands: a value under 0x0600 is an IEEE 802.3
 * length (RFC 1122 section 2.3.3), which no type that we know equals, so the
 * caller finds an unknown type.
 *
 * Next: src/stack/wire/ipv4.c, or src/stack/wire/arp.c
 */
#include "stack/wire/ether.h"

#include "base/be.h"

struct ether_header {
	uint8_t dst[6];
	uint8_t src[6];
	be16 type;
};
_Static_assert(sizeof(struct ether_header) == ETHER_HEADER_LEN, "RFC 894");

const struct ether_addr ether_broadcast = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };

bool ether_parse(const uint8_t *frame, size_t len, struct ether_view *v)
{
	const struct ether_header *h = (const struct ether_header *)frame;

	if (len < ETHER_HEADER_LEN)
		return false;
	memcpy(v->dst.b, h->dst, sizeof(h->dst));
	memcpy(v->src.b, h->src, sizeof(h->src));
	v->type = be16_get(h->type);
	return true;
}

/* 802.1Q section 9.6: a tag's two bytes of control information, the VLAN in the low 12 bits. */
bool ether_priority_tagged(const uint8_t *frame, size_t len)
{
	uint16_t type;

	if (len < ETHER_HEADER_LEN + ETHER_TAG_LEN)
		return false;
	type = (uint16_t)(frame[12] << 8 | frame[13]);
	return (type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ) && (frame[14] & 0x0f) == 0 && frame[15] == 0;
}

void ether_take_tag_out(uint8_t *frame)
{
	memmove(frame + ETHER_TAG_LEN, frame, 2 * sizeof(struct ether_addr));
}

void ether_emit(uint8_t *frame, const struct ether_view *v)
{
	struct ether_header *h = (struct ether_header *)frame;

	memcpy(h->dst, v->dst.b, sizeof(h->dst));
	memcpy(h->src, v->src.b, sizeof(h->src));
	h->type = be16_of(v->type);
}

char *ether_format(const struct ether_addr *a, char buf[ETHER_TEXT_MAX])
{
	static const char digits[] = "0123456789abcdef";
	char *t = buf;

	for (size_t i = 0; i < sizeof(a->b); i++) {
		*t++ = digits[a->b[i] >> 4];
		*t++ = digits[a->b[i] & 0xf];
		*t++ = ':';
	}
	t[-1] = '\0';
	return buf;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool ether_addr_parse(const char *text, struct ether_addr *a)
{
	struct ether_addr out;

	for (size_t i = 0; i < sizeof(out.b); i++) {
		int high = hex_digit(text[0]);
		int low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0)
			return false;
		if (text[2] != (i + 1 < sizeof(out.b) ? ':' : '\0'))
			return false;
		out.b[i] = (uint8_t)(high << 4 | low);
		text += 3;
	}
	*a = out;
	return true;
}
