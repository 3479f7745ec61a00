/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What one statement alone cannot know: names used twice, addresses that are in
 * two places, gateways that nobody can reach, and the rules as a whole (by
 * compiling them once and throwing the result away). Runs when the blocks of the
 * file could be read, so that a mistake in one place does not turn up as ten
 * others elsewhere.
 */
#include "daemon/config/config_priv.h"

#include <stdlib.h>
#include <string.h>

#define RULES_ERRORS_MAX 50
/* RFC 3021. */
#define SUBNET_WITHOUT_BROADCAST 31

static const struct config_interface *find_interface(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_interfaces; i++)
		if (strcmp(c->interface[i].ip.name, name) == 0)
			return &c->interface[i];
	return NULL;
}

static const char *nearest_interface(const struct config *c, const char *name)
{
	const char *words[IP_INTERFACES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < c->n_interfaces && n < ARRAY_LEN(words); i++)
		words[n++] = c->interface[i].ip.name;
	return config_nearest(name, strlen(name), words, n);
}

/* The same address twice, or the same prefix on two interfaces of one zone. */
static void check_two_addresses(struct parser *p, const struct config_interface *a, uint32_t i,
				const struct config_interface *b, uint32_t k)
{
	uint32_t x = a->ip.address[i].addr, y = b->ip.address[k].addr;
	uint8_t lx = a->ip.address[i].prefix_len, ly = b->ip.address[k].prefix_len;
	struct ip4_prefix net = { y & ip4_mask(ly), ly };
	char text[IP4_TEXT_MAX];

	if (a->zone != b->zone)
		return;
	if (x == y)
		config_err(p, &b->pos, "address %s is on interface \"%s\" already", ip4_format(x, text), a->ip.name);
	else if (a != b && lx == ly && ip4_in(x, net))
		config_err(p, &b->pos, "prefix %s is on interface \"%s\" already", ip4_prefix_format(net, text),
			   a->ip.name);
	else if (a != b && lx != ly && lx < SUBNET_WITHOUT_BROADCAST && ly < SUBNET_WITHOUT_BROADCAST &&
		 ((x ^ y) & ip4_mask(lx < ly ? lx : ly)) == 0)
		config_err(p, &b->pos,
			   "prefix %s and a prefix of interface \"%s\" lie one in the other: hosts of the larger "
			   "take those of the smaller for neighbours",
			   ip4_prefix_format(net, text), a->ip.name);
}

/* Who answers for an address takes it from whoever else has it on that link. */
static void check_answers(struct parser *p, const struct config_interface *f)
{
	const struct config *c = config_of(p);
	char text[IP4_TEXT_MAX];

	for (uint32_t n = 0; n < f->n_answers; n++) {
		const struct nat_address_range *a = &f->answer[n];

		for (uint32_t k = 0; k < f->ip.n_addresses; k++) {
			uint32_t mask = ip4_mask(f->ip.address[k].prefix_len), net = f->ip.address[k].addr & mask;

			if (f->ip.address[k].prefix_len < 32 && a->first <= net && a->last >= (net | ~mask))
				config_err(p, &f->pos,
					   "interface \"%s\" answers for all of %s: no host there could be reached",
					   f->ip.name,
					   ip4_prefix_format((struct ip4_prefix){ net, f->ip.address[k].prefix_len },
							     text));
		}
		for (size_t k = 0; k < c->n_routes; k++) {
			uint32_t gateway = c->route[k].route.nexthop.gateway.v4;

			if (c->route[k].route.nexthop.kind == FIB_UNICAST && gateway != 0 && a->first <= gateway &&
			    a->last >= gateway)
				config_err(p, &f->pos,
					   "interface \"%s\" answers for %s, the gateway of the route in line %u",
					   f->ip.name, ip4_format(gateway, text), c->route[k].pos.line);
		}
	}
}

