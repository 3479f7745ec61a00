/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Speakers on a network in memory and on virtual time, for tests; and a hand: a host that says what it is told to, byte
 * by byte, and keeps what it hears.
 *
 * Router i has address 10.0.0.1 + i, the same as identifier, and AS 65001 + i unless the test says otherwise.
 */
#ifndef YG_ROUTING_BGP_BGP_SIM_FIXTURE_H
#define YG_ROUTING_BGP_BGP_SIM_FIXTURE_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "routing/bgp/bgp_fsm.h"
#include "routing/bgp/bgp_speaker.h"
#include "routing/stream/stream_memory.h"
#include "stack/wire/bgp_fixture.h"

#define SIM_MAX 101
#define SIM_HAND_MAX 65536

struct sim_router {
	struct sim *sim;
	struct bgp_table *table;
	struct bgp_speaker *speaker;
	uint32_t n_events[N_BGP_EVENT_KINDS];
	struct bgp_neighbor_view last[N_BGP_EVENT_KINDS]; /* of each kind; its config may be gone */
};

struct sim_config {
	struct stream_memory_config net; /* delay_ns 0: 1 ms */
	uint32_t n_routers;
	struct bgp_table_limits limits;      /* 0: 1,000 prefixes and paths, 1 MiB */
	uint16_t restarted_s;                /* of router 0 */
	const struct bgp_outbound *outbound; /* of router 0 */
	void *outbound_user;
	bool is_same_as; /* all of them are in AS 65001 */
	/* Of each router, with its table, before its speaker is made. */
	void (*prepare)(struct sim_router *r, uint32_t i, struct bgp_speaker_config *c);
};

struct sim {
	struct sim_config config;
	struct stream_memory *net;
	uint64_t now;
	uint32_t n;
	uint64_t n_steps;
	struct sim_router router[SIM_MAX];
};

static inline uint32_t sim_addr(uint32_t i)
{
	return IP4(10, 0, 0, 1) + i;
}

static inline uint32_t sim_as(const struct sim *s, uint32_t i)
{
	return s->config.is_same_as ? 65001 : 65001 + i;
}

static inline void sim_on_event(void *user, enum bgp_event_kind kind, const struct bgp_neighbor_view *view)
{
	struct sim_router *r = user;

	r->n_events[kind]++;
	r->last[kind] = *view;
}

static inline void sim_boot(struct sim *s, uint32_t i)
{
	static const struct siphash_key key = { 1, 2 };
	struct sim_router *r = &s->router[i];
	struct bgp_table_limits limits = s->config.limits;
	struct bgp_speaker_config c = { .as = sim_as(s, i),
					.id = sim_addr(i),
					.carrier = stream_memory_host(s->net, sim_addr(i)),
					.event = sim_on_event,
					.event_user = r,
					.seed = { (uint8_t)i, (uint8_t)s->now } };

	if (limits.prefixes == 0)
		limits = (struct bgp_table_limits){ .prefixes = 1000, .paths = 1000, .set_bytes = 1 << 20 };
	if (i == 0) {
		c.restarted_s = s->config.restarted_s;
		c.outbound = s->config.outbound;
		c.outbound_user = s->config.outbound_user;
	}
	memset(r, 0, sizeof(*r));
	r->sim = s;
	if (bgp_table_create(&r->table, &limits, BGP_MED_SAME_AS, &key) != 0)
		abort();
	c.table = r->table;
	if (s->config.prepare != NULL)
		s->config.prepare(r, i, &c);
	if (bgp_speaker_create(&r->speaker, &c, s->now) != 0 || bgp_speaker_listen(r->speaker) != 0)
		abort();
}

static inline void sim_start(struct sim *s, const struct sim_config *c)
{
	memset(s, 0, sizeof(*s));
	s->config = *c;
	if (s->config.net.delay_ns == 0)
		s->config.net.delay_ns = NS_PER_MS;
	s->n = c->n_routers;
	s->now = NS_PER_S; /* 0 is "never was" */
	s->net = stream_memory_create(&s->config.net);
	if (s->net == NULL)
		abort();
	stream_memory_advance(s->net, s->now);
	for (uint32_t i = 0; i < s->n; i++)
		sim_boot(s, i);
}

