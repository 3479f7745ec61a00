/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Attributes as text, in the words of the RFCs: communities as 65001:100, large ones as 65001:1:2, AS_SETs in braces.
 *
 * Next: src/stack/wire/bgp_update.c
 */
#include "base/ip4.h"
#include "base/util.h"
#include "stack/wire/bgp_attr_priv.h"
#include "stack/wire/bytes.h"

#define SHOWN_BYTES_MAX 64 /* of what has no form of its own */

void bgp_format_origin(struct text *t, const struct bgp_attr *at)
{
	static const char *const names[] = { "IGP", "EGP", "INCOMPLETE" };

	text_add(t, " %s", names[at->value[0]]);
}

void bgp_format_path(struct text *t, const struct bgp_attr *at)
{
	text_add(t, " ");
	bgp_path_format(t, (struct bgp_path){ at->value, at->len, BGP_AS4 });
}

void bgp_format_addrs(struct text *t, const struct bgp_attr *at)
{
	char buf[IP4_TEXT_MAX];

	for (size_t i = 0; i < at->len; i += 4)
		text_add(t, " %s", ip4_format(bytes_get32(at->value + i), buf));
}

void bgp_format_number(struct text *t, const struct bgp_attr *at)
{
	text_add(t, " %u", bytes_get32(at->value));
}

void bgp_format_none(struct text *t, const struct bgp_attr *at)
{
}

void bgp_format_aggregator(struct text *t, const struct bgp_attr *at)
{
	char buf[IP4_TEXT_MAX];

	text_add(t, " %u %s", bytes_get32(at->value), ip4_format(bytes_get32(at->value + BGP_AS4), buf));
}

void bgp_format_communities(struct text *t, const struct bgp_attr *at)
{
	for (size_t i = 0; i < at->len; i += 4)
		text_add(t, " %u:%u", bytes_get16(at->value + i), bytes_get16(at->value + i + 2));
}

void bgp_format_ext_communities(struct text *t, const struct bgp_attr *at)
{
	for (size_t i = 0; i < at->len; i += 8)
		text_add(t, " %08x:%08x", bytes_get32(at->value + i), bytes_get32(at->value + i + 4));
}

void bgp_format_large_communities(struct text *t, const struct bgp_attr *at)
{
	for (size_t i = 0; i < at->len; i += 12)
		text_add(t, " %u:%u:%u", bytes_get32(at->value + i), bytes_get32(at->value + i + 4),
			 bytes_get32(at->value + i + 8));
}

void bgp_attr_format(struct text *t, const struct bgp_attr *a)
{
	const struct bgp_attr_row *row = bgp_attr_row(a->type);

	if (row != NULL && row->format != NULL) {
		text_add(t, "%s", bgp_attr_name(a->type));
		row->format(t, a);
		return;
	}
	text_add(t, "%s %u flags %02x", bgp_attr_name(a->type), a->type, a->flags);
	for (size_t i = 0; i < a->len && i < SHOWN_BYTES_MAX; i++)
		text_add(t, "%s%02x", i == 0 ? " " : "", a->value[i]);
	if (a->len > SHOWN_BYTES_MAX)
		text_add(t, "... (%u bytes)", a->len);
}
