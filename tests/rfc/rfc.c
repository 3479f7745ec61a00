/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Runs every row of every table, those on NAT with each kind of mapping, those on our own TCP
 * and on BGP once, and prints one line a row. Each scenario runs in a process of its own, so that one which crashes or
 * hangs is a failed line as well. One that fails jumps back here; then what it
 * saw is printed and its fixture is freed, and where a leak is looked for at exit,
 * one that leaves something behind fails too.
 *
 *   rfc [--tap] [WORD ...]   only rows whose "RFC 4787  REQ-1" contains every word
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bgp.h"
#include "host.h"
#include "rfc.h"

static const struct rfc_table *const tables[] = { &rfc4787_table, &rfc5382_table,     &rfc5382_life_table,
						  &rfc5508_table, &rfc5508_own_table, &rfc6888_table,
						  &rfc7857_table };

static const struct rfc_host_table *const host_tables[] = {
	&rfc9293_table, &rfc9293_data_table, &rfc7323_table, &rfc2018_table, &rfc2883_table, &rfc5961_table,
	&rfc6298_table, &rfc8985_table,      &rfc9937_table, &rfc9438_table, &rfc6582_table, &rfc5682_table,
	&rfc9406_table, &rfc6191_table,      &rfc6528_table, &rfc6056_table, &rfc5927_table
};

static const struct rfc_bgp_table *const bgp_tables[] = { &rfc4271_table, &rfc7606_table, &rfc6793_table,
							  &rfc8212_table, &rfc8326_table, &rfc9234_table };

static const char *const mode_names[N_RFC_MODES] = {
	[RFC_EIM] = "mapping endpoint-independent",
	[RFC_APDM] = "mapping address-and-port-dependent",
};

static struct {
	jmp_buf back;
	char reason[512];
} failure;

struct tally {
	uint32_t n_lines, n_passed, n_failed, n_not_applicable, n_later;
};

struct options {
	bool tap;
	int n_words;
	char **words;
};

_Noreturn void rfc_fail(const char *file, int line, const char *fmt, ...)
{
	const char *slash = strrchr(file, '/');
	va_list ap;
	int n = snprintf(failure.reason, sizeof(failure.reason), "%s:%d: ", slash != NULL ? slash + 1 : file, line);

	va_start(ap, fmt);
	vsnprintf(failure.reason + n, sizeof(failure.reason) - (size_t)n, fmt, ap);
	va_end(ap);
	longjmp(failure.back, 1);
}

#define SHOWN_LINES 24

/* The last of what was seen. */
static void print_seen(const struct rfc *t)
{
	const char *end = t->seen + t->seen_len, *from = end;

	for (int n = 0; from > t->seen; from--)
		if (from[-1] == '\n' && n++ == SHOWN_LINES)
			break;
	printf("#   %s\n%s%.*s", failure.reason, from > t->seen ? "#   ...\n" : "", (int)(end - from), from);
}

/* True when the scenario and the law of conservation hold. */
static bool run_one(const struct rfc_row *row, struct rfc *t)
{
	volatile bool passed = false; /* set behind setjmp */

	if (setjmp(failure.back) == 0) {
		row->run(t);
		assert_true(t->started);
		fixture_check_law(&t->w);
		passed = true;
	}
	fixture_free(&t->w);
	return passed;
}

static bool is_wanted(const struct options *o, const char *name)
{
	for (int i = 0; i < o->n_words; i++)
		if (strstr(name, o->words[i]) == NULL)
			return false;
	return true;
}

static void print_row(const struct options *o, struct tally *n, const char *name, const char *demand,
		      const char *result, const char *why)
{
	n->n_lines++;
	if (o->tap)
		printf("%s %u - %s %s%s%s\n", strcmp(result, "fail") == 0 ? "not ok" : "ok", n->n_lines, name, demand,
		       why != NULL ? " # skip " : "", why != NULL ? why : "");
	else if (why != NULL)
		printf("%-20s %-90s %s (%s)\n", name, demand, result, why);
	else
		printf("%-20s %-90s %s\n", name, demand, result);
}

#define SCENARIO_SECONDS 120

/* A line: of a table on NAT, of one on the host, or of one on BGP. */
struct line {
	const char *rfc, *requirement, *demand, *why, *later;
	const struct rfc_row *row;
	enum rfc_mode mode;
	const struct rfc_host_row *host_row;
	const struct rfc_bgp_row *bgp_row;
};

_Noreturn static void run_host(const struct rfc_host_row *row)
{
	if (setjmp(failure.back) == 0) {
		rfc_host_run(row);
		exit(0);
	}
	printf("#   %s\n", failure.reason);
	rfc_host_print();
	fflush(stdout);
	/* What it had is not given back. */
	_exit(1);
}

_Noreturn static void run_bgp(const struct rfc_bgp_row *row)
{
	if (setjmp(failure.back) == 0) {
		rfc_bgp_run(row);
		exit(0);
	}
	printf("#   %s\n", failure.reason);
	exit(1);
}

