/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Every entry into a running core, in one place: with `run --record` each is
 * written down before it happens, so that a replay can do the same.
 */
#ifndef YG_APP_ENTRY_H
#define YG_APP_ENTRY_H

#include "app/gateway.h"
#include "app/record.h"

struct entry {
	struct gateway *gateway;
	struct record *record; /* NULL: nothing is recorded */
};

int entry_configure(struct entry *e, const struct snapshot *snap, uint64_t now);
/* d NULL: takes the device away. */
void entry_attach(struct entry *e, uint32_t ifindex, struct device *d, uint64_t now);
/* The device's up, mtu, mac or caps are no longer what they were. */
void entry_device_changed(struct entry *e, uint32_t ifindex, uint64_t now);
void entry_input(struct entry *e, uint32_t ifindex, struct batch *b, uint64_t now);
void entry_expire(struct entry *e, uint64_t now);

/* At the time that the core has. */
int entry_raw_open(struct entry *e);
void entry_raw_close(struct entry *e, int socket);
int entry_raw_send(struct entry *e, int socket, const struct raw_request *rq);
void entry_end_connection(struct entry *e, uint32_t index, enum ct_end_reason reason);

/* Nothing to do for a while. */
void entry_idle(struct entry *e);

#endif
