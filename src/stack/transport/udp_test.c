/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>

#include "stack/ip/stack_fixture.h"
#include "stack/transport/udp.h"

#define GROUP IP4(239, 1, 2, 3)

struct fixture {
	struct stack_fixture *b;
	struct udp *u;
	uint32_t n_changed, why;
};

static void note(void *ctx, uint64_t user, uint32_t why)
{
	struct fixture *f = ctx;

	f->n_changed++;
	f->why |= why;
}

static void begin(struct fixture *f, uint32_t n_sockets)
{
	*f = (struct fixture){ .b = fixture_create_settled() };
	f->u = udp_create(&f->b->env, f->b->s, &(struct udp_limits){ .n_sockets = n_sockets });
	assert_non_null(f->u);
	udp_set_user(f->u, note, f);
}

static void end(struct fixture *f)
{
	udp_destroy(f->u);
	fixture_destroy(f->b);
}

static struct datagram_end at(uint32_t addr, uint16_t port)
{
	return (struct datagram_end){ ip_addr_v4(addr), port };
}

static struct udp_socket *bound(struct fixture *f, uint32_t addr, uint16_t port)
{
	struct udp_socket *s = udp_open(f->u, 1);
	struct datagram_end e = at(addr, port);

	assert_non_null(s);
	assert_int_equal(udp_bind(f->u, s, &e), 0);
	return s;
}

static struct udp_socket *sharing(struct fixture *f, uint32_t addr, uint16_t port)
{
	struct udp_socket *s = udp_open(f->u, 1);
	struct datagram_end e = at(addr, port);

	s->d.o.reuse_port = s->d.o.reuse_addr = true;
	assert_int_equal(udp_bind(f->u, s, &e), 0);
	return s;
}

static int connect_to(struct fixture *f, struct udp_socket *s, uint32_t addr, uint16_t port)
{
	struct datagram_end e = at(addr, port);

	return udp_connect(f->u, s, &e);
}

static int64_t receive(struct fixture *f, struct udp_socket *s, struct datagram_info *info)
{
	static uint8_t bytes[UINT16_MAX];
	struct span span = { bytes, sizeof(bytes) };

	return udp_recv(f->u, s, &span, 1, 0, info);
}

static int64_t send_to(struct fixture *f, struct udp_socket *s, uint32_t addr, uint16_t port, uint32_t len)
{
	static uint8_t bytes[UINT16_MAX];
	struct span span[2] = { { bytes, len / 2 }, { bytes + len / 2, len - len / 2 } };
	struct datagram_out out = datagram_out_default;

	if (addr != 0)
		out.to = at(addr, port);
	for (uint32_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 3);
	int64_t n = udp_send(f->u, s, &out, span, 2);

	ip_flush(f->b->s);
	fixture_check_law(f->b);
	return n;
}

static void arrive(struct fixture *f, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport)
{
	struct packet_spec sp = {
		.src = src, .dst = dst, .proto = IPPROTO_NR_UDP, .payload_len = 20, .sport = sport, .dport = dport
	};

	fixture_input_spec(f->b, &sp);
}

/* Would catch: bytes or ends of a datagram that are wrong, one that comes twice, a closed port that is silent, or a
 * socket's port that still answers when the socket is gone. */
