/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a cache of the RPKI says, to a client, on virtual time. Input: pieces, each with a byte for its length and
 * one for what happens before it: seconds that pass, the connection lost, a query for all. The cache answers nothing.
 *
 * Checks that what a client counts is what the table has of it, that data are never held beyond their time, that the
 * client does not turn without end, and that removed it leaves nothing behind.
 */
#include <stdlib.h>

#include "base/util.h"
#include "routing/rpki/rtr_client.h"
#include "routing/stream/stream_memory.h"
#include "wire_fuzz.h"

#define ROUTER IP4(192, 0, 2, 1)
#define CACHE IP4(192, 0, 2, 2)
#define TURNS_MAX 10000u
#define PAYLOADS 64u

struct world {
	uint64_t now;
	struct stream_memory *net;
	struct stream *cache; /* NULL: no connection */
	struct roa_table *roas;
	struct rtr_client *c;
};

static void read_all(void *user, struct stream *s, uint64_t now)
{
	uint8_t in[256];

	while (s->carrier->read(s, in, sizeof(in)) > 0)
		;
}

static void nothing(void *user, struct stream *s, uint64_t now)
{
}

static void on_closed(void *user, struct stream *s, int error, uint64_t now)
{
	struct world *w = user;

	s->carrier->close(s);
	if (w->cache == s)
		w->cache = NULL;
}

static const struct stream_events events = { nothing, read_all, nothing, on_closed };

static bool on_accept(void *user, struct stream_listener *l, struct stream *s, uint64_t now)
{
	struct world *w = user;

	stream_tell(s, &events, w);
	w->cache = s;
	return true;
}

static void check(const struct world *w)
{
	struct rtr_view v;
	struct roa_view p;
	uint32_t at = 0, n = 0;

	rtr_client_look(w->c, &v);
	while (roa_next(w->roas, &at, &p)) {
		FUZZ_CHECK(p.caches == 1 && p.roa.max_len >= p.roa.prefix.len && p.roa.max_len <= 32);
		FUZZ_CHECK(roa_check(w->roas, p.roa.prefix, p.roa.as) == (p.roa.as == 0 ? ROA_INVALID : ROA_VALID));
		n++;
	}
	FUZZ_CHECK(n == v.n_payloads && n == roa_count(w->roas) && n <= PAYLOADS);
	FUZZ_CHECK(!v.has_data || v.expires >= w->now || v.state == RTR_RECEIVING);
	FUZZ_CHECK(v.has_data || n == 0);
}

static void run_for(struct world *w, uint64_t ns)
{
	uint64_t end = w->now + ns;

	for (uint32_t turns = 0; w->now < end; turns++) {
		uint64_t next = min_u64(stream_memory_next(w->net), rtr_client_next_deadline(w->c));

		FUZZ_CHECK(turns < TURNS_MAX);
		w->now = max_u64(w->now, min_u64(next, end));
		stream_memory_advance(w->net, w->now);
		for (uint32_t i = 0; rtr_client_work(w->c, w->now); i++)
			FUZZ_CHECK(i < TURNS_MAX);
	}
	check(w);
}

static void step(struct world *w, uint8_t what)
{
	if (what & 0x80) {
		if (w->cache != NULL)
			w->cache->carrier->abort(w->cache);
		w->cache = NULL;
	}
	if (what & 0x40)
		rtr_client_refresh(w->c, (what & 0x20) != 0);
	run_for(w, ((uint64_t)(what & 0x1f) * 30 + 1) * NS_PER_S);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct siphash_key key = { .k0 = 1 };
	struct stream_memory_config net = { .delay_ns = NS_PER_MS };
	struct world w = { .now = NS_PER_S,
			   .net = stream_memory_create(&net),
			   .roas = roa_table_create(PAYLOADS, &key) };
	struct stream_carrier *at = stream_memory_host(w.net, CACHE);
	struct stream_listen how = { .local = { .port = RTR_PORT }, .accept = on_accept, .user = &w };
	struct rtr_client_config c = { .carrier = stream_memory_host(w.net, ROUTER),
				       .remote = { .addr = CACHE },
				       .roas = w.roas };
	struct stream_listener *l;

	stream_memory_advance(w.net, w.now);
	FUZZ_CHECK(at->listen(at, &how, &l) == 0);
	w.c = rtr_client_create(&c);
	run_for(&w, NS_PER_S);
	while (size >= 2) {
		size_t len = min_u64(data[0], size - 2);

		step(&w, data[1]);
		if (w.cache != NULL)
			(void)at->write(w.cache, data + 2, len);
		data += 2 + len;
		size -= 2 + len;
	}
	run_for(&w, NS_PER_S);
	rtr_client_remove(w.c);
	run_for(&w, NS_PER_S);
	FUZZ_CHECK(rtr_client_is_gone(w.c) && roa_count(w.roas) == 0);
	rtr_client_destroy(w.c);
	stream_memory_destroy(w.net);
	roa_table_destroy(w.roas);
	return 0;
}
