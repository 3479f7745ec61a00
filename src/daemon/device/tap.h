/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A TAP device: the kernel (or a bridge, or a virtual machine) at one end of a
 * cable, we at the other. Large segments and partial checksums travel both
 * ways.
 *
 * The kernel's own end is a neighbour of ours: it has a MAC and may well have
 * addresses, and suppress.h is not for it.
 */
#ifndef YG_DAEMON_DEVICE_TAP_H
#define YG_DAEMON_DEVICE_TAP_H

#include <stddef.h>
#include <stdint.h>

#include "stack/packet/device.h"

/* Attaches to the TAP of this name, or creates it (up, and gone again at
 * close). mac: of our end; zero or NULL derives one from the kernel's, so that it
 * stays the same as long as that does. Returns 0 or -errno and a sentence. */
int tap_open(const char *ifname, const struct ether_addr *mac, struct device **out, char *err, size_t err_len);

/* One more handle of a TAP that is open, for another thread: for sending only, all that comes in does at the first. */
int tap_open_more(struct device *first, struct device **out, char *err, size_t err_len);

enum tap_queues { TAP_ONE_QUEUE, TAP_MANY_QUEUES };

/* A new TAP into which the kernel's side only puts what a program redirects
 * there; it has room for n_frames that wait. -EBUSY when there is one of this
 * name. tx must not be called. */
int tap_open_inlet(const char *ifname, uint32_t n_frames, enum tap_queues queues, struct device **out, char *err,
		   size_t err_len);
/* One more queue of an inlet that has TAP_MANY_QUEUES: the kernel divides what comes in between them, a flow at one. */
int tap_open_inlet_queue(struct device *first, struct device **out, char *err, size_t err_len);

#endif
