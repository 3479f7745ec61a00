/* SPDX-License-Identifier: BSD-2-Clause
 *
 * AF_PACKET: a ring that the kernel fills, and plain sends.
 *
 * Receive. The kernel copies each frame into the next slot of a TPACKET_V2 ring
 * and marks it TP_STATUS_USER. rx lends the slot to a packet; when the packet is
 * freed or moved to a buffer of its own (packet_copy_on_hold), the slot goes back. Slots
 * are filled in order, so the kernel stops at one that is still lent: whoever
 * keeps a packet longer than its batch owns it. A slot holds any frame that a
 * kernel makes, 64 KB included, so slots are few for their memory: 960 in 64 MB.
 * 120 of them lost 95,000 packets of one bulk stream whose sender had no large
 * segments (1,000 slots are 3 ms of 60-byte packets at the rate that this way
 * carries). The memory is the kernel's: no limit on locked memory applies, and
 * an ordinary user in a user namespace gets it too. TPACKET_V3 would pack small
 * frames closely, but hands a block over only when it is full or after 1 ms.
 *
 * Layout of a slot: struct tpacket2_hdr, sockaddr_ll, room, the 10-byte vnet
 * header, the frame; PACKET_RESERVE puts the IP header on a cache line of its
 * own, with room for a VLAN tag in front of the frame.
 *
 * Send. The vnet header goes directly in front of the frame, and sendmmsg takes
 * the batch: 1.2 microseconds a frame of 60 bytes over veth, where a send of its
 * own takes 1.6. A frame that the kernel refuses is dropped by name and the rest
 * goes on.
 *
 * A device that goes down leaves one error on the socket (ENETDOWN), which would
 * wake every poll until somebody fetches it; and a send fetches it by failing,
 * even when the device is up again by then. So rx fetches it now and then when
 * the ring is empty, and tx tries such a frame once more.
 *
 * Several handles. Each has its ring, and together they are one PACKET_FANOUT
 * group: the kernel chooses by the hash of a flow, the same for both directions.
 * A socket hears everything from when it is bound until it has joined, so until
 * then a filter stops it all; from then on a filter stops what others send, since
 * not every kernel's groups know PACKET_IGNORE_OUTGOING.
 *
 * Always: lent[i] is 1 exactly while a packet holds slot i.
 *
 * Next: src/stack/ip/ether.c (received frames).
 */
#include "daemon/device/af_packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/device/memberships.h"
#include "daemon/device/vnet.h"

#define BLOCK_BYTES (1u << 20)
#define SLOT_BYTES 67584u /* 65,535 + headers, in whole KB */
#define SLOTS_PER_BLOCK (BLOCK_BYTES / SLOT_BYTES)
/* TPACKET_ALIGN(TPACKET2_HDRLEN + 16) + vnet header + this = 128: there the IP header starts. */
#define SLOT_RESERVE (128 - VNET_HEADER_LEN - 80)
#define SEND_BUFFER_BYTES (8 << 20)
#define VLAN_TAG_LEN 4
#define VLAN_ID_MASK 0x0fff
#define EMPTY_ROUNDS 8 /* rounds without a frame between two looks at the socket's error */
#ifndef PACKET_FANOUT_FLAG_IGNORE_OUTGOING
#define PACKET_FANOUT_FLAG_IGNORE_OUTGOING 0x4000 /* newer than Debian 12's headers; older kernels pass over it */
#endif
#define FANOUT_KIND (PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_IGNORE_OUTGOING)

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
	uint8_t *lent;
	uint32_t n_slots;
	uint32_t head;         /* slot that the kernel fills next, or has filled */
	uint32_t n_since_idle; /* frames since the ring was last seen empty */
	uint32_t n_idle;       /* rounds that found nothing */
	struct mmsghdr msg[BATCH_MAX];
	struct iovec iov[BATCH_MAX][2];
	struct virtio_net_hdr vnet[BATCH_MAX]; /* for frames without room in front */
};

static struct af_packet *of_device(struct device *d)
{
	return container_of(d, struct af_packet, dev);
}

static uint8_t *slot_at(const struct af_packet *s, uint32_t i)
{
	return s->ring + (size_t)(i / SLOTS_PER_BLOCK) * BLOCK_BYTES + (size_t)(i % SLOTS_PER_BLOCK) * SLOT_BYTES;
}

/* --- receive --- */

