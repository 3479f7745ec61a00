/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ss's filter: a descent over its grammar that leaves steps in reverse Polish order.
 */
#include "daemon/control/commands/ss_filter.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define WORD_MAX 64u
#define DEPTH_MAX 16u

struct parse {
	struct ss_filter *f;
	const char *at;
	char word[WORD_MAX]; /* the next one; "" at the end */
	uint32_t depth;      /* of parentheses and nots */
	char *err;
	size_t err_len;
	bool failed;
};

static void fail(struct parse *p, const char *what)
{
	if (!p->failed)
		snprintf(p->err, p->err_len, "%s: \"%s\"", what, p->word[0] != '\0' ? p->word : "end of the filter");
	p->failed = true;
	p->word[0] = '\0';
	p->at = "";
}

/* A word, a parenthesis, or a row of signs of operators. */
static void next_word(struct parse *p)
{
	static const char signs[] = "=!<>&|";
	size_t n = 0;

	while (isspace((unsigned char)*p->at))
		p->at++;
	if (*p->at == '(' || *p->at == ')') {
		p->word[n++] = *p->at++;
	} else if (*p->at != '\0' && strchr(signs, *p->at) != NULL) {
		while (*p->at != '\0' && strchr(signs, *p->at) != NULL && n < WORD_MAX - 1)
			p->word[n++] = *p->at++;
	} else {
		while (*p->at != '\0' && !isspace((unsigned char)*p->at) && strchr("()", *p->at) == NULL &&
		       strchr(signs, *p->at) == NULL && n < WORD_MAX - 1)
			p->word[n++] = *p->at++;
	}
	p->word[n] = '\0';
}

static bool takes(struct parse *p, const char *a, const char *b, const char *c)
{
	if (strcmp(p->word, a) != 0 && strcmp(p->word, b) != 0 && strcmp(p->word, c) != 0)
		return false;
	next_word(p);
	return true;
}

static void add(struct parse *p, struct ss_step s)
{
	if (p->f->n == SS_STEPS_MAX)
		fail(p, "the filter is too long");
	else
		p->f->step[p->f->n++] = s;
}

/* --- terms --- */

static bool parse_port(const char *text, uint16_t *port)
{
	char *end;
	unsigned long v;

	if (text[0] == ':')
		text++;
	if (text[0] < '0' || text[0] > '9')
		return false;
	v = strtoul(text, &end, 10);
	*port = (uint16_t)v;
	return *end == '\0' && v <= UINT16_MAX;
}

static void add_port(struct parse *p, bool of_peer, enum ss_op op, const char *text)
{
	struct ss_step s = { .kind = SS_PORT, .op = (uint8_t)op, .of_peer = of_peer };

	if (!parse_port(text, &s.port))
		fail(p, "no port number");
	else
		add(p, s);
}

/* [=] ADDR[/LEN][:PORT], or :PORT alone. */
static void parse_end(struct parse *p, bool of_peer)
{
	struct ss_step s = { .kind = SS_ADDR, .of_peer = of_peer, .prefix = { .len = 32 } };

	(void)takes(p, "=", "==", "eq");
	if (p->word[0] == ':') {
		add_port(p, of_peer, SS_EQ, p->word);
		next_word(p);
		return;
	}
	char *rest = p->word + ip4_parse(p->word, strlen(p->word), &s.prefix.addr);

	if (strcmp(p->word, "*") == 0 || rest == p->word) {
		fail(p, "no IPv4 address");
		return;
	}
	if (*rest == '/') {
		unsigned long len = strtoul(rest + 1, &rest, 10);

		if (len > 32)
			fail(p, "no prefix length");
		s.prefix.len = (uint8_t)min_u64(len, 32);
	}
	s.prefix.addr &= ip4_mask(s.prefix.len);
	add(p, s);
	if (*rest == ':') {
		add_port(p, of_peer, SS_EQ, rest);
		add(p, (struct ss_step){ .kind = SS_AND });
	} else if (*rest != '\0') {
		fail(p, "no IPv4 address");
	}
	next_word(p);
}

static enum ss_op parse_op(struct parse *p)
{
	static const struct {
		const char *name[3];
		enum ss_op op;
	} ops[] = {
		{ { "=", "==", "eq" }, SS_EQ },   { { "!=", "ne", "neq" }, SS_NE }, { { "<", "lt", "lt" }, SS_LT },
		{ { "<=", "le", "leq" }, SS_LE }, { { ">", "gt", "gt" }, SS_GT },   { { ">=", "ge", "geq" }, SS_GE },
	};

	for (size_t i = 0; i < ARRAY_LEN(ops); i++)
		if (takes(p, ops[i].name[0], ops[i].name[1], ops[i].name[2]))
			return ops[i].op;
	return SS_EQ;
}

/* --- the grammar --- */

static void parse_or(struct parse *p);

static void parse_term(struct parse *p)
{
	bool is_dst = strcmp(p->word, "dst") == 0, is_dport = strcmp(p->word, "dport") == 0;

	if (takes(p, "src", "dst", "dst")) {
		parse_end(p, is_dst);
	} else if (takes(p, "sport", "dport", "dport")) {
		enum ss_op op = parse_op(p);

		add_port(p, is_dport, op, p->word);
		next_word(p);
	} else {
		fail(p, "src, dst, sport, dport, not or ( is wanted here");
	}
}

