/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of NAT share: its state, and the parts that most of them need. What
 * but some need stands in headers of its own (source.h, overload.h, reclaim.h).
 */
#ifndef YG_GATEWAY_NAT_NAT_PRIV_H
#define YG_GATEWAY_NAT_NAT_PRIV_H

#include "base/pool.h"
#include "base/util.h"
#include "gateway/nat/nat.h"
#include "gateway/nat/reclaim_queue.h"
#include "gateway/nat/ref.h"
#include "stack/ports/port_blocks.h"
#include "stack/ports/portmap.h"
#include "stack/ports/ports.h"

#define NAT_NONE UINT32_MAX

/* An endpoint-independent mapping (RFC 4787 REQ-1). */
struct nat_eim {
	uint32_t in_addr, out_addr;
	uint16_t in_port, out_port;
	uint16_t in_zone; /* its outside is the pool's, and pools are of no zone */
	uint8_t proto;
	uint8_t pool;
	uint8_t out_ifindex;
	uint8_t lessor;     /* worker + 1 to whom it belongs, 0: ours */
	uint32_t address;   /* number of out_addr's ports; unused when leased from another worker */
	uint32_t n_holders; /* connections */
	uint32_t in_chain, out_chain;
	uint64_t begun_ns; /* when it was made, by the core's clock */
};

/* For filtering: the inside of a mapping talks with this remote address, or (port not 0) with this port there. */
struct nat_pinhole {
	uint32_t mapping, remote;
	uint16_t port;
	uint32_t n_holders;
	uint32_t chain;
};

struct nat_mappings {
	struct pool pool;
	struct pool pinholes;
	struct pool pairs;
	uint32_t *in, *out, *pinhole; /* buckets */
	uint32_t n_buckets;
	uint32_t n_leased;      /* of other workers: they hold no port here */
	uint32_t n_for_workers; /* holders that are no connections of ours: of leases given and taken */
	uint64_t n_holds;       /* holders of all mappings */
};

/* hold_down.c: ports that nobody uses and nobody may have yet. */
struct nat_hold_down {
	uint64_t until;
	uint32_t address;
	uint16_t port;
	uint8_t ip_proto;
};

struct nat_hold_downs {
	struct nat_hold_down *entry; /* a ring */
	uint32_t cap, head, n;
	bool is_off; /* what is let go of now was never used */
};

/* pending_open.c: hosts inside that were refused by each other's mappings. */
#define NAT_PENDING_OPENS_MAX 256
struct nat_pending_open {
	uint64_t until;
	uint32_t mapping, remote;
	uint16_t port;
};

struct nat_pending_opens {
	struct nat_pending_open pending_open[NAT_PENDING_OPENS_MAX]; /* a ring */
	uint32_t head, n;
};

/* pptp.c: calls of hosts inside, and the numbers that they have outside. */
#define NAT_CALLS_MAX 1024u
#define NAT_CALLS_PER_HOST 128u
#define NAT_CALL_HOSTS 256u
struct nat_call {
	uint64_t until;
	uint32_t inside_addr, remote, outside_addr; /* of the control connection's two ends */
	uint32_t address;
	uint16_t inside_zone, outside_zone;
	uint16_t inside, outside; /* numbers */
	uint32_t in_chain, out_chain;
};

struct nat_calls {
	struct pool pool;
	uint32_t in[NAT_CALLS_MAX], out[NAT_CALLS_MAX]; /* buckets */
	uint16_t n_of_host[NAT_CALL_HOSTS];             /* by a hash of the inside host */
	uint64_t next_look;
};

struct nat_pool {
	struct port_set ports;
	uint64_t n_addresses;
};

/* How often somebody found nothing, by pool and by interface (masquerade); the last is for rules with addresses. */
struct nat_refusals {
	uint64_t count;
	uint64_t n_reused; /* connections that made room */
	uint64_t told_ns;  /* when an event was sent last */
	bool told;
};

