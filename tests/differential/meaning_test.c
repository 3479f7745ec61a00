/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What rules mean, asked of nft itself: each row is a ruleset that both load and
 * on which one could stumble, and every packet of the list goes through both,
 * without a connection before it. What comes out must be the same: whether,
 * where, to whom, and the first bytes of the transport header; and a row must
 * make a difference to some packet, or it would show nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "dut.h"
#include "stack/wire/icmp.h"
#include "stack/wire/l4.h"

#define EXIT_SKIP 77

const char dut_rules[] = "\n";

/* The marker of the kernel's DUT passes every chain. */
#define FILTER(hook, priority, body) \
	"type filter hook " hook " priority " priority "; policy accept;\nip protocol 254 accept\n" body "\n"
#define FORWARD(body) "table ip t {\nchain f { " FILTER("forward", "filter", body) "}\n}\n"
#define DNAT(name, to) \
	"chain " name " { type nat hook prerouting priority dstnat; policy accept;\nudp dport 53 dnat to " to "\n}\n"

struct row {
	const char *what, *rules;
};

static const struct row rows[] = {
	{ "a comma behind | in a set", FORWARD("tcp flags { syn | ack, fin } drop") },
	{ "a comma before | in a set", FORWARD("tcp flags { fin, syn | ack } drop") },
	{ "| without braces", FORWARD("tcp flags syn | fin drop") },
	{ "== and |", FORWARD("tcp flags == syn | ack drop") },
	{ "ct mark set without a connection", FORWARD("ct state invalid ct mark set 1 drop") },
	{ "ct mark set from a mark without a connection", FORWARD("ct state invalid ct mark set meta mark drop") },
	{ "ct mark read without a connection",
	  FORWARD("ct state invalid ct mark set ct mark | 1 drop\ntcp dport 53 drop") },
	{ "mark set from ct mark without a connection", FORWARD("meta mark set ct mark drop") },
	{ "& before |",
	  FORWARD("udp dport 53 meta mark set 0x6\nmeta mark set meta mark | 0x1 & 0xf0\nmeta mark 0x6 drop") },
	{ "& before ^ before |",
	  FORWARD("udp dport 53 meta mark set 0x1234\nmeta mark set meta mark & 0xff ^ 0x30 | 0xf0 & 0x130\n"
		  "meta mark 0x34 drop") },
	{ "^ before |",
	  FORWARD("udp dport 53 meta mark set 0x1234\nmeta mark set mark ^ 0xff | 0x100\nmeta mark 0x13cb drop") },
	{ "parentheses", FORWARD("udp dport 53 meta mark set 0x1234\nmeta mark set (meta mark | 0xf) & (0xf0 | "
				 "3)\nmeta mark 0x33 drop") },
	{ "shifts",
	  FORWARD("udp dport 53 meta mark set 0x1234\nmeta mark set (meta mark << 20) >> 24\nmeta mark 0x23 drop") },
	{ "a mask and a value", FORWARD("udp dport 53 meta mark set 0x1234\nmeta mark & 0xf0 0x30 drop") },
	{ "a mask, | and a value", FORWARD("udp dport 53 meta mark set 0x1234\n(meta mark & 0xf0) | 3 == 0x33 drop") },
	{ "| without parentheses", FORWARD("tcp flags & fin | syn == syn drop") },
	{ "flags behind a mask", FORWARD("tcp flags & (syn | ack) syn drop") },
	{ "flags in a masked verdict map",
	  FORWARD("tcp flags & (syn | ack) vmap { syn : drop, syn | ack : accept, ack : drop }") },
	{ "* in a verdict map", FORWARD("udp dport vmap { 53 : accept, * : drop }") },
	{ "* in a set", FORWARD("udp dport { 7, * } drop") },
	{ "a masked address", FORWARD("ip daddr & 0.0.0.255 == 0.0.0.12 drop") },
	{ "nat chains of equal priority",
	  "table ip one {\n" DNAT("p", "203.0.113.12") "}\ntable ip two {\n" DNAT("p", "203.0.113.13") "}\n" },
	{ "nat chains of equal priority in one table",
	  "table ip one {\n" DNAT("a", "203.0.113.12") DNAT("b", "203.0.113.13") "}\n" },
	{ "a chain added to a table further up",
	  "table ip one {\n" DNAT("a", "203.0.113.11") "}\ntable ip two {\n" DNAT(
		  "a", "203.0.113.12") "}\n"
				       "table ip one {\n" DNAT("b", "203.0.113.13") "}\n" },
	{ "filter chains of equal priority",
	  "table ip t {\nchain a { " FILTER("forward", "filter", "meta mark 1 drop") "}\nchain b { " FILTER(
		  "forward", "filter", "udp dport 53 meta mark set 1") "}\n}\n" },
	{ "a filter chain behind a nat chain of equal priority",
	  "table ip t {\n" DNAT("n", "203.0.113.12") "chain f { " FILTER("prerouting", "dstnat",
									 "ip daddr 203.0.113.12 drop") "}\n}\n" },
	{ "a filter chain before a nat chain of equal priority",
	  "table ip t {\nchain f { " FILTER("prerouting", "dstnat",
					    "ip daddr 203.0.113.12 drop") "}\n" DNAT("n", "203.0.113.12") "}\n" },
	{ "flush ruleset ip",
	  "table inet guard {\nchain f { " FILTER("forward", "filter", "udp dport 53 drop") "}\n}\n" FORWARD(
		  "tcp dport 80 drop") "flush ruleset ip\n" },
	{ "flush ruleset inet",
	  "table inet guard {\nchain f { " FILTER("forward", "filter", "udp dport 53 drop") "}\n}\n" FORWARD(
		  "tcp dport 80 drop") "flush ruleset inet\n" },
	{ "octal", FORWARD("udp dport 065 drop\nip ttl 077 meta mark set 010 meta mark 8 drop") },
	{ "octal in a set", FORWARD("udp dport { 01, 065 } drop") },
	{ "ipip", FORWARD("ip protocol ipip drop") },
	{ "ipencap", FORWARD("ip protocol ipencap drop") },
	{ "a definition in a block",
	  "define port = 53\ntable ip t {\nchain x {\nredefine port = 80\n}\nchain f { " FILTER(
		  "forward", "filter", "udp dport $port drop") "}\n}\n" },
	{ "a definition replaced outside of blocks",
	  "define port = 80\nredefine port = 53\n" FORWARD("udp dport $port drop") },
	{ "a definition forgotten in a block",
	  "define port = 53\ntable ip t {\nchain f { " FILTER(
		  "forward", "filter", "redefine port = 80\nundefine port\nudp dport $port drop") "}\n}\n" },
	{ "th dport of any protocol", FORWARD("th dport 53 drop") },
	{ "th sport of any protocol", FORWARD("th sport 0x0800 drop") },
	{ "th dport of one protocol", FORWARD("ip protocol esp th dport 0x35 drop") },
	{ "th dport that is not", FORWARD("th dport != 53 drop") },
	{ "a dnat for one destination, and nothing else",
	  "table ip t {\nchain p { type nat hook prerouting priority dstnat; policy accept;\n"
	  "iifname \"lan0\" ip daddr 203.0.113.11 udp dport 53 dnat to 10.77.0.12\n}\n}\n" },
	{ "elements before the type",
	  "table ip t {\nset s { elements = { 53, 80 }\ntype inet_service\n}\nchain f { " FILTER(
		  "forward", "filter", "th dport @s drop") "}\n}\n" },
	{ "a set given twice",
	  "table ip t {\nset s { type inet_service\nelements = { 80 }\n}\nset s { type inet_service\nelements = { 53 "
	  "}\n}\nchain f { " FILTER("forward", "filter", "udp dport @s drop") "}\n}\n" },
	{ "elements twice in one set",
	  "table ip t {\nset s { type inet_service\nelements = { 53 }\nelements = { 5353 }\n}\nchain f { " FILTER(
		  "forward", "filter", "udp dport @s drop") "}\n}\n" },
	{ "a policy before the hook", "table ip t {\nchain f { policy drop\ntype filter hook forward priority "
				      "filter\nip protocol { 254, tcp } accept\n}\n}\n" },
	{ "a protocol that contradicts", FORWARD("tcp dport 80 ip protocol udp drop\nudp dport 53 drop") },
	{ "tcp reset for all", FORWARD("th dport 53 reject with tcp reset") },
	{ "counter with packets alone", FORWARD("udp dport 53 counter packets 7 drop") },
};

