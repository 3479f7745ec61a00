/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For tests and fuzzers: two ways of reading a packet have read the same.
 */
#ifndef YG_STACK_WIRE_SAME_VIEWS_H
#define YG_STACK_WIRE_SAME_VIEWS_H

#include <stdbool.h>

#include "stack/wire/l4.h"

static inline bool same_views(const struct ipv4_view *ip, const struct l4_view *l4, const struct ipv4_view *whole_ip,
			      const struct l4_view *whole_l4)
{
	return ip->src == whole_ip->src && ip->dst == whole_ip->dst && ip->total_len == whole_ip->total_len &&
	       ip->id == whole_ip->id && ip->frag_off == whole_ip->frag_off && ip->header_len == whole_ip->header_len &&
	       ip->tos == whole_ip->tos && ip->ttl == whole_ip->ttl && ip->proto == whole_ip->proto &&
	       ip->df == whole_ip->df && ip->mf == whole_ip->mf && l4->kind == whole_l4->kind &&
	       l4->header_len == whole_l4->header_len && l4->payload_len == whole_l4->payload_len &&
	       l4->sport == whole_l4->sport && l4->dport == whole_l4->dport && l4->check == whole_l4->check &&
	       l4->options_len == whole_l4->options_len && l4->seq == whole_l4->seq && l4->ack == whole_l4->ack &&
	       l4->window == whole_l4->window && l4->flags == whole_l4->flags && l4->type == whole_l4->type &&
	       l4->code == whole_l4->code && l4->id == whole_l4->id && l4->icmp_seq == whole_l4->icmp_seq &&
	       l4->info == whole_l4->info;
}

#endif
