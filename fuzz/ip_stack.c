/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The whole IP layer under frames from anywhere, a clock that jumps, devices
 * that come and go, and hooks that drop, steal and translate.
 *
 * The input is a list of steps. A frame is taken as it stands, or helped past
 * the first checks (link address, version, lengths, header checksum), so that
 * the fuzzer reaches what lies behind. Its bytes are external and end where the frame
 * does, as in a driver's ring.
 *
 * What must hold: the law of conservation after every step; whatever leaves is a
 * right Ethernet frame from our station, and if it is IPv4, a right header with
 * time to live, for no martian, and no longer than the link takes; what we made
 * ourselves has right checksums; and once the clock has run out, nothing is held.
 */
#include <stdlib.h>
#include <string.h>

#include "stack/ip/stack_priv.h"
#include "stack/packet/gso.h"
#include "wire_fuzz.h"

#define N_DEVICES 3u

static const struct packet_pool_config pool_cfg = { .n_packets = 256, .n_small = 256, .n_large = 8 };
static const struct ip_limits limits = { .n_neighbours = 6,
					 .n_neigh_held = 3,
					 .n_neigh_held_all = 8,
					 .n_reassembly = 4,
					 .n_reassembly_fragments = 24,
					 .n_reassembly_per_source = 16 };

struct fixture {
	struct env env;
	struct ip_config cfg;
	struct ip_stack *s;
	struct device dev[N_DEVICES + 1];
	uint32_t whim; /* what the hooks do with the next packets */
};

static bool martian(uint32_t a)
{
	return a == 0 || ip4_is_loopback(a);
}

static void check_sent(const struct fixture *w, const struct device *d, struct packet *p)
{
	struct ether_view eth;
	struct ipv4_view ip;
	struct l4_view l4;

	FUZZ_CHECK(ether_parse(packet_frame(p), p->len, &eth));
	FUZZ_CHECK(ether_equal(&eth.src, &d->mac));
	FUZZ_CHECK(!p->conn_unconfirmed);
	if (eth.type == ETHERTYPE_ARP) {
		FUZZ_CHECK(p->len == ETHER_MIN_FRAME);
		return;
	}
	FUZZ_CHECK(eth.type == ETHERTYPE_IPV4);
	const uint8_t *l3 = packet_frame(p) + ETHER_HEADER_LEN;
	uint32_t mtu = ip_mtu(w->s, (uint32_t)(d - w->dev));

	FUZZ_CHECK(ipv4_parse(l3, p->len - ETHER_HEADER_LEN, &ip) == IPV4_OK);
	FUZZ_CHECK(p->len == (uint32_t)ETHER_HEADER_LEN + ip.total_len);
	FUZZ_CHECK(ip.ttl > 0 && !martian(ip.dst) && !martian(ip.src));
	/* A small MTU may cut a header in two. */
	if (!ipv4_is_fragment(&ip))
		FUZZ_CHECK(l4_parse(&ip, l3 + ip.header_len, (size_t)ip.total_len - ip.header_len, &l4) == L4_OK);
	if (p->offload.gso_type != GSO_NONE)
		FUZZ_CHECK(device_cuts(d->caps, p->offload.gso_type) && offload_segment_len(p) <= mtu);
	else
		FUZZ_CHECK(ip.total_len <= mtu);
	if (p->offload.csum_partial)
		FUZZ_CHECK((d->caps & DEVICE_CAP_CSUM) != 0);
	if (p->in_ifindex == 0 && !ipv4_is_fragment(&ip) && ip.proto == IPPROTO_NR_ICMP)
		FUZZ_CHECK(l4_checksum_ok(&ip, l3 + ip.header_len, (size_t)ip.total_len - ip.header_len));
}

static struct fixture *fixture_of_device(struct device *d)
{
	return d->ops == NULL ? NULL : container_of(d->ledger, struct fixture, env.ledger);
}

