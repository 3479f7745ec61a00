/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the congestion controls share.
 */
#ifndef YG_STACK_TRANSPORT_CC_PRIV_H
#define YG_STACK_TRANSPORT_CC_PRIV_H

#include "stack/transport/tcp_priv.h"

void hystart_init(struct hystart *h);
uint32_t hystart_facts(const struct hystart *h, struct cc_fact *out);
/* The window grows by what was acknowledged, until HyStart++ says that it is enough. */
void slow_start(struct tcp_conn *c, struct hystart *h, const struct cc_sample *s);

#endif
