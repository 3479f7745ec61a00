/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The trace slot's steps (stack/packet/trace.h) as walks. A core works in batches, so
 * steps of several packets come mixed. They are put in order a section a packet, and
 * the sections are printed when the core has been left: what a packet did in one entry
 * stands together, under its number. One that waits (for a neighbour, for fragments)
 * goes on under the same number in the section of a later entry.
 *
 * A packet is known by its descriptor's index; a slot an index keeps its number and
 * how it was last described, so that a line says what has changed and nothing else.
 *
 * Names come from the config that the core goes by. They may be a stranger's, and a
 * file's may hold a line's end: so each piece of a line is made fit for a terminal, and
 * no name can begin a line.
 */
#include "tools/replay/explain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "tools/replay/explain_priv.h"

#define NO_SECTION UINT32_MAX

/* Of one packet in one entry into the core. */
struct section {
	char *text;
	size_t len, cap;
	bool ended;
};

struct slot {
	uint64_t number; /* of the packet, 0: none */
	uint32_t section;
	char last[EXPLAIN_PACKET_TEXT_MAX]; /* as it was last described */
};

struct explain {
	struct gateway *gateway;
	const struct snapshot *snap; /* NULL: none yet */
	uint64_t n_packets;
	uint32_t n_slots;
	struct slot *slot;
	uint32_t n_sections, cap;
	struct section *section;
	bool no_memory;
};

/* --- sections --- */

static struct section *section_new(struct explain *x, struct slot *slot)
{
	if (x->n_sections == x->cap) {
		uint32_t cap = x->cap != 0 ? 2 * x->cap : 64;
		struct section *s = realloc(x->section, cap * sizeof(*s));
		if (s == NULL) {
			x->no_memory = true;
			return NULL;
		}
		x->section = s;
		x->cap = cap;
	}
	slot->section = x->n_sections;
	x->section[x->n_sections] = (struct section){ 0 };
	return &x->section[x->n_sections++];
}

/* Room for len bytes and an end behind what there is. */
static bool reserve(struct section *s, size_t len)
{
	if (s->len + len + 1 <= s->cap)
		return true;
	size_t cap = 2 * s->cap + len + 256;
	char *text = realloc(s->text, cap);

	if (text == NULL)
		return false;
	s->text = text;
	s->cap = cap;
	return true;
}

static void add(struct explain *x, struct section *s, const char *fmt, ...) YG_PRINTF(3, 4);

/* A line's piece, of any length, that ends a line only where fmt does; without memory the rest of the walk is lost, and
 * that is said at the end. */
static void add(struct explain *x, struct section *s, const char *fmt, ...)
{
	va_list args, again;

	va_start(args, fmt);
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, fmt, args);
	size_t len = n < 0 ? 0 : (size_t)n;

	if (n < 0 || !reserve(s, len)) {
		x->no_memory = true;
	} else {
		char *piece = s->text + s->len;
		size_t end = len > 0 && fmt[strlen(fmt) - 1] == '\n';

		vsnprintf(piece, len + 1, fmt, again);
		printable(piece, len - end, PRINTABLE_LINE);
		s->len += len;
	}
	va_end(again);
	va_end(args);
}

static void add_time(struct explain *x, struct section *s, uint64_t number)
{
	const struct env *env = gateway_env(x->gateway);
	uint64_t us = (env->now + env->wall_offset_ns) / NS_PER_US;

	add(x, s, "#%" PRIu64 " %" PRIu64 ".%06" PRIu64, number, us / 1000000, us % 1000000);
}

/* --- what is called how --- */

static const char *interface_name(const struct explain *x, uint32_t ifindex)
{
	if (x->snap == NULL || ifindex >= IP_INTERFACES_MAX || x->snap->core.ip.interface[ifindex].name[0] == '\0')
		return "?";
	return x->snap->core.ip.interface[ifindex].name;
}