static void dev_tx(struct device *d, struct batch *b)
{
	const struct fixture *w = fixture_of_device(d);

	for (uint32_t i = 0; i < b->n; i++) {
		check_sent(w, d, b->p[i]);
		d->ledger->n_handed++;
		packet_free(d->pool, b->p[i]);
	}
	b->n = 0;
}

static const struct device_ops dev_ops = { .driver = "fuzz", .tx = dev_tx };

static void quiet(void *ctx, const struct yg_event *e)
{
}

/* Drops, steals or translates as the input said. */
static void whim_hook(void *ctx, enum ip_hook hook, struct batch *b)
{
	static const uint32_t to[4] = { IP4(10, 0, 1, 2), IP4(10, 0, 1, 1), IP4(198, 51, 100, 1), IP4(10, 0, 3, 9) };
	struct fixture *w = ctx;

	for (uint32_t i = 0; i < b->n; i++) {
		uint32_t x = w->whim;

		w->whim = x >> 3 | x << 29;
		if ((x & 7) == 7) {
			packet_set_drop(b->p[i], DROP_RULE_DROP);
		} else if ((x & 7) == 6) {
			w->env.ledger.n_consumed++;
			packet_free(w->env.pool, b->p[i]);
			b->p[i] = NULL;
		} else if ((x & 7) == 5 && (hook == HOOK_PREROUTING || hook == HOOK_OUTPUT)) {
			ipv4_set_dst(packet_l3(b->p[i]), to[x >> 3 & 3]);
			b->p[i]->ip.dst = to[x >> 3 & 3];
			if (!ipv4_is_fragment(&b->p[i]->ip) && !b->p[i]->offload.csum_partial)
				l4_checksum_set(&b->p[i]->ip, packet_l4(b->p[i]), packet_l4_len(b->p[i]));
		}
	}
}

static bool whim_raw(void *ctx, const struct packet *p)
{
	const struct fixture *w = ctx;

	return (w->whim >> (p->ip.id & 31) & 1) != 0;
}

/* A protocol that wants some packets and keeps none. */
static void whim_input(void *ctx, struct batch *b)
{
	struct fixture *w = ctx;

	for (uint32_t i = 0; i < b->n; i++) {
		uint32_t x = w->whim >> (i & 31) & 3;

		if (x == 1) {
			b->p[i]->verdict = VERDICT_DELIVERED;
		} else if (x == 2) {
			packet_set_drop(b->p[i], DROP_SOCKET_QUEUE);
		} else if (x == 3) {
			w->env.ledger.n_delivered++;
			packet_free(w->env.pool, b->p[i]);
			b->p[i] = NULL;
		}
	}
}

/* Only what can have been ours. */
static void whim_error(void *ctx, const struct ip_icmp_error *e)
{
	const struct fixture *w = ctx;

	FUZZ_CHECK(e->quote->ip.src == e->p->ip.dst && e->quote->ip.frag_off == 0 && e->quote->ip.total_len > 0);
	FUZZ_CHECK(e->p->in_ifindex == 0 || ip_is_local(w->s, e->p->zone, e->quote->ip.src));
}

static void add_interface(struct fixture *w, struct fib *f, uint32_t i, uint32_t mtu, uint32_t caps)
{
	uint32_t addr = IP4(10, 0, i, 1);
	struct ip_interface_config *c = &w->cfg.interface[i];
	const struct {
		struct ip4_prefix p;
		struct fib_nexthop nh;
	} route[] = {
		{ { addr & ~0xffu, 24 }, { .kind = FIB_UNICAST, .ifindex = i, .source = ip_addr_v4(addr) } },
		{ { addr, 32 }, { .kind = FIB_LOCAL, .ifindex = i } },
		{ { addr | 0xff, 32 }, { .kind = FIB_BROADCAST, .ifindex = i } },
	};

	memcpy(c->name, "x", 2);
	c->n_addresses = 1;
	c->address[0].addr = addr;
	c->address[0].prefix_len = 24;
	w->dev[i] = (struct device){ .ops = &dev_ops,
				     .pool = w->env.pool,
				     .ledger = &w->env.ledger,
				     .mac = { { 2, 0, 0, 0, 0, (uint8_t)i } },
				     .mtu = mtu,
				     .caps = caps,
				     .up = true };
	for (size_t k = 0; k < ARRAY_LEN(route); k++)
		FUZZ_CHECK(fib_insert(f, route[k].p, fib_nexthop_add(f, &route[k].nh)) == 0);
}

