/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The choice of a driver. Each way that a driver's name allows is tried, from the
 * best down: open the device, then attach the program, which then fills the
 * device's sockets or TAP at once. What is refused leaves its reason, and the
 * reasons stand in the note beside the way that worked. Nothing is probed apart:
 * whether a driver has native XDP, whether the kernel lets us load programs,
 * whether somebody else's program is there, shows when it is tried.
 *
 *   auto on hardware       xdp (native), tc, af_packet
 *   auto on virtual ones   tc, af_packet: between two ends of a veth, to a bridge or a virtual machine, packets are
 *                          large and their checksums unfinished, and only tc keeps that
 *   xdp                    native, else generic
 *   xdp_generic, tc, af_packet, tap: that one
 *
 * Each worker gets a handle of its own. Where the kernel cannot divide what a
 * device receives between all of them (fewer queues than workers, a TAP), some only
 * send, and those that receive hand over what is not theirs (src/core/workers/workers.h).
 *
 * How frames leave by a device is asked when it is opened, and again from time to
 * time (fastpath_egress): where a driver takes no redirected frames, what native XDP
 * has for it goes up and is sent as usual. The note says so.
 */
#include "daemon/run/drivers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/util.h"
#include "daemon/device/open.h"
#include "daemon/device/tc_tap.h"

enum way { WAY_XDP_NATIVE, WAY_XDP_GENERIC, WAY_TC, WAY_AF_PACKET, WAY_TAP, N_WAYS };

static const struct way_info {
	const char *driver; /* for device_open */
	const char *mode;   /* empty: there is but one */
	bool has_program;
	enum fastpath_kind kind;
} ways[N_WAYS] = {
	[WAY_XDP_NATIVE] = { "xdp", "native", true, FASTPATH_XDP_NATIVE },
	[WAY_XDP_GENERIC] = { "xdp", "generic", true, FASTPATH_XDP_GENERIC },
	[WAY_TC] = { "tc", "", true, FASTPATH_TC },
	[WAY_AF_PACKET] = { "af_packet", "", false, 0 },
	[WAY_TAP] = { "tap", "", false, 0 },
};

#define WAYS_MAX 3
/* Frames of AF_XDP for each of several workers: as many in all as one has, but not too few for the rings. */
#define UMEM_FRAMES_OF_SEVERAL(n) (UMEM_FRAMES / min_u32((n), 4))

static const struct choice {
	enum config_driver driver;
	enum { ANY, HARDWARE, VIRTUAL } on;
	uint32_t n;
	enum way way[WAYS_MAX];
} choices[] = {
	{ DRIVER_AUTO, HARDWARE, 3, { WAY_XDP_NATIVE, WAY_TC, WAY_AF_PACKET } },
	{ DRIVER_AUTO, VIRTUAL, 2, { WAY_TC, WAY_AF_PACKET } },
	{ DRIVER_XDP, ANY, 2, { WAY_XDP_NATIVE, WAY_XDP_GENERIC } },
	{ DRIVER_XDP_GENERIC, ANY, 1, { WAY_XDP_GENERIC } },
	{ DRIVER_TC, ANY, 1, { WAY_TC } },
	{ DRIVER_AF_PACKET, ANY, 1, { WAY_AF_PACKET } },
	{ DRIVER_TAP, ANY, 1, { WAY_TAP } },
};

static const struct choice *choice_for(enum config_driver driver, const struct netlink_link *link)
{
	bool is_virtual = link->kind[0] != '\0';

	for (size_t i = 0; i < ARRAY_LEN(choices); i++)
		if (choices[i].driver == driver && (choices[i].on == ANY || (choices[i].on == VIRTUAL) == is_virtual))
			return &choices[i];
	return NULL;
}

/* The maps, once for all ports. */
static int need_fast(struct drivers *s, char *err, size_t err_len)
{
	if (!s->fast_asked) {
		s->fast_asked = true;
		if (fast_open(&s->fast_limits, &s->fast, s->fast_refusal, sizeof(s->fast_refusal)) != 0)
			s->fast = NULL;
	}
	if (s->fast != NULL)
		return 0;
	snprintf(err, err_len, "%s", s->fast_refusal);
	return -ENOTSUP;
}

