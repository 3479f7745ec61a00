/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the gateway of a scenario holds, for requirements on when state goes.
 */
#ifndef YG_TESTS_RFC_STATE_H
#define YG_TESTS_RFC_STATE_H

#include "rfc.h"

/* Connections of this protocol. */
uint32_t rfc_connections(struct rfc *t, uint8_t proto);
/* Ports, or identifiers, of the pool that are in use. */
uint64_t rfc_ports_used(struct rfc *t, uint8_t proto);

#endif
