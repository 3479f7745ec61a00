/* SPDX-License-Identifier: BSD-2-Clause
 *
 * `bgp filter FILE`: a filter of a text in the language of policy, asked of one path that the command's words make.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "daemon/control/commands/command.h"
#include "routing/policy/policy.h"
#include "stack/wire/bytes.h"
#include "tools/bgp/bgp.h"

#define TEXT_MAX (16u << 20)
#define NUMBERS_MAX 200
#define LINE_MAX_BYTES 4096

struct filter_job {
	const struct bgp_filter_words *words;
	struct policy *program;
	char *text;
	size_t len;
	size_t set_len;
	uint8_t set[BGP_SET_MAX];
	struct policy_attrs attrs;
	uint8_t after[BGP_SET_MAX];
};

static bool read_file(struct filter_job *j)
{
	FILE *f = fopen(j->words->path, "re");
	bool ok = f != NULL;

	j->text = malloc(TEXT_MAX);
	if (ok && j->text != NULL) {
		j->len = fread(j->text, 1, TEXT_MAX, f);
		ok = ferror(f) == 0 && feof(f) != 0;
	}
	if (f != NULL)
		(void)fclose(f);
	if (!ok || j->text == NULL)
		fprintf(stderr, "yangguan bgp: %s: %s\n", j->words->path, errno != 0 ? strerror(errno) : "too long");
	return ok && j->text != NULL;
}

static void put(struct filter_job *j, uint8_t type, uint8_t flags, const uint8_t *value, size_t len)
{
	const struct bgp_attr a = { value, (uint16_t)len, type, flags };

	j->set_len += bgp_set_put(j->set + j->set_len, sizeof(j->set) - j->set_len, &a);
}

/* Numbers parted by spaces into v, four bytes each; "a:b" is one, of a community. False: something else is there. */
static bool read_numbers(const char *text, uint8_t *v, size_t *n)
{
	*n = 0;
	while (text != NULL && *(text += strspn(text, " ")) != '\0') {
		char *end;
		unsigned long a = strtoul(text, &end, 10), b;

		if (end == text || a > UINT32_MAX || *n == NUMBERS_MAX)
			return false;
		if (*end == ':') {
			const char *second = end + 1;

			b = strtoul(second, &end, 10);
			if (end == second || a > UINT16_MAX || b > UINT16_MAX)
				return false;
			a = a << 16 | b;
		}
		if (*end != '\0' && *end != ' ')
			return false;
		bytes_put32(v + 4 * (*n)++, (uint32_t)a);
		text = end;
	}
	return true;
}

static bool make_set(struct filter_job *j)
{
	const struct bgp_filter_words *w = j->words;
	const uint8_t igp = BGP_ORIGIN_IGP, hop[] = { 192, 0, 2, 1 };
	uint8_t path[2 + 4 * NUMBERS_MAX], v[4 * NUMBERS_MAX];
	size_t n;

	if (!read_numbers(w->as_path, path + 2, &n))
		return false;
	path[0] = BGP_AS_SEQUENCE;
	path[1] = (uint8_t)n;
	put(j, BGP_ORIGIN, BGP_TRANSITIVE, &igp, 1);
	put(j, BGP_AS_PATH, BGP_TRANSITIVE, path, n > 0 ? 2 + 4 * n : 0);
	put(j, BGP_NEXT_HOP, BGP_TRANSITIVE, hop, sizeof(hop));
	if (!read_numbers(w->communities, v, &n))
		return false;
	if (n > 0)
		put(j, BGP_COMMUNITIES, BGP_OPTIONAL | BGP_TRANSITIVE, v, 4 * n);
	return true;
}

static bool read_prefix(const char *text, struct ip4_prefix *p)
{
	size_t n = ip4_parse(text, strlen(text), &p->addr);
	char *end;
	unsigned long len;

	if (n == 0 || text[n] != '/')
		return false;
	len = strtoul(text + n + 1, &end, 10);
	if (end == text + n + 1 || *end != '\0' || len > 32)
		return false;
	p->len = (uint8_t)len;
	return (p->addr & ~ip4_mask(p->len)) == 0;
}

