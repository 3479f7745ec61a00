/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The gateway as an object of the public header: a core, and for each interface a link
 * whose packets the embedder brings and takes.
 *
 * The gateway's own host is a stack of the library (src/lib/lib_stack.c) on that core, and the gateway is entered and
 * left as that is: whoever is in it already (its output slot) may give it packets, which wait until the call that is in
 * it ends. What leaves is the gateway's own memory still, good while the output slot runs.
 *
 * Next: src/core/gateway.c (gateway_input)
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/embed/embed_priv.h"

/* --- in and out --- */

static int give_out(struct lib_link *l, struct packet *const *p, uint32_t n)
{
	struct embed_port *port = container_of(l, struct embed_port, link);
	struct yg_gateway *gw = port->owner;
	struct yg_frame out[BATCH_MAX];
	uint32_t i = 0;

	/* There is one at least. */
	do
		out[i] = (struct yg_frame){ .bytes = packet_frame(p[i]) + lib_link_header(l),
					    .len = p[i]->len - lib_link_header(l),
					    .offload = lib_offload_of(l, p[i]) };
	while (++i < n);
	int taken = gw->output(gw->ctx, l->ifindex, out, n);

	for (i = 0; (int)i < taken && i < n; i++) {
		l->dev.ledger->n_handed++;
		packet_free(l->dev.pool, p[i]);
	}
	return taken;
}

static struct yg_gateway *of_host(const struct yg_stack *host)
{
	return container_of((struct yg_stack *)(uintptr_t)host, struct yg_gateway, host);
}

static void take_in(struct yg_stack *host, struct batch *b)
{
	gateway_input(of_host(host)->core, b->p[0]->in_ifindex, b, host->env->now);
}

static void expire(struct yg_stack *host)
{
	gateway_expire(of_host(host)->core, host->env->now);
}

static uint64_t next_deadline(const struct yg_stack *host)
{
	return gateway_next_deadline(of_host(host)->core);
}

static const struct lib_stack_ops host_ops = { .input = take_in, .expire = expire, .next_deadline = next_deadline };

/* NULL: no memory; what was lent is released then. */
static struct packet *packet_of(struct lib_link *l, const struct yg_frame *f)
{
	uint32_t header = lib_link_header(l);
	struct packet *p = NULL;

	if (f->len > UINT16_MAX) {
		;
	} else if (f->release == NULL) {
		p = packet_alloc(l->dev.pool, header + (uint32_t)f->len);
		if (p != NULL)
			memcpy(packet_frame(p) + header, f->bytes, f->len);
	} else {
		p = packet_set_external(l->dev.pool, (uint8_t *)f->bytes - YG_HEADROOM, (uint32_t)f->len + YG_HEADROOM,
					YG_HEADROOM - header, header + (uint32_t)f->len, f->release, f->release_ctx,
					f->cookie);
	}
	if (p == NULL) {
		if (f->release != NULL)
			f->release(f->release_ctx, f->cookie);
		return NULL;
	}
	lib_offload_set(l, p, &f->offload);
	l->dev.ledger->n_received++;
	return lib_link_dress(l, p);
}

static struct lib_link *link_at(struct yg_gateway *gw, unsigned int interface)
{
	bool is_there = interface < IP_INTERFACES_MAX && gw->port[interface].is_attached;

	return is_there ? &gw->port[interface].link : NULL;
}

int yg_gateway_input(struct yg_gateway *gw, unsigned int interface, const struct yg_frame *frames, unsigned int n,
		     uint64_t now)
{
	struct lib_link *l = link_at(gw, interface);
	struct batch b = { .n = 0 };
	int taken = 0;

	if (l == NULL)
		return -ENODEV;
	lib_enter(&gw->host);
	for (unsigned int i = 0; i < n; i++) {
		struct packet *p = packet_of(l, &frames[i]);

		taken += p != NULL || frames[i].release != NULL;
		if (p != NULL && gw->host.depth > 1)
			lib_link_wait(l, p);
		else if (p != NULL)
			batch_add(&b, p);
		if (b.n == BATCH_MAX || (b.n > 0 && i + 1 == n))
			gateway_input(gw->core, interface, &b, now);
	}
	lib_leave(&gw->host);
	return taken;
}

