/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For tests: a stream of bytes from one host to another, each of which is checked, as
 * long as the clock of tcp_fixture.h goes on.
 */
#ifndef YG_STACK_TRANSPORT_TCP_FLOW_H
#define YG_STACK_TRANSPORT_TCP_FLOW_H

#include "stack/transport/tcp_fixture.h"

#define FLOW_CHUNK 16384u

static inline uint8_t byte_at(uint64_t off)
{
	return (uint8_t)(off * 7 + (off >> 8) * 13 + (off >> 16));
}

struct flow {
	struct host *from, *to;
	struct tcp_conn *out, *in;
	uint64_t total, sent, received;
	uint32_t write_size, read_size; /* 0: FLOW_CHUNK */
	bool keep_open, shut, ended;
	uint64_t last_progress, longest_pause;
	bool paused; /* nobody reads */
};

static inline void feed(struct flow *f)
{
	uint8_t bytes[FLOW_CHUNK];
	uint32_t size = f->write_size != 0 ? f->write_size : FLOW_CHUNK;

	while (f->sent < f->total) {
		uint32_t len =
			(uint32_t)min_u64(min_u32(size, tcp_queue_room(f->from->tcp, f->out)), f->total - f->sent);

		/* As much as there is room for, but not by drops. */
		if (len == 0 || (len < size && len < f->out->sndbuf / 8 && f->sent + len < f->total))
			return;

		for (uint32_t i = 0; i < len; i++)
			bytes[i] = byte_at(f->sent + i);
		int64_t n = host_send(f->from, f->out, bytes, len);

		if (n == -EAGAIN)
			return;
		assert_true(n > 0);
		f->sent += (uint64_t)n;
	}
	if (!f->shut && !f->keep_open) {
		assert_int_equal(tcp_shutdown(f->from->tcp, f->out, TCP_SHUT_WR), 0);
		f->shut = true;
	}
}

static inline void drain(struct flow *f, uint64_t now)
{
	uint8_t bytes[FLOW_CHUNK];
	uint32_t size = f->read_size != 0 ? f->read_size : FLOW_CHUNK;

	while (!f->ended && !f->paused) {
		int64_t n = host_recv(f->to, f->in, bytes, size);

		if (n == -EAGAIN)
			return;
		assert_true(n >= 0);
		f->ended = n == 0;
		for (int64_t i = 0; i < n; i++)
			if (bytes[i] != byte_at(f->received + (uint64_t)i))
				fail_msg("byte %llu is wrong", (unsigned long long)(f->received + (uint64_t)i));
		f->received += (uint64_t)n;
		if (n > 0) {
			f->longest_pause = max_u64(f->longest_pause, now - f->last_progress);
			f->last_progress = now;
		}
	}
}

static inline bool is_done(const struct flow *f)
{
	return f->ended || (f->keep_open && f->received == f->total);
}

/* One step; false when nothing will ever happen. */
static inline bool flow_step(struct net *n, struct flow *f)
{
	feed(f);
	drain(f, n->now);
	ip_flush(f->from->ip);
	ip_flush(f->to->ip);
	uint64_t next = net_next(n);

	if (next == TIME_NEVER)
		return false;
	net_at(n, next);
	assert_true(f->out->snd_wnd <= (64u << 20));
	return true;
}

static inline uint64_t carry(struct net *n, struct flow *f, uint64_t limit)
{
	uint64_t start = n->now;

	f->last_progress = n->now;
	while (!is_done(f) && n->now - start < limit && flow_step(n, f))
		;
	assert_true(is_done(f));
	assert_int_equal(f->received, f->total);
	return n->now - start;
}

#endif
