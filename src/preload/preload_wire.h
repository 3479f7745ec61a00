/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the preload library and the stack service say to one another.
 *
 * A program's socket is one end of a socketpair(AF_UNIX), so that its number is a descriptor of the kernel's and poll,
 * epoll, dup, fork, sendfile and exec are the kernel's own; the service has the other end, and moves bytes between it
 * and a socket of the stack. What is no byte goes two other ways:
 *
 * - by a request, and its reply, on a channel of the process's own (a SOCK_SEQPACKET);
 * - by the slot of a socket, in memory that the service and all its programs map: state, names, the pending error.
 *
 * And what a program writes to a connection often is put into a ring instead, in memory that this process and the
 * service alone have (its arena). The pair stays, for what finds no room in the ring, and for whoever writes past the
 * library:
 *
 * - bytes are put into the ring only while the pair has none, so what stands in a ring was written before what stands
 *   in its pair;
 * - tail and start are the program's, head is the service's, who also puts all three to 0 when it gives a ring; each
 *   reads what is the other's once and believes nothing of it. Positions count bytes and wrap. A ring that was emptied
 *   is begun at its first byte again (start), as little memory is better cached;
 * - whoever has put something sets the ring's bit in `pending`, and wakes the service, by a message, if that has said
 *   that it sleeps.
 *
 * A slot outlives its socket: it is given again only after all others that are free, and then has another generation,
 * by which whoever still has the old number notices.
 *
 * Datagrams have a header of fixed size before them, both ways. A listener's descriptor carries struct
 * preload_accepted, each with the new connection's descriptor.
 */
#ifndef YG_PRELOAD_PRELOAD_WIRE_H
#define YG_PRELOAD_PRELOAD_WIRE_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdint.h>

/* Value of the environment variable: the number of an inherited descriptor, the broker, on which a process asks for a
 * channel. */
#define PRELOAD_ENV "YANGGUAN_PRELOAD"
#define PRELOAD_VERSION 3u
#define PRELOAD_SLOTS 65536u
#define PRELOAD_VALUE_MAX 1024u  /* bytes of an option */
#define PRELOAD_CONTROL_MAX 160u /* of a datagram's control messages */
#define PRELOAD_DATAGRAM_MAX 65535u
#define PRELOAD_RINGS 256u /* of a process */
#define PRELOAD_RING_BYTES 262144u

enum preload_state {
	PRELOAD_FREE,
	PRELOAD_UNCONNECTED,
	PRELOAD_CONNECTING,
	PRELOAD_CONNECTED,
	PRELOAD_LISTENING,
	PRELOAD_DEAD /* its connection has ended both ways; the descriptor may still have bytes */
};

enum preload_mark {
	PRELOAD_ENDED =
		1, /* an end of what is to be read is the peer's, or was asked for: not that the service is gone */
	PRELOAD_MUTE = 2,   /* a datagram socket that was shut down: it sends no more */
	PRELOAD_UNTOLD = 4, /* how a connect without waiting has ended is told by the next one, once */
	PRELOAD_SPENT = 8, /* a connect has failed, or a listener was shut down, and the pair has hung up: PRELOAD_RENEW
			    * gives another */
	PRELOAD_TAKEN = 16, /* somebody has accepted it */
};

struct preload_slot {
	_Atomic uint32_t generation;
	_Atomic uint32_t state; /* enum preload_state */
	_Atomic int32_t error;  /* positive errno that the next call is told; whoever tells it puts 0 */
	uint8_t type;           /* SOCK_STREAM, SOCK_DGRAM, SOCK_RAW */
	uint8_t protocol;
	_Atomic uint16_t marks;           /* enum preload_mark */
	struct sockaddr_in local, remote; /* as getsockname and getpeername have them */
	uint64_t reserved[2];
};
_Static_assert(sizeof(struct preload_slot) == 64, "one line of the cache");

enum preload_op {
	PRELOAD_HELLO,    /* reply: a descriptor of the slots' memory; value: struct preload_hello */
	PRELOAD_CHANNEL,  /* with a descriptor: the service's end of a new channel; no reply */
	PRELOAD_SOCKET,   /* arg: domain, type, protocol; reply: slot, and the program's end */
	PRELOAD_BIND,     /* value: address */
	PRELOAD_LISTEN,   /* arg: backlog */
	PRELOAD_CONNECT,  /* value: address; arg: bytes of the plug; with the program's end, if there is a plug */
	PRELOAD_SHUTDOWN, /* arg: how */
	PRELOAD_GETOPT,   /* arg: level, name, room; reply: value */
	PRELOAD_SETOPT,   /* arg: level, name; value */
	PRELOAD_IOCTL,    /* value: uint64_t request; reply: value, an int */
	PRELOAD_URGENT,   /* value: bytes to send, the last of them urgent */
	PRELOAD_RENEW,    /* of a socket that is PRELOAD_SPENT; reply: the program's end of a new pair */
	PRELOAD_IDENTIFY, /* value: uint64_t inode; reply: slot, or -ENOENT */
	PRELOAD_JOIN,     /* value: what is wanted, as text; reply: 0, or -EEXIST and what there is */
	PRELOAD_ARENA,    /* reply: a descriptor of the process's arena, once; closing the channel ends it */
	PRELOAD_RING, /* arg: which of the arena's is to be the connection's from here on; -EBUSY: it is another's */
	PRELOAD_WAKE, /* something is pending in the arena; no reply */
	N_PRELOAD_OPS
};

struct preload_ring {
	_Atomic uint32_t tail;  /* behind the last byte that was put */
	_Atomic uint32_t start; /* nothing stands before it */
	uint32_t unused[14];
	_Atomic uint32_t head; /* of the first byte that was not taken yet */
	_Atomic uint32_t is_closed;
	uint32_t unused_too[14];
};

struct preload_arena {
	_Atomic uint32_t is_asleep; /* the service; whoever wakes it puts 0 */
	_Atomic uint64_t pending[PRELOAD_RINGS / 64];
	uint64_t unused[3];
	struct preload_ring ring[PRELOAD_RINGS];
	unsigned char bytes[PRELOAD_RINGS][PRELOAD_RING_BYTES];
};
_Static_assert(sizeof(struct preload_ring) == 128, "two lines of the cache: the program's, the service's");

struct preload_hello {
	uint32_t version;
	uint32_t loopback_is_kernel; /* 127.0.0.0/8 is not the stack's but the kernel's */
};

struct preload_request {
	uint32_t op, slot, generation;
	int32_t arg[3];
	uint32_t len; /* of value */
	unsigned char value[PRELOAD_VALUE_MAX];
};

struct preload_reply {
	int32_t rc; /* 0 or more, or -errno */
	uint32_t slot, generation;
	uint32_t len;
	unsigned char value[PRELOAD_VALUE_MAX];
};

/* Before each datagram. */
struct preload_datagram {
	struct sockaddr_in addr; /* to or from; sin_family 0: none */
	int32_t error;           /* to the program: positive errno instead of a datagram; from it: MSG_MORE or 0 */
	uint32_t control_len;
	unsigned char control[PRELOAD_CONTROL_MAX]; /* as of msg_control */
	uint64_t came;                              /* to the program: when it had come, ns since 1970 */
};

struct preload_accepted {
	uint32_t slot, generation;
	struct sockaddr_in remote;
};

#endif
