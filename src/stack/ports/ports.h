/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ports of addresses, as one worker has them: whoever needs a port takes it here
 * and gives it back, a connection behind NAT as well as a socket of the gateway's
 * own, so the two can never have the same by accident.
 *
 *     uint32_t address = ports_address(p, &addr, zone);
 *     uint32_t port = ports_take(p, address, PORT_PROTO_UDP, &request, NULL, NULL);
 *     ...
 *     ports_give_back(p, address, PORT_PROTO_UDP, port);
 *
 * A port may have several holders, where they can be told apart by what is at the
 * other end. Who they are is theirs to know. With several workers each has some of
 * the ports of an address, in blocks that move between them when one runs dry.
 */
#ifndef YG_STACK_PORTS_PORTS_H
#define YG_STACK_PORTS_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/rng.h"
#include "stack/ports/own_ports.h"
#include "stack/ports/port_proto.h"
#include "stack/ports/port_set.h"

struct ports;
struct port_blocks;
struct portmap;

#define PORTS_NONE UINT32_MAX /* no address */

/* Room for so many addresses at a time. Ports are drawn with *rng, which outlives it. NULL without memory. */
struct ports *ports_create(uint32_t n_addresses, struct rng *rng);
void ports_destroy(struct ports *p);

/* The ports are those of several workers, of which this is one. Before the first address is asked for. */
void ports_share(struct ports *p, struct port_blocks *blocks, uint32_t worker);

/* Sockets. They are on one thread, the host's, whose object this is or not: what they take they take of all workers. */

/* Workers and the host: what sockets have is the same for all, as `first` has it. Before the first config. */
void ports_share_sockets(struct ports *p, struct ports *first);
/* While everybody is at rest: the address is one of ours, where sockets may be, from here on. 0 or -ENOMEM. */
int ports_add_own(struct ports *p, uint32_t addr);
/* A port of one of our addresses, of all of them with 0, is a socket's: NAT gives it to nobody any more, and who has it
 * already keeps it. Counted: given back as often. False: it is another's (enum ports_socket), or there is no memory. */
bool ports_socket_take(struct ports *p, uint32_t addr, enum port_proto proto, uint16_t port, enum ports_socket how);
void ports_socket_give_back(struct ports *p, uint32_t addr, enum port_proto proto, uint16_t port);

/* Slot: the zone in which an address of another zone than 0 has its ports; without it each zone has its own. Not asked
 * when ports are shared: then the blocks know. */
typedef uint16_t ports_zone_fn(const void *ctx, const struct ip_addr *addr, uint16_t zone);
void ports_set_zone(struct ports *p, ports_zone_fn *fn, const void *ctx);

/* Slot: with several workers, a block of 64 ports of an address (port_blocks.h) comes into use here, or nothing in it
 * is in use any more. NULL: nobody is told, at the price of a branch a block. */
enum ports_block_event { PORTS_BLOCK_BEGINS, PORTS_BLOCK_ENDS };
typedef void ports_block_fn(void *ctx, uint32_t address, enum port_proto proto, uint32_t block,
			    enum ports_block_event what);
void ports_set_block_told(struct ports *p, ports_block_fn *fn, void *ctx);

/* Addresses. One is known by a number that stays the same while somebody has a port of it. */

/* The number; PORTS_NONE when there is no room, or of IPv6 when ports are shared: there are no blocks of it yet. */
uint32_t ports_address(struct ports *p, const struct ip_addr *addr, uint16_t zone);
/* The same if it is there already, else PORTS_NONE. */
uint32_t ports_find(const struct ports *p, const struct ip_addr *addr, uint16_t zone);
const struct ip_addr *ports_addr(const struct ports *p, uint32_t address);
uint16_t ports_zone(const struct ports *p, uint32_t address);
uint32_t ports_n_addresses_max(const struct ports *p);
/* All of them, in no order; *cursor begins at 0. False at the end. */
bool ports_next(const struct ports *p, uint32_t *cursor, uint32_t *address);
/* Some worker has given out a port of it, maybe long ago. */
bool ports_was_used(const struct ports *p, const struct ip_addr *addr, uint16_t zone);

/* Take. */

enum port_parity { PORT_PARITY_ANY, PORT_PARITY_EVEN, PORT_PARITY_ODD };

struct port_request {
	const struct port_set *set;
	const struct port_set *near; /* of these, those that are tried first; none: NULL or empty */
	uint32_t port;               /* wanted if possible, 0: none */
	uint8_t parity;              /* enum port_parity: if possible */
};