static void test_delivery(void **state)
{
	struct fixture f;
	struct datagram_info info;

	begin(&f, 8);
	struct udp_socket *s = bound(&f, 0, 9);

	arrive(&f, LAN_HOST, 1234, LAN_US, 9);
	assert_int_equal(f.why, DATAGRAM_CHANGED_IN);
	assert_int_equal(fixture_n_sent(f.b), 0);
	assert_int_equal(datagram_first_len(&s->d, UDP_HEADER_LEN), 20);
	assert_int_equal(receive(&f, s, &info), 20);
	assert_int_equal(info.from.addr.v4, LAN_HOST);
	assert_int_equal(info.from.port, 1234);
	assert_int_equal(info.to.addr.v4, LAN_US);
	assert_int_equal(info.to.port, 9);
	assert_int_equal(info.ifindex, LAN);
	assert_int_equal(info.ttl, 64);
	assert_int_equal(info.len, 20);
	assert_int_equal(receive(&f, s, &info), -EAGAIN);
	arrive(&f, LAN_HOST, 1234, LAN_US, 10);
	assert_int_equal(fixture_n_sent(f.b), 1);
	assert_int_equal(fixture_seen(f.b, LAN, 0).l4.code, ICMP_PORT_UNREACHABLE);
	arrive(&f, LAN_HOST, 1234, LAN_US, 9);
	udp_close(f.u, s);
	fixture_forget(f.b);
	arrive(&f, LAN_HOST, 1234, LAN_US, 9);
	assert_int_equal(fixture_n_sent(f.b), 1);
	end(&f);
}

/* Would catch: what is cut off and not told of, a peek that takes. */
static void test_short_and_peek(void **state)
{
	struct fixture f;
	struct datagram_info info;
	uint8_t bytes[8];
	struct span span = { bytes, sizeof(bytes) };

	begin(&f, 8);
	struct udp_socket *s = bound(&f, 0, 9);

	arrive(&f, LAN_HOST, 1234, LAN_US, 9);
	assert_int_equal(udp_recv(f.u, s, &span, 1, DATAGRAM_RECV_PEEK, &info), 8);
	assert_int_equal(info.len, 20);
	assert_int_equal(udp_recv(f.u, s, &span, 1, 0, &info), 8);
	assert_true(bytes[0] == 0 && bytes[7] == 7);
	assert_int_equal(udp_recv(f.u, s, &span, 1, 0, &info), -EAGAIN);
	end(&f);
}

/* Would catch: a packet that goes to a worse socket than the best. */
static void test_best(void **state)
{
	struct fixture f;
	struct datagram_info info;

	begin(&f, 8);
	struct udp_socket *any = sharing(&f, 0, 9), *one = sharing(&f, LAN_US, 9), *wan = sharing(&f, 0, 9),
			  *peer = sharing(&f, LAN_US, 9);

	wan->d.o.ifindex = WAN;
	assert_int_equal(connect_to(&f, peer, LAN_HOST, 77), 0);
	arrive(&f, LAN_HOST, 77, LAN_US, 9);
	assert_int_equal(receive(&f, peer, &info), 20);
	arrive(&f, LAN_HOST, 78, LAN_US, 9);
	assert_int_equal(receive(&f, one, &info), 20);
	fixture_input_spec(f.b, &(struct packet_spec){ .src = FAR,
						       .dst = WAN_US,
						       .proto = IPPROTO_NR_UDP,
						       .payload_len = 20,
						       .sport = 1,
						       .dport = 9,
						       .in = WAN });
	assert_int_equal(receive(&f, wan, &info), 20);
	udp_close(f.u, one);
	arrive(&f, LAN_HOST, 78, LAN_US, 9);
	assert_int_equal(receive(&f, any, &info), 20);
	/* Not connected any more: as any that is bound there. */
	assert_int_equal(udp_connect(f.u, peer, &(struct datagram_end){ 0 }), 0);
	arrive(&f, LAN_HOST, 79, LAN_US, 9);
	assert_int_equal(receive(&f, peer, &info), 20);
	end(&f);
}

