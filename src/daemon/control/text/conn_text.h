/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Connections in the words of conntrack-tools.
 */
#ifndef YG_DAEMON_CONTROL_TEXT_CONN_TEXT_H
#define YG_DAEMON_CONTROL_TEXT_CONN_TEXT_H

#include "base/addr.h"
#include "base/text.h"
#include "gateway/conntrack/conntrack.h"

/* "tcp", "udp" ... as conntrack prints them; "unknown" for the rest. */
const char *conn_proto_name(uint8_t proto);
/* A protocol by name or number; -1 when it is neither. */
int conn_proto_parse(const char *text);
/* "src=... dst=... sport=... dport=..." or type, code and id for ICMP; each word is followed by a space. */
void conn_tuple_text(struct text *t, uint8_t proto, const struct ip_tuple *tuple);

#endif
