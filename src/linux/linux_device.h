/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The device of a host, which gives a frame at a time and takes one: a descriptor of the kernel's that is read and
 * written (TUN, TAP, AF_PACKET), or AF_XDP's rings.
 */
#ifndef YG_LINUX_LINUX_DEVICE_H
#define YG_LINUX_LINUX_DEVICE_H

#include <yangguan/linux.h>

#include "linux/linux_xdp.h"

/* The longest IP packet, and an Ethernet header. */
#define LINUX_FRAME_MAX (65535 + 14)

struct linux_device {
	int fd;        /* readable when a frame has come; -1: none */
	char name[16]; /* of an Ethernet device that is there without us; empty: a TUN or TAP */
	int groups;    /* a packet socket that hears nothing, for what AF_XDP's device is to let in; -1: none */
	struct linux_xdp *xdp;
	uint32_t flags; /* of a stack over it: YG_ETHERNET, YG_OFFLOAD_* */
	uint32_t mtu;   /* the kernel's */
	uint8_t mac[6]; /* of the stack, with YG_ETHERNET */
	unsigned char frame[LINUX_FRAME_MAX];
};

/* 0, or -1: it has said why on stderr. */
int linux_device_open(struct linux_device *d, const struct yg_host_config *config);
void linux_device_close(struct linux_device *d);

/* 0: a frame was taken in, *out is NULL if the stack had no memory for it; -EAGAIN: there is none; another -errno, of
 * which linux_device_is_of_frame knows more. */
int linux_device_read(struct linux_device *d, struct yg_stack *stack, struct yg_packet **out);
/* 0, or -errno: it was not taken. What is taken leaves by linux_device_push at the latest. */
int linux_device_write(const struct linux_device *d, struct yg_stack *stack, struct yg_packet *packet);
/* What waits leaves, all of it, some of it or nothing, by what the kernel takes now: to be called again soon for what
 * is left. */
enum linux_push linux_device_push(const struct linux_device *d);
/* Whether the -errno of a read or a write is of that one frame, which is lost, and the next may do better. */
int linux_device_is_of_frame(int rc);

/* Adds to what the host counts (struct yg_host_info) what the device knows of it. */
void linux_device_info(const struct linux_device *d, struct yg_host_info *info);

/* Whether the device was deleted; one that is down only comes up again by itself. */
int linux_device_is_lost(const struct linux_device *d);
/* Whether its descriptor says nothing of that, so it has to be asked now and then. */
int linux_device_is_lost_in_silence(const struct linux_device *d);
/* Not that of a TUN or TAP. */
int linux_device_may_return(const struct linux_device *d);
/* Of a lost one that may return. 0: a device of its name is there and has taken its place; -1: not yet. */
int linux_device_replace(struct linux_device *d);

#endif
