/* SPDX-License-Identifier: BSD-2-Clause
 *
 * IGMP as a host speaks it (RFC 9776 section 5, which obsoletes RFC 3376; RFC 2236 for
 * queriers of version 2, RFC 1112 appendix I for version 1): routers and switches learn
 * from it which groups somebody here has joined.
 *
 * Here a group is joined with all its sources, so its state is EXCLUDE of none, and it
 * changes when the group is joined for the first time or left for the last:
 *
 *   a change   is reported at once, and again [Robustness Variable] - 1 times at random
 *              moments of the next second (version 2: ten seconds)
 *   a query    is answered at a random moment before its deadline: a general one by one
 *              report of all groups of the interface, one for a group by a report of that;
 *              versions 1 and 2 answer for each group by itself, unless another host has
 *              done so by then
 *
 * A group has a record from its first change on; when it was left, until the last report
 * of that is out. The version is that of the oldest querier heard on the interface in
 * the last minutes; when it changes, what was due is not said any more (section 7.2.1).
 *
 * Groups of the link itself (224.0.0.0/24: all routers, OSPF's) are never reported: no
 * switch holds them back (RFC 4541 section 2.1.2), no router forwards them.
 *
 * Of stacks that act as one, the host's speaks (host.c): groups are joined there, and
 * workers hand queries to it like any packet that it wants.
 *
 * Next: src/stack/ip/output.c
 */
#include <stdlib.h>

#include "stack/ip/stack_priv.h"
#include "stack/wire/igmp.h"

#define ALL_HOSTS IP4(224, 0, 0, 1)
#define ALL_ROUTERS IP4(224, 0, 0, 2)
#define ALL_V3_ROUTERS IP4(224, 0, 0, 22)

/* RFC 9776 section 8. */
#define ROBUSTNESS_DEFAULT 2
#define UNSOLICITED_V3_NS NS_PER_S
#define UNSOLICITED_V2_NS (10 * NS_PER_S)
#define QUERY_INTERVAL_NS (125 * NS_PER_S)

#define TICK_NS NS_PER_MS
#define IGMP_TTL 1
#define IGMP_TOS 0xc0  /* internetwork control (section 4) */
#define SOURCES_MAX 32 /* of queries for a group and sources; for more all of it is reported */

/* A group with something to say: it is joined, or its end is still being reported. */
#define RECORDS (2 * IP_GROUPS_MAX)

struct igmp_record {
	uint32_t group;
	uint8_t ifindex; /* 0: the record is free */
	bool joined;
	bool was_last;      /* version 2: of the hosts that reported it we were the last */
	uint8_t n_changes;  /* reports of the last change that are still to be sent */
	uint64_t change_at; /* the next of them; ns, TIME_NEVER when there are none */
	uint64_t answer_at; /* to a query; likewise */
	uint32_t n_sources; /* that were asked for; 0: all */
	uint32_t source[SOURCES_MAX];
};

struct igmp_interface {
	uint64_t answer_at;          /* to a general query of version 3; ns, TIME_NEVER when there is none */
	uint64_t v1_until, v2_until; /* until then an older querier counts as present (section 7.2.1); ns */
	uint8_t version;
	uint8_t robustness;
};

/* A timer for each interface, and behind them one for each record: when it has something to say next. */
struct igmp {
	struct timer_wheel wheel;
	struct timer_node timer[IP_INTERFACES_MAX + RECORDS];
	struct igmp_interface interface[IP_INTERFACES_MAX];
	struct igmp_record record[RECORDS];
};

/* --- records --- */

static bool is_spoken_of(uint32_t group)
{
	return (group & ip4_mask(24)) != (ALL_HOSTS & ip4_mask(24));
}

static struct igmp_record *find(struct igmp *g, uint32_t ifindex, uint32_t group)
{
	for (uint32_t i = 0; i < RECORDS; i++)
		if (g->record[i].ifindex == ifindex && g->record[i].group == group)
			return &g->record[i];
	return NULL;
}

/* There is always one: as many may be joined as IP_GROUPS_MAX, and of those left the one gives way whose last report
 * comes first. */
static struct igmp_record *make(struct igmp *g, uint32_t ifindex, uint32_t group)
{
	struct igmp_record *r = NULL;

