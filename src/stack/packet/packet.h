/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A packet: a frame's bytes, wherever they lie, and what is known of them.
 *
 * The descriptor comes from a pool sized at start. The bytes are either in a
 * buffer of that pool, or external: a driver's (a slot of its receive ring), and go
 * back when the packet is freed. Whoever keeps a packet longer than the batch it
 * came in calls packet_copy_on_hold first, so that a driver's ring never starves.
 *
 * Two sizes of buffer: small ones for ordinary frames, a few large ones for
 * segments of 64 KB.
 */
#ifndef YG_STACK_PACKET_PACKET_H
#define YG_STACK_PACKET_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/drop.h"
#include "base/ledger.h"
#include "base/pool.h"
#include "base/util.h"
#include "stack/wire/ether.h"
#include "stack/wire/ipv4.h"
#include "stack/wire/l4.h"

#define PACKET_HEADROOM 128      /* bytes free before the frame in a pool buffer */
#define PACKET_SMALL_BYTES 2304  /* small buffer, headroom included */
#define PACKET_LARGE_BYTES 67840 /* large buffer: 65,535 + headers + headroom */
#define BATCH_MAX 64

enum packet_verdict {
	VERDICT_CONTINUE,
	VERDICT_DROP,      /* p->reason says why */
	VERDICT_STOLEN,    /* somebody else owns it now */
	VERDICT_DELIVERED, /* a local protocol or socket has had it: counted, freed */
	VERDICT_CONSUMED,  /* used up by the gateway itself (ARP): counted, freed */
};

enum gso_type {
	GSO_NONE,
	GSO_TCP4,
	GSO_TCP4_ECN, /* TCP4 whose first segment alone carries CWR */
	GSO_UDP4,     /* UDP_SEGMENT: datagrams of gso_size each */
};

/* Work on a frame that its sender left to the device (virtio_net_hdr). */
struct offload {
	bool csum_partial;   /* the checksum at csum_start + csum_offset holds the pseudo-header sum */
	bool csum_valid;     /* the device has checked it */
	uint8_t gso_type;    /* enum gso_type */
	uint16_t csum_start; /* from the frame's start */
	uint16_t csum_offset;
	uint16_t gso_size;    /* payload bytes of one segment */
	uint16_t gso_hdr_len; /* all headers of a segment */
};

/* Which of its flow's packets it is that a program in the kernel, which knows the flow, sent up. The program writes it
 * over the frame's destination; whoever receives takes it off again (stack/packet/stamp.h). */
struct up_stamp {
	uint16_t version; /* of the flow, as the program saw it */
	uint16_t number;  /* of those that it sent up, this one included */
	bool present;
};

#define CONN_NONE UINT32_MAX
#define PACKET_PATH_NONE UINT16_MAX /* its fragments have passed counters, each by itself; or see rules.h */

/* What conntrack found; Linux's ip_conntrack_info without the direction. */
enum ct_info {
	CT_INFO_NONE, /* conntrack has not seen the packet */
	CT_INFO_NEW,
	CT_INFO_ESTABLISHED,
	CT_INFO_RELATED,
	CT_INFO_INVALID,
	CT_INFO_UNTRACKED,
};

struct packet_pool;

/* In the order in which a packet's way needs them: a packet that takes a flow cache entry
 * touches little more than the first line, and packet_set_external clears the first two. */
struct packet {
	/* bytes */
	uint8_t *buf;        /* first byte that may be written */
	uint32_t buf_len;    /* bytes from buf on */
	uint32_t off;        /* of the frame (Ethernet header) in buf */
	uint32_t len;        /* of the frame */
	uint32_t index;      /* in the descriptor pool */
	uint32_t buf_index;  /* of the pool buffer, POOL_NONE if external */
	uint32_t in_ifindex; /* gateway's interface number; 0: made here */

	/* external bytes: called once when the packet lets go of them */
	void (*release)(void *ctx, uint64_t cookie);
	void *release_ctx;
	uint64_t release_cookie;

	uint16_t l3_off; /* from the frame's start; 14 */
	uint16_t l4_off; /* likewise */
	uint16_t reason; /* enum drop_reason with VERDICT_DROP */
	uint8_t verdict; /* enum packet_verdict */
	bool buf_large : 1;
	bool may_keep : 1;   /* external bytes that are ours until they are released, however long that takes */
	bool buf_shared : 1; /* others may have the pool buffer too: its bytes are not written (packet_share) */

	/* --- the second line --- */

	struct offload offload;

