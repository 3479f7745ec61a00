/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A stack of the library: ip with one interface, and sockets.
 *
 * Whoever is in a stack already (its output slot, a wait) may give it packets: they wait until
 * the call that is in it ends. So two stacks can give each other's output to one another
 * directly, however long they talk.
 *
 * Next: src/lib/lib_device.c
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/lib_priv.h"
#include "stack/transport/cc.h"

#define DEFAULT_PACKETS 65536u
#define LARGE_SHARE 64u

const char *yg_version(void)
{
	return YG_VERSION;
}

/* --- in and out --- */

static void take_in(struct yg_stack *s, struct batch *b)
{
	ether_input(s->ip, LIB_IFINDEX, b);
}

static void take_waiting(struct yg_stack *s)
{
	while (s->waiting.first != NULL) {
		struct batch b = { .n = 0 };

		lib_waiting_take(&s->waiting, &b);
		take_in(s, &b);
		ip_flush(s->ip);
	}
}

void lib_enter(struct yg_stack *s)
{
	s->depth++;
}

void lib_leave(struct yg_stack *s)
{
	if (s->depth == 1) {
		do {
			ip_flush(s->ip);
			take_waiting(s);
		} while (lib_tell_flows(s));
	}
	if (--s->depth > 0 || s->changed == NULL)
		return;
	uint64_t deadline = yg_next_deadline(s);
	int ready = sockets_any_ready(s->ss) || lib_completion_ready(s);

	if (deadline == s->told_deadline && ready == s->told_ready)
		return;
	s->told_deadline = deadline;
	s->told_ready = ready;
	s->changed(s->ctx, deadline, ready);
}

static void set_time(struct yg_stack *s, uint64_t now)
{
	s->env.now = max_u64(s->env.now, now);
}

void yg_input(struct yg_stack *s, struct yg_packet *const *packets, unsigned int n, uint64_t now)
{
	struct batch b = { .n = 0 };

	if (s->depth > 0) {
		for (unsigned int i = 0; i < n; i++)
			lib_link_wait(&s->link, lib_link_dress(&s->link, lib_packet(packets[i])));
		return;
	}
	lib_enter(s);
	set_time(s, now);
	for (unsigned int i = 0; i < n; i++) {
		batch_add(&b, lib_link_dress(&s->link, lib_packet(packets[i])));
		if (b.n == BATCH_MAX || i + 1 == n)
			take_in(s, &b);
	}
	lib_leave(s);
}

int yg_input_bytes(struct yg_stack *s, const void *bytes, size_t len, uint64_t now)
{
	struct yg_packet *p = yg_packet_alloc(s, len);

	if (p == NULL)
		return -ENOBUFS;
	memcpy(yg_packet_data(p, s), bytes, len);
	yg_input(s, &p, 1, now);
	return 0;
}

void yg_run(struct yg_stack *s, uint64_t now)
{
	if (s->depth > 0)
		return;
	lib_enter(s);
	set_time(s, now);
	ip_expire(s->ip);
	sockets_expire(s->ss);
	lib_leave(s);
}

uint64_t yg_next_deadline(const struct yg_stack *s)
{
	return min_u64(ip_next_deadline(s->ip), sockets_next_deadline(s->ss));
}

uint64_t yg_now(const struct yg_stack *s)
{
	return s->env.now;
}

/* Nobody is in it while it waits. */
static int wait_outside(void *ctx, uint64_t deadline)
{
	struct yg_stack *s = ctx;
	uint32_t depth = s->depth;

	ip_flush(s->ip);
	take_waiting(s);
	s->depth = 0;
	int rc = s->wait(s->wait_ctx, deadline);

	s->depth = depth;
	return rc;
}

void yg_set_wait(struct yg_stack *s, yg_wait_fn *fn, void *ctx)
{
	s->wait = fn;
	s->wait_ctx = ctx;
	sockets_set_wait(s->ss, fn != NULL ? wait_outside : NULL, s);
}

/* --- addresses and routes --- */

static int insert(struct yg_stack *s, uint32_t addr, uint8_t len, const struct fib_nexthop *nh)
{
	struct ip4_prefix p = { addr & ip4_mask(len), len };
	uint32_t group = fib_nexthop_add(s->fib, nh);

	return group == 0 ? -ENOMEM : fib_insert(s->fib, p, group);
}

static void settle_routes(struct yg_stack *s)
{
	fib_reclaim(s->fib, fib_grace_begin(s->fib));
}

static void reconfigure(struct yg_stack *s)
{
	s->cfg_in_use ^= 1;
	ip_stack_configure(s->ip, &s->cfg[s->cfg_in_use]);
	s->cfg[s->cfg_in_use ^ 1] = s->cfg[s->cfg_in_use];
}

static int insert_address(struct yg_stack *s, uint32_t addr, uint8_t len)
{
	struct fib_nexthop link = { .kind = FIB_UNICAST, .ifindex = LIB_IFINDEX, .source = ip_addr_v4(addr) };
	struct fib_nexthop here = { .kind = FIB_LOCAL, .ifindex = LIB_IFINDEX };
	struct fib_nexthop all = { .kind = FIB_BROADCAST, .ifindex = LIB_IFINDEX };
	int rc = len < 32 ? insert(s, addr, len, &link) : 0;

	if (rc == 0 && len < 31)
		rc = insert(s, addr | ~ip4_mask(len), 32, &all);
	return rc == 0 ? insert(s, addr, 32, &here) : rc;
}

static int take_address(const struct sockaddr *from, uint32_t *addr)
{
	struct sockaddr_in in;

	if (from->sa_family != AF_INET)
		return -EAFNOSUPPORT;
	memcpy(&in, from, sizeof(in));
	*addr = ntohl(in.sin_addr.s_addr);
	return 0;
}