/* Counters of IP identifications, by hash of both outside addresses and protocol. */
#define NAT_IDENTIFICATIONS 65536 /* so that few pairs take a counter from each other; 256 KB, touched as used */

struct nat_identification {
	uint16_t next;
	uint16_t owner; /* other bits of the hash, never 0; 0: nobody yet */
};

/* log.c: what is logged. */
struct nat_log {
	uint8_t what; /* enum nat_log_what, of what belongs to no pool */
	uint8_t any;  /* of all together; what is not in it costs a branch */
	struct {
		char name[NAT_POOL_NAME_MAX];
		uint8_t what;
	} pool[NAT_POOLS_MAX];   /* as they were last in a config: what a pool began is told to its end */
	struct pool block_begun; /* a struct nat_block_begun an address of the ports; used as an array */
};

struct nat {
	struct env *env;
	struct ip_stack *stack;
	struct conntrack *ct;
	nat_rules_fn *rules;
	nat_has_rules_fn *has_rules;
	void *rules_ctx;
	struct siphash_key key;
	struct rng port_rng; /* for ports that are drawn ahead: so what others draw meanwhile makes no difference */
	struct nat_config cfg;
	struct nat_pool pool[NAT_POOLS_MAX];
	struct port_set default_ports, identifiers;
	struct ports *ports;
	struct nat_mappings mappings;
	struct nat_overloads *overloads;
	struct nat_reclaim reclaim;
	struct nat_hold_downs hold_downs;
	struct nat_pending_opens pending_opens;
	struct nat_calls calls;
	struct nat_log log;
	struct nat_identification identification[NAT_IDENTIFICATIONS];
	struct nat_refusals pool_refusals[NAT_POOLS_MAX], masquerade_refusals[IP_INTERFACES_MAX], rule_refusals;
	struct nat_workers workers; /* blocks NULL: one worker */
	bool sweeping;
	uint32_t sweep_cursor;
};

/* The source port or identifier of an ORIGINAL tuple, and what it has become in the REPLY tuple. */
static inline uint16_t nat_inside_port(const struct tuple *orig)
{
	return orig->sport;
}

static inline uint16_t nat_outside_port(const struct tuple *reply)
{
	if (reply->id != L4_ID_NONE)
		return 0; /* an identifier is no port */
	return reply->proto == IPPROTO_NR_ICMP ? reply->sport : reply->dport;
}

static inline void nat_set_outside_port(struct tuple *reply, uint32_t port)
{
	if (reply->proto == IPPROTO_NR_ICMP)
		reply->sport = (uint16_t)port;
	else
		reply->dport = (uint16_t)port;
}

/* Ports (stack/ports/ports.h). NAT's addresses are IPv4's alone so far. */

static inline uint32_t nat_ports_find(const struct nat *n, uint32_t addr, uint16_t zone)
{
	struct ip_addr a = ip_addr_v4(addr);

	return ports_find(n->ports, &a, zone);
}
/* Makes room for it if need be; PORTS_NONE when there is none. */
static inline uint32_t nat_ports_address(struct nat *n, uint32_t addr, uint16_t zone)
{
	struct ip_addr a = ip_addr_v4(addr);

	return ports_address(n->ports, &a, zone);
}

/* pending_open.c */

/* A packet from inside with this ORIGINAL tuple is refused by the mapping of another host inside. */
void nat_pending_open(struct nat *n, const struct tuple *orig, const struct nat_eim *target);
void nat_pending_opens_expire(struct nat *n);
void nat_pending_opens_forget(struct nat *n);
uint64_t nat_pending_opens_deadline(const struct nat *n);

/* hold_down.c */

int nat_hold_downs_init(struct nat_hold_downs *r, uint32_t cap);
void nat_hold_downs_fini(struct nat_hold_downs *r);
/* One holder less of a port; if it was the last and the pool of `ref` (a nat_ref) says so, the port is held down. */
void nat_port_done(struct nat *n, uint32_t ref, uint32_t address, uint8_t ip_proto, uint32_t port);
void nat_hold_downs_expire(struct nat *n);
uint64_t nat_hold_downs_deadline(const struct nat *n);

