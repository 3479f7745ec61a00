/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The devices of a running gateway: taking one, giving it back, and following
 * what becomes of it.
 *
 * A device is taken when the kernel has no address on it (or the config says
 * `take over yes;`), when no other gateway of this network namespace has it (a
 * file of its name in the runtime directory is the lock: see daemon/control/server/path.c), and when
 * the kernel can be kept quiet on it. Which
 * driver it gets is drivers.c's business. From then on word of its link comes
 * from netlink, and each change is made while all workers are quiesced between two batches.
 *
 * The order of things. The kernel is quiet before a program is attached and
 * until after it is gone, so what the program passes, or nobody takes, never
 * reaches the kernel's stack. Frames come in from when the program is attached;
 * they wait in the device's rings until the workers have it. At the end the cores
 * let go first, then the program goes, then the device.
 *
 * A device with a program, or with several handles, that vanished is not mended
 * when it is back but taken again, by the best driver that takes it then; so is one
 * whose MTU has become more than its driver carries, and one whose TAP somebody
 * took away (driver tc). If none takes it, that is said, and the next word of the
 * device is the next occasion.
 */
#include "daemon/run/run_priv.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "daemon/device/open.h"

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

/* A bridge and its like take all frames of their ports, before or beside us: such a device is not ours to take. */
static int check_master(const struct netlink_link *link, char *err, size_t err_len)
{
	static const char *const kinds[] = { "bridge", "bond", "team", "openvswitch" };
	struct netlink_link master;
	char name[IF_NAMESIZE];

	if (link->master_index == 0 || if_indextoname(link->master_index, name) == NULL ||
	    netlink_link_get(name, &master, err, err_len) != 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strcmp(master.kind, kinds[i]) != 0)
			continue;
		snprintf(err, err_len,
			 "%s is a port of the %s %s, which takes all its frames: take %s instead, or run: ip link set "
			 "%s nomaster",
			 link->name, kinds[i], name, name, link->name);
		return -EBUSY;
	}
	return 0;
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
	rc = check_master(link, err, err_len);
	if (rc != 0)
		return rc;
	return take_over ? 0 : check_addresses(link, err, err_len);
}

static int keep_quiet(struct run *r, const char *name, char *err, size_t err_len)
{
	if (r->quiet == NULL) {
		int rc = suppress_open(SUPPRESS_AUTO, &r->quiet, err, err_len);
		if (rc != 0)
			return rc;
	}
	return suppress_add(r->quiet, name, err, err_len);
}

static void take_link_state(struct run_port *p, const struct netlink_link *link)
{
	for (uint32_t k = 0; k < WORKERS_MAX && p->port.handle[k] != NULL; k++) {
		p->port.handle[k]->up = link->admin_up && link->running;
		p->port.handle[k]->mtu = link->mtu;
		p->port.handle[k]->mac = link->mac;
	}
}

static void let_speak(struct run *r, struct run_port *p)
{
	char err[256];

	if (p->is_suppressed && suppress_remove(r->quiet, p->name, err, sizeof(err)) != 0)
		run_say("%s", err);
	p->is_suppressed = false;
}

/* Lock, quiet, device: in this order, since the lock says who may touch the rest. */
static int open_device(struct run *r, struct run_port *p, uint32_t i, char *err, size_t err_len)
{
	bool is_tap = p->driver == DRIVER_TAP;
	struct netlink_link link = { 0 };
	int rc = is_tap ? 0 : check_kernel_device(p->name, p->take_over, &link, err, err_len);
	if (rc != 0)
		return rc;

	snprintf(link.name, sizeof(link.name), "%s", p->name);
	p->lock_fd = control_path_lock(p->name, err, err_len);
	if (p->lock_fd < 0)
		return p->lock_fd;
	if (!is_tap) {
		rc = keep_quiet(r, p->name, err, err_len);
		if (rc != 0)
			goto unlock;
		p->is_suppressed = true;
	}
	rc = drivers_open(&r->drivers, p->driver, &link, i, &p->port, err, err_len);
	if (rc != 0)
		goto unquiet;
	p->device = p->port.handle[0];
	if (!is_tap)
		take_link_state(p, &link);
	rc = netlink_monitor_watch(r->monitor, p->name, NULL);
	if (rc == 0)
		return 0;
	snprintf(err, err_len, "cannot watch %s: %s", p->name, strerror(-rc));
	p->device = NULL;
	drivers_close(&r->drivers, &p->port, i);
unquiet:
	let_speak(r, p);
unlock:
	control_path_unlock(p->name, p->lock_fd);
	p->lock_fd = -1;
	return rc;
}

static int open_and_say(struct run *r, struct run_port *p, uint32_t i, char *err, size_t err_len)
{
	char mac[ETHER_TEXT_MAX];

	int rc = open_device(r, p, i, err, err_len);
	if (rc == 0)
		run_say("%s; MAC %s, MTU %u, %s", p->port.note, ether_format(&p->device->mac, mac), p->device->mtu,
			p->device->up ? "up" : "down");
	return rc;
}

