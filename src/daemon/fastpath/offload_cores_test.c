/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Several cores over one set of maps; see offload.c and offload_queues.c. Under
 * ThreadSanitizer too.
 */
#include <pthread.h>

#include "daemon/fastpath/offload_fixture.h"

#define CORES_MAX 7u

struct workers {
	struct fastpath_maps maps;
	struct flow_map *flows;
	struct offload_queues *queues;
	uint32_t n;
	struct offload_fixture core[CORES_MAX];
};

static void open_workers(struct workers *c, uint32_t n, uint32_t n_conns, uint32_t n_slots)
{
	c->n = n;
	c->flows = open_maps(&c->maps, n_slots, n * N_ADJACENCIES);
	assert_non_null(c->flows);
	c->queues = n > 1 ? offload_queues_create(n) : NULL;
	for (uint32_t i = 0; i < n; i++)
		open_core(&c->core[i], n_conns,
			  &(struct offload_share){
				  .maps = &c->maps, .flows = c->flows, .queues = c->queues, .core = i, .n_cores = n });
}

static void close_workers(struct workers *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		close_core(&c->core[i]);
	offload_queues_destroy(c->queues);
	flow_map_destroy(c->flows);
	model_maps_free(&c->maps);
}

/* Time for all of them. */
static void pass_all(struct workers *c, uint64_t ns)
{
	for (uint64_t at = 0; at < ns; at += MS)
		for (uint32_t i = 0; i < c->n; i++) {
			for (uint32_t port = 1; port <= 2 && !c->core[i].stands; port++)
				offload_map_seen_empty(c->core[i].m, port);
			pass_time(&c->core[i], MS);
		}
}

/* Every slot is somebody's and nobody's twice, whatever the numbers are; so are the ways out.
 * Would catch: ranges that overlap or leave a hole, a core that writes with its own numbers into what all share. */
static void test_ranges(void **state)
{
	static const uint32_t n_cores[] = { 1, 2, 3, 7 };
	enum { N_SLOTS = 1001 };
	static struct workers c;
	static bool used[N_SLOTS];

	for (size_t k = 0; k < sizeof(n_cores) / sizeof(n_cores[0]); k++) {
		struct offload_map_info info;
		uint32_t total = 0;

		open_workers(&c, n_cores[k], N_SLOTS + 1, N_SLOTS);
		memset(used, 0, sizeof(used));
		for (uint32_t i = 0; i < c.n; i++) {
			struct offload_fixture *w = &c.core[i];
			uint32_t n = 0;
			while (w->o->add(w->m, n)) {
				struct fp_flow *f = flow_of(w, n, CT_ORIGINAL);
				assert_non_null(f);
				uint32_t slot = (uint32_t)(f - c.maps.flow) / 2;
				assert_false(used[slot]);
				used[slot] = true;
				assert_in_range(f->adjacency, i * N_ADJACENCIES, (i + 1) * N_ADJACENCIES - 1);
				assert_int_equal(c.maps.adjacency[f->adjacency].header[1], i);
				n++;
			}
			info_of(w, &info);
			assert_int_equal(info.capacity, n);
			assert_int_equal(info.n_connections, n);
			total += n;
		}
		assert_int_equal(total, N_SLOTS);
		close_workers(&c);
	}
}

/* Would catch: a core that takes back its flows, or whose neighbour vanishes, and another's flows stop with them; or
 * its own go on. */
static void test_void_of_one(void **state)
{
	static struct workers c;

	open_workers(&c, 2, 64, 64);
	for (uint32_t i = 0; i < 2; i++)
		assert_true(c.core[i].o->add(c.core[i].m, 5));
	pass_all(&c, 25 * MS);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(run_one(&c.core[i], 5, CT_ORIGINAL), FP_FORWARDED);
	c.core[0].o->invalidate_all(c.core[0].m);
	assert_int_equal(run_one(&c.core[0], 5, CT_ORIGINAL), FP_UP_STALE);
	assert_int_equal(run_one(&c.core[1], 5, CT_ORIGINAL), FP_FORWARDED);
	/* The same number of ip's, another way out. */
	c.core[0].ip.adjacency[1].usable = false;
	c.core[0].o->adjacency_changed(c.core[0].m, 1, IP_ADJACENCY_CHANGED);
	assert_int_equal(run_one(&c.core[1], 5, CT_ORIGINAL), FP_FORWARDED);
	pass_all(&c, 3 * NS_PER_S);
	assert_false(offload_map_has(c.core[0].m, 5));
	assert_true(offload_map_has(c.core[1].m, 5));
	assert_int_equal(c.core[1].n_left, 0);
	close_workers(&c);
}

/* A packet waits in the queue of a worker that does not get on, while the flow's owner does.
 * Would catch: the owner's own empty queue taken for everybody's; a flow that waits for ever for a worker that sleeps,
 * or for one that has let go of the port. */
