/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The policy language. Input: a byte of how long the bytes of a path are, those (drawn from: see some_set), then a
 * text.
 *
 * Checks that a text is refused with a place that is in it, or compiles; that each filter ends, twice in the same way;
 * that what it makes of a set is a set in its one form, which differs from what there was just when edits say so; that
 * a verdict that is said to hold for another prefix is that prefix's.
 */
#include "routing/policy/policy_rules.h"
#include "wire_fuzz.h"

#define TEXT_MAX 65536

/* A set of few kinds of values, so that what texts name is met. */
static struct bgp_nlri some_set(uint8_t *out, struct fuzz_input *in)
{
	static const uint32_t values[] = { 0, 1, 2, 64500, 65000, 65001, 65535, 0xffff0000, 0xffff029a, 0xffffff01 };
	const uint8_t both = BGP_OPTIONAL | BGP_TRANSITIVE;
	struct {
		uint8_t type, flags, each, n;
	} attrs[] = {
		{ BGP_ORIGIN, BGP_TRANSITIVE, 1, 1 },
		{ BGP_AS_PATH, BGP_TRANSITIVE, 4, (uint8_t)(fuzz_take(in, 1) % 6) },
		{ BGP_NEXT_HOP, BGP_TRANSITIVE, 4, 1 },
		{ BGP_MED, BGP_OPTIONAL, 4, (uint8_t)(fuzz_take(in, 1) % 2) },
		{ BGP_LOCAL_PREF, BGP_TRANSITIVE, 4, (uint8_t)(fuzz_take(in, 1) % 2) },
		{ BGP_COMMUNITIES, both, 4, (uint8_t)(fuzz_take(in, 1) % 5) },
		{ BGP_EXT_COMMUNITIES, both, 8, (uint8_t)(fuzz_take(in, 1) % 4) },
		{ BGP_LARGE_COMMUNITIES, both, 12, (uint8_t)(fuzz_take(in, 1) % 4) },
		{ BGP_OTC, both, 4, (uint8_t)(fuzz_take(in, 1) % 2) },
		{ 211, both, 1, (uint8_t)fuzz_take(in, 1) },
	};
	size_t len = 0;

	for (size_t i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++) {
		uint8_t v[300] = { 0 };
		struct bgp_attr a = { v, (uint16_t)(attrs[i].each * attrs[i].n), attrs[i].type, attrs[i].flags };

		for (size_t k = 0; attrs[i].each >= 4 && k < a.len; k += 4) {
			uint32_t w = values[fuzz_take(in, 1) % 10];

			v[k + 2] = (uint8_t)(w >> 24);
			v[k + 3] = (uint8_t)(w >> 16);
			v[k + 4] = (uint8_t)(w >> 8);
			v[k + 5] = (uint8_t)w;
		}
		if (a.type == BGP_AS_PATH && a.len > 0) {
			v[0] = fuzz_take(in, 1) % 4 == 0 ? BGP_AS_SET : BGP_AS_SEQUENCE;
			v[1] = attrs[i].n;
			a.len += 2;
		} else {
			a.value = v + 2;
		}
		if (attrs[i].n > 0 || a.type == BGP_AS_PATH)
			len += bgp_set_put(out + len, BGP_SET_MAX - len, &a);
	}
	return (struct bgp_nlri){ out, len };
}

/* In its one form: types ascend, nothing is cut, a path is whole. */
static void check_set(struct bgp_nlri set)
{
	struct bgp_path_facts facts;
	struct bgp_attr a;
	int last = -1;

	while (set.len > 0) {
		FUZZ_CHECK(bgp_set_next(&set, &a) && a.type > last);
		if (a.type == BGP_AS_PATH)
			FUZZ_CHECK(bgp_path_check((struct bgp_path){ a.value, a.len, BGP_AS4 }, 0, &facts));
		last = a.type;
	}
}

static struct policy_attrs attrs[2];
static struct policy_verdict verdict[2];

static void run(const struct policy *p, uint32_t filter, struct policy_path *path, uint32_t which)
{
	policy_attrs_start(&attrs[which], path->set);
	policy_run(p, filter, path, &attrs[which], &verdict[which]);
}

static bool is_same_verdict(void)
{
	return verdict[0].is_accepted == verdict[1].is_accepted && attrs[0].edits == attrs[1].edits &&
	       verdict[0].pos.line == verdict[1].pos.line && verdict[0].pos.column == verdict[1].pos.column;
}

static void check_filter(const struct policy *p, uint32_t filter, struct policy_path *path, struct ip4_prefix other)
{
	static uint8_t out[BGP_SET_MAX];

	run(p, filter, path, 0);
	run(p, filter, path, 1);
	FUZZ_CHECK(is_same_verdict());
	if (verdict[0].is_accepted) {
		size_t len = policy_attrs_write(&attrs[0], out);

		FUZZ_CHECK(len <= BGP_SET_MAX);
		check_set((struct bgp_nlri){ out, len });
		if (attrs[0].edits == 0)
			FUZZ_CHECK(len == path->set.len && memcmp(out, path->set.p, len) == 0);
	}
	if (!policy_holds_for(p, &verdict[0], other))
		return;
	path->prefix = other;
	run(p, filter, path, 1);
	FUZZ_CHECK(is_same_verdict());
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t set[BGP_SET_MAX];
	size_t n_head = size > 0 ? data[0] : 0;

	if (size < 1 + n_head || size - 1 - n_head > TEXT_MAX)
		return 0;
	struct fuzz_input in = { data + 1, n_head };
	size_t len = size - 1 - n_head;
	char *text = (char *)fuzz_copy(data + 1 + n_head, len);
	struct policy_path path = { .set = some_set(set, &in), .source = POLICY_RTS_BGP, .proto = "op-a" };
	struct ip4_prefix other = { 0 };
	struct policy_error e;
	struct policy *p;

	path.prefix.len = (uint8_t)(fuzz_take(&in, 1) % 33);
	path.prefix.addr = fuzz_take(&in, 4) & ip4_mask(path.prefix.len);
	other.len = (uint8_t)(fuzz_take(&in, 1) % 33);
	other.addr = fuzz_take(&in, 4) & ip4_mask(other.len);
	FUZZ_CHECK(policy_create(&p) == 0);
	if (policy_add(p, &(struct policy_text){ text, len, { .line = 1, .column = 1 } }, &e) == 0) {
		for (uint32_t i = 0; i < policy_n_filters(p); i++)
			check_filter(p, i, &path, other);
	} else {
		FUZZ_CHECK(e.why[0] != '\0' && e.pos.line >= 1 && e.pos.line <= len + 1 && e.pos.column >= 1);
	}
	policy_destroy(p);
	free(text);
	return 0;
}
