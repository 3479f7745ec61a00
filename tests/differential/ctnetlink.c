/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The kernel's table of connections, by netlink.
 *
 * A dump walks all buckets, of which there are hundreds of thousands: too slow
 * after each packet. So the tuples of all packets that were sent are asked for
 * one by one, and when the kernel counts more connections than that finds, a
 * dump finds the rest.
 */
#include "ctnetlink.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "stack/wire/icmp.h"

#define TUPLES_MAX 512

struct ctnetlink {
	int fd, count_fd;
	uint32_t n_seq;
	uint32_t n_tuples;
	struct tuple tuple[TUPLES_MAX];
};

struct request {
	struct nlmsghdr nl;
	struct nfgenmsg nf;
	uint8_t attributes[128];
};

/* --- writing --- */

static uint8_t *put(struct request *rq, uint16_t type, const void *data, uint16_t len)
{
	struct nlattr a = { .nla_len = (uint16_t)(NLA_HDRLEN + len), .nla_type = type };
	uint8_t *to = (uint8_t *)rq + rq->nl.nlmsg_len;

	memcpy(to, &a, sizeof(a));
	if (len > 0)
		memcpy(to + NLA_HDRLEN, data, len);
	rq->nl.nlmsg_len += (uint32_t)NLA_ALIGN(a.nla_len);
	return to;
}

static void put_number(struct request *rq, uint16_t type, uint32_t v, uint16_t n)
{
	uint8_t bytes[4];

	for (uint16_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
	put(rq, type, bytes, n);
}

/* Ends a nest that put began. */
static void end_nest(struct request *rq, uint8_t *nest)
{
	uint16_t len = (uint16_t)((uint8_t *)rq + rq->nl.nlmsg_len - nest);

	memcpy(nest, &len, sizeof(len));
}

static void put_tuple(struct request *rq, const struct tuple *t)
{
	uint8_t *all = put(rq, CTA_TUPLE_ORIG | NLA_F_NESTED, NULL, 0);
	uint8_t *part = put(rq, CTA_TUPLE_IP | NLA_F_NESTED, NULL, 0);

	put_number(rq, CTA_IP_V4_SRC, t->src, 4);
	put_number(rq, CTA_IP_V4_DST, t->dst, 4);
	end_nest(rq, part);
	part = put(rq, CTA_TUPLE_PROTO | NLA_F_NESTED, NULL, 0);
	put_number(rq, CTA_PROTO_NUM, t->proto, 1);
	if (t->proto == IPPROTO_NR_ICMP) {
		put_number(rq, CTA_PROTO_ICMP_ID, t->sport, 2);
		put_number(rq, CTA_PROTO_ICMP_TYPE, t->dport >> 8, 1);
		put_number(rq, CTA_PROTO_ICMP_CODE, t->dport & 255, 1);
	} else {
		put_number(rq, CTA_PROTO_SRC_PORT, t->sport, 2);
		put_number(rq, CTA_PROTO_DST_PORT, t->dport, 2);
	}
	end_nest(rq, part);
	end_nest(rq, all);
}

static void ask(struct ctnetlink *c, uint16_t what, uint16_t flags, const struct tuple *t)
{
	struct request rq;

	memset(&rq, 0, sizeof(rq));
	rq.nl.nlmsg_len = NLMSG_HDRLEN + (uint32_t)NLMSG_ALIGN(sizeof(rq.nf));
	rq.nl.nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | what);
	rq.nl.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	rq.nl.nlmsg_seq = ++c->n_seq;
	rq.nf = (struct nfgenmsg){ .nfgen_family = AF_INET, .version = NFNETLINK_V0 };
	if (t != NULL)
		put_tuple(&rq, t);
	if (send(c->fd, &rq, rq.nl.nlmsg_len, 0) != (ssize_t)rq.nl.nlmsg_len)
		dut_die("ctnetlink: %s", strerror(errno));
}

/* --- reading --- */

/* The attribute of this type in a list, and its payload; NULL if there is none. */
static const uint8_t *attribute(const uint8_t *list, uint32_t len, uint16_t type, uint32_t *payload_len)
{
	while (len >= NLA_HDRLEN) {
		struct nlattr a;

		memcpy(&a, list, sizeof(a));
		if (a.nla_len < NLA_HDRLEN || a.nla_len > len)
			break;
		if ((a.nla_type & NLA_TYPE_MASK) == type) {
			*payload_len = a.nla_len - (uint32_t)NLA_HDRLEN;
			return list + NLA_HDRLEN;
		}
		uint32_t step = min_u32(NLA_ALIGN(a.nla_len), len);

		list += step;
		len -= step;
	}
	*payload_len = 0;
	return NULL;
}

/* A number of n bytes in network order down a path of attributes; 0 if there is none. */
static uint32_t number(const uint8_t *list, uint32_t len, const uint16_t *path, uint32_t n)
{
	uint32_t v = 0;

	for (; *path != 0 && list != NULL; path++)
		list = attribute(list, len, *path, &len);
	for (uint32_t i = 0; list != NULL && i < n && i < len; i++)
		v = v << 8 | list[i];
	return v;
}

#define NUMBER(n, ...) number(list, len, (const uint16_t[]){ __VA_ARGS__, 0 }, n)

static struct tuple read_tuple(const uint8_t *list, uint32_t len, uint16_t which)
{
	struct tuple t = {
		.src = NUMBER(4, which, CTA_TUPLE_IP, CTA_IP_V4_SRC),
		.dst = NUMBER(4, which, CTA_TUPLE_IP, CTA_IP_V4_DST),
		.proto = (uint8_t)NUMBER(1, which, CTA_TUPLE_PROTO, CTA_PROTO_NUM),
	};

