/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of the workers share.
 */
#ifndef YG_CORE_WORKERS_WORKERS_PRIV_H
#define YG_CORE_WORKERS_WORKERS_PRIV_H

#include "core/workers/workers.h"
#include "core/workers/owner.h"
#include "base/ring.h"
#include "gateway/conntrack/fragment.h"
#include "stack/ip/local.h"

#define HANDOFF_SLOTS 1024u /* packets on the way from one worker to another */
#define HANDOFF_SLOT_BYTES 256u
#define HANDOFF_FRAME_BYTES 188u /* larger frames stay where they are */
#define HANDOFF_AHEAD 16u        /* slots asked for before they are filled */
#define WORKERS_MESSAGES 4096u
#define HANDOFF_RETURNS 1024u /* large packets that others have of one worker */
#define WORKERS_NOBODY UINT8_MAX

/* What is known of a packet that changes hands. */
struct handoff_meta {
	struct tuple tuple; /* by which its flow is found; fragments: of the first one; WORKERS_HOST: of its answer */
	union {
		uint64_t asked; /* workers that had no port for it; 0: nobody was asked */
		uint64_t since; /* to the host: when it was handed over */
	};
	union {
		struct nat_lease lease; /* HANDOFF_LEASE_WANTED, HANDOFF_LEASE */
		struct {
			uint16_t zone;
			union {
				struct {
					bool is_broadcast, link_group;
				}; /* to it */
				struct {
					uint8_t out_ifindex, bound_ifindex;
				}; /* from it */
			};
			uint32_t cookie, mark; /* from it; cookie: of ip_ask_sent, 0: nobody asks */
		} host;                        /* from the host, and to it */
	};
	uint8_t ifindex;
	uint8_t flags; /* enum handoff_flag */
};

/* A packet on its way: its bytes, or where they are. Lines travel between processors, so a small plain frame needs only
 * as many as it has itself: what is known of it can be seen in it. */
struct handoff_slot {
	uint16_t len;    /* of the frame that stands here */
	uint8_t ifindex; /* HANDOFF_INLINE: as in handoff_meta */
	uint8_t flags;
	uint8_t bytes[HANDOFF_FRAME_BYTES];
	/* --- without HANDOFF_INLINE --- */
	struct packet *external; /* not NULL: it stands there */
	struct handoff_meta way;
	struct offload offload;
};
_Static_assert(offsetof(struct handoff_slot, external) == HANDOFF_SLOT_BYTES - RING_LINE &&
		       sizeof(struct handoff_slot) == HANDOFF_SLOT_BYTES,
	       "three lines of frame, one of the rest");

enum handoff_flag {
	HANDOFF_FINAL = 0x1,        /* whoever has it keeps it */
	HANDOFF_FRAGMENT = 0x2,     /* to where the fragments of its packet meet */
	HANDOFF_LEASE_WANTED = 0x4, /* its sender's mapping is wanted */
	HANDOFF_LEASE = 0x8,        /* and comes with it, if lease.lessor is set */
	WORKERS_HOST = 0x80,        /* the host made it */
	/* Of a slot, not of a way: */
	HANDOFF_INLINE = 0x10,     /* a plain frame (owner_look_plain), and no more */
	HANDOFF_CSUM_VALID = 0x20, /* with it: offload.csum_valid */
	HANDOFF_STAMPED = 0x40,    /* with it: the stamp stands in the frame (stack/packet/stamp.h) */
};

enum workers_message_kind {
	WORKERS_REDIRECT_ADD,
	WORKERS_REDIRECT_REMOVE, /* if it still leads to `worker` */
	WORKERS_LEASE_RETURN,    /* of the mapping of an inside endpoint; ifindex is the pool */
	WORKERS_SENT,            /* a packet of the host's, with sent.cookie, was taken to be sent */
	WORKERS_GROUP,           /* the host has joined the group tuple.dst (worker 1) or left it (0) on ifindex */
	WORKERS_PENDING_OPEN, /* of an inside endpoint to meet another (nat_pending_open_here); ifindex is the pool */
};

struct workers_message {
	union {
		struct tuple tuple;
		struct {
			uint64_t at;
			uint32_t cookie;
		} sent;
	};
	uint8_t kind; /* enum workers_message_kind */
	uint8_t worker;
	uint8_t ifindex; /* where packets with this tuple come in */
	uint8_t to;      /* in the backlog */
};

struct workers_redirect {
	struct tuple tuple;
	uint32_t chain;
	uint8_t worker;
	bool pinned;
};

struct workers_redirects {
	struct pool pool;
	uint32_t *bucket;
	uint32_t n_buckets; /* a power of two */
	uint32_t n_wild;    /* for all of an inside endpoint */
};

/* Beside each connection. */
struct workers_ext {
	uint8_t flags;
	uint8_t owner[N_CT_DIRS];   /* the worker at which packets of a direction arrive */
	uint8_t ifindex[N_CT_DIRS]; /* where they come in; 0: they are made here */
	uint8_t reserved[3];
};

enum workers_ext_flag {
	WORKERS_EXT_KNOWN = 0x1,
	WORKERS_EXT_PIN_ORIGINAL = 0x2,
	WORKERS_EXT_PIN_REPLY = 0x4,
};

/* The first bytes of a packet that begins a connection, as they came: Ethernet, IPv4 and TCP with all options. */
#define WORKERS_STASH_BYTES 136u
#define WORKERS_STASH 256u
struct workers_stash {
	const struct packet *p;
	struct tuple tuple;
	uint32_t len;
	uint8_t bytes[WORKERS_STASH_BYTES];
};