void yg_gateway_run(struct yg_gateway *gw, uint64_t now)
{
	yg_run(&gw->host, now);
}

uint64_t yg_gateway_next_deadline(const struct yg_gateway *gw)
{
	return yg_next_deadline(&gw->host);
}

struct yg_stack *yg_gateway_stack(struct yg_gateway *gw)
{
	return &gw->host;
}

/* --- interfaces --- */

/* What the change leaves to be done for the routes; nobody else reads them. */
static void settle(struct yg_gateway *gw)
{
	gateway_settle_routes(gw->core);
	if (rib_grace_begin(gw->snap->core.rib))
		rib_grace_over(gw->snap->core.rib);
}

static uint32_t number_of(const struct yg_gateway *gw, const char *name)
{
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
		if (name[0] != '\0' && strcmp(gw->snap->core.ip.interface[i].name, name) == 0)
			return i;
	return 0;
}

int yg_gateway_attach(struct yg_gateway *gw, const char *name, const struct yg_gateway_port *port, uint64_t now)
{
	struct yg_gateway_port c = { .size = 0 };
	uint32_t i = number_of(gw, name);
	struct embed_port *p = &gw->port[i];

	if (port != NULL)
		memcpy(&c, port, port->size < sizeof(c) ? port->size : sizeof(c));
	if (i == 0)
		return -ENOENT;
	if (gw->host.depth > 0)
		return -EBUSY;
	if (p->is_attached)
		(void)yg_gateway_detach(gw, i, now);
	lib_enter(&gw->host);
	p->owner = gw;
	p->is_attached = true;
	p->link = (struct lib_link){ .output = give_out, .waiting = &gw->host.waiting, .ifindex = i };
	lib_link_init(&p->link, name, c.flags, c.mtu, c.mac);
	gateway_attach(gw->core, i, &p->link.dev, now);
	settle(gw);
	lib_leave(&gw->host);
	return (int)i;
}

int yg_gateway_detach(struct yg_gateway *gw, unsigned int interface, uint64_t now)
{
	if (link_at(gw, interface) == NULL)
		return -ENODEV;
	if (gw->host.depth > 0)
		return -EBUSY;
	lib_enter(&gw->host);
	gateway_attach(gw->core, interface, NULL, now);
	gw->port[interface].is_attached = false;
	settle(gw);
	lib_leave(&gw->host);
	return 0;
}

int yg_gateway_next_hop(struct yg_gateway *gw, unsigned int interface, const struct sockaddr *address, int is_up,
			uint64_t now)
{
	struct rib *rib = gw->snap->core.rib;
	uint32_t addr;
	int rc = lib_take_address(address, &addr);

	if (rc != 0)
		return rc;
	if (interface == 0 || interface >= IP_INTERFACES_MAX || gw->snap->core.ip.interface[interface].name[0] == '\0')
		return -ENODEV;
	if (gw->host.depth > 0)
		return -EBUSY;
	struct ip_addr hop = ip_addr_v4(addr);

	if (rib_is_lost(rib, interface, &hop) != (is_up != 0))
		return -EALREADY;
	if (!is_up && rib_n_lost(rib) == RIB_LOST_MAX)
		return -ENOSPC;
	lib_enter(&gw->host);
	lib_set_time(&gw->host, now);
	(void)rib_neighbour_changed(rib, interface, &hop, is_up != 0);
	settle(gw);
	lib_leave(&gw->host);
	return rib_is_lost(rib, interface, &hop) != (is_up != 0) ? 0 : -ENOMEM;
}

/* --- life --- */

/* Interfaces that leave, or whose number another one gets. */
static void detach_gone(struct yg_gateway *gw, const struct snapshot *next, uint64_t now)
{
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
		if (gw->port[i].is_attached && strcmp(gw->port[i].link.dev.name, next->core.ip.interface[i].name) != 0)
			(void)yg_gateway_detach(gw, i, now);
}

/* A number that is given to another interface has none of the neighbours that the one before had lost. */
static void forget_hops(struct yg_gateway *gw, const struct snapshot *next)
{
	const struct ip_interface_config *before = gw->snap->core.ip.interface, *after = next->core.ip.interface;
	struct rib *rib = gw->snap->core.rib;
	struct ip_addr hop;
	uint32_t i;

	for (size_t n = 0; rib_lost(rib, n, &i, &hop);) {
		if (strcmp(before[i].name, after[i].name) != 0)
			(void)rib_neighbour_changed(rib, i, &hop, true);
		else
			n++;
	}
}

