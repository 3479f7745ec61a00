/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The IP layer of one worker: interfaces, neighbours, the forwarding table, the
 * hooks, and the packet's way between them:
 *
 *   ether_input -> ip_input -> PREROUTING -> route -+-> INPUT -> local delivery
 *                                                   +-> FORWARD -> POSTROUTING -> output
 *   ip_local_out: route -> OUTPUT -> POSTROUTING -> output
 *
 * Every function takes a batch and leaves it empty: the packets are sent, held,
 * delivered, or dropped by name. What is sent waits in the interface's own batch
 * until it is full or ip_flush is called.
 */
#ifndef YG_STACK_IP_STACK_H
#define YG_STACK_IP_STACK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/ip4.h"
#include "stack/ip/adjacency.h"
#include "stack/ip/fib.h"
#include "stack/ip/hook.h"
#include "stack/packet/device.h"
#include "stack/packet/env.h"

#define IP_INTERFACES_MAX 64
#define IP_ADDRESSES_MAX 16 /* an interface */
#define IP_PROXIES_MAX 1024

/* Whether a packet may have come in by an interface, by the route back to its source (RFC 3704). */
enum ip_rpf {
	IP_RPF_STRICT, /* a route to the source leaves by the interface: the best one, or a worse one to the same prefix
			*/
	IP_RPF_LOOSE,  /* there is a route to the source */
	IP_RPF_OFF,
};

/* One interface as configured. Its number (ifindex) is its place in
 * ip_config.interface and stays the same over a reload; number 0 is nobody. */
struct ip_interface_config {
	char name[DEVICE_NAME_MAX]; /* empty: this number is not in use */
	uint32_t n_addresses;
	struct {
		uint32_t addr;
		uint8_t prefix_len;
	} address[IP_ADDRESSES_MAX]; /* the first is the primary one */
	uint32_t mtu;                /* 0: the device's */
	uint8_t rpf;                 /* enum ip_rpf */
	bool directed_broadcast;     /* a packet from elsewhere to its broadcast address is forwarded (RFC 2644) */
	bool redirects;              /* who could send to the next hop itself is told so (RFC 1812 section 5.2.7.2) */
	uint16_t zone;               /* packets that come in here are routed by its table */
	uint64_t
		used_by; /* bits: of ip_config.zone, other zones whose routes leave by it: their answers come in here */
};

/* The routing table of a zone other than 0. */
struct ip_zone {
	uint16_t number;
	const struct fib *fib;
};

/* Addresses that we answer ARP for besides our own: NAT's on a connected prefix,
 * and what the interface is told to answer for. Both ends included. */
struct ip_proxy {
	uint32_t ifindex;
	uint32_t first, last;
};

/* The IP part of a snapshot: const, and owned by whoever made it. */
struct ip_config {
	struct ip_interface_config interface[IP_INTERFACES_MAX]; /* [0] unused */
	uint32_t n_proxies;
	struct ip_proxy proxy[IP_PROXIES_MAX];
	const struct fib *fib; /* of zone 0 */
	uint32_t n_zones;
	struct ip_zone zone[IP_INTERFACES_MAX]; /* the others, by number */
	uint32_t icmp_rate_per_s;               /* errors in all, but those; 0: 1000 */
	uint32_t icmp_rate_per_dest_s;          /* errors of one kind to one destination; 0: 10 */
	uint32_t icmp_rate_path_mtu_s; /* "fragmentation needed", for what comes in by one interface; 0: 1000 */
	uint32_t ttl;                  /* of packets made here; 0: 64 */
};

#define IP_NEIGHBOURS_DEFAULT 4096u

struct ip_limits {
	uint32_t n_neighbours;            /* at most IP_ADJACENCIES_MAX; 0: IP_NEIGHBOURS_DEFAULT */
	uint32_t n_neigh_held;            /* packets that wait for one neighbour; 0: 100 */
	uint32_t n_neigh_held_all;        /* for all neighbours; 0: 2048 */
	uint32_t n_reassembly;            /* packets being put together; 0: 256 */
	uint32_t n_reassembly_fragments;  /* fragments held, in all; 0: 2048 */
	uint32_t n_reassembly_per_source; /* fragments held of one source; 0: 256 */
};

struct ip_stack;

