/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For tests of neighbours and ARP: packets to a neighbour, ARP from one, and what is known of it.
 */
#ifndef YG_STACK_IP_NEIGH_FIXTURE_H
#define YG_STACK_IP_NEIGH_FIXTURE_H

#include "stack/ip/stack_fixture.h"

#define NEW_HOST IP4(10, 0, 1, 50)

static inline struct packet_spec udp_to(uint32_t dst, uint16_t id)
{
	return (struct packet_spec){ .src = FAR,
				     .dst = dst,
				     .proto = IPPROTO_NR_UDP,
				     .payload_len = 20,
				     .sport = 9,
				     .dport = 9,
				     .ip_id = id,
				     .in = WAN };
}

static inline void send_to(struct stack_fixture *b, uint32_t dst, uint16_t id)
{
	struct packet_spec sp = udp_to(dst, id);

	fixture_input_spec(b, &sp);
}

static inline const char *state_of(const struct stack_fixture *b, uint32_t addr)
{
	struct ip_neigh_info info;
	uint32_t cursor = 0;

	while (ip_neigh_next(b->s, &cursor, &info)) {
		if (info.addr == addr)
			return info.state;
	}
	return "NONE";
}

struct arp_spec {
	uint16_t op;
	uint32_t spa, tpa;
	bool unicast;    /* to our MAC, else to all */
	uint8_t station; /* last byte of the sender's address, 0: mac_of_host(spa) */
};

static inline void make_arp(struct frame *f, uint32_t ifindex, const struct arp_spec *a)
{
	struct arp_view v = { .op = a->op, .sha = mac_of_host(a->spa), .spa = a->spa, .tpa = a->tpa };

	if (a->station != 0)
		v.sha = (struct ether_addr){ { 0x02, 0xcc, 0, 0, 0, a->station } };
	struct ether_view eth = { .dst = a->unicast ? mac_of_us(ifindex) : ether_broadcast,
				  .src = v.sha,
				  .type = ETHERTYPE_ARP };

	memset(f->bytes, 0, 60);
	memset(&f->offload, 0, sizeof(f->offload));
	f->len = 60;
	ether_emit(f->bytes, &eth);
	arp_emit(f->bytes + ETHER_HEADER_LEN, &v);
}

static inline void arp_in(struct stack_fixture *b, uint32_t ifindex, struct arp_spec a)
{
	struct frame *f = malloc(sizeof(*f));

	make_arp(f, ifindex, &a);
	fixture_input(b, ifindex, f);
	free(f);
}

#endif
