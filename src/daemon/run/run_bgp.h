/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BGP in a running gateway: the config's neighbours, a speaker, and TCP below it. Control thread.
 */
#ifndef YG_DAEMON_RUN_RUN_BGP_H
#define YG_DAEMON_RUN_RUN_BGP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "daemon/config/config_bgp.h"

struct run;

/* As r->snap says, at the start. 0, or -errno and a sentence: the gateway does not start. */
int run_bgp_begin(struct run *r, char *err, size_t err_len);
/* After a reload; r->snap is the new one, `before` still there. */
void run_bgp_configure(struct run *r, const struct config_bgp *before);
/* What run_bgp_configure would end, a clause each: "; neighbor a is reset (password)". */
void run_bgp_foresee(const struct config_bgp *before, const struct config_bgp *now, struct text *t);
/* Neighbours are told that we go; run_bgp_is_quiet when nothing is left to be said. */
void run_bgp_stop(struct run *r);
bool run_bgp_is_quiet(const struct run *r);
void run_bgp_end(struct run *r);
/* Something has happened to a socket of the host's. */
void run_bgp_told(struct run *r);
/* For control_target. */
struct control_bgp;
const struct control_bgp *run_bgp_view(void *run);

#endif
