/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of the config share: the whole reader, around nft's part and the
 * language's, and the blocks that are ours.
 */
#ifndef YG_DAEMON_CONFIG_CONFIG_PRIV_H
#define YG_DAEMON_CONFIG_CONFIG_PRIV_H

#include "base/util.h"
#include "daemon/config/config.h"
#include "daemon/config/lang/parse.h"
#include "daemon/config/nft/nft.h"

struct config_parser {
	struct nft_parser nft;
	struct config *c;
	struct text_pos pool_pos[NAT_POOLS_MAX];
	struct config_once once;       /* in all of the text */
	struct config_once once_block; /* in the interface, route or pool that is being read */
};

static inline struct config_parser *config_parser_of(struct parser *p)
{
	return container_of(p, struct config_parser, nft.p);
}

/* What is being made. */
static inline struct config *config_of(struct parser *p)
{
	return config_parser_of(p)->c;
}

/* At an interface's, a route's or a pool's beginning. */
static inline void config_once_begin(struct parser *p)
{
	config_parser_of(p)->once_block.n = 0;
}

/* A statement that may stand once in such a one, or in the whole text. */
static inline void config_once_here(struct parser *p, const void *what, const struct token *t)
{
	config_once(p, &config_parser_of(p)->once_block, what, &t->pos);
}

static inline void config_once_at_all(struct parser *p, const void *what, const struct token *t)
{
	config_once(p, &config_parser_of(p)->once, what, &t->pos);
}

/* blocks.c: our own blocks; the first word is consumed. */
bool config_interface(struct parser *p);
bool config_route(struct parser *p);
/* What a route is known by: "PREFIX [metric N] [zone N]". */
bool config_route_name(struct parser *p, struct rib_route *out);
bool config_icmp(struct parser *p);
bool config_workers(struct parser *p);
/* pool.c */
bool config_pool(struct parser *p);
/* log.c */
bool config_log(struct parser *p);
bool config_kernel(struct parser *p);
bool config_bgp_block(struct parser *p);
bool config_policy_block(struct parser *p);
bool config_pool_log(struct parser *p, struct nat_pool_config *pool);
void config_check_log(struct parser *p);
void config_check_kernel(struct parser *p);
void config_check_bgp(struct parser *p);
/* An interface is in it, or it is zone 0. */
bool config_has_zone(const struct config *c, uint16_t zone);
/* limits.c */
bool config_conntrack(struct parser *p);
bool config_limits(struct parser *p);

/* A statement of a block: its words, what it sets in struct config, and the bounds. */
#define CONFIG_ROW_WORDS_MAX 5 /* one more than there may be */
enum config_row_kind {
	ROW_NUMBER,     /* uint32_t */
	ROW_SMALL,      /* uint8_t */
	ROW_SECONDS_NS, /* seconds, as a uint64_t of ns */
	ROW_YES_NO,     /* bool */
	ROW_CONGESTION, /* a name of the table of congestion controls */
	ROW_ECN,        /* uint8_t */
	ROW_PORTS,      /* the host's port_first and port_last */
};
struct config_row {
	const char *words[CONFIG_ROW_WORDS_MAX];
	size_t offset;
	uint32_t min, max;
	enum config_row_kind kind;
};
/* The row whose words come next, the longest one; consumes them. NULL after a message: what could have come
 * behind as many words as fit. */
const struct config_row *config_find_row(struct parser *p, const struct config_row *rows, size_t n, const char *what);
/* Its words, for a message. */
const char *config_row_name(const struct config_row *r, char name[AST_NAME_MAX]);
/* A number within the row's bounds, of ROW_NUMBER. */
bool config_row_number(struct parser *p, const struct config_row *r);
bool config_row_bounds(const struct config_row *rows, size_t n, const char *words, uint32_t *min, uint32_t *max);
/* host.c */
bool config_host(struct parser *p);
void config_check_host(struct parser *p);
bool config_host_bounds(const char *words, uint32_t *min, uint32_t *max);

/* check.c: what one statement alone cannot know. */
void config_check(struct parser *p);
/* check_reach.c: translations that lead nowhere. */
void config_check_reach(struct parser *p);
/* check_held.c: addresses that rules translate to elsewhere, and that nobody holds. */
void config_check_held(struct parser *p);

#endif
