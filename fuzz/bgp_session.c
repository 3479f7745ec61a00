/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A whole session from bytes: one speaker, and a neighbour that is the input. Input: a byte of what is configured (bits
 * of enum setting), then steps, each a byte of what happens (enum step) and what that takes: bytes of the neighbour's,
 * as they are or as the body of a message with a right header; time; its connections; an operator's commands.
 *
 * Checks that what the speaker says is messages, of a kind and a length that there is, up to half of one where it was
 * stopped; that a session that is up has been agreed on; that its paths are all gone when it is; and that in the end no
 * connection is left behind.
 */
#include "routing/bgp/bgp_groups.h"
#include "routing/bgp/bgp_speaker.h"
#include "routing/stream/stream_memory.h"

#include "base/util.h"
#include "wire_fuzz.h"

#define US IP4(10, 0, 0, 1)
#define IT IP4(10, 0, 0, 2)

#define N_OURS 2

enum setting {
	INTERNAL = 1,
	PASSIVE = 2,
	RANGE = 4,
	LIMIT = 8,
	ROLE = 16,
	DELAY = 32,
	NO_RESTART = 64,
	RESTARTED = 128
};

enum step {
	SAY_BYTES,   /* a length, bytes */
	SAY_MESSAGE, /* a type, a length, a body */
	WAIT_MS,
	WAIT_S,
	CONNECT,
	CLOSE,
	ABORT,
	COMMAND, /* which */
	CUT,     /* behind so many bytes */
	N_STEPS
};

struct world {
	struct stream_memory *net;
	struct bgp_table *table;
	struct bgp_groups *groups;
	struct bgp_speaker *speaker;
	struct stream_carrier *it;
	struct stream *s;
	struct bgp_neighbor_config config;
	uint32_t number;
	uint64_t now;
	size_t n_kept;
	uint8_t kept[BGP_MESSAGE_MAX];
	bool is_up;
};

/* --- the neighbour --- */

static void judge(struct world *w)
{
	struct bgp_error e;
	size_t len, at = 0;
	enum bgp_frame f;

	while ((f = bgp_frame(w->kept + at, w->n_kept - at, &len, &e)) == BGP_FRAME_WHOLE)
		at += len;
	FUZZ_CHECK(f != BGP_FRAME_BAD);
	memmove(w->kept, w->kept + at, w->n_kept - at);
	w->n_kept -= at;
}

static void on_readable(void *user, struct stream *s, uint64_t now)
{
	struct world *w = user;
	size_t n;

	(void)now;
	while ((n = s->carrier->read(s, w->kept + w->n_kept, sizeof(w->kept) - w->n_kept)) > 0) {
		w->n_kept += n;
		judge(w);
	}
}

static void on_event(void *user, struct stream *s, uint64_t now)
{
	(void)user;
	(void)s;
	(void)now;
}

static void on_closed(void *user, struct stream *s, int error, uint64_t now)
{
	struct world *w = user;

	(void)error;
	on_readable(user, s, now);
	s->carrier->close(s);
	w->s = NULL;
}

static const struct stream_events events = { on_event, on_readable, on_event, on_closed };

static bool on_accept(void *user, struct stream_listener *l, struct stream *s, uint64_t now)
{
	struct world *w = user;

	(void)l;
	(void)now;
	if (w->s != NULL)
		return false;
	w->s = s;
	w->n_kept = 0;
	stream_tell(s, &events, w);
	return true;
}

static void connect_to(struct world *w)
{
	const struct stream_connect how = {
		.remote = { US, BGP_PORT }, .deadline = TIME_NEVER, .events = &events, .user = w
	};

	if (w->s == NULL && w->it->connect(w->it, &how, &w->s) == 0)
		w->n_kept = 0;
}

static void hang_up(struct world *w, bool aborts)
{
	if (w->s == NULL)
		return;
	if (aborts)
		w->s->carrier->abort(w->s);
	else
		w->s->carrier->close(w->s);
	w->s = NULL;
}

static void say(struct world *w, const uint8_t *p, size_t len)
{
	if (w->s != NULL)
		(void)w->s->carrier->write(w->s, p, len);
}

/* --- time --- */

static void check(struct world *w)
{
	struct bgp_neighbor_view v;
	bool is_up = false;

	for (uint32_t i = 0; (i = bgp_speaker_next(w->speaker, i)) != BGP_NEIGHBOR_NONE; i++) {
		FUZZ_CHECK(bgp_speaker_look(w->speaker, i, &v) && v.number == i);
		if (v.state != BGP_STATE_ESTABLISHED)
			continue;
		is_up = true;
		FUZZ_CHECK(v.source != BGP_SOURCE_NONE && v.theirs.id != 0 && v.wire.peer_as == v.theirs.as);
		FUZZ_CHECK(v.hold_s == 0 || (v.hold_s >= BGP_HOLD_MIN_S && v.hold_at <= w->now + v.hold_s * NS_PER_S));
		FUZZ_CHECK(v.config->max_prefixes == 0 || v.n_prefixes <= v.config->max_prefixes);
	}
	w->is_up = is_up;
}

