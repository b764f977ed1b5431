"""Servers that are not what they say, each made here, and the words for it (sluicegate.gate.upstream)."""

from __future__ import annotations

import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sluicegate.gate.upstream import Failure, Upstream, distrust, failure

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


class Maker:
    """A public authority as tests need one, and its server certificates with one thing wrong."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.root = self.certificate("root", "root", self.key, ca=True)
        self.der = self.root.public_bytes(Encoding.DER)

    def certificate(
        self,
        name: str,
        above: str,
        key: Key,
        *,
        ca: bool = False,
        signer: Key | None = None,
        **odd: Any,
    ) -> x509.Certificate:
        begins, ends = odd.get("begins", NOW - HOUR), odd.get("ends", NOW + HOUR)
        made = x509.CertificateBuilder(
            named(above), named(name), key.public_key(), x509.random_serial_number(), begins, ends
        ).add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        if not ca:
            made = made.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False
            )
        if "purpose" in odd:
            made = made.add_extension(x509.ExtendedKeyUsage([odd["purpose"]]), critical=False)
        return made.sign(signer or self.key, odd.get("digest", hashes.SHA256()))

    def server(
        self, where: Path, name: str = "real.test", above: str = "root", **odd: Any
    ) -> ssl.SSLContext:
        key: Key = odd.pop("key", None) or ec.generate_private_key(ec.SECP256R1())
        made = self.certificate(name, above, key, **odd)
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (where / "server.pem").write_bytes(secret + made.public_bytes(Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.load_cert_chain(where / "server.pem")
        return context


def shake(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[OSError | None, OSError | None]:
    """How a handshake for real.test ended for the client and for the server."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(down, up, server_hostname="real.test"),
        server.wrap_bio(up, down, server_side=True),
    ]
    found: list[OSError | None] = [None, None]
    for _ in range(3):
        for index, end in enumerate(ends):
            try:
                if found[index] is None:
                    end.do_handshake()
                    end.read(1)
            except ssl.SSLWantReadError:
                continue
            except OSError as error:
                found[index] = error
    return found[0], found[1]


SMALL = rsa.generate_private_key(65537, 1024)
STRANGER = ec.generate_private_key(ec.SECP256R1())
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "expired": ({"ends": NOW - HOUR / 2}, "expired"),
    "early": ({"begins": NOW + HOUR / 2}, "not-yet-valid"),
    "another host's": ({"name": "other.test"}, "wrong-host"),
    "self-signed": ({"above": "real.test", "key": STRANGER, "signer": STRANGER}, "self-signed"),
    "an unknown authority's": ({"above": "nobody", "signer": STRANGER}, "unknown-issuer"),
    "forged": ({"signer": STRANGER}, "invalid"),
    "a small key's": ({"key": SMALL}, "weak"),
    "a client's": ({"purpose": x509.ExtendedKeyUsageOID.CLIENT_AUTH}, "purpose"),  # type: ignore[attr-defined]
}


@pytest.mark.parametrize("what", WRONG)
def test_a_server_with_a_bad_certificate_is_told_by_its_fault(what: str, tmp_path: Path) -> None:
    odd, kind = WRONG[what]
    maker = Maker()
    error, _ = shake(maker.server(tmp_path, **odd), Upstream((maker.der,)).context())
    assert error is not None
    assert failure(error).kind == kind
    assert failure(error).words.startswith("its certificate")


def test_a_signature_over_sha1_is_weak(tmp_path: Path) -> None:
    """Which the library that makes our certificates does not sign any more."""
    maker = Maker()
    secret = maker.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "root.pem").write_bytes(secret + maker.root.public_bytes(Encoding.PEM))
    (tmp_path / "names").write_text("subjectAltName = DNS:real.test")
    asked = "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.pem"
    asked += (
        " -subj /CN=real.test | openssl x509 -req -sha1 -CA root.pem -extfile names >> server.pem"
    )
    subprocess.run(["sh", "-ec", asked], cwd=tmp_path, check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.set_ciphers("DEFAULT:@SECLEVEL=0")
    server.load_cert_chain(tmp_path / "server.pem")
    error, _ = shake(server, Upstream((maker.der,)).context())
    assert error is not None
    assert failure(error).kind == "weak"
    assert "digest" in failure(error).words


def test_a_good_server_is_good_and_alpn_is_agreed_on(tmp_path: Path) -> None:
    maker = Maker()
    server = maker.server(tmp_path)
    server.set_alpn_protocols(["h2", "http/1.1"])
    upstream = Upstream((b"no certificate", maker.der))
    assert shake(server, upstream.context(("http/1.1",))) == (None, None)
    assert upstream.context() is upstream.context()
    assert upstream.context() is not upstream.context(("h2",))


def test_without_roots_nobody_is_trusted(tmp_path: Path) -> None:
    error, other = shake(Maker().server(tmp_path), Upstream(()).context())
    assert error is not None
    assert failure(error).kind == "unknown-issuer"
    # The other side of the same: what a client that does not trust our certificate says to us.
    assert other is not None
    assert distrust(other) == "unknown_ca"


def test_an_old_version_and_a_wish_for_a_certificate(tmp_path: Path) -> None:
    maker = Maker()
    client = Upstream((maker.der,)).context()
    assert client.check_hostname
    assert client.verify_mode is ssl.CERT_REQUIRED
    old = maker.server(tmp_path)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    error, _ = shake(old, client)
    assert error is not None
    assert failure(error).kind == "version"
    mutual = maker.server(tmp_path)
    mutual.verify_mode = ssl.CERT_REQUIRED
    error, _ = shake(mutual, client)
    assert error is not None
    assert failure(error).kind == "client-certificate"


def test_what_is_no_tls_and_what_is_nothing() -> None:
    client, into = Upstream(()).context(), ssl.MemoryBIO()
    end = client.wrap_bio(into, ssl.MemoryBIO(), server_hostname="real.test")
    into.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(ssl.SSLError) as caught:
        end.do_handshake()
    assert failure(caught.value).kind == "not-tls"
    assert distrust(caught.value) is None
    assert failure(ConnectionResetError(104, "reset")).kind == "closed"
    assert failure(TimeoutError()).kind == "timeout"
    assert failure(OSError(113, "No route to host")) == Failure(
        "other", "the handshake failed: no route to host"
    )
