/* SPDX-License-Identifier: BSD-2-Clause
 *
 * No packet overtakes another of its flow; see offload_order.c.
 */
#include "fastpath/offload_world.h"

/* --- no overtaking --- */

/* Would catch: a packet that is forwarded while an older one of its flow is on its way through user space. */
static void test_no_overtaking(void **state)
{
	struct world w;
	struct model_packet fin;

	open_world(&w);
	assert_true(w.o->add(w.m, 0));
	/* Three went up before it was in and are not counted; two are. */
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	for (int i = 0; i < 4; i++) {
		w.o->came_up(w.m, 0, CT_ORIGINAL);
		assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	}
	for (int i = 0; i < 5; i++)
		w.o->came_up(w.m, 0, CT_ORIGINAL);
	pass_time(&w, 11 * MS);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_FORWARDED);
	/* A packet that has to go up, and what follows it. */
	fin = packet_of(&w, 0, CT_ORIGINAL);
	fin.not_plain = true;
	assert_int_equal(run(&w, &fin), FP_UP_NOT_PLAIN);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	assert_int_equal(run_one(&w, 0, CT_REPLY), FP_FORWARDED);
	w.o->came_up(w.m, 0, CT_ORIGINAL);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	w.o->came_up(w.m, 0, CT_ORIGINAL);
	w.o->came_up(w.m, 0, CT_ORIGINAL);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_FORWARDED);
	/* One that the program did not count does not open the flow for longer than it should, nor shut it. */
	w.o->came_up(w.m, 0, CT_ORIGINAL);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_FORWARDED);
	close_world(&w);
}

/* A steady flow whose packets are dealt with a little after they came: it is never at rest for long.
 * Would catch: a flow that is never opened, or opened while packets are on their way. */
static void test_steady(void **state)
{
	enum { UNCOUNTED = 3, DELAY = 2 };
	struct world w;
	uint32_t in_flight = UNCOUNTED, n_up = 0;
	bool opened = false;

	open_world(&w);
	w.stands = true;
	assert_true(w.o->add(w.m, 0));
	for (int i = 0; i < 200 && !opened; i++) {
		pass_time(&w, MS);
		if (run_one(&w, 0, CT_ORIGINAL) == FP_FORWARDED) {
			assert_int_equal(in_flight, 0);
			opened = true;
			break;
		}
		n_up++;
		in_flight++;
		/* Two at a time, so that now and then nothing is on its way. */
		if (in_flight > DELAY)
			for (; in_flight > 0; in_flight--)
				w.o->came_up(w.m, 0, CT_ORIGINAL);
		if (in_flight == 0)
			offload_map_seen_empty(w.m, 1);
	}
	assert_true(opened);
	assert_true(n_up >= 10 && n_up < 30);
	close_world(&w);
}

/* Would catch: a flow that is stuck because a packet was lost on the way up. */
static void test_lost(void **state)
{
	struct world w;
	struct offload_map_info info;
	struct model_packet p;

	open_world(&w);
	put_in(&w, 0);
	p = packet_of(&w, 0, CT_ORIGINAL);
	p.not_plain = true;
	/* Lost, and the next ones come up: about 10 ms. */
	assert_int_equal(run(&w, &p), FP_UP_NOT_PLAIN);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	w.o->came_up(w.m, 0, CT_ORIGINAL);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	w.o->came_up(w.m, 0, CT_ORIGINAL);
	pass_time(&w, 11 * MS);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_FORWARDED);
	/* Lost, and nothing comes up: found by a slice. */
	assert_int_equal(run(&w, &p), FP_UP_NOT_PLAIN);
	pass_time(&w, NS_PER_S + 20 * MS);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_FORWARDED);
	info_of(&w, &info);
	assert_int_equal(info.n_resynced, 2);
	close_world(&w);
}

/* A flood: the queue to user space always stands, and most of it is lost.
 * Would catch: a flow that never gets out of the overload that it makes. */
