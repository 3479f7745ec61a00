/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A host of libyangguan-linux over one of its devices, with the kernel as the peer, in a network namespace of this
 * process's own and in real time:
 *
 *   kernel 10.9.0.1 peer0 ====== yg0 <-- AF_PACKET, AF_XDP -- 10.9.0.2 our stack      (a veth)
 *   kernel 10.9.0.1 peer0 = port0 - yg0 <-- AF_XDP ---------- 10.9.0.2 our stack      (a veth at a bridge: generic XDP)
 *   kernel 10.9.0.1 yg0 <-- TAP or TUN ---------------------- 10.9.0.2 our stack
 *
 * The kernel's sockets do not block; one loop serves both, and waits for events only.
 */
#ifndef YG_TESTS_LIB_LINUX_FIXTURE_H
#define YG_TESTS_LIB_LINUX_FIXTURE_H

#include <linux/if_link.h>

#include <yangguan/linux.h>
#include <yangguan/socket.h>

#define EXIT_SKIP 77
#define LAB_PORT 7

enum kind { OVER_AF_PACKET, OVER_XDP, OVER_XDP_GENERIC, OVER_TAP, OVER_TUN };

struct lab {
	enum kind kind;
	struct yg_host *h;
	struct yg_stack *s;
	int ctl; /* for ioctl */
};

/* A new namespace; skips the test where there is no /dev/net/tun. */
void lab_start(struct lab *l, enum kind kind);
void lab_finish(struct lab *l);
/* Not TAP and TUN, where the kernel has the device itself. */
int lab_is_veth(enum kind kind);
/* Of all packets that were dropped for this reason. */
uint64_t lab_dropped(const struct lab *l, const char *reason);
/* Until one of them has something: the stack, or the kernel's socket (-1: none). */
void lab_wait(struct lab *l, int fd, short events);
/* Until the descriptor is not readable any more. */
void lab_run_until_quiet(struct lab *l);
struct yg_host_info lab_info(const struct lab *l);

/* --- the kernel's end --- */

extern const char *const lab_kernels_end[]; /* its device, by kind */
void lab_shell(const char *command);
/* Whoever sends there finishes checksums and cuts segments itself. */
void lab_turn_offloads_off(const struct lab *l, const char *name);
struct rtnl_link_stats lab_stats(const char *name);

/* --- what passes --- */

/* Bytes both ways of a connection at once; half way the kernel does something (NULL: nothing). */
void lab_carry(struct lab *l, const char *half_way);
struct sockaddr_in lab_name(const char *addr, uint16_t port);
/* Sockets of UDP at LAB_PORT, of the stack and of the kernel. */
int lab_bound(struct lab *l);
int lab_bound_by_kernel(void);
/* What they have next. */
void lab_expect(struct lab *l, int ours, const char *text);
void lab_expect_at(struct lab *l, int kernels, const char *const *texts, int n);

#endif
