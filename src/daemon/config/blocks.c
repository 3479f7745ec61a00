/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Our own blocks of the language: interface, route and icmp. Pools are in
 * pool.c, sizes and timeouts in limits.c. What one statement alone
 * cannot know (does the gateway of this route lie on a connected prefix?) is
 * left to check.c, so the order of blocks in a file does not matter.
 */
#include "daemon/config/config_priv.h"

#include <string.h>

#include "base/text.h"

/* Networks of two addresses have neither a network nor a broadcast address (RFC 3021). */
#define SUBNET_WITHOUT_BROADCAST 31

static bool host_address(struct parser *p, const struct token *from, uint32_t addr, uint8_t len)
{
	struct text_pos pos = config_span(p, from);
	uint32_t host = addr & ~ip4_mask(len);
	const char *what = NULL;

	if (!ip4_is_unicast(addr))
		what = "this address cannot be an interface's: it is no unicast host address";
	else if (len < SUBNET_WITHOUT_BROADCAST && host == 0)
		what = "this is the address of the network itself; an interface needs one of its hosts'";
	else if (len < SUBNET_WITHOUT_BROADCAST && host == ~ip4_mask(len))
		what = "this is the broadcast address of the network; an interface needs one of its hosts'";
	if (what != NULL)
		config_err(p, &pos, "%s", what);
	return what == NULL;
}

static bool interface_address(struct parser *p, struct config_interface *i)
{
	do {
		struct token from;
		uint32_t addr, n = i->ip.n_addresses;
		uint8_t len;

		config_skip_newlines(p);
		from = *config_peek(p);
		if (!config_prefix(p, &addr, &len))
			return false;
		if (p->last.kind == TOK_ADDRESS) {
			config_err(p, &from.pos, "an interface's address needs its prefix length, as in 10.0.0.1/24");
			return false;
		}
		if (!host_address(p, &from, addr, len))
			return false;
		if (n == IP_ADDRESSES_MAX) {
			config_err(p, &from.pos, "an interface can have %d addresses at most", IP_ADDRESSES_MAX);
			return false;
		}
		i->ip.address[n].addr = addr;
		i->ip.address[n].prefix_len = len;
		i->ip.n_addresses++;
	} while (config_accept(p, TOK_COMMA));
	return true;
}

/* answer for A[, B-C, D/L ...]; */
static bool interface_answers(struct parser *p, struct config_interface *i)
{
	if (!config_expect_word(p, "for"))
		return false;
	do {
		struct token from;

		config_skip_newlines(p);
		from = *config_peek(p);
		if (i->n_answers == CONFIG_ANSWERS_MAX) {
			config_err(p, &from.pos, "an interface can answer for %d ranges at most", CONFIG_ANSWERS_MAX);
			return false;
		}
		if (!config_address_range(p, &i->answer[i->n_answers].first, &i->answer[i->n_answers].last))
			return false;
		i->n_answers++;
	} while (config_accept(p, TOK_COMMA));
	return true;
}

/* The only list of them: `run` has a row for each (daemon/run/drivers.c). */
const char *const config_driver_names[N_CONFIG_DRIVERS] = {
	[DRIVER_AUTO] = "auto",
	[DRIVER_XDP] = "xdp",
	[DRIVER_XDP_GENERIC] = "xdp_generic",
	[DRIVER_TC] = "tc",
	[DRIVER_AF_PACKET] = "af_packet",
	[DRIVER_TAP] = "tap",
};

static bool interface_driver(struct parser *p, struct config_interface *i)
{
	char what[128];
	struct text t = text_of(what, sizeof(what));
	struct token word = *config_peek(p);

	for (enum config_driver k = 0; k < N_CONFIG_DRIVERS; k++) {
		if (config_accept_word(p, config_driver_names[k])) {
			i->driver = k;
			return true;
		}
		text_add(&t, "%s%s", k == 0 ? "a driver (" : ", ", config_driver_names[k]);
	}
	text_add(&t, ")");
	return config_unknown(p, &word, what, config_driver_names, N_CONFIG_DRIVERS);
}

