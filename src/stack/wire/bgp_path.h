/* SPDX-License-Identifier: BSD-2-Clause
 *
 * AS_PATH and AS4_PATH (RFC 4271 section 4.3 b, RFC 6793): checked, widened, merged, prepended, written. AS numbers
 * stand in two octets or in four; behind the parser there are four only.
 */
#ifndef YG_STACK_WIRE_BGP_PATH_H
#define YG_STACK_WIRE_BGP_PATH_H

#include "base/text.h"
#include "stack/wire/bgp.h"

enum bgp_segment_type {
	BGP_AS_SET = 1,
	BGP_AS_SEQUENCE = 2,
	BGP_CONFED_SEQUENCE = 3, /* RFC 5065; we are in no confederation */
	BGP_CONFED_SET = 4,
};

enum bgp_as_width { BGP_AS2 = 2, BGP_AS4 = 4 };

#define BGP_SEGMENT_AS_MAX 255 /* numbers that one segment holds */

struct bgp_path {
	const uint8_t *p;
	size_t len;
	enum bgp_as_width width;
};

struct bgp_path_facts {
	uint16_t
		n_hops; /* a set counts as one, a confederation's segments as none (RFC 4271 9.1.2.2 a, RFC 5065 5.3) */
	uint16_t n_own; /* how often our own AS is there */
	uint32_t first; /* leftmost AS, the neighbour's; 0: none, or the path begins with a set */
	bool has_set;   /* AS_SET */
	bool has_confed;
	bool has_zero; /* AS 0 (RFC 7607) */
};

/* True when path is whole segments of known types with an AS at least in each; then *f is filled in. */
bool bgp_path_check(struct bgp_path path, uint32_t own_as, struct bgp_path_facts *f);

/* All that follows takes paths that bgp_path_check has let pass. */

/* n numbers from `as` on, each of the path's width. */
struct bgp_segment {
	uint8_t type; /* enum bgp_segment_type */
	uint8_t n;
	const uint8_t *as;
};
/* Takes the next segment off a path; false at its end. */
bool bgp_segment_next(struct bgp_path *rest, struct bgp_segment *s);

/* Writes path in four octets; at most twice its length. Returns bytes. */
size_t bgp_path_widen(uint8_t *out, struct bgp_path path);
/* Writes, in four octets, what AS_PATH and AS4_PATH say together (RFC 6793 section 4.2.3): at most twice the one's
 * length and the other's. A confederation's segments in AS4_PATH are left out (section 6). Returns bytes; 0 when
 * AS4_PATH is longer and so to be ignored. */
size_t bgp_path_merge(uint8_t *out, struct bgp_path path, struct bgp_path as4_path);
/* Writes a path of four octets in `width`, with `prepended` in front unless that is 0. What does not fit into two
 * octets becomes AS_TRANS. Returns bytes; with out NULL only counts them. */
size_t bgp_path_emit(uint8_t *out, struct bgp_path path, uint32_t prepended, enum bgp_as_width width);
/* Whether each number fits into two octets. */
bool bgp_path_is_narrow(struct bgp_path path);

/* "65001 64777 {64500 64501}"; empty: "". */
void bgp_path_format(struct text *t, struct bgp_path path);

#endif
