/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The key table: one row for each thing that a match can look at, in nft's
 * words, and one list of names for each type of value. The parser of the config
 * language reads values by these rows, the compiler checks widths by them, and
 * eval.c fetches them from a packet; the enum ties the three together.
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

/* clang-format off */
const struct rule_key_info rule_key_info[N_RULE_KEYS] = {
	[KEY_META_IIFNAME] = { "iifname", RULE_TYPE_IFNAME, 0, false, 0 },
	[KEY_META_OIFNAME] = { "oifname", RULE_TYPE_IFNAME, 0, false, 0 },
	[KEY_META_L4PROTO] = { "meta l4proto", RULE_TYPE_PROTOCOL, 8, false, 0 },
	[KEY_META_LENGTH] = { "meta length", RULE_TYPE_NUMBER, 32, false, 0 },
	[KEY_META_MARK] = { "meta mark", RULE_TYPE_MARK, 32, false, 0 },
	[KEY_META_PKTTYPE] = { "meta pkttype", RULE_TYPE_PKTTYPE, 8, false, 0 },
	[KEY_META_NFPROTO] = { "meta nfproto", RULE_TYPE_NFPROTO, 8, false, 0 },
	[KEY_IP_SADDR] = { "ip saddr", RULE_TYPE_ADDRESS, 32, false, 0 },
	[KEY_IP_DADDR] = { "ip daddr", RULE_TYPE_ADDRESS, 32, false, 0 },
	[KEY_IP_PROTOCOL] = { "ip protocol", RULE_TYPE_PROTOCOL, 8, false, 0 },
	[KEY_IP_TTL] = { "ip ttl", RULE_TYPE_NUMBER, 8, false, 0 },
	[KEY_IP_DSCP] = { "ip dscp", RULE_TYPE_DSCP, 6, false, 0 },
	[KEY_IP_ID] = { "ip id", RULE_TYPE_NUMBER, 16, false, 0 },
	[KEY_IP_LENGTH] = { "ip length", RULE_TYPE_NUMBER, 16, false, 0 },
	[KEY_IP_FRAG_OFF] = { "ip frag-off", RULE_TYPE_NUMBER, 16, false, 0 },
	[KEY_TCP_SPORT] = { "tcp sport", RULE_TYPE_PORT, 16, false, PROTO_TCP },
	[KEY_TCP_DPORT] = { "tcp dport", RULE_TYPE_PORT, 16, false, PROTO_TCP },
	[KEY_TCP_FLAGS] = { "tcp flags", RULE_TYPE_TCP_FLAGS, 8, true, PROTO_TCP },
	[KEY_UDP_SPORT] = { "udp sport", RULE_TYPE_PORT, 16, false, PROTO_UDP },
	[KEY_UDP_DPORT] = { "udp dport", RULE_TYPE_PORT, 16, false, PROTO_UDP },
	[KEY_UDP_LENGTH] = { "udp length", RULE_TYPE_NUMBER, 16, false, PROTO_UDP },
	[KEY_SCTP_SPORT] = { "sctp sport", RULE_TYPE_PORT, 16, false, IPPROTO_NR_SCTP },
	[KEY_SCTP_DPORT] = { "sctp dport", RULE_TYPE_PORT, 16, false, IPPROTO_NR_SCTP },
	[KEY_DCCP_SPORT] = { "dccp sport", RULE_TYPE_PORT, 16, false, IPPROTO_NR_DCCP },
	[KEY_DCCP_DPORT] = { "dccp dport", RULE_TYPE_PORT, 16, false, IPPROTO_NR_DCCP },
	[KEY_UDPLITE_SPORT] = { "udplite sport", RULE_TYPE_PORT, 16, false, IPPROTO_NR_UDPLITE },
	[KEY_UDPLITE_DPORT] = { "udplite dport", RULE_TYPE_PORT, 16, false, IPPROTO_NR_UDPLITE },
	[KEY_TH_SPORT] = { "th sport", RULE_TYPE_PORT, 16, false, 0 },
	[KEY_TH_DPORT] = { "th dport", RULE_TYPE_PORT, 16, false, 0 },
	[KEY_ICMP_TYPE] = { "icmp type", RULE_TYPE_ICMP_TYPE, 8, false, PROTO_ICMP },
	[KEY_ICMP_CODE] = { "icmp code", RULE_TYPE_ICMP_CODE, 8, false, PROTO_ICMP },
	[KEY_ICMP_ID] = { "icmp id", RULE_TYPE_NUMBER, 16, false, PROTO_ICMP },
	[KEY_CT_STATE] = { "ct state", RULE_TYPE_CT_STATE, 32, true, 0 },
	[KEY_CT_STATUS] = { "ct status", RULE_TYPE_CT_STATUS, 32, true, 0 },
	[KEY_CT_MARK] = { "ct mark", RULE_TYPE_MARK, 32, false, 0 },
	[KEY_CT_DIRECTION] = { "ct direction", RULE_TYPE_CT_DIRECTION, 8, false, 0 },
	[KEY_CT_ZONE] = { "ct zone", RULE_TYPE_NUMBER, 16, false, 0 },
	[KEY_CT_PROTOCOL] = { "ct protocol", RULE_TYPE_PROTOCOL, 8, false, 0 },
	[KEY_CT_ORIGINAL_SADDR] = { "ct original ip saddr", RULE_TYPE_ADDRESS, 32, false, 0 },
	[KEY_CT_ORIGINAL_DADDR] = { "ct original ip daddr", RULE_TYPE_ADDRESS, 32, false, 0 },
	[KEY_CT_ORIGINAL_PROTO_SRC] = { "ct original proto-src", RULE_TYPE_PORT, 16, false, 0 },
	[KEY_CT_ORIGINAL_PROTO_DST] = { "ct original proto-dst", RULE_TYPE_PORT, 16, false, 0 },
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
