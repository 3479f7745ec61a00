/* SPDX-License-Identifier: BSD-2-Clause
 */
#include "packet/packet.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

int main(void)
{
	return 0;
}
