/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a kernel says of a frame's unfinished work, checked and put into our own
 * terms.
 *
 * Only the frame's own length and, for large segments, its headers are looked
 * at here; whether a partial checksum stands where the transport header has it
 * is for offload_sane, behind the parser. Four things are put right on the way:
 *
 * - hdr_len is a hint in Linux (the bytes that happen to lie in the buffer's
 *   first piece), so the length of a segment's headers is taken from them.
 * - A large segment without a partial checksum (a NIC that merges by itself)
 *   gets one: the field is set to the pseudo-header's sum, and whoever cuts or
 *   sends it finds one kind of large segment only.
 * - A large segment that is no longer than one piece is an ordinary frame.
 * - A large segment that is not IPv4, or whose headers are broken, is passed on
 *   as an ordinary frame: the layer that drops it gives the right name.
 *
 * The header is virtio 1.1 section 5.1.6; both sides are on one machine, so its
 * numbers are in that machine's order.
 */
#include "daemon/device/vnet.h"

#include <string.h>

#include "stack/wire/checksum.h"
#include "stack/wire/ether.h"
#include "stack/wire/ipv4.h"
#include "stack/wire/l4.h"

/* Newer than Debian 12's kernel headers. */
#define VNET_GSO_UDP_L4 5

/* How a kind of large segment is written, and what it may be made of. */
static const struct gso_kind {
	uint8_t vnet_type; /* VIRTIO_NET_HDR_GSO_*, without the ECN bit */
	bool ecn;
	enum l4_kind l4;
	uint16_t check_offset;
} gso_kinds[] = {
	[GSO_TCP4] = { VIRTIO_NET_HDR_GSO_TCPV4, false, L4_TCP, TCP_CHECK_AT },
	[GSO_TCP4_ECN] = { VIRTIO_NET_HDR_GSO_TCPV4, true, L4_TCP, TCP_CHECK_AT },
	[GSO_UDP4] = { VNET_GSO_UDP_L4, false, L4_UDP, UDP_CHECK_AT },
};

static enum gso_type gso_type_of(uint8_t vnet_gso)
{
	for (uint32_t t = GSO_TCP4; t < ARRAY_LEN(gso_kinds); t++) {
		uint8_t v = gso_kinds[t].vnet_type | (gso_kinds[t].ecn ? VIRTIO_NET_HDR_GSO_ECN : 0);
		if (v == vnet_gso)
			return (enum gso_type)t;
	}
	return GSO_NONE;
}

/* Both headers of an IPv4 frame; false when it is none, or broken. */
static bool parse_headers(const uint8_t *frame, uint32_t len, struct ipv4_view *ip, struct l4_view *l4)
{
	struct ether_view eth;

	if (!ether_parse(frame, len, &eth) || eth.type != ETHERTYPE_IPV4)
		return false;
	const uint8_t *l3 = frame + ETHER_HEADER_LEN;
	if (ipv4_parse(l3, len - ETHER_HEADER_LEN, ip) != IPV4_OK || ipv4_is_fragment(ip))
		return false;
	return l4_parse(ip, l3 + ip->header_len, (size_t)(ip->total_len - ip->header_len), l4) == L4_OK;
}

/* The large-segment half. The frame is IPv4 with good headers. */
static bool fill_gso(const struct virtio_net_hdr *h, uint8_t *frame, const struct ipv4_view *ip,
		     const struct l4_view *l4, struct offload *o)
{
	enum gso_type type = gso_type_of(h->gso_type);
	uint32_t l4_off = ETHER_HEADER_LEN + (uint32_t)ip->header_len;

	if (type == GSO_NONE || h->gso_size == 0 || l4->kind != gso_kinds[type].l4)
		return false;
	if (!o->csum_partial) {
		uint32_t l4_len = (uint32_t)ip->total_len - ip->header_len;
		uint16_t sum = checksum_fold(checksum_pseudo(ip->src, ip->dst, ip->proto, l4_len));
		uint8_t *field = frame + l4_off + gso_kinds[type].check_offset;
		field[0] = (uint8_t)(sum >> 8);
		field[1] = (uint8_t)sum;
		o->csum_partial = true;
		o->csum_valid = false;
		o->csum_start = (uint16_t)l4_off;
		o->csum_offset = gso_kinds[type].check_offset;
	}
	if (l4->payload_len <= h->gso_size)
		return true;
	o->gso_type = (uint8_t)type;
	o->gso_size = h->gso_size;
	o->gso_hdr_len = (uint16_t)(l4_off + l4->header_len);
	return true;
}

bool vnet_to_offload(const struct virtio_net_hdr *h, uint8_t *frame, uint32_t len, struct offload *o)
{
	struct ipv4_view ip;
	struct l4_view l4;

	memset(o, 0, sizeof(*o));
	if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		if (h->csum_start < ETHER_HEADER_LEN || (uint32_t)h->csum_start + h->csum_offset + 2 > len)
			return false;
		o->csum_partial = true;
		o->csum_start = h->csum_start;
		o->csum_offset = h->csum_offset;
	} else if (h->flags & VIRTIO_NET_HDR_F_DATA_VALID) {
		o->csum_valid = true;
	}
	if (h->gso_type == VIRTIO_NET_HDR_GSO_NONE || !parse_headers(frame, len, &ip, &l4))
		return true;
	if (fill_gso(h, frame, &ip, &l4, o))
		return true;
	memset(o, 0, sizeof(*o));
	return false;
}

void vnet_of_offload(const struct offload *o, struct virtio_net_hdr *h)
{
	memset(h, 0, sizeof(*h));
	if (o->csum_partial) {
		h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h->csum_start = o->csum_start;
		h->csum_offset = o->csum_offset;
	} else if (o->csum_valid) {
		h->flags = VIRTIO_NET_HDR_F_DATA_VALID;
	}
	if (o->gso_type != GSO_NONE && o->gso_type < ARRAY_LEN(gso_kinds)) {
		const struct gso_kind *k = &gso_kinds[o->gso_type];
		h->gso_type = k->vnet_type | (k->ecn ? VIRTIO_NET_HDR_GSO_ECN : 0);
		h->gso_size = o->gso_size;
		h->hdr_len = o->gso_hdr_len;
	}
}
