/* SPDX-License-Identifier: BSD-2-Clause
 *
 * TCP as its ends speak it, told row by row: what the two trackers must agree on
 * where no RFC parts them. Each story is played as it stands and in many
 * variations: a row twice, a row late, a row at the very end, a row lost, with
 * other numbers and other options.
 */
#ifndef YG_TESTS_STORY_H
#define YG_TESTS_STORY_H

#include "script.h"

struct story_run {
	uint32_t story, change, row; /* which, how it was changed, where in it */
	uint32_t at, shift, n;       /* used by story.c */
};

/* The first variation of the first story. */
void story_start(struct story_run *r);
/* Sets up the flow of the present variation; false behind the last one. */
bool story_begin(const struct story_run *r, struct script *s);
/* Its next step; false at its end. */
bool story_step(struct story_run *r, const struct script *s, struct step *out);
/* On to the next variation. */
void story_next(struct story_run *r);

#endif