int yg_gateway_configure(struct yg_gateway *gw, const struct yg_gateway_policy *policy, uint64_t now, char *why,
			 size_t why_len)
{
	struct gateway_limits limits;

	if (gw->host.depth > 0)
		return -EBUSY;
	struct snapshot *old = gw->snap, *next = embed_snapshot(policy, gw->parts, old, &limits, why, why_len);

	if (next == NULL)
		return -EINVAL;
	int rc = gateway_prepare(gw->core, &next->core);

	if (rc != 0) {
		snapshot_destroy(next);
		return rc;
	}
	detach_gone(gw, next, now);
	forget_hops(gw, next);
	lib_enter(&gw->host);
	/* It was prepared: it does not fail. */
	(void)gateway_configure(gw->core, &next->core, now);
	gw->snap = next;
	settle(gw);
	snapshot_destroy(old);
	lib_leave(&gw->host);
	return 0;
}

static uint32_t modules_of(uint32_t parts)
{
	uint32_t modules = GATEWAY_ROUTER;

	if (parts & YG_GATEWAY_CONNTRACK)
		modules |= 1u << GATEWAY_CONNTRACK;
	if (parts & YG_GATEWAY_RULES)
		modules |= GATEWAY_FIREWALL;
	if (parts & YG_GATEWAY_NAT)
		modules = GATEWAY_ALL;
	return modules;
}

/* With what they need. */
static uint32_t whole_parts(uint32_t parts)
{
	if (parts & YG_GATEWAY_NAT)
		parts |= YG_GATEWAY_RULES;
	if (parts & YG_GATEWAY_RULES)
		parts |= YG_GATEWAY_CONNTRACK;
	return parts;
}

static bool create_core(struct yg_gateway *gw, const struct yg_gateway_config *c, struct gateway_limits *limits)
{
	if (limits->conntrack.n_connections == 0)
		limits->conntrack.n_connections = c->n_connections;
	if (limits->packets.n_packets == 0 && c->n_packets != 0)
		limits->packets = (struct packet_pool_config){ .n_packets = 2 * c->n_packets, .n_small = c->n_packets };
	gw->core = gateway_create_of(modules_of(gw->parts), limits, c->seed, c->now, embed_event, gw);
	if (gw->core == NULL)
		return false;
	gw->host = (struct yg_stack){ .ops = &host_ops,
				      .env = gateway_env(gw->core),
				      .ip = gateway_ip(gw->core),
				      .ss = gateway_sockets(gw->core),
				      .changed = c->changed,
				      .ctx = c->ctx,
				      .told_deadline = YG_NEVER };
	if (gw->event == NULL)
		gateway_env(gw->core)->wanted = &gw->nobody_listens;
	if (gateway_configure(gw->core, &gw->snap->core, c->now) != 0)
		return false;
	settle(gw);
	return true;
}

struct yg_gateway *yg_gateway_create(const struct yg_gateway_config *config, const struct yg_gateway_policy *policy,
				     char *why, size_t why_len)
{
	struct yg_gateway_config c = { .size = 0 };
	struct gateway_limits limits = { 0 };
	struct yg_gateway *gw = calloc(1, sizeof(*gw));

	memcpy(&c, config, config->size < sizeof(c) ? config->size : sizeof(c));
	if (why_len > 0)
		why[0] = '\0';
	if (gw == NULL || c.output == NULL) {
		free(gw);
		return NULL;
	}
	gw->output = c.output;
	gw->event = c.event;
	gw->ctx = c.ctx;
	gw->parts = whole_parts(c.parts);
	gw->snap = embed_snapshot(policy, gw->parts, NULL, &limits, why, why_len);
	if (gw->snap == NULL || !create_core(gw, &c, &limits)) {
		yg_gateway_destroy(gw);
		return NULL;
	}
	return gw;
}

void yg_gateway_destroy(struct yg_gateway *gw)
{
	if (gw == NULL)
		return;
	if (gw->core != NULL) {
		lib_stack_end(&gw->host);
		gateway_destroy(gw->core);
	}
	snapshot_destroy(gw->snap);
	free(gw);
}
