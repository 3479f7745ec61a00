/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the XDP and the tc program do not forward: a row for each reason. The
 * frame is left as it is and sent up, counted under its name, and the flow's next
 * packets wait for it: then it has a stamp. See fixture.h.
 */
#include "fixture.h"

#include <linux/bpf.h>
#include <netinet/in.h>

#define L3 14
#define L4 34

#define TC_SHOT 2u

struct up_row {
	const char *name;
	const struct fixture_flow *flow;
	void (*spoil)(struct fixture *b, struct fp_flow *flow, struct fixture_frame *frame);
	enum fp_count want;
	bool seen;        /* the flow knows that one went up */
	uint8_t not_kind; /* 1 << enum fixture_kind: not for these */
};

static uint32_t home_number(struct fixture *b)
{
	uint32_t slot;

	return (uint32_t)(fixture_home(b, &fixture_udp, &slot) - b->m->bucket);
}

/* The flow's tag is gone, and its bucket leads elsewhere. */
static void chain_to(struct fixture *b, uint32_t next)
{
	uint32_t slot;
	struct fp_bucket *home = fixture_home(b, &fixture_udp, &slot);

	home->tag[slot] = 0;
	home->next = next;
}

/* clang-format off: a line each */
#define SPOIL(name) static void name(struct fixture *b, struct fp_flow *flow, struct fixture_frame *frame)