/* From one worker to another. */
struct workers_pair {
	struct ring packets;  /* struct handoff_slot */
	struct ring messages; /* struct workers_message */
	struct ring returns;  /* struct packet *: of the one that they return to */
	/* The receiver's: frames are judged where they stand, and their slots go back when all have been let go of. */
	_Alignas(RING_LINE) uint32_t n_open; /* slots of packets that were judged and did not go back */
	uint32_t n_used;                     /* packets that stand in them */
};

struct workers_member {
	struct workers *workers;
	uint32_t id;
	struct gateway *gw;
	struct env *env;
	struct workers_redirects redirects;
	struct workers_ext *side;
	uint32_t n_sides;
	struct ct_fragments *fragments;
	struct workers_stash *stash; /* a ring */
	uint32_t n_stashed;
	/* Messages that found no room; only removals wait here. */
	struct workers_message *backlog;
	uint32_t backlog_cap, backlog_first, backlog_n;
	uint64_t touched; /* workers to whom something was published */
	uint64_t filled;  /* workers in whose ring packets wait to be published */
	uint32_t n_external[WORKERS_MAX + 1];
	bool slots_open;     /* somewhere workers_pair.n_open is not 0 */
	bool mostly_foreign; /* of the last batch received, many were others' */
	uint32_t turn;       /* the ring that is looked at first */
	/* Packets that elsewhere() copied away, freed behind the batch. */
	struct batch gone;
	/* The packet that was handed to us for want of a port, while it is judged. */
	struct {
		const struct packet *p;
		uint64_t asked;
		bool settled; /* it has a connection, or somebody else is asked */
	} ask;
	uint64_t n_asked, n_redirects_lost;
};

struct workers {
	uint32_t n;         /* workers */
	uint32_t n_members; /* and the host, if there is one: number n */
	struct owner_tables owner;
	struct port_blocks *blocks;
	struct workers_member *worker;
	struct workers_pair *pair; /* [from * (n + 1) + to] */
	struct ip_host_wants wants;
	struct device face[IP_INTERFACES_MAX]; /* what the host knows of the devices */
	workers_wake_fn *wake;
	void *wake_ctx;
};

static inline struct workers_pair *workers_pair(const struct workers *c, uint32_t from, uint32_t to)
{
	return &c->pair[from * (c->n + 1) + to];
}

/* --- workers.c --- */

int workers_pair_init(struct workers_pair *p);

/* --- redirect.c --- */

int workers_redirects_init(struct workers_redirects *r, uint32_t cap);
void workers_redirects_fini(struct workers_redirects *r);
/* Who has the flow of a packet that arrives at w with this tuple; w itself when nobody said otherwise. */
uint32_t workers_redirected(const struct workers_member *w, const struct tuple *t);
/* By this worker alone. */
void workers_redirect_set(struct workers_member *w, const struct tuple *t, uint32_t ifindex, uint32_t to);
/* Slots of conntrack. */
bool workers_confirmed(void *ctx, uint32_t index, const struct packet *p);
void workers_ended(void *ctx, uint32_t index);
/* Slots of NAT. */
bool workers_mapping(void *ctx, const struct tuple *inside, enum nat_mapping_event what);
void workers_give_back(void *ctx, const struct tuple *inside, const struct nat_lease *lease);
void workers_pending_open(void *ctx, const struct tuple *meet, uint32_t pool);
/* An inside endpoint, as the tuples of a packet of it say. */
struct tuple workers_inside(const struct tuple *t);
/* What others have told us. */
void workers_read_messages(struct workers_member *w);
bool workers_tell(struct workers_member *w, uint32_t to, const struct workers_message *m);
/* All workers quiesced: all redirects and pins are rebuilt. */
void workers_resync(struct workers *c);

/* --- handoff.c --- */

/* For the trace slot, when somebody listens: p goes to the other worker, or has come from it. */
__attribute__((cold)) void handoff_trace(const struct workers_member *w, enum trace_kind kind, uint32_t other,
					 const struct packet *p, uint32_t ifindex);

enum handoff_keep { HANDOFF_FREE_COPIED, HANDOFF_KEEP_COPIED };
/* p goes to another worker, or is dropped by name. HANDOFF_KEEP_COPIED: the caller frees p if it says so (true). */
bool handoff_packet(struct workers_member *w, uint32_t to, struct packet *p, const struct handoff_meta *way,
		    enum handoff_keep keep);
/* The same for a frame of which owner_look_plain says all there is to know; flags: HANDOFF_FINAL or 0. */
void handoff_inline(struct workers_member *w, uint32_t to, struct packet *p, uint32_t ifindex, uint8_t flags);
/* A copy for each of the others. */
void handoff_copies(struct workers_member *w, const struct packet *p, uint32_t ifindex);
/* Slots of NAT. */
void workers_begins(void *ctx, const struct packet *p);
bool workers_elsewhere(void *ctx, struct packet *p);
bool workers_lease(void *ctx, struct packet *p, const struct nat_lease *wanted);
/* Makes what was put into rings visible, and wakes. */
void workers_publish(struct workers_member *w);

/* --- host.c --- */

/* What its maker said of a packet of the host's. */
void workers_host_note(struct handoff_meta *way, const struct packet *p);
/* The packet as its maker had it. */
void workers_host_restore(struct workers_member *w, struct packet *p, const struct handoff_meta *way);
/* By the host: what was handed over to it. */
uint32_t workers_host_poll(struct workers_member *w, uint64_t now);

#endif