/* What the device has to be told before the handle of a worker is opened. */
static int prepare(struct drivers *s, enum way way, uint32_t number, uint32_t worker, struct device_open_options *opt,
		   char *err, size_t err_len)
{
	int rc = ways[way].has_program ? need_fast(s, err, err_len) : 0;

	opt->n_handles = s->n_workers;
	if (rc != 0 || (way != WAY_XDP_NATIVE && way != WAY_XDP_GENERIC))
		return rc;
	if (s->umem[worker] == NULL)
		rc = umem_create(s->n_workers > 1 ? UMEM_FRAMES_OF_SEVERAL(s->n_workers) : 0, &s->umem[worker], err,
				 err_len);
	opt->xdp = (struct af_xdp_options){
		.umem = s->umem[worker],
		.copy = way == WAY_XDP_GENERIC ? AF_XDP_COPY : AF_XDP_COPY_IF_NEEDED,
		.map_fd = fastpath_xsk_map_fd(fast_path(s->fast)),
		.first_key = fastpath_xsk_key(number, 0),
		.first_queue = worker,
		.queue_step = s->n_workers,
	};
	return rc;
}

/* The first, upon which the others lean, last. */
static void close_handles(struct driver_port *p)
{
	for (uint32_t i = WORKERS_MAX; i-- > 0;) {
		if (p->handle[i] != NULL)
			p->handle[i]->ops->close(p->handle[i]);
		p->handle[i] = NULL;
	}
}

static int open_handles(struct drivers *s, enum way way, const char *ifname, uint32_t number, struct driver_port *p,
			char *err, size_t err_len)
{
	for (uint32_t i = 0; i < s->n_workers; i++) {
		struct device_open_options opt = { .first = p->handle[0] };
		int rc = prepare(s, way, number, i, &opt, err, err_len);

		if (rc == 0)
			rc = device_open(ways[way].driver, ifname, &opt, &p->handle[i], err, err_len);
		if (rc != 0) {
			close_handles(p);
			return rc;
		}
	}
	return 0;
}

static void describe(struct drivers *s, struct driver_port *p, enum way way)
{
	struct af_xdp_info info;

	p->has_program = p->attached = ways[way].has_program;
	p->is_xdp = way == WAY_XDP_NATIVE || way == WAY_XDP_GENERIC;
	s->umem_used |= p->is_xdp;
	snprintf(p->mode, sizeof(p->mode), "%s", ways[way].mode);
	if (!p->is_xdp)
		return;
	af_xdp_info(p->handle[0], &info);
	snprintf(p->mode, sizeof(p->mode), "%s, %s", ways[way].mode, info.zero_copy ? "zero copy" : "copy");
}

static int try_way(struct drivers *s, enum way way, const struct netlink_link *link, uint32_t number,
		   struct driver_port *p, char *err, size_t err_len)
{
	int rc = open_handles(s, way, link->name, number, p, err, err_len);

	if (rc != 0)
		return rc;
	if (ways[way].has_program) {
		const struct fastpath_port port = {
			.number = number,
			.ifindex = link->index,
			.kind = ways[way].kind,
			.up_ifindex = way == WAY_TC ? tc_tap_up_ifindex(p->handle[0]) : 0,
		};
		rc = fast_attach(s->fast, &port, err, err_len);
		if (rc != 0) {
			close_handles(p);
			return rc;
		}
		for (uint32_t i = 0; i < s->n_workers; i++)
			p->handle[i]->stamp_mark = fast_stamp_mark(s->fast);
	}
	describe(s, p, way);
	return 0;
}

/* An error without the name of the device, which the note has already. */
static const char *bare(const char *err, const char *ifname)
{
	size_t len = strlen(ifname);

	if (strncmp(err, "device ", 7) == 0)
		err += 7;
	if (strncmp(err, ifname, len) == 0 && err[len] == ':')
		err += len + 1;
	return err + strspn(err, " ");
}

static void add_reason(struct text *t, const char *what, const char *mode, const char *reason)
{
	text_add(t, "; %s%s%s: %s", what, mode[0] != '\0' ? " " : "", mode, reason);
}

