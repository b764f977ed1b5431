"""The text that makes the namespace's network: one `ip -batch` script and one nft ruleset. Pure."""

from __future__ import annotations

LISTENER_PORT = 15001
LOG_GROUP = 15
# The first segment of a connection, or a repeat of it.
SYN = "tcp flags & (syn | ack) == syn"
# Bytes of a refused packet that are logged: both headers and the ports, never a payload of size.
LOG_SNAPLEN = 128
# Preferred sources: without one the kernel takes the destination as source and both ends look alike.
SOURCE4 = "10.255.0.1"
SOURCE6 = "fd00::1"


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
  counter local {{ }}
  counter local_refused {{ }}
  counter memberships {{ }}
  counter questions {{ }}
  counter refused {{ }}
  counter refused_syn {{ }}
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
    {SYN} counter name local accept
    tcp flags & (rst | ack) == (rst | ack) tcp sequence 0 counter name local_refused
    accept
  }}
  chain refuse {{
    type filter hook output priority filter; policy drop;
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
    tcp dport 53 {SYN} counter name captured_dns accept
    {SYN} counter name captured accept
    meta l4proto tcp accept
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
