/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Ethernet, ARP, and hardware addresses as text. Input: a frame, read once as
 * bytes and once as text. Checks that emit and parse agree byte for byte.
 */
#include "stack/wire/arp.h"
#include "wire_fuzz.h"

static void frame_check(const uint8_t *p, size_t len)
{
	uint8_t header[ETHER_HEADER_LEN], packet[ARP_LEN];
	struct ether_view v;
	struct arp_view arp;

	if (!ether_parse(p, len, &v)) {
		FUZZ_CHECK(len < ETHER_HEADER_LEN);
		return;
	}
	ether_emit(header, &v);
	FUZZ_CHECK(memcmp(header, p, sizeof(header)) == 0);
	if (!arp_parse(p + ETHER_HEADER_LEN, len - ETHER_HEADER_LEN, &arp))
		return;
	FUZZ_CHECK(len >= ETHER_HEADER_LEN + ARP_LEN);
	arp_emit(packet, &arp);
	FUZZ_CHECK(memcmp(packet, p + ETHER_HEADER_LEN, sizeof(packet)) == 0);
}

static void text_check(const uint8_t *p, size_t len)
{
	char *text = malloc(len + 1), buf[ETHER_TEXT_MAX];
	struct ether_addr a, again;

	FUZZ_CHECK(text != NULL);
	if (len > 0)
		memcpy(text, p, len);
	text[len] = '\0';
	if (ether_addr_parse(text, &a)) {
		FUZZ_CHECK(strlen(text) == ETHER_TEXT_MAX - 1);
		FUZZ_CHECK(strcasecmp(ether_format(&a, buf), text) == 0);
	}
	free(text);
	if (len >= sizeof(a.b)) {
		memcpy(a.b, p, sizeof(a.b));
		FUZZ_CHECK(ether_addr_parse(ether_format(&a, buf), &again) && ether_equal(&a, &again));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *p = fuzz_copy(data, size);

	frame_check(p, size);
	text_check(p, size);
	free(p);
	return 0;
}