	if (t.proto == IPPROTO_NR_ICMP) {
		t.sport = (uint16_t)NUMBER(2, which, CTA_TUPLE_PROTO, CTA_PROTO_ICMP_ID);
		t.dport = (uint16_t)(NUMBER(1, which, CTA_TUPLE_PROTO, CTA_PROTO_ICMP_TYPE) << 8 |
				     NUMBER(1, which, CTA_TUPLE_PROTO, CTA_PROTO_ICMP_CODE));
		return t;
	}
	t.sport = (uint16_t)NUMBER(2, which, CTA_TUPLE_PROTO, CTA_PROTO_SRC_PORT);
	t.dport = (uint16_t)NUMBER(2, which, CTA_TUPLE_PROTO, CTA_PROTO_DST_PORT);
	return t;
}

static struct entry read_entry(const uint8_t *list, uint32_t len)
{
	struct entry e;

	memset(&e, 0, sizeof(e));
	e.tuple[0] = read_tuple(list, len, CTA_TUPLE_ORIG);
	e.tuple[1] = read_tuple(list, len, CTA_TUPLE_REPLY);
	e.status = NUMBER(4, CTA_STATUS) & ENTRY_COMPARED;
	e.tcp_state = (uint8_t)NUMBER(1, CTA_PROTOINFO, CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_STATE);
	return e;
}

/* What a request is answered with until its end; appends to out when there is one. */
static uint32_t read_answer(struct ctnetlink *c, struct entry *out, uint32_t n_entries)
{
	static uint8_t buf[65536] __attribute__((aligned(NLMSG_ALIGNTO)));

	for (;;) {
		ssize_t n = recv(c->fd, buf, sizeof(buf), 0);

		if (n <= 0)
			dut_die("ctnetlink: %s", strerror(errno));
		uint32_t left = (uint32_t)n;

		for (struct nlmsghdr *h = (void *)buf; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			if (h->nlmsg_type == NLMSG_DONE)
				return n_entries;
			if (h->nlmsg_type == NLMSG_ERROR) {
				int error = ((struct nlmsgerr *)NLMSG_DATA(h))->error;

				if (error != 0 && error != -ENOENT)
					dut_die("ctnetlink: %s", strerror(-error));
				return n_entries;
			}
			if (out == NULL || n_entries == ENTRIES_MAX)
				continue;
			out[n_entries++] = read_entry((uint8_t *)NLMSG_DATA(h) + NLMSG_ALIGN(sizeof(struct nfgenmsg)),
						      h->nlmsg_len - NLMSG_HDRLEN -
							      (uint32_t)NLMSG_ALIGN(sizeof(struct nfgenmsg)));
		}
	}
}

/* --- the table --- */

static uint16_t get16(const uint8_t *b)
{
	return (uint16_t)(b[0] << 8 | b[1]);
}

void ctnetlink_expect(struct ctnetlink *c, const struct ip_packet *p)
{
	const uint8_t *b = p->bytes, *l4 = b + (b[0] & 15) * 4;
	struct tuple t = { .src = (uint32_t)get16(b + 12) << 16 | get16(b + 14),
			   .dst = (uint32_t)get16(b + 16) << 16 | get16(b + 18),
			   .proto = b[9] };

	if (t.proto == IPPROTO_NR_TCP || t.proto == IPPROTO_NR_UDP) {
		t.sport = get16(l4);
		t.dport = get16(l4 + 2);
	} else if (t.proto == IPPROTO_NR_ICMP) {
		if (!icmp_is_query(l4[0]))
			return;
		t.sport = get16(l4 + 4);
		t.dport = get16(l4);
	}
	for (uint32_t i = 0; i < c->n_tuples; i++)
		if (tuple_equal(&c->tuple[i], &t))
			return;
	if (c->n_tuples < TUPLES_MAX)
		c->tuple[c->n_tuples++] = t;
}

static uint32_t count(const struct ctnetlink *c)
{
	char text[32] = { 0 };

	if (pread(c->count_fd, text, sizeof(text) - 1, 0) <= 0)
		dut_die("nf_conntrack_count: %s", strerror(errno));
	return (uint32_t)strtoul(text, NULL, 10);
}

uint32_t ctnetlink_list(struct ctnetlink *c, struct entry *out)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n_tuples && n < ENTRIES_MAX; i++) {
		ask(c, IPCTNL_MSG_CT_GET, NLM_F_ACK, &c->tuple[i]);
		uint32_t more = read_answer(c, out, n);

		/* Found by the answer's tuple, it is another one's. */
		if (more > n && tuple_equal(&out[n].tuple[0], &c->tuple[i]))
			n = more;
	}
	if (n == count(c))
		return n;
	ask(c, IPCTNL_MSG_CT_GET, NLM_F_DUMP, NULL);
	return read_answer(c, out, 0);
}

void ctnetlink_flush(struct ctnetlink *c)
{
	c->n_tuples = 0;
	ask(c, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, NULL);
	read_answer(c, NULL, 0);
}

struct ctnetlink *ctnetlink_open(void)
{
	struct ctnetlink *c = calloc(1, sizeof(*c));

	if (c == NULL)
		dut_die("no memory");
	c->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	c->count_fd = open("/proc/sys/net/netfilter/nf_conntrack_count", O_RDONLY | O_CLOEXEC);
	if (c->fd < 0 || c->count_fd < 0)
		dut_die("ctnetlink: %s", strerror(errno));
	return c;
}

void ctnetlink_close(struct ctnetlink *c)
{
	close(c->fd);
	close(c->count_fd);
	free(c);
}