/* Would catch: a port that two have though one did not say so, or that none gets though all did. */
static void test_clashes(void **state)
{
	static const struct {
		bool reuse_addr[2], reuse_port[2];
		uint32_t addr[2];
		int rc;
	} row[] = {
		{ { false, false }, { false, false }, { 0, 0 }, -EADDRINUSE },
		{ { true, false }, { false, false }, { 0, 0 }, -EADDRINUSE },
		{ { true, true }, { false, false }, { 0, 0 }, 0 },
		{ { false, false }, { true, true }, { 0, 0 }, 0 },
		{ { true, false }, { false, true }, { 0, 0 }, -EADDRINUSE },
		{ { false, false }, { false, false }, { LAN_US, WAN_US }, 0 },
		{ { false, false }, { false, false }, { LAN_US, 0 }, -EADDRINUSE },
		{ { false, false }, { false, false }, { LAN_US, LAN_US }, -EADDRINUSE },
		{ { false, false }, { false, false }, { LAN_US, LAN_HOST }, -EADDRNOTAVAIL },
	};

	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct fixture f;
		struct udp_socket *s[2];
		int rc = 0;

		begin(&f, 8);
		for (int k = 0; k < 2; k++) {
			struct datagram_end e = at(row[i].addr[k], 9);

			s[k] = udp_open(f.u, 1);
			s[k]->d.o.reuse_addr = row[i].reuse_addr[k];
			s[k]->d.o.reuse_port = row[i].reuse_port[k];
			rc = udp_bind(f.u, s[k], &e);
			assert_int_equal(rc, k == 0 ? 0 : row[i].rc);
		}
		end(&f);
	}
}

/* Would catch: a group of sockets of which one gets all, or a flow that changes its socket. */
static void test_reuse_port(void **state)
{
	struct fixture f;
	struct datagram_info info;
	struct udp_socket *s[4];
	uint32_t n[4] = { 0 };

	begin(&f, 8);
	for (int i = 0; i < 4; i++)
		s[i] = sharing(&f, 0, 9);
	for (uint16_t port = 1; port <= 400; port++) {
		int who[2] = { -1, -1 };

		for (int round = 0; round < 2; round++) {
			arrive(&f, LAN_HOST, port, LAN_US, 9);
			for (int i = 0; i < 4; i++)
				if (receive(&f, s[i], &info) == 20)
					who[round] = i;
		}
		assert_int_equal(who[0], who[1]);
		assert_true(who[0] >= 0);
		n[who[0]]++;
	}
	for (int i = 0; i < 4; i++)
		assert_in_range(n[i], 60, 140);
	end(&f);
}

static void arrive_group(struct fixture *f, uint32_t dst)
{
	static struct frame frame;
	struct packet_spec sp = {
		.src = LAN_HOST, .dst = dst, .proto = IPPROTO_NR_UDP, .payload_len = 20, .sport = 5, .dport = 9
	};

	fixture_frame(&frame, &sp);
	memset(frame.bytes, 0xff, 6);
	if (ip4_is_multicast(dst)) {
		struct ether_addr mac = ip_group_address(dst);

		memcpy(frame.bytes, &mac, 6);
	}
	fixture_input(f->b, LAN, &frame);
}

