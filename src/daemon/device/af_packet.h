/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A kernel device through an AF_PACKET socket: works everywhere, also without
 * root in a user namespace. Large segments and partial checksums travel both
 * ways (DEVICE_CAP_*).
 *
 * The kernel's own stack still sees every frame: see suppress.h.
 */
#ifndef YG_DAEMON_DEVICE_AF_PACKET_H
#define YG_DAEMON_DEVICE_AF_PACKET_H

#include <stddef.h>
#include <stdint.h>

#include "stack/packet/device.h"

#define AF_PACKET_RING_MB 64 /* default size of the receive ring */
#define AF_PACKET_RING_MB_MIN 4

/* ring_mb: megabytes of kernel memory for received frames, 15 frames each; 0
 * for the default. A smaller ring is taken, down to the minimum, when the
 * kernel has not that much. Returns 0 and a device that must be closed with
 * ops->close after all its packets were freed; or -errno and a sentence in err.
 * The kernel lets any number of them on a device: the caller's lock sees to it that
 * there is one gateway (daemon/control/server/path.h). */
int af_packet_open(const char *ifname, uint32_t ring_mb, struct device **out, char *err, size_t err_len);

/* The same for sending only: nothing ever comes in, and there is nothing to poll for. */
int af_packet_open_sender(const char *ifname, struct device **out, char *err, size_t err_len);

/* One more handle of a device that is open as `first`, for another thread: the kernel divides what comes in between the
 * handles, a flow at one. Where it cannot (the device is down, and Linux is older than 6.10), the new handle is for
 * sending only. A device of several handles cannot be bound again: open it again. */
int af_packet_open_more(struct device *first, uint32_t ring_mb, struct device **out, char *err, size_t err_len);

/* The device of this name was gone and is back: binds to the new one, and reads
 * its MAC and MTU. Call it from the thread that calls rx and tx. A device that
 * only went down and up needs no call. */
int af_packet_rebind(struct device *d, char *err, size_t err_len);

/* Slots of the receive ring; 0: for sending only. */
uint32_t af_packet_ring_slots(struct device *d);

#endif
