/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan stats`: the law of conservation, row by row, read while the worker
 * stands between two batches; that of packets, and that of ports and mappings.
 *
 * All workers, and the host before them, stand still for it. The law holds in each by
 * itself, and so in their sum. What went from one to another is compared too:
 * what was handed over is taken over, or waits in a ring. A large packet travels
 * by its address and is held by the first worker until that comes back; such
 * packets, external ones, stand beside those that were handed over.
 */
#include "daemon/control/commands/cmd_priv.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "stack/ip/icmp.h"

enum law_row {
	LAW_RECEIVED,
	LAW_ORIGINATED,
	LAW_PIECES,
	LAW_TAKEN_OVER,
	LAW_HANDED,
	LAW_DELIVERED,
	LAW_CONSUMED,
	LAW_HELD,
	LAW_MERGED,
	LAW_HANDED_OVER,
	LAW_DROPPED,
	N_LAW_ROWS
};
#define LAW_FIRST_OUT LAW_HANDED

static const char *const law_names[N_LAW_ROWS] = {
	[LAW_RECEIVED] = "received from a device",
	[LAW_ORIGINATED] = "originated here",
	[LAW_PIECES] = "pieces made (fragments, segments)",
	[LAW_TAKEN_OVER] = "taken over from another worker",
	[LAW_HANDED] = "handed to a driver",
	[LAW_DELIVERED] = "delivered to the gateway itself",
	[LAW_CONSUMED] = "consumed (ARP and the like)",
	[LAW_HELD] = "held",
	[LAW_MERGED] = "pieces merged",
	[LAW_HANDED_OVER] = "handed over to another worker",
	[LAW_DROPPED] = "dropped by name",
};

struct law {
	uint64_t n[N_LAW_ROWS];
};

struct stats_copy {
	const struct control_target *target;
	uint64_t capacity;
	uint64_t icmp[N_ICMP_SILENCE];
	struct control_between between;
	uint64_t n_overflowed; /* messages of ping sockets */
	struct law sum;
	struct law worker[CONTROL_CORES_MAX];
	struct law host;
	struct nat_law ports;    /* of all */
	bool ports_hold_in_each; /* workers */
};

static void copy_law(const struct env *env, struct law *law)
{
	const struct ledger *l = &env->ledger;

	*law = (struct law){ {
		[LAW_RECEIVED] = l->n_received,
		[LAW_ORIGINATED] = l->n_originated,
		[LAW_PIECES] = l->n_pieces_made,
		[LAW_TAKEN_OVER] = l->n_taken_over,
		[LAW_HANDED] = l->n_handed,
		[LAW_DELIVERED] = l->n_delivered,
		[LAW_CONSUMED] = l->n_consumed,
		[LAW_HELD] = packet_pool_used(env->pool),
		[LAW_MERGED] = l->n_merged,
		[LAW_HANDED_OVER] = l->n_handed_over,
		[LAW_DROPPED] = ledger_dropped(l),
	} };
}

/* Of a worker, or the host. */
static void copy_member(struct stats_copy *s, const struct control_core *core, struct law *law)
{
	copy_law(core->env, law);
	for (size_t k = 0; k < N_LAW_ROWS; k++)
		s->sum.n[k] += law->n[k];
	s->capacity += packet_pool_capacity(core->env->pool);
	for (size_t k = 0; k < N_ICMP_SILENCE; k++)
		s->icmp[k] += icmp_counts(core->ip)[k];
}

/* While all workers are quiesced. */
static void copy_stats(void *arg)
{
	struct stats_copy *s = arg;
	const struct control_target *t = s->target;

	s->ports_hold_in_each = true;
	if (t->has_host)
		copy_member(s, &t->host, &s->host);
	for (uint32_t i = 0; i < t->n_cores; i++) {
		struct nat_law ports;

		nat_law_of(t->core[i].nat, &ports);
		s->ports_hold_in_each &= nat_law_in_use(&ports) == nat_law_held(&ports);
		for (size_t k = 0; k < N_NAT_LAW_ROWS; k++)
			s->ports.n[k] += ports.n[k];
		copy_member(s, &t->core[i], &s->worker[i]);
	}
	if (t->n_cores > 1 || t->has_host)
		t->between(t->ctx, &s->between);
	if (target_host(t)->raw != NULL)
		s->n_overflowed = ping_socket_n_overflowed(target_host(t)->raw);
}

static uint64_t law_in(const struct law *law)
{
	uint64_t n = 0;

	for (size_t i = 0; i < LAW_FIRST_OUT; i++)
		n += law->n[i];
	return n;
}

static uint64_t law_out(const struct law *law)
{
	uint64_t n = 0;

	for (size_t i = LAW_FIRST_OUT; i < N_LAW_ROWS; i++)
		n += law->n[i];
	return n;
}

static uint64_t between_in(const struct stats_copy *s)
{
	return s->sum.n[LAW_HANDED_OVER] + s->between.n_external;
}

static uint64_t between_out(const struct stats_copy *s)
{
	return s->sum.n[LAW_TAKEN_OVER] + s->between.n_waiting;
}

static const struct out_column law_columns[] = {
	{ "side", "SIDE", OUT_TEXT },
	{ "row", "PACKETS THAT WERE", OUT_TEXT },
	{ "count", "COUNT", OUT_U64 },
};
static const struct out_table law_table = { "law", law_columns, ARRAY_LEN(law_columns), NULL };
static const struct out_column between_columns[] = {
	{ "side", "SIDE", OUT_TEXT },
	{ "row", "PACKETS BETWEEN WORKERS, AND THE HOST", OUT_TEXT },
	{ "count", "COUNT", OUT_U64 },
};
static const struct out_table between_table = { "between", between_columns, ARRAY_LEN(between_columns), NULL };
static const struct out_column worker_columns[] = {
	{ "worker", "WORKER", OUT_U64 },
	{ "received", "RECEIVED", OUT_U64 },
	{ "originated", "ORIGINATED", OUT_U64 },
	{ "pieces_made", "PIECES", OUT_U64 },
	{ "taken_over", "TAKEN-OVER", OUT_U64 },
	{ "handed", "HANDED", OUT_U64 },
	{ "delivered", "DELIVERED", OUT_U64 },
	{ "consumed", "CONSUMED", OUT_U64 },
	{ "held", "HELD", OUT_U64 },
	{ "merged", "MERGED", OUT_U64 },
	{ "handed_over", "HANDED-OVER", OUT_U64 },
	{ "dropped", "DROPPED", OUT_U64 },
	{ "holds", "HOLDS", OUT_YES_NO },
};
_Static_assert(ARRAY_LEN(worker_columns) == N_LAW_ROWS + 2, "a column a row of the law");
static const struct out_table worker_table = { "workers", worker_columns, ARRAY_LEN(worker_columns), NULL };
/* The same of the host, whose row has a word where a worker has its number. */
static const struct out_column host_columns[] = {
	{ "host", "HOST", OUT_TEXT },
	{ "received", "RECEIVED", OUT_U64 },
	{ "originated", "ORIGINATED", OUT_U64 },
	{ "pieces_made", "PIECES", OUT_U64 },
	{ "taken_over", "TAKEN-OVER", OUT_U64 },
	{ "handed", "HANDED", OUT_U64 },
	{ "delivered", "DELIVERED", OUT_U64 },
	{ "consumed", "CONSUMED", OUT_U64 },
	{ "held", "HELD", OUT_U64 },
	{ "merged", "MERGED", OUT_U64 },
	{ "handed_over", "HANDED-OVER", OUT_U64 },
	{ "dropped", "DROPPED", OUT_U64 },
	{ "holds", "HOLDS", OUT_YES_NO },
};
_Static_assert(ARRAY_LEN(host_columns) == N_LAW_ROWS + 2, "a column a row of the law");
static const struct out_table host_table = { "host", host_columns, ARRAY_LEN(host_columns), NULL };
static const struct out_column sum_in = { "in", NULL, OUT_U64 };
static const struct out_column sum_out = { "out", NULL, OUT_U64 };
static const struct out_column holds = { "holds", NULL, OUT_YES_NO };
static const struct out_column difference = { "difference", NULL, OUT_I64 };
static const struct out_column verdict = { NULL, "the law of conservation", OUT_TEXT };
static const struct out_column pool_used = { "packet_pool_used", NULL, OUT_U64 };
static const struct out_column pool_capacity = { "packet_pool_capacity", NULL, OUT_U64 };

static const struct out_column icmp_columns[] = {
	{ "row", "ICMP ERRORS", OUT_TEXT },
	{ "count", "COUNT", OUT_U64 },
};
static const struct out_table icmp_table = { "icmp_errors", icmp_columns, ARRAY_LEN(icmp_columns), NULL };

static void law_row(struct command_call *c, const char *side, const char *row, uint64_t n)
{
	output_row(&c->output, (struct out_value[]){ OUT_T(side), OUT_T(row), OUT_U(n) });
}

static void put_sum(struct command_call *c, const struct law *sum)
{
	output_table_begin(&c->output, &law_table);
	for (size_t i = 0; i < LAW_FIRST_OUT; i++)
		law_row(c, "in", law_names[i], sum->n[i]);
	law_row(c, "in", "= sum", law_in(sum));
	for (size_t i = LAW_FIRST_OUT; i < N_LAW_ROWS; i++)
		law_row(c, "out", law_names[i], sum->n[i]);
	law_row(c, "out", "= sum", law_out(sum));
	output_table_end(&c->output);
}

static bool put_member(struct command_call *c, struct out_value name, const struct law *law)
{
	struct out_value row[N_LAW_ROWS + 2] = { name };
	bool holds_here = law_in(law) == law_out(law);

	for (size_t k = 0; k < N_LAW_ROWS; k++)
		row[1 + k] = OUT_U(law->n[k]);
	row[1 + N_LAW_ROWS] = OUT_Y(holds_here);
	output_row(&c->output, row);
	return holds_here;
}

/* Worker by worker, the host, and between them. False when something does not balance. */
static bool put_members(struct command_call *c, const struct stats_copy *s)
{
	bool ok = between_in(s) == between_out(s);

	if (s->target->n_cores > 1) {
		output_table_begin(&c->output, &worker_table);
		for (uint32_t i = 0; i < s->target->n_cores; i++)
			ok = put_member(c, OUT_U(i), &s->worker[i]) && ok;
		output_table_end(&c->output);
	}
	if (s->target->has_host) {
		output_table_begin(&c->output, &host_table);
		ok = put_member(c, OUT_T("host"), &s->host) && ok;
		output_table_end(&c->output);
	}
	output_table_begin(&c->output, &between_table);
	law_row(c, "in", "handed over", s->sum.n[LAW_HANDED_OVER]);
	law_row(c, "in", "external and not back yet", s->between.n_external);
	law_row(c, "in", "= sum", between_in(s));
	law_row(c, "out", "taken over", s->sum.n[LAW_TAKEN_OVER]);
	law_row(c, "out", "waiting in rings", s->between.n_waiting);
	law_row(c, "out", "= sum", between_out(s));
	output_table_end(&c->output);
	return ok;
}

static bool put_law(struct command_call *c, const struct stats_copy *s)
{
	uint64_t in = law_in(&s->sum), out = law_out(&s->sum);
	int64_t diff = (int64_t)(in - out), diff_between = (int64_t)(between_in(s) - between_out(s));
	bool several = s->target->n_cores > 1 || s->target->has_host, ok = diff == 0;
	char text[128];

	put_sum(c, &s->sum);
	if (several)
		ok = put_members(c, s) && ok;
	output_value(&c->output, &sum_in, OUT_U(in));
	output_value(&c->output, &sum_out, OUT_U(out));
	output_value(&c->output, &holds, OUT_Y(ok));
	output_value(&c->output, &difference, OUT_I(diff));
	output_value(&c->output, &pool_used, OUT_U(s->sum.n[LAW_HELD]));
	output_value(&c->output, &pool_capacity, OUT_U(s->capacity));
	if (ok)
		snprintf(text, sizeof(text), "holds, %" PRIu64 " = %" PRIu64 "%s", in, out,
			 s->target->has_host ? ", in each worker and the host, and between them"
			 : several           ? ", in each worker and between them"
					     : "");
	else if (diff != 0)
		snprintf(text, sizeof(text), "does NOT hold by %" PRId64, diff);
	else if (diff_between != 0)
		snprintf(text, sizeof(text), "does NOT hold between workers by %" PRId64, diff_between);
	else
		snprintf(text, sizeof(text), "does NOT hold in each worker");
	if (c->output.format == OUTPUT_TEXT)
		output_value(&c->output, &verdict, OUT_T(text));
	return ok;
}

static const struct out_column port_columns[] = {
	{ "side", "SIDE", OUT_TEXT },
	{ "row", "PORTS AND MAPPINGS", OUT_TEXT },
	{ "count", "COUNT", OUT_U64 },
};
static const struct out_table port_table = { "port_law", port_columns, ARRAY_LEN(port_columns), NULL };
static const struct out_column ports_in_use = { "ports_in_use", NULL, OUT_U64 };
static const struct out_column ports_held = { "ports_held", NULL, OUT_U64 };
static const struct out_column ports_hold = { "ports_hold", NULL, OUT_YES_NO };
static const struct out_column port_verdict = { NULL, "the law of ports", OUT_TEXT };

/* The law of ports and mappings (nat.h). */
static bool put_port_law(struct command_call *c, const struct stats_copy *s)
{
	uint64_t in_use = nat_law_in_use(&s->ports), held = nat_law_held(&s->ports);
	bool ok = in_use == held && s->ports_hold_in_each;
	char text[128];

	output_table_begin(&c->output, &port_table);
	for (size_t i = 0; i < NAT_LAW_FIRST_HOLDER; i++)
		law_row(c, "in use", nat_law_names[i], s->ports.n[i]);
	law_row(c, "in use", "= sum", in_use);
	for (size_t i = NAT_LAW_FIRST_HOLDER; i < N_NAT_LAW_ROWS; i++)
		law_row(c, "held by", nat_law_names[i], s->ports.n[i]);
	law_row(c, "held by", "= sum", held);
	output_table_end(&c->output);
	output_value(&c->output, &ports_in_use, OUT_U(in_use));
	output_value(&c->output, &ports_held, OUT_U(held));
	output_value(&c->output, &ports_hold, OUT_Y(ok));
	if (ok)
		snprintf(text, sizeof(text), "holds, %" PRIu64 " = %" PRIu64 "%s", in_use, held,
			 s->target->n_cores > 1 ? ", in each worker" : "");
	else if (in_use != held)
		snprintf(text, sizeof(text), "does NOT hold by %" PRId64, (int64_t)(in_use - held));
	else
		snprintf(text, sizeof(text), "does NOT hold in each worker");
	if (c->output.format == OUTPUT_TEXT)
		output_value(&c->output, &port_verdict, OUT_T(text));
	return ok;
}

static const struct out_column log_columns[] = {
	{ "row", "LOG RECORDS", OUT_TEXT },
	{ "count", "COUNT", OUT_U64 },
};
static const struct out_table log_table = { "log_records", log_columns, ARRAY_LEN(log_columns), NULL };

/* Nothing in text when none was ever made. */
static void put_log(struct command_call *c)
{
	struct control_log_counts n;

	if (c->target->log_counts == NULL)
		return;
	c->target->log_counts(c->target->ctx, &n);
	if (n.n_made == 0 && c->output.format == OUTPUT_TEXT)
		return;
	output_table_begin(&c->output, &log_table);
	output_row(&c->output, (struct out_value[]){ OUT_T("made"), OUT_U(n.n_made) });
	output_row(&c->output, (struct out_value[]){ OUT_T("read"), OUT_U(n.n_read) });
	output_row(&c->output, (struct out_value[]){ OUT_T("waiting"), OUT_U(n.n_waiting) });
	output_row(&c->output, (struct out_value[]){ OUT_T("lost"), OUT_U(n.n_lost) });
	output_table_end(&c->output);
}

static const struct out_column beside_columns[] = {
	{ "row", "BESIDE PACKETS", OUT_TEXT },
	{ "count", "COUNT", OUT_U64 },
};
static const struct out_table beside_table = { "beside", beside_columns, ARRAY_LEN(beside_columns), NULL };

struct named_count {
	const char *name;
	uint64_t n;
};

/* Rows of zeros are not in the text, nor is a table without rows. */
static void put_counts(struct command_call *c, const struct out_table *t, const struct named_count *row, size_t n)
{
	bool is_json = c->output.format == OUTPUT_JSON, any = is_json;

	for (size_t i = 0; i < n; i++)
		any = any || row[i].n != 0;
	if (!any)
		return;
	output_table_begin(&c->output, t);
	for (size_t i = 0; i < n; i++)
		if (row[i].n != 0 || is_json)
			output_row(&c->output, (struct out_value[]){ OUT_T(row[i].name), OUT_U(row[i].n) });
	output_table_end(&c->output);
}

/* What is no packet and found no room, or was asked of others. */
static void put_beside(struct command_call *c, const struct stats_copy *s)
{
	const struct named_count rows[] = {
		{ "another worker was asked for a port", s->between.n_asked },
		{ "redirects between workers without room", s->between.n_redirects_lost },
		{ "answers to ping without room in their socket", s->n_overflowed },
	};

	put_counts(c, &beside_table, rows, ARRAY_LEN(rows));
}

static void put_icmp(struct command_call *c, const struct stats_copy *s)
{
	struct named_count rows[N_ICMP_SILENCE];

	for (size_t i = 0; i < N_ICMP_SILENCE; i++)
		rows[i] = (struct named_count){ icmp_silence_names[i], s->icmp[i] };
	put_counts(c, &icmp_table, rows, N_ICMP_SILENCE);
}

static int stats_start(struct command_call *c)
{
	struct stats_copy s = { .target = c->target };

	if (c->args.n_words > 0) {
		command_error(c, "stats: unexpected \"%.40s\"\n", c->args.word[0]);
		return EXIT_USAGE;
	}
	if (args_has(&c->args, "stages"))
		return cmd_stats_stages(c, args_has(&c->args, "reset"));
	if (args_has(&c->args, "reset")) {
		command_error(c, "stats: --reset is for --stages: the counters of the law are never set back\n");
		return EXIT_USAGE;
	}
	target_call_all(c->target, copy_stats, &s);
	command_output(c, OUTPUT_OBJECT);
	bool ok = put_law(c, &s);
	ok = put_port_law(c, &s) && ok;
	cmd_put_kernel(c);
	cmd_put_interfaces(c);
	put_log(c);
	put_beside(c, &s);
	put_icmp(c, &s);
	output_end(&c->output);
	return ok ? EXIT_OK : EXIT_FAILED;
}

static const struct arg_option stats_options[] = {
	{ 0, "stages", NULL, "instead: packets a batch and clocks a packet of each stage" },
	{ 0, "reset", NULL, "with --stages: count from 0 again from here on" },
	OPTION_JSON,
	OPTION_SOCKET,
	{ 0 },
};

const struct command cmd_stats = {
	.info = {
		.name = "stats",
		.synopsis = "[-j] [--stages [--reset]]",
		.help = "the law of conservation row by row, and each interface's counters",
		.options = stats_options,
		.more = "Every packet buffer that came in or was made here went somewhere that has a name. Exit status "
			"1 if the sums differ. What the kernel forwarded by itself never was such a buffer and is "
			"counted apart.\n\n"
			"So it is with ports and mappings: each one in use is held by a connection, or by who is "
			"named; a port that three connections share counts three times.\n\n"
			"The first table is the sum of all; workers, if there are several, and the host have rows of their own "
			"behind it, and the next\ncompares what went from one to another; all are of one moment.\n\n"
			"Log records (`yangguan log`) that were made are read, wait, or were lost: their ring was full.\n"
			"Beside packets: what else found no room, and how often a worker asked another one for a port.\n\n"
			"--stages shows where the time goes, since the start or the last --reset: a stage's clocks are "
			"its own, without those of the stages in it, and clocks a second are told below the table. With "
			"several workers\nit is their sum; -j has each by itself too.",
		.example = "  yangguan stats\n  yangguan stats --stages --reset; sleep 1; yangguan stats --stages",
	},
	.start = stats_start,
};
