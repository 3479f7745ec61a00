/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table of protocols: what tracks a connection of each. A protocol without a
 * row of its own has no state (datagram.c).
 */
#include "gateway/conntrack/conntrack_priv.h"

static const struct ct_protocol *const protocols[256] = {
	[IPPROTO_NR_ICMP] = &ct_icmp,
	[IPPROTO_NR_TCP] = &ct_tcp,
	[IPPROTO_NR_DCCP] = &ct_dccp,
	[IPPROTO_NR_SCTP] = &ct_sctp,
};

const struct ct_protocol *ct_protocol_of(uint8_t proto)
{
	return protocols[proto] != NULL ? protocols[proto] : &ct_datagram;
}

const char *ct_state_name(uint8_t proto, uint8_t state)
{
	const struct ct_protocol *p = ct_protocol_of(proto);

	return p->state_names != NULL && state < p->n_states ? p->state_names[state] : NULL;
}
