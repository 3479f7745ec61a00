/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of `yangguan bgp` share: cmd_bgp.c (its words, summary, what is asked of neighbours),
 * cmd_bgp_dump.c, cmd_bgp_neighbors.c, cmd_bgp_routes.c, cmd_bgp_rpki.c, cmd_bgp_why.c.
 */
#ifndef YG_DAEMON_CONTROL_COMMANDS_CMD_BGP_H
#define YG_DAEMON_CONTROL_COMMANDS_CMD_BGP_H

#include <jansson.h>

#include "daemon/config/config_bgp.h"
#include "daemon/control/commands/cmd_priv.h"
#include "routing/bgp/bgp_speaker.h"

enum cmd_bgp_shows { CMD_BGP_BEST, CMD_BGP_IN, CMD_BGP_FILTERED, CMD_BGP_OUT };

/* Of a listing of routes. */
struct cmd_bgp_state {
	enum cmd_bgp_shows shows;
	uint32_t source; /* of CMD_BGP_IN, CMD_BGP_FILTERED */
	uint32_t next;   /* number of a prefix */
	uint64_t n_shown;
	struct cmd_bgp_dump *dump; /* NULL: a listing */
};

static inline const struct control_bgp *cmd_bgp_of(const struct command_call *c)
{
	return c->target->bgp(c->target->ctx);
}

/* CLOCK_MONOTONIC, as the speaker is given it. */
uint64_t cmd_bgp_now(void);
/* The neighbour called so, by its name or address, ranges included. False after a message. */
bool cmd_bgp_find(struct command_call *c, const char *name, struct bgp_neighbor_view *v);
/* What the config says of it; NULL: it is on its way out. */
const struct config_bgp_neighbor *cmd_bgp_config(const struct control_bgp *b, const struct bgp_neighbor_view *v);
/* The neighbour whose paths are that source's in the table. */
bool cmd_bgp_by_source(const struct control_bgp *b, uint32_t source, struct bgp_neighbor_view *v);
/* "no import policy (RFC 8212)"; NULL: one was said, or none is needed. */
const char *cmd_bgp_no_policy(const struct control_bgp *b, const struct bgp_neighbor_view *v);
/* Its address, or prefix. */
const char *cmd_bgp_address(const struct bgp_neighbor_view *v, char buf[IP4_TEXT_MAX]);
/* Writes a value and lets it go; NULL: there was no memory. */
int cmd_bgp_json(struct command_call *c, json_t *j);
/* An attribute of a set as text, without its name; "" when it is not there. */
const char *cmd_bgp_attr(const struct bgp_set *set, uint8_t type, char *buf, size_t len);
/* "192.0.2.0/24", "192.0.2.1". */
bool cmd_bgp_read_prefix(const char *word, struct ip4_prefix *out);
/* The prefix, or the longest one that holds the address. False after a message. */
bool cmd_bgp_prefix(struct command_call *c, const char *word, struct ip4_prefix *out, struct bgp_prefix_view *v);

int cmd_bgp_dump(struct command_call *c);
int cmd_bgp_dump_more(struct command_call *c);
int cmd_bgp_neighbors(struct command_call *c);
int cmd_bgp_routes(struct command_call *c);
int cmd_bgp_routes_more(struct command_call *c);
int cmd_bgp_rpki(struct command_call *c);
int cmd_bgp_why(struct command_call *c);

#endif
