/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Changes of routes in a running gateway: one by the words of a command, or many by
 * the lines of a batch. Each is read with the config's own words, checked against
 * what is in force, and set in the RIB, whose owner this thread is; no packet waits for
 * it. What a batch has changed is in force by the time that its reader is asked for
 * more, so a feed that never ends is too.
 */
#include "daemon/control/commands/cmd_route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/util.h"
#include "daemon/config/route_fits.h"

enum change { CHANGE_ADD, CHANGE_REPLACE, CHANGE_DEL, N_CHANGES };

static const char *const change_words[N_CHANGES] = {
	[CHANGE_ADD] = "add",
	[CHANGE_REPLACE] = "replace",
	[CHANGE_DEL] = "del",
};

#define ROUTE_TEXT_MAX 2048

static const struct rib *rib_of(const struct command_call *c)
{
	return c->target->rib(c->target->ctx);
}

static enum change change_of(const char *word, size_t len)
{
	enum change k = 0;

	while (k < N_CHANGES && (strlen(change_words[k]) != len || strncmp(change_words[k], word, len) != 0))
		k++;
	return k;
}

/* A sentence about the change of this line, or of the command's words. */
static void refuse(struct command_call *c, const char *fmt, ...) YG_PRINTF(2, 3);

static void refuse(struct command_call *c, const char *fmt, ...)
{
	const struct route_state *s = c->state;
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (s->line > 0)
		command_error(c, "%s:%u: Error: %s\n", args_value(&c->args, "batch"), s->line, text);
	else
		command_error(c, "route: %s\n", text);
}

static void refuse_text(struct command_call *c)
{
	const struct route_state *s = c->state;
	char *text = config_errors_text(route_text_errors(s->text));

	if (text != NULL)
		c->write(c->carrier, PROTO_ERR, text, strlen(text));
	free(text);
}

/* --- from words to a route --- */

static uint32_t interface_by_name(const struct ip_config *ip, const char *name)
{
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
		if (strcmp(ip->interface[i].name, name) == 0)
			return i;
	return 0;
}

/* The next hop of a path, with the interface that it names. */
static bool find_device(struct command_call *c, const struct config_route *path, struct fib_nexthop *nh)
{
	const struct ip_config *ip = ip_stack_config(c->target->ip);

	*nh = path->route.nexthop;
	if (path->device[0] == '\0')
		return true;
	nh->ifindex = interface_by_name(ip, path->device);
	if (nh->ifindex == 0) {
		refuse(c, "no interface of the config is called \"%s\"", path->device);
		return false;
	}
	if (nh->gateway.v4 == 0 && ip->interface[nh->ifindex].n_addresses > 0)
		nh->source = ip_addr_v4(ip->interface[nh->ifindex].address[0].addr);
	return true;
}

/* path has room for all that n can be. */
static bool read_route(struct command_call *c, const char *text, struct rib_route *out,
		       struct rib_path path[FIB_PATHS_MAX])
{
	struct route_state *s = c->state;
	const struct config_route *r;
	size_t n;

	r = route_text_read(s->text, text, s->line > 0 ? s->line : 1, &n);
	if (r == NULL) {
		refuse_text(c);
		return false;
	}
	*out = r->route;
	out->source = RIB_RUNTIME;
	if (!find_device(c, r, &out->nexthop))
		return false;
	for (size_t i = 0; i < n && n > 1; i++) {
		path[i] = (struct rib_path){ .weight = r[i].weight, .onlink = r[i].route.onlink };
		if (!find_device(c, &r[i], &path[i].nexthop))
			return false;
	}
	if (n > 1) {
		out->n_paths = (uint8_t)n;
		out->path = path;
		out->nexthop = (struct fib_nexthop){ .kind = FIB_UNICAST };
		out->onlink = false;
	}
	return true;
}

/* --- changes --- */

