/* SPDX-License-Identifier: BSD-2-Clause
 *
 * NOTIFICATION both ways, and the names of its codes: one table, from which messages, events and `bgp replay` have
 * their words. A NOTIFICATION is never answered (RFC 4271 section 6.4), so there is nothing to refuse in one; what lies
 * about its length (RFC 9003 section 4) is shown without its text.
 *
 * Next: src/stack/wire/bgp_message.c
 */
#include "stack/wire/bgp_notification.h"

#include <string.h>

#include "base/util.h"
#include "stack/wire/bytes.h"

#define BODY_LEN 2 /* code and subcode */

#define SUBCODES_MAX 12

static const struct {
	const char *name;
	const char *subcode[SUBCODES_MAX];
} codes[] = {
	[BGP_NO_NOTIFICATION] = { "closed without a NOTIFICATION", { NULL } },
	[BGP_HEADER_ERROR] = { "Message Header Error",
			       { [BGP_NOT_SYNCHRONISED] = "Connection Not Synchronized",
				 [BGP_BAD_LENGTH] = "Bad Message Length",
				 [BGP_BAD_TYPE] = "Bad Message Type" } },
	[BGP_OPEN_ERROR] = { "OPEN Message Error",
			     { [BGP_BAD_VERSION] = "Unsupported Version Number",
			       [BGP_BAD_PEER_AS] = "Bad Peer AS",
			       [BGP_BAD_IDENTIFIER] = "Bad BGP Identifier",
			       [BGP_BAD_PARAMETER] = "Unsupported Optional Parameter",
			       [BGP_BAD_HOLD_TIME] = "Unacceptable Hold Time",
			       [BGP_BAD_CAPABILITY] = "Unsupported Capability",
			       [BGP_ROLE_MISMATCH] = "Role Mismatch" } },
	[BGP_UPDATE_ERROR] = { "UPDATE Message Error",
			       { [BGP_MALFORMED_LIST] = "Malformed Attribute List",
				 [BGP_UNKNOWN_WELL_KNOWN] = "Unrecognized Well-known Attribute",
				 [BGP_MISSING_WELL_KNOWN] = "Missing Well-known Attribute",
				 [BGP_BAD_ATTR_FLAGS] = "Attribute Flags Error",
				 [BGP_BAD_ATTR_LENGTH] = "Attribute Length Error",
				 [BGP_BAD_ORIGIN] = "Invalid ORIGIN Attribute",
				 [BGP_BAD_NEXT_HOP] = "Invalid NEXT_HOP Attribute",
				 [BGP_BAD_OPTIONAL] = "Optional Attribute Error",
				 [BGP_BAD_NETWORK] = "Invalid Network Field",
				 [BGP_BAD_AS_PATH] = "Malformed AS_PATH" } },
	[BGP_HOLD_TIMER_EXPIRED] = { "Hold Timer Expired", { NULL } },
	[BGP_FSM_ERROR] = { "Finite State Machine Error",
			    { [BGP_FSM_IN_OPEN_SENT] = "Unexpected Message in OpenSent",
			      [BGP_FSM_IN_OPEN_CONFIRM] = "Unexpected Message in OpenConfirm",
			      [BGP_FSM_IN_ESTABLISHED] = "Unexpected Message in Established" } },
	[BGP_CEASE] = { "Cease",
			{ [BGP_CEASE_MAX_PREFIX] = "Maximum Number of Prefixes Reached",
			  [BGP_CEASE_SHUTDOWN] = "Administrative Shutdown",
			  [BGP_CEASE_DECONFIGURED] = "Peer De-configured",
			  [BGP_CEASE_RESET] = "Administrative Reset",
			  [BGP_CEASE_REJECTED] = "Connection Rejected",
			  [BGP_CEASE_CONFIG] = "Other Configuration Change",
			  [BGP_CEASE_COLLISION] = "Connection Collision Resolution",
			  [BGP_CEASE_RESOURCES] = "Out of Resources",
			  [BGP_CEASE_HARD_RESET] = "Hard Reset",
			  [BGP_CEASE_BFD_DOWN] = "BFD Down" } },
	[BGP_REFRESH_ERROR] = { "ROUTE-REFRESH Message Error",
				{ [BGP_REFRESH_BAD_LENGTH] = "Invalid Message Length" } },
	[BGP_SEND_HOLD_EXPIRED] = { "Send Hold Timer Expired", { NULL } },
};