/* Would catch: a member that misses what is for its group, somebody else who hears it, a group that stays joined. */
static void test_groups(void **state)
{
	struct fixture f;
	struct datagram_info info;

	begin(&f, 8);
	const struct datagram_stack *d = udp_stack(f.u);
	struct udp_socket *a = sharing(&f, 0, 9), *b = sharing(&f, GROUP, 9), *c = sharing(&f, 0, 9),
			  *other = sharing(&f, LAN_US, 9);

	c->d.o.multicast_all = false;
	assert_int_equal(datagram_join(d, &a->d, LAN_HOST, LAN, 0), -EINVAL);
	assert_int_equal(datagram_join(d, &a->d, GROUP, 60, 0), -ENODEV);
	assert_int_equal(datagram_leave(d, &a->d, GROUP, LAN, 0), -EADDRNOTAVAIL);
	arrive_group(&f, GROUP);
	assert_int_equal(f.b->env.ledger.n_dropped[DROP_GROUP_NOT_JOINED], 1);
	assert_int_equal(datagram_join(d, &a->d, GROUP, 0, LAN_US), 0);
	assert_int_equal(datagram_join(d, &a->d, GROUP, LAN, 0), -EADDRINUSE);
	arrive_group(&f, GROUP);
	assert_int_equal(receive(&f, a, &info), 20);
	assert_true(info.is_to_many);
	assert_int_equal(receive(&f, b, &info), 20);
	assert_int_equal(receive(&f, c, &info), -EAGAIN);
	assert_int_equal(receive(&f, other, &info), -EAGAIN);
	assert_int_equal(datagram_join(d, &c->d, GROUP, LAN, 0), 0);
	udp_close(f.u, a);
	arrive_group(&f, GROUP);
	assert_int_equal(receive(&f, c, &info), 20);
	assert_int_equal(receive(&f, b, &info), 20);
	assert_int_equal(datagram_leave(d, &c->d, GROUP, LAN, 0), 0);
	arrive_group(&f, GROUP);
	assert_int_equal(f.b->env.ledger.n_dropped[DROP_GROUP_NOT_JOINED], 2);
	/* To all: each that is bound to any, and what is connected by its other end alone. */
	struct udp_socket *peer = sharing(&f, 0, 9);

	assert_int_equal(connect_to(&f, peer, LAN_HOST, 5), 0);
	peer->d.laddr = 0;
	arrive_group(&f, LAN_US | 0xff);
	assert_int_equal(receive(&f, c, &info), 20);
	assert_int_equal(receive(&f, b, &info), -EAGAIN);
	assert_int_equal(receive(&f, peer, &info), 20);
	peer->d.laddr = LAN_US;
	assert_int_equal(connect_to(&f, peer, LAN_HOST, 6), 0);
	peer->d.laddr = 0;
	arrive_group(&f, LAN_US | 0xff);
	assert_int_equal(receive(&f, peer, &info), -EAGAIN);
	peer->d.laddr = LAN_US;
	end(&f);
}

/* Would catch: a queue without an end, one that counts packets that were read, a drop without its name. */
static void test_queue(void **state)
{
	struct fixture f;
	struct datagram_info info;

	begin(&f, 8);
	struct udp_socket *s = bound(&f, 0, 9);

	s->d.o.rcvbuf = 10 * PACKET_SMALL_BYTES;
	for (int i = 0; i < 20; i++)
		arrive(&f, LAN_HOST, 5, LAN_US, 9);
	assert_int_equal(s->d.n_waiting, 11);
	assert_int_equal(f.b->env.ledger.n_dropped[DROP_SOCKET_QUEUE], 9);
	assert_int_equal(s->d.n_dropped, 9);
	for (int i = 0; i < 11; i++)
		assert_int_equal(receive(&f, s, &info), 20);
	assert_int_equal(receive(&f, s, &info), -EAGAIN);
	for (int i = 0; i < 20; i++)
		arrive(&f, LAN_HOST, 5, LAN_US, 9);
	assert_int_equal(s->d.n_waiting, 11);
	end(&f);
}

/* An ICMP error about the last thing that was sent out of LAN. */
static void refuse_last(struct fixture *f, uint8_t type, uint8_t code, uint32_t info)
{
	static struct frame frame;
	const struct fake_device *dev = &f->b->dev[LAN];
	const struct sent *t = &dev->sent[dev->n - 1];
	uint32_t quoted = min_u32(t->len - ETHER_HEADER_LEN, 100);
	struct packet_spec sp = { .src = LAN_HOST, .dst = LAN_US, .proto = IPPROTO_NR_ICMP, .payload_len = quoted };
	struct ipv4_view ip;
	uint8_t *icmp = frame.bytes + ETHER_HEADER_LEN + IPV4_HEADER_LEN;

	fixture_frame(&frame, &sp);
	icmp_emit(icmp, type, code, info);
	memcpy(icmp + ICMP_HEADER_LEN, t->bytes + ETHER_HEADER_LEN, quoted);
	assert_int_equal(ipv4_parse(frame.bytes + ETHER_HEADER_LEN, frame.len - ETHER_HEADER_LEN, &ip), IPV4_OK);
	l4_checksum_set(&ip, icmp, ICMP_HEADER_LEN + quoted);
	fixture_input(f->b, LAN, &frame);
}

