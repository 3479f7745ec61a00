/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan events`: what happens in the gateway, one line or JSON object each.
 *
 * A listener that comes when the gateway is ready already is told so first, so
 * that `events --until ready` waits exactly as long as it must. One that reads
 * too slowly loses events, and is told how many as soon as it reads on.
 */
#include "daemon/control/commands/cmd_priv.h"

#include <stdlib.h>
#include <string.h>

#include "base/event.h"
#include "base/util.h"
#include "daemon/control/text/event_text.h"

/* Unread bytes beyond which events are left out. */
#define BACKLOG_MAX (256u * 1024)

struct events_state {
	uint32_t kinds;
	int until; /* -1: none */
	uint64_t n_left;
	uint64_t n_lost;
};

static void put_event(struct command_call *c, const struct yg_event *e)
{
	const char *ifname = target_ifname(c->target, e->ifindex);
	uint64_t offset = c->target->env->wall_offset_ns;

	if (args_has(&c->args, "json")) {
		char *text = event_json(e, ifname, offset);
		if (text != NULL)
			command_printf(c, "%s\n", text);
		free(text);
		return;
	}
	char line[512];
	event_line(e, ifname, offset, line, sizeof(line));
	command_printf(c, "%s\n", line);
}

/* Shows e if it is wanted; the result is the command's. */
static int show(struct command_call *c, const struct yg_event *e)
{
	struct events_state *s = c->state;

	if ((s->kinds & EVENT_BIT(e->kind)) != 0) {
		put_event(c, e);
		if (s->n_left != 0 && --s->n_left == 0)
			return EXIT_OK;
	}
	if (s->until == (int)e->kind)
		return EXIT_OK;
	/* Behind the last event of all nothing can come. */
	if (e->kind == EVENT_STOPPED)
		return s->until < 0 && s->n_left == 0 ? EXIT_OK : EXIT_FAILED;
	return COMMAND_WAIT;
}

static int show_lost(struct command_call *c, uint64_t time_ns)
{
	struct events_state *s = c->state;
	struct yg_event lost = { .kind = EVENT_LOST, .time_ns = time_ns, .count = s->n_lost };

	s->n_lost = 0;
	return show(c, &lost);
}

static int events_event(struct command_call *c, const struct yg_event *e)
{
	struct events_state *s = c->state;
	bool last = e->kind == EVENT_STOPPED || s->until == (int)e->kind;

	if (c->backlog(c->carrier) > BACKLOG_MAX && !last) {
		s->n_lost++;
		return COMMAND_MORE;
	}
	if (s->n_lost > 0) {
		int rc = show_lost(c, e->time_ns);
		if (rc >= 0)
			return rc;
	}
	return show(c, e);
}

struct now_copy {
	const struct control_target *target;
	uint64_t now;
};

static void copy_now(void *arg)
{
	struct now_copy *n = arg;

	n->now = n->target->env->now;
}

/* The reader has caught up. */
static int events_more(struct command_call *c)
{
	struct events_state *s = c->state;
	struct now_copy n = { .target = c->target };

	if (s->n_lost == 0)
		return COMMAND_WAIT;
	target_call(c->target, copy_now, &n);
	return show_lost(c, n.now);
}

static bool read_kinds(struct command_call *c, struct events_state *s)
{
	const char *until = args_value(&c->args, "until");
	const char *unknown = NULL;

	s->until = -1;
	if (until != NULL && (s->until = event_kind_find(until)) < 0)
		unknown = until;
	s->kinds = c->args.n_words == 0 ? UINT32_MAX : 0;
	for (size_t i = 0; i < c->args.n_words; i++) {
		int kind = event_kind_find(c->args.word[i]);
		if (kind < 0)
			unknown = c->args.word[i];
		else
			s->kinds |= EVENT_BIT(kind);
	}
	if (unknown == NULL)
		return true;
	const char *near = args_nearest(unknown, event_kind_names, N_EVENT_KINDS);
	command_error(c, "events: no event is called \"%.40s\"%s%s%s (see: yangguan events --help)\n", unknown,
		      near != NULL ? "; did you mean \"" : "", near != NULL ? near : "", near != NULL ? "\"?" : "");
	return false;
}

static int events_start(struct command_call *c)
{
	struct events_state *s = c->state;
	struct now_copy n = { .target = c->target };
	char err[128];

	if (!read_kinds(c, s))
		return EXIT_USAGE;
	if (!args_number(&c->args, "count", 1, UINT64_MAX, &s->n_left, err, sizeof(err))) {
		command_error(c, "events: %s\n", err);
		return EXIT_USAGE;
	}
	uint64_t generation = c->target->ready(c->target->ctx);
	if (generation == 0 || args_has(&c->args, "only-new"))
		return COMMAND_WAIT;
	target_call(c->target, copy_now, &n);
	struct yg_event ready = { .kind = EVENT_READY, .time_ns = n.now, .count = generation };
	return show(c, &ready);
}

static const struct arg_option events_options[] = {
	{ 'n', "count", "N", "end after N events" },
	{ 0, "until", "KIND",
	  "end, with status 0, when an event of this kind was shown; waits up to 10 s for a gateway that is only "
	  "starting" },
	{ 0, "replay-ready", NULL, "begin with `ready` if the gateway is ready already (this is the default)" },
	{ 0, "only-new", NULL, "do not" },
	OPTION_JSON,
	OPTION_SOCKET,
	{ 0 },
};

const struct command cmd_events = {
	.info = {
		.name = "events",
		.synopsis = "[KIND...] [-n N] [--until KIND] [-j]",
		.help = "what happens, as it happens: one line or JSON object each",
		.options = events_options,
		.more = "Kinds: ready, device-up, device-down, neigh-learnt, neigh-failed, conn-new, conn-update, conn-end,\n"
			"reloaded, reload-refused, nat-exhausted, address-conflict, bgp-up, bgp-down, bgp-failed, bgp-warning, bgp-limit,\n"
			"bgp-synced, rpki-updated, rpki-down, rpki-expired, lost, stopped.\n"
			"conn-end tells packets and bytes of each direction, the kernel's too, and the duration in seconds.",
		.example = "  yangguan events --until ready        wait until the gateway forwards\n"
			   "  yangguan events conn-new conn-end -j",
	},
	.state_bytes = sizeof(struct events_state),
	.start = events_start,
	.more = events_more,
	.event = events_event,
};
