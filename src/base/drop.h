/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The one list of reasons for which a packet is dropped. From it come the enum,
 * the counters, the names that operators see, what each means, and what to do.
 *
 * A row: X(ENUM, "name-for-people", "what happened", "what to do about it").
 * Rooms add rows here, beside their kin; a packet is dropped with exactly one.
 */
#ifndef YG_BASE_DROP_H
#define YG_BASE_DROP_H

#include <stdint.h>

/* clang-format off */
#define DROP_REASONS(X) \
	/* device and link */ \
	X(FRAME_CUT, "frame-cut", "the device delivered less of the frame than arrived", "raise the device's frame size, or lower the MTU") \
	X(FRAME_SHORT, "frame-short", "the frame is shorter than an Ethernet header", "a faulty sender or cable") \
	X(OFFLOAD_BAD, "offload-bad", "the frame's note of unfinished work (checksum, large segment) does not fit the frame, or asks for pieces that nobody would send", "a faulty or hostile sender on a virtual device") \
	X(LINK_OTHER_HOST, "link-other-host", "the frame is addressed to another station", "normal on a shared or flooded link") \
	X(LINK_SOURCE_GROUP, "link-source-group", "the frame's source address is a group address", "a faulty or hostile sender") \
	X(LINK_ADMIN_DOWN, "link-admin-down", "the frame came in on an interface that is not configured", "add an interface block or leave the device alone") \
	X(ETHERTYPE_UNKNOWN, "ethertype-unknown", "neither IPv4 nor ARP", "normal on most links (LLDP, STP and the like)") \
	X(VLAN, "vlan", "a VLAN tag; tagged frames are not supported", "deliver the VLAN untagged, on an interface of its own") \
	X(IPV6, "ipv6", "an IPv6 packet; IPv6 is not supported", "normal on a dual-stack link; route IPv6 elsewhere") \
	X(ARP_MALFORMED, "arp-malformed", "an ARP packet that is short or of another kind of network", "a faulty sender") \
	X(ARP_SPOOF, "arp-spoof", "an ARP packet that claims an address of ours, or a source that is no host", "look for a second machine with our address") \
	/* IPv4 header */ \
	X(IP_SHORT, "ip-short", "the packet is shorter than an IPv4 header", "a faulty sender") \
	X(IP_VERSION, "ip-version", "the version field is not 4", "a faulty sender") \
	X(IP_HEADER_LENGTH, "ip-header-length", "the header length is under 20 bytes or runs past the packet", "a faulty sender") \
	X(IP_TOTAL_LENGTH, "ip-total-length", "the total length is under the header's or runs past the frame", "a faulty sender") \
	X(IP_CHECKSUM, "ip-checksum", "the header checksum is wrong", "a faulty link or sender") \
	X(IP_OPTION_BAD, "ip-option-bad", "an IPv4 option that is malformed (answered by ICMP 12/0, as its rate allows)", "a faulty sender") \
	X(IP_SOURCE_ROUTE, "ip-source-route", "a source route, refused", "source routes are refused on purpose (RFC 7126)") \
	X(IP_FRAGMENT_BAD, "ip-fragment-bad", "a fragment with an impossible offset or length", "a faulty or hostile sender") \
	X(IP_SOURCE_MARTIAN, "ip-source-martian", "a source address that no host can have", "a faulty or hostile sender") \
	X(IP_SOURCE_OURS, "ip-source-ours", "the source address is one of ours", "spoofed, or a second machine with our address") \
	X(RPF, "rpf", "the route back to the packet's source does not leave by the interface that it came in by", "spoofed, or an asymmetric path: see `rpf` in the interface's block") \
	X(IP_DEST_MARTIAN, "ip-dest-martian", "a destination that must not be forwarded or delivered", "a faulty sender") \
	X(IP_LINK_BROADCAST, "ip-link-broadcast", "a unicast packet in a link-layer broadcast or multicast frame", "RFC 1122 section 3.3.6; a faulty sender") \
	/* transport headers */ \
	X(TCP_HEADER, "tcp-header", "a TCP header that is short or lies about its length", "a faulty or hostile sender") \
	X(UDP_HEADER, "udp-header", "a UDP header that is short or lies about its length", "a faulty or hostile sender") \
	X(UDPLITE_HEADER, "udplite-header", "a UDP-Lite header that is short or lies about its coverage", "a faulty or hostile sender") \
	X(DCCP_HEADER, "dccp-header", "a DCCP header that is short or lies about its length, coverage or type", "a faulty or hostile sender") \
	X(SCTP_HEADER, "sctp-header", "an SCTP header that is short", "a faulty or hostile sender") \
	X(ICMP_HEADER, "icmp-header", "an ICMP message that is too short for its type", "a faulty or hostile sender") \
	X(ICMP_QUOTE_CHECKSUM, "icmp-quote-checksum", "the IP header that an ICMP error quotes has a wrong checksum", "RFC 5508 REQ-3a; a faulty or hostile sender") \
	X(L4_CHECKSUM, "l4-checksum", "the checksum of the TCP, UDP, UDP-Lite, DCCP, SCTP or ICMP packet is wrong", "a faulty link or sender") \
	/* routing and forwarding */ \
	X(NO_ROUTE, "no-route", "no route to the destination (answered by ICMP 3/0, as its rate allows)", "add a route; see: yangguan route") \
	X(ROUTE_BLACKHOLE, "route-blackhole", "the route says blackhole", "as configured") \
	X(ROUTE_UNREACHABLE, "route-unreachable", "the route says unreachable (answered by ICMP 3/1, as its rate allows)", "as configured") \
	X(ROUTE_PROHIBIT, "route-prohibit", "the route says prohibit (answered by ICMP 3/13, as its rate allows)", "as configured") \
	X(TTL_EXPIRED, "ttl-expired", "the time to live ran out here (answered by ICMP 11/0, as its rate allows)", "a traceroute, or a routing loop") \
	X(RX_LARGE, "rx-large", "too big for the next link, and for the one that it came by: segments that a sender or the kernel has left in one piece", "turn that off: ethtool -K PEER tso off gso off, and gro off on the device itself (docs/config.md, drivers)") \
	X(MTU_EXCEEDED, "mtu-exceeded", "too big for the next link, and must not be fragmented (answered by ICMP 3/4, as its rate allows)", "normal: path MTU discovery") \
	X(IGMP_BAD, "igmp-bad", "an IGMP message that is cut off, or whose checksum or group is wrong", "a faulty sender") \
	X(GROUP_NOT_JOINED, "group-not-joined", "a multicast packet to a group that nobody here has joined on this interface (multicast is not forwarded)", "normal on most links") \
	X(FORWARD_BROADCAST, "forward-broadcast", "a directed broadcast is not forwarded (RFC 2644)", "a faulty or hostile sender; or say `directed broadcast yes` in the block of the interface that it goes to") \
	X(LOOP, "loop", "the packet went through the gateway's own output too often", "report this: it is a bug or a loop in the rules") \
	/* fragments */ \
	X(FRAGMENT_OVERLAP, "fragment-overlap", "fragments that overlap; all of the packet is dropped (RFC 5722)", "a faulty or hostile sender") \
	X(FRAGMENT_DUPLICATE, "fragment-duplicate", "a fragment that came twice", "normal where a link repeats packets") \
	X(FRAGMENT_TIMEOUT, "fragment-timeout", "the other fragments did not come in time", "loss on the way") \
	X(FRAGMENT_LIMIT, "fragment-limit", "too many fragments held, in all or from this source", "raise the limit, or find the sender") \
	X(FRAGMENT_TOO_BIG, "fragment-too-big", "fragments that add up to more than 65,535 bytes", "a faulty or hostile sender") \
	X(FRAGMENT_ORPHAN, "fragment-orphan", "a fragment whose first fragment was dropped", "see the reason of the first fragment") \
	/* neighbours */ \
	X(NEIGH_QUEUE, "neigh-queue", "too many packets wait for the neighbour's address", "the neighbour does not answer ARP, or a burst at start") \
	X(NEIGH_UNREACHABLE, "neigh-unreachable", "the neighbour did not answer ARP (answered by ICMP 3/1, as its rate allows)", "is the machine up and on this link?") \
	X(NEIGH_TABLE, "neigh-table", "too many neighbours of a link, or of all, are being asked for", "a scan of a large connected prefix, or too small a table (limits: neighbours)") \
	X(NEIGH_SOURCE, "neigh-source", "its sender waits for too many neighbours already", "it scans a large connected prefix; see: yangguan neigh") \
	/* local delivery */ \
	X(PROTO_UNREACHABLE, "proto-unreachable", "nobody here speaks this IP protocol (answered by ICMP 3/2, as its rate allows)", "a probe, or a wrong destination") \
	X(PORT_UNREACHABLE, "port-unreachable", "nobody listens on this UDP port here (answered by ICMP 3/3, as its rate allows)", "a probe, or a wrong destination") \
	X(TCP_NO_SOCKET, "tcp-no-socket", "nobody listens on this TCP port here (answered by RST)", "a probe, or a wrong destination") \
	X(TCP_MIN_TTL, "tcp-min-ttl", "a TCP segment whose time to live is below what its socket asks for (IP_MINTTL)", "somebody further away than a neighbour, or a neighbour that does not send with TTL 255 (RFC 5082)") \
	X(TCP_MD5_MISSING, "tcp-md5-missing", "a TCP segment without a signature (RFC 2385) for a socket that has a key for its sender", "the peer has no password for this session, or somebody pretends to be the peer") \
	X(TCP_MD5_UNEXPECTED, "tcp-md5-unexpected", "a TCP segment with a signature (RFC 2385) for which no socket here has a key", "set the password of this session here too") \
	X(TCP_MD5_WRONG, "tcp-md5-wrong", "a TCP segment whose signature (RFC 2385) is wrong", "the passwords of both ends differ, something translated its addresses, or somebody pretends to be the peer") \
	X(SOCKET_DEVICE, "socket-device", "a TCP segment that came by another interface than the one its socket is bound to (SO_BINDTODEVICE)", "an asymmetric path, or a wrong interface in the program") \
	X(ICMP_ERROR_STRAY, "icmp-error-stray", "an ICMP error about a packet that we cannot have sent: its source is not the address that is told, or the error does not fit it", "a faulty sender, or somebody who wants to end or slow down connections") \
	X(ICMP_IGNORED, "icmp-ignored", "an ICMP message that asks for nothing or is refused (redirects, broadcast echo)", "normal") \
	X(SOCKET_QUEUE, "socket-queue", "the socket's receive queue is full", "the program does not read fast enough") \
	/* connection tracking and NAT */ \
	X(CT_TABLE_FULL, "ct-table-full", "the connection table is full", "raise the table's size") \
	X(CT_SOURCE_LIMIT, "ct-source-limit", "this source has as many connections as it may have", "raise the limit, or find out what the source does") \
	X(CT_SOURCE_RATE, "ct-source-rate", "the source opens more connections a second than is allowed", "find the source, or raise `new per source`") \
	X(CT_CLASH, "ct-clash", "two packets raced to create the same connection and could not be merged", "rare; the sender retries") \
	X(CT_INVALID, "ct-invalid", "the packet belongs to no connection and cannot open one, and its way is translated", "late packets after a close, or a hostile sender") \
	X(CT_UNKNOWN_TCP, "ct-unknown-tcp", "a TCP segment from inside whose connection is not known, or not any more (answered by RST)", "connections that idle longer than `timeout tcp established`; see `unknown tcp`") \
	X(NAT_EXHAUSTED, "nat-exhausted", "no free port or identifier is left for this destination (answered by ICMP 3/13, as its rate allows)", "add an address to the pool; see: yangguan pools") \
	X(NAT_ID_AWAITED, "nat-id-awaited", "a new ESP or PPTP flow, while another client of the same server waits for its first answer", "it goes through by itself in some seconds; see `timeout esp new`, `timeout gre new`") \
	X(NAT_SCTP_FRAGMENT, "nat-sctp-fragment", "a fragment of an SCTP packet whose port would change: the checksum needs all of the packet", "lower the path MTU of the SCTP hosts; SCTP does without IP fragments") \
	X(NAT_NO_MAPPING, "nat-no-mapping", "a packet to a translation address that has no mapping", "scans and late packets; a forwarded port needs a dnat rule") \
	X(NAT_UNSOLICITED, "nat-unsolicited", "a SYN to a translation address that no mapping lets in (ICMP 3/3 follows after 6 s, unless the connection is opened from inside)", "scans, or two hosts that open a connection to each other; a forwarded port needs a dnat rule") \
	X(NAT_ROUTE_CHANGED, "nat-route-changed", "a masqueraded connection whose route now leads out of another interface has ended; its next packet begins a new one there", "routes or links have changed; see: yangguan events") \
	/* rules */ \
	X(RULE_DROP, "rule-drop", "a rule said drop", "see the rule's counter") \
	X(RULE_REJECT, "rule-reject", "a rule said reject (answered by ICMP, as its rate allows, or RST)", "see the rule's counter") \
	X(POLICY_DROP, "policy-drop", "no rule matched and the chain's policy is drop", "add a rule that accepts it") \
	/* memory and output */ \
	X(NO_BUFFER, "no-buffer", "the packet pool was empty", "too small a pool, or a burst; it recovers by itself") \
	X(HANDOFF_RING, "handoff-ring", "the ring to the worker that owns the packet was full", "that worker has too much to do: see its share in `yangguan stats`") \
	X(HOST_BUSY, "host-busy", "a packet to the gateway itself, whose host has as many waiting as there is room for", "the host does something that takes long; it concerns packets to the gateway alone") \
	X(HOOK_MEMORY, "hook-memory", "no memory to hold the packet at this point", "too small a pool, or a burst; it recovers by itself") \
	X(TX_REFUSED, "tx-refused", "the driver did not take the frame (queue full)", "the link is slower than what is sent") \
	X(KERNEL_REDIRECT, "kernel-redirect", "a driver did not take a frame that the kernel forwarded by itself (not in the law's sums: it never came up)", "the link is slower than what is sent; of a veth, the other end must have NAPI (GRO on)") \
	X(KERNEL_NO_SOCKET, "kernel-no-socket", "a frame that was to come up found no socket for its receive queue, or was marked as if our program had numbered it (not in the law's sums)", "the device has more queues than were there at start: restart the gateway") \
	X(KERNEL_OVERLOAD, "kernel-overload", "a packet whose flow loses most on its way up, and waits for what went before to come out so that the kernel can take it (not in the law's sums)", "one flow brings more than user space takes; it ends when the flow is in the kernel") \
	X(TX_DOWN, "tx-down", "the output device is down or gone, and nothing else leads there (answered by ICMP 3/1, as its rate allows)", "see: yangguan events") \
	X(TX_TOO_BIG, "tx-too-big", "the frame is larger than the device takes", "the device's MTU changed; it is read again within a second")
/* clang-format on */

enum drop_reason {
#define X(id, name, text, hint) DROP_##id,
	DROP_REASONS(X)
#undef X
		N_DROP_REASONS
};

struct drop_info {
	const char *name; /* as in `yangguan drops` */
	const char *text; /* what happened */
	const char *hint; /* what to do */
};

extern const struct drop_info drop_info[N_DROP_REASONS];

#endif