static void add_rule(struct explain *x, struct section *s, const struct trace_step *step)
{
	struct rules_line line;
	const char *file = "?";

	if (!rules_line_at(gateway_rules(x->gateway), step->rule.row, &line))
		return;
	if (x->snap != NULL && step->rule.file >= 1 && step->rule.file <= x->snap->n_files)
		file = x->snap->file[step->rule.file - 1];
	if (step->kind == TRACE_POLICY)
		add(x, s, "      end of chain %s %s %s (%s:%u): policy %s\n", line.family, line.table, line.chain, file,
		    step->rule.line, explain_rule_verdict(step->rule.verdict));
	else
		add(x, s, "      rule %s:%u in %s %s %s: %s -> %s\n", file, step->rule.line, line.family, line.table,
		    line.chain, line.rule != NULL ? line.rule : "", explain_rule_verdict(step->rule.verdict));
}

static void add_hook(struct explain *x, struct section *s, const struct trace_step *step)
{
	const struct hook_list *list = ip_stack_hooks(gateway_ip(x->gateway), (enum ip_hook)step->hook.hook);
	const char *name = step->hook.entry < list->n ? list->entry[step->hook.entry].name : "?";

	if (step->hook.priority == HOOK_PRI_CONFIRM)
		add(x, s, "    %s last %s\n", hook_names[step->hook.hook], name);
	else
		add(x, s, "    %s %d %s\n", hook_names[step->hook.hook], step->hook.priority, name);
}

static void add_nat(struct explain *x, struct section *s, const struct trace_step *step)
{
	char change[EXPLAIN_STEP_TEXT_MAX];
	const char *pool = "";

	if (x->snap != NULL && step->nat.action == NAT_ACTION_POOL && step->nat.pool < x->snap->core.nat.n_pools)
		pool = x->snap->core.nat.pool[step->nat.pool].name;
	explain_nat(step, change, sizeof(change));
	add(x, s, "      %s%s%s\n", change, pool[0] != '\0' ? " " : "", pool);
}

static void add_step(struct explain *x, struct section *s, const struct trace_step *step)
{
	char text[EXPLAIN_STEP_TEXT_MAX];

	switch (step->kind) {
	case TRACE_HOOK:
		add_hook(x, s, step);
		return;
	case TRACE_HOOK_DONE:
		if (step->hook.verdict == VERDICT_STOLEN)
			add(x, s, "      held here, or handed to another worker\n");
		return;
	case TRACE_RULE:
	case TRACE_POLICY:
		add_rule(x, s, step);
		return;
	case TRACE_DESTINATION:
	case TRACE_SOURCE:
		add_nat(x, s, step);
		return;
	case TRACE_ROUTE:
		explain_route(step, interface_name(x, step->route.ifindex), text, sizeof(text));
		add(x, s, "    route: %s\n", text);
		return;
	case TRACE_NEIGHBOUR:
		explain_neigh(step, text, sizeof(text));
		add(x, s, "    neighbour on %s: %s\n", interface_name(x, step->neigh.ifindex), text);
		return;
	case TRACE_FLOWCACHE:
		explain_flow(step, text, sizeof(text));
		add(x, s, "    by the flow cache, past hooks, rules and route: %s%s%s\n", text,
		    step->flow.ifindex != 0 ? " on " : "",
		    step->flow.ifindex != 0 ? interface_name(x, step->flow.ifindex) : "");
		return;
	case TRACE_SENT:
		add(x, s, "    sent on %s, %u bytes\n", interface_name(x, step->ifindex), step->p->len);
		return;
	default:
		explain_plain(step, text, sizeof(text));
		add(x, s, "    %s\n", text);
		return;
	}
}

/* --- steps --- */

static bool begins(const struct trace_step *step)
{
	return step->kind == TRACE_RECEIVED || step->kind == TRACE_MADE ||
	       (step->kind == TRACE_PIECE && step->of != step->p->index);
}

