/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan run`: everything that a gateway needs, put together in one ladder
 * and taken apart in reverse order: config, control socket, core, devices,
 * worker. Until `ready` nothing has been forwarded, and whatever fails before
 * leaves nothing behind.
 *
 * Afterwards this thread is the control thread: it waits (libevent) for
 * commands, signals, word of the links, and events from the workers, and never
 * does anything that packets would have to wait for beyond a worker_call, or a
 * moment in which all workers are quiesced (run_quiesced): a new config, a device that
 * comes, changes or goes.
 *
 * libevent calls its own, opaque watcher `struct yg_event` too. Watchers are kept
 * here as pointers only and never meet ours.
 */
#include "daemon/run/run.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "daemon/run/privileges.h"
#include "daemon/run/run_bgp.h"
#include "daemon/run/run_priv.h"
#include "base/printable.h"
#include "daemon/control/commands/command.h"
#include "daemon/config/config.h"
#include "daemon/control/text/event_text.h"

/* How long commands may take to read what was still to be said when the gateway ends. */
#define LAST_WORDS_MS 300

/* Commands, signals and links must not wait for somebody who stopped reading: a terminal after Ctrl-S, a full pipe. */
static bool is_read(FILE *f)
{
	struct pollfd p = { .fd = fileno(f), .events = POLLOUT };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0;
}

void run_say(const char *fmt, ...)
{
	char line[2048];
	va_list args;

	if (!is_read(stdout))
		return;
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	puts(printable_string(line, PRINTABLE_LINE));
	fflush(stdout);
}

/* Kinds that a person who watches the program wants to see. */
static bool is_worth_a_line(enum event_kind kind)
{
	switch (kind) {
	case EVENT_DEVICE_UP:
	case EVENT_DEVICE_DOWN:
	case EVENT_NAT_EXHAUSTED:
	case EVENT_ADDRESS_CONFLICT:
	case EVENT_RELOADED:
	case EVENT_BGP_UP:
	case EVENT_BGP_DOWN:
	case EVENT_BGP_LIMIT:
		return true;
	default:
		return false;
	}
}

void run_event(struct run *r, struct yg_event *e)
{
	char line[512];

	if (r->server == NULL)
		return;
	if (is_worth_a_line(e->kind)) {
		event_line(e, target_ifname(&r->target, e->ifindex), r->target.env->wall_offset_ns, line, sizeof(line));
		run_say("%s", line);
	}
	control_server_event(r->server, e);
}

static int complain(const char *err)
{
	char line[2048];

	snprintf(line, sizeof(line), "%s", err);
	fprintf(stderr, "yangguan: %s\n", printable_string(line, PRINTABLE_TEXT));
	return EXIT_USAGE;
}

/* --- the control thread's loop --- */

static void on_notify(evutil_socket_t fd, short what, void *ctx)
{
	struct run_core *c = ctx;
	struct run *r = c->run;
	struct yg_event e;

	worker_notify_clear(c->worker);
	uint64_t n_lost = worker_events_lost(c->worker);
	while (worker_event_next(c->worker, &e))
		run_event(r, &e);
	if (n_lost > 0)
		run_event(r, &(struct yg_event){ .kind = EVENT_LOST, .time_ns = worker_clock(), .count = n_lost });
	if (worker_log_arrived(c->worker))
		control_server_log(r->server);
	if (worker_raw_arrived(c->worker))
		control_server_raw(r->server), run_bgp_told(r);
	if (r->record != NULL && record_failure(r->record) != NULL && r->record_dir != NULL) {
		fprintf(stderr, "yangguan: %s\n", record_failure(r->record));
		r->record_dir = NULL; /* said once */
	}
}

static void on_link(evutil_socket_t fd, short what, void *ctx)
{
	netlink_monitor_dispatch(((struct run *)ctx)->monitor);
}

static void on_look(evutil_socket_t fd, short what, void *ctx)
{
	run_ports_look(ctx);
	run_clock_look(ctx);
	run_routes_look(ctx);
}

static void on_clock(evutil_socket_t fd, short what, void *ctx)
{
	run_clock_was_set(ctx, fd);
}

static void on_stop(evutil_socket_t signal, short what, void *ctx)
{
	struct run *r = ctx;

	r->stopping = true;
	event_base_loopbreak(r->base);
}

static void on_hup(evutil_socket_t signal, short what, void *ctx)
{
	char *report;
	bool ok = run_reload(ctx, &report);

	if (report != NULL && is_read(ok ? stdout : stderr)) {
		fputs(printable_string(report, PRINTABLE_TEXT), ok ? stdout : stderr);
		fflush(stdout);
	}
	free(report);
}

enum {
	WATCH_LINK,
	WATCH_LOOK,
	WATCH_CLOCK,
	WATCH_INT,
	WATCH_TERM,
	WATCH_HUP,
	WATCH_WORKERS,
	N_WATCHES = WATCH_WORKERS + WORKERS_MAX + 1
};

static bool watch_all(struct run *r, struct event *watch[N_WATCHES])
{
	static const struct timeval look_every = { .tv_sec = 1 };

	for (uint32_t i = 0; i < r->n_members; i++)
		watch[WATCH_WORKERS + i] = event_new(r->base, worker_notify_fd(r->core[i].worker), EV_READ | EV_PERSIST,
						     on_notify, &r->core[i]);
	watch[WATCH_LINK] = event_new(r->base, netlink_monitor_fd(r->monitor), EV_READ | EV_PERSIST, on_link, r);
	watch[WATCH_LOOK] = event_new(r->base, -1, EV_PERSIST, on_look, r);
	watch[WATCH_CLOCK] =
		event_new(r->base, r->clock_fd, r->clock_fd < 0 ? EV_PERSIST : EV_READ | EV_PERSIST, on_clock, r);
	watch[WATCH_INT] = evsignal_new(r->base, SIGINT, on_stop, r);
	watch[WATCH_TERM] = evsignal_new(r->base, SIGTERM, on_stop, r);
	watch[WATCH_HUP] = evsignal_new(r->base, SIGHUP, on_hup, r);
	for (size_t i = 0; i < WATCH_WORKERS + r->n_members; i++)
		if (watch[i] == NULL || event_add(watch[i], i == WATCH_LOOK ? &look_every : NULL) != 0)
			return false;
	return true;
}

/* A reload that is asked for before there is somebody to do it must wait, not end the program. */
static void hold_reloads(int how)
{
	sigset_t hup;

	sigemptyset(&hup);
	sigaddset(&hup, SIGHUP);
	pthread_sigmask(how, &hup, NULL);
}

static void unwatch_all(struct event *watch[N_WATCHES])
{
	for (size_t i = 0; i < N_WATCHES; i++)
		if (watch[i] != NULL)
			event_free(watch[i]);
}

/* Tells the listeners that it is over, and gives them a moment to read that. */
static void last_words(struct run *r)
{
	uint64_t end = worker_clock() + LAST_WORDS_MS * NS_PER_MS;
	struct timeval slice = { .tv_usec = 10000 };

	r->ready = false;
	run_event(r, &(struct yg_event){ .kind = EVENT_STOPPED, .time_ns = worker_clock() });
	control_server_shut(r->server);
	run_bgp_stop(r);
	while ((control_server_n_sessions(r->server) > 0 || !run_bgp_is_quiet(r)) && worker_clock() < end) {
		event_base_loopexit(r->base, &slice);
		event_base_dispatch(r->base);
	}
}

static void stop_workers(struct run *r)
{
	/* The host first, as in stop_all (run_target.c). */
	for (uint32_t i = r->n_members; i-- > 0;)
		worker_stop(r->core[i].worker);
	/* What they had from each other. */
	workers_drain(r->workers, worker_clock());
}

static int start_workers(struct run *r)
{
	int rc = 0;

	for (uint32_t i = 0; i < r->n_members && rc == 0; i++)
		rc = worker_start(r->core[i].worker);
	if (rc != 0)
		stop_workers(r);
	return rc;
}

static int serve_watched(struct run *r)
{
	struct event *watch[N_WATCHES] = { NULL };

	if (!watch_all(r, watch)) {
		fprintf(stderr, "yangguan: no memory\n");
		unwatch_all(watch);
		return EXIT_FAILED;
	}
	/* Everything is open, and no thread runs: each that is made inherits what is left. */
	char err[256];
	if (privileges_drop(err, sizeof(err)) != 0) {
		complain(err);
		unwatch_all(watch);
		return EXIT_FAILED;
	}
	int rc = start_workers(r);
	if (rc != 0) {
		fprintf(stderr, "yangguan: cannot start a thread: %s\n", strerror(-rc));
		unwatch_all(watch);
		return EXIT_FAILED;
	}
	run_kernel_configure(r);
	if (run_bgp_begin(r, err, sizeof(err)) != 0) {
		complain(err);
		run_kernel_end(r);
		stop_workers(r);
		unwatch_all(watch);
		return EXIT_USAGE;
	}
	r->ready = true;
	if (rib_n_unsettled(r->snap->core.rib) > 0)
		run_say("%zu prefixes find no room in the forwarding table and are not in use: %s",
			rib_n_unsettled(r->snap->core.rib), rib_unsettled_why(r->snap->core.rib));
	hold_reloads(SIG_UNBLOCK);
	run_say("ready");
	run_event(r, &(struct yg_event){
			     .kind = EVENT_READY, .time_ns = worker_clock(), .count = r->snap->core.generation });
	while (!r->stopping && event_base_dispatch(r->base) == 0)
		;
	last_words(r);
	run_bgp_end(r);
	run_kernel_end(r);
	unwatch_all(watch);
	stop_workers(r);
	run_say("stopped");
	return EXIT_OK;
}

static int serve(struct run *r)
{
	r->clock_fd = run_clock_open();
	int status = serve_watched(r);
	if (r->clock_fd >= 0)
		close(r->clock_fd);
	return status;
}

/* --- the ladder --- */

static int with_devices(struct run *r)
{
	char err[512];
	int status = EXIT_OK;

	int rc = netlink_monitor_open(run_link_changed, r, &r->monitor, err, sizeof(err));
	if (rc != 0)
		return complain(err);
	for (uint32_t i = 1; i < IP_INTERFACES_MAX && status == EXIT_OK; i++)
		if (r->snap->core.ip.interface[i].name[0] != '\0' &&
		    run_port_open(r, r->snap, i, &r->port[i], err, sizeof(err)) != 0)
			status = complain(err);
	if (status == EXIT_OK) {
		for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
			if (r->port[i].device != NULL)
				run_port_attach(r, &r->port[i], i);
		run_say("control socket %s", r->socket_path);
		status = serve(r);
	}
	/* The cores let go of what they hold before the devices whose buffers it is are closed. */
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
		if (r->port[i].device != NULL)
			run_port_detach(r, &r->port[i], i);
	run_ports_stop(r);
	for (uint32_t i = 1; i < IP_INTERFACES_MAX; i++)
		run_port_close(r, &r->port[i], i);
	if (r->quiet != NULL)
		suppress_close(r->quiet);
	netlink_monitor_close(r->monitor);
	return status;
}

static void wake(void *ctx, uint32_t worker)
{
	worker_wake(((struct run *)ctx)->core[worker].worker);
}

static bool make_host(struct run *r, uint64_t now)
{
	uint8_t seed[RNG_SEED_BYTES];

	return getrandom(seed, sizeof(seed), 0) == (ssize_t)sizeof(seed) &&
	       workers_add_host(r->workers, &r->limits, seed, now, worker_emit, r->core[r->n_cores].worker) == 0;
}

static bool make_cores(struct run *r, const uint8_t seed[RNG_SEED_BYTES], uint64_t now, uint64_t wall_offset_ns)
{
	void *emit_ctx[WORKERS_MAX];

	for (uint32_t i = 0; i < r->n_cores; i++)
		emit_ctx[i] = r->core[i].worker;
	r->workers = workers_create(r->n_cores, &r->limits, seed, now, worker_emit, emit_ctx);
	if (r->workers == NULL)
		return false;
	if (r->n_members > r->n_cores && !make_host(r, now))
		return false;
	workers_set_wake(r->workers, wake, r);
	stage_clock_start(&r->stage_clock);
	for (uint32_t i = 0; i < r->n_members; i++) {
		struct gateway *g = workers_gateway(r->workers, i);

		gateway_env(g)->wall_offset_ns = wall_offset_ns;
		gateway_env(g)->wanted = worker_wanted_events(r->core[i].worker);
		gateway_env(g)->stages.clock = r->stage_clock.read;
		if (r->core[i].log != NULL)
			gateway_env(g)->log = (struct log_slot){ .fn = worker_log, .ctx = r->core[i].worker };
		r->core[i].entry = (struct core_api){ .workers = r->workers, .worker = i, .gateway = g };
		worker_set_core_api(r->core[i].worker, &r->core[i].entry);
	}
	return true;
}

static uint32_t n_connections(struct run *r)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->n_cores; i++)
		n += conntrack_capacity(gateway_conntrack(r->core[i].entry.gateway));
	return n;
}

/* In the worker, when recording had to end: nobody who reads the recording is to know what comes now. */
static void on_record_failed(void *ctx)
{
	struct run *r = ctx;

	rng_init(&gateway_env(r->core[0].entry.gateway)->rng, r->seed_after_record);
	explicit_bzero(r->seed_after_record, sizeof(r->seed_after_record));
	worker_notify(r->core[0].worker);
}

static int with_core(struct run *r)
{
	uint8_t seed[RNG_SEED_BYTES]; /* with --record it is that recording's, and stands in it */
	uint64_t now = worker_clock();
	uint64_t wall_offset_ns = run_wall_offset(now); /* read once: the recording has what the cores have */
	char err[512];
	int status = EXIT_USAGE;

	if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed) ||
	    getrandom(r->seed_after_record, RNG_SEED_BYTES, 0) != RNG_SEED_BYTES)
		return complain("the kernel gave no random numbers");
	if (!make_cores(r, seed, now, wall_offset_ns))
		return complain("no memory for the gateway's tables: lower their sizes in the config");
	if (r->record_dir != NULL &&
	    record_open(r->record_dir, &r->limits, seed, now, wall_offset_ns, &r->record, err, sizeof(err)) != 0) {
		status = complain(err);
		goto destroy;
	}
	explicit_bzero(seed, sizeof(seed));
	if (r->record != NULL) {
		r->core[0].entry.recorder = &record_steps;
		r->core[0].entry.recorder_ctx = r->record;
		record_set_failed(r->record, on_record_failed, r);
		record_config_text(r->record, r->snap->text, r->snap->text_len);
	}
	int rc = core_api_configure(&r->core[0].entry, &r->snap->core, now);
	if (rc != 0) {
		snprintf(err, sizeof(err), "the config does not fit: %s", strerror(-rc));
		status = complain(err);
		goto close_record;
	}
	run_fill_target(r);
	if (control_server_create(r->base, r->socket_path, &r->target, &r->server, err, sizeof(err)) != 0) {
		status = complain(err);
		goto close_record;
	}
	r->drivers.fast_limits =
		fast_limits(r->snap->offload_max, n_connections(r), r->limits.ip.n_neighbours, r->n_cores);
	r->drivers.n_workers = r->n_cores;
	/* A replay has no kernel that forwards. */
	r->fast_off = r->snap->offload_off || r->record != NULL;
	status = with_devices(r);
	control_server_destroy(r->server);
	r->server = NULL;
close_record:
	if (r->record != NULL)
		record_finish(r->record);
	if (r->record != NULL && record_failure(r->record) != NULL && r->record_dir != NULL)
		fprintf(stderr, "yangguan: %s\n", record_failure(r->record));
	record_close(r->record);
destroy:
	workers_destroy(r->workers);
	drivers_end(&r->drivers);
	return status;
}

static int with_loop(struct run *r)
{
	int status = EXIT_FAILED;
	bool ok;

	r->base = event_base_new();
	ok = r->base != NULL;
	for (uint32_t i = 0; i < r->n_members; i++) {
		r->core[i].run = r;
		r->core[i].worker = worker_create();
		ok = ok && r->core[i].worker != NULL;
	}
	ok = ok && run_log_begin(r) && run_routes_begin(r);
	if (ok)
		status = with_core(r);
	else
		complain("no memory or descriptors");
	for (uint32_t i = 0; i < r->n_members; i++)
		worker_destroy(r->core[i].worker);
	run_routes_end(r);
	run_log_end(r);
	if (r->base != NULL)
		event_base_free(r->base);
	return status;
}

/* Reads and builds; NULL and the errors printed. */
static struct snapshot *read_config(const char *path, struct gateway_limits *limits)
{
	struct config_errors *errors = NULL;
	struct snapshot *snap = run_snapshot(path, limits, &errors);

	/* Beside a config that was read there may be notes. */
	if (errors != NULL)
		config_errors_print(errors, stderr);
	config_errors_free(errors);
	return snap;
}

static const struct arg_option run_options[] = {
	{ 'c', "config", "FILE", "the config (- is standard input); docs/config.md has its language" },
	{ 0, "socket", "PATH", "the control socket (default: by network namespace, see below)" },
	{ 0, "record", "DIR", "make DIR, for its owner alone, and store what comes in, for `yangguan replay DIR`" },
	{ 0 },
};

const struct command_info run_info = {
	.name = "run",
	.synopsis = "-c FILE [--socket PATH] [--record DIR]",
	.help = "run a gateway in the foreground",
	.options = run_options,
	.more = "It prints what it chose for each interface, and `ready` when it forwards. SIGINT and SIGTERM end it,\n"
		"SIGHUP reads the config again. The control socket is DIR/<network namespace>.sock, DIR being\n"
		"/run/yangguan for root, else $XDG_RUNTIME_DIR/yangguan, else /tmp/yangguan-<uid>.\n"
		"Exit status: 0 after a signal, 1 for an error in the config, 2 when a device, a right or the socket "
		"is\n"
		"missing.",
	.example = "  yangguan run -c yangguan.conf",
};

int run_main(int argc, char **argv)
{
	struct args a;
	char err[512];

	if (!command_info_parse(&run_info, &a, argc, argv))
		return EXIT_USAGE;
	if (a.help)
		return EXIT_OK;
	const char *config = args_value(&a, "config"), *path = args_value(&a, "socket");
	if (config == NULL || a.n_words > 0)
		return complain("run needs -c FILE and nothing else (see: yangguan run --help)");
	if (path != NULL && strlen(path) >= CONTROL_PATH_MAX)
		return complain("the socket's path is too long");

	struct run *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return complain("no memory");
	/* A reader of our output that goes away must not end the gateway, nor a recording that grows to the limit of a
	 * file's size (RLIMIT_FSIZE). */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	hold_reloads(SIG_BLOCK);
	r->record_dir = args_value(&a, "record");
	if (strcmp(config, "-") != 0 && realpath(config, r->config_absolute) == NULL)
		r->config_absolute[0] = '\0';
	int status = EXIT_FAILED;
	r->snap = read_config(config, &r->limits);
	if (r->snap != NULL && r->snap->n_workers > 1 && r->record_dir != NULL) {
		status = complain("--record stores what one worker does: say `workers 1;`, or leave --record out");
		snapshot_destroy(r->snap);
	} else if (r->snap != NULL) {
		r->n_cores = r->snap->n_workers;
		/* What is recorded happens in one order: the host is in the core then, and what it does a step like
		 * others. */
		r->n_members = r->n_cores + (r->record_dir == NULL);
		if (path != NULL)
			strcpy(r->socket_path, path);
		if (path == NULL && control_path_default(r->socket_path, sizeof(r->socket_path), err, sizeof(err)) != 0)
			status = complain(err);
		else
			status = with_loop(r);
		snapshot_destroy(r->snap);
	}
	free(r);
	return status;
}
