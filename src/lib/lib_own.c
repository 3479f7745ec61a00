/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A stack on an interface of its own: ip, sockets, and a link to the embedder.
 *
 * Next: src/lib/lib_device.c
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/lib_priv.h"
#include "stack/transport/cc.h"

#define DEFAULT_PACKETS 65536u
#define LARGE_SHARE 64u

/* NULL: it is the host of a gateway, whose interfaces, addresses and routes are its policy's. */
static struct lib_own *own_of(struct yg_stack *s)
{
	return s->link != NULL ? container_of(s, struct lib_own, stack) : NULL;
}

/* --- in and out --- */

static void take_in(struct yg_stack *s, struct batch *b)
{
	ether_input(s->ip, LIB_IFINDEX, b);
}

static void expire(struct yg_stack *s)
{
	struct lib_own *own = container_of(s, struct lib_own, stack);

	/* Routes that were changed from within calls alone: no packet is on its way now. */
	if (fib_waits(own->fib))
		fib_reclaim(own->fib, fib_grace_begin(own->fib));
	ip_expire(s->ip);
	sockets_expire(s->ss);
}

static uint64_t next_deadline(const struct yg_stack *s)
{
	return min_u64(ip_next_deadline(s->ip), sockets_next_deadline(s->ss));
}

static const struct lib_stack_ops own_ops = { .input = take_in, .expire = expire, .next_deadline = next_deadline };

void yg_input(struct yg_stack *s, struct yg_packet *const *packets, unsigned int n, uint64_t now)
{
	struct batch b = { .n = 0 };

	if (s->depth > 0) {
		for (unsigned int i = 0; i < n; i++)
			lib_link_wait(s->link, lib_link_dress(s->link, lib_packet(packets[i])));
		return;
	}
	lib_enter(s);
	lib_set_time(s, now);
	for (unsigned int i = 0; i < n; i++) {
		batch_add(&b, lib_link_dress(s->link, lib_packet(packets[i])));
		if (b.n == BATCH_MAX || i + 1 == n)
			take_in(s, &b);
	}
	lib_leave(s);
}

int yg_input_bytes(struct yg_stack *s, const void *bytes, size_t len, uint64_t now)
{
	if (s->link == NULL)
		return -EOPNOTSUPP;
	struct yg_packet *p = yg_packet_alloc(s, len);

	if (p == NULL)
		return -ENOBUFS;
	memcpy(yg_packet_data(p, s), bytes, len);
	yg_input(s, &p, 1, now);
	return 0;
}

/* --- addresses and routes --- */

static int insert(struct lib_own *s, uint32_t addr, uint8_t len, const struct fib_nexthop *nh)
{
	struct ip4_prefix p = { addr & ip4_mask(len), len };
	uint32_t group = fib_nexthop_add(s->fib, nh);

	return group == 0 ? -ENOMEM : fib_insert(s->fib, p, group);
}

/* What routes no longer need is used again; from within a call, whose packets may be on their way by it, later. */
static void settle_routes(struct lib_own *s)
{
	if (s->stack.depth == 0)
		fib_reclaim(s->fib, fib_grace_begin(s->fib));
}

static void reconfigure(struct lib_own *s)
{
	s->cfg_in_use ^= 1;
	ip_stack_configure(s->stack.ip, &s->cfg[s->cfg_in_use]);
	s->cfg[s->cfg_in_use ^ 1] = s->cfg[s->cfg_in_use];
}

static void remove_prefix(struct lib_own *s, uint32_t addr, uint8_t len)
{
	(void)fib_remove(s->fib, (struct ip4_prefix){ addr & ip4_mask(len), len });
}

static int insert_link(struct lib_own *s, uint32_t addr, uint8_t len)
{
	struct fib_nexthop link = { .kind = FIB_UNICAST, .ifindex = LIB_IFINDEX, .source = ip_addr_v4(addr) };

	return len < 32 ? insert(s, addr, len, &link) : 0;
}

/* Another of our addresses whose prefix this is too; 0: none. */
static uint32_t sharer(const struct lib_own *s, uint32_t addr, uint8_t len)
{
	const struct ip_interface_config *c = &s->cfg[s->cfg_in_use ^ 1].interface[LIB_IFINDEX];

	for (uint32_t i = 0; i < c->n_addresses; i++)
		if (c->address[i].addr != addr && c->address[i].prefix_len == len &&
		    ((c->address[i].addr ^ addr) & ip4_mask(len)) == 0)
			return c->address[i].addr;
	return 0;
}

