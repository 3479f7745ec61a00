/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>

#include "stack/ip/stack_fixture.h"
#include "stack/transport/raw.h"

#define OSPF_ROUTERS IP4(224, 0, 0, 5)

struct fixture {
	struct stack_fixture *b;
	struct raw *r;
};

static void begin(struct fixture *f)
{
	f->b = fixture_create_settled();
	f->r = raw_create(&f->b->env, f->b->s, &(struct raw_limits){ .n_sockets = 4 });
	assert_non_null(f->r);
}

static void end(struct fixture *f)
{
	raw_destroy(f->r);
	fixture_destroy(f->b);
}

static struct raw_socket *open_raw(struct fixture *f, uint8_t protocol)
{
	struct raw_socket *s;

	assert_int_equal(raw_open(f->r, protocol, 1, &s), 0);
	return s;
}

static int64_t receive(struct fixture *f, struct raw_socket *s, uint8_t *bytes, size_t len)
{
	struct span span = { bytes, len };
	struct datagram_info info;

	return raw_recv(f->r, s, &span, 1, 0, &info);
}

static int64_t send_to(struct fixture *f, struct raw_socket *s, uint32_t addr, uint8_t *bytes, size_t len)
{
	struct span span = { bytes, len };
	struct datagram_out out = datagram_out_default;

	out.to.addr = ip_addr_v4(addr);
	int64_t n = raw_send(f->r, s, &out, &span, 1);

	ip_flush(f->b->s);
	fixture_check_law(f->b);
	return n;
}

static void ping_us(struct fixture *f, uint8_t type)
{
	struct packet_spec sp = {
		.src = LAN_HOST, .dst = LAN_US, .proto = IPPROTO_NR_ICMP, .payload_len = 16, .type = type
	};

	fixture_input_spec(f->b, &sp);
}

/* Would catch: a socket that misses a packet of its protocol, one that takes it from the stack, a filter by type that
 * is not one, a packet without its IP header. */
static void test_icmp(void **state)
{
	struct fixture f;
	uint8_t bytes[100];

	begin(&f);
	struct raw_socket *all = open_raw(&f, IPPROTO_NR_ICMP), *replies = open_raw(&f, IPPROTO_NR_ICMP);

	replies->icmp_filter = ~(1u << ICMP_ECHO_REPLY);
	ping_us(&f, ICMP_ECHO_REQUEST);
	assert_int_equal(fixture_n_sent(f.b), 1);
	assert_int_equal(receive(&f, all, bytes, sizeof(bytes)), 44);
	assert_int_equal(bytes[0], 0x45);
	assert_int_equal(bytes[20], ICMP_ECHO_REQUEST);
	assert_int_equal(receive(&f, replies, bytes, sizeof(bytes)), -EAGAIN);
	ping_us(&f, ICMP_ECHO_REPLY);
	assert_int_equal(receive(&f, all, bytes, sizeof(bytes)), 44);
	assert_int_equal(receive(&f, replies, bytes, sizeof(bytes)), 44);
	raw_close(f.r, all);
	ping_us(&f, ICMP_ECHO_REPLY);
	assert_int_equal(receive(&f, replies, bytes, sizeof(bytes)), 44);
	end(&f);
}

/* Would catch: a protocol that is still answered for when its last socket is gone, or that is refused while there is
 * one; addresses that do not tell sockets apart. */
