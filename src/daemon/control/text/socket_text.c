/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A socket as ss -tin prints it: what is zero is left out, as there. Columns have fixed
 * widths, so that a line can leave as soon as it is made, however many there are. What ss
 * has no word for stands behind its own: timers beyond the first, the congestion control's
 * state, closed:, why:, err:.
 */
#include "daemon/control/text/socket_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"

/* TCPI_OPT_* */
enum { OPT_TIMESTAMPS = 1, OPT_SACK = 2, OPT_WSCALE = 4, OPT_ECN = 8 };
#define REORDERING_DEFAULT 3u
#define SSTHRESH_INFINITE 0x7fffffffu

const char *socket_netid(const struct socket_entry *e)
{
	switch (e->kind) {
	case SOCKET_RAW:
		return "raw";
	case SOCKET_UDP:
		return "udp";
	case SOCKET_PING:
		return "icmp";
	case SOCKET_EPOLL:
		return "epoll";
	default:
		return "tcp";
	}
}

/* --- the line --- */

static void add_end(struct text *t, const struct tcp_end *end, uint32_t ifindex)
{
	char addr[IP_TEXT_MAX + 12], port[8];
	const char *text = ip_addr_format(&end->addr, addr);

	if (ifindex != 0)
		snprintf(addr + strlen(text), sizeof(addr) - strlen(text), "%%%u", ifindex);
	if (end->port != 0)
		snprintf(port, sizeof(port), "%u", end->port);
	else
		snprintf(port, sizeof(port), "*");
	text_add(t, " %15s:%-5s", text, port);
}

/* ss's: minutes and seconds, or seconds and thousandths, or those alone. */
static void add_time(struct text *t, uint64_t ns)
{
	uint64_t ms = ns / NS_PER_MS, s = ms / 1000, min = s / 60;

	ms %= 1000;
	s %= 60;
	if (min > 0) {
		text_add(t, "%" PRIu64 "min", min);
		ms = 0;
		if (min > 9)
			s = 0;
	}
	if (s > 9)
		ms = 0;
	if (s > 0)
		text_add(t, "%" PRIu64 "%s", s, ms > 0 ? "." : "sec");
	if (ms > 0 || (s == 0 && min == 0))
		text_add(t, "%03" PRIu64 "ms", ms);
}

static void add_timers(struct text *t, const struct tcp_entry *e)
{
	for (uint32_t i = 0; i < e->n_timers; i++) {
		text_add(t, " timer:(%s,", tcp_timer_names[e->timer[i].kind]);
		add_time(t, e->timer[i].left);
		text_add(t, ",%u)", e->timer[i].n);
	}
}

static void add_extended(struct text *t, const struct socket_entry *e)
{
	if (e->number >= 0)
		text_add(t, " fd:%d", e->number);
	text_add(t, " sk:%" PRIx64, e->id);
	if (e->t.zone != 0)
		text_add(t, " zone:%u", e->t.zone);
	if (e->mark != 0)
		text_add(t, " fwmark:0x%x", e->mark);
	if (e->t.tos != 0)
		text_add(t, " tos:0x%x", e->t.tos);
	if (e->t.n_half_open != 0)
		text_add(t, " synq:%u", e->t.n_half_open);
}

/* Who has closed it, and why it ended. */
static void add_end_of(struct text *t, const struct tcp_entry *e)
{
	if (e->side != TCP_SIDE_NONE)
		text_add(t, " closed:%s", tcp_side_names[e->side]);
	if (e->reason != TCP_REASON_NONE)
		text_add(t, " why:%s", tcp_reason_info[e->reason].name);
	if (e->error != 0)
		text_add(t, " err:%d", e->error);
	if (e->soft_error != 0)
		text_add(t, " softerr:%d", e->soft_error);
}

static void add_memory(struct text *t, const struct socket_entry *e)
{
	text_add(t, " skmem:(r%u,rb%u,t0,tb%u,f0,w%u,o0,bl0,d%" PRIu64 ")", e->t.rcv_memory, e->t.rcvbuf, e->t.sndbuf,
		 e->t.state == TCP_LISTEN ? 0 : e->t.send_q, e->n_dropped);
}

