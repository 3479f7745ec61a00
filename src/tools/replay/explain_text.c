/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The words of `replay --explain`: a packet by its headers, a step by its numbers.
 * Packets are read from their bytes, with the checked parsers, whatever they are.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "daemon/control/text/conn_text.h"
#include "stack/ip/fib.h"
#include "stack/ip/icmp.h"
#include "stack/wire/arp.h"
#include "tools/replay/explain_priv.h"

/* --- a packet --- */

static void add_flags(struct text *t, uint8_t flags)
{
	static const char *const name[] = { "FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR" };

	for (uint32_t i = 0; i < ARRAY_LEN(name); i++)
		if ((flags >> i & 1) != 0)
			text_add(t, " %s", name[i]);
}

static void add_l4(struct text *t, const struct ipv4_view *ip, const struct l4_view *l4)
{
	char src[IP4_TEXT_MAX], dst[IP4_TEXT_MAX];

	ip4_format(ip->src, src);
	ip4_format(ip->dst, dst);
	if (strcmp(conn_proto_name(ip->proto), "unknown") != 0)
		text_add(t, "%s ", conn_proto_name(ip->proto));
	else
		text_add(t, "protocol %u ", ip->proto);
	if (l4_kind_has_ports(l4->kind))
		text_add(t, "%s:%u > %s:%u", src, l4->sport, dst, l4->dport);
	else
		text_add(t, "%s > %s", src, dst);
	if (l4->kind == L4_TCP)
		add_flags(t, l4->flags);
	if (l4->kind == L4_ICMP_QUERY)
		text_add(t, " type %u code %u id %u seq %u", l4->type, l4->code, l4->id, l4->icmp_seq);
	else if (l4->kind == L4_ICMP_ERROR || l4->kind == L4_ICMP_OTHER)
		text_add(t, " type %u code %u", l4->type, l4->code);
}

static void add_ipv4(struct text *t, const uint8_t *l3, uint32_t len)
{
	struct ipv4_view ip;
	struct l4_view l4;

	if (ipv4_parse(l3, len, &ip) != IPV4_OK) {
		text_add(t, "IPv4 with a header that does not hold together");
		return;
	}
	memset(&l4, 0, sizeof(l4));
	if (l4_parse(&ip, l3 + ip.header_len, (uint32_t)ip.total_len - ip.header_len, &l4) != L4_OK)
		l4.kind = L4_NONE;
	add_l4(t, &ip, &l4);
	text_add(t, ", ttl %u, %u bytes", ip.ttl, ip.total_len);
	if (ipv4_is_fragment(&ip))
		text_add(t, ", fragment at %u%s", ip.frag_off, ip.mf ? ", more follow" : "");
}

static void add_arp(struct text *t, const uint8_t *at, uint32_t len)
{
	char spa[IP4_TEXT_MAX], tpa[IP4_TEXT_MAX], sha[ETHER_TEXT_MAX];
	struct arp_view arp;

	if (!arp_parse(at, len, &arp))
		text_add(t, "ARP that cannot be read");
	else if (arp.op == ARP_REQUEST)
		text_add(t, "ARP: who has %s? asks %s", ip4_format(arp.tpa, tpa), ip4_format(arp.spa, spa));
	else
		text_add(t, "ARP: %s is at %s", ip4_format(arp.spa, spa), ether_format(&arp.sha, sha));
}

void explain_packet(const struct packet *p, char *buf, size_t len)
{
	const uint8_t *frame = p->buf + p->off;
	struct text t = text_of(buf, len);
	struct ether_view eth;

	if (p->l3_off != 0 && p->l3_off <= p->len)
		add_ipv4(&t, frame + p->l3_off, p->len - p->l3_off);
	else if (!ether_parse(frame, p->len, &eth))
		text_add(&t, "a frame that is too short");
	else if (eth.type == ETHERTYPE_IPV4)
		add_ipv4(&t, frame + ETHER_HEADER_LEN, p->len - ETHER_HEADER_LEN);
	else if (eth.type == ETHERTYPE_ARP)
		add_arp(&t, frame + ETHER_HEADER_LEN, p->len - ETHER_HEADER_LEN);
	else
		text_add(&t, "ethertype 0x%04x", eth.type);
}

/* --- steps --- */

