/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The loop, and what starts it.
 */
#ifndef YG_PRELOAD_SERVICE_LOOP_H
#define YG_PRELOAD_SERVICE_LOOP_H

struct service;

enum service_watch_kind { SERVICE_WATCH_HOST, SERVICE_WATCH_DOOR, SERVICE_WATCH_CHANNEL, SERVICE_WATCH_END };

/* 0 or -errno. */
int service_watch(struct service *v, int fd, enum service_watch_kind kind);
/* Once; waits so many milliseconds at most (-1: any) for something to do. */
void service_turn(struct service *v, int most_ms);
/* Returns when no program is left that could ask for something, and nothing is to be sent any more. */
void service_loop(struct service *v);

/* service_start.c: all but stack, host and door; 0 or -errno. Somebody knocks. */
int service_open_tables(struct service *v);
void service_admit(struct service *v);

#endif