	/* way */
	uint32_t out_ifindex;  /* 0: not routed yet */
	uint32_t next_hop;     /* IPv4 of the neighbour; valid with out_ifindex */
	uint8_t bound_ifindex; /* made here: it leaves by that interface alone (SO_BINDTODEVICE); 0: by any */
	bool link_group;       /* the frame came as link-layer broadcast or multicast */
	bool to_us;            /* routed to local delivery */
	bool is_broadcast : 1; /* destination is a broadcast address */
	bool unclaimed : 1;    /* to us, and nobody here takes it: it leaves no connection behind */
	bool parsed : 1;       /* read when it was received: what ether_input and ip_input would set of it is set */
	bool cached : 1;       /* made here and to us, by its flow cache entry: no hook sees it */
	uint8_t n_loops : 3;   /* times it was sent from here to here */
	bool forwarded;        /* came in and goes out */
	bool translated;       /* NAT rewrote it; of an ICMP error made here: the packet that it quotes */

	/* connection */
	bool ct_icmp_error;    /* RELATED by its quote, conn_ref names the quoted connection */
	bool conn_unconfirmed; /* the connection is not in the table yet and lives and dies with this packet */
	uint32_t conn_ref;     /* index << 1 | direction, CONN_NONE */
	uint32_t mark;         /* meta mark */
	uint16_t path;         /* the rule counters that it has passed (rules.h), 0 at first, or PACKET_PATH_NONE */
	uint8_t ct_info;       /* enum ct_info */
	bool has_flow_place;

	/* fragments that travel together and lists of held packets */
	struct packet *next;
	uint64_t held_since; /* ns, for whoever holds it; at the host: when it was handed over, or ip_ask_sent's */

	struct up_stamp stamp;
	uint16_t zone; /* in whose routing table it is looked up: of its interface, then of its connection */

	/* --- what packet_set_external leaves as it is --- */

	/* values of the headers: valid behind ip_input, or set by whoever made it */
	struct ipv4_view ip;
	struct l4_view l4;
	uint64_t flow_place; /* conntrack's own (ct_place), with has_flow_place: what was hashed at receive it need not
			      * hash */
	struct ipv4_options options; /* valid when ip.header_len > 20 */
	/* Of a fragment: conntrack's name for what it is a fragment of, set by conntrack_defrag; serial 0, as ip_input
	 * leaves it: none. */
	uint32_t datagram, datagram_serial;
};
#define PACKET_CLEARED 128
_Static_assert(offsetof(struct packet, offload) == 64 && offsetof(struct packet, ip) <= PACKET_CLEARED,
	       "two lines are all that a packet's beginning writes");

static inline uint8_t *packet_frame(struct packet *p)
{
	return p->buf + p->off;
}

static inline uint8_t *packet_l3(struct packet *p)
{
	return p->buf + p->off + p->l3_off;
}

static inline uint8_t *packet_l4(struct packet *p)
{
	return p->buf + p->off + p->l4_off;
}

/* Bytes of the IPv4 packet behind its header, as total_len says. */
static inline const uint8_t *packet_l3_const(const struct packet *p)
{
	return packet_l3((struct packet *)(uintptr_t)p);
}

static inline const uint8_t *packet_l4_const(const struct packet *p)
{
	return packet_l4((struct packet *)(uintptr_t)p);
}

static inline uint32_t packet_l4_len(const struct packet *p)
{
	return (uint32_t)p->ip.total_len - p->ip.header_len;
}

struct packet_pool_config {
	uint32_t n_packets; /* descriptors */
	uint32_t n_small;   /* buffers of PACKET_SMALL_BYTES */
	uint32_t n_large;   /* buffers of PACKET_LARGE_BYTES */
};

struct packet_pool *packet_pool_create(const struct packet_pool_config *cfg);
void packet_pool_destroy(struct packet_pool *pool);
/* Packets in use now: the `held` of the law of conservation. */
uint32_t packet_pool_used(const struct packet_pool *pool);
uint32_t packet_pool_capacity(const struct packet_pool *pool);

/* A packet with a buffer for a frame of frame_len bytes behind PACKET_HEADROOM;
 * len is frame_len, the bytes are not cleared, all else is zero, conn_ref is
 * CONN_NONE. NULL when the pool has none. The caller counts it. */
struct packet *packet_alloc(struct packet_pool *pool, uint32_t frame_len);
/* A packet around external bytes: the frame stands at buf + off. The values of its headers are not cleared. */
struct packet *packet_set_external(struct packet_pool *pool, uint8_t *buf, uint32_t buf_len, uint32_t off,
				   uint32_t frame_len, void (*release)(void *ctx, uint64_t cookie), void *ctx,
				   uint64_t cookie);
