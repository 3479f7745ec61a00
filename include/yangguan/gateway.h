/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A NAT gateway or router as an object (libyangguan-gateway, which has all of libyangguan too: link it instead).
 * Packets and the time go in by one interface and come out by another. As a stack (stack.h) it makes no thread, reads no
 * clock and speaks to no device; one thread at a time may be in it.
 *
 *   gw = yg_gateway_create(&config, &policy, why, sizeof(why));
 *   lan = yg_gateway_attach(gw, "lan0", &port, now), wan = ...
 *   for (;;) {
 *           wait until a packet comes, or until yg_gateway_next_deadline(gw)
 *           yg_gateway_input(gw, lan, frames, n, now);      or yg_gateway_run(gw, now) when none came
 *   }
 *
 * Every call hands what it made to the output slot before it returns. Times are nanoseconds of any clock that does not
 * go back. Results are 0, a count or a number, or -errno.
 */
#ifndef YANGGUAN_GATEWAY_H
#define YANGGUAN_GATEWAY_H

#include <yangguan/info.h>
#include <yangguan/stack.h>

#ifdef __cplusplus
extern "C" {
#endif

struct yg_gateway;

/* --- packets --- */

/* A packet: from its IP header on, or of an interface with YG_ETHERNET from that. */
struct yg_frame {
	void *bytes;
	size_t len; /* at most 65,535 */
	struct yg_offload offload;
	/* Of what is given to a gateway. NULL: the bytes are copied, and the caller's when the call returns. Else they
	 * are lent until this is called, once, also when the packet is dropped; they may be written, as may YG_HEADROOM
	 * bytes before them. */
	void (*release)(void *ctx, uint64_t cookie);
	void *release_ctx;
	uint64_t cookie;
};

/* Takes packets that leave by an interface; returns how many, the rest are dropped. The bytes are good until it
 * returns, and are not to be written. It may give packets to any gateway or stack, this one too (they wait until the
 * call that is in it ends), and calls nothing else of this one. */
typedef int yg_gateway_output_fn(void *ctx, unsigned int interface, const struct yg_frame *frames, unsigned int n);

/* --- what a gateway is told --- */

#define YG_INTERFACE_MASQUERADE 0x1u /* what leaves by it gets its address */
#define YG_INTERFACE_CLOSED 0x2u     /* nothing begins there but what is forwarded by name (struct yg_gateway_forward) */

struct yg_gateway_interface {
	size_t size; /* of this struct */
	const char *name;    /* 15 bytes at most */
	const char *address; /* "10.77.0.1/24", several with commas between; NULL: none */
	uint32_t flags;
	uint32_t zone;
};

struct yg_gateway_route {
	size_t size;        /* of this struct */
	const char *to;     /* "0.0.0.0/0" */
	const char *via;    /* a neighbour; NULL: they are on the link itself, and */
	const char *device; /* its interface is this one */
};

/* What comes in for a port of ours goes to a host behind us. */
struct yg_gateway_forward {
	size_t size;           /* of this struct */
	const char *interface; /* by which it comes */
	const char *protocol;  /* "tcp", "udp" */
	uint16_t port;
	const char *to;
	uint16_t to_port;
};

/* The config: as text, as structs, or both. Interface blocks of the text and structs are alike; what a struct says is put
 * behind the text, into words of the same language, and checked with it. What the text says of drivers is for `yangguan
 * run` and not read; what it says to a part that this gateway does without is refused. */
struct yg_gateway_policy {
	size_t size;      /* of this struct */
	const char *text; /* docs/config.md, without `include`; NULL: none */
	const struct yg_gateway_interface *interface;
	const struct yg_gateway_route *route;
	const struct yg_gateway_forward *forward;
	uint32_t n_interfaces, n_routes, n_forwards;
};

/* --- what it says --- */

struct yg_connection {
	size_t size;         /* of this struct */
	uint8_t protocol;    /* of IP */
	uint8_t is_answered, is_assured;
	const char *state; /* as conntrack -L prints it: "ESTABLISHED"; NULL: the protocol has none */
	/* As it came, and the answer as it comes; AF_INET. Of ICMP the source's port is the identifier. */
	struct sockaddr_storage source, destination, reply_source, reply_destination;
	uint64_t packets, bytes, reply_packets, reply_bytes;
	uint64_t timeout_s; /* until it ends if nothing comes; 0 in an event */
	uint32_t mark, zone;
};

struct yg_gateway_event {
	size_t size;      /* of this struct */
	const char *kind; /* as `yangguan events` prints it: "conn-new", "neigh-learnt", "nat-exhausted" ... */
	uint64_t now;
	unsigned int interface;                 /* 0: none */
	struct sockaddr_storage address;        /* of a neighbour or a pool; family 0: none */
	uint8_t mac[6];                         /* of a neighbour */
	const struct yg_connection *connection; /* NULL: none */
	const char *reason;                     /* of conn-end: why; else a name, or NULL */
};
/* All of it is good during the call; takes notes, and calls nothing of the gateway. */
typedef void yg_gateway_event_fn(void *ctx, const struct yg_gateway_event *event);

/* --- life --- */

/* Parts. Without any of them it is a router. */
#define YG_GATEWAY_CONNTRACK 0x1u
#define YG_GATEWAY_RULES 0x2u /* and connection tracking */
#define YG_GATEWAY_NAT 0x4u   /* and both */

/* What is 0 is as its comment says. The caller's until yg_gateway_create returns. */
struct yg_gateway_config {
	size_t size; /* of this struct */
	uint32_t parts;
	yg_gateway_output_fn *output;
	yg_gateway_event_fn *event; /* NULL: nobody */
	void *ctx;                  /* of all three */
	uint8_t seed[32];           /* random bytes: nobody may guess them */
	uint64_t now;
	/* Memory, all of it taken at the start as address space, and touched when used. A `limits` block of the text goes
	 * before. */
	uint32_t n_packets;     /* 0: 8,192 of 2 KB, and 256 of 64 KB */
	uint32_t n_connections; /* 0: 262,144 */
	yg_changed_fn *changed; /* as that of a stack, of the gateway's deadline and its sockets; NULL: nobody */
};

/* NULL: no memory, or a config that is none; why has the reason, as `yangguan check` prints it, cut to its length. */
YG_API struct yg_gateway *yg_gateway_create(const struct yg_gateway_config *config,
					    const struct yg_gateway_policy *policy, char *why, size_t why_len);
YG_API void yg_gateway_destroy(struct yg_gateway *gateway);
/* Another policy, as one: connections go on, interfaces keep their numbers by their names. -EINVAL and a reason:
 * nothing is changed. */
YG_API int yg_gateway_configure(struct yg_gateway *gateway, const struct yg_gateway_policy *policy, uint64_t now,
				char *why, size_t why_len);

/* What stands behind an interface. */
struct yg_gateway_port {
	size_t size;    /* of this struct */
	uint32_t flags; /* YG_ETHERNET, YG_OFFLOAD_*, YG_CHECKSUM_UNTOLD */
	uint32_t mtu;   /* 0: 1,500 */
	uint8_t mac[6]; /* with YG_ETHERNET */
};
/* The number of the interface, from 1 on; of one that has a port already, another port. -ENOENT: the policy has no such
 * interface. port NULL: as with zeros. */
YG_API int yg_gateway_attach(struct yg_gateway *gateway, const char *name, const struct yg_gateway_port *port,
			     uint64_t now);
/* What an interface leads to is gone, until it is attached again. -ENODEV. */
YG_API int yg_gateway_detach(struct yg_gateway *gateway, unsigned int interface, uint64_t now);

/* Packets that came by an interface. How many were taken: what is lent is so in any case, and released; of what is copied
 * the rest found no memory. -ENODEV: nothing is attached there, and nothing is taken. */
YG_API int yg_gateway_input(struct yg_gateway *gateway, unsigned int interface, const struct yg_frame *frames,
			    unsigned int n, uint64_t now);
/* What is due. */
YG_API void yg_gateway_run(struct yg_gateway *gateway, uint64_t now);
/* When yg_gateway_run is to be called next; YG_NEVER. */
YG_API uint64_t yg_gateway_next_deadline(const struct yg_gateway *gateway);

/* The gateway's own host: a stack whose sockets (socket.h, event.h, zerocopy.h, info.h) have the addresses of the policy's
 * interfaces. What they send and get passes INPUT, OUTPUT, connection tracking and NAT as all else. Interfaces, addresses
 * and routes are the gateway's: yg_address_*, yg_route_*, yg_input_bytes and yg_forward give -EOPNOTSUPP, yg_packet_alloc
 * and yg_packet_wrap NULL. yg_run, yg_next_deadline and yg_now are the gateway's; yg_set_wait is for both. It ends with its
 * gateway, and yg_stack_destroy does nothing. A `host` block of the text has its settings. */
YG_API struct yg_stack *yg_gateway_stack(struct yg_gateway *gateway);

/* Fail-over: a neighbour is out of use as a next hop, until it is up again: routes by it give way to the second best,
 * and flows follow with their next packet. Whether it lives is for the caller to judge (the events "neigh-failed" and
 * "neigh-learnt"; his own probes): a gateway that gave up its only way for one lost ARP would help nobody. It outlives changes
 * of the policy, and not its interface. -EALREADY: so it is; -ENODEV; -EAFNOSUPPORT; -EBUSY, from within a call; -ENOSPC: 1,024
 * are out of use; -ENOMEM: all is as it was. */
YG_API int yg_gateway_next_hop(struct yg_gateway *gateway, unsigned int interface, const struct sockaddr *address,
			       int is_up, uint64_t now);

/* --- listings: fn is called for each row, which is good during the call, and calls nothing of the gateway --- */

YG_API void yg_gateway_connections(struct yg_gateway *gateway,
				   void (*fn)(void *ctx, const struct yg_connection *connection), void *ctx);

struct yg_rule {
	size_t size; /* of this struct */
	const char *family, *table, *chain;
	const char *text; /* as it was written; NULL: the chain's policy */
	uint64_t packets, bytes; /* of its first counter; 0: it has none */
};
YG_API void yg_gateway_rules(struct yg_gateway *gateway, void (*fn)(void *ctx, const struct yg_rule *rule), void *ctx);

struct yg_pool {
	size_t size;      /* of this struct */
	const char *name; /* of masquerade: of the interface */
	uint32_t n_addresses;
	uint64_t n_ports; /* of one protocol */
	uint64_t n_used_tcp, n_used_udp, n_used_icmp, n_used_other;
	uint64_t n_refused; /* connections that found no port */
};
YG_API void yg_gateway_pools(struct yg_gateway *gateway, void (*fn)(void *ctx, const struct yg_pool *pool), void *ctx);

/* As yg_drops and yg_law have it of a stack. */
YG_API void yg_gateway_drops(struct yg_gateway *gateway,
			     void (*fn)(void *ctx, const char *name, uint64_t n, const char *what, const char *hint),
			     void *ctx);
YG_API void yg_gateway_law(struct yg_gateway *gateway, struct yg_law *out);

#ifdef __cplusplus
}
#endif

#endif
