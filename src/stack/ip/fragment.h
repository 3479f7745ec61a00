/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Cutting a packet to a link's MTU (RFC 791 section 3.2, RFC 1812 section
 * 4.2.2.7).
 */
#ifndef YG_STACK_IP_FRAGMENT_H
#define YG_STACK_IP_FRAGMENT_H

#include "stack/packet/env.h"

/* Fragments that ip_fragment would make of p; 0 when mtu has no room for 8 bytes
 * of payload. mtu: bytes of IP packet. */
uint32_t ip_fragment_count(const struct packet *p, uint32_t mtu);

/* Cuts p (no large segment, checksum finished; the caller has seen that it may
 * be cut) into fragments of at most mtu bytes, appended to out in order. p becomes
 * the first fragment; the others are counted as fragments made and have p's way. A
 * fragment may be cut again. Returns the number of fragments; 0 and p untouched
 * when out has no room for all or a buffer is missing. */
uint32_t ip_fragment(struct env *env, struct packet *p, uint32_t mtu, struct batch *out);

#endif
