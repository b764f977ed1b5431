"""What is in a run's certificates, as other eyes than ours read it (sluicegate.gate.certificates)."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from sluicegate.gate import certificates
from sluicegate.gate.certificates import AuthorityError, issuer, leaf, new_key

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAMES = frozenset({("a.test", False), ("wide.test", True), ("x.wide.test", False)})


def parsed(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def test_an_authority_signs_for_its_names_and_for_hours() -> None:
    made = issuer(NAMES, "00ff", 6, NOW).certificate
    assert "CN=sluicegate run 00ff" in made.subject.rfc4514_string()
    assert made.not_valid_before_utc == NOW - timedelta(hours=1)
    assert made.not_valid_after_utc == NOW + timedelta(hours=6)
    limits = made.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (limits.critical, limits.value.ca, limits.value.path_length) == (True, True, 0)
    usage = made.extensions.get_extension_for_class(x509.KeyUsage)
    assert (usage.critical, usage.value.key_cert_sign, usage.value.digital_signature) == (
        True,
        True,
        False,
    )
    names = made.extensions.get_extension_for_class(x509.NameConstraints)
    assert names.critical
    # What lies under another one says nothing more.
    assert names.value.permitted_subtrees == [x509.DNSName("a.test"), x509.DNSName("wide.test")]
    assert [str(one.value) for one in names.value.excluded_subtrees or ()] == ["0.0.0.0/0", "::/0"]


def test_where_any_name_may_be_opened_no_address_is_signed_for_all_the_same() -> None:
    names = issuer(None, "1", 1, NOW).certificate.extensions.get_extension_for_class(
        x509.NameConstraints
    )
    assert names.value.permitted_subtrees is None
    assert len(names.value.excluded_subtrees or ()) == 2


def test_two_runs_share_nothing() -> None:
    one, other = (issuer(NAMES, "1", 1, NOW) for _ in range(2))
    assert one.certificate.serial_number != other.certificate.serial_number
    assert one.certificate.public_key() != other.certificate.public_key()


@pytest.mark.parametrize(
    "name",
    [
        "a.test",
        "b.wide.test",
        "b.c.wide.test",
        "xn--bcher-kva.wide.test",
        "_x.wide.test",
        f"{'a' * 60}.wide.test",
    ],
)
def test_leaves_verify_with_the_strictest_rules_of_openssl(name: str, tmp_path: Path) -> None:
    of, now = issuer(NAMES, "1", 1, datetime.now(UTC)), datetime.now(UTC)
    pem = leaf(of, new_key(), name, now)
    (tmp_path / "ca.pem").write_bytes(of.pem)
    (tmp_path / "leaf.pem").write_bytes(pem)
    argv = ["openssl", "verify", "-x509_strict", "-CAfile", "ca.pem", "-purpose", "sslserver"]
    done = subprocess.run(
        [*argv, "-verify_hostname", name, "leaf.pem"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    names = parsed(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == [name]
    assert parsed(pem).not_valid_after_utc == of.certificate.not_valid_after_utc


def test_a_certificate_for_another_name_is_refused_by_clients_too(tmp_path: Path) -> None:
    """Were the check in `leaf` gone, the constraint in the authority would still hold."""
    of, now = issuer(NAMES, "1", 1, datetime.now(UTC)), datetime.now(UTC)
    free = certificates.Issuer(of.key, of.certificate, None)
    (tmp_path / "ca.pem").write_bytes(of.pem)
    (tmp_path / "leaf.pem").write_bytes(leaf(free, new_key(), "other.test", now))
    argv = ["openssl", "verify", "-CAfile", "ca.pem", "leaf.pem"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True)
    assert "permitted subtree violation" in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["other.test", "test", "wide.test", "x.a.test", "xa.test"])
def test_no_leaf_for_what_no_policy_opens(name: str) -> None:
    with pytest.raises(AuthorityError, match="no policy may open it"):
        leaf(issuer(NAMES, "1", 1, NOW), new_key(), name, NOW)


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "a.test.", ".a.test", "a..test", "A.test", "bücher.test", "a test", "a/test"),
        *(
            "*.test",
            "10.0.0.1",
            "::1",
            "a\0.test",
            "1",
            f"{'a' * 64}.test",
            "a." * 127 + "test",
            "a:443",
        ),
    ],
)
def test_no_leaf_for_what_is_no_name(name: str) -> None:
    with pytest.raises(AuthorityError, match="not a host name"):
        leaf(issuer(None, "1", 1, NOW), new_key(), name, NOW)


def test_no_leaf_after_the_authoritys_end() -> None:
    with pytest.raises(AuthorityError, match="valid until 2026-03-01 13:00Z"):
        leaf(issuer(None, "1", 1, NOW), new_key(), "a.test", NOW + timedelta(hours=1))


def test_no_authority_for_nothing_or_for_too_much() -> None:
    with pytest.raises(AuthorityError, match="nothing to sign for"):
        issuer(frozenset(), "1", 1, NOW)
    many = frozenset((f"{number:04}.{'n' * 50}.test", False) for number in range(600))
    with pytest.raises(AuthorityError, match="bytes, and 32768 fit"):
        issuer(many, "1", 1, NOW)
    few = issuer(frozenset(list(many)[:500]), "1", 1, NOW)
    assert len(few.pem) < 60_000  # one line of control has 65,536