static void parse_not(struct parse *p)
{
	if (++p->depth > DEPTH_MAX)
		fail(p, "the filter is too deep");
	if (takes(p, "not", "!", "!")) {
		parse_not(p);
		add(p, (struct ss_step){ .kind = SS_NOT });
	} else if (takes(p, "(", "(", "(")) {
		parse_or(p);
		if (!takes(p, ")", ")", ")"))
			fail(p, ") is wanted here");
	} else {
		parse_term(p);
	}
	p->depth--;
}

static bool begins_term(const struct parse *p)
{
	static const char *const words[] = { "src", "dst", "sport", "dport", "not", "!", "(" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(p->word, words[i]) == 0)
			return true;
	return false;
}

/* Two terms without a word between are joined by `and`. */
static void parse_and(struct parse *p)
{
	parse_not(p);
	while (!p->failed && (takes(p, "and", "&", "&&") || begins_term(p))) {
		parse_not(p);
		add(p, (struct ss_step){ .kind = SS_AND });
	}
}

static void parse_or(struct parse *p)
{
	parse_and(p);
	while (!p->failed && takes(p, "or", "|", "||")) {
		parse_and(p);
		add(p, (struct ss_step){ .kind = SS_OR });
	}
}

/* --- states --- */

static uint32_t states_of(const char *name)
{
	const uint32_t connected = SS_STATES_ALL & ~SS_STATES_LISTENING;
	const uint32_t bucket = SS_STATE(TCP_SYN_RECEIVED) | SS_STATE(TCP_TIME_WAIT);
	const struct {
		const char *name;
		uint32_t states;
	} names[] = {
		{ "all", SS_STATES_ALL },
		{ "connected", connected },
		{ "synchronized", connected & ~SS_STATE(TCP_SYN_SENT) },
		{ "bucket", bucket },
		{ "big", SS_STATES_ALL & ~bucket },
		{ "established", SS_STATE(TCP_ESTABLISHED) },
		{ "syn-sent", SS_STATE(TCP_SYN_SENT) },
		{ "syn-recv", SS_STATE(TCP_SYN_RECEIVED) },
		{ "fin-wait-1", SS_STATE(TCP_FIN_WAIT_1) },
		{ "fin-wait-2", SS_STATE(TCP_FIN_WAIT_2) },
		{ "time-wait", SS_STATE(TCP_TIME_WAIT) },
		{ "closed", SS_STATE(TCP_CLOSED) },
		{ "unconnected", SS_STATE(TCP_CLOSED) },
		{ "close-wait", SS_STATE(TCP_CLOSE_WAIT) },
		{ "last-ack", SS_STATE(TCP_LAST_ACK) },
		{ "listening", SS_STATE(TCP_LISTEN) },
		{ "listen", SS_STATE(TCP_LISTEN) },
		{ "closing", SS_STATE(TCP_CLOSING) },
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcasecmp(names[i].name, name) == 0)
			return names[i].states;
	return 0;
}

static void parse_states(struct parse *p, uint32_t states)
{
	bool is_first = true;

	p->f->states = states;
	while (!p->failed && (strcmp(p->word, "state") == 0 || strcmp(p->word, "exclude") == 0)) {
		bool is_out = p->word[0] == 'e';

		next_word(p);
		uint32_t named = states_of(p->word);

		if (named == 0) {
			fail(p, "no state");
			return;
		}
		if (is_first)
			p->f->states = is_out ? states : 0;
		p->f->states = is_out ? p->f->states & ~named : p->f->states | named;
		is_first = false;
		next_word(p);
	}
}

int ss_filter_parse(struct ss_filter *f, uint32_t states, const char *text, char *err, size_t err_len)
{
	struct parse p = { .f = f, .at = text, .err = err, .err_len = err_len };

	f->n = 0;
	next_word(&p);
	parse_states(&p, states);
	if (p.word[0] != '\0')
		parse_or(&p);
	if (p.word[0] != '\0')
		fail(&p, "and, or, or nothing is wanted here");
	return p.failed ? -EINVAL : 0;
}

/* --- what it takes --- */

static bool port_fits(enum ss_op op, uint16_t port, uint16_t asked)
{
	switch (op) {
	case SS_EQ:
		return port == asked;
	case SS_NE:
		return port != asked;
	case SS_LT:
		return port < asked;
	case SS_LE:
		return port <= asked;
	case SS_GT:
		return port > asked;
	default:
		return port >= asked;
	}
}

bool ss_filter_takes(const struct ss_filter *f, const struct socket_entry *e)
{
	bool stack[SS_STEPS_MAX + 1];
	uint32_t n = 0;

	if (!(f->states & SS_STATE(e->t.state)))
		return false;
	stack[n++] = true;
	for (uint32_t i = 0; i < f->n; i++) {
		const struct ss_step *s = &f->step[i];
		const struct tcp_end *end = s->of_peer ? &e->t.remote : &e->t.local;

		switch ((enum ss_step_kind)s->kind) {
		case SS_ADDR:
			stack[n++] = ip4_in(end->addr.v4, s->prefix);
			break;
		case SS_PORT:
			stack[n++] = port_fits((enum ss_op)s->op, end->port, s->port);
			break;
		case SS_NOT:
			stack[n - 1] = !stack[n - 1];
			break;
		case SS_AND:
			n--;
			stack[n - 1] = stack[n - 1] && stack[n];
			break;
		case SS_OR:
			n--;
			stack[n - 1] = stack[n - 1] || stack[n];
			break;
		}
	}
	return stack[n - 1];
}

bool ss_id_parse(const char *text, uint64_t *id)
{
	if (strncmp(text, "sk:", 3) == 0)
		text += 3;
	*id = strtoull(text, NULL, 16);
	return text[0] != '\0' && strspn(text, "0123456789abcdef") == strlen(text) && strlen(text) <= 16;
}
