/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The service behind unmodified programs: what a program of the family may say to it, and do to the memory that it
 * shares.
 *
 * An input is a row of steps, of which each begins with a byte: requests of any sort with any descriptor beside, about
 * sockets that are there or not; bytes, ends and closes at the programs' ends; words anywhere in an arena; channels
 * that come and go; turns of the service, and time; the slots. All that an input does not say is 0. The stack has no
 * link: its sockets speak to one another by 127.0.0.1.
 *
 * At the end all programs are gone, and so is all that the service had of them: ends, channels, descriptors.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <yangguan/info.h>
#include <yangguan/stack.h>

#include "preload/preload_beside.h"
#include "preload/service_loop.h"
#include "preload/service_priv.h"
#include "wire_fuzz.h"

#define N_CHANNELS 3u
#define N_ENDS 12u
#define STEPS_MAX 400u
#define NS_PER_MS 1000000u

/* A program's end of a pair, as a reply or a listener gave it. */
struct held {
	int fd;
	uint32_t slot, generation;
};

struct family {
	struct service v;
	struct service_config config;
	uint64_t now;
	int channel[N_CHANNELS];
	struct preload_arena *arena[N_CHANNELS];
	struct held held[N_ENDS];
};

static size_t take_bytes(struct fuzz_input *in, unsigned char *bytes, size_t n)
{
	n = in->n_left < n ? in->n_left : n;
	memcpy(bytes, in->p, n);
	in->p += n;
	in->n_left -= n;
	return n;
}

static int output(void *ctx, struct yg_packet *const *p, unsigned int n)
{
	struct family *f = ctx;

	for (unsigned int i = 0; i < n; i++)
		yg_packet_free(f->v.stack, p[i]);
	return (int)n;
}

/* --- programs --- */

static void turn(struct family *f)
{
	yg_run(f->v.stack, f->now);
	service_turn(&f->v, 0);
}

static void hold(struct family *f, int fd, uint32_t slot, uint32_t generation)
{
	struct held *h = NULL;

	for (uint32_t i = 0; i < N_ENDS && h == NULL; i++)
		if (f->held[i].fd < 0)
			h = &f->held[i];
	if (h == NULL)
		close(fd);
	else
		*h = (struct held){ fd, slot, generation };
}

static void open_channel(struct family *f, uint32_t which)
{
	int pair[2];

	if (f->channel[which] >= 0)
		return;
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	FUZZ_CHECK(channel_add(&f->v, pair[1], false) == 0);
	f->channel[which] = pair[0];
}

static void close_channel(struct family *f, uint32_t which)
{
	if (f->channel[which] >= 0)
		close(f->channel[which]);
	f->channel[which] = -1;
	if (f->arena[which] != NULL)
		FUZZ_CHECK(munmap(f->arena[which], sizeof(struct preload_arena)) == 0);
	f->arena[which] = NULL;
}

