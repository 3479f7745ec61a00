/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A small network on a virtual clock: one real gateway core between stations, on
 * in-memory wires. A station is the test's own hand at the end of a wire: it has
 * a MAC and an address, answers ARP, keeps whatever else reaches it, and sends
 * what the test tells it to.
 */
#ifndef YG_TESTS_SCENARIO_FIXTURE_H
#define YG_TESTS_SCENARIO_FIXTURE_H

#include "core/gateway.h"
#include "daemon/config/snapshot.h"
#include "base/ip4.h"
#include "stack/packet/memwire.h"
#include "stack/packet/packet_fixture.h"
#include "stack/wire/arp.h"
#include "stack/wire/icmp.h"

#define FIXTURE_STATIONS_MAX 8
#define STATION_INBOX_MAX 512

struct station {
	struct memwire *wire;
	struct device *device; /* the station's end */
	struct env env;
	uint32_t addr;
	struct ether_addr mac;
	struct ether_addr gateway_mac;
	uint32_t ifindex; /* of the gateway's end */
	bool silent;      /* does not answer ARP */
	uint32_t n_arp_replies;
	struct arp_view arp_reply; /* the last */
	uint32_t n_inbox;
	struct packet *inbox[STATION_INBOX_MAX];
};

#define FIXTURE_LOGGED_MAX 64

struct fixture {
	uint64_t now;
	struct gateway *gw;
	struct config *config;
	struct snapshot *snapshot;
	uint32_t n_stations;
	struct station station[FIXTURE_STATIONS_MAX];
	uint32_t n_events[N_EVENT_KINDS];
	struct yg_event last_event[N_EVENT_KINDS];
	uint32_t n_logged; /* log records, of which the first FIXTURE_LOGGED_MAX are kept */
	struct log_record logged[FIXTURE_LOGGED_MAX];
};

/* A gateway with the config of text (yangguan.conf); fails the test if it is
 * refused. limits may be NULL. */
void fixture_start(struct fixture *w, const char *text, const struct gateway_limits *limits);
/* The same with a core of those modules (gateway_create_of). */
void fixture_start_of(struct fixture *w, uint32_t modules, const char *text, const struct gateway_limits *limits);
/* A station with this address on the gateway's interface `name`. wire may be
 * NULL: no delay, no limit, mtu 1500. */
struct station *fixture_station(struct fixture *w, const char *name, uint32_t addr, const struct memwire_config *wire);
/* Asks by ARP who has addr; the answer is counted when time passes. */
void station_ask(struct station *s, uint32_t addr);
/* Another config for the running gateway; 0, or -1 when the text is refused. */
int fixture_reload(struct fixture *w, const char *text);
/* Lets time pass: every frame that arrives and every timer that is due until
 * then happens, in order. */
void fixture_run(struct fixture *w, uint64_t ns);
/* Ends it. Fails the test if the law of conservation does not hold. */
void fixture_end(struct fixture *w);
/* Ends it whatever holds: what a failed scenario leaves, also one whose start failed. */
void fixture_free(struct fixture *w);
/* Fails the test if the law of conservation does not hold now. */
void fixture_check_law(struct fixture *w);
uint64_t fixture_dropped(const struct fixture *w, enum drop_reason reason);

#define FIXTURE_STAMP_MARK 0x4747u

/* Hands one packet to the wire; fixture_run delivers it. What is left out is the station's usual: its own address, a
 * window of 65535. A stamp is taken off where the device has FIXTURE_STAMP_MARK. */
void station_send(struct station *s, const struct packet_spec *p);
/* The IPv4 packet (from its header) that station_send would send; returns its length. */
uint32_t station_build(const struct station *s, const struct packet_spec *p, uint8_t *out);
/* The next packet that reached the station, with its views filled and every
 * checksum verified; NULL if none. Valid until the next call. */
struct packet *station_next(struct station *s);
/* Forgets what is in the inbox. */
void station_clear(struct station *s);

/* Packets that the rules' counters have, all together. */
uint64_t fixture_rules_counted(const struct fixture *w);

#endif
