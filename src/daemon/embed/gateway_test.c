/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The gateway as an object, by its public header alone: a client and a server are arrays of packets, the clock is a
 * number.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <yangguan/gateway.h>

#define MS 1000000u
#define FRAME_MAX 2048

#define CLIENT "10.77.0.2"
#define SERVER "203.0.113.254"
#define OURS "203.0.113.1"

/* What left last, by interface. */
static struct {
	uint8_t bytes[FRAME_MAX];
	size_t len;
	uint32_t n;
} out[3];

static struct yg_gateway *gw;
static int lan, wan;
static uint64_t now;
static char why[512];
static uint32_t n_new, n_end, n_released;
static int refuse, loop_to;

static int take(void *ctx, unsigned int interface, const struct yg_frame *f, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		if (refuse)
			return (int)i;
		assert_true(interface < 3 && f[i].len <= FRAME_MAX);
		memcpy(out[interface].bytes, f[i].bytes, f[i].len);
		out[interface].len = f[i].len;
		out[interface].n++;
		/* Straight back in, while the gateway is at it. */
		if (loop_to != 0)
			assert_int_equal(yg_gateway_input(gw, (unsigned int)loop_to, &f[i], 1, now), 1);
	}
	return (int)n;
}

static void note(void *ctx, const struct yg_gateway_event *e)
{
	assert_int_equal(e->size, sizeof(*e));
	if (strcmp(e->kind, "conn-new") == 0) {
		assert_non_null(e->connection);
		n_new++;
	}
	if (strcmp(e->kind, "conn-end") == 0) {
		assert_non_null(e->reason);
		n_end++;
	}
}

static void start(uint32_t parts, const struct yg_gateway_policy *p, uint32_t lan_flags)
{
	struct yg_gateway_config c = { .size = sizeof(c),
				       .parts = parts,
				       .output = take,
				       .event = note,
				       .seed = { 1 },
				       .now = 1000 * MS,
				       .n_packets = 1024,
				       .n_connections = 1024 };
	struct yg_gateway_port port = { .size = sizeof(port), .flags = lan_flags, .mac = { 2, 0, 0, 0, 9, 9 } };

	memset(out, 0, sizeof(out));
	n_new = n_end = n_released = 0;
	refuse = loop_to = 0;
	now = c.now;
	gw = yg_gateway_create(&c, p, why, sizeof(why));
	if (gw == NULL)
		fail_msg("%s", why);
	lan = yg_gateway_attach(gw, "lan0", &port, now);
	wan = yg_gateway_attach(gw, "wan0", NULL, now);
	assert_true(lan > 0 && lan < 3 && wan > 0 && wan < 3 && lan != wan);
	/* What they announced is nobody's. */
	memset(out, 0, sizeof(out));
}

static void end(void)
{
	struct yg_law law = { .size = sizeof(law) };

	yg_gateway_law(gw, &law);
	assert_true(law.holds);
	yg_gateway_destroy(gw);
}

static const struct yg_gateway_interface interfaces[] = {
	{ .size = sizeof(interfaces[0]), .name = "lan0", .address = "10.77.0.1/24" },
	{ .size = sizeof(interfaces[0]),
	  .name = "wan0",
	  .address = "203.0.113.1/24",
	  .flags = YG_INTERFACE_MASQUERADE | YG_INTERFACE_CLOSED },
};
static const struct yg_gateway_forward forward = {
	.size = sizeof(forward), .interface = "wan0", .protocol = "udp", .port = 53, .to = CLIENT, .to_port = 5353
};
static const struct yg_gateway_policy nat = {
	.size = sizeof(nat), .interface = interfaces, .forward = &forward, .n_interfaces = 2, .n_forwards = 1
};

/* --- packets --- */

