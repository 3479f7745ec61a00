/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Replay of a recording: each line of the journal (journal.h) is done again, in
 * order. This file reads the journal line by line; what a line does stands in
 * replay_steps.c, the devices that send and receive in replay_ports.c.
 *
 * A recording may come from a stranger. Its files are opened below its directory's
 * descriptor, by names that lead nowhere else, and must be plain files; whatever
 * stands in them is read with its bounds; and what is said about it is made fit for
 * a terminal.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/replay/replay_journal_priv.h"
#include "tools/replay/replay_priv.h"
#include "base/hex.h"
#include "base/printable.h"
#include "daemon/control/commands/command.h"

void replay_fail(struct replay *r, const char *fmt, ...)
{
	va_list args;

	if (r->failed)
		return;
	r->failed = true;
	va_start(args, fmt);
	vsnprintf(r->why, sizeof(r->why), fmt, args);
	va_end(args);
}

bool replay_peek(struct replay *r)
{
	if (r->have_line)
		return true;
	if (r->was_cut || fgets(r->line, sizeof(r->line), r->journal) == NULL) {
		r->was_cut = true;
		return false;
	}
	size_t len = strlen(r->line);
	if (len == 0 || r->line[len - 1] != '\n') {
		r->was_cut = true;
		return false;
	}
	r->line[len - 1] = '\0';
	r->line_no++;
	r->have_line = true;
	return true;
}

bool replay_next_is(struct replay *r, const char *word)
{
	size_t len = strlen(word);

	return replay_peek(r) && strncmp(r->line, word, len) == 0 && (r->line[len] == ' ' || r->line[len] == '\0');
}

