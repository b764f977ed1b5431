"""Requests to AWS that are signed anew: what else could be signed with the key, or go where it is not meant to.

P27 of the attack catalogue, for a key that never travels. The gate alone, with real handshakes; both ends are ours.
"""

# ruff: noqa: N802

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from sluicegate.gate import whole
from sluicegate.gate.vault import Held, Vault
from sluicegate.policy.model import Secret
from tests import aws
from tests.kernel.test_h2 import open_to
from tests.kernel.test_opened import NAME, Site, answer, house
from tests.kernel.twohouse import Client, Site2

VALUE = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
PLACEHOLDER = "xQwertYuiOPAS/D7FGHJK/lZxCvBNQWERTYUIOPA"
SECRET = Secret("AWS_KEY", ("env", "AWS_KEY"), (NAME,), ("GET", "PUT", "POST"), "sigv4")
UNSIGNED = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
Said = dict[str, str]


def vault() -> Vault:
    return Vault((Held(SECRET, PLACEHOLDER, VALUE),), {})


def signature(text: str | bytes) -> str:
    found = re.search(r"Signature=([0-9a-f]{64})", text if isinstance(text, str) else text.decode())
    assert found is not None
    return found[1]


class Signer:
    """A client's requests to the site at `port`, each with what the server wants to see."""

    def __init__(self, port: int) -> None:
        self.host = f"{NAME}:{port}"

    def said(self, **more: str) -> Said:
        names = {name.replace("_", "-"): value for name, value in more.items()}
        return {"host": self.host, "x-amz-date": aws.DATE} | names

    def sign(self, method: str, target: str, said: Said, key: str, content: bytes = b"") -> str:
        return aws.authorization(key, method, target, said, content=content)

    def http1(
        self, line: str, content: bytes = b"", key: str = PLACEHOLDER, **more: str
    ) -> tuple[bytes, str]:
        """A request in HTTP/1.1, and the signature that the server is to see."""
        said = self.said(**more)
        method, target = line.split()
        lines = [f"{name}: {value}" for name, value in said.items()]
        lines.append(f"authorization: {self.sign(method, target, said, key, content)}")
        if content:
            lines.append(f"content-length: {len(content)}")
        head = "\r\n".join((f"{line} HTTP/1.1", *lines, "", ""))
        return head.encode() + content, signature(self.sign(method, target, said, VALUE, content))


