"""Contexts by name, and that no key is left anywhere (sluicegate.gate.authority)."""

from __future__ import annotations

import os
import ssl

import pytest

from sluicegate.gate import authority
from sluicegate.gate.authority import Authority
from sluicegate.gate.certificates import AuthorityError

NAMES = frozenset({("wide.test", True)})


def shake(
    server: ssl.SSLContext, client: ssl.SSLContext, name: str, session: ssl.SSLSession | None = None
) -> ssl.SSLObject:
    """The client's end after a handshake and one byte, in memory."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(up, down, server_side=True)
    theirs = client.wrap_bio(down, up, server_hostname=name, session=session)
    for _ in range(3):
        for end in (theirs, ours):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    ours.write(b"!")
    assert theirs.read(1) == b"!"  # what carries the ticket of TLS 1.3 comes before it
    return theirs


def client(of: Authority, *alpn: str) -> ssl.SSLContext:
    made = ssl.create_default_context(cadata=of.pem.decode())
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    if alpn:
        made.set_alpn_protocols(alpn)
    return made


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_that_trusts_the_authority_is_served_and_resumes(version: ssl.TLSVersion) -> None:
    of = Authority(NAMES, "1")
    trusting = client(of, "h2", "http/1.1")
    trusting.maximum_version = version
    context = of.context("a.wide.test", ("http/1.1",))
    first = shake(context, trusting, "a.wide.test")
    assert first.selected_alpn_protocol() == "http/1.1"
    again = shake(of.context("a.wide.test", ("http/1.1",)), trusting, "a.wide.test", first.session)
    assert (first.session_reused, again.session_reused) == (False, True)


def test_alpn_is_what_was_asked_for() -> None:
    of = Authority(NAMES, "1")
    for alpn, wanted in ((("h2", "http/1.1"), "h2"), (("h2",), "h2"), ((), None)):
        done = shake(of.context("a.wide.test", alpn), client(of, "http/1.1", "h2"), "a.wide.test")
        assert done.selected_alpn_protocol() == wanted


def test_a_client_of_another_name_or_version_is_not_served() -> None:
    of = Authority(NAMES, "1")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake(of.context("a.wide.test"), client(of), "b.wide.test")
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        shake(of.context("a.wide.test"), client(Authority(NAMES, "2")), "a.wide.test")
    assert of.context("a.wide.test").minimum_version is ssl.TLSVersion.TLSv1_2


def test_names_of_nobody_are_refused() -> None:
    of = Authority(NAMES, "1")
    for name in ("wide.test", "other.test", "a.WIDE.test", "ä.wide.test", ""):
        with pytest.raises(AuthorityError):
            of.context(name)
    with pytest.raises(AuthorityError):
        Authority(frozenset(), "1")


def test_no_more_contexts_are_kept_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authority, "MAX_CONTEXTS", 2)
    of = Authority(NAMES, "1")
    first, second = of.context("a.wide.test"), of.context("b.wide.test")
    assert of.context("a.wide.test") is first
    of.context("c.wide.test")
    assert of.context("a.wide.test") is first  # used later than the other
    assert of.context("b.wide.test") is not second
    assert (len(of._contexts), len(of._leaves)) == (2, 2)


def test_no_descriptor_and_no_file_is_left() -> None:
    of = Authority(NAMES, "1")
    before = os.listdir("/proc/self/fd")
    for number in range(5):
        of.context(f"n{number}.wide.test")
    assert os.listdir("/proc/self/fd") == before
    assert b"PRIVATE" not in of.pem
