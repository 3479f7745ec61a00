/* SPDX-License-Identifier: BSD-2-Clause
 *
 * TCP's MD5 signatures (RFC 2385), as BGP speaks them: with a key, each segment of a
 * connection has a digest over its addresses, its header without options, its data and the
 * key. What has none, or another one, is dropped before anything looks at it.
 *
 * A socket has keys for other ends, by address or prefix (tcp_md5_set). A listener's key
 * signs the handshake, and its connection gets a copy, so what becomes of the listener's
 * keys later is no business of a connection that stands; TIME_WAIT takes the key over. A reset of a
 * connection that nobody knows any more is signed by the listener's key: so the peer of
 * a host that was started anew learns of it.
 *
 * The option takes 20 of the 40 bytes, so a signed connection does without
 * timestamps, as in Linux (whose other choice is to leave out SACK).
 */
#include "stack/transport/tcp_md5.h"

#include <errno.h>

#include "base/md5.h"
#include "stack/wire/checksum.h"

#define KIND_MD5 19
#define KIND_NOP 1

/* --- keys --- */

const struct tcp_md5_key *tcp_md5_find(const struct tcp *t, uint16_t list, uint32_t raddr)
{
	const struct tcp_md5_key *best = NULL;

	for (const struct tcp_md5_key *k = tcp_md5_at(t, list); k != NULL; k = tcp_md5_at(t, k->next)) {
		struct ip4_prefix net = { k->addr, k->prefix_len };

		if (ip4_in(raddr, net) && (best == NULL || k->prefix_len > best->prefix_len))
			best = k;
	}
	return best;
}

static uint16_t key_new(struct tcp *t)
{
	uint32_t index = pool_alloc(&t->md5_keys);

	if (index == POOL_NONE)
		return 0;
	*(struct tcp_md5_key *)pool_at(&t->md5_keys, index) = (struct tcp_md5_key){ 0 };
	return (uint16_t)(index + 1);
}

uint16_t tcp_md5_copy(struct tcp *t, const struct tcp_md5_key *key)
{
	uint16_t number = key_new(t);

	if (number != 0) {
		*tcp_md5_at(t, number) = *key;
		tcp_md5_at(t, number)->next = 0;
	}
	return number;
}

void tcp_md5_free(struct tcp *t, uint16_t list)
{
	while (list != 0) {
		uint16_t next = tcp_md5_at(t, list)->next;

		pool_free(&t->md5_keys, list - 1u);
		list = next;
	}
}

uint16_t tcp_md5_detach(struct tcp *t, uint16_t *list, uint32_t raddr)
{
	const struct tcp_md5_key *key = tcp_md5_find(t, *list, raddr);

	if (key == NULL)
		return 0;
	while (tcp_md5_at(t, *list) != key)
		list = &tcp_md5_at(t, *list)->next;
	uint16_t number = *list;

	*list = key->next;
	tcp_md5_at(t, number)->next = 0;
	return number;
}

/* Sets, changes or, with len 0, takes away. */
static int change(struct tcp *t, uint32_t *rare, const struct tcp_md5 *m)
{
	struct tcp_rare *r = tcp_rare_get(t, rare);
	uint32_t addr = m->addr & ip4_mask(m->prefix_len);
	uint16_t *at = &r->md5;

	while (*at != 0 && (tcp_md5_at(t, *at)->addr != addr || tcp_md5_at(t, *at)->prefix_len != m->prefix_len))
		at = &tcp_md5_at(t, *at)->next;
	if (m->len == 0) {
		uint16_t gone = *at;

		if (gone == 0)
			return -ENOENT;
		*at = tcp_md5_at(t, gone)->next;
		tcp_md5_at(t, gone)->next = 0;
		tcp_md5_free(t, gone);
		return 0;
	}
	if (*at == 0)
		*at = key_new(t);
	struct tcp_md5_key *k = tcp_md5_at(t, *at);

	if (k == NULL)
		return -ENOMEM;
	k->addr = addr;
	k->prefix_len = m->prefix_len;
	k->len = m->len;
	memcpy(k->bytes, m->key, m->len);
	return 0;
}

int tcp_set_md5(struct tcp *t, struct tcp_conn *c, const struct tcp_md5 *m)
{
	int rc = change(t, &c->rare, m);

	/* Its option takes room of each segment. */
	if (c->state >= TCP_ESTABLISHED)
		tcp_set_mss(t, c);
	return rc;
}

int tcp_listener_set_md5(struct tcp *t, struct tcp_listener *l, const struct tcp_md5 *m)
{
	return change(t, &l->rare, m);
}

/* --- digests --- */

/* RFC 2385 section 2.0: the pseudo-header, the header without options and with no checksum, the data, the key. */
static void digest(const struct tcp_md5_key *key, const struct packet *p, const uint8_t *h, uint32_t l4_len,
		   const uint8_t *payload, uint32_t payload_len, uint8_t out[MD5_BYTES])
{
	uint8_t pseudo[12], header[TCP_HEADER_LEN];
	struct md5 m;

	for (uint32_t i = 0; i < 4; i++) {
		pseudo[i] = (uint8_t)(p->ip.src >> (24 - 8 * i));
		pseudo[4 + i] = (uint8_t)(p->ip.dst >> (24 - 8 * i));
	}
	pseudo[8] = 0;
	pseudo[9] = IPPROTO_NR_TCP;
	pseudo[10] = (uint8_t)(l4_len >> 8);
	pseudo[11] = (uint8_t)l4_len;
	memcpy(header, h, sizeof(header));
	header[TCP_CHECK_AT] = header[TCP_CHECK_AT + 1] = 0;
	md5_begin(&m);
	md5_add(&m, pseudo, sizeof(pseudo));
	md5_add(&m, header, sizeof(header));
	md5_add(&m, payload, payload_len);
	md5_add(&m, key->bytes, key->len);
	md5_end(&m, out);
}

void tcp_md5_sign(const struct tcp_md5_key *key, const struct packet *p, uint8_t *h, uint32_t header_len,
		  uint32_t payload_len)
{
	uint8_t *option = h + header_len - TCP_MD5_OPTION_LEN;

	option[0] = option[1] = KIND_NOP;
	option[2] = KIND_MD5;
	option[3] = 2 + MD5_BYTES;
	digest(key, p, h, header_len + payload_len, h + header_len, payload_len, option + 4);
}

bool tcp_md5_refuses(struct packet *p, const struct tcp_options *o, const struct tcp_md5_key *key)
{
	uint8_t is[MD5_BYTES];
	const uint8_t *h = packet_l4_const(p);

	if (key == NULL && o->md5 == NULL)
		return false;
	if (o->md5 == NULL) {
		packet_set_drop(p, DROP_TCP_MD5_MISSING);
		return true;
	}
	if (key == NULL) {
		packet_set_drop(p, DROP_TCP_MD5_UNEXPECTED);
		return true;
	}
	digest(key, p, h, (uint32_t)p->l4.header_len + p->l4.payload_len, h + p->l4.header_len, p->l4.payload_len, is);
	/* In a time that says nothing of where they differ. */
	uint8_t differs = 0;

	for (uint32_t i = 0; i < MD5_BYTES; i++)
		differs |= is[i] ^ o->md5[i];
	if (differs != 0)
		packet_set_drop(p, DROP_TCP_MD5_WRONG);
	return differs != 0;
}
