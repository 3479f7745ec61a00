/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of the IP layer share: the stack itself, and the steps of the
 * packet's way that one file hands to the next. A step that takes a batch leaves
 * it empty; a step that takes one packet ends its life or passes it on.
 */
#ifndef YG_STACK_IP_STACK_PRIV_H
#define YG_STACK_IP_STACK_PRIV_H

#include "stack/ip/icmp.h"
#include "stack/ip/neigh.h"
#include "stack/ip/local.h"
#include "stack/ip/reassembly.h"
#include "stack/ip/route.h"
#include "stack/ip/stack.h"
#include "stack/wire/icmp.h"

/* Times that a packet may pass from our output to our input. */
#define IP_LOOPS_MAX 4

/* RFC 5227 section 1.1. */
#define ARP_ANNOUNCE_NUM 2
#define ARP_ANNOUNCE_INTERVAL_NS (2 * NS_PER_S)
#define ARP_DEFEND_INTERVAL_NS (10 * NS_PER_S)
/* How fast many addresses are announced. */
#define ARP_ANNOUNCE_SLICE 100
#define ARP_ANNOUNCE_SLICE_NS (10 * NS_PER_MS)

/* What is still to be announced on one interface: its addresses, then the ranges
 * of the config that name it. */
struct arp_announcer {
	uint64_t at; /* when to go on, TIME_NEVER when done */
	uint64_t round_start;
	uint32_t round;  /* 0 to ARP_ANNOUNCE_NUM - 1 */
	uint32_t item;   /* index over addresses, then proxies */
	uint32_t offset; /* within a proxy's range */
	bool all;        /* else only what the last configure added */
};

struct ip_interface {
	struct device *dev;
	struct batch tx;
	struct arp_announcer announce;
	bool has_defended;
	uint64_t defended_at;   /* last answer to an address conflict */
	uint16_t new_addresses; /* bits: added by the last configure */
};

/* Tokens of what many share. */
struct icmp_bucket {
	uint32_t tokens; /* thousandths */
	uint64_t at;     /* ns, when tokens was right */
};

#define ICMP_SLOTS 4096u

/* What went to one destination, of one kind, in the window that is. Those that fall together share a slot, until the
 * next window's key parts them. */
struct icmp_slot {
	uint32_t window; /* of another one: nothing was sent yet */
	uint32_t n_sent;
};

struct icmp_state {
	struct siphash_key slot_key; /* of this window */
	uint32_t window;
	uint64_t window_ends;
	struct icmp_bucket all;                         /* but path MTU messages */
	struct icmp_bucket path_mtu[IP_INTERFACES_MAX]; /* by where the packet came in */
	struct icmp_slot slot[ICMP_SLOTS];
	uint64_t counts[N_ICMP_SILENCE];
};

/* A raw input hook. */
struct ip_raw {
	ip_raw_fn *fn;
	void *ctx;
	uint8_t protocol;
};

/* A multicast group on an interface. */
struct ip_group {
	uint32_t group;
	uint32_t ifindex;
	uint32_t n_joined;
};

struct ip_stack {
	struct env *env;
	const struct ip_config *cfg;     /* never NULL */
	uint32_t share_number, n_shares; /* of n stacks that act as one; n_shares 0: alone */
	struct ip_interface interface[IP_INTERFACES_MAX];
	uint64_t tx_pending; /* bits: interfaces with packets in tx */
	uint64_t announcing; /* bits: interfaces that may have something to announce */
	bool new_proxy[IP_PROXIES_MAX];
	struct hook_list hook[N_HOOKS];
	struct ip_protocol protocol[256]; /* local.c */
	struct ip_raw raw[IP_RAW_MAX];
	uint32_t n_raw;
	struct ip_group group[IP_GROUPS_MAX];
	uint32_t n_groups;
	struct ip_open_ports *ports; /* port_use.c; NULL before the first */
	struct ports *shared_ports;  /* NULL: nobody else has our addresses */
	struct ip_host_slots host;
	struct ip_carrier_slots carrier;
	ip_sent_fn *sent;
	void *sent_ctx;
	ip_unclaimed_fn *unclaimed;
	void *unclaimed_ctx;
	ip_foreign_fn *foreign;
	void *foreign_ctx;
	struct ip_flowcache_ops flowcache; /* no functions: nobody */
	void *flowcache_ctx;
	struct igmp *igmp;
	struct neigh_table *neigh;
	struct reassembly *reassembly;
	struct icmp_state icmp;
	struct packet *loop_first, *loop_last; /* from here to here, through packet.next */
};

/* stack.c */
static inline const struct ip_interface_config *ip_interface_cfg(const struct ip_stack *s, uint32_t ifindex)
{
	return &s->cfg->interface[ifindex];
}
/* What a transport header that does not hold together is dropped for. */
enum drop_reason ip_drop_of_l4(enum l4_error err);
/* The configured interface's number is in use. */
bool ip_interface_known(const struct ip_stack *s, uint32_t ifindex);
/* ip_route for an address of each packet of b, in its zone, in one go. */
void ip_route_batch(const struct ip_stack *s, const struct batch *b, const uint32_t *addr,
		    const struct fib_route **route);
