/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The service's own tables. One thread, one loop (service.c); nothing here waits but that.
 */
#ifndef YG_PRELOAD_SERVICE_PRIV_H
#define YG_PRELOAD_SERVICE_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include <yangguan/event.h>
#include <yangguan/socket.h>

#include "preload/preload_wire.h"
#include "preload/service.h"

#define SERVICE_NONE UINT32_MAX
/* At a time; a datagram is no longer. */
#define SERVICE_BYTES 131072u

/* A queue of ends, by next_wait and prev_wait. */
struct waits {
	uint32_t first, last, n;
};

/* One socket: our end of its pair, and the stack's number. Its index is that of its slot. */
struct end {
	int fd;        /* -1: this one is free */
	int app_fd;    /* the program's end, as long as we must have it too: connecting, or not handed over; -1 */
	int sock;      /* of the stack */
	uint32_t plug; /* bytes of it that are still in fd */
	uint32_t held; /* a listener's: a connection that found no room in fd; SERVICE_NONE */
	struct waits offered; /* a listener's: those in fd that nobody has taken yet, as far as we know */
	uint32_t next_free;   /* in the queue of free ones */
	uint32_t next_more;
	uint32_t next_offering;
	struct waits *waits; /* orphans, starved or a listener's offered, if it is among them */
	uint32_t next_wait, prev_wait;
	uint64_t wait_since;
	struct stash *stash; /* a datagram that found no room in fd; bytes that found none in the stack; NULL */
	struct arena *arena; /* whose ring it has; NULL: none */
	uint32_t ring, ring_head;
	uint64_t cookie; /* the kernel's, of the program's end: who has that may ask */
	uint64_t inode;  /* of that end, by which a descriptor is known after exec */
	/* What the slot says of it, and any program may have overwritten. */
	uint32_t generation;
	enum preload_state state;
	bool is_spent;
	bool is_bound;      /* by bind: its port is whoever's as soon as it is closed */
	uint8_t type;       /* SOCK_* */
	bool ring_readable; /* the ring may have something */
	bool app_readable;  /* fd may have something */
	bool app_full;      /* fd took no more: EPOLLOUT is awaited */
	bool app_ending;    /* EPOLLRDHUP: an end is to be read behind what is there */
	bool app_gone;      /* EPOLLHUP: nobody has the program's end, or it is shut down both ways */
	bool app_reset;     /* it was closed with bytes that nobody has read */
	bool up_ended;      /* fd has given its end; the stack was told */
	bool stack_readable, stack_writable;
	bool stack_told;  /* EPOLLERR or EPOLLHUP: it is to be looked what has become of the connection */
	bool stack_over;  /* it has ended both ways, by a reset or a timeout say: the stack takes no more bytes */
	bool down_ended;  /* the stack has given its end, or an error */
	bool discards;    /* the program reads no more */
	bool is_offered;  /* it waits to be accepted, or did: the slot says */
	bool has_more;    /* in the list of those that go on in the next turn */
	bool is_offering; /* in the list of listeners with connections that are offered */
};

struct stash {
	size_t len, at;
	size_t n_urgent; /* the last of a connection's, of which the last is urgent */
	unsigned char bytes[];
};

/* A process's channel, or a family's broker. */
struct channel {
	int fd;
	bool is_broker;
	struct arena *arena; /* NULL: it has not asked for it */
	struct channel *next, **at;
};

struct service {
	struct yg_host *host;
	struct yg_stack *stack;
	int events;       /* epoll of the kernel's */
	int stack_events; /* epoll of the stack's */
	int door;         /* whoever joins comes here */
	int spare;        /* a descriptor to turn one away with when there is no other, or -1 */
	int memory;       /* of the slots */
	int closer;       /* whose reader closes descriptors (service_close.c); -1 */
	struct preload_slot *slots;
	struct end *ends;
	uint32_t n_fresh;               /* slots below this were in use once */
	uint32_t first_free, last_free; /* oldest first */
	uint32_t first_more;
	uint32_t first_offering;
	struct waits
		orphans;    /* connections that nobody has any more, whose bytes the peer does not take; oldest first */
	struct waits ended; /* connections whose pair is closed, and whose socket of the stack is not */
	struct waits starved;    /* listeners with connections for which there was no socket */
	struct arena *hot;       /* those that are looked at */
	int ifindex, lo_ifindex; /* the kernel's numbers of the device and of lo; 0: none */
	uint32_t n_ends;
	uint32_t n_channels;
	struct channel *channels;
	const struct service_config *config;
	unsigned char bytes[SERVICE_BYTES]; /* under way */
};

/* --- service.c --- */

/* A new end of the stack's socket and its slot, with a pair of descriptors, watched by both epolls from here on. NULL:
 * errno says why, and the socket is closed. */
struct end *end_new(struct service *v, int sock, int type, int protocol);
uint32_t end_index(const struct service *v, const struct end *e);
struct preload_slot *end_slot(const struct service *v, const struct end *e);
/* These the slot is told as well. */
void end_set_state(struct service *v, struct end *e, enum preload_state state);
void end_set_spent(struct service *v, struct end *e, bool is_spent);
/* A connect has failed, or a listener was shut down: the slot is PRELOAD_SPENT. poll says so of a pair by hanging up,
 * for good: end_renew gives another, with app_fd to be handed over. A byte is left to be read, so that the program's
 * close is an error of fd, which hangs up in any case. */
