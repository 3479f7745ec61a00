/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sets of ports, as a config gives them: what a port is taken from.
 */
#ifndef YG_STACK_PORTS_PORT_SET_H
#define YG_STACK_PORTS_PORT_SET_H

#include <stdbool.h>
#include <stdint.h>

#define PORT_NONE UINT32_MAX /* where a port is a number of 32 bits */

struct port_range {
	uint16_t first, last; /* both included */
};

/* Port ranges in rising order that do not touch. */
#define PORT_SET_MAX 18
struct port_set {
	uint32_t n;
	uint32_t n_ports;
	uint32_t id; /* of what is in it: equal sets have the same */
	struct port_range range[PORT_SET_MAX];
};

/* `ports` without `excluded` and without 0. */
struct port_set port_set_of(struct port_range ports, const struct port_range *excluded, uint32_t n_excluded);
/* The ports of s from first to last. */
struct port_set port_set_within(const struct port_set *s, uint32_t first, uint32_t last);
bool port_set_has(const struct port_set *s, uint32_t port);
/* The k-th port of the set, k < n_ports. */
uint32_t port_set_at(const struct port_set *s, uint32_t k);

#endif
