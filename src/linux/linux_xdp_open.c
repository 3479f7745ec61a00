/* SPDX-License-Identifier: BSD-2-Clause
 *
 * How AF_XDP sockets come to a device: an area of memory that each of them registers, four rings a socket, a map of
 * them by queue, and an XDP program of six instructions that puts each frame where the map says. The program hangs at
 * the device by a link, a descriptor, so it goes with this process, however that ends. Where the driver has no XDP of
 * its own the kernel's generic one takes its place, which comes behind the merging of segments (GRO).
 *
 * The kernel takes the sockets that somebody has closed off a queue a moment later, so a queue that is busy is asked
 * for again for half a second when it is opened first.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux/linux_xdp_priv.h"

#define RING_ENTRIES 1024u /* of one queue; of several each has its share */
#define RING_ENTRIES_MIN 64u
#define OPEN_PATIENCE_MS 500
#define SEND_BUFFER_BYTES (8 << 20) /* what the kernel copies to send: all of a ring's, with its own about each */
#define AREA_BYTES ((size_t)N_FRAMES * LINUX_XDP_FRAME_BYTES)

static int bpf(enum bpf_cmd command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* --- one socket --- */

static int map_ring(int fd, uint64_t at, const struct xdp_ring_offset *o, uint32_t n, size_t entry, struct ring *r)
{
	r->map_len = o->desc + n * entry;
	void *map = mmap(NULL, r->map_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t)at);

	if (map == MAP_FAILED)
		return -1;
	char *bytes = map;

	r->map = map;
	r->mask = n - 1;
	r->producer = (uint32_t *)(void *)(bytes + o->producer);
	r->consumer = (uint32_t *)(void *)(bytes + o->consumer);
	r->flags = (uint32_t *)(void *)(bytes + o->flags);
	r->entries = bytes + o->desc;
	return 0;
}

static int make_rings(struct queue *q, uint32_t n)
{
	static const int sizes[] = { XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING, XDP_TX_RING };
	struct xdp_mmap_offsets o;
	socklen_t len = sizeof(o);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (setsockopt(q->fd, SOL_XDP, sizes[i], &n, sizeof(n)) != 0)
			return -1;
	if (getsockopt(q->fd, SOL_XDP, XDP_MMAP_OFFSETS, &o, &len) != 0)
		return -1;
	if (len != sizeof(o)) {
		errno = EOPNOTSUPP; /* Linux before 5.4: rings without flags */
		return -1;
	}
	return map_ring(q->fd, XDP_UMEM_PGOFF_FILL_RING, &o.fr, n, sizeof(uint64_t), &q->fill) != 0 ||
			       map_ring(q->fd, XDP_UMEM_PGOFF_COMPLETION_RING, &o.cr, n, sizeof(uint64_t),
					&q->completion) != 0 ||
			       map_ring(q->fd, XDP_PGOFF_RX_RING, &o.rx, n, sizeof(struct xdp_desc), &q->receive) !=
				       0 ||
			       map_ring(q->fd, XDP_PGOFF_TX_RING, &o.tx, n, sizeof(struct xdp_desc), &q->send) != 0
		       ? -1
		       : 0;
}

static int bind_socket(const struct queue *q, int ifindex, uint32_t id, int patience_ms)
{
	const struct sockaddr_xdp at = { .sxdp_family = AF_XDP,
					 .sxdp_flags = XDP_USE_NEED_WAKEUP,
					 .sxdp_ifindex = (uint32_t)ifindex,
					 .sxdp_queue_id = id };
	int rc = bind(q->fd, (const struct sockaddr *)&at, sizeof(at));

	for (int i = 0; rc != 0 && errno == EBUSY && i < patience_ms; i++) {
		(void)poll(NULL, 0, 1);
		rc = bind(q->fd, (const struct sockaddr *)&at, sizeof(at));
	}
	return rc;
}

/* Where it may not be raised, a ring takes a few calls more. */
static void raise_send_buffer(int fd)
{
	const int bytes = SEND_BUFFER_BYTES;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) != 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

static int open_queue(struct linux_xdp *x, int ifindex, uint32_t id, uint32_t n_entries, int patience_ms)
{
	struct queue *q = &x->queue[id];
	const struct xdp_umem_reg reg = { .addr = (uint64_t)(uintptr_t)x->area,
					  .len = AREA_BYTES,
					  .chunk_size = LINUX_XDP_FRAME_BYTES };
	struct epoll_event e = { .events = EPOLLIN };
	union bpf_attr attr = { 0 };

	memset(q, 0, sizeof(*q));
	q->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	x->n_queues = id + 1; /* so that closing finds it, however far it came */
	if (q->fd < 0 || setsockopt(q->fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)) != 0 ||
	    make_rings(q, n_entries) != 0)
		return -1;
	raise_send_buffer(q->fd);
	/* All that the ring takes: the first burst may come before anybody reads. */
	for (uint32_t n = UINT32_MAX; n != x->n_to_fill;) {
		n = x->n_to_fill;
		linux_xdp_refill(x, q);
	}
	if (bind_socket(q, ifindex, id, patience_ms) != 0 || epoll_ctl(x->all, EPOLL_CTL_ADD, q->fd, &e) != 0)
		return -1;
	attr.map_fd = (uint32_t)x->map;
	attr.key = (uint64_t)(uintptr_t)&id;
	attr.value = (uint64_t)(uintptr_t)&q->fd;
	return bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

