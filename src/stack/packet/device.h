/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a device offers: a table of functions that every driver fills in
 * (AF_PACKET, TAP, capture file, in-memory wire). The core knows nothing else
 * of a device. All calls come from the worker that owns it and never block.
 */
#ifndef YG_STACK_PACKET_DEVICE_H
#define YG_STACK_PACKET_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "stack/packet/packet.h"
#include "stack/wire/ether.h"

#define DEVICE_NAME_MAX 16

/* What the device can be left to do for frames that we send. */
#define DEVICE_CAP_CSUM 0x1u /* completes partial checksums */
#define DEVICE_CAP_TSO 0x2u  /* cuts large TCP segments */
#define DEVICE_CAP_USO 0x4u  /* cuts large UDP ones (UDP_SEGMENT); Linux's devices do since 6.2 */
#define DEVICE_CAP_ALL (DEVICE_CAP_CSUM | DEVICE_CAP_TSO | DEVICE_CAP_USO)

/* Whether a device of these can be left to cut a large segment of that enum gso_type, which is not GSO_NONE. */
static inline bool device_cuts(uint32_t caps, uint8_t gso_type)
{
	const uint32_t needed = DEVICE_CAP_CSUM | (gso_type == GSO_UDP4 ? DEVICE_CAP_USO : DEVICE_CAP_TSO);

	return (caps & needed) == needed;
}

struct device;

struct device_ops {
	const char *driver; /* "af_packet" and so on */
	/* Appends received packets to b, at most max and never past BATCH_MAX.
	 * Frames that cannot be taken in (cut, no buffer) are counted in the
	 * ledger as received and dropped. Every packet appended has been
	 * counted as received. Fills buf, off, len, offload, nothing else. */
	uint32_t (*rx)(struct device *d, struct batch *b, uint32_t max);
	/* Takes all packets of b: each is handed to the driver (counted) or
	 * dropped with TX_REFUSED, TX_DOWN or TX_TOO_BIG, and freed either way. b is empty
	 * afterwards. The caller has seen to it that offload work is within
	 * caps. */
	void (*tx)(struct device *d, struct batch *b);
	/* A descriptor to poll for reading, or -1 when the device has its own
	 * time (see next). */
	int (*poll_fd)(struct device *d);
	/* When rx has something to give without the descriptor: a deadline on
	 * the core's clock, TIME_NEVER if none. NULL: never. */
	uint64_t (*next)(struct device *d);
	/* The group addresses that are wanted, all of them, instead of those before: the device's filter lets them in
	 * from here on, as far as it can. NULL: it lets in whatever comes. */
	void (*set_groups)(struct device *d, const struct ether_addr *mac, uint32_t n);
	void (*close)(struct device *d);
};

struct device {
	const struct device_ops *ops;
	struct packet_pool *pool; /* set before rx is called first */
	struct ledger *ledger;    /* likewise */
	char name[DEVICE_NAME_MAX];
	struct ether_addr mac;
	uint32_t mtu;  /* bytes of IP packet */
	uint32_t caps; /* DEVICE_CAP_* */
	bool up;
	uint64_t n_rx_packets, n_rx_bytes, n_tx_packets, n_tx_bytes;
	uint64_t n_rx_missed; /* the kernel said it lost these before us */
	bool tx_waits;        /* what tx took has not all left yet: the kernel had no room */
	uint16_t stamp_mark;  /* frames that begin so have a stamp (stack/packet/stamp.h); 0: none has */
};

#endif