static void slot_release(void *ctx, uint64_t cookie)
{
	struct af_packet *s = ctx;
	struct tpacket2_hdr *h = (void *)slot_at(s, (uint32_t)cookie);

	s->lent[cookie] = 0;
	/* Our last reads and writes of the slot come before the kernel's. */
	__atomic_store_n(&h->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
}

/* The kernel takes a frame's VLAN tag out and names it beside the frame; put it
 * back unless it only gives a priority, so that the frame is what was on the wire. There is room: the vnet
 * header, read by now, and the reserve stand in front. */
static void put_vlan_tag(struct packet *p, const struct tpacket2_hdr *h)
{
	uint16_t tpid = (h->tp_status & TP_STATUS_VLAN_TPID_VALID) ? h->tp_vlan_tpid : ETHERTYPE_VLAN;
	uint8_t *old = packet_frame(p);

	p->off -= VLAN_TAG_LEN;
	p->len += VLAN_TAG_LEN;
	uint8_t *f = packet_frame(p);
	memmove(f, old, 2 * sizeof(struct ether_addr));
	f[12] = (uint8_t)(tpid >> 8);
	f[13] = (uint8_t)tpid;
	f[14] = (uint8_t)(h->tp_vlan_tci >> 8);
	f[15] = (uint8_t)h->tp_vlan_tci;
	/* Nothing above carries tagged frames, so their unfinished work is moot. */
	memset(&p->offload, 0, sizeof(p->offload));
}

static void drop_slot(struct af_packet *s, uint32_t i, enum drop_reason reason)
{
	s->dev.ledger->n_dropped[reason]++;
	slot_release(s, i);
}

/* Slot i holds a frame: a packet in b, or a named drop. */
static void take_slot(struct af_packet *s, uint32_t i, uint32_t status, struct batch *b)
{
	uint8_t *slot = slot_at(s, i);
	const struct tpacket2_hdr *h = (const void *)slot;
	struct virtio_net_hdr vnet;
	struct offload offload;

	s->dev.ledger->n_received++;
	s->dev.n_rx_packets++;
	s->dev.n_rx_bytes += h->tp_len;
	if (h->tp_len > h->tp_snaplen) {
		drop_slot(s, i, DROP_FRAME_CUT);
		return;
	}
	if (h->tp_snaplen < ETHER_HEADER_LEN) {
		drop_slot(s, i, DROP_FRAME_SHORT);
		return;
	}
	memcpy(&vnet, slot + h->tp_mac - VNET_HEADER_LEN, sizeof(vnet));
	if (!vnet_to_offload(&vnet, slot + h->tp_mac, h->tp_snaplen, &offload)) {
		drop_slot(s, i, DROP_OFFLOAD_BAD);
		return;
	}
	struct packet *p =
		packet_set_external(s->dev.pool, slot + TPACKET2_HDRLEN, SLOT_BYTES - TPACKET2_HDRLEN,
				    h->tp_mac - (uint32_t)TPACKET2_HDRLEN, h->tp_snaplen, slot_release, s, i);
	if (!p) {
		drop_slot(s, i, DROP_NO_BUFFER);
		return;
	}
	s->lent[i] = 1;
	p->offload = offload;
	if ((status & TP_STATUS_VLAN_VALID) && (h->tp_vlan_tci & VLAN_ID_MASK) != 0)
		put_vlan_tag(p, h);
	batch_add(b, p);
}

/* Reading the statistics clears them in the kernel. */
static void read_missed(struct af_packet *s)
{
	struct tpacket_stats st;
	socklen_t len = sizeof(st);

	if (getsockopt(s->fd, SOL_PACKET, PACKET_STATISTICS, &st, &len) == 0)
		s->dev.n_rx_missed += st.tp_drops;
}

/* The ring is empty, or stands at a slot that is still lent. */
static void rx_idle(struct af_packet *s)
{
	/* The kernel marks the next frame after a loss; but after the last
	 * burst no frame may come. It can only have lost frames if the ring was
	 * full, and then we took a ring's worth without seeing it empty. */
	if (s->n_since_idle >= s->n_slots / 2 || s->lent[s->head])
		read_missed(s);
	s->n_since_idle = 0;
	if (s->n_idle++ % EMPTY_ROUNDS == 0) {
		int error;
		socklen_t len = sizeof(error);
		(void)getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	}
}

static uint32_t af_packet_rx(struct device *d, struct batch *b, uint32_t max)
{
	struct af_packet *s = of_device(d);
	uint32_t n_before = b->n;
	bool losing = false;

	if (s->ring == NULL)
		return 0;
	for (uint32_t n = 0; n < max && b->n < BATCH_MAX; n++) {
		uint32_t i = s->head;
		struct tpacket2_hdr *h = (void *)slot_at(s, i);
		uint32_t status = __atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE);

		if (!(status & TP_STATUS_USER) || s->lent[i]) {
			rx_idle(s);
			break;
		}
		s->head = i + 1 == s->n_slots ? 0 : i + 1;
		/* Slots lie too far apart for the hardware to guess. */
		const uint8_t *ahead = slot_at(s, s->head);
		__builtin_prefetch(ahead);
		__builtin_prefetch(ahead + 64);
		__builtin_prefetch(ahead + 128);
		s->n_since_idle++;
		losing |= (status & TP_STATUS_LOSING) != 0;
		take_slot(s, i, status, b);
	}
	if (losing)
		read_missed(s);
	return b->n - n_before;
}

