/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Requests on the control socket and the words in them. What parses must come
 * out of its own text again.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/control/commands/args.h"
#include "daemon/control/commands/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct arg_option options[] = {
	{ 'j', "json", NULL, "" },
	{ 'p', "proto", "P", "" },
	{ 'n', "count", "N", "" },
	{ 0 },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct proto_request r, again;
	struct args a;
	uint64_t n = 0;
	char err[192];

	if (proto_request_parse((const char *)data, len, &r, err, sizeof(err)) != 0)
		return 0;
	if (args_parse(&a, options, (int)r.n_words, (const char *const *)r.word, err, sizeof(err)) == 0)
		args_number(&a, "count", 1, 100, &n, err, sizeof(err));
	char *text = proto_request_text(r.n_words, (const char *const *)r.word);
	if (text == NULL || proto_request_parse(text, strlen(text) - 1, &again, err, sizeof(err)) != 0 ||
	    again.n_words != r.n_words)
		abort();
	for (size_t i = 0; i < r.n_words; i++)
		if (strcmp(r.word[i], again.word[i]) != 0)
			abort();
	proto_request_free(&again);
	proto_request_free(&r);
	free(text);
	return 0;
}
