/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What neighbours were told, read back by them, against a slow model: what each should know of each prefix, by the best
 * path that the table has, written down by hand. Neighbours announce, withdraw, die and come back, ask for everything
 * once more, read everything or a little, now or later; policy changes. The seeds are printed.
 */
#include "routing/bgp/bgp_groups.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/util.h"
#include "stack/wire/bgp_fixture.h"
#include "stack/wire/bgp_message.h"

#define N_PEERS 9u
#define N_PREFIXES 400u
#define LOCAL_AS 65000u
#define LOCAL_ADDR IP4(10, 9, 0, 1)
#define MED_REFUSED 3u /* by policy, as long as it is strict */

static const struct siphash_key key = { 5, 6 };

/* What a neighbour says of a prefix: 0 nothing, else the attributes that attrs_of makes of it. */
typedef uint32_t variant;

static struct peer {
	bool is_external, as4, is_slow;
	bool is_up, is_awake, is_dumped;
	uint32_t source, member;
	uint32_t up_at; /* or asked for everything: by the clock of changes */
	struct bgp_neighbor_config config;
	variant said[N_PREFIXES];
	/* As it was told: a hash of the set; 0: it knows of none. */
	uint64_t known[N_PREFIXES];
	uint32_t known_at[N_PREFIXES];
	uint32_t n_known;
	uint64_t n_messages, n_withdrawn;
} peer[N_PEERS];

static struct bgp_table *table;
static struct bgp_groups *groups;
static bool is_strict; /* policy */
static uint32_t now, changed_at[N_PREFIXES];
static struct rng rng;

static struct ip4_prefix prefix_of(uint32_t i)
{
	return (struct ip4_prefix){ IP4(10, 0, 0, 0) + (i << 8), 24 };
}

static uint32_t index_of(struct ip4_prefix p)
{
	uint32_t i = (p.addr - IP4(10, 0, 0, 0)) >> 8;

	assert_true(p.len == 24 && i < N_PREFIXES);
	return i;
}

/* --- attributes: as they come, and as they should arrive --- */

static uint32_t med_of(variant v)
{
	return v % 13 == 0 ? 0 : v % 4;
}

static bool has_no_export(variant v)
{
	return v % 7 == 0;
}

static bool has_no_advertise(variant v)
{
	return v % 11 == 0;
}

static bool is_edited(variant v, uint32_t prefix)
{
	return v % 3 == 0 && prefix % 2 == 0;
}

#define ALMOST_ALL 4031u

/* Bytes of an attribute that nobody knows; 0: there is none. With ALMOST_ALL it fits into a message that comes, which
 * has no MED then, and not into one that goes, since that has our AS or LOCAL_PREF too; where an internal one's stays
 * behind, it does, unless the path is told in both widths. */
static uint32_t unknown_len(variant v)
{
	return v % 13 == 0 ? ALMOST_ALL : v % 5 == 0 ? 1500 : 0;
}

static const char *communities_of(variant v)
{
	return has_no_advertise(v) ? "ffffff02" : has_no_export(v) ? "ffffff01" : "fde80001";
}

static size_t put_path(char *text, size_t cap, uint32_t k, variant v, bool is_told_to_external)
{
	uint32_t n = 1 + (peer[k].is_external ? 1 : 0) + (is_told_to_external ? 1 : 0);
	int len = snprintf(text, cap, "4002%02x 02%02x", 2 + 4 * n, n);

	if (is_told_to_external)
		len += snprintf(text + len, cap - (size_t)len, "%08x", LOCAL_AS);
	if (peer[k].is_external)
		len += snprintf(text + len, cap - (size_t)len, "%08x", 65001 + k);
	len += snprintf(text + len, cap - (size_t)len, "%08x ", 70000 + v % 5);
	return (size_t)len;
}