/* --- send --- */

static void prepare_send(struct af_packet *s, uint32_t i, struct packet *p)
{
	struct msghdr *m = &s->msg[i].msg_hdr;
	uint8_t *frame = packet_frame(p);

	vnet_of_offload(&p->offload, &s->vnet[i]);
	m->msg_iov = s->iov[i];
	if (p->off >= VNET_HEADER_LEN) {
		memcpy(frame - VNET_HEADER_LEN, &s->vnet[i], VNET_HEADER_LEN);
		s->iov[i][0] = (struct iovec){ frame - VNET_HEADER_LEN, p->len + VNET_HEADER_LEN };
		m->msg_iovlen = 1;
	} else {
		s->iov[i][0] = (struct iovec){ &s->vnet[i], VNET_HEADER_LEN };
		s->iov[i][1] = (struct iovec){ frame, p->len };
		m->msg_iovlen = 2;
	}
}

static enum drop_reason send_error(int error)
{
	switch (error) {
	case ENETDOWN:
	case ENXIO:
	case ENODEV:
		return DROP_TX_DOWN;
	case EMSGSIZE:
	case EINVAL:
		return DROP_TX_TOO_BIG;
	default: /* ENOBUFS, EAGAIN, ENOMEM: no room in a queue */
		return DROP_TX_REFUSED;
	}
}

static void af_packet_tx(struct device *d, struct batch *b)
{
	struct af_packet *s = of_device(d);
	bool retried = false;
	uint32_t n_done = 0;

	for (uint32_t i = 0; i < b->n; i++)
		prepare_send(s, i, b->p[i]);
	while (n_done < b->n) {
		int n = sendmmsg(s->fd, s->msg + n_done, b->n - n_done, MSG_DONTWAIT);
		if (n > 0) {
			for (int i = 0; i < n; i++, n_done++) {
				d->ledger->n_handed++;
				d->n_tx_packets++;
				d->n_tx_bytes += b->p[n_done]->len;
				packet_free(d->pool, b->p[n_done]);
			}
			continue;
		}
		if (errno == EINTR)
			continue;
		/* It may be an old error of a device that is back by now. */
		if (errno == ENETDOWN && !retried) {
			retried = true;
			continue;
		}
		packet_drop(d->pool, d->ledger, b->p[n_done++], send_error(errno));
	}
	b->n = 0;
}

/* --- open and close --- */

static int af_packet_poll_fd(struct device *d)
{
	return of_device(d)->ring != NULL ? of_device(d)->fd : -1;
}

static void af_packet_set_groups(struct device *d, const struct ether_addr *mac, uint32_t n)
{
	/* What the kernel refuses is not heard; it comes again when the device comes up. */
	(void)memberships_set(&of_device(d)->groups, d->name, mac, n);
}

static void af_packet_close(struct device *d)
{
	struct af_packet *s = of_device(d);

	memberships_close(&s->groups);
	if (s->ring)
		munmap(s->ring, s->ring_len);
	if (s->fd >= 0)
		close(s->fd);
	free(s->lent);
	free(s);
}

static const struct device_ops af_packet_ops = {
	.driver = "af_packet",
	.rx = af_packet_rx,
	.tx = af_packet_tx,
	.poll_fd = af_packet_poll_fd,
	.set_groups = af_packet_set_groups,
	.close = af_packet_close,
};

static int fail(char *err, size_t err_len, const char *ifname, const char *what, int error)
{
	if (error == EPERM || error == EACCES)
		snprintf(err, err_len,
			 "device %s: no right to open it (%s): run as root, give the program CAP_NET_RAW and "
			 "CAP_NET_ADMIN, or start it in a user namespace (unshare -Urn)",
			 ifname, what);
	else if (error == ENODEV || error == ENXIO)
		snprintf(err, err_len, "device %s: there is no such device in this network namespace; see: ip link",
			 ifname);
	else
		snprintf(err, err_len, "device %s: %s: %s", ifname, what, strerror(error));
	return -error;
}

