/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a connection holds of NAT, out of one core and into another.
 *
 * conn_ext.nat_ref is made of numbers that are this core's: of an address, a
 * mapping, a pool's place in the config. A record names the same things by value: the
 * pool or interface by its name, a mapping by its inside and outside, a port by the
 * REPLY tuple. An import takes them as the hooks would have done, but these and no
 * others: the port is held, a mapping that is not there yet is made (several
 * connections name the same one; the first makes it), and the law of ports and
 * mappings (hold.c) goes on to hold. What the present config would not keep
 * (nat_still_allowed) is refused.
 */
#include "gateway/nat/record.h"

#include <errno.h>
#include <string.h>

#include "gateway/nat/overload.h"

_Static_assert(DEVICE_NAME_MAX <= NAT_POOL_NAME_MAX, "a name of either");

static const struct {
	enum nat_record_kind record;
	enum nat_hold_kind hold;
} kinds[] = {
	{ NAT_RECORD_PORT, NAT_HOLD_PORT },
	{ NAT_RECORD_MAPPING, NAT_HOLD_MAPPING },
	{ NAT_RECORD_MAPPING_IN, NAT_HOLD_MAPPING_IN },
};

static const char *interface_name(const struct nat *n, uint32_t ifindex)
{
	return ifindex < IP_INTERFACES_MAX ? ip_stack_config(n->stack)->interface[ifindex].name : "";
}

static bool same_name(const char *a, const char *b)
{
	return strncmp(a, b, NAT_POOL_NAME_MAX) == 0;
}

static void set_name(char *to, const char *name)
{
	strncpy(to, name, NAT_POOL_NAME_MAX - 1);
}

/* Out. */

static void export_origin(const struct nat *n, uint32_t ref, struct nat_record_hold *out)
{
	switch (nat_ref_origin(ref)) {
	case NAT_ORIGIN_RULE:
		out->origin = NAT_RECORD_OF_RULE;
		break;
	case NAT_ORIGIN_POOL:
		out->origin = NAT_RECORD_OF_POOL;
		set_name(out->name, n->cfg.pool[nat_ref_id(ref)].name);
		break;
	case NAT_ORIGIN_MASQUERADE:
		out->origin = NAT_RECORD_OF_INTERFACE;
		set_name(out->name, interface_name(n, nat_ref_id(ref)));
		break;
	}
}

static int export_hold(const struct nat *n, uint32_t ref, struct nat_record_hold *out)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (kinds[i].hold == nat_ref_kind(ref))
			out->kind = (uint8_t)kinds[i].record;
	export_origin(n, ref, out);
	if (nat_ref_kind(ref) == NAT_HOLD_PORT)
		return 0;
	const struct nat_eim *m = nat_mapping_at(n, nat_ref_index(ref));

	if (m->lessor != 0)
		return -ENOTSUP;
	out->inside = ip_addr_v4(m->in_addr);
	out->outside = ip_addr_v4(m->out_addr);
	out->inside_port = m->in_port;
	out->outside_port = m->out_port;
	out->inside_zone = m->in_zone;
	set_name(out->out_interface, interface_name(n, m->out_ifindex));
	return 0;
}

int nat_export(const struct nat *n, uint32_t index, struct nat_record *out)
{
	uint32_t ref[NAT_RECORD_HOLDS_MAX], n_refs;

	memset(out, 0, sizeof(*out));
	n_refs = nat_holds_of(n, index, ref);
	for (uint32_t i = 0; i < n_refs; i++) {
		int r = export_hold(n, ref[i], &out->hold[i]);

		if (r != 0)
			return r;
	}
	return 0;
}

/* In. */

static bool find_pool(const struct nat *n, const char *name, uint32_t *id)
{
	for (uint32_t i = 0; i < n->cfg.n_pools; i++) {
		if (n->pool[i].n_addresses == 0 || !same_name(n->cfg.pool[i].name, name))
			continue;
		*id = i;
		return true;
	}
	return false;
}

static bool find_interface(const struct nat *n, const char *name, uint32_t *ifindex)
{
	for (uint32_t i = 0; i < IP_INTERFACES_MAX; i++) {
		if (interface_name(n, i)[0] == '\0' || !same_name(interface_name(n, i), name))
			continue;
		*ifindex = i;
		return true;
	}
	return false;
}

