/* SPDX-License-Identifier: BSD-2-Clause
 *
 * TAP: one read a frame, one write a frame, each with the 10-byte vnet header in
 * front.
 *
 * A read goes into a small pool buffer and, what does not fit, into a spill area
 * of the device; only such a large frame is copied, into a large buffer. A frame
 * for which the pool has no buffer is read all the same and dropped by name, or
 * the descriptor would stay readable for ever.
 *
 * The kernel gives us large segments and partial checksums only as far as
 * TUNSETOFFLOAD asked for them, and takes any that it knows from us: large UDP ones where it could be asked for those
 * (Linux 6.2).
 *
 * An inlet is a TAP for frames that a program in the kernel redirects into it.
 * The kernel itself must have nothing to say there: no IPv6 address of its own
 * accord (so neither neighbour discovery nor MLD), no queue discipline that would
 * drop frames for having waited. Its queue takes a burst of thousands.
 *
 * Several handles. A TAP need not have several queues (somebody else may have made
 * it), so a further handle shares the first one's descriptor and only writes. An
 * inlet is ours: each handle is a queue (IFF_MULTI_QUEUE).
 *
 * Next: src/core/gateway.c (gateway_input)
 */
#include "daemon/device/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "daemon/device/netlink.h"
#include "daemon/device/vnet.h"

/* Newer than Debian 12's kernel headers (Linux 6.2): UDP segments too. */
#define TAP_OFFLOAD_USO4 0x20u
#define TAP_OFFLOAD_USO6 0x40u

struct tap {
	struct device dev;
	int fd;
	bool is_sender; /* it reads nothing */
	uint8_t spill[PACKET_LARGE_BYTES];
};

static struct tap *of_device(struct device *d)
{
	return container_of(d, struct tap, dev);
}

/* --- receive --- */

/* The frame begins in p's buffer (n_first bytes of room) and goes on in the
 * spill area: put it into a large buffer. NULL when there is none. */
static struct packet *join_spill(struct tap *t, struct packet *p, uint32_t n_first, uint32_t len)
{
	struct packet *large = packet_alloc(t->dev.pool, len);

	if (large) {
		memcpy(packet_frame(large), packet_frame(p), n_first);
		memcpy(packet_frame(large) + n_first, t->spill, len - n_first);
	}
	packet_free(t->dev.pool, p);
	return large;
}

/* Ends the life of a frame that was read and cannot be passed on. */
static void drop_read(struct tap *t, struct packet *p, enum drop_reason reason)
{
	if (p)
		packet_free(t->dev.pool, p);
	t->dev.ledger->n_dropped[reason]++;
}

