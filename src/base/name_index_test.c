/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/name_index.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_ITEMS 5000

struct item {
	char name[24];
	uint32_t other;
};

static struct name_list list_of(const struct item *item, size_t n)
{
	return (struct name_list){ item->name, sizeof(*item), n };
}

static uint32_t find(const struct name_index *x, const struct item *item, size_t n, const char *name)
{
	struct name_list l = list_of(item, n);

	return name_index_find(x, &l, name, strlen(name));
}

static void add(struct name_index *x, const struct item *item, size_t n)
{
	struct name_list l = list_of(item, n);

	assert_true(name_index_add(x, &l));
}

/* Would catch: a name that is lost when the slots or the array move, one found that is only the beginning of
 * another, and an item that is not in the index yet but in the array. */
static void test_find(void **state)
{
	struct name_index x = { 0 };
	struct item *item = NULL;
	char name[24];

	for (uint32_t i = 0; i < N_ITEMS; i++) {
		struct item *moved = malloc((i + 1) * sizeof(*item));

		if (i > 0)
			memcpy(moved, item, i * sizeof(*item));
		free(item);
		item = moved;
		snprintf(item[i].name, sizeof(item[i].name), "n%u", i);
		assert_int_equal(find(&x, item, i, item[i].name), NAME_INDEX_NONE);
		assert_int_equal(find(&x, item, i + 1, item[i].name), i);
		if (i % 3 == 0)
			add(&x, item, i + 1);
		if (i % 512 != 0)
			continue;
		for (uint32_t k = 0; k <= i; k++) {
			snprintf(name, sizeof(name), "n%u", k);
			assert_int_equal(find(&x, item, i + 1, name), k);
		}
	}
	assert_int_equal(find(&x, item, N_ITEMS, "n"), NAME_INDEX_NONE);
	assert_int_equal(find(&x, item, N_ITEMS, ""), NAME_INDEX_NONE);
	assert_int_equal(find(&x, item, N_ITEMS, "n10 "), NAME_INDEX_NONE);
	name_index_clear(&x);
	assert_int_equal(find(&x, item, N_ITEMS, "n77"), 77);
	name_index_clear(&x);
	free(item);
}

/* Would catch: an emptied name that is still found, one given again that is not, and slots that fill up with the dead.
 */
static void test_replaced(void **state)
{
	struct item *item = calloc(N_ITEMS, sizeof(*item));
	struct name_index x = { 0 };

	for (uint32_t i = 0; i < N_ITEMS; i++) {
		strcpy(item[i].name, i % 2 == 0 ? "even" : "odd");
		add(&x, item, i + 1);
		assert_int_equal(find(&x, item, i + 1, item[i].name), i);
		if (i == 0)
			continue;
		assert_int_equal(find(&x, item, i + 1, i % 2 == 0 ? "odd" : "even"), i - 1);
		item[i - 1].name[0] = '\0';
		assert_int_equal(find(&x, item, i + 1, i % 2 == 0 ? "odd" : "even"), NAME_INDEX_NONE);
	}
	assert_true(x.n_slots <= 64);
	name_index_clear(&x);
	free(item);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
