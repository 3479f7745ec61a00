/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan ss`: the sockets of the gateway's host, as iproute2's ss shows the kernel's.
 *
 * They are read in slices, in the thread of the host: each call copies at most SLICE of
 * them and looks at a bounded number of places, and the next slice is read when the reader
 * has taken the last.
 */
#include "daemon/control/commands/cmd_priv.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "base/util.h"
#include "daemon/control/commands/ss_capture.h"
#include "daemon/control/commands/ss_filter.h"
#include "daemon/control/text/socket_text.h"

#define SLICE 64u

enum ss_kind { SS_TCP = 1, SS_UDP = 2, SS_RAW = 4, SS_ALL = 7 };

struct ss_state {
	const struct control_target *target;
	struct ss_capture *capture; /* NULL: it is a listing */
	uint32_t kinds;             /* bits of enum ss_kind */
	bool summary;
	struct socket_text_form form;
	struct ss_filter filter;
	/* progress */
	uint32_t ping_cursor;
	bool pings_done;
	struct socket_cursor cursor;
	uint32_t n;
	struct socket_entry entry[SLICE];
	/* -s */
	uint64_t n_total, n_tcp, n_udp, n_raw, n_estab, n_closed, n_orphaned, n_time_wait;
};

/* In the thread of the host. */
static void read_slice(void *arg)
{
	struct ss_state *s = arg;
	const struct control_core *host = target_host(s->target);

	s->n = 0;
	if (!s->pings_done) {
		s->n = host->raw != NULL ? ping_sockets_list(host->raw, &s->ping_cursor, s->entry, SLICE) : 0;
		s->pings_done = s->n < SLICE;
	}
	if (s->n == 0 && host->sockets != NULL)
		s->n = sockets_list(host->sockets, &s->cursor, s->entry, SLICE);
}

static bool at_end(const struct ss_state *s)
{
	const struct control_core *host = target_host(s->target);

	return s->pings_done && (host->sockets == NULL || sockets_at_end(&s->cursor));
}

static bool is_wanted(const struct ss_state *s, const struct socket_entry *e)
{
	static const uint8_t kind_of[N_SOCKET_KINDS] = { [SOCKET_TCP] = SS_TCP,
							 [SOCKET_LISTENER] = SS_TCP,
							 [SOCKET_UDP] = SS_UDP,
							 [SOCKET_RAW] = SS_RAW,
							 [SOCKET_PING] = SS_RAW };

	return (s->kinds & kind_of[e->kind]) != 0 && ss_filter_takes(&s->filter, e);
}

/* --- -s --- */

static void count(struct ss_state *s, const struct socket_entry *e)
{
	bool is_tcp = e->kind == SOCKET_TCP || e->kind == SOCKET_LISTENER;

	if (e->kind == SOCKET_EPOLL)
		return;
	s->n_total++;
	s->n_tcp += is_tcp;
	s->n_udp += e->kind == SOCKET_UDP;
	s->n_raw += e->kind == SOCKET_RAW || e->kind == SOCKET_PING;
	s->n_estab += is_tcp && e->t.state == TCP_ESTABLISHED;
	s->n_time_wait += is_tcp && e->t.state == TCP_TIME_WAIT;
	s->n_closed += is_tcp && (e->t.state == TCP_TIME_WAIT || e->t.state == TCP_CLOSED);
	s->n_orphaned += e->t.is_orphan;
}

struct ends_copy {
	const struct control_target *target;
	uint64_t ends[N_TCP_REASONS], resets[N_TCP_REASONS], resets_in[N_TCP_RESETS_IN];
};

static void copy_ends(void *arg)
{
	struct ends_copy *c = arg;
	struct sockets *ss = target_host(c->target)->sockets;

	if (ss == NULL)
		return;
	const struct tcp *t = sockets_tcp(ss);

	memcpy(c->ends, tcp_ends_by_reason(t), sizeof(c->ends));
	memcpy(c->resets, tcp_resets(t), sizeof(c->resets));
	memcpy(c->resets_in, tcp_resets_in(t), sizeof(c->resets_in));
}

static const struct out_column ends_columns[] = {
	{ "reason", "REASON", OUT_TEXT },
	{ "ended", "ENDED", OUT_U64 },
	{ "resets_sent", "RESETS-SENT", OUT_U64 },
	{ "meaning", "WHAT HAPPENED", OUT_TEXT },
};
static const struct out_table ends_table = { "ends", ends_columns, ARRAY_LEN(ends_columns), NULL };
static const struct out_column resets_in_columns[] = {
	{ "outcome", "RESET-CAME", OUT_TEXT },
	{ "count", "COUNT", OUT_U64 },
	{ "meaning", "WHAT CAME OF IT", OUT_TEXT },
};
static const struct out_table resets_in_table = { "resets_received", resets_in_columns, ARRAY_LEN(resets_in_columns),
						  NULL };

static void put_ends(struct command_call *c)
{
	struct ends_copy e = { .target = c->target };
	bool is_json = args_has(&c->args, "json");

	target_call_host(c->target, copy_ends, &e);
	output_table_begin(&c->output, &ends_table);
	for (uint32_t i = TCP_REASON_NONE + 1; i < N_TCP_REASONS; i++)
		if (is_json || e.ends[i] != 0 || e.resets[i] != 0)
			output_row(&c->output,
				   (struct out_value[]){ OUT_T(tcp_reason_info[i].name), OUT_U(e.ends[i]),
							 OUT_U(e.resets[i]), OUT_T(tcp_reason_info[i].text) });
	output_table_end(&c->output);
	output_table_begin(&c->output, &resets_in_table);
	for (uint32_t i = 0; i < N_TCP_RESETS_IN; i++)
		if (is_json || e.resets_in[i] != 0)
			output_row(&c->output,
				   (struct out_value[]){ OUT_T(tcp_reset_in_info[i].name), OUT_U(e.resets_in[i]),
							 OUT_T(tcp_reset_in_info[i].text) });
	output_table_end(&c->output);
}

static void put_summary(struct command_call *c)
{
	const struct ss_state *s = c->state;
	const struct {
		const char *key;
		uint64_t n;
	} rows[] = {
		{ "total", s->n_total },   { "tcp", s->n_tcp },           { "estab", s->n_estab },
		{ "closed", s->n_closed }, { "orphaned", s->n_orphaned }, { "timewait", s->n_time_wait },
		{ "udp", s->n_udp },       { "raw", s->n_raw },
	};

	if (!args_has(&c->args, "json"))
		command_printf(c,
			       "Total: %" PRIu64 "\nTCP:   %" PRIu64 " (estab %" PRIu64 ", closed %" PRIu64
			       ", orphaned %" PRIu64 ", timewait %" PRIu64 ")\nUDP:   %" PRIu64 "\nRAW:   %" PRIu64
			       "\n\n",
			       s->n_total, s->n_tcp, s->n_estab, s->n_closed, s->n_orphaned, s->n_time_wait, s->n_udp,
			       s->n_raw);
	command_output(c, OUTPUT_OBJECT);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		output_value(&c->output, &(struct out_column){ rows[i].key, NULL, OUT_U64 }, OUT_U(rows[i].n));
	put_ends(c);
	output_end(&c->output);
}

/* --- connections that ended last --- */

struct ended_copy {
	const struct control_target *target;
	uint64_t now;
	uint32_t n;
	struct tcp_ended row[TCP_ENDED_MAX];
};

static void copy_ended(void *arg)
{
	struct ended_copy *c = arg;
	const struct control_core *host = target_host(c->target);

	c->now = host->env->now;
	while (host->sockets != NULL && tcp_ended(sockets_tcp(host->sockets), c->n, &c->row[c->n]))
		c->n++;
}

static const struct out_column ended_columns[] = {
	{ "ago", "SECONDS-AGO", OUT_SECONDS },
	{ "state", "STATE", OUT_TEXT },
	{ "local", "LOCAL", OUT_IP4 },
	{ "local_port", "PORT", OUT_U64 },
	{ "peer", "PEER", OUT_IP4 },
	{ "peer_port", "PORT", OUT_U64 },
	{ "closed_by", "CLOSED-BY", OUT_TEXT },
	{ "reason", "REASON", OUT_TEXT },
	{ "error", "ERROR", OUT_U64 },
	{ "bytes_acked", "ACKED", OUT_U64 },
	{ "bytes_received", "RECEIVED", OUT_U64 },
	{ "meaning", "WHAT HAPPENED", OUT_TEXT },
};
static const struct out_table ended_table = { "ended", ended_columns, ARRAY_LEN(ended_columns), NULL };

static int show_ended(struct command_call *c)
{
	struct ended_copy e = { .target = c->target };

	target_call_host(c->target, copy_ended, &e);
	cmd_table_start(c, &ended_table);
	for (uint32_t i = 0; i < e.n; i++) {
		const struct tcp_ended *r = &e.row[i];

		output_row(&c->output, (struct out_value[]){
					       OUT_U(e.now - r->at),
					       OUT_T(tcp_state_names[r->state]),
					       OUT_A(r->laddr),
					       OUT_U(r->lport),
					       OUT_A(r->raddr),
					       OUT_U(r->rport),
					       OUT_T(tcp_side_names[r->side]),
					       OUT_T(tcp_reason_info[r->reason].name),
					       r->error != 0 ? OUT_U((uint64_t)r->error) : OUT_ABSENT,
					       OUT_U(r->bytes_acked),
					       OUT_U(r->bytes_received),
					       OUT_T(tcp_reason_info[r->reason].text),
				       });
	}
	return cmd_table_done(c);
}

/* --- the listing --- */

static void put_entry(struct command_call *c, const struct socket_entry *e)
{
	const struct ss_state *s = c->state;
	char buf[SOCKET_TEXT_MAX];
	struct text t = text_of(buf, sizeof(buf));

	if (args_has(&c->args, "json")) {
		socket_json_row(&c->output, &s->form, e);
		return;
	}
	socket_text_line(&t, &s->form, e);
	command_printf(c, "%s\n", buf);
}

static int ss_more(struct command_call *c)
{
	struct ss_state *s = c->state;

	if (s->capture != NULL)
		return ss_capture_more(c, s->capture);
	target_call_host(c->target, read_slice, s);
	for (uint32_t i = 0; i < s->n; i++) {
		if (s->summary)
			count(s, &s->entry[i]);
		else if (is_wanted(s, &s->entry[i]))
			put_entry(c, &s->entry[i]);
	}
	if (!at_end(s))
		return COMMAND_MORE;
	if (!s->summary)
		return cmd_table_done(c);
	put_summary(c);
	return EXIT_OK;
}

static bool has_one_state(uint32_t states)
{
	return (states & (states - 1)) == 0;
}

static void read_form(const struct args *a, struct ss_state *s)
{
	s->kinds = (args_has(a, "tcp") ? SS_TCP : 0) | (args_has(a, "udp") ? SS_UDP : 0) |
		   (args_has(a, "raw") ? SS_RAW : 0);
	if (s->kinds == 0)
		s->kinds = SS_ALL;
	s->summary = args_has(a, "summary");
	s->form = (struct socket_text_form){
		.netid = (s->kinds & (s->kinds - 1)) != 0,
		.timers = args_has(a, "options"),
		.extended = args_has(a, "extended"),
		.memory = args_has(a, "memory"),
		.info = args_has(a, "info"),
		.one_line = args_has(a, "oneline"),
		.no_state = has_one_state(s->filter.states),
	};
}

static bool read_filter(struct command_call *c, struct ss_filter *f)
{
	uint32_t states = args_has(&c->args, "all")         ? SS_STATES_ALL
			  : args_has(&c->args, "listening") ? SS_STATES_LISTENING
							    : SS_STATES_CONNECTED;
	char words[1024], err[160];
	struct text t = text_of(words, sizeof(words));

	for (size_t i = 0; i < c->args.n_words; i++)
		text_add(&t, "%s ", c->args.word[i]);
	if (!t.cut && ss_filter_parse(f, states, words, err, sizeof(err)) == 0)
		return true;
	command_error(c, "ss: %s\n", t.cut ? "the filter is too long" : err);
	return false;
}

static int ss_start(struct command_call *c)
{
	struct ss_state *s = c->state;
	char header[160];
	struct text t = text_of(header, sizeof(header));

	s->target = c->target;
	if (args_has(&c->args, "capture"))
		return ss_capture_start(c, args_value(&c->args, "capture"), &s->capture);
	if (args_has(&c->args, "ended"))
		return cmd_no_words(c) != 0 ? EXIT_USAGE : show_ended(c);
	if (!read_filter(c, &s->filter))
		return EXIT_USAGE;
	read_form(&c->args, s);
	if (s->summary)
		return COMMAND_MORE;
	cmd_table_start(c, &socket_json_table);
	if (!args_has(&c->args, "json") && !args_has(&c->args, "no-header")) {
		socket_text_header(&t, &s->form);
		command_printf(c, "%s\n", header);
	}
	return COMMAND_MORE;
}

static int ss_shut(struct command_call *c)
{
	const struct ss_state *s = c->state;

	return s->capture != NULL ? ss_capture_shut(c, s->capture) : EXIT_FAILED;
}

static void ss_end(struct command_call *c)
{
	const struct ss_state *s = c->state;

	ss_capture_destroy(s->capture);
}

static const struct arg_option ss_options[] = {
	{ 't', "tcp", NULL, "only TCP" },
	{ 'u', "udp", NULL, "only UDP" },
	{ 'w', "raw", NULL, "only raw ones, and those of ping" },
	{ 'a', "all", NULL, "in every state; without it those that are connected" },
	{ 'l', "listening", NULL, "only those that listen, or are bound and not connected" },
	{ 'o', "options", NULL, "timers: which, how long until it fires, how often it has in a row" },
	{ 'e', "extended", NULL, "number, id (sk:), zone, mark, who closed it and why" },
	{ 'm', "memory", NULL, "buffers" },
	{ 'i', "info", NULL, "what TCP knows of the path" },
	{ 's', "summary", NULL, "how many there are, why connections ended, resets by reason" },
	{ 0, "ended", NULL, "the connections that ended last: who closed them, and why" },
	{ 0, "capture", "ID", "the packets of the socket sk:ID to FILE (`-`: to standard output), as pcapng" },
	{ 'n', "numeric", NULL, "numbers; as always here" },
	{ '4', "ipv4", NULL, "IPv4; as always here" },
	{ 'H', "no-header", NULL, "no line of titles" },
	{ 'O', "oneline", NULL, "one line each" },
	OPTION_JSON,
	OPTION_SOCKET,
	{ 0 },
};

const struct command cmd_ss = {
	.info = {
		.name = "ss",
		.synopsis = "[-tuw] [-a | -l] [-oemi] [-j] [state NAME] [FILTER]  |  --capture ID FILE",
		.help = "the sockets of the gateway's own host, in ss's form",
		.options = ss_options,
		.more = "FILTER is ss's: src, dst ADDR[/LEN][:PORT]; sport, dport [OP] PORT; and, or, not, ( ). States "
			"are its names too:\nestablished, time-wait, ..., and all, connected, synchronized, bucket, big.",
		.example = "  yangguan ss -tino dst 203.0.113.0/24\n"
			   "  State      Recv-Q Send-Q   Local Address:Port     Peer Address:Port  Process\n"
			   "  ESTAB      0      1448          10.0.0.1:40000    203.0.113.80:80    "
			   "timer:(on,204ms,0)\n\t ts sack cubic wscale:7,7 rto:204 rtt:1.5/0.75 mss:1448 ...",
	},
	.state_bytes = sizeof(struct ss_state),
	.output_option = "capture",
	.start = ss_start,
	.more = ss_more,
	.raw = ss_more,
	.shut = ss_shut,
	.end = ss_end,
};
