/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A stack on Linux (libyangguan-linux): over a TUN or TAP, or over an Ethernet device that is there, with the system's
 * clock and random numbers, and one descriptor to wait on. Large segments and checksums that their sender did not finish
 * pass between the kernel and the stack as they are, both ways; a datagram that is several (UDP_SEGMENT) needs Linux 6.2
 * for that, older ones refuse it.
 *
 * The descriptor is readable when there is anything to be done, and as long as any epoll of the stack has an
 * event that nobody has taken. A program adds it to its own loop, calls yg_host_run when it is readable,
 * and then yg_epoll_wait(..., 0) until that gives 0.
 */
#ifndef YANGGUAN_LINUX_H
#define YANGGUAN_LINUX_H

#include <yangguan/stack.h>

#ifdef __cplusplus
extern "C" {
#endif

struct yg_host;

struct yg_host_config {
	size_t size;         /* of this struct */
	const char *tap;     /* name of a TAP device, which is made if it is not there; or */
	const char *tun;     /* of a TUN device */
	const char *address; /* "10.9.0.2/24": the stack's, not the device's */
	const char *gateway; /* NULL: no default route */
	uint32_t mtu;        /* 0: the device's */
	uint32_t n_sockets;  /* 0: 16,384 */
	/* Or name of an Ethernet device (AF_PACKET), with whose MAC the stack speaks. What comes in there the kernel's own
	 * stack hears too, so it should have no IPv4 address there, and not forward. Frames of a VLAN are not heard. */
	const char *af_packet;
	/* Or name of an Ethernet device with an MTU of at most 3,826, by AF_XDP (Linux 5.11, root): the stack has all of its
	 * frames and its MAC, the kernel's own stack nothing. Frames are read where they lie and sent one by one; what their
	 * sender left of a checksum is told by their bytes (YG_CHECKSUM_UNTOLD). Frames of a VLAN are dropped by name. Where
	 * the driver has no XDP (a bridge) the kernel's generic one takes its place, which is said on stderr and in struct
	 * yg_host_info: a frame of more than 3,840 bytes is lost there, so a peer on the same machine cuts its segments
	 * itself (ethtool -K PEER tso off gso off), and the device merges none (ethtool -K DEVICE gro off). */
	const char *xdp;
};

/* NULL: it has said why on stderr. AF_XDP waits half a second at most for a queue that another program is letting go. */
YG_API struct yg_host *yg_host_open(const struct yg_host_config *config);
YG_API void yg_host_close(struct yg_host *host);
YG_API struct yg_stack *yg_host_stack(struct yg_host *host);
YG_API int yg_host_fd(const struct yg_host *host);
/* Takes in what has come and does what is due. Never waits. */
YG_API void yg_host_run(struct yg_host *host);
/* For yg_set_wait of the host's stack, with the host as its ctx: calls wait, and the host runs meanwhile. -EINTR: a signal
 * came. -ENETDOWN: the TUN or TAP was deleted, and nothing will come any more. */
YG_API int yg_host_wait(void *host, uint64_t deadline);

struct yg_host_info {
	size_t size; /* of this struct; set by the caller */
	/* The device was deleted. A TUN or TAP does not come back; at an Ethernet device the host goes on, with the MAC that it
	 * had, within a second of another one of that name being there. */
	int is_lost;
	/* Frames, each lost alone: those that the device did not take for what they are (longer than its MTU has become), and
	 * those that the kernel could not hand over (of AF_XDP: longer than a frame, or more than had room). What it did not
	 * take because it was full or down is tx-refused of yg_drops. AF_XDP finds out by what is sent: what went to it in the
	 * same batch or waited in its ring leaves when the device is up again, and is tx_refused here if it was deleted. */
	uint64_t tx_refused, rx_refused;
	/* AF_XDP: frames pass through the kernel's generic XDP, since the driver has none. */
	int xdp_is_generic;
};
YG_API void yg_host_info(const struct yg_host *host, struct yg_host_info *out);

#ifdef __cplusplus
}
#endif

#endif
