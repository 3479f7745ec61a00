/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The library's tests of sockets on a gateway's host (host_sockets.h).
 *
 * Would catch: whatever the library's tests would, and that it is only true without workers in between; a packet that
 * is lost or counted twice on its way between them.
 */
#include "host_sockets.h"

/* The tests, whose main is called for each. */
int library_tests(void);
#define main library_tests
/* NOLINTNEXTLINE(bugprone-suspicious-include): the library's tests as they are */
#include "stack/socket/socket_test.c"
#undef main

int main(void)
{
	return host_sockets_try_as('b', library_tests) + host_sockets_try_as('a', library_tests);
}
