/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The matrix of src/stack/transport/tcp_matrix_test.c against the kernel's TCP: the same
 * segments in the same states, over a TUN device in a network namespace of this process's own.
 *
 *   the test 10.0.0.1 --- tun0 --- 10.0.0.2 kernel
 *
 * What the kernel answers otherwise than the RFCs say stands in tcp_matrix_linux.h; it is
 * measured again here, and must be that. Behind each segment goes an echo request: when it is
 * answered, so is the segment. Another kernel may differ; then what does is printed, and no
 * more is asked.
 *
 *   matrix_netns_test --print    the rows of tcp_matrix_linux.h as this kernel has them
 */
#include "stack/transport/tcp_matrix_fixture.h"
#include "stack/transport/tcp_matrix_linux.h"

#include <sys/utsname.h>

#include "kernel_peer.h"

#define CONNECTED 9u
#define NOBODY 11u
#define ISN 0x7fffff00u
#define TRIES 4u

/* A connection of one cell, from the peer's side. */
struct peer {
	uint16_t port, kport;
	int fd; /* the kernel's socket, -1: none */
	uint32_t seq;
	uint32_t iss, ack; /* the kernel's first number, and what the peer acknowledges */
	uint32_t right;    /* of the kernel's window */
	bool has_right, has_iss;
	enum answer answer;
};

/* --- packets --- */

static void send_segment(struct lab *l, const struct peer *p, uint8_t flags, uint32_t seq, uint32_t len)
{
	uint8_t b[2048] = { 0 };

	tcp_emit(b + IPV4_HEADER_LEN, p->port, p->kport, seq, flags & TCP_ACK ? p->ack : 0, flags, WINDOW);
	b[IPV4_HEADER_LEN + 12] = 5 << 4;
	lab_send(l, b, IPV4_HEADER_LEN + TCP_HEADER_LEN + len, IPPROTO_TCP);
}

static void take_segment(void *ctx, const uint8_t *l4, const struct l4_view *v)
{
	struct peer *p = ctx;

	if (v->dport != p->port || v->sport != p->kport)
		return;
	if (v->flags & TCP_SYN) {
		p->iss = v->seq;
		p->has_iss = true;
	}
	if (v->flags & TCP_ACK && !(v->flags & TCP_RST)) {
		p->right = v->ack + v->window;
		p->has_right = true;
	}
	if (v->flags & TCP_RST)
		p->answer = A_RST;
	else if (v->flags & TCP_SYN)
		p->answer = A_SYN_ACK;
	else if (p->answer == NOTHING)
		p->answer = AN_ACK;
}

static void settle(struct lab *l, struct peer *p)
{
	p->answer = NOTHING;
	lab_settle(l, take_segment, p);
}

/* --- states --- */