static bool has_text(const struct bgp_notification *n)
{
	return n->code == BGP_CEASE && (n->subcode == BGP_CEASE_SHUTDOWN || n->subcode == BGP_CEASE_RESET);
}

void bgp_notification_parse(const uint8_t *p, size_t len, struct bgp_notification *n)
{
	const uint8_t *body = p + BGP_HEADER_LEN;

	*n = (struct bgp_notification){ .code = body[0], .subcode = body[1], .data = body + BODY_LEN };
	n->data_len = (uint16_t)(len - BGP_HEADER_LEN - BODY_LEN);
	if (n->code == BGP_CEASE && n->subcode == BGP_CEASE_HARD_RESET) {
		n->is_hard = true;
		if (n->data_len >= BODY_LEN) {
			n->code = n->data[0];
			n->subcode = n->data[1];
			n->data += BODY_LEN;
			n->data_len = (uint16_t)(n->data_len - BODY_LEN);
		}
	}
	if (has_text(n) && n->data_len > 0 && n->data[0] < n->data_len) {
		n->text_len = n->data[0];
		n->text = n->data + 1;
	}
}

/* What is in front of the data: n_front bytes. */
static size_t emit(uint8_t *p, const uint8_t *front, size_t n_front, const struct bgp_error *e)
{
	size_t room = BGP_MESSAGE_MAX - BGP_HEADER_LEN - n_front, n = e->data_len < room ? e->data_len : room;

	if (e->code == BGP_NO_NOTIFICATION)
		return 0;
	uint8_t *body = bgp_header_emit(p, BGP_NOTIFICATION, BGP_HEADER_LEN + n_front + n);
	memcpy(body, front, n_front);
	if (n > 0)
		memcpy(body + n_front, e->data, n);
	return BGP_HEADER_LEN + n_front + n;
}

size_t bgp_notification_emit(uint8_t *p, const struct bgp_error *e)
{
	const uint8_t front[BODY_LEN] = { e->code, e->subcode };

	return emit(p, front, sizeof(front), e);
}

size_t bgp_hard_reset_emit(uint8_t *p, const struct bgp_error *e)
{
	const uint8_t front[2 * BODY_LEN] = { BGP_CEASE, BGP_CEASE_HARD_RESET, e->code, e->subcode };

	return emit(p, front, sizeof(front), e);
}

void bgp_limit_data(uint8_t data[BGP_LIMIT_DATA_LEN], uint32_t max_prefixes)
{
	bytes_put16(data, BGP_AFI_IPV4);
	data[2] = BGP_SAFI_UNICAST;
	bytes_put32(data + 3, max_prefixes);
}

/* Words longer than fit are cut before a character, not within it. */
static size_t whole_characters(const char *text, size_t len)
{
	if (len <= BGP_SHUTDOWN_TEXT_MAX)
		return len;
	len = BGP_SHUTDOWN_TEXT_MAX;
	while (len > 0 && ((uint8_t)text[len] & 0xc0) == 0x80)
		len--;
	return len;
}

size_t bgp_cease_emit(uint8_t *p, const struct bgp_cease *c)
{
	uint8_t data[1 + BGP_SHUTDOWN_TEXT_MAX];
	size_t n = 0;

	if (c->text != NULL) {
		size_t len = whole_characters(c->text, c->text_len);

		data[n++] = (uint8_t)len;
		memcpy(data + n, c->text, len);
		n += len;
	}
	const struct bgp_error e = { BGP_CEASE, (uint8_t)c->subcode, .data = data, .data_len = (uint16_t)n };

	return c->is_hard ? bgp_hard_reset_emit(p, &e) : bgp_notification_emit(p, &e);
}

void bgp_code_format(struct text *t, uint8_t code, uint8_t subcode)
{
	text_add(t, "%u/%u", code, subcode);
	if (code >= ARRAY_LEN(codes))
		return;
	text_add(t, " %s", codes[code].name);
	if (subcode < SUBCODES_MAX && codes[code].subcode[subcode] != NULL)
		text_add(t, ", %s", codes[code].subcode[subcode]);
}
