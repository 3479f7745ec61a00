/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Who says what a neighbour is told of the table: the slot that a speaker declares, and that update groups fill in. A
 * session asks for bytes when its stream has room, and for no more than fit. End-of-RIB and the marks of an enhanced
 * refresh (RFC 7313) are the session's own: it writes them when is_dumped says that the last route is out.
 */
#ifndef YG_ROUTING_BGP_BGP_OUTBOUND_H
#define YG_ROUTING_BGP_BGP_OUTBOUND_H

#include "routing/bgp/bgp_neighbor.h"

/* A neighbour that is up. */
struct bgp_outbound_peer {
	uint32_t neighbor;                        /* its number in the speaker */
	const struct bgp_neighbor_config *config; /* until the speaker says otherwise (changed) or down */
	struct bgp_wire wire;                     /* what is agreed */
	uint32_t source;                          /* its own in the table: nobody is told what it said */
	uint32_t peer_id, peer_addr;
	uint32_t local_addr; /* next hop of what we announce to another AS */
};

struct bgp_outbound {
	/* It is up and knows nothing: a dump begins. 0 and *member, or -errno: the session ends with Cease/8. */
	int (*up)(void *user, const struct bgp_outbound_peer *p, uint32_t *member);
	void (*down)(void *user, uint32_t member);
	/* Its config is another now, which did not end the session. */
	void (*changed)(void *user, uint32_t member, const struct bgp_neighbor_config *config);
	/* It asks for everything once more (RFC 2918): a dump begins. */
	void (*refresh)(void *user, uint32_t member);
	/* The next UPDATEs, whole ones, at most room bytes, which is BGP_MESSAGE_MAX or more. Returns how many; 0: none
	 * for now, and when there are some, bgp_speaker_wake follows. A call takes 1 ms at most. */
	size_t (*next)(void *user, uint32_t member, uint8_t *buf, size_t room);
	/* All routes of the dump that up or refresh began have been handed out by next, whatever has changed since. */
	bool (*is_dumped)(void *user, uint32_t member);
};

#endif
