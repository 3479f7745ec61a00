/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What explain.c (who goes where) and explain_text.c (what is said) share. Each of
 * these writes one piece of a line and always ends it with NUL.
 */
#ifndef YG_TOOLS_REPLAY_EXPLAIN_PRIV_H
#define YG_TOOLS_REPLAY_EXPLAIN_PRIV_H

#include "core/gateway.h"

#define EXPLAIN_PACKET_TEXT_MAX 192
#define EXPLAIN_STEP_TEXT_MAX 512

/* The headers as the bytes have them now; empty where none can be read. */
void explain_packet(const struct packet *p, char *buf, size_t len);
/* "drop", "goes on" ... */
const char *explain_rule_verdict(uint8_t verdict);
/* TRACE_DESTINATION and TRACE_SOURCE. */
void explain_nat(const struct trace_step *step, char *buf, size_t len);
void explain_route(const struct trace_step *step, const char *interface, char *buf, size_t len);
void explain_neigh(const struct trace_step *step, char *buf, size_t len);
void explain_flow(const struct trace_step *step, char *buf, size_t len);
/* Steps that name nothing of the config. */
void explain_plain(const struct trace_step *step, char *buf, size_t len);

#endif