/* The child's part: silent unless it fails. */
_Noreturn static void run_here(const struct line *line)
{
	static struct rfc t;

	alarm(SCENARIO_SECONDS);
	if (line->host_row != NULL)
		run_host(line->host_row);
	if (line->bgp_row != NULL)
		run_bgp(line->bgp_row);
	const struct rfc_row *row = line->row;

	t.mode = line->mode;
	if (run_one(row, &t))
		exit(0);
	print_seen(&t);
	fflush(stdout);
	exit(1);
}

/* True when it passes. What it prints goes to `notes`, to stand behind its line. */
static bool run_apart(const struct line *line, FILE *notes)
{
	int status;

	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(fileno(notes), STDOUT_FILENO);
		run_here(line);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		fputs("#   no process for the scenario\n", notes);
		return false;
	}
	if (WIFSIGNALED(status))
		fprintf(notes, "#   ended by signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) > 1)
		fprintf(notes, "#   ended with status %d\n", WEXITSTATUS(status));
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void copy_notes(FILE *notes)
{
	char line[512];

	fflush(notes);
	fseek(notes, 0, SEEK_SET);
	while (fgets(line, sizeof(line), notes) != NULL)
		fputs(line, stdout);
}

static void do_line(const struct options *o, struct tally *n, const struct line *line)
{
	char name[64];

	snprintf(name, sizeof(name), "%s  %s", line->rfc, line->requirement);
	if (!is_wanted(o, name))
		return;
	if (line->later != NULL) {
		n->n_later++;
		print_row(o, n, name, line->demand, "later", line->later);
		return;
	}
	if (line->why != NULL) {
		n->n_not_applicable++;
		print_row(o, n, name, line->demand, "not applicable", line->why);
		return;
	}
	FILE *notes = tmpfile();
	bool passed = notes != NULL && run_apart(line, notes);
	n->n_passed += passed;
	n->n_failed += !passed;
	print_row(o, n, name, line->demand, passed ? "pass" : "fail", NULL);
	if (notes != NULL) {
		copy_notes(notes);
		fclose(notes);
	}
}

static void do_table(const struct options *o, struct tally *n, const struct rfc_table *table, enum rfc_mode mode)
{
	for (size_t k = 0; k < table->n_rows; k++) {
		const struct rfc_row *row = &table->rows[k];
		struct line line = { .rfc = table->rfc,
				     .requirement = row->requirement,
				     .demand = row->demand,
				     .why = row->why[mode],
				     .later = row->later,
				     .row = row,
				     .mode = mode };

		do_line(o, n, &line);
	}
}

static void do_host_table(const struct options *o, struct tally *n, const struct rfc_host_table *table)
{
	for (size_t k = 0; k < table->n_rows; k++) {
		const struct rfc_host_row *row = &table->rows[k];
		struct line line = { .rfc = table->rfc,
				     .requirement = row->requirement,
				     .demand = row->demand,
				     .why = row->why,
				     .later = row->later,
				     .host_row = row };

		do_line(o, n, &line);
	}
}

static void do_bgp_table(const struct options *o, struct tally *n, const struct rfc_bgp_table *table)
{
	for (size_t k = 0; k < table->n_rows; k++) {
		const struct rfc_bgp_row *row = &table->rows[k];
		struct line line = { .rfc = table->rfc,
				     .requirement = row->requirement,
				     .demand = row->demand,
				     .why = row->why,
				     .bgp_row = row };

		do_line(o, n, &line);
	}
}

static void print_head(const struct options *o, const char *text)
{
	printf("%s%s%s\n", o->tap ? "# " : "\n", text, o->tap ? "" : ":");
}

int main(int argc, char **argv)
{
	struct options o = { .n_words = argc - 1, .words = argv + 1 };
	struct tally n = { .n_lines = 0 };

	if (o.n_words > 0 && strcmp(o.words[0], "--tap") == 0) {
		o.tap = true;
		o.n_words--;
		o.words++;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (enum rfc_mode mode = 0; mode < N_RFC_MODES; mode++) {
		print_head(&o, mode_names[mode]);
		for (size_t i = 0; i < ARRAY_LEN(tables); i++)
			do_table(&o, &n, tables[i], mode);
	}
	print_head(&o, "the host's own TCP");
	for (size_t i = 0; i < ARRAY_LEN(host_tables); i++)
		do_host_table(&o, &n, host_tables[i]);
	print_head(&o, "BGP's messages");
	for (size_t i = 0; i < ARRAY_LEN(bgp_tables); i++)
		do_bgp_table(&o, &n, bgp_tables[i]);
	for (size_t i = 0; i < ARRAY_LEN(rfc_bgp_session_tables); i++)
		do_bgp_table(&o, &n, &rfc_bgp_session_tables[i]);
	if (o.tap)
		printf("1..%u\n# ", n.n_lines);
	printf("%s%u later\n", o.tap ? "" : "\n", n.n_later);
	printf("%s%u passed, %u failed, %u not applicable\n", o.tap ? "# " : "", n.n_passed, n.n_failed,
	       n.n_not_applicable);
	return n.n_failed == 0 && n.n_passed > 0 ? 0 : 1;
}
