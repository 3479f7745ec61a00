/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Devices by driver name: what the config's `driver` says becomes a device.
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

/* driver: "auto" (here the same as "af_packet"), "xdp", "tc", "af_packet", "tap"
 * or "pcap". opt may be NULL except for xdp and pcap. note, if not NULL, receives
 * one sentence for the log. Returns 0, or -errno and one sentence in err that
 * says what to do. */
int device_open(const char *driver, const char *ifname, const struct device_open_options *opt, struct device **out,
		char *note, size_t note_len, char *err, size_t err_len);

/* The kernel device of this name was gone and is back. Call it from the thread
 * that calls rx and tx. Drivers that need nothing return 0. */
int device_rebind(struct device *d, char *err, size_t err_len);

/* The names that device_open takes, NULL at the end: for `check` and messages. */
extern const char *const device_drivers[];

#endif
