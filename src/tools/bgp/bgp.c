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
	{ 'n', "name", "FILTER", "of filter: which one" },
	{ 'p', "prefix", "A/LEN", "of filter: of the path that is asked about" },
	{ 'a', "as-path", "'AS ...'", "... its AS_PATH; without it it begins in our AS" },
	{ 'c', "community", "'A:B ...'", "... its communities" },
	{ 'o', "proto", "NAME", "... who announces it" },
	{ 0 },
};

const struct command_info bgp_info = {
	.name = "bgp",
	.synopsis = "replay FILE [OPTIONS]\n"
		    "       yangguan bgp mrt FILE [--table]\n"
		    "       yangguan bgp filter FILE --name FILTER --prefix A/LEN [OPTIONS]",
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
		"the form of `bgpdump -m`.\n"
		"A filter (docs/policy.md) says what it makes of one path, at which line, and with which attributes; "
		"the "
		"status\n"
		"is 0 when it accepts.",
	.example =
		"  yangguan bgp replay messages.vec\n"
		"  yangguan bgp replay messages.vec --only as4 --long\n"
		"  yangguan bgp filter policy.txt --name from-transit --prefix 192.0.2.0/24 --as-path '65001 65002'\n"
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
	if (a.n_words == 2 && strcmp(a.word[0], "filter") == 0)
		return bgp_filter(&(struct bgp_filter_words){ .path = a.word[1],
							      .name = args_value(&a, "name"),
							      .prefix = args_value(&a, "prefix"),
							      .as_path = args_value(&a, "as-path"),
							      .communities = args_value(&a, "community"),
							      .proto = args_value(&a, "proto") });
	if (a.n_words != 2 || strcmp(a.word[0], "replay") != 0) {
		fprintf(stderr,
			"yangguan bgp: \"replay FILE\", \"mrt FILE\" or \"filter FILE\" (see: yangguan bgp --help)\n");
		return EXIT_USAGE;
	}
	return bgp_replay(a.word[1], args_value(&a, "only"), args_has(&a, "long") ? BGP_REPLAY_LONG : BGP_REPLAY_SHORT);
}
