/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What the files of the lab share. The process that holds a struct lab is the
 * first of the lab's own process namespace; when it ends, the kernel ends
 * everything else in there.
 */
#ifndef YG_TOOLS_LAB_LAB_PRIV_H
#define YG_TOOLS_LAB_LAB_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum lab_host { LAB_SWITCH, LAB_CLIENT1, LAB_CLIENT2, LAB_GATEWAY, LAB_SERVER, LAB_N_HOSTS };

/* Who forwards between lan0 and wan0. */
enum lab_forwarder { LAB_YANGGUAN, LAB_KERNEL };

enum lab_mode { LAB_STAY, LAB_CHECK };

#define LAB_CLIENT1_ADDRESS "10.77.0.10"
#define LAB_CLIENT2_ADDRESS "10.77.0.20"
#define LAB_GATEWAY_LAN_ADDRESS "10.77.0.1"
#define LAB_GATEWAY_WAN_ADDRESS "203.0.113.1"
#define LAB_SERVER_ADDRESS "203.0.113.254"
/* Behind the server, so that the way there takes the default route. */
#define LAB_SITE_ADDRESS "198.51.100.80"
#define LAB_WAN_MTU 1400
#define LAB_ECHO_PORT 7
#define LAB_REFUSED_PORT 9
#define LAB_FORWARDED_PORT 8080
#define LAB_FILE_BYTES 100000000

/* Everything that the lab writes lies here, on a tmpfs that only it sees. */
#define LAB_DIR "/run/lab"
#define LAB_NETNS_DIR "/run/netns"

struct lab_options {
	enum lab_mode mode;
	enum lab_forwarder forwarder;
	bool ordinary_user;  /* outside; inside the lab everybody is root */
	const char *driver;  /* NULL: the config says nothing of it */
	const char *record;  /* a whole path, for `run --record`; NULL: nothing is recorded */
	const char *program; /* what to type for this program in another terminal */
};

struct lab {
	struct lab_options options;
	int net_fd[LAB_N_HOSTS], uts_fd[LAB_N_HOSTS];
	int signal_fd;  /* SIGINT, SIGTERM, SIGHUP, SIGCHLD, all blocked */
	int stopped_by; /* the signal that asked to stop, or 0 */
	pid_t gateway;  /* 0: not running */
};

/* lab.c */
const char *lab_host_name(enum lab_host host);
/* LAB_N_HOSTS when there is none of that name. */
enum lab_host lab_host_by_name(const char *name);
/* Notes a signal that asks to stop, and tells whether there was one. */
bool lab_stopping(struct lab *lab);

/* lab_world.c: namespaces, mounts, devices. */
/* Forks into new process, mount and network namespaces, and a user namespace
 * when rights are missing. Returns like fork(); *mapped tells of the user
 * namespace. The child must not run before its ids are mapped. */
pid_t lab_world_fork(bool *mapped);
int lab_world_map_ids(pid_t child);
/* Puts the lab's own copy of this program first in PATH. */
void lab_world_path(void);
/* Inside: each prints one sentence and returns -1 when something fails. */
int lab_world_mounts(struct lab *lab);
int lab_world_hosts(struct lab *lab);
int lab_world_devices(struct lab *lab);
/* One sentence and the line that helps, for a kernel that said no. */
void lab_world_explain(const struct lab_options *options, int error);

/* lab_job.c: programs and sockets on the hosts. */
struct lab_job {
	pid_t pid;
	int fd;    /* its standard output and error */
	char *out; /* ends with a 0; lab_job_free frees it */
	size_t len;
	int status; /* exit status, 128 + signal, or -1 when it took too long */
};

/* Moves the calling process to a host's network and host name. */
int lab_enter(const struct lab *lab, enum lab_host host);
/* Starts a program in the background, output to a file under LAB_DIR/log. */
pid_t lab_daemon(struct lab *lab, enum lab_host host, const char *log, const char *const argv[]);
int lab_job_start(struct lab *lab, struct lab_job *job, enum lab_host host, const char *const argv[]);
void lab_job_finish(struct lab *lab, struct lab_job *job, unsigned timeout_ms);
void lab_job_free(struct lab_job *job);
/* Start and finish in one: the exit status, output in *job. */
int lab_run(struct lab *lab, struct lab_job *job, enum lab_host host, const char *const argv[]);
/* The same with input for the program, at most a few kilobytes. */
int lab_run_with(struct lab *lab, struct lab_job *job, enum lab_host host, const char *const argv[], const char *input);
/* A socket on a host, bound to port if that is not 0. -errno on failure. */
int lab_socket(struct lab *lab, enum lab_host host, int type, uint16_t port);
/* Connects; -errno, -ETIMEDOUT after timeout_ms. */
int lab_connect(int fd, const char *address, uint16_t port, unsigned timeout_ms);
/* Waits for input: 0, or -ETIMEDOUT. */
int lab_readable(int fd, unsigned timeout_ms);
int lab_write_file(const char *path, const char *text);
uint64_t lab_now_ms(void);

/* lab_hosts.c: what runs on server and clients. */
int lab_hosts_start(struct lab *lab);
/* The SHA-256 of the file that the server offers, in hexadecimal. */
const char *lab_hosts_checksum(struct lab *lab, struct lab_job *job);

/* lab_gateway.c */
int lab_gateway_start(struct lab *lab);
/* Exit status of the gateway, 128 + signal, or -1 when it had to be killed. */
int lab_gateway_stop(struct lab *lab);
void lab_gateway_print_config(const struct lab *lab, FILE *to);

/* lab_check.c: the number of checks that do not hold. */
int lab_check_all(struct lab *lab);

/* lab_sh.c: how another terminal finds a running lab. */
/* Publishes the lab's first process; the file vanishes in meaning with the
 * descriptor, which holds a lock on it. -1 and a sentence on failure. */
int lab_sh_publish(pid_t init, char *path, size_t size);
int lab_sh_main(int argc, char **argv);

#endif
