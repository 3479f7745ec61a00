/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a running gateway may still do: see privileges.c.
 */
#ifndef YG_DAEMON_RUN_PRIVILEGES_H
#define YG_DAEMON_RUN_PRIVILEGES_H

#include <stddef.h>

/* Once, before the first thread is made: gives up whatever a running gateway does not need, for this thread and all
 * that come of it. 0, or -errno and a sentence; then some may be gone. */
int privileges_drop(char *err, size_t err_len);

#endif