static void take_reply(struct family *f, uint32_t which, const struct preload_request *q)
{
	struct preload_beside room;
	struct preload_reply r;
	struct iovec v = { &r, sizeof(r) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof(room) };
	ssize_t n = recvmsg(f->channel[which], &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd = n > 0 ? preload_passed(&m) : -1;

	if (n <= 0)
		return;
	FUZZ_CHECK((size_t)n >= offsetof(struct preload_reply, value) && r.len <= sizeof(r.value));
	if (fd >= 0 && q->op == PRELOAD_ARENA && r.rc == 0) {
		void *at = mmap(NULL, sizeof(struct preload_arena), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		FUZZ_CHECK(at != MAP_FAILED && ftruncate(fd, 0) != 0);
		f->arena[which] = at;
		close(fd);
	} else if (fd >= 0 && q->op == PRELOAD_SOCKET) {
		hold(f, fd, r.slot, r.generation);
	} else if (fd >= 0 && q->op == PRELOAD_RENEW) {
		hold(f, fd, q->slot, q->generation);
	} else if (fd >= 0) {
		close(fd);
	}
}

/* --- steps --- */

static void do_request(struct family *f, struct fuzz_input *in)
{
	uint32_t which = fuzz_take(in, 1) % N_CHANNELS;
	struct held *h = &f->held[fuzz_take(in, 1) % N_ENDS], *beside = &f->held[fuzz_take(in, 1) % N_ENDS];
	struct preload_request q = { .op = fuzz_take(in, 1) % (N_PRELOAD_OPS + 2),
				     .slot = h->slot + fuzz_take(in, 1),
				     .generation = h->generation + fuzz_take(in, 1) };
	struct preload_beside room;
	struct iovec v = { &q, 0 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	for (size_t i = 0; i < 3; i++)
		q.arg[i] = (int32_t)fuzz_take(in, 4);
	size_t n = take_bytes(in, q.value, fuzz_take(in, 2) % (sizeof(q.value) + 1));

	q.len = (uint32_t)n + fuzz_take(in, 1);
	v.iov_len = offsetof(struct preload_request, value) + n;
	if (f->channel[which] < 0)
		return;
	if (beside->fd >= 0)
		preload_pass(&m, &room, beside->fd);
	(void)sendmsg(f->channel[which], &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	turn(f);
	take_reply(f, which, &q);
}

static void do_accept(struct family *f, const struct held *h)
{
	struct preload_accepted a;
	struct preload_beside room;
	struct iovec v = { &a, sizeof(a) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof(room) };
	ssize_t n = recvmsg(h->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd = n >= 0 ? preload_passed(&m) : -1;

	if (fd >= 0 && n == sizeof(a))
		hold(f, fd, a.slot, a.generation);
	else if (fd >= 0)
		close(fd);
}

static void do_bytes(struct family *f, struct fuzz_input *in)
{
	static unsigned char bytes[65536];
	struct held *h = &f->held[fuzz_take(in, 1) % N_ENDS];
	uint32_t what = fuzz_take(in, 1), n = fuzz_take(in, 2);

	if (h->fd < 0)
		return;
	switch (what % 6) {
	case 0:
	case 1:
		(void)!send(h->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	case 2:
		(void)!recv(h->fd, bytes, n, MSG_DONTWAIT);
		break;
	case 3:
		do_accept(f, h);
		break;
	case 4:
		(void)shutdown(h->fd, (int)(n % 3));
		break;
	default:
		close(h->fd);
		h->fd = -1;
		break;
	}
}

/* A word of its head or of a ring's, of which the first few are of more use. */
static void do_poke(struct family *f, struct fuzz_input *in)
{
	struct preload_arena *a = f->arena[fuzz_take(in, 1) % N_CHANNELS];
	uint32_t ring = fuzz_take(in, 1) % PRELOAD_RINGS, at = fuzz_take(in, 1) % 5, value = fuzz_take(in, 4);

	if (a == NULL)
		return;
	struct preload_ring *r = &a->ring[ring];
	_Atomic uint32_t *const word[] = { &r->tail, &r->start, &r->head, &r->is_closed, &a->is_asleep };

	atomic_store(word[at], value);
	atomic_fetch_or(&a->pending[ring / 64], (uint64_t)1 << ring % 64);
}

/* A slot's, which all programs may write. */
static void do_scribble(struct family *f, struct fuzz_input *in)
{
	struct preload_slot *s =
		&f->v.slots[(f->held[fuzz_take(in, 1) % N_ENDS].slot + fuzz_take(in, 1)) % PRELOAD_SLOTS];
	uint32_t what = fuzz_take(in, 1) % 4, value = fuzz_take(in, 2);

	if (what == 0)
		atomic_store(&s->state, value);
	else if (what == 1)
		atomic_store(&s->marks, (uint16_t)value);
	else if (what == 2)
		atomic_store(&s->error, (int32_t)value);
	else
		atomic_store(&s->generation, value);
}

static void step(struct family *f, struct fuzz_input *in)
{
	uint32_t which;

	switch (fuzz_take(in, 1) % 7) {
	case 0:
		do_request(f, in);
		break;
	case 1:
		do_bytes(f, in);
		break;
	case 2:
		do_poke(f, in);
		break;
	case 3:
		which = fuzz_take(in, 1) % N_CHANNELS;
		(f->channel[which] < 0 ? open_channel : close_channel)(f, which);
		break;
	case 6:
		do_scribble(f, in);
		break;
	case 4:
		f->now += (uint64_t)fuzz_take(in, 2) * NS_PER_MS;
		turn(f);
		break;
	default:
		turn(f);
		break;
	}
}

/* --- life --- */

static void begin(struct family *f)
{
	struct yg_stack_config c = { .size = sizeof(c),
				     .output = output,
				     .ctx = f,
				     .now = 1,
				     .address = "10.9.0.2/24",
				     .n_sockets = 64,
				     .n_packets = 4096 };

	f->now = 1;
	f->v = (struct service){ .config = &f->config, .door = -1, .closer = -1 };
	f->v.stack = yg_stack_create(&c);
	FUZZ_CHECK(f->v.stack != NULL && service_open_tables(&f->v) == 0);
	for (uint32_t i = 0; i < N_ENDS; i++)
		f->held[i] = (struct held){ .fd = -1 };
	for (uint32_t i = 0; i < N_CHANNELS; i++) {
		f->channel[i] = -1;
		f->arena[i] = NULL;
		open_channel(f, i);
	}
}

static void end(struct family *f)
{
	for (uint32_t i = 0; i < N_ENDS; i++)
		if (f->held[i].fd >= 0)
			close(f->held[i].fd);
	for (uint32_t i = 0; i < N_CHANNELS; i++)
		close_channel(f, i);
	/* What a peer does not take is given up after a minute, as are connections in the making. */
	for (uint32_t i = 0; i < 400 && (f->v.n_ends > 0 || f->v.n_channels > 0); i++) {
		f->now += 1000 * NS_PER_MS;
		for (uint32_t k = 0; k < f->v.n_fresh; k++)
			if (f->v.ends[k].fd >= 0)
				end_forget_app(&f->v.ends[k]);
		turn(f);
	}
	FUZZ_CHECK(f->v.n_ends == 0 && f->v.n_channels == 0 && f->v.hot == NULL);
	yg_stack_destroy(f->v.stack);
	(void)munmap(f->v.slots, PRELOAD_SLOTS * sizeof(struct preload_slot));
	free(f->v.ends);
	close(f->v.events);
	close(f->v.memory);
	close(f->v.spare);
}

static int lowest_free_descriptor(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct family f;
	struct fuzz_input in = { data, len };
	int at_first = lowest_free_descriptor();

	begin(&f);
	for (uint32_t i = 0; i < STEPS_MAX && in.n_left > 0; i++)
		step(&f, &in);
	end(&f);
	FUZZ_CHECK(lowest_free_descriptor() == at_first);
	return 0;
}