int run_port_open(struct run *r, const struct snapshot *snap, uint32_t i, struct run_port *out, char *err,
		  size_t err_len)
{
	const char *name = snap->core.ip.interface[i].name;

	*out = (struct run_port){ .lock_fd = -1, .take_over = snap->take_over[i], .driver = snap->driver[i] };
	snprintf(out->name, sizeof(out->name), "%s", name);
	return open_and_say(r, out, i, err, err_len);
}

static void start_fast(struct run *r)
{
	for (uint32_t k = 0; k < r->n_cores; k++)
		r->fast_started |= fast_start(r->drivers.fast, k, r->core[k].entry.gateway) == 0;
}

static void fast_up(struct run *r, uint32_t i)
{
	for (uint32_t k = 0; k < r->n_cores; k++)
		fast_port_up(r->drivers.fast, k, i);
}

static void fast_down(struct run *r, uint32_t i)
{
	for (uint32_t k = 0; k < r->n_cores; k++)
		fast_port_down(r->drivers.fast, k, i);
}

void run_port_attach(struct run *r, struct run_port *p, uint32_t i)
{
	for (uint32_t k = 0; k < r->n_cores; k++)
		worker_set_device(r->core[k].worker, i, p->port.handle[k], worker_clock());
	if (!p->port.has_program)
		return;
	/* Without it everything goes up: slower, and no less right. */
	if (!r->fast_started && !r->fast_off)
		start_fast(r);
	if (r->fast_started)
		fast_up(r, i);
}

void run_port_detach(struct run *r, struct run_port *p, uint32_t i)
{
	if (p->port.has_program && r->fast_started)
		fast_down(r, i);
	for (uint32_t k = 0; k < r->n_cores; k++)
		worker_set_device(r->core[k].worker, i, NULL, worker_clock());
}

void run_ports_stop(struct run *r)
{
	for (uint32_t k = 0; k < r->n_cores && r->fast_started; k++)
		fast_stop(r->drivers.fast, k);
	r->fast_started = false;
}

static void close_device(struct run *r, struct run_port *p, uint32_t i)
{
	p->device = NULL;
	drivers_close(&r->drivers, &p->port, i);
	let_speak(r, p);
	if (p->lock_fd >= 0)
		control_path_unlock(p->name, p->lock_fd);
	p->lock_fd = -1;
}

void run_port_close(struct run *r, struct run_port *p, uint32_t i)
{
	if (p->name[0] == '\0')
		return;
	if (r->monitor != NULL)
		netlink_monitor_unwatch(r->monitor, p->name);
	close_device(r, p, i);
	p->name[0] = '\0';
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

static void say_changed(struct run *r, uint32_t i)
{
	for (uint32_t k = 0; k < r->n_cores; k++)
		core_api_device_changed(&r->core[k].entry, i, worker_clock());
}

/* With the workers quiesced. */
static void apply_change(void *arg)
{
	struct link_change *c = arg;
	struct run *r = c->run;
	struct run_port *p = &r->port[c->ifindex];

	/* There is but one handle; see answer_to. */
	if (c->change == NETLINK_CHANGE_BACK) {
		c->rc = device_rebind(p->device, c->err, sizeof(c->err));
		if (c->rc != 0)
			return;
		worker_refresh_device(r->core[0].worker, c->ifindex);
	}
	if (c->change == NETLINK_CHANGE_GONE) {
		for (uint32_t k = 0; k < r->n_cores; k++)
			p->port.handle[k]->up = false;
		if (p->port.has_program && r->fast_started)
			fast_down(r, c->ifindex);
	} else {
		take_link_state(p, c->link);
	}
	say_changed(r, c->ifindex);
}

/* A device of that name is there again, perhaps another one: the same questions as at the start. */
static bool may_take_again(struct run *r, struct run_port *p, const struct netlink_link *link)
{
	char err[256];

	if (check_master(link, err, sizeof(err)) != 0) {
		run_say("%s is back, but %s", link->name, err);
		return false;
	}
	if (!p->take_over && check_addresses(link, err, sizeof(err)) != 0) {
		run_say("%s is back, but %s", link->name, err);
		return false;
	}
	if (p->is_suppressed && suppress_add(r->quiet, link->name, err, sizeof(err)) != 0) {
		run_say("%s is back, but %s", link->name, err);
		return false;
	}
	return true;
}

/* --- taking a device again --- */

struct port_call {
	struct run *run;
	struct run_port *port;
	uint32_t ifindex;
};

static void take_at_rest(void *arg)
{
	struct port_call *c = arg;

	run_port_detach(c->run, c->port, c->ifindex);
}

static void put_at_rest(void *arg)
{
	struct port_call *c = arg;

	run_port_attach(c->run, c->port, c->ifindex);
	say_changed(c->run, c->ifindex);
}

/* An interface's counters do not begin again with its driver; the first handle has those of all that were before. */
static void carry_counters(struct device *d, const struct device *old)
{
	d->n_rx_packets += old->n_rx_packets;
	d->n_rx_bytes += old->n_rx_bytes;
	d->n_rx_missed += old->n_rx_missed;
	d->n_tx_packets += old->n_tx_packets;
	d->n_tx_bytes += old->n_tx_bytes;
}

/* When no driver takes it, that is said, and its place is kept for the next word of it. */
static void reopen(struct run *r, uint32_t i, const char *what)
{
	struct run_port *p = &r->port[i];
	struct port_call c = { .run = r, .port = p, .ifindex = i };
	char err[DRIVER_NOTE_MAX];

	if (p->device != NULL) {
		p->counters = (struct device){ 0 };
		run_quiesced(r, take_at_rest, &c);
		for (uint32_t k = 0; k < r->n_cores; k++)
			carry_counters(&p->counters, p->port.handle[k]);
		close_device(r, p, i);
	}
	if (open_and_say(r, p, i, err, sizeof(err)) != 0) {
		run_say("%s %s %s", p->name, what, err);
		p->is_gone = true;
		return;
	}
	carry_counters(p->device, &p->counters);
	run_quiesced(r, put_at_rest, &c);
	run_routes_changed(r);
	p->is_gone = false;
}

static void up_at_rest(void *arg)
{
	struct port_call *c = arg;

	fast_up(c->run, c->ifindex);
}

void run_ports_look(struct run *r)
{
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++) {
		struct port_call c = { .run = r, .port = &r->port[i], .ifindex = i };
		if (c.port->device == NULL || !c.port->port.has_program || c.port->is_gone)
			continue;
		if (!drivers_look(&c.port->port))
			reopen(r, i, "has lost its TAP, and now");
		else if (r->fast_started && fast_ask_again(r->drivers.fast, i))
			run_quiesced(r, up_at_rest, &c);
	}
}