struct kind {
	const char *name;
	uint8_t proto, last; /* of the destination's address */
	uint16_t sport, dport;
	uint8_t flags; /* TCP; ICMP: the type */
};

static const struct kind kinds[] = {
	{ "SYN to 80", IPPROTO_NR_TCP, 11, 4000, 80, TCP_SYN },
	{ "SYN to 53", IPPROTO_NR_TCP, 12, 0x0800, 53, TCP_SYN },
	{ "SYN ACK", IPPROTO_NR_TCP, 11, 4000, 81, TCP_SYN | TCP_ACK },
	{ "FIN", IPPROTO_NR_TCP, 11, 4000, 81, TCP_FIN },
	{ "ACK", IPPROTO_NR_TCP, 11, 4000, 80, TCP_ACK },
	{ "ACK to 53", IPPROTO_NR_TCP, 12, 4000, 53, TCP_ACK | TCP_PSH },
	{ "UDP to 53", IPPROTO_NR_UDP, 11, 4000, 53, 0 },
	{ "UDP to 65", IPPROTO_NR_UDP, 11, 4000, 65, 0 },
	{ "UDP to 5353", IPPROTO_NR_UDP, 12, 0x0800, 5353, 0 },
	{ "echo", IPPROTO_NR_ICMP, 11, 0, 0, ICMP_ECHO_REQUEST },
	{ "echo to .12", IPPROTO_NR_ICMP, 12, 0, 0, ICMP_ECHO_REQUEST },
	{ "timestamp", IPPROTO_NR_ICMP, 11, 0, 0, ICMP_TIMESTAMP },
	{ "ESP", 50, 11, 0, 53, 0 },
	{ "AH", 51, 11, 0x0800, 54, 0 },
	{ "protocol 4", 4, 11, 0x4500, 53, 0 },
	{ "protocol 94", 94, 11, 7, 7, 0 },
};