static void check_interfaces(struct parser *p)
{
	const struct config *c = config_of(p);

	if (c->n_interfaces > IP_INTERFACES_MAX - 1) {
		config_err(p, &c->interface[IP_INTERFACES_MAX - 1].pos, "there can be %d interfaces at most",
			   IP_INTERFACES_MAX - 1);
		return;
	}
	for (size_t i = 0; i < c->n_interfaces; i++) {
		const struct config_interface *b = &c->interface[i];

		check_answers(p, b);
		for (size_t k = 0; k <= i; k++) {
			const struct config_interface *a = &c->interface[k];

			if (a != b && strcmp(a->ip.name, b->ip.name) == 0) {
				config_err(p, &b->pos, "interface \"%s\" has a block already, in line %u", b->ip.name,
					   a->pos.line);
				break;
			}
			for (uint32_t m = 0; m < a->ip.n_addresses; m++)
				for (uint32_t n = a == b ? m + 1 : 0; n < b->ip.n_addresses; n++)
					check_two_addresses(p, a, m, b, n);
		}
	}
}

/* True when addr lies on a prefix of interface i. *own: it is the interface's own address. */
static bool is_connected(const struct config_interface *i, uint32_t addr, bool *own)
{
	bool found = false;

	for (uint32_t k = 0; k < i->ip.n_addresses; k++) {
		struct ip4_prefix net = { i->ip.address[k].addr, i->ip.address[k].prefix_len };

		*own |= net.addr == addr;
		found |= ip4_in(addr, net);
	}
	return found;
}

/* Of a connected prefix, its first or last address: hardly a host has the first (*lowest), and none the last (RFC 1122
 * section 3.2.1.3; RFC 3021 excepts /31). */
static bool is_net_or_broadcast(const struct config *c, uint32_t addr, bool *lowest)
{
	for (size_t i = 0; i < c->n_interfaces; i++) {
		for (uint32_t k = 0; k < c->interface[i].ip.n_addresses; k++) {
			uint32_t mask = ip4_mask(c->interface[i].ip.address[k].prefix_len);
			uint32_t net = c->interface[i].ip.address[k].addr & mask;

			if (c->interface[i].ip.address[k].prefix_len >= SUBNET_WITHOUT_BROADCAST)
				continue;
			*lowest = addr == net;
			if (addr == net || addr == (net | ~mask))
				return true;
		}
	}
	return false;
}

/* Routes to a device: every address of theirs is a neighbour on that link. NULL without memory. */
static const struct config_route **device_routes(struct parser *p, size_t *n)
{
	const struct config *c = config_of(p);
	const struct config_route **r = calloc(c->n_routes + 1, sizeof(const struct config_route *));

	*n = 0;
	if (r == NULL)
		p->no_memory = true;
	for (size_t i = 0; r != NULL && i < c->n_routes; i++)
		if (c->route[i].route.nexthop.kind == FIB_UNICAST && c->route[i].route.nexthop.gateway.v4 == 0)
			r[(*n)++] = &c->route[i];
	return r;
}

/* Where gateways can be. */
struct neighbours {
	const struct config_route **route; /* to devices */
	size_t n_routes;
	const struct config_route
		*last; /* the one looked at before, and good: most routes share a gateway with others */
};

/* Where a route's gateway may be a neighbour: on the link that it names, else on those of its zone (or of zone 0). */
static bool is_neighbour_in(const struct config *c, const struct neighbours *nb, const struct config_route *r,
			    uint16_t zone, bool *own)
{
	uint32_t gateway = r->route.nexthop.gateway.v4;
	bool found = false;

	for (size_t i = 0; i < c->n_interfaces; i++) {
		const struct config_interface *f = &c->interface[i];

		if (r->device[0] != '\0' ? strcmp(r->device, f->ip.name) == 0 : f->zone == zone)
			found |= is_connected(f, gateway, own);
	}
	for (size_t i = 0; i < nb->n_routes && !found; i++)
		found = ip4_in(gateway, ip_prefix_to_v4(&nb->route[i]->route.prefix)) &&
			(r->device[0] != '\0' ? strcmp(r->device, nb->route[i]->device) == 0
					      : nb->route[i]->route.zone == zone);
	return found;
}

static bool is_neighbour(const struct config *c, const struct neighbours *nb, const struct config_route *r, bool *own)
{
	return is_neighbour_in(c, nb, r, r->route.zone, own) || r->route.onlink || is_neighbour_in(c, nb, r, 0, own);
}