static void run(struct world *w, uint64_t ns)
{
	uint64_t until = w->now + ns;

	for (uint64_t at; (at = min_u64(stream_memory_next(w->net), bgp_speaker_next_deadline(w->speaker))) <= until;) {
		w->now = max_u64(w->now, at);
		stream_memory_advance(w->net, w->now);
		(void)bgp_speaker_work(w->speaker, w->now);
		while (bgp_groups_has_work(w->groups))
			(void)bgp_groups_work(w->groups);
	}
	w->now = until;
	stream_memory_advance(w->net, w->now);
	check(w);
}

static void on_speaker_event(void *user, enum bgp_event_kind kind, const struct bgp_neighbor_view *v)
{
	(void)user;
	FUZZ_CHECK(kind < N_BGP_EVENT_KINDS && bgp_event_names[kind] != NULL);
	FUZZ_CHECK(v->state < N_BGP_STATES && bgp_state_names[v->state] != NULL);
	FUZZ_CHECK(v->idle < N_BGP_IDLES && bgp_idle_names[v->idle] != NULL);
	FUZZ_CHECK(v->last.side < N_BGP_SIDES && bgp_side_names[v->last.side] != NULL);
	FUZZ_CHECK(kind != BGP_EVENT_UP || v->state == BGP_STATE_ESTABLISHED);
	FUZZ_CHECK(kind != BGP_EVENT_DOWN || v->last.was_up);
	FUZZ_CHECK((kind != BGP_EVENT_DOWN && kind != BGP_EVENT_FAILED) || v->last.side != BGP_SIDE_NONE);
}

/* --- what happens --- */

static void command(struct world *w, uint32_t which)
{
	const struct bgp_command c = { .is_hard = (which & 16) != 0, .text = "words", .text_len = 5 };
	struct bgp_neighbor_config other = w->config;
	struct bgp_speaker *s = w->speaker;

	switch (which % 8) {
	case 0:
		bgp_speaker_reset(s, w->number, &c, w->now);
		break;
	case 1:
		bgp_speaker_shut(s, w->number, &c, w->now);
		break;
	case 2:
		bgp_speaker_enable(s, w->number, w->now);
		break;
	case 3:
		(void)bgp_speaker_refresh(s, w->number);
		break;
	case 4:
		bgp_speaker_path_down(s, w->number, c.is_hard, w->now);
		break;
	case 5:
		other.hold_s = (uint16_t)(which & 32);
		other.is_shut = (which & 64) != 0;
		if (bgp_speaker_change(s, w->number, &other, w->now) == 0)
			w->config = other;
		break;
	case 6:
		bgp_speaker_remove(s, w->number, w->now);
		break;
	case 7:
		bgp_speaker_wake(s, w->number);
		if (bgp_speaker_find(s, w->config.peers) == BGP_NEIGHBOR_NONE)
			(void)bgp_speaker_add(s, &w->config, w->now, &w->number);
		break;
	}
}

static void step(struct world *w, struct fuzz_input *in)
{
	static uint8_t p[BGP_MESSAGE_MAX];
	uint32_t what = fuzz_take(in, 1) % N_STEPS, type = what == SAY_MESSAGE ? fuzz_take(in, 1) : 0;
	size_t len = fuzz_take(in, what == SAY_MESSAGE ? 2 : 1), head = what == SAY_MESSAGE ? BGP_HEADER_LEN : 0;

	if (what == SAY_BYTES || what == SAY_MESSAGE) {
		len = min_u64(min_u64(len, in->n_left), sizeof(p) - head);
		if (head > 0)
			(void)bgp_header_emit(p, (enum bgp_type)type, head + len);
		memcpy(p + head, in->p, len);
		in->p += len;
		in->n_left -= len;
		say(w, p, head + len);
		run(w, 2 * NS_PER_MS);
	} else if (what == WAIT_MS || what == WAIT_S) {
		run(w, len * (what == WAIT_MS ? NS_PER_MS : NS_PER_S));
	} else if (what == CONNECT) {
		connect_to(w);
		run(w, 5 * NS_PER_MS);
	} else if (what == CLOSE || what == ABORT) {
		hang_up(w, what == ABORT);
	} else if (what == COMMAND) {
		command(w, (uint32_t)len);
	} else {
		stream_memory_cut(w->net, len, (len & 1) != 0 ? STREAM_MEMORY_SILENT : STREAM_MEMORY_RESET);
	}
	check(w);
}

static void terms_of(void *user, const struct bgp_outbound_peer *peer, struct bgp_group_terms *terms)
{
	(void)user;
	(void)peer;
	terms->export = bgp_export_all;
}

static void wake(void *user, uint32_t neighbor)
{
	struct world *w = user;

	if (w->speaker != NULL)
		bgp_speaker_wake(w->speaker, neighbor);
}

