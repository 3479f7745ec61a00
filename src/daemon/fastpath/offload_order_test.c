/* SPDX-License-Identifier: BSD-2-Clause
 *
 * No packet overtakes another of its flow; see offload_order.c.
 */
#include "daemon/fastpath/offload_fixture.h"

/* --- no overtaking --- */

/* Would catch: a packet that is forwarded while an older one of its flow is on its way through user space. */
static void test_no_overtaking(void **state)
{
	struct offload_fixture w;
	struct model_packet fin;

	open_fixture(&w);
	assert_true(w.o->add(w.m, 0));
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	/* Whatever went up before it was in has no number, and says nothing. */
	for (int i = 0; i < 4; i++) {
		w.o->came_up(w.m, 0, CT_ORIGINAL, &(struct up_stamp){ .present = true, .number = (uint16_t)(i + 1) });
		assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	}
	for (int i = 0; i < 5; i++) {
		assert_true(comes_up(&w));
		assert_int_not_equal(flow_of(&w, 0, CT_ORIGINAL)->handled, flow_of(&w, 0, CT_ORIGINAL)->up);
	}
	/* The last of the six: no time has to pass. */
	assert_true(comes_up(&w));
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_FORWARDED);
	/* A packet that has to go up, and what follows it. */
	fin = packet_of(&w, 0, CT_ORIGINAL);
	fin.not_plain = true;
	assert_int_equal(run(&w, &fin), FP_UP_NOT_PLAIN);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	assert_int_equal(run_one(&w, 0, CT_REPLY), FP_UP_BEHIND);
	assert_true(comes_up(&w));
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	all_come_up(&w);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_FORWARDED);
	assert_int_equal(run_one(&w, 0, CT_REPLY), FP_FORWARDED);
	close_fixture(&w);
}

/* Rewritten in its place, and taken out and put in elsewhere, while packets of it are on their way.
 * Would catch: a number from before taken for one of now. */
static void test_rewritten(void **state)
{
	struct offload_fixture w;

	open_fixture(&w);
	put_in(&w, 0);
	w.o->invalidate_all(w.m);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_STALE);
	assert_true(w.o->add(w.m, 0));
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	assert_true(comes_up(&w));
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	w.o->remove(w.m, 0);
	assert_true(w.o->add(w.m, 0));
	/* Two numbers of the old one are out, three of the new one's. */
	for (int i = 0; i < 3; i++)
		assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	for (int i = 0; i < 4; i++) {
		assert_true(comes_up(&w));
		assert_int_not_equal(flow_of(&w, 0, CT_ORIGINAL)->handled, flow_of(&w, 0, CT_ORIGINAL)->up);
	}
	all_come_up(&w);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_FORWARDED);
	close_fixture(&w);
}

/* A steady flow in front of a queue that always stands: whenever the last of it has come out, it is open.
 * Would catch: a flow that is never opened, or opened while packets are on their way. */
static void test_steady(void **state)
{
	enum { DELAY = 2 };
	struct offload_fixture w;
	uint32_t n_up = 0;

	open_fixture(&w);
	w.stands = true;
	assert_true(w.o->add(w.m, 0));
	for (int i = 0; i < 200; i++) {
		pass_time(&w, MS);
		if (run_one(&w, 0, CT_ORIGINAL) == FP_FORWARDED)
			break;
		n_up++;
		/* Always one behind, for long. */
		if (n_up > DELAY)
			assert_true(comes_up(&w));
		if (n_up == 100)
			all_come_up(&w);
	}
	assert_int_equal(n_up, 100);
	assert_int_equal(w.n_came_up, w.n_went_up);
	close_fixture(&w);
}

/* Would catch: a flow that is stuck because a packet was lost on the way up; one let through by that while others are
 * on their way; a loss that is not counted, or counted where there was none. */
