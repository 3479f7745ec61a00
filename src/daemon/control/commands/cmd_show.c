/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The commands that show a table of the running gateway and are done: drops,
 * interfaces, rules. What a worker owns is copied inside one call, at most
 * SLICE rows at a time, and printed afterwards; with several workers a counter is
 * the sum of theirs.
 */
#include "daemon/control/commands/cmd_priv.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/util.h"

#define SLICE 256

int cmd_no_words(struct command_call *c)
{
	if (c->args.n_words == 0)
		return 0;
	command_error(c, "%s: unexpected \"%.40s\" (see: yangguan %s --help)\n", c->command->info.name, c->args.word[0],
		      c->command->info.name);
	return EXIT_USAGE;
}

void cmd_table_start(struct command_call *c, const struct out_table *t)
{
	command_output(c, OUTPUT_LIST);
	output_table_begin(&c->output, t);
}

int cmd_table_done(struct command_call *c)
{
	output_table_end(&c->output);
	output_end(&c->output);
	return EXIT_OK;
}

/* --- drops --- */

_Static_assert(LEDGER_PLACES >= IP_INTERFACES_MAX, "a place an interface");

struct drops_copy {
	const struct control_target *target;
	uint64_t n[N_DROP_REASONS];
	uint64_t at[N_LEDGER_ROWS][LEDGER_PLACES];
};

static void add_drops(struct drops_copy *d, const struct ledger *l)
{
	for (size_t k = 0; k < N_DROP_REASONS; k++)
		d->n[k] += l->n_dropped[k];
	for (size_t row = 0; row < N_LEDGER_ROWS; row++)
		for (size_t k = 0; k < LEDGER_PLACES; k++)
			d->at[row][k] += l->n_dropped_at[row][k];
}

/* While all workers are quiesced: the same moment as `stats` would have. */
static void copy_drops(void *arg)
{
	struct drops_copy *d = arg;

	for (uint32_t i = 0; i < d->target->n_cores; i++)
		add_drops(d, &d->target->core[i].env->ledger);
	if (d->target->has_host)
		add_drops(d, &d->target->host.env->ledger);
}

/* "wan0=12,lan0=3": on which links, where the reason is one of a link. */
static const char *where(const struct command_call *c, const struct drops_copy *d, enum drop_reason reason, char *buf,
			 size_t len)
{
	enum ledger_row row = ledger_row_of(reason);
	struct text t = text_of(buf, len);

	for (uint32_t i = 1; row != N_LEDGER_ROWS && i < LEDGER_PLACES; i++)
		if (d->at[row][i] != 0)
			text_add(&t, "%s%s=%" PRIu64, t.len > 0 ? "," : "", target_ifname(c->target, i), d->at[row][i]);
	return t.len > 0 ? buf : "-";
}

static const struct out_column drops_json_columns[] = {
	{ "reason", "REASON", OUT_TEXT },         { "count", "COUNT", OUT_U64 }, /* left out when it is not known */
	{ "interfaces", "INTERFACES", OUT_TEXT }, /* left out where the reason is of no link */
	{ "meaning", "WHAT HAPPENED", OUT_TEXT }, { "hint", "WHAT TO DO", OUT_TEXT },
};
static const struct out_table drops_json_table = { "drops", drops_json_columns, ARRAY_LEN(drops_json_columns), NULL };
static const struct out_column drops_columns[] = {
	{ "reason", "REASON", OUT_TEXT },         { "count", "COUNT", OUT_TEXT },
	{ "interfaces", "INTERFACES", OUT_TEXT }, { "meaning", "WHAT HAPPENED", OUT_TEXT },
	{ "hint", "WHAT TO DO", OUT_TEXT },
};
static const struct out_table drops_table = { "drops", drops_columns, ARRAY_LEN(drops_columns), NULL };

static int drops_start(struct command_call *c)
{
	struct drops_copy drops = { .target = c->target };
	struct kernel_drops kernel;
	char count[24], places[LEDGER_PLACES * (DEVICE_NAME_MAX + 24)];

	if (cmd_no_words(c) != 0)
		return EXIT_USAGE;
	target_call_all(c->target, copy_drops, &drops);
	cmd_kernel_drops(c, &kernel);
	bool is_json = args_has(&c->args, "json");
	cmd_table_start(c, is_json ? &drops_json_table : &drops_table);
	for (size_t i = 0; i < N_DROP_REASONS; i++) {
		uint64_t n = drops.n[i];
		bool known = true;
		(void)cmd_kernel_dropped(&kernel, (enum drop_reason)i, &n, &known);
		if (n == 0 && known && !args_has(&c->args, "all") && !is_json)
			continue;
		snprintf(count, sizeof(count), "%" PRIu64, n);
		struct out_value number = known ? OUT_U(n) : OUT_ABSENT;
		struct out_value text = OUT_T(known ? count : "unknown");
		const char *links = where(c, &drops, (enum drop_reason)i, places, sizeof(places));
		output_row(&c->output, (struct out_value[]){
					       OUT_T(drop_info[i].name),
					       is_json ? number : text,
					       is_json && links[0] == '-' ? OUT_ABSENT : OUT_T(links),
					       OUT_T(drop_info[i].text),
					       OUT_T(drop_info[i].hint),
				       });
	}
	return cmd_table_done(c);
}

