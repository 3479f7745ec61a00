/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Streams in memory, on virtual time: any number of hosts, one address each, between any two of which there is a
 * network that delays, and can be made to fail: for tests, simulations and fuzzing. A run is the same each time.
 */
#ifndef YG_ROUTING_STREAM_STREAM_MEMORY_H
#define YG_ROUTING_STREAM_STREAM_MEMORY_H

#include "routing/stream/stream.h"

struct stream_memory;

struct stream_memory_config {
	uint64_t delay_ns; /* of whatever goes from one host to another */
	uint32_t buffer;   /* bytes, of a sender and of a receiver each; 0: 16384 */
	uint8_t n_routers; /* on the way: each takes one of TTL */
	uint32_t chunk;    /* bytes that one read gives at most; 0: any */
};

/* NULL without memory. */
struct stream_memory *stream_memory_create(const struct stream_memory_config *c);
void stream_memory_destroy(struct stream_memory *m);

/* The carrier of the host with that address, made when there is none; NULL without memory. */
struct stream_carrier *stream_memory_host(struct stream_memory *m, uint32_t addr);

/* The clock, which never goes back; what is due by then happens, one after the other. */
void stream_memory_advance(struct stream_memory *m, uint64_t now);
/* When the next happens; TIME_NEVER: nothing is on its way. */
uint64_t stream_memory_next(const struct stream_memory *m);

/* Whether anything gets from one of the two to the other. Nobody is told when it does not. */
void stream_memory_link(struct stream_memory *m, uint32_t a, uint32_t b, bool is_up);
/* The host's connections and listeners are gone, without a word; who goes on writing to it is reset. Its users must not
 * touch their streams any more. */
void stream_memory_crash(struct stream_memory *m, uint32_t addr);

/* The connection on which the byte number `at` of all that are written from now on (0: the first) would go is lost:
 * what was written before arrives, and then both ends are reset, or nothing ever comes any more. UINT64_MAX: none is.
 */
enum stream_memory_cut { STREAM_MEMORY_RESET, STREAM_MEMORY_SILENT };
void stream_memory_cut(struct stream_memory *m, uint64_t at, enum stream_memory_cut how);

/* Bytes that were ever written; connections that somebody has an end of. */
uint64_t stream_memory_written(const struct stream_memory *m);
uint32_t stream_memory_n_open(const struct stream_memory *m);

#endif
