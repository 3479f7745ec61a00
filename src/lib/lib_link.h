/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The device of an interface whose packets the embedder brings and takes: of a stack's one (yangguan/stack.h), and of
 * each of a gateway's (yangguan/gateway.h).
 */
#ifndef YG_LIB_LIB_LINK_H
#define YG_LIB_LIB_LINK_H

#include <yangguan/packet.h>

#include "stack/packet/device.h"

/* Packets that came while somebody was in their owner, with in_ifindex set. */
struct lib_waiting {
	struct packet *first, *last;
};

struct lib_link {
	struct device dev;
	bool has_ethernet;
	bool asks_partial; /* YG_CHECKSUM_UNTOLD */
	uint32_t ifindex;
	struct lib_waiting *waiting; /* the owner's */
	/* Takes packets, which are its own from then on; how many of them. The rest is dropped. */
	int (*output)(struct lib_link *l, struct packet *const *p, uint32_t n);
};

/* The device, but for its pool and ledger. flags: YG_ETHERNET, YG_OFFLOAD_*, YG_CHECKSUM_UNTOLD; mtu 0: 1,500; mac with
 * YG_ETHERNET. */
void lib_link_init(struct lib_link *l, const char *name, uint32_t flags, uint32_t mtu, const uint8_t mac[6]);
/* Of a packet that came: with the header that the layers below want, and what its sender left to a device. */
struct packet *lib_link_dress(const struct lib_link *l, struct packet *p);
/* Bytes before what the embedder calls the packet. */
static inline uint32_t lib_link_header(const struct lib_link *l)
{
	return l->has_ethernet ? 0 : ETHER_HEADER_LEN;
}

/* Work left to a device, with offsets as the embedder counts them. */
struct yg_offload lib_offload_of(const struct lib_link *l, const struct packet *p);
void lib_offload_set(const struct lib_link *l, struct packet *p, const struct yg_offload *in);

void lib_link_wait(struct lib_link *l, struct packet *p);
/* The first of them that came in by one interface, as many as there is room for in b, which is empty. */
void lib_waiting_take(struct lib_waiting *w, struct batch *b);
void lib_waiting_free(struct lib_waiting *w, struct packet_pool *pool);

#endif
