/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Every option of sockets, set to many values and read back, on the kernel's sockets and on ours (scenario
 * D8): the same result and the same value, but for the differences of the table below, each
 * with its reason.
 *
 * Would catch: a default, a range or an errno that is not Linux's; an option that is taken and
 * not given back; a difference that is not there any more.
 */
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/tcp.h>

#include "stack/socket/socket_fixture.h"

enum kind { FRESH, LISTENER, OPEN, DATAGRAM, N_KINDS };
static const char *const kind_names[N_KINDS] = { "fresh TCP", "listening TCP", "connected TCP", "UDP" };

#define TCP_KINDS (1u << FRESH | 1u << LISTENER | 1u << OPEN)
#define ALL_KINDS (TCP_KINDS | 1u << DATAGRAM)

struct option {
	const char *name;
	int level, number;
};

#define OPTION(level, name) \
	{ \
#name, level, name \
	}
static const struct option options[] = {
	OPTION(SOL_SOCKET, SO_REUSEADDR),
	OPTION(SOL_SOCKET, SO_REUSEPORT),
	OPTION(SOL_SOCKET, SO_TYPE),
	OPTION(SOL_SOCKET, SO_ERROR),
	OPTION(SOL_SOCKET, SO_BROADCAST),
	OPTION(SOL_SOCKET, SO_SNDBUF),
	OPTION(SOL_SOCKET, SO_RCVBUF),
	OPTION(SOL_SOCKET, SO_KEEPALIVE),
	OPTION(SOL_SOCKET, SO_OOBINLINE),
	OPTION(SOL_SOCKET, SO_NO_CHECK),
	OPTION(SOL_SOCKET, SO_PRIORITY),
	OPTION(SOL_SOCKET, SO_RCVLOWAT),
	OPTION(SOL_SOCKET, SO_SNDLOWAT),
	OPTION(SOL_SOCKET, SO_ACCEPTCONN),
	OPTION(SOL_SOCKET, SO_TIMESTAMPNS),
	OPTION(SOL_SOCKET, SO_TIMESTAMP),
	OPTION(SOL_SOCKET, SO_DETACH_FILTER),
	OPTION(SOL_SOCKET, SO_MARK),
	OPTION(SOL_SOCKET, SO_MAX_PACING_RATE),
	OPTION(SOL_SOCKET, SO_PROTOCOL),
	OPTION(SOL_SOCKET, SO_DOMAIN),
	OPTION(SOL_SOCKET, 9999),
	OPTION(IPPROTO_IP, IP_TOS),
	OPTION(IPPROTO_IP, IP_TTL),
	OPTION(IPPROTO_IP, IP_PKTINFO),
	OPTION(IPPROTO_IP, IP_MTU_DISCOVER),
	OPTION(IPPROTO_IP, IP_RECVERR),
	OPTION(IPPROTO_IP, IP_RECVTTL),
	OPTION(IPPROTO_IP, IP_RECVTOS),
	OPTION(IPPROTO_IP, IP_RECVORIGDSTADDR),
	OPTION(IPPROTO_IP, IP_FREEBIND),
	OPTION(IPPROTO_IP, IP_TRANSPARENT),
	OPTION(IPPROTO_IP, IP_MINTTL),
	OPTION(IPPROTO_IP, IP_MULTICAST_TTL),
	OPTION(IPPROTO_IP, IP_MULTICAST_LOOP),
	OPTION(IPPROTO_IP, IP_MULTICAST_ALL),
	OPTION(IPPROTO_IP, IP_HDRINCL),
	OPTION(IPPROTO_IP, 9999),
	OPTION(IPPROTO_TCP, TCP_NODELAY),
	OPTION(IPPROTO_TCP, TCP_MAXSEG),
	OPTION(IPPROTO_TCP, TCP_CORK),
	OPTION(IPPROTO_TCP, TCP_KEEPIDLE),
	OPTION(IPPROTO_TCP, TCP_KEEPINTVL),
	OPTION(IPPROTO_TCP, TCP_KEEPCNT),
	OPTION(IPPROTO_TCP, TCP_SYNCNT),
	OPTION(IPPROTO_TCP, TCP_LINGER2),
	OPTION(IPPROTO_TCP, TCP_DEFER_ACCEPT),
	OPTION(IPPROTO_TCP, TCP_WINDOW_CLAMP),
	OPTION(IPPROTO_TCP, TCP_QUICKACK),
	OPTION(IPPROTO_TCP, TCP_USER_TIMEOUT),
	OPTION(IPPROTO_TCP, TCP_NOTSENT_LOWAT),
	OPTION(IPPROTO_TCP, TCP_TIMESTAMP),
	OPTION(IPPROTO_TCP, TCP_SAVE_SYN),
	OPTION(IPPROTO_TCP, TCP_MD5SIG),
	OPTION(IPPROTO_TCP, TCP_INQ),
	OPTION(IPPROTO_TCP, 9999),
	OPTION(IPPROTO_UDP, UDP_SEGMENT),
	OPTION(IPPROTO_UDP, UDP_GRO),
	OPTION(77, 1),
};