static uint16_t sum_of(const uint8_t *at, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)at[i] << 8 | at[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

static void put16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/* 32 bytes of IPv4 and UDP, without a checksum. */
static void make_udp(uint8_t ip[32], const char *src, const char *dst, uint16_t sport, uint16_t dport)
{
	memset(ip, 0, 32);
	ip[0] = 0x45;
	put16(ip + 2, 32);
	ip[8] = 64;
	ip[9] = 17;
	assert_int_equal(inet_pton(AF_INET, src, ip + 12), 1);
	assert_int_equal(inet_pton(AF_INET, dst, ip + 16), 1);
	put16(ip + 10, sum_of(ip, 20));
	put16(ip + 20, sport);
	put16(ip + 22, dport);
	put16(ip + 24, 12);
}

static void send_udp(int interface, const char *src, const char *dst, uint16_t sport, uint16_t dport)
{
	uint8_t ip[32];
	struct yg_frame f = { .bytes = ip, .len = sizeof(ip) };

	make_udp(ip, src, dst, sport, dport);
	now += MS;
	assert_int_equal(yg_gateway_input(gw, (unsigned int)interface, &f, 1, now), 1);
}

static void assert_left(int interface, const char *src, const char *dst, uint16_t dport)
{
	const uint8_t *ip = out[interface].bytes;
	char text[16];

	assert_int_equal(out[interface].len, 32);
	assert_string_equal(inet_ntop(AF_INET, ip + 12, text, sizeof(text)), src);
	assert_string_equal(inet_ntop(AF_INET, ip + 16, text, sizeof(text)), dst);
	assert_int_equal(get16(ip + 22), dport);
	assert_int_equal(sum_of(ip, 20), 0);
}

static uint64_t n_dropped;

static void count_drops(void *ctx, const char *name, uint64_t n, const char *what, const char *hint)
{
	if (ctx == NULL || strcmp(ctx, name) == 0)
		n_dropped += n;
}

static uint64_t drops(const char *name)
{
	n_dropped = 0;
	yg_gateway_drops(gw, count_drops, (void *)(uintptr_t)name);
	return n_dropped;
}

static struct yg_connection seen;
static uint32_t n_seen;

static void see(void *ctx, const struct yg_connection *c)
{
	seen = *c;
	n_seen++;
}

static void look(void)
{
	n_seen = 0;
	yg_gateway_connections(gw, see, NULL);
}

/* Would catch: structs that do not say what they promise; packets with a header where there is none; a translation that
 * does not come back; what begins outside and comes in. */
static void test_translates(void **state)
{
	start(YG_GATEWAY_NAT, &nat, 0);
	send_udp(lan, CLIENT, SERVER, 5000, 53);
	assert_left(wan, OURS, SERVER, 53);
	uint16_t outside = get16(out[wan].bytes + 20);

	send_udp(wan, SERVER, OURS, 53, outside);
	assert_left(lan, SERVER, CLIENT, 5000);
	look();
	assert_int_equal(n_seen, 1);
	assert_int_equal(seen.protocol, 17);
	assert_true(seen.is_answered);
	assert_int_equal(seen.packets, 1);
	assert_int_equal(seen.reply_packets, 1);
	assert_true(seen.timeout_s > 0);
	assert_int_equal(((struct sockaddr_in *)&seen.reply_destination)->sin_port, htons(outside));
	assert_int_equal(n_new, 1);

	/* Nothing begins outside but what is forwarded by name. */
	send_udp(wan, SERVER, OURS, 53, 7777);
	send_udp(wan, SERVER, CLIENT, 53, 5000);
	assert_int_equal(out[lan].n, 1);
	assert_int_equal(drops(NULL), 2);
	send_udp(wan, SERVER, OURS, 4000, 53);
	assert_left(lan, SERVER, CLIENT, 5353);

	/* Time goes on, and connections end. */
	for (uint64_t d; (d = yg_gateway_next_deadline(gw)) < now + UINT64_C(400000) * MS;)
		yg_gateway_run(gw, d);
	look();
	assert_int_equal(n_seen, 0);
	assert_int_equal(n_end, 2);
	end();
}

/* Would catch: an Ethernet header lost or doubled where one side has it and the other has none; ARP for nobody. */
static void test_ethernet_on_one_side(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 9, 9 }, theirs[6] = { 2, 0, 0, 0, 1, 1 };
	uint8_t frame[60] = { 0 };
	struct yg_frame f = { .bytes = frame, .len = sizeof(frame) };

	start(YG_GATEWAY_NAT, &nat, YG_ETHERNET);
	memcpy(frame, mac, 6);
	memcpy(frame + 6, theirs, 6);
	put16(frame + 12, 0x0800);
	make_udp(frame + 14, CLIENT, SERVER, 5000, 53);
	assert_int_equal(yg_gateway_input(gw, (unsigned int)lan, &f, 1, now += MS), 1);
	assert_left(wan, OURS, SERVER, 53);

	send_udp(wan, SERVER, OURS, 53, get16(out[wan].bytes + 20));
	/* It asks first. */
	assert_int_equal(get16(out[lan].bytes + 12), 0x0806);
	uint8_t reply[60] = { 0 };

	memcpy(reply, mac, 6);
	memcpy(reply + 6, theirs, 6);
	memcpy(reply + 12, out[lan].bytes + 12, 8);
	put16(reply + 20, 2);
	memcpy(reply + 22, theirs, 6);
	memcpy(reply + 28, out[lan].bytes + 38, 4);
	memcpy(reply + 32, out[lan].bytes + 22, 10);
	f.bytes = reply;
	assert_int_equal(yg_gateway_input(gw, (unsigned int)lan, &f, 1, now += MS), 1);
	assert_memory_equal(out[lan].bytes, theirs, 6);
	assert_memory_equal(out[lan].bytes + 6, mac, 6);
	assert_int_equal(get16(out[lan].bytes + 14 + 22), 5000);
	end();
}

