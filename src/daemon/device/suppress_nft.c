/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Suppressed by nftables: a table of the netdev family with one ingress chain a
 * device, policy drop and no rules.
 *
 * The table carries the owner flag (Linux 5.12): it belongs to our netlink
 * socket, nobody else can change it, and the kernel removes it when the socket
 * closes, however the process ends. Where the flag is refused the table is made
 * without, named yangguan_PID_PORT, and the next start removes tables of that
 * form whose process is gone (those with an owner are left alone).
 *
 * A device that vanishes takes its chain along on most kernels; newer ones keep
 * the chain and hook it up again by name. So adding a chain that exists replaces
 * it, in one transaction, without a moment in which the kernel would answer.
 */
#include "daemon/device/suppress_priv.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/table.h>
#include <limits.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/util.h"

#define TABLE_PREFIX "yangguan_"
#define BUF_BYTES 32768
#define ANSWER_TIMEOUT_S 5
#define LEFTOVERS_MAX 32

struct suppress_nft {
	struct mnl_socket *nl;
	uint32_t seq;
	char table[48];
};

/* --- transactions --- */

struct transaction {
	struct mnl_nlmsg_batch *batch;
	uint32_t first_seq;
	uint32_t n_messages; /* that are acknowledged */
	char buf[8192];
};

static void put_mark(struct suppress_nft *n, struct transaction *t, struct nlmsghdr *(*mark)(char *buf, uint32_t seq))
{
	mark(mnl_nlmsg_batch_current(t->batch), n->seq++);
	mnl_nlmsg_batch_next(t->batch);
}

static int transaction_begin(struct suppress_nft *n, struct transaction *t)
{
	t->batch = mnl_nlmsg_batch_start(t->buf, sizeof(t->buf) / 2);
	if (!t->batch)
		return -ENOMEM;
	t->first_seq = n->seq;
	t->n_messages = 0;
	put_mark(n, t, nftnl_batch_begin);
	return 0;
}

static struct nlmsghdr *put_message(struct suppress_nft *n, struct transaction *t, uint16_t type, uint16_t flags)
{
	t->n_messages++;
	return nftnl_nlmsg_build_hdr(mnl_nlmsg_batch_current(t->batch), type, NFPROTO_NETDEV, flags | NLM_F_ACK,
				     n->seq++);
}

/* Every message of ours is acknowledged, or one of them (or the batch itself)
 * gets an error. Answers to earlier transactions may still wait and are skipped. */
static int read_answers(struct suppress_nft *n, const struct transaction *t)
{
	char buf[BUF_BYTES];
	uint32_t n_acks = 0;

	while (n_acks < t->n_messages) {
		ssize_t len = mnl_socket_recvfrom(n->nl, buf, sizeof(buf));
		int left = (int)len;

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		for (struct nlmsghdr *h = (void *)buf; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);
			if (h->nlmsg_type != NLMSG_ERROR || h->nlmsg_seq - t->first_seq >= n->seq - t->first_seq)
				continue;
			if (e->error != 0)
				return e->error;
			n_acks++;
		}
	}
	return 0;
}

static int transaction_commit(struct suppress_nft *n, struct transaction *t)
{
	int r = 0;

	put_mark(n, t, nftnl_batch_end);
	if (mnl_socket_sendto(n->nl, mnl_nlmsg_batch_head(t->batch), mnl_nlmsg_batch_size(t->batch)) < 0)
		r = -errno;
	else
		r = read_answers(n, t);
	mnl_nlmsg_batch_stop(t->batch);
	return r;
}

/* --- tables --- */

/* Adds "make this table" or "delete this table" to t. */
static int put_table(struct suppress_nft *n, struct transaction *t, uint16_t type, uint16_t flags, const char *name,
		     uint32_t table_flags)
{
	struct nftnl_table *x = nftnl_table_alloc();

	if (!x)
		return -ENOMEM;
	nftnl_table_set_u32(x, NFTNL_TABLE_FAMILY, NFPROTO_NETDEV);
	nftnl_table_set_str(x, NFTNL_TABLE_NAME, name);
	if (table_flags)
		nftnl_table_set_u32(x, NFTNL_TABLE_FLAGS, table_flags);
	struct nlmsghdr *h = put_message(n, t, type, flags);
	nftnl_table_nlmsg_build_payload(h, x);
	nftnl_table_free(x);
	mnl_nlmsg_batch_next(t->batch);
	return 0;
}

static int change_table(struct suppress_nft *n, uint16_t type, uint16_t flags, const char *name, uint32_t table_flags)
{
	struct transaction t;
	int r = transaction_begin(n, &t);

	if (r < 0)
		return r;
	r = put_table(n, &t, type, flags, name, table_flags);
	if (r < 0) {
		mnl_nlmsg_batch_stop(t.batch);
		return r;
	}
	return transaction_commit(n, &t);
}

struct leftovers {
	uint32_t n;
	char name[LEFTOVERS_MAX][48];
};

