/* SPDX-License-Identifier: BSD-2-Clause
 */
#include "base/timer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

int main(void)
{
	return 0;
}
