/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A connection as a value: out of one core, into another, which then forwards its
 * packets as the first would have (restart without loss, failover). Nothing in it is
 * a number of one core's own; times count from the moment of the export.
 */
#ifndef YG_CORE_CONN_RECORD_H
#define YG_CORE_CONN_RECORD_H

#include "core/gateway.h"
#include "gateway/conntrack/record.h"
#include "gateway/nat/record.h"

struct conn_record {
	struct ct_record ct;
	struct nat_record nat;
};

/* index: of conntrack_next. 0; -ENOENT, -ENOTSUP: conntrack_export, nat_export. Between two batches. */
int conn_export(struct gateway *g, uint32_t index, struct conn_record *out, uint64_t now);
/* 0, or what conntrack_import and nat_import say, and nothing has changed. Between two batches. A recorded run does not
 * contain it. */
int conn_import(struct gateway *g, const struct conn_record *r, uint64_t now);

#endif
