/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Chunks of an SCTP packet. Input: whether it is a first piece, then the packet from
 * its common header on. Checks that what is said of a packet does not depend on what
 * lies behind it, and that a part of a whole packet says no more than all of it.
 */
#include "stack/wire/sctp.h"
#include "wire_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	bool cut = fuzz_take(&in, 1) & 1;
	struct sctp_chunks c, part;
	uint8_t *p = fuzz_copy(in.p, in.n_left);

	if (in.n_left >= SCTP_HEADER_LEN && sctp_chunks_parse(p, in.n_left, cut, &c)) {
		FUZZ_CHECK(c.n > 0 && c.n <= (in.n_left - SCTP_HEADER_LEN + 3) / 4);
		FUZZ_CHECK(c.init_tag == 0 || c.n == 1);
		FUZZ_CHECK((sctp_has(&c, SCTP_INIT) || sctp_has(&c, SCTP_INIT_ACK)) == (c.init_tag != 0));
		size_t half = SCTP_HEADER_LEN + (in.n_left - SCTP_HEADER_LEN) / 2;
		uint8_t *q = fuzz_copy(p, half);
		if (sctp_chunks_parse(q, half, true, &part))
			FUZZ_CHECK(part.n <= c.n && (part.types & ~c.types) == 0);
		free(q);
	}
	free(p);
	return 0;
}
