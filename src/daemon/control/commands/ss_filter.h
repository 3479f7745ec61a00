/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ss's filter: states, and what is asked of the ends.
 *
 *   [state NAME | exclude NAME]... [EXPRESSION]
 *   EXPRESSION  {src | dst} [=] ADDR[/LEN][:PORT]   {sport | dport} [OP] [:]PORT
 *               joined by and, or, not, !, &, | and parentheses; OP is = != < <= > >=, or eq ne lt le gt ge
 */
#ifndef YG_DAEMON_CONTROL_COMMANDS_SS_FILTER_H
#define YG_DAEMON_CONTROL_COMMANDS_SS_FILTER_H

#include "base/ip4.h"
#include "stack/socket/socket_list.h"

#define SS_STATE(s) (1u << (s))
/* As ss has them: what is shown without -a and -l, with -l, with -a. */
#define SS_STATES_ALL ((1u << N_TCP_STATES) - 1)
#define SS_STATES_LISTENING (SS_STATE(TCP_LISTEN) | SS_STATE(TCP_CLOSED))
#define SS_STATES_CONNECTED \
	(SS_STATES_ALL & ~SS_STATES_LISTENING & ~SS_STATE(TCP_SYN_RECEIVED) & ~SS_STATE(TCP_TIME_WAIT))

#define SS_STEPS_MAX 64u

enum ss_step_kind { SS_ADDR, SS_PORT, SS_NOT, SS_AND, SS_OR };
enum ss_op { SS_EQ, SS_NE, SS_LT, SS_LE, SS_GT, SS_GE };

/* Steps in reverse Polish order: a term pushes, an operator takes what stands on top. */
struct ss_step {
	uint8_t kind; /* enum ss_step_kind */
	uint8_t op;   /* of ports: enum ss_op */
	bool of_peer;
	uint16_t port;
	struct ip4_prefix prefix;
};

struct ss_filter {
	uint32_t states;
	uint32_t n;
	struct ss_step step[SS_STEPS_MAX];
};

/* text is words with spaces between. states: what is meant when no state is named. 0, or -EINVAL and one sentence. */
int ss_filter_parse(struct ss_filter *f, uint32_t states, const char *text, char *err, size_t err_len);
bool ss_filter_takes(const struct ss_filter *f, const struct socket_entry *e);
/* A socket's id as -e shows it, with or without its sk:. */
bool ss_id_parse(const char *text, uint64_t *id);

#endif
