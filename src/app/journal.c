/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the recorder and the replay share of the journal's form: the table of
 * limits by name, and hex.
 */
#include "app/journal.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT(name, field) \
	{ \
		name, offsetof(struct gateway_limits, field) \
	}

static const struct {
	const char *name;
	size_t offset; /* of a uint32_t */
} limits_table[] = {
	LIMIT("packets", packets.n_packets),
	LIMIT("packets-small", packets.n_small),
	LIMIT("packets-large", packets.n_large),
	LIMIT("neighbours", ip.n_neighbours),
	LIMIT("neigh-held", ip.n_neigh_held),
	LIMIT("neigh-held-all", ip.n_neigh_held_all),
	LIMIT("reassembly", ip.n_reassembly),
	LIMIT("reassembly-fragments", ip.n_reassembly_fragments),
	LIMIT("reassembly-per-source", ip.n_reassembly_per_source),
	LIMIT("connections", conntrack.n_connections),
	LIMIT("conntrack-fragments", conntrack.n_fragments),
	LIMIT("nat-addresses", nat.n_addresses),
	LIMIT("nat-mappings", nat.n_mappings),
};
/* A limit that is added and not listed here would be missing from recordings. */
_Static_assert(sizeof(struct gateway_limits) == ARRAY_LEN(limits_table) * sizeof(uint32_t), "every limit has its row");

static uint32_t *limit_at(struct gateway_limits *l, size_t i)
{
	return (uint32_t *)(void *)((uint8_t *)l + limits_table[i].offset);
}

void journal_limits_write(const struct gateway_limits *limits, FILE *to)
{
	struct gateway_limits copy = *limits;

	for (size_t i = 0; i < ARRAY_LEN(limits_table); i++)
		if (*limit_at(&copy, i) != 0)
			fprintf(to, "limit %s %u\n", limits_table[i].name, *limit_at(&copy, i));
}

bool journal_limit_set(struct gateway_limits *limits, const char *name, uint32_t value)
{
	for (size_t i = 0; i < ARRAY_LEN(limits_table); i++)
		if (strcmp(limits_table[i].name, name) == 0) {
			*limit_at(limits, i) = value;
			return true;
		}
	return false;
}

void journal_hex(const uint8_t *bytes, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		sprintf(out + 2 * i, "%02x", bytes[i]);
	out[2 * n] = '\0';
}

bool journal_unhex(const char *text, uint8_t *out, size_t n)
{
	if (strlen(text) != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		char two[3] = { text[2 * i], text[2 * i + 1], '\0' };
		char *end;
		out[i] = (uint8_t)strtoul(two, &end, 16);
		if (*end != '\0' || two[0] == '-' || two[0] == '+' || two[0] == ' ')
			return false;
	}
	return true;
}
