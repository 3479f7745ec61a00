/* SPDX-License-Identifier: BSD-2-Clause
 *
 * TCP_INFO in Linux's layout (linux/tcp.h, struct tcp_info, as of 6.10). Each field is
 * true or zero:
 *
 *   zero: ato, fackets, last_ack_sent, rcv_ssthresh, rcv_space, data_segs_in, data_segs_out,
 *         delivery_rate, sndbuf_limited, delivered, delivered_ce, bytes_sent,
 *         dsack_dups, rcv_ooopack, rehash, total_rto, total_rto_recoveries, total_rto_time, fastopen_client_fail
 *   bytes_acked, bytes_received: of data alone; Linux counts a SYN that it sent, and FINs
 *   in segments, as there, by the segment size of now: snd_cwnd, snd_ssthresh, reordering
 *   true: all others
 */
#ifndef YG_STACK_TRANSPORT_TCP_INFO_H
#define YG_STACK_TRANSPORT_TCP_INFO_H

#include <stdint.h>

#include "stack/transport/tcp.h"

struct yg_tcp_info {
	uint8_t state, ca_state, retransmits, probes, backoff, options;
	uint8_t snd_wscale : 4, rcv_wscale : 4;
	uint8_t delivery_rate_app_limited : 1, fastopen_client_fail : 2;
	uint32_t rto, ato; /* us */
	uint32_t snd_mss, rcv_mss;
	uint32_t unacked, sacked, lost, retrans, fackets; /* segments; of a listener: to be accepted, and the backlog */
	uint32_t last_data_sent, last_ack_sent, last_data_recv, last_ack_recv; /* ms ago */
	uint32_t pmtu, rcv_ssthresh;
	uint32_t rtt, rttvar; /* us */
	uint32_t snd_ssthresh, snd_cwnd, advmss, reordering;
	uint32_t rcv_rtt; /* us */
	uint32_t rcv_space, total_retrans;
	uint64_t pacing_rate, max_pacing_rate; /* bytes a second; all ones: none */
	uint64_t bytes_acked, bytes_received;
	uint32_t segs_out, segs_in, notsent_bytes;
	uint32_t min_rtt; /* us */
	uint32_t data_segs_in, data_segs_out;
	uint64_t delivery_rate, busy_time, rwnd_limited, sndbuf_limited;
	uint32_t delivered, delivered_ce;
	uint64_t bytes_sent, bytes_retrans;
	uint32_t dsack_dups, reord_seen, rcv_ooopack, snd_wnd, rcv_wnd, rehash;
	uint16_t total_rto, total_rto_recoveries;
	uint32_t total_rto_time;
};
_Static_assert(sizeof(struct yg_tcp_info) == 248, "as Linux has it");

void tcp_info(const struct tcp *t, const struct tcp_conn *c, struct yg_tcp_info *out);
void tcp_listener_info(const struct tcp_listener *l, struct yg_tcp_info *out);

#endif
