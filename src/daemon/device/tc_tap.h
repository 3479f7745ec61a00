/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A kernel device beside a tc program: what the program does not forward it
 * redirects into a TAP made for this device, from which we read it; what we send
 * goes out of the device itself. Large segments and unfinished checksums travel
 * both ways. Without the program attached nothing comes in.
 *
 * The kernel's own stack sees what the program passes: see suppress.h.
 */
#ifndef YG_DAEMON_DEVICE_TC_TAP_H
#define YG_DAEMON_DEVICE_TC_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/device/tap.h"
#include "stack/packet/device.h"

#define TC_TAP_FRAMES 4096u /* that may wait in the TAP */

/* 0 and a device that must be closed with ops->close, and with it the TAP is gone; or -errno and a sentence:
 * -EBUSY when a gateway in this network namespace has the device already. */
int tc_tap_open(const char *ifname, enum tap_queues queues, struct device **out, char *err, size_t err_len);

/* One more handle, for another thread, of a device that was opened with TAP_MANY_QUEUES: a queue of the TAP and a
 * packet socket of its own. The first is closed last. */
int tc_tap_open_more(struct device *first, struct device **out, char *err, size_t err_len);

/* The device of this name was gone and is back. Call it from the thread that calls rx and tx. */
int tc_tap_rebind(struct device *d, char *err, size_t err_len);

/* False when somebody has taken the TAP away: then nothing comes up any more, and the device must be opened again. One
 * that was set down is set up again. Any thread. */
bool tc_tap_look(struct device *d);

/* The kernel's index of the TAP, for the program. */
uint32_t tc_tap_up_ifindex(struct device *d);

#endif
