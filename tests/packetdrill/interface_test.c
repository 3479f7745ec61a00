/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The shared object for packetdrill without packetdrill: its functions are called as the tool calls
 * them.
 *
 * Would be caught: a struct of another order, a clock that stands still while somebody asks for the time until it
 * has come, packets with the time of their fetching instead of their leaving, a call that spins instead of sleeping
 * while it blocks (the tool looks at its thread's state) or returns at another time than that of what
 * it waited for, and numbers that the system's own could be taken for.
 */
#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/ip4.h"
#include "base/util.h"
#include "drill.h"
#include "stack/wire/bytes.h"
#include "stack/wire/checksum.h"
#include "stack/wire/ipv4.h"
#include "stack/wire/l4.h"

#define HERE IP4(192, 168, 0, 1)
#define THERE IP4(192, 0, 2, 1)
#define PORT 8080
#define THEIR_PORT 40000

static const char *object;
static struct packetdrill_interface ifc;

static void *load(void)
{
	void *handle = dlopen(object, RTLD_NOW | RTLD_LOCAL);
	void (*init)(const char *, struct packetdrill_interface *);

	if (handle == NULL)
		fail_msg("%s", dlerror());
	*(void **)&init = dlsym(handle, "packetdrill_interface_init");
	assert_non_null(init);
	init(NULL, &ifc);
	return handle;
}

static void unload(void *handle)
{
	ifc.free(ifc.userdata);
	dlclose(handle);
}

static long long clock_us(void)
{
	struct timeval tv;

	assert_int_equal(ifc.gettimeofday(ifc.userdata, &tv, NULL), 0);
	return tv.tv_sec * 1000000ll + tv.tv_usec;
}

static void segment_in(uint8_t flags, uint32_t seq, uint32_t ack, size_t len)
{
	uint8_t bytes[1500] = { 0 }, *tcp = bytes + IPV4_HEADER_LEN;
	uint32_t l4_len = TCP_HEADER_LEN + (uint32_t)len;
	struct ipv4_view ip = { .src = THERE,
				.dst = HERE,
				.total_len = (uint16_t)(IPV4_HEADER_LEN + l4_len),
				.header_len = IPV4_HEADER_LEN,
				.ttl = 64,
				.proto = IPPROTO_NR_TCP };

	ipv4_emit(bytes, &ip);
	memset(tcp + TCP_HEADER_LEN, 'x', len);
	tcp_emit(tcp, THEIR_PORT, PORT, seq, ack, flags, 65535);
	bytes_put16(tcp + 16,
		    checksum_finish(checksum_add(checksum_pseudo(THERE, HERE, IPPROTO_NR_TCP, l4_len), tcp, l4_len)));
	assert_int_equal(ifc.netdev_send(ifc.userdata, bytes, IPV4_HEADER_LEN + l4_len), 0);
}

/* The next segment out: its flags; where it begins; when it left. */
static uint8_t segment_out(uint32_t *seq, long long *usecs)
{
	uint8_t bytes[2048];
	size_t len = sizeof(bytes);

	assert_int_equal(ifc.netdev_receive(ifc.userdata, bytes, &len, usecs), 0);
	assert_true(len >= IPV4_HEADER_LEN + TCP_HEADER_LEN);
	*seq = bytes_get32(bytes + IPV4_HEADER_LEN + 4);
	return bytes[IPV4_HEADER_LEN + 13];
}

static int listener(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int fd = ifc.socket(ifc.userdata, AF_INET, SOCK_STREAM, IPPROTO_TCP);

	assert_true(fd >= DRILL_FD);
	assert_int_equal(ifc.bind(ifc.userdata, fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(ifc.listen(ifc.userdata, fd, 1), 0);
	return fd;
}

static void test_time(void **state)
{
	void *handle = load();
	int fd = listener();
	uint32_t seq;
	long long first, again, begin = clock_us();

	assert_true(clock_us() > begin);
	assert_int_equal(ifc.usleep(ifc.userdata, 5000), 0);
	assert_in_range(clock_us() - begin, 5000, 5010);
	segment_in(TCP_SYN, 100, 0, 0);
	begin = clock_us();
	ifc.usleep(ifc.userdata, 100);
	assert_int_equal(segment_out(&seq, &first), TCP_SYN | TCP_ACK);
	assert_true(first <= begin);
	/* Nobody answers. */
	assert_int_equal(segment_out(&seq, &again), TCP_SYN | TCP_ACK);
	assert_in_range(again - first, 900000, 1100000);
	assert_in_range(clock_us() - again, 0, 10);
	assert_int_equal(ifc.accept(ifc.userdata, fd + 1, NULL, NULL), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(ifc.close(ifc.userdata, fd), 0);
	unload(handle);
}

/* --- a call that blocks --- */

struct blocked {
	pthread_t thread;
	pid_t tid; /* set last */
	int fd, result;
	long long returned;
};

static void *run_accept(void *arg)
{
	struct blocked *b = arg;

	__atomic_store_n(&b->tid, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	b->result = ifc.accept(ifc.userdata, b->fd, NULL, NULL);
	b->returned = clock_us();
	return NULL;
}

static char thread_state(pid_t tid)
{
	char path[64], text[256] = "";

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
	fclose(f);
	char *end = strrchr(text, ')');

	assert_non_null(end);
	return end[2];
}

static void test_blocking(void **state)
{
	void *handle = load();
	struct blocked b = { .fd = listener() };
	uint32_t iss;
	long long left;

	assert_int_equal(pthread_create(&b.thread, NULL, run_accept, &b), 0);
	while (__atomic_load_n(&b.tid, __ATOMIC_ACQUIRE) == 0)
		sched_yield();
	while (thread_state(b.tid) != 'S')
		sched_yield();
	segment_in(TCP_SYN, 100, 0, 0);
	assert_int_equal(segment_out(&iss, &left), TCP_SYN | TCP_ACK);
	ifc.usleep(ifc.userdata, 20000);
	long long before = clock_us();

	segment_in(TCP_ACK, 101, iss + 1, 0);
	/* However long that takes: it has returned before time goes on. */
	ifc.usleep(ifc.userdata, 50000);
	assert_int_equal(pthread_join(b.thread, NULL), 0);
	assert_true(b.result >= DRILL_FD);
	assert_in_range(b.returned - before, 0, 10);
	assert_int_equal(ifc.close(ifc.userdata, b.result), 0);
	assert_int_equal(segment_out(&iss, &left), TCP_FIN | TCP_ACK);
	assert_in_range(left - before, 50000, 50020);
	unload(handle);
}

/* What is asked past the interface. */
static void test_preload(void **state)
{
	void *handle = load();
	int fd = listener(), value = 0;
	socklen_t len = sizeof(value);
	int (*ask)(int, int, int, void *, socklen_t *);
	int (*end)(int);

	*(void **)&ask = dlsym(handle, "getsockopt");
	*(void **)&end = dlsym(handle, "close");
	assert_int_equal(ask(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len), 0);
	assert_int_equal(value, 1);
	int real = socket(AF_INET, SOCK_DGRAM, 0);

	assert_true(real >= 0);
	assert_int_equal(ask(real, SOL_SOCKET, SO_TYPE, &value, &len), 0);
	assert_int_equal(value, SOCK_DGRAM);
	assert_int_equal(end(real), 0);
	assert_int_equal(end(fd), 0);
	assert_int_equal(ask(fd, SOL_SOCKET, SO_TYPE, &value, &len), -1);
	assert_int_equal(errno, EBADF);
	unload(handle);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_blocking),
		cmocka_unit_test(test_preload),
	};

	if (argc != 2) {
		fprintf(stderr, "%s OBJECT\n", argv[0]);
		return 2;
	}
	object = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
