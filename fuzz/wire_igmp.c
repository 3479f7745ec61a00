/* SPDX-License-Identifier: BSD-2-Clause
 *
 * IGMP messages as the host reads them. Input: the message; its checksum is made right.
 * Checks that sources lie within it, that a query's version is one, and that what we
 * write of a group is read again as it was meant.
 */
#include "stack/wire/igmp.h"
#include "wire_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *p = fuzz_copy(data, size), out[IGMP_HEADER_LEN];
	struct igmp_view v, again;

	if (size >= IGMP_HEADER_LEN) {
		fuzz_put16(p + 2, 0);
		fuzz_put16(p + 2, (uint16_t)~fuzz_naive_sum(p, size));
	}
	if (igmp_parse(p, size, &v) == IGMP_OK) {
		FUZZ_CHECK(size >= IGMP_HEADER_LEN);
		FUZZ_CHECK(v.type != IGMP_QUERY || (v.version >= 1 && v.version <= 3));
		FUZZ_CHECK(v.version != 3 || size >= IGMP_QUERY_V3_LEN + 4 * (size_t)v.n_sources);
		FUZZ_CHECK(v.max_resp_ms <= 3174400 && v.robustness <= 7);
		for (uint32_t i = 0; i < v.n_sources; i++)
			(void)igmp_source(&v, i);
		if (v.group != 0) {
			igmp_emit(out, IGMP_V2_REPORT, v.group);
			FUZZ_CHECK(igmp_parse(out, sizeof(out), &again) == IGMP_OK && again.group == v.group);
		}
	}
	free(p);
	return 0;
}