/* Would catch: a text that is not read, a text and structs that know nothing of each other, counters that nobody adds
 * up.
 */
static void test_text(void **state)
{
	static const char text[] = "interface lan0 { address 10.77.0.1/24; }\n"
				   "table ip t { chain f { type filter hook forward priority 0; policy accept;\n"
				   "oifname \"wan0\" udp dport 9 counter drop\n} }\n";
	struct yg_gateway_policy p = nat;

	p.text = text;
	p.interface = &interfaces[1];
	p.n_interfaces = 1;
	p.n_forwards = 0;
	start(YG_GATEWAY_NAT, &p, 0);
	send_udp(lan, CLIENT, SERVER, 5000, 9);
	assert_int_equal(out[wan].n, 0);
	send_udp(lan, CLIENT, SERVER, 5000, 53);
	assert_left(wan, OURS, SERVER, 53);
	end();
}

static uint64_t counted;

static void add_rule(void *ctx, const struct yg_rule *r)
{
	counted += r->packets;
}

static void add_pool(void *ctx, const struct yg_pool *p)
{
	counted += p->n_used_udp;
}

/* Would catch: a policy that is half in force; connections that do not outlive a change; an interface that is another
 * one afterwards; listings that leave something out. */
static void test_changes(void **state)
{
	struct yg_gateway_policy p = { .size = sizeof(p), .text = "interface lan0 { address 10.77.0.300/24; }\n" };

	start(YG_GATEWAY_NAT, &nat, 0);
	send_udp(lan, CLIENT, SERVER, 5000, 53);
	uint16_t outside = get16(out[wan].bytes + 20);

	assert_int_equal(yg_gateway_configure(gw, &p, now, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "policy:1:"));

	/* In other order, with one interface more, and a rule that counts. */
	p = nat;
	p.text = "interface aaa { address 192.0.2.1/24; }\n"
		 "table ip t { chain f { type filter hook forward priority -5; counter accept\n} }\n";
	assert_int_equal(yg_gateway_configure(gw, &p, now, why, sizeof(why)), 0);
	assert_int_equal(yg_gateway_attach(gw, "aaa", NULL, now), 3);
	assert_int_equal(yg_gateway_attach(gw, "nobody", NULL, now), -ENOENT);
	memset(out, 0, sizeof(out));
	send_udp(wan, SERVER, OURS, 53, outside);
	assert_left(lan, SERVER, CLIENT, 5000);
	counted = 0;
	yg_gateway_rules(gw, add_rule, NULL);
	assert_int_equal(counted, 1);
	counted = 0;
	yg_gateway_pools(gw, add_pool, NULL);
	assert_int_equal(counted, 1);

	/* An interface that leaves has no port any more. */
	assert_int_equal(yg_gateway_configure(gw, &nat, now, why, sizeof(why)), 0);
	assert_int_equal(yg_gateway_detach(gw, 3, now), -ENODEV);
	struct yg_frame f = { .bytes = why, .len = 20 };

	assert_int_equal(yg_gateway_input(gw, 3, &f, 1, now), -ENODEV);
	end();
}

static void expect_refused(uint32_t parts, const struct yg_gateway_policy *p, const char *reason)
{
	struct yg_gateway_config c = { .size = sizeof(c), .parts = parts, .output = take, .n_packets = 64 };

	assert_null(yg_gateway_create(&c, p, why, sizeof(why)));
	if (strstr(why, reason) == NULL)
		fail_msg("\"%s\" says nothing of \"%s\"", why, reason);
}

