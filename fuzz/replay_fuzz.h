/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the fuzz targets of `yangguan replay` share: a directory of their own whose
 * files are the parts of an input, and the command run on it.
 *
 * An input is text and captures one behind the other; a line `==== NAME` begins the
 * file NAME. What stands before the first such line is the file `journal`.
 */
#ifndef YG_FUZZ_REPLAY_FUZZ_H
#define YG_FUZZ_REPLAY_FUZZ_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/replay/replay.h"

#define MARK "==== "
#define FILES_MAX 8
#define NAME_MAX_BYTES 32

struct replay_dir {
	char path[64];
	int fd;
	size_t n_files;
	char file[FILES_MAX][NAME_MAX_BYTES];
};

static struct replay_dir the_dir = { .fd = -1 };

static inline void remove_files(void)
{
	for (size_t i = 0; i < the_dir.n_files; i++)
		unlinkat(the_dir.fd, the_dir.file[i], 0);
	the_dir.n_files = 0;
}

static inline void remove_dir(void)
{
	remove_files();
	rmdir(the_dir.path);
}

/* Once. */
static inline void open_dir(void)
{
	if (the_dir.fd >= 0)
		return;
	snprintf(the_dir.path, sizeof(the_dir.path), "%s/yangguan-fuzz.XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (mkdtemp(the_dir.path) == NULL || (the_dir.fd = open(the_dir.path, O_RDONLY | O_DIRECTORY)) < 0)
		abort();
	atexit(remove_dir);
}

/* The command, which must end as commands do. What it has said on standard output, to be freed. */
static inline char *run_replay(int argc, char **argv)
{
	FILE *out = stdout, *err = stderr;
	char *said = NULL, *complained = NULL;
	size_t said_len, complained_len;

	stdout = open_memstream(&said, &said_len);
	stderr = open_memstream(&complained, &complained_len);
	if (stdout == NULL || stderr == NULL)
		abort();
	int status = replay_main(argc, argv);
	fclose(stdout);
	fclose(stderr);
	stdout = out;
	stderr = err;
	/* Nothing is refused without a word, and no word steers a terminal. */
	if (status < 0 || status > 2 || (status != 0 && complained_len == 0 && strstr(said, "does NOT") == NULL))
		abort();
	for (const char *c = complained; *c != '\0'; c++)
		if (((unsigned char)*c < 0x20 && *c != '\n' && *c != '\t') || *c == 0x7f)
			abort();
	free(complained);
	return said;
}

/* With --explain (the last word) and without it: whoever listens changes nothing, and the walks stand before all else;
 * no word of theirs steers a terminal. What was said without, to be freed. */
static inline char *run_both(int argc, char **argv)
{
	char *said = run_replay(argc - 1, argv), *explained = run_replay(argc, argv);
	size_t len = strlen(said), explained_len = strlen(explained);

	if (explained_len < len || strcmp(explained + explained_len - len, said) != 0)
		abort();
	for (const char *c = explained; *c != '\0'; c++)
		if (((unsigned char)*c < 0x20 && *c != '\n' && *c != '\t') || *c == 0x7f)
			abort();
	free(explained);
	return said;
}

static inline void put_file(const char *name, const uint8_t *data, size_t len)
{
	if (the_dir.n_files == FILES_MAX)
		return;
	int fd = openat(the_dir.fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		abort();
	close(fd);
	snprintf(the_dir.file[the_dir.n_files++], NAME_MAX_BYTES, "%s", name);
}

/* A name that is nothing but a file's; others stay away from the machine that fuzzes. */
static inline bool is_plain(const char *name)
{
	for (const char *c = name; *c != '\0'; c++)
		if (!(*c >= 'a' && *c <= 'z') && !(*c >= '0' && *c <= '9') && *c != '-' && (*c != '.' || c == name))
			return false;
	return *name != '\0';
}

/* The next line that begins with MARK, or the end. */
static inline const uint8_t *next_mark(const uint8_t *at, const uint8_t *end)
{
	const size_t len = strlen(MARK);

	for (const uint8_t *p = at; p != NULL && (size_t)(end - p) >= len; p++) {
		p = memchr(p, MARK[0], (size_t)(end - p));
		if (p == NULL)
			break;
		if ((size_t)(end - p) >= len && memcmp(p, MARK, len) == 0 && (p == at || p[-1] == '\n'))
			return p;
	}
	return end;
}

static inline void put_files(const uint8_t *data, size_t len)
{
	const uint8_t *at = data, *end = data + len;
	char name[NAME_MAX_BYTES] = "journal";

	while (at < end) {
		const uint8_t *stop = next_mark(at, end);
		if (is_plain(name))
			put_file(name, at, (size_t)(stop - at));
		if (stop == end)
			return;
		at = stop + strlen(MARK);
		const uint8_t *nl = memchr(at, '\n', (size_t)(end - at));
		size_t n = (size_t)((nl != NULL ? nl : end) - at);
		snprintf(name, sizeof(name), "%.*s", (int)(n < NAME_MAX_BYTES ? n : 0), (const char *)at);
		at += n + (nl != NULL);
	}
}

#endif
