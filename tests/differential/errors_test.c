/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ICMP errors about every kind of connection, asked of Linux: translated at its source, at its destination, at both,
 * at neither, from inside, from outside and round a corner. Of a packet in each direction, quoted as it was delivered
 * or as it was sent, an error comes from whoever got it, from a third host on the same side and from one on the other,
 * of each type; and an error about such an error. Whether it comes out, where, from whom to whom, and what it quotes,
 * must be the same, or stands below with its reason.
 *
 *   errors_test [WORD]   with WORD: every case whose name has it, packet by packet
 */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "dut.h"
#include "stack/wire/icmp.h"
#include "stack/wire/l4.h"

#define EXIT_SKIP 77
#define IN(i) (LAN_NET + HOST_NUMBER(i))
#define OUT(i) (WAN_NET + HOST_NUMBER(i))

/* No port is left to choose, so that both choose the same. */
const char dut_rules[] = "table ip nat {\n"
			 "  chain prerouting { type nat hook prerouting priority dstnat; policy accept;\n"
			 "    ip daddr 203.0.113.1 udp dport 80 dnat to 10.77.0.12:1024\n"
			 "    ip daddr 203.0.113.1 tcp dport 80 dnat to 10.77.0.12:1024\n"
			 "    ip daddr 203.0.113.1 udp dport 81 dnat to 10.77.0.12:1025\n"
			 "    ip daddr 203.0.113.1 tcp dport 81 dnat to 10.77.0.12:1025\n"
			 "    iifname \"lan0\" udp dport 82 dnat to 203.0.113.12:1026\n"
			 "    iifname \"lan0\" tcp dport 82 dnat to 203.0.113.12:1026\n"
			 "  }\n"
			 "  chain postrouting { type nat hook postrouting priority srcnat; policy accept;\n"
			 "    oifname \"lan0\" udp dport 1025 snat to 10.77.0.1:6001\n"
			 "    oifname \"lan0\" tcp dport 1025 snat to 10.77.0.1:6001\n"
			 "    oifname \"wan0\" ip saddr 10.77.0.11 udp dport 53 snat to 203.0.113.1:6000\n"
			 "    oifname \"wan0\" ip saddr 10.77.0.11 tcp dport 53 snat to 203.0.113.1:6000\n"
			 "    oifname \"wan0\" udp dport 1026 snat to 203.0.113.1:6002\n"
			 "    oifname \"wan0\" tcp dport 1026 snat to 203.0.113.1:6002\n"
			 "  }\n"
			 "}\n"
			 "table ip filter {\n"
			 "  chain forward { type filter hook forward priority filter; policy accept;\n"
			 "    ct state invalid drop\n"
			 "  }\n"
			 "}\n";

static const struct situation {
	const char *name;
	enum side from;
	uint32_t src, dst;
	uint16_t dport;
} situations[] = {
	{ "source translated", INSIDE, IN(0), OUT(0), 53 },
	{ "both translated, outwards", INSIDE, IN(0), OUT(0), 82 },
	{ "untranslated outwards", INSIDE, IN(0), OUT(0), 9 },
	{ "untranslated inwards", OUTSIDE, OUT(0), IN(0), 9 },
	{ "destination translated", OUTSIDE, OUT(0), WAN_ADDR, 80 },
	{ "both translated, inwards", OUTSIDE, OUT(0), WAN_ADDR, 81 },
	{ "hairpin", INSIDE, IN(0), WAN_ADDR, 81 },
	{ "hairpin, its source seen", INSIDE, IN(0), WAN_ADDR, 80 },
};

enum sender { GETTER, SAME_SIDE, OTHER_SIDE, N_SENDERS };
enum form { DELIVERED, SENT, N_FORMS };
static const char *const sender_names[] = { "who got it", "a third host", "a host on the other side" };
static const char *const form_names[] = { "as delivered", "as sent" };
static const char *const direction_names[] = { "original", "reply" };
static const uint8_t types[][2] = { { 3, 1 }, { 3, 4 }, { 11, 0 }, { 12, 0 }, { 4, 0 }, { 5, 1 } };

