/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BGP in a running gateway: one speaker (routing/bgp/bgp_speaker.h) over the TCP that the
 * config names, in the control thread's loop. A turn is a slice of its work, 2 ms at most, behind
 * whatever has come by then; between two turns the loop looks at its descriptors, so neither commands nor
 * KEEPALIVEs wait for a table. When nothing is to be done the loop sleeps until the speaker's next deadline.
 *
 * Over our own TCP the sockets live in the host's thread: what has happened to them is told by that thread
 * (run_bgp_told), and a turn begins and ends with one visit there (stream_host_work).
 *
 * Who we are, our AS and identifier, where we listen and over what are a speaker's for its whole life: another config
 * has another speaker, and sessions end. Neighbours come, change and go one by one (run_bgp_neighbors.c).
 *
 * A file beside the control socket is there from the start to a regular end. The start that finds it says in its OPENs
 * that it comes back (RFC 4724).
 */
#include "daemon/run/run_bgp.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/workers/core_api.h"
#include "core/workers/core_socket.h"
#include "daemon/run/run_bgp_priv.h"
#include "daemon/stream/stream_host.h"
#include "daemon/stream/stream_kernel.h"

#define LISTEN_AGAIN_NS (2 * NS_PER_S)
/* That an import is asked of in one turn: about a millisecond. */
#define JUDGE_PREFIXES 4096
/* Likewise, whose ways cost something else now. */
#define RIB_PREFIXES 2048

/* --- the loop --- */

static void at(struct run_bgp *b, uint64_t when, uint64_t now)
{
	uint64_t ns = when > now ? when - now : 0;
	struct timeval tv = { .tv_sec = (time_t)(ns / NS_PER_S), .tv_usec = (suseconds_t)(ns % NS_PER_S / 1000 + 1) };

	if (ns == 0)
		tv.tv_usec = 0;
	if (when != TIME_NEVER)
		event_add(b->turn, &tv);
}

void run_bgp_wake(struct run_bgp *b)
{
	at(b, 0, 0);
}

static void told(void *ctx)
{
	run_bgp_wake(ctx);
}

static void listen_again(struct run_bgp *b, uint64_t now)
{
	if (!b->listens || b->is_listening || b->is_stopping || now < b->listen_again_ns)
		return;
	int rc = bgp_speaker_listen(b->speaker);

	b->is_listening = rc == 0;
	b->view.is_listening = b->is_listening;
	b->listen_again_ns = now + LISTEN_AGAIN_NS;
	if (rc == 0)
		run_say("bgp: listening");
}

static uint64_t next_turn(const struct run_bgp *b)
{
	uint64_t next = min_u64(bgp_speaker_next_deadline(b->speaker), run_bgp_rpki_next_deadline(b->rpki));

	if (b->host != NULL)
		next = min_u64(next, stream_host_next_deadline(b->host));
	if (b->listens && !b->is_listening && !b->is_stopping)
		next = min_u64(next, b->listen_again_ns);
	return next;
}

/* What the table has said is in force in the RIB, and the workers hear of it. True: there is more. */
static bool into_rib(struct run_bgp *b)
{
	if (b->rib == NULL)
		return false;
	bool more = bgp_rib_work(b->rib, RIB_PREFIXES);

	if (bgp_rib_flush(b->rib))
		run_routes_changed(b->run);
	return more;
}

static void on_turn(evutil_socket_t fd, short what, void *ctx)
{
	struct run_bgp *b = ctx;
	uint64_t now = worker_clock();

	if (b->host != NULL)
		stream_host_work(b->host, now);
	bool more = bgp_speaker_work(b->speaker, now);

	more |= bgp_groups_work(b->groups);
	more |= into_rib(b);
	more |= run_bgp_rpki_work(b->rpki, now);

	/* What was written meanwhile. */
	if (b->host != NULL && stream_host_next_deadline(b->host) <= now)
		stream_host_work(b->host, now);
	if (b->is_judging) {
		b->is_judging = !bgp_table_rerun(b->table, JUDGE_PREFIXES);
		more |= b->is_judging;
	}
	run_bgp_add_waiting(b);
	listen_again(b, now);
	at(b, more ? 0 : next_turn(b), now);
}

void run_bgp_told(struct run *r)
{
	if (r->bgp == NULL || r->bgp->host == NULL)
		return;
	stream_host_told(r->bgp->host);
	run_bgp_wake(r->bgp);
}

/* --- TCP --- */

static void visit_host(void *ctx, void (*fn)(void *arg), void *arg)
{
	const struct run *r = ctx;

	r->target.call_host(r->target.ctx, fn, arg);
}

