/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What nft knows and Yangguan does not, each to be refused by its own name; and the
 * words that nft takes as no name of a table, chain, set, map or definition: a file
 * that only loads with us could not be taken back to a kernel gateway.
 */
#include "daemon/config/nft/nft.h"

static const char *const foreign[] = {
	"ah",         "arp",       "bridge",   "comp",      "dnat-prefix", "dst",      "dup",         "dynset",
	"egress",     "esp",       "ether",    "exthdr",    "fib",         "flow",     "flowtable",   "frag",
	"fwd",        "gre",       "geneve",   "hbh",       "helper",      "ibrpvid",  "igmp",        "ingress",
	"ip6",        "icmpv6",    "ipsec",    "jhash",     "last",        "log",      "map",         "meter",
	"mh",         "monitor",   "netdev",   "numgen",    "osf",         "queue",    "quota",       "rt",
	"secmark",    "skgid",     "skuid",    "socket",    "symhash",     "synproxy", "tproxy",      "tunnel",
	"typeof",     "update",    "vlan",     "vxlan",     "xt",          "nftrace",  "cgroup",      "iifgroup",
	"oifgroup",   "iiftype",   "oiftype",  "rtclassid", "cpu",         "protocol", "priority",    "random",
	"secpath",    "ibrname",   "obrname",  "iifkind",   "oifkind",     "time",     "day",         "hour",
	"expiration", "label",     "l3proto",  "bytes",     "packets",     "avgpkt",   "event",       "count",
	"proto-src",  "proto-dst", "reply",    "ecn",       "hdrlength",   "version",  "checksum",    "option",
	"sequence",   "ackseq",    "window",   "urgptr",    "doff",        "reserved", "gateway",     "mtu",
	"csumcov",    "nexthdr",   "hoplimit", "flowlabel", "timeout",     "dynamic",  "gc-interval", "size",
	"element",    "set",       "counter",  "ct",        "limit",       "rule",     "chain",       "table",
	"ruleset",    "device",    "devices",  "replace",   "rename",      "reset",    "list",        "export",
	"import",     "describe",  "vmap",     "handle",    "index",       "position", "sdif",        "sdifname",
	"iif",        "oif",
};

/* In order. Those of nft 1.0.6 that it does not take as a name wherever they stand. */
static const char *const reserved[] = {
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

const struct config_words nft_words = {
	.whose = "nft",
	.foreign = foreign,
	.n_foreign = ARRAY_LEN(foreign),
	.reserved = reserved,
	.n_reserved = ARRAY_LEN(reserved),
};
