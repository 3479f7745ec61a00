/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which ports of TCP and UDP somebody here has, as bits that the workers read, so
 * that what nobody is at is refused where it came in, and leaves no connection.
 *
 * Whoever binds, listens or connects says so here (ip_port_open), and takes it back
 * as often; the counts are the owner's alone, the bits are read by all without a
 * lock. A port on any address has its own bit. A port on one address has a bit by a
 * hash of both, which others may share: such a bit may say yes for nobody, and then
 * the protocol refuses the packet itself, but never no for somebody.
 *
 * A SYN that would begin a connection asks who listens, everything else who has the
 * port: a connection that was accepted, or that we opened, is no reason to take another.
 *
 * Those who share the addresses (NAT of all workers) are kept off an open port as well: the
 * object that knows whose ports are (stack/ports/ports.h) is told by the same two functions,
 * and asked first by whoever draws or binds one (ip_port_take).
 *
 * A worker may see a change late: who has just listened is refused for a moment more,
 * as if the packet had come before.
 *
 * Next: src/stack/ip/local.c
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "stack/ip/stack_priv.h"
#include "stack/ports/ports.h"

#define N_PORTS 65536u

struct ip_open_ports {
	struct ip_port_bits own[N_IP_PORT_MAPS]; /* of a stack that is nobody's host */
	uint64_t n_open[N_IP_PORT_MAPS];
	struct {
		uint32_t any[N_PORTS], one[N_PORTS];
		uint32_t whatever[N_PORTS]; /* address */
	} count[N_IP_PORT_MAPS];
};

static uint32_t hash(uint32_t addr, uint16_t port)
{
	return (addr * 2654435761u >> 16 ^ port) % N_PORTS;
}

/* N_IP_PORT_MAPS: there is none. */
static enum ip_port_map map_of(uint8_t protocol, enum ip_port_use use)
{
	if (protocol == IPPROTO_NR_UDP && use == IP_PORT_BOUND)
		return IP_PORTS_UDP;
	if (protocol != IPPROTO_NR_TCP)
		return N_IP_PORT_MAPS;
	return use == IP_PORT_LISTENING ? IP_PORTS_TCP_LISTENING : IP_PORTS_TCP;
}

static struct ip_port_bits *bits_of(struct ip_stack *s)
{
	return s->carrier.wants != NULL ? s->carrier.wants->ports : s->ports->own;
}

static void count(_Atomic uint64_t *bits, uint32_t *n, uint32_t i, int by)
{
	uint64_t bit = UINT64_C(1) << i % 64;

	assert(by > 0 || n[i] > 0);
	n[i] += (uint32_t)by;
	if (n[i] == 0)
		atomic_fetch_and_explicit(&bits[i / 64], ~bit, memory_order_relaxed);
	else if (n[i] == 1 && by > 0)
		atomic_fetch_or_explicit(&bits[i / 64], bit, memory_order_relaxed);
}

static void change(struct ip_stack *s, enum ip_port_map map, uint32_t addr, uint16_t port, int by)
{
	struct ip_port_bits *b = &bits_of(s)[map];

	if (addr == 0)
		count(b->any, s->ports->count[map].any, port, by);
	else
		count(b->one, s->ports->count[map].one, hash(addr, port), by);
	s->ports->count[map].whatever[port] += (uint32_t)by;
	s->ports->n_open[map] += (uint64_t)(int64_t)by;
	/* The first one, or the last. */
	if (s->ports->n_open[map] == (by > 0))
		ip_host_tell_wants(s);
}

bool ip_ports_any_open(const struct ip_stack *s, uint8_t protocol)
{
	enum ip_port_map map = map_of(protocol, IP_PORT_BOUND);

	return s->ports != NULL && map != N_IP_PORT_MAPS && s->ports->n_open[map] > 0;
}

bool ip_port_is_open(const struct ip_stack *s, uint8_t protocol, uint16_t port)
{
	enum ip_port_map map = map_of(protocol, IP_PORT_BOUND);

	return s->ports != NULL && map != N_IP_PORT_MAPS && s->ports->count[map].whatever[port] > 0;
}

void ip_stack_set_ports(struct ip_stack *s, struct ports *ports)
{
	s->shared_ports = ports;
}

bool ip_port_take(struct ip_stack *s, uint8_t protocol, uint32_t addr, uint16_t port, enum ports_socket how)
{
	return s->shared_ports == NULL || ports_socket_take(s->shared_ports, addr, port_proto_of(protocol), port, how);
}

void ip_port_leave(struct ip_stack *s, uint8_t protocol, uint32_t addr, uint16_t port)
{
	if (s->shared_ports != NULL)
		ports_socket_give_back(s->shared_ports, addr, port_proto_of(protocol), port);
}

int ip_port_open(struct ip_stack *s, uint8_t protocol, uint32_t addr, uint16_t port, enum ip_port_use use)
{
	enum ip_port_map map = map_of(protocol, use);

	if (map == N_IP_PORT_MAPS)
		return -EPROTONOSUPPORT;
	if (s->ports == NULL && (s->ports = calloc(1, sizeof(*s->ports))) == NULL)
		return -ENOMEM;
	change(s, map, addr, port, 1);
	(void)ip_port_take(s, protocol, addr, port, PORTS_SOCKET_ONE_MORE);
	return 0;
}

void ip_port_close(struct ip_stack *s, uint8_t protocol, uint32_t addr, uint16_t port, enum ip_port_use use)
{
	enum ip_port_map map = map_of(protocol, use);

	assert(map != N_IP_PORT_MAPS && s->ports != NULL);
	change(s, map, addr, port, -1);
	ip_port_leave(s, protocol, addr, port);
}

void ip_ports_destroy(struct ip_stack *s)
{
	free(s->ports);
}

static bool is_set(const _Atomic uint64_t *bits, uint32_t i)
{
	return (atomic_load_explicit(&bits[i / 64], memory_order_relaxed) >> i % 64 & 1) != 0;
}

bool ip_ports_claim(const struct ip_port_bits *maps, const struct packet *p)
{
	bool begins = p->conn_unconfirmed && (p->l4.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	enum ip_port_map map = map_of(p->ip.proto, begins && p->l4.kind == L4_TCP ? IP_PORT_LISTENING : IP_PORT_BOUND);

	return map == N_IP_PORT_MAPS || is_set(maps[map].any, p->l4.dport) ||
	       is_set(maps[map].one, hash(p->ip.dst, p->l4.dport));
}

bool ip_ports_claim_here(const struct ip_stack *s, const struct packet *p)
{
	return s->ports != NULL && ip_ports_claim(s->ports->own, p);
}
