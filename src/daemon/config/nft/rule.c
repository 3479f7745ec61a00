/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One rule: matches and statements in a row, up to the line's end. Each
 * statement that begins with a word of its own is a row of a table; whatever
 * else begins with a key is a match and belongs to expr.c.
 *
 * A rule that only IPv6 packets could match is left out with a note: it would
 * never speak of a packet of ours, and an inet table of a kernel gateway is
 * full of them. The rule's text is kept in one line, for `yangguan rules`.
 */
#include "daemon/config/nft/nft.h"

#include <stdlib.h>
#include <string.h>

#include "stack/wire/icmp.h"

#define LIMIT_BURST_DEFAULT 5 /* packets, as in nft */

struct statement {
	const char *word;
	bool (*parse)(struct parser *p, const struct token *word, struct rule_stmt *s);
	enum rule_stmt_kind kind;
	bool is_last; /* nothing can follow it */
};

static bool parse_nothing(struct parser *p, const struct token *word, struct rule_stmt *s)
{
	return true;
}

static bool parse_counter(struct parser *p, const struct token *word, struct rule_stmt *s)
{
	struct token t = *config_peek(p);

	if (token_is(&t, "name") || t.kind == TOK_STRING) {
		config_err(p, &t.pos, "nft knows named counters, Yangguan does not yet");
		return false;
	}
	while (config_is_word(p, "packets") || config_is_word(p, "bytes")) {
		uint64_t *to = config_is_word(p, "packets") ? &s->packets : &s->bytes;

		config_next(p);
		t = *config_peek(p);
		if (!config_expect(p, TOK_NUMBER))
			return false;
		*to = t.value;
	}
	return true;
}

static bool parse_chain_name(struct parser *p, const struct token *word, struct rule_stmt *s)
{
	s->name_pos = config_peek(p)->pos;
	return config_name(p, s->chain, sizeof(s->chain), "a chain's name");
}

struct reject_name {
	const char *word;
	uint8_t code;
};

/* icmpx: a name for each of the two families' own codes. */
#define ICMPX_NUMBERS 4
/* As nft -n writes them (NFT_REJECT_ICMPX_*). */
static const uint8_t icmpx_numbers[ICMPX_NUMBERS] = { ICMP_NET_UNREACHABLE, ICMP_PORT_UNREACHABLE,
						      ICMP_HOST_UNREACHABLE, ICMP_ADMIN_PROHIBITED };

static const struct reject_name icmpx_codes[] = {
	{ "port-unreachable", ICMP_PORT_UNREACHABLE },
	{ "admin-prohibited", ICMP_ADMIN_PROHIBITED },
	{ "no-route", ICMP_NET_UNREACHABLE },
	{ "host-unreachable", ICMP_HOST_UNREACHABLE },
};

static bool parse_icmpx(struct parser *p, struct rule_stmt *s)
{
	const char *words[ARRAY_LEN(icmpx_codes)];
	struct token t = *config_peek(p);

	if (t.kind == TOK_NUMBER && t.value < ICMPX_NUMBERS) {
		s->reject_code = icmpx_numbers[t.value];
		config_next(p);
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(icmpx_codes); i++) {
		words[i] = icmpx_codes[i].word;
		if (config_accept_word(p, words[i])) {
			s->reject_code = icmpx_codes[i].code;
			return true;
		}
	}
	return config_unknown(p, &t, "a reason (port-unreachable, admin-prohibited, no-route, host-unreachable)", words,
			      ARRAY_LEN(words));
}

static bool parse_reject(struct parser *p, const struct token *word, struct rule_stmt *s)
{
	static const char *const words[] = { "icmp", "icmpx", "tcp" };
	struct rule_range code;
	struct token t;

	s->reject_kind = REJECT_ICMP;
	s->reject_code = ICMP_PORT_UNREACHABLE;
	if (!config_accept_word(p, "with"))
		return true;
	t = *config_peek(p);
	if (config_accept_word(p, "tcp")) {
		s->reject_kind = REJECT_TCP_RESET;
		return config_expect_word(p, "reset");
	}
	if (config_accept_word(p, "icmpx")) {
		config_accept_word(p, "type");
		return parse_icmpx(p, s);
	}
	if (token_is(&t, "icmpv6")) {
		nft_of(p)->skip_ipv6 = true;
		return false;
	}
	if (!config_accept_word(p, "icmp"))
		return config_unknown(p, &t, "icmp, icmpx or tcp reset", words, ARRAY_LEN(words));
	config_accept_word(p, "type");
	t = *config_peek(p);
	if (!config_key_value(p, KEY_ICMP_CODE, &code))
		return false;
	if (code.lo != code.hi || code.lo > UINT8_MAX || code.lo == ICMP_FRAGMENTATION_NEEDED) {
		config_err(p, &t.pos, "a packet cannot be rejected with this code");
		return false;
	}
	s->reject_code = (uint8_t)code.lo;
	return true;
}