static void fixture_init(struct fixture *w)
{
	static const uint8_t seed[RNG_SEED_BYTES] = { 3 };
	struct fib *f = fib_create();
	const struct fib_nexthop via = { .kind = FIB_UNICAST, .ifindex = 2, .gateway = ip_addr_v4(IP4(10, 0, 2, 254)) };
	const struct fib_nexthop pool = { .kind = FIB_TRANSLATED };

	memset(w, 0, sizeof(*w));
	FUZZ_CHECK(f != NULL);
	w->env.pool = packet_pool_create(&pool_cfg);
	w->env.now = NS_PER_S;
	w->env.emit = quiet;
	rng_init(&w->env.rng, seed);
	add_interface(w, f, 1, 1500, DEVICE_CAP_ALL);
	add_interface(w, f, 2, 1500, 0);
	add_interface(w, f, 3, 296, DEVICE_CAP_CSUM | DEVICE_CAP_TSO);
	fib_insert(f, (struct ip4_prefix){ 0, 0 }, fib_nexthop_add(f, &via));
	fib_insert(f, (struct ip4_prefix){ IP4(10, 0, 2, 64), 28 }, fib_nexthop_add(f, &pool));
	w->cfg.fib = f;
	w->cfg.n_proxies = 1;
	w->cfg.proxy[0] = (struct ip_proxy){ 2, IP4(10, 0, 2, 64), IP4(10, 0, 2, 79) };
	w->s = ip_stack_create(&w->env, &limits);
	FUZZ_CHECK(w->s != NULL);
	for (uint32_t h = 0; h < N_HOOKS; h++) {
		struct hook_entry e = { .priority = 0, .name = "whim", .fn = whim_hook, .ctx = w };

		hook_list_add(ip_stack_hooks(w->s, (enum ip_hook)h), &e);
	}
	struct ip_protocol whims = {
		.ctx = w, .input = whim_input, .icmp_error = whim_error, .unreachable = IP_UNREACHABLE_PORT
	};
	struct ip_protocol errors = { .ctx = w, .icmp_error = whim_error, .unreachable = IP_UNREACHABLE_PROTOCOL };

	FUZZ_CHECK(ip_stack_add_raw(w->s, IPPROTO_NR_UDP, whim_raw, w) == 0);
	FUZZ_CHECK(ip_stack_add_raw(w->s, IPPROTO_NR_ICMP, whim_raw, w) == 0);
	ip_stack_set_protocol(w->s, IPPROTO_NR_UDP, &whims);
	ip_stack_set_protocol(w->s, IPPROTO_NR_OSPF, &whims);
	ip_stack_set_protocol(w->s, IPPROTO_NR_ICMP, &errors);
	FUZZ_CHECK(ip_group_join(w->s, 1, IP4(224, 0, 0, 5)) == 0);
	ip_stack_configure(w->s, &w->cfg);
	for (uint32_t i = 1; i <= N_DEVICES; i++)
		ip_stack_attach(w->s, i, &w->dev[i]);
}

static void check_law(const struct fixture *w)
{
	FUZZ_CHECK(ledger_expected_held(&w->env.ledger) == packet_pool_used(w->env.pool));
}

