"""TLS towards the real server: verified against the machine's roots, and what went wrong in a few words."""

from __future__ import annotations

import contextlib
import ssl
from dataclasses import dataclass, replace

from sluicegate.facts import Decision, Verdict

CERTIFICATE = "certificate"  # the rule of a denial because of what the server could not prove

# X509_V_ERR codes (openssl/x509_vfy.h) -> (kind, words).
_INVALID = {
    7: ("invalid", "its certificate's signature is wrong"),
    9: ("not-yet-valid", "its certificate is not valid yet"),
    10: ("expired", "its certificate has expired"),
    18: ("self-signed", "its certificate is signed by itself"),
    19: (
        "unknown-issuer",
        "its certificate comes from an authority that this machine does not trust",
    ),
    20: (
        "unknown-issuer",
        "its certificate comes from an authority that this machine does not trust",
    ),
    21: (
        "unknown-issuer",
        "its certificate comes from an authority that this machine does not trust",
    ),
    23: ("revoked", "its certificate is revoked"),
    24: ("invalid", "its certificate is signed by one that may not sign"),
    25: ("invalid", "the chain of its certificate is longer than an authority in it allows"),
    26: ("purpose", "its certificate is not one for servers"),
    47: ("invalid", "its certificate has a name that its authority may not sign for"),
    48: ("invalid", "its certificate has a name that its authority may not sign for"),
    62: ("wrong-host", "its certificate is for another host"),
    64: ("wrong-host", "its certificate is for another host"),
    66: ("weak", "its certificate's key is too small"),
    67: ("weak", "the key of its certificate's authority is too small"),
    68: ("weak", "its certificate's signature uses a digest that is broken"),
    79: ("invalid", "its certificate is signed by one that may not sign"),
}
# OpenSSL's reason -> (kind, words).
_BROKEN = {
    "UNSUPPORTED_PROTOCOL": ("version", "it speaks no TLS 1.2 or later"),
    "TLSV1_ALERT_PROTOCOL_VERSION": ("version", "it speaks no TLS 1.2 or later"),
    "WRONG_VERSION_NUMBER": ("not-tls", "it does not answer in TLS"),
    "HTTP_REQUEST": ("not-tls", "it does not answer in TLS"),
    "DH_KEY_TOO_SMALL": ("weak", "its key exchange is too small"),
    "EE_KEY_TOO_SMALL": ("weak", "its certificate's key is too small"),
    "CA_KEY_TOO_SMALL": ("weak", "the key of its certificate's authority is too small"),
    "CA_MD_TOO_WEAK": ("weak", "its certificate's signature uses a digest that is broken"),
    "WRONG_SIGNATURE_TYPE": ("weak", "it signs with a digest that is broken"),
    "NO_CIPHERS_AVAILABLE": ("cipher", "no cipher is known to both sides"),
    "SSLV3_ALERT_HANDSHAKE_FAILURE": (
        "refused",
        (
            "it refused the handshake: no cipher in common, or it wants a certificate of the client, which the gate has"
            " not (inspect: false on its rule leaves it closed)"
        ),
    ),
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": (
        "cipher",
        "it refused the handshake: no cipher in common",
    ),
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": ("client-certificate", "it asks for a client certificate"),
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": ("protocol", "it speaks neither HTTP/1.1 nor HTTP/2"),
    "TLSV1_UNRECOGNIZED_NAME": ("wrong-host", "it does not know the name"),
    "UNEXPECTED_EOF_WHILE_READING": ("closed", "it ended the connection in the handshake"),
}
# What a client says of a certificate that it does not trust (RFC 8446, 6.2).
_DISTRUST = {
    "TLSV1_ALERT_UNKNOWN_CA": "unknown_ca",
    "SSLV3_ALERT_BAD_CERTIFICATE": "bad_certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "certificate_unknown",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "unsupported_certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "certificate_expired",
    "TLSV1_ALERT_DECRYPT_ERROR": "decrypt_error",
}
MAX_OTHER = 120  # characters of what a library says


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a handshake with a server failed: one word for the record, and the sentence's second half for people."""

    kind: str
    words: str


def failure(error: OSError) -> Failure:
    """What `error`, raised by a handshake with a server, means. Never a reason to go on."""
    if isinstance(error, ssl.SSLCertVerificationError):
        other = f"its certificate does not verify: {error.verify_message[:MAX_OTHER]}"
        return Failure(*_INVALID.get(error.verify_code, ("invalid", other)))
    if isinstance(error, ssl.SSLEOFError | ConnectionError):
        return Failure(*_BROKEN["UNEXPECTED_EOF_WHILE_READING"])
    if isinstance(error, TimeoutError):
        return Failure("timeout", "it did not finish the handshake in time")
    said = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    said = str(said or error)
    other = f"the handshake failed: {said[:MAX_OTHER].lower().replace('_', ' ')}"
    return Failure(*_BROKEN.get(said, ("other", other)))


def distrust(error: OSError) -> str | None:
    """The alert with which a client said that it does not trust our certificate; None: it was something else."""
    return _DISTRUST.get(str(error.reason)) if isinstance(error, ssl.SSLError) else None


def unproven(judged: Decision, error: ssl.SSLCertVerificationError) -> Decision:
    """The denial of what was allowed, because the server's certificate does not stand for that name."""
    return replace(
        judged,
        verdict=Verdict.DENY,
        rule=CERTIFICATE,
        reason=f"the server can not prove that it is {judged.name}: {failure(error).words}",
        observed=False,
    )


class Upstream:
    """Contexts for connections to servers, which trust `roots` (DER) and nothing else."""

    def __init__(self, roots: tuple[bytes, ...]) -> None:
        self._roots = roots
        self._contexts = dict[tuple[str, ...], ssl.SSLContext]()

    def context(self, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
        """A client's context that offers `alpn`: TLS 1.2 or 1.3, the host's name checked, no way round either.

        The first one for each `alpn` takes about 10 ms, which is the reading of some 150 roots.
        """
        if alpn not in self._contexts:
            self._contexts[alpn] = self._new(alpn)
        return self._contexts[alpn]

    def _new(self, alpn: tuple[str, ...]) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        # Not left to how the library was built: at least 112 bits of strength, so no SHA-1, no RSA of 1024 bits.
        made.set_ciphers("DEFAULT:@SECLEVEL=2")
        if self._roots:
            try:
                made.load_verify_locations(cadata=b"".join(self._roots))
            except ssl.SSLError:
                # One that is no certificate shall not take the others with it.
                for root in self._roots:
                    with contextlib.suppress(ssl.SSLError):
                        made.load_verify_locations(cadata=root)
        if alpn:
            made.set_alpn_protocols(list(alpn))
        return made
