/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The 10 bytes that AF_PACKET and TAP put before a frame (struct
 * virtio_net_hdr, in the machine's own byte order) to struct offload and back.
 */
#ifndef YG_DAEMON_DEVICE_VNET_H
#define YG_DAEMON_DEVICE_VNET_H

#include <linux/virtio_net.h>

#include "stack/packet/packet.h"

#define VNET_HEADER_LEN 10
_Static_assert(sizeof(struct virtio_net_hdr) == VNET_HEADER_LEN, "virtio 1.1 section 5.1.6, without num_buffers");

/* False when the header does not fit the frame (it points past its end, or
 * names work that we did not ask for); *o is zero then. The frame's checksum
 * field may be rewritten: see vnet.c. */
bool vnet_to_offload(const struct virtio_net_hdr *h, uint8_t *frame, uint32_t len, struct offload *o);
void vnet_of_offload(const struct offload *o, struct virtio_net_hdr *h);

#endif