static void fixture_fini(struct fixture *w)
{
	/* Every deadline in order, as long as something is to be done. */
	w->whim = 0;
	ip_flush(w->s);
	for (uint32_t n = 0; ip_next_deadline(w->s) != TIME_NEVER; n++) {
		FUZZ_CHECK(n < 20000);
		w->env.now = max_u64(w->env.now, ip_next_deadline(w->s));
		ip_expire(w->s);
		ip_flush(w->s);
	}
	check_law(w);
	FUZZ_CHECK(packet_pool_used(w->env.pool) == 0);
	ip_stack_destroy(w->s);
	/* The config is const for the stack, and ours. */
	fib_destroy((struct fib *)(uintptr_t)w->cfg.fib);
	packet_pool_destroy(w->env.pool);
}

static void give_back(void *ctx, uint64_t cookie)
{
	free((void *)(uintptr_t)cookie);
}

#define HELP_LINK 1u
#define HELP_HEADER 2u
#define HELP_L4 4u
#define HELP_ARP 8u

/* Past the first checks. */
static void help(uint8_t *f, size_t len, uint32_t ifindex, uint32_t what)
{
	uint8_t *l3 = f + ETHER_HEADER_LEN;

	if (len < ETHER_HEADER_LEN + IPV4_HEADER_LEN)
		return;
	if (what & HELP_LINK) {
		memcpy(f, (uint8_t[12]){ 2, 0, 0, 0, 0, (uint8_t)ifindex, 2, 1, 1, 1, 1, 1 }, 12);
		f[12] = 8;
		f[13] = what & HELP_ARP ? 6 : 0;
	}
	if (what & HELP_ARP) {
		memcpy(l3, (uint8_t[7]){ 0, 1, 8, 0, 6, 4, 0 }, 7);
		return;
	}
	if (what & HELP_HEADER) {
		size_t header_len = (size_t)(l3[0] & 0xf) * 4;

		if (header_len < IPV4_HEADER_LEN || header_len > len - ETHER_HEADER_LEN)
			header_len = IPV4_HEADER_LEN;
		l3[0] = (uint8_t)(0x40 | header_len / 4);
		l3[2] = (uint8_t)((len - ETHER_HEADER_LEN) >> 8);
		l3[3] = (uint8_t)(len - ETHER_HEADER_LEN);
		l3[10] = l3[11] = 0;
		uint16_t sum = checksum_finish(checksum_add(0, l3, header_len));

		l3[10] = (uint8_t)(sum >> 8);
		l3[11] = (uint8_t)sum;
	}
	struct ipv4_view ip;

	if ((what & HELP_L4) && ipv4_parse(l3, len - ETHER_HEADER_LEN, &ip) == IPV4_OK)
		l4_checksum_set(&ip, l3 + ip.header_len, (size_t)ip.total_len - ip.header_len);
}

static void take_offload(struct fuzz_input *in, struct packet *p)
{
	uint32_t bits = fuzz_take(in, 1);

	p->offload.csum_partial = bits & 1;
	p->offload.csum_valid = !(bits & 1) && (bits & 2);
	p->offload.gso_type = (uint8_t)(bits >> 2 & 3);
	if ((bits & 16) != 0) {
		/* What an honest sender of TCP or UDP says. */
		p->offload.csum_start = ETHER_HEADER_LEN + IPV4_HEADER_LEN;
		p->offload.csum_offset = bits & 32 ? 16 : 6;
	} else {
		p->offload.csum_start = (uint16_t)fuzz_take(in, 2);
		p->offload.csum_offset = (uint16_t)fuzz_take(in, 1);
	}
	p->offload.gso_size = (uint16_t)fuzz_take(in, 2);
}

