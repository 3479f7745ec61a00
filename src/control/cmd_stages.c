/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan stats --stages`: packets per batch and clocks per packet of each
 * stage of the packet's way, in the order of that way, with the entries of the
 * hooks by their names. Since the start, or since the last --reset.
 *
 * All is copied in one call into the worker, names too: those of chains go with
 * their ruleset.
 */
#include "control/cmd_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "packet/stage.h"

#define ROWS_MAX (N_STAGES + N_HOOKS * HOOK_LIST_MAX)

struct stage_row {
	char name[64];
	struct stage_stats stats;
};

struct stages_copy {
	const struct control_target *target;
	bool reset;
	uint32_t n;
	struct stage_row row[ROWS_MAX];
};

/* The way of a packet: a stage, or all entries of a hook. */
static const struct {
	bool is_hook;
	uint8_t number;
} way[] = {
	{ false, STAGE_RECEIVE },   { false, STAGE_SHORTCUT }, { false, STAGE_ETHER },  { false, STAGE_IP },
	{ true, HOOK_PREROUTING },  { false, STAGE_ROUTE },    { false, STAGE_LOCAL },  { true, HOOK_INPUT },
	{ false, STAGE_FORWARD },   { true, HOOK_FORWARD },    { false, STAGE_ORIGIN }, { true, HOOK_OUTPUT },
	{ true, HOOK_POSTROUTING }, { false, STAGE_OUTPUT },   { false, STAGE_SEND },   { false, STAGE_TIMERS },
};
_Static_assert(ARRAY_LEN(way) == N_STAGES + N_HOOKS, "each stage and hook has its place");

static void copy_row(struct stages_copy *s, const char *hook, const char *name, struct stage_stats *stats)
{
	struct stage_row *r = &s->row[s->n++];

	snprintf(r->name, sizeof(r->name), "%s%s%s", hook, hook[0] != '\0' ? " " : "", name);
	r->stats = *stats;
	if (s->reset)
		*stats = (struct stage_stats){ 0 };
}

static void copy_stages(void *arg)
{
	struct stages_copy *s = arg;

	for (size_t i = 0; i < ARRAY_LEN(way); i++) {
		uint8_t k = way[i].number;

		if (!way[i].is_hook) {
			copy_row(s, "", stage_names[k], &s->target->env->stages.own[k]);
			continue;
		}
		struct hook_list *list = ip_stack_hooks(s->target->ip, (enum ip_hook)k);

		for (uint32_t e = 0; e < list->n; e++)
			copy_row(s, hook_names[k], list->entry[e].name, &list->entry[e].stats);
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
static const struct out_column clock_name = { "clock", "a clock is one of", OUT_TEXT };
static const struct out_column clock_hz = { "clock_hz", "clocks a second", OUT_U64 };

/* a / b in tenths, to the nearest. */
static struct out_value tenths(uint64_t a, uint64_t b)
{
	return b == 0 ? OUT_ABSENT : OUT_U((uint64_t)(((__uint128_t)a * 20 + b) / 2 / b));
}

static void put_stages(struct command_call *c, const struct stages_copy *s)
{
	uint64_t all = 0;

	for (uint32_t i = 0; i < s->n; i++)
		all += s->row[i].stats.clocks;
	output_table_begin(&c->output, &stage_table);
	for (uint32_t i = 0; i < s->n; i++) {
		const struct stage_stats *st = &s->row[i].stats;

		if (st->n_batches == 0 && c->output.format == OUTPUT_TEXT)
			continue;
		output_row(&c->output,
			   (struct out_value[]){ OUT_T(s->row[i].name), OUT_U(st->n_batches), OUT_U(st->n_packets),
						 tenths(st->n_packets, st->n_batches), OUT_U(st->clocks),
						 tenths(st->clocks, st->n_packets), tenths(100 * st->clocks, all) });
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
	struct stages_copy *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		command_error(c, "stats: no memory\n");
		return EXIT_FAILED;
	}
	s->target = c->target;
	s->reset = reset;
	target_call(c->target, copy_stages, s);
	command_output(c, OUTPUT_OBJECT);
	put_stages(c, s);
	output_value(&c->output, &clock_name, OUT_T(name));
	output_value(&c->output, &clock_hz, OUT_U(hz));
	output_end(&c->output);
	free(s);
	return EXIT_OK;
}
