/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The one table of commands that a running gateway answers. Help, dispatch,
 * text and JSON come from it.
 *
 * A command runs in the control thread and never waits: it writes what it has
 * and says how it wants to be called again.
 */
#ifndef YG_DAEMON_CONTROL_COMMANDS_COMMAND_H
#define YG_DAEMON_CONTROL_COMMANDS_COMMAND_H

#include "daemon/control/commands/args.h"
#include "daemon/control/text/output.h"
#include "daemon/control/commands/proto.h"
#include "daemon/control/commands/target.h"

/* What start, more, event, line, raw and log return: an exit status from 0 on, or: */
#define COMMAND_MORE (-1) /* call `more` when the output has drained */
#define COMMAND_WAIT (-2) /* there is nothing to do until something happens */

/* Exit statuses of the program. */
#define EXIT_OK 0
#define EXIT_FAILED 1 /* the thing asked for failed */
#define EXIT_USAGE 2  /* wrong words, no device, no right, socket taken, no gateway */

struct command_call {
	const struct command *command;
	const struct control_target *target;
	struct args args;
	struct output output;
	void *state; /* command->state_bytes, zeroed */
	/* Filled in by whoever carries the call. */
	void (*write)(void *carrier, enum proto_frame type, const char *text, size_t len);
	/* Bytes written that the reader has not taken yet. */
	size_t (*backlog)(void *carrier);
	void *carrier;
};

struct yg_event;

struct command {
	struct command_info info;
	bool hidden; /* left out of the list: for other parts of this program */
	/* The value of this option is a file whose lines the client sends: an empty one as `#`, and an empty one at its
	 * end. NULL: none. */
	const char *input_option;
	/* Without this option, the client sends the lines of its standard input, each behind a `>`, and an empty one at
	 * its end. NULL: it does not. */
	const char *marked_lines;
	/* With this option the one word is a file that the client writes: what comes as PROTO_FILE. NULL: none. */
	const char *output_option;
	size_t state_bytes;
	int (*start)(struct command_call *c);
	int (*more)(struct command_call *c);
	int (*event)(struct command_call *c, const struct yg_event *e);
	int (*line)(struct command_call *c, const char *line);
	bool (*full)(struct command_call *c); /* no more lines until something happens; NULL: it never is */
	int (*raw)(struct command_call *c);
	int (*log)(struct command_call *c);  /* there may be log records; also once when the gateway ends */
	int (*shut)(struct command_call *c); /* the gateway ends: what it has not written yet */
	void (*end)(struct command_call *c); /* always called once after start */
};

extern const struct command *const control_commands[]; /* NULL at the end */
const struct command *control_command_find(const char *name);

/* argv[0] is the command's name. The call's carrier fields are set. Finds the
 * command, reads its options, starts it. *c is ready for `more` and the others
 * if the result is below 0. Errors are written to the call. */
int command_start(struct command_call *c, const struct control_target *target, size_t argc, const char *const *argv);
/* Whether lines behind the request are the command's: where a file is named (input_option), or always. */
bool command_takes_lines(const struct command_call *c);
/* Must follow every command_start, also a failed one. */
void command_end(struct command_call *c);

void command_printf(struct command_call *c, const char *fmt, ...) YG_PRINTF(2, 3);
void command_error(struct command_call *c, const char *fmt, ...) YG_PRINTF(2, 3);
/* Starts c->output in the form that -j asks for. */
void command_output(struct command_call *c, enum output_shape shape);

/* Name of an interface number, "?" when it has none. */
const char *target_ifname(const struct control_target *t, uint32_t ifindex);
/* Runs fn(arg) in the worker. */
void target_call(const struct control_target *t, control_fn *fn, void *arg); /* of core 0 */
void target_call_core(const struct control_target *t, uint32_t core, control_fn *fn, void *arg);
/* Runs fn in each worker, one after the other: what is read of a core is of one moment, of two cores it is not. */
typedef void target_core_fn(void *arg, const struct control_core *core, uint32_t number);
void target_call_each(const struct control_target *t, target_core_fn *fn, void *arg);
/* In the thread of the host, and what it has. */
void target_call_host(const struct control_target *t, control_fn *fn, void *arg);
const struct control_core *target_host(const struct control_target *t);
/* Runs fn(arg) once while all workers are quiesced: for what must be of one moment in all of them. Short. */
void target_call_all(const struct control_target *t, control_fn *fn, void *arg);

#endif