static const struct explained {
	const char *pattern; /* of "situation, protocol, ... | ours: ... | linux: ..." */
	const char *reason;
} explained[] = {
	{ "*, its last hop* | ours: in 10.77.0.1 > *| linux: in 203.0.113.*",
	  "Our own error comes from an address of the router (RFC 1812 section 4.3.2.4). Linux translates it as if it "
	  "came "
	  "from whom the packet was for." },
};

enum { OURS, LINUX, N_RIGS };

static void emit(struct ip_packet *p, enum side side, struct ipv4_view ip, uint32_t l4_len)
{
	p->side = side;
	p->len = IPV4_HEADER_LEN + l4_len;
	if (ip.ttl == 0)
		ip.ttl = 64;
	ip.id = 1;
	ip.header_len = IPV4_HEADER_LEN;
	ip.total_len = (uint16_t)p->len;
	ipv4_emit(p->bytes, &ip);
	l4_checksum_set(&ip, p->bytes + IPV4_HEADER_LEN, l4_len);
}

static struct ip_packet datagram(enum side side, uint8_t proto, uint32_t src, uint32_t dst, uint16_t sport,
				 uint16_t dport, uint8_t flags)
{
	struct ip_packet p = { 0 };
	uint8_t *l4 = p.bytes + IPV4_HEADER_LEN;

	if (proto == IPPROTO_NR_TCP)
		tcp_emit(l4, sport, dport, flags == TCP_SYN ? 1000 : 2000, flags == TCP_SYN ? 0 : 1001, flags, 65535);
	else
		udp_emit(l4, sport, dport, 24);
	emit(&p, side, (struct ipv4_view){ .src = src, .dst = dst, .proto = proto },
	     proto == IPPROTO_NR_TCP ? TCP_HEADER_LEN + 12 : UDP_HEADER_LEN + 24);
	return p;
}

static struct ipv4_view header_of(const struct ip_packet *p)
{
	struct ipv4_view ip;

	if (ipv4_parse(p->bytes, p->len, &ip) != IPV4_OK)
		dut_die("a packet that does not parse");
	return ip;
}

static struct ip_packet error_about(const struct ip_packet *quoted, enum side side, uint32_t src, const uint8_t *type)
{
	struct ip_packet p = { 0 };
	uint8_t *l4 = p.bytes + IPV4_HEADER_LEN;
	struct ipv4_view q = header_of(quoted);
	uint32_t len = min_u32(quoted->len, 200);

	icmp_emit(l4, type[0], type[1], type[0] == 3 ? 1200 : type[0] == 5 ? IN(2) : 0);
	memcpy(l4 + ICMP_HEADER_LEN, quoted->bytes, len);
	emit(&p, side, (struct ipv4_view){ .src = src, .dst = q.src, .proto = IPPROTO_NR_ICMP }, ICMP_HEADER_LEN + len);
	return p;
}

static void tell_ip(char *text, size_t size, const struct ipv4_view *ip, const uint8_t *l4)
{
	size_t n = (size_t)snprintf(text, size, "%u.%u.%u.%u > %u.%u.%u.%u %u", ip->src >> 24, ip->src >> 16 & 255,
				    ip->src >> 8 & 255, ip->src & 255, ip->dst >> 24, ip->dst >> 16 & 255,
				    ip->dst >> 8 & 255, ip->dst & 255, ip->proto);

	if (ip->proto == IPPROTO_NR_ICMP)
		snprintf(text + n, size - n, ":%u/%u", l4[0], l4[1]);
	else
		snprintf(text + n, size - n, ":%u>%u", l4[0] << 8 | l4[1], l4[2] << 8 | l4[3]);
}

