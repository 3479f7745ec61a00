/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The config language as its user meets it: messages compared letter by letter with testdata/errors/ (YG_UPDATE=1
 * writes them again), the files in examples/, includes and definitions, and the output of the real nft.
 */
#include <glob.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/config/config_fixture.h"
#include "daemon/config/config_policy.h"
#include "routing/policy/policy_fixture.h"

#define PATH_BYTES 512

/* A path below this file's folder, wherever the test runs. */
static char *beside(const char *name, char path[PATH_BYTES])
{
	snprintf(path, PATH_BYTES, "%s/%s", YG_TEST_FOLDER, name);
	return path;
}

static char *read_all(const char *path, size_t *len)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 20);

	assert_non_null(text);
	*len = f == NULL ? 0 : fread(text, 1, (1 << 20) - 1, f);
	if (f != NULL)
		fclose(f);
	return text;
}

/* Would catch a message that lost its place, its text or its caret. */
static void test_messages(void **state)
{
	char pattern[PATH_BYTES], want_path[PATH_BYTES];
	glob_t g;

	assert_int_equal(glob(beside("testdata/errors/*.conf", pattern), 0, NULL, &g), 0);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct config_errors *errors;
		size_t len, want_len;
		char *text = read_all(g.gl_pathv[i], &len), *want, *got;
		struct config *c = config_read_text(basename(g.gl_pathv[i]), text, len, &errors);
		FILE *f;

		snprintf(want_path, sizeof(want_path), "%.*s.txt", (int)strlen(g.gl_pathv[i]) - 5, g.gl_pathv[i]);
		got = config_errors_text(errors);
		assert_non_null(got);
		if (getenv("YG_UPDATE") != NULL) {
			f = fopen(want_path, "w");
			assert_non_null(f);
			fputs(got, f);
			fclose(f);
		}
		want = read_all(want_path, &want_len);
		assert_string_equal(got, want);
		assert_int_equal(c == NULL, config_n_errors(errors) > 0);
		free(text);
		free(want);
		free(got);
		config_errors_free(errors);
		config_free(c);
	}
	assert_true(g.gl_pathc >= 5);
	globfree(&g);
}

/* Every file that we show to people passes without even a note. */
static void test_examples(void **state)
{
	char pattern[PATH_BYTES];
	glob_t g;

	assert_int_equal(glob(beside("../../../examples/*.conf", pattern), 0, NULL, &g), 0);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct config_errors *errors;
		struct config *c = config_read_file(g.gl_pathv[i], &errors);

		config_errors_print(errors, stderr);
		assert_non_null(c);
		assert_null(errors);
		config_free(c);
	}
	globfree(&g);
}

/* The examples inside docs/config.md: every block fenced as ```yangguan. */
static void test_docs(void **state)
{
	static const char fence[] = "```yangguan\n";
	char path[PATH_BYTES];
	size_t len, n = 0;
	char *text = read_all(beside("../../../docs/config.md", path), &len), *at = text, *end;

	while ((at = strstr(at, fence)) != NULL) {
		at += strlen(fence);
		end = strstr(at, "```");
		assert_non_null(end);
		*end = '\0';
		config_free(load(at));
		at = end + 1;
		n++;
	}
	assert_true(n > 0);
	free(text);
}

/* What the example of docs/policy.md makes of a prefix with such an AS_PATH. */
static bool example_takes(const struct config *c, struct ip4_prefix prefix, uint32_t as)
{
	static uint8_t set[BGP_SET_MAX];
	static struct policy_attrs attrs;
	const struct policy_fixture_set s = { .path = { as, 64000 }, .next_hop = 1, .community = { 64500u << 16 | 1 } };
	const struct policy_path path = {
		.prefix = prefix, .set = policy_fixture_write(set, &s), .source = POLICY_RTS_BGP, .proto = "transit-a"
	};
	struct policy_verdict v;

	policy_attrs_start(&attrs, path.set);
	policy_run(c->policy->program, config_policy_find(c->policy, "from-transit"), &path, &attrs, &v);
	if (v.is_accepted)
		assert_true(attrs.number[POLICY_LOCAL_PREF] == 150 && attrs.n_prepended == 1 &&
			    policy_attrs_list_len(&attrs, POLICY_COMMUNITIES) == 2);
	return v.is_accepted;
}

