/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Putting fragments together for local delivery (RFC 791 section 3.2, RFC 815,
 * RFC 1122 section 3.3.2), bounded in all and per source; fragments that
 * overlap end the whole packet (RFC 5722, which RFC 1858's attacks ask for in IPv4 too).
 */
#ifndef YG_STACK_IP_REASSEMBLY_H
#define YG_STACK_IP_REASSEMBLY_H

#include "stack/packet/env.h"

/* RFC 1122 section 3.3.2: a fixed value between 60 and 120 seconds. */
#define REASSEMBLY_TIMEOUT_NS (60 * NS_PER_S)

struct reassembly;

/* Called when a packet's time is over and its first fragment had come, before
 * that is dropped: ICMP 11/1 can be sent for it. */
typedef void reassembly_timeout_fn(void *ctx, struct packet *first);

/* n_packets: put together at one time; when all are taken the oldest gives way.
 * n_fragments: held in all; n_per_source: held of one source address. NULL
 * without memory. */
struct reassembly *reassembly_create(struct env *env, uint32_t n_packets, uint32_t n_fragments, uint32_t n_per_source,
				     reassembly_timeout_fn *fn, void *ctx);
/* Frees what is held, uncounted. */
void reassembly_destroy(struct reassembly *r);

/* Takes the fragment in any case. Returns the whole packet when this was the
 * missing fragment: a new one with finished headers, views and offsets filled, its
 * fragments freed and counted as merged; the fragment's way is kept. NULL: held, or dropped by name. */
struct packet *reassembly_input(struct reassembly *r, struct packet *frag);

void reassembly_expire(struct reassembly *r);
uint64_t reassembly_next_deadline(const struct reassembly *r);
/* Fragments held now. */
uint32_t reassembly_n_held(const struct reassembly *r);

#endif
