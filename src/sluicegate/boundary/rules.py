"""The text that makes the namespace's network: one `ip -batch` script and one nft ruleset. Pure."""

from __future__ import annotations

LISTENER_PORT = 15001
LOG_GROUP = 15
# The first segment of a connection, or a repeat of it.
SYN = "tcp flags & (syn | ack) == syn"
SYN_ACK = "tcp flags & (syn | ack) == (syn | ack)"
# A segment whose headers have one known length: no IP option or extension header, and timestamps as TCP's only option,
# which is what all have once the connection is made. 52 bytes and 72.
PLAIN4 = "meta nfproto ipv4 ip hdrlength 5 tcp doff 8"
PLAIN6 = "ip6 nexthdr tcp tcp doff 8"
# Bytes of a refused packet that are logged: both headers and the ports, never a payload of size.
LOG_SNAPLEN = 128
# Preferred sources: without one the kernel takes the destination as source and both ends look alike.
SOURCE4 = "10.255.0.1"
SOURCE6 = "fd00::1"
# Set on the gate's two listeners, and so on every socket that they accept: what it sends inside carries it. Nobody
# without CAP_NET_ADMIN can set or clear a mark, neither the command nor a gate that was taken over.
GATE_MARK = 0x51


def ip_batch() -> str:
    """The lines for `ip -batch -`: every address of both families is local to this namespace."""
    return (
        "link set lo up\n"
        f"addr add {SOURCE4}/32 dev lo\n"
        f"addr add {SOURCE6}/128 dev lo nodad\n"
        f"route add local 0.0.0.0/0 dev lo src {SOURCE4}\n"
        f"route add local ::/0 dev lo src {SOURCE6}\n"
    )


_RULESET = f"""table inet sluicegate {{
  counter captured {{ }}
  counter captured_dns {{ }}
  counter down4 {{ }}
  counter down6 {{ }}
  counter down_odd {{ }}
  counter local {{ }}
  counter local_answered {{ }}
  counter local_refused {{ }}
  counter memberships {{ }}
  counter questions {{ }}
  counter refused {{ }}
  counter refused_syn {{ }}
  counter up4 {{ }}
  counter up6 {{ }}
  counter up_odd {{ }}
  counter up_urgent {{ }}
  chain capture {{
    type filter hook prerouting priority mangle; policy accept;
    ip daddr 127.0.0.0/8 accept
    ip6 daddr ::1 accept
    meta l4proto tcp tproxy to :{LISTENER_PORT} accept
  }}
  chain refused {{
    counter name refused
    {SYN} counter name refused_syn
    log group {LOG_GROUP} snaplen {LOG_SNAPLEN}
    reject with icmpx admin-prohibited
  }}
  chain own {{
    tcp dport {LISTENER_PORT} {SYN} counter name captured accept
    tcp dport 53 {SYN} counter name captured_dns accept
    tcp dport {LISTENER_PORT} goto up
    {SYN} counter name local accept
    {SYN_ACK} counter name local_answered
    tcp flags & (rst | ack) == (rst | ack) tcp sequence 0 counter name local_refused
    accept
  }}
  chain up {{
    tcp flags & urg == urg counter name up_urgent
    {PLAIN4} counter name up4 accept
    {PLAIN6} counter name up6 accept
    counter name up_odd accept
  }}
  chain down {{
    tcp sport 53 accept
    {PLAIN4} counter name down4 accept
    {PLAIN6} counter name down6 accept
    counter name down_odd accept
  }}
  chain from_loopback {{
    {SYN} goto refused
    {SYN_ACK} counter name local_answered
    accept
  }}
  chain refuse {{
    type filter hook output priority filter; policy drop;
    meta mark {GATE_MARK} goto down
    ip daddr 127.0.0.0/8 goto own
    ip6 daddr ::1 goto own
    ip protocol igmp counter name memberships drop
    icmpv6 type {{ mld-listener-report, mld-listener-done, mld2-listener-report }} counter name memberships drop
    ip daddr 224.0.0.0/4 goto refused
    ip daddr 255.255.255.255 goto refused
    ip6 daddr ff00::/8 goto refused
    exthdr rt exists goto refused
    udp dport 53 counter name questions accept
    udp sport 53 accept
    ip saddr 127.0.0.0/8 meta l4proto tcp goto from_loopback
    ip6 saddr ::1 meta l4proto tcp goto from_loopback
    tcp dport 53 {SYN} counter name captured_dns accept
    {SYN} counter name captured accept
    tcp dport 53 accept
    meta l4proto tcp goto up
    icmp type destination-unreachable accept
    icmpv6 type destination-unreachable accept
    goto refused
  }}
}}
"""


def ruleset() -> str:
    """The text for `nft -f -`: TCP to the listener, port 53 to the resolver, the rest refused.

    What would be counted as a question or a connection and never arrive as one is refused before that: multicast, a
    routing header. The listener's and the resolver's own ports on loopback are ways to the gate like any other, and
    counted so.

    `up` is what clients send to the gate and `down` what the gate sends to them, apart from port 53. The gate's sockets
    carry a mark. What carries none and goes nowhere on loopback is a client's, unless it comes from there: then it
    answers a client of the command's own, since a loopback address can not connect to another one, as on any host.

    The counters of `SYN` are one side of `evidence.equation`: `captured` and `captured_dns` come to the gate, `local`
    stays the command's own, `refused_syn` goes nowhere. `local_refused` counts the answers to a SYN at a closed port of
    the command's loopback: of all resets only those have the sequence number 0 and an acknowledgement, because the
    segment that they answer had none (RFC 9293 section 3.10.7.1).

    Reports of multicast memberships are the kernel's own too: it sends them when a timer says so, also after all who
    joined are dead, and would be one refused packet ahead of a record that is being closed. They get no further.

    Unreachable messages are the kernel's own (nobody inside has a raw socket): the one that `reject`
    makes would otherwise be refused, counted and logged like a second packet of the command.
    """
    return _RULESET
