/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ARP packets to values and back (RFC 826). Only IPv4 over Ethernet is known:
 * hardware type 1 with six bytes, protocol 0x0800 with four. The operation is
 * not judged here, and neither are the addresses; src/stack/ip does both.
 *
 * Next: src/stack/ip/arp.c
 */
#include "stack/wire/arp.h"

#include "base/be.h"

#define ARP_HARDWARE_ETHER 1

struct arp_packet {
	be16 hardware, proto;
	uint8_t hardware_len, proto_len;
	be16 op;
	uint8_t sha[6];
	be32 spa;
	uint8_t tha[6];
	be32 tpa;
};
_Static_assert(sizeof(struct arp_packet) == ARP_LEN, "RFC 826");

bool arp_parse(const uint8_t *p, size_t len, struct arp_view *v)
{
	const struct arp_packet *a = (const struct arp_packet *)p;

	if (len < ARP_LEN)
		return false;
	if (be16_get(a->hardware) != ARP_HARDWARE_ETHER || a->hardware_len != sizeof(a->sha))
		return false;
	if (be16_get(a->proto) != ETHERTYPE_IPV4 || a->proto_len != sizeof(a->spa))
		return false;
	v->op = be16_get(a->op);
	memcpy(v->sha.b, a->sha, sizeof(a->sha));
	memcpy(v->tha.b, a->tha, sizeof(a->tha));
	v->spa = be32_get(a->spa);
	v->tpa = be32_get(a->tpa);
	return true;
}

void arp_emit(uint8_t *p, const struct arp_view *v)
{
	struct arp_packet *a = (struct arp_packet *)p;

	a->hardware = be16_of(ARP_HARDWARE_ETHER);
	a->proto = be16_of(ETHERTYPE_IPV4);
	a->hardware_len = sizeof(a->sha);
	a->proto_len = sizeof(a->spa);
	a->op = be16_of(v->op);
	memcpy(a->sha, v->sha.b, sizeof(a->sha));
	memcpy(a->tha, v->tha.b, sizeof(a->tha));
	a->spa = be32_of(v->spa);
	a->tpa = be32_of(v->tpa);
}
