/* SPDX-License-Identifier: BSD-2-Clause
 *
 * MD5 (RFC 1321). It keeps nobody out who can choose what is hashed (RFC 6151); it is here
 * for protocols of old that ask for it by name.
 */
#ifndef YG_BASE_MD5_H
#define YG_BASE_MD5_H

#include <stddef.h>
#include <stdint.h>

#define MD5_BYTES 16

struct md5 {
	uint32_t state[4];
	uint64_t len; /* bytes so far */
	uint8_t block[64];
};

void md5_begin(struct md5 *m);
void md5_add(struct md5 *m, const void *bytes, size_t len);
void md5_end(struct md5 *m, uint8_t out[MD5_BYTES]);

#endif
