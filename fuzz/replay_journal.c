/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Any bytes as a recording: a journal, its config and its captures. `yangguan replay`
 * must say that they are the same, or what is wrong: an exit status, no memory error,
 * no end of the program.
 */
#include "replay_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A recording may ask for as much memory as a config may. That is its reader's to know, and too much for a fuzzer. */
static bool is_modest(const uint8_t *data, size_t len)
{
	static const char word[] = "limit ";

	for (size_t i = 0; i + sizeof(word) < len; i++) {
		if (memcmp(data + i, word, sizeof(word) - 1) != 0)
			continue;
		size_t n_digits = 0;
		for (size_t k = i; k < len && data[k] != '\n' && n_digits < 6; k++)
			n_digits = data[k] >= '0' && data[k] <= '9' ? n_digits + 1 : 0;
		if (n_digits == 6)
			return false;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char command[] = "replay", explain[] = "--explain";
	char *argv[] = { command, the_dir.path, explain, NULL };

	if (!is_modest(data, len))
		return 0;
	open_dir();
	put_files(data, len);
	free(run_both(3, argv));
	remove_files();
	return 0;
}
