/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Any bytes as a frame. What is found stands in the frame, and finishing it as
 * the note says gives a checksum that nobody takes for unfinished again.
 */
#include "wire_fuzz.h"

#include "stack/wire/checksum.h"
#include "stack/wire/partial.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint16_t start = 0, offset = 0;

	if (size > 2000)
		return 0;
	uint8_t *frame = fuzz_copy(data, size);
	if (partial_find(frame, (uint32_t)size, &start, &offset)) {
		FUZZ_CHECK(start >= 34 && (offset == 16 || offset == 6) && start + offset + 2u <= size);
		uint32_t end = 14u + frame[16] * 256u + frame[17];
		FUZZ_CHECK(end <= size && start < end);
		uint16_t sum = checksum_finish(checksum_add(0, frame + start, end - start));
		frame[start + offset] = (uint8_t)(sum >> 8);
		frame[start + offset + 1] = (uint8_t)sum;
		FUZZ_CHECK(!partial_find(frame, (uint32_t)size, &start, &offset));
	}
	free(frame);
	return 0;
}
