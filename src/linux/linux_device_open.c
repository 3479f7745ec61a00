/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How a host's device is opened: a TUN or TAP, which is made if it is not there, or a packet socket or AF_XDP at an
 * Ethernet device that is.
 *
 * A TAP is a cable: the kernel's end has its MAC, and the stack one of its own. A packet socket shares the device with
 * the kernel: the stack has the device's MAC, as no other would be let in. The socket hears nothing before its filter
 * stands, and by that neither what the kernel itself sends there nor what is of a VLAN (the tag stands beside
 * such a frame, not in it).
 *
 * AF_XDP takes a device's frames before the kernel's own stack sees them: the stack has the device's MAC, and the
 * kernel hears nothing there. Groups and other MACs are let in by a packet socket that itself hears nothing.
 *
 * A TUN or TAP that is deleted is gone for its descriptor. The others can be bound again when there is a device of
 * that name; the stack keeps its MAC, and the new device is asked to let that in too.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "linux/linux_device.h"
#include "linux/linux_xdp.h"

/* Newer than Debian 12's kernel headers (Linux 6.2): UDP segments, which an older kernel takes from nobody. */
#define OFFLOAD_USO4 0x20u
#define OFFLOAD_USO6 0x40u
#define OFFLOADS (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO_ECN)
/* The default has room for three segments of 64 KB. */
#define SEND_BUFFER_BYTES (8 << 20)
#define VLAN_ID_MASK 0x0fff

static int say(const char *what, const char *name)
{
	fprintf(stderr, "yangguan: %s %s: %s\n", what, name, strerror(errno));
	return -1;
}

static struct ifreq request_for(const char *name)
{
	struct ifreq r;

	memset(&r, 0, sizeof(r));
	strncpy(r.ifr_name, name, sizeof(r.ifr_name) - 1);
	return r;
}

struct link {
	int index;
	int type; /* ARPHRD_* */
	uint32_t mtu;
	uint8_t mac[6];
};

/* What the kernel says of the device, which is up then. */
static int read_link(const char *name, struct link *l)
{
	struct ifreq r = request_for(name);
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s < 0)
		return -1;
	int rc = ioctl(s, SIOCGIFFLAGS, &r);

	if (rc == 0 && !(r.ifr_flags & IFF_UP)) {
		r.ifr_flags |= IFF_UP;
		rc = ioctl(s, SIOCSIFFLAGS, &r);
	}
	if (rc == 0 && (rc = ioctl(s, SIOCGIFMTU, &r)) == 0)
		l->mtu = (uint32_t)r.ifr_mtu;
	if (rc == 0 && (rc = ioctl(s, SIOCGIFHWADDR, &r)) == 0) {
		memcpy(l->mac, r.ifr_hwaddr.sa_data, sizeof(l->mac));
		l->type = r.ifr_hwaddr.sa_family;
	}
	if (rc == 0 && (rc = ioctl(s, SIOCGIFINDEX, &r)) == 0)
		l->index = r.ifr_ifindex;
	close(s);
	return rc;
}

/* --- TUN and TAP --- */

static int attach_tap(struct linux_device *d, const char *name, int kind)
{
	struct ifreq r = request_for(name);
	/* Whoever had a persistent one before may have left another size. */
	int header_len = 10;

	r.ifr_flags = (short)(kind | IFF_NO_PI | IFF_VNET_HDR);
	if (ioctl(d->fd, TUNSETIFF, &r) != 0 || ioctl(d->fd, TUNSETVNETHDRSZ, &header_len) != 0)
		return -1;
	if (ioctl(d->fd, TUNSETOFFLOAD, OFFLOADS | OFFLOAD_USO4 | OFFLOAD_USO6) != 0)
		return ioctl(d->fd, TUNSETOFFLOAD, OFFLOADS);
	d->flags |= YG_OFFLOAD_DATAGRAMS;
	return 0;
}

