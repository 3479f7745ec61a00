/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of the replay of a recording share: replay_journal.c (the journal
 * and the whole), replay_steps.c (what a line does), replay_ports.c (the devices and
 * the captures behind them).
 */
#ifndef YG_TOOLS_REPLAY_REPLAY_JOURNAL_PRIV_H
#define YG_TOOLS_REPLAY_REPLAY_JOURNAL_PRIV_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/gateway.h"
#include "daemon/control/commands/args.h"
#include "daemon/record/journal.h"
#include "daemon/device/pcap.h"
#include "tools/replay/explain.h"

#define REPLAY_CAPTURES_MAX 256 /* names that devices have had, as in the recorder */

/* What came in and went out by the devices of one name. */
struct replay_capture_files {
	char name[DEVICE_NAME_MAX];
	struct device *in, *expected; /* capture files */
	struct pcap_writer *out;      /* NULL without --out */
	uint64_t n_expected;
};

struct replay_port {
	struct device sink; /* what the core sees */
	struct replay *replay;
	uint32_t ifindex;
	bool attached;
	struct replay_capture_files *files; /* NULL: nothing was ever attached */
};

struct replay {
	const struct args *args; /* of the command line */
	const char *dir;
	int dir_fd, out_fd; /* out_fd: -1 without --out */
	FILE *journal;
	FILE *bytes;                 /* that sockets send; NULL before the first */
	char line[JOURNAL_LINE_MAX]; /* the next one, not done yet */
	bool have_line, was_cut, stopped;
	bool is_whole; /* the journal has its last line, so nothing may be missing */
	uint64_t line_no;

	struct gateway_limits limits;
	uint8_t seed[RNG_SEED_BYTES];
	uint64_t now, wall_offset_ns; /* wall_offset_ns: as at the start, which the captures' times keep */
	struct gateway *gateway;
	struct snapshot *snap;   /* NULL until the first config */
	struct explain *explain; /* NULL without it */
	bool socket_open[PING_SOCKETS_MAX];
	struct packet_pool *reader_pool;
	struct ledger reader_ledger;
	struct replay_port port[IP_INTERFACES_MAX];
	uint32_t n_captures;
	struct replay_capture_files capture[REPLAY_CAPTURES_MAX];

	uint64_t n_steps, n_in, n_out;
	bool failed;
	char why[768];
};

/* --- replay_journal.c --- */

/* Ends the replay with a sentence. Only the first one counts; what follows from it is noise. */
void replay_fail(struct replay *r, const char *fmt, ...) YG_PRINTF(2, 3);
/* Makes sure that r->line is the next one. False at the end. */
bool replay_peek(struct replay *r);
bool replay_next_is(struct replay *r, const char *word);
/* A plain file of the recording, and not what a link names. NULL after replay_fail. */
FILE *replay_open(struct replay *r, const char *name);

/* --- replay_steps.c --- */

/* Does what r->line says. */
void replay_step(struct replay *r);

/* --- replay_ports.c --- */

/* The device of interface number i, to be given to the core; NULL after replay_fail. */
struct device *replay_port_open(struct replay *r, uint32_t i, const char *name);
/* The next frame that came in; its bytes are external to the core. NULL after a failure, or where the recording was
 * cut. */
struct packet *replay_frame(struct replay *r, struct replay_port *port);
void replay_captures_close(struct replay *r);

#endif
