/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A random program of socket calls over one stack of libyangguan or two: every kind of socket, options, messages with
 * what goes beside them, bytes in place, poll and epoll, operations by completion, flows to others, blocking calls, and
 * close in any state, also of a socket that a call waits for; with pools that end, a link that loses, and a clock that
 * jumps (sockets_world.h).
 *
 * What must hold behind every call:
 *   - the law of conservation;
 *   - a call fails by an errno of its row in docs/libyangguan.md (sockets_errors.h), and no other;
 *   - what poll says is what epoll says, and what a call that does not wait then does;
 *   - the program was told the deadline, and that there is something to be had;
 *   - an operation is done once;
 * and at the end, when all is closed, nothing is left of it; or the stack is destroyed with all open, and every loan
 * comes back.
 */
#include "sockets_calls.h"

#define ROUNDS 4u

/* --- readiness --- */

static void call_poll(struct end *e, struct fuzz_input *in)
{
	struct pollfd p[4];
	uint32_t how = fuzz_take(in, 1), n = how & 3;

	for (uint32_t i = 0; i < n; i++)
		p[i] = (struct pollfd){ .fd = take_fd(e, in), .events = (short)fuzz_take(in, 2) };
	(void)told(CALL_POLL, yg_poll(e->s, p, n, how & 4 ? (int)(how >> 3) : 0));
}

static void call_epoll(struct end *e, struct fuzz_input *in)
{
	uint32_t how = fuzz_take(in, 1);
	int ep = take_fd(e, in), fd;
	struct epoll_event ev[4];

	if (how < 40) {
		adopt(e, told(CALL_EPOLL_CREATE, yg_epoll_create(e->s)), SLOT_EPOLL);
		return;
	}
	if (how < 160) {
		fd = take_fd(e, in);
		ev[0] = (struct epoll_event){ .events = fuzz_take(in, 2) | fuzz_take(in, 1) << 24 };
		(void)told(CALL_EPOLL_CTL, yg_epoll_ctl(e->s, ep, (int)(how & 3), fd, how == 159 ? NULL : ev));
		return;
	}
	(void)told(CALL_EPOLL_WAIT, yg_epoll_wait(e->s, ep, ev, (int)(how & 7) - 3 > 4 ? 4 : (int)(how & 7) - 3,
						  how & 8 ? (int)(how >> 4) : 0));
}

/* Readable: of a datagram socket that is shut for reading Linux says so too, and only a call that waits sees the end.
 */
static bool has_input(const struct slot *s, uint32_t ready)
{
	return (ready & POLLIN) && !(s->kind >= SLOT_DATAGRAM && ready & POLLRDHUP);
}

/* What poll says is what a call that does not wait finds. */
static void check_calls(struct end *e, const struct slot *s, uint32_t r)
{
	static uint8_t there[16];
	int lowat = 1;
	socklen_t len = sizeof(lowat);

	FUZZ_CHECK(!(r & POLLNVAL));
	if (s->kind == SLOT_LISTENER || s->kind == SLOT_EPOLL)
		return;
	int64_t n = told(CALL_RECV, yg_recv(e->s, s->fd, there, sizeof(there), MSG_PEEK | MSG_DONTWAIT));

	if (s->kind == SLOT_STREAM)
		FUZZ_CHECK(yg_getsockopt(e->s, s->fd, SOL_SOCKET, SO_RCVLOWAT, &lowat, &len) == 0);
	if (has_input(s, r))
		FUZZ_CHECK(n != -EAGAIN);
	else if (lowat <= 1 && !(r & (POLLERR | POLLHUP | POLLRDHUP)))
		FUZZ_CHECK(n < 0);
}

/* epoll says of each what poll says. */
static void check_ready(struct end *e)
{
	struct epoll_event ev[N_SLOTS];
	uint32_t by_epoll[N_SLOTS] = { 0 };
	int n = yg_epoll_wait(e->s, e->all, ev, N_SLOTS, 0);

	FUZZ_CHECK(n >= 0);
	for (int i = 0; i < n; i++)
		by_epoll[ev[i].data.u64] = ev[i].events;
	FUZZ_CHECK(n == 0 || e->is_ready);
	for (uint32_t i = 0; i < N_SLOTS; i++) {
		const struct slot *s = &e->slot[i];
		struct pollfd p = { .fd = s->fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP };

		if (s->kind == SLOT_NONE)
			continue;
		FUZZ_CHECK(yg_poll(e->s, &p, 1, 0) >= 0);
		if (s->is_watched)
			FUZZ_CHECK(by_epoll[i] == (uint16_t)p.revents);
		check_calls(e, s, (uint16_t)p.revents);
	}
}