static void add_u(struct text *t, const char *name, uint64_t v)
{
	if (v != 0)
		text_add(t, " %s:%" PRIu64, name, v);
}

/* Milliseconds, up to three digits behind the point. */
static void add_ms(struct text *t, const char *before, uint32_t us)
{
	text_add(t, "%s%.4g", before, us / 1000.0);
}

/* The options that were agreed on, the congestion control, and what the path is like. */
static void add_path(struct text *t, const struct tcp_entry *e)
{
	const struct yg_tcp_info *i = &e->info;

	text_add(t, "%s%s%s", i->options & OPT_TIMESTAMPS ? " ts" : "", i->options & OPT_SACK ? " sack" : "",
		 i->options & OPT_ECN ? " ecn" : "");
	if (e->congestion != NULL)
		text_add(t, " %s", e->congestion);
	if (i->options & OPT_WSCALE)
		text_add(t, " wscale:%u,%u", i->snd_wscale, i->rcv_wscale);
	if (i->rto != 0)
		add_ms(t, " rto:", i->rto);
	add_u(t, "backoff", i->backoff);
	if (i->rtt != 0) {
		add_ms(t, " rtt:", i->rtt);
		add_ms(t, "/", i->rttvar);
	}
	if (i->ato != 0)
		add_ms(t, " ato:", i->ato);
	add_u(t, "mss", i->snd_mss);
	add_u(t, "pmtu", i->pmtu);
	add_u(t, "rcvmss", i->rcv_mss);
	add_u(t, "advmss", i->advmss);
	add_u(t, "cwnd", i->snd_cwnd);
	if (i->snd_ssthresh < SSTHRESH_INFINITE)
		add_u(t, "ssthresh", i->snd_ssthresh);
}

static void add_counts(struct text *t, const struct yg_tcp_info *i)
{
	add_u(t, "bytes_sent", i->bytes_sent);
	add_u(t, "bytes_retrans", i->bytes_retrans);
	add_u(t, "bytes_acked", i->bytes_acked);
	add_u(t, "bytes_received", i->bytes_received);
	add_u(t, "segs_out", i->segs_out);
	add_u(t, "segs_in", i->segs_in);
	add_u(t, "data_segs_out", i->data_segs_out);
	add_u(t, "data_segs_in", i->data_segs_in);
}

static void add_control(struct text *t, const struct tcp_entry *e)
{
	for (uint32_t i = 0; i < e->n_facts; i++) {
		const struct cc_fact *f = &e->fact[i];

		text_add(t, "%s%s:", i == 0 ? "" : ",", f->name);
		if (f->text != NULL)
			text_add(t, "%s", f->text);
		else
			text_add(t, "%" PRIu64, f->value);
	}
}

/* Bits a second that the window and the round trip come to. */
static uint64_t send_rate(const struct yg_tcp_info *i)
{
	return i->rtt != 0 ? (uint64_t)i->snd_cwnd * i->snd_mss * 8 * 1000000 / i->rtt : 0;
}

static void add_rates(struct text *t, const struct yg_tcp_info *i)
{
	if (send_rate(i) != 0)
		text_add(t, " send %" PRIu64 "bps", send_rate(i));
	add_u(t, "lastsnd", i->last_data_sent);
	add_u(t, "lastrcv", i->last_data_recv);
	add_u(t, "lastack", i->last_ack_recv);
	if (i->pacing_rate != 0 && i->pacing_rate != UINT64_MAX)
		text_add(t, " pacing_rate %" PRIu64 "bps", i->pacing_rate * 8);
	if (i->delivery_rate != 0)
		text_add(t, " delivery_rate %" PRIu64 "bps", i->delivery_rate * 8);
	add_u(t, "delivered", i->delivered);
	add_u(t, "delivered_ce", i->delivered_ce);
	if (i->delivery_rate_app_limited)
		text_add(t, " app_limited");
}