static bool interface_rpf(struct parser *p, struct config_interface *i)
{
	static const char *const words[] = {
		[IP_RPF_STRICT] = "strict", [IP_RPF_LOOSE] = "loose", [IP_RPF_OFF] = "off"
	};
	struct token t = *config_peek(p);

	for (size_t k = 0; k < ARRAY_LEN(words); k++) {
		if (config_accept_word(p, words[k])) {
			i->ip.rpf = (uint8_t)k;
			return true;
		}
	}
	return config_unknown(p, &t, "strict, loose or off", words, ARRAY_LEN(words));
}

static bool interface_statement(struct parser *p, void *ctx)
{
	static const char *const words[] = { "address",   "answer", "mtu",  "directed", "driver",
					     "redirects", "rpf",    "take", "zone" };
	struct config_interface *i = ctx;
	struct token t = *config_peek(p);
	uint32_t n;

	if (config_accept_word(p, "address")) {
		if (!interface_address(p, i))
			return false;
	} else if (config_accept_word(p, "answer")) {
		if (!interface_answers(p, i))
			return false;
	} else if (config_accept_word(p, "mtu")) {
		config_once_here(p, &i->ip.mtu, &t);
		if (!config_number(p, IPV4_MIN_MTU, UINT16_MAX, "an MTU", &i->ip.mtu))
			return false;
	} else if (config_accept_word(p, "driver")) {
		config_once_here(p, &i->driver, &t);
		if (!interface_driver(p, i))
			return false;
	} else if (config_accept_word(p, "rpf")) {
		config_once_here(p, &i->ip.rpf, &t);
		if (!interface_rpf(p, i))
			return false;
	} else if (config_accept_word(p, "directed")) {
		config_once_here(p, &i->ip.directed_broadcast, &t);
		if (!config_expect_word(p, "broadcast") || !config_yes_no(p, &i->ip.directed_broadcast))
			return false;
	} else if (config_accept_word(p, "redirects")) {
		config_once_here(p, &i->ip.redirects, &t);
		if (!config_yes_no(p, &i->ip.redirects))
			return false;
	} else if (config_accept_word(p, "take")) {
		config_once_here(p, &i->take_over, &t);
		if (!config_expect_word(p, "over") || !config_yes_no(p, &i->take_over))
			return false;
	} else if (config_accept_word(p, "zone")) {
		config_once_here(p, &i->zone, &t);
		if (!config_number(p, 0, UINT16_MAX, "a zone", &n))
			return false;
		i->zone = (uint16_t)n;
	} else {
		return config_unknown(
			p, &t,
			"address, answer for, mtu, directed broadcast, driver, redirects, rpf, take over or zone",
			words, ARRAY_LEN(words));
	}
	return config_end(p);
}

bool config_interface(struct parser *p)
{
	struct config_interface i = { .pos = config_peek(p)->pos, .driver = DRIVER_AUTO }, *bigger;

	if (!config_name(p, i.ip.name, sizeof(i.ip.name), "an interface's name"))
		return false;
	if (strpbrk(i.ip.name, "/ \t") != NULL || strcmp(i.ip.name, ".") == 0 || strcmp(i.ip.name, "..") == 0) {
		config_err(p, &i.pos, "\"%s\" cannot be the name of a network device", i.ip.name);
		return false;
	}
	config_once_begin(p);
	if (!config_block(p, interface_statement, &i))
		return false;
	bigger = config_grow(p, config_of(p)->interface, config_of(p)->n_interfaces, sizeof(i));
	if (bigger == NULL)
		return false;
	config_of(p)->interface = bigger;
	bigger[config_of(p)->n_interfaces++] = i;
	return true;
}

/* A route as it is read: with several gateways, a path each. What is said of the route is said in the first. */
struct route_paths {
	uint32_t n;
	struct config_route path[FIB_PATHS_MAX];
	struct text_pos onlink[FIB_PATHS_MAX]; /* line 0: not said */
};

/* Behind any via: a host, since what goes by it is sent to its Ethernet address. */
static bool route_gateway(struct parser *p, struct ip_addr *out)
{
	struct token t = *config_peek(p);
	char text[IP4_TEXT_MAX];
	uint32_t v4;

	if (!config_address(p, &v4))
		return false;
	if (!ip4_is_unicast(v4)) {
		config_err(p, &t.pos, "a gateway is a host, and none has the address %s", ip4_format(v4, text));
		return false;
	}
	*out = ip_addr_v4(v4);
	return true;
}