static void check_gateway(struct parser *p, struct neighbours *nb, const struct config_route *r)
{
	uint32_t gateway = r->route.nexthop.gateway.v4;
	bool own = false, lowest = false;
	char text[IP4_TEXT_MAX];

	if (nb->last != NULL && nb->last->route.nexthop.gateway.v4 == gateway &&
	    nb->last->route.onlink == r->route.onlink && nb->last->route.recursive == r->route.recursive &&
	    nb->last->route.zone == r->route.zone && strcmp(nb->last->device, r->device) == 0)
		return;
	bool found = is_neighbour(config_of(p), nb, r, &own) || r->route.recursive;
	bool no_host = is_net_or_broadcast(config_of(p), gateway, &lowest);

	ip4_format(gateway, text);
	if (own)
		config_err(p, &r->pos, "the gateway %s is an address of ours", text);
	else if (!found && r->device[0] != '\0')
		config_err(p, &r->pos,
			   "the gateway %s is on no prefix of interface \"%s\"; if it is on that link all the same, "
			   "say onlink",
			   text, r->device);
	else if (!found)
		config_err(p, &r->pos, "the gateway %s is on no prefix of an interface", text);
	else if (no_host && !lowest && !r->route.recursive)
		config_err(p, &r->pos, "the gateway %s is the last address of its prefix: no host has it", text);
	else if (no_host && !r->route.onlink && !r->route.recursive)
		config_err(p, &r->pos,
			   "the gateway %s is the first address of its prefix: if a host has it, say `dev NAME onlink`",
			   text);
	else
		nb->last = r;
}

