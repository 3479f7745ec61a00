/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The kernel's fast path as `run` uses it: the programs and their maps
 * (fastpath.h), and what keeps them in step with the core (offload.h), as one
 * object that is opened when the first port with `driver xdp` or `driver tc` is.
 *
 * Cores share the maps and the programs. Each has a range of connections and one
 * of neighbours to itself, and puts in its own; so what is done with a core is done
 * for each of them.
 *
 * Threads. Opening, attaching and detaching make system calls: control thread.
 * What names a core is called in the thread of that core's worker, inside
 * worker_call, or while that worker stands still; cores need not wait for one
 * another. Its timers are the core's (gateway_set_aux). A worker calls
 * gateway_seen_empty for a port when it has received nothing from it and, with
 * several, when nothing of what others had handed over was left (workers_poll: 0).
 *
 *   open     fast_open -> fast_attach -> open the device -> in each worker: fast_start (once), fast_port_up
 *   close    in each worker: fast_port_down -> close the device -> fast_detach
 *   the end  in each worker: fast_stop -> fast_close
 *
 * A port may go when the last core has taken it down: until then another core's
 * flows may leave by it.
 */
#ifndef YG_DAEMON_FASTPATH_FAST_H
#define YG_DAEMON_FASTPATH_FAST_H

#include "core/workers/workers.h"
#include "core/gateway.h"
#include "daemon/fastpath/fastpath.h"
#include "daemon/fastpath/offload.h"

struct fast;

/* Sizes of the maps; offload_max 0: as many connections as the table has, at most FAST_CONNECTIONS_DEFAULT_MAX. */
#define FAST_CONNECTIONS_DEFAULT_MAX (1u << 20)
struct fast_limits {
	struct fastpath_limits maps;
	uint32_t n_cores; /* 1 to WORKERS_MAX */
};
/* n_connections: of all cores; n_neighbours: of each, 0: IP_NEIGHBOURS_DEFAULT. */
struct fast_limits fast_limits(uint32_t offload_max, uint32_t n_connections, uint32_t n_neighbours, uint32_t n_cores);
/* Makes the maps; nothing is attached yet. 0, or -errno and one sentence. */
int fast_open(const struct fast_limits *limits, struct fast **out, char *err, size_t err_len);
/* Detaches everything. Every core's worker has stopped. NULL is allowed. */
void fast_close(struct fast *f);
/* For AF_XDP sockets. */
struct fastpath *fast_path(struct fast *f);
/* For the devices behind a program (stack/packet/stamp.h). */
uint16_t fast_stamp_mark(const struct fast *f);

/* Puts the program on a device. Until fast_port_up everything that comes in there goes up. */
int fast_attach(struct fast *f, const struct fastpath_port *port, char *err, size_t err_len);
void fast_detach(struct fast *f, uint32_t number);
/* No port has ever had a program: no core is tied to it, and it may be closed while workers run. */
bool fast_unused(const struct fast *f);
/* A port has a program at this hook. */
enum fast_hook { FAST_XDP, FAST_TC };
bool fast_has_port(const struct fast *f, enum fast_hook hook);
/* How frames may leave by a port is the other end's affair too, which may change without word of it: a veth's peer
 * turns GRO on or gets an XDP program. True when it has changed: then fast_port_up again, in each worker. */
bool fast_ask_again(struct fast *f, uint32_t number);

/* Ties it to a core, which is g; once more does nothing. 0 or -ENOMEM. */
int fast_start(struct fast *f, uint32_t core, struct gateway *g);
/* Credits what the kernel forwarded and lets go of the core. */
void fast_stop(struct fast *f, uint32_t core);
/* Flows of the core may go through the kernel by this port, or not any more. Nothing while it is not tied. */
void fast_port_up(struct fast *f, uint32_t core, uint32_t number);
void fast_port_down(struct fast *f, uint32_t core, uint32_t number);

/* Before counters of a connection are shown: credits them. True while the kernel has it. */
bool fast_read_back(struct fast *f, uint32_t core, uint32_t conn);
/* Before sums are shown: credits all, when they are few enough not to let packets wait; else what is shown is a second
 * old at most. */
void fast_catch_up(struct fast *f, uint32_t core);
/* Of this core; all fields are sums, so those of all cores are added up. */
void fast_info(const struct fast *f, uint32_t core, struct offload_map_info *out);

/* Control thread: a system call a counter. */
void fast_counts(const struct fast *f, struct fastpath_counts *out);

#endif
