/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan bbr`: the words of its command line. Flows are made of lists: with `--cc bbr,cubic --rtt 10ms,100ms --flows
 * 4` the four flows take each list in turn.
 *
 * Next: src/tools/bbr/bbr_run.c
 */
#include "tools/bbr/bbr.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "daemon/control/commands/command.h"
#include "tools/bbr/bbr_run.h"

#define LIST_MAX PATH_FLOWS_MAX
#define NAME_MAX_LEN 16u
#define BUFFER_BYTES_MOST 400e6 /* what the memory of both stacks is good for */

static const struct arg_option options[] = {
	{ 'r', "rate", "RATE", "of the bottleneck, bits a second: 100M, 2.5M, 1G (default 100M)" },
	{ 't', "rtt", "TIME,...", "round trips without a queue: 40ms, 500us, 1s (default 40ms)" },
	{ 'b', "buffer", "BDPS", "the bottleneck's buffer in BDP of the first flow: 10, 0.05 (default 10)" },
	{ 'c', "cc", "NAME,...", "congestion controls, a flow each: bbr, bbr1, cubic, reno (default bbr)" },
	{ 'n', "flows", "N", "so many flows, at most 16: lists are taken in turn" },
	{ 0, "start", "TIME", "each flow begins so long after the one before (default 0)" },
	{ 0, "app", "RATE", "the programs write only so fast (default: there is always more)" },
	{ 'l', "loss", "PERCENT", "segments lost at random: 0.1, 0.1%" },
	{ 0, "loss-every", "N", "each N-th segment is lost" },
	{ 0, "policer", "RATE", "a token bucket in front of the buffer" },
	{ 0, "burst", "BDPS", "what the bucket holds (default 1)" },
	{ 0, "ack-batch", "TIME", "acknowledgements leave the receiver only at multiples of this" },
	{ 0, "step", "TIME:RATE", "the rate changes then; up to 4 times" },
	{ 0, "delayed-ack", NULL, "receivers acknowledge every other segment (else each)" },
	{ 's', "seconds", "TIME", "the whole run, in virtual time (default 20s)" },
	{ 0, "from", "TIME", "what is before is not measured (default 0)" },
	{ 0, "seed", "N", "of all that is random (default 1)" },
	{ 0, "speed", "X", "of the live picture: virtual seconds a second (default 2)" },
	{ 0, "plain", NULL, "no picture, also in a terminal" },
	{ 'j', "json", NULL, "JSON" },
	{ 0, "rounds", NULL, "with -j: every round trip" },
	{ 0, "trace", "TIME", "with -j: the first flow's time line, a point so often" },
	{ 0, "trace-from", "TIME", "... from then on" },
	{ 0, "trace-until", "TIME", "... until then" },
	{ 0 },
};

const struct command_info bbr_info = {
	.name = "bbr",
	.synopsis = "[OPTIONS]",
	.help = "congestion control over a path in virtual time: Kleinrock's plane, live",
	.options = options,
	.more = "TCP flows over one bottleneck, both ends of each a stack of libyangguan, in virtual time: the same "
		"words give\n"
		"the same run. In a terminal each round trip is a dot: in flight against rate (above) and round trip "
		"(below),\n"
		"in the colour of the congestion control's state; the ring is the optimum. Then, or at once where "
		"standard\n"
		"output is no terminal, a table. power is (rate / path) / (RTT / RTT without a queue): 1 is the "
		"optimum.",
	.example = "  yangguan bbr --rate 100M --rtt 40ms --buffer 10\n"
		   "  yangguan bbr --cc bbr,cubic --buffer 2 --seconds 60s --loss 0.01%",
};

/* --- values --- */

struct words {
	const struct args *a;
	char err[200];
};

static bool wrong(struct words *w, const char *option, const char *text, const char *what)
{
	(void)snprintf(w->err, sizeof(w->err), "--%s %.40s: %s", option, text, what);
	return false;
}

/* A number and behind it one of the units, which are ended by one without a name; a unit that is "" may be left out. */
struct unit {
	const char *name;
	double factor;
};

static bool read_unit(const char *text, size_t len, const struct unit *units, double *out)
{
	char copy[48];
	char *end;

	if (len == 0 || len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	double v = strtod(copy, &end);

	/* strtod knows words and hexadecimal numbers too. */
	if (end == copy || !isfinite(v) || v < 0 || strpbrk(copy, "xXnN") != NULL)
		return false;
	for (const struct unit *u = units; u->name != NULL; u++)
		if (strcmp(end, u->name) == 0) {
			*out = v * u->factor;
			return true;
		}
	return false;
}

static const struct unit rate_units[] = { { "", 1 },       { "k", 1e3 },    { "M", 1e6 },    { "G", 1e9 },
					  { "kbit", 1e3 }, { "Mbit", 1e6 }, { "Gbit", 1e9 }, { NULL, 0 } };
static const struct unit time_units[] = { { "ms", 1e6 }, { "s", 1e9 }, { "us", 1e3 }, { NULL, 0 } };
static const struct unit percent_units[] = { { "", 1 }, { "%", 1 }, { NULL, 0 } };
static const struct unit no_units[] = { { "", 1 }, { NULL, 0 } };

static const struct kind {
	const struct unit *units;
	double min, max;
	const char *what;
} rate_kind = { rate_units, 1e4, 1e11, "not a rate from 10k to 100G" },
  rtt_kind = { time_units, 0, 2e9, "not a time from 0ms to 2s" },
  span_kind = { time_units, 0, 3600e9, "not a time from 0s to 3600s" },
  percent_kind = { percent_units, 0, 99, "not a percentage from 0 to 99" },
  bdp_kind = { no_units, 0, 1000, "not a number of BDPs from 0 to 1000" },
  speed_kind = { no_units, 0.01, 1000, "not a number from 0.01 to 1000" };

static bool read_value(struct words *w, const char *option, const char *text, size_t len, const struct kind *k,
		       double *out)
{
	double v;

	if (!read_unit(text, len, k->units, &v) || v < k->min || v > k->max)
		return wrong(w, option, text, k->what);
	*out = v;
	return true;
}

static bool value(struct words *w, const char *option, const struct kind *k, double *out)
{
	const char *text = args_value(w->a, option);

	return text == NULL || read_value(w, option, text, strlen(text), k, out);
}

static bool number(struct words *w, const char *option, uint64_t min, uint64_t max, uint64_t *out)
{
	return args_number(w->a, option, min, max, out, w->err, sizeof(w->err));
}

/* --- lists, and what is made of all --- */

struct list {
	uint32_t n;
	double value[LIST_MAX];
	char name[LIST_MAX][NAME_MAX_LEN];
};

static bool read_list(struct words *w, const char *option, const char *text, const struct kind *k, struct list *l)
{
	for (l->n = 0;; text++) {
		size_t len = strcspn(text, ",");

		if (l->n == LIST_MAX)
			return wrong(w, option, text, "more than 16");
		if (len == 0 || (k == NULL && len >= NAME_MAX_LEN))
			return wrong(w, option, text, "not a name");
		if (k != NULL && !read_value(w, option, text, len, k, &l->value[l->n]))
			return false;
		if (k == NULL)
			memcpy(l->name[l->n], text, len);
		l->n++;
		text += len;
		if (*text == '\0')
			return true;
	}
}

static bool read_step(struct words *w, struct bbr_ask *ask, uint32_t i, const char *text)
{
	const char *colon = strchr(text, ':');
	double at, rate;

	if (i >= SIM_STEPS_MAX)
		return wrong(w, "step", text, "more than 4 of them");
	if (colon == NULL)
		return wrong(w, "step", text, "not TIME:RATE, as in 10s:10M");
	if (!read_value(w, "step", text, (size_t)(colon - text), &span_kind, &at) ||
	    !read_value(w, "step", colon + 1, strlen(colon + 1), &rate_kind, &rate))
		return false;
	if (at < 1 || (i > 0 && (uint64_t)at <= ask->sim.step[i - 1].at_ns))
		return wrong(w, "step", text, "not after the one before");
	ask->sim.step[i] = (struct sim_step){ (uint64_t)at, (uint64_t)rate };
	return true;
}

static bool read_path(struct words *w, struct bbr_ask *ask)
{
	struct path_config *p = &ask->sim.path;
	double rate = 100e6, loss = 0, policer = 0, ack = 0;

	if (!value(w, "rate", &rate_kind, &rate) || !value(w, "loss", &percent_kind, &loss) ||
	    !value(w, "policer", &rate_kind, &policer) || !value(w, "ack-batch", &rtt_kind, &ack))
		return false;
	p->rate_bps = (uint64_t)rate;
	p->loss_ppm = (uint32_t)(loss * 1e4 + 0.5);
	p->policer_bps = (uint64_t)policer;
	p->ack_batch_ns = (uint64_t)ack;
	for (uint32_t i = 0;; i++) {
		const char *text = args_nth(w->a, "step", i);

		if (text == NULL)
			break;
		if (!read_step(w, ask, i, text))
			return false;
	}
	return number(w, "loss-every", 2, UINT32_MAX, &ask->sim.loss_every);
}

static bool read_flows(struct words *w, struct bbr_ask *ask, struct list *names)
{
	struct list rtts = { .n = 1, .value = { 40e6 } };
	const char *cc = args_value(w->a, "cc"), *rtt = args_value(w->a, "rtt");
	double start = 0, app = 0;
	uint64_t n = 0;

	if (!read_list(w, "cc", cc != NULL ? cc : "bbr", NULL, names) ||
	    (rtt != NULL && !read_list(w, "rtt", rtt, &rtt_kind, &rtts)) ||
	    !number(w, "flows", 1, PATH_FLOWS_MAX, &n) || !value(w, "start", &span_kind, &start) ||
	    !value(w, "app", &rate_kind, &app))
		return false;
	ask->sim.n_flows = n != 0 ? (uint32_t)n : max_u32(names->n, rtts.n);
	for (uint32_t i = 0; i < ask->sim.n_flows; i++)
		ask->sim.flow[i] = (struct sim_flow_config){
			.congestion = names->name[i % names->n],
			.rtt_ns = (uint64_t)rtts.value[i % rtts.n],
			.start_ns = (uint64_t)(start * i),
			.app_bps = (uint64_t)app,
			.delayed_ack = args_has(w->a, "delayed-ack"),
		};
	return true;
}

/* The shares of a BDP need the flows. */
static bool read_sizes(struct words *w, struct bbr_ask *ask)
{
	double burst = 1, bdp = bbr_bdp(ask->sim.path.rate_bps, ask->sim.flow[0].rtt_ns);

	ask->buffer_bdp = 10;
	if (!value(w, "buffer", &bdp_kind, &ask->buffer_bdp) || !value(w, "burst", &bdp_kind, &burst))
		return false;
	if (ask->buffer_bdp * bdp > BUFFER_BYTES_MOST || bdp > BUFFER_BYTES_MOST) {
		(void)snprintf(w->err, sizeof(w->err), "a path that holds %.3g MB: at most %.0f MB",
			       fmax(ask->buffer_bdp, 1) * bdp / 1e6, BUFFER_BYTES_MOST / 1e6);
		return false;
	}
	ask->sim.path.buffer_bytes = (uint64_t)(ask->buffer_bdp * bdp);
	ask->sim.path.policer_burst_bytes = max_u64(
		(uint64_t)(burst * bbr_bdp(ask->sim.path.policer_bps, ask->sim.flow[0].rtt_ns)), 2ull * SIM_MTU);
	return true;
}

static bool read_run(struct words *w, struct bbr_ask *ask)
{
	double until = 20e9, from = 0, trace = 0, trace_from = 0, trace_until = 3600e9;

	ask->sim.seed = 1;
	ask->speed = 2;
	if (!value(w, "seconds", &span_kind, &until) || !value(w, "from", &span_kind, &from) ||
	    !value(w, "trace", &span_kind, &trace) || !value(w, "trace-from", &span_kind, &trace_from) ||
	    !value(w, "trace-until", &span_kind, &trace_until) || !value(w, "speed", &speed_kind, &ask->speed) ||
	    !number(w, "seed", 0, UINT32_MAX, &ask->sim.seed))
		return false;
	ask->json = args_has(w->a, "json");
	ask->rounds = args_has(w->a, "rounds");
	ask->from_ns = (uint64_t)from;
	ask->until_ns = (uint64_t)until;
	ask->trace_ns = (uint64_t)trace;
	ask->trace_from_ns = (uint64_t)trace_from;
	ask->trace_until_ns = (uint64_t)trace_until;
	if (from >= until)
		(void)snprintf(w->err, sizeof(w->err),
			       "nothing is left to be measured: --from is not before --seconds");
	else if ((ask->rounds || ask->trace_ns != 0) && !ask->json)
		(void)snprintf(w->err, sizeof(w->err), "--rounds and --trace are of JSON: -j");
	else if (ask->rounds && ask->trace_ns != 0)
		(void)snprintf(w->err, sizeof(w->err), "--rounds and --trace exclude each other");
	else
		return true;
	return false;
}

int bbr_main(int argc, char **argv)
{
	struct list names = { .n = 0 }; /* the config points into it */
	struct args a;
	struct words w = { .a = &a };
	struct bbr_ask ask = { 0 };

	if (args_parse(&a, options, argc - 1, (const char *const *)argv + 1, w.err, sizeof(w.err)) != 0)
		goto usage;
	if (a.help) {
		command_info_print(&bbr_info, stdout);
		return EXIT_OK;
	}
	if (a.n_words > 0) {
		(void)wrong(&w, "help says more", a.word[0], "no words are expected here");
		goto usage;
	}
	if (!read_path(&w, &ask) || !read_flows(&w, &ask, &names) || !read_sizes(&w, &ask) || !read_run(&w, &ask))
		goto usage;
	return bbr_run(&ask, !ask.json && !args_has(&a, "plain") && isatty(STDOUT_FILENO) != 0);
usage:
	fprintf(stderr, "yangguan bbr: %s (see: yangguan bbr --help)\n", w.err);
	return EXIT_USAGE;
}
