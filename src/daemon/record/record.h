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
#ifndef YG_DAEMON_RECORD_RECORD_H
#define YG_DAEMON_RECORD_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "core/workers/core_api.h"

struct record;

/* DIR is made, and must not be there before; it and what is in it are for its owner alone. seed: drawn for this
 * recording, and the core's. 0, or -errno and a sentence. */
int record_open(const char *dir, const struct gateway_limits *limits, const uint8_t seed[RNG_SEED_BYTES], uint64_t now,
		uint64_t wall_offset_ns, struct record **out, char *err, size_t err_len);
/* Writes what is left, nothing more comes: what fails then record_failure still tells. */
void record_finish(struct record *r);
/* Likewise, if that has not been done. */
void record_close(struct record *r);
/* Called once, in the worker, when recording has to end early. */
void record_set_failed(struct record *r, void (*fn)(void *ctx), void *ctx);
/* Why it ended: a sentence, or NULL while it goes on. */
const char *record_failure(const struct record *r);

/* The config that is given to the core next, as text; it must be there until that has happened. */
void record_config_text(struct record *r, const char *text, size_t len);

/* The steps, for struct core_api; their ctx is the struct record. A device that attach returns is valid until the
 * record is closed. */
extern const struct core_recorder record_steps;

#endif
