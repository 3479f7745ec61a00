/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of the block `bgp` share: bgp.c, bgp_neighbor.c, bgp_rpki.c, bgp_check.c.
 */
#ifndef YG_DAEMON_CONFIG_BGP_PRIV_H
#define YG_DAEMON_CONFIG_BGP_PRIV_H

#include "daemon/config/config_bgp.h"
#include "daemon/config/config_priv.h"

/* A number of an AS that may be somebody's. */
bool config_bgp_as(struct parser *p, uint32_t *out);
/* "port N", if that comes next; else *out stays. */
bool config_bgp_port(struct parser *p, uint16_t *out);
/* An address that a host can have. */
bool config_bgp_host(struct parser *p, uint32_t *out);
/* Behind the word `password`, the last of its statement. */
bool config_bgp_password(struct parser *p, struct stream_key *key);
/* Behind the word `rpki`. */
bool config_bgp_rpki_block(struct parser *p, struct config_bgp *b);
/* Behind the word `neighbor`. */
bool config_bgp_neighbor_block(struct parser *p, struct config_bgp *b);

#endif