static int64_t call_host(void *ctx, struct core_socket_call *call)
{
	const struct run *r = ctx;

	return r->target.socket_call(r->target.ctx, call);
}

static struct stream_carrier *open_carrier(struct run_bgp *b, const struct config_bgp *config)
{
	struct stream_kernel_user user = { .clock = worker_clock, .told = told, .user = b };
	struct stream_host_calls calls = { .ctx = b->run, .run = visit_host, .call = call_host };

	if (config->transport == CONFIG_BGP_TRANSPORT_KERNEL) {
		b->kernel = stream_kernel_create(b->run->base, &user);
		b->view.transport = "kernel";
		return b->kernel != NULL ? stream_kernel_carrier(b->kernel) : NULL;
	}
	calls.sockets = b->run->target.has_host ? b->run->target.host.sockets : b->run->target.sockets;
	b->host = stream_host_create(&calls);
	b->view.transport = "own";
	return b->host != NULL ? stream_host_carrier(b->host) : NULL;
}

/* --- a start behind an end that was none --- */

static bool any_restarts(const struct config_bgp *config)
{
	for (size_t i = 0; i < config->n_neighbors; i++)
		if ((config->neighbor[i].session.without & BGP_WITHOUT_RESTART) == 0)
			return true;
	return false;
}

#define MARK_MAX (CONTROL_PATH_MAX + sizeof(".bgp"))

static const char *mark_of(const struct run *r, char path[MARK_MAX])
{
	snprintf(path, MARK_MAX, "%s.bgp", r->socket_path);
	return path;
}

