/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan bgp`: what BGP's speaker has to show, in the forms that operators know: the
 * summary and routes as vtysh has them, a neighbour as birdc has it, and JSON with FRR's keys.
 * The speaker lives in this thread, so all is read where it stands.
 */
#include "daemon/control/commands/cmd_bgp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/control/text/bgp_text.h"

uint64_t cmd_bgp_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* --- what the commands share --- */

const char *cmd_bgp_address(const struct bgp_neighbor_view *v, char buf[IP4_TEXT_MAX])
{
	return v->is_range ? ip4_prefix_format(v->config->peers, buf) : ip4_format(v->config->peers.addr, buf);
}

const struct config_bgp_neighbor *cmd_bgp_config(const struct control_bgp *b, const struct bgp_neighbor_view *v)
{
	return config_bgp_find(b->config, v->config->name);
}

bool cmd_bgp_by_source(const struct control_bgp *b, uint32_t source, struct bgp_neighbor_view *v)
{
	for (uint32_t i = bgp_speaker_next(b->speaker, 0); i != BGP_NEIGHBOR_NONE;
	     i = bgp_speaker_next(b->speaker, i + 1))
		if (bgp_speaker_look(b->speaker, i, v) && v->source == source)
			return true;
	return false;
}

bool cmd_bgp_find(struct command_call *c, const char *name, struct bgp_neighbor_view *v)
{
	const struct control_bgp *b = cmd_bgp_of(c);
	char addr[IP4_TEXT_MAX];

	/* Dynamic ones have their range's name: the address goes first. */
	for (int pass = 0; pass < 2; pass++)
		for (uint32_t i = bgp_speaker_next(b->speaker, 0); i != BGP_NEIGHBOR_NONE;
		     i = bgp_speaker_next(b->speaker, i + 1))
			if (bgp_speaker_look(b->speaker, i, v) &&
			    strcmp(pass == 0 ? cmd_bgp_address(v, addr) : v->config->name, name) == 0)
				return true;
	command_error(c, "bgp: no neighbor is called \"%.40s\" (see: yangguan bgp summary)\n", name);
	return false;
}

const char *cmd_bgp_no_policy(const struct control_bgp *b, const struct bgp_neighbor_view *v)
{
	const struct config_bgp_neighbor *n = cmd_bgp_config(b, v);

	if (n == NULL || n->session.peer_as == b->config->as || n->import.kind != CONFIG_BGP_NOT_SAID)
		return NULL;
	return "no import policy (RFC 8212)";
}

int cmd_bgp_json(struct command_call *c, json_t *j)
{
	char *text = j != NULL ? json_dumps(j, JSON_INDENT(2)) : NULL;

	json_decref(j);
	if (text == NULL) {
		command_error(c, "bgp: no memory\n");
		return EXIT_FAILED;
	}
	command_printf(c, "%s\n", text);
	free(text);
	return EXIT_OK;
}

const char *cmd_bgp_attr(const struct bgp_set *set, uint8_t type, char *buf, size_t len)
{
	struct bgp_nlri rest = { set->bytes, set->len };
	struct text t = text_of(buf, len);
	struct bgp_attr a;

	while (bgp_set_next(&rest, &a)) {
		if (a.type != type)
			continue;
		bgp_attr_format(&t, &a);
		const char *value = strchr(buf, ' ');

		return value != NULL ? value + 1 : buf;
	}
	return "";
}

/* --- summary --- */

static uint64_t all_of(const uint64_t n[N_BGP_TYPES])
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < N_BGP_TYPES; i++)
		sum += n[i];
	return sum;
}

/* As vtysh: the number of prefixes when it is up, else how it stands. */
static const char *state_or_count(const struct control_bgp *b, const struct bgp_neighbor_view *v, char *buf, size_t len)
{
	const char *none = cmd_bgp_no_policy(b, v);
	struct text t = text_of(buf, len);

	if (v->is_range)
		text_add(&t, "%u of %u", v->n_dynamic,
			 v->config->dynamic_max != 0 ? v->config->dynamic_max : BGP_DYNAMIC_MAX);
	else if (v->state != BGP_STATE_ESTABLISHED)
		bgp_text_state(&t, v);
	else if (none != NULL)
		text_add(&t, "%s", none);
	else
		text_add(&t, "%u", v->n_prefixes);
	return buf;
}

static const struct out_column summary_columns[] = {
	{ "neighbor", "Neighbor", OUT_TEXT },
	{ "v", "V", OUT_U64 },
	{ "as", "AS", OUT_U64 },
	{ "rcvd", "MsgRcvd", OUT_U64 },
	{ "sent", "MsgSent", OUT_U64 },
	{ "outq", "OutQ", OUT_U64 },
	{ "age", "Up/Down", OUT_TEXT },
	{ "state", "State/PfxRcd", OUT_TEXT },
	{ "told", "PfxSnt", OUT_U64 },
	{ "name", "Name", OUT_TEXT },
};
static const struct out_table summary_table = { "peers", summary_columns, ARRAY_LEN(summary_columns), NULL };

static void summary_row(struct command_call *c, const struct control_bgp *b, const struct bgp_neighbor_view *v)
{
	char addr[IP4_TEXT_MAX], age[16], state[96];
	bool ever = v->since != 0;
	uint32_t n_told = 0;
	bool is_told = b->told(b->ctx, v->number, &n_told);

	output_row(&c->output,
		   (struct out_value[]){
			   OUT_T(cmd_bgp_address(v, addr)),
			   OUT_U(4),
			   OUT_U(v->config->peer_as),
			   OUT_U(all_of(v->count.messages[BGP_IN])),
			   OUT_U(all_of(v->count.messages[BGP_OUT])),
			   OUT_U(v->unacked),
			   OUT_T(ever && !v->is_range ? bgp_text_age(cmd_bgp_now() - v->since, age) : "never"),
			   OUT_T(state_or_count(b, v, state, sizeof(state))),
			   is_told ? OUT_U(n_told) : OUT_ABSENT,
			   OUT_T(v->config->name),
		   });
}

static uint32_t count_peers(const struct control_bgp *b, uint32_t *n_up)
{
	struct bgp_neighbor_view v;
	uint32_t n = 0;

	*n_up = 0;
	for (uint32_t i = bgp_speaker_next(b->speaker, 0); i != BGP_NEIGHBOR_NONE;
	     i = bgp_speaker_next(b->speaker, i + 1)) {
		if (!bgp_speaker_look(b->speaker, i, &v) || v.is_range)
			continue;
		n++;
		*n_up += v.state == BGP_STATE_ESTABLISHED;
	}
	return n;
}

static int summary_text(struct command_call *c, const struct control_bgp *b)
{
	struct bgp_table_stats stats = bgp_table_stats(b->table);
	struct bgp_neighbor_view v;
	char id[IP4_TEXT_MAX];
	uint32_t n_up, n = count_peers(b, &n_up);

	command_printf(c,
		       "BGP router identifier %s, local AS number %u, transport %s%s\n"
		       "%u prefixes, %u paths (%u filtered), %u attribute sets using %" PRIu64 " bytes\n"
		       "Peers %u, established %u\n\n",
		       ip4_format(b->config->router_id, id), b->config->as, b->transport,
		       b->is_listening ? "" : ", not listening", stats.n_prefixes, stats.n_paths, stats.n_rejected,
		       stats.n_sets, stats.set_bytes, n, n_up);
	if (stats.n_no_room > 0)
		command_printf(c, "%" PRIu64 " paths found no room and are not there\n\n", stats.n_no_room);
	cmd_table_start(c, &summary_table);
	for (uint32_t i = bgp_speaker_next(b->speaker, 0); i != BGP_NEIGHBOR_NONE;
	     i = bgp_speaker_next(b->speaker, i + 1))
		if (bgp_speaker_look(b->speaker, i, &v))
			summary_row(c, b, &v);
	return cmd_table_done(c);
}

static json_t *peer_json(const struct control_bgp *b, const struct bgp_neighbor_view *v)
{
	const struct config_bgp_neighbor *config = cmd_bgp_config(b, v);
	const char *none = cmd_bgp_no_policy(b, v);
	uint64_t age = v->since != 0 ? cmd_bgp_now() - v->since : 0;
	uint32_t n_told;
	char text[16];
	json_t *j = json_pack("{s:I, s:I, s:i, s:I, s:I, s:I, s:i, s:s, s:I, s:I, s:s, s:I, s:b, s:s}", "remoteAs",
			      (json_int_t)v->config->peer_as, "localAs",
			      (json_int_t)(v->config->local_as != 0 ? v->config->local_as : b->config->as), "version",
			      4, "msgRcvd", (json_int_t)all_of(v->count.messages[BGP_IN]), "msgSent",
			      (json_int_t)all_of(v->count.messages[BGP_OUT]), "outq", (json_int_t)v->unacked, "inq", 0,
			      "peerUptime", v->since != 0 ? bgp_text_age(age, text) : "never", "peerUptimeMsec",
			      (json_int_t)(age / NS_PER_MS), "pfxRcd", (json_int_t)v->n_prefixes, "state",
			      v->is_range ? "Range" : bgp_state_names[v->state], "connectionsEstablished",
			      (json_int_t)v->count.n_up, "dynamicPeer", v->of != BGP_NEIGHBOR_NONE, "name",
			      v->config->name);

	if (config != NULL && config->description[0] != '\0')
		json_object_set_new(j, "desc", json_string(config->description));
	if (none != NULL)
		json_object_set_new(j, "policy", json_string(none));
	if (b->told(b->ctx, v->number, &n_told))
		json_object_set_new(j, "pfxSnt", json_integer(n_told));
	return j;
}

static int summary_json(struct command_call *c, const struct control_bgp *b)
{
	struct bgp_table_stats stats = bgp_table_stats(b->table);
	struct bgp_neighbor_view v;
	char addr[IP4_TEXT_MAX];
	uint32_t n_up, n = count_peers(b, &n_up);
	json_t *peers = json_object();

	for (uint32_t i = bgp_speaker_next(b->speaker, 0); i != BGP_NEIGHBOR_NONE;
	     i = bgp_speaker_next(b->speaker, i + 1))
		if (bgp_speaker_look(b->speaker, i, &v) && !v.is_range)
			json_object_set_new(peers, cmd_bgp_address(&v, addr), peer_json(b, &v));
	return cmd_bgp_json(c,
			    json_pack("{s:{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I}}", "ipv4Unicast",
				      "routerId", ip4_format(b->config->router_id, addr), "as",
				      (json_int_t)b->config->as, "ribCount", (json_int_t)stats.n_prefixes, "pathCount",
				      (json_int_t)stats.n_paths, "filteredCount", (json_int_t)stats.n_rejected,
				      "ribMemory", (json_int_t)stats.set_bytes, "peerCount", (json_int_t)n, "peers",
				      peers, "totalPeers", (json_int_t)n, "failedPeers", (json_int_t)(n - n_up)));
}

static int bgp_summary(struct command_call *c)
{
	return (args_has(&c->args, "json") ? summary_json : summary_text)(c, cmd_bgp_of(c));
}

/* --- what is asked of a neighbour --- */

static int done(struct command_call *c)
{
	const struct control_bgp *b = cmd_bgp_of(c);

	b->wake(b->ctx);
	return EXIT_OK;
}

static struct bgp_command words_of(const struct command_call *c)
{
	const char *text = args_value(&c->args, "message");

	return (struct bgp_command){ .is_hard = args_has(&c->args, "hard"),
				     .text = text,
				     .text_len = text != NULL ? strlen(text) : 0 };
}

static int bgp_ask(struct command_call *c)
{
	const struct control_bgp *b = cmd_bgp_of(c);
	const char *what = c->args.word[0];
	struct bgp_command words = words_of(c);
	struct bgp_neighbor_view v;

	if (words.text_len > BGP_SHUTDOWN_TEXT_MAX) {
		command_error(c, "bgp: a message has %u bytes at most (RFC 9003)\n", BGP_SHUTDOWN_TEXT_MAX);
		return EXIT_USAGE;
	}
	if (!cmd_bgp_find(c, c->args.word[1], &v))
		return EXIT_FAILED;
	if (strcmp(what, "shutdown") == 0) {
		bgp_speaker_shut(b->speaker, v.number, &words, cmd_bgp_now());
	} else if (strcmp(what, "enable") == 0) {
		bgp_speaker_enable(b->speaker, v.number, cmd_bgp_now());
	} else if (strcmp(what, "reset") == 0) {
		bgp_speaker_reset(b->speaker, v.number, &words, cmd_bgp_now());
	} else {
		int rc = bgp_speaker_refresh(b->speaker, v.number);

		if (rc != 0) {
			command_error(c, "bgp: %s: %s\n", v.config->name,
				      rc == -ENOTCONN ? "the session is not up"
						      : "the peer does not know ROUTE-REFRESH");
			return EXIT_FAILED;
		}
	}
	return done(c);
}

/* --- the words --- */

static const struct bgp_word {
	const char *word;
	int (*start)(struct command_call *c);
	size_t n_min, n_max; /* words behind it */
} words[] = {
	{ "summary", bgp_summary, 0, 0 },   { "neighbors", cmd_bgp_neighbors, 0, 1 },
	{ "routes", cmd_bgp_routes, 0, 3 }, { "why", cmd_bgp_why, 1, 2 },
	{ "rpki", cmd_bgp_rpki, 0, 2 },     { "shutdown", bgp_ask, 1, 1 },
	{ "enable", bgp_ask, 1, 1 },        { "reset", bgp_ask, 1, 1 },
	{ "refresh", bgp_ask, 1, 1 },
};

static int bgp_start(struct command_call *c)
{
	const char *names[ARRAY_LEN(words)], *word = c->args.n_words > 0 ? c->args.word[0] : "summary";

	if (cmd_bgp_of(c) == NULL) {
		command_error(c, "bgp: the config has no block `bgp`\n");
		return EXIT_FAILED;
	}
	if (args_has(&c->args, "dump"))
		return cmd_bgp_dump(c);
	if (c->args.n_words == 0)
		return bgp_summary(c);
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		names[i] = words[i].word;
		if (strcmp(words[i].word, word) != 0)
			continue;
		if (c->args.n_words - 1 >= words[i].n_min && c->args.n_words - 1 <= words[i].n_max)
			return words[i].start(c);
		command_error(c, "bgp %s: too %s words (see: yangguan bgp --help)\n", word,
			      c->args.n_words - 1 < words[i].n_min ? "few" : "many");
		return EXIT_USAGE;
	}
	const char *near = args_nearest(word, names, ARRAY_LEN(words));

	command_error(c, "bgp: unknown word \"%.40s\"%s%s%s (see: yangguan bgp --help)\n", word,
		      near != NULL ? "; did you mean \"" : "", near != NULL ? near : "", near != NULL ? "\"?" : "");
	return EXIT_USAGE;
}

static int bgp_more(struct command_call *c)
{
	const struct cmd_bgp_state *s = c->state;

	return s->dump != NULL ? cmd_bgp_dump_more(c) : cmd_bgp_routes_more(c);
}

static void bgp_end(struct command_call *c)
{
	free(((struct cmd_bgp_state *)c->state)->dump);
}

static const struct arg_option bgp_options[] = {
	{ 0, "dump", NULL, "what neighbours have announced, as MRT records into FILE" },
	{ 'm', "message", "TEXT", "with shutdown and reset: what the peer is told (RFC 9003)" },
	{ 0, "hard", NULL, "with shutdown and reset: the peer keeps no routes (RFC 8538)" },
	OPTION_JSON,
	OPTION_SOCKET,
	{ 0 },
};

const struct command cmd_bgp = {
	.info = {
		.name = "bgp",
		.synopsis = "summary | neighbors [N] | routes [PREFIX | neighbor N in|filtered|out] | why PREFIX|N | rpki [PREFIX [AS]] | "
			    "shutdown|enable|reset|refresh N | replay|mrt FILE | --dump FILE",
		.help = "BGP: neighbours, what they announce, and why; messages of a file",
		.options = bgp_options,
		.more = "N is a neighbour's name or address, PREFIX a prefix or an address within one.\n"
			"`routes` shows the best path of each prefix, with PREFIX all paths to one; `routes neighbor N in` what\n"
			"came from it, before policy, `filtered` what its import rejects. `why` says which path is the best\n"
			"and by which step, or why a session is not up. `shutdown` ends a session until `enable`, `reset`\n"
			"ends it and what keeps another from beginning, `refresh` asks for all routes again. `rpki` shows the caches that\n"
			"say who may originate what, with PREFIX what they say of it.\n\n"
			"`replay FILE` and `mrt FILE` need no gateway: what the parser makes of messages in a file, or of MRT records\n"
			"(docs/bgp.md).",
		.example = "  yangguan bgp summary\n"
			   "  yangguan bgp neighbors transit\n"
			   "  yangguan bgp why 192.0.2.0/24\n"
			   "  yangguan bgp shutdown transit -m \"back at noon\"",
	},
	.output_option = "dump",
	.state_bytes = sizeof(struct cmd_bgp_state),
	.start = bgp_start,
	.more = bgp_more,
	.end = bgp_end,
};
