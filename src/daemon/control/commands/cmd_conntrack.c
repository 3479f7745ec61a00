/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan conntrack`: the connection table in the form of conntrack-tools.
 *
 * The table is read in slices: each call into the worker copies at most
 * SLICE connections, so packets never wait long, and the next slice is read
 * when the reader has taken the last. A connection that begins or ends between
 * two slices may or may not be shown, as with the kernel's. With several workers
 * the tables of all come one after the other: a connection is in one of them for
 * all its life. For the same reason counters may be summed worker by worker.
 */
#include "daemon/control/commands/cmd_priv.h"

#include <netinet/in.h>
#include <string.h>

#include "base/util.h"
#include "daemon/control/text/conn_text.h"

#define SLICE 512

struct conn_row {
	uint32_t index;
	struct tuple tuple[N_CT_DIRS];
	struct conn_counters counters;
	uint32_t timeout_s, mark;
	uint16_t status;
	uint8_t tcp_state;
	bool offload;
};

enum action { ACTION_LIST, ACTION_COUNT, ACTION_STATS, ACTION_FLUSH, ACTION_DELETE };

struct conntrack_state {
	enum action action;
	const struct control_target *target;
	/* filter */
	int proto; /* -1: any */
	bool has_src, has_dst;
	struct ip4_prefix src, dst;
	/* progress */
	uint32_t core, cursor;
	bool at_end;
	uint64_t n_shown;
	size_t n_rows;
	struct conn_row row[SLICE];
};

enum {
	COL_PROTO_NAME,
	COL_PROTO,
	COL_TIMEOUT,
	COL_STATE,
	CONN_HALF(COL_),
	CONN_HALF(COL_REPLY_),
	COL_REPLIED,
	COL_ASSURED,
	COL_OFFLOAD,
	COL_MARK,
	COL_ZONE,
	N_COLS
};

/* For ICMP, sport is the identifier and dport is type * 256 + code, as in the tuple; JSON says so by other keys. */
static const struct out_column port_columns[N_COLS] = {
	[COL_PROTO_NAME] = { "protocol", NULL, OUT_TEXT },
	[COL_PROTO] = { "protonum", NULL, OUT_U64 },
	[COL_TIMEOUT] = { "timeout", NULL, OUT_U64 },
	[COL_STATE] = { "state", NULL, OUT_TEXT },
	CONN_HALF_COLUMNS(COL_, ""),
	CONN_HALF_COLUMNS(COL_REPLY_, "reply_"),
	[COL_REPLIED] = { "replied", NULL, OUT_YES_NO },
	[COL_ASSURED] = { "assured", NULL, OUT_YES_NO },
	[COL_OFFLOAD] = { "offload", NULL, OUT_YES_NO },
	[COL_MARK] = { "mark", NULL, OUT_U64 },
	[COL_ZONE] = { "zone", NULL, OUT_U64 },
};

static void line_tuple(struct text *t, uint8_t proto, const struct out_value *v)
{
	struct ip_tuple tuple = {
		.src = v[0].addr, .dst = v[1].addr, .sport = (uint16_t)v[2].u64, .dport = (uint16_t)v[3].u64
	};

	conn_tuple_text(t, proto, &tuple);
}

/* A row as conntrack -L prints it when accounting is on. */
static void conntrack_line(const struct out_value *row, char *buf, size_t len)
{
	struct text t = text_of(buf, len);
	uint8_t proto = (uint8_t)row[COL_PROTO].u64;

	text_add(&t, "%-8s %u %u ", row[COL_PROTO_NAME].text, proto, (unsigned)row[COL_TIMEOUT].u64);
	if (!row[COL_STATE].absent)
		text_add(&t, "%s ", row[COL_STATE].text);
	line_tuple(&t, proto, &row[COL_SRC]);
	text_add(&t, "packets=%llu bytes=%llu ", (unsigned long long)row[COL_PACKETS].u64,
		 (unsigned long long)row[COL_BYTES].u64);
	if (!row[COL_REPLIED].yes)
		text_add(&t, "[UNREPLIED] ");
	line_tuple(&t, proto, &row[COL_REPLY_SRC]);
	text_add(&t, "packets=%llu bytes=%llu ", (unsigned long long)row[COL_REPLY_PACKETS].u64,
		 (unsigned long long)row[COL_REPLY_BYTES].u64);
	if (row[COL_OFFLOAD].yes)
		text_add(&t, "[OFFLOAD] ");
	else if (row[COL_ASSURED].yes)
		text_add(&t, "[ASSURED] ");
	text_add(&t, "mark=%u ", (unsigned)row[COL_MARK].u64);
	if (!row[COL_ZONE].absent)
		text_add(&t, "zone=%u ", (unsigned)row[COL_ZONE].u64);
	text_add(&t, "use=1");
}

static const struct out_table conntrack_table = {
	.key = "conntrack",
	.column = port_columns,
	.n_columns = N_COLS,
	.line = conntrack_line,
};

static void put_row(struct command_call *c, const struct conn_row *r)
{
	const struct tuple *o = &r->tuple[CT_ORIGINAL];
	struct ip_tuple orig = tuple_to_ip(o), reply = tuple_to_ip(&r->tuple[CT_REPLY]);
	struct out_value row[N_COLS] = {
		[COL_PROTO_NAME] = OUT_T(conn_proto_name(o->proto)),
		[COL_PROTO] = OUT_U(o->proto),
		[COL_TIMEOUT] = OUT_U(r->timeout_s),
		[COL_STATE] = OUT_ABSENT,
		[COL_REPLIED] = OUT_Y((r->status & CT_SEEN_REPLY) != 0),
		[COL_ASSURED] = OUT_Y((r->status & CT_ASSURED) != 0),
		[COL_OFFLOAD] = OUT_Y(r->offload),
		[COL_MARK] = OUT_U(r->mark),
		[COL_ZONE] = o->zone != 0 ? OUT_U(o->zone) : OUT_ABSENT,
	};

	conn_half_values(&row[COL_SRC], &orig);
	conn_half_traffic(&row[COL_SRC], r->counters.packets[CT_ORIGINAL], r->counters.bytes[CT_ORIGINAL]);
	conn_half_values(&row[COL_REPLY_SRC], &reply);
	conn_half_traffic(&row[COL_REPLY_SRC], r->counters.packets[CT_REPLY], r->counters.bytes[CT_REPLY]);
	if (ct_state_name(o->proto, r->tcp_state) != NULL)
		row[COL_STATE] = OUT_T(ct_state_name(o->proto, r->tcp_state));
	output_row(&c->output, row);
}

static bool matches(const struct conntrack_state *s, const struct tuple *o)
{
	return (s->proto < 0 || o->proto == s->proto) && (!s->has_src || ip4_in(o->src, s->src)) &&
	       (!s->has_dst || ip4_in(o->dst, s->dst));
}

/* This core has no more. */
static void end_core(struct conntrack_state *s)
{
	s->cursor = 0;
	s->at_end = ++s->core == s->target->n_cores;
}

/* In the worker: copies, and for a deletion ends, what matches among the next SLICE connections. */
static void read_slice(void *arg)
{
	struct conntrack_state *s = arg;
	struct conntrack *ct = s->target->core[s->core].conntrack;
	uint32_t index;

	s->n_rows = 0;
	for (size_t i = 0; i < SLICE; i++) {
		if (!conntrack_next(ct, &s->cursor, &index)) {
			end_core(s);
			return;
		}
		const struct conn *conn = conntrack_conn(ct, index);
		if (!matches(s, &conn->half[CT_ORIGINAL].tuple))
			continue;
		struct conn_row *r = &s->row[s->n_rows++];
		r->index = index;
		for (int d = 0; d < N_CT_DIRS; d++)
			r->tuple[d] = conn->half[d].tuple;
		/* Before the counters are read. */
		r->offload = s->target->kernel_has != NULL && s->target->kernel_has(s->target->ctx, s->core, index);
		conn_counters(ct, index, &r->counters);
		r->timeout_s = conn_timeout_s(ct, index);
		r->mark = conntrack_ext(ct, index)->mark;
		r->status = conn->status;
		r->tcp_state = conn->tcp_state;
		if (s->action == ACTION_FLUSH || s->action == ACTION_DELETE)
			s->target->end_connection(s->target->ctx, s->core, index, CT_END_FLUSHED);
	}
}

static int finish(struct command_call *c)
{
	struct conntrack_state *s = c->state;

	if (s->action != ACTION_FLUSH) {
		output_table_end(&c->output);
		output_end(&c->output);
	}
	switch (s->action) {
	case ACTION_FLUSH:
		command_error(c, "conntrack v" YG_VERSION " (yangguan): connection tracking table has been emptied.\n");
		return EXIT_OK;
	case ACTION_DELETE:
		command_error(c, "conntrack v" YG_VERSION " (yangguan): %llu flow entries have been deleted.\n",
			      (unsigned long long)s->n_shown);
		return s->n_shown > 0 ? EXIT_OK : EXIT_FAILED;
	default:
		command_error(c, "conntrack v" YG_VERSION " (yangguan): %llu flow entries have been shown.\n",
			      (unsigned long long)s->n_shown);
		return EXIT_OK;
	}
}

static int conntrack_more(struct command_call *c)
{
	struct conntrack_state *s = c->state;

	target_call_core(c->target, s->core, read_slice, s);
	s->n_shown += s->n_rows;
	for (size_t i = 0; i < s->n_rows && s->action != ACTION_FLUSH; i++)
		put_row(c, &s->row[i]);
	return s->at_end ? finish(c) : COMMAND_MORE;
}

/* "10.0.0.0/8" or one address. */
static bool parse_prefix(const char *text, struct ip4_prefix *p)
{
	size_t n = ip4_parse(text, strlen(text), &p->addr);

	p->len = 32;
	if (n == 0)
		return false;
	if (text[n] == '/') {
		unsigned len = 0;
		const char *t = text + n + 1;
		do {
			if (*t < '0' || *t > '9' || (len = len * 10 + (unsigned)(*t - '0')) > 32)
				return false;
		} while (*++t != '\0');
		p->len = (uint8_t)len;
	} else if (text[n] != '\0') {
		return false;
	}
	p->addr &= ip4_mask(p->len);
	return true;
}

static bool parse_filter(struct command_call *c, struct conntrack_state *s)
{
	const char *proto = args_value(&c->args, "proto");
	const char *src = args_value(&c->args, "src"), *dst = args_value(&c->args, "dst");

	s->proto = -1;
	if (proto != NULL && (s->proto = conn_proto_parse(proto)) < 0) {
		command_error(c, "conntrack: \"%.40s\" is no protocol that is known here; a number will do\n", proto);
		return false;
	}
	s->has_src = src != NULL;
	s->has_dst = dst != NULL;
	if ((src != NULL && !parse_prefix(src, &s->src)) || (dst != NULL && !parse_prefix(dst, &s->dst))) {
		command_error(c, "conntrack: \"%.40s\" is no IPv4 address or prefix\n",
			      src != NULL && !parse_prefix(src, &s->src) ? src : dst);
		return false;
	}
	return true;
}

struct conntrack_totals {
	uint32_t n, capacity;
	uint64_t count[N_CT_COUNTERS];
};

static void add_totals(void *arg, const struct control_core *core, uint32_t number)
{
	struct conntrack_totals *t = arg;

	t->n += conntrack_n_connections(core->conntrack);
	t->capacity += conntrack_capacity(core->conntrack);
	for (size_t i = 0; i < N_CT_COUNTERS; i++)
		t->count[i] += conntrack_counts(core->conntrack)[i];
}

/* A counter's name as a key: words joined by underscores. */
static void counters_line(const struct out_value *row, char *buf, size_t len)
{
	struct text t = text_of(buf, len);

	text_add(&t, "entries=%llu capacity=%llu", (unsigned long long)row[0].u64, (unsigned long long)row[1].u64);
	for (size_t i = 0; i < N_CT_COUNTERS; i++)
		text_add(&t, " %s=%llu", ct_counter_names[i], (unsigned long long)row[2 + i].u64);
}

static int show_totals(struct command_call *c, enum action action)
{
	struct conntrack_totals t = { 0 };
	struct out_column column[2 + N_CT_COUNTERS] = { { "entries", NULL, OUT_U64 }, { "capacity", NULL, OUT_U64 } };
	struct out_value row[2 + N_CT_COUNTERS];

	target_call_each(c->target, add_totals, &t);
	if (action == ACTION_COUNT) {
		command_printf(c, "%u\n", t.n);
		return EXIT_OK;
	}
	row[0] = OUT_U(t.n);
	row[1] = OUT_U(t.capacity);
	for (size_t i = 0; i < N_CT_COUNTERS; i++) {
		column[2 + i] = (struct out_column){ ct_counter_names[i], NULL, OUT_U64 };
		row[2 + i] = OUT_U(t.count[i]);
	}
	const struct out_table table = { "counters", column, ARRAY_LEN(column), counters_line };
	command_output(c, OUTPUT_LIST);
	output_table_begin(&c->output, &table);
	output_row(&c->output, row);
	output_table_end(&c->output);
	output_end(&c->output);
	return EXIT_OK;
}

static int conntrack_start(struct command_call *c)
{
	static const struct {
		const char *option;
		enum action action;
	} actions[] = {
		{ "list", ACTION_LIST },   { "count", ACTION_COUNT },   { "stats", ACTION_STATS },
		{ "flush", ACTION_FLUSH }, { "delete", ACTION_DELETE },
	};
	struct conntrack_state *s = c->state;
	size_t n = 0;

	s->target = c->target;
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (args_has(&c->args, actions[i].option)) {
			s->action = actions[i].action;
			n++;
		}
	if (n > 1 || c->args.n_words > 0) {
		command_error(c,
			      "conntrack: one of -L, -C, -S, -F, -D, and options (see: yangguan conntrack --help)\n");
		return EXIT_USAGE;
	}
	if (!parse_filter(c, s))
		return EXIT_USAGE;
	bool filtered = s->proto >= 0 || s->has_src || s->has_dst;
	if (filtered && s->action != ACTION_LIST && s->action != ACTION_DELETE) {
		command_error(c, "conntrack: -p, -s and -d go with -L and -D only\n");
		return EXIT_USAGE;
	}
	if (s->action == ACTION_DELETE && !filtered) {
		command_error(c, "conntrack: -D needs -p, -s or -d; -F empties the whole table\n");
		return EXIT_USAGE;
	}
	if (s->action == ACTION_COUNT || s->action == ACTION_STATS)
		return show_totals(c, s->action);
	if (s->action != ACTION_FLUSH) {
		command_output(c, OUTPUT_LIST);
		output_table_begin(&c->output, &conntrack_table);
	}
	return COMMAND_MORE;
}

static const struct arg_option conntrack_options[] = {
	{ 'L', "list", NULL, "show connections (this is what happens without an action)" },
	{ 'C', "count", NULL, "only how many there are" },
	{ 'S', "stats", NULL, "counters since start" },
	{ 'F', "flush", NULL, "end all connections" },
	{ 'D', "delete", NULL, "end the connections that -p, -s and -d name" },
	{ 'p', "proto", "PROTO", "only this protocol: tcp, udp, icmp, ... or a number" },
	{ 's', "src", "ADDR[/LEN]", "only these sources, as the first packet had them" },
	{ 'd', "dst", "ADDR[/LEN]", "only these destinations, likewise" },
	OPTION_JSON,
	OPTION_SOCKET,
	{ 0 },
};

const struct command cmd_conntrack = {
	.info = {
		.name = "conntrack",
		.synopsis = "[-L | -C | -S | -F | -D] [-p PROTO] [-s ADDR] [-d ADDR] [-j]",
		.help = "the connections that the gateway tracks, in conntrack-tools' form",
		.options = conntrack_options,
		.more = "In JSON, sport of an ICMP query is its identifier, and dport is type * 256 + code; of GRE's key or "
			"call and of ESP's SPI, they are the high and the low half.",
		.example = "  yangguan conntrack -L -p tcp -s 10.77.0.0/24\n"
			   "  tcp      6 7439 ESTABLISHED src=10.77.0.2 dst=203.0.113.80 sport=40000 dport=80 packets=6 "
			   "bytes=420\n  src=203.0.113.80 dst=203.0.113.1 sport=80 dport=51234 packets=5 bytes=900 "
			   "[ASSURED] mark=0 use=1   (one line)",
	},
	.state_bytes = sizeof(struct conntrack_state),
	.start = conntrack_start,
	.more = conntrack_more,
};
