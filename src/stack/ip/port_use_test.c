/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which ports somebody has, as a packet to us asks for them; and that one to a port
 * that nobody has is marked before INPUT.
 */
#include <errno.h>

#include "stack/ip/stack_fixture.h"
#include "stack/ip/stack_priv.h"

#define OTHER_US (LAN_US + 1)

static struct packet to(uint8_t proto, uint32_t dst, uint16_t port)
{
	return (struct packet){
		.ip = { .dst = dst, .proto = proto },
		.l4 = { .kind = proto == IPPROTO_NR_TCP ? L4_TCP : L4_UDP, .dport = port, .flags = TCP_ACK }
	};
}

static bool has(struct stack_fixture *b, uint8_t proto, uint32_t dst, uint16_t port)
{
	struct packet p = to(proto, dst, port);

	return ip_ports_claim_here(b->s, &p);
}

/* A segment that would begin a connection. */
static bool listens(struct stack_fixture *b, uint32_t dst, uint16_t port)
{
	struct packet p = to(IPPROTO_NR_TCP, dst, port);

	p.l4.flags = TCP_SYN;
	p.conn_unconfirmed = true;
	return ip_ports_claim_here(b->s, &p);
}

/* Would catch: a port that is closed while somebody still has it, or stays open when nobody has; one that is taken for
 * another protocol's, another address's, or for its neighbour. */
static void test_counts(void **state)
{
	struct stack_fixture *b = fixture_create_settled();

	assert_false(has(b, IPPROTO_NR_UDP, LAN_US, 53));
	assert_int_equal(ip_port_open(b->s, IPPROTO_NR_UDP, 0, 53, IP_PORT_BOUND), 0);
	assert_int_equal(ip_port_open(b->s, IPPROTO_NR_UDP, 0, 53, IP_PORT_BOUND), 0);
	assert_int_equal(ip_port_open(b->s, IPPROTO_NR_UDP, 0, 65535, IP_PORT_BOUND), 0);
	assert_true(has(b, IPPROTO_NR_UDP, LAN_US, 53));
	assert_true(has(b, IPPROTO_NR_UDP, LAN_US, 65535));
	assert_false(has(b, IPPROTO_NR_TCP, LAN_US, 53));
	assert_false(has(b, IPPROTO_NR_UDP, LAN_US, 52));
	assert_false(has(b, IPPROTO_NR_UDP, LAN_US, 53 + 64));
	ip_port_close(b->s, IPPROTO_NR_UDP, 0, 53, IP_PORT_BOUND);
	assert_true(has(b, IPPROTO_NR_UDP, LAN_US, 53));
	ip_port_close(b->s, IPPROTO_NR_UDP, 0, 53, IP_PORT_BOUND);
	assert_false(has(b, IPPROTO_NR_UDP, LAN_US, 53));
	assert_true(has(b, IPPROTO_NR_UDP, LAN_US, 65535));

	assert_int_equal(ip_port_open(b->s, IPPROTO_NR_TCP, LAN_US, 80, IP_PORT_BOUND), 0);
	assert_true(has(b, IPPROTO_NR_TCP, LAN_US, 80));
	assert_false(has(b, IPPROTO_NR_TCP, OTHER_US, 80));
	assert_true(ip_port_is_open(b->s, IPPROTO_NR_TCP, 80));
	assert_false(ip_port_is_open(b->s, IPPROTO_NR_UDP, 80) || ip_port_is_open(b->s, IPPROTO_NR_TCP, 81));
	ip_port_close(b->s, IPPROTO_NR_TCP, LAN_US, 80, IP_PORT_BOUND);
	assert_false(ip_port_is_open(b->s, IPPROTO_NR_TCP, 80));
	assert_false(has(b, IPPROTO_NR_TCP, LAN_US, 80));

	assert_int_equal(ip_port_open(b->s, 132, 0, 80, IP_PORT_BOUND), -EPROTONOSUPPORT);
	assert_int_equal(ip_port_open(b->s, IPPROTO_NR_UDP, 0, 80, IP_PORT_LISTENING), -EPROTONOSUPPORT);
	fixture_destroy(b);
}

/* Would catch: a SYN that is let in by a connection that has the port; a segment of such a connection that is kept out
 * since nobody listens any more; a SYN that meets one of ours (it belongs to a connection that stands). */
