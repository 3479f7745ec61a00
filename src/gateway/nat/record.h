/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a connection holds of NAT, as a value (record.c): named by what the config and
 * the packets call it, so that another core can hold the same.
 */
#ifndef YG_GATEWAY_NAT_RECORD_H
#define YG_GATEWAY_NAT_RECORD_H

#include "base/addr.h"
#include "gateway/nat/nat.h"

enum nat_record_kind {
	NAT_RECORD_NONE,
	NAT_RECORD_PORT,       /* the outside address and port in its REPLY tuple */
	NAT_RECORD_MAPPING,    /* an endpoint-independent mapping, as its inside */
	NAT_RECORD_MAPPING_IN, /* ... as somebody who came in by it */
};

enum nat_record_origin { NAT_RECORD_OF_RULE, NAT_RECORD_OF_POOL, NAT_RECORD_OF_INTERFACE };

struct nat_record_hold {
	uint8_t kind;                 /* enum nat_record_kind */
	uint8_t origin;               /* enum nat_record_origin: what the address was taken from */
	char name[NAT_POOL_NAME_MAX]; /* of the pool or, for masquerade, the interface; of a rule: none */
	/* Of a mapping. */
	struct ip_addr inside, outside;
	uint16_t inside_port, outside_port, inside_zone;
	char out_interface[NAT_POOL_NAME_MAX]; /* by which its first packet left */
};

#define NAT_RECORD_HOLDS_MAX 2

struct nat_record {
	struct nat_record_hold hold[NAT_RECORD_HOLDS_MAX]; /* first that by which it came in, if it did */
};

/* 0; -ENOTSUP: it uses another worker's mapping. */
int nat_export(const struct nat *n, uint32_t index, struct nat_record *out);
/* For an unconfirmed connection whose both tuples are what they will be. 0, or
 *   -EINVAL         a value that no connection has
 *   -ENOENT         the config has no such pool or interface
 *   -EADDRNOTAVAIL  the pool or interface does not have the address or port (any more)
 *   -EADDRINUSE     somebody else has the port, or the inside has another
 *   -ENOSPC         no room
 * and nothing has changed. */
int nat_import(struct nat *n, uint32_t index, const struct nat_record *r);

#endif