const char *explain_rule_verdict(uint8_t verdict)
{
	static const char *const words[N_TRACE_RULE_VERDICTS] = {
		[TRACE_RULE_GOES_ON] = "goes on", [TRACE_RULE_ACCEPT] = "accept",       [TRACE_RULE_DROP] = "drop",
		[TRACE_RULE_REJECT] = "reject",   [TRACE_RULE_JUMP] = "jump",           [TRACE_RULE_GOTO] = "goto",
		[TRACE_RULE_RETURN] = "return",   [TRACE_RULE_TRANSLATE] = "translate",
	};

	return verdict < N_TRACE_RULE_VERDICTS ? words[verdict] : "?";
}

static void add_tuple(struct text *t, const struct ip_tuple *tuple)
{
	char src[IP_TEXT_MAX], dst[IP_TEXT_MAX];

	ip_addr_format(&tuple->src, src);
	ip_addr_format(&tuple->dst, dst);
	if (l4_has_ports(tuple->proto))
		text_add(t, "%s:%u > %s:%u", src, tuple->sport, dst, tuple->dport);
	else if (tuple->proto == IPPROTO_NR_ICMP)
		text_add(t, "%s > %s id %u", src, dst, tuple->sport);
	else
		text_add(t, "%s > %s", src, dst);
	if (tuple->zone != 0)
		text_add(t, " zone %u", tuple->zone);
}

static void add_connection(struct text *t, const struct trace_step *step)
{
	static const char *const info[] = {
		[CT_INFO_NONE] = "none",       [CT_INFO_NEW] = "new",         [CT_INFO_ESTABLISHED] = "established",
		[CT_INFO_RELATED] = "related", [CT_INFO_INVALID] = "invalid", [CT_INFO_UNTRACKED] = "untracked",
	};

	text_add(t, "  connection: %s", info[step->conn.info]);
	if (step->conn.index == CONN_NONE)
		return;
	text_add(t, ", number %u, %s, ", step->conn.index,
		 step->conn.is_quote   ? "about a packet of it"
		 : step->conn.is_reply ? "reply"
				       : "original");
	add_tuple(t, &step->conn.original);
	text_add(t, ", replies ");
	add_tuple(t, &step->conn.reply);
}

void explain_nat(const struct trace_step *step, char *buf, size_t len)
{
	static const char *const how[] = {
		[NAT_ACTION_NONE] = "by a mapping or a taken port",
		[NAT_ACTION_RANGE] = "by the rule",
		[NAT_ACTION_PREFIX] = "prefix",
		[NAT_ACTION_POOL] = "from pool",
		[NAT_ACTION_MASQUERADE] = "masquerade",
		[NAT_ACTION_REDIRECT] = "redirect",
	};
	struct text t = text_of(buf, len);
	const struct ip_tuple *was = &step->nat.was, *now = &step->nat.now;
	bool is_source = step->kind == TRACE_SOURCE;
	const struct ip_addr *from = is_source ? &was->src : &was->dst, *to = is_source ? &now->src : &now->dst;
	/* The identifier of a query goes with its sender. */
	bool by_sport = is_source || was->proto == IPPROTO_NR_ICMP;
	uint16_t from_port = by_sport ? was->sport : was->dport, to_port = by_sport ? now->sport : now->dport;
	char a[IP_TEXT_MAX], b[IP_TEXT_MAX];

	text_add(&t, "%s: ", is_source ? "source" : "destination");
	if (!step->nat.is_done)
		text_add(&t, "%s finds no mapping", how[step->nat.action]);
	else if (ip_addr_equal(from, to) && from_port == to_port)
		text_add(&t, "stays");
	else
		text_add(&t, "%s:%u -> %s:%u %s", ip_addr_format(from, a), from_port, ip_addr_format(to, b), to_port,
			 how[step->nat.action]);
}

/* Where it leads: nowhere, or how and by how many ways. */
static void add_way(struct text *t, const struct trace_step *step)
{
	static const char *const nowhere[] = {
		[FIB_NONE] = "none",
		[FIB_LOCAL] = "to us",
		[FIB_TRANSLATED] = "an address that only NAT uses",
		[FIB_BLACKHOLE] = "blackhole",
		[FIB_UNREACHABLE] = "unreachable",
		[FIB_PROHIBIT] = "prohibit",
	};
	char via[IP_TEXT_MAX];

	if (step->route.kind == FIB_BROADCAST)
		text_add(t, "the link's broadcast address");
	else if (step->route.kind != FIB_UNICAST)
		text_add(t, "%s", step->route.kind < ARRAY_LEN(nowhere) ? nowhere[step->route.kind] : "?");
	else if (ip_addr_equal(&step->route.next_hop, &step->route.dst))
		text_add(t, "on the link");
	else
		text_add(t, "via %s", ip_addr_format(&step->route.next_hop, via));
}

