/* SPDX-License-Identifier: BSD-2-Clause
 *
 * yangguan.conf: read, checked, and turned into values. Nothing here touches a
 * device or a running gateway; snapshot.c makes of the result what a core is told.
 */
#ifndef YG_DAEMON_CONFIG_CONFIG_H
#define YG_DAEMON_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/config/lang/error.h"
#include "stack/ip/stack.h"
#include "gateway/nat/nat.h"
#include "routing/rib/rib.h"
#include "gateway/rules/rules.h"
#include "stack/socket/socket.h"

#define CONFIG_ANSWERS_MAX 16

/* What `driver` can say. */
enum config_driver {
	DRIVER_AUTO,
	DRIVER_XDP,
	DRIVER_XDP_GENERIC,
	DRIVER_TC,
	DRIVER_AF_PACKET,
	DRIVER_TAP,
	N_CONFIG_DRIVERS
};

extern const char *const config_driver_names[N_CONFIG_DRIVERS];

struct config_interface {
	struct text_pos pos;
	struct ip_interface_config ip; /* name, addresses, mtu */
	uint32_t n_answers;
	struct nat_address_range answer[CONFIG_ANSWERS_MAX]; /* `answer for`: ours on this link, and no interface's */
	enum config_driver driver;
	bool take_over; /* `take over yes;`: take it although the kernel has an address on it */
	uint16_t zone;
};

struct config_route {
	struct text_pos pos;
	struct rib_route route;
	char device[DEVICE_NAME_MAX]; /* `dev NAME`, resolved to nexthop.ifindex by snapshot_routes.c */
	uint32_t weight;              /* of a path, 1 if nothing is said */
	bool goes_on;                 /* one more path of the route before it: the same in all but its gateway */
};

/* The gateway's own host. */
struct config_host {
	struct text_pos pos;          /* of the block that is read last */
	struct sockets_limits limits; /* zeros where the file says nothing */
	struct tcp_config tcp;        /* tcp_default_config where it says nothing */
};

/* A table of the kernel's whose routes stand in a zone. */
#define CONFIG_KERNEL_TABLES_MAX 16
struct config_kernel_table {
	struct text_pos pos;
	uint32_t table; /* the kernel's number */
	uint16_t zone;
	uint8_t distance;
};

struct config_bgp;
struct config_policy;

struct config {
	size_t n_interfaces;
	struct config_interface *interface;
	size_t n_routes;
	struct config_route *route;
	uint32_t n_kernel_tables;
	struct config_kernel_table kernel_table[CONFIG_KERNEL_TABLES_MAX];
	struct config_bgp *bgp;       /* NULL: no BGP (config_bgp.h) */
	struct config_policy *policy; /* NULL: no filters (config_policy.h) */
	struct nat_config nat;        /* pools, and what is logged */
	struct rule_ast rules;
	struct ct_timeouts timeout; /* zeros where the file says nothing */
	struct ct_limits ct_limits;
	struct ip_limits ip_limits;
	struct config_host host;
	struct packet_pool_config packets; /* zeros where the file says nothing */
	uint32_t icmp_rate_per_s, icmp_rate_per_dest_s, icmp_rate_path_mtu_s;
	uint32_t n_workers; /* 0 and 1: one */
	uint32_t ct_max_per_source, ct_new_per_source_s;
	enum { CONFIG_UNKNOWN_RESET, CONFIG_UNKNOWN_DROP, CONFIG_UNKNOWN_PICK_UP } ct_unknown_tcp;
	struct text_pos ct_unknown_pos; /* of the statement that chose it; line 0: none */
	uint32_t offload_max;           /* connections in the kernel; 0: the file says nothing */
	bool offload_off;
	struct text_pos log_blocks_pos; /* of the first word that asks for records of blocks; line 0: none */
	uint32_t n_log_records;         /* that wait for whoever reads them, in each worker; 0: the file says nothing */
	char *text; /* the whole file, includes put in their places, passwords covered: for record and audit */
	size_t text_len;
	struct config_sources sources;
};

/* Reads path ("-": standard input) or text. Returns a config, or NULL and at least one error.
 * Several errors are found in one go; name is what messages call the file. *errors may be set in
 * both cases (notes) and is NULL or the caller's to free. `include` works in files only. */
struct config *config_read_file(const char *path, struct config_errors **errors);
struct config *config_read_text(const char *name, const char *text, size_t len, struct config_errors **errors);
void config_free(struct config *c);

/* What the file may say for a size of a table, named by its words ("neighbour queue all"). False: there are no such
 * words. */
bool config_limit_bounds(const char *words, uint32_t *min, uint32_t *max);

/* For whoever builds on a config (snapshot.c): one more message about a place in it. *errors may be
 * NULL; without memory the message is lost, but config_n_errors still counts it if *errors exists. */
void config_error_add(struct config_errors **errors, const struct config *c, const struct text_pos *pos,
		      const char *fmt, ...) YG_PRINTF(4, 5);

#endif