/* Behind `via`. */
static bool another_path(struct parser *p, struct route_paths *r, const struct token *at)
{
	if (r->path[0].route.nexthop.gateway.v4 == 0) {
		config_err(p, &at->pos, "only a route that begins with via can have one more way");
		return false;
	}
	if (r->n == FIB_PATHS_MAX) {
		config_err(p, &at->pos, "a route has at most %u ways", FIB_PATHS_MAX);
		return false;
	}
	r->path[r->n] = r->path[0];
	r->path[r->n].device[0] = '\0';
	r->path[r->n].route.onlink = false;
	r->path[r->n].weight = 1;
	r->path[r->n].goes_on = true;
	r->n++;
	return route_gateway(p, &r->path[r->n - 1].route.nexthop.gateway);
}

/* What is said of the last path. 1: it was; 0: it is another word; -1: an error. */
static int path_option(struct parser *p, struct route_paths *r)
{
	struct config_route *path = &r->path[r->n - 1];
	struct token t = *config_peek(p);

	if (config_accept_word(p, "via"))
		return another_path(p, r, &t) ? 1 : -1;
	if (config_accept_word(p, "dev")) {
		config_once_here(p, path->device, &t);
		return config_name(p, path->device, sizeof(path->device), "an interface's name") ? 1 : -1;
	}
	if (config_accept_word(p, "weight")) {
		config_once_here(p, &path->weight, &t);
		return config_number(p, 1, 256, "a weight", &path->weight) ? 1 : -1;
	}
	if (!config_accept_word(p, "onlink"))
		return 0;
	path->route.onlink = true;
	r->onlink[r->n - 1] = t.pos;
	return 1;
}

/* The same of the route. */
static int route_option(struct parser *p, struct rib_route *route)
{
	struct token t = *config_peek(p);
	uint32_t n;

	if (config_accept_word(p, "metric")) {
		config_once_here(p, &route->metric, &t);
		return config_number(p, 0, UINT32_MAX, "a metric", &route->metric) ? 1 : -1;
	}
	if (config_accept_word(p, "zone")) {
		config_once_here(p, &route->zone, &t);
		if (!config_number(p, 0, UINT16_MAX, "a zone", &n))
			return -1;
		route->zone = (uint16_t)n;
		return 1;
	}
	if (!config_accept_word(p, "recursive"))
		return 0;
	route->recursive = true;
	if (!config_accept_word(p, "over"))
		return 1;
	route->over_default = true;
	return config_expect_word(p, "default") ? 1 : -1;
}

static bool check_options(struct parser *p, const struct route_paths *r, const struct token *from)
{
	for (uint32_t i = 0; i < r->n; i++) {
		const struct config_route *c = &r->path[i];

		if (c->route.onlink && (c->route.nexthop.gateway.v4 == 0 || c->device[0] == '\0')) {
			config_err(p, &r->onlink[i],
				   "onlink says that a gateway is a neighbour on a link: it needs via and dev");
			return false;
		}
		if (r->path[0].route.recursive && (c->route.nexthop.gateway.v4 == 0 || c->device[0] != '\0')) {
			config_err(p, &from->pos,
				   "recursive says that a gateway is looked for by other routes: it needs via, and no "
				   "dev");
			return false;
		}
	}
	return true;
}

static bool route_options(struct parser *p, struct route_paths *r, const struct token *from)
{
	static const char *const words[] = { "via", "dev", "weight", "metric", "zone", "onlink", "recursive" };

	while (!config_at_end(p)) {
		struct token t = *config_peek(p);
		int found = path_option(p, r);

		if (found == 0)
			found = route_option(p, &r->path[0].route);
		if (found < 0)
			return false;
		if (found == 0)
			return config_unknown(
				p, &t, "via, dev, weight, metric, zone, onlink, recursive or the end of the route",
				words, ARRAY_LEN(words));
	}
	return check_options(p, r, from);
}

static const struct {
	const char *word;
	enum fib_kind kind;
} route_kinds[] = {
	{ "blackhole", FIB_BLACKHOLE },
	{ "unreachable", FIB_UNREACHABLE },
	{ "prohibit", FIB_PROHIBIT },
};

