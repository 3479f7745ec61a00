/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `bgp replay`: each line of a file is put on trial (trial.h), and a line says what came of it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/printable.h"
#include "base/util.h"
#include "daemon/control/commands/command.h"
#include "tools/bgp/bgp.h"
#include "tools/bgp/trial.h"

enum { NAME, SESSION, STATE, WANT, OUT, SOURCE, BYTES, N_FIELDS };

#define TEXT_MAX 4096

struct replay {
	const char *path, *part;
	enum bgp_replay_form form;
	uint32_t line_no, n, n_wanted;
	struct trial trial;
	uint8_t bytes[2 * BGP_MESSAGE_MAX];
};

static bool read_bytes(struct replay *r, const char *hex, size_t *len)
{
	*len = strlen(hex) / 2;
	return *len > 0 && *len <= sizeof(r->bytes) && hex_read(hex, r->bytes, *len);
}

/* Cuts the line at its tabs. */
static uint32_t divide(char *line, const char *field[N_FIELDS])
{
	uint32_t n = 0;

	line[strcspn(line, "\r\n")] = '\0';
	for (char *at = line; at != NULL && n < N_FIELDS; n++) {
		char *tab = strchr(at, '\t');

		if (tab != NULL)
			*tab++ = '\0';
		field[n] = at;
		at = tab;
	}
	return n;
}

static void print_prefixes(const char *what, struct bgp_nlri list)
{
	char buf[IP4_TEXT_MAX];
	struct ip4_prefix p;

	if (list.len == 0)
		return;
	printf("    %s", what);
	while (bgp_nlri_next(&list, &p))
		printf(" %s", ip4_prefix_format(p, buf));
	printf("\n");
}

static void print_long(const struct trial *t)
{
	const struct bgp_update *u = &t->message.update;
	char buf[TEXT_MAX];
	struct bgp_nlri rest = { t->set, t->set_len };
	struct bgp_attr a;

	if (t->result == TRIAL_RESET || t->result == TRIAL_ACCEPTED || t->result == TRIAL_UNFINISHED)
		return;
	print_prefixes("withdrawn", u->withdrawn);
	print_prefixes("withdrawn", u->attrs.unreach.nlri);
	print_prefixes(t->result == TRIAL_GONE ? "treated as withdrawn" : "announced", u->nlri);
	print_prefixes(t->result == TRIAL_GONE ? "treated as withdrawn" : "announced", u->attrs.reach.nlri);
	while (bgp_set_next(&rest, &a)) {
		struct text text = text_of(buf, sizeof(buf));

		bgp_attr_format(&text, &a);
		printf("    %s\n", buf);
	}
}

static int bad_line(const struct replay *r, const char *what)
{
	fprintf(stderr, "yangguan bgp: %s:%u: %s\n", r->path, r->line_no, what);
	return EXIT_USAGE;
}

static int do_line(struct replay *r, char *line)
{
	const char *field[N_FIELDS];
	enum trial_session session;
	enum bgp_phase phase;
	char got[TEXT_MAX];
	struct text text = text_of(got, sizeof(got));
	size_t len;

	if (line[0] == '#' || line[strspn(line, " \t\r\n")] == '\0')
		return EXIT_OK;
	if (divide(line, field) != N_FIELDS)
		return bad_line(r, "not seven fields parted by tabs");
	if (!trial_session_named(field[SESSION], &session))
		return bad_line(r, "session: e4, e2 or i4");
	if (!trial_phase_named(field[STATE], &phase))
		return bad_line(r, "state: sent, confirm or up");
	if (!read_bytes(r, field[BYTES], &len))
		return bad_line(r, "not an even number of hex digits, or too many");
	if (r->part != NULL && strstr(field[NAME], r->part) == NULL)
		return EXIT_OK;
	trial_run(&r->trial, session, phase, r->bytes, len);
	bool is_wanted = trial_is_wanted(&r->trial, field[WANT], field[OUT]);

	r->n++;
	r->n_wanted += is_wanted;
	trial_format(&text, &r->trial);
	printf("%-8s %s  want %s  got %s\n", is_wanted ? "ok" : "DIFFERS", field[NAME], field[WANT], got);
	if (r->form == BGP_REPLAY_LONG)
		print_long(&r->trial);
	return EXIT_OK;
}

int bgp_replay(const char *path, const char *part, enum bgp_replay_form form)
{
	FILE *f = fopen(path, "re");
	struct replay *r = calloc(1, sizeof(*r));
	char *line = NULL;
	size_t cap = 0;
	int status = EXIT_OK;

	if (f == NULL || r == NULL) {
		fprintf(stderr, "yangguan bgp: %s: %s\n", path, strerror(errno));
		status = EXIT_USAGE;
		goto out;
	}
	r->path = path;
	r->part = part;
	r->form = form;
	for (ssize_t n; status == EXIT_OK && (n = getline(&line, &cap, f)) >= 0;) {
		r->line_no++;
		printable(line, (size_t)n, PRINTABLE_TEXT);
		status = do_line(r, line);
	}
	if (status != EXIT_OK)
		goto out;
	printf("%u of %u as wanted\n", r->n_wanted, r->n);
	if (r->n_wanted != r->n || r->n == 0)
		status = EXIT_FAILED;
out:
	free(line);
	free(r);
	if (f != NULL)
		(void)fclose(f);
	return status;
}
