/* SPDX-License-Identifier: BSD-2-Clause
 *
 * syscall(2): programs that call by number what an older C library had no name for (accept4, sendmmsg, close_range).
 * Those numbers that have a door here go through it.
 *
 * All others go on as they came, without a frame of ours: the child of a vfork or clone returns on its parent's stack.
 * So the last call must be a jump (a sibling call): the parameters are those that the C library's has, and the library
 * is compiled with optimisation in any case (meson.build).
 */
#include "preload/interpose.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define REAL (*real_calls())

/* clang says so or refuses; gcc 12 has no word for it, and does it when it optimises. */
#if defined(__has_attribute)
#if __has_attribute(musttail)
#define JUMP __attribute__((musttail)) return
#endif
#endif
#ifndef JUMP
#define JUMP return
#endif

typedef long numbered_fn(long, long, long, long, long, long, long);

DOOR numbered_fn numbered __asm__("syscall");

static void *at(long a)
{
	return (void *)a;
}

static bool has_door(long number)
{
	switch (number) {
	case SYS_socket:
	case SYS_bind:
	case SYS_listen:
	case SYS_accept:
	case SYS_accept4:
	case SYS_connect:
	case SYS_shutdown:
	case SYS_getsockname:
	case SYS_getpeername:
	case SYS_getsockopt:
	case SYS_setsockopt:
	case SYS_sendto:
	case SYS_sendmsg:
	case SYS_sendmmsg:
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_recvmmsg:
	case SYS_close:
	case SYS_close_range:
		return true;
	default:
		return false;
	}
}

static __attribute__((noinline)) long by_door(long number, long a, long b, long c, long d, long e, long f)
{
	switch (number) {
	case SYS_socket:
		return socket((int)a, (int)b, (int)c);
	case SYS_bind:
		return bind((int)a, at(b), (socklen_t)c);
	case SYS_listen:
		return listen((int)a, (int)b);
	case SYS_accept:
		return accept((int)a, at(b), at(c));
	case SYS_accept4:
		return accept4((int)a, at(b), at(c), (int)d);
	case SYS_connect:
		return connect((int)a, at(b), (socklen_t)c);
	case SYS_shutdown:
		return shutdown((int)a, (int)b);
	case SYS_getsockname:
		return getsockname((int)a, at(b), at(c));
	case SYS_getpeername:
		return getpeername((int)a, at(b), at(c));
	case SYS_getsockopt:
		return getsockopt((int)a, (int)b, (int)c, at(d), at(e));
	case SYS_setsockopt:
		return setsockopt((int)a, (int)b, (int)c, at(d), (socklen_t)e);
	case SYS_sendto:
		return sendto((int)a, at(b), (size_t)c, (int)d, at(e), (socklen_t)f);
	case SYS_sendmsg:
		return sendmsg((int)a, at(b), (int)c);
	case SYS_sendmmsg:
		return sendmmsg((int)a, at(b), (unsigned int)c, (int)d);
	case SYS_recvfrom:
		return recvfrom((int)a, at(b), (size_t)c, (int)d, at(e), at(f));
	case SYS_recvmsg:
		return recvmsg((int)a, at(b), (int)c);
	case SYS_recvmmsg:
		return recvmmsg((int)a, at(b), (unsigned int)c, (int)d, at(e));
	case SYS_close:
		return close((int)a);
	default:
		return close_range((unsigned int)a, (unsigned int)b, (int)c);
	}
}

long numbered(long number, long a, long b, long c, long d, long e, long f)
{
	if (has_door(number) && interpose()->slots != NULL)
		return by_door(number, a, b, c, d, e, f);
	JUMP((numbered_fn *)REAL.syscall)(number, a, b, c, d, e, f);
}