/* Would catch: a refusal that a connected socket does not hear of, one that others hear, an error that stays. */
static void test_refused(void **state)
{
	struct fixture f;
	struct datagram_info info;

	begin(&f, 8);
	struct udp_socket *s = udp_open(f.u, 1), *loose = bound(&f, 0, 100);

	assert_int_equal(send_to(&f, s, 0, 0, 10), -EDESTADDRREQ);
	assert_int_equal(connect_to(&f, s, LAN_HOST, 9), 0);
	assert_int_equal(s->d.laddr, LAN_US);
	assert_int_equal(send_to(&f, s, 0, 0, 10), 10);
	refuse_last(&f, ICMP_DEST_UNREACHABLE, ICMP_PORT_UNREACHABLE, 0);
	assert_int_equal(f.why, DATAGRAM_CHANGED_ERROR);
	assert_int_equal(receive(&f, s, &info), -ECONNREFUSED);
	assert_int_equal(receive(&f, s, &info), -EAGAIN);
	refuse_last(&f, ICMP_DEST_UNREACHABLE, ICMP_PORT_UNREACHABLE, 0);
	assert_int_equal(send_to(&f, s, 0, 0, 10), -ECONNREFUSED);
	assert_int_equal(send_to(&f, s, 0, 0, 10), 10);
	/* Soft ones are not told of. */
	refuse_last(&f, ICMP_DEST_UNREACHABLE, ICMP_HOST_UNREACHABLE, 0);
	assert_int_equal(receive(&f, s, &info), -EAGAIN);
	assert_int_equal(send_to(&f, loose, LAN_HOST, 9, 10), 10);
	refuse_last(&f, ICMP_DEST_UNREACHABLE, ICMP_PORT_UNREACHABLE, 0);
	assert_int_equal(receive(&f, loose, &info), -EAGAIN);
	end(&f);
}

/* Would catch: an error that is asked for and does not come, or says something else; a queue of errors without end. */
static void test_error_queue(void **state)
{
	struct fixture f;
	struct datagram_error e;
	uint8_t bytes[64];
	struct span span = { bytes, sizeof(bytes) };

	begin(&f, 8);
	struct udp_socket *s = bound(&f, 0, 100);

	s->d.o.recv_error = true;
	assert_int_equal(datagram_recv_error(udp_stack(f.u), &s->d, &span, 1, 0, &e), -EAGAIN);
	assert_int_equal(send_to(&f, s, LAN_HOST, 9, 10), 10);
	refuse_last(&f, ICMP_DEST_UNREACHABLE, ICMP_HOST_UNREACHABLE, 0);
	refuse_last(&f, ICMP_TIME_EXCEEDED, 0, 0);
	assert_int_equal(datagram_recv_error(udp_stack(f.u), &s->d, &span, 1, 0, &e), 10);
	assert_int_equal(e.err, EHOSTUNREACH);
	assert_int_equal(e.origin, DATAGRAM_ORIGIN_ICMP);
	assert_int_equal(e.type, ICMP_DEST_UNREACHABLE);
	assert_int_equal(e.code, ICMP_HOST_UNREACHABLE);
	assert_int_equal(e.offender, LAN_HOST);
	assert_int_equal(e.dst, LAN_HOST);
	assert_int_equal(e.dport, 9);
	for (uint8_t i = 0; i < 10; i++)
		assert_int_equal(bytes[i], (uint8_t)(i * 3));
	assert_int_equal(s->d.error, EHOSTUNREACH);
	assert_int_equal(datagram_recv_error(udp_stack(f.u), &s->d, &span, 1, 0, &e), 10);
	assert_int_equal(e.type, ICMP_TIME_EXCEEDED);
	assert_int_equal(s->d.error, 0);
	s->d.o.rcvbuf = 3 * PACKET_SMALL_BYTES;
	for (int i = 0; i < 20; i++)
		refuse_last(&f, ICMP_TIME_EXCEEDED, 0, 0);
	assert_int_equal(datagram_memory(&s->d), 4 * PACKET_SMALL_BYTES);
	end(&f);
}

/* Would catch: bytes, ports or marks of what is sent that are not what was asked for; a size or a destination that is
 * let through. */
