/* SPDX-License-Identifier: BSD-2-Clause
 *
 * AF_PACKET: how sockets and their rings are made, and given back. The order of
 * options matters: the vnet header and the reserve before the ring.
 *
 * Several handles. Each has its ring, and together they are one PACKET_FANOUT
 * group: the kernel chooses by the hash of a flow, the same for both directions.
 * A socket hears everything from when it is bound until it has joined, so until
 * then a filter stops it all; from then on a filter stops what others send, since
 * not every kernel's groups know PACKET_IGNORE_OUTGOING.
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
#include <sys/utsname.h>
#include <unistd.h>

#include "daemon/device/af_packet_priv.h"

#define SEND_BUFFER_BYTES (8 << 20)
#ifndef PACKET_FANOUT_FLAG_IGNORE_OUTGOING
#define PACKET_FANOUT_FLAG_IGNORE_OUTGOING 0x4000 /* newer than Debian 12's headers; older kernels pass over it */
#endif
#define FANOUT_KIND (PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_IGNORE_OUTGOING)

static int af_packet_poll_fd(struct device *d)
{
	return af_packet_of(d)->ring != NULL ? af_packet_of(d)->fd : -1;
}

static void af_packet_set_groups(struct device *d, const struct ether_addr *mac, uint32_t n)
{
	/* What the kernel refuses is not heard; it comes again when the device comes up. */
	(void)memberships_set(&af_packet_of(d)->groups, d->name, mac, n);
}

static void af_packet_close(struct device *d)
{
	struct af_packet *s = af_packet_of(d);

	memberships_close(&s->groups);
	if (s->ring)
		munmap(s->ring, s->ring_len);
	if (s->fd >= 0)
		close(s->fd);
	free(s->in_use);
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
	s->in_use = calloc(s->n_slots, 1);
	return s->in_use ? 0 : fail(err, err_len, s->dev.name, "receive ring", ENOMEM);
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

/* Packet sockets take UDP segments since Linux 6.2, and nothing asks them but a frame that is sent. A kernel that has
 * it from a later one's is believed to be as old as it says. */
static uint32_t caps_of_kernel(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname u;
	bool is_told = uname(&u) == 0 && sscanf(u.release, "%u.%u", &major, &minor) == 2;

	return is_told && (major > 6 || (major == 6 && minor >= 2)) ? DEVICE_CAP_ALL : DEVICE_CAP_ALL & ~DEVICE_CAP_USO;
}

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
	s->dev.caps = caps_of_kernel();
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
	struct how how = { .protocol = ETH_P_ALL, .first = af_packet_of(first), .ring_mb = ring_mb };
	int r = open_socket(first->name, &how, out, err, err_len);

	return r == -ENOTSUP ? af_packet_open_sender(first->name, out, err, err_len) : r;
}

int af_packet_rebind(struct device *d, char *err, size_t err_len)
{
	struct af_packet *s = af_packet_of(d);
	int ifindex = 0;
	int r = read_link(s, &ifindex, err, err_len);

	return r < 0 ? r : bind_to(s, ifindex, err, err_len);
}

uint32_t af_packet_ring_slots(struct device *d)
{
	return af_packet_of(d)->n_slots;
}
