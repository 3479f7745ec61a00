/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Options of IPPROTO_TCP (tcp(7)), with Linux's ranges. Numbers are a row of a table each; the rest
 * is by hand.
 *
 * Not taken of what Linux has, by name: TCP_FASTOPEN, TCP_ULP, TCP_REPAIR and what belongs
 * to it, TCP_ZEROCOPY_RECEIVE, TCP_AO.
 *
 * Next: src/stack/transport/tcp_option.c
 */
#include <errno.h>

#include "stack/socket/socket_priv.h"
#include "stack/transport/cc.h"
#include "stack/transport/tcp_info.h"

#define CONGESTION_NAME_MAX 16u
#define LINGER2_MAX_S 120
#define WINDOW_CLAMP_MIN 1152 /* half of SOCK_MIN_RCVBUF */
#define DEFER_MAX_S 120u

/* A number: how it is counted, and what may be said. */
static const struct number {
	int name;
	enum tcp_option option;
	int64_t min, max;
	uint64_t unit; /* of the option's, in one */
	bool is_flag;  /* anything but 0 is 1 */
} numbers[] = {
	{ YG_TCP_NODELAY, TCP_OPTION_NODELAY, .unit = 1, .is_flag = true },
	{ YG_TCP_CORK, TCP_OPTION_CORK, .unit = 1, .is_flag = true },
	{ YG_TCP_KEEPIDLE, TCP_OPTION_KEEPALIVE_TIME, 1, 32767, NS_PER_S, false },
	{ YG_TCP_KEEPINTVL, TCP_OPTION_KEEPALIVE_INTERVAL, 1, 32767, NS_PER_S, false },
	{ YG_TCP_KEEPCNT, TCP_OPTION_KEEPALIVE_PROBES, 1, 127, 1, false },
	{ YG_TCP_SYNCNT, TCP_OPTION_SYN_RETRIES, 1, 127, 1, false },
	{ YG_TCP_USER_TIMEOUT, TCP_OPTION_USER_TIMEOUT, 0, INT32_MAX, NS_PER_MS, false },
	{ YG_TCP_SAVE_SYN, TCP_OPTION_SAVE_SYN, 0, 2, 1, false },
	{ YG_TCP_NOTSENT_LOWAT, TCP_OPTION_NOTSENT_LOWAT, INT32_MIN, INT32_MAX, 1, false },
};

static const struct number *number_of(int name)
{
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (numbers[i].name == name)
			return &numbers[i];
	return NULL;
}

static int set_number(struct sockets *ss, struct socket *s, const struct number *n, int64_t value)
{
	if (n->is_flag)
		value = value != 0;
	else if (value < n->min || value > n->max)
		return -EINVAL;
	socket_tcp_set_option(ss, s, n->option, n->unit == 1 ? (uint32_t)value : (uint64_t)value * n->unit);
	return 0;
}

static enum tcp_state state_of(const struct socket *s)
{
	return s->kind == SOCKET_LISTENER ? TCP_LISTEN : tcp_state(s->conn);
}

/* --- by hand --- */

static int set_congestion(struct sockets *ss, struct socket *s, const struct socket_value *v)
{
	char name[CONGESTION_NAME_MAX] = { 0 };

	if (v->len < 1)
		return -EINVAL;
	memcpy(name, v->in, min_u32(v->len, CONGESTION_NAME_MAX - 1));
	return s->kind == SOCKET_LISTENER ? tcp_listener_set_congestion(s->listener, name)
					  : tcp_set_congestion(ss->tcp, s->conn, name);
}

static int get_congestion(struct socket *s, struct socket_value *v)
{
	char name[CONGESTION_NAME_MAX] = { 0 };
	const char *is = s->kind == SOCKET_LISTENER ? tcp_listener_congestion(s->listener) : tcp_congestion(s->conn);

	memcpy(name, is, min_u32((uint32_t)strlen(is), CONGESTION_NAME_MAX - 1));
	return socket_put_bytes(v, name, sizeof(name));
}

