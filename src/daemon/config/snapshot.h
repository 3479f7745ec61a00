/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A snapshot: what a config comes down to. `core` is what the cores are told, the
 * rest is for those who run them. Interface numbers and pool numbers of the snapshot
 * before are kept by name, so connections survive a reload.
 */
#ifndef YG_DAEMON_CONFIG_SNAPSHOT_H
#define YG_DAEMON_CONFIG_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config.h"
#include "core/gateway.h"
#include "daemon/config/config.h"

struct snapshot {
	struct core_config core;
	struct tcp_config tcp;                        /* core.tcp */
	struct nat_address_range *nat_source;         /* core.nat.source, to be freed */
	enum config_driver driver[IP_INTERFACES_MAX]; /* by interface number */
	bool take_over[IP_INTERFACES_MAX];
	uint32_t offload_max; /* connections in the kernel, 0: the default */
	bool offload_off;
	uint32_t n_log_records; /* that can wait in each worker, 0: the default */
	uint32_t n_workers;     /* at least 1 */
	uint32_t n_kernel_tables;
	struct config_kernel_table kernel_table[CONFIG_KERNEL_TABLES_MAX]; /* that are followed */
	struct config_policy *policy;                                      /* NULL: no filters */
	struct config_bgp *bgp;                                            /* NULL: no BGP */
	size_t n_routes; /* configured, and to prefixes of interfaces */
	char *text;      /* the config file's text */
	size_t text_len;
	uint32_t n_files; /* that the config was read from; text_pos.file is a number from 1 on */
	char **file;      /* their names */
};

/* Builds one from a config; prev may be NULL. On failure NULL and at
 * least one error in *errors, which the caller has set to NULL or to what reading the config
 * left there (notes); config_errors_free. */
struct snapshot *snapshot_build(const struct config *cfg, const struct snapshot *prev, struct config_errors **errors);
/* Sizes of tables, as the cores take them when they are made. */
struct gateway_limits snapshot_limits(const struct config *cfg);
void snapshot_destroy(struct snapshot *s);

#endif
