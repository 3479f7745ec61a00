/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Plain frames against the parser and the rewriting of whole packets: random
 * frames, nearly right, must be read and rewritten alike by both.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/rng.h"
#include "stack/wire/same_views.h"
#include "stack/wire/checksum.h"
#include "stack/wire/plain.h"

#define N_FRAMES 300000
#define FRAME_MAX 120

static const struct ether_addr us = { { 2, 0, 0, 0, 0, 7 } };

static uint32_t pick(struct rng *r, uint32_t n)
{
	return rng_below(r, n);
}

/* As a rule those of a later segment. */
static uint8_t tcp_flags(struct rng *r)
{
	if (pick(r, 4) == 0)
		return (uint8_t)pick(r, 256);
	return (uint8_t)(TCP_ACK | (pick(r, 2) ? TCP_PSH : 0));
}

/* A frame with a right header, and then perhaps something changed. */
static uint32_t make(struct rng *r, uint8_t *frame)
{
	static const uint8_t protos[4] = { IPPROTO_NR_TCP, IPPROTO_NR_UDP, IPPROTO_NR_ICMP, 47 };
	struct ether_view eth = { .dst = us, .src = { { 2, 1, 1, 1, 1, 1 } }, .type = ETHERTYPE_IPV4 };
	uint8_t *l3 = frame + ETHER_HEADER_LEN, *l4 = l3 + IPV4_HEADER_LEN;
	struct ipv4_view ip = { .src = (uint32_t)rng_u64(r),
				.dst = (uint32_t)rng_u64(r),
				.id = (uint16_t)pick(r, 65536),
				.ttl = (uint8_t)pick(r, 4),
				.proto = protos[pick(r, 100) == 0 ? 3 : pick(r, 3)],
				.df = pick(r, 2) == 0,
				.header_len = IPV4_HEADER_LEN };
	uint32_t payload = pick(r, 40);

	memset(frame, 0, FRAME_MAX);
	for (uint32_t i = 0; pick(r, 4) != 0 && i < payload + 20; i++)
		l4[i] = (uint8_t)pick(r, 256);
	if (ip.proto == IPPROTO_NR_TCP) {
		tcp_emit(l4, (uint16_t)pick(r, 65536), (uint16_t)pick(r, 65536), (uint32_t)rng_u64(r),
			 (uint32_t)rng_u64(r), tcp_flags(r), (uint16_t)pick(r, 65536));
		payload += TCP_HEADER_LEN;
	} else if (ip.proto == IPPROTO_NR_UDP) {
		udp_emit(l4, (uint16_t)pick(r, 65536), (uint16_t)pick(r, 65536), (uint16_t)payload);
		payload += UDP_HEADER_LEN;
	} else {
		icmp_emit(l4, pick(r, 2) ? ICMP_ECHO_REQUEST : ICMP_ECHO_REPLY, 0, pick(r, 2) << 16);
		payload += ICMP_HEADER_LEN;
	}
	ip.total_len = (uint16_t)(IPV4_HEADER_LEN + payload);
	ipv4_emit(l3, &ip);
	l4_checksum_set(&ip, l4, payload);
	ether_emit(frame, &eth);
	uint32_t len = ETHER_HEADER_LEN + ip.total_len + (pick(r, 4) == 0 ? pick(r, 6) : 0);

	switch (pick(r, 6)) {
	case 0: /* a field, and the header checksum right again */
		l3[pick(r, 20)] = (uint8_t)pick(r, 256);
		l3[10] = l3[11] = 0;
		if ((l3[0] & 0xf) >= 5)
			ipv4_set_fragment(l3, (uint16_t)(l3[2] << 8 | l3[3]), (uint16_t)(pick(r, 20) == 0 ? 8 : 0),
					  true, pick(r, 20) == 0);
		break;
	case 1:
		frame[pick(r, len)] ^= (uint8_t)(1u << pick(r, 8));
		break;
	case 2:
		l4[pick(r, 16)] = (uint8_t)pick(r, 256);
		break;
	case 3:
		len = pick(r, len + 1);
		break;
	default:
		break;
	}
	return len;
}

