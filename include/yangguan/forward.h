/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Flows to addresses that are not the stack's own, for programs that stand in for them: tun2socks, VPNs, proxies.
 *
 * Once yg_forward was called, a SYN to such an address is neither answered nor refused but held, and its owner is told;
 * so are the first datagrams of a UDP flow. The owner asks the world, in its own time, and then accepts the flow, which
 * gives a socket, or refuses it. A client that gives up meanwhile is told of too. Of what is held nothing is lost: TCP
 * clients send their SYN again, and four datagrams a flow are kept for its socket.
 */
#ifndef YANGGUAN_FORWARD_H
#define YANGGUAN_FORWARD_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <yangguan/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct yg_stack;

struct yg_flow {
	size_t size; /* of this struct */
	uint64_t id; /* not given again */
	int protocol; /* IPPROTO_TCP, IPPROTO_UDP */
	int is_gone;  /* the client gave up, by a reset or by silence; its id is good for nothing any more */
	struct sockaddr_storage from, to; /* AF_INET: the client, and whom it is for */
};

/* Called at the end of a call, once for each flow and once more for one that is gone undecided; the struct is good during
 * the call. It may call anything of the stack but yg_stack_destroy. */
typedef void yg_flow_fn(void *ctx, const struct yg_flow *flow);
/* From now on; fn NULL: no more, what is held is forgotten. max: flows that are held at a time, 0: 65,536 (256 bytes
 * each, touched when used); what finds no room is dropped, and comes again. Counts for the first call. -ENOMEM. */
YG_API int yg_forward(struct yg_stack *stack, yg_flow_fn *fn, void *ctx, uint32_t max);

/* The number of a socket whose own address is the one that the client asked for. TCP's finishes the handshake by itself:
 * it becomes writable, or has an error, as behind connect. UDP's is connected and has what was held. -ENOENT: it is
 * gone; -EMFILE, -ENOBUFS: it is held on. */
YG_API int yg_flow_accept(struct yg_stack *stack, uint64_t id);

#define YG_REFUSE_RESET (-1)  /* of UDP: ICMP port unreachable */
#define YG_REFUSE_SILENT (-2) /* without a word; when more comes, it is another flow */
/* how: one of these, or the code of an ICMP destination unreachable (0 to 15: 1 host, 13 prohibited). -ENOENT; -EINVAL. */
YG_API int yg_flow_refuse(struct yg_stack *stack, uint64_t id, int how);

#ifdef __cplusplus
}
#endif

#endif
