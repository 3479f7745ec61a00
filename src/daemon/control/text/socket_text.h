/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A socket in the words in which iproute2's ss prints it, and as JSON.
 */
#ifndef YG_DAEMON_CONTROL_TEXT_SOCKET_TEXT_H
#define YG_DAEMON_CONTROL_TEXT_SOCKET_TEXT_H

#include "base/text.h"
#include "daemon/control/text/output.h"
#include "stack/socket/socket_list.h"

/* Which parts: ss's options. */
struct socket_text_form {
	bool netid;    /* kinds of several */
	bool timers;   /* -o */
	bool extended; /* -e */
	bool memory;   /* -m */
	bool info;     /* -i */
	bool one_line; /* -O */
	bool no_state; /* all are in one */
};

#define SOCKET_TEXT_MAX 2048u

/* What kind it is: "tcp", "udp" and so on. */
const char *socket_netid(const struct socket_entry *e);
void socket_text_header(struct text *t, const struct socket_text_form *f);
/* Without the newline at its end; without one_line there may be one in the middle. */
void socket_text_line(struct text *t, const struct socket_text_form *f, const struct socket_entry *e);

extern const struct out_table socket_json_table;
/* A row of that table. */
void socket_json_row(struct output *o, const struct socket_text_form *f, const struct socket_entry *e);

#endif
