/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Whether a program can be reached by a preload library: not when it is static, is written in Go (which makes its
 * system calls itself), or has more rights than who starts it (ld.so(8), secure-execution mode). A script is asked of
 * its interpreter.
 */
#include "tools/exec/exec.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/printable.h"

#define SCRIPTS_MAX 4
#define HEADERS_MAX 256
#define NAMES_BYTES_MAX 65536u

static void say(const char *path, const char *why)
{
	char shown[256];

	snprintf(shown, sizeof(shown), "%s", path);
	fprintf(stderr, "yangguan exec: %s %s: its sockets will be the kernel's\n",
		printable_string(shown, PRINTABLE_WORD), why);
}

static bool has_interpreter(int fd, const Elf64_Ehdr *h)
{
	for (int i = 0; i < h->e_phnum && i < HEADERS_MAX; i++) {
		Elf64_Phdr p;

		if (pread(fd, &p, sizeof(p), (off_t)(h->e_phoff + (uint64_t)i * sizeof(p))) != sizeof(p))
			return true;
		if (p.p_type == PT_INTERP)
			return true;
	}
	return false;
}

/* Go's linker leaves a note in a section of this name. */
static bool is_go(int fd, const Elf64_Ehdr *h)
{
	static const char note[] = ".note.go.buildid";
	static char names[NAMES_BYTES_MAX];
	Elf64_Shdr s;

	if (h->e_shstrndx == SHN_UNDEF ||
	    pread(fd, &s, sizeof(s), (off_t)(h->e_shoff + (uint64_t)h->e_shstrndx * sizeof(s))) != sizeof(s))
		return false;
	ssize_t n = pread(fd, names, s.sh_size < sizeof(names) ? s.sh_size : sizeof(names), (off_t)s.sh_offset);

	return n > 0 && memmem(names, (size_t)n, note, sizeof(note)) != NULL;
}

static void check_elf(const char *path, int fd, const Elf64_Ehdr *h)
{
	struct stat st;

	if (h->e_ident[EI_CLASS] != ELFCLASS64)
		return;
	if (!has_interpreter(fd, h))
		say(path, "is linked statically");
	else if (is_go(fd, h))
		say(path, "is written in Go");
	else if (fstat(fd, &st) == 0 && (((st.st_mode & S_ISUID) && st.st_uid != getuid()) ||
					 ((st.st_mode & S_ISGID) && st.st_gid != getgid())))
		say(path, "is setuid or setgid, and takes no preload library");
}

/* In path, "#!/usr/bin/env python3" -> "/usr/bin/env". */
static bool to_interpreter(const char *head, size_t len, char *path, size_t room)
{
	const char *from = head + 2, *end = head + len;
	size_t n = 0;

	while (from < end && (*from == ' ' || *from == '\t'))
		from++;
	while (from + n < end && from[n] != ' ' && from[n] != '\t' && from[n] != '\n' && from[n] != '\0')
		n++;
	if (n == 0 || n >= room)
		return false;
	memcpy(path, from, n);
	path[n] = '\0';
	return true;
}

void exec_check_program(const char *program)
{
	char path[256];
	union {
		Elf64_Ehdr elf;
		char text[256];
	} head = { .text = { 0 } };

	snprintf(path, sizeof(path), "%s", program);
	for (int i = 0; i < SCRIPTS_MAX; i++) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			return;
		ssize_t n = pread(fd, &head, sizeof(head), 0);
		bool is_script = n > 2 && memcmp(head.text, "#!", 2) == 0;

		if (n >= (ssize_t)sizeof(head.elf) && memcmp(head.elf.e_ident, ELFMAG, SELFMAG) == 0)
			check_elf(path, fd, &head.elf);
		close(fd);
		if (!is_script || !to_interpreter(head.text, (size_t)n, path, sizeof(path)))
			return;
	}
}
