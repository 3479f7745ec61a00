/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A TAP device: the kernel (or a bridge, or a virtual machine) at one end of a
 * cable, we at the other. Large segments and partial checksums travel both
 * ways.
 *
 * The kernel's own end is a neighbour of ours: it has a MAC and may well have
 * addresses, and quiet.h is not for it.
 */
#ifndef YG_DEVICE_TAP_H
#define YG_DEVICE_TAP_H

#include <stddef.h>
#include <stdint.h>

#include "packet/device.h"

/* Attaches to the TAP of this name, or creates it (up, and gone again at
 * close). mac: of our end; zero or NULL derives one from the kernel's, so that it
 * stays the same as long as that does. Returns 0 or -errno and a sentence. */
int tap_open(const char *ifname, const struct ether_addr *mac, struct device **out, char *err, size_t err_len);

/* A new TAP into which the kernel's side only puts what a program redirects
 * there; it has room for n_frames that wait. -EBUSY when there is one of this
 * name. tx must not be called. */
int tap_open_inlet(const char *ifname, uint32_t n_frames, struct device **out, char *err, size_t err_len);

#endif
