/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The devices of a running gateway: taking one, giving it back, and following
 * what becomes of it.
 *
 * A device is taken when the kernel has no address on it (or the config says
 * `take over yes;`), when no other gateway of this network namespace has it (an
 * abstract unix socket of its name is the lock: it is local to the namespace and
 * ends with the process), and when the kernel can be kept quiet on it. From then
 * on word of its link comes from netlink, and each change is made in the worker,
 * between two batches.
 */
#include "app/run_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "device/open.h"

static int lock_name(const char *name, char *err, size_t err_len)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int n = snprintf(sun.sun_path + 1, sizeof(sun.sun_path) - 1, "yangguan/%s", name);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);

	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sun, len) != 0) {
		int rc = -errno;
		if (rc == -EADDRINUSE)
			snprintf(err, err_len, "another gateway that runs here has taken %s: stop it first", name);
		else
			snprintf(err, err_len, "cannot lock %s: %s", name, strerror(-rc));
		if (fd >= 0)
			close(fd);
		return rc;
	}
	return fd;
}

/* Nobody must cut off their own ssh by starting a gateway. */
static int check_addresses(const struct netlink_link *link, char *err, size_t err_len)
{
	struct netlink_addrs addrs;
	char text[IP4_TEXT_MAX];

	int rc = netlink_addrs_get(link->index, &addrs, err, err_len);
	if (rc != 0)
		return rc;
	if (addrs.n_ipv4 == 0 && addrs.n_ipv6 == 0)
		return 0;
	snprintf(
		err, err_len,
		"the kernel has %s on %s: say `take over yes;` in its interface block, or run: ip address flush dev %s",
		addrs.n_ipv4 > 0 ? ip4_prefix_format(addrs.ipv4[0], text) : "an IPv6 address", link->name, link->name);
	return -EADDRINUSE;
}

/* What only a device of the kernel needs. */
static int check_kernel_device(const char *name, bool take_over, struct netlink_link *link, char *err, size_t err_len)
{
	int rc = netlink_link_get(name, link, err, err_len);
	if (rc != 0)
		return rc;
	if (!link->is_ethernet) {
		snprintf(err, err_len, "%s is no Ethernet device", name);
		return -ENOTSUP;
	}
	return take_over ? 0 : check_addresses(link, err, err_len);
}

static int keep_quiet(struct run *r, const char *name, char *err, size_t err_len)
{
	if (r->quiet == NULL) {
		int rc = quiet_open(QUIET_AUTO, &r->quiet, err, err_len);
		if (rc != 0)
			return rc;
	}
	return quiet_add(r->quiet, name, err, err_len);
}

static void take_link_state(struct device *d, const struct netlink_link *link)
{
	d->up = link->admin_up && link->running;
	d->mtu = link->mtu;
	d->mac = link->mac;
}

/* Lock, device, quiet: in this order, since the lock says who may touch the rest. */
static int open_device(struct run *r, const char *driver, const char *name, struct run_port *p, char *note,
		       size_t note_len, char *err, size_t err_len)
{
	bool is_tap = strcmp(driver, "tap") == 0;
	struct netlink_link link = { 0 };
	int rc = is_tap ? 0 : check_kernel_device(name, p->take_over, &link, err, err_len);
	if (rc != 0)
		return rc;

	p->lock_fd = lock_name(name, err, err_len);
	if (p->lock_fd < 0)
		return p->lock_fd;
	rc = device_open(driver, name, NULL, &p->device, note, note_len, err, err_len);
	if (rc != 0)
		goto unlock;
	if (!is_tap) {
		take_link_state(p->device, &link);
		rc = keep_quiet(r, name, err, err_len);
		if (rc != 0)
			goto close_device;
		p->is_quiet = true;
	}
	rc = netlink_monitor_watch(r->monitor, name, NULL);
	if (rc != 0) {
		snprintf(err, err_len, "cannot watch %s: %s", name, strerror(-rc));
		goto unquiet;
	}
	return 0;

unquiet:
	if (p->is_quiet)
		quiet_remove(r->quiet, name, (char[256]){ 0 }, 256);
close_device:
	p->device->ops->close(p->device);
	p->device = NULL;
unlock:
	close(p->lock_fd);
	return rc;
}

