/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Any message of BGP, in a session that expects some: what a session's reader calls.
 */
#ifndef YG_STACK_WIRE_BGP_MESSAGE_H
#define YG_STACK_WIRE_BGP_MESSAGE_H

#include "stack/wire/bgp_notification.h"
#include "stack/wire/bgp_open.h"
#include "stack/wire/bgp_update.h"

/* What a session waits for (RFC 4271 section 8.2.2), from its OPEN on. */
enum bgp_phase { BGP_OPEN_SENT, BGP_OPEN_CONFIRM, BGP_ESTABLISHED };

struct bgp_message {
	enum bgp_type type;
	struct bgp_error error; /* what decided, when it is not BGP_ACCEPT */
	struct bgp_refresh refresh;
	struct bgp_notification notification;
	struct bgp_open open;
	struct bgp_update update;
};

/* p, len: what bgp_frame has found whole. Of the last four members of *m that of the type is filled in. A kind that has
 * no place in this phase resets with RFC 6608's subcode; a NOTIFICATION has one everywhere, and ends the session with
 * error.code BGP_NO_NOTIFICATION. */
enum bgp_disposition bgp_message_parse(const struct bgp_wire *w, enum bgp_phase phase, const uint8_t *p, size_t len,
				       struct bgp_message *m);

#endif
