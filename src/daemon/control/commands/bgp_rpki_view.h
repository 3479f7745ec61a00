/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a command sees of the RPKI's tables of a gateway that speaks BGP.
 */
#ifndef YG_DAEMON_CONTROL_COMMANDS_BGP_RPKI_VIEW_H
#define YG_DAEMON_CONTROL_COMMANDS_BGP_RPKI_VIEW_H

#include "daemon/config/config_bgp.h"

/* Tables of who may originate which prefix, and the caches that fill them. */
struct control_bgp_rpki_table {
	const char *name;
	const struct roa_table *roas;
	size_t n_own, n_caches; /* payloads of the config, under number 0 of roas */
	struct {
		const struct rtr_client *client;
		struct stream_end remote;
		uint32_t number; /* of roas */
	} cache[CONFIG_BGP_CACHES_MAX];
};
struct control_bgp_rpki {
	size_t n;
	struct control_bgp_rpki_table table[CONFIG_BGP_RPKI_MAX];
};

#endif
