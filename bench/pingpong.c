/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Round trips, one at a time: a UDP datagram there and back.
 *
 *   pingpong serve PORT CPU         sends back what comes, until it is ended
 *   pingpong ADDRESS PORT N CPU     N round trips; prints median, 99th percentile in microseconds as JSON
 *
 * Sockets block, as a quiet client's do: what is measured includes the wake-ups.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WARM 200 /* round trips before the first that counts */

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "pingpong: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		fail("sched_setaffinity");
}

static int udp_socket(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail("socket");
	return fd;
}

static int serve(uint16_t port)
{
	struct sockaddr_in local = { .sin_family = AF_INET, .sin_port = htons(port) }, peer;
	int fd = udp_socket();
	char buf[2048];

	if (bind(fd, (struct sockaddr *)&local, sizeof(local)) != 0)
		fail("bind");
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		socklen_t len = sizeof(peer);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&peer, &len);

		if (n < 0)
			fail("recvfrom");
		sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&peer, len);
	}
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int ask(const char *address, uint16_t port, uint32_t n)
{
	struct sockaddr_in peer = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct timeval patience = { .tv_usec = 200000 };
	uint64_t *took = calloc(n, sizeof(*took));
	int fd = udp_socket(), n_lost = 0;
	uint32_t n_good = 0;
	char buf[64] = { 0 };

	if (took == NULL || inet_pton(AF_INET, address, &peer.sin_addr) != 1 ||
	    connect(fd, (struct sockaddr *)&peer, sizeof(peer)) != 0)
		fail(address);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	for (uint32_t i = 0; i < n + WARM; i++) {
		uint32_t back = 0;
		uint64_t start = now_ns();

		memcpy(buf, &i, sizeof(i));
		if (send(fd, buf, sizeof(buf), 0) < 0 && errno != ECONNREFUSED)
			fail("send");
		/* An answer to one that was given up is passed over. */
		do {
			if (recv(fd, buf, sizeof(buf), 0) < 0)
				break;
			memcpy(&back, buf, sizeof(back));
		} while (back != i);
		if (back != i) {
			if (++n_lost > 20)
				fail("no answer");
		} else if (i >= WARM) {
			took[n_good++] = now_ns() - start;
		}
	}
	if (n_good == 0)
		fail("no answer");
	qsort(took, n_good, sizeof(*took), compare);
	uint64_t median_ns = took[n_good / 2], p99_ns = took[(uint64_t)n_good * 99 / 100];
	printf("{\"median_us\": %.2f, \"p99_us\": %.2f, \"n\": %u, \"lost\": %d}\n", (double)median_ns / 1e3,
	       (double)p99_ns / 1e3, n_good, n_lost);
	free(took);
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "serve") == 0) {
		pin(atoi(argv[3]));
		return serve((uint16_t)atoi(argv[2]));
	}
	if (argc == 5 && atoi(argv[3]) > 0) {
		pin(atoi(argv[4]));
		return ask(argv[1], (uint16_t)atoi(argv[2]), (uint32_t)atoi(argv[3]));
	}
	fprintf(stderr, "usage: pingpong serve PORT CPU | pingpong ADDRESS PORT N CPU\n");
	return 2;
}
