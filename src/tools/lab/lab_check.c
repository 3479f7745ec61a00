/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `yangguan lab --check`: what a gateway must do, seen from its neighbours.
 *
 * A check is a function that writes what it saw and gives a verdict; the table
 * at the end has them in order. Later checks read what earlier ones left in the
 * connection table. Nothing here waits for a fixed time: every wait is for an
 * answer, with a limit.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/lab/lab_priv.h"
#include "base/util.h"

#define PROBE_TIMEOUT_MS 5000
#define DOWNLOAD_TIMEOUT_MS 120000
#define N_REQUESTS 5
/* Both clients send from this port, so that only NAT can tell them apart. */
#define CLIENT_PORT 40000

enum verdict { FAILS, HOLDS, SKIPPED };

static const enum lab_host clients[] = { LAB_CLIENT1, LAB_CLIENT2 };
static const char *const client_address[] = { LAB_CLIENT1_ADDRESS, LAB_CLIENT2_ADDRESS };

#define STRING_(x) #x
#define STRING(x) STRING_(x)
#define SERVER_URL "http://" LAB_SERVER_ADDRESS "/"

static const char *result(int error)
{
	return error ? strerror(-error) : "connected";
}

/* How often a word stands in a text. */
static unsigned count(const char *text, const char *word)
{
	unsigned n = 0;

	while ((text = strstr(text, word)) != NULL) {
		text += strlen(word);
		n++;
	}
	return n;
}

/* The first line of a text, for a look at what a program said. */
static void see_line(FILE *seen, const char *who, const char *text)
{
	fprintf(seen, "%s: %.*s\n", who, (int)strcspn(text, "\n"), text);
}

static void see_indented(FILE *seen, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		if (len)
			fprintf(seen, "%.*s\n", (int)len, text);
		text += len + (text[len] == '\n');
	}
}

static enum verdict check_http(struct lab *lab, FILE *seen)
{
	static const char *const argv[] = { "curl",
					    "-sS",
					    "--connect-timeout",
					    "5",
					    "--max-time",
					    "15",
					    "-H",
					    "Connection: close",
					    SERVER_URL "?[1-" STRING(N_REQUESTS) "]",
					    NULL };
	static const char want[] = "server sees " LAB_GATEWAY_WAN_ADDRESS ":";
	enum verdict verdict = HOLDS;
	struct lab_job job[2];

	for (int i = 0; i < 2; i++)
		lab_job_start(lab, &job[i], clients[i], argv);
	for (int i = 0; i < 2; i++) {
		unsigned n;

		lab_job_finish(lab, &job[i], 20000);
		n = count(job[i].out, want);
		fprintf(seen, "%s (%s): %u of %d answers name " LAB_GATEWAY_WAN_ADDRESS "; the first: %.*s\n",
			lab_host_name(clients[i]), client_address[i], n, N_REQUESTS, (int)strcspn(job[i].out, "\n"),
			job[i].out);
		if (job[i].status != 0 || n != N_REQUESTS)
			verdict = FAILS;
		lab_job_free(&job[i]);
	}
	return verdict;
}

static enum verdict check_download(struct lab *lab, FILE *seen)
{
	static const char *const argv[] = { "sh", "-c",
					    "curl -sS --connect-timeout 5 --max-time 110 -w '%{stderr}%{size_download} "
					    "bytes, %{speed_download} bytes/s\\n' " SERVER_URL "file | sha256sum",
					    NULL };
	struct lab_job have, want;
	enum verdict verdict;

	lab_hosts_checksum(lab, &want);
	lab_job_start(lab, &have, LAB_CLIENT1, argv);
	lab_job_finish(lab, &have, DOWNLOAD_TIMEOUT_MS);
	verdict = have.status == 0 && strlen(want.out) == 64 && strstr(have.out, want.out) ? HOLDS : FAILS;
	see_indented(seen, have.out);
	fprintf(seen, "the server's file: %s\n", want.out);
	lab_job_free(&have);
	lab_job_free(&want);
	return verdict;
}

/* A UDP socket of a client, from CLIENT_PORT + offset, towards the server's port. */
static int udp_to_server(struct lab *lab, enum lab_host host, uint16_t offset, uint16_t port)
{
	int fd = lab_socket(lab, host, SOCK_DGRAM, (uint16_t)(CLIENT_PORT + offset));
	int error = fd < 0 ? fd : lab_connect(fd, LAB_SERVER_ADDRESS, port, PROBE_TIMEOUT_MS);

	if (error && fd >= 0)
		close(fd);
	return error ? error : fd;
}

