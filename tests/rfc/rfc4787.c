/* SPDX-License-Identifier: BSD-2-Clause
 *
 * RFC 4787: NAT behavioral requirements for unicast UDP (BCP 127).
 */
#include "rfc.h"

/* Would catch: a mapping that depends on the destination. */
static void same_mapping_for_every_destination(struct rfc *t)
{
	rfc_start(t, NULL);
	struct rfc_end first = rfc_out(t, IPPROTO_NR_UDP, RFC_HOST1, 4000, RFC_PEER1, 53);

	rfc_same_end(first, rfc_out(t, IPPROTO_NR_UDP, RFC_HOST1, 4000, RFC_PEER1, 54), "towards another port");
	rfc_same_end(first, rfc_out(t, IPPROTO_NR_UDP, RFC_HOST1, 4000, RFC_PEER2, 53), "towards another address");
	rfc_same_end(first, rfc_out(t, IPPROTO_NR_UDP, RFC_HOST1, 4000, RFC_PEER2, 99), "towards another of both");
}

#define BY_MAPPING "this mapping depends on the destination"

static const struct rfc_row rows[] = {
	{ "REQ-1", "a mapping is the same towards every destination", same_mapping_for_every_destination,
	  .why = { [RFC_APDM] = BY_MAPPING } },
};

const struct rfc_table rfc4787_table = { "RFC 4787", rows, ARRAY_LEN(rows) };
