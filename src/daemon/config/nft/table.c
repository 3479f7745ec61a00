/* SPDX-License-Identifier: BSD-2-Clause
 *
 * nft's own syntax, the outer part: tables, chains, and the commands that stand
 * around them in files (`flush ruleset`, `add rule ...`), so that the
 * output of `nft list ruleset` and an /etc/nftables.conf load as they are. A
 * file begins with no rules at all, so a flush only takes away what the same
 * file said before. A table or chain that is given twice grows, as in nft.
 */
#include "daemon/config/nft/nft.h"

#include <stdlib.h>
#include <string.h>

struct place {
	size_t table, chain;
	bool has_policy; /* in the block being read */
	struct text_pos policy;
};

static struct rule_table *table_at(struct parser *p, const struct place *at)
{
	return &nft_of(p)->rules->table[at->table];
}

/* define, include and the like, which can stand anywhere. *done: it was one of them. */
bool config_common(struct parser *p, bool *done)
{
	struct token word = *config_peek(p), name;

	*done = true;
	if (config_accept_word(p, "define"))
		return config_define(p, false);
	if (config_accept_word(p, "redefine"))
		return config_define(p, true);
	if (config_accept_word(p, "undefine"))
		return config_undefine(p);
	if (config_accept_word(p, "include")) {
		name = *config_peek(p);
		if (name.kind != TOK_STRING)
			return config_expected(p, "a file's name in quotes");
		config_next(p);
		config_include(p, &word, &name);
		return true;
	}
	*done = false;
	return true;
}

/* `ip` or `inet`, or none (then ip). */
static bool family(struct parser *p, bool *inet)
{
	static const char *const others[] = { "ip6", "arp", "bridge", "netdev" };
	struct token t = *config_peek(p);

	*inet = token_is(&t, "inet");
	if (*inet || token_is(&t, "ip")) {
		config_next(p);
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		if (token_is(&t, others[i])) {
			config_err(p, &t.pos, "nft knows tables of family %s, Yangguan does not yet (only ip and inet)",
				   others[i]);
			return false;
		}
	}
	return true;
}

/* Finds or makes the table; false without memory. */
static bool find_table(struct parser *p, const char *name, bool inet, const struct text_pos *pos, struct place *at)
{
	struct rule_ast *ast = nft_of(p)->rules;
	struct rule_table *t;

	nft_of(p)->inet = inet;
	for (at->table = 0; at->table < ast->n_tables; at->table++)
		if (ast->table[at->table].inet == inet && strcmp(ast->table[at->table].name, name) == 0)
			return true;
	t = config_grow(p, ast->table, ast->n_tables, sizeof(*t));
	if (t == NULL)
		return false;
	ast->table = t;
	t = &t[ast->n_tables++];
	snprintf(t->name, sizeof(t->name), "%s", name);
	t->inet = inet;
	t->pos = *pos;
	return true;
}

bool config_index_names(struct parser *p, struct rule_table *t)
{
	if (!rules_index_names(t))
		p->no_memory = true;
	return !p->no_memory;
}

static bool find_chain(struct parser *p, const char *name, const struct text_pos *pos, struct place *at)
{
	struct rule_table *t = table_at(p, at);
	struct rule_chain *c;

	at->chain = rules_find_chain(t, name);
	if (at->chain != UINT32_MAX)
		return true;
	at->chain = t->n_chains;
	c = config_grow(p, t->chain, t->n_chains, sizeof(*c));
	if (c == NULL)
		return false;
	t->chain = c;
	c = &c[t->n_chains++];
	snprintf(c->name, sizeof(c->name), "%s", name);
	c->pos = *pos;
	c->order = nft_of(p)->n_chains++;
	return config_index_names(p, t);
}

static const struct {
	const char *word;
	enum chain_type type;
} chain_types[] = { { "filter", CHAIN_FILTER }, { "nat", CHAIN_NAT }, { "route", CHAIN_ROUTE } };

#define AT(hook) (1u << HOOK_##hook)
#define AT_ALL UINT32_MAX

