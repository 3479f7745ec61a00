/* SPDX-License-Identifier: BSD-2-Clause
 *
 * For Windows (docs/windows.md): Linux's errors that mingw-w64 has no number for. Only that they are different matters.
 */
#ifndef YG_PORT_WINDOWS_ERRNO_H
#define YG_PORT_WINDOWS_ERRNO_H

#include_next <errno.h>

#ifndef ENONET
#define ENONET 1064
#endif
#ifndef ESOCKTNOSUPPORT
#define ESOCKTNOSUPPORT 1094
#endif
#ifndef EHOSTDOWN
#define EHOSTDOWN 1112
#endif
#ifndef EKEYREJECTED
#define EKEYREJECTED 1129
#endif

#endif