/* The next hop of p's flow. */
const struct fib_nexthop *ip_choose_path_of(const struct fib_route *r, const struct packet *p);
/* ip_route_by for p, which is made here and bound (p->bound_ifindex). */
const struct fib_nexthop *ip_route_bound(const struct ip_stack *s, const struct packet *p, struct fib_nexthop *room);
static inline const struct fib_nexthop *ip_choose_path(const struct fib_route *r, const struct packet *p)
{
	return YG_LIKELY(r->paths == NULL) ? &r->nexthop : ip_choose_path_of(r, p);
}
/* Milliseconds since midnight UT (RFC 791 and 792 timestamps). */
uint32_t ip_time_ms(const struct ip_stack *s);

/* trace.c: when somebody listens. r: the route to p's destination; n: NULL when there was no room for one. */
void ip_trace_route(const struct ip_stack *s, const struct packet *p, const struct fib_route *r);
void ip_trace_neigh(const struct ip_stack *s, const struct packet *p, const struct neigh *n);
void ip_trace_answered(const struct ip_stack *s, const struct packet *p, uint8_t type, uint8_t code,
		       enum icmp_silence silence);

/* arp.c */
/* Takes an ARP frame: leaves CONSUMED or DROP in p. */
void arp_input(struct ip_stack *s, struct packet *p, const struct ether_view *eth);
/* Asks who has target; to: broadcast, or the neighbour's last known address. */
void arp_request(struct ip_stack *s, uint32_t ifindex, uint32_t target, const struct ether_addr *to);
/* Everything on that interface, or only what is marked new, from now on. */
void arp_announce_start(struct ip_stack *s, uint32_t ifindex, bool all);
void arp_announce_run(struct ip_stack *s, uint32_t ifindex);

/* adjacency.c */
/* Rewrites the neighbour's adjacency, as it and its device stand now. */
void adjacency_sync(struct ip_stack *s, const struct neigh *n);
/* The same for all neighbours of an interface. */
void adjacency_sync_interface(struct ip_stack *s, uint32_t ifindex);

/* Packets that our own output sent to us. */
void ip_loop_run(struct ip_stack *s);

/* local.c */
void ip_local_init(struct ip_stack *s);
void ip_local_in(struct ip_stack *s, struct batch *b);
/* What has passed INPUT. */
void ip_local_deliver(struct ip_stack *s, struct batch *b);
/* host.c: takes out of b what the host wants */
void ip_host_hand_over(struct ip_stack *s, struct batch *b);
bool ip_host_claims(const struct ip_stack *s, const struct packet *p);
void ip_host_tell_wants(struct ip_stack *s);
/* port_use.c: somebody has p's port, or a new connection would find him listening. */
bool ip_ports_claim(const struct ip_port_bits *maps, const struct packet *p);
/* The same of this stack's own. */
bool ip_ports_any_open(const struct ip_stack *s, uint8_t protocol);
bool ip_ports_claim_here(const struct ip_stack *s, const struct packet *p);
void ip_ports_destroy(struct ip_stack *s);
/* group.c */
/* What the device's filter must let in, once it is there, and when it came back. */
void ip_groups_tell(struct ip_stack *s, uint32_t ifindex);
/* Where a group's packets go on a link (RFC 1112 section 6.4). */
struct ether_addr ip_group_address(uint32_t group);
/* igmp.c */
bool igmp_create(struct ip_stack *s);
void igmp_destroy(struct ip_stack *s);
/* The first time, or for the last: whoever has to know is told. */
void igmp_joined(struct ip_stack *s, uint32_t ifindex, uint32_t group);
void igmp_left(struct ip_stack *s, uint32_t ifindex, uint32_t group);
/* Nobody on the link need have heard of us. */
void igmp_link_up(struct ip_stack *s, uint32_t ifindex);
void igmp_expire(struct ip_stack *s);
uint64_t igmp_next_deadline(const struct ip_stack *s);
/* forward.c */
void ip_forward(struct ip_stack *s, struct batch *b);
/* output.c: POSTROUTING and out; out_ifindex and next_hop are set, or to_us. */
void ip_output(struct ip_stack *s, struct batch *b);
/* The link address is known: cuts, finishes and queues for the device. */
void ip_transmit(struct ip_stack *s, struct packet *p, const struct ether_addr *to);
/* A whole frame whose Ethernet header is written. */
void ip_queue_frame(struct ip_stack *s, uint32_t ifindex, struct packet *p);
/* Hands what waits for an interface to its device. */
void ip_queue_send(struct ip_stack *s, uint32_t ifindex);
/* What waits for an interface that lost its device. */
void ip_queue_drop(struct ip_stack *s, uint32_t ifindex);
/* icmp_error.c */
void icmp_init(struct ip_stack *s);
/* icmp.c: an ICMP message to us; leaves the verdict. */
void icmp_input(struct ip_stack *s, struct packet *p);
/* A request that icmp_input answers. */
bool icmp_answers(const struct packet *p);

#endif
