/* SPDX-License-Identifier: BSD-2-Clause
 *
 * DCCP packet types (RFC 4340 section 5.1, RFC 5596 section 2.2).
 */
#ifndef YG_STACK_WIRE_DCCP_H
#define YG_STACK_WIRE_DCCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dccp_type {
	DCCP_REQUEST,
	DCCP_RESPONSE,
	DCCP_DATA,
	DCCP_ACK,
	DCCP_DATAACK,
	DCCP_CLOSEREQ,
	DCCP_CLOSE,
	DCCP_RESET,
	DCCP_SYNC,
	DCCP_SYNCACK,
	DCCP_LISTEN, /* RFC 5596 */
	N_DCCP_TYPES
};

/* Bytes that a header of this type has at least: long sequence numbers (X) take 4 more, acknowledgements 4 or 8, a
 * service code or a reset code 4. SIZE_MAX for types that are reserved, and for short numbers where X must be 1
 * (section 5.1). */
size_t dccp_header_min(uint8_t type, bool x);

#endif
