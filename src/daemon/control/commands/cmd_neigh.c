/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan neigh`: the neighbours, in the form of `ip neigh`.
 *
 * Each worker has a table of its own, and what ARP says reaches all of them; but
 * an entry goes its way in each (only some use it). So the tables of all are
 * gathered first, SLICE entries a call, and an address that several have is shown
 * once: in the best state that somebody has it in, confirmed when somebody last
 * had it confirmed. Then it is written, as fast as the reader takes it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/util.h"
#include "daemon/control/commands/cmd_priv.h"

#define SLICE 256

struct neigh_row {
	struct ip_neigh_info info;
	size_t place; /* in the order of the tables */
};

struct neigh_state {
	const struct control_target *target;
	/* one call */
	uint32_t core, cursor;
	bool at_end;
	size_t n_slice;
	struct ip_neigh_info slice[SLICE];
	/* all, by place */
	struct neigh_row *row;
	size_t n, cap, next;
	uint64_t now;
};

static void copy_slice(void *arg)
{
	struct neigh_state *s = arg;
	const struct control_core *core = &s->target->core[s->core];

	s->now = core->env->now > s->now ? core->env->now : s->now;
	for (s->n_slice = 0; s->n_slice < SLICE; s->n_slice++)
		if (!ip_neigh_next(core->ip, &s->cursor, &s->slice[s->n_slice])) {
			s->at_end = true;
			return;
		}
}

static bool append_slice(struct neigh_state *s)
{
	if (s->n + s->n_slice > s->cap) {
		size_t cap = 2 * s->cap + SLICE;
		struct neigh_row *row = realloc(s->row, cap * sizeof(*row));

		if (row == NULL)
			return false;
		s->row = row;
		s->cap = cap;
	}
	for (size_t i = 0; i < s->n_slice; i++, s->n++)
		s->row[s->n] = (struct neigh_row){ s->slice[i], s->n };
	return true;
}

static bool gather(struct neigh_state *s)
{
	for (s->core = 0; s->core < s->target->n_cores; s->core++) {
		s->cursor = 0;
		s->at_end = false;
		while (!s->at_end) {
			target_call_core(s->target, s->core, copy_slice, s);
			if (!append_slice(s))
				return false;
		}
	}
	return true;
}

/* The nearer to being of use, the smaller. */
static size_t rank(const char *state)
{
	static const char *const best_first[] = { "REACHABLE", "DELAY", "PROBE", "STALE", "INCOMPLETE", "FAILED" };
	size_t i = 0;

	while (i < ARRAY_LEN(best_first) && strcmp(state, best_first[i]) != 0)
		i++;
	return i;
}

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* Those of one address together, the best one first. */
static int by_address(const void *x, const void *y)
{
	const struct neigh_row *rx = x, *ry = y;
	const struct ip_neigh_info *a = &rx->info, *b = &ry->info;
	int c = compare(a->ifindex, b->ifindex);

	c = c != 0 ? c : compare(a->addr, b->addr);
	c = c != 0 ? c : compare(rank(a->state), rank(b->state));
	c = c != 0 ? c : compare(b->confirmed_ns, a->confirmed_ns);
	return c != 0 ? c : compare(rx->place, ry->place);
}

static int by_place(const void *x, const void *y)
{
	const struct neigh_row *a = x, *b = y;

	return compare(a->place, b->place);
}

static void merge_into(struct neigh_row *best, const struct neigh_row *other)
{
	struct ip_neigh_info *a = &best->info;
	const struct ip_neigh_info *b = &other->info;

	a->n_held += b->n_held;
	if (b->confirmed_ns > a->confirmed_ns)
		a->confirmed_ns = b->confirmed_ns;
	if (other->place < best->place)
		best->place = other->place;
}

/* An address once, where it stood first. */
static void merge(struct neigh_state *s)
{
	size_t n = 0;

	if (s->target->n_cores == 1 || s->n == 0)
		return;
	qsort(s->row, s->n, sizeof(*s->row), by_address);
	for (size_t i = 1; i < s->n; i++) {
		const struct ip_neigh_info *a = &s->row[n].info, *b = &s->row[i].info;

		if (a->ifindex == b->ifindex && a->addr == b->addr)
			merge_into(&s->row[n], &s->row[i]);
		else
			s->row[++n] = s->row[i];
	}
	s->n = n + 1;
	qsort(s->row, s->n, sizeof(*s->row), by_place);
}

static const struct out_column neigh_columns[] = {
	{ "dst", NULL, OUT_IP4 },    { "dev", NULL, OUT_TEXT },      { "lladdr", NULL, OUT_MAC },
	{ "state", NULL, OUT_TEXT }, { "confirmed", NULL, OUT_U64 }, { "held", NULL, OUT_U64 },
};

/* As `ip neigh` prints it. */
static void neigh_line(const struct out_value *row, char *buf, size_t len)
{
	char addr[IP4_TEXT_MAX], mac[ETHER_TEXT_MAX];
	struct text t = text_of(buf, len);

	text_add(&t, "%s dev %s ", ip4_format(row[0].ip4, addr), row[1].text);
	if (!row[2].absent)
		text_add(&t, "lladdr %s ", ether_format(&row[2].mac, mac));
	text_add(&t, "%s", row[3].text);
}

static const struct out_table neigh_table = { "neigh", neigh_columns, ARRAY_LEN(neigh_columns), neigh_line };

static void put_row(struct command_call *c, const struct ip_neigh_info *r)
{
	const struct neigh_state *s = c->state;
	bool known = !ether_is_zero(&r->mac);

	output_row(&c->output, (struct out_value[]){
				       OUT_A(r->addr),
				       OUT_T(target_ifname(c->target, r->ifindex)),
				       known ? OUT_M(r->mac) : OUT_ABSENT,
				       OUT_T(r->state),
				       r->confirmed_ns != 0 && r->confirmed_ns <= s->now
					       ? OUT_U((s->now - r->confirmed_ns) / NS_PER_S)
					       : OUT_ABSENT,
				       OUT_U(r->n_held),
			       });
}

static int neigh_more(struct command_call *c)
{
	struct neigh_state *s = c->state;

	for (size_t i = 0; i < SLICE && s->next < s->n; i++, s->next++)
		put_row(c, &s->row[s->next].info);
	return s->next < s->n ? COMMAND_MORE : cmd_table_done(c);
}

static int neigh_start(struct command_call *c)
{
	struct neigh_state *s = c->state;

	if (cmd_no_words(c) != 0)
		return EXIT_USAGE;
	s->target = c->target;
	if (!gather(s)) {
		command_error(c, "neigh: no memory\n");
		return EXIT_FAILED;
	}
	merge(s);
	cmd_table_start(c, &neigh_table);
	return COMMAND_MORE;
}

static void neigh_end(struct command_call *c)
{
	free(((struct neigh_state *)c->state)->row);
}

const struct command cmd_neigh = {
	.info = {
		.name = "neigh",
		.synopsis = "[-j]",
		.help = "the neighbours' addresses that ARP has found, as `ip neigh` shows them",
		.options = cmd_plain_options,
		.example = "  yangguan neigh\n  10.77.0.2 dev lan0 lladdr 02:00:00:00:00:02 REACHABLE",
	},
	.state_bytes = sizeof(struct neigh_state),
	.start = neigh_start,
	.more = neigh_more,
	.end = neigh_end,
};
