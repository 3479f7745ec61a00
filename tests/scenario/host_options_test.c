/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Every option of tests/sockets/options_test.c on the kernel's sockets and on those of a gateway's host
 * (host_sockets.h).
 *
 * Would catch: a default, a range or an errno that is another one there.
 */
#include "host_sockets.h"

/* The tests, whose main is called for each. */
int library_tests(void);
#define main library_tests
/* NOLINTNEXTLINE(bugprone-suspicious-include): the library's tests as they are */
#include "../sockets/options_test.c"
#undef main

int main(void)
{
	return host_sockets_try_as('a', library_tests);
}
