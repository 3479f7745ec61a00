/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Records as lines, fields parted by `|`:
 *
 *   TABLE_DUMP2|time|B|peer|its AS|prefix|AS_PATH|ORIGIN|NEXT_HOP|LOCAL_PREF|MED|communities|AG or NAG|aggregator|
 */
#include <string.h>

#include "base/text.h"
#include "tools/bgp/mrt_file.h"

#define TEXT_MAX 8192u

static const struct bgp_attr *attr_of(const struct bgp_attrs *a, enum bgp_attr_type type)
{
	for (uint32_t i = 0; i < a->n; i++)
		if (a->list[i].type == type)
			return &a->list[i];
	return NULL;
}

/* Its value as text, "" when it is not there; every `:` and blank as bgp_attr_format has them. */
static char *value_of(const struct bgp_attrs *a, enum bgp_attr_type type, char *buf, size_t cap)
{
	const struct bgp_attr *at = attr_of(a, type);
	struct text t = text_of(buf, cap);

	if (at != NULL)
		bgp_attr_format(&t, at);
	/* Behind the name. */
	return buf + strcspn(buf, " ") + (strchr(buf, ' ') != NULL);
}

static void print_head(const struct mrt_line *l, const char *is)
{
	char addr[IP4_TEXT_MAX];

	printf("%s|%u", l->kind, l->time_s);
	if (l->us != NULL)
		printf(".%06u", *l->us);
	printf("|%s|%s|%u|", is, ip4_format(l->peer->addr, addr), l->peer->as);
}

/* Members of an AS_SET are parted by commas here. */
static const char *path_of(const struct bgp_attrs *a, char *buf, size_t cap)
{
	char *path = value_of(a, BGP_AS_PATH, buf, cap);
	bool is_in_set = false;

	for (char *at = path; *at != '\0'; at++) {
		is_in_set = *at == '{' || (is_in_set && *at != '}');
		if (is_in_set && *at == ' ')
			*at = ',';
	}
	return path;
}

static void print_attrs(const struct bgp_attrs *a, uint32_t next_hop)
{
	char path[TEXT_MAX], communities[TEXT_MAX], large[TEXT_MAX], aggregator[100], hop[IP4_TEXT_MAX];
	static const char *const origins[] = { "IGP", "EGP", "INCOMPLETE" };
	const char *c = value_of(a, BGP_COMMUNITIES, communities, sizeof(communities));
	const char *lc = value_of(a, BGP_LARGE_COMMUNITIES, large, sizeof(large));

	printf("|%s|%s|%s|%u|%u|", path_of(a, path, sizeof(path)), origins[a->origin], ip4_format(next_hop, hop),
	       bgp_attrs_have(a, BGP_LOCAL_PREF) ? a->local_pref : 0, a->med);
	printf("%s%s%s|%s|%s|", c, c[0] != '\0' && lc[0] != '\0' ? " " : "", lc,
	       bgp_attrs_have(a, BGP_ATOMIC_AGGREGATE) ? "AG" : "NAG",
	       value_of(a, BGP_AGGREGATOR, aggregator, sizeof(aggregator)));
}

void mrt_print_prefix(const struct mrt_line *l, char is, struct ip4_prefix prefix)
{
	char buf[IP4_TEXT_MAX];

	print_head(l, (const char[]){ is, '\0' });
	printf("%s", ip4_prefix_format(prefix, buf));
	if (is != 'W')
		print_attrs(l->attrs, l->attrs->next_hop != 0 ? l->attrs->next_hop : l->attrs->reach.next_hop);
	printf("\n");
}

void mrt_print_state(const struct mrt_line *l, uint16_t from, uint16_t to)
{
	print_head(l, "STATE");
	printf("%u|%u\n", from, to);
}
