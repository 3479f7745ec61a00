/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the kernel does by itself, as part of `yangguan stats` and `yangguan
 * drops`: frames that it forwarded, those that went up and why, those that were
 * lost, and how full its flow map is.
 *
 * These frames never were buffers of the gateway, so they stand beside the law of
 * conservation and not in it. What a driver did not take after a redirect is told
 * by the kernel's tracepoints; where those may not be used, and with tc, of whose
 * packets nobody counts that, the number is unknown, which is not 0.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/util.h"
#include "daemon/control/commands/cmd_priv.h"

/* In text a number may be "unknown"; in JSON it is left out then. */
static const struct out_column text_columns[] = {
	{ "row", "KERNEL", OUT_TEXT },
	{ "count", "COUNT", OUT_TEXT },
};
static const struct out_column json_columns[] = {
	{ "row", "KERNEL", OUT_TEXT },
	{ "count", "COUNT", OUT_U64 },
};
static const struct out_table text_table = { "kernel", text_columns, ARRAY_LEN(text_columns), NULL };
static const struct out_table json_table = { "kernel", json_columns, ARRAY_LEN(json_columns), NULL };

enum certainty { KNOWN, UNKNOWN };

static void row(struct command_call *c, const char *name, uint64_t n, enum certainty certainty)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, n);
	if (c->output.format == OUTPUT_JSON)
		output_row(&c->output, (struct out_value[]){ OUT_T(name), certainty == KNOWN ? OUT_U(n) : OUT_ABSENT });
	else
		output_row(&c->output,
			   (struct out_value[]){ OUT_T(name), OUT_T(certainty == KNOWN ? text : "unknown") });
}

struct info_call {
	const struct control_target *target;
	struct offload_map_info info;
};

static void add_info(void *arg, const struct control_core *core, uint32_t number)
{
	struct info_call *i = arg;
	struct offload_map_info one = { 0 };

	if (!i->target->kernel_info(i->target->ctx, number, &one))
		return;
	i->info.n_connections += one.n_connections;
	i->info.capacity += one.capacity;
	i->info.n_added += one.n_added;
	i->info.n_full += one.n_full;
	i->info.n_no_way += one.n_no_way;
	i->info.n_lost += one.n_lost;
	i->info.n_late += one.n_late;
}

void cmd_kernel_drops(const struct command_call *c, struct kernel_drops *out)
{
	*out = (struct kernel_drops){ 0 };
	out->present = c->target->kernel_counts != NULL && c->target->kernel_counts(c->target->ctx, &out->counts);
}

bool cmd_kernel_dropped(const struct kernel_drops *k, enum drop_reason reason, uint64_t *n, bool *known)
{
	if (!k->present)
		return false;
	*known = reason != DROP_KERNEL_REDIRECT || k->counts.redirect_drops_known;
	switch ((int)reason) {
	case DROP_KERNEL_REDIRECT:
		*n = k->counts.n_lost;
		return true;
	case DROP_KERNEL_NO_SOCKET:
		*n = k->counts.count[FP_UP_REFUSED];
		return true;
	case DROP_KERNEL_OVERLOAD:
		*n = k->counts.count[FP_UP_OVERLOAD];
		return true;
	default:
		return false;
	}
}

void cmd_put_kernel(struct command_call *c)
{
	struct info_call i = { .target = c->target };
	struct kernel_drops k;
	char name[64];

	cmd_kernel_drops(c, &k);
	if (!k.present)
		return;
	target_call_each(c->target, add_info, &i);
	output_table_begin(&c->output, c->output.format == OUTPUT_JSON ? &json_table : &text_table);
	row(c, "forwarded", k.counts.count[FP_FORWARDED], KNOWN);
	row(c, "of them not taken by a driver", k.counts.n_lost, k.counts.redirect_drops_known ? KNOWN : UNKNOWN);
	for (enum fp_count what = FP_FORWARDED + 1; what < FP_UP_REFUSED; what++) {
		snprintf(name, sizeof(name), "went up: %s", fastpath_count_names[what]);
		row(c, name, k.counts.count[what], KNOWN);
	}
	row(c, "dropped, no socket or forged", k.counts.count[FP_UP_REFUSED], KNOWN);
	row(c, "dropped, its flow waits for user space", k.counts.count[FP_UP_OVERLOAD], KNOWN);
	row(c, "connections now", i.info.n_connections, KNOWN);
	row(c, "connections at most", i.info.capacity, KNOWN);
	row(c, "connections put in", i.info.n_added, KNOWN);
	row(c, "times there was no room", i.info.n_full, KNOWN);
	row(c, "times there was no room for a neighbour", i.info.n_no_way, KNOWN);
	row(c, "packets lost on the way up", i.info.n_lost, KNOWN);
	row(c, "packets counted too late for a connection", i.info.n_late, KNOWN);
	output_table_end(&c->output);
}
