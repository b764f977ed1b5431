"""DNS over TCP: sluicegate.gate.dnstcp."""

from __future__ import annotations

import socket

from sluicegate.gate.dnstcp import DnsConnection
from sluicegate.gate.loop import Loop


def test_frames_in_any_pieces_are_answered_in_order() -> None:
    loop, gone = Loop(), list[DnsConnection]()
    ours, client = socket.socketpair()
    with ours, client:
        ours.setblocking(False)
        one = DnsConnection(loop, ours, lambda packet: packet[::-1], gone.append)
        one.start()
        for piece in (b"\0", b"\3ab", b"c\0\2xy\0\x09part"):
            client.sendall(piece)
            loop.turn(0)
        assert client.recv(100) == b"\0\3cba\0\2yx"
        client.shutdown(socket.SHUT_WR)
        loop.turn(0)
        assert gone == [one]
        assert client.recv(100) == b""
        loop.close()


def test_what_gets_no_answer_ends_the_connection() -> None:
    loop, gone = Loop(), list[DnsConnection]()
    ours, client = socket.socketpair()
    with ours, client:
        ours.setblocking(False)
        DnsConnection(loop, ours, lambda _: b"", gone.append).start()
        client.sendall(b"\0\1x")
        loop.turn(0)
        assert len(gone) == 1
        loop.close()


def test_a_connection_without_a_whole_question_is_put_on_record_once() -> None:
    for sent in (b"", b"\0", b"\0\x09abc", b"GET / HTTP/1.0\r\n\r\n", b"\0\1x\0\x09abc"):
        loop, gone, asked = Loop(), list[DnsConnection](), list[bytes]()
        ours, client = socket.socketpair()

        def answer(packet: bytes, asked: list[bytes] = asked) -> bytes:
            asked.append(packet)
            return b"answer"

        with ours, client:
            ours.setblocking(False)
            DnsConnection(loop, ours, answer, gone.append).start()
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            loop.turn(0)
            loop.turn(0)
            assert len(gone) == 1, sent
            assert asked == ([b"x", b""] if b"x" in sent else [b""])
            loop.close()