/* All of it, or nothing: the prefix is last, since it may take the place of a route. */
static int insert_address(struct lib_own *s, uint32_t addr, uint8_t len)
{
	struct fib_nexthop here = { .kind = FIB_LOCAL, .ifindex = LIB_IFINDEX };
	struct fib_nexthop all = { .kind = FIB_BROADCAST, .ifindex = LIB_IFINDEX };
	int rc = insert(s, addr, 32, &here);

	if (rc != 0)
		return rc;
	if (len < 31)
		rc = insert(s, addr | ~ip4_mask(len), 32, &all);
	if (rc == 0 && (rc = insert_link(s, addr, len)) != 0 && len < 31 && sharer(s, addr, len) == 0)
		remove_prefix(s, addr | ~ip4_mask(len), 32);
	if (rc != 0)
		remove_prefix(s, addr, 32);
	return rc;
}

static int add_address(struct lib_own *s, uint32_t addr, unsigned int prefix_len)
{
	struct ip_interface_config *c = &s->cfg[s->cfg_in_use ^ 1].interface[LIB_IFINDEX];

	if (!ip4_is_unicast(addr) || prefix_len == 0 || prefix_len > 32)
		return -EINVAL;
	for (uint32_t i = 0; i < c->n_addresses; i++)
		if (c->address[i].addr == addr)
			return -EEXIST;
	if (c->n_addresses == IP_ADDRESSES_MAX)
		return -ENOSPC;
	int rc = insert_address(s, addr, (uint8_t)prefix_len);

	if (rc != 0)
		return rc;
	c->address[c->n_addresses].addr = addr;
	c->address[c->n_addresses++].prefix_len = (uint8_t)prefix_len;
	lib_enter(&s->stack);
	reconfigure(s);
	lib_leave(&s->stack);
	return 0;
}

int yg_address_add(struct yg_stack *stack, const struct sockaddr *address, unsigned int prefix_len)
{
	struct lib_own *s = own_of(stack);
	uint32_t addr;
	int rc = s != NULL ? lib_take_address(address, &addr) : -EOPNOTSUPP;

	return rc != 0 ? rc : add_address(s, addr, prefix_len);
}

int yg_address_del(struct yg_stack *stack, const struct sockaddr *address)
{
	struct lib_own *s = own_of(stack);
	uint32_t addr, at = 0;
	int rc = s != NULL ? lib_take_address(address, &addr) : -EOPNOTSUPP;

	if (rc != 0)
		return rc;
	struct ip_interface_config *c = &s->cfg[s->cfg_in_use ^ 1].interface[LIB_IFINDEX];

	while (at < c->n_addresses && c->address[at].addr != addr)
		at++;
	if (at == c->n_addresses)
		return -EADDRNOTAVAIL;
	uint8_t len = c->address[at].prefix_len;
	uint32_t other = sharer(s, addr, len);

	/* What can fail is first. */
	if (other != 0 && (rc = insert_link(s, other, len)) != 0)
		return rc;
	remove_prefix(s, addr, 32);
	if (other == 0) {
		if (len < 31)
			remove_prefix(s, addr | ~ip4_mask(len), 32);
		remove_prefix(s, addr, len);
	}
	c->n_addresses--;
	memmove(&c->address[at], &c->address[at + 1], (c->n_addresses - at) * sizeof(c->address[0]));
	/* One of another prefix may have been where the broadcast address was. */
	for (uint32_t i = 0; i < c->n_addresses; i++)
		(void)insert_address(s, c->address[i].addr, c->address[i].prefix_len);
	lib_enter(&s->stack);
	reconfigure(s);
	lib_leave(&s->stack);
	settle_routes(s);
	return 0;
}

/* gateway 0: on the link itself. */
static int add_route(struct lib_own *s, uint32_t to, unsigned int prefix_len, uint32_t gateway)
{
	struct fib_nexthop nh = { .kind = FIB_UNICAST, .ifindex = LIB_IFINDEX };

	if (prefix_len > 32)
		return -EINVAL;
	if (gateway != 0)
		nh.gateway = ip_addr_v4(gateway);
	int rc = insert(s, to, (uint8_t)prefix_len, &nh);

	/* It may have taken another's place. */
	settle_routes(s);
	return rc;
}

int yg_route_add(struct yg_stack *stack, const struct sockaddr *to, unsigned int prefix_len,
		 const struct sockaddr *gateway)
{
	struct lib_own *s = own_of(stack);
	uint32_t net, via = 0;
	int rc = s != NULL ? lib_take_address(to, &net) : -EOPNOTSUPP;

	if (rc == 0 && gateway != NULL)
		rc = lib_take_address(gateway, &via);
	return rc != 0 ? rc : add_route(s, net, prefix_len, via);
}

int yg_route_del(struct yg_stack *stack, const struct sockaddr *to, unsigned int prefix_len)
{
	struct lib_own *s = own_of(stack);
	uint32_t net;
	int rc = s != NULL ? lib_take_address(to, &net) : -EOPNOTSUPP;

	if (rc != 0 || prefix_len > 32)
		return rc != 0 ? rc : -EINVAL;
	rc = fib_remove(s->fib, (struct ip4_prefix){ net & ip4_mask((uint8_t)prefix_len), (uint8_t)prefix_len });
	settle_routes(s);
	return rc;
}

