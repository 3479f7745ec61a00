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
 *   wall TIME WALL-OFFSET               somebody has set the clock
 *   detach TIME IF
 *   rx TIME IF N                        the next N frames of NAME.in.pcap
 *   expire TIME
 *   raw-open TIME
 *   raw-send TIME SOCKET DST SRC SEQ LEN TTL TOS DF [ZONE]
 *   raw-close TIME SOCKET
 *   socket TIME OP SOCKET A B C ADDR PORT LEN   a call (core_socket.h)
 *                                       of send and option: with the next LEN bytes of sockets.bytes
 *   end TIME INDEX REASON               a connection ended by command
 *   route TIME ROUTE ...                a route was set: see journal_route_write
 *   next-hop TIME IF ADDRESS UP         routes go by that neighbour, or do not
 *   route-del TIME ZONE ADDRESS LENGTH SOURCE INSTANCE   and taken away
 *   tx IF N                             what the step above sent: the next N frames of NAME.out.pcap
 *   stop
 *
 * A journal without its last line was cut (kill -9, a full disk): it is good up
 * to its last whole line, or to the first whose frames are missing.
 */
#ifndef YG_DAEMON_RECORD_JOURNAL_H
#define YG_DAEMON_RECORD_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/gateway.h"

#define JOURNAL_FIRST_LINE "yangguan-recording 1"
#define JOURNAL_LINE_MAX 1536 /* a route with sixteen ways */
/* Behind every time of a journal: far from the end of the type, so that whatever the core adds to a time stays one. */
#define JOURNAL_TIME_END (UINT64_C(1) << 62)

void journal_limits_write(const struct gateway_limits *limits, FILE *to);
/* False and a sentence when no limit has that name, or no config could have set it to that. */
bool journal_limit_set(struct gateway_limits *limits, const char *name, uint64_t value, char *err, size_t err_len);
/* ZONE ADDRESS LENGTH SOURCE INSTANCE, which is all that it is known by; and with everything behind it DISTANCE METRIC
 * KIND RECURSIVE OVER-DEFAULT N, then of each of its N ways GATEWAY INTERFACE FROM WEIGHT ONLINK. Addresses are
 * numbers, 0: none. */
void journal_route_write(const struct rib_route *route, bool everything, char *out, size_t cap);
/* A device's name that stands for nothing but a file of that name: the kernel's own rule. */
bool journal_is_name(const char *name);

/* The words of a line, one behind the other, each behind one blank. What is not there or not as promised gives the
 * least value, and the words are bad from then on. */
struct journal_words {
	const char *at;
	bool bad;
};

/* Behind the line's first word. */
struct journal_words journal_words_of(const char *line);
/* Decimal digits alone, from min to max. */
uint64_t journal_number(struct journal_words *w, uint64_t min, uint64_t max);
/* A word of at most cap - 1 bytes, else "". */
void journal_word(struct journal_words *w, char *out, size_t cap);
/* What journal_route_write wrote, to the line's end; the ways are put into path. False when it cannot be so. */
bool journal_route_read(struct journal_words *w, bool everything, struct rib_route *out,
			struct rib_path path[FIB_PATHS_MAX]);
/* All words were good and there are no more. */
bool journal_words_end(const struct journal_words *w);

#endif
