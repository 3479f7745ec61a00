/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What each line of a journal does (journal.h has their form). Every number is read
 * with the bounds that the recorder keeps: interfaces below IP_INTERFACES_MAX, sockets
 * that are open, connections that are in the table, times that do not go back. A line
 * that says anything else is refused, and that is the end.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/replay/replay_journal_priv.h"
#include "tools/replay/replay_priv.h"
#include "core/workers/core_api.h"
#include "daemon/config/config.h"
#include "daemon/config/route_fits.h"

/* No device carries more; what is less than IPv4's least counts as that (ip_mtu). */
#define MTU_MAX (1u << 17)

/* Each reads its words from the line; false when they are not what the word promises. */
typedef bool step_fn(struct replay *r, const char *line);

/* The words behind the time, which every step has. */
static struct journal_words step_words(struct replay *r, const char *line)
{
	struct journal_words w = journal_words_of(line);

	r->now = journal_number(&w, r->now, JOURNAL_TIME_END - 1);
	return w;
}

static uint32_t read_interface(struct journal_words *w)
{
	return (uint32_t)journal_number(w, 1, IP_INTERFACES_MAX - 1);
}

/* MAC MTU CAPS UP, to the line's end. */
static bool read_state(struct journal_words *w, struct device *d)
{
	char mac[ETHER_TEXT_MAX];

	journal_word(w, mac, sizeof(mac));
	d->mtu = (uint32_t)journal_number(w, 0, MTU_MAX);
	d->caps = (uint32_t)journal_number(w, 0, DEVICE_CAP_ALL);
	d->up = journal_number(w, 0, 1) != 0;
	return journal_words_end(w) && ether_addr_parse(mac, &d->mac);
}

static bool step_attach(struct replay *r, const char *line)
{
	struct journal_words w = step_words(r, line);
	uint32_t i = read_interface(&w);
	char name[DEVICE_NAME_MAX];
	struct device state;

	journal_word(&w, name, sizeof(name));
	if (!read_state(&w, &state) || r->port[i].attached)
		return false;
	struct device *d = replay_port_open(r, i, name);
	if (d == NULL)
		return true; /* it has failed with a reason of its own */
	d->mac = state.mac;
	d->mtu = state.mtu;
	d->caps = state.caps;
	d->up = state.up;
	r->port[i].attached = true;
	gateway_attach(r->gateway, i, d, r->now);
	gateway_settle_routes(r->gateway);
	return true;
}

static bool step_changed(struct replay *r, const char *line)
{
	struct journal_words w = step_words(r, line);
	uint32_t i = read_interface(&w);
	struct device state;

	if (!read_state(&w, &state) || !r->port[i].attached)
		return false;
	r->port[i].sink.mac = state.mac;
	r->port[i].sink.mtu = state.mtu;
	r->port[i].sink.caps = state.caps;
	r->port[i].sink.up = state.up;
	return true;
}

static bool step_told(struct replay *r, const char *line)
{
	struct journal_words w = step_words(r, line);
	uint32_t i = read_interface(&w);

	if (!journal_words_end(&w))
		return false;
	gateway_device_changed(r->gateway, i, r->now);
	gateway_settle_routes(r->gateway);
	return true;
}

static bool step_wall(struct replay *r, const char *line)
{
	struct journal_words w = step_words(r, line);
	uint64_t wall_offset_ns = journal_number(&w, 0, UINT64_MAX);

	if (!journal_words_end(&w))
		return false;
	gateway_env(r->gateway)->wall_offset_ns = wall_offset_ns;
	return true;
}

static bool step_detach(struct replay *r, const char *line)
{
	struct journal_words w = step_words(r, line);
	uint32_t i = read_interface(&w);

	if (!journal_words_end(&w))
		return false;
	gateway_attach(r->gateway, i, NULL, r->now);
	gateway_settle_routes(r->gateway);
	r->port[i].attached = false;
	return true;
}

static bool step_rx(struct replay *r, const char *line)
{
	struct journal_words w = step_words(r, line);
	uint32_t i = read_interface(&w), n = (uint32_t)journal_number(&w, 0, BATCH_MAX);
	struct batch b;

	if (!journal_words_end(&w) || !r->port[i].attached)
		return false;
	b.n = 0;
	while (b.n < n) {
		struct packet *p = replay_frame(r, &r->port[i]);
		if (p == NULL)
			break;
		batch_add(&b, p);
	}
	if (b.n == n) {
		gateway_input(r->gateway, i, &b, r->now);
		return true;
	}
	/* The step cannot be done as it was. */
	while (b.n > 0)
		packet_drop(gateway_env(r->gateway)->pool, &gateway_env(r->gateway)->ledger, b.p[--b.n],
			    DROP_NO_BUFFER);
	return true;
}

/* A config of the recording: it has its includes in it, so it may have none of its own. NULL: failed. */
static struct snapshot *read_config(struct replay *r, const char *name)
{
	struct snapshot *snap = NULL;
	FILE *f = replay_open(r, name);
	struct stat st;

