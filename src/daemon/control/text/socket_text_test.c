/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/util.h"
#include "daemon/control/text/socket_text.h"

static struct socket_entry connection(void)
{
	return (struct socket_entry){
		.kind = SOCKET_TCP,
		.protocol = IPPROTO_NR_TCP,
		.number = 5,
		.id = 0x60100000017,
		.t = { .kind = TCP_ENTRY_CONN,
		       .state = TCP_ESTABLISHED,
		       .local = { ip_addr_v4(IP4(10, 0, 0, 1)), 40000 },
		       .remote = { ip_addr_v4(IP4(203, 0, 113, 80)), 80 },
		       .recv_q = 3,
		       .send_q = 1448,
		       .n_timers = 2,
		       .timer = { { TCP_TIMER_ON, 1, 204 * NS_PER_MS }, { TCP_TIMER_DELACK, 0, 38 * NS_PER_MS } },
		       .rcvbuf = 131072,
		       .sndbuf = 87040,
		       .has_info = true,
		       .congestion = "cubic",
		       .n_facts = 2,
		       .fact = { { "w_max", 50000 }, { "k_ms", 12 } },
		       .info = { .options = 7,
				 .snd_wscale = 7,
				 .rcv_wscale = 8,
				 .rto = 204000,
				 .rtt = 1500,
				 .rttvar = 750,
				 .snd_mss = 1448,
				 .pmtu = 1500,
				 .rcv_mss = 536,
				 .advmss = 1460,
				 .snd_cwnd = 10,
				 .snd_ssthresh = 0x7fffffff,
				 .bytes_acked = 17,
				 .segs_out = 4,
				 .segs_in = 3,
				 .last_data_sent = 20,
				 .last_ack_recv = 19,
				 .pacing_rate = UINT64_MAX,
				 .unacked = 1,
				 .total_retrans = 2,
				 .reordering = 3,
				 .min_rtt = 1000,
				 .snd_wnd = 65536 } },
	};
}

static void assert_line(const struct socket_text_form *f, const struct socket_entry *e, const char *want)
{
	char buf[SOCKET_TEXT_MAX];
	struct text t = text_of(buf, sizeof(buf));

	socket_text_line(&t, f, e);
	assert_string_equal(buf, want);
	assert_false(t.cut);
}

/* Would catch: a word, an order or a unit that is not ss's. */
static void test_line(void **state)
{
	struct socket_entry e = connection();
	char buf[256];
	struct text t = text_of(buf, sizeof(buf));

	socket_text_header(&t, &(struct socket_text_form){ .netid = true });
	assert_string_equal(buf, "Netid State      Recv-Q Send-Q   Local Address:Port     Peer Address:Port  Process");
	assert_line(&(struct socket_text_form){ .netid = true }, &e,
		    "tcp   ESTAB      3      1448          10.0.0.1:40000    203.0.113.80:80   ");
	assert_line(&(struct socket_text_form){ .info = true }, &e,
		    "ESTAB      3      1448          10.0.0.1:40000    203.0.113.80:80   \n\t ts sack cubic wscale:7,8 "
		    "rto:204 rtt:1.5/0.75 mss:1448 pmtu:1500 rcvmss:536 advmss:1460 cwnd:10 bytes_acked:17 segs_out:4 "
		    "segs_in:3 cubic:(w_max:50000,k_ms:12) send 77226666bps lastsnd:20 lastack:19 unacked:1 "
		    "retrans:0/2 minrtt:1 snd_wnd:65536");
	assert_line(&(struct socket_text_form){ .timers = true, .extended = true, .memory = true, .one_line = true },
		    &e,
		    "ESTAB      3      1448          10.0.0.1:40000    203.0.113.80:80    timer:(on,204ms,1) "
		    "timer:(delack,038ms,0) fd:5 sk:60100000017 skmem:(r0,rb131072,t0,tb87040,f0,w1448,o0,bl0,d0)");
}

/* Would catch: times that ss writes otherwise. */
static void test_times(void **state)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} rows[] = {
		{ 36, "036ms" },
		{ 1200, "1.200ms" },
		{ 1000, "1sec" },
		{ 58400, "58sec" },
		{ 92000, "1min32sec" },
		{ 61500, "1min1sec" },
		{ 119 * 60000 + 1000, "119min" },
		{ 0, "000ms" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct socket_entry e = { .protocol = IPPROTO_NR_TCP, .t = { .state = TCP_TIME_WAIT, .n_timers = 1 } };
		char want[160];

		e.t.timer[0] = (struct tcp_timer){ TCP_TIMER_TIME_WAIT, 0, rows[i].ms * NS_PER_MS };
		snprintf(want, sizeof(want),
			 "TIME-WAIT  0      0                    -:*                   -:*     timer:(timewait,%s,0)",
			 rows[i].text);
		assert_line(&(struct socket_text_form){ .timers = true }, &e, want);
	}
}

