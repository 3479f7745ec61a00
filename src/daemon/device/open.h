/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Devices by the name of their driver.
 */
#ifndef YG_DAEMON_DEVICE_OPEN_H
#define YG_DAEMON_DEVICE_OPEN_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/device/af_xdp.h"
#include "daemon/device/pcap.h"
#include "stack/packet/device.h"

struct device_open_options {
	uint32_t ring_mb;          /* af_packet: receive ring, 0 for its default */
	struct ether_addr mac;     /* tap: our end's address, zero to derive one */
	struct af_xdp_options xdp; /* xdp: memory, and the program's map */
	struct pcap_config pcap;   /* pcap: files and clock */
	/* Several handles of one kernel device, each for a thread of its own: how many there will be (0: one), and the
	 * first of them when this is a further one. Close the first last. */
	uint32_t n_handles;
	struct device *first;
};

/* driver: "xdp", "tc", "af_packet", "tap" or "pcap", what device_ops.driver says
 * of each. opt may be NULL except for xdp and pcap. Returns 0, or -errno and one
 * sentence in err that says what to do. */
int device_open(const char *driver, const char *ifname, const struct device_open_options *opt, struct device **out,
		char *err, size_t err_len);

/* The kernel device of this name was gone and is back. Call it from the thread
 * that calls rx and tx. Drivers that need nothing return 0. */
int device_rebind(struct device *d, char *err, size_t err_len);

#endif
