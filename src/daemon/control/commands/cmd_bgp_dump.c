/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan bgp --dump FILE`: the paths that neighbours have announced, as MRT records (RFC 6396) in a file that the
 * client writes. In slices, each as long as the reader has taken what was before it.
 */
#include <stdlib.h>
#include <time.h>

#include "daemon/control/commands/cmd_bgp.h"
#include "routing/bgp/bgp_mrt.h"

#define PREFIXES 1024u /* of a slice */

struct cmd_bgp_dump {
	struct bgp_mrt_dump dump;
	const struct bgp_table *table; /* which it is of: after a reload there may be another */
	uint8_t room[BGP_MRT_ROOM_MIN];
};

/* What the records call a neighbour. Our own networks are ours, at the address of our identifier. */
static bool peer_of(void *user, uint32_t source, struct mrt_peer *out)
{
	const struct control_bgp *b = user;
	const struct bgp_source *s = bgp_table_source(b->table, source);
	struct bgp_neighbor_view v;

	*out = (struct mrt_peer){ .is_ipv4 = true, .id = s->id, .addr = s->addr, .as = b->config->as };
	if (s->is_ours)
		return true;
	/* A number that is nobody's has no identifier either. */
	if (s->id == 0 || !cmd_bgp_by_source(b, source, &v))
		return false;
	out->as = v.config->peer_as;
	return true;
}

static void put(struct command_call *c, const uint8_t *bytes, size_t len)
{
	if (len > 0)
		c->write(c->carrier, PROTO_FILE, (const char *)bytes, len);
}

int cmd_bgp_dump(struct command_call *c)
{
	const struct control_bgp *b = cmd_bgp_of(c);
	struct cmd_bgp_state *s = c->state;
	struct timespec utc;

	if (c->args.n_words != 1) {
		command_error(c, "bgp: --dump FILE: one file\n");
		return EXIT_USAGE;
	}
	clock_gettime(CLOCK_REALTIME, &utc);
	s->dump = malloc(sizeof(*s->dump));
	if (s->dump == NULL) {
		command_error(c, "bgp: no memory\n");
		return EXIT_FAILED;
	}
	s->dump->table = b->table;
	put(c, s->dump->room,
	    bgp_mrt_begin(&s->dump->dump, b->table, b->config->router_id, "", (uint64_t)utc.tv_sec,
			  cmd_bgp_now() / NS_PER_S, peer_of, (void *)(uintptr_t)b, s->dump->room,
			  sizeof(s->dump->room)));
	return COMMAND_MORE;
}

int cmd_bgp_dump_more(struct command_call *c)
{
	const struct control_bgp *b = cmd_bgp_of(c);
	struct cmd_bgp_dump *d = ((struct cmd_bgp_state *)c->state)->dump;
	bool more;

	if (b == NULL || b->table != d->table) {
		command_error(c, "bgp: a reload has ended what was being written\n");
		return EXIT_FAILED;
	}
	put(c, d->room, bgp_mrt_next(&d->dump, d->room, sizeof(d->room), PREFIXES, &more));
	if (more)
		return COMMAND_MORE;
	command_printf(c, "%u prefixes, %u paths\n", d->dump.n_prefixes, d->dump.n_paths);
	return EXIT_OK;
}