/* In words, what must be the same. */
static void tell(const struct outcome *o, char *text, size_t size)
{
	snprintf(text, size, o->n == 0 ? "nothing" : "");
	for (uint32_t i = 0; i < o->n; i++) {
		const struct ip_packet *p = &o->packet[i];
		const uint8_t *l4 = p->bytes + IPV4_HEADER_LEN;
		char one[100], quoted[100] = "";
		struct ipv4_view ip, q;
		size_t n = strlen(text);

		if (ipv4_parse(p->bytes, p->len, &ip) != IPV4_OK || !l4_checksum_ok(&ip, l4, p->len - IPV4_HEADER_LEN))
			dut_die("a packet that is not right");
		tell_ip(one, sizeof(one), &ip, l4);
		if (ip.proto == IPPROTO_NR_ICMP && icmp_is_error(l4[0])) {
			if (ipv4_parse_quoted(l4 + ICMP_HEADER_LEN, p->len - IPV4_HEADER_LEN - ICMP_HEADER_LEN, &q) !=
			    IPV4_OK)
				dut_die("a quote that does not parse");
			tell_ip(quoted, sizeof(quoted), &q, l4 + ICMP_HEADER_LEN + IPV4_HEADER_LEN);
		}
		snprintf(text + n, size - n, "%s%s %s%s%s%s", i > 0 ? "; " : "", p->side == INSIDE ? "in" : "out", one,
			 quoted[0] != 0 ? " [" : "", quoted, quoted[0] != 0 ? "]" : "");
	}
}

/* One packet of the connection: it must come out as one. */
static struct ip_packet carry(struct dut *dut, const struct ip_packet *p)
{
	struct outcome out;

	dut->inject(dut, p, &out);
	if (out.n != 1)
		dut_die("%s: a packet of the connection came to nothing", dut->name);
	return out.packet[0];
}

struct exchange {
	struct ip_packet packet[2][N_FORMS]; /* by direction */
	bool replied;
};

/* A packet each way, as sent and as delivered. */
static void exchange(struct dut *dut, const struct situation *s, uint8_t proto, struct exchange *x)
{
	struct ip_packet sent = datagram(s->from, proto, s->src, s->dst, 4000, s->dport, TCP_SYN), got;
	const uint8_t *l4;

	dut->flush(dut);
	got = carry(dut, &sent);
	x->packet[0][SENT] = sent;
	x->packet[0][DELIVERED] = got;
	struct ipv4_view ip = header_of(&got);

	l4 = got.bytes + IPV4_HEADER_LEN;
	sent = datagram(got.side, proto, ip.dst, ip.src, (uint16_t)(l4[2] << 8 | l4[3]), (uint16_t)(l4[0] << 8 | l4[1]),
			TCP_SYN | TCP_ACK);
	x->packet[1][SENT] = sent;
	/* Behind a hairpin without a source of ours the answer goes past the gateway. */
	x->replied = !(got.side == s->from && ip.src == s->src);
	if (x->replied)
		x->packet[1][DELIVERED] = carry(dut, &sent);
}

/* Who sends the error: on which side, with which address. */
static uint32_t sender_of(enum sender sender, const struct ip_packet *delivered, enum side *side)
{
	struct ipv4_view ip = header_of(delivered);

	*side = sender == OTHER_SIDE ? !delivered->side : delivered->side;
	return sender == GETTER ? ip.dst : *side == INSIDE ? IN(2) : OUT(2);
}

static uint64_t n_cases, n_out, n_bad, n_hits[ARRAY_LEN(explained)];

static void compare(const char *name, char text[N_RIGS][512], const char *wanted)
{
	char line[1400];

	n_cases++;
	n_out += strcmp(text[LINUX], "nothing") != 0;
	snprintf(line, sizeof(line), "%s | ours: %s | linux: %s", name, text[OURS], text[LINUX]);
	if (wanted != NULL && strstr(name, wanted) != NULL)
		printf("%s\n", line);
	if (strcmp(text[OURS], text[LINUX]) == 0)
		return;
	for (uint32_t i = 0; i < ARRAY_LEN(explained); i++) {
		if (fnmatch(explained[i].pattern, line, 0) == 0) {
			n_hits[i]++;
			return;
		}
	}
	n_bad++;
	printf("%s\n", line);
}

/* The error, and an error about what came of it. */
static void one_case(struct dut *dut[N_RIGS], const struct situation *s, uint8_t proto, uint32_t direction,
		     enum form form, enum sender sender, const uint8_t *type, const char *wanted)
{
	char name[256], text[N_RIGS][512], again[N_RIGS][512];
	bool have[N_RIGS] = { 0 };