/* What the whole parser says of it. */
static enum plain_kind kind_of_whole(const uint8_t *frame, uint32_t len, struct ipv4_view *ip, struct l4_view *l4)
{
	const uint8_t *l3 = frame + ETHER_HEADER_LEN;
	struct ether_view eth;

	if (!ether_parse(frame, len, &eth) || !ether_equal(&eth.dst, &us) || ether_is_group(&eth.src) ||
	    eth.type != ETHERTYPE_IPV4 || ipv4_parse(l3, len - ETHER_HEADER_LEN, ip) != IPV4_OK ||
	    l4_parse(ip, l3 + ip->header_len, (size_t)ip->total_len - ip->header_len, l4) != L4_OK)
		return PLAIN_NOT;
	if (ip->header_len != IPV4_HEADER_LEN || ipv4_is_fragment(ip) || ip->ttl < 2)
		return PLAIN_NOT;
	switch (l4->kind) {
	case L4_TCP:
		if ((l4->flags & ~TCP_PSH) == TCP_ACK)
			return PLAIN_TCP;
		return l4->flags & (TCP_SYN | TCP_FIN | TCP_RST) ? PLAIN_TCP_CONTROL : PLAIN_NOT;
	case L4_UDP:
		return PLAIN_UDP;
	case L4_ICMP_QUERY:
		return l4->type == ICMP_ECHO_REPLY || l4->type == ICMP_ECHO_REQUEST ? PLAIN_ECHO : PLAIN_NOT;
	default:
		return PLAIN_NOT;
	}
}

static void check_views(const uint8_t *frame, const struct plain *v, const struct ipv4_view *ip,
			const struct l4_view *l4)
{
	struct ipv4_view ip_view;
	struct l4_view l4_view;

	/* What was there before is gone. */
	memset(&ip_view, 0xff, sizeof(ip_view));
	memset(&l4_view, 0xff, sizeof(l4_view));
	plain_views(frame, v, &ip_view, &l4_view);
	assert_true(same_views(&ip_view, &l4_view, ip, l4));
}

static void check_values(const uint8_t *frame, const struct plain *v, const struct ipv4_view *ip,
			 const struct l4_view *l4)
{
	struct l4_view tcp;

	assert_true(v->src == ip->src && v->dst == ip->dst && v->proto == ip->proto && v->total_len == ip->total_len);
	assert_int_equal(plain_df(frame), ip->df);
	if (l4->kind == L4_ICMP_QUERY) {
		assert_true(v->sport == l4->id && v->dport == (l4->type << 8 | l4->code));
		assert_int_equal(plain_echo_sum_ok(frame, v->total_len),
				 l4_checksum_ok(ip, frame + PLAIN_L4, (size_t)ip->total_len - IPV4_HEADER_LEN));
		return;
	}
	assert_true(v->sport == l4->sport && v->dport == l4->dport);
	if (l4->kind != L4_TCP)
		return;
	plain_tcp(frame, v->total_len, &tcp);
	assert_true(tcp.seq == l4->seq && tcp.ack == l4->ack && tcp.window == l4->window && tcp.flags == l4->flags &&
		    tcp.payload_len == l4->payload_len && tcp.options_len == l4->options_len &&
		    tcp.header_len == l4->header_len);
}

/* Step by step, as the hooks do it. */
static void rewrite_whole(uint8_t *frame, struct ipv4_view *ip, struct l4_view *l4, const struct rewrite *to,
			  const uint16_t *id, enum rewrite_check check)
{
	uint8_t *l3 = frame + ETHER_HEADER_LEN;
	struct rewrite first = *to;

	first.src = ip->src;
	if (l4->kind != L4_ICMP_QUERY)
		first.sport = l4->sport;
	rewrite_packet(l3, ip, l4, &first, check);
	ipv4_set_ttl(l3, (uint8_t)(ip->ttl - 1));
	if (id != NULL)
		ipv4_set_id(l3, *id);
	rewrite_packet(l3, ip, l4, to, check);
}

