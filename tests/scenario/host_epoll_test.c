/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The library's tests of epoll and poll on a gateway's host (host_sockets.h).
 *
 * Would catch: an event that is only told, or told only once, when nobody stands between the socket and its device.
 */
#include "host_sockets.h"

/* The tests, whose main is called for each. */
int library_tests(void);
#define main library_tests
/* NOLINTNEXTLINE(bugprone-suspicious-include): the library's tests as they are */
#include "stack/socket/epoll_test.c"
#undef main

int main(void)
{
	return host_sockets_try_as('b', library_tests) + host_sockets_try_as('a', library_tests);
}