struct ip_stack *ip_stack_create(struct env *env, const struct ip_limits *limits);
void ip_stack_destroy(struct ip_stack *s);
struct env *ip_stack_env(struct ip_stack *s);

/* Swaps the config. cfg stays valid until the next swap. Neighbours of interfaces that
 * are gone are dropped, held packets with them; new addresses are announced
 * (RFC 5227 section 2.3). */
void ip_stack_configure(struct ip_stack *s, const struct ip_config *cfg);
const struct ip_config *ip_stack_config(const struct ip_stack *s);

/* The device behind an interface number; NULL takes it away (what was queued is
 * dropped as TX_DOWN). The stack does not own it. */
void ip_stack_attach(struct ip_stack *s, uint32_t ifindex, struct device *d);
struct device *ip_stack_device(const struct ip_stack *s, uint32_t ifindex);
/* device->up, mtu or mac changed. When it came up: announce again and try held neighbours. */
void ip_stack_device_changed(struct ip_stack *s, uint32_t ifindex);

/* This stack is one of n that act as one machine: number 0 answers ARP, announces and defends addresses, the others
 * only listen; each may send its share of the ICMP errors. */
void ip_stack_set_share(struct ip_stack *s, uint32_t number, uint32_t n);

/* The hook lists. Built-in entries stand for good; the rest is replaced at
 * each configure by core/gateway.c, in one visible table. */
struct hook_list *ip_stack_hooks(struct ip_stack *s, enum ip_hook hook);

/* --- local delivery: who takes a packet to us, by IP protocol --- */

/* What a packet that nobody took is answered by, and the name of its drop. */
enum ip_unreachable {
	IP_UNREACHABLE_PROTOCOL, /* ICMP 3/2 (RFC 1122 section 3.2.2.1): of a protocol that nobody here speaks */
	IP_UNREACHABLE_PORT,     /* ICMP 3/3 (section 4.1.3.1): of UDP, if no row says otherwise */
	IP_UNREACHABLE_RESET,    /* a reset (RFC 9293 section 3.10.7.1): of TCP, likewise */
	N_IP_UNREACHABLE
};

/* An ICMP error about a packet that we may have sent: to its source, which is an address of ours, about its first
 * piece, and possible for what it quotes. Whether the protocol has sent such a packet, it says itself (TCP: the quoted
 * sequence number must be in flight, RFC 5927 section 4.1). */
struct ip_icmp_error {
	const struct packet
		*p; /* the error; p->l4 has its type, its code, and bytes 4 to 7: of 3/4 the next hop's MTU */
	const struct icmp_quote *quote; /* our packet, as we know it */
};

/* Takes packets: leaves a verdict in each (DELIVERED, STOLEN, DROP), or CONTINUE when nobody wants it: then the policy
 * answers. As in a hook, the place in b of a packet that was taken and may be freed already is set to NULL. */
typedef void ip_local_fn(void *ctx, struct batch *b);
typedef void ip_icmp_error_fn(void *ctx, const struct ip_icmp_error *e);

struct ip_protocol {
	void *ctx;
	ip_local_fn *input;           /* NULL: takes no packets */
	ip_icmp_error_fn *icmp_error; /* NULL: does not want to hear of it */
	enum ip_unreachable unreachable;
};
/* NULL: nobody's, as at first. ICMP is built in: its row gets replies alone, one by
 * one, and takes them or not, but keeps and frees none. */
void ip_stack_set_protocol(struct ip_stack *s, uint8_t number, const struct ip_protocol *row);

/* Raw input hook: sees each packet to us of that protocol before the protocol does, in the order in which they were
 * added; must not change or keep it. True when somebody wanted it: then no policy answers it. 0, or -ENOSPC. */
typedef bool ip_raw_fn(void *ctx, const struct packet *p);
#define IP_RAW_MAX 16
int ip_stack_add_raw(struct ip_stack *s, uint8_t protocol, ip_raw_fn *fn, void *ctx);
void ip_stack_remove_raw(struct ip_stack *s, uint8_t protocol, ip_raw_fn *fn, void *ctx);

/* Packets to the group that come in by the interface are to us until it was left as often as it was joined; those to a
 * group that nobody joined are dropped by name. The device's filter is told. All hosts (224.0.0.1) is joined for good
 * (RFC 1112 section 7.2). No IGMP is spoken: behind a switch that listens to it only groups of the link (224.0.0.0/24)
 * are heard. 0, -EINVAL when it is no group or the interface has no number of ours, -ENOSPC. */
