/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A log record as one line of text or one JSON object.
 */
#ifndef YG_DAEMON_CONTROL_TEXT_LOG_TEXT_H
#define YG_DAEMON_CONTROL_TEXT_LOG_TEXT_H

#include <stddef.h>

#include "base/log_record.h"

/* "session-begin" and so on. */
extern const char *const log_kind_names[N_LOG_KINDS];

#define LOG_LINE_MAX 512

/* One line without newline. */
void log_line(const struct log_record *r, char *buf, size_t len);
/* One object without newline, to be freed by the caller; NULL without memory. */
char *log_json(const struct log_record *r);

#endif