static void test_lost(void **state)
{
	struct offload_fixture w;
	struct offload_map_info info;
	struct model_packet p;

	open_fixture(&w);
	put_in(&w, 0);
	p = packet_of(&w, 0, CT_ORIGINAL);
	p.not_plain = true;
	/* Lost, and the next ones come up. */
	assert_int_equal(run(&w, &p), FP_UP_NOT_PLAIN);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	is_lost(&w);
	assert_true(comes_up(&w));
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	all_come_up(&w);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_FORWARDED);
	info_of(&w, &info);
	assert_int_equal(info.n_lost, 1);
	/* The last is lost, and nothing comes up: found by a slice, and not while the queue stands. */
	assert_int_equal(run(&w, &p), FP_UP_NOT_PLAIN);
	is_lost(&w);
	w.stands = true;
	pass_time(&w, 3 * NS_PER_S);
	assert_int_not_equal(flow_of(&w, 0, CT_ORIGINAL)->handled, flow_of(&w, 0, CT_ORIGINAL)->up);
	w.stands = false;
	pass_time(&w, NS_PER_S + 20 * MS);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_FORWARDED);
	info_of(&w, &info);
	assert_int_equal(info.n_lost, 2);
	/* Two CPUs: the second comes first. */
	assert_int_equal(run(&w, &p), FP_UP_NOT_PLAIN);
	struct up_stamp first = p.stamp;
	assert_int_equal(run(&w, &p), FP_UP_NOT_PLAIN);
	w.o->came_up(w.m, 0, CT_ORIGINAL, &p.stamp);
	w.o->came_up(w.m, 0, CT_ORIGINAL, &first);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_FORWARDED);
	info_of(&w, &info);
	assert_int_equal(info.n_lost, 2);
	close_fixture(&w);
}

/* A flood: the queue to user space always stands, and most of it is lost.
 * Would catch: a flow that is let through while packets of it are on their way, or one that never gets out of the
 * overload that it makes; TCP that loses packets for that. */
static void flood(uint8_t proto)
{
	enum { QUEUE = 500 };
	struct offload_fixture w;
	enum fp_count what = FP_UP_BEHIND;
	uint32_t n_dropped = 0, i;

	open_fixture(&w);
	make_conn(&w, 0, proto);
	w.stands = true;
	assert_true(w.o->add(w.m, 0));
	for (i = 0; i < 400000 && what != FP_FORWARDED; i++) {
		pass_time(&w, 1000);
		what = run_one(&w, 0, CT_ORIGINAL);
		n_dropped += what == FP_UP_OVERLOAD;
		/* The queue is full: it is lost. One in four is dealt with. */
		if (what == FP_UP_BEHIND && w.n_went_up - w.n_came_up > QUEUE)
			w.n_went_up--;
		if (i % 4 == 0 && i > QUEUE)
			(void)comes_up(&w);
	}
	if (proto == IPPROTO_UDP) {
		assert_int_equal(what, FP_FORWARDED);
		assert_int_equal(w.n_came_up, w.n_went_up);
		assert_in_range(i, QUEUE, 200000);
		/* And it is as any other. */
		struct model_packet p = packet_of(&w, 0, CT_ORIGINAL);
		p.not_plain = true;
		assert_int_equal(run(&w, &p), FP_UP_NOT_PLAIN);
		assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	} else {
		assert_int_equal(what, FP_UP_BEHIND);
		assert_int_equal(n_dropped, 0);
	}
	/* The last may have been lost: the next one opens it. */
	all_come_up(&w);
	(void)run_one(&w, 0, CT_ORIGINAL);
	all_come_up(&w);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_FORWARDED);
	close_fixture(&w);
}

static void test_flood(void **state)
{
	flood(IPPROTO_UDP);
	flood(IPPROTO_TCP);
}

/* While the worker stands still more of a flow go up than 16 bits can number.
 * Would catch: a number that comes round, and the flow is let through in front of all of them. */
static void test_far_behind(void **state)
{
	struct offload_fixture w;
	uint32_t n = 0;

	open_fixture(&w);
	put_in(&w, 0);
	w.stands = true;
	struct model_packet p = packet_of(&w, 0, CT_ORIGINAL);
	p.not_plain = true;
	assert_int_equal(run(&w, &p), FP_UP_NOT_PLAIN);
	while (run_one(&w, 0, CT_ORIGINAL) == FP_UP_BEHIND)
		n++;
	assert_in_range(n, 50000, 0xffff - 1);
	for (uint32_t i = 0; i < 70000; i++)
		assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_OVERLOAD);
	assert_true(comes_up(&w));
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	/* They are dealt with after all. */
	all_come_up(&w);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_FORWARDED);
	close_fixture(&w);
}