static void test_policy_docs(void **state)
{
	static const char fence[] = "```policy\n";
	char path[PATH_BYTES], text[4096];
	size_t len;
	char *docs = read_all(beside("../../../docs/policy.md", path), &len), *at = strstr(docs, fence), *end;

	assert_non_null(at);
	at += strlen(fence);
	end = strstr(at, "```");
	assert_true(end != NULL && (size_t)(end - at) < sizeof(text) - 20);
	(void)snprintf(text, sizeof(text), "policy {\n%.*s}\n", (int)(end - at), at);
	struct config *c = load(text);

	assert_true(example_takes(c, (struct ip4_prefix){ IP4(198, 0, 0, 0), 24 }, 1));
	assert_false(example_takes(c, (struct ip4_prefix){ IP4(198, 0, 0, 0), 25 }, 1));
	assert_false(example_takes(c, (struct ip4_prefix){ IP4(10, 1, 0, 0), 16 }, 1));
	assert_false(example_takes(c, (struct ip4_prefix){ IP4(198, 0, 0, 0), 24 }, 64512));
	config_free(c);
	free(docs);
}

struct priority_row {
	const char *text;
	int32_t want;
	const char *hook; /* NULL: output */
};

static void test_base_chains(void **state)
{
	static const struct priority_row rows[] = {
		{ "raw", -300 },     { "mangle", -150 },
		{ "dstnat", -100 },  { "filter", 0 },
		{ "security", 50 },  { "srcnat", 100, "postrouting" },
		{ "-5", -5 },        { "17", 17 },
		{ "filter + 5", 5 }, { "mangle - 10", -160 },
	};
	char text[256];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(text, sizeof(text),
			 "table inet t { chain c { type filter hook %s priority %s; policy drop; } }",
			 rows[i].hook != NULL ? rows[i].hook : "output", rows[i].text);
		struct config *c = load(text);

		assert_true(c->rules.table[0].inet);
		assert_int_equal(c->rules.table[0].chain[0].priority, rows[i].want);
		assert_int_equal(c->rules.table[0].chain[0].hook, rows[i].hook ? HOOK_POSTROUTING : HOOK_OUTPUT);
		assert_true(c->rules.table[0].chain[0].policy_drop);
		config_free(c);
	}
}

/* nft's commands around tables: a file is a list of them. */
static void test_commands(void **state)
{
	struct config *c =
		load("table ip gone { chain x { accept; } }\nflush ruleset\n"
		     "add table ip t\nadd chain ip t c { type filter hook input priority 0; policy accept; }\n"
		     "add rule ip t c tcp dport 22 accept\ninsert rule ip t c ip saddr 10.0.0.1 drop\n"
		     "table t { chain c { counter; }\n chain d { } }\n"
		     "table ip old { }\ndelete table ip old\ntable inet keep { chain a { accept; } }\n"
		     "flush table inet keep\n");

	assert_int_equal(c->rules.n_tables, 2);
	assert_string_equal(c->rules.table[0].name, "t");
	assert_int_equal(c->rules.table[0].n_chains, 2);
	assert_int_equal(c->rules.table[0].chain[0].n_rules, 3);
	assert_string_equal(c->rules.table[0].chain[0].rule[0].text, "ip saddr 10.0.0.1 drop");
	assert_string_equal(c->rules.table[0].chain[0].rule[2].text, "counter");
	assert_int_equal(c->rules.table[1].chain[0].n_rules, 0);
	config_free(c);
}

/* Definitions hold anything, other definitions too, and are replaced and forgotten. */
static void test_definitions(void **state)
{
	struct config *c =
		load("define a = 10.0.0.1\ndefine both = { $a, 10.0.0.2 }\nredefine a = 10.0.0.3\n"
		     "define verdict = accept\n"
		     "table ip t { define inner = 22; chain c { ip saddr $both tcp dport { $inner, 23 } $verdict\n"
		     " ip saddr $a drop } }\n");
	const struct rule_chain *ch = &c->rules.table[0].chain[0];

	assert_int_equal(ch->n_rules, 2);
	assert_int_equal(ch->rule[0].n_stmts, 3);
	assert_int_equal(ch->rule[0].stmt[0].match.range[0].lo, IP4(10, 0, 0, 1));
	assert_int_equal(ch->rule[1].stmt[0].match.range[0].lo, IP4(10, 0, 0, 3));
	assert_string_equal(ch->rule[0].text, "ip saddr $both tcp dport { $inner, 23 } $verdict");
	config_free(c);
	refused("define a = 1\nundefine a\ntable t { chain c { tcp dport $a drop; } }", "nothing is defined as \"a\"");
	refused("define a = {\n", "expected a value, found the end of the file");
}

/* What doubles with each line must not take the machine with it. */
static void test_definitions_explode(void **state)
{
	struct config_errors *errors;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	fputs("define a0 = 1, 1\n", f);
	for (int i = 1; i < 60; i++)
		fprintf(f, "define a%d = $a%d, $a%d\n", i, i - 1, i - 1);
	fclose(f);
	assert_null(config_read_text("test", text, len, &errors));
	assert_true(config_n_errors(errors) > 0);
	config_errors_free(errors);
	free(text);
}

