/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The block `bgp`: the values that come out of it, and that passwords are seen nowhere. What is refused, letter by
 * letter, is in testdata/errors/bgp*.conf.
 */
#include "daemon/config/config_bgp.h"
#include "daemon/config/config_fixture.h"

#define SELF "bgp { as 65000; router-id 10.9.0.1; transport kernel; "

/* Would catch: a word that is passed over or fills another member; a default that is none. */
static void test_values(void **state)
{
	(void)state;
	struct config *c = load(
		SELF
		"listen any port 1790; compare med always; network 192.0.2.0/24, 198.51.100.0/25;\n"
		"neighbor transit { description \"the north\"; address 10.9.0.11 port 1179; as 65001;\n"
		"  local address 10.9.0.1; passive yes; hold time 3s; connect retry 5; ttl security hops 2;\n"
		"  password \"a b;}\"; role customer strict; import all; export none; maximum-prefix 1000 restart 5m;\n"
		"  graceful restart no; next hop self; }\n"
		"neighbor many { range 10.9.1.0/24 limit 7; as 4200000000; multihop 3; hold time off; maximum-prefix 5 "
		"warn; import all;\n"
		"  export all; } }\n"
		"bgp { neighbor inside { address 10.9.0.12; as 65000; }\n"
		"  rpki main { cache 10.9.1.1; cache 10.9.1.2 port 8282 local address 10.9.0.1 password \"x y\"; "
		"refresh 5m;\n"
		"    roa 192.0.2.0/24 max 26 as 65001; roa 192.0.2.0/24 as 0; retry 7; expire 2h; } rpki two { roa "
		"10.0.0.0/8 as 1; } "
		"}\n");
	const struct config_bgp *b = c->bgp;

	assert_int_equal(b->as, 65000);
	assert_int_equal(b->router_id, 0x0a090001);
	assert_int_equal(b->transport, CONFIG_BGP_TRANSPORT_KERNEL);
	assert_int_equal(b->listen.addr, 0);
	assert_int_equal(b->listen.port, 1790);
	assert_true(b->med_always);
	assert_int_equal(b->n_networks, 2);
	assert_int_equal(b->network[1].prefix.len, 25);
	assert_int_equal(b->n_neighbors, 3);

	const struct config_bgp_neighbor *n = config_bgp_find(b, "transit");
	const struct bgp_neighbor_config *t = &n->session;
	assert_string_equal(n->description, "the north");
	assert_int_equal(t->peers.addr, 0x0a09000b);
	assert_int_equal(t->peers.len, 32);
	assert_int_equal(t->port, 1179);
	assert_int_equal(t->peer_as, 65001);
	assert_int_equal(t->local_addr, 0x0a090001);
	assert_true(t->is_passive);
	assert_int_equal(t->hold_s, 3);
	assert_int_equal(t->connect_retry_s, 5);
	assert_true(t->ttl_security);
	assert_int_equal(t->hops, 2);
	assert_int_equal(t->key.len, 5);
	assert_memory_equal(t->key.bytes, "a b;}", 5);
	assert_true(t->has_role && t->strict_role);
	assert_int_equal(t->role, BGP_ROLE_CUSTOMER);
	assert_int_equal(n->import.kind, CONFIG_BGP_ALL);
	assert_int_equal(n->export.kind, CONFIG_BGP_NONE);
	assert_int_equal(t->max_prefixes, 1000);
	assert_int_equal(t->max_restart_s, 300);
	assert_int_equal(t->without, BGP_WITHOUT_RESTART);
	assert_true(n->next_hop_self);

	t = &config_bgp_find(b, "many")->session;
	assert_int_equal(t->peers.addr, 0x0a090100);
	assert_int_equal(t->peers.len, 24);
	assert_int_equal(t->dynamic_max, 7);
	assert_int_equal(t->peer_as, 4200000000u);
	assert_int_equal(t->hops, 3);
	assert_false(t->ttl_security);
	assert_int_equal(t->hold_s, BGP_HOLD_NONE);
	assert_int_equal(t->max_action, BGP_LIMIT_WARNS);
	n = config_bgp_find(b, "inside");
	assert_int_equal(n->session.hold_s, 0);
	assert_int_equal(n->session.port, 0);
	assert_int_equal(n->import.kind, CONFIG_BGP_NOT_SAID);
	assert_null(config_bgp_find(b, "nobody"));

	assert_int_equal(b->n_rpkis, 2);
	const struct config_bgp_rpki *r = &b->rpki[0];

	assert_string_equal(r->name, "main");
	assert_int_equal(r->n_caches, 2);
	assert_int_equal(r->cache[0].remote.addr, 0x0a090101);
	assert_int_equal(r->cache[0].remote.port, 323);
	assert_int_equal(r->cache[0].key.len, 0);
	assert_int_equal(r->cache[1].remote.port, 8282);
	assert_int_equal(r->cache[1].local.addr, 0x0a090001);
	assert_int_equal(r->cache[1].key.len, 3);
	assert_int_equal(r->refresh_s, 300);
	assert_int_equal(r->retry_s, 7);
	assert_int_equal(r->expire_s, 7200);
	assert_int_equal(r->n_roas, 2);
	assert_int_equal(r->roa[0].max_len, 26);
	assert_int_equal(r->roa[0].as, 65001);
	assert_int_equal(r->roa[1].max_len, 24);
	assert_int_equal(r->roa[1].as, 0);
	assert_string_equal(b->rpki[1].name, "two");
	config_free(c);
	c = load("interface w { address 10.1.1.3/24; }\n");
	assert_null(c->bgp);
	config_free(c);
}

#define NEIGHBOR "address 10.9.0.11; as 65001; import all; export all; "

/* Would catch: a password in a message, whatever is wrong in its line, or in the text that a recording keeps. */
static void test_passwords_are_hidden(void **state)
{
	static const char *const bad[] = {
		"password SECRET;",
		"password \"SECRET;",
		"password \"SECRET\" SECRET;",
		"pasword \"SECRET\";",
		"password = \"SECRET\";",
		"pasword SECRET SECRET;",
		"adress 1; password \"SECRET\";",
		"password\t\"SECRET\" }",
		"password \"SECRET\"; as 0;",
		("password \"" /* longer than there may be */
		 "SECRET..................................................................................\";"),
	};
	char text[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct config_errors *errors = NULL;

		snprintf(text, sizeof(text), SELF "neighbor n { " NEIGHBOR "%s } }\n!\n", bad[i]);
		assert_null(config_read_text("test", text, strlen(text), &errors));
		char *said = config_errors_text(errors);
		assert_null(strstr(said, "SECRET"));
		free(said);
		config_errors_free(errors);
	}
	refused("define pw = \"SECRET\"\n" SELF "neighbor n { " NEIGHBOR "password $pw; } }\n",
		"a password is written where it is used");
	struct config *c = load(SELF "neighbor n { " NEIGHBOR "password \"SECRET\"; } }\n# password\n");

	assert_memory_equal(c->bgp->neighbor[0].session.key.bytes, "SECRET", 6);
	assert_null(strstr(c->text, "SECRET"));
	assert_non_null(strstr(c->text, "password \"******\"; } }\n# password"));
	struct config *again = load(c->text);

	config_free(again);
	config_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_passwords_are_hidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