/* What neighbour k says. */
static void attrs_said(char text[400], uint32_t k, variant v)
{
	int len = snprintf(text, 400, "400101%02x ", v % 3);

	len += (int)put_path(text + len, 200, k, v, false);
	len += snprintf(text + len, 50, "400304%08x ", IP4(10, 9, 0, 20) + k);
	if (med_of(v) != 0)
		len += snprintf(text + len, 50, "800404%08x ", med_of(v));
	if (!peer[k].is_external)
		len += snprintf(text + len, 50, "400504%08x ", 100 + v % 3);
	len += snprintf(text + len, 50, "c00804%s ", communities_of(v));
	if (unknown_len(v) > 0)
		(void)snprintf(text + len, 50, "d0d3%04x{%02x}%u", unknown_len(v), v & 0xff, unknown_len(v));
}

/* What `to` should be told of it. */
static void attrs_told(char text[400], const struct peer *to, uint32_t k, variant v, uint32_t prefix)
{
	int len = snprintf(text, 400, "400101%02x ", v % 3);

	len += (int)put_path(text + len, 200, k, v, to->is_external);
	len += snprintf(text + len, 50, "400304%08x ", to->is_external ? LOCAL_ADDR : IP4(10, 9, 0, 20) + k);
	if (!to->is_external && med_of(v) != 0)
		len += snprintf(text + len, 50, "800404%08x ", med_of(v));
	if (!to->is_external)
		len += snprintf(text + len, 50, "400504%08x ", 100);
	if (is_edited(v, prefix) && to->is_external)
		len += snprintf(text + len, 50, "c00808fde80309ffffff01 ");
	else
		len += snprintf(text + len, 50, "c00804%s ", communities_of(v));
	if (unknown_len(v) > 0)
		(void)snprintf(text + len, 50, "f0d3%04x{%02x}%u", unknown_len(v), v & 0xff, unknown_len(v));
}

static uint64_t hash_of_set(const struct bgp_attrs *a)
{
	static uint8_t set[BGP_SET_MAX];

	return siphash13(&key, set, bgp_set_write(set, a, a->next_hop)) | 1;
}

static struct bgp_wire wire_of(const struct peer *p)
{
	struct bgp_wire w = bgp_fixture_wire();

	w.peer_as = p->is_external ? 65001 + (uint32_t)(p - peer) : LOCAL_AS;
	w.as4 = p->as4;
	return w;
}

/* As the neighbour reads what we send. */
static struct bgp_wire wire_at(const struct peer *p)
{
	struct bgp_wire w = wire_of(p);

	w.peer_as = w.local_as;
	w.local_as = p->is_external ? 65001 + (uint32_t)(p - peer) : LOCAL_AS;
	w.local_id = w.local_addr = IP4(10, 9, 0, 20) + (uint32_t)(p - peer);
	return w;
}

/* 0: nothing. */
static uint64_t should_know(const struct peer *to, uint32_t prefix)
{
	static uint8_t bytes[BGP_FIXTURE_MAX];
	static struct bgp_update u;
	struct bgp_path_view best = bgp_table_best(table, prefix_of(prefix));
	char text[400];
	uint32_t k = 0;

	if (best.set == BGP_SET_NONE || best.source == to->source)
		return 0;
	while (!peer[k].is_up || peer[k].source != best.source)
		if (++k == N_PEERS)
			return 0; /* of one that is being swept out; compared when that is over */
	variant v = peer[k].said[prefix];

	if ((!to->is_external && !peer[k].is_external) || has_no_advertise(v) ||
	    (to->is_external && (has_no_export(v) || (is_strict && med_of(v) == MED_REFUSED))))
		return 0;
	if (unknown_len(v) == ALMOST_ALL && (peer[k].is_external || is_edited(v, prefix) || !to->as4))
		return 0;
	attrs_told(text, to, k, v, prefix);
	struct bgp_wire w = wire_at(to);
	struct bgp_error e;
	w.as4 = true;
	size_t len = bgp_fixture_update(bytes, "", text, "18 0a0000");
	assert_true(bgp_update_parse(&w, bytes, len, &u, &e) < BGP_WITHDRAW);
	return hash_of_set(&u.attrs);
}

