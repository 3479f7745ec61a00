/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan route`: the routes, as `ip route` shows them; and changes of them
 * (cmd_route_change.c).
 */
#include "daemon/control/commands/cmd_route.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/util.h"

#define SLICE 256
#define PREPARE 8192 /* prefixes that are put in order at a time: less than a millisecond */

static const struct out_column route_columns[] = {
	{ "dst", NULL, OUT_PREFIX },  { "type", NULL, OUT_TEXT },       { "gateway", NULL, OUT_IP4 },
	{ "dev", NULL, OUT_TEXT },    { "source", NULL, OUT_TEXT },     { "prefsrc", NULL, OUT_IP4 },
	{ "metric", NULL, OUT_U64 },  { "distance", NULL, OUT_U64 },    { "active", NULL, OUT_YES_NO },
	{ "zone", NULL, OUT_U64 },    { "linkdown", NULL, OUT_YES_NO }, { "nexthops", NULL, OUT_TEXT },
	{ "dead", NULL, OUT_YES_NO },
};

static const char *const route_types[] = {
	[FIB_NONE] = "none",
	[FIB_UNICAST] = "unicast",
	[FIB_LOCAL] = "local",
	[FIB_BROADCAST] = "broadcast",
	[FIB_TRANSLATED] = "translated",
	[FIB_BLACKHOLE] = "blackhole",
	[FIB_UNREACHABLE] = "unreachable",
	[FIB_PROHIBIT] = "prohibit",
};

/* As `ip route` prints it; the word behind `proto` is the source. */
static void route_line(const struct out_value *row, char *buf, size_t len)
{
	char addr[IP4_TEXT_MAX], prefix[IP4_TEXT_MAX];
	struct text t = text_of(buf, len);

	if (strcmp(row[1].text, "unicast") != 0)
		text_add(&t, "%s ", row[1].text);
	if (row[0].prefix.len == 0)
		text_add(&t, "default");
	else if (row[0].prefix.len == 32)
		text_add(&t, "%s", ip4_format(row[0].prefix.addr, addr));
	else
		text_add(&t, "%s", ip4_prefix_format(row[0].prefix, prefix));
	if (!row[2].absent)
		text_add(&t, " via %s", ip4_format(row[2].ip4, addr));
	if (!row[3].absent)
		text_add(&t, " dev %s", row[3].text);
	text_add(&t, " proto %s", row[4].text);
	if (row[2].absent && !row[3].absent && strcmp(row[1].text, "unicast") == 0)
		text_add(&t, " scope link");
	if (!row[5].absent)
		text_add(&t, " src %s", ip4_format(row[5].ip4, addr));
	if (row[6].u64 != 0)
		text_add(&t, " metric %llu", (unsigned long long)row[6].u64);
	if (row[9].u64 != 0)
		text_add(&t, " zone %llu", (unsigned long long)row[9].u64);
	if (row[10].yes)
		text_add(&t, " linkdown");
	if (row[12].yes)
		text_add(&t, " dead");
	if (!row[8].yes)
		text_add(&t, " inactive");
	for (const char *at = row[11].absent ? NULL : row[11].text; at != NULL;) {
		size_t n = strcspn(at, ",");

		text_add(&t, "\n\tnexthop %.*s", (int)n, at);
		at = at[n] == ',' ? at + n + 2 : NULL;
	}
}

static const struct out_table route_table = { "route", route_columns, ARRAY_LEN(route_columns), route_line };

/* Of several: each as `ip route` has it, between commas. */
static struct out_value next_hops(const struct command_call *c, const struct rib_info *info, char *buf, size_t len)
{
	struct text t = text_of(buf, len);
	char addr[IP_TEXT_MAX];

	if (info->n_ways == 0)
		return OUT_ABSENT;
	for (uint32_t i = 0; i < info->n_ways; i++) {
		const struct fib_nexthop *nh = &info->way[i].nexthop;

		text_add(&t, "%svia %s dev %s weight %u", i > 0 ? ", " : "", ip_addr_format(&nh->gateway, addr),
			 target_ifname(c->target, nh->ifindex), info->way[i].weight);
	}
	return OUT_T(buf);
}

static void route_row(struct command_call *c, const struct rib_info *info)
{
	char ways[FIB_PATHS_MAX * 80];
	bool several = info->n_ways > 0;

	const struct rib_route *r = &info->route;
	const struct fib_nexthop *nh = &r->nexthop;

	output_row(&c->output,
		   (struct out_value[]){
			   OUT_P(ip_prefix_to_v4(&r->prefix)),
			   OUT_T(nh->kind < ARRAY_LEN(route_types) ? route_types[nh->kind] : "?"),
			   nh->gateway.v4 != 0 && !several ? OUT_A(nh->gateway.v4) : OUT_ABSENT,
			   nh->ifindex != 0 && !several ? OUT_T(target_ifname(c->target, nh->ifindex)) : OUT_ABSENT,
			   OUT_T(rib_source_names[r->source]),
			   nh->source.v4 != 0 && !several ? OUT_A(nh->source.v4) : OUT_ABSENT,
			   OUT_U(r->metric),
			   OUT_U(r->distance),
			   OUT_Y(info->active),
			   OUT_U(r->zone),
			   OUT_Y(info->link_down),
			   next_hops(c, info, ways, sizeof(ways)),
			   OUT_Y(info->dead),
		   });
}

static void route_rows(struct command_call *c, uint64_t prefix)
{
	const struct rib *rib = c->target->rib(c->target->ctx);
	struct rib_info info;

	for (uint32_t k = 0; rib_route_of(rib, prefix, k, &info); k++) {
		if (info.route.source != RIB_LOCAL || args_has(&c->args, "all"))
			route_row(c, &info);
	}
}

/* First all prefixes are put in order, a million in a few hundred steps between which others are served. Then routes
 * beyond a slice come when the reader has taken the last one; each prefix as it is by then. */
static int route_more(struct command_call *c)
{
	struct route_state *s = c->state;
	size_t end = s->i + SLICE, n;

	if (!s->is_ready) {
		int rc = rib_list_work(s->list, c->target->rib(c->target->ctx), PREPARE);

		if (rc < 0) {
			command_error(c, "route: there is no memory to list the routes\n");
			return EXIT_FAILED;
		}
		s->is_ready = rc == 0;
		return COMMAND_MORE;
	}
	const uint64_t *prefix = rib_list_prefixes(s->list, &n);

	for (; s->i < n && s->i < end; s->i++)
		route_rows(c, prefix[s->i]);
	return s->i < n ? COMMAND_MORE : cmd_table_done(c);
}

int cmd_route_show(struct command_call *c, const struct rib_route *route)
{
	const struct rib *rib = c->target->rib(c->target->ctx);
	struct rib_info info;

	cmd_table_start(c, &route_table);
	for (uint32_t k = 0; rib_route_of(rib, rib_prefix_name(route), k, &info); k++)
		if (info.route.source == route->source && info.route.instance == route->instance)
			route_row(c, &info);
	return cmd_table_done(c);
}

static int route_start(struct command_call *c)
{
	struct route_state *s = c->state;

	if (c->args.n_words > 0 || args_has(&c->args, "batch"))
		return cmd_route_change(c);
	if (args_has(&c->args, "force")) {
		command_error(c, "route: --force belongs to --batch FILE\n");
		return EXIT_USAGE;
	}
	s->list = rib_list_begin();
	if (s->list == NULL) {
		command_error(c, "route: there is no memory to list the routes\n");
		return EXIT_FAILED;
	}
	cmd_table_start(c, &route_table);
	return COMMAND_MORE;
}

static void route_end(struct command_call *c)
{
	struct route_state *s = c->state;

	rib_list_end(s->list);
	route_text_destroy(s->text);
}

static const struct arg_option route_options[] = {
	{ 'a', "all", NULL, "also our own addresses and broadcast addresses" },
	{ 'b', "batch", "FILE", "changes, one a line (- is standard input); ends with the first that is refused" },
	{ 0, "force", NULL, "with --batch: goes on behind a change that is refused" },
	OPTION_JSON,
	OPTION_SOCKET,
	{ 0 },
};

const struct command cmd_route = {
	.info = {
		.name = "route",
		.synopsis = "[-a] [-j]  |  add|replace|del ROUTE  |  down|up ADDRESS [dev NAME]  |  --batch FILE [--force]",
		.help = "the routes, where each comes from, and which are in use; and changes of them",
		.options = route_options,
		.more = "ROUTE is what stands in the config behind the word `route`; for del, PREFIX [metric N] [zone N].\n"
			"A route that is added is in force at once, and its row is shown. Its source is `runtime`: reloads\n"
			"keep it, a new start does not. Of the same metric it goes before the config's. `add` refuses one that\n"
			"is there already, with this prefix, metric and zone; `replace` changes it. Flows whose route has\n"
			"changed follow within seconds, and no others notice.\n\n"
			"`down` takes a neighbour out of use as a next hop until it is `up`: its routes are `dead`, and all that\n"
			"went by it goes the second best way with the next packet, however much that is.\n\n"
			"A line of FILE is a change (`add 10.9.0.0/16 via 203.0.113.9`), empty, or a comment (#). They are\n"
			"in force as they are read, many at a time.",
		.example = "  yangguan route\n  default via 203.0.113.254 dev wan0 proto static\n"
			   "  10.77.0.0/24 dev lan0 proto connected scope link src 10.77.0.1\n"
			   "  yangguan route add 10.9.0.0/16 via 203.0.113.9\n"
			   "  yangguan route replace 0.0.0.0/0 via 198.51.100.254 dev wan1\n"
			   "  yangguan route del 10.9.0.0/16",
	},
	.input_option = "batch",
	.state_bytes = sizeof(struct route_state),
	.start = route_start,
	.more = route_more,
	.line = cmd_route_line,
	.end = route_end,
};
