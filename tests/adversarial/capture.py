"""Every packet of the world, as a witness that no server's manners can fool.

Run as `python capture.py ADDRESS` inside the world; prints `ready`, then answers each line `flush` on stdin with one
line of JSON: the packets since the last one. A marker of our own, sent and waited for, proves that none is missing.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
from typing import Any

ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 3, 0x0800, 0x86DD
SO_RCVBUFFORCE, SOL_PACKET, PACKET_STATISTICS = 33, 263, 6
BUFFER_BYTES = 64 * 1_048_576
KEPT_BYTES = 4096
MARKER_PORT = 9


def read(frame: bytes, family: int) -> dict[str, Any] | None:
    """The packet in an Ethernet frame; None for what is not IP."""
    packet = frame[14:]
    if family == ETH_P_IP:
        size, protocol = (packet[0] & 15) * 4, packet[9]
        source, target = packet[12:16], packet[16:20]
    elif family == ETH_P_IPV6:
        size, protocol = 40, packet[6]
        source, target = packet[8:24], packet[24:40]
    else:
        return None
    kind = socket.AF_INET if family == ETH_P_IP else socket.AF_INET6
    body = packet[size:]
    found: dict[str, Any] = {
        "protocol": protocol,
        "source": socket.inet_ntop(kind, source),
        "target": socket.inet_ntop(kind, target),
        "data": body[:KEPT_BYTES].decode("latin-1"),
    }
    if protocol in {6, 17, 33, 132, 136} and len(body) >= 4:
        found["port"] = struct.unpack_from("!H", body, 2)[0]
    if protocol == 6 and len(body) >= 14:
        found["syn"] = body[13] & 0x12 == 0x02
    return found


def main() -> None:
    witness = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    witness.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
    witness.bind(("lo", ETH_P_ALL))
    print("ready", flush=True)
    while sys.stdin.readline():
        marker = os.urandom(16)
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(marker, (sys.argv[1], MARKER_PORT))
        packets: list[dict[str, Any]] = []
        while True:
            frame, address = witness.recvfrom(65_536)
            if marker in frame:
                break
            if address[2] != socket.PACKET_OUTGOING:
                continue  # loopback shows each packet twice
            if (packet := read(frame, address[1])) is not None:
                packets.append(packet)
        seen, lost = struct.unpack("II", witness.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        print(json.dumps({"packets": packets, "seen": seen, "lost": lost}), flush=True)


if __name__ == "__main__":
    main()
