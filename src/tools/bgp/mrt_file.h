/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A file of MRT records (RFC 6396), and what is read of each: a line of text, in the form that `bgpdump -m` has and
 * scripts know, or a path in a table.
 */
#ifndef YG_TOOLS_BGP_MRT_FILE_H
#define YG_TOOLS_BGP_MRT_FILE_H

#include <stdio.h>

#include "stack/wire/bgp_message.h"
#include "stack/wire/mrt.h"

#define MRT_FILE_PEERS_MAX 65535u

struct mrt_file {
	FILE *f;
	const char *name;
	uint8_t *body;
	size_t body_cap;
	struct mrt_header h;
	struct mrt_peer *peer; /* of the last index table */
	uint32_t n_peers;
	uint64_t n_records, n_other, n_bad; /* that came; of types that are not read; that cannot be read */
	struct bgp_message message;         /* of the entry or event that was read last */
	uint8_t update[BGP_MESSAGE_MAX];    /* that an entry stands for: message points into it */
};

/* Standard input for "-". False, and it has said why. */
bool mrt_file_open(struct mrt_file *m, const char *name);
void mrt_file_close(struct mrt_file *m);
/* The next record's header and body. 1; 0 at the end; -1: the file is cut or a record too long, which it has said. */
int mrt_file_next(struct mrt_file *m);
/* Of an index table: the peers. False: it cannot be read. */
bool mrt_file_take_peers(struct mrt_file *m);

/* An entry of a table as an UPDATE in m->message.update. False: its attributes cannot be read, or are longer than a
 * message. */
bool mrt_file_read_entry(struct mrt_file *m, struct ip4_prefix prefix, const struct mrt_peer *peer,
			 const struct mrt_entry *e);
/* The message of an event, in m->message. */
bool mrt_file_read_message(struct mrt_file *m, const struct mrt_event *e);

/* --- as text --- */

struct mrt_line {
	const char *kind; /* "TABLE_DUMP2" ... */
	uint32_t time_s;
	const uint32_t *us; /* behind it; NULL: not known */
	const struct mrt_peer *peer;
	const struct bgp_attrs *attrs;
};
/* is: 'B' of a table, 'A' announced, 'W' withdrawn. */
void mrt_print_prefix(const struct mrt_line *l, char is, struct ip4_prefix prefix);
void mrt_print_state(const struct mrt_line *l, uint16_t from, uint16_t to);

#endif