static const int values[] = { -1,   0,    1,     2,     3,     5,     6,      7,       30,        48,       87,
			      88,   120,  121,   127,   128,   255,   256,    536,     1000,      1152,     1460,
			      2304, 4096, 32767, 32768, 65535, 65536, 200000, 1 << 20, INT32_MAX, INT32_MIN };

/* What is another way here, and why. */
static const struct difference {
	int level, number;
	uint32_t kinds;
	const char *why;
} differences[] = {
	{ SOL_SOCKET, SO_SNDBUF, TCP_KINDS, "at first as the kernel's tcp_wmem is set; what is set is compared" },
	{ SOL_SOCKET, SO_RCVBUF, TCP_KINDS, "likewise, tcp_rmem" },
	{ SOL_SOCKET, SO_SNDBUF, 1u << DATAGRAM, "as far as the kernel's wmem_max is set" },
	{ SOL_SOCKET, SO_RCVBUF, 1u << DATAGRAM, "as far as the kernel's rmem_max is set" },
	{ SOL_SOCKET, SO_RCVLOWAT, TCP_KINDS, "as far as its tcp_rmem goes" },
	{ SOL_SOCKET, SO_OOBINLINE, 1u << DATAGRAM, "of TCP alone, refused" },
	{ SOL_SOCKET, SO_RCVLOWAT, 1u << DATAGRAM, "likewise: it does nothing there" },
	{ IPPROTO_TCP, TCP_TIMESTAMP, TCP_KINDS, "another clock, and another offset" },
	{ SOL_SOCKET, SO_PRIORITY, ALL_KINDS, "more than 6 is for root there" },
	{ IPPROTO_IP, IP_MINTTL, 1u << DATAGRAM, "of TCP alone: it does nothing there" },
	{ IPPROTO_IP, IP_MULTICAST_ALL, TCP_KINDS, "of datagrams alone" },
	{ IPPROTO_TCP, TCP_MAXSEG, 1u << OPEN, "what an open connection has come to is the path's" },
	{ IPPROTO_TCP, TCP_WINDOW_CLAMP, TCP_KINDS, "Linux shows a window that it has derived" },
};

static bool is_known(const struct option *o, enum kind kind)
{
	for (size_t i = 0; i < ARRAY_LEN(differences); i++)
		if (differences[i].level == o->level && differences[i].number == o->number &&
		    (differences[i].kinds >> kind & 1))
			return true;
	return false;
}

/* Both sockets of a kind. */
struct both {
	int k, o;
	int k_other, o_other, k_listener, o_listener; /* of what is connected */
};

static struct net net;

static void listen_both(struct both *b, int *k, int *o)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };

	*k = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(*k, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(*k, 5), 0);
	*o = socket_open(net.a.ss, AF_INET, SOCK_STREAM, 0);
	assert_int_equal(socket_bind(net.a.ss, *o, &in, sizeof(in)), 0);
	assert_int_equal(socket_listen(net.a.ss, *o, 5), 0);
}

static void open_both(enum kind kind, struct both *b)
{
	struct sockaddr_in in;
	socklen_t len = sizeof(in);
	uint32_t o_len = sizeof(in);

	*b = (struct both){ -1, -1, -1, -1, -1, -1 };
	if (kind == LISTENER) {
		listen_both(b, &b->k, &b->o);
		return;
	}
	b->k = socket(AF_INET, kind == DATAGRAM ? SOCK_DGRAM : SOCK_STREAM, 0);
	b->o = socket_open(net.a.ss, AF_INET, kind == DATAGRAM ? SOCK_DGRAM : SOCK_STREAM, 0);
	if (kind != OPEN)
		return;
	listen_both(b, &b->k_listener, &b->o_listener);
	assert_int_equal(getsockname(b->k_listener, (struct sockaddr *)&in, &len), 0);
	assert_int_equal(connect(b->k, (struct sockaddr *)&in, len), 0);
	b->k_other = accept(b->k_listener, NULL, NULL);
	assert_int_equal(socket_name(net.a.ss, b->o_listener, &in, &o_len), 0);
	assert_int_equal(socket_connect(net.a.ss, b->o, &in, o_len), 0);
	b->o_other = socket_accept(net.a.ss, b->o_listener, NULL, NULL, 0);
}

