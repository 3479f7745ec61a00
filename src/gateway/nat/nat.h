/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Network address translation: choosing a mapping for a new connection and
 * writing it into the REPLY tuple, then rewriting every packet of the connection
 * by comparing its two tuples (RFC 3022; Linux's nf_nat).
 *
 * Hooks: dstnat at PREROUTING and OUTPUT (-100), srcnat at POSTROUTING and INPUT
 * (100). What to do with a new connection is asked of src/gateway/rules through a slot.
 */
#ifndef YG_GATEWAY_NAT_NAT_H
#define YG_GATEWAY_NAT_NAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/siphash.h"
#include "gateway/conntrack/conntrack.h"
#include "stack/ip/stack.h"
#include "stack/ports/port_set.h"

#define NAT_POOLS_MAX 64
#define NAT_POOL_RANGES_MAX 64
#define NAT_POOL_NAME_MAX 32

enum nat_mapping { NAT_MAP_ADDRESS_PORT_DEPENDENT, NAT_MAP_ENDPOINT_INDEPENDENT };
enum nat_filtering { NAT_FILTER_ADDRESS_PORT_DEPENDENT, NAT_FILTER_ADDRESS_DEPENDENT, NAT_FILTER_ENDPOINT_INDEPENDENT };

struct nat_address_range {
	uint32_t first, last; /* both included */
};

struct nat_pool_config {
	char name[NAT_POOL_NAME_MAX];
	uint32_t n_ranges;
	struct nat_address_range range[NAT_POOL_RANGES_MAX];
	struct port_range ports; /* default 1024-65535 */
	uint32_t n_excluded;
	struct port_range excluded[16];
	uint8_t mapping;                        /* enum nat_mapping */
	uint8_t filtering;                      /* enum nat_filtering */
	uint8_t paired;                         /* 1: one inside address keeps one outside address */
	uint8_t preserve_port, preserve_parity; /* 1: wanted */
	uint8_t log_own;                        /* 1: `log` counts, 0: that of all */
	uint8_t log;                            /* enum nat_log_what: what the pool does that is logged */
	uint32_t hold_down_s; /* a port is not given out again for so long (RFC 6888 REQ-8); 0: at once */
};

/* What records are kept of (base/log_record.h). */
enum nat_log_what { NAT_LOG_SESSIONS = 0x1, NAT_LOG_MAPPINGS = 0x2, NAT_LOG_BLOCKS = 0x4 };

/* The NAT part of a snapshot. Pool numbers stay the same over a reload. */
struct nat_config {
	uint32_t n_pools;
	struct nat_pool_config pool[NAT_POOLS_MAX]; /* empty name: not in use */
	/* What rules give as a source by its address (`snat to A`): rising, and none touches the next. Of the snapshot.
	 */
	const struct nat_address_range *source;
	uint32_t n_sources;
	uint8_t log;                 /* enum nat_log_what, where a pool does not say it itself, or there is none */
	uint8_t log_no_destinations; /* 1: records of sessions leave out whom the inside talks with (RFC 6888 REQ-12) */
};

enum nat_action_kind {
	NAT_ACTION_NONE,       /* no translation on this side */
	NAT_ACTION_RANGE,      /* addresses and ports below */
	NAT_ACTION_PREFIX,     /* range.first is the new prefix, prefix_len bits are replaced, the rest stays */
	NAT_ACTION_POOL,       /* pool */
	NAT_ACTION_MASQUERADE, /* the primary address of the output interface */
	NAT_ACTION_REDIRECT,   /* the primary address of the input interface (OUTPUT: 127.0.0.1) */
};

enum nat_action_flag {
	NAT_FLAG_ADDRESS = 0x1, /* range is given */
	NAT_FLAG_PORT = 0x2,    /* ports are given */
	NAT_FLAG_RANDOM = 0x4,
	NAT_FLAG_PERSISTENT = 0x8, /* the same client, the same address */
	NAT_FLAG_PRESERVE = 0x10,  /* keep the port when it is free */
};

struct nat_action {
	uint8_t kind;  /* enum nat_action_kind */
	uint8_t flags; /* enum nat_action_flag */
	uint8_t prefix_len;
	uint16_t pool;
	struct nat_address_range range;
	struct port_range ports;
};

/* Asked once per connection and side. CONTINUE with *out filled (NONE when no
 * rule spoke), or DROP with the packet's reason set. */
typedef enum packet_verdict nat_rules_fn(void *ctx, enum ip_hook hook, struct packet *p, struct nat_action *out);

struct nat;

bool nat_pool_has(const struct nat_pool_config *cfg, uint32_t addr);

struct nat_limits {
	uint32_t n_addresses; /* translation addresses that can have a port map, 0: 256 */
	uint32_t n_mappings;  /* endpoint-independent mappings, 0: as many as connections */
};

/* So many addresses its ports are to have room for. */
uint32_t nat_n_addresses(const struct nat_limits *limits);
/* ports: of this core; not NAT's own. */
struct ports;
struct nat *nat_create(struct env *env, struct ip_stack *stack, struct conntrack *ct, struct ports *ports,
		       const struct nat_limits *limits);
void nat_destroy(struct nat *n);
/* Swaps the config; connections whose address or port left it end (CT_END_CONFIG). */
void nat_configure(struct nat *n, const struct nat_config *cfg);
/* Whether it keeps any records. */
bool nat_logs_any(const struct nat *n);
void nat_set_rules(struct nat *n, nat_rules_fn *fn, void *ctx);
/* False: no rule at this hook would say anything, so that none need be asked. Of the same ctx; without it all are. */
typedef bool nat_has_rules_fn(void *ctx, enum ip_hook hook);
void nat_set_has_rules(struct nat *n, nat_has_rules_fn *fn);

/* The identification that a whole packet without DF leaves with behind NAT, to dst from the outside address src, and
 * those of the n_segments - 1 behind it when it is a large segment. */
uint16_t nat_next_identification(struct nat *n, uint32_t src, uint32_t dst, uint8_t proto, uint32_t n_segments);

/* Hooks. */
void nat_dst(void *ctx, enum ip_hook hook, struct batch *b); /* PREROUTING, OUTPUT, -100 */
void nat_src(void *ctx, enum ip_hook hook, struct batch *b); /* POSTROUTING, INPUT, 100 */

/* With several workers (src/core/workers/workers.h). Before the first configuration. */
struct port_blocks;
enum nat_mapping_event { NAT_MAPPING_MADE, NAT_MAPPING_GONE };
/* An endpoint-independent mapping that one worker has and another uses: the sender's in a hairpin. */
struct nat_lease {
	uint32_t addr; /* outside */
	uint16_t port;
	uint16_t zone; /* of the outside */
	uint8_t pool;
	uint8_t out_ifindex;
	uint8_t lessee, lessor; /* lessor: worker + 1, 0: nobody yet */
};
struct nat_workers {
	struct port_blocks *blocks; /* the ports of all workers */
	uint32_t worker;
	struct siphash_key client_key; /* the same for all, for choices that follow from the client */
	void *ctx;
	/* A packet from outside the core is about to begin a connection; its bytes are as they came. */
	void (*begins)(void *ctx, const struct packet *p);
	/* No port is left for it here. True: another worker is asked, and has the packet. */
	bool (*elsewhere)(void *ctx, struct packet *p);
	/* An inside endpoint (a tuple without destination) has a mapping here from now on, or no more. False: it cannot
	 * have one, since its own worker cannot be told. */
	bool (*mapping)(void *ctx, const struct tuple *inside, enum nat_mapping_event what);
	/* The sender's mapping in this pool is another worker's. True: that one is asked for it, and has the packet. */
	bool (*lease)(void *ctx, struct packet *p, const struct nat_lease *wanted);
	/* What was leased is not needed any more. */
	void (*give_back)(void *ctx, const struct tuple *inside, const struct nat_lease *lease);
	/* For nat_pending_open_here of the worker that has the sender's mapping. */
	void (*pending_open)(void *ctx, const struct tuple *meet, uint32_t pool);
};
void nat_set_workers(struct nat *n, const struct nat_workers *workers);
/* The mapping of `inside` in lease->pool, made if need be, held for the lessee until nat_lease_grant_end; fills in
 * addr and port. False when there is none to be had. */
bool nat_lease_grant(struct nat *n, const struct tuple *inside, struct nat_lease *lease);
void nat_lease_grant_end(struct nat *n, const struct tuple *inside, uint32_t pool);
/* Uses the lease; held once until nat_lease_take_end, and by the connections that take it. */
bool nat_lease_take(struct nat *n, const struct tuple *inside, const struct nat_lease *lease);
void nat_lease_take_end(struct nat *n, const struct tuple *inside, uint32_t pool);
/* The inside endpoint that is the tuple's source was refused by the mapping of another, its destination, and so lets
 * that one in (pending_open.c). False when it has no mapping in this pool that is this worker's own. */
bool nat_pending_open_here(struct nat *n, const struct tuple *meet, uint32_t pool);
/* Every mapping of this worker's own. */
void nat_each_mapping(const struct nat *n, void (*fn)(void *ctx, const struct tuple *inside), void *ctx);
/* A port of ours is needed though no mapping holds it: packets to it must go on coming to this worker. False when its
 * block is another worker's. */
bool nat_pin(struct nat *n, uint32_t addr, uint16_t zone, uint8_t ip_proto, uint16_t port);
void nat_unpin(struct nat *n, uint32_t addr, uint16_t zone, uint8_t ip_proto, uint16_t port);

void nat_expire(struct nat *n);
uint64_t nat_next_deadline(const struct nat *n);

/* The second law of conservation, of ports and mappings. Counted in holders (a port that three connections share has
 * three), in each worker:
 *
 *   ports + mappings in use = connections that hold something + what some of them hold besides (a hairpin's other end)
 *     + mappings, each of which holds a port + ports held down + pending opens + other workers + calls of PPTP
 *
 * The left side is what ports and mappings themselves count, the right side who they are. Between two batches. */
enum nat_law_row {
	NAT_LAW_PORTS,
	NAT_LAW_MAPPINGS,
	NAT_LAW_CONNECTIONS,
	NAT_LAW_BESIDES,
	NAT_LAW_BY_MAPPINGS,
	NAT_LAW_HELD_DOWN,
	NAT_LAW_PENDING_OPENS,
	NAT_LAW_WORKERS,
	NAT_LAW_CALLS,
	N_NAT_LAW_ROWS
};
#define NAT_LAW_FIRST_HOLDER NAT_LAW_CONNECTIONS
extern const char *const nat_law_names[N_NAT_LAW_ROWS];
struct nat_law {
	uint64_t n[N_NAT_LAW_ROWS];
};
void nat_law_of(const struct nat *n, struct nat_law *out);
uint64_t nat_law_in_use(const struct nat_law *l);
uint64_t nat_law_held(const struct nat_law *l);
/* By how much it does not hold: 0. */
int64_t nat_law_difference(const struct nat *n);

#define NAT_POOL_INFOS_MAX (NAT_POOLS_MAX + IP_INTERFACES_MAX)
struct nat_pool_info {
	uint32_t id; /* below NAT_POOL_INFOS_MAX; the same in all workers of a group */
	const char *name;
	uint32_t n_addresses;
	uint32_t interface_addresses; /* of an interface: which of its addresses are meant, a bit each by its place */
	uint64_t n_ports;             /* ports of one protocol, all addresses */
	uint64_t n_used_tcp, n_used_udp, n_used_icmp, n_used_other; /* other: SCTP, DCCP, UDP-Lite, PPTP together */
	uint64_t n_refused;                                         /* new connections that found no port */
	uint64_t n_reused; /* connections that were finished or idle and made room for a new one */
};
/* For `yangguan pools`; false at the end. Masquerade appears under the name of
 * its interface. */
bool nat_pool_next(const struct nat *n, uint32_t *cursor, struct nat_pool_info *out);

#endif
