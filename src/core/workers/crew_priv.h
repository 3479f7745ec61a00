/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of the crew share.
 */
#ifndef YG_CORE_WORKERS_CREW_PRIV_H
#define YG_CORE_WORKERS_CREW_PRIV_H

#include "core/workers/crew.h"
#include "core/workers/owner.h"
#include "base/ring.h"
#include "gateway/conntrack/fragment.h"

#define CREW_SLOTS 1024u /* packets on the way from one worker to another */
#define CREW_SLOT_BYTES 256u
#define CREW_FRAME_BYTES 188u /* larger frames stay where they are */
#define CREW_AHEAD 16u        /* slots asked for before they are filled */
#define CREW_MESSAGES 4096u
#define CREW_RETURNS 1024u /* large packets that others have of one worker */
#define CREW_NOBODY UINT8_MAX

/* What is known of a packet that changes hands. */
struct crew_way {
	struct tuple tuple;   /* by which its flow is found; pieces: of the first one */
	uint64_t asked;       /* workers that had no port for it; 0: nobody was asked */
	struct nat_loan loan; /* CREW_BORROW, CREW_LOAN */
	uint8_t ifindex;
	uint8_t flags; /* enum crew_flag */
};

/* A packet on its way: its bytes, or where they are. Lines travel between processors, so a small plain frame needs only
 * as many as it has itself: what is known of it can be seen in it. */
struct crew_slot {
	uint16_t len;    /* of the frame that stands here */
	uint8_t ifindex; /* CREW_BARE: as in crew_way */
	uint8_t flags;
	uint8_t bytes[CREW_FRAME_BYTES];
	/* --- without CREW_BARE --- */
	struct packet *lent; /* not NULL: it stands there */
	struct crew_way way;
	struct offload offload;
};
_Static_assert(offsetof(struct crew_slot, lent) == CREW_SLOT_BYTES - RING_LINE &&
		       sizeof(struct crew_slot) == CREW_SLOT_BYTES,
	       "three lines of frame, one of the rest");

enum crew_flag {
	CREW_FINAL = 0x1,  /* whoever has it keeps it */
	CREW_PIECE = 0x2,  /* to where the pieces of its packet meet */
	CREW_BORROW = 0x4, /* its sender's mapping is wanted */
	CREW_LOAN = 0x8,   /* and comes with it, if loan.lender is set */
	/* Of a slot, not of a way: */
	CREW_BARE = 0x10,       /* a plain frame (owner_look_plain), and no more */
	CREW_CSUM_VALID = 0x20, /* with it: offload.csum_valid */
	CREW_STAMPED = 0x40,    /* with it: the stamp stands in the frame (stack/packet/stamp.h) */
};

enum crew_message_kind {
	CREW_REDIRECT_ADD,
	CREW_REDIRECT_REMOVE, /* if it still leads to `worker` */
	CREW_LOAN_RETURN,     /* of the mapping of an inside endpoint; ifindex is the pool */
	CREW_ATTEMPT,         /* of an inside endpoint to meet another (nat_attempt_here); ifindex is the pool */
};

struct crew_message {
	struct tuple tuple;
	uint8_t kind; /* enum crew_message_kind */
	uint8_t worker;
	uint8_t ifindex; /* where packets with this tuple come in */
	uint8_t to;      /* in the backlog */
};

struct crew_redirect {
	struct tuple tuple;
	uint32_t chain;
	uint8_t worker;
	bool pinned;
};

struct crew_redirects {
	struct pool pool;
	uint32_t *bucket;
	uint32_t n_buckets; /* a power of two */
	uint32_t n_wild;    /* for all of an inside endpoint */
};

/* Beside each connection. */
struct crew_side {
	uint8_t flags;
	uint8_t home[N_CT_DIRS];    /* the worker at which packets of a direction arrive */
	uint8_t ifindex[N_CT_DIRS]; /* where they come in; 0: they are made here */
	uint8_t reserved[3];
};

enum crew_side_flag {
	CREW_SIDE_KNOWN = 0x1,
	CREW_SIDE_PIN_ORIGINAL = 0x2,
	CREW_SIDE_PIN_REPLY = 0x4,
};

/* The first bytes of a packet that begins a connection, as they came: Ethernet, IPv4 and TCP with all options. */
#define CREW_SAVED_BYTES 136u
#define CREW_SAVED 256u
struct crew_saved {
	const struct packet *p;
	struct tuple tuple;
	uint32_t len;
	uint8_t bytes[CREW_SAVED_BYTES];
};

