/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Messages of the RPKI to router protocol, version 1 (RFC 8210 section 5) and 0 (RFC 6810), both ways as far as a
 * router needs it: which AS may originate which prefix, told by a cache. Without memory and without state.
 */
#ifndef YG_STACK_WIRE_RTR_H
#define YG_STACK_WIRE_RTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip4.h"

#define RTR_HEADER_LEN 8u
/* RFC 8210 sets no bound. A router key has 123 bytes today, an error report holds a message and a text. */
#define RTR_LEN_MAX 65536u
#define RTR_VERSION_MAX 1u

enum rtr_type {
	RTR_SERIAL_NOTIFY = 0,
	RTR_SERIAL_QUERY = 1,
	RTR_RESET_QUERY = 2,
	RTR_CACHE_RESPONSE = 3,
	RTR_IPV4_PREFIX = 4,
	RTR_IPV6_PREFIX = 6,
	RTR_END_OF_DATA = 7,
	RTR_CACHE_RESET = 8,
	RTR_ROUTER_KEY = 9,
	RTR_ERROR_REPORT = 10,
	N_RTR_TYPES
};

/* RFC 8210 section 12. */
enum rtr_error {
	RTR_CORRUPT_DATA = 0,
	RTR_INTERNAL_ERROR = 1,
	RTR_NO_DATA = 2, /* the only one after which the connection goes on */
	RTR_INVALID_REQUEST = 3,
	RTR_UNSUPPORTED_VERSION = 4,
	RTR_UNSUPPORTED_TYPE = 5,
	RTR_UNKNOWN_WITHDRAWN = 6,
	RTR_ANNOUNCED_TWICE = 7,
	RTR_UNEXPECTED_VERSION = 8,
	N_RTR_ERRORS,
	RTR_NO_ERROR = N_RTR_ERRORS
};
/* NULL: it has no name. */
const char *rtr_error_name(uint16_t code);

struct rtr_header {
	uint8_t version, type;
	uint16_t session; /* or zero, or an error's code */
	uint32_t len;     /* of the whole message, in bytes */
};

struct rtr_prefix {
	struct ip4_prefix prefix;
	uint8_t max_len;
	bool is_announced; /* else withdrawn */
	uint32_t as;
};

struct rtr_end_of_data {
	uint32_t serial;
	bool has_times; /* version 1 */
	uint32_t refresh_s, retry_s, expire_s;
};

struct rtr_report {
	uint16_t code;
	const uint8_t *text;
	uint32_t text_len;
};

struct rtr_message {
	struct rtr_header h;
	union {
		uint32_t serial;          /* of Serial Notify */
		struct rtr_prefix prefix; /* of IPv4 Prefix */
		struct rtr_end_of_data end;
		struct rtr_report report;
	};
};

/* p: RTR_HEADER_LEN bytes. RTR_NO_ERROR; RTR_UNSUPPORTED_VERSION, RTR_UNSUPPORTED_TYPE; RTR_CORRUPT_DATA: the length is
 * none that a message of the type has. What a router is never sent is RTR_INVALID_REQUEST. */
enum rtr_error rtr_header_parse(const uint8_t *p, struct rtr_header *h);
/* p: all h.len bytes of a message whose header is good. Of the types with none of the fields above only the header is
 * filled in. RTR_NO_ERROR or RTR_CORRUPT_DATA. */
enum rtr_error rtr_parse(const uint8_t *p, struct rtr_message *m);

#define RTR_QUERY_LEN_MAX 12u
/* What changed since; all. How many bytes were written. */
size_t rtr_emit_serial_query(uint8_t *p, uint8_t version, uint16_t session, uint32_t serial);
size_t rtr_emit_reset_query(uint8_t *p, uint8_t version);
/* About the message at `about`, of which at most RTR_ABOUT_MAX bytes are quoted; text: UTF-8, at most RTR_TEXT_MAX
 * bytes of it. */
#define RTR_ABOUT_MAX 64u
#define RTR_TEXT_MAX 128u
#define RTR_REPORT_LEN_MAX (RTR_HEADER_LEN + 8u + RTR_ABOUT_MAX + RTR_TEXT_MAX)
size_t rtr_emit_report(uint8_t *p, uint8_t version, enum rtr_error code, const uint8_t *about, size_t about_len,
		       const char *text);

#endif
