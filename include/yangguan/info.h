/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a stack knows about itself.
 */
#ifndef YANGGUAN_INFO_H
#define YANGGUAN_INFO_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <yangguan/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct yg_stack;

struct yg_socket_info {
	size_t size; /* of this struct */
	int fd;
	int type; /* SOCK_STREAM, SOCK_DGRAM, SOCK_RAW; 0: an epoll */
	int protocol;
	const char *state; /* as ss prints it: "ESTAB", "LISTEN", "UNCONN" */
	struct sockaddr_storage local, remote; /* AF_INET */
	uint32_t recv_q, send_q; /* bytes */
};
/* Calls fn for each; the struct is good during the call. fn calls nothing of the stack. */
YG_API void yg_sockets(const struct yg_stack *stack, void (*fn)(void *ctx, const struct yg_socket_info *info), void *ctx);

/* Each reason for which packets were dropped: how often, what it means, what to do. */
YG_API void yg_drops(const struct yg_stack *stack,
		     void (*fn)(void *ctx, const char *name, uint64_t n, const char *what, const char *hint), void *ctx);

/* The law of conservation, in packets: received + originated + pieces = handed + delivered + consumed + merged + dropped +
 * held. */
struct yg_law {
	size_t size; /* of this struct; set by the caller */
	uint64_t received, originated, pieces;
	uint64_t handed, delivered, consumed, merged, dropped;
	uint64_t held; /* as the memory for packets has it */
	int holds;
};
YG_API void yg_law(const struct yg_stack *stack, struct yg_law *out);

#ifdef __cplusplus
}
#endif

#endif
