/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What stands behind the generic header of each DCCP packet type (RFC 4340
 * sections 5.1 to 5.7): one row a type.
 */
#include "stack/wire/dccp.h"

#include "base/util.h"
#include "stack/wire/l4.h"

static const struct {
	bool may_be_short, has_ack;
	uint8_t more; /* a service code, or reset code and data */
} traits[N_DCCP_TYPES] = {
	[DCCP_REQUEST] = { false, false, 4 }, [DCCP_RESPONSE] = { false, true, 4 },
	[DCCP_DATA] = { true, false, 0 },     [DCCP_ACK] = { true, true, 0 },
	[DCCP_DATAACK] = { true, true, 0 },   [DCCP_CLOSEREQ] = { false, true, 0 },
	[DCCP_CLOSE] = { false, true, 0 },    [DCCP_RESET] = { false, true, 4 },
	[DCCP_SYNC] = { false, true, 0 },     [DCCP_SYNCACK] = { false, true, 0 },
	[DCCP_LISTEN] = { false, false, 4 },
};

size_t dccp_header_min(uint8_t type, bool x)
{
	if (type >= N_DCCP_TYPES || (!x && !traits[type].may_be_short))
		return SIZE_MAX;
	size_t n = DCCP_HEADER_LEN + (x ? 4 : 0) + traits[type].more;

	return traits[type].has_ack ? n + (x ? 8 : 4) : n;
}
