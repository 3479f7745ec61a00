/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What runs on the lab's server and clients: nginx on the server, with a page
 * that says who asks and a large file; nginx on client1, for the port forward;
 * and a UDP echo on the server. The services are there when lab_hosts_start
 * returns: it has spoken with each.
 *
 * nginx runs as the root of the lab, since an ordinary user's namespace has no
 * other user to change to.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/lab/lab_priv.h"

#define START_TIMEOUT_MS 10000

/* %1$s is the name of the host. */
/* clang-format off */
static const char nginx_config[] =
	"user root root;\n"
	"daemon off;\n"
	"worker_processes 1;\n"
	"error_log stderr;\n"
	"pid " LAB_DIR "/%1$s/pid;\n"
	"events { worker_connections 512; }\n"
	"http {\n"
	"    access_log off;\n"
	"    sendfile on;\n"
	"    tcp_nopush on;\n"
	"    client_max_body_size 200m;\n"
	"    client_body_temp_path " LAB_DIR "/%1$s/body;\n"
	"    proxy_temp_path " LAB_DIR "/%1$s/proxy;\n"
	"    fastcgi_temp_path " LAB_DIR "/%1$s/fastcgi;\n"
	"    uwsgi_temp_path " LAB_DIR "/%1$s/uwsgi;\n"
	"    scgi_temp_path " LAB_DIR "/%1$s/scgi;\n"
	"    default_type text/plain;\n"
	"    server {\n"
	"        listen 80;\n"
	"        root " LAB_DIR "/%1$s/www;\n"
	"        location = / { return 200 \"%1$s sees $remote_addr:$remote_port\\n\"; }\n"
	"    }\n"
	"}\n";
/* clang-format on */

static int make_file(const char *path)
{
	enum { CHUNK_WORDS = 125000 };
	uint64_t *chunk = malloc(CHUNK_WORDS * sizeof(*chunk));
	uint64_t x = 0x9e3779b97f4a7c15;
	FILE *file = fopen(path, "we");
	size_t left = LAB_FILE_BYTES / (CHUNK_WORDS * sizeof(*chunk));

	/* xorshift: no two chunks are alike, so a chunk that is lost, doubled or
	 * out of its place changes the checksum. */
	while (chunk && file && left > 0) {
		for (size_t i = 0; i < CHUNK_WORDS; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			chunk[i] = x;
		}
		if (fwrite(chunk, sizeof(*chunk), CHUNK_WORDS, file) != CHUNK_WORDS)
			break;
		left--;
	}
	free(chunk);
	if (!file || fclose(file) != 0 || left > 0) {
		fprintf(stderr, "yangguan lab: cannot write %s (%d MB): %s\n", path, LAB_FILE_BYTES / 1000000,
			strerror(errno));
		return -1;
	}
	return 0;
}

/* Tries until the port of a program that was just started answers. */
static int wait_for_port(struct lab *lab, enum lab_host host, uint16_t port)
{
	uint64_t until = lab_now_ms() + START_TIMEOUT_MS;

	while (lab_now_ms() < until && !lab_stopping(lab)) {
		int fd = lab_socket(lab, host, SOCK_STREAM, 0);
		int error = fd < 0 ? fd : lab_connect(fd, "127.0.0.1", port, 1000);

		if (fd >= 0)
			close(fd);
		if (error == 0)
			return 0;
		poll(NULL, 0, 10);
	}
	return -ETIMEDOUT;
}

static int print_log(const char *path)
{
	char line[512];
	FILE *file = fopen(path, "re");

	while (file && fgets(line, sizeof(line), file))
		fprintf(stderr, "    %s", line);
	if (file)
		fclose(file);
	return -1;
}

static int start_nginx(struct lab *lab, enum lab_host host)
{
	const char *name = lab_host_name(host);
	char folder[64], www[80], config[80], log[80], text[2048];
	const char *argv[] = { "nginx", "-e", "stderr", "-p", folder, "-c", config, NULL };

	snprintf(folder, sizeof(folder), LAB_DIR "/%s", name);
	snprintf(www, sizeof(www), "%s/www", folder);
	snprintf(config, sizeof(config), "%s/nginx.conf", folder);
	snprintf(log, sizeof(log), LAB_DIR "/log/nginx-%s", name);
	snprintf(text, sizeof(text), nginx_config, name);
	if (mkdir(folder, 0755) != 0 || mkdir(www, 0755) != 0 || lab_write_file(config, text) != 0) {
		fprintf(stderr, "yangguan lab: %s: %s\n", folder, strerror(errno));
		return -1;
	}
	if (lab_daemon(lab, host, log, argv) < 0)
		return -1;
	if (wait_for_port(lab, host, 80) != 0) {
		fprintf(stderr, "yangguan lab: nginx on %s does not answer; what it said:\n", name);
		return print_log(log);
	}
	return 0;
}

/* Sends each datagram back to where it came from, for as long as the lab lives. */
static _Noreturn void echo_main(int fd)
{
	static char buffer[65536];

	for (;;) {
		struct sockaddr_in peer;
		socklen_t peer_len = sizeof(peer);
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		ssize_t n = recvfrom(fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&peer, &peer_len);

		if (n >= 0)
			(void)!sendto(fd, buffer, (size_t)n, 0, (const struct sockaddr *)&peer, peer_len);
		else
			poll(&pfd, 1, -1);
	}
}

static int start_echo(struct lab *lab)
{
	int fd = lab_socket(lab, LAB_SERVER, SOCK_DGRAM, LAB_ECHO_PORT);
	pid_t pid;

	if (fd < 0) {
		fprintf(stderr, "yangguan lab: no UDP socket on the server: %s\n", strerror(-fd));
		return -1;
	}
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		prctl(PR_SET_NAME, "udp-echo");
		echo_main(fd);
	}
	close(fd);
	return pid < 0 ? -1 : 0;
}

int lab_hosts_start(struct lab *lab)
{
	if (start_nginx(lab, LAB_SERVER) != 0 || start_nginx(lab, LAB_CLIENT1) != 0 || start_echo(lab) != 0)
		return -1;
	return make_file(LAB_DIR "/server/www/file");
}

const char *lab_hosts_checksum(struct lab *lab, struct lab_job *job)
{
	static const char *const argv[] = { "sha256sum", LAB_DIR "/server/www/file", NULL };

	if (lab_run(lab, job, LAB_SERVER, argv) == 0)
		job->out[strcspn(job->out, " \n")] = '\0';
	return job->out;
}
