/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A TCP/IP stack as an object: packets and the time go in, packets and the next time
 * that something is to be done come out. It makes no thread, reads no clock and speaks to no
 * device; two stacks know nothing of one another. One thread at a time may be in a stack.
 *
 *   s = yg_stack_create(&config);
 *   for (;;) {
 *           wait until a packet comes, or until yg_next_deadline(s)
 *           yg_input(s, packets, n, now);      or yg_run(s, now) when none came
 *           calls of yangguan/socket.h and yangguan/event.h
 *   }
 *
 * Every call hands what it made to the output slot before it returns. Times are
 * nanoseconds of any clock that does not go back. Results are 0 or a count, or -errno.
 */
#ifndef YANGGUAN_STACK_H
#define YANGGUAN_STACK_H

#include <netinet/in.h>
#include <sys/socket.h>

#include <yangguan/packet.h>

#ifdef __cplusplus
extern "C" {
#endif

#define YG_NEVER UINT64_MAX

struct yg_stack;

/* Takes packets, which are the device's from then on (yg_packet_free); returns how many it took of them, the
 * rest are dropped by the stack. It may give packets to stacks (yg_input), this one too, and calls nothing else of this
 * one but what packet.h has. */
typedef int yg_output_fn(void *ctx, struct yg_packet *const *packets, unsigned int n);
/* Something is to be done at another time than was said before, or there is something to be had from an epoll (or not
 * any more). Called at the end of a call; takes notes. */
typedef void yg_changed_fn(void *ctx, uint64_t deadline, int ready);

#define YG_ETHERNET 0x1u          /* packets begin with an Ethernet header; else with their IP header */
#define YG_OFFLOAD_CHECKSUM 0x2u  /* the device finishes checksums */
#define YG_OFFLOAD_SEGMENTS 0x4u  /* and cuts large TCP segments: packets of up to 64 KB */
#define YG_OFFLOAD_DATAGRAMS 0x8u /* and likewise UDP's (UDP_SEGMENT) */
/* Packets that come may have a TCP or UDP checksum that their sender left to a device, without a word of it (struct
 * yg_offload): as AF_XDP gives them of a veth, a bridge or a TAP. They are told by their bytes. */
#define YG_CHECKSUM_UNTOLD 0x10u
/* TCP's acknowledgements that would leave at once (of a connection's first segments, of a FIN) wait for the calls that
 * follow yg_input, whose data or FIN carries them: a short connection takes seven packets, not eleven. What nothing has
 * carried leaves with yg_run, which is due at once. For programs whose loop looks at the deadline. */
#define YG_ACKS_WAIT 0x20u

/* What is 0 is as its comment says. The caller's until yg_stack_create returns. */
struct yg_stack_config {
	size_t size; /* of this struct */
	yg_output_fn *output;
	yg_changed_fn *changed; /* NULL: nobody */
	void *ctx;              /* of both */
	uint8_t seed[32];       /* random bytes: nobody may guess them */
	uint64_t now;
	uint32_t flags;
	uint32_t mtu;        /* 0: 1,500 */
	uint8_t mac[6];      /* with YG_ETHERNET */
	const char *address; /* "10.0.0.1/24"; NULL: none yet */
	const char *gateway; /* of the default route; NULL: none */
	/* Memory, all of it taken at the start as address space, and touched when used. */
	uint32_t n_sockets;      /* 0: 16,384 */
	uint32_t n_connections;  /* TCP; 0: as n_sockets */
	uint32_t n_packets;      /* 0: 65,536 of 2 KB, and a 64th of 64 KB */
	const char *congestion;  /* "cubic", "reno", "bbr" (version 3), "bbr1"; NULL: "cubic" */
	uint32_t sndbuf, rcvbuf; /* of TCP sockets at first; 0: Linux's 87,040 and 131,072 */
};

/* NULL: no memory, or a config that is none. */
YG_API struct yg_stack *yg_stack_create(const struct yg_stack_config *config);
/* Everything that is open is gone, without a word to other ends; what was lent is released. Packets that the output
 * slot took are freed before. */
YG_API void yg_stack_destroy(struct yg_stack *stack);

/* Packets that came; they are the stack's from here on. */
YG_API void yg_input(struct yg_stack *stack, struct yg_packet *const *packets, unsigned int n, uint64_t now);
/* A copy of bytes that came; -ENOBUFS: no memory. */
YG_API int yg_input_bytes(struct yg_stack *stack, const void *bytes, size_t len, uint64_t now);
/* What is due. */
YG_API void yg_run(struct yg_stack *stack, uint64_t now);
/* When yg_run is to be called next; YG_NEVER. */
YG_API uint64_t yg_next_deadline(const struct yg_stack *stack);
/* The time that the stack was told last. */
YG_API uint64_t yg_now(const struct yg_stack *stack);
/* Nanoseconds that are added to that time where it is told to others: SO_TIMESTAMP, SO_TIMESTAMPNS, SIOCGSTAMP, and ICMP's
 * timestamps, which are of the time since 1970. 0 at first; a stack of yg_host_open follows the system's clock. */
YG_API void yg_set_wall(struct yg_stack *stack, uint64_t offset);

/* Addresses of either family, whose port is of no account; of another one than AF_INET -EAFNOSUPPORT, so far. -EINVAL,
 * -EEXIST, -ENOSPC, -EADDRNOTAVAIL; -ENOMEM, and all is as it was. */
YG_API int yg_address_add(struct yg_stack *stack, const struct sockaddr *address, unsigned int prefix_len);
YG_API int yg_address_del(struct yg_stack *stack, const struct sockaddr *address);
/* gateway NULL: on the link itself. A route to a prefix that has one takes its place. Errors as above, and -ENOENT: there is
 * none to be taken away. */
YG_API int yg_route_add(struct yg_stack *stack, const struct sockaddr *to, unsigned int prefix_len,
			const struct sockaddr *gateway);
YG_API int yg_route_del(struct yg_stack *stack, const struct sockaddr *to, unsigned int prefix_len);

/* How a call that has to wait waits: takes in what comes and lets the time go on, once at least, until deadline at the
 * latest; 0, or -errno, which the call returns. Without one no call waits: -EAGAIN. */
typedef int yg_wait_fn(void *ctx, uint64_t deadline);
YG_API void yg_set_wait(struct yg_stack *stack, yg_wait_fn *fn, void *ctx);

#ifdef __cplusplus
}
#endif

#endif