/* As Linux: neither Reno nor CUBIC says anything. */
static int get_cc_info(const struct sockets *ss, const struct socket *s, struct socket_value *v)
{
	struct cc_bbr_info i;
	bool has = s->kind == SOCKET_TCP && tcp_cc_info(ss->tcp, s->conn, &i);

	return socket_put_bytes(v, &i, has ? sizeof(i) : 0);
}

static int set_maxseg(struct sockets *ss, struct socket *s, int64_t value)
{
	if (value != 0 && (value < 88 || value > 32767))
		return -EINVAL;
	socket_tcp_set_option(ss, s, TCP_OPTION_MAXSEG, (uint64_t)value);
	return 0;
}

static void get_info(struct sockets *ss, struct socket *s, struct yg_tcp_info *out)
{
	if (s->kind == SOCKET_LISTENER)
		tcp_listener_info(s->listener, out);
	else
		tcp_info(ss->tcp, s->conn, out);
}

/* Of an open one what it has come to; before, what was asked for, or what RFC 9293 begins with. */
static int64_t maxseg_of(struct sockets *ss, struct socket *s)
{
	uint64_t asked = socket_tcp_option(ss, s, TCP_OPTION_MAXSEG);
	struct yg_tcp_info i;

	if (state_of(s) < TCP_ESTABLISHED)
		return asked != 0 ? (int64_t)asked : 536;
	get_info(ss, s, &i);
	return i.snd_mss;
}

static int set_linger2(struct sockets *ss, struct socket *s, int64_t value)
{
	uint64_t ns = value < 0 ? TCP_LINGER2_NONE : min_u64((uint64_t)value, LINGER2_MAX_S) * NS_PER_S;

	socket_tcp_set_option(ss, s, TCP_OPTION_LINGER2, ns);
	return 0;
}

static int64_t linger2_of(struct sockets *ss, struct socket *s)
{
	uint64_t ns = socket_tcp_option(ss, s, TCP_OPTION_LINGER2);

	return ns == TCP_LINGER2_NONE ? -1 : (int64_t)(ns / NS_PER_S);
}

uint32_t socket_defer_seconds(const struct socket *s)
{
	uint32_t period = 0, step = 1;

	for (uint8_t i = 0; i < s->defer_accept; i++) {
		period += step;
		step = min_u32(step * 2, DEFER_MAX_S);
	}
	return period;
}

/* Linux keeps it as how often a SYN+ACK is sent meanwhile, and gives the time that that takes. */
static int set_defer(struct sockets *ss, struct socket *s, int64_t seconds)
{
	uint32_t step = 1, period = 1;
	uint8_t n = seconds > 0;

	while (seconds > period && n < UINT8_MAX) {
		step = min_u32(step * 2, DEFER_MAX_S);
		period += step;
		n++;
	}
	s->defer_accept = n;
	if (s->kind == SOCKET_LISTENER)
		tcp_listener_set_defer(s->listener, (uint8_t)min_u32(socket_defer_seconds(s), UINT8_MAX));
	return 0;
}

static int set_window_clamp(struct sockets *ss, struct socket *s, int64_t value)
{
	if (value == 0 && state_of(s) != TCP_CLOSED)
		return -EINVAL;
	socket_tcp_set_option(ss, s, TCP_OPTION_WINDOW_CLAMP,
			      value == 0 ? 0 : max_u32((uint32_t)value, WINDOW_CLAMP_MIN));
	return 0;
}

/* A key for the address, or with TCP_MD5SIG_EXT for a prefix. */
static int set_md5(struct sockets *ss, struct socket *s, int name, const struct socket_value *v)
{
	struct yg_tcp_md5sig sig;
	bool is_ext = name == YG_TCP_MD5SIG_EXT;

	if (v->len < sizeof(sig))
		return -EINVAL;
	memcpy(&sig, v->in, sizeof(sig));
	/* An interface is one of a VRF's there, which we have none of. */
	if (sig.addr.family != YG_AF_INET || sig.key_len > YG_TCP_MD5SIG_KEY_MAX ||
	    (is_ext && (sig.flags & YG_TCP_MD5SIG_FLAG_IFINDEX) && sig.ifindex != 0))
		return -EINVAL;
	struct tcp_md5 m = {
		.addr = be32_get(sig.addr.addr), .prefix_len = 32, .len = (uint8_t)sig.key_len, .key = sig.key
	};

	if (is_ext && (sig.flags & YG_TCP_MD5SIG_FLAG_PREFIX)) {
		m.prefix_len = sig.prefix_len;
		if (m.prefix_len > 32)
			return -EINVAL;
	}
	return s->kind == SOCKET_LISTENER ? tcp_listener_set_md5(ss->tcp, s->listener, &m)
					  : tcp_set_md5(ss->tcp, s->conn, &m);
}
_Static_assert(YG_TCP_MD5SIG_KEY_MAX == TCP_MD5_KEY_MAX, "a key as it is told");