static int open_tap(struct linux_device *d, const char *name, int kind)
{
	struct link l;

	d->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (d->fd < 0)
		return say("cannot open", "/dev/net/tun");
	if (attach_tap(d, name, kind) != 0 || read_link(name, &l) != 0 ||
	    getrandom(d->mac, sizeof(d->mac), 0) != sizeof(d->mac))
		return say("cannot have the device", name);
	d->mtu = l.mtu;
	/* Of one station, and of no maker. */
	d->mac[0] = (uint8_t)((d->mac[0] & 0xfc) | 2);
	return 0;
}

/* A descriptor without a device has no flags of one. */
static int lost_tap(const struct linux_device *d)
{
	struct ifreq r;

	return ioctl(d->fd, TUNGETIFF, &r) != 0;
}

/* --- AF_PACKET --- */

static int set_filter(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 5, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 2, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG)),
		/* VLAN 0 is none: such a tag gives a priority only. */
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, VLAN_ID_MASK, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

static int add_membership(int fd, const struct packet_mreq *m)
{
	return setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, m, sizeof(*m));
}

/* Groups that the stack joins are to come in, whichever they are. */
static int let_groups_in(int fd, int ifindex)
{
	const struct packet_mreq groups = { .mr_ifindex = ifindex, .mr_type = PACKET_MR_ALLMULTI };

	return add_membership(fd, &groups);
}

/* A MAC that is not the device's own. */
static int let_mac_in(int fd, int ifindex, const uint8_t mac[6])
{
	struct packet_mreq ours = { .mr_ifindex = ifindex, .mr_type = PACKET_MR_UNICAST, .mr_alen = 6 };

	memcpy(ours.mr_address, mac, 6);
	return add_membership(fd, &ours);
}

static int listen_at(int fd, int ifindex)
{
	const struct sockaddr_ll at = { .sll_family = AF_PACKET,
					.sll_protocol = htons(ETH_P_ALL),
					.sll_ifindex = ifindex };
	const int on = 1, bytes = SEND_BUFFER_BYTES;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) != 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	if (set_filter(fd) != 0 || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) != 0 ||
	    let_groups_in(fd, ifindex) != 0)
		return -1;
	return bind(fd, (const struct sockaddr *)&at, sizeof(at));
}

/* Since Linux 6.2; nothing asks a packet socket but a frame that is sent. A kernel that has it from a later one's is
 * believed to be as old as it says. */
static int takes_datagrams(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname u;

	if (uname(&u) != 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2)
		return 0;
	return major > 6 || (major == 6 && minor >= 2);
}

static int open_af_packet(struct linux_device *d, const char *name)
{
	struct link l;

	/* Protocol 0: nothing comes in before it is bound. */
	d->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (d->fd < 0 || read_link(name, &l) != 0)
		return say("cannot have the device", name);
	strncpy(d->name, name, sizeof(d->name) - 1);
	if (takes_datagrams())
		d->flags |= YG_OFFLOAD_DATAGRAMS;
	d->mtu = l.mtu;
	memcpy(d->mac, l.mac, sizeof(d->mac));
	errno = EPROTONOSUPPORT;
	return l.type == ARPHRD_ETHER && listen_at(d->fd, l.index) == 0 ? 0 : say("cannot have the device", name);
}

/* The kernel binds a socket to no device (-1) when its own is deleted. */
static int lost_af_packet(const struct linux_device *d)
{
	struct sockaddr_ll at = { .sll_ifindex = 0 };
	socklen_t len = sizeof(at);

	return getsockname(d->fd, (struct sockaddr *)&at, &len) == 0 && at.sll_ifindex <= 0;
}

/* --- AF_XDP --- */

static int say_xdp(const char *name)
{
	fprintf(stderr, "yangguan: cannot have AF_XDP at the device %s: %s\n", name,
		errno == EPERM             ? "it takes root outside of user namespaces"
		: errno == EBUSY           ? "another program has it"
		: errno == EEXIST          ? "it has an XDP program"
		: errno == E2BIG           ? "it has more than 32 queues (ethtool -L)"
		: errno == EPROTONOSUPPORT ? "no Ethernet device"
		: errno == ERANGE          ? "its MTU is more than 3,826"
					   : strerror(errno));
	return -1;
}

