/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Every state, every kind of segment, wherever it stands (tcp_matrix_fixture.h): what ours answers,
 * and in which state the connection is then. tests/transport/matrix_netns_test.c asks the kernel
 * the same.
 */
#include "stack/transport/tcp_matrix_fixture.h"

/* Brings it about. The next number of the peer is *seq, of ours (all acknowledged) *ack. */
static void bring(struct script *s, enum place place, uint32_t *seq, uint32_t *ack)
{
	struct tcp_config cfg = tcp_default_config;

	/* Without options, so that nothing but numbers is judged. */
	cfg.timestamps = cfg.sack = cfg.window_scaling = false;
	script_start(s, &cfg);
	*seq = 1;
	*ack = 1;
	switch (place) {
	case PLACE_CLOSED:
		return;
	case PLACE_LISTEN:
		script_listen(s);
		return;
	case PLACE_SYN_SENT:
		script_connect(s);
		return;
	case PLACE_SYN_RECEIVED:
		script_connect(s);
		script_in(s, &(struct in){ .flags = TCP_SYN });
		break;
	case PLACE_HALF_OPEN:
		script_listen(s);
		script_in(s, &(struct in){ .flags = TCP_SYN });
		break;
	default:
		script_accept(s, NULL, 0);
		break;
	}
	if (place == PLACE_CLOSE_WAIT || place == PLACE_LAST_ACK) {
		script_in(s, &(struct in){ .flags = TCP_FIN | TCP_ACK, .seq = 1, .ack = 1 });
		*seq = 2;
	}
	if (place >= PLACE_FIN_WAIT_1 && place != PLACE_CLOSE_WAIT) {
		assert_int_equal(tcp_shutdown(s->h.tcp, s->c, TCP_SHUT_WR), 0);
		ip_flush(s->h.ip);
	}
	if (place == PLACE_FIN_WAIT_2 || place == PLACE_TIME_WAIT) {
		script_in(s, &(struct in){ .flags = TCP_ACK, .seq = 1, .ack = 2 });
		*ack = 2;
	}
	if (place == PLACE_CLOSING || place == PLACE_TIME_WAIT) {
		script_in(s, &(struct in){ .flags = TCP_FIN | TCP_ACK, .seq = 1, .ack = *ack });
		*seq = 2;
	}
	script_forget(s);
}

static enum place place_of(const struct script *s, enum place before)
{
	static const enum place of_state[N_TCP_STATES] = {
		[TCP_SYN_SENT] = PLACE_SYN_SENT,       [TCP_SYN_RECEIVED] = PLACE_SYN_RECEIVED,
		[TCP_ESTABLISHED] = PLACE_ESTABLISHED, [TCP_FIN_WAIT_1] = PLACE_FIN_WAIT_1,
		[TCP_FIN_WAIT_2] = PLACE_FIN_WAIT_2,   [TCP_CLOSE_WAIT] = PLACE_CLOSE_WAIT,
		[TCP_CLOSING] = PLACE_CLOSING,         [TCP_LAST_ACK] = PLACE_LAST_ACK,
	};

	if (s->h.tcp->time_wait.n_used > 0)
		return PLACE_TIME_WAIT;
	if (s->h.tcp->half_open.n_used > 0)
		return PLACE_HALF_OPEN;
	if (s->listener != NULL && s->listener->n_accept > 0)
		return of_state[tcp_conn_at(s->h.tcp, s->listener->first_accept)->state];
	if (s->c != NULL)
		return of_state[tcp_state(s->c)];
	return s->listener != NULL ? PLACE_LISTEN : PLACE_CLOSED;
}

static enum answer answer_of(struct script *s)
{
	const struct seen *o;
	enum answer a = NOTHING;

	/* Delayed acknowledgements are answers too. */
	script_wait(s, 100 * NS_PER_MS);
	while ((o = script_out(s)) != NULL) {
		if (o->flags & TCP_RST)
			a = A_RST;
		else if (o->flags & TCP_SYN)
			a = A_SYN_ACK;
		else if (a == NOTHING)
			a = AN_ACK;
	}
	return a;
}

static bool try_cell(const struct cell *c)
{
	struct script s;
	uint32_t seq, ack, at;
	char text[160];

	bring(&s, c->place, &seq, &ack);
	uint32_t window = s.c != NULL && c->place > PLACE_SYN_SENT && c->place != PLACE_TIME_WAIT
				  ? seq_max(s.c->rcv_adv, s.c->rcv_nxt) - s.c->rcv_nxt
				  : WINDOW;

	at = cell_seq(c, seq, window);
	script_in(&s, &(struct in){ .flags = c->flags, .seq = at, .ack = ack, .len = c->len });
	enum answer answer = answer_of(&s);
	enum place place = place_of(&s, c->place);
	struct expected e = expect(c);
	bool is_right = answer == e.answer && place == e.place;

	if (!is_right)
		print_message("%s: %s and %s, but ours %s and %s\n", cell_text(c, text), answer_names[e.answer],
			      place_names[e.place], answer_names[answer], place_names[place]);
	if (s.c != NULL)
		tcp_abort(s.h.tcp, s.c);
	script_end(&s);
	return is_right;
}

/* Would catch: any segment, anywhere, that is answered or believed otherwise than the RFCs say. */
static void test_matrix(void **state)
{
	uint32_t n_wrong = 0, n = 0;

	for (struct cell c = { 0 }; next_cell(&c); n++)
		n_wrong += !try_cell(&c);
	assert_int_equal(n, 12 * 9 * 5 * 2);
	assert_int_equal(n_wrong, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_matrix) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