SPOIL(arp)
{
	frame->bytes[13] = 6;
}
SPOIL(ipv6)
{
	frame->bytes[12] = 0x86;
	frame->bytes[13] = 0xdd;
}
SPOIL(short_frame)
{
	frame->len = 41;
}
SPOIL(other_host)
{
	frame->bytes[5] ^= 1;
}
SPOIL(broadcast)
{
	memset(frame->bytes, 0xff, 6);
}
SPOIL(from_group)
{
	frame->bytes[6] |= 1;
}
SPOIL(ttl_1)
{
	frame->bytes[L3 + 8] = 1;
	fixture_frame_seal(frame);
}
SPOIL(options)
{
	frame->bytes[L3] = 0x46;
}
SPOIL(first_fragment)
{
	frame->bytes[L3 + 6] = 0x20;
	fixture_frame_seal(frame);
}
SPOIL(later_fragment)
{
	frame->bytes[L3 + 7] = 2;
	fixture_frame_seal(frame);
}
SPOIL(ip_checksum)
{
	frame->bytes[L3 + 11] ^= 1;
}
SPOIL(too_long)
{
	frame->bytes[L3 + 2] = 4;
}
SPOIL(trailer)
{
	frame->len += 50;
}
SPOIL(protocol)
{
	frame->bytes[L3 + 9] = 132;
	fixture_frame_seal(frame);
}
SPOIL(udp_length)
{
	frame->bytes[L4 + 5] -= 1;
}
SPOIL(tcp_offset)
{
	frame->bytes[L4 + 12] = 0x40;
}
SPOIL(tcp_offset_long)
{
	frame->bytes[L4 + 12] = 0xf0;
}
SPOIL(ping_timestamp)
{
	frame->bytes[L4] = 13;
}
SPOIL(ping_code)
{
	frame->bytes[L4 + 1] = 1;
}
SPOIL(fin)
{
	frame->bytes[L4 + 13] |= TCP_FIN;
}
SPOIL(syn)
{
	frame->bytes[L4 + 13] = TCP_SYN;
}
SPOIL(rst)
{
	frame->bytes[L4 + 13] |= TCP_RST;
}
SPOIL(urg)
{
	frame->bytes[L4 + 13] |= TCP_URG;
}
SPOIL(no_ack)
{
	frame->bytes[L4 + 13] = TCP_PSH;
}
SPOIL(off)
{
	b->m->config->on = 0;
}
SPOIL(other_port)
{
	flow->in_port++;
}
SPOIL(other_tuple)
{
	flow->dport_be++;
}
SPOIL(bad_ref)
{
	uint32_t s;
	fixture_home(b, &fixture_udp, &s)->ref[s] = FP_REF_NONE;
}
SPOIL(bad_next)
{
	chain_to(b, 0xffffff00);
}
SPOIL(ring)
{
	chain_to(b, home_number(b) - b->m->n_home + 1);
}
SPOIL(odd)
{
	flow->version++;
}
SPOIL(generation)
{
	fixture_adjacency(b)->generation++;
}
SPOIL(behind)
{
	flow->up++;
}
SPOIL(window_ahead)
{
	fixture_other(b)->tcp_ack -= 60000;
}
SPOIL(window_back)
{
	flow->tcp_end += 60100;
}
SPOIL(window_ack)
{
	fixture_other(b)->tcp_end += 70000;
}
SPOIL(window_ack_unsent)
{
	fixture_other(b)->tcp_end = 5999;
}
SPOIL(window_scaled)
{
	fixture_other(b)->tcp_win = 60000u >> 5 | 5u << FP_TCP_SCALE_SHIFT;
	flow->tcp_end += 60100;
}
SPOIL(window_liberal)
{
	flow->tcp_win |= FP_TCP_LIBERAL;
	flow->tcp_end += FP_TCP_FAR + 100;
}
SPOIL(mtu)
{
	fixture_adjacency(b)->mtu = 37;
}
SPOIL(no_adjacency)
{
	flow->adjacency = 8;
}
SPOIL(adjacency_up)
{
	fixture_adjacency(b)->how = FP_EGRESS_UP;
}
SPOIL(adjacency_odd)
{
	fixture_adjacency(b)->version = 1;
}
SPOIL(adjacency_peer)
{
	fixture_adjacency(b)->how = FP_EGRESS_PEER;
}
SPOIL(adjacency_send)
{
	fixture_adjacency(b)->how = FP_EGRESS_SEND;
}
SPOIL(adjacency_unknown)
{
	fixture_adjacency(b)->how = FP_EGRESS_PEER + 1;
}
SPOIL(no_device)
{
	fixture_adjacency(b)->port = FIXTURE_OUT_PORT + 1;
}
/* The pseudo header's sum, as a sender leaves it to a device. */
SPOIL(partial)
{
	bool is_tcp = frame->bytes[L3 + 9] == IPPROTO_TCP;
	uint32_t len = ((uint32_t)frame->bytes[L3 + 2] << 8 | frame->bytes[L3 + 3]) - 20;
	const struct fixture_flow *f = is_tcp ? &fixture_tcp : &fixture_udp;
	uint16_t sum = (uint16_t)~naive_checksum(naive_pseudo(f->src, f->dst, f->proto, len), NULL, 0);
	uint8_t *at = frame->bytes + L4 + (is_tcp ? 16 : 6);

	at[0] = (uint8_t)(sum >> 8);
	at[1] = (uint8_t)sum;
}

/* clang-format on */

#define NOT_TC (1u << FIXTURE_TC)

