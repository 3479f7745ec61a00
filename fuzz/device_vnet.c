/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The vnet header of any 10 bytes before any frame. Whatever is taken points
 * into the frame, large segments are ones that can be cut, and what we would
 * send for it is understood as the same.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/device/vnet.h"
#include "wire_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct offload none;
	struct virtio_net_hdr h, sent;
	struct offload o, again;

	if (size < VNET_HEADER_LEN || size > 70000)
		return 0;
	memcpy(&h, data, VNET_HEADER_LEN);
	uint32_t len = (uint32_t)size - VNET_HEADER_LEN;
	/* Ends where the frame does, so that a byte too far is seen. */
	uint8_t *frame = malloc(len > 0 ? len : 1);
	FUZZ_CHECK(frame);
	memcpy(frame, data + VNET_HEADER_LEN, len);
	memset(&o, 0xff, sizeof(o));
	bool taken = vnet_to_offload(&h, frame, len, &o);
	if (!taken) {
		FUZZ_CHECK(memcmp(&o, &none, sizeof(o)) == 0);
	} else {
		FUZZ_CHECK(!(o.csum_partial && o.csum_valid));
		if (o.csum_partial)
			FUZZ_CHECK(o.csum_start >= 14 && (uint32_t)o.csum_start + o.csum_offset + 2 <= len);
		if (o.gso_type != GSO_NONE) {
			FUZZ_CHECK(o.csum_partial && o.gso_size > 0);
			FUZZ_CHECK(o.gso_hdr_len >= 42 && (uint32_t)o.gso_hdr_len + o.gso_size < len);
		}
		vnet_of_offload(&o, &sent);
		FUZZ_CHECK(vnet_to_offload(&sent, frame, len, &again));
		FUZZ_CHECK(memcmp(&o, &again, sizeof(o)) == 0);
	}
	free(frame);
	return 0;
}
