/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The kernel's filter of group addresses on a device: which multicast frames its
 * hardware lets in. What is asked for here holds until it is asked for again, the
 * device vanishes, or the process ends.
 */
#ifndef YG_DAEMON_DEVICE_MEMBERSHIPS_H
#define YG_DAEMON_DEVICE_MEMBERSHIPS_H

#include <stdbool.h>
#include <stdint.h>

#include "stack/wire/ether.h"

struct memberships { /* zeros: nothing was asked for */
	bool is_open;
	int fd;
};

/* These n addresses, instead of those before. 0, or -errno of the first that the kernel refused. */
int memberships_set(struct memberships *g, const char *ifname, const struct ether_addr *mac, uint32_t n);
void memberships_close(struct memberships *g);

#endif