	if (f == NULL)
		return NULL;
	size_t room = fstat(fileno(f), &st) == 0 && st.st_size <= CONFIG_FILE_MAX ? (size_t)st.st_size : 0;
	char *text = malloc(room + 1);
	if (text != NULL)
		snap = replay_text_config(name, text, fread(text, 1, room, f), r->snap);
	free(text);
	fclose(f);
	return snap;
}

static bool step_configure(struct replay *r, const char *line)
{
	struct journal_words w = step_words(r, line);
	uint64_t generation = journal_number(&w, 0, UINT64_MAX);
	char name[64];

	if (!journal_words_end(&w))
		return false;
	if (replay_next_is(r, "configure-failed"))
		return true;
	snprintf(name, sizeof(name), "config-%" PRIu64 ".conf", generation);
	struct snapshot *snap = read_config(r, name);
	int rc = snap == NULL ? -EINVAL : gateway_configure(r->gateway, &snap->core, r->now);
	if (rc != 0) {
		replay_fail(r, "journal line %" PRIu64 ": %s/%s does not load: %s", r->line_no, r->dir, name,
			    strerror(-rc));
		snapshot_destroy(snap);
		return true;
	}
	gateway_settle_routes(r->gateway);
	if (r->explain != NULL) {
		explain_print(r->explain); /* by the names that held */
		explain_config(r->explain, snap);
	}
	snapshot_destroy(r->snap);
	r->snap = snap;
	return true;
}

static bool step_configure_failed(struct replay *r, const char *line)
{
	return true;
}

static bool step_expire(struct replay *r, const char *line)
{
	struct journal_words w = step_words(r, line);

	if (!journal_words_end(&w))
		return false;
	gateway_expire(r->gateway, r->now);
	return true;
}

static bool step_raw_open(struct replay *r, const char *line)
{
	struct journal_words w = step_words(r, line);

	if (!journal_words_end(&w))
		return false;
	gateway_set_time(r->gateway, r->now);
	int socket = ping_socket_open(gateway_ping_sockets(r->gateway));
	if (socket >= 0)
		r->socket_open[socket] = true;
	return true;
}

/* A socket that is open. */
static int read_socket(struct replay *r, struct journal_words *w)
{
	uint64_t socket = journal_number(w, 0, PING_SOCKETS_MAX - 1);

	w->bad = w->bad || !r->socket_open[socket];
	return (int)socket;
}

static bool step_raw_close(struct replay *r, const char *line)
{
	struct journal_words w = step_words(r, line);
	int socket = read_socket(r, &w);

	if (!journal_words_end(&w))
		return false;
	gateway_set_time(r->gateway, r->now);
	ping_socket_close(gateway_ping_sockets(r->gateway), socket);
	r->socket_open[socket] = false;
	return true;
}

static bool step_ping_socket_send(struct replay *r, const char *line)
{
	struct journal_words w = step_words(r, line);
	int socket = read_socket(r, &w);
	struct ping_message drop;
	struct ping_request rq = { 0 };

	rq.dst = (uint32_t)journal_number(&w, 0, UINT32_MAX);
	rq.src = (uint32_t)journal_number(&w, 0, UINT32_MAX);
	rq.seq = (uint16_t)journal_number(&w, 0, UINT16_MAX);
	rq.data_len = (uint16_t)journal_number(&w, 0, UINT16_MAX);
	rq.ttl = (uint8_t)journal_number(&w, 0, UINT8_MAX);
	rq.tos = (uint8_t)journal_number(&w, 0, UINT8_MAX);
	rq.df = journal_number(&w, 0, 1) != 0;
	if (*w.at != '\0') /* older recordings have none */
		rq.zone = (uint16_t)journal_number(&w, 0, UINT16_MAX);
	if (!journal_words_end(&w))
		return false;
	gateway_set_time(r->gateway, r->now);
	ping_socket_send(gateway_ping_sockets(r->gateway), socket, &rq);
	gateway_flush(r->gateway, r->now);
	while (ping_socket_receive(gateway_ping_sockets(r->gateway), socket, &drop))
		;
	return true;
}

static enum core_socket_op read_op(struct journal_words *w)
{
	uint32_t op = 0;
	char name[16];

	journal_word(w, name, sizeof(name));
	while (op < N_CORE_SOCKET_OPS && strcmp(core_socket_op_names[op], name) != 0)
		op++;
	w->bad |= op == N_CORE_SOCKET_OPS;
	return (enum core_socket_op)op;
}

/* Of what was sent. False: the step cannot be done as it was. */
static bool read_bytes(struct replay *r, uint8_t *bytes, size_t len)
{
	if (r->bytes == NULL)
		r->bytes = replay_open(r, "sockets.bytes");
	if (r->bytes == NULL)
		return false;
	if (fread(bytes, 1, len, r->bytes) == len)
		return true;
	r->was_cut = !r->is_whole;
	if (r->is_whole)
		replay_fail(r, "journal line %" PRIu64 ": sockets.bytes ends too early", r->line_no);
	return false;
}

