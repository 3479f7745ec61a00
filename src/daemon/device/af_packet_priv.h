/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What af_packet.c (frames in and out) and af_packet_open.c (sockets and rings) share.
 */
#ifndef YG_DAEMON_DEVICE_AF_PACKET_PRIV_H
#define YG_DAEMON_DEVICE_AF_PACKET_PRIV_H

#include <linux/if_packet.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/util.h"
#include "daemon/device/memberships.h"
#include "daemon/device/vnet.h"
#include "stack/packet/device.h"

#define BLOCK_BYTES (1u << 20)
#define SLOT_BYTES 67584u /* 65,535 + headers, in whole KB */
#define SLOTS_PER_BLOCK (BLOCK_BYTES / SLOT_BYTES)
/* TPACKET_ALIGN(TPACKET2_HDRLEN + 16) + vnet header + this = 128: there the IP header starts. */
#define SLOT_RESERVE (128 - VNET_HEADER_LEN - 80)
#define VLAN_TAG_LEN 4

_Static_assert(TPACKET_ALIGN(TPACKET2_HDRLEN + 16) == 80, "SLOT_RESERVE counts on it");
_Static_assert(SLOT_BYTES % 64 == 0 && SLOT_BYTES % TPACKET_ALIGNMENT == 0, "slots begin on a cache line");
_Static_assert(SLOT_BYTES >= 128 + 65535 + VLAN_TAG_LEN, "a slot holds the largest IPv4 packet");

struct af_packet {
	struct device dev;
	struct memberships groups;
	int fd;
	uint16_t protocol; /* that is received: ETH_P_ALL, or 0 for nothing */
	bool has_group;    /* of handles between which the kernel divides what comes in */
	uint16_t group;
	uint8_t *ring;
	size_t ring_len;
	uint8_t *in_use;
	uint32_t n_slots;
	uint32_t head;         /* slot that the kernel fills next, or has filled */
	uint32_t n_since_idle; /* frames since the ring was last seen empty */
	uint32_t n_idle;       /* rounds that found nothing */
	struct mmsghdr msg[BATCH_MAX];
	struct iovec iov[BATCH_MAX][2];
	struct virtio_net_hdr vnet[BATCH_MAX]; /* for frames without room in front */
};

static inline struct af_packet *af_packet_of(struct device *d)
{
	return container_of(d, struct af_packet, dev);
}

/* For struct device_ops. */
uint32_t af_packet_rx(struct device *d, struct batch *b, uint32_t max);
void af_packet_tx(struct device *d, struct batch *b);

#endif