/* --- life --- */

static void ignore_event(void *ctx, const struct yg_event *e)
{
}

static uint32_t or_default(uint32_t v, uint32_t def)
{
	return v != 0 ? v : def;
}

/* "10.0.0.1/24" and a gateway. */
static int set_up_link(struct lib_own *s, const struct yg_stack_config *c)
{
	uint32_t addr, len = 32;

	if (c->address != NULL) {
		size_t n = ip4_parse(c->address, strlen(c->address), &addr);

		if (n == 0 || (c->address[n] != '\0' && c->address[n] != '/'))
			return -EINVAL;
		if (c->address[n] == '/') {
			len = 0;
			for (const char *p = &c->address[n + 1]; *p >= '0' && *p <= '9' && len <= 32; p++)
				len = len * 10 + (uint32_t)(*p - '0');
		}
		int rc = add_address(s, addr, len);

		if (rc != 0)
			return rc;
	}
	if (c->gateway == NULL)
		return 0;
	if (ip4_parse(c->gateway, strlen(c->gateway), &addr) != strlen(c->gateway))
		return -EINVAL;
	return add_route(s, 0, 0, addr);
}

static int create_parts(struct lib_own *s, const struct yg_stack_config *c)
{
	uint32_t n = or_default(c->n_packets, DEFAULT_PACKETS), n_sockets = or_default(c->n_sockets, 16384);
	struct packet_pool_config packets = { .n_packets = 2 * n, .n_small = n, .n_large = n / LARGE_SHARE + 16 };
	struct sockets_limits limits = { .n_sockets = n_sockets,
					 .tcp = { .n_connections = or_default(c->n_connections, n_sockets),
						  .n_segments = n },
					 .udp = { .n_sockets = min_u32(n_sockets, 65536) } };
	struct tcp_config tcp = tcp_default_config;
	static const struct ip_limits ip_limits;

	tcp.sndbuf = or_default(c->sndbuf, tcp.sndbuf);
	tcp.rcvbuf = or_default(c->rcvbuf, tcp.rcvbuf);
	tcp.acks_wait = (c->flags & YG_ACKS_WAIT) != 0;
	if (c->congestion != NULL)
		tcp.congestion = c->congestion;
	if (cc_find(tcp.congestion) < 0)
		return -EINVAL;
	s->env.pool = packet_pool_create(&packets);
	s->fib = fib_create();
	if (s->env.pool == NULL || s->fib == NULL)
		return -ENOMEM;
	lib_device_init(s, c);
	for (uint32_t i = 0; i < 2; i++) {
		struct ip_interface_config *ifc = &s->cfg[i].interface[LIB_IFINDEX];

		memcpy(ifc->name, "yg0", 4);
		ifc->rpf = IP_RPF_OFF;
		s->cfg[i].fib = s->fib;
	}
	s->stack.ip = ip_stack_create(&s->env, &ip_limits);
	if (s->stack.ip == NULL)
		return -ENOMEM;
	ip_stack_configure(s->stack.ip, &s->cfg[s->cfg_in_use]);
	ip_stack_attach(s->stack.ip, LIB_IFINDEX, &s->link.dev);
	s->stack.ss = sockets_create(&s->env, s->stack.ip, &limits, &tcp);
	return s->stack.ss != NULL ? 0 : -ENOMEM;
}

struct yg_stack *yg_stack_create(const struct yg_stack_config *config)
{
	struct yg_stack_config c = { .size = 0 };
	struct lib_own *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	/* One of an older header is shorter; of what it does not say, the default. */
	memcpy(&c, config, config->size < sizeof(c) ? config->size : sizeof(c));
	s->output = c.output;
	rng_init(&s->env.rng, c.seed);
	s->env.now = c.now;
	s->env.emit = ignore_event;
	s->stack = (struct yg_stack){ .ops = &own_ops,
				      .env = &s->env,
				      .link = &s->link,
				      .changed = c.changed,
				      .ctx = c.ctx,
				      .told_deadline = YG_NEVER,
				      .depth = 1 };
	if (c.output == NULL || create_parts(s, &c) != 0 || set_up_link(s, &c) != 0) {
		yg_stack_destroy(&s->stack);
		return NULL;
	}
	s->stack.depth = 0;
	return &s->stack;
}

void yg_stack_destroy(struct yg_stack *stack)
{
	struct lib_own *s = stack != NULL ? own_of(stack) : NULL;

	if (s == NULL)
		return;
	lib_stack_end(stack);
	sockets_destroy(stack->ss);
	if (stack->ip != NULL)
		ip_stack_destroy(stack->ip);
	if (s->fib != NULL)
		fib_destroy(s->fib);
	if (s->env.pool != NULL)
		packet_pool_destroy(s->env.pool);
	free(s);
}