static int by_route(const void *a, const void *b)
{
	const struct config_route *x = *(const struct config_route *const *)a,
				  *y = *(const struct config_route *const *)b;
	const struct rib_route *r = &x->route, *s = &y->route;

	if (r->zone != s->zone)
		return r->zone < s->zone ? -1 : 1;
	if (!ip_prefix_equal(&r->prefix, &s->prefix))
		return ip_prefix_compare(&r->prefix, &s->prefix);
	if (r->metric != s->metric)
		return r->metric < s->metric ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* Two ways of one route by the same gateway: a weight says that better. */
static void check_path_twice(struct parser *p, const struct config_route **r, size_t i)
{
	char text[IP_TEXT_MAX];

	for (size_t k = i; k-- > 0 && r[k + 1]->goes_on;) {
		const struct fib_nexthop *a = &r[k]->route.nexthop, *b = &r[i]->route.nexthop;

		if (ip_addr_equal(&a->gateway, &b->gateway) && strcmp(r[k]->device, r[i]->device) == 0)
			config_err(p, &r[i]->pos, "this route goes by %s twice: give it a weight",
				   ip_addr_format(&b->gateway, text));
	}
}

/* Two routes to one prefix with one metric: which one is meant cannot be known. */
static void check_route_twice(struct parser *p)
{
	const struct config *c = config_of(p);
	const struct config_route **r = calloc(c->n_routes + 1, sizeof(const struct config_route *));
	char text[IP_TEXT_MAX];

	if (r == NULL) {
		p->no_memory = true;
		return;
	}
	for (size_t i = 0; i < c->n_routes; i++)
		r[i] = &c->route[i];
	if (c->n_routes > 1)
		qsort(r, c->n_routes, sizeof(const struct config_route *), by_route);
	for (size_t i = 1; i < c->n_routes; i++) {
		const struct rib_route *a = &r[i - 1]->route, *b = &r[i]->route;

		if (r[i]->goes_on)
			check_path_twice(p, r, i);
		else if (a->zone == b->zone && ip_prefix_equal(&a->prefix, &b->prefix) && a->metric == b->metric)
			config_err(p, &r[i]->pos, "a route to %s with metric %u is there already, in line %u",
				   ip_prefix_format(&a->prefix, text), a->metric, r[i - 1]->pos.line);
	}
	free(r);
}

bool config_has_zone(const struct config *c, uint16_t zone)
{
	for (size_t i = 0; i < c->n_interfaces; i++) {
		if (c->interface[i].zone == zone)
			return true;
	}
	return zone == 0;
}

static void check_routes(struct parser *p)
{
	const struct config *c = config_of(p);
	struct neighbours nb = { 0 };
	const char *near;

	nb.route = device_routes(p, &nb.n_routes);
	for (size_t i = 0; i < c->n_routes; i++) {
		const struct config_route *r = &c->route[i];

		if (r->device[0] != '\0' && find_interface(c, r->device) == NULL) {
			near = nearest_interface(c, r->device);
			config_err(p, &r->pos, "no interface block is called \"%s\"%s%s%s", r->device,
				   near != NULL ? "; did you mean \"" : "", near != NULL ? near : "",
				   near != NULL ? "\"?" : "");
		} else if (!config_has_zone(c, r->route.zone)) {
			config_err(p, &r->pos, "no interface is in zone %u: nothing would be routed by this",
				   r->route.zone);
		} else if (r->route.nexthop.kind == FIB_UNICAST && r->route.nexthop.gateway.v4 != 0) {
			check_gateway(p, &nb, r);
		}
	}
	free(nb.route);
	check_route_twice(p);
}

static void check_two_pools(struct parser *p, uint32_t a, uint32_t b)
{
	const struct nat_pool_config *x = &config_of(p)->nat.pool[a], *y = &config_of(p)->nat.pool[b];
	char text[IP4_TEXT_MAX];

	if (a != b && strcmp(x->name, y->name) == 0) {
		config_err(p, &config_parser_of(p)->pool_pos[b], "pool \"%s\" has a block already, in line %u", y->name,
			   config_parser_of(p)->pool_pos[a].line);
		return;
	}
	for (uint32_t i = 0; i < x->n_ranges; i++) {
		for (uint32_t k = a == b ? i + 1 : 0; k < y->n_ranges; k++) {
			if (x->range[i].first > y->range[k].last || y->range[k].first > x->range[i].last)
				continue;
			ip4_format(max_u32(x->range[i].first, y->range[k].first), text);
			if (a == b)
				config_err(p, &config_parser_of(p)->pool_pos[b], "pool \"%s\" holds %s twice", x->name,
					   text);
			else
				config_err(p, &config_parser_of(p)->pool_pos[b],
					   "pool \"%s\" holds %s, which is in pool \"%s\" already", y->name, text,
					   x->name);
			return;
		}
	}
}

static bool pool_has(const struct nat_pool_config *pool, uint32_t addr)
{
	for (uint32_t i = 0; i < pool->n_ranges; i++)
		if (pool->range[i].first <= addr && addr <= pool->range[i].last)
			return true;
	return false;
}

/* An interface's broadcast address can be nobody's source: the pool does without it. False after an error. */
static bool pool_leave_out(struct parser *p, uint32_t i, uint32_t addr)
{
	struct nat_pool_config *pool = &config_of(p)->nat.pool[i];
	char text[IP4_TEXT_MAX];
	uint32_t k = 0;

	while (pool->range[k].first > addr || pool->range[k].last < addr)
		k++;
	struct nat_address_range *r = &pool->range[k], whole = *r;

	if (whole.first == whole.last) {
		*r = pool->range[--pool->n_ranges];
	} else if (whole.first == addr) {
		r->first = addr + 1;
	} else {
		r->last = addr - 1;
		if (whole.last != addr) {
			if (pool->n_ranges == NAT_POOL_RANGES_MAX) {
				config_err(p, &config_parser_of(p)->pool_pos[i],
					   "pool \"%s\" holds %s, the broadcast address of a link", pool->name,
					   ip4_format(addr, text));
				return false;
			}
			pool->range[pool->n_ranges++] = (struct nat_address_range){ addr + 1, whole.last };
		}
	}
	config_note(p, &config_parser_of(p)->pool_pos[i],
		    "pool \"%s\" holds %s, the broadcast address of a link: it is left out%s", pool->name,
		    ip4_format(addr, text), pool->n_ranges == 0 ? ", and nothing is left" : "");
	return true;
}

/* We answer ARP for a pool's addresses on a link of ours: they must be nobody else's. */
static void check_pool_addresses(struct parser *p, uint32_t i)
{
	const struct nat_pool_config *pool = &config_of(p)->nat.pool[i];
	const struct config *c = config_of(p);
	char text[IP4_TEXT_MAX];

	for (size_t k = 0; k < c->n_routes; k++) {
		const struct fib_nexthop *nh = &c->route[k].route.nexthop;

		if (nh->kind != FIB_UNICAST || nh->gateway.v4 == 0 || !pool_has(pool, nh->gateway.v4))
			continue;
		config_err(p, &config_parser_of(p)->pool_pos[i],
			   "pool \"%s\" holds %s, the gateway of the route in line %u", pool->name,
			   ip4_format(nh->gateway.v4, text), c->route[k].pos.line);
		return;
	}
	for (size_t k = 0; k < c->n_interfaces; k++) {
		for (uint32_t m = 0; m < c->interface[k].ip.n_addresses; m++) {
			uint8_t len = c->interface[k].ip.address[m].prefix_len;
			uint32_t last = c->interface[k].ip.address[m].addr | ~ip4_mask(len);

			if (len < SUBNET_WITHOUT_BROADCAST && pool_has(pool, last) && !pool_leave_out(p, i, last))
				return;
		}
	}
}

static void check_pools(struct parser *p)
{
	for (uint32_t b = 0; b < config_of(p)->nat.n_pools; b++) {
		for (uint32_t a = 0; a <= b; a++)
			check_two_pools(p, a, b);
		check_pool_addresses(p, b);
	}
}

#define NAMES_MAX 32

/* Names that a note was made of. */
struct noted {
	size_t n;
	const char *name[NAMES_MAX];
};

static bool is_noted(const struct noted *noted, const char *name)
{
	for (size_t i = 0; i < noted->n; i++)
		if (strcmp(noted->name[i], name) == 0)
			return true;
	return noted->n == NAMES_MAX;
}

/* A name in a rule that no block has: the rule is good, but never speaks. */
static void check_names(struct parser *p, const struct rule_stmt *s, struct noted *noted)
{
	const char *near;

	for (size_t i = 0; i < s->match.n_names; i++) {
		const char *name = s->match.name[i].name;

		if (s->match.name[i].wildcard || strcmp(name, "lo") == 0 ||
		    find_interface(config_of(p), name) != NULL || is_noted(noted, name))
			continue;
		noted->name[noted->n++] = name;
		near = nearest_interface(config_of(p), name);
		config_note(p, &s->pos, "no interface block is called \"%s\"%s%s%s", name,
			    near != NULL ? "; did you mean \"" : "", near != NULL ? near : "",
			    near != NULL ? "\"?" : "");
	}
}

static void check_rule_names(struct parser *p)
{
	const struct rule_ast *ast = &config_of(p)->rules;
	struct noted noted = { 0 };

	if (config_of(p)->n_interfaces == 0) /* rules alone, to be included elsewhere */
		return;
	for (size_t t = 0; t < ast->n_tables; t++)
		for (size_t c = 0; c < ast->table[t].n_chains; c++)
			for (size_t r = 0; r < ast->table[t].chain[c].n_rules; r++)
				for (size_t s = 0; s < ast->table[t].chain[c].rule[r].n_stmts; s++)
					check_names(p, &ast->table[t].chain[c].rule[r].stmt[s], &noted);
}

static void check_rules(struct parser *p)
{
	struct rules_error *errors = calloc(RULES_ERRORS_MAX, sizeof(*errors));
	size_t n = 0;

	if (errors == NULL) {
		p->no_memory = true;
		return;
	}
	ruleset_destroy(rules_compile(&config_of(p)->rules, &config_of(p)->nat, errors, RULES_ERRORS_MAX, &n));
	for (size_t i = 0; i < n; i++)
		config_err(p, &errors[i].pos, "%s", errors[i].text);
	free(errors);
}

void config_check(struct parser *p)
{
	check_interfaces(p);
	check_routes(p);
	check_pools(p);
	check_rules(p);
	config_check_log(p);
	config_check_host(p);
	config_check_kernel(p);
	config_check_bgp(p);
	if (config_n_errors(*p->errors) == 0) {
		check_rule_names(p);
		config_check_held(p);
		config_check_reach(p);
	}
}