#define IP_GROUPS_MAX 64
int ip_group_join(struct ip_stack *s, uint32_t ifindex, uint32_t group);
void ip_group_leave(struct ip_stack *s, uint32_t ifindex, uint32_t group);

/* --- a host on a thread of its own (host.c) --- */

/* What it takes: IP_HOST_WANTS_* by protocol. Written by its stack, read by those of the workers. */
struct ip_host_wants {
	_Atomic uint8_t protocol[256];
};
#define IP_HOST_WANTS_INPUT 0x1u /* a row takes packets; of ICMP also: a row is told of errors */
#define IP_HOST_WANTS_RAW 0x2u   /* a raw input hook */

/* Of a worker's stack: packets that have passed INPUT and that the host wants. True: p is not this stack's any more;
 * false: it is dropped, by the reason in it. hand_over NULL: the host is this stack itself. */
struct ip_host_slots {
	void *ctx;
	const struct ip_host_wants *wants;
	bool (*hand_over)(void *ctx, struct packet *p);
};
void ip_stack_set_host(struct ip_stack *s, const struct ip_host_slots *slots);

/* Of the host's stack, which has no hooks and sends nothing itself. */
struct ip_carrier_slots {
	void *ctx;
	struct ip_host_wants *wants;
	/* Packets made here, with their source; empties b. */
	void (*carry)(void *ctx, struct batch *b);
	/* A group is the first time joined, or left for the last time: the workers have to know. */
	void (*group)(void *ctx, uint32_t ifindex, uint32_t group, bool joined);
};
void ip_stack_be_host(struct ip_stack *s, const struct ip_carrier_slots *slots);
/* Of the host's stack: frames that were handed over, with their in_ifindex, zone, is_broadcast, link_group and
 * held_since. */
void ip_host_input(struct ip_stack *s, struct batch *b);
/* When p, which somebody here is shown, was received: on a host's stack when it was handed over. */
uint64_t ip_received_at(const struct ip_stack *s, const struct packet *p);
/* On a host's stack: p, which was made here and is not on its way yet, shall be told of by the slot when a worker takes
 * it to send; cookie is not 0. */
void ip_ask_sent(struct packet *p, uint32_t cookie);
typedef void ip_sent_fn(void *ctx, uint32_t cookie, uint64_t at_ns);
void ip_stack_set_sent(struct ip_stack *s, ip_sent_fn *fn, void *ctx);
void ip_host_sent(struct ip_stack *s, uint32_t cookie, uint64_t at_ns);
/* Of a worker's: frames that the host made, with their zone, and out_ifindex if they are for many. */
void ip_host_output(struct ip_stack *s, struct batch *b);

/* Asked about a packet to an address of ours, or to one that only NAT uses, which nobody wanted, before it is refused.
 * True: its verdict is drop now, and nothing is answered. */
typedef bool ip_unclaimed_fn(void *ctx, struct packet *p);
void ip_stack_set_unclaimed(struct ip_stack *s, ip_unclaimed_fn *fn, void *ctx);
/* Sees the frames just received before anybody else and takes out of b what it deals with; the rest stays in order. */
typedef void ip_flowcache_fn(void *ctx, uint32_t ifindex, struct batch *b);
void ip_stack_set_flowcache(struct ip_stack *s, ip_flowcache_fn *fn, void *ctx);
/* Told of a packet through us whose next hop's address is known, just before it leaves by that adjacency. */
typedef void ip_install_fn(void *ctx, const struct packet *p, uint32_t adjacency);
void ip_stack_set_install(struct ip_stack *s, ip_install_fn *fn, void *ctx);
void ip_stack_set_adjacency_changed(struct ip_stack *s, ip_adjacency_fn *fn, void *ctx);

