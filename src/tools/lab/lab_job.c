/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Programs and sockets on the hosts of the lab.
 *
 * A program is started in a process group of its own, so that Ctrl-C reaches
 * only the lab's first process, which then puts things down in order. A job
 * owns a pipe and what was read from it until lab_job_free. Everything that is
 * waited for has a time limit, and a signal that asks the lab to stop ends it.
 *
 * A socket belongs for life to the network that it was made in, so the lab
 * makes sockets on a host by going there for a moment.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tools/lab/lab_priv.h"

#define JOB_TIMEOUT_MS 20000

uint64_t lab_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int lab_write_file(const char *path, const char *text)
{
	size_t len = strlen(text);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ssize_t n;
	int error;

	if (fd < 0)
		return -1;
	n = write(fd, text, len);
	error = errno;
	close(fd);
	errno = error;
	return n == (ssize_t)len ? 0 : -1;
}

int lab_enter(const struct lab *lab, enum lab_host host)
{
	if (setns(lab->net_fd[host], CLONE_NEWNET) == 0 && setns(lab->uts_fd[host], CLONE_NEWUTS) == 0)
		return 0;
	fprintf(stderr, "yangguan lab: cannot go to %s: %s\n", lab_host_name(host), strerror(errno));
	return -1;
}

/* The child's half of a fork; in and out become its standard streams. */
static _Noreturn void become(struct lab *lab, enum lab_host host, int in, int out, const char *const argv[])
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	setpgid(0, 0);
	if (dup2(in, 0) >= 0 && dup2(out, 1) >= 0 && dup2(out, 2) >= 0 && lab_enter(lab, host) == 0) {
		/* exec does not write to its arguments. */
		union {
			const char *const *in;
			char **out;
		} args = { .in = argv };

		execvp(argv[0], args.out);
		dprintf(2, "%s: %s\n", argv[0], strerror(errno));
	}
	_exit(127);
}

static pid_t start(struct lab *lab, enum lab_host host, int in, int out, const char *const argv[])
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		become(lab, host, in, out, argv);
	return pid;
}

pid_t lab_daemon(struct lab *lab, enum lab_host host, const char *log, const char *const argv[])
{
	int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int out = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	pid_t pid = -1;

	if (in >= 0 && out >= 0)
		pid = start(lab, host, in, out, argv);
	if (pid < 0)
		fprintf(stderr, "yangguan lab: cannot start %s: %s\n", argv[0], strerror(errno));
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return pid;
}

static int start_job(struct lab *lab, struct lab_job *job, enum lab_host host, const char *const argv[], int in)
{
	int ends[2];

	*job = (struct lab_job){ .pid = -1, .fd = -1, .status = -1 };
	job->out = calloc(1, 1);
	if (!job->out || pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	job->pid = start(lab, host, in, ends[1], argv);
	close(ends[1]);
	job->fd = ends[0];
	return job->pid < 0 ? -1 : 0;
}

int lab_job_start(struct lab *lab, struct lab_job *job, enum lab_host host, const char *const argv[])
{
	int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int status = start_job(lab, job, host, argv, in);

	if (in >= 0)
		close(in);
	return status;
}

/* Reads what is there: 1 for more to come, 0 at the end. */
static int read_some(struct lab_job *job)
{
	char buffer[4096];
	ssize_t n = read(job->fd, buffer, sizeof(buffer));
	char *grown;

	if (n <= 0)
		return n < 0 && errno == EINTR;
	grown = realloc(job->out, job->len + (size_t)n + 1);
	if (!grown)
		return 0;
	job->out = grown;
	memcpy(job->out + job->len, buffer, (size_t)n);
	job->len += (size_t)n;
	job->out[job->len] = '\0';
	return 1;
}

void lab_job_finish(struct lab *lab, struct lab_job *job, unsigned timeout_ms)
{
	uint64_t until = lab_now_ms() + timeout_ms;
	bool in_time = true, open = job->fd >= 0;
	int status = 0;

	while (open && in_time) {
		struct pollfd fds[] = { { .fd = job->fd, .events = POLLIN },
					{ .fd = lab->signal_fd, .events = POLLIN } };
		uint64_t now = lab_now_ms();

		in_time = now < until && !lab_stopping(lab);
		if (in_time && poll(fds, 2, (int)(until - now)) > 0 && fds[0].revents)
			open = read_some(job);
	}
	if (job->pid > 0) {
		if (!in_time)
			kill(-job->pid, SIGKILL);
		while (waitpid(job->pid, &status, 0) < 0 && errno == EINTR)
			;
		if (in_time)
			job->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	if (job->fd >= 0)
		close(job->fd);
	job->fd = -1;
	job->pid = -1;
}

void lab_job_free(struct lab_job *job)
{
	free(job->out);
	job->out = NULL;
}

int lab_run(struct lab *lab, struct lab_job *job, enum lab_host host, const char *const argv[])
{
	lab_job_start(lab, job, host, argv);
	lab_job_finish(lab, job, JOB_TIMEOUT_MS);
	return job->status;
}

int lab_run_with(struct lab *lab, struct lab_job *job, enum lab_host host, const char *const argv[], const char *input)
{
	size_t len = strlen(input);
	int ends[2];

	/* What fits into the pipe needs nobody to feed it. */
	if (pipe2(ends, O_CLOEXEC) != 0)
		return lab_run(lab, job, host, argv);
	if (write(ends[1], input, len) != (ssize_t)len)
		fprintf(stderr, "yangguan lab: input for %s was cut\n", argv[0]);
	close(ends[1]);
	start_job(lab, job, host, argv, ends[0]);
	close(ends[0]);
	lab_job_finish(lab, job, JOB_TIMEOUT_MS);
	return job->status;
}

int lab_socket(struct lab *lab, enum lab_host host, int type, uint16_t port)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = -1, one = 1, error = 0;

	if (lab_enter(lab, host) != 0)
		return -EIO;
	fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && port != 0 &&
	    (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
	     bind(fd, (const struct sockaddr *)&any, sizeof(any)) != 0)) {
		error = errno;
		close(fd);
		fd = -1;
	}
	lab_enter(lab, LAB_SWITCH);
	return fd >= 0 ? fd : error ? -error : -errno;
}

int lab_readable(int fd, unsigned timeout_ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, (int)timeout_ms) > 0 ? 0 : -ETIMEDOUT;
}

int lab_connect(int fd, const char *address, uint16_t port, unsigned timeout_ms)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	int error = 0;
	socklen_t len = sizeof(error);

	inet_pton(AF_INET, address, &to.sin_addr);
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	if (poll(&pfd, 1, (int)timeout_ms) <= 0)
		return -ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	return -error;
}
