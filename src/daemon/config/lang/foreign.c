/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A block whose inside is in another language: found by its braces, as that language sees them, and passed over whole.
 * No definition of the file's is replaced in it, and no file included.
 */
#include "daemon/config/lang/parse.h"

bool config_foreign_block(struct parser *p, config_foreign_fn *len_of, const char **text, size_t *len,
			  struct text_pos *pos)
{
	const struct token brace = *config_peek(p);
	struct config_input *in = &p->input[p->n_inputs - 1];

	if (brace.kind != TOK_LBRACE)
		return config_expect(p, TOK_LBRACE);
	if (!in->is_file || brace.src < in->lx.text || brace.src >= in->lx.text + in->lx.len) {
		config_err(p, &brace.pos, "this block stands in a file as it is, not in a definition");
		return false;
	}
	size_t at = (size_t)(brace.src - in->lx.text) + 1;
	size_t n = len_of(in->lx.text + at, in->lx.len - at);

	if (n == SIZE_MAX) {
		config_err(p, &brace.pos, "no \"}\" closes this block");
		p->n_ahead = 0;
		in->lx.at = in->lx.len;
		return false;
	}
	*text = in->lx.text + at;
	*len = n;
	*pos = brace.pos;
	pos->column++;
	/* On behind the closing brace. */
	p->n_ahead = 0;
	p->last = brace;
	in->lx.at = at + n + 1;
	in->lx.line = brace.pos.line;
	in->lx.line_start = at - brace.pos.column;
	for (size_t i = 0; i < n; i++)
		if ((*text)[i] == '\n') {
			in->lx.line++;
			in->lx.line_start = at + i + 1;
		}
	return true;
}