static void kernel_connects(struct lab *l, struct peer *p)
{
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_port = htons(CONNECTED) };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(p->port), .sin_addr.s_addr = htonl(PEER) };
	int one = 1;

	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(p->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(p->fd, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(connect(p->fd, (struct sockaddr *)&to, sizeof(to)), -1);
	p->kport = CONNECTED;
	settle(l, p);
	assert_true(p->has_iss);
	p->ack = p->iss + 1;
}

static void peer_connects(struct lab *l, struct peer *p, bool accepts)
{
	send_segment(l, p, TCP_SYN, ISN, 0);
	settle(l, p);
	assert_true(p->has_iss);
	p->ack = p->iss + 1;
	if (!accepts)
		return;
	send_segment(l, p, TCP_ACK, ISN + 1, 0);
	settle(l, p);
	p->fd = accept4(l->listener, NULL, NULL, SOCK_NONBLOCK);
	assert_true(p->fd >= 0);
}

static void bring(struct lab *l, struct peer *p, enum place place)
{
	p->seq = ISN + 1;
	switch (place) {
	case PLACE_CLOSED:
		p->kport = NOBODY;
		return;
	case PLACE_LISTEN:
		return;
	case PLACE_SYN_SENT:
		kernel_connects(l, p);
		return;
	case PLACE_SYN_RECEIVED:
		kernel_connects(l, p);
		send_segment(l, p, TCP_SYN, ISN, 0);
		settle(l, p);
		return;
	case PLACE_HALF_OPEN:
		peer_connects(l, p, false);
		return;
	default:
		peer_connects(l, p, true);
		break;
	}
	if (place == PLACE_CLOSE_WAIT || place == PLACE_LAST_ACK) {
		send_segment(l, p, TCP_FIN | TCP_ACK, p->seq++, 0);
		settle(l, p);
	}
	if (place >= PLACE_FIN_WAIT_1 && place != PLACE_CLOSE_WAIT)
		assert_int_equal(shutdown(p->fd, SHUT_WR), 0);
	if (place == PLACE_FIN_WAIT_2 || place == PLACE_TIME_WAIT) {
		p->ack++;
		send_segment(l, p, TCP_ACK, p->seq, 0);
	}
	if (place == PLACE_CLOSING || place == PLACE_TIME_WAIT)
		send_segment(l, p, TCP_FIN | TCP_ACK, p->seq++, 0);
	settle(l, p);
}

/* By /proc/net/tcp, which knows of half open ones and of TIME-WAIT too. */
static enum place place_of(const struct peer *p, enum place before)
{
	static const enum place of_state[12] = { 0,
						 PLACE_ESTABLISHED,
						 PLACE_SYN_SENT,
						 PLACE_HALF_OPEN,
						 PLACE_FIN_WAIT_1,
						 PLACE_FIN_WAIT_2,
						 PLACE_TIME_WAIT,
						 PLACE_CLOSED,
						 PLACE_CLOSE_WAIT,
						 PLACE_LAST_ACK,
						 PLACE_LISTEN,
						 PLACE_CLOSING };
	enum place at = p->kport == LISTENED && (before == PLACE_LISTEN || before == PLACE_HALF_OPEN) ? PLACE_LISTEN
												      : PLACE_CLOSED;
	char line[512];
	FILE *f = fopen("/proc/self/net/tcp", "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		unsigned int lport, rport, st;

		if (sscanf(line, " %*d: %*x:%x %*x:%x %x", &lport, &rport, &st) != 3 || lport != p->kport ||
		    rport != p->port || st > 11)
			continue;
		at = of_state[st];
		if (st == 3 && p->kport == CONNECTED)
			at = PLACE_SYN_RECEIVED;
	}
	fclose(f);
	return at;
}

static struct expected measure(struct lab *l, const struct cell *c, uint16_t port)
{
	struct peer p = { .port = port, .kport = LISTENED, .fd = -1 };

	bring(l, &p, c->place);
	uint32_t at = cell_seq(c, p.seq, p.has_right && c->place > PLACE_SYN_SENT ? p.right - p.seq : WINDOW);

	send_segment(l, &p, c->flags, at, c->len);
	settle(l, &p);
	struct expected e = { p.answer, place_of(&p, c->place) };

	/* Nothing of it stays. */
	if (p.fd >= 0) {
		struct linger none = { .l_onoff = 1 };

		setsockopt(p.fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
		close(p.fd);
	} else if (e.place == PLACE_ESTABLISHED || e.place == PLACE_CLOSE_WAIT) {
		int fd = accept4(l->listener, NULL, NULL, 0);

		if (fd >= 0)
			close(fd);
	}
	send_segment(l, &p, TCP_RST, p.seq, 0);
	settle(l, &p);
	return e;
}

static const char *const place_ids[N_PLACES] = {
	"PLACE_CLOSED",     "PLACE_LISTEN",      "PLACE_SYN_SENT",   "PLACE_SYN_RECEIVED",
	"PLACE_HALF_OPEN",  "PLACE_ESTABLISHED", "PLACE_FIN_WAIT_1", "PLACE_FIN_WAIT_2",
	"PLACE_CLOSE_WAIT", "PLACE_CLOSING",     "PLACE_LAST_ACK",   "PLACE_TIME_WAIT",
};
static const char *const where_ids[N_WHERES] = { "LEFT_OF", "LEFT_EDGE", "INSIDE", "RIGHT_EDGE", "RIGHT_OF" };
static const char *const answer_ids[] = { "NOTHING", "AN_ACK", "A_RST", "A_SYN_ACK" };

static bool prints;

/* Would catch: a column of the table that is not what the kernel does. */
static void test_linux_column(void **state)
{
	struct lab l = { .marker = 0 };
	uint32_t n_wrong = 0;
	uint16_t port = 2000;
	struct utsname u;

	uname(&u);
	lab_start(&l);
	for (struct cell c = { 0 }; next_cell(&c);) {
		struct expected rfc = expect(&c), known = linux_expect(&c), is;
		char text[160];

		/* A delayed acknowledgement is none, but on a machine that is busy it may come before the echo does. */
		for (uint32_t i = 0; i < TRIES; i++) {
			is = measure(&l, &c, port++);
			if (is.answer == known.answer && is.place == known.place)
				break;
		}

		if (prints && (is.answer != rfc.answer || is.place != rfc.place))
			printf("\t{ %s, 0x%02x, %s, %u, { %s, %s } },\n", place_ids[c.place], c.flags,
			       where_ids[c.where], c.len, answer_ids[is.answer], place_ids[is.place]);
		if (is.answer == known.answer && is.place == known.place)
			continue;
		n_wrong++;
		if (!prints)
			print_message("%s: the table says %s and %s, this kernel %s and %s\n", cell_text(&c, text),
				      answer_names[known.answer], place_names[known.place], answer_names[is.answer],
				      place_names[is.place]);
	}
	lab_end(&l);
	if (n_wrong > 0 && strncmp(u.release, LINUX_MATRIX_RELEASE, strlen(LINUX_MATRIX_RELEASE)) != 0) {
		print_message("the table is of Linux %s, this is %s\n", LINUX_MATRIX_RELEASE, u.release);
		skip();
	}
	assert_true(prints || n_wrong == 0);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_linux_column) };

	prints = argc > 1 && strcmp(argv[1], "--print") == 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