static void put(const char *dir, const char *name, const char *text)
{
	char path[PATH_BYTES];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static char *error_of(const char *dir, const char *name)
{
	struct config_errors *errors;
	char path[PATH_BYTES], *text;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_null(config_read_file(path, &errors));
	text = config_errors_text(errors);
	config_errors_free(errors);
	return text;
}

/* A device may do something when it is read, and a pipe waits for somebody: neither is opened. A file that only looks
 * like one (here the kernel's log, where it may be opened) does not hold us up. */
static void include_what_is_no_file(const char *dir)
{
	static const char *const names[] = { "/dev/zero", "/dev/null", "fifo", "." };
	char path[PATH_BYTES], *text;

	snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "include \"%s\"\n", names[i]);
		put(dir, "special.conf", path);
		text = error_of(dir, "special.conf");
		if (strstr(text, "special.conf:1:9-") == NULL || strstr(text, "it is not a file") == NULL)
			fail_msg("%s: %s", names[i], text);
		free(text);
	}
	put(dir, "special.conf", "include \"/proc/kmsg\"\n");
	text = error_of(dir, "special.conf");
	assert_non_null(strstr(text, "cannot read"));
	free(text);
}

/* Includes: beside the file, by pattern, nested; what is recorded is one text that says the same. */
static void test_includes(void **state)
{
	char dir[] = "/tmp/yg-config-XXXXXX", path[PATH_BYTES], *text;
	struct config_errors *errors;
	struct config *c, *again;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/sub", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	put(dir, "main.conf",
	    "include \"sub/one.conf\"; route 0.0.0.0/0 via $gw\ntable ip t {\n chain c {\n  include \"rules\"\n  "
	    "drop\n }\n}\n"
	    "include \"sub/p*.conf\"\ninclude \"sub/none*.conf\"\n");
	put(dir, "sub/one.conf", "define gw = 10.0.0.254\ninclude \"two.conf\"");
	put(dir, "sub/two.conf", "interface eth0 { address 10.0.0.1/24; }");
	put(dir, "rules", "tcp dport 22 accept # no newline");
	put(dir, "sub/p1.conf", "pool one { 10.0.0.50; }\n");
	put(dir, "sub/p2.conf", "pool two { 10.0.0.51; }\n");
	put(dir, "circle.conf", "include \"circle2.conf\"\n");
	put(dir, "circle2.conf", "\n  include \"circle.conf\"\n");
	put(dir, "open.conf", "table ip t { include \"open2.conf\"\n }\n");
	put(dir, "open2.conf", "chain c {\n");
	snprintf(path, sizeof(path), "%s/main.conf", dir);
	c = config_read_file(path, &errors);
	config_errors_print(errors, stderr);
	assert_non_null(c);
	assert_null(errors);
	assert_int_equal(c->sources.n, 6);
	assert_int_equal(c->rules.table[0].chain[0].n_rules, 2);
	assert_int_equal(c->nat.n_pools, 2);
	assert_string_equal(c->nat.pool[0].name, "one");
	assert_null(strstr(c->text, "include"));
	again = config_read_text("again", c->text, c->text_len, &errors);
	config_errors_print(errors, stderr);
	assert_non_null(again);
	assert_int_equal(again->n_routes, 1);
	assert_int_equal(again->rules.table[0].chain[0].n_rules, 2);
	assert_int_equal(again->nat.n_pools, 2);
	config_free(again);
	config_free(c);

	text = error_of(dir, "circle.conf");
	assert_non_null(strstr(text, "circle2.conf:2:11-23: Error: a circle"));
	free(text);
	text = error_of(dir, "open.conf");
	assert_non_null(strstr(text, "ends in the middle of a block"));
	free(text);
	text = error_of(dir, "nothing.conf");
	assert_non_null(strstr(text, "No such file"));
	free(text);
	text = error_of(dir, ".");
	assert_non_null(strstr(text, "it is not a file"));
	free(text);
	refused("include \"/etc/passwd\"\n", "include works in a file only");
	include_what_is_no_file(dir);
	snprintf(path, sizeof(path), "rm -r %s", dir);
	assert_int_equal(system(path), 0);
}

/* Bounds: what nests, nests so deep and no deeper. */
static void test_nesting(void **state)
{
	char text[4096] = "table ip t { chain c { tcp dport ";

	for (int i = 0; i < 1000; i++)
		strcat(text, "{");
	refused(text, "within each other");
	strcpy(text, "table ip t { chain c { tcp flags & ");
	for (int i = 0; i < 1000; i++)
		strcat(text, "(");
	refused(text, "within each other");
	strcpy(text, "table ip t { chain base { type filter hook input priority 0; jump c0; }\n");
	for (int i = 0; i < 16; i++)
		sprintf(text + strlen(text), "chain c%d { jump c%d; }\n", i, i + 1);
	refused(strcat(strcpy(text + 2048, text), "chain c16 { } }"), "more than 16 jumps within jumps");
}

