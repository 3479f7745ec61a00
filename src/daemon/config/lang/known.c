/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Words that come without a meaning here: what another language knows and ours does
 * not, each refused by its own name (struct config_words), and words that nobody
 * knows, with the nearest one that would have fitted (edit distance with swaps of
 * neighbours). And names that a text gives to its own things, which those words are not.
 */
#include "daemon/config/lang/parse.h"

#include <stdlib.h>
#include <string.h>

bool config_refuse_known(struct parser *p, const struct token *t)
{
	const struct config_words *w = p->words_of;

	if (t->kind != TOK_WORD)
		return false;
	for (size_t i = 0; w != NULL && i < w->n_foreign; i++) {
		if (token_is(t, w->foreign[i])) {
			config_err(p, &t->pos, "%s knows \"%s\" here, Yangguan does not yet", w->whose, w->foreign[i]);
			return true;
		}
	}
	return false;
}

/* Optimal string alignment distance, for words of up to WORD_MAX. */
#define WORD_MAX 32

static uint32_t distance(const char *a, size_t n, const char *b, size_t m)
{
	uint32_t row[3][WORD_MAX + 1];

	for (size_t k = 0; k <= m; k++)
		row[0][k] = (uint32_t)k;
	for (size_t i = 1; i <= n; i++) {
		uint32_t *now = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];

		now[0] = (uint32_t)i;
		for (size_t k = 1; k <= m; k++) {
			uint32_t d = up[k - 1] + (a[i - 1] != b[k - 1]);

			d = min_u32(d, min_u32(up[k], now[k - 1]) + 1);
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
				d = min_u32(d, up2[k - 2] + 1);
			now[k] = d;
		}
	}
	return row[n % 3][m];
}

const char *config_nearest(const char *text, size_t len, const char *const *words, size_t n)
{
	const char *best = NULL;
	uint32_t least = len < 4 ? 1 : len < 8 ? 2 : 3, d;

	if (len == 0 || len > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if (strlen(words[i]) > WORD_MAX)
			continue;
		d = distance(text, len, words[i], strlen(words[i]));
		if (d <= least && (best == NULL || d < least)) {
			best = words[i];
			least = d;
		}
	}
	return best;
}

bool config_unknown(struct parser *p, const struct token *t, const char *what, const char *const *words, size_t n)
{
	const char *near;

	if (t->kind != TOK_WORD)
		return config_expected(p, what);
	near = config_nearest(t->text, t->len, words, n);
	if (config_refuse_known(p, t))
		return false;
	if (near != NULL)
		config_err(p, &t->pos, "expected %s, found \"%.*s\"; did you mean \"%s\"?", what,
			   (int)(t->len > 64 ? 64 : t->len), t->text, near);
	else
		config_err(p, &t->pos, "expected %s, found \"%.*s\"", what, (int)(t->len > 64 ? 64 : t->len), t->text);
	return false;
}

static int by_word(const void *key, const void *word)
{
	const struct token *t = key;
	const char *w = *(const char *const *)word;
	int order = strncmp(t->text, w, t->len);

	return order != 0 ? order : w[t->len] == '\0' ? 0 : -1;
}

bool config_own_name(struct parser *p, char out[CONFIG_NAME_MAX], const char *what)
{
	const struct config_words *w = p->words_of;
	struct token t = *config_peek(p);

	if (t.kind == TOK_STRING || t.kind == TOK_QUANTITY) {
		config_err(p, &t.pos, "%s is a word without quotes that begins with a letter, as in nft", what);
		return false;
	}
	if (t.kind == TOK_WORD && w != NULL &&
	    bsearch(&t, w->reserved, w->n_reserved, sizeof(w->reserved[0]), by_word) != NULL) {
		config_err(p, &t.pos, "\"%.*s\" is a word of %s's language: %s must be another one", (int)t.len, t.text,
			   w->whose, what);
		return false;
	}
	return config_name(p, out, CONFIG_NAME_MAX, what);
}
