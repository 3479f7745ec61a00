/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The key table: one row for each thing that a match can look at, in nft's
 * words, and one list of names for each type of value. The parser of the config
 * language reads keys and values by these rows, the compiler checks widths by
 * them and asks them whether a flow may do without the walk, and eval.c fetches
 * them from a packet. A new key takes its enum in ast.h, its row here, and its
 * fetch in eval.c.
 *
 * Names and numbers are those of nft(8); protocol numbers are IANA's, ICMP types
 * and codes RFC 792 and RFC 1812, code points of DSCP RFC 2474, 2597, 3246,
 * 5865 and 8622.
 */
#include "gateway/rules/key.h"

#include "base/util.h"
#include "stack/wire/icmp.h"

#define PROTO_ICMP IPPROTO_NR_ICMP
#define PROTO_TCP IPPROTO_NR_TCP
#define PROTO_UDP IPPROTO_NR_UDP

/* A row says everything, and does not compile without its last column: whether the next packet of an established flow
 * may have another value. A flow whose walk asked for such a key is not put into the flow cache, nor given to the
 * kernel: NEVER is a promise. */
#define KEY(key, name, type, bits, is_bits, proto, varies) \
	[KEY_##key] = { name, RULE_TYPE_##type, bits, is_bits, proto, VARIES_##varies }
#define VARIES_NEVER INSN_SAME, 0
#define VARIES_ALWAYS INSN_VARIES, UINT32_MAX
#define VARIES_OF_BITS(bits) INSN_VARIES, (bits) /* a match that looks at others only sees the same */
#define VARIES_UNTIL_ASSURED INSN_VARIES_UNTIL_ASSURED, UINT32_MAX
#define VARIES_WITHOUT_PORTS INSN_VARIES_WITHOUT_PORTS, UINT32_MAX

/* clang-format off */
const struct rule_key_info rule_key_info[N_RULE_KEYS] = {
	KEY(META_IIFNAME, "iifname", IFNAME, 0, false, 0, NEVER),
	KEY(META_OIFNAME, "oifname", IFNAME, 0, false, 0, NEVER),
	KEY(META_L4PROTO, "meta l4proto", PROTOCOL, 8, false, 0, NEVER),
	KEY(META_LENGTH, "meta length", NUMBER, 32, false, 0, ALWAYS),
	KEY(META_MARK, "meta mark", MARK, 32, false, 0, NEVER),
	KEY(META_PKTTYPE, "meta pkttype", PKTTYPE, 8, false, 0, NEVER),
	KEY(META_NFPROTO, "meta nfproto", NFPROTO, 8, false, 0, NEVER),
	KEY(IP_SADDR, "ip saddr", ADDRESS, 32, false, 0, NEVER),
	KEY(IP_DADDR, "ip daddr", ADDRESS, 32, false, 0, NEVER),
	KEY(IP_PROTOCOL, "ip protocol", PROTOCOL, 8, false, 0, NEVER),
	KEY(IP_TTL, "ip ttl", NUMBER, 8, false, 0, ALWAYS),
	KEY(IP_DSCP, "ip dscp", DSCP, 6, false, 0, ALWAYS),
	KEY(IP_ID, "ip id", NUMBER, 16, false, 0, ALWAYS),
	KEY(IP_LENGTH, "ip length", NUMBER, 16, false, 0, ALWAYS),
	KEY(IP_FRAG_OFF, "ip frag-off", NUMBER, 16, false, 0, ALWAYS),
	KEY(TCP_SPORT, "tcp sport", PORT, 16, false, PROTO_TCP, NEVER),
	KEY(TCP_DPORT, "tcp dport", PORT, 16, false, PROTO_TCP, NEVER),
	/* The kernel's program forwards segments with these three. */
	KEY(TCP_FLAGS, "tcp flags", TCP_FLAGS, 8, true, PROTO_TCP, OF_BITS(TCP_PSH | TCP_ECE | TCP_CWR)),
	KEY(UDP_SPORT, "udp sport", PORT, 16, false, PROTO_UDP, NEVER),
	KEY(UDP_DPORT, "udp dport", PORT, 16, false, PROTO_UDP, NEVER),
	KEY(UDP_LENGTH, "udp length", NUMBER, 16, false, PROTO_UDP, ALWAYS),
	KEY(SCTP_SPORT, "sctp sport", PORT, 16, false, IPPROTO_NR_SCTP, NEVER),
	KEY(SCTP_DPORT, "sctp dport", PORT, 16, false, IPPROTO_NR_SCTP, NEVER),
	KEY(DCCP_SPORT, "dccp sport", PORT, 16, false, IPPROTO_NR_DCCP, NEVER),
	KEY(DCCP_DPORT, "dccp dport", PORT, 16, false, IPPROTO_NR_DCCP, NEVER),
	KEY(UDPLITE_SPORT, "udplite sport", PORT, 16, false, IPPROTO_NR_UDPLITE, NEVER),
	KEY(UDPLITE_DPORT, "udplite dport", PORT, 16, false, IPPROTO_NR_UDPLITE, NEVER),
	KEY(TH_SPORT, "th sport", PORT, 16, false, 0, WITHOUT_PORTS),
	KEY(TH_DPORT, "th dport", PORT, 16, false, 0, WITHOUT_PORTS),
	KEY(ICMP_TYPE, "icmp type", ICMP_TYPE, 8, false, PROTO_ICMP, NEVER),
	KEY(ICMP_CODE, "icmp code", ICMP_CODE, 8, false, PROTO_ICMP, NEVER),
	KEY(ICMP_ID, "icmp id", NUMBER, 16, false, PROTO_ICMP, NEVER),
	KEY(CT_STATE, "ct state", CT_STATE, 32, true, 0, NEVER),
	KEY(CT_STATUS, "ct status", CT_STATUS, 32, true, 0, UNTIL_ASSURED),
	KEY(CT_MARK, "ct mark", MARK, 32, false, 0, NEVER),
	KEY(CT_DIRECTION, "ct direction", CT_DIRECTION, 8, false, 0, NEVER),
	KEY(CT_ZONE, "ct zone", NUMBER, 16, false, 0, NEVER),
	KEY(CT_PROTOCOL, "ct protocol", PROTOCOL, 8, false, 0, NEVER),
	KEY(CT_ORIGINAL_SADDR, "ct original ip saddr", ADDRESS, 32, false, 0, NEVER),
	KEY(CT_ORIGINAL_DADDR, "ct original ip daddr", ADDRESS, 32, false, 0, NEVER),
	KEY(CT_ORIGINAL_PROTO_SRC, "ct original proto-src", PORT, 16, false, 0, NEVER),
	KEY(CT_ORIGINAL_PROTO_DST, "ct original proto-dst", PORT, 16, false, 0, NEVER),
};
_Static_assert(ARRAY_LEN(rule_key_info) == N_RULE_KEYS, "one row a key");

static const struct rule_symbol protocol_names[] = {
	{ "ip", 0 }, { "icmp", PROTO_ICMP }, { "igmp", 2 }, { "ipencap", 4 }, { "tcp", PROTO_TCP },
	{ "egp", 8 }, { "udp", PROTO_UDP }, { "dccp", IPPROTO_NR_DCCP }, { "ipv6", 41 }, { "rsvp", 46 }, { "gre", IPPROTO_NR_GRE },
	{ "esp", IPPROTO_NR_ESP },
	{ "ah", 51 }, { "ipv6-icmp", 58 }, { "icmpv6", 58 }, { "ospf", IPPROTO_NR_OSPF }, { "pim", 103 },
	{ "ipcomp", 108 }, { "comp", 108 }, { "vrrp", 112 }, { "l2tp", 115 }, { "sctp", IPPROTO_NR_SCTP },
	{ "udplite", IPPROTO_NR_UDPLITE },
	{ "eigrp", 88 }, { "ipip", 94 }, { "etherip", 97 }, { "isis", 124 },
};

static const struct rule_symbol tcp_flag_names[] = {
	{ "fin", TCP_FIN }, { "syn", TCP_SYN }, { "rst", TCP_RST }, { "psh", TCP_PSH },
	{ "ack", TCP_ACK }, { "urg", TCP_URG }, { "ecn", TCP_ECE }, { "cwr", TCP_CWR },
};

static const struct rule_symbol ct_state_names[] = {
	{ "invalid", RULE_CT_STATE_INVALID }, { "established", RULE_CT_STATE_ESTABLISHED },
	{ "related", RULE_CT_STATE_RELATED }, { "new", RULE_CT_STATE_NEW }, { "untracked", RULE_CT_STATE_UNTRACKED },
};

static const struct rule_symbol ct_status_names[] = {
	{ "expected", RULE_CT_STATUS_EXPECTED }, { "seen-reply", RULE_CT_STATUS_SEEN_REPLY },
	{ "assured", RULE_CT_STATUS_ASSURED }, { "confirmed", RULE_CT_STATUS_CONFIRMED },
	{ "snat", RULE_CT_STATUS_SNAT }, { "dnat", RULE_CT_STATUS_DNAT }, { "dying", RULE_CT_STATUS_DYING },
};

static const struct rule_symbol ct_direction_names[] = { { "original", CT_ORIGINAL }, { "reply", CT_REPLY } };

static const struct rule_symbol icmp_type_names[] = {
	{ "echo-reply", ICMP_ECHO_REPLY }, { "destination-unreachable", ICMP_DEST_UNREACHABLE },
	{ "source-quench", ICMP_SOURCE_QUENCH }, { "redirect", ICMP_REDIRECT }, { "echo-request", ICMP_ECHO_REQUEST },
	{ "router-advertisement", ICMP_ROUTER_ADVERTISEMENT }, { "router-solicitation", ICMP_ROUTER_SOLICITATION },
	{ "time-exceeded", ICMP_TIME_EXCEEDED }, { "parameter-problem", ICMP_PARAMETER_PROBLEM },
	{ "timestamp-request", ICMP_TIMESTAMP }, { "timestamp-reply", ICMP_TIMESTAMP_REPLY },
	{ "info-request", ICMP_INFORMATION }, { "info-reply", ICMP_INFORMATION_REPLY },
	{ "address-mask-request", ICMP_ADDRESS_MASK }, { "address-mask-reply", ICMP_ADDRESS_MASK_REPLY },
};

static const struct rule_symbol icmp_code_names[] = {
	{ "net-unreachable", ICMP_NET_UNREACHABLE }, { "host-unreachable", ICMP_HOST_UNREACHABLE },
	{ "prot-unreachable", ICMP_PROTOCOL_UNREACHABLE }, { "port-unreachable", ICMP_PORT_UNREACHABLE },
	{ "frag-needed", ICMP_FRAGMENTATION_NEEDED }, { "net-prohibited", ICMP_NET_PROHIBITED },
	{ "host-prohibited", ICMP_HOST_PROHIBITED }, { "admin-prohibited", ICMP_ADMIN_PROHIBITED },
};

static const struct rule_symbol pkttype_names[] = {
	{ "host", 0 }, { "unicast", 0 }, { "broadcast", 1 }, { "multicast", 2 }, { "other", 3 },
};

static const struct rule_symbol nfproto_names[] = { { "ipv4", 2 }, { "ipv6", 10 } };

static const struct rule_symbol dscp_names[] = {
	{ "cs0", 0 }, { "cs1", 8 }, { "cs2", 16 }, { "cs3", 24 }, { "cs4", 32 }, { "cs5", 40 }, { "cs6", 48 },
	{ "cs7", 56 }, { "df", 0 }, { "be", 0 }, { "lephb", 1 }, { "af11", 10 }, { "af12", 12 }, { "af13", 14 },
	{ "af21", 18 }, { "af22", 20 }, { "af23", 22 }, { "af31", 26 }, { "af32", 28 }, { "af33", 30 }, { "af41", 34 },
	{ "af42", 36 }, { "af43", 38 }, { "va", 44 }, { "ef", 46 },
};

#define NAMES(table) { table, ARRAY_LEN(table) }
static const struct {
	const struct rule_symbol *symbol;
	size_t n;
} type_names[N_RULE_TYPES] = {
	[RULE_TYPE_PROTOCOL] = NAMES(protocol_names),
	[RULE_TYPE_TCP_FLAGS] = NAMES(tcp_flag_names),
	[RULE_TYPE_CT_STATE] = NAMES(ct_state_names),
	[RULE_TYPE_CT_STATUS] = NAMES(ct_status_names),
	[RULE_TYPE_CT_DIRECTION] = NAMES(ct_direction_names),
	[RULE_TYPE_ICMP_TYPE] = NAMES(icmp_type_names),
	[RULE_TYPE_ICMP_CODE] = NAMES(icmp_code_names),
	[RULE_TYPE_PKTTYPE] = NAMES(pkttype_names),
	[RULE_TYPE_NFPROTO] = NAMES(nfproto_names),
	[RULE_TYPE_DSCP] = NAMES(dscp_names),
};
/* clang-format on */

const struct rule_symbol *rule_symbols(enum rule_type type, size_t *n)
{
	*n = type_names[type].n;
	return type_names[type].symbol;
}