static void close_both(const struct both *b)
{
	const int k[] = { b->k, b->k_other, b->k_listener }, o[] = { b->o, b->o_other, b->o_listener };

	for (size_t i = 0; i < ARRAY_LEN(k); i++) {
		if (k[i] >= 0)
			close(k[i]);
		if (o[i] >= 0)
			(void)socket_close(net.a.ss, o[i]);
	}
	net_run(&net, NS_PER_S);
}

static int k_get(int k, const struct option *o, int *value)
{
	socklen_t len = sizeof(*value);

	*value = 0;
	return getsockopt(k, o->level, o->number, value, &len) == 0 ? 0 : -errno;
}

static int o_get(int s, const struct option *o, int *value)
{
	uint32_t len = sizeof(*value);

	*value = 0;
	return socket_get_option(net.a.ss, s, o->level, o->number, value, &len);
}

static bool differs(enum kind kind, const struct option *o, const struct both *b, const char *when, int value)
{
	int k, v, k_rc = k_get(b->k, o, &k), rc = o_get(b->o, o, &v);

	if (k_rc == rc && k == v)
		return false;
	if (!is_known(o, kind))
		fprintf(stderr, "%s, %s%s %d: the kernel gives %d (%d), ours %d (%d)\n", kind_names[kind], o->name,
			when, value, k, k_rc, v, rc);
	return true;
}

static bool compare(enum kind kind, const struct option *o)
{
	struct both b;

	open_both(kind, &b);
	bool is_other = differs(kind, o, &b, " at first", 0);

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		int k = setsockopt(b.k, o->level, o->number, &values[i], sizeof(int)) == 0 ? 0 : -errno;
		int rc = socket_set_option(net.a.ss, b.o, o->level, o->number, &values[i], sizeof(int));

		if (k != rc) {
			is_other = true;
			if (!is_known(o, kind))
				fprintf(stderr, "%s, %s = %d: the kernel %d, ours %d\n", kind_names[kind], o->name,
					values[i], k, rc);
			continue;
		}
		is_other |= differs(kind, o, &b, " behind", values[i]);
	}
	close_both(&b);
	return is_other;
}

static void test_options(void **state)
{
	uint32_t n_faults = 0;

	net_start(&net);
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		for (enum kind kind = 0; kind < N_KINDS; kind++) {
			bool is_other = compare(kind, &options[i]), known = is_known(&options[i], kind);

			if (known && !is_other)
				fprintf(stderr, "%s, %s: no difference any more\n", kind_names[kind], options[i].name);
			n_faults += known != is_other;
		}
	}
	assert_int_equal(n_faults, 0);
	net_end(&net);
}

/* A linger that is switched off keeps its time, and a TOS may be shorter than an int. */
static void test_kept_and_short(void **state)
{
	static const struct linger steps[] = { { 1, 5 }, { 0, 7 }, { 1, 0 } };
	static const enum kind kinds[] = { FRESH, DATAGRAM };
	const int level = 16;

	net_start(&net);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct both b;
		struct linger k, o;
		int k_tos, o_tos;

		open_both(kinds[i], &b);
		for (size_t step = 0; step < ARRAY_LEN(steps); step++) {
			socklen_t len = sizeof(k);
			uint32_t o_len = sizeof(o);

			assert_int_equal(setsockopt(b.k, SOL_SOCKET, SO_LINGER, &steps[step], sizeof(k)), 0);
			assert_int_equal(
				socket_set_option(net.a.ss, b.o, SOL_SOCKET, SO_LINGER, &steps[step], sizeof(o)), 0);
			assert_int_equal(getsockopt(b.k, SOL_SOCKET, SO_LINGER, &k, &len), 0);
			assert_int_equal(socket_get_option(net.a.ss, b.o, SOL_SOCKET, SO_LINGER, &o, &o_len), 0);
			assert_memory_equal(&k, &o, sizeof(k));
		}
		for (uint32_t size = 0; size <= sizeof(level); size++) {
			socklen_t len = size;
			uint32_t o_len = size;

			k_tos = o_tos = 0;
			assert_int_equal(setsockopt(b.k, IPPROTO_IP, IP_TOS, &level, size), 0);
			assert_int_equal(socket_set_option(net.a.ss, b.o, IPPROTO_IP, IP_TOS, &level, size), 0);
			assert_int_equal(getsockopt(b.k, IPPROTO_IP, IP_TOS, &k_tos, &len), 0);
			assert_int_equal(socket_get_option(net.a.ss, b.o, IPPROTO_IP, IP_TOS, &o_tos, &o_len), 0);
			assert_int_equal(len, o_len);
			assert_int_equal(k_tos, o_tos);
		}
		close_both(&b);
	}
	net_end(&net);
}