static bool ends(enum trace_kind kind)
{
	return kind == TRACE_SENT || kind == TRACE_DROPPED || kind == TRACE_DELIVERED || kind == TRACE_CONSUMED;
}

/* The head of a new packet, and what of its walk stands before the first step. */
static struct section *begin(struct explain *x, struct slot *slot, const struct trace_step *step)
{
	struct section *s = section_new(x, slot);

	slot->number = ++x->n_packets;
	slot->last[0] = '\0';
	if (s == NULL)
		return NULL;
	add_time(x, s, slot->number);
	if (step->kind == TRACE_RECEIVED)
		add(x, s, " in by %s, %u bytes\n", interface_name(x, step->ifindex), step->p->len);
	else if (step->kind == TRACE_PIECE && step->of < x->n_slots)
		add(x, s, " cut from another\n");
	else
		add(x, s, " made here\n");
	return s;
}

static struct section *section_of(struct explain *x, struct slot *slot, const struct trace_step *step)
{
	if (begins(step) || slot->number == 0)
		return begin(x, slot, step);
	if (slot->section != NO_SECTION)
		return &x->section[slot->section];
	struct section *s = section_new(x, slot);

	if (s != NULL) {
		add_time(x, s, slot->number);
		add(x, s, " goes on\n");
	}
	return s;
}

/* Its headers, where they are not as they were when last described. */
static void add_packet(struct explain *x, struct section *s, struct slot *slot, const struct trace_step *step)
{
	char now[EXPLAIN_PACKET_TEXT_MAX];

	/* Not written yet, or not changed by such a step. */
	if (step->kind == TRACE_MADE || step->kind == TRACE_RULE || step->kind == TRACE_POLICY)
		return;
	explain_packet(step->p, now, sizeof(now));
	if (now[0] == '\0' || strcmp(now, slot->last) == 0)
		return;
	add(x, s, "    %s%s\n", slot->last[0] != '\0' ? "  now " : "", now);
	memcpy(slot->last, now, sizeof(now));
}

static void step_told(void *ctx, const struct trace_step *step)
{
	struct explain *x = ctx;

	if (step->p->index >= x->n_slots)
		return;
	struct slot *slot = &x->slot[step->p->index];
	struct section *s = section_of(x, slot, step);
	if (s == NULL)
		return;
	add_packet(x, s, slot, step);
	if (!begins(step))
		add_step(x, s, step);
	if (!ends(step->kind))
		return;
	s->ended = true;
	slot->number = 0;
	slot->section = NO_SECTION;
}

/* --- the whole --- */

struct explain *explain_start(struct gateway *g)
{
	struct explain *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return NULL;
	x->gateway = g;
	x->n_slots = packet_pool_capacity(gateway_env(g)->pool);
	x->slot = calloc(x->n_slots, sizeof(*x->slot));
	if (x->slot == NULL) {
		free(x);
		return NULL;
	}
	for (uint32_t i = 0; i < x->n_slots; i++)
		x->slot[i].section = NO_SECTION;
	env_set_trace(gateway_env(g), step_told, x);
	return x;
}

void explain_config(struct explain *x, const struct snapshot *snap)
{
	x->snap = snap;
}

void explain_print(struct explain *x)
{
	if (x == NULL || x->n_sections == 0)
		return;
	for (uint32_t i = 0; i < x->n_slots; i++)
		x->slot[i].section = NO_SECTION;
	for (uint32_t i = 0; i < x->n_sections; i++) {
		struct section *s = &x->section[i];

		if (s->text != NULL)
			printf("%s%s\n", s->text, s->ended ? "" : "    waits\n");
		free(s->text);
	}
	x->n_sections = 0;
}

void explain_stop(struct explain *x)
{
	if (x == NULL)
		return;
	env_set_trace(gateway_env(x->gateway), NULL, NULL);
	explain_print(x);
	if (x->no_memory)
		fprintf(stderr, "yangguan replay: no memory for all of what --explain has to say\n");
	free(x->section);
	free(x->slot);
	free(x);
}