/* True when the file is there already: nobody has taken it away. */
static bool put_mark(const struct run *r)
{
	char path[MARK_MAX];
	int fd = open(mark_of(r, path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == EEXIST;
}

static void take_mark(const struct run *r)
{
	char path[MARK_MAX];

	(void)unlink(mark_of(r, path));
}

/* --- its life --- */

static void free_all(struct run_bgp *b)
{
	if (b->speaker != NULL)
		bgp_speaker_destroy(b->speaker);
	if (b->groups != NULL)
		bgp_groups_destroy(b->groups);
	if (b->rib != NULL) {
		bgp_rib_destroy(b->rib);
		run_routes_changed(b->run);
	}
	run_bgp_rpki_destroy(b->rpki);
	stream_kernel_destroy(b->kernel);
	stream_host_destroy(b->host);
	if (b->table != NULL)
		bgp_table_destroy(b->table);
	run_bgp_free_policies(b);
	if (b->turn != NULL)
		event_free(b->turn);
	free(b);
}

static int make_table(struct run_bgp *b, const struct config_bgp *config)
{
	if (getrandom(&b->key, sizeof(b->key), 0) != (ssize_t)sizeof(b->key))
		return -EIO;
	return bgp_table_create(&b->table, &(struct bgp_table_limits){ 0 },
				config->med_always ? BGP_MED_ALWAYS : BGP_MED_SAME_AS, &b->key);
}

static void rpki_changed(void *user)
{
	run_bgp_judge_all(user);
}

/* A collector has no interface, and its next hops lead nowhere: paths are chosen as they come. A recording has no room
 * for changes of routes that are no step of it. */
static int join_rib(struct run_bgp *b)
{
	struct bgp_rib_config c = { .wake = told, .user = b };
	bool any = false;

	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
		any |= b->run->snap->core.ip.interface[i].name[0] != '\0';
	if (any && b->run->record != NULL)
		run_say("bgp: with --record its routes stay out of the forwarding table");
	return any && b->run->record == NULL ? bgp_rib_create(&b->rib, b->table, b->run->snap->core.rib, &c) : 0;
}

static int make_speaker(struct run_bgp *b, const struct config_bgp *config, bool restarted)
{
	struct run_bgp_rpki_user rpki = { rpki_changed, run_bgp_rpki_event, b };
	struct bgp_speaker_config c = {
		.as = config->as,
		.id = config->router_id,
		.listen = config->listen,
		.table = b->table,
		.carrier = open_carrier(b, config),
		.outbound = &run_bgp_outbound,
		.outbound_user = b,
		.event = run_bgp_event,
		.event_user = b,
		.restarted_s = restarted && any_restarts(config) ? BGP_RESTART_S : 0,
	};

	if (c.carrier == NULL)
		return -ENOMEM;
	b->rpki = run_bgp_rpki_create(c.carrier, &b->key, &rpki);
	if (b->rpki == NULL)
		return -ENOMEM;
	b->view.rpki = run_bgp_rpki_view(b->rpki);
	if (getrandom(c.seed, sizeof(c.seed), 0) != (ssize_t)sizeof(c.seed))
		return -EIO;
	return bgp_speaker_create(&b->speaker, &c, worker_clock());
}

static bool n_told(void *ctx, uint32_t number, uint32_t *n)
{
	struct bgp_groups_view v;

	if (!run_bgp_told_of(ctx, number, &v))
		return false;
	*n = v.n_told;
	return true;
}

/* A speaker with its neighbours, which does not listen yet; NULL and *rc. */
static struct run_bgp *make(struct run *r, const struct config_bgp *config, bool restarted, int *rc)
{
	struct run_bgp *b = calloc(1, sizeof(*b));

	*rc = -ENOMEM;
	if (b == NULL)
		return NULL;
	b->run = r;
	b->own = BGP_SOURCE_NONE;
	b->turn = evtimer_new(r->base, on_turn, b);
	if (b->turn != NULL)
		*rc = make_table(b, config);
	if (*rc == 0)
		*rc = join_rib(b);
	if (*rc == 0)
		*rc = run_bgp_make_policies(b);
	if (*rc == 0)
		*rc = run_bgp_make_groups(b);
	if (*rc == 0)
		*rc = make_speaker(b, config, restarted);
	if (*rc != 0) {
		free_all(b);
		return NULL;
	}
	b->listens = !config->no_listen;
	b->view.speaker = b->speaker;
	b->view.table = b->table;
	b->view.wake = told;
	b->view.explain = run_bgp_explain;
	b->view.told = n_told;
	b->view.ctx = b;
	r->bgp = b;
	run_bgp_set_neighbors(b, config);
	run_bgp_set_networks(b, NULL, config);
	run_bgp_wake(b);
	return b;
}

/* 0 or -errno, and a sentence; what is not there is none. */
static int begin(struct run *r, bool restarted, char *err, size_t err_len)
{
	const struct config_bgp *config = r->snap->bgp;
	char addr[IP4_TEXT_MAX];
	int rc = 0;

	if (config == NULL)
		return 0;
	struct run_bgp *b = make(r, config, restarted, &rc);

	if (b == NULL) {
		snprintf(err, err_len, "bgp: %s", strerror(-rc));
		return rc;
	}
	rc = b->listens ? bgp_speaker_listen(b->speaker) : 0;
	if (rc != 0)
		snprintf(err, err_len, "bgp: cannot listen at %s port %u: %s", ip4_format(config->listen.addr, addr),
			 config->listen.port, strerror(-rc));
	b->is_listening = b->listens && rc == 0;
	b->view.is_listening = b->is_listening;
	b->listen_again_ns = worker_clock() + LISTEN_AGAIN_NS;
	return rc;
}

int run_bgp_begin(struct run *r, char *err, size_t err_len)
{
	int rc = begin(r, r->snap->bgp != NULL && put_mark(r), err, err_len);

	if (rc != 0)
		run_bgp_end(r);
	return rc;
}

void run_bgp_stop(struct run *r)
{
	struct run_bgp *b = r->bgp;

	if (b == NULL || b->is_stopping)
		return;
	b->is_stopping = true;
	bgp_speaker_stop(b->speaker, &(struct bgp_command){ 0 }, worker_clock());
	on_turn(-1, 0, b);
}

bool run_bgp_is_quiet(const struct run *r)
{
	return r->bgp == NULL || bgp_speaker_is_quiet(r->bgp->speaker);
}

void run_bgp_end(struct run *r)
{
	if (r->bgp == NULL)
		return;
	free_all(r->bgp);
	r->bgp = NULL;
	take_mark(r);
}

static bool same_speaker(const struct config_bgp *a, const struct config_bgp *b)
{
	return run_bgp_speaker_differs(a, b) == NULL;
}

void run_bgp_configure(struct run *r, const struct config_bgp *before)
{
	const struct config_bgp *now = r->snap->bgp;
	char err[160];

	if (r->bgp != NULL && now != NULL && same_speaker(before, now)) {
		run_bgp_set_neighbors(r->bgp, now);
		run_bgp_set_networks(r->bgp, before, now);
		run_bgp_wake(r->bgp);
		return;
	}
	/* What is said to them goes out by itself. */
	run_bgp_stop(r);
	run_bgp_end(r);
	if (now != NULL)
		(void)put_mark(r);
	if (begin(r, false, err, sizeof(err)) != 0)
		run_say("%s; it is tried again", err);
}

const struct control_bgp *run_bgp_view(void *run)
{
	const struct run *r = run;

	return r->bgp != NULL ? &r->bgp->view : NULL;
}