/* The destination port with which the UDP checksum becomes 0, which is written as 0xffff. */
static uint16_t port_of_zero_sum(const uint8_t *frame, struct ipv4_view ip, struct l4_view l4, const struct rewrite *to)
{
	uint8_t whole[FRAME_MAX];

	memcpy(whole, frame, FRAME_MAX);
	rewrite_whole(whole, &ip, &l4, to, NULL, REWRITE_CHECK_FULL);
	return checksum_fold((uint32_t)to->dport + l4.check);
}

static void check_rewrite(struct rng *r, const uint8_t *frame, const struct plain *v, struct ipv4_view ip,
			  struct l4_view l4)
{
	uint8_t whole[FRAME_MAX], plain[FRAME_MAX];
	uint16_t id = (uint16_t)pick(r, 65536);
	const uint16_t *new_id = pick(r, 2) == 0 ? &id : NULL;
	enum rewrite_check check =
		v->kind != PLAIN_ECHO && pick(r, 4) == 0 ? REWRITE_CHECK_PARTIAL : REWRITE_CHECK_FULL;
	struct rewrite to = { .src = pick(r, 2) ? (uint32_t)rng_u64(r) : v->src,
			      .dst = pick(r, 2) ? (uint32_t)rng_u64(r) : v->dst,
			      .sport = (uint16_t)(pick(r, 2) ? pick(r, 65536) : v->sport),
			      .dport = (uint16_t)(pick(r, 2) ? pick(r, 65536) : v->dport) };

	if (v->kind == PLAIN_ECHO && pick(r, 3) == 0)
		to.sport = 0;
	if (v->kind == PLAIN_UDP && pick(r, 4) == 0)
		to.dport = port_of_zero_sum(frame, ip, l4, &to);
	memcpy(whole, frame, FRAME_MAX);
	memcpy(plain, frame, FRAME_MAX);
	rewrite_whole(whole, &ip, &l4, &to, new_id, check);
	plain_translate(plain, v, &to, new_id, check);
	assert_memory_equal(whole, plain, FRAME_MAX);
}

/* Would catch: a frame taken as plain that the parser refuses or reads otherwise, one that is plain and not taken, a
 * byte that the quick rewriting leaves otherwise than the hooks. */
static void test_same_as_whole(void **state)
{
	static const uint8_t seed[RNG_SEED_BYTES] = "plain";
	uint64_t mac = plain_mac(&us);
	uint32_t n_plain = 0, n_views = 0;
	struct rng r;

	rng_init(&r, seed);
	for (uint32_t i = 0; i < N_FRAMES; i++) {
		/* Exactly as long as it is: a read behind its end is seen by the sanitizer. */
		uint8_t space[FRAME_MAX];
		uint32_t len = make(&r, space);
		uint8_t *frame = malloc(len + 1);
		struct ipv4_view ip;
		struct l4_view l4;
		struct plain v;

		memcpy(frame, space, len);
		plain_parse(frame, len, mac, &v);
		enum plain_kind whole = kind_of_whole(frame, len, &ip, &l4);

		if (v.kind >= PLAIN_TCP_CONTROL || whole != PLAIN_NOT)
			assert_int_equal(v.kind, whole);
		if (plain_has_views(&v)) {
			n_views++;
			check_views(frame, &v, &ip, &l4);
		}
		if (whole >= PLAIN_TCP) {
			n_plain++;
			check_values(frame, &v, &ip, &l4);
			check_rewrite(&r, space, &v, ip, l4);
		}
		free(frame);
	}
	assert_true(n_plain > N_FRAMES / 10 && n_views > N_FRAMES / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_same_as_whole) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
