/* SPDX-License-Identifier: BSD-2-Clause
 *
 * libyangguan: which version, and how its names are exported.
 */
#ifndef YANGGUAN_VERSION_H
#define YANGGUAN_VERSION_H

#define YG_VERSION_MAJOR 0
#define YG_VERSION_MINOR 1
#define YG_VERSION_PATCH 0

#if defined(__GNUC__)
#define YG_API __attribute__((visibility("default")))
#else
#define YG_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Of the library that runs: "0.1.0". */
YG_API const char *yg_version(void);

#ifdef __cplusplus
}
#endif

#endif