/* What is no int. */
static void test_others(void **state)
{
	struct linger l = { 1, 7 }, kl, ol;
	struct timeval t = { 3, 500000 }, kt, ot;
	static const struct timeval bad[] = { { 0, 1000000 }, { 0, -1 }, { -1, 0 } };
	char kc[16] = { 0 }, oc[16] = { 0 };
	socklen_t len = sizeof(kl);
	uint32_t o_len = sizeof(ol);
	struct both b;

	net_start(&net);
	struct sockets *ss = net.a.ss;

	open_both(FRESH, &b);
	assert_int_equal(setsockopt(b.k, SOL_SOCKET, SO_LINGER, &l, sizeof(l)), 0);
	assert_int_equal(socket_set_option(ss, b.o, SOL_SOCKET, SO_LINGER, &l, sizeof(l)), 0);
	getsockopt(b.k, SOL_SOCKET, SO_LINGER, &kl, &len);
	(void)socket_get_option(ss, b.o, SOL_SOCKET, SO_LINGER, &ol, &o_len);
	assert_memory_equal(&kl, &ol, sizeof(kl));
	assert_int_equal(socket_set_option(ss, b.o, SOL_SOCKET, SO_LINGER, &l, 4), -EINVAL);
	for (size_t i = 0; i < ARRAY_LEN(bad) + 1; i++) {
		const struct timeval *v = i < ARRAY_LEN(bad) ? &bad[i] : &t;
		int k = setsockopt(b.k, SOL_SOCKET, SO_RCVTIMEO, v, sizeof(*v)) == 0 ? 0 : -errno;

		assert_int_equal(socket_set_option(ss, b.o, SOL_SOCKET, SO_RCVTIMEO, v, sizeof(*v)), k);
		len = o_len = sizeof(kt);
		getsockopt(b.k, SOL_SOCKET, SO_RCVTIMEO, &kt, &len);
		(void)socket_get_option(ss, b.o, SOL_SOCKET, SO_RCVTIMEO, &ot, &o_len);
		assert_memory_equal(&kt, &ot, sizeof(kt));
	}
	assert_int_equal(setsockopt(b.k, IPPROTO_TCP, TCP_CONGESTION, "nobody", 6), -1);
	assert_int_equal(socket_set_option(ss, b.o, IPPROTO_TCP, TCP_CONGESTION, "nobody", 6), -errno);
	assert_int_equal(setsockopt(b.k, IPPROTO_TCP, TCP_CONGESTION, "reno", 4), 0);
	assert_int_equal(socket_set_option(ss, b.o, IPPROTO_TCP, TCP_CONGESTION, "reno", 4), 0);
	len = o_len = sizeof(kc);
	getsockopt(b.k, IPPROTO_TCP, TCP_CONGESTION, kc, &len);
	(void)socket_get_option(ss, b.o, IPPROTO_TCP, TCP_CONGESTION, oc, &o_len);
	assert_int_equal(len, o_len);
	assert_string_equal(kc, oc);
	/* Neither says anything of itself. */
	len = o_len = sizeof(kc);
	assert_int_equal(getsockopt(b.k, IPPROTO_TCP, TCP_CC_INFO, kc, &len), 0);
	assert_int_equal(socket_get_option(ss, b.o, IPPROTO_TCP, TCP_CC_INFO, oc, &o_len), 0);
	assert_int_equal(len, o_len);
	/* Refused by name. */
	static const int refused[] = { TCP_FASTOPEN, TCP_ULP, TCP_REPAIR, TCP_ZEROCOPY_RECEIVE, TCP_SAVED_SYN };

	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		assert_int_equal(host_set(&net.a, b.o, IPPROTO_TCP, refused[i], 1), -ENOPROTOOPT);
	assert_int_equal(host_set(&net.a, b.o, SOL_SOCKET, SO_ZEROCOPY, 1), -ENOPROTOOPT);
	close_both(&b);
	net_end(&net);
}