int run_port_open(struct run *r, const struct snapshot *snap, uint32_t i, struct run_port *out, char *err,
		  size_t err_len)
{
	const char *name = snap->ip.interface[i].name;
	const char *driver = snap->driver[i][0] != '\0' ? snap->driver[i] : "auto";
	char note[512] = "", mac[ETHER_TEXT_MAX];

	*out = (struct run_port){ .lock_fd = -1, .take_over = snap->take_over[i] };
	snprintf(out->driver, sizeof(out->driver), "%s", driver);
	if (strcmp(driver, "pcap") == 0) {
		snprintf(err, err_len, "%s: the driver pcap is for `yangguan replay`", name);
		return -EINVAL;
	}
	int rc = open_device(r, driver, name, out, note, sizeof(note), err, err_len);
	if (rc != 0)
		return rc;
	run_say("%s; MAC %s, MTU %u, %s", note, ether_format(&out->device->mac, mac), out->device->mtu,
		out->device->up ? "up" : "down");
	return 0;
}

void run_port_close(struct run *r, struct run_port *p)
{
	char name[DEVICE_NAME_MAX], err[256];

	if (p->device == NULL)
		return;
	memcpy(name, p->device->name, sizeof(name));
	if (r->monitor != NULL)
		netlink_monitor_unwatch(r->monitor, name);
	p->device->ops->close(p->device);
	p->device = NULL;
	if (p->is_quiet && quiet_remove(r->quiet, name, err, sizeof(err)) != 0)
		run_say("%s", err);
	close(p->lock_fd);
}

/* --- following the link --- */

struct link_change {
	struct run *run;
	uint32_t ifindex;
	enum netlink_change change;
	const struct netlink_link *link;
	int rc;
	char err[256];
};

/* In the worker. */
static void apply_change(void *arg)
{
	struct link_change *c = arg;
	struct device *d = c->run->port[c->ifindex].device;

	if (c->change == NETLINK_CHANGE_BACK) {
		c->rc = device_rebind(d, c->err, sizeof(c->err));
		if (c->rc != 0)
			return;
		worker_refresh_device(c->run->worker, c->ifindex);
	}
	if (c->change == NETLINK_CHANGE_GONE)
		d->up = false;
	else
		take_link_state(d, c->link);
	entry_device_changed(&c->run->entry, c->ifindex, worker_clock());
}

/* A device of that name is there again, perhaps another one: the same questions as at the start. */
static bool may_take_again(struct run *r, struct run_port *p, const struct netlink_link *link)
{
	char err[256];

	if (!p->take_over && check_addresses(link, err, sizeof(err)) != 0) {
		run_say("%s is back, but %s", link->name, err);
		return false;
	}
	if (p->is_quiet && quiet_add(r->quiet, link->name, err, sizeof(err)) != 0) {
		run_say("%s is back, but %s", link->name, err);
		return false;
	}
	return true;
}

static void change_port(struct run *r, uint32_t i, enum netlink_change change, const struct netlink_link *link)
{
	struct run_port *p = &r->port[i];
	struct link_change c = { .run = r, .ifindex = i, .change = change, .link = link };
	bool was_up = p->device->up;

	if (change == NETLINK_CHANGE_GONE) {
		p->is_gone = true;
	} else if (change == NETLINK_CHANGE_BACK) {
		if (!may_take_again(r, p, link))
			return;
	} else if (p->is_gone) {
		return; /* of a device that we did not take again */
	}
	worker_call(r->worker, apply_change, &c);
	if (c.rc != 0) {
		run_say("%s is back, but %s", link->name, c.err);
		return;
	}
	if (change == NETLINK_CHANGE_BACK)
		p->is_gone = false;
	if (p->device->up == was_up)
		return;
	run_event(r, &(struct event){
			     .kind = p->device->up ? EVENT_DEVICE_UP : EVENT_DEVICE_DOWN,
			     .time_ns = worker_clock(),
			     .ifindex = i,
		     });
}

void run_link_changed(void *ctx, enum netlink_change change, const struct netlink_link *link)
{
	struct run *r = ctx;

	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
		if (r->port[i].device != NULL && r->port[i].is_quiet &&
		    strcmp(r->port[i].device->name, link->name) == 0)
			change_port(r, i, change, link);
}