static void down_at_rest(void *arg)
{
	struct port_call *c = arg;

	fast_down(c->run, c->ifindex);
}

void run_port_detach_program(struct run *r, uint32_t i)
{
	struct port_call c = { .run = r, .port = &r->port[i], .ifindex = i };

	/* Programs name a way out by its number: what they still send there would leave by the next device of it. */
	if (r->fast_started)
		run_quiesced(r, down_at_rest, &c);
	drivers_gone(&r->drivers, &c.port->port, i);
}

void run_port_reopen(struct run *r, uint32_t i)
{
	reopen(r, i, "stays, but");
}

/* --- each change --- */

/* What is to be done with a port, since word of its device came. */
enum answer { NOTHING, FOLLOW, TAKE_ANEW };

static enum answer answer_to(const struct run *r, const struct run_port *p, enum netlink_change change,
			     const struct netlink_link *link)
{
	if (p->device == NULL)
		return change == NETLINK_CHANGE_GONE ? NOTHING : TAKE_ANEW;
	if (change == NETLINK_CHANGE_GONE)
		return FOLLOW;
	if (change == NETLINK_CHANGE_BACK)
		return p->port.has_program || r->n_cores > 1 ? TAKE_ANEW : FOLLOW;
	if (p->is_gone)
		return NOTHING; /* of a device that we did not take again */
	return p->port.is_xdp && link->mtu > AF_XDP_MTU_MAX ? TAKE_ANEW : FOLLOW;
}

static void follow(struct run *r, uint32_t i, enum netlink_change change, const struct netlink_link *link)
{
	struct run_port *p = &r->port[i];
	struct link_change c = { .run = r, .ifindex = i, .change = change, .link = link };

	if (change == NETLINK_CHANGE_GONE)
		p->is_gone = true;
	if (change == NETLINK_CHANGE_BACK && !may_take_again(r, p, link))
		return;
	run_quiesced(r, apply_change, &c);
	run_routes_changed(r);
	if (c.rc != 0) {
		run_say("%s is back, but %s", link->name, c.err);
		return;
	}
	if (change == NETLINK_CHANGE_BACK)
		p->is_gone = false;
	if (change == NETLINK_CHANGE_GONE)
		drivers_gone(&r->drivers, &p->port, i);
	if (change == NETLINK_CHANGE_MAC && p->port.has_program)
		fastpath_refresh(fast_path(r->drivers.fast), i);
}

static void change_port(struct run *r, uint32_t i, enum netlink_change change, const struct netlink_link *link)
{
	struct run_port *p = &r->port[i];
	bool was_up = p->device != NULL && p->device->up;

	switch (answer_to(r, p, change, link)) {
	case NOTHING:
		return;
	case FOLLOW:
		follow(r, i, change, link);
		break;
	case TAKE_ANEW:
		reopen(r, i, change == NETLINK_CHANGE_BACK ? "is back, but" : "has changed, and now");
		break;
	}
	bool is_up = p->device != NULL && p->device->up;
	if (is_up == was_up)
		return;
	run_event(r, &(struct yg_event){
			     .kind = is_up ? EVENT_DEVICE_UP : EVENT_DEVICE_DOWN,
			     .time_ns = worker_clock(),
			     .ifindex = i,
		     });
}

void run_link_changed(void *ctx, enum netlink_change change, const struct netlink_link *link)
{
	struct run *r = ctx;

	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
		if (strcmp(r->port[i].name, link->name) == 0 && r->port[i].driver != DRIVER_TAP)
			change_port(r, i, change, link);
}
