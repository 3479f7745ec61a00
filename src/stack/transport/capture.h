/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Captures of what sockets send and get: each a slot, asked for by the ends of a socket, that
 * is told of every packet of it, with a comment on what came of it or why it was sent. They see
 * what transports see: not what was dropped before.
 *
 * No packet waits for a capture, and while there is none it costs a look at a pointer.
 */
#ifndef YG_STACK_TRANSPORT_CAPTURE_H
#define YG_STACK_TRANSPORT_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "stack/packet/env.h"

/* Host order; ours, theirs. 0: any. Ports count only where the protocol has some. */
struct capture_filter {
	uint8_t protocol;
	uint16_t zone;
	uint32_t laddr, raddr;
	uint16_t lport, rport;
};

struct capture_packet {
	uint64_t at; /* ns of the clock */
	bool is_out;
	uint32_t len;         /* from the IP header on */
	const uint8_t *bytes; /* that many of them, valid during the call; what a device would finish is not finished */
	const char *comment;  /* NULL: nothing to be said */
};
/* Both take notes; they call nothing of the stack. */
typedef void capture_fn(void *ctx, const struct capture_packet *p);
typedef void capture_gone_fn(void *ctx);

/* Belongs to whoever adds it, and stays where it is until it is removed. */
struct capture_slot {
	struct capture_filter filter;
	capture_fn *fn;
	uint64_t id; /* whose packets they are (capture_id); 0: nobody's in particular */
	/* The connection or socket is gone; the listener, and every connection of his. NULL: nobody asks. */
	capture_gone_fn *gone;
	uint32_t n_left; /* captures': connections of a listener that is gone, until gone is called */
	void *ctx;
	struct capture_slot *next;
};

#define CAPTURE_BYTES_MAX 65536u
#define CAPTURE_COMMENT_MAX 200u

/* All of one stack. A packet that came is kept in `bytes` until what comes of it is known. */
struct captures {
	struct env *env;
	struct capture_slot *first;
	uint8_t *bytes; /* while there is any */
	uint32_t len;
	uint64_t at;
	struct capture_filter kept; /* whose it is; protocol 0: nothing is kept */
	const char *why;            /* why the next one is sent, NULL */
};

/* -ENOMEM. */
int captures_add(struct captures *c, struct capture_slot *one);
/* One that was never added, too. */
void captures_remove(struct captures *c, struct capture_slot *one);
static inline bool captures_any(const struct captures *c)
{
	return c != NULL && c->first != NULL;
}
/* Why what is sent next is sent, as long as somebody wants to know; text stands for ever. */
static inline void captures_why(struct captures *c, const char *text)
{
	if (captures_any(c))
		c->why = text;
}

/* With captures_any alone. p came, and nothing has been done about it: true, it is kept until captures_came. */
bool captures_keep(struct captures *c, const struct packet *p);
/* That is what came of it. Nothing is kept: nothing is done. */
void captures_came(struct captures *c, const char *comment);
/* p is about to leave. */
void captures_sent(struct captures *c, const struct packet *p);
/* With captures_any alone. That one is gone, and what has just these ends (NULL: whatever else has them is not); its
 * last packets may be yet to come. */
void captures_gone(struct captures *c, uint64_t id, const struct capture_filter *of);
/* Likewise. That listener is gone, and so many connections with its end are still there. */
void captures_closing(struct captures *c, uint64_t id, uint32_t n_left);
/* Names a record of a transport as long as it is there. kind: of TCP alone, enum tcp_entry_kind. */
static inline uint64_t capture_id(uint8_t protocol, uint32_t kind, uint32_t place)
{
	return (uint64_t)protocol << 40 | (uint64_t)kind << 32 | place;
}

#endif