static void step_frames(struct fixture *w, struct fuzz_input *in)
{
	uint32_t ifindex = fuzz_take(in, 1) % N_DEVICES + 1;
	uint32_t n = fuzz_take(in, 1) % 4 + 1;
	struct batch b = { .n = 0 };

	while (n-- > 0 && in->n_left > 0) {
		uint32_t how = fuzz_take(in, 1), extra = how & 16 ? fuzz_take(in, 2) % 2000 : 0;
		size_t want = fuzz_take(in, 1), len;

		if (want > in->n_left)
			want = in->n_left;
		len = want + extra;
		uint8_t *bytes = malloc(len > 0 ? len : 1);

		memcpy(bytes, in->p, want);
		memset(bytes + want, 0x5a, extra);
		in->p += want;
		in->n_left -= want;
		help(bytes, len, ifindex, how & 15);
		struct packet *p = packet_set_external(w->env.pool, bytes, (uint32_t)len, 0, (uint32_t)len, give_back,
						       NULL, (uint64_t)(uintptr_t)bytes);

		if (p == NULL) {
			free(bytes);
			break;
		}
		if (how & 32)
			take_offload(in, p);
		w->env.ledger.n_received++;
		batch_add(&b, p);
	}
	ether_input(w->s, ifindex, &b);
	FUZZ_CHECK(b.n == 0);
}

/* A ping of our own. */
static void step_local(struct fixture *w, struct fuzz_input *in)
{
	static const uint32_t to[8] = {
		IP4(10, 0, 1, 2),  IP4(10, 0, 1, 1),   IP4(198, 51, 100, 1), IP4(10, 0, 3, 9),
		IP4(224, 0, 0, 5), IP4(10, 0, 1, 255), UINT32_MAX,           IP4(127, 0, 0, 1)
	};
	uint32_t x = fuzz_take(in, 1);
	uint32_t l4_len = ICMP_HEADER_LEN + (x & 128 ? fuzz_take(in, 2) % 60000 : 20);
	struct packet *p = ip_packet_new(w->s, 0, to[x & 7], IPPROTO_NR_ICMP, l4_len);

	if (p == NULL)
		return;
	p->ip.df = (x & 8) != 0;
	ip_packet_finish(p);
	memset(packet_l4(p), (int)x, l4_len);
	icmp_emit(packet_l4(p), x & 16 ? ICMP_ECHO_REPLY : ICMP_ECHO_REQUEST, 0, x);
	l4_checksum_set(&p->ip, packet_l4(p), l4_len);
	FUZZ_CHECK(l4_parse(&p->ip, packet_l4(p), l4_len, &p->l4) == L4_OK);
	if (ip4_is_multicast(p->ip.dst) || ip4_is_limited_broadcast(p->ip.dst))
		p->out_ifindex = x >> 5 & 3;
	ip_local_out_one(w->s, p);
}

static void step_device(struct fixture *w, struct fuzz_input *in)
{
	uint32_t x = fuzz_take(in, 1);
	struct device *d = &w->dev[x % N_DEVICES + 1];

	switch (x >> 2 & 3) {
	case 0:
		d->up = !d->up;
		ip_stack_device_changed(w->s, (uint32_t)(d - w->dev));
		break;
	case 1:
		ip_stack_attach(w->s, (uint32_t)(d - w->dev),
				ip_stack_device(w->s, (uint32_t)(d - w->dev)) == NULL ? d : NULL);
		break;
	case 2:
		ip_flush(w->s);
		d->mtu = 68 + x * 8;
		break;
	default:
		ip_stack_configure(w->s, &w->cfg);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	static struct fixture fixture; /* of the fuzzer's, not of the core's */
	struct fixture *w = &fixture;

	fixture_init(w);
	while (in.n_left > 0) {
		uint32_t op = fuzz_take(&in, 1);

		if (op < 160)
			step_frames(w, &in);
		else if (op < 200)
			w->env.now += fuzz_take(&in, 1) * 50 * NS_PER_MS;
		else if (op < 216)
			w->whim = fuzz_take(&in, 4);
		else if (op < 224)
			step_device(w, &in);
		else if (op < 240)
			step_local(w, &in);
		else
			ip_flush(w->s);
		if (op >= 160)
			ip_expire(w->s);
		check_law(w);
	}
	fixture_fini(w);
	return 0;
}