/* Would catch: a TOS that gives another priority than in Linux, or gives one when it stays what it was. */
static void test_priority_by_tos(void **state)
{
	static const struct option tos = OPTION(IPPROTO_IP, IP_TOS), priority = OPTION(SOL_SOCKET, SO_PRIORITY);
	static const enum kind kinds[] = { FRESH, LISTENER, DATAGRAM };

	net_start(&net);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct both b;

		open_both(kinds[i], &b);
		for (int value = 0; value < 256; value++) {
			for (uint32_t twice = 0; twice < 2; twice++) {
				const int five = 5;

				if (twice > 0) {
					assert_int_equal(setsockopt(b.k, SOL_SOCKET, SO_PRIORITY, &five, sizeof(five)),
							 0);
					assert_int_equal(host_set(&net.a, b.o, SOL_SOCKET, SO_PRIORITY, five), 0);
				}
				assert_int_equal(setsockopt(b.k, tos.level, tos.number, &value, sizeof(value)), 0);
				assert_int_equal(host_set(&net.a, b.o, tos.level, tos.number, value), 0);
				assert_false(differs(kinds[i], &priority, &b, " behind TOS", value));
			}
		}
		close_both(&b);
	}
	net_end(&net);
}

/* A key, changed and taken away, and what is none. Would catch: an errno of TCP_MD5SIG that is not Linux's. */
static void test_md5(void **state)
{
	static const struct {
		const char *why;
		uint16_t family, key_len;
		uint8_t flags, prefix_len;
		uint32_t addr, len;
		int name;
	} rows[] = {
		{ "nothing to be taken away", AF_INET, 0, 0, 0, 1, 216, TCP_MD5SIG },
		{ "a key", AF_INET, 5, 0, 0, 1, 216, TCP_MD5SIG },
		{ "another one", AF_INET, 80, 0, 0, 1, 216, TCP_MD5SIG },
		{ "too long", AF_INET, 81, 0, 0, 1, 216, TCP_MD5SIG },
		{ "too little", AF_INET, 5, 0, 0, 1, 215, TCP_MD5SIG },
		{ "no family of ours", AF_INET6, 5, 0, 0, 1, 216, TCP_MD5SIG },
		{ "a prefix where none is told", AF_INET, 5, 1, 40, 2, 216, TCP_MD5SIG },
		{ "a prefix", AF_INET, 5, 1, 24, 2, 216, TCP_MD5SIG_EXT },
		{ "a prefix that is none", AF_INET, 5, 1, 33, 2, 216, TCP_MD5SIG_EXT },
		{ "a prefix that nobody has set", AF_INET, 0, 1, 25, 2, 216, TCP_MD5SIG_EXT },
		{ "the prefix", AF_INET, 0, 1, 24, 2, 216, TCP_MD5SIG_EXT },
		{ "the address", AF_INET, 0, 0, 0, 1, 216, TCP_MD5SIG },
		{ "it again", AF_INET, 0, 0, 0, 1, 216, TCP_MD5SIG },
	};

	net_start(&net);
	for (enum kind kind = FRESH; kind <= LISTENER; kind++) {
		struct both b;

		open_both(kind, &b);
		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			struct tcp_md5sig sig = { .tcpm_flags = rows[i].flags,
						  .tcpm_prefixlen = rows[i].prefix_len,
						  .tcpm_keylen = rows[i].key_len,
						  .tcpm_key = "a key" };
			struct sockaddr_in in = { .sin_family = rows[i].family,
						  .sin_addr = { htonl(rows[i].addr << 24) } };

			memcpy(&sig.tcpm_addr, &in, sizeof(in));
			int k = setsockopt(b.k, IPPROTO_TCP, rows[i].name, &sig, rows[i].len) == 0 ? 0 : -errno;
			int o = socket_set_option(net.a.ss, b.o, IPPROTO_TCP, rows[i].name, &sig, rows[i].len);

			if (k != o)
				fail_msg("%s, %s: the kernel %d, ours %d", kind_names[kind], rows[i].why, k, o);
		}
		close_both(&b);
	}
	net_end(&net);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_options),
						   cmocka_unit_test(test_kept_and_short), cmocka_unit_test(test_others),
						   cmocka_unit_test(test_md5), cmocka_unit_test(test_priority_by_tos) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
