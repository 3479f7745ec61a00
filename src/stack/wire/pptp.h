/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Control messages of PPTP (RFC 2637 section 2), as far as they name calls.
 */
#ifndef YG_STACK_WIRE_PPTP_H
#define YG_STACK_WIRE_PPTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PPTP_PORT 1723

enum pptp_type {
	PPTP_OUTGOING_CALL_REQUEST = 7,
	PPTP_OUTGOING_CALL_REPLY = 8,
	PPTP_INCOMING_CALL_REQUEST = 9,
	PPTP_INCOMING_CALL_REPLY = 10,
	PPTP_INCOMING_CALL_CONNECTED = 11,
	PPTP_CALL_CLEAR_REQUEST = 12,
	PPTP_CALL_DISCONNECT_NOTIFY = 13,
	PPTP_WAN_ERROR_NOTIFY = 14,
	PPTP_SET_LINK_INFO = 15,
};

struct pptp_message {
	uint16_t type; /* enum pptp_type, or another that names no call */
	uint16_t len;  /* bytes of the message */
	bool has_own, has_peer;
	uint16_t own;   /* the sender's number of the call */
	uint16_t peer;  /* the receiver's */
	bool connected; /* of a reply: the call stands (result 1) */
};

/* The message that begins at p; len: bytes from there on. False when there is none, or not all of it. */
bool pptp_parse(const uint8_t *p, size_t len, struct pptp_message *m);

/* Writes other numbers into a message that was parsed, those that it has: its bytes, and m. The sum of ~old + new of
 * the 16-bit words that changed, 0 when none did. */
uint32_t pptp_write(uint8_t *p, struct pptp_message *m, uint16_t own, uint16_t peer);

#endif
