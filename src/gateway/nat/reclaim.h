/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ports and mappings of connections that are not needed any more.
 */
#ifndef YG_GATEWAY_NAT_RECLAIM_H
#define YG_GATEWAY_NAT_RECLAIM_H

#include "gateway/nat/nat_priv.h"
#include "gateway/nat/source.h"

/* Slot of conntrack: it may be finished. */
void nat_reclaim_finished(void *ctx, uint32_t index);
/* Ends the connection towards the destination of `reply` that is needed least, so that a port of the request comes
 * free. False when all are needed. */
bool nat_reclaim_port(struct nat *n, uint32_t address, const struct tuple *reply, const struct nat_source_request *w);
/* The same for a mapping of the request's pool. */
bool nat_reclaim_mapping(struct nat *n, uint8_t ip_proto, const struct nat_source_request *w);

#endif