static void test_protocol(void **state)
{
	static const struct packet_spec from_lan = { .src = LAN_HOST, .dst = LAN_US, .proto = 89, .payload_len = 24 };
	struct fixture f;
	uint8_t bytes[100];

	begin(&f);
	struct raw_socket *any = open_raw(&f, 89), *wan = open_raw(&f, 89), *far = open_raw(&f, 89);
	struct ip_addr a = ip_addr_v4(WAN_US);

	assert_int_equal(raw_bind(f.r, wan, &a), 0);
	a = ip_addr_v4(LAN_HOST);
	assert_int_equal(raw_bind(f.r, wan, &a), -EADDRNOTAVAIL);
	a = ip_addr_v4(FAR);
	assert_int_equal(raw_connect(f.r, far, &a), 0);
	fixture_input_spec(f.b, &from_lan);
	assert_int_equal(fixture_n_sent(f.b), 0);
	assert_int_equal(receive(&f, any, bytes, sizeof(bytes)), 44);
	assert_int_equal(receive(&f, wan, bytes, sizeof(bytes)), -EAGAIN);
	assert_int_equal(receive(&f, far, bytes, sizeof(bytes)), -EAGAIN);
	fixture_input_spec(
		f.b, &(struct packet_spec){ .src = FAR, .dst = WAN_US, .proto = 89, .payload_len = 24, .in = WAN });
	assert_int_equal(receive(&f, any, bytes, sizeof(bytes)), 44);
	assert_int_equal(receive(&f, wan, bytes, sizeof(bytes)), 44);
	assert_int_equal(receive(&f, far, bytes, sizeof(bytes)), 44);
	fixture_input_spec(
		f.b, &(struct packet_spec){ .src = ROUTER, .dst = WAN_US, .proto = 89, .payload_len = 24, .in = WAN });
	assert_int_equal(receive(&f, far, bytes, sizeof(bytes)), -EAGAIN);
	raw_close(f.r, any);
	raw_close(f.r, wan);
	raw_close(f.r, far);
	fixture_input_spec(f.b, &from_lan);
	assert_int_equal(fixture_seen(f.b, LAN, 0).l4.code, ICMP_PROTOCOL_UNREACHABLE);
	end(&f);
}

/* Would catch: OSPF's packets to a group that are not heard, or not sent as they are to be. */
static void test_group(void **state)
{
	struct fixture f;
	uint8_t bytes[100] = { 2, 1 };
	static struct frame frame;
	struct packet_spec sp = { .src = LAN_HOST, .dst = OSPF_ROUTERS, .proto = 89, .payload_len = 24 };
	struct ether_addr mac = ip_group_address(OSPF_ROUTERS);

	begin(&f);
	struct raw_socket *s = open_raw(&f, 89);

	assert_int_equal(datagram_join(raw_stack(f.r), &s->d, OSPF_ROUTERS, LAN, 0), 0);
	fixture_frame(&frame, &sp);
	memcpy(frame.bytes, &mac, 6);
	fixture_input(f.b, LAN, &frame);
	assert_int_equal(receive(&f, s, bytes, sizeof(bytes)), 44);
	s->d.o.multicast_ifindex = LAN;
	assert_int_equal(send_to(&f, s, OSPF_ROUTERS, bytes, 24), 24);
	struct seen v = fixture_seen(f.b, LAN, 0);

	assert_int_equal(v.ip.proto, 89);
	assert_int_equal(v.ip.ttl, 1);
	assert_int_equal(v.ip.src, LAN_US);
	assert_memory_equal(&v.eth.dst, &mac, 6);
	assert_int_equal(receive(&f, s, bytes, sizeof(bytes)), 44);
	s->d.o.multicast_loop = false;
	assert_int_equal(send_to(&f, s, OSPF_ROUTERS, bytes, 24), 24);
	assert_int_equal(receive(&f, s, bytes, sizeof(bytes)), -EAGAIN);
	end(&f);
}

/* Would catch: a header of the user's that goes out with a wrong length, checksum or source; one that lies and is sent.
 */
