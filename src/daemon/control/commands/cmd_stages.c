/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan stats --stages`: packets per batch and clocks per packet of each
 * stage of the packet's way, in the order of that way, with the entries of the
 * hooks by their names. Since the start, or since the last --reset.
 *
 * All is copied in one call into the worker, names too: those of chains go with
 * their ruleset. Several workers are asked one after the other; their hooks are the
 * same, so sums are made row by row. In JSON each worker's rows stand there too.
 */
#include "daemon/control/commands/cmd_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "stack/packet/stage.h"

#define ROWS_MAX (N_STAGES + N_HOOKS * HOOK_LIST_MAX)

struct stage_row {
	char name[64];
	struct stage_stats stats;
};

struct stage_rows {
	uint32_t n;
	struct stage_row row[ROWS_MAX];
};

struct stages_copy {
	bool reset;
	struct stage_rows sum;
	struct stage_rows worker[]; /* n_cores */
};

/* The way of a packet: a stage, or all entries of a hook. */
static const struct {
	bool is_hook;
	uint8_t number;
} way[] = {
	{ false, STAGE_RECEIVE },   { false, STAGE_FLOWCACHE }, { false, STAGE_ETHER },  { false, STAGE_IP },
	{ true, HOOK_PREROUTING },  { false, STAGE_ROUTE },     { false, STAGE_LOCAL },  { true, HOOK_INPUT },
	{ false, STAGE_FORWARD },   { true, HOOK_FORWARD },     { false, STAGE_ORIGIN }, { true, HOOK_OUTPUT },
	{ true, HOOK_POSTROUTING }, { false, STAGE_OUTPUT },    { false, STAGE_SEND },   { false, STAGE_TIMERS },
};
_Static_assert(ARRAY_LEN(way) == N_STAGES + N_HOOKS, "each stage and hook has its place");

static void copy_row(struct stages_copy *s, uint32_t worker, const char *hook, const char *name,
		     struct stage_stats *stats)
{
	struct stage_rows *rows = &s->worker[worker];
	struct stage_row *r = &rows->row[rows->n++];

	snprintf(r->name, sizeof(r->name), "%s%s%s", hook, hook[0] != '\0' ? " " : "", name);
	r->stats = *stats;
	if (s->reset)
		*stats = (struct stage_stats){ 0 };
}

static void copy_stages(void *arg, const struct control_core *core, uint32_t worker)
{
	struct stages_copy *s = arg;

	for (size_t i = 0; i < ARRAY_LEN(way); i++) {
		uint8_t k = way[i].number;

		if (!way[i].is_hook) {
			copy_row(s, worker, "", stage_names[k], &core->env->stages.own[k]);
			continue;
		}
		struct hook_list *list = ip_stack_hooks(core->ip, (enum ip_hook)k);

		for (uint32_t e = 0; e < list->n; e++)
			copy_row(s, worker, hook_names[k], list->entry[e].name, &list->entry[e].stats);
	}
}

static void sum_stages(struct stages_copy *s, uint32_t n_workers)
{
	s->sum = s->worker[0];
	for (uint32_t w = 1; w < n_workers; w++)
		for (uint32_t i = 0; i < s->sum.n && i < s->worker[w].n; i++) {
			const struct stage_stats *one = &s->worker[w].row[i].stats;
			struct stage_stats *sum = &s->sum.row[i].stats;

			sum->n_batches += one->n_batches;
			sum->n_packets += one->n_packets;
			sum->clocks += one->clocks;
		}
}

static const struct out_column stage_columns[] = {
	{ "stage", "STAGE", OUT_TEXT },
	{ "batches", "BATCHES", OUT_U64 },
	{ "packets", "PACKETS", OUT_U64 },
	{ "packets_per_batch", "PACKETS/BATCH", OUT_TENTHS },
	{ "clocks", "CLOCKS", OUT_U64 },
	{ "clocks_per_packet", "CLOCKS/PACKET", OUT_TENTHS },
	{ "share_percent", "SHARE %", OUT_TENTHS },
};
static const struct out_table stage_table = { "stages", stage_columns, ARRAY_LEN(stage_columns), NULL };
/* The same with whose they are. */
static const struct out_column worker_columns[] = {
	{ "worker", NULL, OUT_U64 },
	{ "stage", NULL, OUT_TEXT },
	{ "batches", NULL, OUT_U64 },
	{ "packets", NULL, OUT_U64 },
	{ "packets_per_batch", NULL, OUT_TENTHS },
	{ "clocks", NULL, OUT_U64 },
	{ "clocks_per_packet", NULL, OUT_TENTHS },
	{ "share_percent", NULL, OUT_TENTHS },
};
static const struct out_table worker_table = { "workers", worker_columns, ARRAY_LEN(worker_columns), NULL };
static const struct out_column clock_name = { "clock", "a clock is one of", OUT_TEXT };
static const struct out_column clock_hz = { "clock_hz", "clocks a second", OUT_U64 };

/* a / b in tenths, to the nearest. */
static struct out_value tenths(uint64_t a, uint64_t b)
{
	return b == 0 ? OUT_ABSENT : OUT_U((uint64_t)(((__uint128_t)a * 20 + b) / 2 / b));
}

#define N_STAGE_COLUMNS ARRAY_LEN(stage_columns)

static void fill_row(const struct stage_row *r, uint64_t clocks_of_all, struct out_value out[N_STAGE_COLUMNS])
{
	const struct stage_stats *st = &r->stats;

	out[0] = OUT_T(r->name);
	out[1] = OUT_U(st->n_batches);
	out[2] = OUT_U(st->n_packets);
	out[3] = tenths(st->n_packets, st->n_batches);
	out[4] = OUT_U(st->clocks);
	out[5] = tenths(st->clocks, st->n_packets);
	out[6] = tenths(100 * st->clocks, clocks_of_all);
}

static uint64_t all_clocks(const struct stage_rows *rows)
{
	uint64_t all = 0;

	for (uint32_t i = 0; i < rows->n; i++)
		all += rows->row[i].stats.clocks;
	return all;
}

static void put_stages(struct command_call *c, const struct stage_rows *rows)
{
	struct out_value row[N_STAGE_COLUMNS];

	output_table_begin(&c->output, &stage_table);
	for (uint32_t i = 0; i < rows->n; i++) {
		if (rows->row[i].stats.n_batches == 0 && c->output.format == OUTPUT_TEXT)
			continue;
		fill_row(&rows->row[i], all_clocks(rows), row);
		output_row(&c->output, row);
	}
	output_table_end(&c->output);
}

static void put_workers(struct command_call *c, const struct stage_rows *worker, uint32_t n_workers)
{
	struct out_value row[1 + N_STAGE_COLUMNS];

	output_table_begin(&c->output, &worker_table);
	for (uint32_t w = 0; w < n_workers; w++)
		for (uint32_t i = 0; i < worker[w].n; i++) {
			row[0] = OUT_U(w);
			fill_row(&worker[w].row[i], all_clocks(&worker[w]), row + 1);
			output_row(&c->output, row);
		}
	output_table_end(&c->output);
}

int cmd_stats_stages(struct command_call *c, bool reset)
{
	uint64_t hz = 0;
	const char *name = c->target->stage_clock != NULL ? c->target->stage_clock(c->target->ctx, &hz) : NULL;

	if (name == NULL) {
		command_error(c, "stats: this gateway has no clock to measure its stages by\n");
		return EXIT_FAILED;
	}
	uint32_t n_workers = c->target->n_cores;
	struct stages_copy *s = calloc(1, sizeof(*s) + n_workers * sizeof(s->worker[0]));

	if (s == NULL) {
		command_error(c, "stats: no memory\n");
		return EXIT_FAILED;
	}
	s->reset = reset;
	target_call_each(c->target, copy_stages, s);
	sum_stages(s, n_workers);
	command_output(c, OUTPUT_OBJECT);
	put_stages(c, &s->sum);
	if (n_workers > 1 && c->output.format == OUTPUT_JSON)
		put_workers(c, s->worker, n_workers);
	output_value(&c->output, &clock_name, OUT_T(name));
	output_value(&c->output, &clock_hz, OUT_U(hz));
	output_end(&c->output);
	free(s);
	return EXIT_OK;
}
