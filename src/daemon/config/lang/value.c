/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Plain values: names, numbers within bounds, times, addresses, prefixes,
 * ports. A number out of bounds is refused with the bounds, never cut to them.
 *
 * Names of services come from a table of the common ones first, so that a file
 * means the same on every machine, and from /etc/services for the rest.
 */
#include "daemon/config/lang/parse.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <string.h>

#include "base/ip4.h"

bool config_name(struct parser *p, char *out, size_t size, const char *what)
{
	struct token t = *config_peek(p);

	if (t.kind != TOK_WORD && t.kind != TOK_STRING && t.kind != TOK_QUANTITY)
		return config_expected(p, what);
	if (t.len == 0) {
		config_err(p, &t.pos, "%s cannot be empty", what);
		return false;
	}
	config_next(p);
	return config_copy(p, &t, out, size, what);
}

bool config_number(struct parser *p, uint64_t min, uint64_t max, const char *what, uint32_t *out)
{
	struct token t = *config_peek(p);

	if (t.kind != TOK_NUMBER && t.kind != TOK_BIG_NUMBER)
		return config_expected(p, "a number");
	if (t.kind == TOK_BIG_NUMBER || t.value < min || t.value > max) {
		config_err(p, &t.pos, "%s must be %llu to %llu", what, (unsigned long long)min,
			   (unsigned long long)max);
		return false;
	}
	*out = (uint32_t)t.value;
	config_next(p);
	return true;
}

/* 1h30m and the like; a number alone is seconds. */
static bool quantity_seconds(const struct token *t, uint64_t *out)
{
	uint64_t n = 0, sum = 0;
	bool digits = false;

	for (uint32_t i = 0; i < t->len; i++) {
		char c = t->text[i];

		if (c >= '0' && c <= '9') {
			n = n * 10 + (uint64_t)(c - '0');
			digits = true;
			if (n > UINT32_MAX)
				return false;
			continue;
		}
		if (!digits || strchr("smhdw", c) == NULL || c == '\0')
			return false;
		sum += n * (c == 's' ? 1 : c == 'm' ? 60 : c == 'h' ? 3600 : c == 'd' ? 86400 : 604800);
		if (sum > UINT32_MAX)
			return false;
		n = 0;
		digits = false;
	}
	*out = sum;
	return !digits;
}

bool config_seconds(struct parser *p, uint32_t *out)
{
	struct token t = *config_peek(p);
	uint64_t s = t.value;

	if (t.kind != TOK_NUMBER && t.kind != TOK_QUANTITY)
		return config_expected(p, "a time such as 120s or 2h");
	if (t.kind == TOK_QUANTITY && !quantity_seconds(&t, &s)) {
		config_err(p, &t.pos, "\"%.*s\" is no time: write 90s, 5m, 2h or 1d", (int)(t.len > 64 ? 64 : t.len),
			   t.text);
		return false;
	}
	if (s < 1 || s > 365 * 86400) {
		config_err(p, &t.pos, "a time must be 1s to 365d");
		return false;
	}
	*out = (uint32_t)s;
	config_next(p);
	return true;
}

bool config_yes_no(struct parser *p, bool *out)
{
	static const char *const words[] = { "yes", "no" };
	struct token t = *config_peek(p);

	if (!token_is(&t, "yes") && !token_is(&t, "no"))
		return config_unknown(p, &t, "\"yes\" or \"no\"", words, ARRAY_LEN(words));
	*out = token_is(&t, "yes");
	config_next(p);
	return true;
}

bool config_address(struct parser *p, uint32_t *out)
{
	struct token t = *config_peek(p);

	if (t.kind == TOK_ADDRESS6) {
		config_err(p, &t.pos, "an IPv6 address; Yangguan knows IPv4 only as yet");
		return false;
	}
	if (t.kind == TOK_QUANTITY || t.kind == TOK_WORD) {
		config_err(p, &t.pos, "\"%.*s\" is no IPv4 address (names are not looked up)",
			   (int)(t.len > 64 ? 64 : t.len), t.text);
		return false;
	}
	if (t.kind != TOK_ADDRESS)
		return config_expected(p, "an IPv4 address");
	*out = (uint32_t)t.value;
	config_next(p);
	return true;
}

bool config_prefix(struct parser *p, uint32_t *addr, uint8_t *len)
{
	uint32_t n = 32;

	if (!config_address(p, addr))
		return false;
	if (config_accept(p, TOK_SLASH) && !config_number(p, 0, 32, "a prefix length", &n))
		return false;
	*len = (uint8_t)n;
	return true;
}

bool config_prefix_strict(struct parser *p, struct ip4_prefix *out)
{
	struct token from = *config_peek(p);
	struct text_pos pos;
	char text[IP4_TEXT_MAX];

	if (config_accept_word(p, "default")) {
		*out = (struct ip4_prefix){ 0 };
		return true;
	}
	if (!config_prefix(p, &out->addr, &out->len))
		return false;
	if ((out->addr & ~ip4_mask(out->len)) == 0)
		return true;
	pos = config_span(p, &from);
	out->addr &= ip4_mask(out->len);
	config_err(p, &pos, "the prefix has bits set behind its length; did you mean %s?",
		   ip4_prefix_format(*out, text));
	return false;
}

