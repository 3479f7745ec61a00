/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Names of tables, chains, sets, maps and definitions. nft refuses its own words
 * here, and everything that is not a plain word; a file that only loads with us
 * could not be taken back to a kernel gateway.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/config/config_priv.h"

/* In order. Those of nft 1.0.6 that it does not take as a name wherever they stand. */
static const char *const keywords[] = {
	/* clang-format off */
	"accept", "add", "ah", "all", "and", "arp", "auto-merge", "bridge", "cgroup", "chain", "comment", "comp",
	"constant", "continue", "counter", "cpu", "create", "ct", "day", "dccp", "define", "delete", "describe",
	"device", "devices", "dnat", "drop", "dst", "dup", "dynamic", "ecn", "element", "elements", "eq", "esp",
	"ether", "exists", "expires", "export", "exthdr", "fib", "flags", "flow", "flowtable", "flush", "frag",
	"fwd", "gc-interval", "ge", "get", "goto", "gt", "handle", "hbh", "hook", "hour", "ibriport", "ibrname",
	"icmp", "icmpv6", "igmp", "iif", "iifgroup", "iifname", "iiftype", "import", "include", "index", "inet",
	"insert", "interval", "ip", "ip6", "ipsec", "jhash", "jump", "le", "limit", "list", "log", "lshift", "lt",
	"map", "mark", "masquerade", "meta", "meter", "mh", "missing", "monitor", "ne", "netdev", "nftrace",
	"not", "notrack", "numgen", "obriport", "obrname", "oif", "oifgroup", "oifname", "oiftype", "or", "osf",
	"pkttype", "policy", "position", "priority", "queue", "quota", "random", "redefine", "redirect", "reject",
	"rename", "replace", "reset", "return", "rshift", "rt", "rt0", "rt2", "rtclassid", "rule", "ruleset",
	"sctp", "secmark", "set", "size", "skgid", "skuid", "snat", "socket", "srh", "symhash", "synproxy",
	"table", "tcp", "th", "time", "timeout", "tproxy", "type", "typeof", "udp", "udplite", "undefine",
	"update", "vlan", "vmap", "xor", "xt",
	/* clang-format on */
};

static int by_word(const void *key, const void *word)
{
	const struct token *t = key;
	const char *w = *(const char *const *)word;
	int order = strncmp(t->text, w, t->len);

	return order != 0 ? order : w[t->len] == '\0' ? 0 : -1;
}

bool config_nft_name(struct parser *p, char out[AST_NAME_MAX], const char *what)
{
	struct token t = *config_peek(p);

	if (t.kind == TOK_STRING || t.kind == TOK_QUANTITY) {
		config_err(p, &t.pos, "%s is a word without quotes that begins with a letter, as in nft", what);
		return false;
	}
	if (t.kind == TOK_WORD && bsearch(&t, keywords, ARRAY_LEN(keywords), sizeof(keywords[0]), by_word) != NULL) {
		config_err(p, &t.pos, "\"%.*s\" is a word of nft's language: %s must be another one", (int)t.len,
			   t.text, what);
		return false;
	}
	return config_name(p, out, AST_NAME_MAX, what);
}
