/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The other end of the control socket: a command of the program that asks a
 * running gateway.
 */
#ifndef YG_DAEMON_CONTROL_SERVER_CLIENT_H
#define YG_DAEMON_CONTROL_SERVER_CLIENT_H

#include <stddef.h>

#include "daemon/control/commands/proto.h"

struct control_client {
	int fd;
	struct proto_reader reader;
};

/* Connects (path NULL: by default place) and sends the request. 0, or -errno and a text. */
int control_client_open(struct control_client *c, const char *path, size_t n_words, const char *const *word, char *err,
			size_t err_len);
void control_client_close(struct control_client *c);
/* More bytes to the server. 0 or -errno. */
int control_client_send(struct control_client *c, const char *text, size_t len);
/* Reads once; waits if nothing is there. 1: something came, 0: the end, -errno. Then proto_reader_next. */
int control_client_read(struct control_client *c);

enum client_lines {
	CLIENT_LINES_PLAIN,  /* an empty one as `#` */
	CLIENT_LINES_MARKED, /* each behind a `>` */
};
struct client_files {
	/* What is read there is sent behind the request, for a command that takes lines (command.h, input_option); -1:
	 * nothing. */
	int lines_fd;
	enum client_lines how;
	/* Where a command's file goes (output_option): a path, or `-` for standard output; NULL: it has none. */
	const char *output;
};
/* A whole call: request, answer to standard output, standard error and the file. The exit status. */
int control_client_run(const char *path, size_t n_words, const char *const *word, const struct client_files *files);

#endif
