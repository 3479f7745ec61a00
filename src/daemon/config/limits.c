/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `conntrack { ... }` and `limits { ... }`: sizes of what is allocated at start,
 * and timeouts. Each option is a row: its words, what it sets, and the bounds.
 */
#include "daemon/config/config_priv.h"

#include <string.h>

#include "base/text.h"

#define WORDS_MAX 64 /* that could have come, for a message */

/* RFC 4787 REQ-5: except to well-known ports. */
#define UDP_SECONDS_MIN 120

/* Connections that the kernel may have at a time. */
#define OFFLOAD_MIN 16
#define OFFLOAD_MAX (1u << 26)

#define OPTION(member) offsetof(struct config, member)

static const struct config_row timeouts[] = {
	{ { "tcp", "syn-sent" }, OPTION(timeout.tcp_syn_sent), 0, 0 },
	{ { "tcp", "syn-recv" }, OPTION(timeout.tcp_syn_recv), 0, 0 },
	{ { "tcp", "established" }, OPTION(timeout.tcp_established), 0, 0 },
	{ { "tcp", "fin-wait" }, OPTION(timeout.tcp_fin_wait), 0, 0 },
	{ { "tcp", "close-wait" }, OPTION(timeout.tcp_close_wait), 0, 0 },
	{ { "tcp", "last-ack" }, OPTION(timeout.tcp_last_ack), 0, 0 },
	{ { "tcp", "time-wait" }, OPTION(timeout.tcp_time_wait), 0, 0 },
	{ { "tcp", "close" }, OPTION(timeout.tcp_close), 0, 0 },
	{ { "tcp", "unacknowledged" }, OPTION(timeout.tcp_unacknowledged), 0, 0 },
	{ { "udp", "new" }, OPTION(timeout.udp_new), UDP_SECONDS_MIN, 0 },
	{ { "udp", "stream" }, OPTION(timeout.udp_stream), UDP_SECONDS_MIN, 0 },
	{ { "udp", "well-known" }, OPTION(timeout.udp_well_known), 0, 0 },
	{ { "udp", "answered" }, OPTION(timeout.udp_answered), 0, 0 },
	{ { "udplite", "new" }, OPTION(timeout.udplite_new), 0, 0 },
	{ { "udplite", "stream" }, OPTION(timeout.udplite_stream), 0, 0 },
	{ { "sctp", "closed" }, OPTION(timeout.sctp_closed), 0, 0 },
	{ { "sctp", "cookie-wait" }, OPTION(timeout.sctp_cookie_wait), 0, 0 },
	{ { "sctp", "cookie-echoed" }, OPTION(timeout.sctp_cookie_echoed), 0, 0 },
	{ { "sctp", "established" }, OPTION(timeout.sctp_established), 0, 0 },
	{ { "sctp", "shutdown-sent" }, OPTION(timeout.sctp_shutdown_sent), 0, 0 },
	{ { "sctp", "shutdown-recd" }, OPTION(timeout.sctp_shutdown_recd), 0, 0 },
	{ { "sctp", "shutdown-ack-sent" }, OPTION(timeout.sctp_shutdown_ack_sent), 0, 0 },
	{ { "sctp", "heartbeat-sent" }, OPTION(timeout.sctp_heartbeat_sent), 0, 0 },
	{ { "dccp", "request" }, OPTION(timeout.dccp_request), 0, 0 },
	{ { "dccp", "respond" }, OPTION(timeout.dccp_respond), 0, 0 },
	{ { "dccp", "partopen" }, OPTION(timeout.dccp_partopen), 0, 0 },
	{ { "dccp", "open" }, OPTION(timeout.dccp_open), 0, 0 },
	{ { "dccp", "closereq" }, OPTION(timeout.dccp_closereq), 0, 0 },
	{ { "dccp", "closing" }, OPTION(timeout.dccp_closing), 0, 0 },
	{ { "dccp", "timewait" }, OPTION(timeout.dccp_timewait), 0, 0 },
	{ { "gre", "new" }, OPTION(timeout.gre_new), 0, 0 },
	{ { "gre", "stream" }, OPTION(timeout.gre_stream), 0, 0 },
	{ { "esp", "new" }, OPTION(timeout.esp_new), 0, 0 },
	{ { "esp", "stream" }, OPTION(timeout.esp_stream), 0, 0 },
	{ { "icmp" }, OPTION(timeout.icmp), 0, 0 },
	{ { "other" }, OPTION(timeout.other), 0, 0 },
};

static const struct config_row conntrack_sizes[] = {
	{ { "size" }, OPTION(ct_limits.n_connections), 16, 1u << 28 },
	{ { "fragments" }, OPTION(ct_limits.n_fragments), 16, 1u << 20 },
	{ { "max", "per", "source" }, OPTION(ct_max_per_source), 1, UINT32_MAX },
	{ { "new", "per", "source" }, OPTION(ct_new_per_source_s), 1, 1000000 },
};