/* From one worker to another. */
struct crew_pair {
	struct ring packets;  /* struct crew_slot */
	struct ring messages; /* struct crew_message */
	struct ring returns;  /* struct packet *: of the one that they return to */
	/* The receiver's: frames are judged where they stand, and their slots go back when all have been let go of. */
	_Alignas(RING_LINE) uint32_t n_open; /* slots of packets that were judged and did not go back */
	uint32_t n_used;                     /* packets that stand in them */
};

struct crew_worker {
	struct crew *crew;
	uint32_t id;
	struct gateway *gw;
	struct env *env;
	struct crew_redirects redirects;
	struct crew_side *side;
	uint32_t n_sides;
	struct ct_fragments *fragments;
	struct crew_saved *saved; /* a ring */
	uint32_t n_saved;
	/* Messages that found no room; only removals wait here. */
	struct crew_message *backlog;
	uint32_t backlog_cap, backlog_first, backlog_n;
	uint64_t touched; /* workers to whom something was published */
	uint64_t filled;  /* workers in whose ring packets wait to be published */
	uint32_t n_lent[CREW_MAX];
	bool slots_open;     /* somewhere crew_pair.n_open is not 0 */
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

struct crew {
	uint32_t n;
	struct owner_tables owner;
	struct nat_blocks *blocks;
	struct crew_worker *worker;
	struct crew_pair *pair; /* [from * n + to] */
	crew_wake_fn *wake;
	void *wake_ctx;
};

static inline struct crew_pair *crew_pair(const struct crew *c, uint32_t from, uint32_t to)
{
	return &c->pair[from * c->n + to];
}

/* --- crew_redirect.c --- */

int crew_redirects_init(struct crew_redirects *r, uint32_t cap);
void crew_redirects_fini(struct crew_redirects *r);
/* Who has the flow of a packet that arrives at w with this tuple; w itself when nobody said otherwise. */
uint32_t crew_redirected(const struct crew_worker *w, const struct tuple *t);
/* By this worker alone. */
void crew_redirect_set(struct crew_worker *w, const struct tuple *t, uint32_t ifindex, uint32_t to);
bool crew_redirect_clear(struct crew_worker *w, const struct tuple *t, uint32_t to);
/* Slots of conntrack. */
bool crew_confirmed(void *ctx, uint32_t index, const struct packet *p);
void crew_ended(void *ctx, uint32_t index);
/* Slots of NAT. */
bool crew_mapping(void *ctx, const struct tuple *inside, enum nat_mapping_event what);
void crew_give_back(void *ctx, const struct tuple *inside, const struct nat_loan *loan);
void crew_attempt(void *ctx, const struct tuple *meet, uint32_t pool);
/* An inside endpoint, as the tuples of a packet of it say. */
struct tuple crew_inside(const struct tuple *t);
/* What others have told us. */
void crew_read_messages(struct crew_worker *w);
bool crew_tell(struct crew_worker *w, uint32_t to, const struct crew_message *m);
/* Everybody at rest: all redirects and pins anew. */
void crew_resync(struct crew *c);

/* --- crew_hand.c --- */

enum crew_keep { CREW_FREE_COPIED, CREW_KEEP_COPIED };
/* p goes to another worker, or is dropped by name. CREW_KEEP_COPIED: the caller frees p if it says so (true). */
bool crew_hand_over(struct crew_worker *w, uint32_t to, struct packet *p, const struct crew_way *way,
		    enum crew_keep keep);
/* The same for a frame of which owner_look_plain says all there is to know; flags: CREW_FINAL or 0. */
void crew_hand_plain(struct crew_worker *w, uint32_t to, struct packet *p, uint32_t ifindex, uint8_t flags);
/* A copy for each of the others. */
void crew_hand_copies(struct crew_worker *w, const struct packet *p, uint32_t ifindex);
/* Slots of NAT. */
void crew_begins(void *ctx, const struct packet *p);
bool crew_elsewhere(void *ctx, struct packet *p);
bool crew_borrow(void *ctx, struct packet *p, const struct nat_loan *wanted);
/* Makes what was put into rings visible, and wakes. */
void crew_publish(struct crew_worker *w);

#endif