/* What the other end of a virtual link should know. */
static void add_hint(struct text *t, const struct drivers *s, const struct driver_port *p, enum way way,
		     const struct netlink_link *link)
{
	const char *why = NULL;

	if (p->has_program)
		(void)fastpath_egress(fast_path(s->fast), ways[way].kind, link->index, &why);
	if (why != NULL)
		text_add(t, "; %s", why);
	/* XDP leaves by ports with XDP alone. */
	if (way == WAY_TC && fast_has_port(s->fast, FAST_XDP))
		text_add(t,
			 "; what comes in by a port with xdp leaves here through user space, as xdp does not reach tc");
	if (p->is_xdp && fast_has_port(s->fast, FAST_TC))
		text_add(t,
			 "; what comes in here leaves by a port with tc through user space, as xdp does not reach tc");
	if (!p->is_xdp || strcmp(link->kind, "veth") != 0)
		return;
	if (way == WAY_XDP_GENERIC)
		text_add(t,
			 "; at its peer run `ethtool -K PEER tx off tso off gso off`: with generic XDP large segments "
			 "are lost, and unfinished checksums are finished in user space");
	else
		text_add(t, "; at its peer run `ethtool -K PEER tx off`: unfinished checksums are finished in user "
			    "space, and its large segments are off from now on");
}

static void drop_umem(struct drivers *s)
{
	for (uint32_t i = 0; i < WORKERS_MAX; i++) {
		umem_destroy(s->umem[i]);
		s->umem[i] = NULL;
	}
}

/* What was made for ways that were then refused: maps, descriptors, memory. */
static void drop_unused(struct drivers *s)
{
	if (s->fast != NULL && fast_unused(s->fast)) {
		fast_close(s->fast);
		s->fast = NULL;
		s->fast_asked = false;
	}
	if (!s->umem_used)
		drop_umem(s);
}

int drivers_open(struct drivers *s, enum config_driver driver, const struct netlink_link *link, uint32_t number,
		 struct driver_port *out, char *err, size_t err_len)
{
	const struct choice *c = choice_for(driver, link);
	char reasons[DRIVER_NOTE_MAX] = "", refusal[256];
	struct text why = text_of(reasons, sizeof(reasons));
	int rc = -EINVAL;

	*out = (struct driver_port){ 0 };
	if (c == NULL) {
		snprintf(err, err_len, "%s: the driver %s has no way here", link->name, config_driver_names[driver]);
		return -EINVAL;
	}
	if (link->index != 0)
		fastpath_sweep(s->fast != NULL ? fast_path(s->fast) : NULL, link->index);
	bool is_auto = driver == DRIVER_AUTO, fast_told = false;
	if (c->on == VIRTUAL)
		text_add(&why, "; xdp: a %s keeps large segments only with tc", link->kind);
	for (uint32_t i = 0; i < c->n; i++) {
		const struct way_info *w = &ways[c->way[i]];
		if (fast_told && w->has_program)
			continue;
		rc = try_way(s, c->way[i], link, number, out, refusal, sizeof(refusal));
		if (rc == 0) {
			struct text note = text_of(out->note, sizeof(out->note));
			text_add(&note, "device %s: driver %s", link->name, w->driver);
			if (out->mode[0] != '\0')
				text_add(&note, ", %s", out->mode);
			if (is_auto)
				text_add(&note, " (auto%s)", reasons);
			else if (reasons[0] != '\0')
				text_add(&note, " (%s)", reasons + 2);
			add_hint(&note, s, out, c->way[i], link);
			drop_unused(s);
			return 0;
		}
		/* What keeps one program out keeps all out. */
		fast_told = w->has_program && s->fast == NULL;
		add_reason(&why, w->driver, fast_told ? "" : w->mode, bare(refusal, link->name));
	}
	drop_unused(s);
	snprintf(err, err_len, "device %s: %s", link->name, reasons + 2);
	return rc;
}

bool drivers_look(const struct driver_port *p)
{
	bool has_tap = p->attached && !p->is_xdp;

	return !has_tap || tc_tap_look(p->handle[0]);
}

void drivers_gone(struct drivers *s, struct driver_port *p, uint32_t number)
{
	if (p->attached)
		fast_detach(s->fast, number);
	p->attached = false;
}

void drivers_close(struct drivers *s, struct driver_port *p, uint32_t number)
{
	drivers_gone(s, p, number);
	close_handles(p);
}

void drivers_end(struct drivers *s)
{
	fast_close(s->fast);
	s->fast = NULL;
	drop_umem(s);
}
