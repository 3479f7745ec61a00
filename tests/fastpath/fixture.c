/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See fixture.h.
 */
#include "fixture.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stack/packet/packet_fixture.h"
#include "stack/wire/rewrite.h"

#ifndef AF_XDP
#define AF_XDP 44
#endif

#define TC_REDIRECT 7u
#define SLOT_REF 10u /* connection 5, direction 0 */
#define ADJACENCY 3u
#define MTU 1500u
#define L3 14u

const uint8_t fixture_mac[6] = { 2, 0, 0, 0, 0, 7 };
const uint8_t fixture_next_hop[6] = { 2, 0, 0, 0, 0, 99 };
static const uint8_t out_mac[6] = { 2, 0, 0, 0, 0, 9 };

const struct fixture_flow fixture_udp = { .proto = IPPROTO_UDP,
					  .src = 0x0a4d0005,
					  .dst = 0xc6336405,
					  .new_src = 0xcb007110,
					  .new_dst = 0xc6336405,
					  .sport = 40000,
					  .dport = 53,
					  .new_sport = 1024,
					  .new_dport = 53 };
const struct fixture_flow fixture_tcp = { .proto = IPPROTO_TCP,
					  .src = 0xc6336405,
					  .dst = 0xcb007110,
					  .new_src = 0xc6336405,
					  .new_dst = 0x0a4d0005,
					  .sport = 443,
					  .dport = 1024,
					  .new_sport = 443,
					  .new_dport = 40000 };
const struct fixture_flow fixture_echo = { .proto = IPPROTO_ICMP,
					   .src = 0x0a4d0005,
					   .dst = 0xc6336405,
					   .new_src = 0xcb007110,
					   .new_dst = 0xc6336405,
					   .sport = 99,
					   .dport = 8 << 8,
					   .new_sport = 7000,
					   .new_dport = 8 << 8 };

static void lo_up(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &r), 0);
	close(fd);
}

static int load(struct fixture *b, enum fastpath_kind kind)
{
	const struct fastpath_port port = {
		.number = FIXTURE_PORT, .ifindex = 1, .kind = kind, .up_ifindex = FIXTURE_UP_IFINDEX
	};
	char err[512];
	int fd = program_load(b->f, &port, PROGRAM_ENDS_WITH_US, err, sizeof(err));

	if (fd < 0)
		fail_msg("%s", err);
	return fd;
}

void fixture_open(struct fixture *b)
{
	const struct fastpath_limits limits = { .n_connections = 1024, .n_adjacencies = 8 };
	uint32_t out = FIXTURE_OUT_PORT, lo = 1, key = fastpath_xsk_key(FIXTURE_PORT, 0);
	char err[512];

	if (unshare(CLONE_NEWNET) != 0) {
		printf("skipped: no network namespace of our own: %s\n", strerror(errno));
		exit(FIXTURE_EXIT_SKIP);
	}
	int r = fastpath_open(&limits, &b->f, err, sizeof(err));
	if (r == -EPERM || r == -EACCES || r == -ENOSYS) {
		printf("skipped: %s\n", err);
		exit(FIXTURE_EXIT_SKIP);
	}
	if (r != 0)
		fail_msg("%s", err);
	lo_up();
	b->m = fastpath_maps(b->f);
	b->xdp = load(b, FASTPATH_XDP_NATIVE);
	b->tc = load(b, FASTPATH_TC);
	assert_int_equal(bpf_map_update_elem(b->f->map_fd[FASTPATH_MAP_DEVICES], &out, &lo, BPF_ANY), 0);
	b->socket = socket(AF_XDP, SOCK_RAW, 0);
	assert_true(b->socket >= 0);
	assert_int_equal(bpf_map_update_elem(fastpath_xsk_map_fd(b->f), &key, &b->socket, BPF_ANY), 0);
	memcpy(b->m->config->mac[FIXTURE_PORT], fixture_mac, 6);
	b->m->config->key[0] = 0x0123456789abcdef;
	b->m->config->key[1] = 0xfedcba9876543210;
	b->m->config->on = 1;
	b->m->config->stamp_mark = FIXTURE_STAMP_MARK;
}

