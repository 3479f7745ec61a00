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

#include "packet/device.h"

/* Attaches to the TAP of this name, or creates it (up, and gone again at
 * close). mac: of our end; zero or NULL derives one from the kernel's, so that it
 * stays the same as long as that does. Returns 0 or -errno and a sentence. */
int tap_open(const char *ifname, const struct ether_addr *mac, struct device **out, char *err, size_t err_len);

#endif