static bool step_socket(struct replay *r, const char *line)
{
	struct journal_words w = step_words(r, line);
	struct core_socket_call c = { .op = read_op(&w) };
	uint8_t *bytes;

	c.socket = (int)journal_number(&w, 0, INT32_MAX);
	for (size_t i = 0; i < ARRAY_LEN(c.arg); i++)
		c.arg[i] = (int)(uint32_t)journal_number(&w, 0, UINT32_MAX);
	c.end.addr = ip_addr_v4((uint32_t)journal_number(&w, 0, UINT32_MAX));
	c.end.port = (uint16_t)journal_number(&w, 0, UINT16_MAX);
	c.len = journal_number(&w, 0, CORE_SOCKET_BYTES_MAX);
	if (!journal_words_end(&w))
		return false;
	bytes = malloc(c.len + 1);
	if (bytes == NULL)
		replay_fail(r, "no memory");
	c.bytes = c.into = bytes;
	if (bytes != NULL && (!core_socket_says(c.op) || read_bytes(r, bytes, c.len))) {
		gateway_set_time(r->gateway, r->now);
		(void)core_socket_do(gateway_sockets(r->gateway), &c);
		gateway_flush(r->gateway, r->now);
	}
	free(bytes);
	return true;
}

static bool step_end(struct replay *r, const char *line)
{
	struct journal_words w = step_words(r, line);
	uint32_t index = (uint32_t)journal_number(&w, 0, UINT32_MAX), cursor = index, found;
	enum ct_end_reason reason = (enum ct_end_reason)journal_number(&w, 0, N_CT_END_REASONS - 1);

	if (!journal_words_end(&w) || !conntrack_next(gateway_conntrack(r->gateway), &cursor, &found) || found != index)
		return false;
	gateway_set_time(r->gateway, r->now);
	conntrack_end(gateway_conntrack(r->gateway), index, reason);
	return true;
}

static bool change_route(struct replay *r, const char *line, enum core_route_change how)
{
	struct core_api e = { .gateway = r->gateway };
	struct journal_words w = step_words(r, line);
	struct rib_path path[FIB_PATHS_MAX];
	struct rib_route route;
	char err[200];

	if (!journal_route_read(&w, how == CORE_ROUTE_SET, &route, path) ||
	    !route_fits(r->snap->core.rib, &r->snap->core.ip, &route, err, sizeof(err)))
		return false;
	gateway_set_time(r->gateway, r->now);
	(void)core_api_change_route(&e, r->snap->core.rib, how, &route);
	gateway_settle_routes(r->gateway);
	return true;
}

static bool step_route(struct replay *r, const char *line)
{
	return change_route(r, line, CORE_ROUTE_SET);
}

static bool step_route_del(struct replay *r, const char *line)
{
	return change_route(r, line, CORE_ROUTE_UNSET);
}

static bool step_next_hop(struct replay *r, const char *line)
{
	struct core_api e = { .gateway = r->gateway };
	struct journal_words w = step_words(r, line);
	uint32_t i = read_interface(&w), addr = (uint32_t)journal_number(&w, 1, UINT32_MAX);
	bool up = journal_number(&w, 0, 1) != 0;

	if (!journal_words_end(&w))
		return false;
	gateway_set_time(r->gateway, r->now);
	core_api_change_next_hop(&e, r->snap->core.rib, i, addr, up);
	gateway_settle_routes(r->gateway);
	return true;
}

static bool step_tx(struct replay *r, const char *line)
{
	replay_fail(r, "journal line %" PRIu64 ": \"%.60s\" was sent then, and is not now", r->line_no, line);
	return true;
}

static bool step_stop(struct replay *r, const char *line)
{
	r->stopped = true;
	return true;
}

static const struct {
	const char *word;
	step_fn *fn;
} steps[] = {
	{ "rx", step_rx },
	{ "expire", step_expire },
	{ "tx", step_tx },
	{ "changed", step_changed },
	{ "told", step_told },
	{ "wall", step_wall },
	{ "attach", step_attach },
	{ "detach", step_detach },
	{ "configure", step_configure },
	{ "configure-failed", step_configure_failed },
	{ "raw-open", step_raw_open },
	{ "raw-send", step_ping_socket_send },
	{ "raw-close", step_raw_close },
	{ "socket", step_socket },
	{ "end", step_end },
	{ "route", step_route },
	{ "route-del", step_route_del },
	{ "next-hop", step_next_hop },
	{ "stop", step_stop },
};

/* The core is used only as the recorder uses it: with a config from its first step on. */
static bool may_come(const struct replay *r, step_fn *fn)
{
	return r->snap != NULL || fn == step_configure || fn == step_configure_failed || fn == step_stop;
}

void replay_step(struct replay *r)
{
	char line[JOURNAL_LINE_MAX];
	size_t len = strcspn(r->line, " ");

	memcpy(line, r->line, sizeof(line));
	r->have_line = false;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		if (strlen(steps[i].word) != len || memcmp(steps[i].word, line, len) != 0)
			continue;
		if (!may_come(r, steps[i].fn) || !steps[i].fn(r, line))
			break;
		r->n_steps++;
		return;
	}
	replay_fail(r, "journal line %" PRIu64 " cannot be read: \"%.60s\"", r->line_no, line);
}