static const struct {
	const char *word;
	int32_t value;
	uint32_t hooks; /* that know the word */
} priorities[] = {
	{ "raw", HOOK_PRI_RAW, AT_ALL },
	{ "mangle", HOOK_PRI_MANGLE, AT_ALL },
	{ "dstnat", HOOK_PRI_DSTNAT, AT(PREROUTING) | AT(OUTPUT) },
	{ "filter", HOOK_PRI_FILTER, AT_ALL },
	{ "security", HOOK_PRI_SECURITY, AT_ALL },
	{ "srcnat", HOOK_PRI_SRCNAT, AT(POSTROUTING) | AT(INPUT) },
};

static bool chain_type(struct parser *p, enum chain_type *out)
{
	const char *words[ARRAY_LEN(chain_types)];
	struct token t = *config_peek(p);

	for (size_t i = 0; i < ARRAY_LEN(chain_types); i++) {
		words[i] = chain_types[i].word;
		if (config_accept_word(p, words[i])) {
			*out = chain_types[i].type;
			return true;
		}
	}
	return config_unknown(p, &t, "a chain's type (filter, nat or route)", words, ARRAY_LEN(words));
}

static bool chain_hook(struct parser *p, enum ip_hook *out)
{
	struct token t = *config_peek(p);

	for (int i = 0; i < N_HOOKS; i++) {
		if (config_accept_word(p, hook_names[i])) {
			*out = (enum ip_hook)i;
			return true;
		}
	}
	return config_unknown(p, &t, "a hook (prerouting, input, forward, output or postrouting)", hook_names, N_HOOKS);
}

/* NAME, NAME + N, NAME - N, N or -N. */
static bool chain_priority(struct parser *p, enum ip_hook hook, int32_t *out)
{
	const char *words[ARRAY_LEN(priorities)];
	struct token t = *config_peek(p);
	int64_t value = 0, sign = 1;
	bool named = false;
	uint32_t n;

	for (size_t i = 0; i < ARRAY_LEN(priorities); i++) {
		words[i] = priorities[i].word;
		if (named || !config_accept_word(p, words[i]))
			continue;
		value = priorities[i].value;
		named = true;
		if ((priorities[i].hooks >> hook & 1) == 0) {
			config_err(p, &t.pos, "hook %s has no priority \"%s\"; write its number, %d", hook_names[hook],
				   words[i], priorities[i].value);
			return false;
		}
	}
	if (!named && t.kind == TOK_WORD)
		return config_unknown(p, &t, "a priority", words, ARRAY_LEN(words));
	if (named && !config_is(p, TOK_PLUS) && !config_is(p, TOK_DASH)) {
		*out = (int32_t)value;
		return true;
	}
	if (config_accept(p, TOK_DASH))
		sign = -1;
	else
		config_accept(p, TOK_PLUS);
	if (!config_number(p, 0, 1000000000, "a priority", &n))
		return false;
	*out = (int32_t)(value + sign * (int64_t)n);
	return true;
}

/* `type filter hook forward priority 0`, behind the first word. */
static bool chain_base(struct parser *p, struct rule_chain *ch)
{
	struct rule_chain was = *ch;
	struct token from = *config_peek(p);
	struct text_pos pos;

	if (!chain_type(p, &ch->type) || !config_expect_word(p, "hook") || !chain_hook(p, &ch->hook))
		goto failed;
	if (config_is_word(p, "device") || config_is_word(p, "devices")) {
		from = *config_peek(p);
		config_refuse_known(p, &from);
		goto failed;
	}
	if (!config_expect_word(p, "priority") || !chain_priority(p, ch->hook, &ch->priority))
		goto failed;
	pos = config_span(p, &from);
	if (was.type != CHAIN_REGULAR &&
	    (was.type != ch->type || was.hook != ch->hook || was.priority != ch->priority)) {
		p->n_harmless++;
		config_err(p, &pos, "chain \"%s\" has another type, hook or priority already", ch->name);
		ch->type = was.type;
		ch->hook = was.hook;
		ch->priority = was.priority;
		return config_end(p);
	}
	ch->pos = pos;
	return config_end(p);
failed:
	/* Without its hook the chain would be taken for a regular one and jumps to it found fault with: guess. */
	ch->pos = from.pos;
	return false;
}