def test_P27_the_server_gets_its_key_s_signature_of_all_that_is_sent(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with house(site, open_to(site), vault=vault(), secrets=(SECRET,)) as place:  # type: ignore[arg-type]
        signer = Signer(site.server.port)
        peer = place.connect()
        content = bytes(range(256)) * 4000
        sent = [
            signer.http1("GET /a//b/../c%20d?x=1&a=%2F&x=0"),
            signer.http1("PUT /streams", content, **UNSIGNED),
            signer.http1(
                "PUT /said", content, x_amz_content_sha256=hashlib.sha256(content).hexdigest()
            ),
            signer.http1("POST /read-first", content),
            signer.http1("POST /read-first-too", b"x"),
            signer.http1("GET /last", x_a="  one   and\ttwo "),
        ]
        # The client's signature is of what AWS makes of these blanks.
        sent[-1] = (
            sent[-1][0].replace(
                signature(sent[-1][0]).encode(),
                signature(signer.http1("GET /last", x_a="one and two")[0]).encode(),
            ),
            signer.http1("GET /last", x_a="one and two")[1],
        )
        for request, _ in sent:
            peer.sendall(request)
            assert answer(peer).startswith(b"HTTP/1.1 200 ")
        place.gate.stop()
        messages = place.gate.notary.messages
    assert [signature(heard.partition(b"\r\n\r\n")[0]) for heard in site.heard] == [
        one for _, one in sent
    ]
    assert [heard.partition(b"\r\n\r\n")[2] for heard in site.heard] == [
        request.partition(b"\r\n\r\n")[2] for request, _ in sent
    ]
    assert not [m for m in messages if m["verdict"] == "block"]
    everything = str((site.heard, messages))
    assert not any(text in everything for text in (VALUE, PLACEHOLDER))


WORDS = {
    "another's": "is not the placeholder's, or not of what is sent",
    "form": "is not one AWS4-HMAC-SHA256 signature",
    "date": "x-amz-date is not one time",
    "headers": "a header that is not sent on as it came",
    "url": "its signature would make one for anybody",
    "chunks": "chunks are signed one by one",
    "content": "more than is read before it is sent",
    "elsewhere": "host, method or connection is none that the secret is for",
}


def attacks(signer: Signer) -> dict[str, tuple[bytes, str]]:
    """Requests that differ from what was signed, and ones that must not be signed at all."""
    good, _ = signer.http1("GET /a?b=1&c=2", x_amz_meta="m")
    upload, _ = signer.http1("PUT /a", b"content", **UNSIGNED)
    post, _ = signer.http1("POST /a", b"content")
    line = good[good.index(b"authorization") : good.index(b"\r\n\r\n") + 2]
    blank = f"{signer.host}".encode()

    def other(old: bytes, new: bytes, of: bytes = good) -> bytes:
        assert old in of
        return of.replace(old, new, 1)

    big = signer.http1("POST /big", b"x")[0].replace(
        b"content-length: 1", b"content-length: %d" % (whole.MAX_BYTES + 1)
    )
    chunks = signer.http1(
        "PUT /c", b"7\r\n", x_amz_content_sha256="STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    )[0]
    return {
        "another key": (signer.http1("GET /a", key="own/key/of/the/attacker")[0], "another's"),
        "the value itself as a key": (signer.http1("GET /a", key=VALUE)[0], "another's"),
        "another path": (other(b"/a?", b"/b?"), "another's"),
        "another case of an escape": (
            signer.http1("GET /%2fa")[0].replace(b"/%2fa", b"/%2Fa"),
            "another's",
        ),
        "another query": (other(b"c=2", b"c=3"), "another's"),
        "more query": (other(b"c=2", b"c=2&d"), "another's"),
        "less query": (other(b"&c=2", b""), "another's"),
        "another method": (other(b"GET ", b"PUT "), "another's"),
        "a method that the secret is not for": (signer.http1("DELETE /a")[0], "elsewhere"),
        "another value": (other(b"x-amz-meta: m", b"x-amz-meta: n"), "another's"),
        "one more of a signed header": (
            other(b"x-amz-meta: m", b"x-amz-meta: m\r\nX-Amz-Meta: n"),
            "another's",
        ),
        "a signed header that is not there": (other(b"x-amz-meta: m\r\n", b""), "headers"),
        "one that Connection takes away": (
            other(b"x-amz-meta: m", b"x-amz-meta: m\r\nConnection: x-amz-meta"),
            "headers",
        ),
        "another day": (other(aws.DATE[:8].encode() + b"T", b"20260103T"), "date"),
        "another hour": (other(b"T030405Z", b"T040405Z"), "another's"),
        "no time": (other(f"x-amz-date: {aws.DATE}\r\n".encode(), b""), "date"),
        "two times": (other(b"x-amz-meta: m", f"x-amz-date: {aws.DATE}".encode()), "date"),
        "another region": (other(b"/eu-west-1/", b"/eu-west-2/"), "another's"),
        "another service": (other(b"/s3/", b"/sts/"), "another's"),
        "two of them": (other(line, line + line), "form"),
        "two of them, one of another kind": (
            other(line, b"Authorization: Basic eDp5\r\n" + line),
            "form",
        ),
        "another algorithm": (other(b"AWS4-HMAC-SHA256 ", b"AWS4-ECDSA-P256-SHA256 "), "form"),
        "in small letters": (other(b"AWS4-HMAC-SHA256 ", b"aws4-hmac-sha256 "), "form"),
        "names out of order": (
            other(b"host;x-amz-date;x-amz-meta", b"x-amz-meta;host;x-amz-date"),
            "form",
        ),
        "without the host": (other(b"host;x-amz-date", b"x-amz-date"), "form"),
        "another content": (other(b"\r\n\r\ncontent", b"\r\n\r\nCONTENT", post), "another's"),
        "content that is said to be unsigned": (
            other(
                b"content-length", b"x-amz-content-sha256: UNSIGNED-PAYLOAD\r\ncontent-length", post
            ),
            "another's",
        ),
        "a digest, and another": (
            other(
                b"content-length",
                b"X-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\ncontent-length",
                upload,
            ),
            "chunks",
        ),
        "signed chunks": (chunks, "chunks"),
        "more than is read": (big, "content"),
        "what signs a URL too": (
            signer.http1(
                "GET /a?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=604800", **UNSIGNED
            )[0],
            "url",
        ),
        "version 2": (
            other(line, b"Authorization: AWS AKIDEXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg=\r\n"),
            "form",
        ),
        "another port": (other(blank, blank.partition(b":")[0] + b":443"), ""),
    }


@pytest.mark.parametrize("protocol", ["https", "http"])
def test_P27_what_was_not_signed_so_is_not_signed_anew(tmp_path: Path, protocol: str) -> None:
    site = Site(tmp_path)
    with house(site, open_to(site), vault=vault(), secrets=(SECRET,)) as place:  # type: ignore[arg-type]
        cases = attacks(Signer(site.server.port))
        if protocol == "http":
            cases = {"in the clear": (Signer(site.server.port).http1("GET /a")[0], "elsewhere")}
        for name, (request, why) in cases.items():
            peer = place.connect() if protocol == "https" else place.gate.connect()
            peer.sendall(request)
            said = answer(peer)  # type: ignore[arg-type]
            assert said.startswith(b"HTTP/1.1 403 "), (name, said)
            if why:
                assert b"rule: signature" in said, (name, said)
                assert b"not signed anew with AWS_KEY: " in said, (name, said)
                assert WORDS[why].encode() in said, (name, said)
            peer.close()
        place.gate.stop()
        messages = place.gate.notary.messages
    assert not site.heard
    denied = [m for m in messages if m["flow"].get("rule") == "signature"]
    assert len(denied) == sum(bool(why) for _, why in cases.values())
    assert {m["verdict"] for m in denied} == {"block"}
    assert "Signature=" not in str(messages)


def test_P27_how_it_is_written_is_no_difference_and_what_is_not_signed_is_the_clients(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path)
    with house(site, open_to(site), vault=vault(), secrets=(SECRET,)) as place:  # type: ignore[arg-type]
        signer = Signer(site.server.port)
        good, wanted = signer.http1("GET /a?b=1&c=2")
        peer = place.connect()
        for request in (
            good,
            good.replace(b"x-amz-date", b"X-AMZ-DATE", 1),
            good.replace(b"b=1&c=2", b"c=2&b=1", 1).replace(b"c=2", b"%63=2", 1),
            good.replace(b"host:", b"x-unsigned: 1\r\nhost:"),
            good.replace(b", S", b",S"),
            # Most services make a path normal before they look at its signature, and then it is the same one.
            good.replace(b"/a?", b"//x/../a?"),
        ):
            peer.sendall(request)
            assert answer(peer).startswith(b"HTTP/1.1 200 "), request
        for request in (
            b"GET /?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=%s" % (b"0" * 64),
            b"GET /anonymous",
        ):
            peer.sendall(request + b" HTTP/1.1\r\nHost: " + signer.host.encode() + b"\r\n\r\n")
            assert answer(peer).startswith(b"HTTP/1.1 200 "), request
        place.gate.stop()
    assert [signature(heard) for heard in site.heard[:6]] == [wanted] * 6
    assert "authorization" not in str(site.heard[6:]).lower()


def test_P27_a_signature_that_comes_back_is_of_no_use(tmp_path: Path) -> None:
    """The command may have it from a server that echoes; with the gate it opens nothing, not even the same again."""
    site = Site(tmp_path)
    with house(site, open_to(site), vault=vault(), secrets=(SECRET,)) as place:  # type: ignore[arg-type]
        good, wanted = Signer(site.server.port).http1("GET /a")
        peer = place.connect()
        peer.sendall(good)
        assert answer(peer).startswith(b"HTTP/1.1 200 ")
        peer.sendall(good.replace(signature(good).encode(), wanted.encode()))
        assert b"rule: signature" in answer(peer)
        place.gate.stop()
    assert len(site.heard) == 1


def test_P27_many_contents_that_are_read_first_are_given_back(tmp_path: Path) -> None:
    """And a client that waits for a word before it sends one is given it, before anybody else."""
    site = Site(tmp_path)
    kept = vault()
    with house(site, open_to(site), vault=kept, secrets=(SECRET,)) as place:  # type: ignore[arg-type]
        signer = Signer(site.server.port)
        peer = place.connect()
        for number in range(5):
            content = bytes(70_000 + number)
            request, _ = signer.http1(f"POST /{number}", content)
            head = request.removesuffix(content)
            peer.sendall(head.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
            assert peer.recv(4096) == whole.CONTINUE
            peer.sendall(content)
            assert answer(peer).startswith(b"HTTP/1.1 200 ")
        cut = place.connect()
        cut.sendall(signer.http1("POST /cut", bytes(5000))[0][:-1000])
        peer.sendall(
            signer.http1("POST /refused", bytes(5000))[0].replace(b"POST /refused", b"POST /else")
        )
        assert b"rule: signature" in answer(peer)
        peer.close()
        cut.close()
        place.gate.stop()
    assert [heard.split(b" ")[1] for heard in site.heard] == [b"/%d" % n for n in range(5)]
    assert kept._room.held == 0


def test_P27_what_follows_a_content_is_another_request(tmp_path: Path) -> None:
    """Signed by itself, or not at all."""
    site = Site(tmp_path)
    with house(site, open_to(site), vault=vault(), secrets=(SECRET,)) as place:
        signer = Signer(site.server.port)
        first, one = signer.http1("POST /first", b"content")
        second, two = signer.http1("POST /second", bytes(100_000))
        other, _ = signer.http1("POST /third", b"content", key="another key")
        peer = place.connect()
        peer.sendall(first + second + other)
        said = answer(peer) + answer(peer) + answer(peer)
        assert said.count(b"HTTP/1.1 200 ") == 2
        assert b"HTTP/1.1 403 " in said
        place.gate.stop()
    assert [signature(heard.partition(b"\r\n\r\n")[0]) for heard in site.heard] == [one, two]


def test_P27_a_content_that_does_not_come_is_waited_for_as_a_head_is(tmp_path: Path) -> None:
    site = Site(tmp_path)
    kept = vault()
    with house(site, open_to(site), vault=kept, secrets=(SECRET,), head_s=1.0) as place:
        peer = place.connect()
        peer.sendall(Signer(site.server.port).http1("POST /late", bytes(100_000))[0][:-1])
        assert b"did not finish its first bytes in time" in answer(peer)
        place.gate.stop()
    assert not site.heard
    assert kept._room.held == 0


def test_P27_who_can_speak_HTTP_1_does(tmp_path: Path) -> None:
    """Some clients say no digest, whatever they speak; only in HTTP/1.1 a content can be read first."""
    for secrets, spoken in (((SECRET,), "http/1.1"), ((), "h2")):
        site = Site2(tmp_path)
        kept = vault() if secrets else None
        with house(site, open_to(site), vault=kept, secrets=secrets) as place:
            context = place.context()
            context.set_alpn_protocols(["h2", "http/1.1"])
            peer = place.connect(context=context)
            assert peer.selected_alpn_protocol() == spoken
            if secrets:
                peer.sendall(Signer(site.server.port).http1("POST /a", b"content")[0])
                assert answer(peer).endswith(b"/a 7")
            place.gate.stop()


def test_P27_HTTP2_each_stream_by_itself(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    with house(site, open_to(site), vault=vault(), secrets=(SECRET,)) as place:
        client = Client(place, site.server.port)
        signer = Signer(site.server.port)
        digest = hashlib.sha256(b"content").hexdigest()

        def ask(
            line: str, content: bytes | None = None, key: str = PLACEHOLDER, **more: str
        ) -> tuple[int, bytes]:
            said = signer.said(**more)
            method, target = line.split()
            made = signer.sign(method, target, said, key, content or b"")
            fields = [(name, value) for name, value in said.items() if name != "host"]
            number = client.ask(method, target, content, *fields, ("authorization", made))
            return client.answer(number)

        assert ask("GET /a?b=1") == (200, b"/a?b=1 0")
        assert ask("PUT /b", b"content", x_amz_content_sha256=digest) == (200, b"/b 7")
        assert ask("PUT /c", b"content", **UNSIGNED) == (200, b"/c 7")
        for line, content, key, why in (
            ("POST /d", b"content", PLACEHOLDER, "content"),
            ("GET /e", None, "another key", "another's"),
            ("DELETE /f", None, PLACEHOLDER, "elsewhere"),
        ):
            status, said = ask(line, content, key)
            assert (status, WORDS[why].encode() in said) == (403, True), (line, said)
        assert ask("GET /g")[0] == 200
        place.gate.stop()
        messages = place.gate.notary.messages
    seen = {
        dict(fields)[":path"]: signature(dict(fields)["authorization"]) for fields in site.fields
    }
    wanted = {
        "/a?b=1": ("GET", signer.said()),
        "/b": ("PUT", signer.said(x_amz_content_sha256=digest)),
        "/c": ("PUT", signer.said(**UNSIGNED)),
        "/g": ("GET", signer.said()),
    }
    assert seen == {
        path: signature(signer.sign(method, path, said, VALUE))
        for path, (method, said) in wanted.items()
    }
    denied = [m["flow"]["path"] for m in messages if m["flow"].get("rule") == "signature"]
    assert denied == ["/d", "/e", "/f"]