void fixture_close(struct fixture *b)
{
	close(b->socket);
	close(b->xdp);
	close(b->tc);
	fastpath_close(b->f);
}

struct fp_flow *fixture_other(struct fixture *b)
{
	return &b->m->flow[SLOT_REF ^ 1];
}

struct fp_adjacency *fixture_adjacency(struct fixture *b)
{
	return &b->m->adjacency[ADJACENCY];
}

static uint64_t hash_of(struct fixture *b, const struct fixture_flow *f)
{
	return fp_hash_flow((const __u64 *)b->m->config->key, htonl(f->src), htonl(f->dst), htons(f->sport),
			    htons(f->dport), f->proto, FIXTURE_PORT);
}

struct fp_bucket *fixture_home(struct fixture *b, const struct fixture_flow *f, uint32_t *slot)
{
	uint64_t h = hash_of(b, f);

	*slot = (uint32_t)h % FP_BUCKET_SLOTS;
	return &b->m->bucket[fp_bucket_of(h, b->m->config->bucket_mask)];
}

static uint32_t change32(uint32_t from, uint32_t to)
{
	return (from >> 16) + (from & 0xffff) + (~to >> 16) + (~to & 0xffff);
}

static uint16_t folded(uint32_t sum)
{
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)((sum >> 16) + sum);
}

struct fp_flow *fixture_flow_set(struct fixture *b, const struct fixture_flow *f)
{
	struct fp_flow *flow = &b->m->flow[SLOT_REF];
	struct fp_adjacency *a = fixture_adjacency(b);
	uint32_t addrs = change32(f->src, f->new_src) + change32(f->dst, f->new_dst), slot;
	uint32_t ports = change32(f->sport, f->new_sport) + change32(f->dport, f->new_dport);

	memset(b->m->bucket, 0, (b->m->n_home + b->m->n_overflow) * sizeof(struct fp_bucket));
	memset(b->m->adjacency, 0, b->m->n_adjacencies * sizeof(struct fp_adjacency));
	*flow = (struct fp_flow){
		.src_be = htonl(f->src),
		.dst_be = htonl(f->dst),
		.sport_be = htons(f->sport),
		.dport_be = htons(f->dport),
		.proto = f->proto,
		.in_port = FIXTURE_PORT,
		.version = 0xfffe,
		.new_src_be = htonl(f->new_src),
		.new_dst_be = htonl(f->new_dst),
		.new_sport_be = htons(f->new_sport),
		.new_dport_be = htons(f->new_dport),
		.ip_delta = folded(addrs),
		.l4_delta = folded(f->proto == IPPROTO_ICMP ? ports : addrs + ports),
		.adjacency = ADJACENCY,
		.generation = 4,
		.handled = 0xffff,
		.up = 0xffff,
		.tcp_end = 0xfffffff0, /* about to wrap */
		.tcp_ack = 5000,
		.tcp_win = 10,
	};
	*fixture_other(b) = (struct fp_flow){ .tcp_end = 8000, .tcp_ack = 0xffffff00, .tcp_win = 60000 };
	memcpy(a->header, fixture_next_hop, 6);
	memcpy(a->header + 6, out_mac, 6);
	a->header[12] = 8;
	a->how = FP_EGRESS_REDIRECT;
	a->port = FIXTURE_OUT_PORT;
	a->ifindex = 1;
	a->mtu = MTU;
	a->generation = 4;
	struct fp_bucket *home = fixture_home(b, f, &slot);
	home->tag[slot] = fp_tag_of(hash_of(b, f));
	home->ref[slot] = SLOT_REF;
	fastpath_counts(b->f, &b->before);
	return flow;
}

