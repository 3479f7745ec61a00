/* SPDX-License-Identifier: BSD-2-Clause
 *
 * 127.0.0.0/8 inside a stack, by the public headers: all of it is the stack itself, and none of it is ever on the wire
 * (RFC 1122 section 3.2.1.3 g).
 */
#include <errno.h>
#include <linux/icmp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <yangguan/info.h>
#include <yangguan/socket.h>
#include <yangguan/stack.h>

#define PORT 7
#define FIRST 0x7f000001u /* 127.0.0.1 */
#define OTHER 0x7f050607u /* 127.5.6.7 */
#define OURS 0x0a000001u
#define NEIGHBOUR 0x0a000002u

static struct yg_stack *s;
static uint32_t n_out;
static uint64_t now;

static int count_out(void *ctx, struct yg_packet *const *p, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		yg_packet_free(s, p[i]);
	n_out += n;
	return (int)n;
}

static int set_up(void **state)
{
	struct yg_stack_config c = {
		.size = sizeof(c), .output = count_out, .address = "10.0.0.1/24", .n_packets = 1024
	};

	now = 1000;
	s = yg_stack_create(&c);
	/* What it says of its address when it begins. */
	for (; yg_next_deadline(s) != YG_NEVER && yg_next_deadline(s) < 60000000000u; now = yg_next_deadline(s))
		yg_run(s, yg_next_deadline(s));
	n_out = 0;
	return s != NULL ? 0 : -1;
}

/* Nothing has left, and nothing has vanished. */
static int tear_down(void **state)
{
	struct yg_law law = { .size = sizeof(law) };

	assert_int_equal(n_out, 0);
	yg_law(s, &law);
	assert_true(law.holds);
	yg_stack_destroy(s);
	return 0;
}

static struct sockaddr_in name_of(uint32_t addr, uint16_t port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(addr) } };

	return in;
}

