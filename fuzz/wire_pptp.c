/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Control messages of PPTP, one behind the other, as src/gateway/nat reads them. Input: new
 * numbers for the calls, then the payload of a segment. Checks that other numbers are
 * read where they were written, that nothing else has moved, and that the way back
 * restores every byte.
 */
#include "stack/wire/pptp.h"
#include "wire_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint16_t own = (uint16_t)fuzz_take(&in, 2), peer = (uint16_t)fuzz_take(&in, 2);
	struct pptp_message m, again;
	uint8_t *p = fuzz_copy(in.p, in.n_left), *before = fuzz_copy(in.p, in.n_left);

	for (size_t at = 0; at <= in.n_left && pptp_parse(p + at, in.n_left - at, &m); at += m.len) {
		struct pptp_message first = m;

		FUZZ_CHECK(m.len >= 12 && m.len <= in.n_left - at);
		uint32_t delta = pptp_write(p + at, &m, own, peer);
		FUZZ_CHECK(delta == 0 || m.has_own || m.has_peer);
		FUZZ_CHECK(pptp_parse(p + at, in.n_left - at, &again) && again.len == first.len);
		FUZZ_CHECK(again.type == first.type && again.connected == first.connected);
		FUZZ_CHECK(again.own == (first.has_own ? own : 0) && again.peer == (first.has_peer ? peer : 0));
		(void)pptp_write(p + at, &m, first.own, first.peer);
		FUZZ_CHECK(memcmp(p, before, in.n_left) == 0);
	}
	free(before);
	free(p);
	return 0;
}