static const struct config_row limits[] = {
	{ { "packets" }, OPTION(packets.n_packets), 256, 1u << 24 },
	{ { "large", "packets" }, OPTION(packets.n_large), 1, 1u << 16 },
	{ { "neighbours" }, OPTION(ip_limits.n_neighbours), 16, IP_ADJACENCIES_MAX },
	{ { "neighbour", "queue", "all" }, OPTION(ip_limits.n_neigh_held_all), 1, 1u << 20 },
	{ { "neighbour", "queue" }, OPTION(ip_limits.n_neigh_held), 1, 1u << 16 },
	{ { "reassembly", "fragments" }, OPTION(ip_limits.n_reassembly_fragments), 2, 1u << 20 },
	{ { "reassembly", "per", "source" }, OPTION(ip_limits.n_reassembly_per_source), 2, 1u << 20 },
	{ { "reassembly" }, OPTION(ip_limits.n_reassembly), 1, 1u << 20 },
};

/* Words of a row that come next. */
static uint32_t common_words(struct parser *p, const struct config_row *r)
{
	uint32_t k = 0;

	while (k < CONFIG_ROW_WORDS_MAX - 1 && r->words[k] != NULL && token_is(config_peek_at(p, k), r->words[k]))
		k++;
	return k;
}

/* A value may be a word, and be no other row's. */
static bool takes_word(const struct config_row *r)
{
	return r->kind == ROW_YES_NO || r->kind == ROW_CONGESTION || r->kind == ROW_ECN;
}

const struct config_row *config_find_row(struct parser *p, const struct config_row *rows, size_t n, const char *what)
{
	const struct config_row *best = NULL;
	const char *words[WORDS_MAX];
	uint32_t deepest = 0;
	size_t n_words = 0;
	struct token t;

	for (size_t i = 0; i < n; i++) {
		uint32_t k = common_words(p, &rows[i]);

		if (rows[i].words[k] == NULL && (takes_word(&rows[i]) || config_peek_at(p, k)->kind != TOK_WORD))
			best = &rows[i];
		deepest = k > deepest ? k : deepest;
	}
	if (best != NULL)
		for (uint32_t k = 0; best->words[k] != NULL; k++)
			config_next(p);
	if (best != NULL)
		return best;
	for (size_t i = 0; i < n; i++)
		if (common_words(p, &rows[i]) == deepest && rows[i].words[deepest] != NULL && n_words < WORDS_MAX)
			words[n_words++] = rows[i].words[deepest];
	for (size_t i = 0; n_words == 0 && i < n; i++)
		if (common_words(p, &rows[i]) == deepest)
			best = &rows[i];
	while (deepest-- > 0)
		config_next(p);
	if (best != NULL)
		return best;
	t = *config_peek(p);
	config_unknown(p, &t, what, words, n_words);
	return NULL;
}

const char *config_row_name(const struct config_row *r, char name[AST_NAME_MAX])
{
	struct text t = text_of(name, AST_NAME_MAX);

	for (uint32_t k = 0; k < CONFIG_ROW_WORDS_MAX && r->words[k] != NULL; k++)
		text_add(&t, "%s%s", k > 0 ? " " : "", r->words[k]);
	return name;
}

static uint32_t *row_value(struct parser *p, const struct config_row *r)
{
	return (uint32_t *)((char *)config_of(p) + r->offset);
}

/* A time of the row's least or more. */
static bool row_seconds(struct parser *p, const struct config_row *r)
{
	struct text_pos pos = config_peek(p)->pos;
	char name[AST_NAME_MAX];

	config_once_at_all(p, row_value(p, r), &p->last);
	if (!config_seconds(p, row_value(p, r)))
		return false;
	if (*row_value(p, r) >= r->min)
		return true;
	config_err(p, &pos, "timeout %s must be %us or more (RFC 4787 REQ-5)", config_row_name(r, name), r->min);
	return true;
}

bool config_row_number(struct parser *p, const struct config_row *r)
{
	char name[AST_NAME_MAX];

	return config_number(p, r->min, r->max, config_row_name(r, name), row_value(p, r));
}

/* A statement that is a number within the row's bounds. */
static bool row_number(struct parser *p, const struct config_row *r)
{
	config_once_at_all(p, row_value(p, r), &p->last);
	return config_row_number(p, r) && config_end(p);
}

