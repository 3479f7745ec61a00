/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Passwords that do not fit (RFC 2385). The kernel drops a SYN whose digest is missing or
 * wrong and tells nobody whose it was: what is left to see is that nothing comes. So a raw socket, whose
 * filter takes SYNs alone, sees what arrives before TCP does, and each one for a listener or a connection of ours is
 * judged as the kernel will judge it: is there a digest where none is asked for, is it missing, is it that of our key.
 * That costs a copy of each SYN, and a look at the flags of each other segment that the kernel takes.
 *
 * Where there may be no raw socket, nothing is known, and that is said.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/md5.h"
#include "daemon/stream/stream_kernel_priv.h"

#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_MD5 19
#define OPTION_MD5_LEN 18
/* Looked at in one go. */
#define SEGMENTS_MAX 64

/* --- what was asked for --- */

static struct kernel_key *find_key(struct kernel_digests *d, struct ip4_prefix host)
{
	for (uint32_t i = 0; i < d->n_keys; i++)
		if (d->key[i].host.addr == host.addr && d->key[i].host.len == host.len)
			return &d->key[i];
	return NULL;
}

void kernel_digests_key(struct kernel_digests *d, struct ip4_prefix host, const struct stream_key *key)
{
	bool some = key != NULL && key->len > 0;
	struct kernel_key *k = find_key(d, host);

	if (k == NULL && some && d->n_keys == KERNEL_KEYS_MAX)
		d->is_short = true;
	if (k == NULL && some && d->n_keys < KERNEL_KEYS_MAX)
		k = &d->key[d->n_keys++];
	if (k == NULL)
		return;
	explicit_bzero(&k->key, sizeof(k->key));
	if (some)
		*k = (struct kernel_key){ host, *key };
	else
		*k = d->key[--d->n_keys];
}

/* The key for a host, by the longest prefix, as the kernel finds it. */
static const struct stream_key *key_for(const struct kernel_digests *d, uint32_t addr)
{
	const struct kernel_key *best = NULL;

	for (uint32_t i = 0; i < d->n_keys; i++)
		if (ip4_in(addr, d->key[i].host) && (best == NULL || d->key[i].host.len > best->host.len))
			best = &d->key[i];
	return best != NULL ? &best->key : NULL;
}

/* --- a segment --- */

struct segment {
	const struct iphdr *ip;
	const struct tcphdr *tcp;
	const uint8_t *digest; /* NULL: it has none */
	uint32_t len;          /* of header and data */
};

static const uint8_t *find_digest(const struct tcphdr *tcp, uint32_t header_len)
{
	const uint8_t *p = (const uint8_t *)tcp + sizeof(*tcp), *end = (const uint8_t *)tcp + header_len;

	while (p < end && *p != OPTION_END) {
		if (*p == OPTION_NOP) {
			p++;
			continue;
		}
		if (end - p < 2 || p[1] < 2 || p[1] > end - p)
			return NULL;
		if (*p == OPTION_MD5)
			return p[1] == OPTION_MD5_LEN ? p + 2 : NULL;
		p += p[1];
	}
	return NULL;
}

static bool read_segment(const uint8_t *p, size_t len, struct segment *s)
{
	const struct iphdr *ip = (const struct iphdr *)(const void *)p;
	size_t ip_len = len >= sizeof(*ip) ? (size_t)ip->ihl * 4 : 0;

	if (ip_len < sizeof(*ip) || len < ip_len + sizeof(struct tcphdr) || ntohs(ip->tot_len) != len)
		return false;
	s->ip = ip;
	s->tcp = (const struct tcphdr *)(const void *)(p + ip_len);
	s->len = (uint32_t)(len - ip_len);
	size_t header_len = (size_t)s->tcp->doff * 4;

	if (header_len < sizeof(struct tcphdr) || header_len > s->len)
		return false;
	s->digest = find_digest(s->tcp, (uint32_t)header_len);
	return true;
}

