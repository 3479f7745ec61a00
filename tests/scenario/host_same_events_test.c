/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The random program of tests/sockets/epoll_test.c on the kernel's sockets and on those of a gateway's host
 * (host_sockets.h).
 *
 * Would catch: an event of the gateway's host that is not Linux's.
 */
#include "host_sockets.h"

/* The tests, whose main is called for each. */
int library_tests(int argc, char **argv);
#define main library_tests
/* NOLINTNEXTLINE(bugprone-suspicious-include): the library's tests as they are */
#include "../sockets/epoll_test.c"
#undef main

static int tests(void)
{
	static char name[] = "host_same_events";
	char *none[] = { name, NULL };

	return library_tests(1, none);
}

int main(void)
{
	in_any_order = true;
	n_calls = 1000;
	n_seeds = 4;
	return host_sockets_try_as('a', tests);
}