/* --- policy --- */

static const struct bgp_set *judged;

static void judge(void *user, struct ip4_prefix prefix, const struct bgp_set *set, const struct bgp_source *source,
		  struct bgp_export_verdict *v)
{
	judged = set;
	v->is_accepted = !is_strict || set->med != MED_REFUSED;
	/* Variants are told from each other by what is in the set. */
	for (struct bgp_nlri rest = { set->bytes, set->len }; v->is_accepted;) {
		struct bgp_attr a;

		if (!bgp_set_next(&rest, &a))
			break;
		if (a.type == BGP_ORIGIN && a.value[0] == 0) {
			v->asked_prefix = true;
			v->edits = is_edited(0, index_of(prefix)) ? 7 : 0;
		}
	}
}

static size_t write_edited(void *user, uint8_t *out)
{
	struct bgp_nlri rest = { judged->bytes, judged->len };
	struct bgp_attr a;
	size_t len = 0;

	for (const uint8_t *from = rest.p; bgp_set_next(&rest, &a); from = rest.p) {
		if (a.type == BGP_COMMUNITIES) {
			len += bgp_fixture_hex(out + len, 100, "c00808fde80309ffffff01");
		} else {
			memcpy(out + len, from, (size_t)(rest.p - from));
			len += (size_t)(rest.p - from);
		}
	}
	return len;
}

static void terms(void *user, const struct bgp_outbound_peer *p, struct bgp_group_terms *t)
{
	if (bgp_kind_of(&p->wire) == BGP_EXTERNAL)
		t->export = (struct bgp_export){ judge, write_edited, &is_strict };
}

static void wake(void *user, uint32_t neighbor)
{
	peer[neighbor].is_awake = true;
}

/* --- neighbours --- */

static void come_up(uint32_t k)
{
	struct peer *p = &peer[k];
	struct bgp_source from = { p->is_external ? BGP_EXTERNAL : BGP_INTERNAL, 100 - k, IP4(10, 9, 0, 20) + k };

	p->source = bgp_table_add_source(table, &from);
	p->is_up = p->is_awake = true;
	p->is_dumped = false;
	p->n_known = 0;
	p->up_at = ++now;
	memset(p->said, 0, sizeof(p->said));
	memset(p->known, 0, sizeof(p->known));
	assert_int_equal(bgp_groups_slot.up(groups,
					    &(struct bgp_outbound_peer){ .neighbor = k,
									 .config = &p->config,
									 .wire = wire_of(p),
									 .source = p->source,
									 .local_addr = LOCAL_ADDR },
					    &p->member),
			 0);
}

static void die(uint32_t k, uint32_t budget)
{
	bgp_groups_slot.down(groups, peer[k].member);
	peer[k].is_up = false;
	while (!bgp_table_drop(table, peer[k].source, budget))
		(void)bgp_groups_work(groups);
}

static void say(uint32_t k, const char *withdrawn, const char *attrs, const char *nlri)
{
	static uint8_t bytes[BGP_FIXTURE_MAX];
	static struct bgp_update u;
	struct bgp_wire w = wire_of(&peer[k]);
	struct bgp_error e;

	w.as4 = true;
	size_t len = bgp_fixture_update(bytes, withdrawn, attrs, nlri);
	enum bgp_disposition d = bgp_update_parse(&w, bytes, len, &u, &e);
	assert_int_equal(d, BGP_ACCEPT);
	bgp_table_update(table, peer[k].source, &u, d, now);
}

