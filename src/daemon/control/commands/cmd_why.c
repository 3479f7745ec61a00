/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan why`: why sockets of the gateway's host are as they are, and why connections
 * ended.
 *
 * Sockets are read in slices in the thread of the host, with the route to each other end.
 * What the workers know of the way there, the neighbour, the connection in connection
 * tracking and what rules last did to a packet of these ends, is asked of all of them, a slice at a time. The
 * reasoning is socket_why.c's.
 *
 * Two ends of which there is no socket are asked about all the same, at the end, as if there was one of TCP and one of
 * UDP, each way round.
 */
#include "daemon/control/commands/cmd_priv.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "daemon/control/commands/ss_filter.h"
#include "daemon/control/text/socket_text.h"
#include "stack/ip/route.h"
#include "stack/socket/socket_why.h"

#define SLICE 32u
#define FILTER_MAX 1024u

/* One socket, and what was asked for it. */
struct subject {
	struct socket_entry entry;
	struct socket_way way;
	uint32_t next_hop, ifindex; /* next_hop 0: none is asked for */
	bool is_resolved;           /* at some worker */
};

struct why_state {
	const struct control_target *target;
	uint64_t id; /* with has_id: this one alone */
	bool has_id;
	struct ss_filter filter;
	uint32_t n_ends; /* words that are ends and no filter */
	struct tcp_end end[2];
	struct socket_ends none; /* of them */
	struct socket_cursor cursor;
	uint64_t now;
	uint64_t n_shown;
	uint32_t n;
	struct subject subject[SLICE];
	uint32_t n_ended;
	struct tcp_ended ended[TCP_ENDED_MAX];
};

/* --- in the thread of the host --- */

static void find_route(const struct control_core *host, struct subject *s)
{
	const struct tcp_entry *t = &s->entry.t;
	struct ip_flow f = {
		.dst = t->remote.addr.v4, .sport = t->local.port, .dport = t->remote.port, .proto = s->entry.protocol
	};
	struct fib_nexthop room;
	const uint64_t *counts = tcp_counts(sockets_tcp(host->sockets));

	s->way = (struct socket_way){ .n_overflowed = counts[TCP_COUNT_LISTEN_OVERFLOWED],
				      .n_syns_dropped = counts[TCP_COUNT_LISTEN_DROPPED] };
	s->next_hop = 0;
	s->is_resolved = false;
	if (t->remote.addr.v4 == 0)
		return;
	const struct fib_nexthop *nh = ip_route_flow(host->ip, t->zone, &f, s->entry.ifindex, &room);

	s->way.route = ip4_is_loopback(t->remote.addr.v4) ? FIB_LOCAL : (enum fib_kind)nh->kind;
	if (nh->kind != FIB_UNICAST)
		return;
	s->ifindex = nh->ifindex;
	s->next_hop = nh->gateway.v4 != 0 ? nh->gateway.v4 : t->remote.addr.v4;
}

/* Somebody is at a port of ours that was asked for, and takes what comes from any end. */
static void note_listener(struct why_state *s, const struct control_core *host, const struct socket_entry *e)
{
	const struct tcp_end *at = &e->t.local;

	if ((e->kind != SOCKET_LISTENER && e->kind != SOCKET_UDP) || e->t.remote.port != 0)
		return;
	for (uint32_t i = 0; i < s->n_ends; i++) {
		const struct tcp_end *end = &s->end[i];

		if (end->port != at->port || (at->addr.v4 != 0 && at->addr.v4 != end->addr.v4) ||
		    !ip_is_local(host->ip, 0, end->addr.v4))
			continue;
		s->none.tcp_listens |= e->kind == SOCKET_LISTENER;
		s->none.udp_listens |= e->kind == SOCKET_UDP;
	}
}

static void read_slice(void *arg)
{
	struct why_state *s = arg;
	const struct control_core *host = target_host(s->target);
	struct socket_entry e[SLICE];
	uint32_t n = 0;

	s->n = 0;
	s->now = host->env->now;
	if (host->sockets == NULL) {
		s->cursor.step = UINT8_MAX;
		return;
	}
	if (s->has_id)
		n = sockets_entry(host->sockets, s->id, &e[0]);
	else
		n = sockets_list(host->sockets, &s->cursor, e, SLICE);
	for (uint32_t i = 0; i < n; i++) {
		note_listener(s, host, &e[i]);
		if (e[i].kind == SOCKET_EPOLL || !ss_filter_takes(&s->filter, &e[i]))
			continue;
		s->subject[s->n].entry = e[i];
		find_route(host, &s->subject[s->n++]);
	}
}

static bool at_end(const struct why_state *s)
{
	return s->has_id || s->cursor.step == UINT8_MAX || sockets_at_end(&s->cursor);
}

static void read_ended(void *arg)
{
	struct why_state *s = arg;
	const struct control_core *host = target_host(s->target);

	/* Some ended since the last slice was read. */
	s->now = host->env->now;
	while (host->sockets != NULL && tcp_ended(sockets_tcp(host->sockets), s->n_ended, &s->ended[s->n_ended]))
		s->n_ended++;
}

/* --- in each worker --- */

/* An end without an address or a port is any. */
static bool is_between(const struct rules_own *own, const struct tcp_end *local, const struct tcp_end *remote)
{
	if (local->addr.v4 != 0 && local->addr.v4 != own->local)
		return false;
	return remote->addr.v4 == 0 ||
	       (remote->addr.v4 == own->remote && (remote->port == 0 || remote->port == own->remote_port));
}

static void take_later(struct socket_ruled *to, const struct socket_ruled *r)
{
	if (r->is_there && (!to->is_there || r->ago < to->ago))
		*to = *r;
}

/* The last of what rules of this worker did to a packet of these ends. */
static void ask_rules(const struct control_core *core, const struct socket_entry *e, bool is_out,
		      struct socket_ruled *out)
{
	struct rules_line line;
	struct rules_own own;

	if (core->rules == NULL || !rules_own_last(core->rules, e->protocol, e->t.local.port, is_out, &own) ||
	    core->env->now - own.at > RULES_OWN_TOLD_NS || !is_between(&own, &e->t.local, &e->t.remote) ||
	    !rules_line_at(core->rules, own.row, &line))
		return;
	struct socket_ruled r = { .is_there = true,
				  .is_untracked = own.kind == RULES_OWN_UNTRACKED,
				  .ago = core->env->now - own.at,
				  .remote = { ip_addr_v4(own.remote), own.remote_port } };
	struct text t = text_of(r.rule, sizeof(r.rule));

	text_add(&t, "%s %s: %s", line.table, line.chain, line.rule != NULL ? line.rule : "policy drop");
	take_later(out, &r);
}

static void ask_tracked(const struct control_core *core, struct subject *x)
{
	const struct tcp_entry *t = &x->entry.t;
	struct tuple tuple = { .src = t->local.addr.v4,
			       .dst = t->remote.addr.v4,
			       .sport = t->local.port,
			       .dport = t->remote.port,
			       .proto = x->entry.protocol,
			       .zone = t->zone };

	if (core->conntrack == NULL || x->entry.kind == SOCKET_RAW)
		return;
	uint32_t ref = conntrack_find(core->conntrack, &tuple);

	if (ref != CONN_NONE)
		x->way.tracked = conntrack_conn(core->conntrack, conn_index(ref))->status & CT_SEEN_REPLY
					 ? SOCKET_TRACKED_REPLIED
					 : SOCKET_TRACKED_UNREPLIED;
	else if (x->way.tracked == SOCKET_TRACKED_UNKNOWN)
		x->way.tracked = SOCKET_TRACKED_NOT;
}

static void ask_worker(void *arg, const struct control_core *core, uint32_t number)
{
	struct why_state *s = arg;

	for (uint32_t i = 0; i < s->n; i++) {
		struct subject *x = &s->subject[i];
		struct ip_neigh_info neigh;

		ask_rules(core, &x->entry, false, &x->way.in);
		ask_rules(core, &x->entry, true, &x->way.out);
		if (x->next_hop == 0)
			continue;
		if (ip_neigh_get(core->ip, x->ifindex, x->next_hop, &neigh)) {
			x->is_resolved |= neigh.is_resolved;
			x->way.is_unresolved |= !neigh.is_resolved;
		}
		ask_tracked(core, x);
	}
}

/* --- what is shown --- */

static const struct out_column why_columns[] = {
	{ "sk", NULL, OUT_TEXT },       { "netid", NULL, OUT_TEXT },        { "state", NULL, OUT_TEXT },
	{ "local", NULL, OUT_IP4 },     { "local_port", NULL, OUT_U64 },    { "peer", NULL, OUT_IP4 },
	{ "peer_port", NULL, OUT_U64 }, { "ended_ago", NULL, OUT_SECONDS }, { "why", NULL, OUT_TEXT },
	{ "detail", NULL, OUT_TEXT },   { "meaning", NULL, OUT_TEXT },      { "look", NULL, OUT_TEXT },
};
static const struct out_table why_table = { "why", why_columns, ARRAY_LEN(why_columns), NULL };

/* Of one socket, or of a connection that has ended. */
struct heading {
	const char *netid, *state;
	struct tcp_end local, remote;
	uint64_t id;    /* 0: it has none, or none any more */
	bool has_ended; /* so long ago: */
	uint64_t ago;   /* ns */
};

static void add_end(struct text *t, const struct tcp_end *end)
{
	char addr[IP4_TEXT_MAX];

	ip4_format(end->addr.v4, addr);
	text_add(t, "%s:%u", addr, end->port);
}

static void put_heading(struct command_call *c, const struct heading *h)
{
	char local[32], remote[32], rest[48] = "";
	struct text l = text_of(local, sizeof(local)), r = text_of(remote, sizeof(remote));
	struct text more = text_of(rest, sizeof(rest));

	add_end(&l, &h->local);
	add_end(&r, &h->remote);
	if (h->id != 0)
		text_add(&more, "sk:%" PRIx64, h->id);
	else if (h->has_ended)
		text_add(&more, "%.1f s ago", (double)h->ago / (double)NS_PER_S);
	if (!args_has(&c->args, "json"))
		command_printf(c, "%s %s %s -> %s  %s\n", h->netid, h->state, local, remote, rest);
}

static void put_answer(struct command_call *c, const struct heading *h, const char *name, const char *detail,
		       const char *text, const char *hint)
{
	char id[20];
	struct text t = text_of(id, sizeof(id));

	if (!args_has(&c->args, "json")) {
		command_printf(c, "    %s: %s%s%s%s%s%s\n", name, text, detail[0] != '\0' ? " (" : "", detail,
			       detail[0] != '\0' ? ")" : "", hint[0] != '\0' ? "\n        " : "", hint);
		return;
	}
	text_add(&t, "%" PRIx64, h->id);
	output_row(&c->output, (struct out_value[]){
				       h->id != 0 ? OUT_T(id) : OUT_ABSENT,
				       OUT_T(h->netid),
				       OUT_T(h->state),
				       OUT_A(h->local.addr.v4),
				       OUT_U(h->local.port),
				       OUT_A(h->remote.addr.v4),
				       OUT_U(h->remote.port),
				       h->has_ended ? OUT_U(h->ago) : OUT_ABSENT,
				       OUT_T(name),
				       detail[0] != '\0' ? OUT_T(detail) : OUT_ABSENT,
				       OUT_T(text),
				       hint[0] != '\0' ? OUT_T(hint) : OUT_ABSENT,
			       });
}

static void put_subject(struct command_call *c, struct subject *x)
{
	struct socket_answer answer[SOCKET_ANSWERS_MAX];
	const struct socket_entry *e = &x->entry;
	struct heading h = { .netid = socket_netid(e),
			     .state = tcp_state_names[e->t.state],
			     .local = e->t.local,
			     .remote = e->t.remote,
			     .id = e->id };

	x->way.is_unresolved &= !x->is_resolved;
	uint32_t n = socket_why(e, &x->way, answer);

	put_heading(c, &h);
	for (uint32_t i = 0; i < n; i++) {
		const struct socket_why_info *info = &socket_why_info[answer[i].why];

		put_answer(c, &h, info->name, answer[i].detail, info->text, info->hint);
	}
}

/* As the filter sees it: a connection that is closed. */
static bool is_wanted(const struct why_state *s, const struct tcp_ended *r)
{
	struct socket_entry e = { .kind = SOCKET_TCP, .protocol = IPPROTO_NR_TCP };

	e.t.state = (enum tcp_state)r->state;
	e.t.local = (struct tcp_end){ ip_addr_v4(r->laddr), r->lport };
	e.t.remote = (struct tcp_end){ ip_addr_v4(r->raddr), r->rport };
	return !s->has_id && ss_filter_takes(&s->filter, &e);
}

static void put_ended(struct command_call *c, struct why_state *s)
{
	target_call_host(s->target, read_ended, s);
	for (uint32_t i = 0; i < s->n_ended; i++) {
		const struct tcp_ended *r = &s->ended[i];
		const struct tcp_reason_info *info = &tcp_reason_info[r->reason];
		char detail[128];
		struct text t = text_of(detail, sizeof(detail));
		struct heading h = { .netid = "tcp",
				     .state = tcp_state_names[r->state],
				     .local = { ip_addr_v4(r->laddr), r->lport },
				     .remote = { ip_addr_v4(r->raddr), r->rport },
				     .has_ended = true,
				     .ago = s->now - r->at };

		if (!is_wanted(s, r))
			continue;
		s->n_shown++;
		text_add(&t, "by %s%s%s; %" PRIu64 " bytes acknowledged, %" PRIu64 " received", tcp_side_names[r->side],
			 r->error != 0 ? "; " : "", r->error != 0 ? strerror(r->error) : "", r->bytes_acked,
			 r->bytes_received);
		put_heading(c, &h);
		put_answer(c, &h, info->name, detail, info->text, "");
	}
}

/* --- ends of which there is no socket --- */

static void none_of_host(void *arg)
{
	static const uint8_t protocols[] = { IPPROTO_NR_TCP, IPPROTO_NR_UDP };
	struct why_state *s = arg;
	const struct control_core *host = target_host(s->target);

	s->n = 0;
	for (uint32_t i = 0; i < 2 * s->n_ends; i++) {
		struct subject *x = &s->subject[s->n];
		uint32_t at = i / 2;
		bool is_ours = ip_is_local(host->ip, 0, s->end[at].addr.v4);

		if (!is_ours && s->n_ends < 2)
			continue;
		s->none.is_ours |= is_ours;
		*x = (struct subject){ .entry = { .kind = SOCKET_TCP, .protocol = protocols[i % 2] } };
		x->entry.t.local = s->end[at];
		if (s->n_ends == 2)
			x->entry.t.remote = s->end[!at];
		/* To be asked for in connection tracking. */
		x->next_hop = x->entry.t.remote.addr.v4;
		s->none.has_port |= is_ours && s->end[at].port != 0;
		s->n++;
	}
}

/* What is known of any of the four, in the first. False: nothing that is worth a line. */
static bool put_none(struct command_call *c, struct why_state *s)
{
	struct socket_answer answer[SOCKET_ANSWERS_MAX];
	struct subject *first = &s->subject[0];

	target_call_host(s->target, none_of_host, s);
	if (s->n == 0)
		return false;
	target_call_each(s->target, ask_worker, s);
	for (uint32_t i = 1; i < s->n; i++) {
		const struct socket_way *w = &s->subject[i].way;

		if (w->tracked > first->way.tracked)
			first->way.tracked = w->tracked;
		take_later(&first->way.in, &w->in);
		take_later(&first->way.out, &w->out);
	}
	struct heading h = { .netid = "-", .state = "NONE", .local = s->end[0] };

	if (s->n_ends > 1)
		h.remote = s->end[1];
	uint32_t n = socket_why_none(&s->none, &first->way, answer);

	put_heading(c, &h);
	for (uint32_t i = 0; i < n; i++) {
		const struct socket_why_info *info = &socket_why_info[answer[i].why];

		put_answer(c, &h, info->name, answer[i].detail, info->text, info->hint);
	}
	return true;
}

static int why_more(struct command_call *c)
{
	struct why_state *s = c->state;

	target_call_host(s->target, read_slice, s);
	target_call_each(s->target, ask_worker, s);
	for (uint32_t i = 0; i < s->n; i++)
		put_subject(c, &s->subject[i]);
	s->n_shown += s->n;
	if (!at_end(s))
		return COMMAND_MORE;
	put_ended(c, s);
	if (s->n_shown == 0 && !put_none(c, s)) {
		command_error(
			c,
			"why: no socket of the gateway's host is of these ends, nor any of the last %u that ended\n"
			"(who listens: yangguan ss -ln; what was dropped, and resets to ports where nobody listens: "
			"yangguan drops, yangguan ss -s)\n",
			TCP_ENDED_MAX);
		(void)cmd_table_done(c);
		return EXIT_FAILED;
	}
	return cmd_table_done(c);
}

/* --- what is asked --- */

/* ADDR or ADDR:PORT. */
static bool parse_end(const char *word, struct tcp_end *end)
{
	uint32_t addr;
	size_t n = ip4_parse(word, strlen(word), &addr);
	char *behind = NULL;
	unsigned long port = n > 0 && word[n] == ':' ? strtoul(word + n + 1, &behind, 10) : 0;

	if (n == 0 || (word[n] != '\0' && (behind == NULL || behind == word + n + 1 || *behind != '\0')) ||
	    port > UINT16_MAX)
		return false;
	*end = (struct tcp_end){ ip_addr_v4(addr), (uint16_t)port };
	return true;
}

static void parse_ends(struct why_state *s, const struct args *a)
{
	if (a->n_words > ARRAY_LEN(s->end))
		return;
	while (s->n_ends < a->n_words && parse_end(a->word[s->n_ends], &s->end[s->n_ends]))
		s->n_ends++;
	if (s->n_ends < a->n_words)
		s->n_ends = 0;
}

/* One end: whoever has it, or talks to it. Two: between them. Else it is a filter of ss. */
static void words_to_filter(const struct args *a, struct text *t)
{
	bool are_ends = a->n_words > 0 && a->n_words <= 2;

	for (size_t i = 0; i < a->n_words; i++)
		are_ends &= isdigit((unsigned char)a->word[i][0]) != 0;
	if (are_ends && a->n_words == 1)
		text_add(t, "src %s or dst %s", a->word[0], a->word[0]);
	else if (are_ends)
		text_add(t, "( src %s and dst %s ) or ( src %s and dst %s )", a->word[0], a->word[1], a->word[1],
			 a->word[0]);
	for (size_t i = 0; i < a->n_words && !are_ends; i++)
		text_add(t, "%s ", a->word[i]);
}

static int why_start(struct command_call *c)
{
	struct why_state *s = c->state;
	char words[FILTER_MAX], err[160] = "";
	struct text t = text_of(words, sizeof(words));

	s->target = c->target;
	s->has_id =
		c->args.n_words == 1 && strncmp(c->args.word[0], "sk:", 3) == 0 && ss_id_parse(c->args.word[0], &s->id);
	if (!s->has_id)
		words_to_filter(&c->args, &t);
	parse_ends(s, &c->args);
	if (t.cut || ss_filter_parse(&s->filter, SS_STATES_ALL, words, err, sizeof(err)) != 0) {
		command_error(c, "why: %s\n", t.cut ? "the filter is too long" : err);
		return EXIT_USAGE;
	}
	cmd_table_start(c, &why_table);
	return COMMAND_MORE;
}

const struct command cmd_why = {
	.info = {
		.name = "why",
		.synopsis = "[-j] [sk:ID | ADDR[:PORT] [ADDR[:PORT]] | FILTER]",
		.help = "why sockets of the gateway's own host do not open, send or receive, and why connections ended",
		.options = cmd_plain_options,
		.more = "One address: whoever has it or talks to it; two: between them. FILTER is that of yangguan ss, and sk:ID\n"
			"what its -e shows. Names and their meaning: docs/ss.md.",
		.example = "  yangguan why 203.0.113.9:179\n"
			   "  tcp SYN-SENT 203.0.113.1:40112 -> 203.0.113.9:179  sk:60100000002\n"
			   "      syn-unanswered: its SYN was not answered yet (2 in a row, next in 3.1 s)\n"
			   "      neighbour-unresolved: the next hop on the way there does not answer ARP\n"
			   "          is it up and on this link? See: yangguan neigh",
	},
	.state_bytes = sizeof(struct why_state),
	.start = why_start,
	.more = why_more,
};