static const struct arg_option drops_options[] = {
	{ 'a', "all", NULL, "also reasons that have not occurred" },
	OPTION_JSON,
	OPTION_SOCKET,
	{ 0 },
};

const struct command cmd_drops = {
	.info = {
		.name = "drops",
		.synopsis = "[-a] [-j]",
		.help = "every reason for which packets were dropped, how many, and what it means",
		.options = drops_options,
		.example = "  yangguan drops\n"
			   "  REASON             COUNT  INTERFACES  WHAT HAPPENED                           WHAT TO DO\n"
			   "  neigh-unreachable     12  lan0=12     the neighbour did not answer ARP (...)  is the "
			   "machine up and on this link?",
	},
	.start = drops_start,
};

const struct arg_option cmd_plain_options[] = { OPTION_JSON, OPTION_SOCKET, { 0 } };

/* --- interfaces --- */

struct interface_copy {
	bool attached;
	struct device device; /* of the first worker that has one; its counters are the sum of all */
};

struct interfaces_copy {
	const struct control_target *target;
	struct interface_copy row[IP_INTERFACES_MAX]; /* by number */
};

static void add_device(struct interface_copy *r, const struct device *d)
{
	if (!r->attached) {
		r->attached = true;
		r->device = *d;
		return;
	}
	r->device.n_rx_packets += d->n_rx_packets;
	r->device.n_rx_bytes += d->n_rx_bytes;
	r->device.n_rx_missed += d->n_rx_missed;
	r->device.n_tx_packets += d->n_tx_packets;
	r->device.n_tx_bytes += d->n_tx_bytes;
}

static void add_devices(void *arg, const struct control_core *core, uint32_t number)
{
	struct interfaces_copy *copy = arg;
	const struct control_target *g = copy->target;
	struct offload_map_info info;

	/* What the kernel has forwarded until now is credited first. */
	if (g->kernel_info != NULL)
		(void)g->kernel_info(g->ctx, number, &info);
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++) {
		const struct device *d = ip_stack_device(core->ip, i);

		if (d != NULL)
			add_device(&copy->row[i], d);
	}
}

static const struct out_column interface_columns[] = {
	{ "name", "NAME", OUT_TEXT },
	{ "state", "STATE", OUT_TEXT },
	{ "driver", "DRIVER", OUT_TEXT },
	{ "mode", "MODE", OUT_TEXT },
	{ "mac", "MAC", OUT_MAC },
	{ "mtu", "MTU", OUT_U64 },
	{ "rx_packets", "RX-PACKETS", OUT_U64 },
	{ "rx_bytes", "RX-BYTES", OUT_U64 },
	{ "rx_missed", "RX-MISSED", OUT_U64 },
	{ "tx_packets", "TX-PACKETS", OUT_U64 },
	{ "tx_bytes", "TX-BYTES", OUT_U64 },
	{ "addresses", "ADDRESSES", OUT_TEXT },
	{ "note", "NOTE", OUT_TEXT },
};
static const struct out_table interface_table = { "interfaces", interface_columns, ARRAY_LEN(interface_columns), NULL };

/* Two words do not stand in one column of a table that scripts read: "native,copy". */
static const char *without_spaces(const char *text, char *buf, size_t len)
{
	struct text t = text_of(buf, len);

	for (; *text != '\0'; text++)
		if (*text != ' ')
			text_add(&t, "%c", *text);
	return t.len > 0 ? buf : "-";
}

static void interface_row(struct command_call *c, uint32_t ifindex, const struct interface_copy *r)
{
	const struct ip_interface_config *cfg = &ip_stack_config(c->target->ip)->interface[ifindex];
	char buf[IP_ADDRESSES_MAX * (IP4_TEXT_MAX + 1)];
	char addr[IP4_TEXT_MAX];
	struct text t = text_of(buf, sizeof(buf));
	const struct device *d = &r->device;
	const struct control_target *g = c->target;
	uint64_t pad_in = 0, pad_out = 0;
	char mode[64];

	if (g->kernel_padding != NULL)
		g->kernel_padding(g->ctx, ifindex, &pad_in, &pad_out);
	for (uint32_t i = 0; i < cfg->n_addresses; i++)
		text_add(&t, "%s%s/%u", i > 0 ? " " : "", ip4_format(cfg->address[i].addr, addr),
			 cfg->address[i].prefix_len);
	output_row(&c->output,
		   (struct out_value[]){
			   OUT_T(cfg->name),
			   OUT_T(!r->attached ? "absent"
				 : d->up      ? "up"
					      : "down"),
			   OUT_T(g->driver(g->ctx, ifindex)),
			   OUT_T(without_spaces(g->driver_mode != NULL ? g->driver_mode(g->ctx, ifindex) : "", mode,
						sizeof(mode))),
			   r->attached ? OUT_M(d->mac) : OUT_ABSENT,
			   OUT_U(cfg->mtu != 0 ? cfg->mtu : d->mtu),
			   OUT_U(d->n_rx_packets),
			   OUT_U(d->n_rx_bytes + pad_in),
			   OUT_U(d->n_rx_missed),
			   OUT_U(d->n_tx_packets),
			   OUT_U(d->n_tx_bytes + pad_out),
			   OUT_T(buf),
			   OUT_T(g->driver_note != NULL ? g->driver_note(g->ctx, ifindex) : ""),
		   });
}

