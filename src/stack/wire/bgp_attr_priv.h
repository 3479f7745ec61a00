/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table of attributes, and what its files share.
 */
#ifndef YG_STACK_WIRE_BGP_ATTR_PRIV_H
#define YG_STACK_WIRE_BGP_ATTR_PRIV_H

#include "stack/wire/bgp_attr.h"
#include "stack/wire/bgp_notification.h"

/* From whom an attribute may be ignored: the bits of a session, bgp_from. */
enum bgp_from { FROM_EXTERNAL = 1, FROM_INTERNAL = 2, FROM_FOUR_OCTETS = 4 };

static inline unsigned bgp_from(const struct bgp_wire *w)
{
	return (bgp_kind_of(w) == BGP_EXTERNAL ? FROM_EXTERNAL : FROM_INTERNAL) | (w->as4 ? FROM_FOUR_OCTETS : 0u);
}

/* What is wrong with an attribute; none when why is NULL. */
struct bgp_fault {
	enum bgp_update_subcode subcode;
	const char *why; /* constant */
};

struct bgp_writer {
	uint8_t *out;
	size_t len, cap;
	bool is_full;
};

struct bgp_attr_row {
	const char *name; /* NULL: no such row */
	uint8_t flags;    /* Optional and Transitive as they must be */
	uint8_t ignored;  /* from whom it is not even read: enum bgp_from */
	bool is_kept;     /* in the list, and so in sets */
	/* Of a value of another length, or one that `read` refuses. */
	enum bgp_disposition on_error;
	uint8_t len_subcode;        /* enum bgp_update_subcode of another length */
	uint16_t len_min, len_each; /* len_min, or len_min and any number of len_each more */
	struct bgp_fault (*read)(struct bgp_attrs *a, const struct bgp_wire *w,
				 const struct bgp_attr *at); /* NULL: all is fine */
	void (*emit)(struct bgp_writer *o, const struct bgp_out *to,
		     const struct bgp_attr *at);                   /* NULL: as it stands */
	void (*format)(struct text *t, const struct bgp_attr *at); /* NULL: bytes */
};

/* The row of a type, or NULL. */
const struct bgp_attr_row *bgp_attr_row(uint8_t type);

/* bgp_attr_emit.c */
void bgp_emit_internal(struct bgp_writer *o, const struct bgp_out *to, const struct bgp_attr *at);
void bgp_emit_as_path(struct bgp_writer *o, const struct bgp_out *to, const struct bgp_attr *at);
void bgp_emit_next_hop(struct bgp_writer *o, const struct bgp_out *to, const struct bgp_attr *at);
void bgp_emit_med(struct bgp_writer *o, const struct bgp_out *to, const struct bgp_attr *at);
void bgp_emit_aggregator(struct bgp_writer *o, const struct bgp_out *to, const struct bgp_attr *at);
void bgp_emit_ext_communities(struct bgp_writer *o, const struct bgp_out *to, const struct bgp_attr *at);
/* bgp_attr_format.c */
void bgp_format_origin(struct text *t, const struct bgp_attr *at);
void bgp_format_path(struct text *t, const struct bgp_attr *at);
void bgp_format_addrs(struct text *t, const struct bgp_attr *at);
void bgp_format_number(struct text *t, const struct bgp_attr *at);
void bgp_format_none(struct text *t, const struct bgp_attr *at);
void bgp_format_aggregator(struct text *t, const struct bgp_attr *at);
void bgp_format_communities(struct text *t, const struct bgp_attr *at);
void bgp_format_ext_communities(struct text *t, const struct bgp_attr *at);
void bgp_format_large_communities(struct text *t, const struct bgp_attr *at);

#endif