static void add_losses(struct text *t, const struct yg_tcp_info *i)
{
	add_u(t, "unacked", i->unacked);
	if (i->retrans != 0 || i->total_retrans != 0)
		text_add(t, " retrans:%u/%u", i->retrans, i->total_retrans);
	add_u(t, "lost", i->lost);
	add_u(t, "sacked", i->sacked);
	add_u(t, "dsack_dups", i->dsack_dups);
	if (i->reordering != REORDERING_DEFAULT)
		add_u(t, "reordering", i->reordering);
	add_u(t, "reord_seen", i->reord_seen);
	add_u(t, "probes", i->probes);
	if (i->rcv_rtt != 0)
		add_ms(t, " rcv_rtt:", i->rcv_rtt);
	add_u(t, "rcv_space", i->rcv_space);
	add_u(t, "rcv_ssthresh", i->rcv_ssthresh);
	add_u(t, "notsent", i->notsent_bytes);
	if (i->min_rtt != 0)
		add_ms(t, " minrtt:", i->min_rtt);
	add_u(t, "rcv_ooopack", i->rcv_ooopack);
	add_u(t, "snd_wnd", i->snd_wnd);
	add_u(t, "rcv_wnd", i->rcv_wnd);
}

static void add_info(struct text *t, const struct tcp_entry *e)
{
	const struct yg_tcp_info *i = &e->info;

	if (e->state == TCP_LISTEN) {
		/* What TCP_INFO has there is not what it has elsewhere. */
		text_add(t, " %s", e->congestion);
	} else if (e->has_info) {
		add_path(t, e);
		add_counts(t, i);
		if (e->n_facts > 0) {
			text_add(t, " %s:(", e->congestion);
			add_control(t, e);
			text_add(t, ")");
		}
		add_rates(t, i);
		add_losses(t, i);
	}
	add_end_of(t, e);
}

void socket_text_header(struct text *t, const struct socket_text_form *f)
{
	if (f->netid)
		text_add(t, "%-5s ", "Netid");
	if (!f->no_state)
		text_add(t, "%-10s ", "State");
	text_add(t, "%-6s %-6s %15s:%-5s %15s:%-5s Process", "Recv-Q", "Send-Q", "Local Address", "Port",
		 "Peer Address", "Port");
}

void socket_text_line(struct text *t, const struct socket_text_form *f, const struct socket_entry *e)
{
	if (f->netid)
		text_add(t, "%-5s ", socket_netid(e));
	if (!f->no_state)
		text_add(t, "%-10s ", tcp_state_names[e->t.state]);
	text_add(t, "%-6u %-6u", e->t.recv_q, e->t.send_q);
	add_end(t, &e->t.local, e->ifindex);
	add_end(t, &e->t.remote, 0);
	if (f->timers)
		add_timers(t, &e->t);
	if (f->extended) {
		add_extended(t, e);
		if (!f->info)
			add_end_of(t, &e->t);
	}
	bool has_more = f->memory || (f->info && e->protocol == IPPROTO_NR_TCP);

	if (has_more && !f->one_line)
		text_add(t, "\n\t");
	if (f->memory)
		add_memory(t, e);
	if (f->info && e->protocol == IPPROTO_NR_TCP)
		add_info(t, &e->t);
}

/* --- JSON --- */

static const struct out_column timer_columns[] = { { "name", NULL, OUT_TEXT },
						   { "left_ms", NULL, OUT_U64 },
						   { "retrans", NULL, OUT_U64 } };

enum {
	COL_NETID,
	COL_STATE,
	COL_RECV_Q,
	COL_SEND_Q,
	COL_LOCAL,
	COL_LOCAL_PORT,
	COL_PEER,
	COL_PEER_PORT,
	COL_PROTOCOL,
	COL_ID,
	COL_FD,
	COL_ZONE,
	COL_IFINDEX,
	COL_MARK,
	COL_TOS,
	COL_SYN_QUEUE,
	COL_TIMER,
	COL_TIMERS,
	COL_CLOSED_BY,
	COL_REASON,
	COL_REASON_TEXT,
	COL_ERROR,
	COL_SOFT_ERROR,
	COL_MEMORY,
	COL_CONGESTION,
	COL_CONTROL,
	COL_INFO,
	N_COLS
};

