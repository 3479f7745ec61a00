/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan traceroute`: the way from the gateway to a destination, by ICMP echo
 * requests with a growing time to live. The probes of one hop go out together;
 * a hop is over when all are answered, or when the wait is.
 */
#include "tools/ping/tools.h"
#include "daemon/control/text/print.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ping/icmp_client.h"
#include "daemon/run/worker.h"
#include "daemon/control/commands/command.h"

#define PROBES_MAX 10
#define PACKET_BYTES 60 /* IP and ICMP headers included */
#define HEADERS 28
/* When others of the same hop have answered, the rest is waited for this many times as long. */
#define HERE_FACTOR 3
#define HERE_MIN_NS (200 * NS_PER_MS)

struct probe {
	uint64_t sent_ns;
	bool done, is_failed;
	struct icmp_answer answer;
};

struct trace {
	struct icmp_client client;
	uint32_t dst;
	uint64_t n_probes, max_ttl, first_ttl, bytes, wait_ns, zone;
	uint16_t first_seq; /* of the hop's probes */
	struct probe probe[PROBES_MAX];
	bool reached, json;
	struct output out; /* json: "probes" is open */
};

/* What the classic program puts behind a time; "" for nothing. */
static void mark(const struct icmp_answer *a, char buf[16])
{
	static const char letters[] = {
		[0] = 'N', [1] = 'H', [2] = 'P', [5] = 'S', [9] = 'X', [10] = 'X', [13] = 'X', [14] = 'V', [15] = 'C'
	};

	buf[0] = '\0';
	if (a->type != 3)
		return;
	if (a->code == 4)
		snprintf(buf, 16, " !F-%u", a->info & 0xffff);
	else if (a->code < sizeof(letters) && letters[a->code] != 0)
		snprintf(buf, 16, " !%c", letters[a->code]);
	else
		snprintf(buf, 16, " !<%u>", a->code);
}

static uint64_t time_of(const struct probe *p)
{
	return p->answer.time_ns > p->sent_ns ? p->answer.time_ns - p->sent_ns : 0;
}

static const struct out_column probe_columns[] = {
	{ "hop", NULL, OUT_U64 },
	{ "from", NULL, OUT_IP4 },
	{ "time_us", NULL, OUT_U64 },
	{ "mark", NULL, OUT_TEXT },
};
static const struct out_table probes_table = { "probes", probe_columns, ARRAY_LEN(probe_columns), NULL };

/* A probe without an answer has its hop only. */
static void put_hop(struct trace *t, uint64_t ttl)
{
	char text[16];

	for (size_t i = 0; i < t->n_probes; i++) {
		const struct probe *p = &t->probe[i];
		struct out_value row[] = { OUT_U(ttl), OUT_ABSENT, OUT_ABSENT, OUT_ABSENT };

		if (p->done && !p->is_failed) {
			mark(&p->answer, text);
			row[1] = OUT_A(p->answer.from);
			row[2] = OUT_U(time_of(p) / 1000);
			row[3] = text[0] != '\0' ? OUT_T(text + 1) : OUT_ABSENT;
		}
		output_row(&t->out, row);
	}
	fflush(stdout);
}

static void print_hop(const struct trace *t, uint64_t ttl)
{
	uint32_t last = 0;
	char addr[IP4_TEXT_MAX], text[16];

	printf("%2llu ", (unsigned long long)ttl);
	for (size_t i = 0; i < t->n_probes; i++) {
		const struct probe *p = &t->probe[i];
		if (!p->done || p->is_failed) {
			printf(" *");
			continue;
		}
		if (p->answer.from != last)
			printf(" %s", ip4_format(p->answer.from, addr));
		last = p->answer.from;
		mark(&p->answer, text);
		printf("  %.3f ms%s", (double)time_of(p) / 1e6, text);
	}
	printf("\n");
	fflush(stdout);
}

/* How long the hop may still take, given what has come. */
static uint64_t hop_deadline(const struct trace *t, uint64_t start)
{
	uint64_t longest = 0;

	for (size_t i = 0; i < t->n_probes; i++) {
		const struct probe *p = &t->probe[i];
		if (p->done && !p->is_failed && p->answer.time_ns > p->sent_ns)
			longest = max_u64(longest, p->answer.time_ns - p->sent_ns);
	}
	if (longest == 0)
		return start + t->wait_ns;
	return start + min_u64(t->wait_ns, max_u64(longest * HERE_FACTOR, HERE_MIN_NS));
}

static size_t n_done(const struct trace *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n_probes; i++)
		n += t->probe[i].done;
	return n;
}

/* The exit status if it is over, else -1. */
static int take_answer(struct trace *t, const struct icmp_answer *a)
{
	uint16_t i = (uint16_t)(a->seq - t->first_seq);

	if (a->kind == ICMP_ANSWER_INTERRUPTED)
		return EXIT_FAILED;
	if (a->kind == ICMP_ANSWER_END) {
		fprintf(stderr, "traceroute: the gateway has ended\n");
		return EXIT_USAGE;
	}
	if (a->kind == ICMP_ANSWER_NONE || i >= t->n_probes)
		return -1;
	struct probe *p = &t->probe[i];
	if (a->kind == ICMP_ANSWER_FAILED) {
		if (a->error == ENETUNREACH) {
			fprintf(stderr, "connect: Network is unreachable\n");
			return EXIT_FAILED;
		}
		p->done = p->is_failed = true;
	} else if (a->kind == ICMP_ANSWER_SENT) {
		p->sent_ns = a->time_ns;
	} else if (!p->done) {
		p->done = true;
		p->answer = *a;
		t->reached = t->reached || a->type != 11;
	}
	return -1;
}

static int do_hop(struct trace *t, uint64_t ttl)
{
	memset(t->probe, 0, sizeof(t->probe));
	for (size_t i = 0; i < t->n_probes; i++) {
		struct icmp_request rq = {
			.dst = t->dst,
			.seq = (uint16_t)(t->first_seq + i),
			.data_len = (uint16_t)(t->bytes - HEADERS),
			.ttl = (uint8_t)ttl,
			.zone = (uint16_t)t->zone,
		};
		if (icmp_client_send(&t->client, &rq) != 0)
			return EXIT_FAILED;
	}
	uint64_t start = worker_clock();
	while (n_done(t) < t->n_probes && worker_clock() < hop_deadline(t, start)) {
		struct icmp_answer a = icmp_client_next(&t->client, hop_deadline(t, start));
		int status = take_answer(t, &a);
		if (status >= 0)
			return status;
	}
	if (t->json)
		put_hop(t, ttl);
	else
		print_hop(t, ttl);
	t->first_seq = (uint16_t)(t->first_seq + t->n_probes);
	return -1;
}

static int run(struct trace *t)
{
	for (uint64_t ttl = t->first_ttl; ttl <= t->max_ttl && !t->reached; ttl++) {
		int status = do_hop(t, ttl);
		if (status >= 0)
			return status;
	}
	return EXIT_OK;
}

static const struct arg_option traceroute_options[] = {
	{ 'm', "max-hops", "N", "the longest way (default 30)" },
	{ 'f', "first", "N", "begin with this time to live (default 1)" },
	{ 'q', "queries", "N", "probes a hop (default 3, at most 10)" },
	{ 'w', "wait", "SECONDS", "for an answer (default 5)" },
	{ 'Z', "zone", "N", "by the routing table of this zone (default 0)" },
	{ 'n', "numeric", NULL, "changes nothing: hops are always shown as numbers" },
	{ 'j', "json", NULL, "JSON instead of text" },
	{ 'I', "icmp", NULL, "changes nothing: probes are always ICMP echo requests" },
	{ 0, "socket", "PATH", "the gateway's control socket (default: by network namespace)" },
	{ 0 },
};

const struct command_info traceroute_info = {
	.name = "traceroute",
	.synopsis = "[-m HOPS] [-q N] [-w SECONDS] [-Z ZONE] [-j] DESTINATION [BYTES]",
	.help = "the way from the gateway itself to a destination",
	.options = traceroute_options,
	.more = "!H, !N, !P: host, network or protocol unreachable; !X: forbidden; !F-MTU: too big.",
	.example = "  yangguan traceroute 203.0.113.80",
};

static int complain(const char *text)
{
	fprintf(stderr, "traceroute: %s\n", text);
	return EXIT_USAGE;
}

static int read_options(struct trace *t, const struct args *a)
{
	const char *wait = args_value(a, "wait");
	char err[160];

	t->n_probes = 3;
	t->max_ttl = 30;
	t->first_ttl = 1;
	t->bytes = PACKET_BYTES;
	t->wait_ns = 5 * NS_PER_S;
	t->json = args_has(a, "json");
	if (!args_number(a, "max-hops", 1, 255, &t->max_ttl, err, sizeof(err)) ||
	    !args_number(a, "first", 1, t->max_ttl, &t->first_ttl, err, sizeof(err)) ||
	    !args_number(a, "queries", 1, PROBES_MAX, &t->n_probes, err, sizeof(err)) ||
	    !args_number(a, "zone", 0, UINT16_MAX, &t->zone, err, sizeof(err)))
		return complain(err);
	if (wait != NULL && !tools_seconds(wait, 0.001, 1e4, &t->wait_ns))
		return complain("-w needs seconds");
	if (a->n_words == 2) {
		char *end;
		t->bytes = strtoul(a->word[1], &end, 10);
		if (*end != '\0' || t->bytes < HEADERS || t->bytes > 65535)
			return complain("the packet's size is 28 to 65535 bytes");
	}
	if (a->n_words < 1 || a->n_words > 2)
		return complain("one destination, please (see: yangguan traceroute --help)");
	return icmp_client_resolve("traceroute", a->word[0], &t->dst) ? 0 : EXIT_USAGE;
}

static void show_head(struct trace *t, const char *host)
{
	char dst[IP4_TEXT_MAX];

	if (t->json) {
		print_json_begin(&t->out);
		print_json_value(&t->out, "destination", OUT_TEXT, OUT_T(host));
		print_json_value(&t->out, "address", OUT_IP4, OUT_A(t->dst));
		print_json_value(&t->out, "max_hops", OUT_U64, OUT_U(t->max_ttl));
		print_json_value(&t->out, "bytes", OUT_U64, OUT_U(t->bytes));
		output_table_begin(&t->out, &probes_table);
	} else {
		printf("traceroute to %s (%s), %llu hops max, %llu byte packets\n", host, ip4_format(t->dst, dst),
		       (unsigned long long)t->max_ttl, (unsigned long long)t->bytes);
	}
	fflush(stdout);
}

int traceroute_main(int argc, char **argv)
{
	struct args a;
	struct trace t = { .first_seq = 1 };
	char err[160];

	if (args_parse(&a, traceroute_options, argc - 1, (const char *const *)argv + 1, err, sizeof(err)) != 0)
		return complain(err);
	if (a.help) {
		command_info_print(&traceroute_info, stdout);
		return EXIT_OK;
	}
	int status = read_options(&t, &a);
	if (status == 0)
		status = icmp_client_open(&t.client, "traceroute", args_value(&a, "socket"));
	if (status != 0)
		return status;
	show_head(&t, a.word[0]);
	status = run(&t);
	if (t.json) {
		output_table_end(&t.out);
		print_json_value(&t.out, "reached", OUT_YES_NO, OUT_Y(t.reached));
		output_end(&t.out);
	}
	icmp_client_close(&t.client);
	return status;
}