/* Sends len bytes that are the client's own; 0 when the same came back. */
static int echo(int fd, unsigned char mark, size_t len)
{
	unsigned char sent[2048], got[2048];
	ssize_t n;

	memset(sent, mark, sizeof(sent));
	if (send(fd, sent, len, 0) < 0)
		return -errno;
	if (lab_readable(fd, PROBE_TIMEOUT_MS) != 0)
		return -ETIMEDOUT;
	n = recv(fd, got, sizeof(got), 0);
	if (n < 0)
		return -errno;
	return (size_t)n == len && memcmp(sent, got, len) == 0 ? 0 : -EBADMSG;
}

static enum verdict check_udp(struct lab *lab, FILE *seen)
{
	static const size_t sizes[] = { 0, 1, 512, LAB_WAN_MTU - 28 };
	enum verdict verdict = HOLDS;
	int fd[2];

	for (int i = 0; i < 2; i++)
		fd[i] = udp_to_server(lab, clients[i], 0, LAB_ECHO_PORT);
	for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
		for (int i = 0; i < 2; i++) {
			int error = fd[i] < 0 ? fd[i] : echo(fd[i], (unsigned char)('A' + i), sizes[s]);

			if (error == 0)
				continue;
			verdict = FAILS;
			fprintf(seen, "%s, %zu bytes: %s\n", lab_host_name(clients[i]), sizes[s], strerror(-error));
		}
	}
	if (verdict == HOLDS)
		fprintf(seen, "both clients, both from port %d: 0, 1, 512 and %d bytes came back, each to its sender\n",
			CLIENT_PORT, LAB_WAN_MTU - 28);
	for (int i = 0; i < 2; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	return verdict;
}

static enum verdict ping(struct lab *lab, FILE *seen, enum lab_host host, const char *address)
{
	const char *argv[] = { "ping", "-n", "-c", "3", "-i", "0.2", "-W", "3", address, NULL };
	struct lab_job job;
	enum verdict verdict =
		lab_run(lab, &job, host, argv) == 0 && strstr(job.out, " 0% packet loss") ? HOLDS : FAILS;
	const char *totals = strstr(job.out, "3 packets transmitted");

	fprintf(seen, "%s to %s: ", lab_host_name(host), address);
	see_indented(seen, totals ? totals : job.out);
	lab_job_free(&job);
	return verdict;
}

static enum verdict check_ping(struct lab *lab, FILE *seen)
{
	enum verdict verdict = HOLDS;

	for (int i = 0; i < 2; i++)
		if (ping(lab, seen, clients[i], LAB_SERVER_ADDRESS) != HOLDS)
			verdict = FAILS;
	if (ping(lab, seen, LAB_CLIENT1, LAB_GATEWAY_LAN_ADDRESS) != HOLDS)
		verdict = FAILS;
	return verdict;
}

static enum verdict check_traceroute(struct lab *lab, FILE *seen)
{
	static const char *const argv[] = {
		"traceroute", "-n", "-q", "1", "-w", "3", "-m", "5", LAB_SITE_ADDRESS, NULL
	};
	struct lab_job job;
	enum verdict verdict = FAILS;
	const char *hop1, *hop2;

	if (lab_run(lab, &job, LAB_CLIENT1, argv) == 0) {
		hop1 = strstr(job.out, "\n 1  " LAB_GATEWAY_LAN_ADDRESS "  ");
		hop2 = strstr(job.out, "\n 2  " LAB_SITE_ADDRESS "  ");
		if (hop1 && hop2)
			verdict = HOLDS;
	}
	see_indented(seen, job.out);
	lab_job_free(&job);
	return verdict;
}

static enum verdict check_path_mtu(struct lab *lab, FILE *seen)
{
	/* 28 bytes of headers: 1500 is the client's own MTU. */
	static const char *const big[] = {
		"ping", "-n", "-M", "do", "-c", "1", "-W", "3", "-s", "1472", LAB_SERVER_ADDRESS, NULL
	};
	static const char *const route[] = { "ip", "route", "get", LAB_SERVER_ADDRESS, NULL };
	struct lab_job job;
	enum verdict verdict = HOLDS;
	const char *from;
	int fd, error;

	lab_run(lab, &job, LAB_CLIENT1, big);
	from = strstr(job.out, "From ");
	see_line(seen, "client1, 1500 bytes that must not be cut", from ? from : job.out);
	if (!from || !strstr(from, "From " LAB_GATEWAY_LAN_ADDRESS) || !strstr(from, "mtu = " STRING(LAB_WAN_MTU)))
		verdict = FAILS;
	lab_job_free(&job);

	lab_run(lab, &job, LAB_CLIENT1, route);
	see_indented(seen, job.out);
	if (!strstr(job.out, "mtu " STRING(LAB_WAN_MTU)))
		verdict = FAILS;
	lab_job_free(&job);

