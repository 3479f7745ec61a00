/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Words that come without a meaning here: what nft knows and Yangguan does not,
 * each refused by its own name, and words that nobody knows, with the nearest
 * one that would have fitted (edit distance with swaps of neighbours).
 */
#include "daemon/config/config_priv.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"

/* nft(8); what is here and becomes supported leaves the list. */
static const char *const known[] = {
	"ah",         "arp",       "bridge",   "comp",      "dnat-prefix", "dst",      "dup",         "dynset",
	"egress",     "esp",       "ether",    "exthdr",    "fib",         "flow",     "flowtable",   "frag",
	"fwd",        "gre",       "geneve",   "hbh",       "helper",      "ibrpvid",  "igmp",        "ingress",
	"ip6",        "icmpv6",    "ipsec",    "jhash",     "last",        "log",      "map",         "meter",
	"mh",         "monitor",   "netdev",   "numgen",    "osf",         "queue",    "quota",       "rt",
	"secmark",    "skgid",     "skuid",    "socket",    "symhash",     "synproxy", "tproxy",      "tunnel",
	"typeof",     "update",    "vlan",     "vxlan",     "xt",          "nftrace",  "cgroup",      "iifgroup",
	"oifgroup",   "iiftype",   "oiftype",  "rtclassid", "cpu",         "protocol", "priority",    "random",
	"secpath",    "ibrname",   "obrname",  "iifkind",   "oifkind",     "time",     "day",         "hour",
	"expiration", "label",     "l3proto",  "bytes",     "packets",     "avgpkt",   "event",       "count",
	"proto-src",  "proto-dst", "reply",    "ecn",       "hdrlength",   "version",  "checksum",    "option",
	"sequence",   "ackseq",    "window",   "urgptr",    "doff",        "reserved", "gateway",     "mtu",
	"csumcov",    "nexthdr",   "hoplimit", "flowlabel", "timeout",     "dynamic",  "gc-interval", "size",
	"element",    "set",       "counter",  "ct",        "limit",       "rule",     "chain",       "table",
	"ruleset",    "device",    "devices",  "replace",   "rename",      "reset",    "list",        "export",
	"import",     "describe",  "vmap",     "handle",    "index",       "position", "sdif",        "sdifname",
	"iif",        "oif",
};

bool config_refuse_known(struct parser *p, const struct token *t)
{
	if (t->kind != TOK_WORD)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (token_is(t, known[i])) {
			config_err(p, &t->pos, "nft knows \"%s\" here, Yangguan does not yet", known[i]);
			return true;
		}
	}
	return false;
}

/* Optimal string alignment distance, for words of up to WORD_MAX. */
#define WORD_MAX 32

static uint32_t distance(const char *a, size_t n, const char *b, size_t m)
{
	uint32_t row[3][WORD_MAX + 1];

	for (size_t k = 0; k <= m; k++)
		row[0][k] = (uint32_t)k;
	for (size_t i = 1; i <= n; i++) {
		uint32_t *now = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];

		now[0] = (uint32_t)i;
		for (size_t k = 1; k <= m; k++) {
			uint32_t d = up[k - 1] + (a[i - 1] != b[k - 1]);

			d = min_u32(d, min_u32(up[k], now[k - 1]) + 1);
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
				d = min_u32(d, up2[k - 2] + 1);
			now[k] = d;
		}
	}
	return row[n % 3][m];
}

const char *config_nearest(const char *text, size_t len, const char *const *words, size_t n)
{
	const char *best = NULL;
	uint32_t least = len < 4 ? 1 : len < 8 ? 2 : 3, d;

	if (len == 0 || len > WORD_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		if (strlen(words[i]) > WORD_MAX)
			continue;
		d = distance(text, len, words[i], strlen(words[i]));
		if (d <= least && (best == NULL || d < least)) {
			best = words[i];
			least = d;
		}
	}
	return best;
}

bool config_unknown(struct parser *p, const struct token *t, const char *what, const char *const *words, size_t n)
{
	const char *near;

	if (t->kind != TOK_WORD)
		return config_expected(p, what);
	near = config_nearest(t->text, t->len, words, n);
	if (config_refuse_known(p, t))
		return false;
	if (near != NULL)
		config_err(p, &t->pos, "expected %s, found \"%.*s\"; did you mean \"%s\"?", what,
			   (int)(t->len > 64 ? 64 : t->len), t->text, near);
	else
		config_err(p, &t->pos, "expected %s, found \"%.*s\"", what, (int)(t->len > 64 ? 64 : t->len), t->text);
	return false;
}