/* True for the ends of a range in their order; it began at from. */
static bool in_order(struct parser *p, const struct token *from, uint32_t first, uint32_t last)
{
	struct text_pos pos = config_span(p, from);

	if (first > last)
		config_err(p, &pos, "the range ends before it begins");
	return first <= last;
}

bool config_address_range(struct parser *p, uint32_t *first, uint32_t *last)
{
	struct token from = *config_peek(p);
	uint8_t len;

	if (!config_prefix(p, first, &len))
		return false;
	*last = *first | ~ip4_mask(len);
	*first &= ip4_mask(len);
	if (len < 32 || !config_accept(p, TOK_DASH))
		return true;
	if (!config_address(p, last))
		return false;
	return in_order(p, &from, *first, *last);
}

/* The common ones (IANA's registry), as /etc/services spells them. */
static const struct service {
	const char *name;
	uint32_t value;
} services[] = {
	{ "echo", 7 },
	{ "discard", 9 },
	{ "ftp-data", 20 },
	{ "ftp", 21 },
	{ "ssh", 22 },
	{ "telnet", 23 },
	{ "smtp", 25 },
	{ "time", 37 },
	{ "domain", 53 },
	{ "bootps", 67 },
	{ "bootpc", 68 },
	{ "tftp", 69 },
	{ "gopher", 70 },
	{ "finger", 79 },
	{ "http", 80 },
	{ "kerberos", 88 },
	{ "pop3", 110 },
	{ "sunrpc", 111 },
	{ "auth", 113 },
	{ "nntp", 119 },
	{ "ntp", 123 },
	{ "netbios-ns", 137 },
	{ "netbios-dgm", 138 },
	{ "netbios-ssn", 139 },
	{ "imap2", 143 },
	{ "imap", 143 },
	{ "snmp", 161 },
	{ "snmp-trap", 162 },
	{ "bgp", 179 },
	{ "ldap", 389 },
	{ "https", 443 },
	{ "microsoft-ds", 445 },
	{ "isakmp", 500 },
	{ "syslog", 514 },
	{ "submission", 587 },
	{ "ldaps", 636 },
	{ "domain-s", 853 },
	{ "rsync", 873 },
	{ "imaps", 993 },
	{ "pop3s", 995 },
	{ "socks", 1080 },
	{ "openvpn", 1194 },
	{ "ms-sql-s", 1433 },
	{ "l2f", 1701 },
	{ "radius", 1812 },
	{ "radius-acct", 1813 },
	{ "nfs", 2049 },
	{ "mysql", 3306 },
	{ "ms-wbt-server", 3389 },
	{ "ipsec-nat-t", 4500 },
	{ "sip", 5060 },
	{ "sip-tls", 5061 },
	{ "mdns", 5353 },
	{ "postgresql", 5432 },
	{ "x11", 6000 },
	{ "http-alt", 8080 },
};

bool config_service(const struct token *t, uint32_t *port)
{
	char name[64];
	struct servent *s;

	if (t->kind == TOK_NUMBER) {
		*port = t->value > UINT16_MAX ? UINT32_MAX : (uint32_t)t->value;
		return *port != UINT32_MAX;
	}
	if (t->kind != TOK_WORD || t->len >= sizeof(name))
		return false;
	memcpy(name, t->text, t->len);
	name[t->len] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		if (strcmp(services[i].name, name) == 0) {
			*port = services[i].value;
			return true;
		}
	}
	s = getservbyname(name, NULL);
	if (s == NULL)
		return false;
	*port = ntohs((uint16_t)s->s_port);
	return true;
}

static bool config_port(struct parser *p, uint16_t *out)
{
	struct token t = *config_peek(p);
	uint32_t port;

	if (t.kind == TOK_NUMBER || t.kind == TOK_BIG_NUMBER) {
		if (!config_number(p, 0, UINT16_MAX, "a port", &port))
			return false;
	} else if (t.kind != TOK_WORD) {
		return config_expected(p, "a port");
	} else if (config_service(&t, &port)) {
		config_next(p);
	} else {
		config_err(p, &t.pos, "no service is called \"%.*s\"", (int)(t.len > 64 ? 64 : t.len), t.text);
		return false;
	}
	*out = (uint16_t)port;
	return true;
}

bool config_port_range(struct parser *p, uint16_t *first, uint16_t *last)
{
	struct token from = *config_peek(p);

	if (!config_port(p, first))
		return false;
	*last = *first;
	if (config_accept(p, TOK_DASH) && !config_port(p, last))
		return false;
	return in_order(p, &from, *first, *last);
}