static int origin_of(const struct nat *n, const struct nat_record_hold *h, enum nat_origin *origin, uint32_t *id)
{
	*id = 0;
	switch ((enum nat_record_origin)h->origin) {
	case NAT_RECORD_OF_RULE:
		*origin = NAT_ORIGIN_RULE;
		return 0;
	case NAT_RECORD_OF_POOL:
		*origin = NAT_ORIGIN_POOL;
		return find_pool(n, h->name, id) ? 0 : -ENOENT;
	case NAT_RECORD_OF_INTERFACE:
		*origin = NAT_ORIGIN_MASQUERADE;
		return find_interface(n, h->name, id) ? 0 : -ENOENT;
	}
	return -EINVAL;
}

/* Takes the port; of the address its number. */
static int take_port(struct nat *n, uint32_t addr, uint16_t zone, uint8_t ip_proto, uint32_t port, uint32_t *address)
{
	*address = nat_ports_address(n, addr, zone);
	if (*address == PORTS_NONE)
		return -ENOSPC;
	return ports_take_this(n->ports, *address, port_proto_of(ip_proto), port, NULL, NULL) ? 0 : -EADDRINUSE;
}

/* The same for a port that nobody has. */
static int take_unused(struct nat *n, uint32_t addr, uint16_t zone, uint8_t ip_proto, uint32_t port, uint32_t *address)
{
	*address = nat_ports_address(n, addr, zone);
	if (*address == PORTS_NONE)
		return -ENOSPC;
	const struct portmap *m = ports_map(n->ports, *address, port_proto_of(ip_proto));

	if (m == NULL)
		return -ENOSPC;
	return portmap_unused(m, port) ? take_port(n, addr, zone, ip_proto, port, address) : -EADDRINUSE;
}

static int import_port(struct nat *n, uint32_t index, enum nat_origin origin, uint32_t id)
{
	const struct tuple *reply = &conntrack_conn(n->ct, index)->half[CT_REPLY].tuple;
	uint32_t port = nat_outside_port(reply), address;
	const struct port_set *set = origin == NAT_ORIGIN_POOL ? &n->pool[id].ports : &n->default_ports;
	struct tuple outside = { .dst = reply->dst,
				 .sport = reply->sport,
				 .dport = reply->dport,
				 .proto = reply->proto,
				 .zone = reply->zone };

	/* A mapping has its port to itself. */
	if (nat_mapping_of_outside(n, &outside) != NAT_NONE)
		return -EADDRINUSE;
	int r = take_port(n, reply->dst, reply->zone, reply->proto, port, &address);
	if (r != 0)
		return r;
	nat_overload_taken(n, index, reply, address, reply->proto == IPPROTO_NR_ICMP ? &n->identifiers : set);
	return nat_hold(n, index, nat_ref_of(NAT_HOLD_PORT, origin, id, address)) ? 0 : -ENOSPC;
}

static int make_mapping(struct nat *n, const struct nat_record_hold *h, uint8_t ip_proto, uint32_t pool,
			uint32_t *mapping)
{
	struct tuple inside = {
		.src = h->inside.v4, .sport = h->inside_port, .proto = ip_proto, .zone = h->inside_zone
	};
	struct nat_eim like = {
		.in_addr = h->inside.v4,
		.out_addr = h->outside.v4,
		.in_port = h->inside_port,
		.out_port = h->outside_port,
		.in_zone = h->inside_zone,
		.proto = ip_proto,
		.pool = (uint8_t)pool,
	};
	uint32_t out_ifindex = 0;
	int r = take_unused(n, like.out_addr, 0, ip_proto, like.out_port, &like.address);

	if (r != 0)
		return r;
	/* One that is gone is nobody's. */
	(void)find_interface(n, h->out_interface, &out_ifindex);
	like.out_ifindex = (uint8_t)out_ifindex;
	*mapping = NAT_NONE;
	if (n->workers.mapping == NULL || n->workers.mapping(n->workers.ctx, &inside, NAT_MAPPING_MADE))
		*mapping = nat_mapping_make(n, &like);
	if (*mapping == NAT_NONE)
		ports_give_back(n->ports, like.address, port_proto_of(ip_proto), like.out_port);
	return *mapping == NAT_NONE ? -ENOSPC : 0;
}