/* mapping.c: endpoint-independent mappings. */

int nat_mappings_init(struct nat_mappings *m, uint32_t n);
void nat_mappings_fini(struct nat_mappings *m);
static inline struct nat_eim *nat_mapping_at(const struct nat *n, uint32_t index)
{
	return pool_at(&n->mappings.pool, index);
}
uint32_t nat_mapping_of_inside(const struct nat *n, const struct tuple *orig, uint32_t pool);
uint32_t nat_mapping_of_outside(const struct nat *n, const struct tuple *orig);
/* A mapping with nobody in it yet; the port is held. NAT_NONE without room. */
uint32_t nat_mapping_make(struct nat *n, const struct nat_eim *like);
void nat_mapping_join(struct nat *n, uint32_t index);
void nat_mapping_leave(struct nat *n, uint32_t index);
void nat_pinhole_join(struct nat *n, uint32_t mapping, uint32_t remote, uint16_t port);
void nat_pinhole_leave(struct nat *n, uint32_t mapping, uint32_t remote, uint16_t port);
bool nat_pinhole_for(const struct nat *n, uint32_t mapping, uint32_t remote, uint16_t port);
/* hold.c: what a connection holds. */

/* The connection holds this from here on, besides what it holds already. False: there is no room to note it, and it has
 * been given back. */
bool nat_hold(struct nat *n, uint32_t index, uint32_t ref);
/* Slots of conntrack. */
void nat_release(void *ctx, struct conn *c, uint32_t index);
void nat_reach(void *ctx, const struct conn *c, uint32_t index);
/* True when the config still has the addresses and ports that the connection uses. */
bool nat_still_allowed(const struct nat *n, uint32_t index);

/* log.c: for the log slot. */

int nat_log_init(struct nat_log *l, uint32_t n_addresses);
void nat_log_fini(struct nat_log *l);
/* By the new config. */
void nat_log_configure(struct nat *n);
/* A mapping of ours begins, or ends. */
__attribute__((cold)) void nat_log_mapping(const struct nat *n, const struct nat_eim *m, enum log_kind kind);

/* trace.c: for the trace slot, when somebody listens. */
enum nat_choice { NAT_CHOICE_MADE, NAT_CHOICE_REFUSED };
__attribute__((cold)) void nat_trace_choice(const struct nat *n, enum trace_kind side, const struct packet *p,
					    const struct nat_action *a, enum nat_choice choice);

/* pptp.c */

int nat_calls_init(struct nat_calls *c);
void nat_calls_fini(struct nat_calls *c);
/* p is of a control connection, and translated: numbers of calls in it are, too. */
void nat_pptp(struct nat *n, struct packet *p);
void nat_calls_expire(struct nat *n);
uint64_t nat_calls_deadline(const struct nat *n);

/* icmp.c: errors. */

void nat_error_dst(struct nat *n, struct packet *p);
void nat_error_src(struct nat *n, struct packet *p);

/* pool.c */

void nat_pools_build(struct nat *n, const struct nat_config *cfg);
uint32_t nat_pool_address(const struct nat_pool_config *cfg, uint64_t k);
struct nat_refusals *nat_refusals_of(struct nat *n, enum nat_origin origin, uint32_t id);
void nat_refuse(struct nat *n, struct packet *p, enum nat_origin origin, uint32_t id, uint32_t addr);

/* --- translate.c --- */

/* CT_SNAT and CT_DNAT, as the tuples say. */
void nat_mark_sides(struct conn *c);

/* Rewrites a packet of a connection at the hooks of its destination and of its source. */
void nat_translate_dst(const struct conn *c, struct packet *p);
void nat_translate_src(struct nat *n, const struct conn *c, struct packet *p);

/* --- invalid.c --- */

/* Leave a verdict in an INVALID packet. */
void nat_invalid_dst(const struct nat *n, struct packet *p);
void nat_invalid_src(struct nat *n, enum ip_hook hook, struct packet *p);

#endif
