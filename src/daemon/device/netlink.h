/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the kernel knows of its network devices, and word of changes
 * (rtnetlink). For the control thread: the calls wait for the kernel's answer.
 */
#ifndef YG_DAEMON_DEVICE_NETLINK_H
#define YG_DAEMON_DEVICE_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip4.h"
#include "stack/packet/device.h"

#define NETLINK_KIND_MAX 16
#define NETLINK_ADDRS_MAX 16

struct netlink_link {
	uint32_t index; /* the kernel's */
	char name[DEVICE_NAME_MAX];
	char kind[NETLINK_KIND_MAX]; /* "veth", "tun", "bridge"; empty for hardware */
	struct ether_addr mac;
	uint32_t mtu;
	bool is_ethernet;
	bool admin_up;         /* somebody set it up */
	bool running;          /* and it has a carrier */
	uint32_t master_index; /* the bridge or bond that it belongs to, 0 if none */
};

/* The kernel's own addresses on a device: a reason not to take it. */
struct netlink_addrs {
	uint32_t n_ipv4;                           /* all of them */
	struct ip4_prefix ipv4[NETLINK_ADDRS_MAX]; /* the first; addr keeps its host bits */
	uint32_t n_ipv6;                           /* those beyond the link itself (fe80::/10) */
};

/* Each returns 0, or -errno and one sentence in err; -ENODEV when there is no
 * such device. */
int netlink_link_get(const char *ifname, struct netlink_link *out, char *err, size_t err_len);
int netlink_addrs_get(uint32_t index, struct netlink_addrs *out, char *err, size_t err_len);

enum netlink_admin {
	NETLINK_ADMIN_DOWN,
	NETLINK_ADMIN_UP,
};
int netlink_link_set(const char *ifname, enum netlink_admin state, char *err, size_t err_len);

/* A virtual device of ours, down yet, on which the kernel shall not speak of its own accord: no IPv6 addresses made
 * up (what this kernel has of IPv6), no queue discipline (what waits, waits in the device's own queue). */
int netlink_link_make_silent(const char *ifname, char *err, size_t err_len);

/* Frames that the device dropped when they were to be sent. 0 when there is no such device. */
uint64_t netlink_tx_dropped(uint32_t index);

/* --- word of changes --- */

enum netlink_change {
	NETLINK_CHANGE_UP, /* set up, with a carrier */
	NETLINK_CHANGE_DOWN,
	NETLINK_CHANGE_MTU,
	NETLINK_CHANGE_MAC,
	NETLINK_CHANGE_GONE, /* deleted, renamed, or moved to another namespace */
	NETLINK_CHANGE_BACK, /* there again, perhaps under a new index; UP follows if it is up */
	N_NETLINK_CHANGES
};

/* link: as it is now; with GONE as it was last. */
typedef void netlink_change_fn(void *ctx, enum netlink_change change, const struct netlink_link *link);

struct netlink_monitor;

int netlink_monitor_open(netlink_change_fn *fn, void *ctx, struct netlink_monitor **out, char *err, size_t err_len);
void netlink_monitor_close(struct netlink_monitor *m);
/* Readable when netlink_monitor_dispatch has something to do. */
int netlink_monitor_fd(const struct netlink_monitor *m);
/* Reads what is there, without waiting, and calls fn. When the kernel had to
 * leave out messages the state is read again, so no change is lost for good. */
void netlink_monitor_dispatch(struct netlink_monitor *m);
/* Only watched devices are reported, against the state at this call; *now, if
 * not NULL, receives it (index 0: the device is not there, and its arrival is
 * reported as BACK). Watching twice is no error. -ENOMEM when too many. */
int netlink_monitor_watch(struct netlink_monitor *m, const char *ifname, struct netlink_link *now);
void netlink_monitor_unwatch(struct netlink_monitor *m, const char *ifname);

#endif
