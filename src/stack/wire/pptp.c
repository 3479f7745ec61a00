/* SPDX-License-Identifier: BSD-2-Clause
 *
 * PPTP's control messages: one row a type says where the numbers of the call stand.
 * All of these places are at even offsets, so a checksum over the message is mended
 * word by word.
 *
 * Next: src/gateway/nat/pptp.c
 */
#include "stack/wire/pptp.h"

#include "base/util.h"
#include "stack/wire/bytes.h"

#define HEADER_LEN 12
#define MESSAGE_CONTROL 1
#define MAGIC_COOKIE UINT32_C(0x1a2b3c4d)
#define RESULT_CONNECTED 1

/* Offsets in the message, 0: not there. */
struct trait {
	uint8_t min_len, own_at, peer_at, result_at;
};

static const struct trait traits[] = {
	[PPTP_OUTGOING_CALL_REQUEST] = { 16, 12, 0, 0 },   [PPTP_OUTGOING_CALL_REPLY] = { 32, 12, 14, 16 },
	[PPTP_INCOMING_CALL_REQUEST] = { 16, 12, 0, 0 },   [PPTP_INCOMING_CALL_REPLY] = { 24, 12, 14, 16 },
	[PPTP_INCOMING_CALL_CONNECTED] = { 16, 0, 12, 0 }, [PPTP_CALL_CLEAR_REQUEST] = { 16, 12, 0, 0 },
	[PPTP_CALL_DISCONNECT_NOTIFY] = { 16, 12, 0, 0 },  [PPTP_WAN_ERROR_NOTIFY] = { 16, 0, 12, 0 },
	[PPTP_SET_LINK_INFO] = { 16, 0, 12, 0 },
};

static const struct trait *trait_of(uint16_t type)
{
	static const struct trait none = { HEADER_LEN, 0, 0, 0 };

	return type < ARRAY_LEN(traits) && traits[type].min_len != 0 ? &traits[type] : &none;
}

bool pptp_parse(const uint8_t *p, size_t len, struct pptp_message *m)
{
	*m = (struct pptp_message){ 0 };
	if (len < HEADER_LEN || bytes_get16(p + 2) != MESSAGE_CONTROL || bytes_get32(p + 4) != MAGIC_COOKIE)
		return false;
	m->len = bytes_get16(p);
	m->type = bytes_get16(p + 8);
	const struct trait *t = trait_of(m->type);
	if (m->len < t->min_len || m->len > len)
		return false;
	m->has_own = t->own_at != 0;
	m->has_peer = t->peer_at != 0;
	if (m->has_own)
		m->own = bytes_get16(p + t->own_at);
	if (m->has_peer)
		m->peer = bytes_get16(p + t->peer_at);
	m->connected = t->result_at != 0 && p[t->result_at] == RESULT_CONNECTED;
	return true;
}

static uint32_t write_at(uint8_t *p, uint16_t *now, uint16_t to)
{
	if (*now == to)
		return 0;
	uint32_t delta = (uint32_t)(uint16_t) ~*now + to;

	bytes_put16(p, to);
	*now = to;
	return delta;
}

uint32_t pptp_write(uint8_t *p, struct pptp_message *m, uint16_t own, uint16_t peer)
{
	const struct trait *t = trait_of(m->type);
	uint32_t delta = 0;

	if (m->has_own)
		delta += write_at(p + t->own_at, &m->own, own);
	if (m->has_peer)
		delta += write_at(p + t->peer_at, &m->peer, peer);
	return delta;
}
