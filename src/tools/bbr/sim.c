/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The simulation's loop, and the programs at both ends.
 *
 * What happens next is the least of what the path has next, of the stacks' deadlines, and of what the config has at a
 * time (flows that begin, rates that change, ticks). Whoever is called may put packets on the path: a stack's output
 * slot copies them into a packet of the other stack and hands that to the path, which holds it until it arrives.
 *
 * A round is measured by a segment that is marked when it is put on the path. When it has arrived, the next thing that
 * the receiver says is marked too, and when that has come back the round is over and the next segment is marked. A
 * segment that is lost takes its mark with it, and the next one has it.
 */
#include "tools/bbr/sim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yangguan/info.h>
#include <yangguan/socket.h>
#include <yangguan/stack.h>

#include "base/util.h"

#define PORT 5001u
#define MARKED 1u
#define HEADERS 52u       /* IPv4, TCP and timestamps */
#define HEADERS_MOST 120u /* both with all the options that there can be */
#define CHUNK 65536u
#define READ_EVERY 8u /* segments; less than TCP_QUICKACK is good for */
#define BEGINNING (1000 * NS_PER_S)
#define BUFFER_LEAST (4u << 20)
#define BUFFER_MOST (1u << 30)

const char *const sim_state_names[N_SIM_STATES] = {
	[SIM_STARTUP] = "STARTUP", [SIM_DRAIN] = "DRAIN", [SIM_DOWN] = "DOWN",           [SIM_CRUISE] = "CRUISE",
	[SIM_REFILL] = "REFILL",   [SIM_UP] = "UP",       [SIM_PROBE_RTT] = "PROBE_RTT", [SIM_NONE] = ""
};

struct flow;

struct end {
	struct yg_stack *stack;
	struct flow *flow;
	struct end *other;
	bool is_sender;
	int fd, listener; /* -1: none */
	uint64_t deadline;
};

struct flow {
	struct sim *sim;
	uint32_t number;
	struct sim_flow_config cfg;
	struct end sender, receiver;
	bool has_begun;
	uint64_t written, app_from; /* bytes of the program, and since when it writes */
	bool is_full;               /* it has more than its socket takes for now */
	struct sim_count count;
	uint32_t n_unread;
	uint64_t on_way,
		unsaid; /* bytes between the ends; of those, arrived and not acknowledged by anything put on the path */
	/* the round */
	bool is_marked, says_mark;
	uint64_t mark_sent_at, mark_arrived;
	int error;
};

struct sim {
	struct sim_config cfg;
	struct path *path;
	uint64_t now, next_tick;
	uint32_t next_step;
	struct flow flow[PATH_FLOWS_MAX];
};

static const uint8_t payload[CHUNK]; /* what all programs write: zeros */

/* --- packets --- */

static uint32_t payload_len(const uint8_t *ip, uint32_t len)
{
	uint32_t ip_header = (ip[0] & 15u) * 4u;

	return len - ip_header - (uint32_t)(ip[ip_header + 12] >> 4) * 4u;
}

static void send_data(struct flow *f, struct path_packet *k)
{
	struct sim *s = f->sim;
	enum path_loss why;

	f->count.sent++;
	f->count.sent_bytes += k->len;
	k->flags = f->is_marked ? 0 : MARKED;
	bool is_due = s->cfg.loss_every != 0 && f->count.sent % s->cfg.loss_every == 0;

	if (is_due) {
		f->count.lost[PATH_LOST_RANDOM]++;
		yg_packet_free(f->receiver.stack, k->packet);
		return;
	}
	if (!path_send(s->path, k, s->now, &why)) {
		f->count.lost[why]++;
		yg_packet_free(f->receiver.stack, k->packet);
		return;
	}
	f->on_way += k->len;
	if (!f->is_marked) {
		f->is_marked = true;
		f->mark_sent_at = s->now;
		f->mark_arrived = f->count.arrived_bytes;
	}
}

static void send_back(struct flow *f, struct path_packet *k)
{
	k->payload = (uint32_t)f->unsaid;
	k->flags = f->says_mark ? MARKED : 0;
	f->says_mark = false;
	f->unsaid = 0;
	path_send_back(f->sim->path, k, f->sim->now);
}

