/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The keys that a match can look at: how nft writes them, what type their
 * values have, and the names that values of a type go by.
 */
#ifndef YG_GATEWAY_RULES_KEY_H
#define YG_GATEWAY_RULES_KEY_H

#include "gateway/rules/ast.h"

enum rule_type {
	RULE_TYPE_NUMBER,
	RULE_TYPE_IFNAME,
	RULE_TYPE_ADDRESS,
	RULE_TYPE_PORT,
	RULE_TYPE_PROTOCOL,
	RULE_TYPE_MARK,
	RULE_TYPE_TCP_FLAGS,
	RULE_TYPE_CT_STATE,
	RULE_TYPE_CT_STATUS,
	RULE_TYPE_CT_DIRECTION,
	RULE_TYPE_ICMP_TYPE,
	RULE_TYPE_ICMP_CODE,
	RULE_TYPE_PKTTYPE,
	RULE_TYPE_NFPROTO,
	RULE_TYPE_DSCP,
	N_RULE_TYPES
};

/* Whether what a match looks at may be otherwise for the next packet of an established flow. */
enum insn_varies {
	INSN_SAME,
	INSN_VARIES,
	INSN_VARIES_UNTIL_ASSURED,
	INSN_VARIES_WITHOUT_PORTS, /* where others have ports, their bytes may be anything */
};

struct rule_key_info {
	const char *name; /* as nft writes it */
	enum rule_type type;
	uint8_t bits;          /* width of its values; 0 for names */
	bool is_bits;          /* a set of bits: without an operator a match asks for any bit in common */
	uint8_t proto;         /* IP protocol that a packet must have for the key to be there, 0: any */
	uint8_t varies;        /* enum insn_varies */
	uint32_t varying_bits; /* of those bits of its values alone */
};

extern const struct rule_key_info rule_key_info[N_RULE_KEYS];

struct rule_symbol {
	const char *name;
	uint32_t value;
};

/* The names of a type's values; *n 0 for types without. The first name of a value is nft's own. */
const struct rule_symbol *rule_symbols(enum rule_type type, size_t *n);

/* Largest value of a key. */
static inline uint32_t rule_key_max(enum rule_key key)
{
	uint8_t bits = rule_key_info[key].bits;

	return bits >= 32 ? UINT32_MAX : (UINT32_C(1) << bits) - 1;
}

#endif
