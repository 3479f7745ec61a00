/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Packets of a socket, from the host's thread to the client's file.
 *
 * The stack's slot (capture.h) is filled in and emptied by calls to the host. In between the
 * host copies each packet into a ring and wakes the control thread, which makes blocks of
 * them. No packet waits: with a client that is slow, or asleep, the ring runs full and what
 * comes then is lost, and the file says where and how many.
 *
 * It ends when the connection or the socket has ended: the host says so while its last packets
 * may be yet to be sent, so first the slot is emptied, by a call that runs when they are, and
 * then what the ring has is written. It ends likewise with the gateway, and when the client
 * is gone in whatever way, for then its session ends.
 */
#include "daemon/control/commands/ss_capture.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/util.h"
#include "daemon/control/commands/capture_ring.h"
#include "daemon/control/commands/ss_filter.h"
#include "daemon/control/text/pcapng.h"
#include "daemon/control/text/socket_text.h"
#include "stack/socket/socket_list.h"

#define BACKLOG_MAX (256u * 1024) /* unread output, beyond which packets wait in the ring */

struct ss_capture {
	const struct control_target *target;
	struct capture_ring *ring;
	uint64_t id;
	struct socket_entry entry;
	/* The host's. */
	struct capture_slot slot;
	bool is_added;
	int error;
	_Atomic bool is_gone; /* set by the host: what it is of has ended */
	/* The control thread's. */
	uint64_t wall_offset_ns; /* of the beginning: times go on when somebody sets the clock */
	uint64_t last_ns, n_packets;
	struct captured head;
	uint8_t bytes[CAPTURE_BYTES_MAX];
	uint8_t block[CAPTURE_BYTES_MAX + PCAPNG_PACKET_EXTRA_MAX];
};

/* --- in the host's thread --- */

static void take_packet(void *ctx, const struct capture_packet *p)
{
	struct ss_capture *s = ctx;

	capture_ring_put(s->ring, p);
	s->target->wake_control(s->target->ctx);
}

static void take_end(void *ctx)
{
	struct ss_capture *s = ctx;

	atomic_store(&s->is_gone, true);
	s->target->wake_control(s->target->ctx);
}

static void do_add(void *arg)
{
	struct ss_capture *s = arg;
	const struct control_core *host = target_host(s->target);
	struct sockets *ss = host->sockets;

	s->slot = (struct capture_slot){ .fn = take_packet, .gone = take_end, .id = s->id, .ctx = s };
	if (ss == NULL || !sockets_entry(ss, s->id, &s->entry)) {
		s->error = ENOENT;
		return;
	}
	(void)socket_entry_filter(&s->entry, &s->slot.filter);
	s->wall_offset_ns = host->env->wall_offset_ns;
	s->last_ns = host->env->now;
	s->error = -captures_add(sockets_captures(ss), &s->slot);
	s->is_added = s->error == 0;
}

static void do_remove(void *arg)
{
	struct ss_capture *s = arg;

	captures_remove(sockets_captures(target_host(s->target)->sockets), &s->slot);
	s->is_added = false;
}

/* --- in the control thread --- */

static int failed(struct command_call *c, const struct ss_capture *s, const char *id)
{
	if (s->error == ENOENT)
		command_error(c, "ss: there is no TCP, UDP or raw socket %.40s (see sk: of yangguan ss -ae)\n", id);
	else
		command_error(c, "ss: %s\n", strerror(s->error));
	return EXIT_FAILED;
}

static void write_begin(struct command_call *c, struct ss_capture *s)
{
	char name[32], line[SOCKET_TEXT_MAX];
	struct text of_name = text_of(name, sizeof(name)), about = text_of(line, sizeof(line));
	const struct socket_text_form form = { .netid = true, .one_line = true };

	text_add(&of_name, "sk:%" PRIx64, s->id);
	socket_text_line(&about, &form, &s->entry);
	c->write(c->carrier, PROTO_FILE, (const char *)s->block,
		 pcapng_begin(s->block, "yangguan " YG_VERSION, name, line));
	command_error(c, "capturing %s; ^C ends it\n", name);
}

static void write_packet(struct command_call *c, struct ss_capture *s)
{
	const struct captured *h = &s->head;

	s->last_ns = h->at;
	s->n_packets++;
	c->write(c->carrier, PROTO_FILE, (const char *)s->block,
		 pcapng_packet(s->block, &(struct pcapng_packet){
						 .at_ns = h->at + s->wall_offset_ns,
						 .is_out = h->is_out,
						 .len = h->len,
						 .bytes = s->bytes,
						 .comment = h->comment[0] != '\0' ? h->comment : NULL,
						 .n_missing = h->n_missing,
					 }));
}

/* True: all that was there is written. False: the client has as much to read. */
static bool write_packets(struct command_call *c, struct ss_capture *s, size_t backlog_max)
{
	while (c->backlog(c->carrier) <= backlog_max) {
		if (!capture_ring_take(s->ring, &s->head, s->bytes))
			return true;
		write_packet(c, s);
	}
	return false;
}

static int write_end(struct command_call *c, struct ss_capture *s, const char *why)
{
	uint64_t n_lost = capture_ring_lost(s->ring);

	c->write(c->carrier, PROTO_FILE, (const char *)s->block,
		 pcapng_end(s->block, s->last_ns + s->wall_offset_ns, s->n_packets + n_lost, n_lost));
	command_error(c, "%s: %" PRIu64 " packets, and %" PRIu64 " lost (nobody took them in time)\n", why,
		      s->n_packets, n_lost);
	return EXIT_OK;
}

int ss_capture_more(struct command_call *c, struct ss_capture *s)
{
	if (s->is_added && atomic_load(&s->is_gone))
		target_call_host(s->target, do_remove, s);
	if (!write_packets(c, s, BACKLOG_MAX))
		return COMMAND_MORE;
	if (s->is_added)
		return COMMAND_WAIT;
	return write_end(c, s, s->entry.kind == SOCKET_TCP ? "the connection has ended" : "the socket has been closed");
}

int ss_capture_shut(struct command_call *c, struct ss_capture *s)
{
	if (s->is_added)
		target_call_host(s->target, do_remove, s);
	(void)write_packets(c, s, SIZE_MAX);
	return write_end(c, s, "the gateway has ended");
}

int ss_capture_start(struct command_call *c, const char *id, struct ss_capture **out)
{
	struct ss_capture *s = calloc(1, sizeof(*s));

	*out = s;
	if (s == NULL || (s->ring = capture_ring_create()) == NULL) {
		command_error(c, "ss: no memory\n");
		return EXIT_FAILED;
	}
	s->target = c->target;
	if (!ss_id_parse(id, &s->id) || c->args.n_words != 1) {
		command_error(c, "ss: --capture ID FILE: an id as behind sk: of yangguan ss -ae, and one file\n");
		return EXIT_USAGE;
	}
	target_call_host(s->target, do_add, s);
	if (!s->is_added)
		return failed(c, s, id);
	write_begin(c, s);
	return ss_capture_more(c, s);
}

void ss_capture_destroy(struct ss_capture *s)
{
	if (s == NULL)
		return;
	if (s->is_added)
		target_call_host(s->target, do_remove, s);
	capture_ring_destroy(s->ring);
	free(s);
}