static const struct out_column json_columns[N_COLS] = {
	[COL_NETID] = { "netid", NULL, OUT_TEXT },
	[COL_STATE] = { "state", NULL, OUT_TEXT },
	[COL_RECV_Q] = { "recv_q", NULL, OUT_U64 },
	[COL_SEND_Q] = { "send_q", NULL, OUT_U64 },
	[COL_LOCAL] = { "local", NULL, OUT_ADDR },
	[COL_LOCAL_PORT] = { "local_port", NULL, OUT_U64 },
	[COL_PEER] = { "peer", NULL, OUT_ADDR },
	[COL_PEER_PORT] = { "peer_port", NULL, OUT_U64 },
	[COL_PROTOCOL] = { "protocol", NULL, OUT_U64 },
	[COL_ID] = { "sk", NULL, OUT_TEXT },
	[COL_FD] = { "fd", NULL, OUT_U64 },
	[COL_ZONE] = { "zone", NULL, OUT_U64 },
	[COL_IFINDEX] = { "ifindex", NULL, OUT_U64 },
	[COL_MARK] = { "fwmark", NULL, OUT_U64 },
	[COL_TOS] = { "tos", NULL, OUT_U64 },
	[COL_SYN_QUEUE] = { "synq", NULL, OUT_U64 },
	[COL_TIMER] = { "timer", NULL, OUT_OBJECT },
	[COL_TIMERS] = { "timers", NULL, OUT_OBJECT },
	[COL_CLOSED_BY] = { "closed_by", NULL, OUT_TEXT },
	[COL_REASON] = { "reason", NULL, OUT_TEXT },
	[COL_REASON_TEXT] = { "reason_text", NULL, OUT_TEXT },
	[COL_ERROR] = { "error", NULL, OUT_U64 },
	[COL_SOFT_ERROR] = { "soft_error", NULL, OUT_U64 },
	[COL_MEMORY] = { "skmem", NULL, OUT_OBJECT },
	[COL_CONGESTION] = { "congestion", NULL, OUT_TEXT },
	[COL_CONTROL] = { "congestion_state", NULL, OUT_OBJECT },
	[COL_INFO] = { "info", NULL, OUT_OBJECT },
};
const struct out_table socket_json_table = { "sockets", json_columns, N_COLS, NULL };

static const struct out_column memory_columns[] = {
	{ "r", NULL, OUT_U64 }, { "rb", NULL, OUT_U64 }, { "tb", NULL, OUT_U64 },
	{ "w", NULL, OUT_U64 }, { "d", NULL, OUT_U64 },
};

/* TCP_INFO by ss's words, times with their unit; sizes and counts as they are. Zero is zero here. */
#define INFO_FIELDS(X) \
	X("retransmits", retransmits) \
	X("backoff", backoff) \
	X("snd_wscale", snd_wscale) \
	X("rcv_wscale", rcv_wscale) \
	X("rto_us", rto) \
	X("rtt_us", rtt) \
	X("rttvar_us", rttvar) \
	X("minrtt_us", min_rtt) \
	X("rcv_rtt_us", rcv_rtt) \
	X("mss", snd_mss) \
	X("rcvmss", rcv_mss) \
	X("advmss", advmss) \
	X("pmtu", pmtu) \
	X("cwnd", snd_cwnd) \
	X("ssthresh", snd_ssthresh) \
	X("bytes_sent", bytes_sent) \
	X("bytes_retrans", bytes_retrans) \
	X("bytes_acked", bytes_acked) \
	X("bytes_received", bytes_received) \
	X("segs_out", segs_out) \
	X("segs_in", segs_in) \
	X("data_segs_out", data_segs_out) \
	X("data_segs_in", data_segs_in) \
	X("lastsnd_ms", last_data_sent) \
	X("lastrcv_ms", last_data_recv) \
	X("lastack_ms", last_ack_recv) \
	X("pacing_rate", pacing_rate) \
	X("delivery_rate", delivery_rate) \
	X("delivered", delivered) \
	X("delivered_ce", delivered_ce) \
	X("unacked", unacked) \
	X("retrans", retrans) \
	X("retrans_total", total_retrans) \
	X("lost", lost) \
	X("sacked", sacked) \
	X("dsack_dups", dsack_dups) \
	X("reordering", reordering) \
	X("reord_seen", reord_seen) \
	X("notsent", notsent_bytes) \
	X("rcv_space", rcv_space) \
	X("rcv_ssthresh", rcv_ssthresh) \
	X("rcv_ooopack", rcv_ooopack) \
	X("snd_wnd", snd_wnd) \
	X("rcv_wnd", rcv_wnd) \
	X("probes", probes)

