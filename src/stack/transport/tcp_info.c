/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A connection as TCP_INFO tells of it.
 */
#include "stack/transport/tcp_info.h"

#include "stack/transport/tcp_rare.h"

/* Linux's numbers of states. */
static const uint8_t linux_state[N_TCP_STATES] = {
	[TCP_CLOSED] = 7,      [TCP_LISTEN] = 10,    [TCP_SYN_SENT] = 2,   [TCP_SYN_RECEIVED] = 3,
	[TCP_ESTABLISHED] = 1, [TCP_FIN_WAIT_1] = 4, [TCP_FIN_WAIT_2] = 5, [TCP_CLOSE_WAIT] = 8,
	[TCP_CLOSING] = 11,    [TCP_LAST_ACK] = 9,   [TCP_TIME_WAIT] = 6,
};

/* TCPI_OPT_* */
enum { OPT_TIMESTAMPS = 1, OPT_SACK = 2, OPT_WSCALE = 4, OPT_ECN = 8 };
#define INFINITE_SSTHRESH 0x7fffffffu
#define REORDERING_DEFAULT 3u
#define TIMESTAMPS_BYTES 12u /* of every segment, with two of padding; Linux takes them off */

static uint32_t us(uint64_t ns)
{
	return (uint32_t)min_u64(ns / NS_PER_US, UINT32_MAX);
}

static uint32_t ms_since(const struct tcp *t, uint64_t at)
{
	return at == 0 || at > t->env->now ? 0 : (uint32_t)min_u64((t->env->now - at) / NS_PER_MS, UINT32_MAX);
}

static uint64_t running(const struct tcp *t, uint64_t since)
{
	return since != 0 ? t->env->now - since : 0;
}

static void count_segments(const struct tcp *t, const struct tcp_conn *c, struct yg_tcp_info *out)
{
	for (uint32_t i = 0; i < c->flight->queue.n_sent; i++) {
		uint8_t flags = tcp_queue_at(t, c, i)->flags;

		out->unacked++;
		out->sacked += (flags & SEGMENT_SACKED) != 0;
		out->lost += (flags & SEGMENT_LOST) != 0;
		out->retrans += (flags & SEGMENT_RETRANSMITTED) != 0;
	}
	/* Linux counts the SYN. */
	out->unacked += c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED;
}

/* Those that were agreed on; before that none. */
static uint8_t options_of(const struct tcp_conn *c)
{
	if (c->state == TCP_SYN_SENT)
		return 0;
	return (uint8_t)((c->ts_ok ? OPT_TIMESTAMPS : 0) | (c->sack_ok ? OPT_SACK : 0) |
			 (c->wscale_ok ? OPT_WSCALE : 0) | (c->ecn_ok ? OPT_ECN : 0));
}

void tcp_info(const struct tcp *t, const struct tcp_conn *c, struct yg_tcp_info *out)
{
	uint32_t mss = c->mss != 0 ? c->mss : TCP_MSS_DEFAULT;

	*out = (struct yg_tcp_info){
		.state = linux_state[c->state],
		.ca_state = c->ca_state,
		.retransmits = c->n_rtx,
		.probes = c->flight->n_probes,
		.backoff = c->n_rtx,
		.options = options_of(c),
		.snd_wscale = c->snd_scale & 15,
		.rcv_wscale = c->rcv_scale & 15,
		.delivery_rate_app_limited = c->was_app_limited || c->flight->app_limited != 0,
		.rto = us(tcp_rto(t, c)),
		.snd_mss = c->mss,
		.rcv_mss = c->rcv_mss,
		.last_data_sent = ms_since(t, c->last_sent),
		.busy_time = c->busy_ms * UINT64_C(1000) + running(t, c->flight->busy_since) / NS_PER_US,
		.rwnd_limited = c->limited_ms * UINT64_C(1000) + running(t, c->flight->limited_since) / NS_PER_US,
		.last_data_recv = c->data_ms == 0 ? 0 : tcp_now_ms(t) - c->data_ms,
		.last_ack_recv = ms_since(t, c->heard_at),
		.pmtu = c->path_mtu,
		.rtt = us(c->srtt),
		.rttvar = us(c->rttvar),
		.snd_ssthresh = c->ssthresh == UINT32_MAX ? INFINITE_SSTHRESH : c->ssthresh / mss,
		.snd_cwnd = c->cwnd / mss,
		.advmss = c->mss_own - (c->ts_ok ? TIMESTAMPS_BYTES : 0),
		.reordering = max_u32(REORDERING_DEFAULT, c->reordering / mss),
		.rcv_rtt = us(c->rcv_rtt),
		.total_retrans = c->n_retransmitted,
		.pacing_rate = tcp_pacing_rate(t, c) != 0 ? tcp_pacing_rate(t, c) : UINT64_MAX,
		.max_pacing_rate = tcp_rare_at(t, c->rare)->max_pacing_rate,
		.bytes_acked = c->bytes_acked,
		.bytes_received = c->bytes_received,
		.segs_out = c->segs_out,
		.segs_in = c->segs_in,
		.notsent_bytes = tcp_unsent(c),
		.min_rtt = us(c->min_rtt),
		.bytes_retrans = c->bytes_retransmitted,
		.reord_seen = c->reordering_seen,
		.snd_wnd = c->snd_wnd,
		.rcv_wnd = seq_after(c->rcv_adv, c->rcv_nxt) ? c->rcv_adv - c->rcv_nxt : 0,
	};
	count_segments(t, c, out);
}

void tcp_listener_info(const struct tcp_listener *l, struct yg_tcp_info *out)
{
	*out = (struct yg_tcp_info){ .state = linux_state[TCP_LISTEN],
				     .unacked = tcp_accept_waiting(l),
				     .sacked = l->backlog };
}