static void close_queue(struct queue *q)
{
	struct ring *rings[] = { &q->fill, &q->completion, &q->receive, &q->send };

	for (size_t i = 0; i < sizeof(rings) / sizeof(rings[0]); i++)
		if (rings[i]->map != NULL)
			munmap(rings[i]->map, rings[i]->map_len);
	if (q->fd >= 0)
		close(q->fd);
}

/* --- the program --- */

/* return bpf_redirect_map(&map, ctx->rx_queue_index, XDP_PASS); */
static int load_program(int map)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_LDX | BPF_MEM | BPF_W,
		  .dst_reg = BPF_REG_2,
		  .src_reg = BPF_REG_1,
		  .off = offsetof(struct xdp_md, rx_queue_index) },
		/* NOLINTNEXTLINE(misc-redundant-expression): two names of nothing */
		{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = BPF_REG_1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = map },
		{ 0 }, /* the second half of it */
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_XDP,
				.insn_cnt = sizeof(code) / sizeof(code[0]),
				.insns = (uint64_t)(uintptr_t)code,
				.license = (uint64_t)(uintptr_t) "Dual BSD/GPL" };

	return bpf(BPF_PROG_LOAD, &attr);
}

static int attach(int program, int ifindex, int *is_generic)
{
	static const uint32_t modes[] = { XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE };
	int link = -1;

	for (size_t i = 0; i < 2 && link < 0; i++) {
		union bpf_attr attr = { 0 };

		attr.link_create.prog_fd = (uint32_t)program;
		attr.link_create.target_ifindex = (uint32_t)ifindex;
		attr.link_create.attach_type = BPF_XDP;
		attr.link_create.flags = modes[i];
		*is_generic = modes[i] == XDP_FLAGS_SKB_MODE;
		link = bpf(BPF_LINK_CREATE, &attr);
	}
	return link;
}

/* --- all of a device --- */

static uint32_t count_queues(const char *name)
{
	struct ethtool_channels c = { .cmd = ETHTOOL_GCHANNELS };
	struct ifreq r = { .ifr_data = (void *)&c };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint32_t n = 1;

	strncpy(r.ifr_name, name, sizeof(r.ifr_name) - 1);
	if (fd >= 0 && ioctl(fd, SIOCETHTOOL, &r) == 0 && c.combined_count + c.rx_count > 0)
		n = c.combined_count + c.rx_count;
	if (fd >= 0)
		close(fd);
	return n;
}

/* The frames that the kernel had are free; those that the stack has come back by themselves. */
static void close_all(struct linux_xdp *x)
{
	int *fds[] = { &x->link, &x->program, &x->map, &x->all };

	x->n_rx_lost = linux_xdp_rx_lost(x);
	for (uint32_t i = 0; i < x->n_queues; i++) {
		if (x->queue[i].send.map != NULL)
			x->n_tx_lost += linux_xdp_n_used(&x->queue[i].send);
		close_queue(&x->queue[i]);
	}
	x->send_state = SEND_TAKES;
	x->n_queues = x->next_queue = 0;
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	x->n_free = x->n_to_fill = 0;
	for (uint32_t i = 0; i < N_FRAMES; i++) {
		if (x->owner[i] == FRAME_STACKS)
			continue;
		x->owner[i] = FRAME_FREE;
		x->free[x->n_free++] = i;
	}
}

static int open_all(struct linux_xdp *x, int ifindex, const char *name, int patience_ms)
{
	uint32_t n = count_queues(name), n_entries = RING_ENTRIES;
	union bpf_attr attr = { 0 };

	if (n > QUEUES_MAX) {
		errno = E2BIG;
		return -1;
	}
	while (n_entries > RING_ENTRIES_MIN && n_entries * n > RING_ENTRIES)
		n_entries /= 2;
	attr.map_type = BPF_MAP_TYPE_XSKMAP;
	attr.key_size = attr.value_size = sizeof(uint32_t);
	attr.max_entries = n;
	x->all = epoll_create1(EPOLL_CLOEXEC);
	x->map = bpf(BPF_MAP_CREATE, &attr);
	x->program = x->map >= 0 ? load_program(x->map) : -1;
	if (x->all < 0 || x->program < 0)
		return -1;
	for (uint32_t id = 0; id < n; id++)
		if (open_queue(x, ifindex, id, n_entries, patience_ms) != 0)
			return -1;
	x->link = attach(x->program, ifindex, &x->is_generic);
	return x->link >= 0 ? 0 : -1;
}

static int open_anew(struct linux_xdp *x, int ifindex, const char *name, int patience_ms)
{
	close_all(x);
	if (open_all(x, ifindex, name, patience_ms) == 0)
		return 0;
	int why = errno;

	close_all(x);
	errno = why;
	return -1;
}

struct linux_xdp *linux_xdp_open(int ifindex, const char *name)
{
	struct linux_xdp *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return NULL;
	x->map = x->program = x->link = x->all = -1;
	x->area = mmap(NULL, AREA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (x->area == MAP_FAILED)
		x->area = NULL;
	if (x->area == NULL || open_anew(x, ifindex, name, OPEN_PATIENCE_MS) != 0) {
		int why = errno;

		linux_xdp_close(x);
		errno = why;
		return NULL;
	}
	return x;
}

int linux_xdp_reopen(struct linux_xdp *x, int ifindex, const char *name)
{
	return open_anew(x, ifindex, name, 0);
}

void linux_xdp_close(struct linux_xdp *x)
{
	if (x == NULL)
		return;
	close_all(x);
	if (x->area != NULL)
		munmap(x->area, AREA_BYTES);
	free(x);
}

int linux_xdp_fd(const struct linux_xdp *x)
{
	return x->all;
}