static void test_send(void **state)
{
	struct fixture f;

	begin(&f, 8);
	struct udp_socket *s = bound(&f, 0, 100);

	s->d.o.ttl = 9;
	s->d.o.tos = 0x10;
	assert_int_equal(send_to(&f, s, LAN_HOST, 9, 31), 31);
	struct seen v = fixture_seen(f.b, LAN, 0);

	assert_int_equal(v.ip.src, LAN_US);
	assert_int_equal(v.l4.sport, 100);
	assert_int_equal(v.l4.dport, 9);
	assert_int_equal(v.l4.payload_len, 31);
	assert_int_equal(v.ip.ttl, 9);
	assert_int_equal(v.ip.tos, 0x10);
	assert_true(v.l4.check != 0);
	assert_int_equal(v.p4[UDP_HEADER_LEN + 30], 90);
	s->d.o.no_check = true;
	assert_int_equal(send_to(&f, s, LAN_HOST, 9, 31), 31);
	assert_int_equal(fixture_seen(f.b, LAN, 1).l4.check, 0);
	assert_int_equal(send_to(&f, s, LAN_HOST, 9, 65508), -EMSGSIZE);
	assert_int_equal(send_to(&f, s, LAN_HOST, 0, 10), -EINVAL);
	assert_int_equal(send_to(&f, s, LAN_US | 0xff, 9, 10), -EACCES);
	fixture_dead_routes(f.b);
	assert_int_equal(send_to(&f, s, IP4(172, 16, 0, 1), 9, 10), -EINVAL);
	assert_int_equal(send_to(&f, s, IP4(172, 17, 0, 1), 9, 10), -EHOSTUNREACH);
	assert_int_equal(send_to(&f, s, IP4(172, 18, 0, 1), 9, 10), -EACCES);
	assert_int_equal(send_to(&f, s, IP4(172, 19, 0, 1), 9, 10), -ENETUNREACH);
	s->d.o.broadcast = true;
	fixture_forget(f.b);
	assert_int_equal(send_to(&f, s, LAN_US | 0xff, 9, 10), 10);
	assert_int_equal(fixture_n_sent(f.b), 1);
	s->d.shut_write = true;
	assert_int_equal(send_to(&f, s, LAN_HOST, 9, 10), -EPIPE);
	end(&f);
}

/* Would catch: a path's MTU that is not learned, or a datagram that may not be cut and is. */
static void test_path_mtu(void **state)
{
	struct fixture f;
	struct datagram_info info;

	begin(&f, 8);
	struct udp_socket *s = bound(&f, 0, 100);

	assert_int_equal(send_to(&f, s, LAN_HOST, 9, 1000), 1000);
	assert_false(fixture_seen(f.b, LAN, 0).ip.df);
	assert_int_equal(send_to(&f, s, LAN_HOST, 9, 3000), 3000);
	assert_int_equal(f.b->dev[LAN].n, 4);
	fixture_forget(f.b);
	s->d.o.pmtu = DATAGRAM_PMTU_DO;
	assert_int_equal(send_to(&f, s, LAN_HOST, 9, 1473), -EMSGSIZE);
	assert_int_equal(send_to(&f, s, LAN_HOST, 9, 1472), 1472);
	assert_true(fixture_seen(f.b, LAN, 0).ip.df);
	s->d.o.pmtu = DATAGRAM_PMTU_WANT;
	assert_int_equal(connect_to(&f, s, LAN_HOST, 9), 0);
	assert_int_equal(send_to(&f, s, 0, 0, 1472), 1472);
	assert_true(fixture_seen(f.b, LAN, 1).ip.df);
	refuse_last(&f, ICMP_DEST_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED, 1000);
	assert_int_equal(receive(&f, s, &info), -EMSGSIZE);
	assert_int_equal(datagram_mtu(udp_stack(f.u), &s->d), 1000);
	assert_int_equal(send_to(&f, s, 0, 0, 972), 972);
	assert_true(fixture_seen(f.b, LAN, 2).ip.df);
	assert_int_equal(send_to(&f, s, 0, 0, 973), 973);
	assert_false(fixture_seen(f.b, LAN, 3).ip.df);
	end(&f);
}