static void test_own_header(void **state)
{
	struct fixture f;
	uint8_t bytes[1600] = { 0 };
	struct ipv4_view ip = {
		.dst = LAN_HOST, .total_len = 60, .ttl = 3, .proto = 77, .header_len = IPV4_HEADER_LEN
	};

	begin(&f);
	struct raw_socket *s = open_raw(&f, IPPROTO_NR_RAW);

	ipv4_emit(bytes, &ip);
	bytes[2] = bytes[3] = bytes[10] = bytes[11] = 0;
	assert_int_equal(send_to(&f, s, LAN_HOST, bytes, 60), 60);
	struct seen v = fixture_seen(f.b, LAN, 0);

	assert_int_equal(v.ip.src, LAN_US);
	assert_int_equal(v.ip.total_len, 60);
	assert_int_equal(v.ip.ttl, 3);
	assert_int_equal(v.ip.proto, 77);
	assert_int_equal(send_to(&f, s, LAN_HOST, bytes, 19), -EINVAL);
	assert_int_equal(send_to(&f, s, LAN_HOST, bytes, 1501), -EMSGSIZE);
	bytes[0] = 0x4f;
	assert_int_equal(send_to(&f, s, LAN_HOST, bytes, 40), -EINVAL);
	bytes[0] = 0x45;
	assert_int_equal(send_to(&f, s, ROUTER, bytes, 40), -EINVAL);
	bytes[9] = IPPROTO_NR_TCP;
	assert_int_equal(send_to(&f, s, LAN_HOST, bytes, 40), -EINVAL);
	assert_int_equal(fixture_n_sent(f.b), 1);
	end(&f);
}

/* Would catch: an error about a raw socket's packet that it does not hear of though it asked. */
static void test_errors(void **state)
{
	struct fixture f;
	static struct frame frame;
	uint8_t bytes[40] = { 7 }, got[40];
	struct span span = { got, sizeof(got) };
	struct datagram_error e;
	struct ipv4_view ip;

	begin(&f);
	struct raw_socket *s = open_raw(&f, 77);

	s->d.o.recv_error = true;
	assert_int_equal(send_to(&f, s, LAN_HOST, bytes, 40), 40);
	struct packet_spec sp = { .src = LAN_HOST, .dst = LAN_US, .proto = IPPROTO_NR_ICMP, .payload_len = 60 };
	uint8_t *icmp = frame.bytes + ETHER_HEADER_LEN + IPV4_HEADER_LEN;

	fixture_frame(&frame, &sp);
	icmp_emit(icmp, ICMP_DEST_UNREACHABLE, ICMP_PROTOCOL_UNREACHABLE, 0);
	memcpy(icmp + ICMP_HEADER_LEN, fixture_seen(f.b, LAN, 0).l3, 60);
	assert_int_equal(ipv4_parse(frame.bytes + ETHER_HEADER_LEN, frame.len - ETHER_HEADER_LEN, &ip), IPV4_OK);
	l4_checksum_set(&ip, icmp, ICMP_HEADER_LEN + 60);
	fixture_input(f.b, LAN, &frame);
	assert_int_equal(datagram_recv_error(raw_stack(f.r), &s->d, &span, 1, 0, &e), 40);
	assert_int_equal(e.err, ENOPROTOOPT);
	assert_int_equal(got[0], 7);
	end(&f);
}

/* Would catch: a full pool of sockets or hooks that is no errno, or that leaks one. */
static void test_full(void **state)
{
	struct fixture f;
	struct raw_socket *s[4], *none;

	begin(&f);
	for (uint8_t i = 0; i < 4; i++)
		s[i] = open_raw(&f, (uint8_t)(200 + i));
	assert_int_equal(raw_open(f.r, 210, 1, &none), -ENOBUFS);
	raw_close(f.r, s[2]);
	s[2] = open_raw(&f, 210);
	for (uint32_t i = 0; i < 100; i++) {
		raw_close(f.r, s[0]);
		s[0] = open_raw(&f, (uint8_t)(100 + i));
	}
	end(&f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_icmp),       cmocka_unit_test(test_protocol), cmocka_unit_test(test_group),
		cmocka_unit_test(test_own_header), cmocka_unit_test(test_errors),   cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
