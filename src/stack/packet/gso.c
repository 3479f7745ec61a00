/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Offloads in software: partial checksums and large segments.
 *
 * A sender that leaves the checksum to its device writes the folded sum of the
 * pseudo header into the field, not complemented. Summing from csum_start to the
 * packet's end takes the field in, so the complement of that is the checksum,
 * whatever protocol it belongs to; also that of an inner packet in a tunnel.
 *
 * A large segment is a TCP segment or UDP datagram with more payload than fits
 * a link, with one set of headers. A segment of it has these headers and gso_size
 * bytes of the payload (the last one what is left), with:
 *   IP    total length, header checksum, identification one higher a segment
 *   TCP   sequence number; FIN and PSH on the last only, CWR on the first only
 *         (RFC 3168 section 6.1.2: one CWR answers one window)
 *   UDP   length
 * and a checksum of its own. IP and TCP options stand in every segment. Segments are
 * cut from the front; what is left, if a batch has no room for all, is itself a
 * right large segment.
 *
 * The headers' length comes from the views: a sender's gso_hdr_len is a hint
 * only (Linux writes there what lies in its linear buffer).
 */
#include "stack/packet/gso.h"

#include <assert.h>
#include <string.h>

#include "stack/wire/bytes.h"
#include "stack/wire/checksum.h"

/* Places in the TCP header (RFC 9293 section 3.1) and the UDP header (RFC 768). */
#define TCP_SEQ_AT 4
#define TCP_FLAGS_AT 13
#define UDP_LENGTH_AT 4

/* Where the IPv4 packet ends in the frame: padding may follow. The frame's end
 * when the views are not filled. */
static uint32_t packet_end(const struct packet *p)
{
	uint32_t end = (uint32_t)p->l3_off + p->ip.total_len;
	return p->ip.total_len == 0 || end > p->len ? p->len : end;
}

bool offload_finish_checksum(struct packet *p)
{
	const struct offload *o = &p->offload;
	uint32_t end = packet_end(p);
	uint32_t check_at = (uint32_t)o->csum_start + o->csum_offset;
	if (!o->csum_partial || o->gso_type != GSO_NONE || check_at + 2 > end)
		return false;
	uint8_t *frame = packet_frame(p);
	uint16_t check = checksum_finish(checksum_add(0, frame + o->csum_start, end - o->csum_start));
	/* RFC 768: zero says that there is no checksum. */
	if (check == 0 && o->csum_offset == UDP_CHECK_AT)
		check = 0xffff;
	bytes_put16(frame + check_at, check);
	if (p->l4.kind != L4_NONE && o->csum_start == p->l4_off)
		p->l4.check = check;
	p->offload = (struct offload){ .csum_valid = true };
	return true;
}

/* Linux makes no smaller segments (tcp_min_snd_mss): options and data are 48 bytes at least. And of no datagram more
 * segments (UDP_MAX_SEGMENTS). What asks for more would have a frame cost as much as thousands. */
#define TCP_SEGMENT_MIN (TCP_HEADER_LEN + 48)
#define TCP_SEGMENTS_MAX (UINT16_MAX / 48)
#define UDP_SEGMENTS_MAX 128

/* Of a large segment with good headers. */
static bool pieces_sane(const struct packet *p)
{
	const struct offload *o = &p->offload;

	if (o->gso_size == 0 || p->l4.payload_len == 0)
		return false;
	if (o->gso_type == GSO_UDP4)
		return gso_n_segments(p) <= UDP_SEGMENTS_MAX;
	return (uint32_t)p->l4.header_len + o->gso_size >= TCP_SEGMENT_MIN && gso_n_segments(p) <= TCP_SEGMENTS_MAX;
}

bool offload_sane(const struct packet *p)
{
	const struct offload *o = &p->offload;
	if (!o->csum_partial && o->gso_type == GSO_NONE)
		return true;
	bool tcp = p->ip.proto == IPPROTO_NR_TCP && p->l4.kind == L4_TCP;
	bool udp = p->ip.proto == IPPROTO_NR_UDP && p->l4.kind == L4_UDP;
	if (ipv4_is_fragment(&p->ip) || (!tcp && !udp))
		return false;
	if (p->ip.total_len < p->ip.header_len || (uint32_t)p->l3_off + p->ip.total_len > p->len ||
	    p->l4_off != p->l3_off + p->ip.header_len || packet_l4_len(p) < p->l4.header_len)
		return false;
	/* A device sums to the end of the packet, so the datagram must end there. */
	if (udp && packet_l4_len(p) != (uint32_t)p->l4.header_len + p->l4.payload_len)
		return false;
	if (!o->csum_partial || o->csum_start != p->l4_off || o->csum_offset != (tcp ? TCP_CHECK_AT : UDP_CHECK_AT))
		return false;

	switch ((enum gso_type)o->gso_type) {
	case GSO_NONE:
		return true;
	case GSO_TCP4:
	case GSO_TCP4_ECN:
		return tcp && pieces_sane(p) && (p->l4.flags & (TCP_SYN | TCP_RST)) == 0;
	case GSO_UDP4:
		return udp && pieces_sane(p);
	}
	return false;
}

/* Bytes of IP and transport headers, the same in every segment. */
static uint32_t ip_headers_len(const struct packet *p)
{
	return (uint32_t)p->ip.header_len + p->l4.header_len;
}

static uint32_t payload_len(const struct packet *p)
{
	return packet_l4_len(p) - p->l4.header_len;
}