	for (int i = 0; i < N_RIGS; i++) {
		struct exchange x = { .replied = false };
		struct outcome out;
		enum side side;

		exchange(dut[i], s, proto, &x);
		if (direction == 1 && !x.replied)
			return;
		uint32_t src = sender_of(sender, &x.packet[direction][DELIVERED], &side);
		struct ip_packet err = error_about(&x.packet[direction][form], side, src, type);

		dut[i]->inject(dut[i], &err, &out);
		tell(&out, text[i], sizeof(text[i]));
		have[i] = out.n == 1;
		if (!have[i])
			continue;
		struct ip_packet second = error_about(&out.packet[0], out.packet[0].side,
						      out.packet[0].side == INSIDE ? IN(2) : OUT(2), type);

		dut[i]->inject(dut[i], &second, &out);
		tell(&out, again[i], sizeof(again[i]));
	}
	snprintf(name, sizeof(name), "%s, %s, %s packet %s, %u/%u from %s", s->name,
		 proto == IPPROTO_NR_TCP ? "TCP" : "UDP", direction_names[direction], form_names[form], type[0],
		 type[1], sender_names[sender]);
	compare(name, text, wanted);
	if (!have[OURS] || !have[LINUX])
		return;
	strncat(name, ", and one about it", sizeof(name) - strlen(name) - 1);
	compare(name, again, wanted);
}

/* A packet that is on its last hop here: the gateway's own error, about one half translated. */
static void own_case(struct dut *dut[N_RIGS], const struct situation *s, uint8_t proto, uint32_t direction, bool first,
		     const char *wanted)
{
	char name[256], text[N_RIGS][512];

	for (int i = 0; i < N_RIGS; i++) {
		struct exchange x = { .replied = false };
		struct outcome out;

		exchange(dut[i], s, proto, &x);
		if (direction == 1 && !x.replied)
			return;
		if (first)
			dut[i]->flush(dut[i]);
		struct ip_packet last = x.packet[direction][SENT];
		struct ipv4_view ip = header_of(&last);

		ip.ttl = 1;
		emit(&last, last.side, ip, last.len - IPV4_HEADER_LEN);
		dut[i]->inject(dut[i], &last, &out);
		tell(&out, text[i], sizeof(text[i]));
	}
	snprintf(name, sizeof(name), "%s, %s, %s packet, its last hop%s", s->name,
		 proto == IPPROTO_NR_TCP ? "TCP" : "UDP", direction_names[direction],
		 first ? ", without a connection" : "");
	compare(name, text, wanted);
}

int main(int argc, char **argv)
{
	static const uint8_t protos[] = { IPPROTO_NR_UDP, IPPROTO_NR_TCP };
	struct dut *dut[N_RIGS];
	const char *reason;

	dut[LINUX] = dut_linux(&reason);
	if (dut[LINUX] == NULL) {
		printf("skipped: %s\n", reason);
		return EXIT_SKIP;
	}
	dut[OURS] = dut_ours();
	for (uint32_t s = 0; s < ARRAY_LEN(situations); s++) {
		for (uint32_t at = 0; at < 8; at++)
			own_case(dut, &situations[s], protos[at % 2], at / 2 % 2, at / 4 != 0,
				 argc > 1 ? argv[1] : NULL);
		for (uint32_t at = 0; at < 2 * 2 * N_FORMS * N_SENDERS * ARRAY_LEN(types); at++)
			one_case(dut, &situations[s], protos[at % 2], at / 2 % 2, (enum form)(at / 4 % N_FORMS),
				 (enum sender)(at / 4 / N_FORMS % N_SENDERS), types[at / 4 / N_FORMS / N_SENDERS],
				 argc > 1 ? argv[1] : NULL);
	}
	for (uint32_t i = 0; i < ARRAY_LEN(explained); i++)
		if (n_hits[i] == 0) {
			printf("never seen: %s\n", explained[i].pattern);
			n_bad++;
		}
	printf("%llu errors, %llu came out of Linux, %llu not as explained\n", (unsigned long long)n_cases,
	       (unsigned long long)n_out, (unsigned long long)n_bad);
	for (int i = 0; i < N_RIGS; i++)
		dut[i]->close(dut[i]);
	return n_bad != 0;
}