static const struct out_column info_columns[] = { { "ts", NULL, OUT_YES_NO },
						  { "sack", NULL, OUT_YES_NO },
						  { "ecn", NULL, OUT_YES_NO },
						  { "app_limited", NULL, OUT_YES_NO },
						  { "ca_state", NULL, OUT_TEXT },
						  { "send_bps", NULL, OUT_U64 },
#define X(key, field) { key, NULL, OUT_U64 },
						  INFO_FIELDS(X)
#undef X
};

static const char *ca_state_name(uint8_t state)
{
	static const char *const names[] = { "open", "disorder", "cwr", "recovery", "loss" };

	return state < ARRAY_LEN(names) ? names[state] : "?";
}

static void info_values(const struct yg_tcp_info *i, struct out_value *v)
{
	*v++ = OUT_Y((i->options & OPT_TIMESTAMPS) != 0);
	*v++ = OUT_Y((i->options & OPT_SACK) != 0);
	*v++ = OUT_Y((i->options & OPT_ECN) != 0);
	*v++ = OUT_Y(i->delivery_rate_app_limited != 0);
	*v++ = OUT_T(ca_state_name(i->ca_state));
	*v++ = OUT_U(send_rate(i));
	/* None is none, not the largest number there is. */
#define X(key, field) *v++ = (uint64_t)i->field == UINT64_MAX ? OUT_ABSENT : OUT_U(i->field);
	INFO_FIELDS(X)
#undef X
}

/* Of names with numbers, which are known only now. */
struct pairs {
	struct out_column column[CC_FACTS_MAX];
	struct out_value value[CC_FACTS_MAX];
	struct out_object object;
};

static void pairs_add(struct pairs *p, const char *name, uint64_t value)
{
	p->column[p->object.n] = (struct out_column){ name, NULL, OUT_U64 };
	p->value[p->object.n++] = OUT_U(value);
}

static void pairs_add_fact(struct pairs *p, const struct cc_fact *f)
{
	if (f->text == NULL) {
		pairs_add(p, f->name, f->value);
		return;
	}
	p->column[p->object.n] = (struct out_column){ f->name, NULL, OUT_TEXT };
	p->value[p->object.n++] = OUT_T(f->text);
}
_Static_assert(TCP_TIMERS_MAX <= CC_FACTS_MAX, "room for either");

static struct out_value pairs_value(struct pairs *p)
{
	p->object.column = p->column;
	p->object.value = p->value;
	return OUT_O(&p->object);
}

static struct out_value or_absent(uint64_t v)
{
	return v != 0 ? OUT_U(v) : OUT_ABSENT;
}

