/* SPDX-License-Identifier: BSD-2-Clause
 *
 * MRT records. Input: whole records, one behind the other. Checks that whatever is read lies within its record, and
 * that what is written of it is read again as it was meant.
 */
#include "stack/wire/mrt.h"
#include "wire_fuzz.h"

#define ENTRIES_MAX 64u

static uint8_t out[1 << 20];

static bool within(const uint8_t *p, size_t len, const uint8_t *body, size_t body_len)
{
	return len == 0 || (p >= body && len <= body_len && p + len <= body + body_len);
}

static void try_peers(const uint8_t *p, size_t len)
{
	struct mrt_peers t, again;
	struct mrt_peer peer[ENTRIES_MAX], x;
	uint32_t n = 0;

	if (!mrt_peers_parse(p, len, &t))
		return;
	FUZZ_CHECK(within(t.view, t.view_len, p, len));
	while (n < ENTRIES_MAX && n < t.n_peers && mrt_peers_next(&t, &peer[n]))
		n++;
	size_t written = mrt_peers_emit(out, sizeof(out), 1, t.collector, "", peer, n);

	FUZZ_CHECK(written > 0 && mrt_peers_parse(out + MRT_HEADER_LEN, written - MRT_HEADER_LEN, &again));
	FUZZ_CHECK(again.collector == t.collector && again.n_peers == n);
	for (uint32_t i = 0; i < n; i++)
		FUZZ_CHECK(mrt_peers_next(&again, &x) && x.id == peer[i].id && x.as == peer[i].as &&
			   x.addr == peer[i].addr);
}

static void try_rib(const uint8_t *p, size_t len)
{
	struct mrt_entry entry[ENTRIES_MAX], e;
	struct mrt_rib r, again;
	uint32_t n = 0;

	if (!mrt_rib_parse(p, len, &r))
		return;
	FUZZ_CHECK(r.prefix.len <= 32 && (r.prefix.addr & ~ip4_mask(r.prefix.len)) == 0);
	for (; n < ENTRIES_MAX && n < r.n_entries && mrt_rib_next(&r, &entry[n]); n++)
		FUZZ_CHECK(within(entry[n].attrs, entry[n].attrs_len, p, len));
	size_t written = mrt_rib_emit(out, sizeof(out), 1, r.seq, r.prefix, entry, n);

	if (written == 0)
		return;
	FUZZ_CHECK(mrt_rib_parse(out + MRT_HEADER_LEN, written - MRT_HEADER_LEN, &again) && again.n_entries == n);
	FUZZ_CHECK(again.prefix.addr == r.prefix.addr && again.prefix.len == r.prefix.len && again.seq == r.seq);
	for (uint32_t i = 0; i < n; i++)
		FUZZ_CHECK(mrt_rib_next(&again, &e) && e.peer == entry[i].peer && e.attrs_len == entry[i].attrs_len &&
			   memcmp(e.attrs, entry[i].attrs, e.attrs_len) == 0);
}

static void try_event(const struct mrt_header *h, const uint8_t *p)
{
	struct mrt_event e, again;

	if (!mrt_event_parse(h, p, &e))
		return;
	FUZZ_CHECK(e.is_state || within(e.message, e.message_len, p, h->len));
	size_t written = e.peer.is_ipv4 ? mrt_event_emit(out, sizeof(out), 1, &e) : 0;

	if (written == 0)
		return;
	struct mrt_header back = mrt_header_parse(out);

	FUZZ_CHECK(back.type == MRT_BGP4MP_ET && mrt_event_parse(&back, out + MRT_HEADER_LEN, &again));
	FUZZ_CHECK(again.peer.as == e.peer.as && again.local.addr == e.local.addr && again.us == e.us &&
		   again.is_state == e.is_state && again.message_len == e.message_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	while (size >= MRT_HEADER_LEN) {
		struct mrt_header h = mrt_header_parse(data);

		data += MRT_HEADER_LEN;
		size -= MRT_HEADER_LEN;
		if (h.len > size)
			break;
		uint8_t *p = fuzz_copy(data, h.len);

		if (h.type == MRT_TABLE_DUMP_V2 && h.subtype == MRT_PEER_INDEX_TABLE)
			try_peers(p, h.len);
		else if (h.type == MRT_TABLE_DUMP_V2)
			try_rib(p, h.len);
		else
			try_event(&h, p);
		free(p);
		data += h.len;
		size -= h.len;
	}
	return 0;
}