	for (uint32_t i = 0; i < RECORDS; i++) {
		struct igmp_record *k = &g->record[i];

		if (k->ifindex == 0) {
			r = k;
			break;
		}
		if (!k->joined && (r == NULL || k->change_at < r->change_at))
			r = k;
	}
	*r = (struct igmp_record){
		.group = group, .ifindex = (uint8_t)ifindex, .change_at = TIME_NEVER, .answer_at = TIME_NEVER
	};
	return r;
}

/* Its timer says when there is something to do; one that is left and has nothing more to say is free. */
static void settle(struct igmp *g, struct igmp_record *r)
{
	if (!r->joined && r->change_at == TIME_NEVER)
		r->ifindex = 0;
	timer_arm(&g->wheel, IP_INTERFACES_MAX + (uint32_t)(r - g->record),
		  r->ifindex == 0 ? TIME_NEVER : min_u64(r->change_at, r->answer_at));
}

/* --- what is sent --- */

/* An IGMP packet with the Router Alert option (RFC 2113) and room for len bytes; NULL without a buffer. */
static struct packet *message_new(struct ip_stack *s, uint32_t ifindex, uint32_t dst, uint32_t len)
{
	static const uint8_t alert[4] = { IPV4_OPT_ROUTER_ALERT, sizeof(alert) };
	struct packet *p =
		ip_packet_new(s, ip_interface_address(s, ifindex, dst), dst, IPPROTO_NR_IGMP, sizeof(alert) + len);

	if (p == NULL)
		return NULL;
	p->ip.ttl = IGMP_TTL;
	p->ip.tos = IGMP_TOS;
	p->ip.df = true;
	ip_packet_finish(p);
	p->ip.header_len = IPV4_HEADER_LEN + sizeof(alert);
	p->l4_off += sizeof(alert);
	memcpy(packet_l3(p) + IPV4_HEADER_LEN, alert, sizeof(alert));
	ipv4_set_header_len(packet_l3(p), p->ip.header_len);
	ipv4_set_fragment(packet_l3(p), p->ip.total_len, 0, true, false);
	ipv4_options_check(packet_l3(p), &p->ip, &p->options);
	p->out_ifindex = ifindex;
	p->zone = ip_interface_cfg(s, ifindex)->zone;
	return p;
}

static void send(struct ip_stack *s, struct packet *p)
{
	(void)l4_parse(&p->ip, packet_l4(p), packet_l4_len(p), &p->l4);
	ip_local_out_one(s, p);
}

static void send_old(struct ip_stack *s, uint32_t ifindex, enum igmp_type type, uint32_t group)
{
	struct packet *p = message_new(s, ifindex, type == IGMP_V2_LEAVE ? ALL_ROUTERS : group, IGMP_HEADER_LEN);

	if (p == NULL)
		return;
	igmp_emit(packet_l4(p), type, group);
	send(s, p);
}

static void send_record(struct ip_stack *s, const struct igmp_record *r, enum igmp_record_type type, uint32_t n_sources)
{
	struct packet *p =
		message_new(s, r->ifindex, ALL_V3_ROUTERS, (uint32_t)(IGMP_HEADER_LEN + igmp_record_len(n_sources)));

	if (p == NULL)
		return;
	struct igmp_report report = igmp_report_begin(packet_l4(p));

	igmp_report_add(&report, type, r->group, r->source, n_sources);
	(void)igmp_report_end(&report);
	send(s, p);
}

/* All that is joined on an interface, which fits into one packet. */
static void send_all(struct ip_stack *s, uint32_t ifindex)
{
	struct igmp *g = s->igmp;
	uint32_t n = 0;

	for (uint32_t i = 0; i < RECORDS; i++)
		n += g->record[i].ifindex == ifindex && g->record[i].joined;
	if (n == 0)
		return;
	struct packet *p =
		message_new(s, ifindex, ALL_V3_ROUTERS, (uint32_t)(IGMP_HEADER_LEN + n * igmp_record_len(0)));

	if (p == NULL)
		return;
	struct igmp_report report = igmp_report_begin(packet_l4(p));

	for (uint32_t i = 0; i < RECORDS; i++)
		if (g->record[i].ifindex == ifindex && g->record[i].joined)
			igmp_report_add(&report, IGMP_MODE_IS_EXCLUDE, g->record[i].group, NULL, 0);
	(void)igmp_report_end(&report);
	send(s, p);
}
_Static_assert(IPV4_HEADER_LEN + 4 + IGMP_HEADER_LEN + IP_GROUPS_MAX * IGMP_RECORD_LEN <= 576,
	       "fits into any link's packet");

