/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The same lists that an operator sees, counted.
 */
#include "state.h"

uint32_t rfc_connections(struct rfc *t, uint8_t proto)
{
	struct conntrack *ct = gateway_conntrack(t->w.gw);
	uint32_t cursor = 0, index, n = 0;

	while (conntrack_next(ct, &cursor, &index))
		n += conntrack_conn(ct, index)->half[CT_ORIGINAL].tuple.proto == proto;
	return n;
}

uint64_t rfc_ports_used(struct rfc *t, uint8_t proto)
{
	struct nat_pool_info info;
	uint32_t cursor = 0;

	if (!nat_pool_next(gateway_nat(t->w.gw), &cursor, &info))
		fail_msg("the gateway has no pool");
	return proto == IPPROTO_NR_TCP ? info.n_used_tcp : proto == IPPROTO_NR_UDP ? info.n_used_udp : info.n_used_icmp;
}