/* Before its note is looked at, which counts from the frame's start. */
static void take_tag_out(struct packet *p, struct virtio_net_hdr *vnet)
{
	packet_take_tag_out(p);
	if (vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		vnet->csum_start = (uint16_t)(vnet->csum_start - min_u32(vnet->csum_start, ETHER_TAG_LEN));
}

/* One frame: 1 when one was read (and perhaps dropped), 0 when there is none. */
static int rx_one(struct tap *t, struct batch *b)
{
	struct virtio_net_hdr vnet;
	struct packet *p = packet_alloc(t->dev.pool, PACKET_SMALL_BYTES - PACKET_HEADROOM);
	uint32_t n_first = p ? p->buf_len - p->off : 0;
	struct iovec iov[] = {
		{ &vnet, sizeof(vnet) },
		{ p ? packet_frame(p) : NULL, n_first },
		{ t->spill, sizeof(t->spill) },
	};
	ssize_t n = readv(t->fd, iov, ARRAY_LEN(iov));

	if (n < VNET_HEADER_LEN) {
		if (p)
			packet_free(t->dev.pool, p);
		return n < 0 && errno == EINTR;
	}
	uint32_t len = (uint32_t)n - VNET_HEADER_LEN;
	t->dev.ledger->n_received++;
	t->dev.n_rx_packets++;
	t->dev.n_rx_bytes += len;
	if (p && len > n_first)
		p = join_spill(t, p, n_first, len);
	if (!p) {
		drop_read(t, NULL, DROP_NO_BUFFER);
		return 1;
	}
	p->len = len;
	if (YG_UNLIKELY(ether_priority_tagged(packet_frame(p), len)))
		take_tag_out(p, &vnet);
	if (p->len < ETHER_HEADER_LEN)
		drop_read(t, p, DROP_FRAME_SHORT);
	else if (!vnet_to_offload(&vnet, packet_frame(p), p->len, &p->offload))
		drop_read(t, p, DROP_OFFLOAD_BAD);
	else
		batch_add(b, p);
	return 1;
}

static uint32_t tap_rx(struct device *d, struct batch *b, uint32_t max)
{
	struct tap *t = of_device(d);
	uint32_t n_before = b->n;

	for (uint32_t n = 0; !t->is_sender && n < max && b->n < BATCH_MAX; n++)
		if (!rx_one(t, b))
			break;
	return b->n - n_before;
}

/* --- send --- */

static enum drop_reason send_error(int error)
{
	switch (error) {
	case EIO: /* the kernel's end is down */
	case EBADFD:
	case ENETDOWN:
		return DROP_TX_DOWN;
	case EINVAL:
	case EMSGSIZE:
		return DROP_TX_TOO_BIG;
	default:
		return DROP_TX_REFUSED;
	}
}

static void tap_tx(struct device *d, struct batch *b)
{
	struct tap *t = of_device(d);

	for (uint32_t i = 0; i < b->n; i++) {
		struct packet *p = b->p[i];
		struct virtio_net_hdr vnet;
		ssize_t n;

		vnet_of_offload(&p->offload, &vnet);
		struct iovec iov[] = { { &vnet, sizeof(vnet) }, { packet_frame(p), p->len } };
		do {
			n = writev(t->fd, iov, ARRAY_LEN(iov));
		} while (n < 0 && errno == EINTR);
		if (n < 0) {
			packet_drop(d->pool, d->ledger, p, send_error(errno));
			continue;
		}
		d->ledger->n_handed++;
		d->n_tx_packets++;
		d->n_tx_bytes += p->len;
		packet_free(d->pool, p);
	}
	b->n = 0;
}

/* --- open and close --- */

static int tap_poll_fd(struct device *d)
{
	return of_device(d)->is_sender ? -1 : of_device(d)->fd;
}

static void tap_close(struct device *d)
{
	struct tap *t = of_device(d);

	if (t->fd >= 0)
		close(t->fd);
	free(t);
}

static const struct device_ops tap_ops = {
	.driver = "tap",
	.rx = tap_rx,
	.tx = tap_tx,
	.poll_fd = tap_poll_fd,
	.close = tap_close,
};

static int fail(char *err, size_t err_len, const char *ifname, const char *what, int error)
{
	switch (error) {
	case EBUSY:
		snprintf(err, err_len, "device %s: another program has this TAP open; stop it or choose another name",
			 ifname);
		break;
	case EPERM:
	case EACCES:
		snprintf(err, err_len,
			 "device %s: no right to open the TAP (%s): run as root, or with CAP_NET_ADMIN and access to "
			 "/dev/net/tun",
			 ifname, what);
		break;
	case ENOENT:
		snprintf(err, err_len, "device %s: this system has no /dev/net/tun; try: modprobe tun", ifname);
		break;
	case EINVAL:
		snprintf(err, err_len, "device %s: exists and is no TAP (%s); choose another name", ifname, what);
		break;
	default:
		snprintf(err, err_len, "device %s: %s: %s", ifname, what, strerror(error));
	}
	return -error;
}

static int attach(struct tap *t, unsigned int more_flags, char *err, size_t err_len)
{
	struct ifreq r = { .ifr_flags = (short)(uint16_t)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | more_flags) };
	int header_len = VNET_HEADER_LEN;

	t->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (t->fd < 0)
		return fail(err, err_len, t->dev.name, "/dev/net/tun", errno);
	memcpy(r.ifr_name, t->dev.name, sizeof(r.ifr_name));
	if (ioctl(t->fd, TUNSETIFF, &r) < 0)
		return fail(err, err_len, t->dev.name, "TUNSETIFF", errno);
	/* Whoever had a persistent TAP before us may have left another size. */
	if (ioctl(t->fd, TUNSETVNETHDRSZ, &header_len) < 0)
		return fail(err, err_len, t->dev.name, "TUNSETVNETHDRSZ", errno);
	unsigned int offload = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO_ECN;

	if (ioctl(t->fd, TUNSETOFFLOAD, offload | TAP_OFFLOAD_USO4 | TAP_OFFLOAD_USO6) == 0)
		t->dev.caps |= DEVICE_CAP_USO;
	else if (ioctl(t->fd, TUNSETOFFLOAD, offload) < 0)
		return fail(err, err_len, t->dev.name, "TUNSETOFFLOAD", errno);
	return 0;
}

/* Our end's MAC: the kernel's with one bit changed, marked as given locally. */
static struct ether_addr derive_mac(const uint8_t kernel[6])
{
	struct ether_addr a;

	memcpy(a.b, kernel, sizeof(a.b));
	a.b[0] = (uint8_t)((a.b[0] | 0x02) & ~0x01);
	a.b[5] ^= 0x01;
	return a;
}

