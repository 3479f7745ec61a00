/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `log { ... }`, and `log` in a pool: what NAT does of which records are kept
 * (base/log_record.h).
 */
#include "daemon/config/config_priv.h"

/* Records that wait for whoever reads them. */
#define LOG_SIZE_MIN 64
#define LOG_SIZE_MAX (1u << 22)

static const struct {
	const char *word;
	uint8_t what;
} kinds[] = {
	{ "sessions", NAT_LOG_SESSIONS },
	{ "mappings", NAT_LOG_MAPPINGS },
};

/* The kind that comes next, consumed; 0: it is another word. */
static uint8_t kind(struct parser *p)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (config_accept_word(p, kinds[i].word))
			return kinds[i].what;
	return 0;
}

static bool log_statement(struct parser *p, void *ctx)
{
	static const char *const words[] = { "sessions", "mappings", "destinations", "size" };
	struct nat_config *nat = &config_of(p)->nat;
	struct token t = *config_peek(p);
	uint8_t what = kind(p);
	bool yes;

	if (what != 0) {
		if (!config_yes_no(p, &yes))
			return false;
		nat->log = (uint8_t)(yes ? nat->log | what : nat->log & ~what);
	} else if (config_accept_word(p, "destinations")) {
		if (!config_yes_no(p, &yes))
			return false;
		nat->log_no_destinations = !yes;
	} else if (config_accept_word(p, "size")) {
		if (!config_number(p, LOG_SIZE_MIN, LOG_SIZE_MAX, "size", &config_of(p)->n_log_records))
			return false;
	} else {
		return config_unknown(p, &t, "sessions, mappings, destinations or size", words, ARRAY_LEN(words));
	}
	return config_end(p);
}

bool config_log(struct parser *p)
{
	return config_block(p, log_statement, NULL);
}

bool config_pool_log(struct parser *p, struct nat_pool_config *pool)
{
	static const char *const words[] = { "sessions", "mappings", "none" };

	pool->log_own = 1;
	pool->log = 0;
	if (config_accept_word(p, "none"))
		return true;
	do {
		struct token t = *config_peek(p);
		uint8_t what = kind(p);

		if (what == 0)
			return config_unknown(p, &t, "sessions, mappings or none", words, ARRAY_LEN(words));
		pool->log |= what;
	} while (config_accept(p, TOK_COMMA));
	return true;
}