	fd = udp_to_server(lab, LAB_CLIENT1, 1, LAB_ECHO_PORT);
	if (fd >= 0) {
		int must_not = IP_PMTUDISC_DO, mtu = 0;
		socklen_t len = sizeof(mtu);

		setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &must_not, sizeof(must_not));
		getsockopt(fd, IPPROTO_IP, IP_MTU, &mtu, &len);
		error = echo(fd, 'm', (size_t)(mtu > 28 && mtu < 2048 ? mtu - 28 : 1));
		fprintf(seen, "a new socket starts with MTU %d, and a datagram of that size: %s\n", mtu,
			error ? strerror(-error) : "came back");
		if (error || mtu != LAB_WAN_MTU)
			verdict = FAILS;
		close(fd);
	} else {
		verdict = FAILS;
	}
	return verdict;
}

static enum verdict check_port_forward(struct lab *lab, FILE *seen)
{
	static const char *const argv[] = { "curl",
					    "-sS",
					    "--connect-timeout",
					    "5",
					    "--max-time",
					    "15",
					    "http://" LAB_GATEWAY_WAN_ADDRESS ":" STRING(LAB_FORWARDED_PORT) "/",
					    NULL };
	struct lab_job job;
	enum verdict verdict =
		lab_run(lab, &job, LAB_SERVER, argv) == 0 && strstr(job.out, "client1 sees " LAB_SERVER_ADDRESS ":")
			? HOLDS
			: FAILS;

	see_line(seen, "server to " LAB_GATEWAY_WAN_ADDRESS ":" STRING(LAB_FORWARDED_PORT), job.out);
	lab_job_free(&job);
	return verdict;
}

static enum verdict check_refused_tcp(struct lab *lab, FILE *seen)
{
	static const uint16_t port[] = { LAB_REFUSED_PORT, 80 };
	int fd[2], error[2];

	for (int i = 0; i < 2; i++)
		fd[i] = lab_socket(lab, clients[i], SOCK_STREAM, CLIENT_PORT + 2);
	for (int i = 0; i < 2; i++) {
		error[i] = fd[i] < 0 ? fd[i] : lab_connect(fd[i], LAB_SERVER_ADDRESS, port[i], PROBE_TIMEOUT_MS);
		fprintf(seen, "%s, from port %d to port %u: %s\n", lab_host_name(clients[i]), CLIENT_PORT + 2, port[i],
			result(error[i]));
	}
	for (int i = 0; i < 2; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	return error[0] == -ECONNREFUSED && error[1] == 0 ? HOLDS : FAILS;
}

/* One client sends to a closed port, the other to an open one, both from the
 * same port: the ICMP error must reach the first and only the first. */
static enum verdict check_refused_udp(struct lab *lab, FILE *seen)
{
	int closed = udp_to_server(lab, LAB_CLIENT1, 3, LAB_REFUSED_PORT);
	int open = udp_to_server(lab, LAB_CLIENT2, 3, LAB_ECHO_PORT);
	int refused = closed < 0 ? closed : echo(closed, 'x', 64);
	int answered = open < 0 ? open : echo(open, 'y', 64);

	fprintf(seen, "client1, from port %d to port %d: %s\n", CLIENT_PORT + 3, LAB_REFUSED_PORT,
		refused ? strerror(-refused) : "an answer");
	fprintf(seen, "client2, from port %d to port %d: %s\n", CLIENT_PORT + 3, LAB_ECHO_PORT,
		answered ? strerror(-answered) : "an answer");
	if (closed >= 0)
		close(closed);
	if (open >= 0)
		close(open);
	return refused == -ECONNREFUSED && answered == 0 ? HOLDS : FAILS;
}

/* Whether one line of the table has all the words. */
static bool has_connection(const char *table, const char *const words[])
{
	while (*table) {
		size_t len = strcspn(table, "\n");
		char line[1024];
		bool all = true;

		snprintf(line, sizeof(line), "%.*s", (int)len, table);
		for (size_t i = 0; words[i]; i++)
			all = all && strstr(line, words[i]);
		if (all)
			return true;
		table += len + (table[len] == '\n');
	}
	return false;
}

static enum verdict check_table(struct lab *lab, FILE *seen)
{
	static const char *const ours[] = { "yangguan", "conntrack", "-L", NULL };
	static const char *const linux_own[] = { "sh", "-c", "conntrack -L 2>/dev/null", NULL };
	static const char *const wanted[][5] = {
		{ "udp",
		  "src=" LAB_CLIENT1_ADDRESS " dst=" LAB_SERVER_ADDRESS " sport=" STRING(CLIENT_PORT) " dport=7 ",
		  "src=" LAB_SERVER_ADDRESS " dst=" LAB_GATEWAY_WAN_ADDRESS " sport=7 dport=" },
		{ "udp",
		  "src=" LAB_CLIENT2_ADDRESS " dst=" LAB_SERVER_ADDRESS " sport=" STRING(CLIENT_PORT) " dport=7 ",
		  "src=" LAB_SERVER_ADDRESS " dst=" LAB_GATEWAY_WAN_ADDRESS " sport=7 dport=" },
		{ "tcp", "src=" LAB_CLIENT1_ADDRESS " dst=" LAB_SERVER_ADDRESS " ",
		  "src=" LAB_SERVER_ADDRESS " dst=" LAB_GATEWAY_WAN_ADDRESS " sport=80 dport=" },
		{ "tcp", "src=" LAB_SERVER_ADDRESS " dst=" LAB_GATEWAY_WAN_ADDRESS " ",
		  "dport=" STRING(LAB_FORWARDED_PORT) " ",
		  "src=" LAB_CLIENT1_ADDRESS " dst=" LAB_SERVER_ADDRESS " sport=80 " },
	};
	enum verdict verdict = HOLDS;
	struct lab_job job;