/* n prefixes from `first` on, every `step`th. */
static void say_some(uint32_t k, uint32_t first, uint32_t n, uint32_t step, variant v)
{
	char nlri[2000] = "", attrs[400];
	int len = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t p = (first + i * step) % N_PREFIXES;

		len += snprintf(nlri + len, sizeof(nlri) - (size_t)len, "18 0a%04x ", p);
		peer[k].said[p] = v;
	}
	attrs_said(attrs, k, v);
	say(k, v == 0 ? nlri : "", v == 0 ? "" : attrs, v == 0 ? "" : nlri);
}

static void forget(struct peer *p, uint32_t prefix)
{
	p->n_withdrawn++;
	p->n_known -= p->known[prefix] != 0;
	p->known[prefix] = 0;
}

/* Would catch: a message that is not whole, too long, or not accepted; one with nothing in it. */
static void hear(struct peer *p, const uint8_t *bytes, size_t n)
{
	static struct bgp_message m;
	struct bgp_wire w = wire_at(p);
	struct ip4_prefix prefix;
	size_t len;

	for (size_t at = 0; at < n; at += len) {
		assert_int_equal(bgp_frame(bytes + at, n - at, &len, &m.error), BGP_FRAME_WHOLE);
		assert_true(len <= BGP_MESSAGE_MAX);
		assert_int_equal(bgp_message_parse(&w, BGP_ESTABLISHED, bytes + at, len, &m), BGP_ACCEPT);
		assert_true(m.type == BGP_UPDATE && m.update.withdrawn.len + m.update.nlri.len > 0);
		p->n_messages++;
		while (bgp_nlri_next(&m.update.withdrawn, &prefix))
			forget(p, index_of(prefix));
		while (bgp_nlri_next(&m.update.nlri, &prefix)) {
			uint32_t i = index_of(prefix);

			p->n_known += p->known[i] == 0;
			p->known[i] = hash_of_set(&m.update.attrs);
			p->known_at[i] = now;
		}
	}
}

/* What there was before the dump began, and has been ever since, is there at its end, and was told since it began. */
static void check_dump(const struct peer *p)
{
	for (uint32_t i = 0; i < N_PREFIXES; i++)
		if (changed_at[i] < p->up_at) {
			assert_true(p->known[i] == should_know(p, i));
			assert_true(p->known[i] == 0 || p->known_at[i] >= p->up_at);
		}
}

/* Reads what there is in so many calls, as long as it is awake. True: there was something. */
static bool listen(struct peer *p, uint32_t n_calls, size_t room)
{
	static uint8_t buf[65536];
	bool any = false;

	while (p->is_up && p->is_awake && n_calls-- > 0) {
		size_t n = bgp_groups_slot.next(groups, p->member, buf, room);

		assert_true(n <= room);
		hear(p, buf, n);
		p->is_awake = n > 0;
		any = any || n > 0;
		if (!p->is_dumped && bgp_groups_slot.is_dumped(groups, p->member)) {
			p->is_dumped = true;
			check_dump(p);
		}
	}
	return any;
}

static void settle(void)
{
	for (bool any = true; any;) {
		(void)bgp_groups_work(groups);
		any = false;
		for (uint32_t k = 0; k < N_PEERS; k++)
			any = listen(&peer[k], UINT32_MAX, 65536) || any;
		/* Somebody was woken by another's call. */
		for (uint32_t k = 0; k < N_PEERS; k++)
			any = any || (peer[k].is_up && peer[k].is_awake);
		any = any || bgp_groups_has_work(groups);
	}
}

static void check_all(void)
{
	for (uint32_t k = 0; k < N_PEERS; k++) {
		if (!peer[k].is_up)
			continue;
		assert_true(peer[k].is_dumped);
		for (uint32_t i = 0; i < N_PREFIXES; i++)
			if (peer[k].known[i] != should_know(&peer[k], i))
				fail_msg("neighbour %u, prefix %u: %llx instead of %llx", k, i,
					 (unsigned long long)peer[k].known[i],
					 (unsigned long long)should_know(&peer[k], i));
	}
}