static bool has_memory(struct end *e, size_t len)
{
	struct yg_packet *p = yg_packet_alloc(e->s, len);

	if (p != NULL)
		yg_packet_free(e->s, p);
	return p != NULL;
}

/* Packets of one of both sizes are all taken. */
static bool is_short(struct end *e)
{
	return !has_memory(e, 1000) || !has_memory(e, 60000);
}

/* Uses up what is said to be ready. */
static void use_ready(struct end *e, struct fuzz_input *in)
{
	struct slot s = e->slot[fuzz_take(in, 1) % N_SLOTS];
	struct pollfd p = { .fd = s.fd, .events = POLLIN | POLLOUT | POLLRDHUP };
	uint32_t how = fuzz_take(in, 1);
	bool is_sent = false;
	int64_t n = 0;

	if (s.kind == SLOT_NONE || s.kind == SLOT_EPOLL || yg_poll(e->s, &p, 1, 0) <= 0)
		return;
	if (s.kind == SLOT_LISTENER && p.revents & POLLIN) {
		n = told(CALL_ACCEPT, yg_accept4(e->s, s.fd, NULL, NULL, SOCK_NONBLOCK));
		adopt(e, n, SLOT_STREAM);
	} else if (s.kind != SLOT_LISTENER && how & 1 && has_input(&s, (uint16_t)p.revents)) {
		n = told(CALL_RECV, yg_recv(e->s, s.fd, bytes, 1 + how * 16, MSG_DONTWAIT));
	} else if (s.kind == SLOT_STREAM && p.revents & POLLOUT) {
		is_sent = true;
		n = told(CALL_SEND, yg_send(e->s, s.fd, bytes, 1 + how * 16, MSG_DONTWAIT));
	}
	/* There was room, and no memory: then that is said from there on. */
	if (n == -EAGAIN) {
		FUZZ_CHECK(is_sent && is_short(e) && yg_poll(e->s, &p, 1, 0) >= 0);
		FUZZ_CHECK(!(p.revents & POLLOUT));
	}
}

/* --- operations --- */

static void call_submit(struct end *e, struct fuzz_input *in)
{
	uint32_t how = fuzz_take(in, 1), i = 0;
	struct sockaddr_in name = take_name(in);
	struct yg_op op = { .kind = (int)(how % 6), .fd = take_fd(e, in), .len = take_len(in) };

	while (i < OPS_MAX && e->op[i] != NULL)
		i++;
	if (i == OPS_MAX)
		return;
	e->op[i] = malloc(op.len > 0 ? op.len : 1);
	memset(e->op[i], 3, op.len);
	op.bytes = e->op[i];
	op.user_data = i;
	op.flags = op.kind == YG_OP_ACCEPT ? SOCK_NONBLOCK : op.kind == YG_OP_CLOSE ? 0 : take_flags(in);
	if (op.kind == YG_OP_CONNECT && how < 250) {
		op.addr = (struct sockaddr *)&name;
		op.addr_len = take_name_len(in);
	}
	if (told(CALL_SUBMIT, yg_submit(e->s, &op, 1)) == 1) {
		e->n_ops++;
		/* It may have failed: then it is there still. */
		if (op.kind == YG_OP_CLOSE && op.fd >= 0 && yg_fcntl(e->s, op.fd, F_GETFL, 0) == -EBADF)
			forget(e, op.fd);
		return;
	}
	free(e->op[i]);
	e->op[i] = NULL;
}

static void reap(struct end *e, uint32_t max)
{
	static const enum call calls[] = { [YG_OP_ACCEPT] = CALL_ACCEPT,
					   [YG_OP_CONNECT] = CALL_CONNECT,
					   [YG_OP_SEND] = CALL_SEND,
					   [YG_OP_RECV] = CALL_RECV,
					   [YG_OP_CLOSE] = CALL_CLOSE };
	struct yg_done d[8];
	int n = yg_reap(e->s, d, min_u32(max, ARRAY_LEN(d)));

	FUZZ_CHECK(n >= 0);
	for (int i = 0; i < n; i++) {
		FUZZ_CHECK(d[i].user_data < OPS_MAX && e->op[d[i].user_data] != NULL);
		free(e->op[d[i].user_data]);
		e->op[d[i].user_data] = NULL;
		e->n_reaped++;
		FUZZ_CHECK(d[i].result != -EAGAIN && d[i].result != -EINPROGRESS && d[i].result != -EINTR);
		if (d[i].kind <= YG_OP_CLOSE && d[i].result != -ECANCELED)
			(void)told(calls[d[i].kind], d[i].result);
		if (d[i].kind == YG_OP_ACCEPT)
			adopt(e, d[i].result, SLOT_STREAM);
	}
}

