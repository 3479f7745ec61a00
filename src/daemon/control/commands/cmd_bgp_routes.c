/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan bgp routes`: the best path of each prefix, all paths to one, or what came from one neighbour. In
 * vtysh's form, in JSON with its keys. The table is walked by the numbers of its
 * prefixes, some hundred at a time, each as it is by then; so the order is the table's own.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/control/commands/cmd_bgp.h"
#include "daemon/control/text/bgp_text.h"

#define SLICE 256

/* --- a path --- */

struct path_row {
	struct ip4_prefix prefix;
	const struct bgp_set *set;
	const struct bgp_source *from;
	bool is_best, is_second, is_loop, is_rejected, is_stale;
};

static struct path_row row_of(const struct control_bgp *b, struct ip4_prefix prefix, const struct bgp_prefix_view *v,
			      uint32_t i, bool received)
{
	return (struct path_row){
		.prefix = prefix,
		.set = bgp_table_set(b->table, received ? v->path[i].received : v->path[i].set),
		.from = bgp_table_source(b->table, v->path[i].source),
		.is_best = i == v->best,
		.is_second = i == v->second,
		.is_loop = v->path[i].is_loop,
		.is_rejected = v->path[i].is_rejected,
		.is_stale = v->path[i].is_stale,
	};
}

static char origin_letter(const struct bgp_set *set)
{
	return set->origin == BGP_ORIGIN_IGP ? 'i' : set->origin == BGP_ORIGIN_EGP ? 'e' : '?';
}

/* Status codes as vtysh has them: `*` can be chosen, `>` is, `S` stale; ours: `f` filtered, `L` our own AS in it. */
static void put_line(struct command_call *c, const struct path_row *r)
{
	char prefix[IP4_TEXT_MAX], hop[IP4_TEXT_MAX], path[768], med[16] = "";

	if (cmd_bgp_attr(r->set, BGP_MED, path, sizeof(path))[0] != '\0')
		snprintf(med, sizeof(med), "%u", r->set->med);
	const char *hops = cmd_bgp_attr(r->set, BGP_AS_PATH, path, sizeof(path));

	command_printf(c, "%c%c%c %-18s %-15s %10s %6u %s%s%c\n",
		       r->is_stale      ? 'S'
		       : r->is_rejected ? 'f'
		       : r->is_loop     ? 'L'
					: '*',
		       r->is_best ? '>' : ' ', r->from->kind == BGP_INTERNAL ? 'i' : ' ',
		       ip4_prefix_format(r->prefix, prefix), ip4_format(r->set->next_hop, hop), med, r->set->local_pref,
		       hops, hops[0] != '\0' ? " " : "", origin_letter(r->set));
}

static json_t *path_json(const struct path_row *r)
{
	char a[IP4_TEXT_MAX], p[IP4_TEXT_MAX], n[IP4_TEXT_MAX], hop[IP4_TEXT_MAX], path[768], communities[768],
		large[768], origin[32];
	const char *c1 = cmd_bgp_attr(r->set, BGP_COMMUNITIES, communities, sizeof(communities));
	const char *c2 = cmd_bgp_attr(r->set, BGP_LARGE_COMMUNITIES, large, sizeof(large));

	return json_pack("{s:b, s:b, s:b, s:b, s:s, s:s, s:i, s:s, s:I, s:I, s:s, s:s, s:s, s:s*, s:s*, "
			 "s:[{s:s, s:s, s:b}]}",
			 "valid", !r->is_loop && !r->is_rejected, "bestpath", r->is_best, "filtered", r->is_rejected,
			 "stale", r->is_stale, "pathFrom", r->from->kind == BGP_INTERNAL ? "internal" : "external",
			 "prefix", ip4_format(r->prefix.addr, a), "prefixLen", (int)r->prefix.len, "network",
			 ip4_prefix_format(r->prefix, p), "metric", (json_int_t)r->set->med, "locPrf",
			 (json_int_t)r->set->local_pref, "peerId", ip4_format(r->from->addr, n), "path",
			 cmd_bgp_attr(r->set, BGP_AS_PATH, path, sizeof(path)), "origin",
			 cmd_bgp_attr(r->set, BGP_ORIGIN, origin, sizeof(origin)), "community",
			 c1[0] != '\0' ? c1 : NULL, "largeCommunity", c2[0] != '\0' ? c2 : NULL, "nexthops", "ip",
			 ip4_format(r->set->next_hop, hop), "afi", "ipv4", "used", r->is_best);
}

/* --- a listing --- */

static void put_head(struct command_call *c, const struct control_bgp *b)
{
	char id[IP4_TEXT_MAX];

	if (args_has(&c->args, "json"))
		command_printf(c, "{\"routerId\": \"%s\", \"localAS\": %u, \"routes\": {",
			       ip4_format(b->config->router_id, id), b->config->as);
	else
		command_printf(
			c,
			"BGP table, local router ID is %s\n"
			"Status: * valid, > best, i internal, S stale, f filtered, L our AS is in it;  Origin: i "
			"IGP, e EGP, ? incomplete\n"
			"    Network            Next Hop            Metric LocPrf Path\n",
			ip4_format(b->config->router_id, id));
}

/* The paths of a prefix that are asked for. */
static void put_prefix(struct command_call *c, const struct control_bgp *b, struct ip4_prefix prefix)
{
	struct cmd_bgp_state *s = c->state;
	bool json = args_has(&c->args, "json");
	json_t *all = json ? json_array() : NULL;
	struct bgp_prefix_view v;
	char text[IP4_TEXT_MAX];

	bgp_table_look(b->table, prefix, &v);
	for (uint32_t i = 0; i < v.n; i++) {
		bool wanted = s->shows == CMD_BGP_BEST ? i == v.best
						       : v.path[i].source == s->source &&
								 (s->shows == CMD_BGP_IN || v.path[i].is_rejected);
		struct path_row r = row_of(b, prefix, &v, i, s->shows != CMD_BGP_BEST);

		if (!wanted)
			continue;
		if (json)
			json_array_append_new(all, path_json(&r));
		else
			put_line(c, &r);
	}
	if (json && json_array_size(all) > 0) {
		char *dump = json_dumps(all, JSON_COMPACT);

		command_printf(c, "%s\n\"%s\": %s", s->n_shown++ > 0 ? "," : "", ip4_prefix_format(prefix, text),
			       dump != NULL ? dump : "[]");
		free(dump);
	}
	json_decref(all);
}

int cmd_bgp_routes_more(struct command_call *c)
{
	struct cmd_bgp_state *s = c->state;
	const struct control_bgp *b = cmd_bgp_of(c);
	struct bgp_numbered at;

	/* A reload may have taken BGP away meanwhile. */
	if (b == NULL)
		return EXIT_FAILED;
	for (uint32_t k = 0; k < SLICE && s->next < bgp_table_n_numbers(b->table); k++, s->next++)
		if (bgp_table_at(b->table, s->next, &at))
			put_prefix(c, b, at.prefix);
	if (s->next < bgp_table_n_numbers(b->table))
		return COMMAND_MORE;
	if (args_has(&c->args, "json"))
		command_printf(c, "}}\n");
	return EXIT_OK;
}

/* --- all paths to one prefix --- */

bool cmd_bgp_read_prefix(const char *word, struct ip4_prefix *out)
{
	size_t n = ip4_parse(word, strlen(word), &out->addr);
	char *end;

	if (n == 0)
		return false;
	out->len = 32;
	if (word[n] == '\0')
		return true;
	unsigned long len = strtoul(word + n + 1, &end, 10);

	if (word[n] != '/' || word[n + 1] < '0' || word[n + 1] > '9' || *end != '\0' || len > 32)
		return false;
	out->len = (uint8_t)len;
	return true;
}

bool cmd_bgp_prefix(struct command_call *c, const char *word, struct ip4_prefix *out, struct bgp_prefix_view *v)
{
	const struct control_bgp *b = cmd_bgp_of(c);
	bool has_len = strchr(word, '/') != NULL;
	char text[IP4_TEXT_MAX];

	if (!cmd_bgp_read_prefix(word, out)) {
		command_error(c, "bgp: \"%.40s\" is no prefix and no address\n", word);
		return false;
	}
	uint32_t addr = out->addr;

	do {
		out->addr = addr & ip4_mask(out->len);
		bgp_table_look(b->table, *out, v);
	} while (!has_len && v->n == 0 && out->len-- > 0);
	if (v->n > 0)
		return true;
	command_error(c, "bgp: there is no path to %s\n",
		      has_len ? ip4_prefix_format(*out, text) : ip4_format(addr, text));
	return false;
}

static void put_path(struct command_call *c, const struct control_bgp *b, const struct path_row *r, uint32_t since_s)
{
	char path[768], hop[IP4_TEXT_MAX], from[IP4_TEXT_MAX], id[IP4_TEXT_MAX], age[16];
	const char *hops = cmd_bgp_attr(r->set, BGP_AS_PATH, path, sizeof(path));
	struct bgp_nlri rest = { r->set->bytes, r->set->len };
	struct bgp_attr a;

	command_printf(c, "  %s\n    %s from %s (%s)\n      %s%s%s%s%s%s\n", hops[0] != '\0' ? hops : "Local",
		       ip4_format(r->set->next_hop, hop), ip4_format(r->from->addr, from), ip4_format(r->from->id, id),
		       r->from->kind == BGP_INTERNAL ? "internal" : "external", r->is_best ? ", best" : "",
		       r->is_second ? ", second best" : "", r->is_rejected ? ", filtered by import" : "",
		       r->is_loop ? ", our AS is in it: never chosen" : "", r->is_stale ? ", stale" : "");
	while (bgp_set_next(&rest, &a)) {
		char text[900];
		struct text t = text_of(text, sizeof(text));

		if (a.type == BGP_AS_PATH || a.type == BGP_NEXT_HOP)
			continue;
		bgp_attr_format(&t, &a);
		command_printf(c, "      %s\n", text);
	}
	command_printf(c, "      Last update: %s ago\n",
		       bgp_text_age(cmd_bgp_now() - min_u64(cmd_bgp_now(), since_s * NS_PER_S), age));
	(void)b;
}

static int one_prefix(struct command_call *c, const char *word)
{
	const struct control_bgp *b = cmd_bgp_of(c);
	json_t *paths = json_array();
	struct bgp_prefix_view v;
	struct ip4_prefix prefix;
	char text[IP4_TEXT_MAX];

	if (!cmd_bgp_prefix(c, word, &prefix, &v)) {
		json_decref(paths);
		return EXIT_FAILED;
	}
	if (!args_has(&c->args, "json"))
		command_printf(c, "BGP routing table entry for %s\nPaths: %u available%s%s\n",
			       ip4_prefix_format(prefix, text), v.n,
			       v.best == BGP_NOBODY ? ", none can be chosen" : ", the best by ",
			       v.best == BGP_NOBODY ? "" : bgp_step_name(v.step));
	for (uint32_t i = 0; i < v.n; i++) {
		struct path_row r = row_of(b, prefix, &v, i, false);

		if (args_has(&c->args, "json"))
			json_array_append_new(paths, path_json(&r));
		else
			put_path(c, b, &r, v.path[i].since_s);
	}
	if (args_has(&c->args, "json"))
		return cmd_bgp_json(c, json_pack("{s:s, s:s, s:o}", "prefix", ip4_prefix_format(prefix, text),
						 "selectionReason", bgp_step_name(v.step), "paths", paths));
	json_decref(paths);
	return EXIT_OK;
}

/* neighbor N in|filtered|out */
static int of_neighbor(struct command_call *c)
{
	static const char *const words[] = { "in", "filtered" };
	struct cmd_bgp_state *s = c->state;
	const char *which = c->args.n_words == 4 ? c->args.word[3] : "";
	struct bgp_neighbor_view v;

	s->shows = strcmp(which, "in") == 0 ? CMD_BGP_IN : CMD_BGP_FILTERED;
	if (s->shows == CMD_BGP_FILTERED && strcmp(which, "filtered") != 0) {
		const char *near = args_nearest(which, words, ARRAY_LEN(words));

		command_error(c, "bgp routes: which of the neighbor's, in or filtered?%s%s%s\n",
			      near != NULL ? " Did you mean \"" : "", near != NULL ? near : "",
			      near != NULL ? "\"?" : "");
		return EXIT_USAGE;
	}
	if (!cmd_bgp_find(c, c->args.word[2], &v))
		return EXIT_FAILED;
	s->source = v.source;
	put_head(c, cmd_bgp_of(c));
	/* It has announced nothing. */
	if (v.source == BGP_SOURCE_NONE)
		s->next = UINT32_MAX;
	return cmd_bgp_routes_more(c);
}

int cmd_bgp_routes(struct command_call *c)
{
	if (c->args.n_words >= 2 && strcmp(c->args.word[1], "neighbor") == 0) {
		if (c->args.n_words >= 3)
			return of_neighbor(c);
		command_error(c, "bgp routes: which neighbor?\n");
		return EXIT_USAGE;
	}
	if (c->args.n_words == 2)
		return one_prefix(c, c->args.word[1]);
	if (c->args.n_words > 2) {
		command_error(c, "bgp routes: one prefix, or neighbor N in|filtered\n");
		return EXIT_USAGE;
	}
	put_head(c, cmd_bgp_of(c));
	return cmd_bgp_routes_more(c);
}
