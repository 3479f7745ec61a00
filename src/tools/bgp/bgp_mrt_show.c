/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `bgp mrt FILE`: each path and message of it as a line, or all of it in a table of paths, as a gateway would have it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/util.h"
#include "daemon/control/commands/command.h"
#include "routing/bgp/bgp_table.h"
#include "tools/bgp/bgp.h"
#include "tools/bgp/mrt_file.h"

struct show {
	struct mrt_file file;
	struct bgp_table *table;                 /* NULL: lines */
	struct mrt_peer source[BGP_SOURCES_MAX]; /* of the table */
	uint32_t n_sources;
	uint64_t n_no_source; /* paths of more peers than a table has */
};

/* --- into a table --- */

static bool same_peer(const struct mrt_peer *a, const struct mrt_peer *b)
{
	return a->addr == b->addr && a->as == b->as && a->id == b->id;
}

static uint32_t source_of(struct show *s, const struct mrt_peer *peer)
{
	struct bgp_source source = { .kind = BGP_EXTERNAL, .id = peer->id, .addr = peer->addr };
	uint32_t i = 0;

	while (i < s->n_sources && !same_peer(&s->source[i], peer))
		i++;
	if (i < s->n_sources)
		return i;
	if (i == BGP_SOURCES_MAX || bgp_table_add_source(s->table, &source) != i) {
		s->n_no_source++;
		return BGP_SOURCE_NONE;
	}
	s->source[s->n_sources++] = *peer;
	return i;
}

static void take(struct show *s, const struct mrt_peer *peer, uint32_t time_s)
{
	uint32_t source = source_of(s, peer);

	if (source != BGP_SOURCE_NONE)
		bgp_table_update(s->table, source, &s->file.message.update, BGP_ACCEPT, time_s);
}

/* --- as lines --- */

static void print_all(const struct mrt_line *l, char is, struct bgp_nlri list)
{
	struct ip4_prefix p;

	while (bgp_nlri_next(&list, &p))
		mrt_print_prefix(l, is, p);
}

static void print_update(const struct mrt_line *l, const struct bgp_update *u)
{
	print_all(l, 'W', u->withdrawn);
	print_all(l, 'W', u->attrs.unreach.nlri);
	print_all(l, 'A', u->nlri);
	print_all(l, 'A', u->attrs.reach.nlri);
}

/* --- records --- */

static bool show_rib(struct show *s)
{
	struct mrt_file *m = &s->file;
	struct mrt_rib r;
	struct mrt_entry e;

	if (!mrt_rib_parse(m->body, m->h.len, &r))
		return false;
	for (uint32_t i = 0; i < r.n_entries; i++) {
		if (!mrt_rib_next(&r, &e) || e.peer >= m->n_peers)
			return false;
		const struct mrt_peer *peer = &m->peer[e.peer];
		struct mrt_line l = { "TABLE_DUMP2", m->h.time_s, NULL, peer, &m->message.update.attrs };

		if (!mrt_file_read_entry(m, r.prefix, peer, &e))
			m->n_bad++;
		else if (s->table != NULL)
			take(s, peer, e.since_s);
		else
			mrt_print_prefix(&l, 'B', r.prefix);
	}
	return true;
}

static bool show_event(struct show *s)
{
	struct mrt_file *m = &s->file;
	struct mrt_event e;

	if (!mrt_event_parse(&m->h, m->body, &e))
		return false;
	if (!e.peer.is_ipv4 || e.is_sent) {
		m->n_other++;
		return true;
	}
	bool is_et = m->h.type == MRT_BGP4MP_ET;
	struct mrt_line l = { is_et ? "BGP4MP_ET" : "BGP4MP", m->h.time_s, is_et ? &e.us : NULL, &e.peer,
			      &m->message.update.attrs };

	if (e.is_state) {
		if (s->table == NULL)
			mrt_print_state(&l, e.from, e.to);
		return true;
	}
	if (!mrt_file_read_message(m, &e))
		return false;
	if (m->message.type != BGP_UPDATE)
		return true;
	if (s->table != NULL)
		take(s, &e.peer, m->h.time_s);
	else
		print_update(&l, &m->message.update);
	return true;
}

static bool show_record(struct show *s)
{
	struct mrt_file *m = &s->file;

	if (m->h.type == MRT_TABLE_DUMP_V2 && m->h.subtype == MRT_PEER_INDEX_TABLE)
		return mrt_file_take_peers(m);
	if (m->h.type == MRT_TABLE_DUMP_V2 && m->h.subtype == MRT_RIB_IPV4_UNICAST)
		return show_rib(s);
	if (m->h.type == MRT_BGP4MP || m->h.type == MRT_BGP4MP_ET)
		return show_event(s);
	m->n_other++;
	return true;
}

static void print_table(const struct show *s)
{
	struct bgp_table_stats st = bgp_table_stats(s->table);

	printf("%u peers, %u prefixes, %u paths, %u sets of attributes in %" PRIu64 " bytes\n", s->n_sources,
	       st.n_prefixes, st.n_paths, st.n_sets, st.set_bytes);
	if (st.n_no_room + s->n_no_source > 0)
		printf("%" PRIu64 " paths found no room\n", st.n_no_room + s->n_no_source);
}

static bool start_table(struct show *s)
{
	static const struct bgp_table_limits limits;
	struct siphash_key key = { .k0 = (uintptr_t)s };

	if (bgp_table_create(&s->table, &limits, BGP_MED_SAME_AS, &key) == 0)
		return true;
	fprintf(stderr, "yangguan bgp: no memory\n");
	return false;
}

int bgp_mrt_show(const char *path, enum bgp_mrt_form form)
{
	struct show *s = calloc(1, sizeof(*s));
	int status = EXIT_USAGE, rc;

	if (s == NULL || !mrt_file_open(&s->file, path)) {
		free(s);
		return status;
	}
	if (form == BGP_MRT_LINES || start_table(s)) {
		while ((rc = mrt_file_next(&s->file)) > 0)
			s->file.n_bad += !show_record(s);
		status = rc < 0 ? EXIT_FAILED : EXIT_OK;
		if (s->table != NULL)
			print_table(s);
		if (s->file.n_bad > 0)
			fprintf(stderr, "yangguan bgp: %" PRIu64 " records or entries cannot be read\n", s->file.n_bad);
		if (s->file.n_other > 0)
			fprintf(stderr, "yangguan bgp: %" PRIu64 " records are not of IPv4 unicast, or what was sent\n",
				s->file.n_other);
	}
	if (s->table != NULL)
		bgp_table_destroy(s->table);
	mrt_file_close(&s->file);
	free(s);
	return status;
}
