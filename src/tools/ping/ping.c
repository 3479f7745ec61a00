/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan ping`: echo requests from the gateway's own stack, in iputils'
 * words. Round trips are the difference of two times taken in the worker.
 *
 * After the last request it waits for twice the longest round trip, at least an
 * interval; ten seconds when nothing has come back; or as -W says.
 *
 * With -j one JSON object is written as the answers come, and closed whatever
 * happens.
 */
#include "tools/ping/tools.h"
#include "daemon/control/text/print.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ping/icmp_client.h"
#include "daemon/run/worker.h"
#include "daemon/control/commands/command.h"

#define SEQ_SPACE 65536
#define LINGER_NS (10 * NS_PER_S)
#define TIMED_BYTES 16 /* below so many bytes of data iputils shows no time */

struct ping {
	struct icmp_client client;
	const char *host;
	uint32_t dst;
	uint64_t n_wanted; /* 0: no end */
	uint64_t interval_ns, wait_ns, deadline_ns;
	uint64_t size, ttl, tos, zone;
	bool df, quiet, json;
	struct output out; /* json: "answers" is open */
	/* so far */
	uint64_t n_sent, n_received, n_duplicates, n_errors;
	uint64_t start_ns, last_ns;
	double sum_us, sum_us2, min_us, max_us;
	uint64_t sent_ns[SEQ_SPACE]; /* gateway's clock; 0: not sent */
	bool answered[SEQ_SPACE];
};

bool tools_seconds(const char *text, double min, double max, uint64_t *ns)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end != '\0' || !(v >= min) || !(v <= max))
		return false;
	*ns = (uint64_t)(v * 1e9);
	return true;
}

static const struct out_column answer_columns[] = {
	{ "from", NULL, OUT_IP4 },   { "icmp_seq", NULL, OUT_U64 }, { "ttl", NULL, OUT_U64 },
	{ "bytes", NULL, OUT_U64 },  { "time_us", NULL, OUT_U64 },  { "duplicate", NULL, OUT_YES_NO },
	{ "error", NULL, OUT_TEXT },
};
static const struct out_table answers_table = { "answers", answer_columns, ARRAY_LEN(answer_columns), NULL };

/* iputils shows three digits that mean something. */
static void print_time(double us)
{
	if (us >= 99950)
		printf(" time=%.0f ms", us / 1000);
	else if (us >= 9995)
		printf(" time=%.1f ms", us / 1000);
	else if (us >= 999.5)
		printf(" time=%.2f ms", us / 1000);
	else
		printf(" time=%.3f ms", us / 1000);
}

static const char *const unreachable_texts[] = {
	[0] = "Destination Net Unreachable",
	[1] = "Destination Host Unreachable",
	[2] = "Destination Protocol Unreachable",
	[3] = "Destination Port Unreachable",
	[5] = "Source Route Failed",
	[6] = "Destination Net Unknown",
	[7] = "Destination Host Unknown",
	[9] = "Destination Net Prohibited",
	[10] = "Destination Host Prohibited",
	[11] = "Destination Net Unreachable for Type of Service",
	[12] = "Destination Host Unreachable for Type of Service",
	[13] = "Packet filtered",
	[14] = "Precedence Violation",
	[15] = "Precedence Cutoff",
};

static void error_text(const struct icmp_answer *a, char *buf, size_t len)
{
	if (a->type == 3 && a->code == 4)
		snprintf(buf, len, "Frag needed and DF set (mtu = %u)", a->info & 0xffff);
	else if (a->type == 3 && a->code < ARRAY_LEN(unreachable_texts) && unreachable_texts[a->code] != NULL)
		snprintf(buf, len, "%s", unreachable_texts[a->code]);
	else if (a->type == 11)
		snprintf(buf, len, "%s", a->code == 0 ? "Time to live exceeded" : "Frag reassembly time exceeded");
	else if (a->type == 12)
		snprintf(buf, len, "Parameter problem: pointer = %u", a->info >> 24);
	else
		snprintf(buf, len, "ICMP type=%u code=%u", a->type, a->code);
}

static void show_error(struct ping *p, const struct icmp_answer *a)
{
	char from[IP4_TEXT_MAX], text[80];

	error_text(a, text, sizeof(text));
	if (p->json)
		output_row(&p->out, (struct out_value[]){ OUT_A(a->from), OUT_U(a->seq), OUT_ABSENT, OUT_ABSENT,
							  OUT_ABSENT, OUT_ABSENT, OUT_T(text) });
	else
		printf("From %s icmp_seq=%u %s\n", ip4_format(a->from, from), a->seq, text);
}

static void count_time(struct ping *p, double us)
{
	if (p->n_received == 0 || us < p->min_us)
		p->min_us = us;
	if (us > p->max_us)
		p->max_us = us;
	p->sum_us += us;
	p->sum_us2 += us * us;
}

static void show_reply(struct ping *p, const struct icmp_answer *a, double us, bool again)
{
	bool is_timed = p->size >= TIMED_BYTES;
	char from[IP4_TEXT_MAX];

	if (p->json) {
		output_row(&p->out, (struct out_value[]){ OUT_A(a->from), OUT_U(a->seq), OUT_U(a->ttl), OUT_U(a->len),
							  is_timed ? OUT_U((uint64_t)us) : OUT_ABSENT, OUT_Y(again),
							  OUT_ABSENT });
		return;
	}
	printf("%u bytes from %s: icmp_seq=%u ttl=%u", a->len, ip4_format(a->from, from), a->seq, a->ttl);
	if (is_timed)
		print_time(us);
	printf("%s\n", again ? " (DUP!)" : "");
}

static void on_reply(struct ping *p, const struct icmp_answer *a)
{
	bool again = p->answered[a->seq];
	uint64_t sent = p->sent_ns[a->seq];
	double us = sent != 0 && a->time_ns > sent ? (double)(a->time_ns - sent) / 1000 : 0;

	if (again) {
		p->n_duplicates++;
	} else {
		count_time(p, us);
		p->n_received++;
		p->answered[a->seq] = true;
	}
	p->last_ns = worker_clock();
	if (!p->quiet)
		show_reply(p, a, us, again);
}

/* The exit status if ping cannot go on, else -1. */
static int on_failed(struct ping *p, const struct icmp_answer *a)
{
	if (a->error == ENETUNREACH && p->n_sent == 1) {
		fprintf(stderr, "ping: connect: Network is unreachable\n");
		return EXIT_USAGE;
	}
	if (a->error == EMSGSIZE)
		fprintf(stderr, "ping: local error: message too long\n");
	else
		fprintf(stderr, "ping: sendmsg: %s\n", strerror(a->error));
	p->n_errors++;
	return -1;
}

static void on_answer(struct ping *p, const struct icmp_answer *a)
{
	if (a->type == 0) {
		on_reply(p, a);
	} else {
		p->n_errors++;
		if (!p->quiet)
			show_error(p, a);
	}
	fflush(stdout);
}

/* Mean and standard deviation of the round trips. */
static void rtt(const struct ping *p, double *avg, double *mdev)
{
	*avg = p->sum_us / (double)p->n_received;
	double var = p->sum_us2 / (double)p->n_received - *avg * *avg;

	*mdev = var > 0 ? sqrt(var) : 0;
}

static void put_statistics(struct ping *p)
{
	const struct {
		const char *key;
		uint64_t value;
	} counts[] = {
		{ "transmitted", p->n_sent },
		{ "received", p->n_received },
		{ "duplicates", p->n_duplicates },
		{ "errors", p->n_errors },
		{ "time_ms", (p->last_ns - p->start_ns) / NS_PER_MS },
	};
	double avg, mdev;

	output_table_end(&p->out);
	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		print_json_value(&p->out, counts[i].key, OUT_U64, OUT_U(counts[i].value));
	if (p->n_sent > 0)
		print_json_value(&p->out, "loss_percent", OUT_TENTHS,
				 OUT_U(1000 * (p->n_sent - p->n_received) / p->n_sent));
	if (p->n_received == 0 || p->size < TIMED_BYTES)
		return;
	rtt(p, &avg, &mdev);
	print_json_value(&p->out, "rtt_min_us", OUT_U64, OUT_U((uint64_t)p->min_us));
	print_json_value(&p->out, "rtt_avg_us", OUT_U64, OUT_U((uint64_t)avg));
	print_json_value(&p->out, "rtt_max_us", OUT_U64, OUT_U((uint64_t)p->max_us));
	print_json_value(&p->out, "rtt_mdev_us", OUT_U64, OUT_U((uint64_t)mdev));
}

static void print_statistics(struct ping *p)
{
	double lost = p->n_sent > 0 ? 100.0 * (double)(p->n_sent - p->n_received) / (double)p->n_sent : 0;
	double avg, mdev;

	if (p->json) {
		put_statistics(p);
		return;
	}
	printf("\n--- %s ping statistics ---\n", p->host);
	printf("%llu packets transmitted, %llu received", (unsigned long long)p->n_sent,
	       (unsigned long long)p->n_received);
	if (p->n_duplicates > 0)
		printf(", +%llu duplicates", (unsigned long long)p->n_duplicates);
	if (p->n_errors > 0)
		printf(", +%llu errors", (unsigned long long)p->n_errors);
	printf(", %g%% packet loss, time %llums\n", (double)(float)lost,
	       (unsigned long long)((p->last_ns - p->start_ns) / NS_PER_MS));
	if (p->n_received > 0 && p->size >= TIMED_BYTES) {
		rtt(p, &avg, &mdev);
		printf("rtt min/avg/max/mdev = %.3f/%.3f/%.3f/%.3f ms\n", p->min_us / 1000, avg / 1000,
		       p->max_us / 1000, mdev / 1000);
	} else {
		printf("\n");
	}
	fflush(stdout);
}

static int send_next(struct ping *p)
{
	struct icmp_request rq = {
		.dst = p->dst,
		.seq = (uint16_t)(p->n_sent + 1),
		.data_len = (uint16_t)p->size,
		.ttl = (uint8_t)p->ttl,
		.tos = (uint8_t)p->tos,
		.df = p->df,
		.zone = (uint16_t)p->zone,
	};

	p->answered[rq.seq] = false;
	p->sent_ns[rq.seq] = 0;
	p->n_sent++;
	p->last_ns = worker_clock();
	return icmp_client_send(&p->client, &rq);
}

/* When to give up waiting behind the last request. */
static uint64_t give_up(const struct ping *p)
{
	uint64_t wait = LINGER_NS;

	if (p->wait_ns != 0)
		wait = p->wait_ns;
	else if (p->n_received > 0)
		wait = max_u64((uint64_t)(p->max_us * 2000), p->interval_ns);
	return p->last_ns + wait;
}

/* Everything from the first request to the last answer. The exit status. */
static int run(struct ping *p)
{
	uint64_t next = worker_clock();

	p->start_ns = p->last_ns = next;
	uint64_t end = p->deadline_ns != 0 ? p->start_ns + p->deadline_ns : TIME_NEVER;
	for (;;) {
		bool all_sent = p->n_wanted != 0 && p->n_sent == p->n_wanted;
		uint64_t now = worker_clock();
		if (now >= end)
			break;
		if (all_sent && (p->n_received + p->n_errors >= p->n_wanted || now >= give_up(p)))
			break;
		if (!all_sent && now >= next) {
			if (send_next(p) != 0)
				return EXIT_FAILED;
			next += p->interval_ns;
			continue;
		}
		struct icmp_answer a = icmp_client_next(&p->client, min_u64(end, all_sent ? give_up(p) : next));
		int status = -1;
		switch (a.kind) {
		case ICMP_ANSWER_SENT:
			p->sent_ns[a.seq] = a.time_ns;
			break;
		case ICMP_ANSWER_FAILED:
			status = on_failed(p, &a);
			break;
		case ICMP_ANSWER_GOT:
			on_answer(p, &a);
			break;
		case ICMP_ANSWER_NONE:
			break;
		case ICMP_ANSWER_INTERRUPTED:
			end = 0;
			break;
		case ICMP_ANSWER_END:
			fprintf(stderr, "ping: the gateway has ended\n");
			status = EXIT_USAGE;
			break;
		}
		if (status >= 0)
			return status;
	}
	print_statistics(p);
	if (p->deadline_ns != 0 && p->n_wanted != 0)
		return p->n_received >= p->n_wanted ? EXIT_OK : EXIT_FAILED;
	return p->n_received > 0 ? EXIT_OK : EXIT_FAILED;
}

static const struct arg_option ping_options[] = {
	{ 'c', "count", "N", "stop after N requests" },
	{ 'i', "interval", "SECONDS", "between two requests (default 1, at least 0.002)" },
	{ 's', "size", "BYTES", "of data (default 56)" },
	{ 't', "ttl", "N", "time to live of the requests" },
	{ 'Q', "tos", "N", "type of service byte" },
	{ 'M', "pmtudisc", "do|dont", "do: never fragment; dont: allow it (default)" },
	{ 'w', "deadline", "SECONDS", "end after so long" },
	{ 'W', "wait", "SECONDS", "wait so long for the last answers" },
	{ 'Z', "zone", "N", "by the routing table of this zone (default 0)" },
	{ 'q', "quiet", NULL, "only the summary" },
	{ 'j', "json", NULL, "JSON instead of text" },
	{ 'n', "numeric", NULL, "changes nothing: answers are always shown as numbers" },
	{ 0, "socket", "PATH", "the gateway's control socket (default: by network namespace)" },
	{ 0 },
};

const struct command_info ping_info = {
	.name = "ping",
	.synopsis = "[-c N] [-i SECONDS] [-s BYTES] [-t TTL] [-M do] [-W SECONDS] [-Z ZONE] [-q] [-j] DESTINATION",
	.help = "ping from the gateway itself",
	.options = ping_options,
	.more = "Exit status: 0 if there was an answer, 1 if there was none, 2 for other trouble.",
	.example = "  yangguan ping -c 3 10.77.0.2",
};

static int complain(const char *text)
{
	fprintf(stderr, "ping: %s\n", text);
	return EXIT_USAGE;
}

static int read_options(struct ping *p, const struct args *a)
{
	const char *interval = args_value(a, "interval"), *wait = args_value(a, "wait");
	const char *deadline = args_value(a, "deadline"), *pmtu = args_value(a, "pmtudisc");
	char err[160];

	p->interval_ns = NS_PER_S;
	p->size = 56;
	if (!args_number(a, "count", 1, UINT32_MAX, &p->n_wanted, err, sizeof(err)) ||
	    !args_number(a, "size", 0, 65507, &p->size, err, sizeof(err)) ||
	    !args_number(a, "ttl", 1, 255, &p->ttl, err, sizeof(err)) ||
	    !args_number(a, "tos", 0, 255, &p->tos, err, sizeof(err)) ||
	    !args_number(a, "zone", 0, UINT16_MAX, &p->zone, err, sizeof(err)))
		return complain(err);
	if (interval != NULL && !tools_seconds(interval, 0.002, 1e6, &p->interval_ns))
		return complain("-i needs seconds, at least 0.002");
	if (wait != NULL && !tools_seconds(wait, 0.001, 1e6, &p->wait_ns))
		return complain("-W needs seconds");
	if (deadline != NULL && !tools_seconds(deadline, 0.001, 1e6, &p->deadline_ns))
		return complain("-w needs seconds");
	if (pmtu != NULL && strcmp(pmtu, "do") != 0 && strcmp(pmtu, "dont") != 0)
		return complain("-M knows `do` and `dont`");
	p->df = pmtu != NULL && strcmp(pmtu, "do") == 0;
	p->quiet = args_has(a, "quiet");
	p->json = args_has(a, "json");
	if (a->n_words != 1)
		return complain("one destination, please (see: yangguan ping --help)");
	p->host = a->word[0];
	return icmp_client_resolve("ping", p->host, &p->dst) ? 0 : EXIT_USAGE;
}

static void show_head(struct ping *p)
{
	char dst[IP4_TEXT_MAX];

	if (p->json) {
		print_json_begin(&p->out);
		print_json_value(&p->out, "destination", OUT_TEXT, OUT_T(p->host));
		print_json_value(&p->out, "address", OUT_IP4, OUT_A(p->dst));
		print_json_value(&p->out, "bytes", OUT_U64, OUT_U(p->size));
		output_table_begin(&p->out, &answers_table);
	} else {
		printf("PING %s (%s) %llu(%llu) bytes of data.\n", p->host, ip4_format(p->dst, dst),
		       (unsigned long long)p->size, (unsigned long long)p->size + 28);
	}
	fflush(stdout);
}

int ping_main(int argc, char **argv)
{
	struct args a;
	char err[160];

	if (args_parse(&a, ping_options, argc - 1, (const char *const *)argv + 1, err, sizeof(err)) != 0)
		return complain(err);
	if (a.help) {
		command_info_print(&ping_info, stdout);
		return EXIT_OK;
	}
	struct ping *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return complain("no memory");
	int status = read_options(p, &a);
	if (status == 0)
		status = icmp_client_open(&p->client, "ping", args_value(&a, "socket"));
	if (status == 0) {
		show_head(p);
		status = run(p);
		if (p->json)
			output_end(&p->out);
		icmp_client_close(&p->client);
	}
	free(p);
	return status;
}