void fixture_frame_seal(struct fixture_frame *f)
{
	struct ipv4_view ip;
	uint8_t *l3 = f->bytes + L3;

	l3[10] = l3[11] = 0;
	uint16_t check = naive_checksum(0, l3, IPV4_HEADER_LEN);
	l3[10] = (uint8_t)(check >> 8);
	l3[11] = (uint8_t)check;
	if (ipv4_parse(l3, f->len - L3, &ip) == IPV4_OK && !ipv4_is_fragment(&ip))
		l4_checksum_set(&ip, l3 + ip.header_len, ip.total_len - (size_t)ip.header_len);
}

void fixture_frame(const struct fixture_flow *f, uint32_t n_payload, uint8_t tcp_flags, struct fixture_frame *out)
{
	static const struct ether_addr from = { { 4 } };
	struct ether_addr us;
	struct packet_spec spec = { .src = f->src,
				    .dst = f->dst,
				    .proto = f->proto,
				    .ip_id = 77,
				    .sport = f->sport,
				    .dport = f->dport,
				    .seq = 0xfffffff0,
				    .ack = 6000,
				    .flags = tcp_flags,
				    .window = 20,
				    .type = (uint8_t)(f->dport >> 8),
				    .code = (uint8_t)f->dport,
				    .id = f->sport,
				    .icmp_seq = 3,
				    .payload_len = (uint16_t)n_payload };

	memcpy(us.b, fixture_mac, sizeof(us.b));
	memset(out->bytes, 0, sizeof(out->bytes));
	out->len = packet_build_frame(&spec, &us, &from, out->bytes);
	if (out->len < 60) /* the shortest frame: filled with zeros */
		out->len = 60;
}

void fixture_frame_forwarded(const struct fixture_flow *f, const struct fixture_frame *in, struct fixture_frame *out)
{
	struct rewrite to = { .src = f->new_src, .dst = f->new_dst, .sport = f->new_sport, .dport = f->new_dport };
	struct ipv4_view ip;
	struct l4_view l4;

	*out = *in;
	memcpy(out->bytes, fixture_next_hop, 6);
	memcpy(out->bytes + 6, out_mac, 6);
	assert_int_equal(ipv4_parse(out->bytes + L3, out->len - L3, &ip), IPV4_OK);
	assert_int_equal(l4_parse(&ip, out->bytes + L3 + ip.header_len, ip.total_len - (size_t)ip.header_len, &l4),
			 L4_OK);
	rewrite_packet(out->bytes + L3, &ip, &l4, &to, REWRITE_CHECK_FULL);
	ipv4_set_ttl(out->bytes + L3, (uint8_t)(ip.ttl - 1));
}

uint32_t fixture_run(struct fixture *b, enum fixture_kind kind, struct fixture_frame *frame, uint32_t gso_size)
{
	struct __sk_buff skb = { .gso_size = gso_size, .gso_segs = gso_size == 0 ? 0 : 2 };
	uint8_t in[FIXTURE_FRAME_MAX];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = frame->len, .data_out = frame->bytes,
		    .data_size_out = sizeof(frame->bytes), .repeat = 1);

	memcpy(in, frame->bytes, frame->len);
	if (kind == FIXTURE_TC && gso_size != 0) {
		opts.ctx_in = &skb;
		opts.ctx_size_in = sizeof(skb);
	}
	int r = bpf_prog_test_run_opts(kind == FIXTURE_XDP ? b->xdp : b->tc, &opts);
	if (r != 0)
		fail_msg("BPF_PROG_TEST_RUN: %s", strerror(-r));
	frame->len = opts.data_size_out;
	return opts.retval;
}

uint32_t fixture_redirected(enum fixture_kind kind)
{
	return kind == FIXTURE_XDP ? XDP_REDIRECT : TC_REDIRECT;
}

enum fp_count fixture_counted(struct fixture *b)
{
	struct fastpath_counts now;
	enum fp_count what = FP_N_COUNTS;
	uint64_t n = 0;

	fastpath_counts(b->f, &now);
	for (uint32_t i = 0; i < FP_N_COUNTS; i++) {
		n += now.count[i] - b->before.count[i];
		if (now.count[i] != b->before.count[i])
			what = (enum fp_count)i;
	}
	b->before = now;
	return n == 1 ? what : FP_N_COUNTS;
}
