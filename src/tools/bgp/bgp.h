/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan bgp`: what there is of BGP that needs no gateway.
 */
#ifndef YG_TOOLS_BGP_BGP_H
#define YG_TOOLS_BGP_BGP_H

#include "daemon/control/commands/args.h"

extern const struct command_info bgp_info;
int bgp_main(int argc, char **argv);

/* `bgp replay FILE`: an exit status. Lines whose name has `part` in it, all when that is NULL; is_long: with what each
 * message says. */
enum bgp_replay_form { BGP_REPLAY_SHORT, BGP_REPLAY_LONG };
int bgp_replay(const char *path, const char *part, enum bgp_replay_form form);

/* `bgp mrt FILE`: an exit status. A line each, or all of it in a table of paths, of which the last line tells. */
enum bgp_mrt_form { BGP_MRT_LINES, BGP_MRT_TABLE };
int bgp_mrt_show(const char *path, enum bgp_mrt_form form);

/* `bgp filter FILE`: EXIT_OK: it accepts, EXIT_FAILED: it does not. NULL: not said. */
struct bgp_filter_words {
	const char *path, *name, *prefix, *as_path, *communities, *proto;
};
int bgp_filter(const struct bgp_filter_words *words);

#endif