/* The mapping that the record names. */
static int find_mapping(struct nat *n, const struct nat_record_hold *h, uint8_t ip_proto, uint32_t pool,
			uint32_t *mapping)
{
	struct tuple inside = {
		.src = h->inside.v4, .sport = h->inside_port, .proto = ip_proto, .zone = h->inside_zone
	};

	if (h->inside.family != IP_FAMILY_V4 || h->outside.family != IP_FAMILY_V4 ||
	    port_proto_of(ip_proto) == PORT_PROTO_NONE)
		return -EINVAL;
	*mapping = nat_mapping_of_inside(n, &inside, pool);
	if (*mapping == NAT_NONE)
		return make_mapping(n, h, ip_proto, pool, mapping);
	const struct nat_eim *m = nat_mapping_at(n, *mapping);

	return m->out_addr == h->outside.v4 && m->out_port == h->outside_port ? 0 : -EADDRINUSE;
}

/* The connection's tuples are those of the mapping: nothing else is rewritten by it. */
static bool is_of(const struct conn *c, const struct nat_record_hold *h)
{
	const struct tuple *o = &c->half[CT_ORIGINAL].tuple, *r = &c->half[CT_REPLY].tuple;

	if (h->kind == NAT_RECORD_MAPPING)
		return o->src == h->inside.v4 && nat_inside_port(o) == h->inside_port && o->zone == h->inside_zone &&
		       r->dst == h->outside.v4 && nat_outside_port(r) == h->outside_port;
	return o->dst == h->outside.v4 && nat_outside_port(o) == h->outside_port && r->src == h->inside.v4;
}

static int import_mapping(struct nat *n, uint32_t index, const struct nat_record_hold *h, uint32_t pool)
{
	const struct tuple *reply = &conntrack_conn(n->ct, index)->half[CT_REPLY].tuple;
	bool inside = h->kind == NAT_RECORD_MAPPING;
	uint32_t mapping;

	if (!is_of(conntrack_conn(n->ct, index), h))
		return -EINVAL;
	int r = find_mapping(n, h, reply->proto, pool, &mapping);
	if (r != 0)
		return r;
	/* Held over the attempt, so that one made in vain goes away again. */
	nat_mapping_join(n, mapping);
	nat_mapping_join(n, mapping);
	if (inside)
		nat_pinhole_join(n, mapping, reply->src, 0);
	bool held = nat_hold(
		n, index, nat_ref_of(inside ? NAT_HOLD_MAPPING : NAT_HOLD_MAPPING_IN, NAT_ORIGIN_POOL, pool, mapping));

	nat_mapping_leave(n, mapping);
	return held ? 0 : -ENOSPC;
}

static int import_hold(struct nat *n, uint32_t index, const struct nat_record_hold *h)
{
	enum nat_origin origin;
	uint32_t id;
	int r = origin_of(n, h, &origin, &id);

	if (r != 0)
		return r;
	if (h->kind == NAT_RECORD_PORT)
		return import_port(n, index, origin, id);
	return origin == NAT_ORIGIN_POOL ? import_mapping(n, index, h, id) : -EINVAL;
}

static bool is_valid(const struct nat_record *r)
{
	uint8_t first = r->hold[0].kind, second = r->hold[1].kind;

	if (first > NAT_RECORD_MAPPING_IN)
		return false;
	/* Two, where it came in by one of them and has the other for its source. */
	return second == NAT_RECORD_NONE ||
	       (first == NAT_RECORD_MAPPING_IN && (second == NAT_RECORD_PORT || second == NAT_RECORD_MAPPING));
}

static int import_holds(struct nat *n, uint32_t index, const struct nat_record *r)
{
	for (uint32_t i = 0; i < NAT_RECORD_HOLDS_MAX && r->hold[i].kind != NAT_RECORD_NONE; i++) {
		int error = import_hold(n, index, &r->hold[i]);

		if (error != 0)
			return error;
	}
	return nat_still_allowed(n, index) ? 0 : -EADDRNOTAVAIL;
}

/* What was held of a record that is refused was never used outside, so no port of it is held down. */
static void give_back(struct nat *n, uint32_t index)
{
	struct conn *c = conntrack_conn(n->ct, index);

	if (!(c->status & CT_MAPPED))
		return;
	nat_release(n, c, index);
	conntrack_clear_mapped(n->ct, index);
}

int nat_import(struct nat *n, uint32_t index, const struct nat_record *r)
{
	if (!is_valid(r))
		return -EINVAL;
	n->hold_downs.is_off = true;
	int error = import_holds(n, index, r);

	if (error != 0)
		give_back(n, index);
	n->hold_downs.is_off = false;
	return error;
}