static void names_and_ends(const struct socket_entry *e, const char *id, struct out_value *row)
{
	row[COL_NETID] = OUT_T(socket_netid(e));
	row[COL_STATE] = OUT_T(tcp_state_names[e->t.state]);
	row[COL_RECV_Q] = OUT_U(e->t.recv_q);
	row[COL_SEND_Q] = OUT_U(e->t.send_q);
	row[COL_LOCAL] = OUT_IP(e->t.local.addr);
	row[COL_LOCAL_PORT] = OUT_U(e->t.local.port);
	row[COL_PEER] = OUT_IP(e->t.remote.addr);
	row[COL_PEER_PORT] = OUT_U(e->t.remote.port);
	row[COL_PROTOCOL] = OUT_U(e->protocol);
	row[COL_ID] = OUT_T(id);
	if (e->number >= 0)
		row[COL_FD] = OUT_U((uint64_t)e->number);
	row[COL_ZONE] = or_absent(e->t.zone);
	row[COL_IFINDEX] = or_absent(e->ifindex);
	row[COL_MARK] = or_absent(e->mark);
	row[COL_TOS] = or_absent(e->t.tos);
	row[COL_SYN_QUEUE] = or_absent(e->t.n_half_open);
	if (e->t.side != TCP_SIDE_NONE)
		row[COL_CLOSED_BY] = OUT_T(tcp_side_names[e->t.side]);
	if (e->t.reason != TCP_REASON_NONE) {
		row[COL_REASON] = OUT_T(tcp_reason_info[e->t.reason].name);
		row[COL_REASON_TEXT] = OUT_T(tcp_reason_info[e->t.reason].text);
	}
	row[COL_ERROR] = or_absent((uint64_t)e->t.error);
	row[COL_SOFT_ERROR] = or_absent((uint64_t)e->t.soft_error);
	row[COL_CONGESTION] = e->t.congestion != NULL ? OUT_T(e->t.congestion) : OUT_ABSENT;
}

void socket_json_row(struct output *o, const struct socket_text_form *f, const struct socket_entry *e)
{
	struct out_value row[N_COLS], info[ARRAY_LEN(info_columns)], timer[ARRAY_LEN(timer_columns)];
	struct out_value memory[ARRAY_LEN(memory_columns)];
	struct out_object first = { timer_columns, ARRAY_LEN(timer_columns), timer };
	struct out_object of_info = { info_columns, ARRAY_LEN(info_columns), info };
	struct out_object of_memory = { memory_columns, ARRAY_LEN(memory_columns), memory };
	struct pairs timers = { .object = { .n = 0 } }, control = { .object = { .n = 0 } };
	char id[20];

	for (size_t i = 0; i < N_COLS; i++)
		row[i] = OUT_ABSENT;
	snprintf(id, sizeof(id), "%" PRIx64, e->id);
	names_and_ends(e, id, row);
	if (f->timers && e->t.n_timers > 0) {
		timer[0] = OUT_T(tcp_timer_names[e->t.timer[0].kind]);
		timer[1] = OUT_U(e->t.timer[0].left / NS_PER_MS);
		timer[2] = OUT_U(e->t.timer[0].n);
		row[COL_TIMER] = OUT_O(&first);
		for (uint32_t i = 0; i < e->t.n_timers; i++)
			pairs_add(&timers, tcp_timer_names[e->t.timer[i].kind], e->t.timer[i].left / NS_PER_MS);
		row[COL_TIMERS] = pairs_value(&timers);
	}
	if (f->memory) {
		memory[0] = OUT_U(e->t.rcv_memory);
		memory[1] = OUT_U(e->t.rcvbuf);
		memory[2] = OUT_U(e->t.sndbuf);
		memory[3] = OUT_U(e->t.state == TCP_LISTEN ? 0 : e->t.send_q);
		memory[4] = OUT_U(e->n_dropped);
		row[COL_MEMORY] = OUT_O(&of_memory);
	}
	if (f->info && e->t.has_info && e->t.state != TCP_LISTEN) {
		info_values(&e->t.info, info);
		row[COL_INFO] = OUT_O(&of_info);
		for (uint32_t i = 0; i < e->t.n_facts; i++)
			pairs_add_fact(&control, &e->t.fact[i]);
		if (e->t.n_facts > 0)
			row[COL_CONTROL] = pairs_value(&control);
	}
	output_row(o, row);
}