static void print_attrs(const struct filter_job *j, size_t len)
{
	struct bgp_nlri rest = { j->after, len };
	char line[LINE_MAX_BYTES];
	struct bgp_attr a;

	while (bgp_set_next(&rest, &a)) {
		struct text t = text_of(line, sizeof(line));

		bgp_attr_format(&t, &a);
		printf("    %s\n", line);
	}
}

static int ask(struct filter_job *j, uint32_t filter)
{
	struct policy_path path = { .set = { j->set, j->set_len },
				    .source = POLICY_RTS_BGP,
				    .proto = j->words->proto != NULL ? j->words->proto : "" };
	struct policy_verdict v = { 0 };

	if (!read_prefix(j->words->prefix, &path.prefix)) {
		fprintf(stderr, "yangguan bgp: \"%s\" is no prefix, as in 192.0.2.0/24\n", j->words->prefix);
		return EXIT_USAGE;
	}
	policy_attrs_start(&j->attrs, path.set);
	policy_run(j->program, filter, &path, &j->attrs, &v);
	printf("%s  %s:%u:%u%s%s\n", v.is_accepted ? "accept" : "reject", j->words->path, v.pos.line, v.pos.column,
	       v.why != NULL ? "  " : "", v.why != NULL ? v.why : "");
	if (v.is_accepted)
		print_attrs(j, policy_attrs_write(&j->attrs, j->after));
	return v.is_accepted ? EXIT_OK : EXIT_FAILED;
}

static int compile_and_ask(struct filter_job *j)
{
	struct policy_error e;
	int err = policy_create(&j->program);

	if (err == 0)
		err = policy_add(j->program, &(struct policy_text){ j->text, j->len, { .line = 1, .column = 1 } }, &e);
	if (err == -EINVAL)
		fprintf(stderr, "yangguan bgp: %s:%u:%u: %s\n", j->words->path, e.pos.line, e.pos.column, e.why);
	else if (err != 0)
		fprintf(stderr, "yangguan bgp: %s\n", strerror(-err));
	if (err != 0)
		return EXIT_USAGE;
	uint32_t filter = policy_find(j->program, j->words->name);

	for (uint32_t i = 0; i < policy_n_tables(j->program); i++)
		fprintf(stderr, "yangguan bgp: roa_check(%s): there is no table here, so all is ROA_UNKNOWN\n",
			policy_table_name(j->program, i));
	if (filter == POLICY_NONE) {
		fprintf(stderr, "yangguan bgp: %s: no filter is called \"%s\"", j->words->path, j->words->name);
		for (uint32_t i = 0; i < policy_n_filters(j->program); i++)
			fprintf(stderr, "%s%s", i == 0 ? "; there are: " : ", ", policy_filter_name(j->program, i));
		fprintf(stderr, "\n");
		return EXIT_USAGE;
	}
	if (!make_set(j)) {
		fprintf(stderr,
			"yangguan bgp: --as-path takes AS numbers, --community pairs as in 65000:1, %d at most\n",
			NUMBERS_MAX);
		return EXIT_USAGE;
	}
	return ask(j, filter);
}

int bgp_filter(const struct bgp_filter_words *words)
{
	struct filter_job *j = calloc(1, sizeof(*j));
	int status = EXIT_USAGE;

	if (words->name == NULL || words->prefix == NULL) {
		fprintf(stderr, "yangguan bgp: filter FILE needs --name and --prefix\n");
	} else if (j == NULL) {
		fprintf(stderr, "yangguan bgp: %s\n", strerror(ENOMEM));
	} else {
		j->words = words;
		errno = 0;
		if (read_file(j))
			status = compile_and_ask(j);
		policy_destroy(j->program);
		free(j->text);
	}
	free(j);
	return status;
}
