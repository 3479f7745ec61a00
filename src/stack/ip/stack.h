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

#include <stdbool.h>
#include <stdint.h>

#include "base/ip4.h"
#include "stack/ip/adjacency.h"
#include "stack/ip/fib.h"
#include "stack/ip/hook.h"
#include "stack/packet/device.h"
#include "stack/packet/env.h"

#define IP_INTERFACES_MAX 64
/* As an interface of groups alone: what goes from here to here, as by Linux's lo. */
#define IP_HERE IP_INTERFACES_MAX
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

/* Of which sockets take their ports (local.h), as whoever else has some of the same addresses does. NULL, as at first:
 * there is nobody else. Before the first port is opened. */
struct ports;
void ip_stack_set_ports(struct ip_stack *s, struct ports *ports);

/* The hook lists. Built-in entries stand for good; the rest is replaced at
 * each configure by core/modules.c, in one visible table. */
struct hook_list *ip_stack_hooks(struct ip_stack *s, enum ip_hook hook);

/* Asked about a packet to an address of ours, or to one that only NAT uses, which nobody wanted, before it is refused.
 * True: its verdict is drop now, and nothing is answered. */
typedef bool ip_unclaimed_fn(void *ctx, struct packet *p);
void ip_stack_set_unclaimed(struct ip_stack *s, ip_unclaimed_fn *fn, void *ctx);
/* Asked about a packet to an address that is not ours, before it is forwarded or refused for want of a route. True:
 * somebody here stands in for that address, and it is delivered as if it were to us. NULL: nobody, as at first. */
typedef bool ip_foreign_fn(void *ctx, const struct packet *p);
void ip_stack_set_foreign(struct ip_stack *s, ip_foreign_fn *fn, void *ctx);
/* Slots of the flow cache. */
struct ip_flowcache_ops {
	/* Sees the frames just received before anybody else and takes out of b what it deals with; the rest stays in
	 * order. */
	void (*input)(void *ctx, uint32_t ifindex, struct batch *b);
	/* Sees the packets made here, source and all, before they are routed, and takes out of b what it deals with;
	 * the rest stays in order. */
	void (*output)(void *ctx, struct batch *b);
	/* Told of a packet through us or from us whose next hop's address is known, just before it leaves by that
	 * adjacency; and of one to us that has passed INPUT, by the one that stands for us. */
	void (*install)(void *ctx, const struct packet *p, uint32_t adjacency);
	ip_adjacency_fn *adjacency_changed;
};
/* ops NULL: nobody, as at first. */
void ip_stack_set_flowcache(struct ip_stack *s, const struct ip_flowcache_ops *ops, void *ctx);

/* Frames just received on ifindex: only those that have a flow cache entry, the rest stays in b. */
void ether_input_cached(struct ip_stack *s, uint32_t ifindex, struct batch *b);
/* Frames just received on ifindex. */
void ether_input(struct ip_stack *s, uint32_t ifindex, struct batch *b);
/* Packets to us that have a flow cache entry, as INPUT would leave them: whoever wants them gets them. */
void ip_local_cached(struct ip_stack *s, struct batch *b);
/* The same for one that was made here; it waits for ip_flush or ip_expire, as what loops does. */
void ip_loop_cached(struct ip_stack *s, struct packet *p);
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

struct ip_neigh_info {
	uint32_t ifindex;
	uint32_t addr;
	struct ether_addr mac;
	const char *state; /* Linux's names: INCOMPLETE, REACHABLE, STALE, DELAY, PROBE, FAILED */
	bool is_resolved;  /* in none but INCOMPLETE and FAILED; else mac is zero */
	uint32_t n_held;
	uint64_t confirmed_ns; /* when last known to be right */
};
/* For `yangguan neigh`. The cursor starts at 0; false at the end. */
bool ip_neigh_next(const struct ip_stack *s, uint32_t *cursor, struct ip_neigh_info *out);
/* False: it is not known. */
bool ip_neigh_get(const struct ip_stack *s, uint32_t ifindex, uint32_t addr, struct ip_neigh_info *out);

#endif