/* Index, MAC, MTU, state; refuses what is no Ethernet. */
static int read_link(struct af_packet *s, int *ifindex, char *err, size_t err_len)
{
	const char *name = s->dev.name;
	struct ifreq r = { 0 };

	memcpy(r.ifr_name, name, sizeof(r.ifr_name));
	if (ioctl(s->fd, SIOCGIFINDEX, &r) < 0)
		return fail(err, err_len, name, "SIOCGIFINDEX", errno);
	*ifindex = r.ifr_ifindex;
	if (ioctl(s->fd, SIOCGIFHWADDR, &r) < 0)
		return fail(err, err_len, name, "SIOCGIFHWADDR", errno);
	if (r.ifr_hwaddr.sa_family != ARPHRD_ETHER) {
		snprintf(err, err_len, "device %s: not an Ethernet device (link type %u); use one that is", name,
			 r.ifr_hwaddr.sa_family);
		return -EPROTONOSUPPORT;
	}
	memcpy(s->dev.mac.b, r.ifr_hwaddr.sa_data, sizeof(s->dev.mac.b));
	if (ioctl(s->fd, SIOCGIFMTU, &r) < 0)
		return fail(err, err_len, name, "SIOCGIFMTU", errno);
	s->dev.mtu = (uint32_t)r.ifr_mtu;
	if (ioctl(s->fd, SIOCGIFFLAGS, &r) < 0)
		return fail(err, err_len, name, "SIOCGIFFLAGS", errno);
	s->dev.up = (r.ifr_flags & IFF_UP) && (r.ifr_flags & IFF_RUNNING);
	return 0;
}

