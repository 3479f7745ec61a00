/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan stats`: the law of conservation, row by row, read in one call into
 * the worker and so at one moment between two batches.
 */
#include "control/cmd_priv.h"

#include <inttypes.h>
#include <string.h>

#include "base/util.h"
#include "ip/icmp.h"

struct stats_copy {
	const struct control_target *target;
	struct ledger ledger;
	uint32_t n_held, capacity;
	uint64_t icmp[N_ICMP_SILENCE];
};

static void copy_stats(void *arg)
{
	struct stats_copy *s = arg;

	s->ledger = s->target->env->ledger;
	s->n_held = packet_pool_used(s->target->env->pool);
	s->capacity = packet_pool_capacity(s->target->env->pool);
	memcpy(s->icmp, icmp_counts(s->target->ip), sizeof(s->icmp));
}

static const struct out_column law_columns[] = {
	{ "side", "SIDE", OUT_TEXT },
	{ "row", "PACKETS THAT WERE", OUT_TEXT },
	{ "count", "COUNT", OUT_U64 },
};
static const struct out_table law_table = { "law", law_columns, ARRAY_LEN(law_columns), NULL };
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

static bool put_law(struct command_call *c, const struct stats_copy *s)
{
	const struct ledger *l = &s->ledger;
	uint64_t in = l->n_received + l->n_originated + l->n_pieces_made + l->n_taken_over;
	uint64_t out = l->n_handed + l->n_delivered + l->n_consumed + s->n_held + l->n_merged + l->n_handed_over +
		       ledger_dropped(l);
	char text[96];

	output_table_begin(&c->output, &law_table);
	law_row(c, "in", "received from a device", l->n_received);
	law_row(c, "in", "originated here", l->n_originated);
	law_row(c, "in", "pieces made (fragments, segments)", l->n_pieces_made);
	law_row(c, "in", "taken over from another worker", l->n_taken_over);
	law_row(c, "in", "= sum", in);
	law_row(c, "out", "handed to a driver", l->n_handed);
	law_row(c, "out", "delivered to the gateway itself", l->n_delivered);
	law_row(c, "out", "consumed (ARP and the like)", l->n_consumed);
	law_row(c, "out", "held", s->n_held);
	law_row(c, "out", "pieces merged", l->n_merged);
	law_row(c, "out", "handed over to another worker", l->n_handed_over);
	law_row(c, "out", "dropped by name", ledger_dropped(l));
	law_row(c, "out", "= sum", out);
	output_table_end(&c->output);

	int64_t diff = (int64_t)(in - out);
	output_value(&c->output, &sum_in, OUT_U(in));
	output_value(&c->output, &sum_out, OUT_U(out));
	output_value(&c->output, &holds, OUT_Y(diff == 0));
	output_value(&c->output, &difference, OUT_I(diff));
	output_value(&c->output, &pool_used, OUT_U(s->n_held));
	output_value(&c->output, &pool_capacity, OUT_U(s->capacity));
	if (diff == 0)
		snprintf(text, sizeof(text), "holds, %" PRIu64 " = %" PRIu64, in, out);
	else
		snprintf(text, sizeof(text), "does NOT hold by %" PRId64, diff);
	if (c->output.format == OUTPUT_TEXT)
		output_value(&c->output, &verdict, OUT_T(text));
	return diff == 0;
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
	target_call(c->target, copy_stats, &s);
	command_output(c, OUTPUT_OBJECT);
	bool ok = put_law(c, &s);
	cmd_put_kernel(c);
	cmd_put_interfaces(c);
	output_table_begin(&c->output, &icmp_table);
	for (size_t i = 0; i < N_ICMP_SILENCE; i++)
		if (s.icmp[i] != 0 || c->output.format == OUTPUT_JSON)
			output_row(&c->output, (struct out_value[]){ OUT_T(icmp_silence_names[i]), OUT_U(s.icmp[i]) });
	output_table_end(&c->output);
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
			"--stages shows where the time goes, since the start or the last --reset: a stage's clocks are "
			"its own, without those of the stages in it, and clocks a second are told below the table.",
		.example = "  yangguan stats\n  yangguan stats --stages --reset; sleep 1; yangguan stats --stages",
	},
	.start = stats_start,
};
