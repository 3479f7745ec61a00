/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `host { ... }`: the gateway's own host. How many sockets, connections and so on it may have,
 * which is allocated at start; and what Linux keeps under net.ipv4.tcp_*, which a reload
 * changes for what begins from then on.
 */
#include "daemon/config/config_priv.h"

#include "stack/transport/cc.h"

#define BYTES_MAX (1u << 30)
/* Linux's bounds of SO_SNDBUF, SO_RCVBUF (socket(7)), TCP_KEEPIDLE, TCP_KEEPINTVL and the numbers of retries (tcp(7)).
 */
#define SEND_BUFFER_MIN 4608
#define RECEIVE_BUFFER_MIN 2304
#define KEEPALIVE_SECONDS_MAX 32767
#define RETRIES_MAX 127
#define FIN_TIMEOUT_MAX 120

#define OPTION(member) offsetof(struct config, host.member)

static const struct config_row rows[] = {
	{ { "sockets" }, OPTION(limits.n_sockets), 16, 1u << 24, ROW_NUMBER },
	{ { "connections" }, OPTION(limits.tcp.n_connections), 16, 1u << 24, ROW_NUMBER },
	{ { "listeners" }, OPTION(limits.tcp.n_listeners), 1, 1u << 16, ROW_NUMBER },
	{ { "syn", "queue" }, OPTION(limits.tcp.n_half_open), 1, 1u << 22, ROW_NUMBER },
	{ { "time-wait" }, OPTION(limits.tcp.n_time_wait), 1, 1u << 24, ROW_NUMBER },
	{ { "segments" }, OPTION(limits.tcp.n_segments), 64, 1u << 24, ROW_NUMBER },
	{ { "congestion", "records" }, OPTION(limits.tcp.n_cc_records), 1, 1u << 24, ROW_NUMBER },
	{ { "send", "buffer" }, OPTION(tcp.sndbuf), SEND_BUFFER_MIN, BYTES_MAX, ROW_NUMBER },
	{ { "send", "buffer", "max" }, OPTION(tcp.sndbuf_max), SEND_BUFFER_MIN, BYTES_MAX, ROW_NUMBER },
	{ { "receive", "buffer" }, OPTION(tcp.rcvbuf), RECEIVE_BUFFER_MIN, BYTES_MAX, ROW_NUMBER },
	{ { "receive", "buffer", "max" }, OPTION(tcp.rcvbuf_max), RECEIVE_BUFFER_MIN, BYTES_MAX, ROW_NUMBER },
	{ { "congestion" }, OPTION(tcp.congestion), 0, 0, ROW_CONGESTION },
	{ { "ecn" }, OPTION(tcp.ecn), 0, 0, ROW_ECN },
	{ { "timestamps" }, OPTION(tcp.timestamps), 0, 0, ROW_YES_NO },
	{ { "sack" }, OPTION(tcp.sack), 0, 0, ROW_YES_NO },
	{ { "window", "scaling" }, OPTION(tcp.window_scaling), 0, 0, ROW_YES_NO },
	{ { "syn", "cookies" }, OPTION(tcp.syncookies), 0, 0, ROW_YES_NO },
	{ { "slow", "start", "after", "idle" }, OPTION(tcp.slow_start_after_idle), 0, 0, ROW_YES_NO },
	{ { "mtu", "probing" }, OPTION(tcp.mtu_probing), 0, 0, ROW_YES_NO },
	{ { "keepalive", "time" }, OPTION(tcp.keepalive_time), 1, KEEPALIVE_SECONDS_MAX, ROW_SECONDS_NS },
	{ { "keepalive", "interval" }, OPTION(tcp.keepalive_interval), 1, KEEPALIVE_SECONDS_MAX, ROW_SECONDS_NS },
	{ { "keepalive", "probes" }, OPTION(tcp.keepalive_probes), 1, RETRIES_MAX, ROW_SMALL },
	{ { "fin", "timeout" }, OPTION(tcp.fin_timeout), 1, FIN_TIMEOUT_MAX, ROW_SECONDS_NS },
	{ { "syn", "retries" }, OPTION(tcp.syn_retries), 1, RETRIES_MAX, ROW_SMALL },
	{ { "syn", "ack", "retries" }, OPTION(tcp.synack_retries), 1, RETRIES_MAX, ROW_SMALL },
	{ { "orphan", "retries" }, OPTION(tcp.orphan_retries), 1, RETRIES_MAX, ROW_SMALL },
	{ { "retries" }, OPTION(tcp.retries2), 1, RETRIES_MAX, ROW_SMALL },
	{ { "ports" }, OPTION(tcp.port_first), 0, 0, ROW_PORTS },
};

