/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The table of drop reasons in words, made from the one list in drop.h.
 */
#include "base/drop.h"

/* clang-format off */
const struct drop_info drop_info[N_DROP_REASONS] = {
#define X(id, drop_name, drop_text, drop_hint) \
	[DROP_##id] = { .name = drop_name, .text = drop_text, .hint = drop_hint },
	DROP_REASONS(X)
#undef X
};
/* clang-format on */