static void test_flood(void **state)
{
	struct world w;
	uint32_t n_up = 0;

	open_world(&w);
	w.stands = true;
	assert_true(w.o->add(w.m, 0));
	for (; n_up < 100000; n_up++) {
		pass_time(&w, 1000);
		if (run_one(&w, 0, CT_ORIGINAL) == FP_FORWARDED)
			break;
		if (n_up % 4 == 0)
			w.o->came_up(w.m, 0, CT_ORIGINAL);
	}
	assert_true(n_up < 70000);
	/* What still stood in the queue comes up afterwards: the flow must not shut for it. */
	for (int i = 0; i < 50; i++) {
		w.o->came_up(w.m, 0, CT_ORIGINAL);
		assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_FORWARDED);
	}
	close_world(&w);
}

/* While one packet is dealt with, more of its flow go up than 16 bits tell apart from less.
 * Would catch: a flow that is let through in front of all of them. */
static void test_far_behind(void **state)
{
	struct world w;
	struct model_packet p;

	open_world(&w);
	put_in(&w, 0);
	w.stands = true;
	p = packet_of(&w, 0, CT_ORIGINAL);
	p.not_plain = true;
	assert_int_equal(run(&w, &p), FP_UP_NOT_PLAIN);
	for (uint32_t i = 0; i < 40000; i++)
		assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	w.o->came_up(w.m, 0, CT_ORIGINAL);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	/* They are dealt with after all. */
	for (uint32_t i = 0; i < 40001; i++)
		w.o->came_up(w.m, 0, CT_ORIGINAL);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_FORWARDED);
	close_world(&w);
}

/* The worker gets no CPU for a while, or is stopped.
 * Would catch: time that passes taken for packets that were dealt with. */
static void test_pause(void **state)
{
	struct world w;

	open_world(&w);
	w.stands = true;
	assert_true(w.o->add(w.m, 0));
	/* Three went up before it was in. Nothing is done for long, then comes the timer before the first of them. */
	w.env.now += 200 * MS;
	offload_map_expire(w.m);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_BEHIND);
		w.o->came_up(w.m, 0, CT_ORIGINAL);
	}
	for (int i = 0; i < 3; i++)
		w.o->came_up(w.m, 0, CT_ORIGINAL);
	w.stands = false;
	pass_time(&w, 11 * MS);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_FORWARDED);
	close_world(&w);
}

/* Packets that went through user space have moved the window beyond what the program knows.
 * Would catch: a flow whose packets all look far out of the window, for ever. */
static void test_marks(void **state)
{
	struct world w;
	struct model_packet p;

	open_world(&w);
	make_conn(&w, 0, IPPROTO_TCP);
	assert_true(w.o->add(w.m, 0));
	w.ct.conn[0].half[CT_ORIGINAL].tcp.end += 50u << 20;
	pass_time(&w, 11 * MS);
	p = packet_of(&w, 0, CT_ORIGINAL);
	p.end += 50u << 20;
	assert_int_equal(run(&w, &p), FP_FORWARDED);
	p = packet_of(&w, 0, CT_ORIGINAL);
	p.end += 90u << 20;
	assert_int_equal(run(&w, &p), FP_UP_WINDOW);
	w.ct.conn[0].half[CT_ORIGINAL].tcp.end = p.end;
	w.o->came_up(w.m, 0, CT_ORIGINAL);
	assert_int_equal(run(&w, &p), FP_FORWARDED);
	/* A window that grows. */
	uint32_t before = flow_of(&w, 0, CT_ORIGINAL)->tcp_win >> FP_TCP_FAR_SHIFT;
	assert_int_equal(before, (40000u << 7 >> 16) + 1);
	w.ct.conn[0].half[CT_REPLY].tcp.max_win *= 2;
	pass_time(&w, NS_PER_S);
	assert_int_equal(flow_of(&w, 0, CT_ORIGINAL)->tcp_win >> FP_TCP_FAR_SHIFT, (40000u << 8 >> 16) + 1);
	assert_int_equal((uint16_t)flow_of(&w, 0, CT_ORIGINAL)->tcp_win, 40000);
	close_world(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_overtaking), cmocka_unit_test(test_steady), cmocka_unit_test(test_lost),
		cmocka_unit_test(test_flood),         cmocka_unit_test(test_marks),  cmocka_unit_test(test_pause),
		cmocka_unit_test(test_far_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
