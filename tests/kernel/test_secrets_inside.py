"""Secrets in HTTP/2 and in the pieces of HTTP/1.1, with real handshakes: the gate alone, both ends ours."""

from __future__ import annotations

from pathlib import Path

from sluicegate.gate.vault import Held, Vault
from sluicegate.policy.model import Secret
from tests.kernel.test_h2 import open_to
from tests.kernel.test_opened import NAME, house
from tests.kernel.twohouse import Client, Peer, Site2

VALUE, PLACEHOLDER = "sk-live-7Gq2Vw9Zt4Kd1Xp8", "sk-live-3Rb6Ny0Hc5Mf2Js7"
SECRET = Secret("API_KEY", ("env", "API_KEY"), (NAME,), (), "bearer")


def vault() -> Vault:
    return Vault((Held(SECRET, PLACEHOLDER, VALUE),), {})


def test_of_each_stream_by_itself(tmp_path: Path) -> None:
    site = Site2(tmp_path)
    with house(site, open_to(site), vault=vault(), secrets=(SECRET,)) as place:
        client = Client(place, site.server.port)
        bearer = ("authorization", f"Bearer {PLACEHOLDER}")
        assert client.get("/a", bearer) == (200, b"/a 0")
        status, said = client.get("/b", ("x-other", PLACEHOLDER))
        assert (status, b"placeholder of API_KEY (plain) is in the headers" in said) == (403, True)
        assert client.get(f"/{PLACEHOLDER}")[0] == 403
        content = client.ask("POST", "/c", b"x" * 9 + PLACEHOLDER.encode())
        status, said = client.answer(content)
        assert (status, b"is in the content" in said) == (403, True)
        assert client.get("/d", bearer) == (200, b"/d 0")
        place.gate.stop()
    sent = [fields for fields in site.fields if ("authorization", f"Bearer {VALUE}") in fields]
    assert [dict(fields)[":path"] for fields in sent] == ["/a", "/d"]
    assert PLACEHOLDER not in str((site.fields, site.contents))
    messages = place.gate.notary.messages
    denied = [m for m in messages if m["flow"].get("rule") == "secret"]
    assert [(m["severity"], m["flow"]["path"]) for m in denied] == [
        *(("high", "/b"), ("high", "/[redacted]"), ("high", "/c"))
    ]
    assert not any(text in str(messages) for text in (VALUE, PLACEHOLDER))


def test_in_trailers_and_in_what_comes_back(tmp_path: Path) -> None:
    site = Site2(tmp_path)

    def behave(peer: Peer, number: int, head: dict[str, str]) -> bool:
        fields = [(":status", "200")]
        if head[":path"] == "/head":
            fields.append(("x-echo", head["authorization"]))
        peer.conn.send_headers(number, fields)
        peer.conn.send_data(number, head.get("authorization", "").encode(), end_stream=True)
        peer.flush()
        return True

    site.behave = behave
    with house(site, open_to(site), vault=vault(), secrets=(SECRET,)) as place:
        client = Client(place, site.server.port)
        number = client.say(client.head("POST", "/trailers"), end=False)
        client.conn.send_data(number, b"content")
        client.conn.send_headers(number, [("x-log", PLACEHOLDER)], end_stream=True)
        client.flush()
        client.wait(number)
        for path in ("/head", "/content"):
            asked = client.ask("GET", path, None, ("authorization", f"Bearer {PLACEHOLDER}"))
            client.wait(asked)
            assert VALUE.encode() not in client.bodies.get(asked, b"")
        place.gate.stop()
    assert "/trailers" not in site.trailers
    assert VALUE not in str((client.heads, client.bodies))
    messages = place.gate.notary.messages
    where = [m["flow"]["reason"] for m in messages if m["flow"].get("rule") == "secret"]
    assert [reason.rpartition(" is in ")[2].partition(",")[0] for reason in where] == [
        *("the content", "the response", "the response")
    ]