static bool chain_policy(struct parser *p, struct place *at, struct rule_chain *ch)
{
	static const char *const words[] = { "accept", "drop" };
	struct token t = *config_peek(p);

	if (!token_is(&t, "accept") && !token_is(&t, "drop"))
		return config_unknown(p, &t, "\"accept\" or \"drop\"", words, ARRAY_LEN(words));
	config_next(p);
	if (at->has_policy) {
		config_err(p, &t.pos, "the chain has a policy already, in line %u", at->policy.line);
		return false;
	}
	at->has_policy = true;
	at->policy = t.pos;
	ch->policy_drop = token_is(&t, "drop");
	return config_end(p);
}

bool config_quoted(struct parser *p)
{
	if (!config_is(p, TOK_STRING))
		return config_expected(p, "a text in quotes");
	config_next(p);
	return true;
}

static bool chain_statement(struct parser *p, void *ctx)
{
	struct rule_chain *ch = &table_at(p, ctx)->chain[((struct place *)ctx)->chain];
	struct token t = *config_peek(p);
	bool done, ok;

	ok = config_common(p, &done);
	if (done)
		return ok;
	if (config_accept_word(p, "type"))
		return chain_base(p, ch);
	if (config_accept_word(p, "policy"))
		return chain_policy(p, ctx, ch);
	if (token_is(&t, "comment")) {
		config_next(p);
		return config_quoted(p) && config_end(p);
	}
	if (token_is(&t, "flags")) {
		config_err(p, &t.pos, "nft knows flags of chains, Yangguan does not yet");
		return false;
	}
	return config_rule(p, ch, false);
}

static bool chain(struct parser *p, struct place *at)
{
	struct token name = *config_peek(p);
	size_t before = config_n_errors(*p->errors);
	char text[AST_NAME_MAX];
	bool ok;

	if (!config_own_name(p, text, "a chain's name") || !find_chain(p, text, &name.pos, at))
		return false;
	if (config_at_end(p))
		return config_end(p);
	at->has_policy = false;
	ok = config_block(p, chain_statement, at);
	/* The policy may stand before the hook. A hook that could not be read is another mistake. */
	if (at->has_policy && table_at(p, at)->chain[at->chain].type == CHAIN_REGULAR &&
	    config_n_errors(*p->errors) == before)
		config_err(p, &at->policy, "only a chain with a hook has a policy");
	return ok;
}

static bool table_statement(struct parser *p, void *ctx)
{
	static const char *const words[] = { "chain", "set", "map", "comment", "define", "include" };
	struct token t = *config_peek(p);
	bool done, ok;

	ok = config_common(p, &done);
	if (done)
		return ok;
	if (config_accept_word(p, "chain"))
		return chain(p, ctx);
	if (config_accept_word(p, "set"))
		return config_set(p, table_at(p, ctx));
	if (config_accept_word(p, "map"))
		return config_map(p, table_at(p, ctx));
	if (config_accept_word(p, "comment"))
		return config_quoted(p) && config_end(p);
	if (token_is(&t, "flags")) {
		config_err(p, &t.pos, "nft knows flags of tables, Yangguan does not yet");
		return false;
	}
	return config_unknown(p, &t, "chain, set, map or comment", words, ARRAY_LEN(words));
}

/* [family] NAME; without a name in out-of-memory only. */
static bool table_name(struct parser *p, char name[AST_NAME_MAX], bool *inet, struct text_pos *pos)
{
	if (!family(p, inet))
		return false;
	*pos = config_peek(p)->pos;
	return config_own_name(p, name, "a table's name");
}

bool config_table(struct parser *p)
{
	struct place at = { 0 };
	char name[AST_NAME_MAX];
	struct text_pos pos;
	bool inet;

	if (!table_name(p, name, &inet, &pos) || !find_table(p, name, inet, &pos, &at))
		return false;
	if (config_at_end(p))
		return config_end(p);
	return config_block(p, table_statement, &at);
}

