/* SPDX-License-Identifier: BSD-2-Clause
 *
 * While the gateway has a device, the kernel's own stack must neither answer nor
 * forward what comes in there; AF_PACKET sees frames before this takes them
 * away from the kernel. Works with addresses and forwarding on, and as an
 * ordinary user in a user namespace.
 *
 * What it does not stop is what the kernel sends of its own accord on a device
 * that is up: IPv6 router and neighbour solicitations and MLD reports (unless
 * IPv6 is off there), and whatever a local program sends through an address or
 * a route on the device. Those settings are the operator's and are left alone.
 */
#ifndef YG_DAEMON_DEVICE_SUPPRESS_H
#define YG_DAEMON_DEVICE_SUPPRESS_H

#include <stddef.h>

enum suppress_method {
	SUPPRESS_AUTO, /* nft, else tcx, else tc */
	SUPPRESS_NFT,  /* an nftables table that vanishes with this process */
	SUPPRESS_TCX,  /* a program at tcx ingress, likewise */
	SUPPRESS_TC,   /* a filter at clsact ingress, removed at the end or by the next start */
};

struct suppress;

/* Removes what a process that died has left behind. Returns 0, or -errno and a
 * sentence in err. Nothing is quiet yet. A child process must not inherit the
 * descriptors without an exec, or the table outlives this process. */
int suppress_open(enum suppress_method method, struct suppress **out, char *err, size_t err_len);
/* The kernel drops what comes in on this device from now on. Again for a device
 * that vanished and is back; no error when it is quiet already. */
int suppress_add(struct suppress *q, const char *ifname, char *err, size_t err_len);
/* The kernel hears this device again. No error when it is gone. */
int suppress_remove(struct suppress *q, const char *ifname, char *err, size_t err_len);
/* All devices. */
void suppress_close(struct suppress *q);
/* "nft" or "tc" (also of tcx), for the log. */
const char *suppress_method_name(const struct suppress *q);

#endif