/* --- flows, addresses, memory --- */

static void call_flow(struct end *e, struct fuzz_input *in)
{
	uint32_t how = fuzz_take(in, 1), i = how % FLOWS_MAX;
	uint64_t id = e->flow[i];
	int64_t rc;

	if (how < 32) {
		memset(e->flow, 0, sizeof(e->flow));
		(void)told(CALL_FORWARD, yg_forward(e->s, how & 16 ? NULL : world_flow, e, how & 1 ? 0 : 4));
		return;
	}
	if (how >= 240)
		id = how;
	e->flow[i] = 0;
	if (how & 128) {
		rc = told(CALL_FLOW, yg_flow_accept(e->s, id));
		adopt(e, rc, SLOT_STREAM);
		/* Held on. */
		if (rc == -EMFILE || rc == -ENOBUFS)
			e->flow[i] = id;
	} else {
		(void)told(CALL_FLOW, yg_flow_refuse(e->s, id, (int)(how >> 2 & 7) - 3));
	}
}

static void call_address(struct end *e, struct fuzz_input *in)
{
	struct sockaddr_in to = take_name(in), via = take_name(in);
	uint32_t how = fuzz_take(in, 1), len = how >> 2;

	switch (how & 3) {
	case 0:
		(void)told(CALL_ADDRESS, yg_address_add(e->s, (struct sockaddr *)&to, len));
		return;
	case 1:
		(void)told(CALL_ADDRESS, yg_address_del(e->s, (struct sockaddr *)&to));
		return;
	case 2:
		(void)told(CALL_ROUTE,
			   yg_route_add(e->s, (struct sockaddr *)&to, len, how & 128 ? (struct sockaddr *)&via : NULL));
		return;
	default:
		(void)told(CALL_ROUTE, yg_route_del(e->s, (struct sockaddr *)&to, len));
		return;
	}
}

/* ctx: whether its socket is open still. */
static void traced(void *ctx, const struct yg_traced *p)
{
	FUZZ_CHECK(*(const bool *)ctx && p->size == sizeof(*p) && p->len >= IPV4_HEADER_LEN);
	memcpy(bytes, p->bytes, p->len);
}

static void call_trace(struct end *e, struct fuzz_input *in)
{
	int fd = take_fd(e, in);
	bool begins = (fuzz_take(in, 1) & 1) != 0;
	bool *is_open = &e->is_traced[fd >= 0 ? fd : 0];

	if (told(CALL_TRACE, yg_trace(e->s, fd, begins ? traced : NULL, is_open)) == 0)
		*is_open = begins;
}

/* Memory that somebody else has, or nobody any more. */
static void hoard(struct end *e, struct fuzz_input *in)
{
	uint32_t how = fuzz_take(in, 1), n = how & 64 ? HOARD_MAX : how & 63;

	if (how & 128) {
		world_let_go(e);
		return;
	}
	while (e->n_hoard < HOARD_MAX && n-- > 0) {
		struct yg_packet *p = yg_packet_alloc(e->s, how & 1 ? 60000 : 1000);

		if (p == NULL)
			return;
		e->hoard[e->n_hoard++] = p;
	}
}

/* --- the world --- */

static void step_world(struct world *w, struct end *e, struct fuzz_input *in)
{
	static const uint64_t times[8] = { NS_PER_US,       NS_PER_MS, 10 * NS_PER_MS, 50 * NS_PER_MS,
					   300 * NS_PER_MS, NS_PER_S,  10 * NS_PER_S,  200 * NS_PER_S };
	uint32_t how = fuzz_take(in, 1);

	if (how < 128) {
		world_run(w, times[how & 7]);
	} else if (how < 144) {
		/* Nobody looked for so long; and then a clock that goes back. */
		world_at(w, w->now + times[how & 7]);
		yg_run(e->s, w->now - min_u64(w->now, times[how & 7]));
	} else if (how < 176) {
		w->loses = how & 1 ? (uint8_t)fuzz_take(in, 1) : 0;
		w->doubles = how & 2 ? (uint8_t)fuzz_take(in, 1) / 2 : 0;
		w->damages = how & 4 ? (uint8_t)fuzz_take(in, 1) / 4 : 0;
		w->delays = how & 8 ? (uint8_t)fuzz_take(in, 1) : 0;
	} else if (how < 192) {
		e->refuses = fuzz_take(in, 1);
	} else if (how < 224) {
		hoard(e, in);
	} else {
		w->closes = (int)(how % N_SLOTS);
	}
}

