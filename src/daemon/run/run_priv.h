/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What run.c, run_ports.c and run_reload.c share: one running gateway.
 */
#ifndef YG_DAEMON_RUN_RUN_PRIV_H
#define YG_DAEMON_RUN_RUN_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/run/drivers.h"
#include "core/workers/core_api.h"
#include "daemon/record/record.h"
#include "daemon/config/snapshot.h"
#include "daemon/run/stage_clock.h"
#include "daemon/run/worker.h"
#include "daemon/control/server/path.h"
#include "daemon/control/server/server.h"
#include "daemon/device/netlink.h"
#include "daemon/device/suppress.h"

/* One interface and the kernel device behind it. */
struct run_port {
	struct device *device; /* worker 0's handle of `port`; NULL: this number is not in use */
	struct driver_port port;
	enum config_driver driver; /* as the config says */
	char name[DEVICE_NAME_MAX];
	bool take_over;
	bool is_suppressed;
	bool is_gone;           /* the kernel device has vanished, or no driver takes it any more */
	int lock_fd;            /* holds the name in this network namespace */
	struct device counters; /* as they were before the device was taken again */
};

/* A worker and what it has; so is the host. */
struct run_core {
	struct run *run;
	struct worker *worker;
	struct log_ring *log; /* of a worker: its records */
	struct core_api entry;
};

struct run {
	const char *config_path;
	char config_absolute[4096]; /* for reload */
	const char *record_dir;
	char socket_path[CONTROL_PATH_MAX];
	bool ready, stopping;
	bool log_is_read; /* by a command */

	struct gateway_limits limits;
	struct snapshot *snap;
	struct workers *workers;
	uint32_t n_cores;   /* workers */
	uint32_t n_members; /* and the host behind them, if it has a thread: not where something is recorded */
	struct run_core core[WORKERS_MAX + 1];
	struct grace *grace; /* of the routes that the workers read */
	bool in_grace;
	bool routes_busy;         /* there is more to do for the routes, and it will be */
	bool routes_wake;         /* sleeping workers will be woken for the routes */
	uint64_t routes_woken_ns; /* and were */
	bool routes_set;          /* routes were set or unset, and will be in force before this thread waits again */
	struct stage_clock stage_clock;
	struct record *record;
	uint8_t seed_after_record[RNG_SEED_BYTES]; /* of core 0, when the recording ends before the gateway */
	int clock_fd;                              /* see run_clock.c */
	struct suppress *quiet;
	struct drivers drivers; /* what the ports share */
	bool fast_started;      /* drivers.fast is tied to the cores */
	bool fast_off;          /* it never is: every packet takes the way through user space */
	struct netlink_monitor *monitor;
	struct run_bgp *bgp;       /* NULL: the config has none */
	struct run_kernel *kernel; /* the kernel's routes; NULL: none are followed */
	struct run_port port[IP_INTERFACES_MAX];

	struct event_base *base;
	struct control_target target;
	struct control_server *server;
};

/* Says something to whoever watches the program. */
void run_say(const char *fmt, ...) YG_PRINTF(1, 2);
/* To the program's output and to all who listen for events. Control thread. */
void run_event(struct run *r, struct yg_event *e);

/* --- run_target.c --- */

/* r->target, from the cores that there are. */
void run_fill_target(struct run *r);
/* Runs fn(arg) in this thread while every worker is quiesced between two batches, with the cores' clocks set, and
 * nothing is on its way between them. Control thread. */
void run_quiesced(struct run *r, worker_fn *fn, void *arg);

/* --- run_ports.c --- */

/* Opens what interface i of snap names, with number i. 0, or -errno and one sentence. */
int run_port_open(struct run *r, const struct snapshot *snap, uint32_t i, struct run_port *out, char *err,
		  size_t err_len);
/* With the workers quiesced: the device of `p`, number i, goes into the cores, or out of them. */
void run_port_attach(struct run *r, struct run_port *p, uint32_t i);
void run_port_detach(struct run *r, struct run_port *p, uint32_t i);
/* The kernel gets the device back. Nobody may use it any more. */
void run_port_close(struct run *r, struct run_port *p, uint32_t i);
/* The kernel forwards nothing by port i any more and its device has no program; the number is free for another's. */
void run_port_detach_program(struct run *r, uint32_t i);
/* The device of port i is taken again, by the best driver there is now. */
void run_port_reopen(struct run *r, uint32_t i);
/* Every port is closed: lets go of what they shared with the cores. The workers have ended. */
void run_ports_stop(struct run *r);
/* Now and then: what the kernel sends no word of. Control thread. */
void run_ports_look(struct run *r);
/* netlink_change_fn; ctx is the run. */
void run_link_changed(void *ctx, enum netlink_change change, const struct netlink_link *link);

/* --- run_routes.c --- */

/* Memory for what follows, before the workers start. False without. */
bool run_routes_begin(struct run *r);
void run_routes_end(struct run *r);
/* The routes have changed, or may have: sleeping workers look, and what is left to be done is done by and by. Control
 * thread. */
void run_routes_changed(struct run *r);
/* Now and then: memory that no worker looks at any more is given back. */
void run_routes_look(struct run *r);
/* For control_target. */
int run_route_set(void *run, const struct rib_route *route);
int run_route_unset(void *run, const struct rib_route *route);
int run_routes_flush(void *run);
int run_next_hop_change(void *run, uint32_t ifindex, uint32_t addr, bool up);
/* A change of one route by this thread; in force with run_routes_flush, or soon. 0, -ENOENT (there is none to be unset)
 * or -ENOMEM. */
int run_route_change(struct run *r, enum core_route_change how, const struct rib_route *route);
/* After a reload: routes of commands that cannot stand beside the new config end, each with a line. */
void run_routes_refit(struct run *r, const struct snapshot *before);

/* --- run_kernel.c --- */

/* The kernel's routes are followed as the present config says, and are in force; again after a reload. Behind
 * the devices, with the workers running. */
void run_kernel_configure(struct run *r);
void run_kernel_end(struct run *r);

/* --- run_log.c --- */

/* Rings for the workers' records, before the cores are made. False without memory; run_log_end in both cases. */
bool run_log_begin(struct run *r);
void run_log_end(struct run *r);
/* For control_target. */
bool run_log_open(void *run);
void run_log_close(void *run);
bool run_log_next(void *run, struct log_record *out);
void run_log_counts(void *run, struct control_log_counts *out);

/* --- run_clock.c --- */

/* What to add to `now` of worker_clock for UTC. */
uint64_t run_wall_offset(uint64_t now);
/* The cores' offset follows, if somebody has set the clock. Control thread. */
void run_clock_look(struct run *r);
/* A descriptor that can be read when the clock was set, for run_clock_was_set; negative when there is none. */
int run_clock_open(void);
void run_clock_was_set(struct run *r, int fd);

/* --- run_reload.c --- */

/* From a file to what a gateway runs with; NULL and errors. There may be notes in both cases. */
struct snapshot *run_snapshot(const char *path, struct gateway_limits *limits, struct config_errors **errors);
/* For control_target. */
bool run_reload(void *run, char **report);
/* What it would say, and nothing is done. */
bool run_reload_foresee(void *run, char **report);

#endif