static void note_change(void *user, const struct bgp_change *c)
{
	changed_at[index_of(c->prefix)] = now;
}

static void start(void)
{
	static const struct bgp_table_limits limits = { .prefixes = 1000, .paths = 10000, .set_bytes = 1 << 26 };
	const struct bgp_groups_config config = { .terms = terms, .wake = wake };
	struct bgp_groups_config c = config;

	memset(peer, 0, sizeof(peer));
	memset(changed_at, 0, sizeof(changed_at));
	now = 0;
	is_strict = false;
	assert_int_equal(bgp_table_create(&table, &limits, BGP_MED_SAME_AS, &key), 0);
	c.table = table;
	assert_true(bgp_table_add_reader(table, &(struct bgp_reader){ BGP_READS_BEST, note_change, NULL, &now }));
	assert_int_equal(bgp_groups_create(&groups, &c), 0);
	for (uint32_t k = 0; k < N_PEERS; k++) {
		peer[k].is_external = k < 6;
		peer[k].as4 = k != 4;
		peer[k].is_slow = k == 1 || k == 7;
	}
}

static void end(void)
{
	for (uint32_t k = 0; k < N_PEERS; k++)
		if (peer[k].is_up)
			die(k, UINT32_MAX);
	struct bgp_groups_stats s = bgp_groups_stats(groups);
	assert_true(s.n_members == 0 && s.n_parts == 0 && s.n_groups == 0 && s.resident_bytes == 0);
	struct bgp_table_stats t = bgp_table_stats(table);
	assert_true(t.n_prefixes == 0 && t.n_kept == 0 && t.n_sets == 0);
	bgp_groups_destroy(groups);
	bgp_table_destroy(table);
}

/* --- at random --- */

static void flip_policy(void)
{
	is_strict = !is_strict;
	for (uint32_t i = 0; i < N_PREFIXES; i++)
		changed_at[i] = now;
	bgp_groups_judge_again(groups, &is_strict);
}

static void ask_again(uint32_t k)
{
	peer[k].up_at = now;
	peer[k].is_dumped = false;
	bgp_groups_slot.refresh(groups, peer[k].member);
}

static void one_event(void)
{
	uint32_t k = rng_below(&rng, N_PEERS), what = rng_below(&rng, 1000);
	struct peer *p = &peer[k];

	now++;
	if (!p->is_up) {
		if (what < 300)
			come_up(k);
	} else if (what < 300) {
		uint32_t n = rng_below(&rng, 10) == 0 ? 100 : 1 + rng_below(&rng, 5);

		say_some(k, rng_below(&rng, N_PREFIXES), n, 1 + rng_below(&rng, 3),
			 rng_below(&rng, 3) == 0 ? 0 : 1 + rng_below(&rng, 60));
	} else if (what < 305) {
		die(k, 1 + rng_below(&rng, 200));
	} else if (what < 315) {
		ask_again(k);
	} else if (what < 318) {
		flip_policy();
	} else if (what < 400) {
		(void)bgp_groups_work(groups);
	} else if (!p->is_slow) {
		(void)listen(p, 1 + rng_below(&rng, 4), BGP_MESSAGE_MAX << rng_below(&rng, 5));
	} else if (what < 410) {
		(void)listen(p, 1, BGP_MESSAGE_MAX);
	}
}

/* Would catch: a route that a neighbour was not told, was told wrongly or was not withdrawn, whoever reads how slowly;
 * a neighbour that is told its own route, or keeps what it was told in its place; a neighbour that sleeps while there
 * is something for it; End-of-RIB before a route that was there all the time; a number that is kept for good. */
