/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BGP's NOTIFICATION (RFC 4271 section 4.5): codes, subcodes, their names, and what Cease carries (RFC 9003, 8538).
 */
#ifndef YG_STACK_WIRE_BGP_NOTIFICATION_H
#define YG_STACK_WIRE_BGP_NOTIFICATION_H

#include "base/text.h"
#include "stack/wire/bgp.h"

enum bgp_code {
	BGP_NO_NOTIFICATION = 0, /* the connection is closed without one */
	BGP_HEADER_ERROR = 1,
	BGP_OPEN_ERROR = 2,
	BGP_UPDATE_ERROR = 3,
	BGP_HOLD_TIMER_EXPIRED = 4,
	BGP_FSM_ERROR = 5,
	BGP_CEASE = 6,
	BGP_REFRESH_ERROR = 7,     /* RFC 7313 */
	BGP_SEND_HOLD_EXPIRED = 8, /* RFC 9687 */
};

enum bgp_header_subcode { BGP_NOT_SYNCHRONISED = 1, BGP_BAD_LENGTH = 2, BGP_BAD_TYPE = 3 };

enum bgp_open_subcode {
	BGP_BAD_VERSION = 1,
	BGP_BAD_PEER_AS = 2,
	BGP_BAD_IDENTIFIER = 3,
	BGP_BAD_PARAMETER = 4,
	BGP_BAD_HOLD_TIME = 6,
	BGP_BAD_CAPABILITY = 7, /* RFC 5492 */
	BGP_ROLE_MISMATCH = 11, /* RFC 9234 */
};

enum bgp_update_subcode {
	BGP_MALFORMED_LIST = 1,
	BGP_UNKNOWN_WELL_KNOWN = 2,
	BGP_MISSING_WELL_KNOWN = 3,
	BGP_BAD_ATTR_FLAGS = 4,
	BGP_BAD_ATTR_LENGTH = 5,
	BGP_BAD_ORIGIN = 6,
	BGP_BAD_NEXT_HOP = 8,
	BGP_BAD_OPTIONAL = 9,
	BGP_BAD_NETWORK = 10,
	BGP_BAD_AS_PATH = 11,
};

/* RFC 6608. */
enum bgp_fsm_subcode { BGP_FSM_IN_OPEN_SENT = 1, BGP_FSM_IN_OPEN_CONFIRM = 2, BGP_FSM_IN_ESTABLISHED = 3 };

/* RFC 4486, 8538, 9384. */
enum bgp_cease_subcode {
	BGP_CEASE_MAX_PREFIX = 1,
	BGP_CEASE_SHUTDOWN = 2,
	BGP_CEASE_DECONFIGURED = 3,
	BGP_CEASE_RESET = 4,
	BGP_CEASE_REJECTED = 5,
	BGP_CEASE_CONFIG = 6,
	BGP_CEASE_COLLISION = 7,
	BGP_CEASE_RESOURCES = 8,
	BGP_CEASE_HARD_RESET = 9,
	BGP_CEASE_BFD_DOWN = 10,
};

#define BGP_REFRESH_BAD_LENGTH 1  /* of BGP_REFRESH_ERROR: RFC 7313 section 5 */
#define BGP_SHUTDOWN_TEXT_MAX 255 /* RFC 9003 section 2 */

struct bgp_notification {
	uint8_t code, subcode; /* of a hard reset those that it encloses (RFC 8538 section 3.1) */
	bool is_hard;          /* Cease/9: graceful restart does not hold */
	uint16_t data_len;
	const uint8_t *data; /* in the message */
	/* Of an administrative shutdown or reset: the operator's words, UTF-8 without NUL, not yet fit for a terminal
	 * (base/printable.h). Empty as well when the length before them lies. */
	uint8_t text_len;
	const uint8_t *text;
};

/* p, len: a whole NOTIFICATION as bgp_frame has let it pass. There is no wrong one: none is answered (RFC 4271 6.4). */
void bgp_notification_parse(const uint8_t *p, size_t len, struct bgp_notification *n);

/* Writes one with e's code, subcode and data, which are cut to what a message holds. Returns its length: at most
 * BGP_MESSAGE_MAX; 0 when e asks for none. */
size_t bgp_notification_emit(uint8_t *p, const struct bgp_error *e);
/* The same within a hard reset (RFC 8538 section 3.1). */
size_t bgp_hard_reset_emit(uint8_t *p, const struct bgp_error *e);
/* What a Cease for too many prefixes of IPv4 unicast carries (RFC 4486 section 4). */
#define BGP_LIMIT_DATA_LEN 7
void bgp_limit_data(uint8_t data[BGP_LIMIT_DATA_LEN], uint32_t max_prefixes);
/* A Cease with an operator's words, at most BGP_SHUTDOWN_TEXT_MAX bytes of them; hard: within a hard reset. */
struct bgp_cease {
	enum bgp_cease_subcode subcode;
	bool is_hard;
	const char *text; /* NULL: none */
	size_t text_len;
};
size_t bgp_cease_emit(uint8_t *p, const struct bgp_cease *c);

/* "3/10 UPDATE Message Error, Invalid Network Field"; "reset" codes without a name have their numbers alone. */
void bgp_code_format(struct text *t, uint8_t code, uint8_t subcode);

#endif