/* Without a word; its host knows nothing of its connections afterwards. */
static inline void sim_crash(struct sim *s, uint32_t i)
{
	struct sim_router *r = &s->router[i];

	bgp_speaker_destroy(r->speaker);
	bgp_table_destroy(r->table);
	r->speaker = NULL;
	r->table = NULL;
}

static inline void sim_end(struct sim *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->router[i].speaker != NULL)
			sim_crash(s, i);
	stream_memory_destroy(s->net);
}

static inline uint64_t sim_next(const struct sim *s)
{
	uint64_t at = stream_memory_next(s->net);

	for (uint32_t i = 0; i < s->n; i++)
		if (s->router[i].speaker != NULL)
			at = min_u64(at, bgp_speaker_next_deadline(s->router[i].speaker));
	return at;
}

/* What is due at one moment. */
static inline void sim_step(struct sim *s, uint64_t at)
{
	s->now = max_u64(s->now, at);
	s->n_steps++;
	stream_memory_advance(s->net, s->now);
	for (uint32_t i = 0; i < s->n; i++)
		if (s->router[i].speaker != NULL && bgp_speaker_next_deadline(s->router[i].speaker) <= s->now)
			(void)bgp_speaker_work(s->router[i].speaker, s->now);
}

static inline void sim_run(struct sim *s, uint64_t for_ns)
{
	uint64_t until = s->now + for_ns;

	for (uint64_t at; (at = sim_next(s)) <= until;)
		sim_step(s, at);
	s->now = until;
	stream_memory_advance(s->net, until);
}

/* A neighbour of router i at that address, which is a router's or a hand's; its number. */
static inline uint32_t sim_add_at(struct sim *s, uint32_t i, uint32_t addr, const struct bgp_neighbor_config *tweak)
{
	struct bgp_neighbor_config c = *tweak;
	uint32_t number;

	c.peers = (struct ip4_prefix){ addr, 32 };
	if (bgp_speaker_add(s->router[i].speaker, &c, s->now, &number) != 0)
		abort();
	return number;
}

static inline uint32_t sim_add(struct sim *s, uint32_t i, uint32_t peer, const struct bgp_neighbor_config *tweak)
{
	struct bgp_neighbor_config c = *tweak;

	if (c.peer_as == 0)
		c.peer_as = sim_as(s, peer);
	return sim_add_at(s, i, sim_addr(peer), &c);
}

static inline struct bgp_neighbor_view sim_look(const struct sim *s, uint32_t i, uint32_t number)
{
	struct bgp_neighbor_view v;

	if (!bgp_speaker_look(s->router[i].speaker, number, &v))
		memset(&v, 0, sizeof(v));
	return v;
}

static inline bool sim_is_up(const struct sim *s, uint32_t i, uint32_t number)
{
	return sim_look(s, i, number).state == BGP_STATE_ESTABLISHED;
}

/* --- the hand --- */

struct hand {
	struct sim *sim;
	struct stream_carrier *carrier;
	struct stream_listener *listener;
	struct stream *s;
	uint32_t n_open, n_closed, n_accepted;
	int error;
	size_t n_got, n_read; /* bytes that came; that hand_next has given */
	uint8_t got[SIM_HAND_MAX];
	uint64_t at;  /* when the last byte came */
	bool is_deaf; /* it reads nothing */
};

static inline void hand_read(void *user, struct stream *s, uint64_t now)
{
	struct hand *h = user;

	while (!h->is_deaf && h->s == s) {
		size_t n = s->carrier->read(s, h->got + h->n_got, sizeof(h->got) - h->n_got);

		if (n == 0)
			break;
		h->n_got += n;
		h->at = now;
	}
}

static inline void hand_open(void *user, struct stream *s, uint64_t now)
{
	((struct hand *)user)->n_open++;
}

static inline void hand_writable(void *user, struct stream *s, uint64_t now)
{
}