static void test_against_model(void **state)
{
	static const uint8_t seeds[] = { 1, 2, 3, 4, 76 }; /* the last one once found a withdrawal that was lost */
	uint64_t n_split = 0;

	for (size_t s = 0; s < ARRAY_LEN(seeds); s++) {
		const uint8_t seed[RNG_SEED_BYTES] = { seeds[s] };

		print_message("seed %u\n", seeds[s]);
		rng_init(&rng, seed);
		start();
		for (uint32_t step = 0; step < 4000; step++) {
			one_event();
			if (step % 1000 == 999) {
				settle();
				check_all();
			}
		}
		struct bgp_groups_stats g = bgp_groups_stats(groups);
		n_split += g.n_split;
		/* All know the same by now: external ones with four octets and with two, and internal ones. */
		assert_true(g.n_parts <= 3 && g.n_parts == g.n_groups);
		end();
	}
	assert_true(n_split > 0);
}

/* --- one by one --- */

static void up_and_settle(uint32_t first, uint32_t n)
{
	for (uint32_t k = first; k < first + n; k++)
		come_up(k);
	settle();
}

/* Would catch: withdrawals one by one; one that is told to nobody; a message over 4,096 bytes. */
static void test_withdraw_all(void **state)
{
	start();
	up_and_settle(0, 3);
	for (uint32_t i = 0; i < N_PREFIXES; i += 100)
		say_some(0, i, 100, 1, 1);
	settle();
	check_all();
	assert_int_equal(peer[1].n_known, N_PREFIXES);
	uint64_t before = peer[1].n_messages;
	assert_true(before == 1);
	for (uint32_t i = 0; i < N_PREFIXES; i += 100)
		say_some(0, i, 100, 1, 0);
	settle();
	assert_int_equal(peer[1].n_known, 0);
	assert_int_equal(peer[1].n_messages, before + 1);
	assert_int_equal(bgp_table_stats(table).n_kept, 0);
	end();
}

/* Would catch: a neighbour that is told its own path; one that keeps the path of another that it was told when its own
 * becomes the best. */
static void test_source(void **state)
{
	start();
	up_and_settle(0, 3);
	say_some(0, 1, 1, 1, 2); /* med and origin 2 */
	settle();
	assert_true(peer[0].known[1] == 0 && peer[1].known[1] != 0 && peer[2].known[1] != 0);
	say_some(1, 1, 1, 1, 1); /* origin 1 is better */
	settle();
	assert_true(peer[0].known[1] != 0 && peer[1].known[1] == 0 && peer[2].known[1] != 0);
	uint64_t n = peer[1].n_messages;
	say_some(1, 1, 1, 1, 4); /* the same neighbour's: nothing to withdraw from it */
	settle();
	assert_int_equal(peer[1].n_messages, n);
	check_all();
	end();
}

/* Would catch: an internal path told to internal neighbours; NO_EXPORT and NO_ADVERTISE that are not obeyed; one that
 * policy has put there and that is. */
static void test_not_told(void **state)
{
	start();
	up_and_settle(0, N_PEERS);
	say_some(7, 0, 1, 1, 1);
	say_some(0, 1, 1, 1, 7);
	say_some(0, 2, 1, 1, 11);
	say_some(0, 4, 1, 1, 3);
	settle();
	check_all();
	assert_true(peer[8].known[0] == 0 && peer[1].known[0] != 0);
	assert_true(peer[1].known[1] == 0 && peer[8].known[1] != 0);
	assert_true(peer[1].known[2] == 0 && peer[8].known[2] == 0);
	assert_true(peer[1].known[4] != 0 && peer[8].known[4] != 0);
	end();
}