static void test_listening(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	struct packet crossed = to(IPPROTO_NR_TCP, LAN_US, 40000);

	assert_int_equal(ip_port_open(b->s, IPPROTO_NR_TCP, LAN_US, 40000, IP_PORT_BOUND), 0);
	assert_true(has(b, IPPROTO_NR_TCP, LAN_US, 40000));
	assert_false(listens(b, LAN_US, 40000));
	crossed.l4.flags = TCP_SYN;
	assert_true(ip_ports_claim_here(b->s, &crossed));
	assert_int_equal(ip_port_open(b->s, IPPROTO_NR_TCP, 0, 40000, IP_PORT_LISTENING), 0);
	assert_true(listens(b, OTHER_US, 40000));
	ip_port_close(b->s, IPPROTO_NR_TCP, 0, 40000, IP_PORT_LISTENING);
	assert_false(listens(b, LAN_US, 40000));
	assert_true(has(b, IPPROTO_NR_TCP, LAN_US, 40000));
	fixture_destroy(b);
}

static void hook(void *ctx, enum ip_hook hook, struct batch *b)
{
	uint32_t *n_unclaimed = ctx;

	(void)hook;
	for (uint32_t i = 0; i < b->n; i++)
		*n_unclaimed += b->p[i]->unclaimed;
}

static void take(void *ctx, struct batch *b)
{
	(void)ctx;
	for (uint32_t i = 0; i < b->n; i++)
		b->p[i]->verdict = VERDICT_DELIVERED;
}

/* Would catch: a row that says by_port and whose packets are claimed whatever their port; one that does not, and whose
 * packets are not. */
static void test_mark(void **state)
{
	struct stack_fixture *b = fixture_create_settled();
	uint32_t n_unclaimed = 0;
	struct hook_entry e = { .name = "test", .fn = hook, .ctx = &n_unclaimed };
	struct ip_protocol row = { .input = take, .unreachable = IP_UNREACHABLE_PORT };
	struct packet_spec udp = UDP_TO(LAN_US);

	assert_int_equal(hook_list_add(ip_stack_hooks(b->s, HOOK_INPUT), &e), 0);
	ip_stack_set_protocol(b->s, IPPROTO_NR_UDP, &row);
	fixture_input_spec(b, &udp);
	assert_int_equal(n_unclaimed, 0);
	row.by_port = true;
	ip_stack_set_protocol(b->s, IPPROTO_NR_UDP, &row);
	fixture_input_spec(b, &udp);
	assert_int_equal(n_unclaimed, 1);
	assert_int_equal(ip_port_open(b->s, IPPROTO_NR_UDP, 0, udp.dport, IP_PORT_BOUND), 0);
	fixture_input_spec(b, &udp);
	assert_int_equal(n_unclaimed, 1);
	fixture_destroy(b);
}

static void hear_error(void *ctx, const struct ip_icmp_error *e)
{
	(void)ctx;
	(void)e;
}

static bool wants_errors(struct ip_host_wants *w)
{
	return (atomic_load(&w->protocol[IPPROTO_NR_ICMP]) & IP_HOST_WANTS_INPUT) != 0;
}

/* Would catch: a host that is woken by ICMP while it has no port that an error could be about, or that hears of none
 * though it has one. */
static void test_errors_wanted(void **state)
{
	static struct ip_host_wants wants;
	struct stack_fixture *b = fixture_create_settled();
	struct ip_protocol row = { .icmp_error = hear_error, .by_port = true, .unreachable = IP_UNREACHABLE_PORT };

	ip_stack_be_host(b->s, &(struct ip_carrier_slots){ .wants = &wants });
	ip_stack_set_protocol(b->s, IPPROTO_NR_UDP, &row);
	assert_false(wants_errors(&wants));
	assert_int_equal(ip_port_open(b->s, IPPROTO_NR_UDP, 0, 53, IP_PORT_BOUND), 0);
	assert_true(wants_errors(&wants));
	assert_int_equal(ip_port_open(b->s, IPPROTO_NR_UDP, LAN_US, 54, IP_PORT_BOUND), 0);
	ip_port_close(b->s, IPPROTO_NR_UDP, 0, 53, IP_PORT_BOUND);
	assert_true(wants_errors(&wants));
	ip_port_close(b->s, IPPROTO_NR_UDP, LAN_US, 54, IP_PORT_BOUND);
	assert_false(wants_errors(&wants));
	fixture_destroy(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_listening),
		cmocka_unit_test(test_mark),
		cmocka_unit_test(test_errors_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
