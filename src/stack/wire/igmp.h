/* SPDX-License-Identifier: BSD-2-Clause
 *
 * IGMP messages of all three versions (RFC 1112 appendix I, RFC 2236, RFC 9776, which
 * obsoletes RFC 3376) to values and back.
 */
#ifndef YG_STACK_WIRE_IGMP_H
#define YG_STACK_WIRE_IGMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IPPROTO_NR_IGMP 2

/* RFC 9776 section 4; RFC 2236 section 2.1. */
enum igmp_type {
	IGMP_QUERY = 0x11,
	IGMP_V1_REPORT = 0x12,
	IGMP_V2_REPORT = 0x16,
	IGMP_V2_LEAVE = 0x17,
	IGMP_V3_REPORT = 0x22,
};

/* Of groups' records in a report of version 3 (RFC 9776 section 4.2.12). */
enum igmp_record_type {
	IGMP_MODE_IS_INCLUDE = 1,
	IGMP_MODE_IS_EXCLUDE = 2,
	IGMP_CHANGE_TO_INCLUDE = 3,
	IGMP_CHANGE_TO_EXCLUDE = 4,
};

#define IGMP_HEADER_LEN 8    /* versions 1 and 2, and of a report of version 3 */
#define IGMP_QUERY_V3_LEN 12 /* without sources */
#define IGMP_RECORD_LEN 8    /* without sources */

struct igmp_view {
	uint8_t type;          /* enum igmp_type, or another one: then nothing below is filled in */
	uint8_t version;       /* of a query: 1, 2 or 3 (RFC 9776 section 7.1) */
	uint8_t robustness;    /* the querier's; 0: it does not say */
	uint32_t max_resp_ms;  /* answer within that; of a query of version 1 the 10 s that it means */
	uint32_t group;        /* queried, reported or left; of a general query 0 */
	uint32_t n_sources;    /* of a query, behind it: igmp_source */
	const uint8_t *source; /* within the message */
};

enum igmp_error {
	IGMP_OK,
	IGMP_SHORT,    /* shorter than its type needs, or than it says */
	IGMP_CHECKSUM, /* over the whole of the IP payload */
	IGMP_GROUP,    /* what is queried, reported or left is no group */
};

/* p, len: the IP payload. */
enum igmp_error igmp_parse(const uint8_t *p, size_t len, struct igmp_view *v);
/* The i-th source of a query, i < v->n_sources. */
uint32_t igmp_source(const struct igmp_view *v, uint32_t i);

/* A message of version 1 or 2; IGMP_HEADER_LEN bytes, checksum included. */
void igmp_emit(uint8_t *p, enum igmp_type type, uint32_t group);

/* A report of version 3: begun, a record at a time, ended. */
struct igmp_report {
	uint8_t *p; /* the message; the caller's, with room for all records */
	size_t len;
	uint16_t n_records;
};
struct igmp_report igmp_report_begin(uint8_t *p);
void igmp_report_add(struct igmp_report *r, enum igmp_record_type type, uint32_t group, const uint32_t *source,
		     uint32_t n_sources);
/* Returns its length in bytes. */
size_t igmp_report_end(struct igmp_report *r);
static inline size_t igmp_record_len(uint32_t n_sources)
{
	return IGMP_RECORD_LEN + 4 * (size_t)n_sources;
}

#endif
