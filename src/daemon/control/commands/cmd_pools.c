/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan pools`: what NAT translates to and how full it is.
 *
 * The workers share each address: its ports are there once, and what
 * each of them uses is summed. A pool's addresses are the config's and so the same
 * for all; of an interface that masquerades a worker knows the addresses that it
 * has used.
 */
#include "base/util.h"
#include "daemon/control/commands/cmd_priv.h"

struct pools_copy {
	struct nat_pool_info row[NAT_POOL_INFOS_MAX]; /* by id; without a name: not there */
};

static void add_pool(struct nat_pool_info *sum, const struct nat_pool_info *one)
{
	uint64_t n_ports = one->n_addresses > 0 ? one->n_ports / one->n_addresses : 0;

	if (sum->name == NULL) {
		*sum = *one;
		return;
	}
	if (sum->n_addresses > 0)
		n_ports = sum->n_ports / sum->n_addresses;
	sum->interface_addresses |= one->interface_addresses;
	/* An address in two zones counts twice. */
	sum->n_addresses = max_u32(max_u32(sum->n_addresses, one->n_addresses),
				   (uint32_t)__builtin_popcount(sum->interface_addresses));
	sum->n_ports = sum->n_addresses * n_ports;
	sum->n_used_tcp += one->n_used_tcp;
	sum->n_used_udp += one->n_used_udp;
	sum->n_used_icmp += one->n_used_icmp;
	sum->n_used_other += one->n_used_other;
	sum->n_refused += one->n_refused;
	sum->n_reused += one->n_reused;
}

static void add_pools(void *arg, const struct control_core *core, uint32_t number)
{
	struct pools_copy *p = arg;
	struct nat_pool_info info;
	uint32_t cursor = 0;

	while (nat_pool_next(core->nat, &cursor, &info))
		add_pool(&p->row[info.id], &info);
}

static const struct out_column pools_columns[] = {
	{ "name", "NAME", OUT_TEXT },
	{ "addresses", "ADDRESSES", OUT_U64 },
	{ "ports", "PORTS", OUT_U64 },
	{ "used_tcp", "USED-TCP", OUT_U64 },
	{ "used_udp", "USED-UDP", OUT_U64 },
	{ "used_icmp", "USED-ICMP", OUT_U64 },
	{ "used_other", "USED-OTHER", OUT_U64 },
	{ "refused", "REFUSED", OUT_U64 },
	{ "reused", "REUSED", OUT_U64 },
};
static const struct out_table pools_table = { "pools", pools_columns, ARRAY_LEN(pools_columns), NULL };

static int pools_start(struct command_call *c)
{
	struct pools_copy copy = { 0 };

	if (cmd_no_words(c) != 0)
		return EXIT_USAGE;
	target_call_each(c->target, add_pools, &copy);
	cmd_table_start(c, &pools_table);
	for (size_t i = 0; i < ARRAY_LEN(copy.row); i++) {
		const struct nat_pool_info *r = &copy.row[i];

		if (r->name == NULL)
			continue;
		output_row(&c->output, (struct out_value[]){
					       OUT_T(r->name),
					       OUT_U(r->n_addresses),
					       OUT_U(r->n_ports),
					       OUT_U(r->n_used_tcp),
					       OUT_U(r->n_used_udp),
					       OUT_U(r->n_used_icmp),
					       OUT_U(r->n_used_other),
					       OUT_U(r->n_refused),
					       OUT_U(r->n_reused),
				       });
	}
	return cmd_table_done(c);
}

const struct command cmd_pools = {
	.info = {
		.name = "pools",
		.synopsis = "[-j]",
		.help = "the addresses and ports that NAT translates to, and how full they are",
		.options = cmd_plain_options,
		.more = "ports counts those of one protocol over all addresses; refused counts new connections that "
			"found no port; reused\ncounts those that were finished or idle and made room for a new "
			"one; other is SCTP, DCCP, UDP-Lite and calls of "
			"PPTP together.",
		.example = "  yangguan pools",
	},
	.start = pools_start,
};