void cmd_put_interfaces(struct command_call *c)
{
	const struct ip_config *cfg = ip_stack_config(c->target->ip);
	struct interfaces_copy copy = { .target = c->target };

	target_call_each(c->target, add_devices, &copy);
	output_table_begin(&c->output, &interface_table);
	for (uint32_t i = 1; cfg != NULL && i < IP_INTERFACES_MAX; i++)
		if (cfg->interface[i].name[0] != '\0')
			interface_row(c, i, &copy.row[i]);
	output_table_end(&c->output);
}

static int interfaces_start(struct command_call *c)
{
	if (cmd_no_words(c) != 0)
		return EXIT_USAGE;
	command_output(c, OUTPUT_LIST);
	cmd_put_interfaces(c);
	return cmd_table_done(c);
}

const struct command cmd_interfaces = {
	.info = {
		.name = "interfaces",
		.synopsis = "[-j]",
		.help = "the gateway's interfaces: driver, state, addresses, counters",
		.options = cmd_plain_options,
		.example = "  yangguan interfaces",
	},
	.start = interfaces_start,
};

/* --- rules --- */

struct rules_state {
	const struct control_target *target;
	uint32_t cursor, next;
	size_t n;
	struct rules_line row[SLICE];
};

/* All workers have the same rules in the same order. */
static void add_rules(void *arg, const struct control_core *core, uint32_t number)
{
	struct rules_state *s = arg;
	struct offload_map_info unused;
	struct rules_line line;

	/* What the kernel forwarded is the rules' too. */
	if (s->cursor == 0 && s->target->kernel_info != NULL)
		(void)s->target->kernel_info(s->target->ctx, number, &unused);
	s->next = s->cursor;
	for (s->n = 0; s->n < SLICE && rules_next(core->rules, &s->next, &line); s->n++) {
		struct rules_line *sum = &s->row[s->n];

		if (number == 0) {
			*sum = line;
			continue;
		}
		/* Every worker started at what the file says, which counts once. */
		sum->packets += line.packets - line.start_packets;
		sum->bytes += line.bytes - line.start_bytes;
	}
}

static const struct out_column rules_columns[] = {
	{ "family", "FAMILY", OUT_TEXT },  { "table", "TABLE", OUT_TEXT }, { "chain", "CHAIN", OUT_TEXT },
	{ "packets", "PACKETS", OUT_U64 }, { "bytes", "BYTES", OUT_U64 },  { "rule", "RULE", OUT_TEXT },
};
static const struct out_table rules_table = { "rules", rules_columns, ARRAY_LEN(rules_columns), NULL };

static int rules_more(struct command_call *c)
{
	struct rules_state *s = c->state;

	/* The texts belong to the ruleset, which only this thread swaps; but not while a reader is slow. */
	do {
		target_call_each(c->target, add_rules, s);
		for (size_t i = 0; i < s->n; i++) {
			const struct rules_line *r = &s->row[i];
			output_row(&c->output, (struct out_value[]){
						       OUT_T(r->family),
						       OUT_T(r->table),
						       OUT_T(r->chain),
						       r->has_counter ? OUT_U(r->packets) : OUT_ABSENT,
						       r->has_counter ? OUT_U(r->bytes) : OUT_ABSENT,
						       OUT_T(r->rule != NULL ? r->rule : "(policy)"),
					       });
		}
		s->cursor = s->next;
	} while (s->n == SLICE);
	return cmd_table_done(c);
}

static int rules_start(struct command_call *c)
{
	if (cmd_no_words(c) != 0)
		return EXIT_USAGE;
	((struct rules_state *)c->state)->target = c->target;
	cmd_table_start(c, &rules_table);
	return rules_more(c);
}

const struct command cmd_rules = {
	.info = {
		.name = "rules",
		.synopsis = "[-j]",
		.help = "every rule in order, with its counter; a row without a rule is the chain's policy",
		.options = cmd_plain_options,
		.more = "With several workers a packet for which one worker has to ask another for a port passes, and "
			"counts in,\nthe rules of both.",
		.example = "  yangguan rules",
	},
	.state_bytes = sizeof(struct rules_state),
	.start = rules_start,
	.more = rules_more,
};