void explain_route(const struct trace_step *step, const char *interface, char *buf, size_t len)
{
	struct text t = text_of(buf, len);
	char dst[IP_TEXT_MAX], prefix[IP_TEXT_MAX];

	text_add(&t, "%s ", ip_addr_format(&step->route.dst, dst));
	if (step->route.zone != 0)
		text_add(&t, "zone %u ", step->route.zone);
	text_add(&t, "is ");
	add_way(&t, step);
	if (step->route.ifindex != 0)
		text_add(&t, " on %s", interface);
	if (step->route.n_ways > 0)
		text_add(&t, ", one way of %u", step->route.n_ways);
	if (ip_addr_is_none(&step->route.prefix.addr))
		return;
	text_add(&t, ": %s", ip_prefix_format(&step->route.prefix, prefix));
	if (step->route.table != step->route.zone)
		text_add(&t, " of zone %u", step->route.table);
	text_add(&t, ", group %u", step->route.group);
}

void explain_neigh(const struct trace_step *step, char *buf, size_t len)
{
	static const char *const state[N_TRACE_NEIGH_STATES] = {
		[TRACE_NEIGH_KNOWN] = "known",
		[TRACE_NEIGH_STALE] = "known of old, and asked again while it is used",
		[TRACE_NEIGH_ASKED] = "asked by ARP; the packet is held until it answers",
		[TRACE_NEIGH_FAILED] = "did not answer ARP",
		[TRACE_NEIGH_REFUSED] = "not known, and no room to ask",
	};
	struct text t = text_of(buf, len);
	char addr[IP_TEXT_MAX], mac[ETHER_TEXT_MAX];
	bool known = step->neigh.state == TRACE_NEIGH_KNOWN || step->neigh.state == TRACE_NEIGH_STALE;

	text_add(&t, "%s ", ip_addr_format(&step->neigh.addr, addr));
	if (known)
		text_add(&t, "at %s, ", ether_format(&step->neigh.mac, mac));
	text_add(&t, "%s", state[step->neigh.state]);
}

void explain_flow(const struct trace_step *step, char *buf, size_t len)
{
	struct text t = text_of(buf, len);
	char mac[ETHER_TEXT_MAX];

	text_add(&t, "connection number %u, %s, becomes ", step->flow.conn, step->flow.is_reply ? "reply" : "original");
	add_tuple(&t, &step->flow.now);
	text_add(&t, ", to %s", step->flow.ifindex != 0 ? ether_format(&step->flow.mac, mac) : "us");
}

static void add_answer(struct text *t, const struct trace_step *step)
{
	if (step->answer.silence == ICMP_SENT)
		text_add(t, "answered by ICMP %u/%u", step->answer.type, step->answer.code);
	else
		text_add(t, "not answered by ICMP %u/%u: %s", step->answer.type, step->answer.code,
			 icmp_silence_names[step->answer.silence]);
}

void explain_plain(const struct trace_step *step, char *buf, size_t len)
{
	struct text t = text_of(buf, len);

	switch (step->kind) {
	case TRACE_CONNECTION:
		add_connection(&t, step);
		break;
	case TRACE_ANSWERED:
		add_answer(&t, step);
		break;
	case TRACE_RESET:
		text_add(&t, "answered by a TCP reset");
		break;
	case TRACE_REASSEMBLY:
		text_add(&t, "to the other fragments of its packet");
		break;
	case TRACE_PIECE:
		text_add(&t, "cut; this is the first fragment");
		break;
	case TRACE_DROPPED:
		text_add(&t, "dropped: %s: %s; %s", drop_info[step->reason].name, drop_info[step->reason].text,
			 drop_info[step->reason].hint);
		break;
	case TRACE_DELIVERED:
		text_add(&t, "delivered here");
		break;
	case TRACE_CONSUMED:
		text_add(&t, "used by the gateway itself");
		break;
	case TRACE_HANDED_OVER:
		text_add(&t, "handed over by worker %u to worker %u", step->handoff.from, step->handoff.to);
		break;
	case TRACE_TAKEN_OVER:
		text_add(&t, "taken over by worker %u from worker %u", step->handoff.to, step->handoff.from);
		break;
	default:
		break;
	}
}
