/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The lab's gateway: `yangguan run` with a config file, or Linux itself.
 *
 * One config serves both. Its first half names interfaces and routes; its
 * second half is nft's own language, which nft reads as it is. Yangguan is
 * ready when it says so; what it says goes to a log in the lab.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tools/lab/lab_priv.h"

#define CONFIG_PATH LAB_DIR "/yangguan.conf"
#define LOG_PATH LAB_DIR "/log/gateway"
#define START_TIMEOUT_MS 20000
#define STOP_TIMEOUT_MS 8000
#define STRING_(x) #x
#define STRING(x) STRING_(x)

/* clang-format off */
static const char tables[] =
	"table ip nat {\n"
	"    chain prerouting {\n"
	"        type nat hook prerouting priority dstnat; policy accept;\n"
	"        iifname \"wan0\" tcp dport " STRING(LAB_FORWARDED_PORT) " dnat to " LAB_CLIENT1_ADDRESS ":80\n"
	"    }\n"
	"    chain postrouting {\n"
	"        type nat hook postrouting priority srcnat; policy accept;\n"
	"        oifname \"wan0\" ip saddr 10.77.0.0/24 masquerade\n"
	"    }\n"
	"}\n"
	"table ip filter {\n"
	"    chain forward {\n"
	"        type filter hook forward priority filter; policy drop;\n"
	"        ct state established,related accept\n"
	"        ct state invalid drop\n"
	"        iifname \"lan0\" accept\n"
	"        iifname \"wan0\" ip daddr " LAB_CLIENT1_ADDRESS " tcp dport 80 accept\n"
	"    }\n"
	"}\n";
/* clang-format on */

void lab_gateway_print_config(const struct lab *lab, FILE *to)
{
	char driver[64] = "";

	if (lab->options.driver)
		snprintf(driver, sizeof(driver), " driver %s;", lab->options.driver);
	if (lab->options.forwarder == LAB_YANGGUAN)
		fprintf(to,
			"interface lan0 { address " LAB_GATEWAY_LAN_ADDRESS "/24;%s }\n"
			"interface wan0 { address " LAB_GATEWAY_WAN_ADDRESS "/24;%s }\n"
			"route 0.0.0.0/0 via " LAB_SERVER_ADDRESS ";\n"
			"\n",
			driver, driver);
	fputs(tables, to);
}

static int start_kernel(struct lab *lab)
{
	static const char addresses[] = "addr add " LAB_GATEWAY_LAN_ADDRESS "/24 dev lan0\n"
					"addr add " LAB_GATEWAY_WAN_ADDRESS "/24 dev wan0\n"
					"route add default via " LAB_SERVER_ADDRESS "\n";
	static const char *const ip[] = { "ip", "-batch", "-", NULL };
	static const char *const nft[] = { "nft", "-f", "-", NULL };
	struct lab_job job;
	int status = lab_run_with(lab, &job, LAB_GATEWAY, ip, addresses);

	if (status == 0) {
		lab_job_free(&job);
		status = lab_run_with(lab, &job, LAB_GATEWAY, nft, tables);
	}
	if (status != 0)
		fprintf(stderr, "yangguan lab: Linux does not become a gateway: %s\n", job.out);
	lab_job_free(&job);
	if (status == 0 &&
	    (lab_enter(lab, LAB_GATEWAY) != 0 || lab_write_file("/proc/sys/net/ipv4/ip_forward", "1") != 0)) {
		fprintf(stderr, "yangguan lab: Linux does not forward: %s\n", strerror(errno));
		status = -1;
	}
	lab_enter(lab, LAB_SWITCH);
	return status == 0 ? 0 : -1;
}

/* Whether `run` has written its line `ready`: from then on it forwards. */
static bool log_says_ready(void)
{
	char line[512];
	FILE *file = fopen(LOG_PATH, "re");
	bool ready = false;

	while (file && !ready && fgets(line, sizeof(line), file))
		ready = strcmp(line, "ready\n") == 0;
	if (file)
		fclose(file);
	return ready;
}

static void print_log(void)
{
	char line[512];
	FILE *file = fopen(LOG_PATH, "re");

	while (file && fgets(line, sizeof(line), file))
		fprintf(stderr, "    %s", line);
	if (file)
		fclose(file);
}

static int wait_ready(struct lab *lab)
{
	uint64_t until = lab_now_ms() + START_TIMEOUT_MS;
	int status;

	while (!log_says_ready()) {
		if (lab_stopping(lab))
			return -1;
		if (waitpid(lab->gateway, &status, WNOHANG) == lab->gateway) {
			fprintf(stderr, "yangguan lab: the gateway ended (status 0x%x); what it said:\n", status);
			print_log();
			lab->gateway = 0;
			return -1;
		}
		if (lab_now_ms() >= until) {
			fprintf(stderr, "yangguan lab: the gateway is not ready after %d s; what it said:\n",
				START_TIMEOUT_MS / 1000);
			print_log();
			return -1;
		}
		poll(NULL, 0, 10);
	}
	return 0;
}

int lab_gateway_start(struct lab *lab)
{
	const char *record = lab->options.record;
	/* NOLINTNEXTLINE(bugprone-suspicious-missing-comma): a path of two strings */
	const char *const argv[] = { "yangguan", "run", "-c", CONFIG_PATH, record ? "--record" : NULL, record, NULL };
	FILE *file;

	if (lab->options.forwarder == LAB_KERNEL)
		return start_kernel(lab);
	file = fopen(CONFIG_PATH, "we");
	if (!file) {
		fprintf(stderr, "yangguan lab: %s: %s\n", CONFIG_PATH, strerror(errno));
		return -1;
	}
	lab_gateway_print_config(lab, file);
	fclose(file);
	lab->gateway = lab_daemon(lab, LAB_GATEWAY, LOG_PATH, argv);
	return lab->gateway < 0 ? -1 : wait_ready(lab);
}

int lab_gateway_stop(struct lab *lab)
{
	uint64_t until = lab_now_ms() + STOP_TIMEOUT_MS;
	int status;

	if (lab->gateway <= 0)
		return 0;
	kill(lab->gateway, SIGTERM);
	while (waitpid(lab->gateway, &status, WNOHANG) != lab->gateway) {
		if (lab_now_ms() >= until) {
			fprintf(stderr, "yangguan lab: the gateway does not end, killing it\n");
			kill(lab->gateway, SIGKILL);
			waitpid(lab->gateway, &status, 0);
			lab->gateway = 0;
			return -1;
		}
		poll(NULL, 0, 10);
	}
	lab->gateway = 0;
	status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	if (status != 0)
		print_log();
	return status;
}