static const struct {
	const char *word;
	uint32_t seconds;
} limit_units[] = { { "second", 1 }, { "minute", 60 }, { "hour", 3600 }, { "day", 86400 }, { "week", 604800 } };

static bool parse_limit_rate(struct parser *p, struct rule_stmt *s)
{
	const char *words[ARRAY_LEN(limit_units)];
	struct token t;
	uint32_t rate;

	if (!config_number(p, 1, 1000000000, "a rate", &rate))
		return false;
	s->limit_rate = rate;
	t = *config_peek(p);
	if (token_is(&t, "bytes") || token_is(&t, "kbytes") || token_is(&t, "mbytes")) {
		config_err(p, &t.pos, "nft knows limits in bytes, Yangguan does not yet");
		return false;
	}
	if (!config_expect(p, TOK_SLASH))
		return false;
	t = *config_peek(p);
	for (size_t i = 0; i < ARRAY_LEN(limit_units); i++) {
		words[i] = limit_units[i].word;
		if (config_accept_word(p, words[i])) {
			s->limit_per_s = limit_units[i].seconds;
			return true;
		}
	}
	return config_unknown(p, &t, "second, minute, hour, day or week", words, ARRAY_LEN(words));
}

static bool parse_limit(struct parser *p, const struct token *word, struct rule_stmt *s)
{
	struct token t = *config_peek(p);

	if (token_is(&t, "name") || t.kind == TOK_STRING) {
		config_err(p, &t.pos, "nft knows named limits, Yangguan does not yet");
		return false;
	}
	if (!config_expect_word(p, "rate"))
		return false;
	if (config_accept_word(p, "over"))
		s->limit_over = true;
	else
		config_accept_word(p, "until");
	if (!parse_limit_rate(p, s))
		return false;
	s->limit_burst = LIMIT_BURST_DEFAULT;
	if (!config_accept_word(p, "burst"))
		return true;
	if (!config_number(p, 1, UINT32_MAX, "a burst", &s->limit_burst))
		return false;
	return config_expect_word(p, "packets");
}

static const struct statement statements[] = {
	{ "counter", parse_counter, STMT_COUNTER, false },
	{ "accept", parse_nothing, STMT_ACCEPT, true },
	{ "drop", parse_nothing, STMT_DROP, true },
	{ "return", parse_nothing, STMT_RETURN, true },
	{ "continue", parse_nothing, STMT_CONTINUE, false },
	{ "jump", parse_chain_name, STMT_JUMP, true },
	{ "goto", parse_chain_name, STMT_GOTO, true },
	{ "reject", parse_reject, STMT_REJECT, true },
	{ "snat", config_nat, STMT_NAT, true },
	{ "dnat", config_nat, STMT_NAT, true },
	{ "masquerade", config_nat, STMT_NAT, true },
	{ "redirect", config_nat, STMT_NAT, true },
	{ "notrack", parse_nothing, STMT_NOTRACK, false },
	{ "limit", parse_limit, STMT_LIMIT, false },
};

static bool unknown_statement(struct parser *p, const struct token *t)
{
	static const char *const more[] = { "meta", "ip", "tcp", "udp", "sctp",    "dccp",    "udplite", "th",
					    "icmp", "ct", "iif", "oif", "iifname", "oifname", "mark",    "comment" };
	const char *words[ARRAY_LEN(statements) + ARRAY_LEN(more)];
	size_t n = 0;

	if (t->kind == TOK_COMMA) {
		config_err(p, &t->pos, "several values stand in braces, as in { 80, 443 }");
		return false;
	}
	if (t->kind == TOK_DOT) {
		config_err(p, &t->pos, "nft knows keys joined by \".\", Yangguan does not yet");
		return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(statements); i++)
		words[n++] = statements[i].word;
	for (size_t i = 0; i < ARRAY_LEN(more); i++)
		words[n++] = more[i];
	return config_unknown(p, t, "a match or a statement", words, n);
}

/* One statement into *s. *is_last: nothing can follow. */
static bool rule_stmt(struct parser *p, struct rule_stmt *s, bool *is_last)
{
	struct token from = *config_peek(p);

	for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
		if (!config_accept_word(p, statements[i].word))
			continue;
		s->kind = statements[i].kind;
		*is_last = statements[i].is_last;
		if (!statements[i].parse(p, &from, s))
			return false;
		s->pos = config_span(p, &from);
		return true;
	}
	if (!config_is_key(p) && from.kind != TOK_LPAREN)
		return unknown_statement(p, &from);
	if (!config_expr(p, s))
		return false;
	s->pos = config_span(p, &from);
	return true;
}

