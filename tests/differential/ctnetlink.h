/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The kernel's table of connections.
 */
#ifndef YG_TESTS_CTNETLINK_H
#define YG_TESTS_CTNETLINK_H

#include "dut.h"

struct ctnetlink;

struct ctnetlink *ctnetlink_open(void);
void ctnetlink_close(struct ctnetlink *c);
/* This packet is about to be sent: it may begin a connection. */
void ctnetlink_expect(struct ctnetlink *c, const struct ip_packet *p);
/* All connections; at most ENTRIES_MAX. */
uint32_t ctnetlink_list(struct ctnetlink *c, struct entry *out);
void ctnetlink_flush(struct ctnetlink *c);

#endif