static const struct up_row up_rows[] = {
	{ "ARP", &fixture_udp, arp, FP_UP_NOT_IPV4 },
	{ "IPv6", &fixture_udp, ipv6, FP_UP_NOT_IPV4 },
	{ "short", &fixture_udp, short_frame, FP_UP_NOT_IPV4 },
	{ "to another host", &fixture_udp, other_host, FP_UP_NOT_PLAIN },
	{ "broadcast", &fixture_udp, broadcast, FP_UP_NOT_PLAIN },
	{ "from a group", &fixture_udp, from_group, FP_UP_NOT_PLAIN },
	{ "TTL 1", &fixture_udp, ttl_1, FP_UP_NOT_PLAIN },
	{ "options", &fixture_udp, options, FP_UP_NOT_PLAIN },
	{ "first fragment", &fixture_udp, first_fragment, FP_UP_NOT_PLAIN },
	{ "later fragment", &fixture_udp, later_fragment, FP_UP_NOT_PLAIN },
	{ "header checksum", &fixture_udp, ip_checksum, FP_UP_NOT_PLAIN },
	{ "longer than the frame", &fixture_udp, too_long, FP_UP_NOT_PLAIN },
	{ "bytes behind", &fixture_tcp, trailer, FP_UP_NOT_PLAIN },
	{ "SCTP", &fixture_udp, protocol, FP_UP_NOT_PLAIN },
	{ "UDP length", &fixture_udp, udp_length, FP_UP_NOT_PLAIN },
	{ "data offset 4", &fixture_tcp, tcp_offset, FP_UP_NOT_PLAIN },
	{ "data offset past the end", &fixture_tcp, tcp_offset_long, FP_UP_NOT_PLAIN },
	{ "ICMP timestamp", &fixture_echo, ping_timestamp, FP_UP_NOT_PLAIN },
	{ "echo with a code", &fixture_echo, ping_code, FP_UP_NOT_PLAIN },
	{ "FIN", &fixture_tcp, fin, FP_UP_NOT_PLAIN, .seen = true },
	{ "SYN", &fixture_tcp, syn, FP_UP_NOT_PLAIN, .seen = true },
	{ "RST", &fixture_tcp, rst, FP_UP_NOT_PLAIN, .seen = true },
	{ "URG", &fixture_tcp, urg, FP_UP_NOT_PLAIN, .seen = true },
	{ "no ACK", &fixture_tcp, no_ack, FP_UP_NOT_PLAIN, .seen = true },
	{ "switched off", &fixture_udp, off, FP_UP_NO_FLOW },
	{ "of another port", &fixture_udp, other_port, FP_UP_NO_FLOW },
	{ "of another flow", &fixture_udp, other_tuple, FP_UP_NO_FLOW },
	{ "a reference out of the map", &fixture_udp, bad_ref, FP_UP_NO_FLOW },
	{ "a bucket out of the map", &fixture_udp, bad_next, FP_UP_NO_FLOW },
	{ "a chain that is a ring", &fixture_udp, ring, FP_UP_NO_FLOW },
	{ "being written", &fixture_udp, odd, FP_UP_STALE },
	{ "old generation", &fixture_udp, generation, FP_UP_STALE, .seen = true },
	{ "others before it", &fixture_udp, behind, FP_UP_BEHIND, .seen = true },
	{ "beyond the window", &fixture_tcp, window_ahead, FP_UP_WINDOW, .seen = true },
	{ "behind the window", &fixture_tcp, window_back, FP_UP_WINDOW, .seen = true },
	{ "acknowledges far behind", &fixture_tcp, window_ack, FP_UP_WINDOW, .seen = true },
	{ "acknowledges what was not sent", &fixture_tcp, window_ack_unsent, FP_UP_WINDOW, .seen = true },
	{ "behind a scaled window", &fixture_tcp, window_scaled, FP_UP_WINDOW, .seen = true },
	{ "far off where windows are not known", &fixture_tcp, window_liberal, FP_UP_WINDOW, .seen = true },
	{ "larger than the MTU", &fixture_udp, mtu, FP_UP_TOO_BIG, .seen = true },
	{ "no such adjacency", &fixture_udp, no_adjacency, FP_UP_ADJACENCY, .seen = true },
	{ "adjacency not usable", &fixture_udp, adjacency_up, FP_UP_ADJACENCY, .seen = true },
	{ "adjacency being written", &fixture_udp, adjacency_odd, FP_UP_ADJACENCY, .seen = true },
	{ "peer", &fixture_udp, adjacency_peer, FP_UP_ADJACENCY, .seen = true, .not_kind = NOT_TC },
	{ "no redirected frames", &fixture_udp, adjacency_send, FP_UP_ADJACENCY, .seen = true, .not_kind = NOT_TC },
	{ "unknown way", &fixture_udp, adjacency_unknown, FP_UP_ADJACENCY, .seen = true },
	{ "no such device", &fixture_udp, no_device, FP_UP_ADJACENCY, .seen = true, .not_kind = NOT_TC },
	{ "partial checksum, UDP", &fixture_udp, partial, FP_UP_PARTIAL, .seen = true, .not_kind = NOT_TC },
	{ "partial checksum, TCP", &fixture_tcp, partial, FP_UP_PARTIAL, .seen = true, .not_kind = NOT_TC },
};