/* --- versions --- */

/* Nothing that was due is said any more. */
static void cancel(struct ip_stack *s, uint32_t ifindex)
{
	struct igmp *g = s->igmp;

	g->interface[ifindex].answer_at = TIME_NEVER;
	timer_disarm(&g->wheel, ifindex);
	for (uint32_t i = 0; i < RECORDS; i++) {
		struct igmp_record *r = &g->record[i];

		if (r->ifindex != ifindex)
			continue;
		r->n_changes = 0;
		r->change_at = r->answer_at = TIME_NEVER;
		settle(g, r);
	}
}

/* The interface, of the version that it has by now. */
static struct igmp_interface *interface_of(struct ip_stack *s, uint32_t ifindex)
{
	struct igmp_interface *i = &s->igmp->interface[ifindex];
	uint64_t now = s->env->now;
	uint8_t version = now < i->v1_until ? 1 : now < i->v2_until ? 2 : 3;

	if (version != i->version) {
		i->version = version;
		cancel(s, ifindex);
	}
	return i;
}

/* A querier of this version is there for as long as it may leave two queries out (RFC 9776 section 8.12). */
static struct igmp_interface *heard_querier(struct ip_stack *s, uint32_t ifindex, const struct igmp_view *v)
{
	struct igmp_interface *i = &s->igmp->interface[ifindex];
	uint64_t until = s->env->now + i->robustness * QUERY_INTERVAL_NS + v->max_resp_ms * NS_PER_MS;

	/* General queries alone tell who the querier is (section 7.2.1). */
	if (v->version == 1)
		i->v1_until = until;
	else if (v->version == 2 && v->group == 0)
		i->v2_until = until;
	else if (v->version == 3)
		i->robustness = v->robustness != 0 ? v->robustness : ROBUSTNESS_DEFAULT;
	return interface_of(s, ifindex);
}

/* --- changes --- */

static uint64_t random_within(struct ip_stack *s, uint64_t ns)
{
	uint32_t n_ticks = max_u32((uint32_t)(ns / TICK_NS), 1);

	return s->env->now + (1 + rng_below(&s->env->rng, n_ticks)) * TICK_NS;
}

static void report_change(struct ip_stack *s, struct igmp_record *r)
{
	const struct igmp_interface *i = interface_of(s, r->ifindex);

	if (i->version == 3)
		send_record(s, r, r->joined ? IGMP_CHANGE_TO_EXCLUDE : IGMP_CHANGE_TO_INCLUDE, 0);
	else if (r->joined)
		send_old(s, r->ifindex, i->version == 2 ? IGMP_V2_REPORT : IGMP_V1_REPORT, r->group);
	else if (i->version == 2 && r->was_last)
		send_old(s, r->ifindex, IGMP_V2_LEAVE, r->group);
	r->was_last = r->joined;
	/* Older versions tell of an end once. */
	if (i->version < 3 && !r->joined)
		r->n_changes = 0;
	r->change_at = TIME_NEVER;
	if (r->n_changes > 0) {
		r->n_changes--;
		r->change_at = random_within(s, i->version == 3 ? UNSOLICITED_V3_NS : UNSOLICITED_V2_NS);
	}
	settle(s->igmp, r);
}

/* At once, and again as often as the querier asks. */
static void begin_reports(struct ip_stack *s, struct igmp_record *r)
{
	const struct igmp_interface *i = interface_of(s, r->ifindex);

	r->n_changes = i->robustness - 1;
	report_change(s, r);
}

/* Whether this stack speaks of its groups: a worker's has been told of them by its host, which does. */
static bool speaks(const struct ip_stack *s)
{
	return s->host.hand_over == NULL;
}

void igmp_joined(struct ip_stack *s, uint32_t ifindex, uint32_t group)
{
	if (!speaks(s) || !is_spoken_of(group))
		return;
	/* Another version by now gives records free that have nothing more to say. */
	(void)interface_of(s, ifindex);
	struct igmp_record *r = find(s->igmp, ifindex, group);

	if (r == NULL)
		r = make(s->igmp, ifindex, group);
	r->joined = true;
	begin_reports(s, r);
}