/* MAC, MTU and state, by a socket: the TAP's descriptor does not answer these. */
static int read_link(struct tap *t, bool created, char *err, size_t err_len)
{
	struct ifreq r = { 0 };
	int r_value = 0;
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s < 0)
		return fail(err, err_len, t->dev.name, "socket", errno);
	memcpy(r.ifr_name, t->dev.name, sizeof(r.ifr_name));
	if (ioctl(s, SIOCGIFHWADDR, &r) < 0) {
		r_value = fail(err, err_len, t->dev.name, "SIOCGIFHWADDR", errno);
		goto out;
	}
	if (ether_is_zero(&t->dev.mac))
		t->dev.mac = derive_mac((const uint8_t *)r.ifr_hwaddr.sa_data);
	if (ioctl(s, SIOCGIFMTU, &r) < 0) {
		r_value = fail(err, err_len, t->dev.name, "SIOCGIFMTU", errno);
		goto out;
	}
	t->dev.mtu = (uint32_t)r.ifr_mtu;
	if (ioctl(s, SIOCGIFFLAGS, &r) < 0) {
		r_value = fail(err, err_len, t->dev.name, "SIOCGIFFLAGS", errno);
		goto out;
	}
	if (created && !(r.ifr_flags & IFF_UP)) {
		r.ifr_flags |= IFF_UP;
		if (ioctl(s, SIOCSIFFLAGS, &r) < 0) {
			r_value = fail(err, err_len, t->dev.name, "setting it up", errno);
			goto out;
		}
	}
	t->dev.up = (r.ifr_flags & IFF_UP) != 0;
out:
	close(s);
	return r_value;
}

enum tap_kind { TAP_CABLE, TAP_INLET };

static int make_inlet(struct tap *t, uint32_t n_frames, char *err, size_t err_len)
{
	struct ifreq r = { .ifr_qlen = (int)n_frames };
	int result = 0;
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(r.ifr_name, t->dev.name, sizeof(r.ifr_name));
	if (s < 0 || ioctl(s, SIOCSIFTXQLEN, &r) < 0)
		result = fail(err, err_len, t->dev.name, "SIOCSIFTXQLEN", errno);
	if (s >= 0)
		close(s);
	return result < 0 ? result : netlink_link_make_silent(t->dev.name, err, err_len);
}

static struct tap *new_tap(const char *ifname)
{
	struct tap *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->dev.ops = &tap_ops;
	t->dev.caps = DEVICE_CAP_CSUM | DEVICE_CAP_TSO;
	snprintf(t->dev.name, sizeof(t->dev.name), "%s", ifname);
	t->fd = -1;
	return t;
}

/* n_frames 0: one more queue of an inlet that is there. */
static int open_tap(const char *ifname, enum tap_kind kind, uint32_t n_frames, unsigned int flags,
		    const struct ether_addr *mac, struct device **out, char *err, size_t err_len)
{
	if (*ifname == 0 || strlen(ifname) >= DEVICE_NAME_MAX) {
		snprintf(err, err_len, "device %s: a TAP's name has 1 to %d characters", ifname, DEVICE_NAME_MAX - 1);
		return -EINVAL;
	}
	struct tap *t = new_tap(ifname);
	if (!t)
		return fail(err, err_len, ifname, "memory", ENOMEM);
	if (mac)
		t->dev.mac = *mac;
	bool created = if_nametoindex(ifname) == 0;
	int r = attach(t, flags, err, err_len);
	if (r == 0 && kind == TAP_INLET && n_frames > 0)
		r = make_inlet(t, n_frames, err, err_len);
	if (r == 0)
		r = read_link(t, created, err, err_len);
	if (r < 0) {
		tap_close(&t->dev);
		return r;
	}
	*out = &t->dev;
	return 0;
}

int tap_open(const char *ifname, const struct ether_addr *mac, struct device **out, char *err, size_t err_len)
{
	return open_tap(ifname, TAP_CABLE, 0, 0, mac, out, err, err_len);
}

int tap_open_more(struct device *first, struct device **out, char *err, size_t err_len)
{
	struct tap *t = new_tap(first->name);

	if (t == NULL)
		return fail(err, err_len, first->name, "memory", ENOMEM);
	t->is_sender = true;
	t->dev.mac = first->mac;
	t->dev.mtu = first->mtu;
	t->dev.caps = first->caps;
	t->dev.up = first->up;
	t->fd = fcntl(of_device(first)->fd, F_DUPFD_CLOEXEC, 0);
	if (t->fd < 0) {
		int r = fail(err, err_len, first->name, "descriptor", errno);
		tap_close(&t->dev);
		return r;
	}
	*out = &t->dev;
	return 0;
}

int tap_open_inlet(const char *ifname, uint32_t n_frames, enum tap_queues queues, struct device **out, char *err,
		   size_t err_len)
{
	unsigned int flags = IFF_TUN_EXCL | (queues == TAP_MANY_QUEUES ? IFF_MULTI_QUEUE : 0);

	return open_tap(ifname, TAP_INLET, n_frames, flags, NULL, out, err, err_len);
}

int tap_open_inlet_queue(struct device *first, struct device **out, char *err, size_t err_len)
{
	return open_tap(first->name, TAP_INLET, 0, IFF_MULTI_QUEUE, NULL, out, err, err_len);
}