enum { OURS, LINUX, N_RIGS };

static void build(const struct kind *k, struct ip_packet *p)
{
	struct ipv4_view ip = { .src = IP4(10, 77, 0, HOST_NUMBER(0)),
				.dst = IP4(203, 0, 113, k->last),
				.proto = k->proto,
				.ttl = 64,
				.id = 77,
				.header_len = IPV4_HEADER_LEN,
				.total_len = IPV4_HEADER_LEN + 40 };
	uint8_t *l4 = p->bytes + IPV4_HEADER_LEN;

	*p = (struct ip_packet){ .side = INSIDE, .len = ip.total_len };
	switch (k->proto) {
	case IPPROTO_NR_TCP:
		tcp_emit(l4, k->sport, k->dport, 1000, 2000, k->flags, 65535);
		break;
	case IPPROTO_NR_UDP:
		udp_emit(l4, k->sport, k->dport, 40 - UDP_HEADER_LEN);
		break;
	case IPPROTO_NR_ICMP:
		icmp_emit(l4, k->flags, 0, 0x12340001);
		break;
	default: /* what stands where others have ports */
		memcpy(l4,
		       (const uint8_t[]){ (uint8_t)(k->sport >> 8), (uint8_t)k->sport, (uint8_t)(k->dport >> 8),
					  (uint8_t)k->dport },
		       4);
		break;
	}
	ipv4_emit(p->bytes, &ip);
	if (k->proto == IPPROTO_NR_TCP || k->proto == IPPROTO_NR_UDP || k->proto == IPPROTO_NR_ICMP)
		l4_checksum_set(&ip, l4, 40);
}