/* Frames just received on ifindex: only those that have a flow cache entry, the rest stays in b. */
void ether_input_cached(struct ip_stack *s, uint32_t ifindex, struct batch *b);
/* Frames just received on ifindex. */
void ether_input(struct ip_stack *s, uint32_t ifindex, struct batch *b);
/* IPv4 packets with ip, l3_off set up by nobody yet: the parse happens here. */
void ip_input(struct ip_stack *s, struct batch *b);
/* Packets made here: l3_off, l4_off, ip and l4 views and the bytes agree, the
 * checksums are right; source 0 is filled in from the route, which is looked up in p->zone. Each was counted as
 * originated by whoever made it. Multicast and 255.255.255.255 go out of
 * p->out_ifindex if its maker set it. */
void ip_local_out(struct ip_stack *s, struct batch *b);
/* One packet, the same. */
void ip_local_out_one(struct ip_stack *s, struct packet *p);
/* A packet for an IPv4 payload of l4_len bytes, headers zeroed, ip and offsets
 * filled in for ip_local_out (id random, ttl, total_len), counted as originated; NULL without a
 * buffer. The caller writes the payload at packet_l4, fills p->l4, then sends. */
struct packet *ip_packet_new(struct ip_stack *s, uint32_t src, uint32_t dst, uint8_t proto, uint32_t l4_len);
/* Writes p->ip into the header bytes, checksum included. */
void ip_packet_finish(struct packet *p);

/* Hands what waits to the devices. */
void ip_flush(struct ip_stack *s);
/* Timers of neighbours, reassembly and held packets. */
void ip_expire(struct ip_stack *s);
uint64_t ip_next_deadline(const struct ip_stack *s);

/* The route to dst in a zone: that of its own table, or where that has none, of zone 0's. Never NULL (kind FIB_NONE).
 * Good until the batch is over. */
const struct fib_route *ip_fib_route(const struct ip_stack *s, uint16_t zone, uint32_t dst);
/* The same for at most BATCH_MAX addresses by zone 0's table, in one go. */
void ip_fib_routes(const struct ip_stack *s, const uint32_t *addr, const struct fib_route **route, uint32_t n);
/* There are other tables. */
bool ip_has_zones(const struct ip_stack *s);
/* A packet from that source may come in by that interface, as its reverse path check has it. back: zone 0's route to
 * it. */
bool ip_source_fits(const struct ip_stack *s, uint32_t ifindex, uint32_t src, const struct fib_route *back);
/* Its next hop; of several, one. */
const struct fib_nexthop *ip_route(const struct ip_stack *s, uint16_t zone, uint32_t dst);
/* By what flows are divided over several next hops: as it is routed, behind destination NAT and before source NAT. src
 * is 0 of what is made here, since the way decides the source; ports are 0 of fragments, and where there are none. */
struct ip_flow {
	uint32_t src, dst;
	uint16_t sport, dport; /* an ICMP query's identifier is in sport */
	uint8_t proto;
};
uint32_t ip_flow_hash(const struct ip_flow *f);
/* The zone that p came from: its sender is there. */
uint16_t ip_zone_from(const struct ip_stack *s, const struct packet *p);
/* What goes to p's source may leave by the interface that p came in by: the strict reverse path check, whatever that
 * interface asks for. */
bool ip_leads_back(const struct ip_stack *s, const struct packet *p);
/* The address of an interface that suits dst: one on the same prefix, else the first; 0 when it has none. */
uint32_t ip_interface_address(const struct ip_stack *s, uint32_t ifindex, uint32_t dst);
/* The same, but an interface without one borrows the first address of any other (RFC 1812 section 2.2.7); 0 when there
 * is none at all. */
uint32_t ip_source_for(const struct ip_stack *s, uint32_t ifindex, uint32_t dst);
/* Bytes of IP packet that go out of an interface whose device is there. */
uint32_t ip_mtu(const struct ip_stack *s, uint32_t ifindex);
/* True for an address of ours as packets of that zone see it, on any interface. */
bool ip_is_local(const struct ip_stack *s, uint16_t zone, uint32_t addr);

struct ip_neigh_info {
	uint32_t ifindex;
	uint32_t addr;
	struct ether_addr mac;
	const char *state; /* Linux's names: INCOMPLETE, REACHABLE, STALE, DELAY, PROBE, FAILED */
	uint32_t n_held;
	uint64_t confirmed_ns; /* when last known to be right */
};
/* For `yangguan neigh`. The cursor starts at 0; false at the end. */
bool ip_neigh_next(const struct ip_stack *s, uint32_t *cursor, struct ip_neigh_info *out);

#endif
