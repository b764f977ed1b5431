"""The certificates of a run's authority: what is in them, and nothing of where they are kept. Pure.

RFC 5280: 4.2.1.10 for the name constraints, 4.2.1.9 and 4.2.1.3 for what makes an authority.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from sluicegate.policy.opening import Names, covers

ORGANIZATION = "sluicegate"
# Clients of this machine share its clock, but a fresh runner may step it once the network is there.
BACKDATED = timedelta(hours=1)
# Bytes of all names: the certificate comes to the supervisor in one line, and libraries give up on longer lists.
MAX_NAME_BYTES = 32_768
MAX_COMMON_NAME = (
    64  # characters (RFC 5280, ub-common-name); the name that counts is the alternative one
)
_EVERY_ADDRESS = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))


class AuthorityError(Exception):
    """No certificate can be had for what was asked: outside what the policies may open, or no name at all."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """A run's authority: its key, its certificate, and the names it is good for (None: any)."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    names: Names | None

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The key as OpenSSL reads it, in the clear."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def issuer(names: Names | None, run: str, hours: int, now: datetime) -> Issuer:
    """A new authority, valid from a little before `now` for `hours`, that can sign for `names` alone.

    A host stands for the names below it too (RFC 5280 has no narrower constraint); `leaf` is stricter. No address is
    ever among them, not even where `names` is None and every name is.

    Raises:
        AuthorityError: no name, or more of them than a certificate should have.
    """
    key = new_key()
    subject = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, f"sluicegate run {run}"),
        ]
    )
    usage = x509.KeyUsage(
        *(False, False, False, False, False),
        key_cert_sign=True,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    public = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    made = (
        _dated(subject, subject, key, now, now + timedelta(hours=hours))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(_constraints(names), critical=True)
        .add_extension(public, critical=False)
    )
    return Issuer(key, made.sign(key, hashes.SHA256()), names)


def leaf(of: Issuer, key: ec.EllipticCurvePrivateKey, name: str, now: datetime) -> bytes:
    """A server's certificate for `name` and `key` in PEM, valid as long as the authority.

    Raises:
        AuthorityError: not a name in the form that is compared (lower case, punycode), or not one of the authority's.
    """
    until = of.certificate.not_valid_after_utc
    if now >= until:
        raise AuthorityError(f"the run's authority was valid until {until:%Y-%m-%d %H:%M}Z")
    if not _is_name(name):
        raise AuthorityError(f"no certificate for {name[:80]!r}: not a host name")
    if of.names is not None and not covers(of.names, name, wildcard=False):
        raise AuthorityError(f"no certificate for {name}: no policy may open it")
    common = [x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]
    subject = x509.Name(common if len(name) <= MAX_COMMON_NAME else [])
    usage = x509.KeyUsage(
        True,
        *(False, False, False, False),
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(of.key.public_key())
    public = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    made = (
        _dated(subject, of.certificate.subject, key, now, until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(server, critical=False)
        # Critical where it is the only name (RFC 5280, 4.2.1.6).
        .add_extension(names, critical=not subject.rdns)
        .add_extension(public, critical=False)
        .add_extension(above, critical=False)
    )
    return made.sign(of.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _dated(
    subject: x509.Name,
    signer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    until: datetime,
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        signer,
        subject,
        key.public_key(),
        x509.random_serial_number(),
        now - BACKDATED,
        until,
    )


def _constraints(names: Names | None) -> x509.NameConstraints:
    nowhere = [x509.IPAddress(network) for network in _EVERY_ADDRESS]
    if names is None:
        return x509.NameConstraints(None, nowhere)
    if not names:
        raise AuthorityError("no policy may open anything: there is nothing to sign for")
    # A constraint covers what is below it: those that lie under another say nothing more.
    tops = frozenset((host, True) for host, _ in names)
    hosts = sorted(host for host, _ in names if not covers(tops - {(host, True)}, host, True))
    hosts = list(dict.fromkeys(hosts))
    if (size := sum(map(len, hosts))) > MAX_NAME_BYTES:
        raise AuthorityError(
            f"the names to be opened have {size} bytes, and {MAX_NAME_BYTES} fit a certificate:"
            " name fewer hosts, or a wildcard above them"
        )
    return x509.NameConstraints([x509.DNSName(host) for host in hosts], nowhere)


def _is_name(name: str) -> bool:
    """Whether `name` is as the wire's parsers give it: ASCII, lower case, labels of 1 to 63, no address."""
    labels = name.split(".")
    return (
        0 < len(name) <= 253
        and name.isascii()
        and all(0 < len(label) <= 63 for label in labels)
        and all(c.isdigit() or c.islower() or c in "-_" for label in labels for c in label)
        and not labels[-1].isdigit()
    )