/* In words, what of it must be the same. Numbers that a gateway may choose (identification) are left out. */
static void tell(const struct outcome *o, char *text, size_t size)
{
	size_t n = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < o->n && n < size; i++) {
		const struct ip_packet *p = &o->packet[i];
		const uint8_t *l4 = p->bytes + IPV4_HEADER_LEN;
		struct ipv4_view ip;

		if (ipv4_parse(p->bytes, p->len, &ip) != IPV4_OK)
			dut_die("a packet that does not parse");
		n += (size_t)snprintf(text + n, size - n, "%s%s to %u.%u.%u.%u, protocol %u, %02x%02x",
				      i > 0 ? "; " : "", p->side == INSIDE ? "in" : "out", ip.dst >> 24,
				      ip.dst >> 16 & 255, ip.dst >> 8 & 255, ip.dst & 255, ip.proto, l4[0], l4[1]);
		if (n < size && ip.proto != IPPROTO_NR_ICMP) /* whose checksum follows */
			n += (size_t)snprintf(text + n, size - n, "%02x%02x", l4[2], l4[3]);
	}
	if (o->n == 0)
		snprintf(text, size, "nothing");
}

static bool one_row(struct dut *dut[N_RIGS], const struct row *r, char plain[ARRAY_LEN(kinds)][256])
{
	bool ok = true, matters = false;

	for (int i = 0; i < N_RIGS; i++)
		dut[i]->rules(dut[i], r->rules);
	for (uint32_t k = 0; k < ARRAY_LEN(kinds); k++) {
		char text[N_RIGS][256];

		for (int i = 0; i < N_RIGS; i++) {
			struct ip_packet p;
			struct outcome out;

			build(&kinds[k], &p);
			dut[i]->flush(dut[i]);
			dut[i]->inject(dut[i], &p, &out);
			tell(&out, text[i], sizeof(text[i]));
		}
		if (strcmp(text[OURS], text[LINUX]) != 0)
			printf("%s, %s: ours %s (%s), linux %s\n", r->what, kinds[k].name, text[OURS],
			       dut[OURS]->reason != NULL ? dut[OURS]->reason : "-", text[LINUX]);
		ok &= strcmp(text[OURS], text[LINUX]) == 0;
		if (plain[k][0] == '\0')
			snprintf(plain[k], sizeof(plain[k]), "%s", text[LINUX]);
		matters |= strcmp(plain[k], text[LINUX]) != 0;
	}
	if (r->what[0] != '\0' && !matters)
		printf("%s: makes no difference to any packet\n", r->what);
	return ok && (matters || r->what[0] == '\0');
}

int main(void)
{
	static const struct row none = { "", "\n" };
	static char plain[ARRAY_LEN(kinds)][256]; /* what comes of each packet without rules */
	struct dut *dut[N_RIGS];
	const char *reason;
	uint32_t n_bad = 0;

	dut[LINUX] = dut_linux(&reason);
	if (dut[LINUX] == NULL) {
		printf("skipped: %s\n", reason);
		return EXIT_SKIP;
	}
	dut[OURS] = dut_ours();
	n_bad += !one_row(dut, &none, plain);
	for (uint32_t i = 0; i < ARRAY_LEN(rows); i++)
		n_bad += !one_row(dut, &rows[i], plain);
	printf("%zu rulesets, %zu packets each, %u rulesets with another meaning\n", ARRAY_LEN(rows), ARRAY_LEN(kinds),
	       n_bad);
	for (int i = 0; i < N_RIGS; i++)
		dut[i]->close(dut[i]);
	return n_bad != 0;
}