/* The worker gets no CPU for a while, or is stopped.
 * Would catch: time that passes taken for packets that were dealt with; a list that is looked at all the time. */
static void test_pause(void **state)
{
	struct offload_fixture w;

	open_fixture(&w);
	w.stands = true;
	for (uint32_t i = 0; i < N_CONNS; i++)
		assert_true(w.o->add(w.m, i));
	w.env.now += 200 * MS;
	offload_map_expire(w.m);
	assert_true(offload_map_next_deadline(w.m) > w.env.now);
	assert_int_equal(run_one(&w, 0, CT_ORIGINAL), FP_UP_BEHIND);
	is_lost(&w);
	pass_time(&w, 3 * NS_PER_S);
	assert_int_equal(flow_of(&w, 1, CT_ORIGINAL)->handled, (uint16_t)(flow_of(&w, 1, CT_ORIGINAL)->up - 1));
	w.stands = false;
	pass_time(&w, 50 * MS);
	for (uint32_t i = 0; i < N_CONNS; i++)
		assert_int_equal(run_one(&w, i, CT_ORIGINAL), FP_FORWARDED);
	assert_int_equal(w.n_went_up, 1);
	close_fixture(&w);
}

/* Packets that went through user space have moved the windows beyond what the program knows.
 * Would catch: a flow whose packets all look out of the window, for ever; marks that come only when what answers has
 * come; a segment beyond what conntrack would let pass. */
static void test_marks(void **state)
{
	enum { WINDOW = 40000 << 7 };
	struct offload_fixture w;
	struct model_packet p;
	struct ct_half *half;

	open_fixture(&w);
	make_conn(&w, 0, IPPROTO_TCP);
	half = w.ct.conn[0].half;
	put_in(&w, 0);
	assert_int_equal(flow_of(&w, 0, CT_ORIGINAL)->tcp_win, 40000 | 7 << FP_TCP_SCALE_SHIFT);
	p = packet_of(&w, 0, CT_ORIGINAL);
	p.end = 4000 + WINDOW;
	struct model_packet again = p;
	assert_int_equal(run(&w, &p), FP_FORWARDED);
	p = again;
	p.end += 200;
	assert_int_equal(run(&w, &p), FP_UP_WINDOW);
	/* That one moves nothing here, whatever it says. */
	assert_int_equal(flow_of(&w, 0, CT_ORIGINAL)->tcp_end, 4000 + WINDOW);
	all_come_up(&w);
	/* An acknowledgement goes through user space, and what it allows is on its way before we are told that it is
	 * dealt with. */
	half[CT_REPLY].tcp.max_ack = 5000;
	w.o->moved(w.m, 0, CT_REPLY);
	p = again;
	p.end += 200;
	assert_int_equal(run(&w, &p), FP_FORWARDED);
	/* One that the program does not see as the flow's. */
	half[CT_REPLY].tcp.max_ack = 8000;
	half[CT_REPLY].tcp.max_win = 2 * WINDOW;
	p = again;
	p.end += 1000 + WINDOW;
	assert_int_equal(run(&w, &p), FP_UP_WINDOW);
	all_come_up(&w);
	pass_time(&w, NS_PER_S);
	p = again;
	p.end += 1000 + WINDOW;
	assert_int_equal(run(&w, &p), FP_UP_WINDOW); /* no field says so much */
	all_come_up(&w);
	p.end = again.end + 1000;
	p.src = again.src, p.dst = again.dst, p.sport = again.sport, p.dport = again.dport;
	assert_int_equal(run(&w, &p), FP_FORWARDED);
	close_fixture(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_overtaking), cmocka_unit_test(test_steady),    cmocka_unit_test(test_lost),
		cmocka_unit_test(test_flood),         cmocka_unit_test(test_marks),     cmocka_unit_test(test_pause),
		cmocka_unit_test(test_far_behind),    cmocka_unit_test(test_rewritten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