/* Would catch: what a gateway cannot do, taken in silence; a struct's string that is read as statements. */
static void test_refuses(void **state)
{
	struct yg_gateway_interface odd = { .size = sizeof(odd), .name = "lan0\"; }", .address = "10.0.0.1/24" };
	struct yg_gateway_policy p = { .size = sizeof(p), .interface = &odd, .n_interfaces = 1 };

	expect_refused(0, &p, "is no name");
	odd.name = "lan0";
	odd.address = "10.0.0.1/24; driver tap";
	expect_refused(0, &p, "is no name");
	odd.address = "10.0.0.1/24";
	p.text = "workers 4;";
	expect_refused(0, &p, "workers");
	p.text = "conntrack { max per source 10; }";
	expect_refused(0, &p, "no connection tracking");
	p.text = "conntrack { timeout udp stream 200s; }";
	expect_refused(0, &p, "no connection tracking");
	p.text = "table ip t { chain c { type filter hook forward priority 0; drop\n} }";
	expect_refused(YG_GATEWAY_CONNTRACK, &p, "no rules");
	expect_refused(YG_GATEWAY_RULES, &nat, "no NAT");
	p.text = "nonsense";
	expect_refused(YG_GATEWAY_NAT, &p, "nonsense");
}

/* Would catch: a router that tracks; a short struct of an older header that is read past its end. */
static void test_parts(void **state)
{
	static const struct yg_gateway_route route = { .size = sizeof(route), .to = "198.51.100.0/24", .via = SERVER };
	struct {
		struct yg_gateway_interface i[2];
	} plain = { { interfaces[0], interfaces[1] } };
	struct yg_gateway_policy p = { .size = sizeof(p), .interface = plain.i, .route = &route, .n_interfaces = 2 };

	plain.i[1].flags = 0;
	p.n_routes = 1;
	start(0, &p, 0);
	send_udp(lan, CLIENT, "198.51.100.7", 5000, 53);
	assert_left(wan, CLIENT, "198.51.100.7", 53);
	look();
	assert_int_equal(n_seen, 0);
	end();
	start(YG_GATEWAY_CONNTRACK, &p, 0);
	send_udp(lan, CLIENT, "198.51.100.7", 5000, 53);
	look();
	assert_int_equal(n_seen, 1);
	end();
	p.size = offsetof(struct yg_gateway_policy, forward) + sizeof(p.forward) + sizeof(p.n_interfaces);
	start(0, &p, 0);
	send_udp(lan, CLIENT, "198.51.100.7", 5000, 53);
	assert_int_equal(out[wan].n, 0);
	end();
}

static void released(void *ctx, uint64_t cookie)
{
	assert_int_equal(cookie, 5);
	n_released++;
}

/* Would catch: lent bytes that come back twice, or not at all when a packet is dropped, refused or never fits; a slot
 * that gives packets to the gateway that it is of. */
static void test_lent(void **state)
{
	uint8_t buffer[YG_HEADROOM + 32];
	struct yg_frame f = { .bytes = buffer + YG_HEADROOM, .len = 32, .release = released, .cookie = 5 };

	start(YG_GATEWAY_NAT, &nat, 0);
	make_udp(buffer + YG_HEADROOM, CLIENT, SERVER, 5000, 53);
	assert_int_equal(yg_gateway_input(gw, (unsigned int)lan, &f, 1, now += MS), 1);
	assert_left(wan, OURS, SERVER, 53);
	assert_int_equal(n_released, 1);
	make_udp(buffer + YG_HEADROOM, "192.0.2.9", SERVER, 5000, 53);
	assert_int_equal(yg_gateway_input(gw, (unsigned int)lan, &f, 1, now += MS), 1);
	assert_int_equal(drops("rpf"), 1);
	assert_int_equal(n_released, 2);
	refuse = 1;
	make_udp(buffer + YG_HEADROOM, CLIENT, SERVER, 5000, 53);
	assert_int_equal(yg_gateway_input(gw, (unsigned int)lan, &f, 1, now += MS), 1);
	assert_int_equal(drops("tx-refused"), 1);
	assert_int_equal(n_released, 3);
	refuse = 0;
	f.len = 70000;
	assert_int_equal(yg_gateway_input(gw, (unsigned int)lan, &f, 1, now += MS), 1);
	assert_int_equal(n_released, 4);

	/* What leaves comes in again by the same interface: our own address as a source, dropped by name. */
	loop_to = wan;
	send_udp(lan, CLIENT, SERVER, 5000, 53);
	assert_int_equal(drops("ip-source-ours"), 1);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_translates), cmocka_unit_test(test_ethernet_on_one_side),
		cmocka_unit_test(test_text),       cmocka_unit_test(test_changes),
		cmocka_unit_test(test_refuses),    cmocka_unit_test(test_parts),
		cmocka_unit_test(test_lent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