/* RFC 2385 section 2.0: pseudo-header, header without options and checksum, data, key. */
static bool is_signed(const struct segment *s, const struct stream_key *key)
{
	struct {
		uint32_t from, to;
		uint8_t zero, protocol;
		uint16_t len;
	} pseudo = { s->ip->saddr, s->ip->daddr, 0, IPPROTO_TCP, htons((uint16_t)s->len) };
	struct tcphdr header = *s->tcp;
	size_t header_len = (size_t)header.doff * 4;
	uint8_t want[MD5_BYTES];
	struct md5 m;

	header.check = 0;
	md5_begin(&m);
	md5_add(&m, &pseudo, sizeof(pseudo));
	md5_add(&m, &header, sizeof(header));
	md5_add(&m, (const uint8_t *)s->tcp + header_len, s->len - header_len);
	md5_add(&m, key->bytes, key->len);
	md5_end(&m, want);
	return memcmp(want, s->digest, sizeof(want)) == 0;
}

/* Somebody waits for it: one that connects to a listener, or the answer to one of our own. */
static bool is_ours(const struct stream_kernel *k, const struct segment *s)
{
	uint16_t to = ntohs(s->tcp->dest), from = ntohs(s->tcp->source);
	uint32_t addr = ntohl(s->ip->saddr);

	for (const struct kernel_listener *l = k->listeners; l != NULL && !s->tcp->ack; l = l->next)
		if (l->port == to)
			return true;
	for (const struct kernel_stream *ks = k->streams; ks != NULL && s->tcp->ack; ks = ks->next)
		if (ks->state == KERNEL_CONNECTING && ks->s.remote.addr == addr && ks->s.remote.port == from)
			return true;
	return false;
}

static void count(struct kernel_digests *d, uint32_t addr)
{
	for (uint32_t i = 0; i < d->n_hosts; i++)
		if (d->host[i].addr == addr) {
			d->host[i].n_wrong++;
			return;
		}
	if (d->n_hosts == KERNEL_WRONG_MAX)
		d->is_short = true;
	else
		d->host[d->n_hosts++] = (struct kernel_wrong){ addr, 1 };
}

static void judge(struct stream_kernel *k, const uint8_t *p, size_t len)
{
	struct segment s;

	if (!read_segment(p, len, &s) || !is_ours(k, &s))
		return;
	const struct stream_key *key = key_for(&k->digests, ntohl(s.ip->saddr));

	if ((key != NULL) != (s.digest != NULL) || (key != NULL && !is_signed(&s, key)))
		count(&k->digests, ntohl(s.ip->saddr));
}

static void on_segment(evutil_socket_t fd, short what, void *ctx)
{
	_Alignas(8) uint8_t p[2048];

	for (uint32_t i = 0; i < SEGMENTS_MAX; i++) {
		ssize_t n = recv(fd, p, sizeof(p), MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0)
			break;
		if ((size_t)n <= sizeof(p))
			judge(ctx, p, (size_t)n);
	}
}

/* --- its life --- */

static int open_watch(void)
{
	/* A raw socket's bytes begin with the IP header. */
	struct sock_filter program[] = {
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_IND, 13),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, TH_SYN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT16_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog filter = { ARRAY_LEN(program), program };
	int fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) == 0)
		return fd;
	close(fd);
	return -1;
}

void kernel_digests_begin(struct stream_kernel *k)
{
	k->digests.fd = open_watch();
	if (k->digests.fd < 0)
		return;
	k->digests.in = event_new(k->base, k->digests.fd, EV_READ | EV_PERSIST, on_segment, k);
	if (k->digests.in == NULL || event_add(k->digests.in, NULL) != 0)
		kernel_digests_end(k);
}

void kernel_digests_end(struct stream_kernel *k)
{
	if (k->digests.in != NULL)
		event_free(k->digests.in);
	if (k->digests.fd >= 0)
		close(k->digests.fd);
	k->digests.in = NULL;
	k->digests.fd = -1;
	explicit_bzero(k->digests.key, sizeof(k->digests.key));
}

struct stream_digests kernel_digests(struct stream_carrier *c, uint32_t remote)
{
	const struct kernel_digests *d = &container_of(c, struct stream_kernel, carrier)->digests;

	for (uint32_t i = 0; i < d->n_hosts; i++)
		if (d->host[i].addr == remote)
			return (struct stream_digests){ .is_known = true, .n_wrong = d->host[i].n_wrong };
	return (struct stream_digests){ .is_known = d->fd >= 0 && !d->is_short };
}
