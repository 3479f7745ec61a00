/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What run.c, run_ports.c and run_reload.c share: one running gateway.
 */
#ifndef YG_APP_RUN_PRIV_H
#define YG_APP_RUN_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/entry.h"
#include "app/snapshot.h"
#include "app/stage_clock.h"
#include "app/worker.h"
#include "control/path.h"
#include "control/server.h"
#include "device/netlink.h"
#include "device/quiet.h"

/* One interface and the kernel device behind it. */
struct run_port {
	struct device *device; /* NULL: this number is not in use */
	char driver[16];       /* as the config says */
	bool take_over;
	bool is_quiet;
	bool is_gone; /* the kernel device has vanished */
	int lock_fd;  /* holds the name in this network namespace */
};

struct run {
	const char *config_path;
	char config_absolute[4096]; /* for reload */
	const char *record_dir;
	char socket_path[CONTROL_PATH_MAX];
	bool ready, stopping;

	struct gateway_limits limits;
	struct snapshot *snap;
	struct gateway *gateway;
	struct stage_clock stage_clock;
	struct entry entry;
	struct record *record;
	struct worker *worker;
	struct quiet *quiet;
	struct netlink_monitor *monitor;
	struct run_port port[IP_INTERFACES_MAX];

	struct event_base *base;
	struct control_target target;
	struct control_server *server;
};

/* Says something to whoever watches the program. */
void run_say(const char *fmt, ...) YG_PRINTF(1, 2);
/* To the program's output and to all who listen for events. Control thread. */
void run_event(struct run *r, struct event *e);

/* --- run_ports.c --- */

/* Opens what interface i of snap names. 0, or -errno and one sentence. */
int run_port_open(struct run *r, const struct snapshot *snap, uint32_t i, struct run_port *out, char *err,
		  size_t err_len);
/* The kernel gets the device back. Nobody may use it any more. */
void run_port_close(struct run *r, struct run_port *p);
/* netlink_change_fn; ctx is the run. */
void run_link_changed(void *ctx, enum netlink_change change, const struct netlink_link *link);

/* --- run_reload.c --- */

/* Limits of a config as the core takes them. */
struct gateway_limits run_limits(const struct config *cfg);
/* For control_target. */
bool run_reload(void *run, char **report);

#endif
