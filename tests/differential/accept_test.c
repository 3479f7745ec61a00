/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Hundreds of small rulesets, each read by us and by `nft -c`: both take it, or
 * both refuse it. Where we differ a row says why, and the difference must be
 * there: a row that has become untrue fails as well. Would catch a word that is
 * taken and means nothing, and a file of a kernel gateway that does not load.
 *
 * The rows were held against nft 1.0.6. Other versions are asked too, but what
 * they say otherwise is printed only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accept_rows.h"
#include "base/util.h"
#include "daemon/config/config.h"
#include "dut.h"

#define EXIT_SKIP 77
#define NFT_KNOWN "nftables v1.0.6"

const char dut_rules[] = "\n";

enum verdict { REFUSED, TAKEN };

static void full_text(const char *row, char *text, size_t size)
{
	static const struct {
		char letter;
		const char *head, *tail;
	} around[] = {
		{ 'F', "table ip t {\nchain f { type filter hook forward priority 0\n", "\n}\n}\n" },
		{ 'I', "table inet t {\nchain f { type nat hook postrouting priority 100\n", "\n}\n}\n" },
		{ 'N', "table ip t {\nchain f { type nat hook prerouting priority -100\n", "\n}\n}\n" },
		{ 'T', "table ip t {\n", "\n}\n" },
		{ '-', "", "\n" },
	};
	uint32_t i = 0;
	char *at;

	while (around[i].letter != row[0])
		if (++i == ARRAY_LEN(around))
			dut_die("a row without its letter: %s", row);
	snprintf(text, size, "%s%s%s", around[i].head, row + 2, around[i].tail);
	while ((at = strstr(text, " // ")) != NULL)
		memcpy(at, "   \n", 4);
}

static enum verdict ours(const char *text, char **said)
{
	struct config_errors *errors;
	struct config *c = config_read_text("row", text, strlen(text), &errors);
	enum verdict v = c != NULL ? TAKEN : REFUSED;

	*said = config_errors_text(errors);
	config_errors_free(errors);
	config_free(c);
	return v;
}

static enum verdict nfts(const char *text)
{
	FILE *f = popen("nft -c -f - >/dev/null 2>&1", "w");

	if (f == NULL)
		dut_die("nft cannot be run");
	fputs(text, f);
	return pclose(f) == 0 ? TAKEN : REFUSED;
}

static bool known_version(void)
{
	FILE *f = popen("nft --version", "r");
	char line[256] = "";

	if (f == NULL || fgets(line, sizeof(line), f) == NULL)
		line[0] = '\0';
	if (f != NULL)
		pclose(f);
	printf("%s", line);
	return strncmp(line, NFT_KNOWN, strlen(NFT_KNOWN)) == 0;
}

struct tally {
	bool known;
	uint32_t n, n_bad;
};

static void ask(struct tally *t, const struct row *row, size_t n, enum verdict we, enum verdict they)
{
	static const char *const words[] = { [REFUSED] = "refused", [TAKEN] = "taken" };

	for (size_t i = 0; i < n; i++) {
		enum verdict got_us, got_them;
		char text[2048], *said;
		bool bad;

		full_text(row[i].text, text, sizeof(text));
		got_us = ours(text, &said);
		got_them = nfts(text);
		bad = got_us != we || (got_them != they && t->known);
		if (bad || got_them != they)
			printf("%s: %s by us, %s by nft%s%s%s\n%s", row[i].text, words[got_us], words[got_them],
			       row[i].why != NULL ? " (" : "", row[i].why != NULL ? row[i].why : "",
			       row[i].why != NULL ? ")" : "", said != NULL ? said : "");
		t->n++;
		t->n_bad += bad;
		free(said);
	}
}

int main(void)
{
	struct tally t = { 0 };

	if (system("nft --version >/dev/null 2>&1") != 0) {
		printf("skipped: nft is not installed\n");
		return EXIT_SKIP;
	}
	if (!dut_enter() || nfts("table ip t {\nchain f { type nat hook prerouting priority 0\n}\n}\n") != TAKEN) {
		printf("skipped: this system forbids user namespaces, or nft in them\n");
		return EXIT_SKIP;
	}
	t.known = known_version();
	ask(&t, taken, ARRAY_LEN(taken), TAKEN, TAKEN);
	ask(&t, refused, ARRAY_LEN(refused), REFUSED, REFUSED);
	ask(&t, stricter, ARRAY_LEN(stricter), REFUSED, TAKEN);
	ask(&t, wider, ARRAY_LEN(wider), TAKEN, REFUSED);
	printf("%u rulesets, %u judged otherwise than they should be\n", t.n, t.n_bad);
	return t.n_bad != 0;
}