FILE *replay_open(struct replay *r, const char *name)
{
	struct stat st;
	FILE *f = NULL;

	/* Without waiting, should it be a fifo. */
	int fd = openat(r->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		replay_fail(r, "%s/%s: %s", r->dir, name, errno == ELOOP ? "a link, and no file" : strerror(errno));
	else if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		replay_fail(r, "%s/%s: not a file", r->dir, name);
	else if ((f = fdopen(fd, "r")) == NULL)
		replay_fail(r, "%s/%s: %s", r->dir, name, strerror(errno));
	if (f == NULL && fd >= 0)
		close(fd);
	return f;
}

/* --- the whole --- */

static bool read_seed(struct replay *r)
{
	struct journal_words w = journal_words_of(r->line);
	char hex[2 * RNG_SEED_BYTES + 1];

	journal_word(&w, hex, sizeof(hex));
	return journal_words_end(&w) && hex_read(hex, r->seed, RNG_SEED_BYTES);
}

static bool read_limit(struct replay *r)
{
	struct journal_words w = journal_words_of(r->line);
	char name[64], err[160];

	journal_word(&w, name, sizeof(name));
	uint64_t value = journal_number(&w, 0, UINT64_MAX);
	if (!journal_words_end(&w))
		return false;
	if (!journal_limit_set(&r->limits, name, value, err, sizeof(err)))
		replay_fail(r, "journal line %" PRIu64 ": %s", r->line_no, err);
	return !r->failed;
}

static bool read_start(struct replay *r)
{
	struct journal_words w = journal_words_of(r->line);

	r->now = journal_number(&w, 0, JOURNAL_TIME_END - 1);
	r->wall_offset_ns = journal_number(&w, 0, UINT64_MAX);
	return journal_words_end(&w);
}

/* The lines before the first step. */
static bool read_head(struct replay *r)
{
	bool have_seed = false;

	if (!replay_peek(r) || strcmp(r->line, JOURNAL_FIRST_LINE) != 0) {
		replay_fail(r, "%s/journal is no recording of this version", r->dir);
		return false;
	}
	for (;;) {
		r->have_line = false;
		if (!replay_peek(r)) {
			replay_fail(r, "%s/journal ends before its first step", r->dir);
			return false;
		}
		bool good = false;
		if (replay_next_is(r, "seed"))
			good = have_seed = read_seed(r);
		else if (replay_next_is(r, "limit"))
			good = read_limit(r);
		else if (replay_next_is(r, "start") && have_seed && read_start(r))
			break;
		if (!good) {
			replay_fail(r, "journal line %" PRIu64 " cannot be read: \"%.60s\"", r->line_no, r->line);
			return false;
		}
	}
	r->have_line = false;
	return true;
}

/* A recording that ended early, by kill -9 or a full disk, lacks this line, and perhaps frames. */
static bool ends_with_stop(FILE *f)
{
	char tail[6] = "";
	bool found = fseek(f, -5, SEEK_END) == 0 && fread(tail, 1, 5, f) == 5 && strcmp(tail, "stop\n") == 0;

	rewind(f);
	return found;
}

static int report(struct replay *r)
{
	if (r->failed) {
		fprintf(stderr, "yangguan replay: %s\n", printable_string(r->why, PRINTABLE_LINE));
		return EXIT_FAILED;
	}
	printf("%" PRIu64 " steps, %" PRIu64 " frames in, %" PRIu64 " frames out: the same, bit for bit%s\n",
	       r->n_steps, r->n_in, r->n_out, r->stopped ? "" : " (up to where the recording was cut)");
	return EXIT_OK;
}

static void run_steps(struct replay *r)
{
	if (!read_head(r))
		return;
	r->gateway = gateway_create(&r->limits, r->seed, r->now, replay_no_event, NULL);
	if (r->gateway == NULL) {
		replay_fail(r, "no memory for the recorded sizes of tables");
		return;
	}
	gateway_env(r->gateway)->wall_offset_ns = r->wall_offset_ns;
	replay_log(r->gateway, r->args);
	if (args_has(r->args, "explain") && (r->explain = explain_start(r->gateway)) == NULL)
		replay_fail(r, "no memory for --explain");
	while (!r->failed && !r->stopped && !r->was_cut && replay_peek(r)) {
		replay_step(r);
		explain_print(r->explain);
	}
	explain_stop(r->explain);
	r->explain = NULL;
	for (uint32_t i = 0; i < IP_INTERFACES_MAX; i++)
		if (ip_stack_device(gateway_ip(r->gateway), i) != NULL)
			gateway_attach(r->gateway, i, NULL, r->now);
}

/* The directory of --out, made if need be; -1 after a failure. */
static int open_out_dir(struct replay *r, const char *path)
{
	int fd = -1;

	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		replay_fail(r, "%s: %s", path, strerror(errno));
	return fd;
}

static bool open_all(struct replay *r, const char *out_dir)
{
	static const struct packet_pool_config reader = { .n_packets = 256, .n_small = 256, .n_large = 2 * BATCH_MAX };

	r->dir_fd = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->dir_fd < 0)
		replay_fail(r, "%s: %s", r->dir, strerror(errno));
	else
		r->journal = replay_open(r, "journal");
	if (r->journal == NULL)
		return false;
	r->is_whole = ends_with_stop(r->journal);
	if (out_dir != NULL)
		r->out_fd = open_out_dir(r, out_dir);
	r->reader_pool = packet_pool_create(&reader);
	if (r->reader_pool == NULL)
		replay_fail(r, "no memory");
	return true;
}

static void close_all(struct replay *r)
{
	replay_captures_close(r);
	if (r->gateway != NULL)
		gateway_destroy(r->gateway);
	if (r->snap != NULL)
		snapshot_destroy(r->snap);
	if (r->reader_pool != NULL)
		packet_pool_destroy(r->reader_pool);
	if (r->journal != NULL)
		fclose(r->journal);
	if (r->bytes != NULL)
		fclose(r->bytes);
	if (r->out_fd >= 0)
		close(r->out_fd);
	if (r->dir_fd >= 0)
		close(r->dir_fd);
}

int replay_journal(const char *dir, const struct args *a)
{
	struct replay *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return EXIT_FAILED;
	r->dir = dir;
	r->args = a;
	r->dir_fd = r->out_fd = -1;
	bool is_recording = open_all(r, args_value(a, "out"));
	if (!r->failed)
		run_steps(r);
	replay_captures_close(r);
	int status = report(r);
	close_all(r);
	free(r);
	return is_recording ? status : EXIT_USAGE;
}
