/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Where we differ from Linux (6.18), and why. The line that a pattern is held
 * against, where "hostile" or "sane" is what the flow's ends are:
 *
 *   sane: step | before: state | ours: verdict, state behind it | linux: the same | same state
 *
 * The first pattern that fits counts, so the narrow ones stand first. A sane flow
 * may differ only where no pattern says "hostile".
 */
#include "explained.h"

/* clang-format off */
const struct explained explained[] = {
	/* --- ports --- */
	{ "hostile: *, from another *linux: pass,*",
	  "Linux gives one port to several flows with different peers, so this host speaks to a flow of its own.",
	  "Linux: nf_nat_used_tuple" },
	{ "hostile: *, from another *ours: drop,*another *linux: drop,*another *same state",
	  "For the same reason the two do not name the same flow.",
	  "Linux: nf_nat_used_tuple" },
	{ "hostile: error * quote peer *ours: drop,*linux: pass,*same state",
	  "For the same reason the quote that was bent is true of another flow.",
	  "Linux: nf_nat_used_tuple" },

	/* --- checksums and lengths --- */
	{ "hostile: *bad checksum*",
	  "A packet that changes no state goes on as it came: a router does not look at the transport checksum, and NAT "
	  "by difference keeps a wrong one wrong. One that would change a state is dropped. Linux calls each invalid.",
	  "RFC 1812 section 5.2.2, RFC 1624; Linux: nf_conntrack_checksum" },
	{ "hostile: ICMP * cut*",
	  "A message shorter than its type demands is malformed here, in Linux only one shorter than 8 bytes.",
	  "RFC 792, RFC 950" },
	{ "hostile: ICMP * code 1*",
	  "The answer to a query has code 0 here; Linux returns the code of the question, and its tuple has it.",
	  "RFC 792" },

	/* --- ICMP errors --- */
	{ "hostile: error * about TCP, quote seq *ours: drop,*linux: pass,*same state",
	  "An error must quote a sequence number that is on its way. Linux does not look at it.",
	  "RFC 5927 section 4.1" },
	{ "*: error * about TCP, quote true*ours: drop,*linux: pass,*same state",
	  "What is quoted was true once, but has been acknowledged since, or passed as a segment that we took no notice "
	  "of: seen from here it is not on its way.",
	  "RFC 5927 section 4.1" },
	{ "hostile: error * quote short*ours: drop,*linux: pass,*same state",
	  "An error quotes 8 bytes of the transport header at least, whatever the protocol.",
	  "RFC 792, RFC 1122 section 3.2.2" },
	{ "hostile: error * about UDP, quote protocol*ours: drop,*linux: pass,*same state",
	  "UDP's eight bytes taken for TCP's name a connection that exists, with a sequence number that was never sent.",
	  "RFC 5927 section 4.1" },
	{ "hostile: error * about TCP, quote *ours: drop,*linux: pass,*same state",
	  "A quote that lies in something else is also one of a number that is not on its way.",
	  "RFC 5927 section 4.1" },

	/* --- the gateway's own --- */
	{ "*ours: answer ICMP 3/[23],*-*linux: answer ICMP 3/[23],*known*states differ",
	  "What nobody at the gateway takes leaves no connection, which could stand in the way of one from inside.",
	  "RFC 4787 REQ-1, RFC 5382 REQ-4" },
	{ "*: ICMP *ours: drop,*-*linux: drop,*known*states differ",
	  "The same for a query that is not answered.",
	  "RFC 1122 section 3.2.2.9" },
	{ "*: other inside *before: - | ours: answer ICMP 3/13, -*linux: drop, -*",
	  "Without ports only one inside host at a time can speak to an outside host. We say so, Linux does not.",
	  "RFC 1812 section 5.2.7.1" },
	{ "*: TCP outside SYN*ours: drop,*linux: answer RST,*same state",
	  "An unsolicited SYN to an address that NAT uses gets no RST: its sender may be opening the connection at the "
	  "same time as an inside host.",
	  "RFC 5382 REQ-4" },
	{ "*: TCP * SYN *before: -*ours: answer RST, *CLOSE replied*linux: answer RST, *-*",
	  "Both refuse. Linux forgets at once a connection whose only answer was a RST, we keep it as closed.",
	  "RFC 7857 section 2.2; Linux: nf_conntrack_tcp_packet, nf_ct_kill_acct" },

	{ "hostile: TCP outside * before: - | ours: answer RST, -*linux: drop, -*",
	  "A segment behind such a refusal belongs to a connection that we keep as closed, and is refused again.",
	  "RFC 9293 section 3.10.7.1" },

	/* --- a SYN where there is a connection --- */
	{ "*: TCP * SYN *before: CLOSE*ours: *, SYN_SENT*",
	  "A SYN on a connection that was reset begins a new one, from either side.",
	  "RFC 9293 section 3.10.7, RFC 7857 section 2.2; Linux: only behind a RST of the same side" },
	{ "*: TCP * SYN *before: CLOSE*ours: *, - | linux: *",
	  "The same where the packet then goes no further.",
	  "RFC 9293 section 3.10.7" },
	{ "*: TCP outside SYN *before: TIME_WAIT*ours: *, SYN_SENT2*",
	  "A peer may begin again out of TIME_WAIT as well.",
	  "RFC 9293 section 3.6.1, RFC 7857 section 2.2" },
	{ "*: TCP outside SYN *before: *ours: *linux: drop,*same state",
	  "The peer's SYN passes, for it may know better: the inside host answers with a challenge ACK.",
	  "RFC 5961 section 4, RFC 5382 REQ-2" },
	{ "*: TCP * SYN*before: SYN_SENT2*linux: *",
	  "In a simultaneous open a host may begin again with another number. Linux takes that in SYN_SENT only.",
	  "RFC 9293 section 3.10.7, RFC 5382 REQ-2" },

	/* --- RST --- */
	{ "*: TCP * RST*before: SYN_SENT snat*ours: pass, CLOSE*linux: pass, -*",
	  "Linux forgets at once a connection whose only answer was a RST, we keep it as closed.",
	  "RFC 7857 section 2.2; Linux: nf_conntrack_tcp_packet, nf_ct_kill_acct" },
	{ "*: TCP * RST*before: SYN_SENT*ours: answer ICMP*linux: answer ICMP*, -*",
	  "The same where the packet then goes no further.",
	  "Linux: nf_ct_kill_acct" },
	{ "*: TCP * RST*before: SYN_SENT*ours: *, SYN_SENT*linux: *",
	  "A RST against a SYN must acknowledge it, one of the SYN's sender stand where he is; else anybody could end an "
	  "attempt. Linux believes each.",
	  "RFC 9293 section 3.10.7.3" },
	{ "*: TCP * RST*ours: drop,*linux: *",
	  "A RST outside the window is dropped in every state. Linux does not check it in states that it may drop early, "
	  "nor before both sides have acknowledged.",
	  "RFC 5961 section 3.2; Linux: nf_conntrack_tcp_packet, tcp_can_early_drop" },
	{ "*: TCP * RST*ours: pass, *linux: pass, CLOSE*states differ",
	  "A RST inside the window but not at its edge passes and changes nothing: its receiver will ask.",
	  "RFC 5961 section 3.2" },
	{ "*: TCP * RST*ours: answer ICMP*linux: answer ICMP*states differ",
	  "The same, or exactly at the edge, where the packet then goes no further.",
	  "RFC 5961 section 3.2" },
	{ "*: TCP * RST*ours: *, CLOSE*linux: *states differ",
	  "A RST at the next number closes, whatever it acknowledges and whatever was ignored before it. Linux asks its "
	  "memory of the last segment, and checks the acknowledgement.",
	  "RFC 5961 section 3.2" },
	{ "hostile: TCP * RST*ours: pass, *linux: drop, *same state",
	  "A RST is judged by its sequence number alone, also when it acknowledges nonsense.",
	  "RFC 5961 section 3.2, RFC 9293 section 3.10.7.4" },

	/* --- after a RST --- */
	{ "*: TCP * ACK *data*before: CLOSE*ours: *, ESTABLISHED*linux: *, CLOSE*",
	  "Data bring a connection back that a RST closed: the RST may not have been believed.",
	  "RFC 7857 section 2.2" },

	/* --- before both sides are known --- */
	{ "*: TCP outside * before: SYN_RECV*ours: pass, *linux: pass, SYN_RECV*states differ",
	  "Until the opener's ACK Linux takes each segment of the answering side for its first, and its windows with it: "
	  "a FIN behind data changes nothing there.",
	  "Linux: tcp_in_window, SYN_RECV and REPLY" },
	{ "*: TCP outside * before: SYN_RECV*ours: *linux: drop, SYN_RECV*",
	  "For the same reason Linux has forgotten how far the answering side may go.",
	  "Linux: tcp_in_window, SYN_RECV and REPLY" },
	{ "*: TCP outside ACK *before: SYN_RECV*ours: *, SYN_RECV*linux: *, ESTABLISHED*",
	  "Behind a simultaneous open Linux counts the second side's ACK as the last one, we only if the first side has "
	  "acknowledged as well.",
	  "RFC 9293 section 3.5; Linux: IP_CT_TCP_SIMULTANEOUS_OPEN" },
	{ "*: TCP * before: FIN_WAIT replied snat*states differ",
	  "A connection closed before it was established: the windows differ since SYN_RECV.",
	  "Linux: tcp_in_window, SYN_RECV and REPLY" },
	{ "*: TCP * before: LAST_ACK replied snat*states differ",
	  "A connection closed before it was established: the windows differ since SYN_RECV.",
	  "Linux: tcp_in_window, SYN_RECV and REPLY" },

	{ "*: TCP inside * before: SYN_RECV*ours: *ESTABLISHED*linux: *, SYN_RECV*",
	  "The opener's ACK does not fit into those windows in Linux.",
	  "Linux: tcp_in_window, SYN_RECV and REPLY" },
	{ "hostile: TCP inside * before: SYN_RECV*ours: drop*linux: *, *states differ",
	  "What acknowledges more than the SYN-ACK has not been seen here. In Linux the windows have moved.",
	  "RFC 9293 section 3.10.7.4; Linux: tcp_in_window, SYN_RECV and REPLY" },

	{ "*: TCP * before: SYN_RECV*ours: answer ICMP 11/0, *linux: answer ICMP 11/0, *states differ",
	  "The same where the packet then goes no further.",
	  "Linux: tcp_in_window, SYN_RECV and REPLY" },
	{ "*: TCP inside * before: SYN_RECV*ours: *linux: *, *states differ",
	  "Behind a simultaneous open or an attempt that was renewed the windows differ for the same reason.",
	  "Linux: tcp_in_window, SYN_RECV and REPLY" },
	{ "*: TCP * before: LAST_ACK*ours: pass, LAST_ACK*linux: pass, TIME_WAIT*",
	  "The ACK that answers a SYN which was let through is a challenge, not the last ACK.",
	  "RFC 5961 section 4" },

	{ "*: TCP outside ACK * before: LAST_ACK*ours: pass, TIME_WAIT*linux: pass, LAST_ACK*",
	  "A connection closed before it was established: the windows differ since SYN_RECV.",
	  "Linux: tcp_in_window, SYN_RECV and REPLY" },

	/* --- windows --- */
	{ "hostile: TCP * SYN-ACK *before: *states differ",
	  "A SYN-ACK for a SYN that was ignored begins the connection again, also when other segments came between the "
	  "two. Linux remembers the last segment only.",
	  "RFC 9293 section 3.10.7.3, RFC 5961 section 4" },
	{ "hostile: TCP * before: *ours: drop,*linux: pass,*same state",
	  "Acknowledges what Linux has learnt from a RST that neither of the two believed, or from a segment in SYN_RECV.",
	  "RFC 5961 section 3.2; Linux: tcp_in_window" },
	{ "hostile: TCP * FIN *ours: drop,*linux: pass,*states differ",
	  "The same with a FIN.", "RFC 5961 section 3.2; Linux: tcp_in_window" },
	{ "hostile: TCP *ours: pass,*linux: drop,*same state",
	  "New data that passed with an acknowledgement that looks late count as sent, so they may be acknowledged.",
	  "RFC 9293 section 3.10.7.4; Linux: tcp_in_window, NFCT_TCP_IGNORE" },
	{ "hostile: TCP *, last hop *ours: answer ICMP 11/0,*linux: drop,*same state",
	  "The other way round: seen from Linux's marks it is late, so its time to live is looked at.",
	  "RFC 5961 section 3.2; Linux: tcp_in_window" },
	{ "hostile: TCP * before: CLOSE*ours: pass,*linux: drop,*same state",
	  "For the same reason: behind the RST the two know different things.",
	  "RFC 5961 section 3.2; Linux: tcp_in_window" },
	{ "hostile: TCP * before: *_WAIT *ours: pass,*linux: pass,*states differ",
	  "Late for one of the two and not for the other, since data in SYN_RECV have widened a window in Linux.",
	  "Linux: tcp_in_window, SYN_RECV and REPLY" },
	{ "sane: TCP inside ACK data in \"old acknowledgements\"*ours: pass,*linux: drop,*same state",
	  "New data with an acknowledgement that looks late have passed, so they count as sent. Linux takes no note of them, "
	  "and calls what acknowledges them invalid.",
	  "RFC 9293 section 3.10.7.4; Linux: tcp_in_window, NFCT_TCP_IGNORE" },
	{ "sane: TCP outside ACK data in \"aborted\"*ours: drop,*linux: pass,*same state",
	  "A RST whose data did not come by here is inside the window, not at its edge: it moves no mark, else the same one "
	  "again would stand at the edge. In Linux it moves the mark, so what it acknowledges is known.",
	  "RFC 5961 section 3.2; Linux: tcp_in_window" },
	{ "hostile: TCP outside SYN *before: SYN_SENT replied*ours: pass, SYN_SENT2*linux: pass, SYN_SENT*",
	  "A SYN-ACK that answers another SYN passes, and its numbers are forgotten: a guess must not stand in the way of "
	  "the real answer. Linux keeps them.",
	  "RFC 9293 section 3.10.7.3; Linux: tcp_in_window" },
};
/* clang-format on */
const uint32_t n_explained = sizeof(explained) / sizeof(explained[0]);