static void check(struct world *w)
{
	for (uint32_t i = 0; i < w->n_stacks; i++) {
		struct end *e = &w->end[i];
		struct yg_law law = { .size = sizeof(law) };

		yg_law(e->s, &law);
		FUZZ_CHECK(law.holds);
		FUZZ_CHECK(e->deadline == yg_next_deadline(e->s));
		check_ready(e);
	}
}

static void step_program(struct world *w, struct end *e, struct fuzz_input *in, uint32_t op)
{
	typedef void call_fn(struct end * e, struct fuzz_input * in);
	static call_fn *const calls[] = { call_socket, call_socket,  call_close,    call_bind,     call_listen,
					  call_accept, call_connect, call_shutdown, call_name,     call_send,
					  call_send,   call_recv,    call_recv,     call_in_place, call_in_place,
					  call_option, call_option,  call_option,   call_ioctl,    call_poll,
					  call_epoll,  call_epoll,   use_ready,     use_ready,     call_submit,
					  call_submit, call_flow,    call_address };

	w->n_waits = WAITS_MAX;
	if (op < ARRAY_LEN(calls) * 6)
		calls[op % ARRAY_LEN(calls)](e, in);
	else if (op < 180)
		call_messages(e, in, op & 1);
	else if (op < 190)
		reap(e, fuzz_take(in, 1));
	else if (op < 194)
		call_trace(e, in);
	else
		step_world(w, e, in);
}

/* --- the end --- */

static void close_all(struct end *e)
{
	for (uint32_t i = 0; i < N_SLOTS; i++) {
		if (e->slot[i].kind != SLOT_NONE)
			FUZZ_CHECK(yg_close(e->s, e->slot[i].fd) == 0);
		e->slot[i].kind = SLOT_NONE;
	}
}

static void expect_epoll(void *ctx, const struct yg_socket_info *i)
{
	if (i->type != 0)
		fprintf(stderr, "left: %d %s fd %d\n", i->protocol, i->state, i->fd);
	FUZZ_CHECK(i->type == 0);
}

/* All is closed, the link is well again, and nobody says anything more: nothing is left. */
static void finish_quietly(struct world *w)
{
	w->loses = w->doubles = w->damages = w->delays = 0;
	for (uint32_t i = 0; i < w->n_stacks; i++) {
		struct end *e = &w->end[i];

		world_let_go(e);
		e->refuses = 0;
		(void)yg_forward(e->s, NULL, NULL, 0);
		/* What an accept has given may have to be closed too. */
		for (uint32_t k = 0; k < ROUNDS * OPS_MAX && e->n_reaped < e->n_ops; k++) {
			close_all(e);
			reap(e, OPS_MAX);
		}
		close_all(e);
		FUZZ_CHECK(e->n_reaped == e->n_ops);
	}
	world_run(w, 7200 * NS_PER_S);
	for (uint32_t i = 0; i < w->n_stacks; i++) {
		struct yg_law law = { .size = sizeof(law) };

		yg_sockets(w->end[i].s, expect_epoll, NULL);
		yg_law(w->end[i].s, &law);
		FUZZ_CHECK(law.holds && law.held == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	static struct world world; /* of the fuzzer's, not of the stack's */
	struct world *w = &world;
	uint32_t how = fuzz_take(&in, 1), last = fuzz_take(&in, 1);

	world_begin(w, how, last);
	while (in.n_left > 0) {
		uint32_t op = fuzz_take(&in, 1);

		step_program(w, &w->end[w->n_stacks > 1 ? fuzz_take(&in, 1) & 1 : 0], &in, op);
		check(w);
	}
	if (last & 1)
		finish_quietly(w);
	world_end(w);
	for (uint32_t i = 0; i < N_STACKS; i++)
		for (uint32_t k = 0; k < OPS_MAX; k++)
			free(w->end[i].op[k]);
	return 0;
}
