/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the recorder and the replay share of the journal's form: the table of
 * limits by name, hex, and
 * the words of a line.
 *
 * A journal may come from a stranger. So nothing is taken from it but through the
 * readers here, each of which is told what may come.
 */
#include "daemon/record/journal.h"

#include <string.h>

#include "daemon/config/config.h"

#define LIMIT(name, field, words) \
	{ \
		name, offsetof(struct gateway_limits, field), words \
	}

static const struct {
	const char *name;
	size_t offset;     /* of a uint32_t */
	const char *words; /* the config's, which have the bounds; NULL: no config sets it */
} limits_table[] = {
	LIMIT("packets", packets.n_packets, "packets"),
	LIMIT("packets-small", packets.n_small, "packets"),
	LIMIT("packets-large", packets.n_large, "large packets"),
	LIMIT("neighbours", ip.n_neighbours, "neighbours"),
	LIMIT("neigh-held", ip.n_neigh_held, "neighbour queue"),
	LIMIT("neigh-held-all", ip.n_neigh_held_all, "neighbour queue all"),
	LIMIT("reassembly", ip.n_reassembly, "reassembly"),
	LIMIT("reassembly-fragments", ip.n_reassembly_fragments, "reassembly fragments"),
	LIMIT("reassembly-per-source", ip.n_reassembly_per_source, "reassembly per source"),
	LIMIT("connections", conntrack.n_connections, "size"),
	LIMIT("conntrack-fragments", conntrack.n_fragments, "fragments"),
	LIMIT("nat-addresses", nat.n_addresses, NULL),
	LIMIT("nat-mappings", nat.n_mappings, NULL),
	LIMIT("sockets", sockets.n_sockets, "sockets"),
	LIMIT("epolls", sockets.n_epolls, NULL),
	LIMIT("epoll-watches", sockets.n_watches, NULL),
	LIMIT("tcp-connections", sockets.tcp.n_connections, "connections"),
	LIMIT("tcp-listeners", sockets.tcp.n_listeners, "listeners"),
	LIMIT("tcp-half-open", sockets.tcp.n_half_open, "syn queue"),
	LIMIT("tcp-time-wait", sockets.tcp.n_time_wait, "time-wait"),
	LIMIT("tcp-segments", sockets.tcp.n_segments, "segments"),
	LIMIT("tcp-congestion-records", sockets.tcp.n_cc_records, "congestion records"),
	LIMIT("tcp-md5-keys", sockets.tcp.n_md5_keys, NULL),
	LIMIT("udp-sockets", sockets.udp.n_sockets, "sockets"),
	LIMIT("udp-groups", sockets.udp.n_groups, NULL),
	LIMIT("raw-sockets", sockets.raw.n_sockets, NULL),
	LIMIT("raw-groups", sockets.raw.n_groups, NULL),
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

bool journal_limit_set(struct gateway_limits *limits, const char *name, uint64_t value, char *err, size_t err_len)
{
	uint32_t min, max;

	for (size_t i = 0; i < ARRAY_LEN(limits_table); i++) {
		const char *words = limits_table[i].words;
		if (strcmp(limits_table[i].name, name) != 0)
			continue;
		if (words == NULL || !config_limit_bounds(words, &min, &max)) {
			snprintf(err, err_len, "no config sets the limit %s", name);
			return false;
		}
		if (value < min || value > max) {
			snprintf(err, err_len, "limit %s is not from %u to %u, as a config allows", name, min, max);
			return false;
		}
		*limit_at(limits, i) = (uint32_t)value;
		return true;
	}
	snprintf(err, err_len, "this version knows no limit \"%s\"", name);
	return false;
}

bool journal_is_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len < DEVICE_NAME_MAX && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	       strpbrk(name, "/: \t\n\v\f\r") == NULL;
}

struct journal_words journal_words_of(const char *line)
{
	return (struct journal_words){ .at = line + strcspn(line, " ") };
}

/* The next word's bytes; 0 and bad when there is none. */
static size_t next_word(struct journal_words *w)
{
	size_t len = 0;

	if (!w->bad && *w->at == ' ')
		len = strcspn(++w->at, " ");
	w->bad = w->bad || len == 0;
	return len;
}

uint64_t journal_number(struct journal_words *w, uint64_t min, uint64_t max)
{
	size_t len = next_word(w);
	uint64_t value = 0;

	for (size_t i = 0; i < len && !w->bad; i++) {
		uint64_t digit = (uint64_t)(w->at[i] - '0');
		w->bad = w->at[i] < '0' || w->at[i] > '9' || value > (UINT64_MAX - digit) / 10;
		value = value * 10 + digit;
	}
	w->bad = w->bad || value < min || value > max;
	w->at += len;
	return w->bad ? min : value;
}

void journal_word(struct journal_words *w, char *out, size_t cap)
{
	size_t len = next_word(w);

	w->bad = w->bad || len >= cap;
	if (w->bad)
		len = 0;
	memcpy(out, w->at, len);
	out[len] = '\0';
	w->at += len;
}

bool journal_words_end(const struct journal_words *w)
{
	return !w->bad && *w->at == '\0';
}