/* Would catch: what is sent to a group and not heard here by who joined it, or heard though it was not to be. */
static void test_own_group(void **state)
{
	struct fixture f;
	struct datagram_info info;

	begin(&f, 8);
	struct udp_socket *s = bound(&f, 0, 9);

	s->d.o.multicast_ifindex = LAN;
	assert_int_equal(datagram_join(udp_stack(f.u), &s->d, GROUP, LAN, 0), 0);
	/* What IGMP says of it. */
	ip_flush(f.b->s);
	fixture_forget(f.b);
	assert_int_equal(send_to(&f, s, GROUP, 9, 10), 10);
	assert_int_equal(fixture_seen(f.b, LAN, 0).ip.ttl, 1);
	assert_int_equal(fixture_seen(f.b, LAN, 0).ip.src, LAN_US);
	assert_int_equal(receive(&f, s, &info), 10);
	assert_int_equal(info.from.port, 9);
	s->d.o.multicast_loop = false;
	s->d.o.multicast_ttl = 7;
	assert_int_equal(send_to(&f, s, GROUP, 9, 10), 10);
	assert_int_equal(fixture_seen(f.b, LAN, 1).ip.ttl, 7);
	assert_int_equal(receive(&f, s, &info), -EAGAIN);
	end(&f);
}

/* Would catch: datagrams to an address of ours that do not come back in. */
static void test_to_us(void **state)
{
	struct fixture f;
	struct datagram_info info;

	begin(&f, 8);
	struct udp_socket *a = bound(&f, 0, 9), *b = udp_open(f.u, 2);

	assert_int_equal(connect_to(&f, b, IP4(127, 0, 0, 1), 9), 0);
	assert_int_equal(b->d.laddr, IP4(127, 0, 0, 1));
	assert_int_equal(send_to(&f, b, 0, 0, 3000), 3000);
	assert_int_equal(receive(&f, a, &info), 3000);
	assert_int_equal(info.from.addr.v4, IP4(127, 0, 0, 1));
	assert_int_equal(send_to(&f, a, IP4(127, 0, 0, 1), info.from.port, 4), 4);
	assert_int_equal(receive(&f, b, &info), 4);
	udp_close(f.u, a);
	assert_int_equal(send_to(&f, b, 0, 0, 4), 4);
	assert_int_equal(receive(&f, b, &info), -ECONNREFUSED);
	assert_int_equal(fixture_n_sent(f.b), 0);
	end(&f);
}

/* Would catch: many datagrams in one call that are not cut where they were to be, in sending or for who takes no large
 * ones. */
static void test_segments(void **state)
{
	struct fixture f;
	struct datagram_info info;

	begin(&f, 8);
	struct udp_socket *s = bound(&f, 0, 100), *to = bound(&f, 0, 9);

	s->d.o.gso_size = 1000;
	assert_int_equal(send_to(&f, s, LAN_HOST, 9, 3500), 3500);
	assert_int_equal(fixture_n_sent(f.b), 4);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(fixture_seen(f.b, LAN, i).l4.payload_len, i < 3 ? 1000 : 500);
	assert_int_equal(fixture_seen(f.b, LAN, 3).p4[UDP_HEADER_LEN], (uint8_t)(3000 * 3));
	s->d.o.gso_size = 1473;
	assert_int_equal(send_to(&f, s, LAN_HOST, 9, 3500), -EINVAL);
	s->d.o.gso_size = 10;
	assert_int_equal(send_to(&f, s, LAN_HOST, 9, 1281), -EINVAL);
	assert_int_equal(send_to(&f, s, LAN_HOST, 9, 1280), 1280);
	s->d.o.gso_size = 1000;
	assert_int_equal(send_to(&f, s, IP4(127, 0, 0, 1), 9, 3500), 3500);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(receive(&f, to, &info), i < 3 ? 1000 : 500);
	to->d.o.gro = true;
	assert_int_equal(send_to(&f, s, IP4(127, 0, 0, 1), 9, 3500), 3500);
	assert_int_equal(receive(&f, to, &info), 3500);
	assert_int_equal(info.gso_size, 1000);
	end(&f);
}

