/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A connection as a value: all that another core needs to go on with it, and no
 * number that means something in this one only (record.c). What NAT holds for it is
 * NAT's part (gateway/nat/record.h); the two together are core/conn_record.h.
 */
#ifndef YG_GATEWAY_CONNTRACK_RECORD_H
#define YG_GATEWAY_CONNTRACK_RECORD_H

#include "base/addr.h"
#include "gateway/conntrack/conntrack.h"

/* As struct tuple. */
struct ct_record_tuple {
	struct ip_addr src, dst;
	uint16_t sport, dport;
	uint8_t proto, id;
	uint16_t zone; /* as the config numbers it */
};

/* TCP and SCTP have a part of their own, which the others leave zero. */
struct ct_record_half {
	struct ct_record_tuple tuple;
	uint64_t packets, bytes;
	struct ct_tcp_window tcp;
	struct ct_sctp_half sctp;
	uint8_t flags, scale; /* TCP: ct_half.flags and scale */
};

/* Of a segment that was passed on but ignored (tcp.c). */
struct ct_record_last {
	uint32_t number;
	uint16_t win;
	uint8_t flags, scale;
};

struct ct_record {
	struct ct_record_half half[N_CT_DIRS];
	uint16_t status; /* of enum ct_status, CT_RECORD_STATUS */
	uint8_t state;   /* conn.tcp_state */
	uint8_t last;    /* conn.tcp_last */
	struct ct_record_last tcp_last;
	uint32_t mark;
	uint16_t zone;    /* whose routes it goes by */
	uint64_t left_ms; /* it ends so long from now if nothing more comes */
	uint64_t age_ms;  /* it began so long ago */
};

/* What is true of a connection wherever it is; all others are set by whoever has it. */
#define CT_RECORD_STATUS \
	(CT_SEEN_REPLY | CT_ASSURED | CT_SNAT | CT_DNAT | CT_SNAT_DONE | CT_DNAT_DONE | CT_PICKED_UP | CT_OUTSIDE)

/* 0; -ENOENT: it is not confirmed, or has ended; -ENOTSUP: more than a record belongs to it (PPTP: what NAT reads in
 * one connection of it decides about the others). What was forwarded elsewhere is counted first. */
int conntrack_export(struct conntrack *ct, uint32_t index, struct ct_record *out);

/* Begins the connection, without a packet and not confirmed yet; *index is its. NAT takes what it holds, then the
 * caller goes on to one of the other two. 0, or
 *   -EINVAL   a value that no connection has
 *   -EEXIST   one of its tuples is another connection's
 *   -ENOSPC   the table is full: nobody has to go for it
 *   -ENOTSUP  one of several workers: who has it follows from a packet
 * and nothing has changed. No limit by source keeps it out, but it counts. */
int conntrack_import(struct conntrack *ct, const struct ct_record *r, uint32_t *index);
void conntrack_import_confirm(struct conntrack *ct, uint32_t index);
void conntrack_import_discard(struct conntrack *ct, uint32_t index);

#endif
