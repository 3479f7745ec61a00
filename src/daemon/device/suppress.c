/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Chooses the way to keep the kernel quiet and remembers the devices.
 *
 * Only the tc ways need the list: programs and filters must be taken away one by
 * one at the end. The nft way is one table that goes as a whole. Whichever is used,
 * a tc filter that a killed process left on a device is removed when the device is
 * added.
 */
#include "daemon/device/suppress.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/device/suppress_priv.h"

#define DEVICES_MAX 64

struct suppress_device {
	char name[IF_NAMESIZE]; /* empty: this entry is free */
	uint32_t ifindex;
	int link_fd; /* of tcx; -1: by a filter */
	int prog_fd; /* with a link */
	bool made_qdisc;
};

struct suppress {
	struct suppress_nft *nft; /* NULL: by tc */
	enum suppress_method method;
	struct suppress_device devices[DEVICES_MAX];
};

static const char *reason(int r)
{
	return r == -EPERM ? "no right to; run as root or with CAP_NET_ADMIN" : strerror(-r);
}

int suppress_open(enum suppress_method method, struct suppress **out, char *err, size_t err_len)
{
	struct suppress *q = calloc(1, sizeof(*q));
	int r = -ENOMEM;

	if (!q)
		goto fail;
	q->method = method;
	r = method == SUPPRESS_TC || method == SUPPRESS_TCX ? 0 : suppress_nft_open(&q->nft);
	/* Without nftables the others are tried when a device is added. */
	if (r < 0 && (method == SUPPRESS_NFT || r == -EPERM))
		goto fail;
	*out = q;
	return 0;
fail:
	snprintf(err, err_len, "cannot keep the kernel's own stack quiet: %s", reason(r));
	free(q);
	return r;
}

static struct suppress_device *find(struct suppress *q, const char *ifname)
{
	for (uint32_t i = 0; i < DEVICES_MAX; i++)
		if (strcmp(q->devices[i].name, ifname) == 0)
			return &q->devices[i];
	return NULL;
}

static int add_filter(struct suppress_device *d, uint32_t ifindex)
{
	bool made_qdisc;
	int r = suppress_tc_add(ifindex, &made_qdisc);

	if (r < 0)
		return r;
	/* Added again: what was there before us was learnt the first time. */
	if (d->name[0] == 0 || d->ifindex != ifindex)
		d->made_qdisc = made_qdisc;
	return 0;
}

static int add_by_tc(struct suppress *q, const char *ifname, uint32_t ifindex)
{
	struct suppress_device *d = find(q, ifname);

	if (!d)
		d = find(q, "");
	if (!d)
		return -ENOMEM;
	int prog_fd = -1;
	int link_fd = q->method == SUPPRESS_TC ? -ENOTSUP : suppress_tcx_add(ifindex, &prog_fd);
	int r = link_fd >= 0 ? 0 : q->method == SUPPRESS_TCX ? link_fd : add_filter(d, ifindex);
	if (r < 0)
		return r;
	if (link_fd >= 0)
		(void)suppress_tc_remove(ifindex, SUPPRESS_TC_IF_EMPTY);
	if (d->name[0] != 0 && d->link_fd >= 0)
		suppress_tcx_remove(d->link_fd, d->prog_fd);
	d->link_fd = link_fd >= 0 ? link_fd : -1;
	d->prog_fd = prog_fd;
	d->ifindex = ifindex;
	snprintf(d->name, sizeof(d->name), "%s", ifname);
	return 0;
}

/* As if_nametoindex, which does not say why it failed. */
static int index_of(const char *ifname, uint32_t *ifindex)
{
	struct ifreq request = { 0 };
	int r = 0;

	if (strlen(ifname) >= sizeof(request.ifr_name))
		return -ENODEV;
	strcpy(request.ifr_name, ifname);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, SIOCGIFINDEX, &request) != 0)
		r = -errno;
	close(fd);
	*ifindex = (uint32_t)request.ifr_ifindex;
	return r;
}

int suppress_add(struct suppress *q, const char *ifname, char *err, size_t err_len)
{
	uint32_t ifindex = 0;
	int r = index_of(ifname, &ifindex);

	if (r == -ENODEV)
		snprintf(err, err_len, "device %s: there is no such device in this network namespace; see: ip link",
			 ifname);
	else if (r < 0)
		snprintf(err, err_len, "device %s: cannot ask the kernel for it: %s", ifname, strerror(-r));
	if (r < 0)
		return r;
	if (q->nft) {
		r = suppress_nft_add(q->nft, ifname);
		if (r == 0)
			(void)suppress_tc_remove(ifindex, SUPPRESS_TC_IF_EMPTY);
	} else {
		r = add_by_tc(q, ifname, ifindex);
	}
	if (r < 0)
		snprintf(err, err_len, "device %s: cannot keep the kernel's own stack quiet on it by %s: %s", ifname,
			 suppress_method_name(q), reason(r));
	return r;
}

static int remove_by_tc(struct suppress *q, const char *ifname)
{
	struct suppress_device *d = find(q, ifname);
	int r = 0;

	if (d) {
		/* The name may be another device's by now: go by the link or the index. */
		if (d->link_fd >= 0)
			suppress_tcx_remove(d->link_fd, d->prog_fd);
		else
			r = suppress_tc_remove(d->ifindex, d->made_qdisc ? SUPPRESS_TC_IF_EMPTY : SUPPRESS_TC_KEEP);
		memset(d, 0, sizeof(*d));
	}
	return r == -ENODEV || r == -ENOENT ? 0 : r;
}

int suppress_remove(struct suppress *q, const char *ifname, char *err, size_t err_len)
{
	int r = q->nft ? suppress_nft_remove(q->nft, ifname) : *ifname ? remove_by_tc(q, ifname) : 0;

	if (r < 0)
		snprintf(err, err_len, "device %s: cannot give it back to the kernel's own stack: %s", ifname,
			 reason(r));
	return r;
}

void suppress_close(struct suppress *q)
{
	if (q->nft)
		suppress_nft_close(q->nft);
	for (uint32_t i = 0; i < DEVICES_MAX; i++)
		if (q->devices[i].name[0])
			(void)remove_by_tc(q, q->devices[i].name);
	free(q);
}

const char *suppress_method_name(const struct suppress *q)
{
	return q->nft ? "nft" : "tc";
}