/* A time within the row's bounds, which are seconds, as nanoseconds. */
static bool set_seconds(struct parser *p, const struct config_row *r, uint64_t *out)
{
	struct text_pos pos = config_peek(p)->pos;
	char name[AST_NAME_MAX];
	uint32_t seconds;

	if (!config_seconds(p, &seconds))
		return false;
	*out = seconds * NS_PER_S;
	if (seconds < r->min || seconds > r->max)
		config_err(p, &pos, "%s must be %us to %us", config_row_name(r, name), r->min, r->max);
	return true;
}

static bool set_small(struct parser *p, const struct config_row *r, uint8_t *out)
{
	char name[AST_NAME_MAX];
	uint32_t n = 0;

	if (!config_number(p, r->min, r->max, config_row_name(r, name), &n))
		return false;
	*out = (uint8_t)n;
	return true;
}

static bool set_congestion(struct parser *p, const char **out)
{
	const char *names[8];
	struct token t = *config_peek(p);
	size_t n = 0;

	for (; cc_all[n] != NULL && n < ARRAY_LEN(names); n++) {
		names[n] = cc_all[n]->name;
		if (config_accept_word(p, names[n])) {
			*out = names[n];
			return true;
		}
	}
	return config_unknown(p, &t, "the name of a congestion control", names, n);
}

/* As net.ipv4.tcp_ecn has it: 0, 1, 2. */
static bool set_ecn(struct parser *p, uint8_t *out)
{
	static const char *const words[] = { "no", "yes", "answer" };
	struct token t = *config_peek(p);

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (config_accept_word(p, words[i])) {
			*out = (uint8_t)i;
			return true;
		}
	}
	return config_unknown(p, &t, "yes, no or answer", words, ARRAY_LEN(words));
}

static bool set_ports(struct parser *p, struct tcp_config *tcp)
{
	struct text_pos pos = config_peek(p)->pos;

	if (!config_port_range(p, &tcp->port_first, &tcp->port_last))
		return false;
	if (tcp->port_first == 0)
		config_err(p, &pos, "port 0 cannot be used; did you mean 1-%u?", tcp->port_last);
	return true;
}

static bool set_value(struct parser *p, const struct config_row *r, void *value)
{
	switch (r->kind) {
	case ROW_NUMBER:
		return config_row_number(p, r);
	case ROW_SMALL:
		return set_small(p, r, value);
	case ROW_SECONDS_NS:
		return set_seconds(p, r, value);
	case ROW_YES_NO:
		return config_yes_no(p, value);
	case ROW_CONGESTION:
		return set_congestion(p, value);
	case ROW_ECN:
		return set_ecn(p, value);
	default:
		return set_ports(p, &config_of(p)->host.tcp);
	}
}

static bool host_statement(struct parser *p, void *ctx)
{
	const struct config_row *r =
		config_find_row(p, rows, ARRAY_LEN(rows), "a setting of the host, as in \"connections 100000\"");
	void *value;

	if (r == NULL)
		return false;
	value = (char *)config_of(p) + r->offset;
	config_once_at_all(p, value, &p->last);
	return set_value(p, r, value) && config_end(p);
}

bool config_host(struct parser *p)
{
	config_of(p)->host.pos = p->last.pos;
	return config_block(p, host_statement, NULL);
}

void config_check_host(struct parser *p)
{
	const struct config_host *h = &config_of(p)->host;

	if (h->tcp.sndbuf > h->tcp.sndbuf_max)
		config_err(p, &h->pos, "send buffer (%u) is more than send buffer max (%u)", h->tcp.sndbuf,
			   h->tcp.sndbuf_max);
	if (h->tcp.rcvbuf > h->tcp.rcvbuf_max)
		config_err(p, &h->pos, "receive buffer (%u) is more than receive buffer max (%u)", h->tcp.rcvbuf,
			   h->tcp.rcvbuf_max);
}

bool config_host_bounds(const char *words, uint32_t *min, uint32_t *max)
{
	return config_row_bounds(rows, ARRAY_LEN(rows), words, min, max);
}