/* offload max N; offload off; */
static bool offload_statement(struct parser *p)
{
	static const char *const words[] = { "max", "off" };
	struct token t = *config_peek(p);

	config_once_at_all(p, &config_of(p)->offload_max, &p->last);
	if (config_accept_word(p, "off")) {
		config_of(p)->offload_off = true;
		return config_end(p);
	}
	if (!config_accept_word(p, "max"))
		return config_unknown(p, &t, "max or off, as in \"offload max 100000\"", words, ARRAY_LEN(words));
	config_of(p)->offload_off = false;
	return config_number(p, OFFLOAD_MIN, OFFLOAD_MAX, "offload max", &config_of(p)->offload_max) && config_end(p);
}

/* True, and a message, when another statement has said otherwise before. */
static bool contradicts(struct parser *p, const struct text_pos *pos, bool otherwise)
{
	const struct text_pos *before = &config_of(p)->ct_unknown_pos;

	if (before->line == 0 || !otherwise)
		return false;
	config_err(p, pos, "contradicts line %u, which says what becomes of unknown TCP", before->line);
	return true;
}

/* What becomes of TCP segments without a connection: said twice, it must be the same. */
static bool unknown_tcp(struct parser *p, const struct text_pos *pos, uint32_t choice)
{
	if (contradicts(p, pos, (uint32_t)config_of(p)->ct_unknown_tcp != choice))
		return config_end(p);
	config_of(p)->ct_unknown_tcp = choice;
	config_of(p)->ct_unknown_pos = *pos;
	return config_end(p);
}

/* unknown tcp reset|drop|pick up; */
static bool unknown_statement(struct parser *p)
{
	static const char *const words[] = { "reset", "drop", "pick up" };

	if (!config_expect_word(p, "tcp"))
		return false;
	struct token t = *config_peek(p);

	if (config_accept_word(p, "reset"))
		return unknown_tcp(p, &t.pos, CONFIG_UNKNOWN_RESET);
	if (config_accept_word(p, "drop"))
		return unknown_tcp(p, &t.pos, CONFIG_UNKNOWN_DROP);
	if (config_accept_word(p, "pick"))
		return config_expect_word(p, "up") && unknown_tcp(p, &t.pos, CONFIG_UNKNOWN_PICK_UP);
	return config_unknown(p, &t, "reset, drop or pick up", words, ARRAY_LEN(words));
}

/* pick up yes|no; the short form. */
static bool pick_up_statement(struct parser *p)
{
	struct text_pos pos = config_peek(p)->pos;
	bool yes;

	if (!config_expect_word(p, "up") || !config_yes_no(p, &yes))
		return false;
	if (yes)
		return unknown_tcp(p, &pos, CONFIG_UNKNOWN_PICK_UP);
	(void)contradicts(p, &pos, config_of(p)->ct_unknown_tcp == CONFIG_UNKNOWN_PICK_UP);
	return config_end(p);
}

static bool conntrack_statement(struct parser *p, void *ctx)
{
	const struct config_row *r;

	if (config_accept_word(p, "timeout")) {
		r = config_find_row(p, timeouts, ARRAY_LEN(timeouts),
				    "a state, as in \"timeout tcp established 7440s\"");
		return r != NULL && row_seconds(p, r) && config_end(p);
	}
	if (config_accept_word(p, "pick"))
		return pick_up_statement(p);
	if (config_accept_word(p, "unknown"))
		return unknown_statement(p);
	if (config_accept_word(p, "offload"))
		return offload_statement(p);
	r = config_find_row(
		p, conntrack_sizes, ARRAY_LEN(conntrack_sizes),
		"size, timeout, unknown tcp, pick up, offload, max per source, new per source or fragments");
	return r != NULL && row_number(p, r);
}

bool config_conntrack(struct parser *p)
{
	return config_block(p, conntrack_statement, NULL);
}

static bool limits_statement(struct parser *p, void *ctx)
{
	const struct config_row *r = config_find_row(
		p, limits, ARRAY_LEN(limits), "packets, large packets, neighbours, neighbour queue or reassembly");

	if (r == NULL || !row_number(p, r))
		return false;
	config_of(p)->packets.n_small = config_of(p)->packets.n_packets; /* an ordinary packet needs one of each */
	return true;
}

bool config_limits(struct parser *p)
{
	return config_block(p, limits_statement, NULL);
}

bool config_row_bounds(const struct config_row *rows, size_t n, const char *words, uint32_t *min, uint32_t *max)
{
	char name[AST_NAME_MAX];

	for (size_t i = 0; i < n; i++) {
		if (strcmp(config_row_name(&rows[i], name), words) != 0)
			continue;
		*min = rows[i].min;
		*max = rows[i].max;
		return true;
	}
	return false;
}

bool config_limit_bounds(const char *words, uint32_t *min, uint32_t *max)
{
	return config_row_bounds(limits, ARRAY_LEN(limits), words, min, max) ||
	       config_row_bounds(conntrack_sizes, ARRAY_LEN(conntrack_sizes), words, min, max) ||
	       config_host_bounds(words, min, max);
}