void igmp_left(struct ip_stack *s, uint32_t ifindex, uint32_t group)
{
	if (!speaks(s) || !is_spoken_of(group))
		return;
	(void)interface_of(s, ifindex);
	struct igmp_record *r = find(s->igmp, ifindex, group);

	if (r == NULL)
		return;
	r->joined = false;
	r->answer_at = TIME_NEVER;
	begin_reports(s, r);
}

void igmp_link_up(struct ip_stack *s, uint32_t ifindex)
{
	struct igmp *g = s->igmp;

	for (uint32_t i = 0; i < RECORDS; i++)
		if (g->record[i].ifindex == ifindex && g->record[i].joined)
			begin_reports(s, &g->record[i]);
}

/* --- queries --- */

/* Sources that were asked for before and now; more than there is room for are all. */
static void add_sources(struct igmp_record *r, const struct igmp_view *v)
{
	for (uint32_t i = 0; i < v->n_sources; i++) {
		uint32_t source = igmp_source(v, i), k = 0;

		while (k < r->n_sources && r->source[k] != source)
			k++;
		if (k < r->n_sources)
			continue;
		if (r->n_sources == SOURCES_MAX) {
			r->n_sources = 0;
			return;
		}
		r->source[r->n_sources++] = source;
	}
}

/* RFC 9776 section 5.2, rules 3 to 5. */
static void answer_for_group(struct ip_stack *s, struct igmp_record *r, const struct igmp_view *v, uint64_t at)
{
	bool asks_all = v->n_sources == 0 || (r->answer_at != TIME_NEVER && r->n_sources == 0);

	if (r->answer_at == TIME_NEVER || asks_all)
		r->n_sources = 0;
	r->answer_at = min_u64(r->answer_at, at);
	if (!asks_all)
		add_sources(r, v);
	settle(s->igmp, r);
}

static void answer_general(struct ip_stack *s, uint32_t ifindex, const struct igmp_view *v)
{
	struct igmp *g = s->igmp;
	struct igmp_interface *i = &g->interface[ifindex];

	if (i->version == 3) {
		i->answer_at = random_within(s, v->max_resp_ms * NS_PER_MS);
		timer_arm(&g->wheel, ifindex, i->answer_at);
		return;
	}
	for (uint32_t k = 0; k < RECORDS; k++)
		if (g->record[k].ifindex == ifindex && g->record[k].joined)
			answer_for_group(s, &g->record[k], v, random_within(s, v->max_resp_ms * NS_PER_MS));
}

/* Nobody further away can have sent it: it may not be forwarded, and its source has an address of the link (RFC 2236
 * section 10), or none, as switches have that ask. */
static bool is_of_link(const struct ip_stack *s, const struct packet *p)
{
	const struct ip_interface_config *c = ip_interface_cfg(s, p->in_ifindex);

	if (p->ip.ttl != IGMP_TTL)
		return false;
	if (p->ip.src == 0)
		return ip4_is_multicast(p->ip.dst);
	for (uint32_t i = 0; i < c->n_addresses; i++)
		if (ip4_in(p->ip.src, (struct ip4_prefix){ c->address[i].addr, c->address[i].prefix_len }))
			return true;
	return false;
}

/* What no router near by can have sent is not heard (RFC 9776 section 9.1); version 1 has one query, to all. To an
 * address of ours it may be sent, to find faults (section 4.1.12). */
static bool is_query_credible(const struct packet *p, const struct igmp_view *v)
{
	if (v->version == 1)
		return v->group == 0 && p->ip.dst == ALL_HOSTS;
	bool is_to_us = !ip4_is_multicast(p->ip.dst);

	return p->options.router_alert && (is_to_us || p->ip.dst == (v->group == 0 ? ALL_HOSTS : v->group));
}

