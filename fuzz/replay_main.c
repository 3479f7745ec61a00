/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A main function for fuzz targets where there is no libFuzzer: each argument
 * is an input or a directory of inputs, and each input is fed to the target
 * once, in the order of their names. So what the fuzzer once found stays a
 * test with every compiler. An input is copied to memory of exactly its size,
 * so that AddressSanitizer sees a read past its end.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long n_inputs;

static int replay_file(const char *path, size_t size)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = malloc(size ? size : 1);
	int failed = !file || !data || fread(data, 1, size, file) != size;

	if (failed) {
		perror(path);
	} else {
		/* Kept in case the target dies: the last line is the culprit. */
		printf("%s (%zu bytes)\n", path, size);
		fflush(stdout);
		LLVMFuzzerTestOneInput(data, size);
		n_inputs++;
	}
	free(data);
	if (file)
		fclose(file);
	return failed;
}

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int replay(const char *path)
{
	struct dirent **entries;
	struct stat st;
	int n, failed = 0;

	if (stat(path, &st) != 0) {
		perror(path);
		return 1;
	}
	if (!S_ISDIR(st.st_mode))
		return replay_file(path, (size_t)st.st_size);
	n = scandir(path, &entries, visible, alphasort);
	if (n < 0) {
		perror(path);
		return 1;
	}
	for (int i = 0; i < n; i++) {
		char inside[4096];

		snprintf(inside, sizeof(inside), "%s/%s", path, entries[i]->d_name);
		failed |= replay(inside);
		free(entries[i]);
	}
	free(entries);
	return failed;
}

int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= replay(argv[i]);
	printf("%lu inputs\n", n_inputs);
	return failed || n_inputs == 0;
}
