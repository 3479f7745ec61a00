/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A block is its type, its length, fixed fields, options, and its length again; an option is
 * its code, its length, and a value that is filled up to four bytes. Lengths are known only at
 * the end, so a block begins with a hole that block_end fills.
 *
 * Section 4 has the blocks, section 3.5 options, of draft-ietf-opsawg-pcapng.
 */
#include "daemon/control/text/pcapng.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	BLOCK_SECTION = 0x0a0d0d0a,
	BLOCK_INTERFACE = 1,
	BLOCK_STATISTICS = 5,
	BLOCK_PACKET = 6,
};
#define SECTION_MAGIC 0x1a2b3c4du
#define LENGTH_UNKNOWN UINT64_MAX
#define LINKTYPE_RAW 101u
#define TIME_RESOLUTION 9 /* 10^-9 s */

enum {
	OPT_END = 0,
	OPT_COMMENT = 1,
	OPT_SECTION_PROGRAM = 4,
	OPT_INTERFACE_NAME = 2,
	OPT_INTERFACE_ABOUT = 3,
	OPT_INTERFACE_TIME_RESOLUTION = 9,
	OPT_PACKET_FLAGS = 2,
	OPT_PACKET_MISSING = 4,
	OPT_STATISTICS_RECEIVED = 4,
	OPT_STATISTICS_DROPPED = 5,
};
enum { FLAG_IN = 1, FLAG_OUT = 2 };

struct block {
	uint8_t *start, *at;
};

static void put(struct block *b, const void *value, size_t len)
{
	static const uint8_t zeros[3];
	size_t fill = (4 - len % 4) % 4;

	memcpy(b->at, value, len);
	memcpy(b->at + len, zeros, fill);
	b->at += len + fill;
}

static void put16(struct block *b, uint16_t first, uint16_t second)
{
	put(b, (const uint16_t[]){ first, second }, 4);
}

static void put32(struct block *b, uint32_t value)
{
	put(b, &value, sizeof(value));
}

/* As two halves, the upper one first, whatever the byte order is. */
static void put_time(struct block *b, uint64_t ns)
{
	put32(b, (uint32_t)(ns >> 32));
	put32(b, (uint32_t)ns);
}

static void put_option(struct block *b, uint16_t code, const void *value, size_t len)
{
	put16(b, code, (uint16_t)len);
	put(b, value, len);
}

static void put_text(struct block *b, uint16_t code, const char *text)
{
	size_t len = strlen(text);

	put_option(b, code, text, len < PCAPNG_TEXT_MAX ? len : PCAPNG_TEXT_MAX);
}

static struct block block_begin(uint8_t *out, uint32_t type)
{
	struct block b = { .start = out, .at = out };

	put32(&b, type);
	put32(&b, 0);
	return b;
}

/* Behind the options, of which it has some. */
static size_t block_end(struct block *b)
{
	put16(b, OPT_END, 0);
	uint32_t len = (uint32_t)(b->at - b->start) + 4;

	put32(b, len);
	memcpy(b->start + 4, &len, sizeof(len));
	return len;
}

size_t pcapng_begin(uint8_t out[PCAPNG_BEGIN_MAX], const char *program, const char *interface, const char *about)
{
	const uint64_t unknown = LENGTH_UNKNOWN;
	const uint8_t resolution = TIME_RESOLUTION;
	struct block b = block_begin(out, BLOCK_SECTION);

	put32(&b, SECTION_MAGIC);
	put16(&b, 1, 0); /* version */
	put(&b, &unknown, sizeof(unknown));
	put_text(&b, OPT_SECTION_PROGRAM, program);
	size_t len = block_end(&b);

	b = block_begin(out + len, BLOCK_INTERFACE);
	put16(&b, LINKTYPE_RAW, 0);
	put32(&b, 0); /* packets are never cut */
	put_text(&b, OPT_INTERFACE_NAME, interface);
	put_text(&b, OPT_INTERFACE_ABOUT, about);
	put_option(&b, OPT_INTERFACE_TIME_RESOLUTION, &resolution, sizeof(resolution));
	return len + block_end(&b);
}

size_t pcapng_packet(uint8_t *out, const struct pcapng_packet *p)
{
	const uint32_t flags = p->is_out ? FLAG_OUT : FLAG_IN;
	struct block b = block_begin(out, BLOCK_PACKET);
	char missing[80];

	put32(&b, 0); /* the interface */
	put_time(&b, p->at_ns);
	put32(&b, p->len);
	put32(&b, p->len);
	put(&b, p->bytes, p->len);
	if (p->comment != NULL)
		put_text(&b, OPT_COMMENT, p->comment);
	if (p->n_missing > 0) {
		snprintf(missing, sizeof(missing), "%" PRIu64 " packets before this one are missing", p->n_missing);
		put_text(&b, OPT_COMMENT, missing);
		put_option(&b, OPT_PACKET_MISSING, &p->n_missing, sizeof(p->n_missing));
	}
	put_option(&b, OPT_PACKET_FLAGS, &flags, sizeof(flags));
	return block_end(&b);
}

size_t pcapng_end(uint8_t out[PCAPNG_END_MAX], uint64_t at_ns, uint64_t n_packets, uint64_t n_missing)
{
	struct block b = block_begin(out, BLOCK_STATISTICS);

	put32(&b, 0); /* the interface */
	put_time(&b, at_ns);
	put_option(&b, OPT_STATISTICS_RECEIVED, &n_packets, sizeof(n_packets));
	put_option(&b, OPT_STATISTICS_DROPPED, &n_missing, sizeof(n_missing));
	return block_end(&b);
}
