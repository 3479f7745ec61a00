/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What NAT did, for whoever must be able to say later who had an address and a port
 * (RFC 6888 REQ-12, RFC 8158): a plain value of fixed size that the core hands to a
 * slot, without text and without allocation. Apart from events (base/event.h): those
 * tell an operator that something happened, and a stream of sessions must not push
 * them aside.
 */
#ifndef YG_BASE_LOG_RECORD_H
#define YG_BASE_LOG_RECORD_H

#include <stdint.h>

#include "base/addr.h"

enum log_kind {
	LOG_SESSION_BEGIN, /* a connection that NAT has had to do with is in the table: pool, orig, reply */
	LOG_SESSION_END,   /* ... and has left it: the same, and begin_ns, reason, packets, bytes */
	LOG_MAPPING_BEGIN, /* endpoint-independent: pool, orig.src (inside), reply.dst (outside), no destination */
	LOG_MAPPING_END,   /* the same, and begin_ns */
	LOG_BLOCK_BEGIN,   /* a block of ports is in use by a worker: pool, reply.dst and n_ports from reply.dport on */
	LOG_BLOCK_END,     /* nothing in it is in use any more: the same, and begin_ns */
	LOG_LOST,          /* count: records that found no room, here in the order; whoever keeps them says so */
	N_LOG_KINDS
};

#define LOG_POOL_MAX 32

struct log_record {
	uint64_t time_ns;            /* when it happened: UTC, since the epoch */
	uint64_t begin_ns;           /* when what ends began: UTC, by the clock as it stands at the end; 0: not known */
	struct ip_tuple orig, reply; /* an address that a kind does not have is none */
	uint64_t packets[2], bytes[2]; /* of the ORIGINAL and the REPLY direction */
	uint64_t count;
	uint16_t n_ports;
	uint8_t kind;   /* enum log_kind */
	uint8_t reason; /* enum ct_end_reason */
	uint8_t worker; /* whose it is; whoever keeps the records fills it in */
	uint8_t reserved[3];
	char pool[LOG_POOL_MAX]; /* the pool, or the interface that masquerades; "": a rule gave the address itself */
};
_Static_assert(sizeof(struct log_record) == 192, "three cache lines");

typedef void log_fn(void *ctx, const struct log_record *r);

/* Whoever fills it is told of what the config asks for. */
struct log_slot {
	log_fn *fn; /* NULL: nobody; then nothing is made */
	void *ctx;
};

#endif