static int add_address(struct yg_stack *s, uint32_t addr, unsigned int prefix_len)
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
	lib_enter(s);
	reconfigure(s);
	lib_leave(s);
	return 0;
}

int yg_address_add(struct yg_stack *s, const struct sockaddr *address, unsigned int prefix_len)
{
	uint32_t addr;
	int rc = take_address(address, &addr);

	return rc != 0 ? rc : add_address(s, addr, prefix_len);
}

static void remove_prefix(struct yg_stack *s, uint32_t addr, uint8_t len)
{
	(void)fib_remove(s->fib, (struct ip4_prefix){ addr & ip4_mask(len), len });
}

int yg_address_del(struct yg_stack *s, const struct sockaddr *address)
{
	uint32_t addr, at = 0;
	int rc = take_address(address, &addr);
	struct ip_interface_config *c = &s->cfg[s->cfg_in_use ^ 1].interface[LIB_IFINDEX];

	if (rc != 0)
		return rc;
	while (at < c->n_addresses && c->address[at].addr != addr)
		at++;
	if (at == c->n_addresses)
		return -EADDRNOTAVAIL;
	uint8_t len = c->address[at].prefix_len;

	remove_prefix(s, addr, 32);
	remove_prefix(s, addr | ~ip4_mask(len), 32);
	remove_prefix(s, addr, len);
	c->n_addresses--;
	memmove(&c->address[at], &c->address[at + 1], (c->n_addresses - at) * sizeof(c->address[0]));
	/* Another address may stand in the same prefix. */
	for (uint32_t i = 0; i < c->n_addresses; i++)
		(void)insert_address(s, c->address[i].addr, c->address[i].prefix_len);
	lib_enter(s);
	reconfigure(s);
	settle_routes(s);
	lib_leave(s);
	return 0;
}

/* gateway 0: on the link itself. */
static int add_route(struct yg_stack *s, uint32_t to, unsigned int prefix_len, uint32_t gateway)
{
	struct fib_nexthop nh = { .kind = FIB_UNICAST, .ifindex = LIB_IFINDEX };

	if (prefix_len > 32)
		return -EINVAL;
	if (gateway != 0)
		nh.gateway = ip_addr_v4(gateway);
	return insert(s, to, (uint8_t)prefix_len, &nh);
}

int yg_route_add(struct yg_stack *s, const struct sockaddr *to, unsigned int prefix_len, const struct sockaddr *gateway)
{
	uint32_t net, via = 0;
	int rc = take_address(to, &net);

	if (rc == 0 && gateway != NULL)
		rc = take_address(gateway, &via);
	return rc != 0 ? rc : add_route(s, net, prefix_len, via);
}

int yg_route_del(struct yg_stack *s, const struct sockaddr *to, unsigned int prefix_len)
{
	uint32_t net;
	int rc = take_address(to, &net);

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
static int set_up_link(struct yg_stack *s, const struct yg_stack_config *c)
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

static int create_parts(struct yg_stack *s, const struct yg_stack_config *c)
{
	uint32_t n = or_default(c->n_packets, DEFAULT_PACKETS), n_sockets = or_default(c->n_sockets, 16384);
	struct packet_pool_config packets = { .n_packets = 2 * n, .n_small = n, .n_large = n / LARGE_SHARE + 16 };
	struct sockets_limits limits = { .n_sockets = n_sockets,
					 .tcp = { .n_connections = or_default(c->n_connections, n_sockets),
						  .n_segments = n },
					 .udp = { .n_sockets = min_u32(n_sockets, 65536) } };
	struct tcp_config tcp = tcp_default_config;
	static const struct ip_limits ip_limits;

	s->n_sockets = n_sockets;

	tcp.sndbuf = or_default(c->sndbuf, tcp.sndbuf);
	tcp.rcvbuf = or_default(c->rcvbuf, tcp.rcvbuf);
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
	s->ip = ip_stack_create(&s->env, &ip_limits);
	if (s->ip == NULL)
		return -ENOMEM;
	ip_stack_configure(s->ip, &s->cfg[s->cfg_in_use]);
	ip_stack_attach(s->ip, LIB_IFINDEX, &s->link.dev);
	s->ss = sockets_create(&s->env, s->ip, &limits, &tcp);
	return s->ss != NULL ? 0 : -ENOMEM;
}

struct yg_stack *yg_stack_create(const struct yg_stack_config *config)
{
	struct yg_stack_config c = { .size = 0 };
	struct yg_stack *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	/* One of an older header is shorter; of what it does not say, the default. */
	memcpy(&c, config, config->size < sizeof(c) ? config->size : sizeof(c));
	s->output = c.output;
	s->changed = c.changed;
	s->ctx = c.ctx;
	s->told_deadline = YG_NEVER;
	rng_init(&s->env.rng, c.seed);
	s->env.now = c.now;
	s->env.emit = ignore_event;
	s->depth = 1;
	if (c.output == NULL || create_parts(s, &c) != 0 || set_up_link(s, &c) != 0) {
		yg_stack_destroy(s);
		return NULL;
	}
	s->depth = 0;
	return s;
}

void yg_stack_destroy(struct yg_stack *s)
{
	if (s == NULL)
		return;
	lib_waiting_free(&s->waiting, s->env.pool);
	lib_completion_destroy(s);
	lib_trace_end(s, -1);
	sockets_destroy(s->ss);
	if (s->ip != NULL)
		ip_stack_destroy(s->ip);
	if (s->fib != NULL)
		fib_destroy(s->fib);
	if (s->env.pool != NULL)
		packet_pool_destroy(s->env.pool);
	free(s);
}