/* Would catch: ports that follow one another, one outside of the range, one that is somebody's; an end that is none. */
static void test_ports(void **state)
{
	struct fixture f;
	bool seen[64] = { false };
	uint32_t n_rising = 0;
	uint16_t last = 0;

	begin(&f, 128);
	udp_set_ports(f.u, 5000, 5063);
	for (int i = 0; i < 64; i++) {
		struct udp_socket *s = sharing(&f, 0, 0);

		assert_in_range(s->d.lport, 5000, 5063);
		assert_false(seen[s->d.lport - 5000]);
		seen[s->d.lport - 5000] = true;
		n_rising += s->d.lport == last + 1;
		last = s->d.lport;
	}
	assert_true(n_rising < 16);
	struct udp_socket *s = udp_open(f.u, 1);
	struct datagram_end any = at(0, 0);

	s->d.o.reuse_addr = s->d.o.reuse_port = true;
	assert_int_equal(udp_bind(f.u, s, &any), -EADDRINUSE);
	assert_int_equal(connect_to(&f, s, LAN_HOST, 9), -EAGAIN);
	end(&f);
}

static bool is_told(struct fixture *f, uint32_t addr, uint16_t port)
{
	struct packet p = { .ip = { .dst = addr, .proto = IPPROTO_NR_UDP }, .l4 = { .kind = L4_UDP, .dport = port } };

	return ip_ports_claim_here(f->b->s, &p);
}

/* Would catch: a port of which ip is not told, so that workers refuse what comes to it, or one that stays told. */
static void test_told(void **state)
{
	struct fixture f;

	begin(&f, 8);
	assert_false(is_told(&f, LAN_US, 9));
	struct udp_socket *one = sharing(&f, LAN_US, 9), *any = sharing(&f, 0, 9);

	assert_true(is_told(&f, WAN_US, 9));
	udp_close(f.u, any);
	assert_false(is_told(&f, WAN_US, 9));
	assert_true(is_told(&f, LAN_US, 9));
	udp_close(f.u, one);
	assert_false(is_told(&f, LAN_US, 9));
	/* Its address changes while it has the port. */
	one = bound(&f, 0, 10);
	assert_int_equal(connect_to(&f, one, LAN_HOST, 9), 0);
	assert_true(is_told(&f, LAN_US, 10));
	udp_close(f.u, one);
	assert_false(is_told(&f, LAN_US, 10));
	one = udp_open(f.u, 1);
	assert_int_equal(connect_to(&f, one, LAN_HOST, 9), 0);
	assert_true(is_told(&f, LAN_US, one->d.lport));
	end(&f);
}

/* Would catch: a full pool that is no errno. */
static void test_full(void **state)
{
	struct fixture f;

	begin(&f, 2);
	struct udp_socket *s = udp_open(f.u, 1);

	assert_non_null(s);
	assert_non_null(udp_open(f.u, 1));
	assert_null(udp_open(f.u, 1));
	udp_close(f.u, s);
	assert_non_null(udp_open(f.u, 1));
	end(&f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delivery),    cmocka_unit_test(test_short_and_peek),
		cmocka_unit_test(test_best),        cmocka_unit_test(test_clashes),
		cmocka_unit_test(test_reuse_port),  cmocka_unit_test(test_groups),
		cmocka_unit_test(test_queue),       cmocka_unit_test(test_refused),
		cmocka_unit_test(test_error_queue), cmocka_unit_test(test_send),
		cmocka_unit_test(test_path_mtu),    cmocka_unit_test(test_own_group),
		cmocka_unit_test(test_to_us),       cmocka_unit_test(test_segments),
		cmocka_unit_test(test_ports),       cmocka_unit_test(test_told),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
