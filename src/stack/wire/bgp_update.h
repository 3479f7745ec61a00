/* SPDX-License-Identifier: BSD-2-Clause
 *
 * BGP's UPDATE (RFC 4271 section 4.3) to values and back.
 */
#ifndef YG_STACK_WIRE_BGP_UPDATE_H
#define YG_STACK_WIRE_BGP_UPDATE_H

#include "stack/wire/bgp_attr.h"

/* What an UPDATE asks for. To be applied in this order: `withdrawn` and attrs.unreach go; then `nlri`, with
 * attrs.next_hop, and attrs.reach, with its own, come, or go too when the disposition is BGP_WITHDRAW. So a prefix that
 * is withdrawn and announced in one message is announced (RFC 4271 section 4.3). */
struct bgp_update {
	struct bgp_nlri withdrawn, nlri;
	bool is_end_of_rib;     /* of IPv4 unicast (RFC 4724 section 2); nothing else is in it */
	bool is_loop;           /* our AS, identifier or cluster is in it: the routes come, and cannot be chosen */
	struct bgp_attrs attrs; /* to be used unless the disposition is BGP_WITHDRAW or BGP_RESET */
};

/* p, len: a whole UPDATE. *e is what decided; with BGP_RESET nothing of *u is to be used. The strongest of all errors
 * counts (RFC 7606 section 3 h). */
enum bgp_disposition bgp_update_parse(const struct bgp_wire *w, const uint8_t *p, size_t len, struct bgp_update *u,
				      struct bgp_error *e);

/* What is to be written, message by message. */
struct bgp_update_job {
	const struct ip4_prefix *withdrawn;
	size_t n_withdrawn;
	const uint8_t *attrs; /* of bgp_set_emit, at most BGP_EMITTED_MAX bytes */
	size_t attrs_len;
	const struct ip4_prefix *nlri;
	size_t n_nlri;
};

/* Behind so many bytes of attributes a message still has room for a prefix. */
#define BGP_EMITTED_MAX (BGP_MESSAGE_MAX - BGP_HEADER_LEN - 4 - BGP_PREFIX_LEN_MAX)

/* Writes the next message of a job, at most BGP_MESSAGE_MAX bytes, and takes what is in it off the job: withdrawn ones
 * first, in messages of their own. Returns its length; 0 when nothing is left. */
size_t bgp_update_emit(uint8_t *p, struct bgp_update_job *job);
/* End-of-RIB of IPv4 unicast; returns its length. */
size_t bgp_end_of_rib_emit(uint8_t *p);

#endif