static bool may_stand(struct command_call *c, const struct rib_route *route)
{
	const struct ip_config *ip = ip_stack_config(c->target->ip);
	char err[200];

	/* Of what was said a moment ago it is only known where it leads when it is in force. */
	for (int flushed = 0; flushed < 2; flushed++) {
		if (route_fits(rib_of(c), ip, route, err, sizeof(err)) &&
		    route_leads(rib_of(c), ip, route, err, sizeof(err)))
			return true;
		if (flushed == 0)
			(void)c->target->flush_routes(c->target->ctx);
	}
	refuse(c, "%s", err);
	return false;
}

static bool refuse_error(struct command_call *c, int rc)
{
	switch (rc) {
	case 0:
		return true;
	case -ENOENT:
		refuse(c, "there is no such route of a command: source runtime, with this prefix, metric and zone");
		break;
	case -ENOSPC:
		refuse(c, "there are %u routes of commands already", CONTROL_RUNTIME_ROUTES_MAX);
		break;
	default:
		refuse(c, "%s", rc == -ENOMEM ? "no memory for one more route" : strerror(-rc));
		break;
	}
	return false;
}

static bool set(struct command_call *c, enum change change, const char *text, struct rib_route *route)
{
	struct route_state *s = c->state;
	struct rib_path path[FIB_PATHS_MAX];

	if (!read_route(c, text, route, path))
		return false;
	bool is_there = rib_has(rib_of(c), route);

	if (is_there && change == CHANGE_ADD) {
		refuse(c,
		       "a route of a command with this prefix, metric and zone is there already: `replace` changes it");
		return false;
	}
	if (!may_stand(c, route) || !refuse_error(c, c->target->set_route(c->target->ctx, route)))
		return false;
	s->n_added += !is_there;
	s->n_replaced += is_there;
	/* The paths end with this call; what is asked of the route afterwards is what it is known by. */
	route->n_paths = 0;
	route->path = NULL;
	return true;
}

static bool del(struct command_call *c, const char *text, struct rib_route *route)
{
	struct route_state *s = c->state;

	if (!route_text_name(s->text, text, s->line > 0 ? s->line : 1, route)) {
		refuse_text(c);
		return false;
	}
	route->source = RIB_RUNTIME;
	if (!refuse_error(c, c->target->unset_route(c->target->ctx, route)))
		return false;
	s->n_deleted++;
	return true;
}

static bool change(struct command_call *c, enum change k, const char *text, struct rib_route *route)
{
	return k == CHANGE_DEL ? del(c, text, route) : set(c, k, text, route);
}

static bool flush(struct command_call *c)
{
	if (c->target->flush_routes(c->target->ctx) == 0)
		return true;
	command_error(c, "route: %zu prefixes find no room in the forwarding table (%s); they are tried again\n",
		      rib_n_unsettled(rib_of(c)), rib_unsettled_why(rib_of(c)));
	return false;
}

/* --- a batch --- */

static int batch_done(struct command_call *c, bool good)
{
	static const struct out_column added = { "added", "added", OUT_U64 },
				       replaced = { "replaced", "replaced", OUT_U64 },
				       deleted = { "deleted", "deleted", OUT_U64 },
				       refused = { "refused", "refused", OUT_U64 };
	const struct route_state *s = c->state;

	good = flush(c) && good;
	command_output(c, OUTPUT_OBJECT);
	output_value(&c->output, &added, OUT_U(s->n_added));
	output_value(&c->output, &replaced, OUT_U(s->n_replaced));
	output_value(&c->output, &deleted, OUT_U(s->n_deleted));
	output_value(&c->output, &refused, OUT_U(s->n_refused));
	output_end(&c->output);
	return good && s->n_refused == 0 ? EXIT_OK : EXIT_FAILED;
}

/* The client sends each line of the file, an empty one as a comment, and an empty one when there are no more. */
int cmd_route_line(struct command_call *c, const char *line)
{
	struct route_state *s = c->state;
	struct rib_route route;

	if (line[0] == '\0')
		return batch_done(c, true);
	s->line++;
	line += strspn(line, " \t\r");
	if (line[0] == '\0' || line[0] == '#')
		return COMMAND_WAIT;
	size_t len = strcspn(line, " \t");
	enum change k = change_of(line, len);
	bool good = k < N_CHANGES && change(c, k, line + len, &route);

	if (k == N_CHANGES)
		refuse(c, "a line begins with add, replace or del, and not with \"%.*s\"", len < 40 ? (int)len : 40,
		       line);
	s->n_refused += !good;
	return good || args_has(&c->args, "force") ? COMMAND_WAIT : batch_done(c, false);
}

