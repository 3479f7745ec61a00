/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `log { ... }`, and `log` in a pool: what NAT does of which records are kept
 * (base/log_record.h).
 */
#include "daemon/config/config_priv.h"

/* Records that wait for whoever reads them. */
#define LOG_SIZE_MIN 64
#define LOG_SIZE_MAX (1u << 22)

static const struct log_word {
	const char *word;
	uint8_t what;
} kinds[] = {
	{ "sessions", NAT_LOG_SESSIONS },
	{ "mappings", NAT_LOG_MAPPINGS },
	{ "blocks", NAT_LOG_BLOCKS },
};

/* The kind that comes next, consumed; NULL: it is another word. */
static const struct log_word *kind(struct parser *p)
{
	struct text_pos pos = config_peek(p)->pos, *blocks = &config_of(p)->log_blocks_pos;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!config_accept_word(p, kinds[i].word))
			continue;
		if (kinds[i].what == NAT_LOG_BLOCKS && blocks->line == 0)
			*blocks = pos;
		return &kinds[i];
	}
	return NULL;
}

static bool log_statement(struct parser *p, void *ctx)
{
	static const char *const words[] = { "sessions", "mappings", "blocks", "destinations", "size" };
	struct nat_config *nat = &config_of(p)->nat;
	struct token t = *config_peek(p);
	const struct log_word *k = kind(p);
	bool yes;

	if (k != NULL) {
		config_once_at_all(p, k, &t);
		if (!config_yes_no(p, &yes))
			return false;
		nat->log = (uint8_t)(yes ? nat->log | k->what : nat->log & ~k->what);
	} else if (config_accept_word(p, "destinations")) {
		config_once_at_all(p, &nat->log, &t);
		if (!config_yes_no(p, &yes))
			return false;
		nat->log_no_destinations = !yes;
	} else if (config_accept_word(p, "size")) {
		config_once_at_all(p, &config_of(p)->n_log_records, &t);
		if (!config_number(p, LOG_SIZE_MIN, LOG_SIZE_MAX, "size", &config_of(p)->n_log_records))
			return false;
	} else {
		return config_unknown(p, &t, "sessions, mappings, blocks, destinations or size", words,
				      ARRAY_LEN(words));
	}
	return config_end(p);
}

bool config_log(struct parser *p)
{
	return config_block(p, log_statement, NULL);
}

bool config_pool_log(struct parser *p, struct nat_pool_config *pool)
{
	static const char *const words[] = { "sessions", "mappings", "blocks", "none" };

	pool->log_own = 1;
	pool->log = 0;
	if (config_accept_word(p, "none"))
		return true;
	do {
		struct token t = *config_peek(p);
		const struct log_word *k = kind(p);

		if (k == NULL)
			return config_unknown(p, &t, "sessions, mappings, blocks or none", words, ARRAY_LEN(words));
		pool->log |= k->what;
	} while (config_accept(p, TOK_COMMA));
	return true;
}

static bool asks_for_blocks(const struct nat_config *nat)
{
	uint8_t what = nat->log;

	for (uint32_t i = 0; i < nat->n_pools; i++)
		what |= nat->pool[i].log;
	return (what & NAT_LOG_BLOCKS) != 0;
}

void config_check_log(struct parser *p)
{
	const struct config *c = config_of(p);

	if (c->n_workers <= 1 && asks_for_blocks(&c->nat))
		config_note(
			p, &c->log_blocks_pos,
			"blocks are what several workers divide the ports by: with one worker there are none to log");
}
