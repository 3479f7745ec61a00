/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Any bytes as captures from elsewhere: the file `lan0` comes in on one side, `wan0`
 * on the other, each a capture of any kind that libpcap reads. Whatever is in them,
 * the law of conservation must hold.
 */
#include "replay_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char config[] = "limits { packets 256; large packets 16; neighbours 64; reassembly 16; }\n"
			     "conntrack { size 64; fragments 16; }\n"
			     "interface lan0 { address 10.77.0.1/24; }\n"
			     "interface wan0 { address 203.0.113.1/24; mtu 1400; }\n"
			     "route 0.0.0.0/0 via 203.0.113.254;\n"
			     "pool public { 203.0.113.16/30; mapping endpoint-independent; }\n"
			     "table ip nat {\n"
			     "\tchain pre { type nat hook prerouting priority dstnat; policy accept;\n"
			     "\t\tiifname \"wan0\" tcp dport 8080 dnat to 10.77.0.10:80\n\t}\n"
			     "\tchain post { type nat hook postrouting priority srcnat; policy accept;\n"
			     "\t\toifname \"wan0\" ip saddr 10.77.0.128/25 masquerade\n"
			     "\t\toifname \"wan0\" snat to pool public\n\t}\n}\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char command[] = "replay", c[] = "-c", in[] = "--in", conf[128], lan[128], wan[128];
	char explain[] = "--explain";
	char *argv[] = { command, c, conf, in, lan, in, wan, explain, NULL };

	open_dir();
	put_files(data, len);
	put_file("conf", (const uint8_t *)config, sizeof(config) - 1);
	snprintf(conf, sizeof(conf), "%s/conf", the_dir.path);
	snprintf(lan, sizeof(lan), "lan0=%s/lan0", the_dir.path);
	snprintf(wan, sizeof(wan), "wan0=%s/wan0", the_dir.path);
	char *said = run_both(8, argv);
	if (strstr(said, "does NOT hold") != NULL)
		abort();
	free(said);
	remove_files();
	return 0;
}
