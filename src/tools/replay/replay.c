/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan replay`: the same core as under `run`, but the time, the packets and
 * the random numbers come from files. With a recording, what the core sends is
 * compared with what it sent then; with captures from elsewhere it is written
 * down.
 */
#include "tools/replay/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/replay/replay_priv.h"
#include "base/printable.h"
#include "daemon/config/snapshot.h"
#include "daemon/control/commands/command.h"
#include "daemon/config/config.h"
#include "daemon/control/text/log_text.h"

void replay_no_event(void *ctx, const struct yg_event *e)
{
}

static void print_record(void *ctx, const struct log_record *r)
{
	char line[LOG_LINE_MAX];

	log_line(r, line, sizeof(line));
	puts(printable_string(line, PRINTABLE_LINE));
}

void replay_log(struct gateway *g, const struct args *a)
{
	if (args_has(a, "log"))
		gateway_env(g)->log = (struct log_slot){ .fn = print_record };
}

/* Builds on what was read, takes it, and prints what there is to say. */
static struct snapshot *build(struct config *cfg, const struct snapshot *prev, struct gateway_limits *limits,
			      struct config_errors *errors)
{
	struct snapshot *snap = NULL;

	if (cfg != NULL) {
		if (limits != NULL)
			*limits = snapshot_limits(cfg);
		snap = snapshot_build(cfg, prev, &errors);
		config_free(cfg);
	}
	/* Beside a config that was read there may be notes. */
	if (errors != NULL)
		config_errors_print(errors, stderr);
	config_errors_free(errors);
	return snap;
}

struct snapshot *replay_read_config(const char *path, const struct snapshot *prev, struct gateway_limits *limits)
{
	struct config_errors *errors = NULL;
	struct config *cfg = config_read_file(path, &errors);

	return build(cfg, prev, limits, errors);
}

struct snapshot *replay_text_config(const char *name, const char *text, size_t len, const struct snapshot *prev)
{
	struct config_errors *errors = NULL;
	struct config *cfg = config_read_text(name, text, len, &errors);

	return build(cfg, prev, NULL, errors);
}

static const struct arg_option replay_options[] = {
	{ 'o', "out", "DIR|IF=FILE", "recording: where to put what is sent; captures: what IF sends goes to FILE" },
	{ 0, "log", NULL, "print what was logged, as `yangguan log` does" },
	{ 'x', "explain", NULL, "print the walk of every packet, step by step" },
	{ 'c', "config", "FILE", "captures: the config" },
	{ 'i', "in", "IF=FILE", "captures: what comes in on IF (pcap or pcapng)" },
	{ 'm', "mac", "IF=MAC", "captures: IF's address (default: the first unicast destination in its capture)" },
	{ 0, "seed", "HEX", "captures: 64 digits for the random numbers (default: zeros)" },
	{ 0, "neigh-auto", NULL, "captures: answer our ARP requests with made-up addresses (this is the default)" },
	{ 0, "no-neigh-auto", NULL, "captures: do not; only the capture's own ARP counts" },
	{ 0 },
};

const struct command_info replay_info = {
	.name = "replay",
	.synopsis = "[--explain] [--log] DIR [--out DIR2]  |  -c FILE --in IF=a.pcap... --out IF=b.pcap...",
	.help = "run a recording or captures through the gateway's core, the same each time",
	.options = replay_options,
	.more = "DIR is what `run --record DIR` has stored: seed, configs, every step with its time. What the core "
		"sends\n"
		"is compared with what it sent then; exit status 1 and the first difference if they are not the same,\n"
		"bit for bit.\n\n"
		"With -c, captures from elsewhere are merged by their time stamps. A capture has nobody in it who "
		"would\n"
		"answer the gateway's ARP requests, so the replay answers them, with the address 02:00 and the four "
		"bytes\n"
		"of the IPv4 address; frames that were sent by the captured machines keep their own.\n\n"
		"With --explain each packet has a number and a paragraph: each hook, each rule that matched with its\n"
		"file and line, its connection, mapping, route and neighbour, and how it ended. A packet that waits\n"
		"goes on under its number. What goes by the flow cache shows what that decided, and no rules.\n"
		"Nothing else is changed by it (docs/explain.md).\n\n"
		"With --log the log records that the config asks for are printed as they are made: of a recording the "
		"same\n"
		"as then.",
	.example = "  yangguan replay /tmp/recording\n"
		   "  yangguan replay -c yangguan.conf --in lan0=lan.pcap --in wan0=wan.pcap --out wan0=sent.pcap",
};

int replay_main(int argc, char **argv)
{
	struct args a;

	if (!command_info_parse(&replay_info, &a, argc, argv))
		return EXIT_USAGE;
	if (a.help)
		return EXIT_OK;
	if (a.n_words == 0 && args_has(&a, "config"))
		return replay_capture(&a);
	if (a.n_words == 1 && !args_has(&a, "config") && !args_has(&a, "in"))
		return replay_journal(a.word[0], &a);
	fprintf(stderr, "yangguan replay: either DIR, or -c FILE with --in and --out (see: yangguan replay --help)\n");
	return EXIT_USAGE;
}
