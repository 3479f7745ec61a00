/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Fragments of packets in transit: which of them belong together, what the first
 * one said, and those that wait for it (RFC 791 section 3.2, RFC 5722, RFC 1858).
 */
#ifndef YG_GATEWAY_CONNTRACK_FRAGMENT_H
#define YG_GATEWAY_CONNTRACK_FRAGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/conntrack/tuple.h"
#include "stack/packet/env.h"

struct ct_fragments;

/* What connection tracking made of the first fragment. */
enum ct_fragment_fate {
	CT_FRAGMENT_UNKNOWN, /* not there yet, or not judged yet */
	CT_FRAGMENT_TRACKED, /* tuple names its connection */
	CT_FRAGMENT_RELATED, /* an ICMP error: tuple names the connection that it is about */
	CT_FRAGMENT_UNTRACKED,
	CT_FRAGMENT_INVALID,
};

struct ct_fragment_first {
	enum ct_fragment_fate fate;
	struct tuple tuple;
	/* TCP that moved its sender's mark: the sequence number at offset 0 of the packet's payload, if each byte had
	 * one, and whether a FIN stands at its end. */
	bool has_seq, has_fin;
	uint32_t seq_zero;
};

#define CT_FRAGMENT_HITS_MAX 12
#define CT_FRAGMENT_CHAINS_MAX 256 /* base chains */

/* What the rules made of the first fragment, which holds for the others: conntrack keeps it for them. Where the first
 * one never came (its TTL was over before), none of the others comes through. */
struct ct_fragment_walk {
	bool dropped;
	bool nat_passed;                              /* an invalid one, by the last question of NAT */
	uint16_t reason;                              /* enum drop_reason */
	uint32_t mark;                                /* meta mark */
	uint32_t generation;                          /* of the rules whose chains and counters these are; 0: of none */
	uint64_t walked[CT_FRAGMENT_CHAINS_MAX / 64]; /* a bit a chain that the first fragment came to */
	uint32_t n_hits;
	struct {
		uint32_t chain, counter;
	} hit[CT_FRAGMENT_HITS_MAX];
};

/* For n packets whose fragments are followed, and n fragments held. NULL without memory. */
struct ct_fragments *ct_fragments_create(struct env *env, uint32_t n);
/* What is held is dropped. */
void ct_fragments_destroy(struct ct_fragments *f, struct env *env);

/* A fragment at -400, not yet translated. Sets a verdict: CONTINUE, DROP, or STOLEN when it is held until the first
 * fragment comes. When p is the first fragment, those that were held become ready. */
void ct_fragment_arrive(struct ct_fragments *f, struct env *env, struct packet *p, uint16_t zone);
/* The next ready fragment, NULL if none. The caller has it from then on. */
struct packet *ct_fragment_ready(struct ct_fragments *f);
bool ct_fragments_has_ready(const struct ct_fragments *f);

/* The first fragment has been judged. */
void ct_fragment_judge(struct ct_fragments *f, const struct packet *p, uint16_t zone,
		       const struct ct_fragment_first *first);
/* Bytes behind the IP header of the whole packet of which p is a fragment, 0: not known yet. */
uint32_t ct_fragment_whole_len(const struct ct_fragments *f, const struct packet *p);
/* Of the packet of which p is a fragment, also when p was translated; NULL when it is not followed (any more). */
struct ct_fragment_walk *ct_fragment_walk(struct ct_fragments *f, const struct packet *p);
/* What the first fragment of p's packet was. */
struct ct_fragment_first ct_fragment_first_of(struct ct_fragments *f, const struct packet *p, uint16_t zone);

/* The identification that all fragments of p's packet go out with: *fresh if none of them has gone yet. key_src and
 * key_dst are the addresses that the fragments came in with. False when the packet is not followed. */
bool ct_fragment_identify(struct ct_fragments *f, const struct packet *p, uint32_t key_src, uint32_t key_dst,
			  uint16_t zone, uint16_t *fresh);

/* Drops what waited too long. */
void ct_fragments_expire(struct ct_fragments *f, struct env *env);
uint64_t ct_fragments_deadline(const struct ct_fragments *f);
uint32_t ct_fragments_n_held(const struct ct_fragments *f);

#endif
