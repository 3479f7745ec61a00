/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ARP for IPv4 over Ethernet (RFC 826).
 */
#ifndef YG_STACK_WIRE_ARP_H
#define YG_STACK_WIRE_ARP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stack/wire/ether.h"

#define ARP_LEN 28

enum arp_op {
	ARP_REQUEST = 1,
	ARP_REPLY = 2,
};

struct arp_view {
	uint16_t op;
	struct ether_addr sha, tha; /* sender's and target's hardware address */
	uint32_t spa, tpa;          /* sender's and target's IPv4 address, host order */
};

/* p is what stands behind the Ethernet header. False when it is short, or not
 * IPv4 over Ethernet. */
bool arp_parse(const uint8_t *p, size_t len, struct arp_view *v);
/* Writes ARP_LEN bytes. */
void arp_emit(uint8_t *p, const struct arp_view *v);

#endif
