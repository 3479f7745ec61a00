/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Connections in the words of conntrack-tools.
 */
#ifndef YG_DAEMON_CONTROL_TEXT_CONN_TEXT_H
#define YG_DAEMON_CONTROL_TEXT_CONN_TEXT_H

#include "base/addr.h"
#include "base/text.h"
#include "daemon/control/text/output.h"
#include "gateway/conntrack/conntrack.h"

/* "tcp", "udp" ... as conntrack prints them; "unknown" for the rest. */
const char *conn_proto_name(uint8_t proto);
/* A protocol by name or number; -1 when it is neither. */
int conn_proto_parse(const char *text);
/* "src=... dst=... sport=... dport=..." or type, code and id for ICMP; each word is followed by a space. */
void conn_tuple_text(struct text *t, uint8_t proto, const struct ip_tuple *tuple);

/* The columns of one direction of a connection, in the one order in which listings, events and log records have them:
 * CONN_HALF(COL_) and CONN_HALF(COL_REPLY_) in an enum, CONN_HALF_COLUMNS(COL_, "") and so on in its out_columns. */
#define CONN_HALF(col) col##SRC, col##DST, col##SPORT, col##DPORT, col##PACKETS, col##BYTES
#define CONN_HALF_COLUMNS(col, key) \
	[col##SRC] = { key "src", NULL, OUT_ADDR }, [col##DST] = { key "dst", NULL, OUT_ADDR }, \
	[col##SPORT] = { key "sport", NULL, OUT_U64 }, [col##DPORT] = { key "dport", NULL, OUT_U64 }, \
	[col##PACKETS] = { key "packets", NULL, OUT_U64 }, [col##BYTES] = { key "bytes", NULL, OUT_U64 }

/* half: the first cell of a direction, COL_SRC or COL_REPLY_SRC. */
void conn_half_values(struct out_value *half, const struct ip_tuple *tuple);
void conn_half_traffic(struct out_value *half, uint64_t packets, uint64_t bytes);

#endif