static int output(void *ctx, struct yg_packet *const *packets, unsigned int n)
{
	struct end *e = ctx;
	struct flow *f = e->flow;

	for (unsigned int i = 0; i < n; i++) {
		const uint8_t *bytes = yg_packet_data(packets[i], e->stack);
		uint32_t len = (uint32_t)yg_packet_len(packets[i], e->stack);
		/* Nobody looks at what is behind the headers: not the path, not the program (MSG_TRUNC). */
		uint32_t n_headers = min_u32(len, HEADERS_MOST);
		struct yg_packet *copy = yg_packet_alloc(e->other->stack, len);
		struct yg_offload valid = { .checksum_valid = 1 };

		if (copy == NULL)
			abort(); /* sizes are made for all that the path holds */
		memcpy(yg_packet_data(copy, e->other->stack), bytes, n_headers);
		yg_packet_set_offload(copy, e->other->stack, &valid);
		struct path_packet k = { .packet = copy, .len = len, .flow = (uint16_t)f->number };

		k.payload = payload_len(bytes, len);
		if (e->is_sender && k.payload > 0)
			send_data(f, &k);
		else if (e->is_sender) {
			/* What has no data is part of the connection's beginning: it is in no count, and random loss
			 * passes it by. A SYN that is lost is a second or three of silence, with no congestion control
			 * in it, in one run of many. */
			enum path_loss why;

			k.spared = true;
			if (!path_send(f->sim->path, &k, f->sim->now, &why))
				yg_packet_free(f->receiver.stack, copy);
		} else
			send_back(f, &k);
		yg_packet_free(e->stack, packets[i]);
	}
	return (int)n;
}

static void changed(void *ctx, uint64_t deadline, int ready)
{
	((struct end *)ctx)->deadline = deadline;
}

/* --- the programs --- */

static void set_int(struct end *e, int level, int name, int value)
{
	(void)yg_setsockopt(e->stack, e->fd, level, name, &value, sizeof(value));
}

static int set_congestion(struct end *e, int fd, const char *name)
{
	return yg_setsockopt(e->stack, fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name));
}

/* How much the program has to say by now that it has not written, in whole segments. */
static uint64_t to_write(const struct flow *f)
{
	uint64_t left = CHUNK;

	if (f->cfg.app_bps != 0) {
		uint64_t made =
			(uint64_t)((unsigned __int128)(f->sim->now - f->app_from) * f->cfg.app_bps / (8 * NS_PER_S));

		left = made > f->written ? made - f->written : 0;
		left -= left % (SIM_MTU - HEADERS);
	}
	return min_u64(left, CHUNK);
}

static void fail(struct flow *f, int64_t rc)
{
	if (f->error == 0)
		f->error = (int)-rc;
}

static void write_all(struct flow *f)
{
	uint64_t n;

	f->is_full = false;
	while ((n = to_write(f)) > 0) {
		ssize_t rc = yg_send(f->sender.stack, f->sender.fd, payload, n, MSG_DONTWAIT);

		f->is_full = rc == -EAGAIN || rc == -ENOTCONN;
		if (f->is_full)
			return;
		if (rc < 0) {
			fail(f, rc);
			return;
		}
		f->written += (uint64_t)rc;
	}
}

/* Nobody looks at the bytes: with MSG_TRUNC they are not even copied. */
static void read_all(struct flow *f)
{
	struct end *e = &f->receiver;
	uint8_t ignored[CHUNK];

	if (e->fd < 0) {
		e->fd = yg_accept4(e->stack, e->listener, NULL, NULL, SOCK_NONBLOCK);
		if (e->fd < 0)
			return;
		if (f->cfg.delayed_ack)
			set_int(e, IPPROTO_TCP, TCP_QUICKACK, 0);
	}
	if (!f->cfg.delayed_ack)
		set_int(e, IPPROTO_TCP, TCP_QUICKACK, 1);
	f->n_unread = 0;
	for (;;) {
		ssize_t rc = yg_recv(e->stack, e->fd, ignored, sizeof(ignored), MSG_TRUNC | MSG_DONTWAIT);

		if (rc <= 0) {
			if (rc < 0 && rc != -EAGAIN)
				fail(f, rc);
			return;
		}
		f->count.goodput_bytes += (uint64_t)rc * SIM_MTU / (SIM_MTU - HEADERS);
	}
}

