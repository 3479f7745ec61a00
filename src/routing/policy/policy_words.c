/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What BIRD's filters have and these have not, word by word, so that who comes from there reads why, and not that some
 * sign was expected.
 */
#include <string.h>

#include "routing/policy/policy_priv.h"

static const struct {
	const char *word, *why;
} not_there[] = {
	{ "for", "there are no loops" },
	{ "while", "there are no loops" },
	{ "case", "write if ... then ... else if ..." },
	{ "print", "there is no printing: a verdict tells its line" },
	{ "printn", "there is no printing: a verdict tells its line" },
	{ "eval", "there is no printing: a verdict tells its line" },
	{ "defined", "an attribute that is not there reads as 0, empty, or its default" },
	{ "unset", "attributes are changed, not taken away" },
	{ "attribute", "there are no attributes of one's own" },
	{ "table", "filters have no tables but those of roa_check" },
	{ "roa", "the check is roa_check(table)" },
	{ "break", "there are no loops" },
	{ "quitbird", "a filter judges paths and nothing else" },
	{ "bt_assert", "a filter judges paths and nothing else" },
	{ "include", "a text is taken in whole" },
	{ "template", "neighbours stand in the block bgp" },
	{ "protocol", "neighbours stand in the block bgp; `proto` is the name of one" },
	{ "preference", "there is one order of sources, and bgp_local_pref within BGP" },
	{ "from", "`proto` is the neighbour's name" },
	{ "gw", "the next hop is bgp_next_hop" },
	{ "ifname", "the next hop is bgp_next_hop" },
	{ "ifindex", "the next hop is bgp_next_hop" },
	{ "dest", "a path is to be used, or rejected" },
	{ "scope", "paths have no scope" },
	{ "onlink", "the next hop is bgp_next_hop" },
	{ "weight", "there is one order of paths: docs/bgp.md" },
	{ "igp_metric", "the cost to the next hop is no attribute" },
	{ "bgp_otc", "roles do that, and no filter may (RFC 9234)" },
	{ "bgp_atomic_aggr", "it is passed on as it comes" },
	{ "bgp_aggregator", "it is passed on as it comes" },
	{ "bgp_originator_id", "it is passed on as it comes (RFC 4456)" },
	{ "bgp_cluster_list", "it is passed on as it comes (RFC 4456)" },
	{ "bgp_aigp", "AIGP is not taken from anybody" },
	{ "bgp_mask", "a mask stands where it is used" },
	{ "bgppath", "there are no paths but bgp_path" },
	{ "bgpmask", "a mask stands where it is used, or in a define" },
	{ "clist", "there are no lists but the three of communities" },
	{ "eclist", "there are no lists but the three of communities" },
	{ "lclist", "there are no lists but the three of communities" },
	{ "quad", "a number or an address does" },
	{ "rd", "there are no VPNs" },
	{ "enum", "there are no types of one's own" },
	{ "var", "there are no variables but a function's arguments" },
	{ "prepend", "write bgp_path.prepend(AS)" },
	{ "add", "write bgp_community.add(...)" },
	{ "delete", "write bgp_community.delete(...)" },
	{ "format", "there is no printing: a verdict tells its line" },
	{ "unknown", "an extended community is rt, ro or generic" },
	{ "aspa_check", "there is no ASPA" },
};

const char *policy_word_not_there(const char *word, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(not_there); i++)
		if (strlen(not_there[i].word) == len && memcmp(not_there[i].word, word, len) == 0)
			return not_there[i].why;
	/* Attributes of other protocols. */
	for (size_t i = 0; i < 3; i++) {
		static const char *const others[] = { "ospf_", "rip_", "krt_" };

		if (len > strlen(others[i]) && memcmp(word, others[i], strlen(others[i])) == 0)
			return "only BGP's attributes are there";
	}
	return NULL;
}
