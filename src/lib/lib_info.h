/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What stacks and gateways of the library say alike.
 */
#ifndef YG_LIB_LIB_INFO_H
#define YG_LIB_LIB_INFO_H

#include <yangguan/info.h>

#include "stack/packet/env.h"

void lib_drops_of(const struct env *env,
		  void (*fn)(void *ctx, const char *name, uint64_t n, const char *what, const char *hint), void *ctx);
void lib_law_of(const struct env *env, struct yg_law *out);

#endif
