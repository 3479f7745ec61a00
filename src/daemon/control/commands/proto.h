/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What goes over the control socket.
 *
 * Request: one JSON array of strings and a newline: the command's name and its
 * words, as on the command line. A command that asks for it (raw) reads more
 * lines after that.
 * Answer: frames of one type byte, four bytes of length (big-endian), and the
 * payload. 'o' is standard output, 'e' standard error, 'f' what the client writes into the file
 * that it was told, byte by byte, 'x' the exit status as one byte, the last frame of all.
 */
#ifndef YG_DAEMON_CONTROL_COMMANDS_PROTO_H
#define YG_DAEMON_CONTROL_COMMANDS_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROTO_REQUEST_MAX 65536 /* bytes of the request line, newline included */
#define PROTO_WORDS_MAX 256
#define PROTO_FRAME_HEADER 5
#define PROTO_PAYLOAD_MAX (1u << 20)

enum proto_frame {
	PROTO_OUT = 'o',
	PROTO_ERR = 'e',
	PROTO_FILE = 'f',
	PROTO_EXIT = 'x',
};

struct proto_request {
	size_t n_words; /* at least 1 */
	char **word;    /* NULL behind the last */
};

/* Reads the line (without its newline). 0; -EINVAL and a sentence; -ENOMEM. */
int proto_request_parse(const char *line, size_t len, struct proto_request *r, char *err, size_t err_len);
void proto_request_free(struct proto_request *r);
/* The line with its newline, to be freed by the caller; NULL without memory or when a word is no UTF-8. */
char *proto_request_text(size_t n_words, const char *const *word);

void proto_frame_header(uint8_t out[PROTO_FRAME_HEADER], enum proto_frame type, uint32_t len);

/* Reads frames out of a stream that comes in pieces of any size. */
struct proto_reader {
	uint8_t *buf;
	size_t len, cap, used;
};

struct proto_view {
	uint8_t type;           /* enum proto_frame */
	const uint8_t *payload; /* valid until the next call */
	uint32_t len;
};

void proto_reader_init(struct proto_reader *r);
void proto_reader_fini(struct proto_reader *r);
/* 0 or -ENOMEM. */
int proto_reader_add(struct proto_reader *r, const void *data, size_t len);
/* 1 and *out, 0 when more is needed, -EPROTO for what no server sends. */
int proto_reader_next(struct proto_reader *r, struct proto_view *out);

#endif