/* Would catch: an end that is not told; a listener or UDP socket with what only connections have. */
static void test_others(void **state)
{
	struct socket_entry e = { .kind = SOCKET_TCP,
				  .protocol = IPPROTO_NR_TCP,
				  .number = -1,
				  .t = { .state = TCP_CLOSED,
					 .local = { ip_addr_v4(0), 0 },
					 .remote = { ip_addr_v4(0), 0 },
					 .side = TCP_SIDE_REMOTE,
					 .reason = TCP_REASON_RESET,
					 .error = 104 } };

	assert_line(&(struct socket_text_form){ .info = true, .extended = true }, &e,
		    "UNCONN     0      0              0.0.0.0:*             0.0.0.0:*     sk:0\n\t closed:remote "
		    "why:reset "
		    "err:104");
	e = (struct socket_entry){ .kind = SOCKET_LISTENER,
				   .protocol = IPPROTO_NR_TCP,
				   .number = 3,
				   .t = { .state = TCP_LISTEN,
					  .local = { ip_addr_v4(0), 80 },
					  .remote = { ip_addr_v4(0), 0 },
					  .recv_q = 1,
					  .send_q = 7,
					  .has_info = true,
					  .congestion = "reno",
					  .info = { .unacked = 1, .sacked = 7 } } };
	assert_line(&(struct socket_text_form){ .info = true }, &e,
		    "LISTEN     1      7              0.0.0.0:80            0.0.0.0:*    \n\t reno");
	e = (struct socket_entry){
		.kind = SOCKET_UDP,
		.protocol = IPPROTO_NR_UDP,
		.number = 4,
		.ifindex = 2,
		.n_dropped = 9,
		.t = { .local = { ip_addr_v4(0), 53 }, .remote = { ip_addr_v4(0), 0 }, .recv_q = 832 }
	};
	assert_line(&(struct socket_text_form){ .info = true, .memory = true }, &e,
		    "UNCONN     832    0            0.0.0.0%2:53            0.0.0.0:*    \n\t "
		    "skmem:(r0,rb0,t0,tb0,f0,w0,o0,bl0,d9)");
}

static void append(void *ctx, const char *text, size_t len)
{
	strncat(ctx, text, len);
}

static void assert_has(const char *json, const char *part)
{
	if (strstr(json, part) == NULL)
		fail_msg("%s is not in %s", part, json);
}

/* Would catch: a field by another key, or of another unit than its key says; parts that nobody asked for. */
static void test_json(void **state)
{
	struct socket_entry e = connection();
	char json[8192] = "";
	struct output o;

	output_begin(&o, OUTPUT_JSON, OUTPUT_LIST, append, json);
	output_table_begin(&o, &socket_json_table);
	socket_json_row(&o, &(struct socket_text_form){ .info = true, .timers = true, .memory = true }, &e);
	output_end(&o);
	assert_has(json,
		   "\"state\":\"ESTAB\",\"recv_q\":3,\"send_q\":1448,\"local\":\"10.0.0.1\",\"local_port\":40000");
	assert_has(json,
		   "\"timer\":{\"name\":\"on\",\"left_ms\":204,\"retrans\":1},\"timers\":{\"on\":204,\"delack\":38}");
	assert_has(json, "\"congestion_state\":{\"w_max\":50000,\"k_ms\":12}");
	assert_has(json, "\"rtt_us\":1500");
	assert_has(json, "\"ca_state\":\"open\"");
	assert_has(json, "\"skmem\":{\"r\":0,\"rb\":131072");
	assert_null(strstr(json, "pacing_rate"));
	assert_null(strstr(json, "closed_by"));
	json[0] = '\0';
	output_begin(&o, OUTPUT_JSON, OUTPUT_LIST, append, json);
	output_table_begin(&o, &socket_json_table);
	socket_json_row(&o, &(struct socket_text_form){ .netid = true }, &e);
	output_end(&o);
	assert_null(strstr(json, "\"info\""));
	assert_null(strstr(json, "timer"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