static bool route_target(struct parser *p, struct config_route *r)
{
	static const char *const words[] = { "via", "dev", "blackhole", "unreachable", "prohibit" };
	struct token t = *config_peek(p);

	r->route.nexthop.kind = FIB_UNICAST;
	if (config_accept_word(p, "via"))
		return route_gateway(p, &r->route.nexthop.gateway);
	if (token_is(&t, "dev"))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(route_kinds); i++) {
		if (config_accept_word(p, route_kinds[i].word)) {
			r->route.nexthop.kind = (uint8_t)route_kinds[i].kind;
			return true;
		}
	}
	return config_unknown(p, &t, "via, dev, blackhole, unreachable or prohibit", words, ARRAY_LEN(words));
}

static bool add_path(struct parser *p, const struct config_route *path)
{
	struct config_route *bigger = config_grow(p, config_of(p)->route, config_of(p)->n_routes, sizeof(*path));

	if (bigger == NULL)
		return false;
	config_of(p)->route = bigger;
	bigger[config_of(p)->n_routes++] = *path;
	return true;
}

bool config_route(struct parser *p)
{
	struct route_paths r = { .n = 1 };
	struct rib_route *all = &r.path[0].route;
	struct token from = *config_peek(p);
	struct ip4_prefix to;

	config_once_begin(p);
	r.path[0] = (struct config_route){ .route = { .source = RIB_STATIC, .distance = 1 }, .weight = 1 };
	if (!config_prefix_strict(p, &to) || !route_target(p, &r.path[0]) || !route_options(p, &r, &from))
		return false;
	all->prefix = ip_prefix_v4(to.addr, to.len);
	/* One route with each metric: see check.c. */
	all->instance = all->metric;
	r.path[0].pos = config_span(p, &from);
	for (uint32_t i = 0; i < r.n; i++) {
		struct rib_route own = r.path[i].route;

		r.path[i].route = *all;
		r.path[i].route.nexthop.gateway = own.nexthop.gateway;
		r.path[i].route.onlink = own.onlink;
		r.path[i].pos = r.path[0].pos;
		if (!add_path(p, &r.path[i]))
			return false;
	}
	return config_end(p);
}

bool config_route_name(struct parser *p, struct rib_route *out)
{
	static const char *const words[] = { "metric", "zone" };
	struct ip4_prefix to;

	config_once_begin(p);
	*out = (struct rib_route){ 0 };
	if (!config_prefix_strict(p, &to))
		return false;
	while (!config_at_end(p)) {
		struct token t = *config_peek(p);
		int found = token_is(&t, "recursive") ? 0 : route_option(p, out);

		if (found == 0)
			return config_unknown(p, &t, "metric, zone or the end: a route is known by these", words,
					      ARRAY_LEN(words));
		if (found < 0)
			return false;
	}
	out->prefix = ip_prefix_v4(to.addr, to.len);
	out->instance = out->metric;
	return config_end(p);
}

/* "N" or "N/second". */
static bool per_second(struct parser *p, uint32_t *out)
{
	if (!config_number(p, 1, 1000000, "a rate", out))
		return false;
	return !config_accept(p, TOK_SLASH) || config_expect_word(p, "second");
}

static bool icmp_statement(struct parser *p, void *ctx)
{
	static const char *const words[] = { "rate" };
	struct token t = *config_peek(p);
	uint32_t *out = &config_of(p)->icmp_rate_per_s;

	if (!config_accept_word(p, "rate"))
		return config_unknown(p, &t, "rate, rate per destination or rate path mtu", words, ARRAY_LEN(words));
	if (config_accept_word(p, "per")) {
		if (!config_expect_word(p, "destination"))
			return false;
		out = &config_of(p)->icmp_rate_per_dest_s;
	} else if (config_accept_word(p, "path")) {
		if (!config_expect_word(p, "mtu"))
			return false;
		out = &config_of(p)->icmp_rate_path_mtu_s;
	}
	config_once_at_all(p, out, &t);
	return per_second(p, out) && config_end(p);
}

bool config_icmp(struct parser *p)
{
	return config_block(p, icmp_statement, NULL);
}

/* workers N; */
bool config_workers(struct parser *p)
{
	config_once_at_all(p, &config_of(p)->n_workers, &p->last);
	return config_number(p, 1, 64, "the number of workers", &config_of(p)->n_workers) && config_end(p);
}