static void test_other_stands(void **state)
{
	static struct workers c;
	struct offload_fixture *w = &c.core[0];

	open_workers(&c, 2, 64, 64);
	pass_all(&c, 5 * MS);
	c.core[1].stands = true;
	assert_true(w->o->add(w->m, 0));
	pass_all(&c, 25 * MS);
	assert_int_equal(run_one(w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	pass_all(&c, 500 * MS);
	assert_int_equal(run_one(w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	/* It goes on: what it had, it hands over. */
	assert_true(comes_up(w));
	assert_int_equal(run_one(w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	all_come_up(w);
	assert_int_equal(run_one(w, 0, CT_ORIGINAL), FP_FORWARDED);
	/* It sleeps, and so does the flow for now: it is let through when the worker has found nothing, not before. */
	assert_true(w->o->add(w->m, 1));
	pass_all(&c, 500 * MS);
	c.core[1].stands = false;
	pass_all(&c, 25 * MS);
	assert_int_equal(run_one(w, 1, CT_ORIGINAL), FP_FORWARDED);
	c.core[1].stands = true;
	/* It has nothing to do with the port any more. */
	offload_map_set_port(c.core[1].m, 1, 0, FP_EGRESS_UP);
	offload_map_set_port(c.core[1].m, 2, 0, FP_EGRESS_UP);
	assert_true(w->o->add(w->m, 2));
	pass_all(&c, 15 * MS);
	assert_int_equal(run_one(w, 2, CT_ORIGINAL), FP_FORWARDED);
	close_workers(&c);
}

/* --- at the same time --- */

#define N_EACH 300u
#define N_SLOTS_ALL 400u
#if defined(__SANITIZE_THREAD__)
#define ROUNDS 20000u
#else
#define ROUNDS 200000u
#endif

struct job {
	struct offload_fixture *w;
	bool voids;
	uint64_t forwarded[N_EACH][N_CT_DIRS];
	uint64_t n_forwarded, n_invalidations, n_wrong, n_stale;
	uint32_t x;
};

static void one_packet(struct job *j, uint32_t conn, enum ct_dir dir)
{
	struct offload_fixture *w = j->w;
	struct model_packet p = packet_of(w, conn, dir);
	enum fp_count what = run(w, &p);

	if (what == FP_FORWARDED) {
		j->n_forwarded++;
		j->forwarded[conn][dir]++;
		/* As this core's connection says. */
		j->n_wrong += dir == CT_ORIGINAL && p.src != 0xcb007105 + w->core;
		j->n_wrong += !offload_map_has(w->m, conn);
		return;
	}
	j->n_stale += what == FP_UP_STALE;
	all_come_up(w);
}

static void *work(void *arg)
{
	struct job *j = arg;
	struct offload_fixture *w = j->w;

	for (uint32_t n = 0; n < ROUNDS; n++) {
		j->x = j->x * 1664525 + 1013904223;
		uint32_t conn = (j->x >> 8) % N_EACH, what = j->x >> 27;
		if (!offload_map_has(w->m, conn))
			(void)w->o->add(w->m, conn);
		else if (what < 2)
			w->o->remove(w->m, conn);
		else if (what == 2)
			(void)w->o->read_back(w->m, conn);
		one_packet(j, conn, (enum ct_dir)(j->x >> 26 & 1));
		if (n % 64 == 0)
			pass_time(w, 2 * MS);
		if (!j->voids || n % 4096 != 0)
			continue;
		w->o->invalidate_all(w->m);
		j->n_invalidations++;
		uint64_t before = j->n_forwarded;
		for (uint32_t i = 0; i < N_EACH; i++)
			one_packet(j, i, CT_ORIGINAL);
		j->n_wrong += j->n_forwarded - before;
		for (uint32_t i = 0; i < N_EACH; i++)
			if (offload_map_has(w->m, i))
				(void)w->o->add(w->m, i);
	}
	return NULL;
}

/* Two cores put in, take out, credit, and one of them voids, in threads of their own.
 * Would catch: a bucket or a slot that both write, a counter credited to the other core or twice or never, a void that
 * reaches the other; under ThreadSanitizer any access that is not synchronised. */
static void test_at_once(void **state)
{
	static struct workers c;
	static struct job job[2];
	pthread_t thread[2];

	open_workers(&c, 2, N_EACH, N_SLOTS_ALL);
	for (uint32_t i = 0; i < 2; i++) {
		job[i] = (struct job){ .w = &c.core[i], .voids = i == 0, .x = i + 1 };
		assert_int_equal(pthread_create(&thread[i], NULL, work, &job[i]), 0);
	}
	for (uint32_t i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	for (uint32_t i = 0; i < 2; i++) {
		struct offload_fixture *w = &c.core[i];
		struct offload_map_info info;
		info_of(w, &info);
		assert_int_equal(info.capacity, N_SLOTS_ALL / 2);
		assert_int_equal(info.n_added - info.n_removed, info.n_connections);
		offload_map_read_all(w->m);
		for (uint32_t k = 0; k < N_EACH; k++)
			for (enum ct_dir dir = CT_ORIGINAL; dir < N_CT_DIRS; dir++)
				assert_int_equal(w->flowcache.credit[k].packets[dir], job[i].forwarded[k][dir]);
		info_of(w, &info);
		assert_int_equal(info.n_packets, job[i].n_forwarded);
		assert_int_equal(info.n_late, 0);
		assert_int_equal(job[i].n_wrong, 0);
		assert_true(job[i].n_forwarded > 1000);
	}
	assert_true(job[0].n_invalidations > 3 && job[0].n_stale > 0);
	assert_int_equal(job[1].n_stale, 0);
	close_workers(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_void_of_one),
		cmocka_unit_test(test_other_stands),
		cmocka_unit_test(test_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