/* Two prefixes of our own, which the neighbour is told. */
static void originate(struct world *w)
{
	static const struct bgp_source self = { BGP_INTERNAL, 1, 1 };
	static const uint8_t body[] = { 0, 0, 0,    21, 0x40, 1, 1, 0, 0x40, 2,  0,  0x40, 3,  4,  10, 0,
					0, 9, 0x40, 5,  4,    0, 0, 0, 100,  16, 20, 1,    16, 20, 2 };
	static uint8_t p[BGP_HEADER_LEN + sizeof(body)];
	static struct bgp_update u;
	const struct bgp_wire wire = { .local_as = 65001, .peer_as = 65001, .local_id = US, .as4 = true };
	struct bgp_error e;

	memcpy(bgp_header_emit(p, BGP_UPDATE, sizeof(p)), body, sizeof(body));
	FUZZ_CHECK(bgp_update_parse(&wire, p, sizeof(p), &u, &e) == BGP_ACCEPT);
	bgp_table_update(w->table, bgp_table_add_source(w->table, &self), &u, BGP_ACCEPT, 1);
	FUZZ_CHECK(bgp_table_stats(w->table).n_paths == N_OURS);
}

static void begin(struct world *w, uint8_t bits)
{
	const struct stream_memory_config net = { .delay_ns = NS_PER_MS,
						  .buffer = 4096,
						  .chunk = (bits & DELAY) != 0 ? 7 : 0 };
	const struct bgp_table_limits limits = { .prefixes = 256, .paths = 256, .set_bytes = 1 << 16 };
	const struct siphash_key key = { 1, 2 };
	struct stream_listener *l;

	w->now = NS_PER_S;
	w->net = stream_memory_create(&net);
	FUZZ_CHECK(w->net != NULL && bgp_table_create(&w->table, &limits, BGP_MED_SAME_AS, &key) == 0);
	stream_memory_advance(w->net, w->now);
	w->it = stream_memory_host(w->net, IT);
	FUZZ_CHECK(
		w->it->listen(w->it,
			      &(struct stream_listen){ .local = { .port = BGP_PORT }, .accept = on_accept, .user = w },
			      &l) == 0);
	const struct bgp_groups_config g = { .table = w->table, .terms = terms_of, .wake = wake, .user = w };

	FUZZ_CHECK(bgp_groups_create(&w->groups, &g) == 0);
	originate(w);
	const struct bgp_speaker_config c = { .as = 65001,
					      .id = US,
					      .table = w->table,
					      .carrier = stream_memory_host(w->net, US),
					      .outbound = &bgp_groups_slot,
					      .outbound_user = w->groups,
					      .event = on_speaker_event,
					      .restarted_s = (bits & RESTARTED) != 0 ? 60 : 0 };
	w->config = (struct bgp_neighbor_config){ .peers = { IT, 32 },
						  .peer_as = (bits & INTERNAL) != 0 ? 65001 : 65002,
						  .is_passive = (bits & PASSIVE) != 0,
						  .max_prefixes = (bits & LIMIT) != 0 ? 5 : 0,
						  .max_restart_s = 10,
						  .has_role = (bits & ROLE) != 0 && (bits & INTERNAL) == 0,
						  .role = BGP_ROLE_PEER,
						  .delay_open_s = (bits & DELAY) != 0 ? 5 : 0,
						  .without = (bits & NO_RESTART) != 0 ? BGP_WITHOUT_RESTART : 0 };
	if ((bits & RANGE) != 0)
		w->config.peers = (struct ip4_prefix){ IP4(10, 0, 0, 0), 24 };
	FUZZ_CHECK(bgp_speaker_create(&w->speaker, &c, w->now) == 0 && bgp_speaker_listen(w->speaker) == 0);
	FUZZ_CHECK(bgp_neighbor_config_fault(&w->config, c.as) == NULL);
	FUZZ_CHECK(bgp_speaker_add(w->speaker, &w->config, w->now, &w->number) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	struct fuzz_input in = { data, size };

	w = (struct world){ 0 };
	begin(&w, (uint8_t)fuzz_take(&in, 1));
	run(&w, 10 * NS_PER_MS);
	while (in.n_left > 0)
		step(&w, &in);
	/* It is over: nothing stays. */
	bgp_speaker_stop(w.speaker, &(struct bgp_command){ 0 }, w.now);
	run(&w, 10 * NS_PER_S);
	FUZZ_CHECK(bgp_speaker_is_quiet(w.speaker) && !w.is_up);
	FUZZ_CHECK(bgp_table_stats(w.table).n_paths == N_OURS && bgp_groups_stats(w.groups).n_members == 0);
	hang_up(&w, true);
	run(&w, 1000 * NS_PER_S);
	FUZZ_CHECK(stream_memory_n_open(w.net) == 0);
	bgp_speaker_destroy(w.speaker);
	bgp_groups_destroy(w.groups);
	bgp_table_destroy(w.table);
	stream_memory_destroy(w.net);
	return 0;
}
