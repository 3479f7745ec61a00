/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `run --record DIR`: everything that goes into a core, and every frame that
 * comes out, so that `replay DIR` can do it again.
 *
 *   DIR/journal          one line a step, see journal.h
 *   DIR/config-N.conf    the config of generation N
 *   DIR/NAME.in.pcap     frames received on an interface, with their offload fields
 *   DIR/NAME.out.pcap    frames sent, likewise
 *
 * When the disk is full recording ends with one message, and traffic goes on.
 *
 * The seed in a recording is the recording's own: a core that is recorded draws its
 * random numbers from it, and from another one as soon as nothing is recorded any more.
 */
#ifndef YG_APP_RECORD_H
#define YG_APP_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "app/gateway.h"

struct record;

/* DIR is made, and must not be there before; it and what is in it are for its owner alone. seed: drawn for this
 * recording, and the core's. 0, or -errno and a sentence. */
int record_open(const char *dir, const struct gateway_limits *limits, const uint8_t seed[RNG_SEED_BYTES], uint64_t now,
		uint64_t wall_offset_ns, struct record **out, char *err, size_t err_len);
/* Writes what is left. */
void record_close(struct record *r);
/* Called once, in the worker, when recording has to end early. */
void record_set_failed(struct record *r, void (*fn)(void *ctx), void *ctx);
/* Why it ended: a sentence, or NULL while it goes on. */
const char *record_failure(const struct record *r);

void record_configure(struct record *r, const struct snapshot *snap, uint64_t now);
/* The configure just written did not happen. */
void record_configure_failed(struct record *r, uint64_t generation);
/* The device to give to the core: it writes down what is sent through d. Valid until the record is closed. */
struct device *record_attach(struct record *r, uint32_t ifindex, struct device *d, uint64_t now);
void record_detach(struct record *r, uint32_t ifindex, uint64_t now);
void record_device_changed(struct record *r, uint32_t ifindex, uint64_t now);
/* Somebody has set the clock: what to add to the core's for UTC from here on. */
void record_wall(struct record *r, uint64_t wall_offset_ns, uint64_t now);
void record_input(struct record *r, uint32_t ifindex, const struct batch *b, uint64_t now);
void record_expire(struct record *r, uint64_t now);
void record_raw_open(struct record *r, uint64_t now);
void record_raw_close(struct record *r, int socket, uint64_t now);
void record_raw_send(struct record *r, int socket, const struct raw_request *rq, uint64_t now);
void record_end_connection(struct record *r, uint32_t index, enum ct_end_reason reason, uint64_t now);
/* To the disk, if something was written since. */
void record_flush(struct record *r);

#endif