static int bound(int type, uint32_t addr)
{
	struct sockaddr_in at = name_of(addr, PORT);
	int fd = yg_socket(s, AF_INET, type, 0);

	assert_true(fd >= 0);
	assert_int_equal(yg_bind(s, fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static uint32_t own_address(int fd)
{
	struct sockaddr_in in;
	socklen_t len = sizeof(in);

	assert_int_equal(yg_getsockname(s, fd, (struct sockaddr *)&in, &len), 0);
	return ntohl(in.sin_addr.s_addr);
}

/* What becomes of a connection that is asked for: all of it happens within the call. */
static int connect_to(int fd, uint32_t addr)
{
	struct sockaddr_in to = name_of(addr, PORT);
	int error = 0;
	socklen_t len = sizeof(error);

	assert_int_equal(yg_connect(s, fd, (struct sockaddr *)&to, sizeof(to)), -EINPROGRESS);
	assert_int_equal(yg_getsockopt(s, fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	return -error;
}

static const uint32_t addresses[] = { FIRST, OTHER };

/* Would catch: datagrams to an address of 127/8 that do not arrive, that come from another one, or whose port is not
 * refused where nobody is. */
static void test_udp(void **state)
{
	for (int i = 0; i < 2; i++) {
		struct sockaddr_in to = name_of(addresses[i], PORT), none = name_of(addresses[i], PORT + 1), from;
		socklen_t len = sizeof(from);
		int server = bound(SOCK_DGRAM, addresses[i]), client = yg_socket(s, AF_INET, SOCK_DGRAM, 0);
		char b[8];

		assert_int_equal(yg_sendto(s, client, "ask", 3, 0, (struct sockaddr *)&to, sizeof(to)), 3);
		assert_int_equal(yg_recvfrom(s, server, b, sizeof(b), 0, (struct sockaddr *)&from, &len), 3);
		assert_int_equal(ntohl(from.sin_addr.s_addr), addresses[i]);
		assert_int_equal(yg_sendto(s, server, "told", 4, 0, (struct sockaddr *)&from, len), 4);
		assert_int_equal(yg_recv(s, client, b, sizeof(b), 0), 4);
		assert_int_equal(yg_connect(s, client, (struct sockaddr *)&none, sizeof(none)), 0);
		assert_int_equal(own_address(client), addresses[i]);
		assert_int_equal(yg_send(s, client, "x", 1, 0), 1);
		assert_int_equal(yg_recv(s, client, b, sizeof(b), 0), -ECONNREFUSED);
		/* Another address of 127/8 is another one. */
		to = name_of(addresses[1 - i], PORT);
		assert_int_equal(yg_connect(s, client, (struct sockaddr *)&to, sizeof(to)), 0);
		assert_int_equal(yg_send(s, client, "x", 1, 0), 1);
		assert_int_equal(yg_recv(s, server, b, sizeof(b), 0), -EAGAIN);
		assert_int_equal(yg_close(s, client), 0);
		assert_int_equal(yg_close(s, server), 0);
	}
}

/* Would catch: a connection within 127/8 that needs a link, a clock or a neighbour; a listener at one of its addresses
 * that hears another, or one at all that does not. */
static void test_tcp(void **state)
{
	int at_other = bound(SOCK_STREAM, OTHER);

	assert_int_equal(yg_listen(s, at_other, 1), 0);
	for (int i = 0; i < 2; i++) {
		int client = yg_socket(s, AF_INET, SOCK_STREAM, 0), server = at_other, served;
		char b[8];

		if (addresses[i] == FIRST) {
			int refused = yg_socket(s, AF_INET, SOCK_STREAM, 0);

			assert_int_equal(connect_to(refused, FIRST), -ECONNREFUSED);
			assert_int_equal(yg_close(s, refused), 0);
			server = bound(SOCK_STREAM, FIRST);
			assert_int_equal(yg_listen(s, server, 1), 0);
		}
		assert_int_equal(connect_to(client, addresses[i]), 0);
		served = yg_accept(s, server, NULL, NULL);
		assert_int_equal(own_address(client), addresses[i]);
		assert_int_equal(own_address(served), addresses[i]);
		assert_int_equal(yg_send(s, client, "ask", 3, 0), 3);
		assert_int_equal(yg_recv(s, served, b, sizeof(b), 0), 3);
		assert_int_equal(yg_close(s, served), 0);
		assert_int_equal(yg_recv(s, client, b, sizeof(b), 0), 0);
		assert_int_equal(yg_close(s, client), 0);
		assert_int_equal(yg_close(s, server), 0);
	}
}

/* Would catch: an echo that is not answered, or from another address. */
static void test_ping(void **state)
{
	for (int i = 0; i < 2; i++) {
		unsigned char echo[16] = { 8, 0, 0x87, 0xfa, 0, 0, 0, 5, 'p' }, reply[64];
		struct sockaddr_in to = name_of(addresses[i], 0), from;
		socklen_t len = sizeof(from);
		uint32_t all_but_replies = ~1u;
		int fd = yg_socket(s, AF_INET, SOCK_RAW, IPPROTO_ICMP);

		assert_int_equal(yg_setsockopt(s, fd, SOL_RAW, ICMP_FILTER, &all_but_replies, 4), 0);
		assert_int_equal(yg_sendto(s, fd, echo, sizeof(echo), 0, (struct sockaddr *)&to, sizeof(to)),
				 sizeof(echo));
		assert_int_equal(yg_recvfrom(s, fd, reply, sizeof(reply), 0, (struct sockaddr *)&from, &len),
				 20 + sizeof(echo));
		assert_int_equal(reply[20], 0);
		assert_memory_equal(reply + 24, echo + 4, sizeof(echo) - 4);
		assert_int_equal(ntohl(from.sin_addr.s_addr), addresses[i]);
		assert_int_equal(yg_close(s, fd), 0);
	}
}

struct named {
	const char *name;
	uint64_t n;
};

static void find(void *ctx, const char *name, uint64_t n, const char *what, const char *hint)
{
	struct named *want = ctx;

	if (strcmp(name, want->name) == 0)
		want->n = n;
}

static uint64_t dropped(const char *name)
{
	struct named want = { .name = name };

	yg_drops(s, find, &want);
	return want.n;
}

static void put32(unsigned char *at, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		at[i] = (unsigned char)(v >> (24 - 8 * i));
}

#define DATAGRAM_LEN 29

/* One byte, to our port. */
static void make_datagram(unsigned char p[DATAGRAM_LEN], uint32_t src, uint32_t dst)
{
	const unsigned char rest[DATAGRAM_LEN] = {
		[0] = 0x45, [3] = 29, [8] = 64, [9] = IPPROTO_UDP, [21] = 9, [23] = PORT, [25] = 9
	};
	uint32_t sum = 0;

	memcpy(p, rest, sizeof(rest));
	put32(p + 12, src);
	put32(p + 16, dst);
	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	sum = ~((sum & 0xffff) + (sum >> 16));
	p[10] = (unsigned char)(sum >> 8);
	p[11] = (unsigned char)sum;
}

static void from_wire(uint32_t src, uint32_t dst)
{
	unsigned char p[DATAGRAM_LEN];

	make_datagram(p, src, dst);
	assert_int_equal(yg_input_bytes(s, p, sizeof(p), now), 0);
}

/* Would catch: an address of 127/8 as the source of something that leaves. errno as Linux's. */
static void test_none_leaves(void **state)
{
	struct sockaddr_in to = name_of(NEIGHBOUR, PORT);
	unsigned char p[DATAGRAM_LEN];
	int udp = bound(SOCK_DGRAM, FIRST), tcp = bound(SOCK_STREAM, OTHER),
	    raw = yg_socket(s, AF_INET, SOCK_RAW, IPPROTO_RAW);

	assert_int_equal(yg_sendto(s, udp, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), -EINVAL);
	assert_int_equal(yg_connect(s, udp, (struct sockaddr *)&to, sizeof(to)), -EINVAL);
	assert_int_equal(yg_connect(s, tcp, (struct sockaddr *)&to, sizeof(to)), -EINVAL);
	make_datagram(p, FIRST, NEIGHBOUR);
	assert_int_equal(yg_sendto(s, raw, p, sizeof(p), 0, (struct sockaddr *)&to, sizeof(to)), sizeof(p));
	assert_int_equal(dropped("ip-source-martian"), 1);
	/* To an address of our own it may go. */
	to = name_of(OURS, PORT);
	assert_int_equal(yg_connect(s, udp, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(yg_close(s, udp), 0);
	assert_int_equal(yg_close(s, tcp), 0);
	assert_int_equal(yg_close(s, raw), 0);
}

/* Would catch: a packet that comes by the wire, says that it is of or for 127/8 and is taken, answered, or dropped
 * without a name. */
static void test_from_the_wire(void **state)
{
	int fd = bound(SOCK_DGRAM, 0);
	char b;

	for (int i = 0; i < 2; i++) {
		from_wire(NEIGHBOUR, addresses[i]);
		from_wire(addresses[i], OURS);
		from_wire(addresses[i], addresses[1 - i]);
	}
	assert_int_equal(yg_recv(s, fd, &b, 1, 0), -EAGAIN);
	assert_int_equal(dropped("ip-dest-martian"), 2);
	assert_int_equal(dropped("ip-source-martian"), 4);
	/* The same packet of nobody's but the neighbour's is taken. */
	from_wire(NEIGHBOUR, OURS);
	assert_int_equal(yg_recv(s, fd, &b, 1, 0), 1);
	assert_int_equal(yg_close(s, fd), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_udp), TEST(test_tcp), TEST(test_ping), TEST(test_none_leaves), TEST(test_from_the_wire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