static int get_saved_syn(struct sockets *ss, struct socket *s, struct socket_value *v)
{
	/* As Linux: whoever has not enough room learns how much it takes. */
	v->tell_len = true;
	if (s->kind == SOCKET_TCP)
		return tcp_saved_syn(ss->tcp, s->conn, v->out, &v->len);
	v->len = 0;
	return 0;
}

int socket_set_tcp(struct sockets *ss, struct socket *s, int name, const struct socket_value *v)
{
	const struct number *n = number_of(name);
	int64_t value;

	if (name == YG_TCP_CONGESTION)
		return set_congestion(ss, s, v);
	if (name == YG_TCP_MD5SIG || name == YG_TCP_MD5SIG_EXT)
		return set_md5(ss, s, name, v);
	int rc = socket_set_int(v, &value);

	if (rc != 0)
		return rc;
	if (n != NULL)
		return set_number(ss, s, n, value);
	switch (name) {
	case YG_TCP_MAXSEG:
		return set_maxseg(ss, s, value);
	case YG_TCP_LINGER2:
		return set_linger2(ss, s, value);
	case YG_TCP_DEFER_ACCEPT:
		return set_defer(ss, s, value);
	case YG_TCP_WINDOW_CLAMP:
		return set_window_clamp(ss, s, value);
	case YG_TCP_QUICKACK:
		s->no_quickack = value == 0;
		socket_tcp_set_option(ss, s, TCP_OPTION_QUICKACK, value != 0);
		return 0;
	case YG_TCP_TIMESTAMP:
		/* Of a socket in repair alone. */
		return -EPERM;
	case YG_TCP_INQ:
		if (value != 0 && value != 1)
			return -EINVAL;
		s->tell_inq = value != 0;
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

int socket_get_tcp(struct sockets *ss, struct socket *s, int name, struct socket_value *v)
{
	const struct number *n = number_of(name);
	struct yg_tcp_info i;

	if (n != NULL)
		return socket_put_int(v, (int64_t)(socket_tcp_option(ss, s, n->option) / n->unit));
	switch (name) {
	case YG_TCP_MAXSEG:
		return socket_put_int(v, maxseg_of(ss, s));
	case YG_TCP_LINGER2:
		return socket_put_int(v, linger2_of(ss, s));
	case YG_TCP_DEFER_ACCEPT:
		return socket_put_int(v, socket_defer_seconds(s));
	case YG_TCP_WINDOW_CLAMP:
		return socket_put_int(v, (int64_t)socket_tcp_option(ss, s, TCP_OPTION_WINDOW_CLAMP));
	case YG_TCP_QUICKACK:
		return socket_put_int(v, !s->no_quickack);
	case YG_TCP_INQ:
		return socket_put_int(v, s->tell_inq);
	case YG_TCP_CONGESTION:
		return get_congestion(s, v);
	case YG_TCP_SAVED_SYN:
		return get_saved_syn(ss, s, v);
	case YG_TCP_CC_INFO:
		return get_cc_info(ss, s, v);
	case YG_TCP_TIMESTAMP:
		return socket_put_int(v, s->kind == SOCKET_TCP ? tcp_timestamp(ss->tcp, s->conn)
							       : tcp_timestamp(ss->tcp, NULL));
	case YG_TCP_INFO:
		get_info(ss, s, &i);
		return socket_put_bytes(v, &i, sizeof(i));
	default:
		return -ENOPROTOOPT;
	}
}
