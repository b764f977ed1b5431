"""Stores of roots as the tools that own their formats read and write them (sluicegate.boundary.rootstore)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from sluicegate.boundary.rootstore import certificates, jks, pem, read_jks, subject_hash

# As distributions ship them, with letters of both cases, runs of blanks and other alphabets in their names.
SUBJECTS = (
    "/CN=a",
    "/O=sluicegate/CN=sluicegate run 00ff",
    "/C=DE/O=  Two   Blanks  /CN=MiXed Case Root R46",
    "/CN=T\u00dcRKTRUST \u0130stanbul",
    "/DC=test/DC=example/emailAddress=Root@Example.test/CN=x",
    "/CN=" + "n" * 60 + "/O=" + "o" * 64 + "/OU=" + "u" * 64,
)


def openssl(*words: str, given: bytes = b"") -> bytes:
    done = subprocess.run(["openssl", *words], input=given, capture_output=True, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, ...]:
    """One certificate for each of SUBJECTS, in DER."""
    key = tmp_path_factory.mktemp("key") / "key.pem"
    key.write_bytes(openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"))
    new = ("req", "-x509", "-utf8", "-key", str(key), "-outform", "DER", "-subj")
    return tuple(openssl(*new, subject) for subject in SUBJECTS)


def test_hashes_are_those_of_openssl(made: tuple[bytes, ...]) -> None:
    for der in made:
        wanted = openssl("x509", "-inform", "DER", "-noout", "-hash", given=der).decode().strip()
        assert subject_hash(der) == wanted


@pytest.mark.parametrize("cut", [0, 1, 5, 40, 100])
def test_what_is_no_certificate_has_no_hash(made: tuple[bytes, ...], cut: int) -> None:
    with pytest.raises(ValueError, match="DER"):
        subject_hash(made[0][:cut])


def test_bundles_are_read_and_written_as_openssl_does(made: tuple[bytes, ...]) -> None:
    text = pem([*made, made[0]])
    assert certificates(text.encode()) == made
    for der in made:
        assert openssl("x509", "-inform", "DER", given=der).decode() in text


def test_what_is_not_a_certificate_in_a_bundle_is_passed_over(made: tuple[bytes, ...]) -> None:
    one = pem([made[0]]).encode()
    begin, end = b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n"
    odd = (
        b"# Root of us\n",
        begin + b"%%%\n" + end,
        begin + b"AAAA=\n" + end,
        begin + b"AAAA\n" + end,
        begin + b"\n" + end,
        one.replace(b"BEGIN", b"BEGIN TRUSTED").replace(b"END", b"END TRUSTED"),
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        begin,
    )
    for text in odd:
        assert certificates(text + one.replace(b"\n", b"\r\n")) == (made[0],)
    assert certificates(b"root:secret\n") == ()


@pytest.mark.skipif(shutil.which("keytool") is None, reason="an optional client: no keytool")
def test_java_reads_our_store_and_we_read_it_back(made: tuple[bytes, ...], tmp_path: Path) -> None:
    data = jks([*made, made[0]])
    assert read_jks(data) == made
    (tmp_path / "cacerts").write_bytes(data)
    listed = subprocess.run(
        ["keytool", "-list", "-rfc", "-keystore", "cacerts", "-storepass", "changeit"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    assert set(certificates(listed.stdout)) == set(made)


def test_other_stores_are_not_taken_for_one_of_certificates(made: tuple[bytes, ...]) -> None:
    data = jks(made)
    for other in (b"", data[:-1], data + b"x", data[:9], b"\x30" + data[1:]):
        assert read_jks(other) is None
    key = data[:12] + (1).to_bytes(4) + data[16:]
    assert read_jks(key) is None
    assert read_jks(data[:8] + b"\xff" * 4 + data[12:]) is None
