/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The journal of a recording: lines of words, in the order in which things
 * happened. Times are nanoseconds of the core's clock.
 *
 *   yangguan-recording 1
 *   seed HEX                            of the core's random numbers
 *   limit NAME N                        sizes of tables, those that are not 0
 *   start TIME WALL-OFFSET              the core is made; offset + time is UTC
 *   configure TIME GENERATION           with config-GENERATION.conf
 *   configure-failed GENERATION         the line above changed nothing
 *   attach TIME IF NAME MAC MTU CAPS UP a device
 *   changed TIME IF MAC MTU CAPS UP     what the core sees of it has changed
 *   told TIME IF                        the core was told so
 *   detach TIME IF
 *   rx TIME IF N                        the next N frames of NAME.in.pcap
 *   expire TIME
 *   raw-open TIME
 *   raw-send TIME SOCKET DST SRC SEQ LEN TTL TOS DF
 *   raw-close TIME SOCKET
 *   end TIME INDEX REASON               a connection ended by command
 *   tx IF N                             what the step above sent: the next N frames of NAME.out.pcap
 *   stop
 *
 * A journal without its last line was cut (kill -9, a full disk): it is good up
 * to its last whole line, or to the first whose frames are missing.
 */
#ifndef YG_APP_JOURNAL_H
#define YG_APP_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "app/gateway.h"

#define JOURNAL_FIRST_LINE "yangguan-recording 1"
#define JOURNAL_LINE_MAX 512

void journal_limits_write(const struct gateway_limits *limits, FILE *to);
/* False when no limit has that name. */
bool journal_limit_set(struct gateway_limits *limits, const char *name, uint32_t value);
void journal_hex(const uint8_t *bytes, size_t n, char *out);
bool journal_unhex(const char *text, uint8_t *out, size_t n);

#endif
