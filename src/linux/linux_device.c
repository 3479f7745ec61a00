/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Frames between a stack and a device of the kernel's.
 *
 * But for AF_XDP (linux_xdp.c) before each frame stand the ten bytes of struct virtio_net_hdr (virtio 1.1
 * section 5.1.6, in this machine's byte order), which say what its sender left to the device: a checksum, the cutting
 * of a large segment. Both sides are asked for both, so between a kernel and a stack of one machine bytes are summed
 * once at most and segments are large.
 *
 * A large frame whose checksum is whole (a NIC that merges by itself) goes on as one long packet: what is to be cut is
 * partial by what yangguan/packet.h says.
 */
#include "linux/linux_device.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/uio.h>

#include "linux/linux_xdp.h"

/* Newer than Debian 12's kernel headers. */
#define VNET_GSO_UDP_L4 5

enum { LARGE_NONE, LARGE_TCP, LARGE_UDP }; /* struct yg_offload's is_large */

static struct yg_offload offload_of(const struct virtio_net_hdr *h)
{
	int kind = h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
	struct yg_offload o = { .checksum_partial = (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0,
				.checksum_valid = (h->flags & VIRTIO_NET_HDR_F_DATA_VALID) != 0 };

	if (!o.checksum_partial)
		return o;
	o.checksum_start = h->csum_start;
	o.checksum_offset = h->csum_offset;
	o.segment_size = h->gso_size;
	o.is_large = kind == VIRTIO_NET_HDR_GSO_TCPV4 ? LARGE_TCP : kind == VNET_GSO_UDP_L4 ? LARGE_UDP : LARGE_NONE;
	return o;
}

static struct virtio_net_hdr header_of(const struct yg_offload *o)
{
	struct virtio_net_hdr h = { .gso_type = VIRTIO_NET_HDR_GSO_NONE };

	if (o->checksum_partial) {
		h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h.csum_start = o->checksum_start;
		h.csum_offset = o->checksum_offset;
	}
	if (o->is_large != LARGE_NONE) {
		h.gso_type = o->is_large == LARGE_TCP ? VIRTIO_NET_HDR_GSO_TCPV4 : VNET_GSO_UDP_L4;
		h.gso_size = o->segment_size;
	}
	return h;
}

int linux_device_read(struct linux_device *d, struct yg_stack *s, struct yg_packet **out)
{
	if (d->xdp != NULL)
		return linux_xdp_read(d->xdp, s, out);
	struct virtio_net_hdr h;
	struct iovec v[] = { { &h, sizeof(h) }, { d->frame, sizeof(d->frame) } };
	ssize_t n = readv(d->fd, v, 2);

	if (n < 0)
		return -errno;
	n -= (ssize_t)sizeof(h);
	if (n <= 0)
		return -EINVAL;
	struct yg_offload o = offload_of(&h);

	*out = yg_packet_alloc(s, (size_t)n);
	if (*out != NULL) {
		memcpy(yg_packet_data(*out, s), d->frame, (size_t)n);
		yg_packet_set_offload(*out, s, &o);
	}
	return 0;
}

int linux_device_write(const struct linux_device *d, struct yg_stack *s, struct yg_packet *p)
{
	struct yg_offload o;

	if (d->xdp != NULL)
		return linux_xdp_write(d->xdp, s, p);
	yg_packet_offload(p, s, &o);
	struct virtio_net_hdr h = header_of(&o);
	struct iovec v[] = { { &h, sizeof(h) }, { yg_packet_data(p, s), yg_packet_len(p, s) } };

	return writev(d->fd, v, 2) < 0 ? -errno : 0;
}

enum linux_push linux_device_push(const struct linux_device *d)
{
	return d->xdp != NULL ? linux_xdp_push(d->xdp) : LINUX_PUSH_DONE;
}

void linux_device_info(const struct linux_device *d, struct yg_host_info *info)
{
	if (d->xdp == NULL)
		return;
	info->xdp_is_generic = linux_xdp_is_generic(d->xdp);
	info->rx_refused += linux_xdp_rx_lost(d->xdp);
	info->tx_refused += linux_xdp_tx_lost(d->xdp);
}

int linux_device_is_of_frame(int rc)
{
	switch (-rc) {
	case EAGAIN: /* nothing there, or full */
	case ENOBUFS:
	case ENETDOWN: /* down; of a TUN or TAP */
	case EIO:
	case ENXIO: /* deleted; of a TUN or TAP */
	case ENODEV:
	case EBADFD:
		return 0;
	default: /* too long, of a kind that this kernel does not know */
		return 1;
	}
}
