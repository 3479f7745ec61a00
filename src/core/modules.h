/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The modules of a core: which there are, what each can be told, and how they are
 * wired together. A row a module, and whoever drives the core (gateway.c, gateway_life.c) walks the
 * rows: the only place that knows them by name is modules.c.
 *
 * They are made from the first row to the last, and told, asked and ended from the
 * last to the first: what stands on another says what it has to say before that one
 * acts.
 */
#ifndef YG_CORE_MODULES_H
#define YG_CORE_MODULES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/gateway.h"

struct gateway {
	struct env env;
	const struct core_config *cfg;
	const struct core_config *prepared; /* there is room for it */
	void *module[N_GATEWAY_MODULES];    /* NULL: left out */
	struct gateway_aux aux;
};

/* The module of sockets. */
struct core_sockets {
	struct ping_sockets *ping;
	struct sockets *all; /* TCP, UDP and raw ones */
};

/* All functions but create and destroy may be NULL. */
struct module {
	const char *name;
	uint32_t needs; /* bits of enum gateway_module: those that come with it */
	/* Those that it needs are there. NULL without memory. */
	void *(*create)(struct gateway *g, const struct gateway_limits *limits);
	void (*destroy)(void *m);
	/* Whatever of a change of config may fail: 0, or -errno. Then configure, which does not, or abandon. */
	int (*prepare)(void *m, const struct core_config *cfg);
	void (*abandon)(void *m);
	void (*configure)(void *m, const struct core_config *cfg);
	/* A device was put behind an interface, taken away, or has changed. */
	void (*link_changed)(void *m, uint32_t ifindex, bool up);
	void (*expire)(void *m);
	uint64_t (*next_deadline)(const void *m); /* TIME_NEVER: nothing is due */
};

extern const struct module modules[N_GATEWAY_MODULES];

/* With all that they need. */
uint32_t modules_with_needs(uint32_t bits);
/* Fills the slots by which those that are there call upwards. */
void modules_connect(struct gateway *g);
/* Empties those that this one fills: whatever happens from here on happens without it. */
void modules_disconnect(struct gateway *g, enum gateway_module upper);
/* The hook lists for what has been prepared. False when a list is too short. */
bool modules_wire(struct gateway *g, struct hook_list lists[N_HOOKS]);

#endif