/* Would catch: paths of our own that internal neighbours are not told, or with no next hop. */
static void test_ours(void **state)
{
	const struct bgp_source ours = { .kind = BGP_INTERNAL, .id = 1, .is_ours = true };
	static uint8_t bytes[BGP_FIXTURE_MAX];
	static struct bgp_update u;
	struct bgp_wire w = bgp_fixture_wire();
	struct bgp_error e;

	start();
	up_and_settle(6, 2);
	w.peer_as = w.local_as;
	uint32_t source = bgp_table_add_source(table, &ours);
	size_t len = bgp_fixture_update(bytes, "", "40010100 400200 4003040a090009 40050400000064", "18 0a0001");
	assert_int_equal(bgp_update_parse(&w, bytes, len, &u, &e), BGP_ACCEPT);
	u.attrs.next_hop = 0;
	bgp_table_update(table, source, &u, BGP_ACCEPT, now);
	settle();
	assert_true(peer[6].known[1] != 0 && peer[6].known[1] == peer[7].known[1]);
	len = bgp_fixture_update(bytes, "", "40010100 400200 4003040a090001 40050400000064", "18 0a0001");
	w = wire_at(&peer[6]);
	assert_int_equal(bgp_update_parse(&w, bytes, len, &u, &e), BGP_ACCEPT);
	assert_true(peer[6].known[1] == hash_of_set(&u.attrs));
	assert_true(bgp_table_drop(table, source, UINT32_MAX));
	end();
}

/* Would catch: a path that is cut, or that stays in an older form, when its attributes leave no room (trap 18). */
static void test_too_long(void **state)
{
	struct bgp_groups_view v;

	start();
	up_and_settle(0, 2);
	say_some(0, 1, 1, 1, 1);
	settle();
	assert_true(peer[1].known[1] != 0);
	say_some(0, 1, 1, 1, 26);
	settle();
	assert_int_equal(peer[1].known[1], 0);
	bgp_groups_look(groups, peer[1].member, &v);
	assert_true(v.n_too_long == 1 && bgp_groups_stats(groups).n_too_long == 1);
	say_some(0, 1, 1, 1, 1);
	settle();
	assert_true(peer[1].known[1] != 0);
	end();
}

/* Would catch: more told than the limit; room that nobody has any more; a limit that is lowered to no avail. */
static void test_limit(void **state)
{
	struct bgp_groups_view v;

	start();
	peer[1].config.max_prefixes_out = 10;
	up_and_settle(0, 3);
	say_some(0, 0, 30, 1, 1);
	settle();
	assert_true(peer[1].n_known == 10 && peer[2].n_known == 30);
	bgp_groups_look(groups, peer[1].member, &v);
	assert_true(v.n_told == 10 && v.n_over_limit == 20);
	for (uint32_t i = 0, n = 0; n < 5; i++)
		if (peer[1].known[i] != 0) {
			say_some(0, i, 1, 1, 0);
			n++;
		}
	settle();
	assert_int_equal(peer[1].n_known, 10);
	static struct bgp_neighbor_config lower;
	lower = peer[1].config;
	lower.max_prefixes_out = 4;
	bgp_groups_slot.changed(groups, peer[1].member, &lower);
	settle();
	assert_int_equal(peer[1].n_known, 4);
	lower.max_prefixes_out = 0;
	bgp_groups_slot.changed(groups, peer[1].member, &lower);
	peer[1].is_awake = true;
	settle();
	assert_int_equal(peer[1].n_known, 25);
	check_all();
	end();
}

/* Would catch: End-of-RIB before a route that was there all the time, while its attributes change (trap 23); no
 * End-of-RIB as long as there is something that changes. */
static void test_end_of_rib(void **state)
{
	const uint8_t seed[RNG_SEED_BYTES] = { 77 };

	rng_init(&rng, seed);
	for (uint32_t round = 0; round < 4; round++) {
		uint32_t n = 0;

		start();
		come_up(0);
		for (uint32_t i = 0; i < N_PREFIXES; i++)
			say_some(0, i, 1, 1, 5 * (1 + i % 2)); /* with 1,500 bytes each */
		come_up(1);
		while (!peer[1].is_dumped) {
			now++;
			for (uint32_t i = 0; i < 10; i++)
				say_some(0, rng_below(&rng, N_PREFIXES), 1, 1, 5 * (1 + rng_below(&rng, 2)));
			(void)bgp_groups_work(groups);
			(void)listen(&peer[1], 1, 2 * BGP_MESSAGE_MAX);
			assert_true(n++ < 4 * N_PREFIXES);
		}
		assert_int_equal(peer[1].n_known, N_PREFIXES);
		settle();
		check_all();
		end();
	}
}

