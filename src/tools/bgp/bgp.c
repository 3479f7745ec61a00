/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan bgp`: its words.
 *
 * Next: src/tools/bgp/bgp_replay.c
 */
#include "tools/bgp/bgp.h"

#include <stdio.h>
#include <string.h>

#include "daemon/control/commands/command.h"

static const struct arg_option options[] = {
	{ 'k', "only", "PART", "only lines whose name has this in it" },
	{ 'l', "long", NULL, "also what each message says, attribute by attribute" },
	{ 't', "table", NULL, "of mrt: take all of it into a table of paths, and say how much it is" },
	{ 0 },
};

const struct command_info bgp_info = {
	.name = "bgp",
	.synopsis = "replay FILE [OPTIONS]\n"
		    "       yangguan bgp mrt FILE [--table]",
	.help = "what the BGP parser makes of messages in a file, or of MRT records",
	.options = options,
	.more = "A line of the file is a message: name, session, state, want, out, source and hex digits, parted by "
		"tabs; "
		"#\n"
		"begins a comment. docs/bgp.md says what each may be. The peer has announced 203.0.113.0/24 before. "
		"The "
		"status\n"
		"is 0 when all comes as wanted, 1 when something does not.\n"
		"MRT records (RFC 6396; - is standard input): a line for each path of a table and each prefix of a "
		"message, in\n"
		"the form of `bgpdump -m`.",
	.example = "  yangguan bgp replay messages.vec\n"
		   "  yangguan bgp replay messages.vec --only as4 --long\n"
		   "  zcat rib.20261201.gz | yangguan bgp mrt - --table",
};

int bgp_main(int argc, char **argv)
{
	struct args a;

	if (!command_info_parse(&bgp_info, &a, argc, argv))
		return EXIT_USAGE;
	if (a.help)
		return EXIT_OK;
	if (a.n_words == 2 && strcmp(a.word[0], "mrt") == 0)
		return bgp_mrt_show(a.word[1], args_has(&a, "table") ? BGP_MRT_TABLE : BGP_MRT_LINES);
	if (a.n_words != 2 || strcmp(a.word[0], "replay") != 0) {
		fprintf(stderr, "yangguan bgp: \"replay FILE\" or \"mrt FILE\" (see: yangguan bgp --help)\n");
		return EXIT_USAGE;
	}
	return bgp_replay(a.word[1], args_value(&a, "only"), args_has(&a, "long") ? BGP_REPLAY_LONG : BGP_REPLAY_SHORT);
}
