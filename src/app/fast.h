/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The kernel's fast path as `run` uses it: the programs and their maps
 * (fastpath.h), and what keeps them in step with the core (offload.h), as one
 * object that is opened when the first port with `driver xdp` or `driver tc` is.
 *
 * Two threads. Opening, attaching and detaching make system calls: control
 * thread. What touches the core (fast_start, fast_port_up, fast_port_down,
 * fast_stop, fast_read_back, fast_catch_up, fast_info) is called inside
 * worker_call. Its timers are the core's (gateway_set_side).
 *
 *   open     fast_open -> fast_attach -> open the device -> worker_call: fast_start (once), fast_port_up
 *   close    worker_call: fast_port_down -> close the device -> fast_detach
 *   the end  worker_call: fast_stop -> fast_close
 */
#ifndef YG_APP_FAST_H
#define YG_APP_FAST_H

#include "app/gateway.h"
#include "fastpath/fastpath.h"
#include "fastpath/offload.h"

struct fast;

/* Sizes of the maps; offload_max 0: as many connections as the table has, at most FAST_CONNECTIONS_DEFAULT_MAX. */
#define FAST_CONNECTIONS_DEFAULT_MAX (1u << 20)
struct fastpath_limits fast_limits(uint32_t offload_max, uint32_t n_connections, uint32_t n_neighbours);
/* Makes the maps; nothing is attached yet. 0, or -errno and one sentence. */
int fast_open(const struct fastpath_limits *limits, struct fast **out, char *err, size_t err_len);
/* Detaches everything. NULL is allowed. */
void fast_close(struct fast *f);
/* For AF_XDP sockets. */
struct fastpath *fast_path(struct fast *f);

/* Puts the program on a device. Until fast_port_up everything that comes in there goes up. */
int fast_attach(struct fast *f, const struct fastpath_port *port, char *err, size_t err_len);
void fast_detach(struct fast *f, uint32_t number);
/* How frames may leave by a port is the other end's affair too, which may change without word of it: a veth's peer turns
 * GRO on or gets an XDP program. True when it has changed: then fast_port_up again. */
bool fast_ask_again(struct fast *f, uint32_t number);

/* Ties it to a core. 0 or -ENOMEM. */
int fast_start(struct fast *f, struct gateway *g);
/* Credits what the kernel forwarded and lets go of the core. */
void fast_stop(struct fast *f);
/* Flows may go through the kernel by this port, or not any more. */
void fast_port_up(struct fast *f, uint32_t number);
void fast_port_down(struct fast *f, uint32_t number);

/* Before counters of a connection are shown: credits them. True while the kernel has it. */
bool fast_read_back(struct fast *f, uint32_t conn);
/* Before sums are shown: credits all, when they are few enough not to let packets wait; else what is shown is a second
 * old at most. */
void fast_catch_up(struct fast *f);
void fast_info(const struct fast *f, struct offload_map_info *out);

/* Control thread: a system call a counter. */
void fast_counts(const struct fast *f, struct fastpath_counts *out);

#endif
