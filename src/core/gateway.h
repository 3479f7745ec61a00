/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One gateway core: the rooms from ip to socket, created, wired together by one
 * visible table (modules.c), and driven from outside. It does no I/O of its own and reads no
 * clock: the same object stands under `run`, `replay`, the scenarios and the
 * fuzzers.
 */
#ifndef YG_CORE_GATEWAY_H
#define YG_CORE_GATEWAY_H

#include "core/config.h"
#include "gateway/conntrack/conntrack.h"
#include "stack/ip/stack.h"
#include "gateway/nat/nat.h"
#include "stack/packet/env.h"
#include "gateway/rules/rules.h"
#include "gateway/flowcache/flowcache.h"
#include "stack/socket/ping_socket.h"
#include "stack/socket/socket.h"

/* What a core consists of. All but ip can be left out. */
enum gateway_module {
	GATEWAY_PORTS,
	GATEWAY_CONNTRACK,
	GATEWAY_IP,
	GATEWAY_NAT,
	GATEWAY_UNSOLICITED, /* NAT's: connections that begin outside, and that no mapping lets in */
	GATEWAY_RULES,
	GATEWAY_FLOWCACHE,
	GATEWAY_ROUTES, /* follows links and config; left out where another core does so for all */
	GATEWAY_SOCKETS,
	N_GATEWAY_MODULES
};

/* A router, which is also a host; one that knows connections and filters them; all. */
#define GATEWAY_ROUTER (1u << GATEWAY_IP | 1u << GATEWAY_ROUTES | 1u << GATEWAY_SOCKETS)
#define GATEWAY_FIREWALL (GATEWAY_ROUTER | 1u << GATEWAY_CONNTRACK | 1u << GATEWAY_RULES | 1u << GATEWAY_FLOWCACHE)
#define GATEWAY_ALL ((1u << N_GATEWAY_MODULES) - 1)

struct gateway_limits {
	struct packet_pool_config packets; /* zeros: defaults */
	struct ip_limits ip;
	struct ct_limits conntrack;
	struct nat_limits nat;
	struct sockets_limits sockets;
};

struct gateway;

/* now: the clock's first value. The seed decides every random choice. emit is
 * called from inside the core and must only take notes. NULL without memory. */
struct gateway *gateway_create(const struct gateway_limits *limits, const uint8_t seed[RNG_SEED_BYTES], uint64_t now,
			       event_fn *emit, void *emit_ctx);
/* The same of some modules, bits of enum gateway_module; what they need comes with them. */
struct gateway *gateway_create_of(uint32_t modules, const struct gateway_limits *limits,
				  const uint8_t seed[RNG_SEED_BYTES], uint64_t now, event_fn *emit, void *emit_ctx);
void gateway_destroy(struct gateway *g);
/* From here on it is as if that module, which no other one needs, had been left out. */
void gateway_end_module(struct gateway *g, enum gateway_module module);

/* Makes cfg the config from here on; it must stay valid until the next call
 * (the caller frees the old one afterwards). 0, or -errno and nothing changed. What it says to a module that is left
 * out is not read. */
int gateway_configure(struct gateway *g, const struct core_config *cfg, uint64_t now);
/* Whatever of gateway_configure may fail, and nothing else: after 0 it does not. For several gateways that change
 * together. The caller goes on to gateway_configure or to gateway_abandon. */
int gateway_prepare(struct gateway *g, const struct core_config *cfg);
void gateway_abandon(struct gateway *g);

/* The device behind interface number ifindex; sets the device's pool and ledger.
 * NULL takes it away. The gateway does not own it. */
void gateway_attach(struct gateway *g, uint32_t ifindex, struct device *d, uint64_t now);
/* Its device->up, mtu or mac has changed. */
void gateway_device_changed(struct gateway *g, uint32_t ifindex, uint64_t now);
/* What a change of links or of the config has left to be done for the routes (rib_work) is done: for whoever records,
 * or does again what was recorded. */
void gateway_settle_routes(struct gateway *g);

/* Packets received on ifindex (counted as received by the device). Sends what
 * follows from them. b is empty afterwards. */
void gateway_input(struct gateway *g, uint32_t ifindex, struct batch *b, uint64_t now);
/* The same for those that have a flow cache entry; the rest stays in b, as it came. */
void gateway_input_cached(struct gateway *g, uint32_t ifindex, struct batch *b, uint64_t now);
/* Frames for the host that another core has taken in and judged; and, of such a core, frames that the host made
 * (ip/host.c). b is empty afterwards. */
void gateway_host_input(struct gateway *g, struct batch *b, uint64_t now);
void gateway_host_output(struct gateway *g, struct batch *b, uint64_t now);
/* Fires what is due; call at gateway_next_deadline at the latest. */
void gateway_expire(struct gateway *g, uint64_t now);
uint64_t gateway_next_deadline(const struct gateway *g);
/* After calling into a room directly (ping_socket_send): sends what waits. */
void gateway_flush(struct gateway *g, uint64_t now);
/* Before such a call: sets the core's clock. */
void gateway_set_time(struct gateway *g, uint64_t now);

/* Slot: somebody beside the core's rooms who has something to do at times, inside gateway_expire. ctx NULL: nobody. */
struct gateway_aux {
	void *ctx;
	void (*expire)(void *ctx);
	uint64_t (*next_deadline)(const void *ctx);
	/* There is no more to receive from this interface, and what came has been dealt with. */
	void (*seen_empty)(void *ctx, uint32_t ifindex);
};
void gateway_set_aux(struct gateway *g, const struct gateway_aux *aux);
void gateway_seen_empty(struct gateway *g, uint32_t ifindex);

struct env *gateway_env(struct gateway *g);
/* Its modules; NULL: left out. */
struct ip_stack *gateway_ip(struct gateway *g);
struct ports *gateway_ports(struct gateway *g);
struct conntrack *gateway_conntrack(struct gateway *g);
struct nat *gateway_nat(struct gateway *g);
struct rules *gateway_rules(struct gateway *g);
struct flowcache *gateway_flowcache(struct gateway *g);
struct ping_sockets *gateway_ping_sockets(struct gateway *g);
struct sockets *gateway_sockets(struct gateway *g);

#endif
