/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Connections that somebody outside begins and that no mapping lets in: the
 * refusal is put off for six seconds (RFC 5382 REQ-4), so that two hosts which
 * open a connection to each other at the same time can succeed.
 */
#ifndef YG_GATEWAY_NAT_UNSOLICITED_H
#define YG_GATEWAY_NAT_UNSOLICITED_H

#include "gateway/nat/nat.h"

struct nat_unsolicited;

/* NULL without memory. */
struct nat_unsolicited *nat_unsolicited_create(struct env *env, struct ip_stack *stack, struct conntrack *ct,
					       const struct nat *n);
void nat_unsolicited_destroy(struct nat_unsolicited *u);

/* For the slot of the IP layer (ip_unclaimed_fn). */
bool nat_unsolicited_take(void *u, struct packet *p);

void nat_unsolicited_expire(struct nat_unsolicited *u);
uint64_t nat_unsolicited_deadline(const struct nat_unsolicited *u);

#endif