/* A pool buffer without a packet, for bytes that packets are made around more than once (what TCP sends and may send
 * again). It is counted by those who have it, and free when the last has put it. */
struct packet_buffer {
	uint8_t *bytes;
	uint32_t len; /* all of it; there is no headroom but what its owner leaves */
	uint32_t index;
	bool large;
};
/* len: at least so many bytes. False when there is none. */
bool packet_buffer_alloc(struct packet_pool *pool, uint32_t len, struct packet_buffer *b);
void packet_buffer_put(struct packet_pool *pool, const struct packet_buffer *b);
/* One more has it. False: too many have. */
bool packet_buffer_get(struct packet_pool *pool, const struct packet_buffer *b);
/* Half of the large ones or more are free. */
bool packet_buffer_large_abound(const struct packet_pool *pool);
/* Nobody else has it: its bytes may be written. */
bool packet_buffer_is_own(const struct packet_pool *pool, const struct packet_buffer *b);
/* One that packet_buffer_alloc gave, by its number. */
struct packet_buffer packet_buffer_at(const struct packet_pool *pool, uint32_t index, bool large);
/* A packet around len bytes at off, which has the buffer too from here on. Headers in it that others may have written
 * are as they are. NULL without a descriptor. */
struct packet *packet_share(struct packet_pool *pool, const struct packet_buffer *b, uint32_t off, uint32_t len);

/* Moves external bytes into a pool buffer and lets go of them, unless they may be kept (may_keep, set by whoever made
 * the packet). False, and the packet unchanged, when no buffer is free. */
bool packet_copy_on_hold(struct packet_pool *pool, struct packet *p);
/* Before bytes behind the headers are written: a packet whose buffer others may have gets one of its own. False, and
 * the packet unchanged, when no buffer is free. */
bool packet_unshare(struct packet_pool *pool, struct packet *p);
/* A packet with p's metadata and a buffer of its own for frame_len bytes, which
 * are not filled: for the fragments of p. */
struct packet *packet_alloc_like(struct packet_pool *pool, const struct packet *p, uint32_t frame_len);
/* A copy with its own buffer, metadata included. */
struct packet *packet_copy(struct packet_pool *pool, const struct packet *p);
/* Slots: what becomes of the connection that a packet names (conn_ref). A copy never has conn_unconfirmed. */
typedef void packet_conn_fn(void *ctx, struct packet *p);
struct packet_conn_slots {
	void *ctx;
	packet_conn_fn *put;        /* by packet_free, for a packet with conn_unconfirmed set */
	packet_conn_fn *get;        /* by packet_get_conn, for one that names any */
	packet_conn_fn *revalidate; /* by packet_revalidate_conn, for one with conn_unconfirmed set */
};
void packet_pool_set_conn_slots(struct packet_pool *pool, const struct packet_conn_slots *slots);
/* Told of what is dropped, delivered and consumed (stack/packet/env.h, env_set_trace); copied. */
struct trace_slot;
void packet_pool_set_trace(struct packet_pool *pool, const struct trace_slot *t);
/* p waits for longer than its batch takes, and will still want its connection: its number stays that connection's.
 * conn_unconfirmed is set from here on. */
void packet_get_conn(struct packet_pool *pool, struct packet *p);
/* It goes on, with its connection as that is now; CT_INFO_INVALID and none, if that has ended. */
void packet_revalidate_conn(struct packet_pool *pool, struct packet *p);

/* The frame without its outer VLAN tag, which it has; its note of unfinished work goes with it. */
void packet_take_tag_out(struct packet *p);

/* Gives the packet and its bytes back. Does not count: see ledger.h. */
void packet_free(struct packet_pool *pool, struct packet *p);
/* Frees and counts as dropped for p->reason = reason. */
void packet_drop(struct packet_pool *pool, struct ledger *ledger, struct packet *p, enum drop_reason reason);

/* For a hook or a stage: mark the packet, the stage's runner takes it out. */
static inline void packet_set_drop(struct packet *p, enum drop_reason reason)
{
	p->verdict = VERDICT_DROP;
	p->reason = (uint16_t)reason;
}

/* Up to BATCH_MAX packets that go through a stage together. */
struct batch {
	uint32_t n;
	struct packet *p[BATCH_MAX];
};

static inline void batch_add(struct batch *b, struct packet *p)
{
	b->p[b->n++] = p;
}

/* Takes out what is not VERDICT_CONTINUE, in order: drops, deliveries and
 * consumed packets are counted and freed, stolen packets forgotten. Those that
 * stay have VERDICT_CONTINUE. */
void batch_settle(struct batch *b, struct packet_pool *pool, struct ledger *ledger);

#endif