static inline void hand_closed(void *user, struct stream *s, int error, uint64_t now)
{
	struct hand *h = user;

	hand_read(user, s, now);
	h->n_closed++;
	h->error = error;
	s->carrier->abort(s);
	h->s = NULL;
}

static const struct stream_events hand_events = { hand_open, hand_read, hand_writable, hand_closed };

static inline bool hand_accept(void *user, struct stream_listener *l, struct stream *s, uint64_t now)
{
	struct hand *h = user;

	h->n_accepted++;
	if (h->s != NULL)
		return false;
	h->s = s;
	h->n_got = h->n_read = 0;
	stream_tell(s, &hand_events, h);
	return true;
}

/* At an address of its own; listens if it is to. */
static inline void hand_init(struct hand *h, struct sim *s, uint32_t addr, bool listens)
{
	memset(h, 0, sizeof(*h));
	h->sim = s;
	h->carrier = stream_memory_host(s->net, addr);
	if (listens && h->carrier->listen(h->carrier,
					  &(struct stream_listen){
						  .local = { .port = BGP_PORT }, .accept = hand_accept, .user = h },
					  &h->listener) != 0)
		abort();
}

static inline void hand_connect(struct hand *h, uint32_t router, const struct stream_connect *tweak)
{
	struct stream_connect how = *tweak;

	how.remote = (struct stream_end){ sim_addr(router), BGP_PORT };
	how.deadline = TIME_NEVER;
	how.events = &hand_events;
	how.user = h;
	h->n_got = h->n_read = 0;
	if (h->carrier->connect(h->carrier, &how, &h->s) != 0)
		abort();
}

static inline void hand_say_bytes(struct hand *h, const uint8_t *p, size_t len)
{
	if (h->s != NULL && h->s->carrier->write(h->s, p, len) != len)
		abort(); /* more at once than there is room for */
}

static inline void hand_say(struct hand *h, enum bgp_type type, const char *body)
{
	uint8_t p[BGP_FIXTURE_MAX];

	hand_say_bytes(h, p, bgp_fixture_message(p, type, body));
}

static inline void hand_say_update(struct hand *h, const char *withdrawn, const char *attrs, const char *nlri)
{
	uint8_t p[BGP_FIXTURE_MAX];

	hand_say_bytes(h, p, bgp_fixture_update(p, withdrawn, attrs, nlri));
}

static inline void hand_say_open(struct hand *h, const struct bgp_open *o)
{
	uint8_t p[BGP_OPEN_LEN_MAX];

	hand_say_bytes(h, p, bgp_open_emit(p, o));
}

/* The next message that came, or NULL; *type 0 then. */
static inline const uint8_t *hand_next(struct hand *h, size_t *len, uint8_t *type)
{
	struct bgp_error e;
	const uint8_t *p = h->got + h->n_read;

	*type = 0;
	*len = 0;
	if (bgp_frame(p, h->n_got - h->n_read, len, &e) != BGP_FRAME_WHOLE)
		return NULL;
	h->n_read += *len;
	*type = (uint8_t)bgp_header_type(p);
	return p;
}

/* The NOTIFICATION among what came, code and subcode as 0x0602; 0: none. Also *n, if there is one. */
static inline uint32_t hand_notified(struct hand *h, struct bgp_notification *n)
{
	size_t len;
	uint8_t type;

	for (const uint8_t *p; (p = hand_next(h, &len, &type)) != NULL;)
		if (type == BGP_NOTIFICATION) {
			bgp_notification_parse(p, len, n);
			return (uint32_t)n->code << 8 | n->subcode;
		}
	return 0;
}

/* An OPEN as AS 65002 of host 10.0.0.2 says it. */
static inline struct bgp_open hand_open_of(uint32_t as, uint32_t id)
{
	return (struct bgp_open){ .as = as,
				  .id = id,
				  .hold_s = 90,
				  .can = { .any_mp = true,
					   .ipv4 = true,
					   .refresh = true,
					   .enhanced_refresh = true,
					   .as4 = as,
					   .role = BGP_ROLE_NONE } };
}

#endif