static int check_for_xdp(const struct link *l)
{
	if (l->type == ARPHRD_ETHER && l->mtu <= LINUX_XDP_MTU_MAX)
		return 0;
	errno = l->type == ARPHRD_ETHER ? ERANGE : EPROTONOSUPPORT;
	return -1;
}

/* Of another device than before. */
static int open_groups(struct linux_device *d, int ifindex)
{
	if (d->groups >= 0)
		close(d->groups);
	d->groups = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	return d->groups >= 0 ? let_groups_in(d->groups, ifindex) : -1;
}

/* GRO comes before the generic hook, so it is not the sender alone who makes what is lost. */
static void say_generic(const char *name)
{
	fprintf(stderr,
		"yangguan: the driver of %s has no XDP, and the kernel's generic one takes its place: frames of more "
		"than a page are lost, so ethtool -K %s gro off, and -K PEER tso off gso off where the peer is on this "
		"machine\n",
		name, name);
}

static int open_xdp(struct linux_device *d, const char *name)
{
	struct link l;

	if (read_link(name, &l) != 0 || check_for_xdp(&l) != 0 || open_groups(d, l.index) != 0 ||
	    (d->xdp = linux_xdp_open(l.index, name)) == NULL)
		return say_xdp(name);
	if (linux_xdp_is_generic(d->xdp))
		say_generic(name);
	strncpy(d->name, name, sizeof(d->name) - 1);
	d->fd = linux_xdp_fd(d->xdp);
	d->flags = YG_ETHERNET | YG_CHECKSUM_UNTOLD;
	d->mtu = l.mtu;
	memcpy(d->mac, l.mac, sizeof(d->mac));
	return 0;
}

static int replace_xdp(struct linux_device *d, const struct link *l)
{
	if (check_for_xdp(l) != 0 || open_groups(d, l->index) != 0 || let_mac_in(d->groups, l->index, d->mac) != 0)
		return -1;
	int rc = linux_xdp_reopen(d->xdp, l->index, d->name);

	d->fd = linux_xdp_fd(d->xdp);
	return rc;
}

/* --- any of them --- */

int linux_device_open(struct linux_device *d, const struct yg_host_config *c)
{
	d->flags = YG_OFFLOAD_CHECKSUM | YG_OFFLOAD_SEGMENTS | (c->tap == NULL && c->tun != NULL ? 0 : YG_ETHERNET);
	if (c->tap != NULL)
		return open_tap(d, c->tap, IFF_TAP);
	if (c->tun != NULL)
		return open_tap(d, c->tun, IFF_TUN);
	if (c->af_packet != NULL)
		return open_af_packet(d, c->af_packet);
	if (c->xdp != NULL)
		return open_xdp(d, c->xdp);
	fprintf(stderr, "yangguan: the host's config names no device\n");
	return -1;
}

void linux_device_close(struct linux_device *d)
{
	if (d->xdp != NULL)
		linux_xdp_close(d->xdp);
	else if (d->fd >= 0)
		close(d->fd);
	if (d->groups >= 0)
		close(d->groups);
}

int linux_device_is_lost(const struct linux_device *d)
{
	if (d->xdp != NULL)
		return linux_xdp_is_lost(d->xdp);
	return linux_device_may_return(d) ? lost_af_packet(d) : lost_tap(d);
}

int linux_device_is_lost_in_silence(const struct linux_device *d)
{
	return d->xdp != NULL;
}

int linux_device_replace(struct linux_device *d)
{
	struct link l;

	if (read_link(d->name, &l) != 0)
		return -1;
	if (d->xdp != NULL)
		return replace_xdp(d, &l);
	if (l.type != ARPHRD_ETHER || let_mac_in(d->fd, l.index, d->mac) != 0)
		return -1;
	return listen_at(d->fd, l.index);
}

int linux_device_may_return(const struct linux_device *d)
{
	return d->name[0] != 0;
}