/* What the frame becomes that its flow has numbered (stack/packet/stamp.h). */
static void write_stamp(struct fixture_frame *frame, const struct fp_flow *flow)
{
	const uint16_t word[3] = { FIXTURE_STAMP_MARK, flow->version, (uint16_t)(flow->up + 1) };

	memcpy(frame->bytes, word, sizeof(word));
}

static void up_one(struct fixture *b, const struct up_row *row, enum fixture_kind kind)
{
	struct fp_flow *flow = fixture_flow_set(b, row->flow);
	struct fixture_frame in, want;

	fixture_frame(row->flow, 10, TCP_ACK, &in);
	row->spoil(b, flow, &in);
	want = in;
	if (row->seen)
		write_stamp(&want, flow);
	uint16_t up = flow->up, handled = flow->handled;
	uint32_t verdict = fixture_run(b, kind, &in, 0);
	b->m->config->on = 1;
	enum fp_count what = fixture_counted(b);
	if (what != row->want || verdict != fixture_redirected(kind) || flow->up != (uint16_t)(up + row->seen) ||
	    flow->handled != handled || fp_flow_counts(flow) != 0 || in.len != want.len ||
	    memcmp(in.bytes, want.bytes, want.len) != 0)
		fail_msg("%s, %s: verdict %u, counted %s, up %u, handled %u", row->name,
			 kind == FIXTURE_XDP ? "XDP" : "tc", verdict,
			 what < FP_N_COUNTS ? fastpath_count_names[what] : "not one", flow->up, flow->handled);
}

/* Would catch: a packet forwarded that user space must see, or sent up changed, uncounted, under another name, or
 * without the flow's next packets waiting for it. */
static void test_up_by_name(void **state)
{
	for (uint32_t i = 0; i < sizeof(up_rows) / sizeof(up_rows[0]); i++)
		for (enum fixture_kind kind = FIXTURE_XDP; kind <= FIXTURE_TC; kind++)
			if ((up_rows[i].not_kind & 1u << kind) == 0)
				up_one(*state, &up_rows[i], kind);
}

/* Would catch: a frame with our mark on it that somebody else wrote, which user space would take for numbered. */
static void test_forged_stamp(void **state)
{
	struct fixture *b = *state;

	for (enum fixture_kind kind = FIXTURE_XDP; kind <= FIXTURE_TC; kind++) {
		struct fp_flow *flow = fixture_flow_set(b, &fixture_udp);
		struct fixture_frame in;

		fixture_frame(&fixture_udp, 10, TCP_ACK, &in);
		write_stamp(&in, flow);
		uint32_t verdict = fixture_run(b, kind, &in, 0);
		assert_int_equal(fixture_counted(b), FP_UP_REFUSED);
		assert_int_equal(verdict, kind == FIXTURE_XDP ? XDP_DROP : TC_SHOT);
		/* Another group's frame goes up. */
		in.bytes[1] ^= 1;
		assert_int_equal(fixture_run(b, kind, &in, 0), fixture_redirected(kind));
		assert_int_equal(fixture_counted(b), FP_UP_NOT_PLAIN);
	}
}

int main(void)
{
	static struct fixture fixture;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_up_by_name, &fixture),
		cmocka_unit_test_prestate(test_forged_stamp, &fixture),
	};

	fixture_open(&fixture);
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	fixture_close(&fixture);
	return r;
}