static int address(struct end *e, bool is_listener)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	const struct sockaddr *to = (const struct sockaddr *)&in;
	int rc;

	in.sin_addr.s_addr = is_listener ? htonl(INADDR_ANY) : inet_addr("10.0.0.2");
	if (!is_listener) {
		rc = yg_connect(e->stack, e->fd, to, sizeof(in));
		return rc == -EINPROGRESS ? 0 : rc;
	}
	rc = yg_bind(e->stack, e->listener, to, sizeof(in));
	return rc != 0 ? rc : yg_listen(e->stack, e->listener, 1);
}

static void begin_flow(struct flow *f)
{
	f->has_begun = true;
	f->app_from = f->sim->now;
	f->sender.fd = yg_socket(f->sender.stack, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	set_int(&f->sender, IPPROTO_TCP, TCP_NODELAY, 1);
	int rc = set_congestion(&f->sender, f->sender.fd, f->cfg.congestion);

	if (rc == 0)
		rc = address(&f->sender, false);
	if (rc != 0)
		fail(f, rc);
}

/* --- what arrives --- */

/* A rate of bytes of the connection. */
static uint64_t in_packets(uint64_t bps)
{
	return bps / (SIM_MTU - HEADERS) * SIM_MTU;
}

static void take_info(void *ctx, const struct yg_socket_info *info)
{
	struct sim_round *r = ctx;
	struct tcp_info ti = { 0 };

	if (info->tcp_info == NULL || info->remote.ss_family == 0)
		return;
	memcpy(&ti, info->tcp_info, min_u64(sizeof(ti), info->tcp_info_len));
	r->cwnd = (uint64_t)ti.tcpi_snd_cwnd * ti.tcpi_snd_mss;
	for (size_t i = 0; i < info->n_facts; i++) {
		const struct yg_socket_fact *fact = &info->facts[i];

		if (strcmp(fact->name, "state") == 0 && fact->value < SIM_NONE)
			r->state = (enum sim_state)fact->value;
		if (strcmp(fact->name, "bw_bps") == 0)
			r->bw_bps = in_packets(fact->value);
		if (strcmp(fact->name, "max_bw_bps") == 0)
			r->max_bw_bps = in_packets(fact->value);
	}
}

struct sim_round sim_flow_now(struct sim *s, uint32_t flow)
{
	struct flow *f = &s->flow[flow];
	struct sim_round r = { .flow = flow, .at = s->now - BEGINNING, .inflight = f->on_way, .state = SIM_NONE };

	if (f->has_begun)
		yg_sockets(f->sender.stack, take_info, &r);
	if (r.max_bw_bps == 0)
		r.max_bw_bps = r.bw_bps;
	return r;
}

static void end_round(struct flow *f)
{
	struct sim *s = f->sim;
	uint64_t rtt = s->now - f->mark_sent_at, bytes = f->count.arrived_bytes - f->mark_arrived;

	f->is_marked = false;
	if (s->cfg.round == NULL || rtt == 0)
		return;
	struct sim_round r = sim_flow_now(s, f->number);

	r.rtt_ns = rtt;
	r.rate_bps = (uint64_t)((unsigned __int128)bytes * 8 * NS_PER_S / rtt);
	s->cfg.round(s->cfg.ctx, s, &r);
}

static void arrive(struct sim *s, const struct path_packet *k, enum path_end end)
{
	struct flow *f = &s->flow[k->flow];
	struct end *e = end == PATH_TO_RECEIVER ? &f->receiver : &f->sender;
	struct yg_packet *p = k->packet;

	if (end == PATH_TO_RECEIVER && k->payload > 0) {
		f->count.arrived++;
		f->count.arrived_bytes += k->len;
		f->unsaid += k->len;
		f->says_mark |= (k->flags & MARKED) != 0;
		f->n_unread++;
	} else if (end == PATH_TO_SENDER) {
		f->on_way -= k->payload;
	}
	yg_input(e->stack, &p, 1, s->now);
	if (end == PATH_TO_RECEIVER) {
		if (f->n_unread >= READ_EVERY || e->fd < 0)
			read_all(f);
		return;
	}
	write_all(f);
	if (k->flags & MARKED)
		end_round(f);
}

/* --- time --- */

static uint64_t app_next(const struct flow *f)
{
	/* What is full is looked at again with the next acknowledgement. */
	if (f->cfg.app_bps == 0 || f->is_full)
		return TIME_NEVER;
	uint64_t bytes = f->written + SIM_MTU - HEADERS;

	return f->app_from + (uint64_t)((unsigned __int128)bytes * 8 * NS_PER_S / f->cfg.app_bps) + 8;
}

/* When the rate changes next. */
static uint64_t step_next(const struct sim *s)
{
	if (s->next_step == SIM_STEPS_MAX || s->cfg.step[s->next_step].at_ns == 0)
		return TIME_NEVER;
	return BEGINNING + s->cfg.step[s->next_step].at_ns;
}

static uint64_t next_event(const struct sim *s)
{
	uint64_t next = min_u64(min_u64(path_next(s->path), s->next_tick), step_next(s));

	for (uint32_t i = 0; i < s->cfg.n_flows; i++) {
		const struct flow *f = &s->flow[i];

		next = min_u64(next, min_u64(f->sender.deadline, f->receiver.deadline));
		next = min_u64(next, f->has_begun ? app_next(f) : BEGINNING + f->cfg.start_ns);
	}
	return max_u64(next, s->now);
}

static void run_flow(struct sim *s, struct flow *f)
{
	if (!f->has_begun && BEGINNING + f->cfg.start_ns <= s->now)
		begin_flow(f);
	if (f->sender.deadline <= s->now)
		yg_run(f->sender.stack, s->now);
	if (f->receiver.deadline <= s->now)
		yg_run(f->receiver.stack, s->now);
	if (f->has_begun && f->cfg.app_bps != 0 && app_next(f) <= s->now)
		write_all(f);
}

static void run_config(struct sim *s)
{
	if (step_next(s) <= s->now)
		path_set_rate(s->path, s->cfg.step[s->next_step++].rate_bps, s->now);
	if (s->next_tick > s->now)
		return;
	struct sim_tick t = { .at = s->now - BEGINNING,
			      .queue = path_queue(s->path),
			      .path_rate_bps = path_rate(s->path) };

	s->next_tick += s->cfg.tick_ns;
	if (s->cfg.tick != NULL)
		s->cfg.tick(s->cfg.ctx, s, &t);
}

bool sim_run(struct sim *s, uint64_t until_ns, char *err, size_t err_len)
{
	uint64_t until = BEGINNING + until_ns, next;

	while ((next = next_event(s)) <= until) {
		struct path_packet k;
		enum path_end end;

		s->now = next;
		while (path_receive(s->path, s->now, &k, &end))
			arrive(s, &k, end);
		run_config(s);
		for (uint32_t i = 0; i < s->cfg.n_flows; i++) {
			struct flow *f = &s->flow[i];

			run_flow(s, f);
			if (f->error == 0)
				continue;
			(void)snprintf(err, err_len, "flow %u (%s): %s", i + 1, f->cfg.congestion, strerror(f->error));
			return false;
		}
	}
	s->now = until;
	for (uint32_t i = 0; i < s->cfg.n_flows; i++)
		if (s->flow[i].receiver.fd >= 0)
			read_all(&s->flow[i]);
	return true;
}

/* --- life --- */

static void make_seed(uint64_t seed, uint32_t which, uint8_t out[RNG_SEED_BYTES])
{
	memset(out, 0, RNG_SEED_BYTES);
	memcpy(out, &seed, sizeof(seed));
	memcpy(out + sizeof(seed), &which, sizeof(which));
}

/* What a flow may have in flight or out of order, at most: twice what the path and its buffer hold. */
static uint64_t window_bytes(const struct sim_config *c)
{
	uint64_t most_rate = c->path.rate_bps, most_rtt = 0;

	for (uint32_t i = 0; i < SIM_STEPS_MAX; i++)
		most_rate = max_u64(most_rate, c->step[i].rate_bps);
	for (uint32_t i = 0; i < c->n_flows; i++)
		most_rtt = max_u64(most_rtt, c->flow[i].rtt_ns);
	uint64_t bdp = (uint64_t)((unsigned __int128)most_rate * most_rtt / NS_PER_S / 8);

	return max_u64(4 * bdp + 2 * c->path.buffer_bytes, 1u << 20);
}

static bool begin_end(struct sim *s, struct flow *f, struct end *e, bool is_sender)
{
	uint64_t window = window_bytes(&s->cfg);
	struct yg_stack_config c = {
		.size = sizeof(c),
		.output = output,
		.changed = changed,
		.ctx = e,
		.now = s->now,
		.flags = YG_OFFLOAD_CHECKSUM,
		.mtu = SIM_MTU,
		.address = is_sender ? "10.0.0.1/24" : "10.0.0.2/24",
		.n_sockets = 8,
		.n_packets = (uint32_t)(window / (SIM_MTU - HEADERS) * 4 + 4096),
		/* Room for what stands beside the bytes themselves. */
		.sndbuf = (uint32_t)min_u64(max_u64(2 * window, BUFFER_LEAST), BUFFER_MOST),
		.rcvbuf = (uint32_t)min_u64(max_u64(4 * window, BUFFER_LEAST), BUFFER_MOST),
	};

	make_seed(s->cfg.seed, 2 * f->number + is_sender + 1, c.seed);
	*e = (struct end){ .flow = f, .is_sender = is_sender, .fd = -1, .listener = -1, .deadline = TIME_NEVER };
	e->other = is_sender ? &f->receiver : &f->sender;
	e->stack = yg_stack_create(&c);
	return e->stack != NULL;
}

static bool begin_listener(struct flow *f)
{
	struct end *e = &f->receiver;

	e->listener = yg_socket(e->stack, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	return e->listener >= 0 && address(e, true) == 0;
}

static bool is_congestion(struct flow *f)
{
	int fd = yg_socket(f->sender.stack, AF_INET, SOCK_STREAM, 0);
	int rc = set_congestion(&f->sender, fd, f->cfg.congestion);

	(void)yg_close(f->sender.stack, fd);
	return rc == 0;
}

struct sim *sim_create(const struct sim_config *config, char *err, size_t err_len)
{
	struct sim *s = calloc(1, sizeof(*s));
	uint64_t rtt[PATH_FLOWS_MAX];
	uint8_t seed[RNG_SEED_BYTES];
	bool good = s != NULL;

	(void)snprintf(err, err_len, "no memory");
	if (!good)
		return NULL;
	s->cfg = *config;
	s->now = BEGINNING;
	s->next_tick = config->tick_ns != 0 ? BEGINNING + config->tick_ns : TIME_NEVER;
	for (uint32_t i = 0; i < config->n_flows; i++)
		rtt[i] = config->flow[i].rtt_ns;
	make_seed(config->seed, 0, seed);
	s->path = path_create(&config->path, rtt, config->n_flows, seed);
	good = s->path != NULL;
	for (uint32_t i = 0; good && i < config->n_flows; i++) {
		struct flow *f = &s->flow[i];

		f->sim = s;
		f->number = i;
		f->cfg = config->flow[i];
		good = begin_end(s, f, &f->receiver, false) && begin_end(s, f, &f->sender, true) && begin_listener(f);
		if (good && !is_congestion(f)) {
			(void)snprintf(err, err_len, "there is no congestion control of the name \"%s\"",
				       f->cfg.congestion);
			good = false;
		}
	}
	if (good)
		return s;
	sim_destroy(s);
	return NULL;
}

static void lose(void *ctx, const struct path_packet *k, enum path_end end)
{
	struct flow *f = &((struct sim *)ctx)->flow[k->flow];

	yg_packet_free(end == PATH_TO_RECEIVER ? f->receiver.stack : f->sender.stack, k->packet);
}

void sim_destroy(struct sim *s)
{
	if (s->path != NULL)
		path_destroy(s->path, lose, s);
	for (uint32_t i = 0; i < s->cfg.n_flows; i++) {
		if (s->flow[i].sender.stack != NULL)
			yg_stack_destroy(s->flow[i].sender.stack);
		if (s->flow[i].receiver.stack != NULL)
			yg_stack_destroy(s->flow[i].receiver.stack);
	}
	free(s);
}

/* --- what is asked --- */

struct sim_count sim_flow_count(const struct sim *s, uint32_t flow)
{
	return s->flow[flow].count;
}

uint64_t sim_flow_inflight(const struct sim *s, uint32_t flow)
{
	return s->flow[flow].on_way;
}

struct path *sim_path(struct sim *s)
{
	return s->path;
}