static void query(struct ip_stack *s, const struct packet *p, const struct igmp_view *v)
{
	if (!is_query_credible(p, v))
		return;
	const struct igmp_interface *i = heard_querier(s, p->in_ifindex, v);
	struct igmp_record *r = v->group != 0 ? find(s->igmp, p->in_ifindex, v->group) : NULL;

	if (v->group == 0) {
		answer_general(s, p->in_ifindex, v);
	} else if (r != NULL && r->joined) {
		uint64_t at = random_within(s, v->max_resp_ms * NS_PER_MS);

		/* Else a general answer that is due comes first (rule 1). */
		if (at < i->answer_at)
			answer_for_group(s, r, v, at);
	}
}

/* Another host has spoken for its group: one is enough (RFC 2236 section 3). */
static void reported(struct ip_stack *s, uint32_t ifindex, uint32_t group)
{
	struct igmp_record *r = find(s->igmp, ifindex, group);

	if (r == NULL || !r->joined || interface_of(s, ifindex)->version == 3)
		return;
	r->n_changes = 0;
	r->change_at = r->answer_at = TIME_NEVER;
	r->was_last = false;
	settle(s->igmp, r);
}

static void input_one(struct ip_stack *s, struct packet *p)
{
	struct igmp_view v;

	if (igmp_parse(packet_l4(p), packet_l4_len(p), &v) != IGMP_OK) {
		packet_set_drop(p, DROP_IGMP_BAD);
		return;
	}
	p->verdict = VERDICT_CONSUMED;
	if (p->in_ifindex == 0 || p->in_ifindex >= IP_INTERFACES_MAX || !is_of_link(s, p))
		return;
	if (v.type == IGMP_QUERY)
		query(s, p, &v);
	else if ((v.type == IGMP_V1_REPORT || v.type == IGMP_V2_REPORT) && p->ip.dst == v.group)
		reported(s, p->in_ifindex, v.group);
}

static void input(void *ctx, struct batch *b)
{
	for (uint32_t i = 0; i < b->n; i++)
		input_one(ctx, b->p[i]);
}

/* --- the clock --- */

static void answer(struct ip_stack *s, struct igmp_record *r)
{
	const struct igmp_interface *i = interface_of(s, r->ifindex);

	r->answer_at = TIME_NEVER;
	if (i->version == 3)
		send_record(s, r, r->n_sources > 0 ? IGMP_MODE_IS_INCLUDE : IGMP_MODE_IS_EXCLUDE, r->n_sources);
	else
		send_old(s, r->ifindex, i->version == 2 ? IGMP_V2_REPORT : IGMP_V1_REPORT, r->group);
	r->was_last = true;
	settle(s->igmp, r);
}

static void fire(void *ctx, uint32_t index, uint64_t now)
{
	struct ip_stack *s = ctx;

	if (index < IP_INTERFACES_MAX) {
		struct igmp_interface *i = interface_of(s, index);

		if (i->answer_at != TIME_NEVER)
			send_all(s, index);
		i->answer_at = TIME_NEVER;
		return;
	}
	struct igmp_record *r = &s->igmp->record[index - IP_INTERFACES_MAX];

	/* By which nothing may be due any more, and the record be free. */
	(void)interface_of(s, r->ifindex);
	if (r->answer_at <= now)
		answer(s, r);
	if (r->change_at <= now)
		report_change(s, r);
	settle(s->igmp, r);
}

void igmp_expire(struct ip_stack *s)
{
	(void)timer_advance(&s->igmp->wheel, s->env->now, 0, fire, s);
}

uint64_t igmp_next_deadline(const struct ip_stack *s)
{
	return timer_next(&s->igmp->wheel);
}

bool igmp_create(struct ip_stack *s)
{
	static const struct igmp_interface nobody = { .answer_at = TIME_NEVER,
						      .version = 3,
						      .robustness = ROBUSTNESS_DEFAULT };
	struct igmp *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return false;
	for (uint32_t i = 0; i < IP_INTERFACES_MAX; i++)
		g->interface[i] = nobody;
	for (uint32_t i = 0; i < ARRAY_LEN(g->timer); i++)
		timer_node_init(&g->timer[i]);
	timer_wheel_init(&g->wheel, g->timer, sizeof(g->timer[0]), TICK_NS, s->env->now);
	s->igmp = g;
	ip_stack_set_protocol(s, IPPROTO_NR_IGMP, &(struct ip_protocol){ .ctx = s, .input = input });
	return true;
}

void igmp_destroy(struct ip_stack *s)
{
	free(s->igmp);
}
