/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table of protocols: what tracks a connection of each (struct ct_protocol). A
 * new protocol is a row in its own file, and a line here; one without has no state
 * and counts as `other`.
 */
#include "gateway/conntrack/conntrack_priv.h"

const struct ct_protocol *const ct_protocols[256] = {
	[IPPROTO_NR_ICMP] = &ct_icmp, [IPPROTO_NR_TCP] = &ct_tcp,         [IPPROTO_NR_UDP] = &ct_udp,
	[IPPROTO_NR_DCCP] = &ct_dccp, [IPPROTO_NR_GRE] = &ct_gre,         [IPPROTO_NR_ESP] = &ct_esp,
	[IPPROTO_NR_SCTP] = &ct_sctp, [IPPROTO_NR_UDPLITE] = &ct_udplite,
};

const char *ct_state_name(uint8_t proto, uint8_t state)
{
	const struct ct_protocol *p = ct_protocol_of(proto);

	return p->state_names != NULL && state < p->n_states ? p->state_names[state] : NULL;
}
