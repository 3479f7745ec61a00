/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The gateway of the public header, as the files here share it.
 */
#ifndef YG_DAEMON_EMBED_EMBED_PRIV_H
#define YG_DAEMON_EMBED_EMBED_PRIV_H

#include <yangguan/gateway.h>

#include "core/gateway.h"
#include "daemon/config/snapshot.h"
#include "lib/lib_priv.h"

struct embed_port {
	struct lib_link link;
	struct yg_gateway *owner;
	bool is_attached;
};

struct yg_gateway {
	struct gateway *core;
	struct snapshot *snap;
	uint32_t parts;
	yg_gateway_output_fn *output;
	yg_gateway_event_fn *event;
	void *ctx;
	_Atomic(uint32_t) nobody_listens; /* no kind of event: of env.wanted without a slot */
	struct yg_stack host;             /* its sockets; and how the gateway is entered */
	struct embed_port port[IP_INTERFACES_MAX];
};

/* embed_policy.c: what a core with these parts is told, or NULL and a reason. prev may be NULL. */
struct snapshot *embed_snapshot(const struct yg_gateway_policy *policy, uint32_t parts, const struct snapshot *prev,
				struct gateway_limits *limits, char *why, size_t why_len);

/* embed_info.c: for gateway_create. ctx: the struct yg_gateway. */
void embed_event(void *ctx, const struct yg_event *e);

#endif