	if (lab_run(lab, &job, LAB_GATEWAY, lab->options.forwarder == LAB_KERNEL ? linux_own : ours) != 0)
		verdict = FAILS;
	see_indented(seen, job.out);
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		if (!has_connection(job.out, wanted[i])) {
			fprintf(seen, "missing: %s ... %s ... %s\n", wanted[i][0], wanted[i][1], wanted[i][2]);
			verdict = FAILS;
		}
	}
	lab_job_free(&job);
	return verdict;
}

static enum verdict check_conservation(struct lab *lab, FILE *seen)
{
	static const char *const argv[] = { "yangguan", "stats", NULL };
	struct lab_job job;
	enum verdict verdict = FAILS;

	if (lab->options.forwarder == LAB_KERNEL) {
		fprintf(seen, "Linux keeps no such account\n");
		return SKIPPED;
	}
	if (lab_run(lab, &job, LAB_GATEWAY, argv) == 0)
		verdict = HOLDS;
	see_indented(seen, job.out);
	lab_job_free(&job);
	return verdict;
}

static enum verdict check_stop(struct lab *lab, FILE *seen)
{
	int status;

	if (lab->options.forwarder == LAB_KERNEL) {
		fprintf(seen, "Linux goes on\n");
		return SKIPPED;
	}
	status = lab_gateway_stop(lab);
	fprintf(seen, "SIGTERM: exit status %d\n", status);
	return status == 0 ? HOLDS : FAILS;
}

static const struct {
	const char *name;
	enum verdict (*run)(struct lab *lab, FILE *seen);
} checks[] = {
	{ "HTTP from both clients at once, through masquerade", check_http },
	{ "a download of 100 MB has the right checksum", check_download },
	{ "UDP from both clients, answered to the right one", check_udp },
	{ "ping through the gateway, and to it", check_ping },
	{ "traceroute shows the gateway as a hop", check_traceroute },
	{ "a smaller MTU behind the gateway is learnt by ICMP", check_path_mtu },
	{ "a port forward from the server's side to client1", check_port_forward },
	{ "a refused TCP port: RST reaches the right client", check_refused_tcp },
	{ "a refused UDP port: ICMP reaches the right client", check_refused_udp },
	{ "the connection table has both directions of each", check_table },
	{ "the law of conservation: nothing vanished", check_conservation },
	{ "the gateway ends when asked", check_stop },
};

/* One check: its verdict in a line, and under it what was seen. */
static enum verdict run_check(struct lab *lab, size_t i)
{
	static const char *const words[] = { [FAILS] = "not ok", [HOLDS] = "ok", [SKIPPED] = "skipped" };
	char *text = NULL, *line;
	size_t len = 0;
	FILE *seen = open_memstream(&text, &len);
	enum verdict verdict = FAILS;

	if (seen) {
		verdict = checks[i].run(lab, seen);
		fclose(seen);
	}
	if (lab_stopping(lab)) {
		free(text);
		return FAILS;
	}
	printf("%s %zu - %s\n", words[verdict], i + 1, checks[i].name);
	for (char *rest = text; rest && (line = strsep(&rest, "\n")) != NULL;)
		if (*line)
			printf("        %s\n", line);
	fflush(stdout);
	free(text);
	return verdict;
}

int lab_check_all(struct lab *lab)
{
	unsigned n[3] = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		n[run_check(lab, i)]++;
		if (lab->stopped_by)
			return 1;
	}
	if (n[FAILS])
		printf("\n%u of %zu checks FAIL\n", n[FAILS], ARRAY_LEN(checks));
	else
		printf("\nAll %u checks hold%s\n", n[HOLDS], n[SKIPPED] ? "; the rest is not Linux's to answer" : "");
	return (int)n[FAILS];
}
