/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The words in which conntrack-tools 1.4 prints a tuple, for `conntrack -L` and
 * for events.
 */
#include "daemon/control/text/conn_text.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	uint8_t proto;
	const char *name;
} proto_names[] = {
	{ IPPROTO_ICMP, "icmp" }, { IPPROTO_TCP, "tcp" },         { IPPROTO_UDP, "udp" },
	{ IPPROTO_DCCP, "dccp" }, { IPPROTO_GRE, "gre" },         { IPPROTO_ICMPV6, "icmpv6" },
	{ IPPROTO_SCTP, "sctp" }, { IPPROTO_UDPLITE, "udplite" },
};

const char *conn_proto_name(uint8_t proto)
{
	for (size_t i = 0; i < ARRAY_LEN(proto_names); i++)
		if (proto_names[i].proto == proto)
			return proto_names[i].name;
	return "unknown";
}

int conn_proto_parse(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(proto_names); i++)
		if (strcmp(proto_names[i].name, text) == 0)
			return proto_names[i].proto;
	char *end;
	unsigned long v = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || v > 255)
		return -1;
	return (int)v;
}

void conn_tuple_text(struct text *t, uint8_t proto, const struct ip_tuple *tuple)
{
	char src[IP_TEXT_MAX], dst[IP_TEXT_MAX];

	text_add(t, "src=%s dst=%s ", ip_addr_format(&tuple->src, src), ip_addr_format(&tuple->dst, dst));
	if (proto == IPPROTO_ICMP)
		text_add(t, "type=%u code=%u id=%u ", tuple->dport >> 8, tuple->dport & 0xff, tuple->sport);
	else if (proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP || proto == IPPROTO_DCCP ||
		 proto == IPPROTO_UDPLITE)
		text_add(t, "sport=%u dport=%u ", tuple->sport, tuple->dport);
	else if (proto == IPPROTO_GRE)
		text_add(t, "srckey=0x0 dstkey=0x%x ", (unsigned)tuple->sport << 16 | tuple->dport);
	else if (proto == IPPROTO_ESP)
		text_add(t, "spi=0x%x ", (unsigned)tuple->sport << 16 | tuple->dport);
}

enum { CONN_HALF(HALF_) };

void conn_half_values(struct out_value *half, const struct ip_tuple *tuple)
{
	half[HALF_SRC] = OUT_IP(tuple->src);
	half[HALF_DST] = OUT_IP(tuple->dst);
	half[HALF_SPORT] = OUT_U(tuple->sport);
	half[HALF_DPORT] = OUT_U(tuple->dport);
}

void conn_half_traffic(struct out_value *half, uint64_t packets, uint64_t bytes)
{
	half[HALF_PACKETS] = OUT_U(packets);
	half[HALF_BYTES] = OUT_U(bytes);
}
