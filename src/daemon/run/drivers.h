/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which driver a port gets: a device (daemon/device) and, for xdp and tc, the
 * program beside it (daemon/fastpath). The two rooms do not know each other; here
 * they meet. Control thread.
 */
#ifndef YG_DAEMON_RUN_DRIVERS_H
#define YG_DAEMON_RUN_DRIVERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/workers/workers.h"
#include "daemon/config/config.h"
#include "daemon/fastpath/fast.h"
#include "daemon/device/netlink.h"
#include "daemon/device/umem.h"
#include "stack/packet/device.h"

#define DRIVER_NAME_MAX 16
#define DRIVER_MODE_MAX 32
#define DRIVER_NOTE_MAX 1024

/* What all ports of a process share. Zero to begin with; filled in when the first port needs it. */
struct drivers {
	struct fast *fast;  /* NULL: nobody has asked, or it cannot be had */
	uint32_t n_workers; /* each gets a handle of every device; set before the first is opened */
	struct umem *umem[WORKERS_MAX];
	bool umem_used; /* a port has, or has had, XDP: packets may lie there */
	struct fast_limits fast_limits;
	bool fast_asked;
	char fast_refusal[256]; /* why it cannot be had */
};

struct driver_port {
	struct device *handle[WORKERS_MAX]; /* one a worker; [0] NULL: not open */
	bool has_program;                   /* beside the device */
	bool attached;                      /* and it is there, under the port's number */
	bool is_xdp;
	char mode[DRIVER_MODE_MAX]; /* "native, copy"; empty where there is but one */
	char note[DRIVER_NOTE_MAX]; /* one sentence: what was chosen, and why each better one was not */
};

/* driver: as the config says. link: the device as the kernel has it (for tap: its name only). number: the gateway's.
 * 0, or -errno and one sentence. */
int drivers_open(struct drivers *s, enum config_driver driver, const struct netlink_link *link, uint32_t number,
		 struct driver_port *out, char *err, size_t err_len);
/* The program first, then the device. The worker must have let go of it. */
void drivers_close(struct drivers *s, struct driver_port *p, uint32_t number);
/* False when what the driver itself made beside the device has been taken away: it must be opened again. */
bool drivers_look(const struct driver_port *p);
/* The device is gone: so is the program on it. */
void drivers_gone(struct drivers *s, struct driver_port *p, uint32_t number);

/* The last: every port is closed and no packet is left. */
void drivers_end(struct drivers *s);

#endif