/* Whether who wants the port can do with it; asked while nobody else can take it. If not, another is tried. */
typedef bool port_claim_fn(void *ctx, uint32_t port);

/* An unused port, each equally likely, that the claim agrees to (NULL: any will do). The wanted one is taken also if
 * others have it, as long as there is a claim to tell them apart. PORT_NONE: no worker has one, or the claim has
 * refused some. */
uint32_t ports_take(struct ports *p, uint32_t address, enum port_proto proto, const struct port_request *request,
		    port_claim_fn *claim, void *ctx);
/* This very port, also if others have it. False: the claim does not agree, it is another worker's or a socket's, is
 * held down, or has as many holders as can be counted. Of PORT_PROTO_NONE, which has no ports: one more holder of the
 * address. */
bool ports_take_this(struct ports *p, uint32_t address, enum port_proto proto, uint32_t port, port_claim_fn *claim,
		     void *ctx);
/* A port that is held is about to be given back. */
void ports_reach(const struct ports *p, uint32_t address, enum port_proto proto, uint32_t port);
/* One holder less. */
void ports_give_back(struct ports *p, uint32_t address, enum port_proto proto, uint32_t port);

/* Take, in two steps for those who take several at a time: a port is drawn for each, and what it takes to see whether
 * it is unused is on its way to the cache. A draw is one number of the stream, whatever becomes of it. */
struct port_draw {
	enum port_proto proto;
	uint32_t maybe;   /* the wanted port, else one of the set, each equally likely */
	uint32_t number;  /* which of the unused ones if that is none */
	uint32_t address; /* its number; PORTS_NONE when it had none yet */
	uint32_t n_gone;  /* addresses that had lost theirs */
	bool is_sockets;  /* what was drawn is, so there may be others that are unused */
};
/* False when the request is no simple one, and nothing was drawn. */
bool ports_draw(const struct ports *p, const struct ip_addr *addr, uint16_t zone, enum port_proto proto,
		const struct port_request *request, struct rng *rng, struct port_draw *draw);
/* The port that was drawn, taken, of draw->address from here on; PORT_NONE when this worker has none that is unused. */
uint32_t ports_take_drawn(struct ports *p, const struct ip_addr *addr, uint16_t zone,
			  const struct port_request *request, struct port_draw *draw);

/* Mine? */

/* The port is this worker's, used or not. A block of which nobody uses anything may have gone to another worker: that
 * is found out when a port of it is to be taken. */
bool ports_is_mine(struct ports *p, uint32_t address, enum port_proto proto, uint32_t port);
/* All of the address's ports are this worker's, and no other ever has one. */
bool ports_are_mine(const struct ports *p, uint32_t address);
/* How many of the set are, used or not. */
uint32_t ports_n_mine(struct ports *p, uint32_t address, enum port_proto proto, const struct port_set *set);
/* One of them, each equally likely; PORT_NONE when there is none. */
uint32_t ports_any_of_mine(struct ports *p, uint32_t address, enum port_proto proto, const struct port_set *set);
/* The port stays this worker's though nobody has it here: packets to it must go on coming. False when it is another's,
 * or when all are this worker's. */
bool ports_pin(struct ports *p, const struct ip_addr *addr, uint16_t zone, enum port_proto proto, uint32_t port);
void ports_unpin(struct ports *p, const struct ip_addr *addr, uint16_t zone, enum port_proto proto, uint32_t port);

/* Held down: its last holder goes, and nobody may have it yet. */

/* It can be shared: it is neither held down nor a socket's, and its holders can be counted. */
bool ports_can_share(struct ports *p, uint32_t address, enum port_proto proto, uint32_t port);
/* In place of ports_give_back. False, and nothing done, when others have the port too. */
bool ports_hold_down(struct ports *p, uint32_t address, enum port_proto proto, uint32_t port);
void ports_hold_down_end(struct ports *p, uint32_t address, enum port_proto proto, uint32_t port);

/* Counts. */

uint32_t ports_n_used(const struct ports *p, uint32_t address, enum port_proto proto, const struct port_set *set);
/* Holders of all ports, pins and what is held down among them. */
uint64_t ports_n_holders(const struct ports *p);
uint32_t ports_n_pins(const struct ports *p);

/* For who keeps a map of his own beside it (gateway/nat/overload.c). Made at first use; NULL without room. */
const struct portmap *ports_map(struct ports *p, uint32_t address, enum port_proto proto);

#endif
