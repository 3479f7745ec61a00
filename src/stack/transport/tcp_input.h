/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Slots that TCP fills in of ip.
 */
#ifndef YG_STACK_TRANSPORT_TCP_INPUT_H
#define YG_STACK_TRANSPORT_TCP_INPUT_H

#include "stack/ip/local.h"

/* The row of TCP in local delivery (ip_local_fn, ip_icmp_error_fn); ctx: struct tcp. */
void tcp_input(void *ctx, struct batch *b);
void tcp_icmp_error(void *ctx, const struct ip_icmp_error *e);

#endif