/* What `dnat to A:80` needs before it: a packet with ports. Of maps it is asked when all of them are known. */
static bool rule_fits(struct parser *p, const struct rule *r, const struct rule_stmt *s)
{
	if (s->kind != STMT_NAT || (s->nat.flags & NAT_FLAG_PORT) == 0 || s->map != NULL || rules_know_ports(r, s))
		return true;
	config_err(p, &s->pos,
		   "a port can be given only behind a match for a protocol that has ports, as in "
		   "\"tcp dport 80\" or \"ip protocol udp\"");
	return false;
}

static bool rule_comment(struct parser *p, struct rule *r)
{
	struct token t = *config_peek(p);

	if (t.kind != TOK_STRING)
		return config_expected(p, "a text in quotes");
	config_next(p);
	free(r->comment);
	r->comment = strndup(t.text, t.len);
	return r->comment != NULL;
}

static bool rule_statements(struct parser *p, struct rule *r)
{
	const char *last = NULL;

	while (!config_at_end(p)) {
		struct rule_stmt s = { 0 }, *bigger;
		struct token t = *config_peek(p);
		bool is_last = false;

		if (config_accept_word(p, "comment")) {
			if (!rule_comment(p, r))
				return false;
			return config_at_end(p) || config_expected(p, "the end of the rule behind its comment");
		}
		if (last != NULL) {
			config_err(p, &t.pos, "nothing can follow \"%s\": it ends the rule", last);
			return false;
		}
		bigger = NULL;
		if (rule_stmt(p, &s, &is_last) && rule_fits(p, r, &s) && config_context(p, &s))
			bigger = config_grow(p, r->stmt, r->n_stmts, sizeof(s));
		if (bigger == NULL) {
			rule_stmt_clear(&s);
			return false;
		}
		r->stmt = bigger;
		bigger[r->n_stmts++] = s;
		for (size_t i = 0; is_last && i < ARRAY_LEN(statements); i++)
			last = token_is(&t, statements[i].word) ? statements[i].word : last;
	}
	return true;
}

/* Blanks, line ends and comments between words become one blank. */
static char *one_line(const char *from, const char *to)
{
	char *text = malloc((size_t)(to - from) + 1);
	bool quoted = false;
	size_t n = 0;

	for (; text != NULL && from < to; from++) {
		bool blank = *from == ' ' || (*from >= '\t' && *from <= '\r') ||
			     (*from == '\\' && from + 1 < to && (from[1] == '\n' || from[1] == '\r'));

		if (!quoted && *from == '#') {
			while (from + 1 < to && from[1] != '\n')
				from++;
			continue;
		}
		quoted ^= *from == '"';
		if (quoted || !blank)
			text[n++] = (char)((unsigned char)*from < 0x20 || *from == 0x7f ? '?' : *from);
		else if (n > 0 && text[n - 1] != ' ')
			text[n++] = ' ';
	}
	if (text != NULL)
		text[n] = '\0';
	return text;
}

/* From the first word to the last one consumed, if they stand in one file. */
static char *rule_text(const struct parser *p, const struct token *from)
{
	if (p->last.pos.file != from->pos.file || p->last.src < from->src)
		return strdup("");
	return one_line(from->src, p->last.src + p->last.src_len);
}

static bool rule_add(struct parser *p, struct rule_chain *ch, bool front, const struct rule *r)
{
	struct rule *bigger = config_grow(p, ch->rule, ch->n_rules, sizeof(*r));

	if (bigger == NULL)
		return false;
	ch->rule = bigger;
	if (front) {
		memmove(&bigger[1], &bigger[0], ch->n_rules * sizeof(*r));
		bigger[0] = *r;
	} else {
		bigger[ch->n_rules] = *r;
	}
	ch->n_rules++;
	return true;
}

bool config_rule(struct parser *p, struct rule_chain *ch, bool front)
{
	struct rule r = { 0 };
	struct token from = *config_peek(p);
	size_t before = config_n_errors(*p->errors);

	nft_of(p)->skip_ipv6 = false;
	nft_of(p)->context = (struct config_context){ 0 };
	p->words = CONFIG_WORDS_NONE;
	if (rule_statements(p, &r)) {
		r.words = p->words;
		r.pos = config_span(p, &from);
		r.text = rule_text(p, &from);
		if (r.text != NULL && rule_add(p, ch, front, &r))
			return config_end(p);
		p->no_memory = true;
	}
	rule_clear(&r);
	p->n_harmless += config_n_errors(*p->errors) - before;
	if (!nft_of(p)->skip_ipv6)
		return false;
	config_note(p, &from.pos, "this rule is for IPv6 and is left out");
	config_skip_statement(p);
	return config_end(p);
}