/* --- a neighbour as next hop --- */

static bool find_neighbour(struct command_call *c, uint32_t *ifindex, uint32_t *addr)
{
	const char *const *word = c->args.word;
	const struct ip_config *ip = ip_stack_config(c->target->ip);

	if ((c->args.n_words != 2 && (c->args.n_words != 4 || strcmp(word[2], "dev") != 0)) ||
	    ip4_parse(word[1], strlen(word[1]), addr) != strlen(word[1])) {
		command_error(c, "route: %s ADDRESS [dev NAME]\n", word[0]);
		return false;
	}
	*ifindex = c->args.n_words == 4 ? interface_by_name(ip, word[3]) : 0;
	if (c->args.n_words == 4 && *ifindex == 0) {
		command_error(c, "route: no interface of the config is called \"%.40s\"\n", word[3]);
		return false;
	}
	struct fib_nexthop nh = rib_ask(rib_of(c), 0, *addr);

	if (*ifindex == 0 && nh.kind == FIB_UNICAST && nh.gateway.v4 == 0)
		*ifindex = nh.ifindex;
	if (*ifindex == 0)
		command_error(c, "route: %s is on no prefix of an interface of zone 0: say dev NAME\n", word[1]);
	return *ifindex != 0;
}

static int change_hop(struct command_call *c, bool up)
{
	uint32_t ifindex, addr;

	if (!find_neighbour(c, &ifindex, &addr))
		return EXIT_USAGE;
	switch (c->target->change_next_hop(c->target->ctx, ifindex, addr, up)) {
	case 0:
		return EXIT_OK;
	case -EALREADY:
		command_error(c, "route: %s on %s is %s already\n", c->args.word[1], target_ifname(c->target, ifindex),
			      up ? "up" : "down");
		break;
	default:
		command_error(c, "route: %u neighbours are down already\n", CONTROL_DEAD_HOPS_MAX);
		break;
	}
	return EXIT_FAILED;
}

/* --- one --- */

static int one(struct command_call *c)
{
	const char *word = c->args.word[0];
	enum change k = change_of(word, strlen(word));
	char text[ROUTE_TEXT_MAX];
	struct text t = text_of(text, sizeof(text));
	struct rib_route route;

	if (strcmp(word, "down") == 0 || strcmp(word, "up") == 0)
		return change_hop(c, strcmp(word, "up") == 0);
	if (k == N_CHANGES) {
		command_error(c, "route: \"%.40s\" is not add, replace, del, down or up (see: yangguan route --help)\n",
			      word);
		return EXIT_USAGE;
	}
	for (size_t i = 1; i < c->args.n_words; i++)
		text_add(&t, "%s%s", i > 1 ? " " : "", c->args.word[i]);
	if (t.cut) {
		command_error(c, "route: the route is too long\n");
		return EXIT_USAGE;
	}
	if (!change(c, k, text, &route) || !flush(c))
		return EXIT_FAILED;
	return cmd_route_show(c, &route);
}

int cmd_route_change(struct command_call *c)
{
	struct route_state *s = c->state;
	const char *batch = args_value(&c->args, "batch");

	if (args_has(&c->args, "all") || (batch != NULL && c->args.n_words > 0) ||
	    (batch == NULL && args_has(&c->args, "force"))) {
		command_error(c, "route: either -a, or add, replace or del and a route, or --batch FILE\n");
		return EXIT_USAGE;
	}
	s->text = route_text_create(batch != NULL ? batch : "route");
	if (s->text == NULL) {
		command_error(c, "route: no memory\n");
		return EXIT_FAILED;
	}
	return batch != NULL ? COMMAND_WAIT : one(c);
}
