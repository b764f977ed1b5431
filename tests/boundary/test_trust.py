"""Which files and variables make the inside trust an authority (sluicegate.boundary.trust)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sluicegate.boundary import rootstore, trust
from sluicegate.boundary.model import Folder
from sluicegate.boundary.trust import ALONE, EVERY, HASHED, Found, files, overlay
from sluicegate.gate.certificates import issuer

PEM = issuer(None, "1", 1, datetime.now(UTC)).pem
OURS = rootstore.certificates(PEM)[0]
A, B, C = (b"0" + bytes([n]) for n in range(3))
LINK = f"{rootstore.subject_hash(OURS)}.0"


def ders(text: str) -> tuple[bytes, ...]:
    return rootstore.certificates(text.encode())


def own(found: Found, env: dict[str, str] | None = None) -> dict[str, str]:
    made, _ = overlay(found, PEM, env or {})
    assert made.folders[0].path == trust.DIRECTORY
    return dict(made.folders[0].files)


def test_our_directory_has_it_alone_with_all_roots_and_by_its_hash() -> None:
    made, _ = overlay(Found((A, B, A)), PEM, {})
    (ours,) = made.folders
    assert [(name, ders(text)) for name, text in ours.files] == [
        ("ca.pem", (OURS,)),
        ("ca-bundle.pem", (A, B, OURS)),
        ("certs/sluicegate-ca.pem", (OURS,)),
    ]
    assert ours.links == ((f"certs/{LINK}", "sluicegate-ca.pem"),)
    assert made.texts == ()


def test_every_store_keeps_its_own_and_gets_one_more() -> None:
    found = Found((A,), bundles=(("/b", (B,)),), stores=(("/j", (C,)), ("/unread", ())))
    made, _ = overlay(found, PEM, {})
    (b, bundle), (j, store), (u, unread) = made.texts
    assert (b, ders(bundle)) == ("/b", (B, OURS))
    assert (j, rootstore.read_jks(store.encode("utf-8", "surrogateescape"))) == ("/j", (C, OURS))
    # What could not be read is given the machine's roots, not ours alone.
    assert (u, rootstore.read_jks(unread.encode("utf-8", "surrogateescape"))) == (
        "/unread",
        (A, OURS),
    )


def test_a_hashed_directory_gets_one_file_and_a_free_link() -> None:
    there = Folder("/certs", (("a.pem", "A"), ("sluicegate-ca.pem", "old")), ((LINK, "a.pem"),))
    made, _ = overlay(Found((), folders=(there,)), PEM, {})
    folder = made.folders[1]
    assert [name for name, _ in folder.files] == ["a.pem", "sluicegate-ca.pem"]
    assert ders(dict(folder.files)["sluicegate-ca.pem"]) == (OURS,)
    assert folder.links == ((LINK, "a.pem"), (f"{LINK[:-1]}1", "sluicegate-ca.pem"))


def test_a_machine_without_roots_is_given_what_python_has() -> None:
    assert ders(own(Found((), bundles=(("/certifi", (A,)),)))["ca-bundle.pem"]) == (A, OURS)
    assert ders(own(Found((B,), bundles=(("/certifi", (A,)),)))["ca-bundle.pem"]) == (B, OURS)


def test_variables_that_add_get_it_alone_and_those_that_replace_get_everything() -> None:
    _, env = overlay(Found((A,)), PEM, {"PATH": "/bin"})
    assert env.pop("PATH") == "/bin"
    assert {name for name, value in env.items() if value == ALONE} == set(trust.ADDING)
    assert {name for name, value in env.items() if value == EVERY} == set(trust.REPLACING)
    assert len(env) == len(trust.ADDING) + len(trust.REPLACING)


def test_what_the_user_had_set_is_merged() -> None:
    named = (("REQUESTS_CA_BUNDLE", (B,)), ("NODE_EXTRA_CA_CERTS", (C,)), ("SSL_CERT_DIR", (B,)))
    before = {"REQUESTS_CA_BUNDLE": "/b", "NODE_EXTRA_CA_CERTS": "/c", "SSL_CERT_DIR": "/d:/e"}
    found = Found((A,), named)
    made = own(found, before)
    assert ders(made["ca-bundle.pem"]) == (A, B, OURS)
    assert ders(made["node-extra-ca-certs.pem"]) == (C, OURS)
    _, env = overlay(found, PEM, before)
    assert env["REQUESTS_CA_BUNDLE"] == EVERY
    assert env["NODE_EXTRA_CA_CERTS"] == "/run/sluicegate/node-extra-ca-certs.pem"
    assert env["DENO_CERT"] == ALONE
    assert env["SSL_CERT_DIR"] == f"/d:/e:{HASHED}"
    assert "GIT_SSL_CAPATH" not in env


def test_directories_that_variables_name_stay_what_their_readers_understand() -> None:
    there = Found((), folders=(Folder("/certs", (), ()),))
    _, env = overlay(there, PEM, {"SSL_CERT_DIR": "/certs/", "GIT_SSL_CAPATH": "/g"})
    assert (env["SSL_CERT_DIR"], env["GIT_SSL_CAPATH"]) == ("/certs/", "/g")


def test_a_check_that_is_switched_off_stays_off_and_another_spelling_counts() -> None:
    _, env = overlay(Found(()), PEM, {"CONDA_SSL_VERIFY": "False", "npm_config_cafile": "/n"})
    assert env["CONDA_SSL_VERIFY"] == "False"
    assert env["npm_config_cafile"] == EVERY


def test_where_variables_lead() -> None:
    given = {
        "SSL_CERT_FILE": "/f",
        "CONDA_SSL_VERIFY": "no",
        "SSL_CERT_DIR": "/d::/e",
        "HOME": "/h",
    }
    given |= {"npm_config_cafile": "n.pem", "PIP_CERT": ""}
    assert files(given) == {
        "SSL_CERT_FILE": ("/f",),
        "npm_config_cafile": ("n.pem",),
        "SSL_CERT_DIR": ("/d", "/e"),
    }


def test_what_is_no_certificate_is_no_authority() -> None:
    for text in (
        b"",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        PEM + PEM[:-30],
    ):
        if rootstore.certificates(text) != (OURS,):
            with pytest.raises(ValueError, match="values to unpack"):
                overlay(Found(()), text, {})
