/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Next: src/tools/bgp/mrt_print.c
 */
#include "tools/bgp/mrt_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "routing/bgp/bgp_mrt.h"

bool mrt_file_open(struct mrt_file *m, const char *name)
{
	*m = (struct mrt_file){ .name = name };
	m->f = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
	m->peer = calloc(MRT_FILE_PEERS_MAX, sizeof(*m->peer));
	if (m->f != NULL && m->peer != NULL)
		return true;
	fprintf(stderr, "yangguan bgp: %s: %s\n", name, strerror(errno));
	mrt_file_close(m);
	return false;
}

void mrt_file_close(struct mrt_file *m)
{
	if (m->f != NULL && m->f != stdin)
		fclose(m->f);
	free(m->peer);
	free(m->body);
}

static int bad_file(const struct mrt_file *m, const char *what)
{
	fprintf(stderr, "yangguan bgp: %s: record %llu: %s\n", m->name, (unsigned long long)m->n_records + 1, what);
	return -1;
}

static bool has_room(struct mrt_file *m)
{
	if (m->h.len <= m->body_cap)
		return true;
	uint8_t *more = realloc(m->body, m->h.len);

	if (more == NULL)
		return false;
	m->body = more;
	m->body_cap = m->h.len;
	return true;
}

int mrt_file_next(struct mrt_file *m)
{
	uint8_t header[MRT_HEADER_LEN];
	size_t n = fread(header, 1, sizeof(header), m->f);

	if (n == 0)
		return ferror(m->f) ? bad_file(m, strerror(errno)) : 0;
	if (n < sizeof(header))
		return bad_file(m, "the file ends in its header");
	m->h = mrt_header_parse(header);
	if (m->h.len > MRT_BODY_MAX)
		return bad_file(m, "longer than any is (is the file compressed?)");
	if (!has_room(m))
		return bad_file(m, "no memory");
	if (fread(m->body, 1, m->h.len, m->f) < m->h.len)
		return bad_file(m, "the file ends in it");
	m->n_records++;
	return 1;
}

bool mrt_file_take_peers(struct mrt_file *m)
{
	struct mrt_peers t;

	m->n_peers = 0;
	if (!mrt_peers_parse(m->body, m->h.len, &t))
		return false;
	for (uint32_t i = 0; i < t.n_peers; i++)
		if (!mrt_peers_next(&t, &m->peer[i]))
			return false;
	m->n_peers = t.n_peers;
	return true;
}

/* A session in which all can be read that is in such a file: LOCAL_PREF too, which only an internal one has. */
static struct bgp_wire session_of(const struct mrt_peer *peer, bool is_as4)
{
	return (struct bgp_wire){
		.local_as = peer->as,
		.peer_as = peer->as,
		.local_id = UINT32_MAX,
		.cluster_id = UINT32_MAX,
		.any_first_as = true,
		.takes_as_sets = true,
		.role = BGP_ROLE_NONE,
		.as4 = is_as4,
		.mp_ipv4 = true,
	};
}

bool mrt_file_read_entry(struct mrt_file *m, struct ip4_prefix prefix, const struct mrt_peer *peer,
			 const struct mrt_entry *e)
{
	struct bgp_wire w = session_of(peer, true);
	size_t len = bgp_mrt_update(m->update, prefix, e);

	m->message.type = BGP_UPDATE;
	return len > 0 && bgp_update_parse(&w, m->update, len, &m->message.update, &m->message.error) <= BGP_DISCARD;
}

bool mrt_file_read_message(struct mrt_file *m, const struct mrt_event *e)
{
	struct bgp_wire w = session_of(&e->peer, e->is_as4);
	struct bgp_error error;
	size_t len;

	if (bgp_frame(e->message, e->message_len, &len, &error) != BGP_FRAME_WHOLE || len != e->message_len)
		return false;
	m->message.type = bgp_header_type(e->message);
	return m->message.type != BGP_UPDATE ||
	       bgp_update_parse(&w, e->message, len, &m->message.update, &m->message.error) <= BGP_DISCARD;
}
