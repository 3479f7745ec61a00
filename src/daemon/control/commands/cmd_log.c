/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan log`: log records (base/log_record.h), one line or JSON object each, as
 * they come. Each goes to one reader, so there is one at a time; while there is none,
 * or he is slow, they wait in the workers' rings, and what finds those full is lost
 * there, by count.
 */
#include <stdlib.h>

#include "daemon/control/commands/cmd_priv.h"
#include "daemon/control/text/log_text.h"

/* Unread bytes beyond which records wait where they are. */
#define BACKLOG_MAX (256u * 1024)

struct log_state {
	bool is_reader;
	bool no_wait;
	uint64_t n_left; /* 0: no end */
};

static void put_record(struct command_call *c, const struct log_record *r)
{
	char line[LOG_LINE_MAX];

	if (args_has(&c->args, "json")) {
		char *text = log_json(r);

		if (text != NULL)
			command_printf(c, "%s\n", text);
		free(text);
		return;
	}
	log_line(r, line, sizeof(line));
	command_printf(c, "%s\n", line);
}

/* At most n, however fast more come. True when that was all that is asked for. */
static bool put_some(struct command_call *c, uint64_t n, bool *empty)
{
	struct log_state *s = c->state;
	struct log_record r;

	for (*empty = false; n > 0; n--) {
		if (!c->target->log_next(c->target->ctx, &r)) {
			*empty = true;
			return false;
		}
		put_record(c, &r);
		if (s->n_left > 0 && --s->n_left == 0)
			return true;
	}
	return false;
}

/* What waits, to the end: the gateway ends. */
static int put_rest(struct command_call *c)
{
	struct control_log_counts counts;
	bool empty;

	c->target->log_counts(c->target->ctx, &counts);
	/* A gap has a record too. */
	(void)put_some(c, 2 * counts.n_waiting, &empty);
	return EXIT_OK;
}

static int log_records(struct command_call *c)
{
	struct log_state *s = c->state;
	bool empty;

	if (c->target->ready(c->target->ctx) == 0)
		return put_rest(c);
	while (c->backlog(c->carrier) <= BACKLOG_MAX) {
		if (put_some(c, 64, &empty))
			return EXIT_OK;
		if (empty)
			return s->no_wait ? EXIT_OK : COMMAND_WAIT;
	}
	return COMMAND_MORE;
}

struct asked_copy {
	const struct control_target *target;
	bool any;
};

static void copy_asked(void *arg)
{
	struct asked_copy *a = arg;

	a->any = nat_logs_any(a->target->nat);
}

/* Nothing comes any more, but what an earlier config asked for may wait. */
static int log_no_more(struct command_call *c)
{
	struct log_state *s = c->state;
	struct control_log_counts counts;

	command_error(c, "log: the config asks for no records; `log { sessions yes; }` is what asks for them "
			 "(docs/config.md)\n");
	c->target->log_counts(c->target->ctx, &counts);
	if (counts.n_waiting == 0)
		return EXIT_FAILED;
	s->no_wait = true;
	return log_records(c);
}

static int log_start(struct command_call *c)
{
	struct log_state *s = c->state;
	struct asked_copy asked = { .target = c->target };
	char err[128];

	if (c->args.n_words > 0) {
		command_error(c, "log: unexpected \"%.40s\": the config says what is logged\n", c->args.word[0]);
		return EXIT_USAGE;
	}
	if (!args_number(&c->args, "count", 1, UINT64_MAX, &s->n_left, err, sizeof(err))) {
		command_error(c, "log: %s\n", err);
		return EXIT_USAGE;
	}
	s->no_wait = args_has(&c->args, "no-wait");
	if (!c->target->log_open(c->target->ctx)) {
		command_error(c, "log: another command reads the records, and each goes to one reader\n");
		return EXIT_FAILED;
	}
	s->is_reader = true;
	target_call(c->target, copy_asked, &asked);
	return asked.any ? log_records(c) : log_no_more(c);
}

static void log_end(struct command_call *c)
{
	struct log_state *s = c->state;

	if (s->is_reader)
		c->target->log_close(c->target->ctx);
}

static const struct arg_option log_options[] = {
	{ 'n', "count", "N", "end after N records" },
	{ 0, "no-wait", NULL, "end when all that waited is printed" },
	OPTION_JSON,
	OPTION_SOCKET,
	{ 0 },
};

const struct command cmd_log = {
	.info = {
		.name = "log",
		.synopsis = "[-n N] [--no-wait] [-j]",
		.help = "what NAT did, from begin to end: who had which address and port; one line or JSON object each",
		.options = log_options,
		.more = "Kinds: session-begin, session-end, mapping-begin, mapping-end, block-begin, block-end, as the config asks for them\n"
			"(`log` in docs/config.md). Records wait while nobody reads, as many as the config says; what comes\n"
			"then is lost, newest first, and `lost` stands where something is missing. Each record goes to one\n"
			"reader. Those of one worker come in their order; between workers the times in them say the order.\n"
			"Times are UTC, duration is in seconds. `yangguan stats` counts them.",
		.example = "  yangguan log -j >>/var/log/nat.json\n"
			   "  yangguan log --no-wait              what has gathered since the last time",
	},
	.state_bytes = sizeof(struct log_state),
	.start = log_start,
	.more = log_records,
	.log = log_records,
	.end = log_end,
};
