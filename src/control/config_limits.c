/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `conntrack { ... }` and `limits { ... }`: sizes of what is allocated at start,
 * and timeouts. Each option is a row: its words, what it sets, and the bounds.
 */
#include "control/config_priv.h"

#include <string.h>

#define ROW_WORDS_MAX 4

struct row {
	const char *words[ROW_WORDS_MAX];
	size_t offset; /* of a uint32_t in struct config */
	uint32_t min, max;
};

#define OPTION(member) offsetof(struct config, member)

static const struct row timeouts[] = {
	{ { "tcp", "syn-sent" }, OPTION(timeout.tcp_syn_sent), 0, 0 },
	{ { "tcp", "syn-recv" }, OPTION(timeout.tcp_syn_recv), 0, 0 },
	{ { "tcp", "established" }, OPTION(timeout.tcp_established), 0, 0 },
	{ { "tcp", "fin-wait" }, OPTION(timeout.tcp_fin_wait), 0, 0 },
	{ { "tcp", "close-wait" }, OPTION(timeout.tcp_close_wait), 0, 0 },
	{ { "tcp", "last-ack" }, OPTION(timeout.tcp_last_ack), 0, 0 },
	{ { "tcp", "time-wait" }, OPTION(timeout.tcp_time_wait), 0, 0 },
	{ { "tcp", "close" }, OPTION(timeout.tcp_close), 0, 0 },
	{ { "tcp", "unacknowledged" }, OPTION(timeout.tcp_unacknowledged), 0, 0 },
	{ { "udp", "new" }, OPTION(timeout.udp_new), 0, 0 },
	{ { "udp", "stream" }, OPTION(timeout.udp_stream), 0, 0 },
	{ { "icmp" }, OPTION(timeout.icmp), 0, 0 },
	{ { "other" }, OPTION(timeout.other), 0, 0 },
};

static const struct row conntrack_sizes[] = {
	{ { "size" }, OPTION(ct_limits.n_connections), 16, 1u << 28 },
	{ { "fragments" }, OPTION(ct_limits.n_fragments), 16, 1u << 20 },
	{ { "max", "per", "source" }, OPTION(ct_max_per_source), 1, UINT32_MAX },
};

static const struct row limits[] = {
	{ { "packets" }, OPTION(packets.n_packets), 256, 1u << 24 },
	{ { "large", "packets" }, OPTION(packets.n_large), 1, 1u << 16 },
	{ { "neighbours" }, OPTION(ip_limits.n_neighbours), 16, 1u << 20 },
	{ { "neighbour", "queue", "all" }, OPTION(ip_limits.n_neigh_held_all), 1, 1u << 20 },
	{ { "neighbour", "queue" }, OPTION(ip_limits.n_neigh_held), 1, 1u << 16 },
	{ { "reassembly", "fragments" }, OPTION(ip_limits.n_reassembly_fragments), 2, 1u << 20 },
	{ { "reassembly", "per", "source" }, OPTION(ip_limits.n_reassembly_per_source), 2, 1u << 20 },
	{ { "reassembly" }, OPTION(ip_limits.n_reassembly), 1, 1u << 20 },
};

/* The row whose words come next; consumes them. Longer ones stand first where one begins another. */
static const struct row *find_row(struct parser *p, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t k = 0;

		while (k < ROW_WORDS_MAX && rows[i].words[k] != NULL &&
		       token_is(config_peek_at(p, k), rows[i].words[k]))
			k++;
		if (k < ROW_WORDS_MAX && rows[i].words[k] != NULL)
			continue;
		while (k-- > 0)
			config_next(p);
		return &rows[i];
	}
	return NULL;
}

/* Nothing fitted: words[0] of all rows are what could have come, or words[1] of those that begin like this. */
static bool no_row(struct parser *p, const struct row *rows, size_t n, const char *what)
{
	const char *words[32];
	struct token t = *config_peek(p);
	size_t n_words = 0;

	for (size_t i = 0; i < n; i++)
		if (token_is(&t, rows[i].words[0]) && rows[i].words[1] != NULL)
			words[n_words++] = rows[i].words[1];
	if (n_words > 0) {
		config_next(p);
		t = *config_peek(p);
	}
	for (size_t i = 0; n_words == 0 && i < n; i++)
		words[i] = rows[i].words[0];
	return config_unknown(p, &t, what, words, n_words > 0 ? n_words : n);
}

static uint32_t *row_value(struct parser *p, const struct row *r)
{
	return (uint32_t *)((char *)p->c + r->offset);
}

static bool conntrack_statement(struct parser *p, void *ctx)
{
	static const char *const words[] = { "size", "timeout", "pick", "max", "fragments" };
	struct token t = *config_peek(p);
	const struct row *r;

	if (config_accept_word(p, "timeout")) {
		r = find_row(p, timeouts, ARRAY_LEN(timeouts));
		if (r == NULL)
			return no_row(p, timeouts, ARRAY_LEN(timeouts),
				      "a state, as in \"timeout tcp established 7440s\"");
		return config_seconds(p, row_value(p, r)) && config_end(p);
	}
	if (config_accept_word(p, "pick"))
		return config_expect_word(p, "up") && config_yes_no(p, &p->c->ct_pick_up) && config_end(p);
	r = find_row(p, conntrack_sizes, ARRAY_LEN(conntrack_sizes));
	if (r == NULL)
		return config_unknown(p, &t, "size, timeout, pick up, max per source or fragments", words,
				      ARRAY_LEN(words));
	return config_number(p, r->min, r->max, "this", row_value(p, r)) && config_end(p);
}

bool config_conntrack(struct parser *p)
{
	return config_block(p, conntrack_statement, NULL);
}

static bool limits_statement(struct parser *p, void *ctx)
{
	const struct row *r = find_row(p, limits, ARRAY_LEN(limits));

	if (r == NULL)
		return no_row(p, limits, ARRAY_LEN(limits),
			      "packets, large packets, neighbours, neighbour queue or reassembly");
	if (!config_number(p, r->min, r->max, "this", row_value(p, r)))
		return false;
	p->c->packets.n_small = p->c->packets.n_packets; /* an ordinary packet needs one of each */
	return config_end(p);
}

bool config_limits(struct parser *p)
{
	return config_block(p, limits_statement, NULL);
}
