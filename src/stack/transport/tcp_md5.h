/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Signed segments (RFC 2385, TCP_MD5SIG): keys of sockets, and what they are for.
 */
#ifndef YG_STACK_TRANSPORT_TCP_MD5_H
#define YG_STACK_TRANSPORT_TCP_MD5_H

#include "stack/transport/tcp_rare.h"

#define TCP_MD5_OPTION_LEN 20u /* with two NOPs before it */
/* Keys have numbers of 16 bits; 0 is none. */
#define TCP_MD5_KEYS_MAX 65000u

/* A key belongs to one list of a connection's or a listener's, or to a TIME_WAIT record. */
struct tcp_md5_key {
	uint32_t addr; /* of other ends, by prefix */
	uint8_t prefix_len, len;
	uint16_t next;
	uint8_t bytes[TCP_MD5_KEY_MAX];
};

static inline struct tcp_md5_key *tcp_md5_at(const struct tcp *t, uint16_t number)
{
	return number == 0 ? NULL : (struct tcp_md5_key *)pool_at(&t->md5_keys, number - 1u);
}

/* The key for raddr of the list that begins there, by the longest prefix; NULL: none. */
const struct tcp_md5_key *tcp_md5_find(const struct tcp *t, uint16_t list, uint32_t raddr);
/* Of whoever has that tcp_rare. */
static inline const struct tcp_md5_key *tcp_md5_for(const struct tcp *t, uint32_t rare, uint32_t raddr)
{
	return rare == POOL_NONE ? NULL : tcp_md5_find(t, tcp_rare_at(t, rare)->md5, raddr);
}
/* Bytes that its options take for it. */
static inline uint32_t tcp_md5_room(const struct tcp *t, uint32_t rare, uint32_t raddr)
{
	return tcp_md5_for(t, rare, raddr) != NULL ? TCP_MD5_OPTION_LEN : 0;
}

/* A copy of key as a list of one; 0: no room, counted. */
uint16_t tcp_md5_copy(struct tcp *t, const struct tcp_md5_key *key);
void tcp_md5_free(struct tcp *t, uint16_t list);
/* The key for raddr, which leaves the list that it is in. 0: none. */
uint16_t tcp_md5_detach(struct tcp *t, uint16_t *list, uint32_t raddr);

/* Writes the option, at the end of the header at h, over a segment that is complete but for its checksum. */
void tcp_md5_sign(const struct tcp_md5_key *key, const struct packet *p, uint8_t *h, uint32_t header_len,
		  uint32_t payload_len);
/* p is not signed as it must be: it is dropped, by name, and the result is true. */
bool tcp_md5_refuses(struct packet *p, const struct tcp_options *o, const struct tcp_md5_key *key);

#endif