uint32_t offload_segment_len(const struct packet *p)
{
	if (p->offload.gso_type == GSO_NONE)
		return p->ip.total_len;
	return min_u32(p->ip.total_len, ip_headers_len(p) + p->offload.gso_size);
}

uint32_t gso_n_segments(const struct packet *p)
{
	uint32_t size = p->offload.gso_size;
	if (p->offload.gso_type == GSO_NONE || size == 0)
		return 1;
	return max_u32(1, (payload_len(p) + size - 1) / size);
}

/* Writes lengths, identification, sequence number and flags into headers that
 * were copied from the large segment, and into the views. n_before: segments
 * before this one. */
static void set_headers(struct packet *segment, uint32_t n_before, uint32_t n_payload, bool last)
{
	bool udp = segment->offload.gso_type == GSO_UDP4;
	segment->ip.total_len = (uint16_t)(ip_headers_len(segment) + n_payload);
	segment->ip.id = (uint16_t)(segment->ip.id + n_before);
	segment->l4.payload_len = (uint16_t)n_payload;
	uint8_t *l3 = packet_l3(segment), *l4 = packet_l4(segment);
	ipv4_set_id(l3, segment->ip.id);
	ipv4_set_fragment(l3, segment->ip.total_len, 0, segment->ip.df, false);
	if (udp) {
		bytes_put16(l4 + UDP_LENGTH_AT, (uint16_t)(UDP_HEADER_LEN + n_payload));
		return;
	}
	segment->l4.seq += n_before * segment->offload.gso_size;
	if (n_before > 0)
		segment->l4.flags &= (uint8_t)~TCP_CWR;
	if (!last)
		segment->l4.flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	bytes_put32(l4 + TCP_SEQ_AT, segment->l4.seq);
	l4[TCP_FLAGS_AT] = segment->l4.flags;
}

/* Fills segment number n of p: an ordinary packet. */
static void fill_segment(const struct packet *p, struct packet *segment, uint32_t n, bool last)
{
	uint32_t headers_len = p->l3_off + ip_headers_len(p);
	uint32_t n_payload = segment->len - headers_len;
	const uint8_t *frame = p->buf + p->off;
	memcpy(packet_frame(segment), frame, headers_len);
	memcpy(packet_frame(segment) + headers_len, frame + headers_len + n * p->offload.gso_size, n_payload);
	set_headers(segment, n, n_payload, last);
	l4_checksum_set(&segment->ip, packet_l4(segment), packet_l4_len(segment));
	segment->l4.check =
		bytes_get16(packet_l4(segment) + (p->offload.gso_type == GSO_UDP4 ? UDP_CHECK_AT : TCP_CHECK_AT));
	segment->offload = (struct offload){ .csum_valid = true };
}

/* Takes the first n segments off p, which has more: the headers move up to what is
 * left of the payload. */
static void take_off_front(struct packet *p, uint32_t n)
{
	uint32_t headers_len = p->l3_off + ip_headers_len(p);
	uint32_t n_taken = n * p->offload.gso_size;
	uint32_t n_left = payload_len(p) - n_taken;
	uint8_t *frame = packet_frame(p);
	assert(!p->buf_shared);
	memmove(frame + n_taken, frame, headers_len);
	p->off += n_taken;
	p->len = headers_len + n_left;
	if (p->offload.gso_type == GSO_TCP4_ECN)
		p->offload.gso_type = GSO_TCP4;
	set_headers(p, n, n_left, true);
	/* Partial again: the pseudo header has the packet's length in it. */
	p->l4.check = checksum_fold(checksum_pseudo(p->ip.src, p->ip.dst, p->ip.proto, packet_l4_len(p)));
	bytes_put16(packet_frame(p) + p->offload.csum_start + p->offload.csum_offset, p->l4.check);
}

/* Packets for the first n segments of p, at out's end but not counted there yet.
 * False, and nothing taken, when the pool has not so many. */
static bool alloc_segments(struct packet_pool *pool, const struct packet *p, uint32_t n, struct batch *out)
{
	uint32_t headers_len = p->l3_off + ip_headers_len(p);
	uint32_t n_left = payload_len(p);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t n_payload = min_u32(n_left, p->offload.gso_size);
		struct packet *segment = packet_alloc_like(pool, p, headers_len + n_payload);
		if (segment == NULL) {
			while (i > 0)
				packet_free(pool, out->p[out->n + --i]);
			return false;
		}
		out->p[out->n + i] = segment;
		n_left -= n_payload;
	}
	return true;
}

uint32_t gso_segment_some(struct packet_pool *pool, struct ledger *ledger, struct packet **large, struct batch *out)
{
	struct packet *p = *large;
	uint32_t n_segments = gso_n_segments(p);
	uint32_t n = min_u32(n_segments, BATCH_MAX - out->n);
	if (n == 0 || (n < n_segments && !packet_unshare(pool, p)) || !alloc_segments(pool, p, n, out))
		return 0;
	for (uint32_t i = 0; i < n; i++)
		fill_segment(p, out->p[out->n + i], i, i + 1 == n_segments);
	out->n += n;
	ledger->n_pieces_made += n;
	if (n < n_segments) {
		take_off_front(p, n);
		return n;
	}
	/* The last segment carries p's life on. */
	ledger->n_pieces_made--;
	packet_free(pool, p);
	*large = NULL;
	return n;
}