bool config_add(struct parser *p, bool front)
{
	static const char *const words[] = { "table", "chain", "rule", "set", "map" };
	bool known;
	struct token t = *config_peek(p);
	struct place at = { 0 };
	char name[AST_NAME_MAX];
	struct text_pos pos;
	bool inet;

	if (!front && config_accept_word(p, "table"))
		return config_table(p);
	known = token_is(&t, "chain") || token_is(&t, "set") || token_is(&t, "map");
	if (!token_is(&t, "rule") && (front || !known))
		return config_unknown(p, &t, front ? "rule" : "table, chain, rule, set or map", words,
				      ARRAY_LEN(words));
	config_next(p);
	if (!table_name(p, name, &inet, &pos) || !find_table(p, name, inet, &pos, &at))
		return false;
	if (token_is(&t, "chain"))
		return chain(p, &at);
	if (token_is(&t, "set"))
		return config_set(p, table_at(p, &at));
	if (token_is(&t, "map"))
		return config_map(p, table_at(p, &at));
	pos = config_peek(p)->pos;
	if (!config_name(p, name, sizeof(name), "a chain's name"))
		return false;
	if (rules_find_chain(table_at(p, &at), name) == UINT32_MAX) {
		config_err(p, &pos, "table \"%s\" has no chain called \"%s\"", table_at(p, &at)->name, name);
		return false;
	}
	return find_chain(p, name, &pos, &at) && config_rule(p, &table_at(p, &at)->chain[at.chain], front);
}

static void table_remove(struct rule_ast *ast, size_t i)
{
	rule_table_clear(&ast->table[i]);
	ast->n_tables--;
	memmove(&ast->table[i], &ast->table[i + 1], (ast->n_tables - i) * sizeof(ast->table[0]));
}

static void chains_flush(struct rule_table *t)
{
	for (size_t i = 0; i < t->n_chains; i++) {
		for (size_t k = 0; k < t->chain[i].n_rules; k++)
			rule_clear(&t->chain[i].rule[k]);
		free(t->chain[i].rule);
		t->chain[i].rule = NULL;
		t->chain[i].n_rules = 0;
	}
}

/* delete or flush of one table: what the file itself said before; nothing else is there. */
static bool one_table(struct parser *p, bool remove)
{
	struct rule_ast *ast = nft_of(p)->rules;
	char name[AST_NAME_MAX];
	struct text_pos pos;
	bool inet;

	if (!table_name(p, name, &inet, &pos))
		return false;
	for (size_t i = 0; i < ast->n_tables; i++) {
		if (ast->table[i].inet != inet || strcmp(ast->table[i].name, name) != 0)
			continue;
		if (remove)
			table_remove(ast, i);
		else
			chains_flush(&ast->table[i]);
		break;
	}
	return config_end(p);
}

bool config_delete(struct parser *p)
{
	static const char *const words[] = { "table" };
	struct token t = *config_peek(p);

	if (!config_accept_word(p, "table"))
		return config_unknown(p, &t, "table", words, ARRAY_LEN(words));
	return one_table(p, true);
}

/* Of one family, or of all. */
static void tables_flush(struct rule_ast *ast, bool all, bool inet)
{
	for (size_t i = ast->n_tables; i > 0; i--)
		if (all || ast->table[i - 1].inet == inet)
			table_remove(ast, i - 1);
}

bool config_flush(struct parser *p)
{
	static const char *const words[] = { "ruleset", "table" };
	struct token t = *config_peek(p);

	if (config_accept_word(p, "table"))
		return one_table(p, false);
	if (!config_accept_word(p, "ruleset"))
		return config_unknown(p, &t, "ruleset or table", words, ARRAY_LEN(words));
	if (config_accept_word(p, "inet"))
		tables_flush(nft_of(p)->rules, false, true);
	else if (config_accept_word(p, "ip"))
		tables_flush(nft_of(p)->rules, false, false);
	else if (!config_accept_word(p, "ip6") && !config_accept_word(p, "arp") && !config_accept_word(p, "bridge") &&
		 !config_accept_word(p, "netdev")) /* of which we have no tables */
		tables_flush(nft_of(p)->rules, true, false);
	return config_end(p);
}