static void no_terms(void *user, const struct bgp_outbound_peer *p, struct bgp_group_terms *t)
{
}

/* Would catch: an external neighbour that is told something without a policy (RFC 8212); one without End-of-RIB. */
static void test_no_policy(void **state)
{
	start();
	bgp_groups_destroy(groups);
	assert_int_equal(bgp_groups_create(&groups, &(struct bgp_groups_config){ table, no_terms, wake, NULL }), 0);
	come_up(0);
	come_up(1);
	come_up(7);
	say_some(0, 0, 10, 1, 1);
	settle();
	assert_true(peer[1].n_known == 0 && peer[1].n_messages == 0 && peer[7].n_known == 10);
	assert_true(peer[1].is_dumped && peer[7].is_dumped);
	end();
}

/* Would catch: a neighbour that does not read and keeps others from reading, takes memory by the message, or is told
 * less in the end (scenario 8). */
static void test_slow(void **state)
{
	const uint8_t seed[RNG_SEED_BYTES] = { 99 };

	rng_init(&rng, seed);
	start();
	for (uint32_t k = 0; k < 4; k++)
		come_up(k);
	for (uint32_t round = 0; round < 200; round++) {
		for (uint32_t i = 0; i < 20; i++)
			say_some(0, rng_below(&rng, N_PREFIXES), 1, 1, 5 + 5 * rng_below(&rng, 10));
		for (uint32_t k = 1; k < 3; k++)
			(void)listen(&peer[k], UINT32_MAX, 65536);
		while (bgp_groups_work(groups))
			;
	}
	struct bgp_groups_stats s = bgp_groups_stats(groups);
	assert_true(s.n_split > 0 && s.n_parts > 1);
	assert_true(s.resident_bytes < 4 << 20);
	(void)listen(&peer[0], UINT32_MAX, 65536);
	(void)listen(&peer[1], UINT32_MAX, 65536);
	(void)listen(&peer[2], UINT32_MAX, 65536);
	for (uint32_t i = 0; i < N_PREFIXES; i++)
		assert_true(peer[1].known[i] == should_know(&peer[1], i) &&
			    peer[2].known[i] == should_know(&peer[2], i));
	settle();
	check_all();
	s = bgp_groups_stats(groups);
	assert_true(s.n_parts == 1 && s.resident_bytes == 0);
	end();
}

/* Would catch: a message for each neighbour where one would do; more messages than sets. */
static void test_shared(void **state)
{
	struct bgp_groups_stats s;

	start();
	come_up(0);
	for (uint32_t i = 0; i < N_PREFIXES; i++)
		say_some(0, i, 1, 1, 1 + i % 50);
	settle();
	s = bgp_groups_stats(groups);
	uint64_t before = s.n_messages;
	for (uint32_t k = 1; k < 4; k++)
		come_up(k);
	settle();
	check_all();
	s = bgp_groups_stats(groups);
	uint32_t n_sets = bgp_table_stats(table).n_sets;
	/* Policy parts every third set in two. */
	assert_true(s.n_messages - before <= n_sets + n_sets / 3 + 1);
	assert_int_equal(s.n_parts, 1);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_model), cmocka_unit_test(test_withdraw_all),
		cmocka_unit_test(test_source),        cmocka_unit_test(test_not_told),
		cmocka_unit_test(test_too_long),      cmocka_unit_test(test_limit),
		cmocka_unit_test(test_no_policy),     cmocka_unit_test(test_slow),
		cmocka_unit_test(test_shared),        cmocka_unit_test(test_end_of_rib),
		cmocka_unit_test(test_ours),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