/* What the kernel's own tool makes of a ruleset loads, and means as many rules. Where nft may not run
 * (no user namespaces), the files themselves are read. */
static void test_nft_output(void **state)
{
	char pattern[PATH_BYTES], command[2 * PATH_BYTES], *text;
	struct config_errors *errors;
	struct config *c;
	size_t len;
	glob_t g;
	FILE *f;

	assert_int_equal(glob(beside("testdata/nft/*.nft", pattern), 0, NULL, &g), 0);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		size_t n_rules = 0;

		for (int n = 0; n < 3; n++) {
			static const char *const flags[] = { "", "-n", "-a -s" };

			text = calloc(1, 1 << 20);
			snprintf(command, sizeof(command),
				 "PATH=$PATH:/usr/sbin unshare -Urn sh -c 'nft -f %s && nft %s list ruleset' "
				 "2>/dev/null || cat %s",
				 g.gl_pathv[i], flags[n], g.gl_pathv[i]);
			f = popen(command, "r");
			assert_non_null(f);
			len = fread(text, 1, (1 << 20) - 1, f);
			pclose(f);
			c = config_read_text(g.gl_pathv[i], text, len, &errors);
			if (c == NULL)
				config_errors_print(errors, stderr);
			assert_non_null(c);
			size_t sum = 0;

			for (size_t t = 0; t < c->rules.n_tables; t++)
				for (size_t k = 0; k < c->rules.table[t].n_chains; k++)
					sum += c->rules.table[t].chain[k].n_rules;
			assert_true(sum > 0);
			if (n > 0)
				assert_int_equal(sum, n_rules);
			n_rules = sum;
			config_errors_free(errors);
			config_free(c);
			free(text);
		}
	}
	globfree(&g);
}

/* A file from another system, or broken off anywhere: read or refused, never more. */
static void test_cut_anywhere(void **state)
{
	char path[PATH_BYTES];
	size_t len;
	char *text = read_all(beside("testdata/nft/gateway.nft", path), &len);
	struct config_errors *errors;

	assert_true(len > 1000);
	for (size_t n = 0; n < len; n += 7) {
		struct config *c = config_read_text("cut", text, n, &errors);

		assert_true(c != NULL || config_n_errors(errors) > 0);
		config_errors_free(errors);
		config_free(c);
	}
	free(text);
	config_free(load("table ip t {\r\n\tchain c {\r\n\t\ttcp dport \\\r\n 22 accept\r\n\t}\r\n}\r\n"));
	config_free(load(""));
	refused("\xff\xfe\x00 table", "bytes that belong to no word");
}

/* A file with n of each thing that has a name, and each used; its reader's processor time in seconds. */
static double seconds_of(int n)
{
	char *text = malloc((size_t)n * 400 + 200), *at = text;
	struct config *c;
	clock_t begin;

	for (int i = 0; i < n; i++)
		at += sprintf(at, "define d%d = %d\n", i, i % 60000 + 1);
	at += sprintf(at, "table ip t {\n");
	for (int i = 0; i < n; i++)
		at += sprintf(at, "set s%d { type inet_service; elements = { $d%d }; }\n", i, i);
	for (int i = 0; i < n; i++)
		at += sprintf(at, "map m%d { type ifname : ipv4_addr; elements = { \"a\" : 10.0.0.1 }; }\n", i);
	at += sprintf(at, "map names { type ifname : ipv4_addr; elements = {\n");
	for (int i = 0; i < n; i++)
		at += sprintf(at, "\"i%d\" : 10.0.0.1,\n", i);
	at += sprintf(at, "}; }\n");
	for (int i = 0; i < n; i++)
		at += sprintf(at, "chain c%d { tcp dport @s%d accept; }\n", i, i);
	at += sprintf(at, "chain a {\n");
	for (int i = 0; i < n; i++)
		at += sprintf(at, "jump c%d; tcp dport $d%d dnat to iifname map @m%d\n", i, i, i);
	sprintf(at, "}\n}\n");
	begin = clock();
	c = load(text);
	assert_int_equal(c->rules.table[0].n_chains, n + 1);
	config_free(c);
	free(text);
	return (double)(clock() - begin) / CLOCKS_PER_SEC;
}

/* Would catch: a name that is looked for among all others. Eight times as many names then take sixty times as long. */
static void test_many_names(void **state)
{
	double few = seconds_of(2000), many = seconds_of(16000);

	assert_true(many < 24 * few);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_docs),
		cmocka_unit_test(test_policy_docs),
		cmocka_unit_test(test_many_names),
		cmocka_unit_test(test_base_chains),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_definitions),
		cmocka_unit_test(test_definitions_explode),
		cmocka_unit_test(test_includes),
		cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_nft_output),
		cmocka_unit_test(test_cut_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