/* A table of ours by name, without an owner, whose process is gone. */
static int take_table(const struct nlmsghdr *h, void *ctx)
{
	struct leftovers *l = ctx;
	struct nftnl_table *x = nftnl_table_alloc();
	long pid;

	if (!x || nftnl_table_nlmsg_parse(h, x) < 0)
		goto out;
	const char *name = nftnl_table_get_str(x, NFTNL_TABLE_NAME);
	if (!name || nftnl_table_get_u32(x, NFTNL_TABLE_FAMILY) != NFPROTO_NETDEV ||
	    (nftnl_table_get_u32(x, NFTNL_TABLE_FLAGS) & NFT_TABLE_F_OWNER) || strlen(name) >= sizeof(l->name[0]) ||
	    strncmp(name, TABLE_PREFIX, strlen(TABLE_PREFIX)) != 0)
		goto out;
	pid = strtol(name + strlen(TABLE_PREFIX), NULL, 10);
	if (pid <= 0 || pid > INT_MAX || kill((pid_t)pid, 0) == 0 || errno != ESRCH || l->n == LEFTOVERS_MAX)
		goto out;
	strcpy(l->name[l->n++], name);
out:
	if (x)
		nftnl_table_free(x);
	return MNL_CB_OK;
}

static int remove_leftovers(struct suppress_nft *n)
{
	char buf[BUF_BYTES];
	struct leftovers l = { 0 };
	struct nlmsghdr *h = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETTABLE, NFPROTO_NETDEV, NLM_F_DUMP, n->seq);
	uint32_t portid = mnl_socket_get_portid(n->nl);
	int r;

	if (mnl_socket_sendto(n->nl, h, h->nlmsg_len) < 0)
		return -errno;
	do {
		ssize_t len = mnl_socket_recvfrom(n->nl, buf, sizeof(buf));
		if (len < 0)
			return -errno;
		r = mnl_cb_run(buf, (size_t)len, n->seq, portid, take_table, &l);
	} while (r > MNL_CB_STOP);
	if (r < 0)
		return -errno;
	n->seq++;
	for (uint32_t i = 0; i < l.n; i++)
		(void)change_table(n, NFT_MSG_DELTABLE, 0, l.name[i], 0);
	return 0;
}

/* --- chains --- */

static int put_chain(struct suppress_nft *n, struct transaction *t, uint16_t type, const char *ifname)
{
	struct nftnl_chain *c = nftnl_chain_alloc();

	if (!c)
		return -ENOMEM;
	nftnl_chain_set_u32(c, NFTNL_CHAIN_FAMILY, NFPROTO_NETDEV);
	nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, n->table);
	nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, ifname);
	if (type == NFT_MSG_NEWCHAIN) {
		nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, "filter");
		nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM, NF_NETDEV_INGRESS);
		/* Before any other chain at this hook spends time on the frame. */
		nftnl_chain_set_s32(c, NFTNL_CHAIN_PRIO, INT_MIN);
		nftnl_chain_set_u32(c, NFTNL_CHAIN_POLICY, NF_DROP);
		nftnl_chain_set_str(c, NFTNL_CHAIN_DEV, ifname);
	}
	struct nlmsghdr *h =
		put_message(n, t, type, type == NFT_MSG_NEWCHAIN ? (uint16_t)(NLM_F_CREATE | NLM_F_EXCL) : 0);
	nftnl_chain_nlmsg_build_payload(h, c);
	nftnl_chain_free(c);
	mnl_nlmsg_batch_next(t->batch);
	return 0;
}

/* The messages of types[], as one transaction. */
static int change_chain(struct suppress_nft *n, const uint16_t *types, uint32_t n_types, const char *ifname)
{
	struct transaction t;
	int r = transaction_begin(n, &t);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < n_types && r == 0; i++)
		r = put_chain(n, &t, types[i], ifname);
	if (r < 0) {
		mnl_nlmsg_batch_stop(t.batch);
		return r;
	}
	return transaction_commit(n, &t);
}

int suppress_nft_add(struct suppress_nft *n, const char *ifname)
{
	static const uint16_t replace[] = { NFT_MSG_DELCHAIN, NFT_MSG_NEWCHAIN };
	int r = change_chain(n, replace + 1, 1, ifname);

	return r == -EEXIST ? change_chain(n, replace, ARRAY_LEN(replace), ifname) : r;
}

int suppress_nft_remove(struct suppress_nft *n, const char *ifname)
{
	static const uint16_t remove[] = { NFT_MSG_DELCHAIN };
	int r = change_chain(n, remove, ARRAY_LEN(remove), ifname);

	return r == -ENOENT ? 0 : r;
}

/* --- open and close --- */

int suppress_nft_open(struct suppress_nft **out)
{
	const struct timeval timeout = { .tv_sec = ANSWER_TIMEOUT_S };
	struct suppress_nft *n = calloc(1, sizeof(*n));
	int r = -ENOMEM;

	if (!n)
		return r;
	n->seq = 1;
	n->nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!n->nl || mnl_socket_bind(n->nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    setsockopt(mnl_socket_get_fd(n->nl), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0) {
		r = -errno;
		goto fail;
	}
	/* Process ids repeat across namespaces of their own; the port is unique
	 * in this network namespace. */
	snprintf(n->table, sizeof(n->table), TABLE_PREFIX "%ld_%u", (long)getpid(), mnl_socket_get_portid(n->nl));
	r = remove_leftovers(n);
	if (r < 0)
		goto fail;
	r = change_table(n, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, n->table, NFT_TABLE_F_OWNER);
	if (r == -EOPNOTSUPP || r == -EINVAL)
		r = change_table(n, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, n->table, 0);
	if (r < 0)
		goto fail;
	*out = n;
	return 0;
fail:
	if (n->nl)
		mnl_socket_close(n->nl);
	free(n);
	return r;
}

void suppress_nft_close(struct suppress_nft *n)
{
	(void)change_table(n, NFT_MSG_DELTABLE, 0, n->table, 0);
	mnl_socket_close(n->nl);
	free(n);
}