void end_hang_up(struct end *e);
int end_renew(struct service *v, struct end *e);
/* What EPOLLOUT of fd is for. */
void end_await_room(struct service *v, struct end *e);
void end_forget_app(struct end *e);
/* fd and sock are closed; the slot keeps its error and names until it is given again. */
void end_retire(struct service *v, struct end *e);
/* As end_retire of a connection that has ended; but if the program has it still, sock stays for a while, unless its
 * port could be missed. */
void end_bury(struct service *v, struct end *e);
/* sock is closed, and the slot may be given again. */
void end_forget(struct service *v, struct end *e);
void end_go_on(struct service *v, struct end *e);
/* What programs have done to their ends until now is heard of: one that they have closed has no port any more. A close
 * has no reply that it could wait for. */
void service_settle(struct service *v);
void end_move(struct service *v, struct end *e);
void end_take_names(struct service *v, struct end *e);

/* --- service_wait.c: what must be looked at again though no event comes --- */

void waits_init(struct service *v);
/* At the end of a queue; nothing when it is in one. */
void waits_append(struct service *v, struct waits *w, struct end *e);
/* No more is to be done for it before that; nothing when it is there already. */
void orphan_wait(struct service *v, struct end *e);
void starved_wait(struct service *v, struct end *e);
void wait_leave(struct service *v, struct end *e);
/* Its options can be asked for: fd is -1, sock is not. */
void ended_keep(struct service *v, struct end *e);
/* The oldest of those gives its socket. False: there is none. */
bool ended_give(struct service *v);
/* A socket has become free. */
void starved_go_on(struct service *v);
/* Whose time is over. */
void waits_look(struct service *v);
/* Milliseconds until then for epoll_wait, at most so many (-1: any). */
int waits_timeout_ms(const struct service *v, int most);

/* --- service_ring.c --- */

/* Of a process, and a descriptor of its memory. NULL: there is none to be had. */
struct arena *arena_new(int *memory);
/* It sleeps no more, as far as this one is concerned. */
void arena_wake(struct service *v, struct arena *a);
/* The channel has ended. */
void arena_leave(struct service *v, struct arena *a);
/* 0, or -errno. */
int ring_give(struct service *v, struct end *e, struct arena *a, int32_t which);
void ring_leave(struct end *e);
/* What was put there next, as far as it lies together; 0: nothing. One that cannot be resets its connection. */
size_t ring_peek(struct end *e, const unsigned char **bytes);
void ring_take(struct end *e, size_t n);
void rings_move(struct service *v);
/* False: something is pending. True: whoever puts something wakes us. */
bool rings_may_sleep(struct service *v);

/* --- service_device.c: the kernel's numbers of interfaces, and the stack's --- */

enum devices_way { DEVICES_TO_STACK, DEVICES_TO_PROGRAM };

void devices_learn(struct service *v);
/* In place. */
void devices_of_option(const struct service *v, int level, int name, void *value, size_t len);
void devices_of_control(const struct service *v, void *control, size_t len, enum devices_way way);

/* --- service_close.c --- */

/* A descriptor that a program has sent: without waiting, whatever it is. */
void service_close(struct service *v, int fd);

/* --- service_channel.c --- */

int channel_add(struct service *v, int fd, bool is_broker);
/* Of any socket, as no other has had it since the machine started; 0: it is none. */
uint64_t socket_cookie(int fd);
void channel_event(struct service *v, struct channel *c);

/* --- service_stream.c: moves what can be moved --- */

void stream_move(struct service *v, struct end *e);
/* With a reset. */
void stream_abort(struct service *v, struct end *e);
/* From the program to the stack, as far as it goes at once. */
void stream_up(struct service *v, struct end *e);
/* The last byte is urgent; all that was written before goes before it, however long that waits. As yg_send; -EAGAIN
 * also when others of the kind wait. */
int stream_urgent(struct service *v, struct end *e, const unsigned char *bytes, size_t len);
/* The stack has reset it, as the program has asked; so has a listener been ended. */
void stream_disconnected(struct service *v, struct end *e);
/* A connection in the making that has failed, by this error. */
void stream_give_up(struct service *v, struct end *e, int error);
/* A connection in the making: what has become of it. */
void stream_settle(struct service *v, struct end *e);
/* The program's end becomes writable again, and our copy of it is closed. */
void stream_unplug(struct end *e);
/* --- service_listen.c --- */

void listener_move(struct service *v, struct end *e);
/* How many connections wait to be accepted at most. */
void listener_set_backlog(struct end *e, int backlog);
/* It was shut down: who waits to be accepted is reset. */
void listener_shut(struct service *v, struct end *e);
/* It ends: what it has offered is no queue any more. */
void listener_forget(struct service *v, struct end *e);
/* Those that programs have taken since count no more: before frames come in. */
void listeners_count(struct service *v);

/* --- service_datagram.c --- */

void datagram_move(struct service *v, struct end *e);
void datagram_up(struct service *v, struct end *e);

#endif