static int bind_to(struct af_packet *s, int ifindex, char *err, size_t err_len)
{
	struct sockaddr_ll a = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(s->protocol),
		.sll_ifindex = ifindex,
	};

	if (bind(s->fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return fail(err, err_len, s->dev.name, "bind", errno);
	return 0;
}

/* The order matters: the vnet header and the reserve before the ring. */
static int set_options(struct af_packet *s, char *err, size_t err_len)
{
	const struct {
		int option, value;
		const char *what;
	} options[] = {
		{ PACKET_VERSION, TPACKET_V2, "PACKET_VERSION" },
		{ PACKET_VNET_HDR, 1, "PACKET_VNET_HDR" },
		{ PACKET_IGNORE_OUTGOING, 1, "PACKET_IGNORE_OUTGOING" },
		{ PACKET_RESERVE, SLOT_RESERVE, "PACKET_RESERVE" },
	};

	for (uint32_t i = 0; i < ARRAY_LEN(options); i++)
		if (setsockopt(s->fd, SOL_PACKET, options[i].option, &options[i].value, sizeof(int)) < 0)
			return fail(err, err_len, s->dev.name, options[i].what, errno);
	/* The default holds three segments of 64 KB. Past the limit of
	 * net.core.wmem_max only with CAP_NET_ADMIN; what we get will do. */
	int bytes = SEND_BUFFER_BYTES;
	if (setsockopt(s->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	return 0;
}

static int map_ring(struct af_packet *s, uint32_t ring_mb, char *err, size_t err_len)
{
	struct tpacket_req req;

	for (;; ring_mb /= 2) {
		req = (struct tpacket_req){
			.tp_block_size = BLOCK_BYTES,
			.tp_block_nr = ring_mb,
			.tp_frame_size = SLOT_BYTES,
			.tp_frame_nr = ring_mb * SLOTS_PER_BLOCK,
		};
		if (setsockopt(s->fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)) == 0)
			break;
		if (errno != ENOMEM || ring_mb / 2 < AF_PACKET_RING_MB_MIN)
			return fail(err, err_len, s->dev.name, "receive ring", errno);
	}
	s->n_slots = req.tp_frame_nr;
	s->ring_len = (size_t)ring_mb * BLOCK_BYTES;
	void *mem = mmap(NULL, s->ring_len, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
	if (mem == MAP_FAILED)
		return fail(err, err_len, s->dev.name, "mapping the receive ring", errno);
	s->ring = mem;
	s->lent = calloc(s->n_slots, 1);
	return s->lent ? 0 : fail(err, err_len, s->dev.name, "receive ring", ENOMEM);
}

/* --- several handles --- */

enum hears { HEARS_NOTHING, HEARS_OTHERS };

static int set_filter(struct af_packet *s, enum hears what, char *err, size_t err_len)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, what == HEARS_NOTHING ? 0 : UINT32_MAX),
	};
	struct sock_fprog prog = { .len = ARRAY_LEN(code), .filter = code };

	if (setsockopt(s->fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0)
		return fail(err, err_len, s->dev.name, "SO_ATTACH_FILTER", errno);
	return 0;
}

/* False when the kernel will not. The first of a group gets a number for it that nobody else has. */
static bool join(struct af_packet *s, const struct af_packet *first)
{
	uint32_t kind = first == s ? FANOUT_KIND | PACKET_FANOUT_FLAG_UNIQUEID : FANOUT_KIND;
	uint32_t arg = kind << 16 | (first == s ? 0 : first->group);
	socklen_t len = sizeof(arg);

	if (setsockopt(s->fd, SOL_PACKET, PACKET_FANOUT, &arg, sizeof(arg)) < 0 ||
	    getsockopt(s->fd, SOL_PACKET, PACKET_FANOUT, &arg, &len) < 0)
		return false;
	s->group = (uint16_t)arg;
	s->has_group = true;
	return true;
}

/* s is bound and hears nothing yet. Without a group it stays so: what it would hear, the first hears too. */
static int share(struct af_packet *s, struct af_packet *first, char *err, size_t err_len)
{
	if ((!first->has_group && (!join(first, first) || set_filter(first, HEARS_OTHERS, err, err_len) != 0)) ||
	    !join(s, first)) {
		snprintf(err, err_len, "device %s: the kernel does not divide what comes in", s->dev.name);
		return -ENOTSUP;
	}
	return set_filter(s, HEARS_OTHERS, err, err_len);
}

/* --- open --- */

struct how {
	uint16_t protocol; /* 0: for sending only, without a ring */
	struct af_packet *first;
	uint32_t ring_mb;
};

static int open_socket(const char *ifname, const struct how *how, struct device **out, char *err, size_t err_len)
{
	int ifindex = 0;

	if (strlen(ifname) >= DEVICE_NAME_MAX)
		return fail(err, err_len, ifname, "name", ENODEV);
	struct af_packet *s = calloc(1, sizeof(*s));
	if (!s)
		return fail(err, err_len, ifname, "memory", ENOMEM);
	s->dev.ops = &af_packet_ops;
	s->dev.caps = DEVICE_CAP_CSUM | DEVICE_CAP_GSO;
	snprintf(s->dev.name, sizeof(s->dev.name), "%s", ifname);
	s->protocol = how->protocol;
	/* Protocol 0: nothing comes in before the socket is bound to the device. */
	s->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r = s->fd < 0 ? fail(err, err_len, ifname, "packet socket", errno) : 0;
	if (r == 0)
		r = read_link(s, &ifindex, err, err_len);
	if (r == 0)
		r = set_options(s, err, err_len);
	if (r == 0 && s->protocol != 0)
		r = map_ring(s, how->ring_mb ? max_u32(how->ring_mb, AF_PACKET_RING_MB_MIN) : AF_PACKET_RING_MB, err,
			     err_len);
	if (r == 0 && how->first != NULL)
		r = set_filter(s, HEARS_NOTHING, err, err_len);
	if (r == 0)
		r = bind_to(s, ifindex, err, err_len);
	if (r == 0 && how->first != NULL)
		r = share(s, how->first, err, err_len);
	if (r < 0) {
		af_packet_close(&s->dev);
		return r;
	}
	*out = &s->dev;
	return 0;
}

int af_packet_open(const char *ifname, uint32_t ring_mb, struct device **out, char *err, size_t err_len)
{
	return open_socket(ifname, &(struct how){ .protocol = ETH_P_ALL, .ring_mb = ring_mb }, out, err, err_len);
}

int af_packet_open_sender(const char *ifname, struct device **out, char *err, size_t err_len)
{
	return open_socket(ifname, &(struct how){ 0 }, out, err, err_len);
}

int af_packet_open_more(struct device *first, uint32_t ring_mb, struct device **out, char *err, size_t err_len)
{
	struct how how = { .protocol = ETH_P_ALL, .first = of_device(first), .ring_mb = ring_mb };
	int r = open_socket(first->name, &how, out, err, err_len);

	return r == -ENOTSUP ? af_packet_open_sender(first->name, out, err, err_len) : r;
}

int af_packet_rebind(struct device *d, char *err, size_t err_len)
{
	struct af_packet *s = of_device(d);
	int ifindex = 0;
	int r = read_link(s, &ifindex, err, err_len);

	return r < 0 ? r : bind_to(s, ifindex, err, err_len);
}

uint32_t af_packet_ring_slots(struct device *d)
{
	return of_device(d)->n_slots;
}
