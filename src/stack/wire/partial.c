/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An unfinished checksum, found by its value.
 *
 * A sender that leaves TCP's or UDP's checksum to its device writes the folded
 * sum of the pseudo header (RFC 9293 section 3.1, RFC 768) into the field, and
 * notes beside the frame that the rest is to be added. AF_XDP brings the frame
 * without the note: so between two ends of a veth, unfinished frames look like
 * any others. The value gives them away: a finished checksum has it once in
 * 65,536 frames, and then it verifies. An unfinished one verifies only when the
 * finished one would be the same.
 * The other way round, one in 65,536 of the frames that were damaged on the way
 * is taken for unfinished and gets a good checksum here; a link whose frames are
 * damaged has a checksum of its own, and devices that verify say so.
 *
 * The cheap test comes first: what is covered is summed only when the field has
 * the value. Lengths are looked at here no further than reading needs; headers
 * that lie are for whoever parses the frame.
 */
#include "stack/wire/partial.h"

#include "stack/wire/checksum.h"
#include "stack/wire/ether.h"
#include "stack/wire/ipv4.h"
#include "stack/wire/l4_priv.h"

#define ETHERTYPE_OFFSET 12
#define FRAGMENT_BITS 0x3fff /* more fragments, and the offset */

/* Length of the header and place of its checksum; 0 where none can be left to a device. */
static uint32_t check_at(uint8_t proto, uint16_t *offset)
{
	*offset = proto == IPPROTO_NR_TCP ? offsetof(struct tcp_header, check) : offsetof(struct udp_header, check);
	return proto == IPPROTO_NR_TCP ? TCP_HEADER_LEN : proto == IPPROTO_NR_UDP ? UDP_HEADER_LEN : 0;
}

bool partial_find(const uint8_t *frame, uint32_t len, uint16_t *start, uint16_t *offset)
{
	if (len < ETHER_HEADER_LEN + IPV4_HEADER_LEN ||
	    be16_get(*(const be16 *)(frame + ETHERTYPE_OFFSET)) != ETHERTYPE_IPV4)
		return false;
	const struct ipv4_header *ip = (const void *)(frame + ETHER_HEADER_LEN);
	uint32_t header_len = (ip->version_ihl & 15u) * 4, total_len = be16_get(ip->total_len);
	if (ip->version_ihl >> 4 != 4 || header_len < IPV4_HEADER_LEN || total_len > len - ETHER_HEADER_LEN ||
	    (be16_get(ip->frag) & FRAGMENT_BITS) != 0)
		return false;
	uint32_t need = check_at(ip->proto, offset);
	if (need == 0 || total_len < header_len + need)
		return false;
	*start = (uint16_t)(ETHER_HEADER_LEN + header_len);
	const uint8_t *l4 = frame + *start;
	uint32_t l4_len = total_len - header_len;
	uint32_t pseudo = checksum_pseudo(be32_get(ip->src), be32_get(ip->dst), ip->proto, l4_len);
	if (be16_get(*(const be16 *)(l4 + *offset)) != checksum_fold(pseudo))
		return false;
	return checksum_fold(checksum_add(pseudo, l4, l4_len)) != 0xffff;
}
