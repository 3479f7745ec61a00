/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Connections between cores: conntrack's part and NAT's part of a record together.
 *
 * In: conntrack begins the connection and reserves its REPLY tuple, NAT holds for it
 * what it held, and only then it is confirmed; whoever cannot hold it has it discarded,
 * and nothing of it stays.
 */
#include "core/conn_record.h"

int conn_export(struct gateway *g, uint32_t index, struct conn_record *out, uint64_t now)
{
	gateway_set_time(g, now);
	int r = conntrack_export(gateway_conntrack(g), index, &out->ct);

	return r != 0 ? r : nat_export(gateway_nat(g), index, &out->nat);
}

int conn_import(struct gateway *g, const struct conn_record *record, uint64_t now)
{
	struct conntrack *ct = gateway_conntrack(g);
	uint32_t index;

	gateway_set_time(g, now);
	int r = conntrack_import(ct, &record->ct, &index);
	if (r != 0)
		return r;
	r = nat_import(gateway_nat(g), index, &record->nat);
	if (r != 0)
		conntrack_import_discard(ct, index);
	else
		conntrack_import_confirm(ct, index);
	return r;
}
