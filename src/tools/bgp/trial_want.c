/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What was wanted of a trial, as a line of a file says it, held against what came.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "tools/bgp/trial.h"

#define WORD_MAX 512
#define HEX 16

/* The next of several words parted by `mark`: false behind the last, or when it is too long. */
static bool next_word(const char **rest, char mark, char word[WORD_MAX])
{
	if (*rest == NULL)
		return false;
	const char *end = strchr(*rest, mark);
	size_t len = end != NULL ? (size_t)(end - *rest) : strlen(*rest);

	if (len >= WORD_MAX)
		return false;
	memcpy(word, *rest, len);
	word[len] = '\0';
	*rest = end != NULL ? end + 1 : NULL;
	return true;
}

/* --- what is sent on --- */

/* An attribute as it was written, flags and all. */
static bool find(const struct trial *t, unsigned long type, uint8_t *flags, struct bgp_attr *found)
{
	struct bgp_nlri rest = { t->sent_attrs, t->sent_len };

	for (;;) {
		if (rest.len > 0)
			*flags = rest.p[0];
		if (!bgp_set_next(&rest, found))
			return false;
		if (found->type == type)
			return true;
	}
}

/* Paths are the same whether a sequence is parted or not. */
static bool is_value(const struct bgp_attr *a, const char *hex)
{
	uint8_t want[WORD_MAX / 2], joined[2][BGP_MESSAGE_MAX];
	size_t len = strlen(hex) / 2;

	if (!hex_read(hex, want, len))
		return false;
	if (a->type != BGP_AS_PATH)
		return len == a->len && memcmp(want, a->value, len) == 0;
	size_t n_got = bgp_path_widen(joined[0], (struct bgp_path){ a->value, a->len, BGP_AS4 });
	size_t n_want = bgp_path_widen(joined[1], (struct bgp_path){ want, len, BGP_AS4 });
	return n_got == n_want && memcmp(joined[0], joined[1], n_got) == 0;
}

static bool is_sent(const struct trial *t, const char *check)
{
	char *end;
	unsigned long type = strtoul(check + (check[0] != '\0'), &end, 10);
	struct bgp_attr a;
	uint8_t flags = 0;
	bool is_there = find(t, type, &flags, &a);

	switch (check[0]) {
	case '+':
		if (is_there && *end == '/') {
			uint8_t want = (uint8_t)strtoul(end + 1, NULL, HEX);

			return (flags & (want | (uint8_t)~BGP_EXTENDED_LENGTH)) == want;
		}
		return is_there;
	case '-':
		return !is_there;
	case '=':
		return is_there && *end == ':' && is_value(&a, end + 1);
	default:
		return false;
	}
}

static bool is_out(const struct trial *t, const char *out)
{
	char alternative[WORD_MAX], check[WORD_MAX];

	if (strcmp(out, "-") == 0)
		return true;
	if (strcmp(out, "none") == 0)
		return t->sent == BGP_NOT_ADVERTISED;
	if (t->sent != BGP_SENT)
		return false;
	while (next_word(&out, '|', alternative)) {
		const char *rest = alternative;
		bool all = true;

		while (all && next_word(&rest, ',', check))
			all = is_sent(t, check);
		if (all)
			return true;
	}
	return false;
}

/* --- what became of it --- */

static bool is_reset(const struct trial *t, const char *codes)
{
	const struct bgp_error *e = &t->message.error;
	unsigned code, subcode;

	if (t->result != TRIAL_RESET)
		return false;
	switch (sscanf(codes, " %u/%u", &code, &subcode)) {
	case 1:
		return e->code == code;
	case 2:
		return e->code == code && e->subcode == subcode;
	default:
		return true;
	}
}

static bool is_one(const struct trial *t, const char *want, const char *out)
{
	if (strcmp(want, "ok") == 0)
		return t->result == TRIAL_ACCEPTED || (t->result == TRIAL_NEW && is_out(t, out));
	if (strcmp(want, "withdraw") == 0)
		return t->result == TRIAL_GONE;
	if (strcmp(want, "ignore") == 0)
		return t->result == TRIAL_OLD || t->result == TRIAL_ACCEPTED;
	if (strcmp(want, "loop") == 0)
		return t->result == TRIAL_LOOP;
	if (strcmp(want, "eor") == 0)
		return t->is_end_of_rib && t->result == TRIAL_OLD;
	return strncmp(want, "reset", 5) == 0 && is_reset(t, want + 5);
}

bool trial_is_wanted(const struct trial *t, const char *want, const char *out)
{
	char one[WORD_MAX];

	while (next_word(&want, '|', one))
		if (is_one(t, one, out))
			return true;
	return false;
}
