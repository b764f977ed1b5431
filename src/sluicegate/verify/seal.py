"""A seal's bytes and one public key to what it says. Opens nothing.

Stricter than DSSE and Sigstore ask: one key, one signature, one spelling. What our writer would not write is refused,
so two readers cannot take one seal for two things.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sluicegate import jcs
from sluicegate.evidence import keys
from sluicegate.evidence import seal as written
from sluicegate.verify import strict
from sluicegate.verify.strict import need

# What was probed; no other file of a packet says it.
CONFIGURATION = "boundary.json"
_FILES = {written.TRACE: written.SEAL, written.RESULTS: written.PROBES}


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a signed statement about exactly the given files says. `results`: of probes, by name; else empty."""

    commit: str | None
    predicate: Mapping[str, object]
    results: Mapping[str, str] = field(default_factory=dict)


def checked(bundle: bytes, key: bytes, predicate: str, digests: Mapping[str, str]) -> Sealed:
    """What `bundle` says, after all of it was found good.

    `key`: the raw Ed25519 public key that must have signed. `predicate`: `TRACE` or `RESULTS` of evidence.seal.
    `digests`: hex SHA-256 by name of every file the statement must be about, and of no other.

    Raises:
        VerificationError: another shape, spelling, signer or kind of statement, or other files than `digests`.
        ValueError: a predicate we know no rules for.
    """
    if predicate not in _FILES:
        raise ValueError(f"no rules for the predicate {predicate}")
    what = _FILES[predicate]
    payload = _payload(bundle, key, what)
    statement = _canonical(payload, f"{what}: statement")
    _members(statement, {"_type", "subject", "predicateType", "predicate"}, f"{what}: statement")
    need(statement["_type"] == written.STATEMENT, f"{what}: not an in-toto Statement v1")
    kind = statement["predicateType"]
    need(kind == predicate, f"{what}: the predicate type is not {predicate}")
    commit = _subjects(statement["subject"], digests, what)
    found = strict.mapping(statement["predicate"], f"{what}: predicate")
    results: Mapping[str, str] = {}
    try:
        if predicate == written.RESULTS:
            need(commit is None, f"{what}: a git commit among what was probed")
            results = _results(found, what)
            made = written.results_statement(results, digests, _configuration(found, what))
        else:
            made = written.trace_statement(digests, commit, found)
    except written.SealError as error:
        raise strict.VerificationError(f"{what}: {error}") from error
    need(made == payload, f"{what}: not what its writer makes of the same facts")
    return Sealed(commit, found, results)


def _payload(data: bytes, key: bytes, what: str) -> bytes:
    """The bytes in the bundle that `key` signed."""
    longest = written.MAX_BUNDLE_BYTES
    need(len(data) <= longest, f"{what}: longer than {longest} bytes")
    found = _canonical(data, what)
    _members(found, {"mediaType", "verificationMaterial", "dsseEnvelope"}, what)
    need(found["mediaType"] == written.MEDIA_TYPE, f"{what}: not {written.MEDIA_TYPE}")
    material = strict.mapping(found["verificationMaterial"], f"{what}: verificationMaterial")
    _members(material, {"publicKey", "tlogEntries"}, f"{what}: verificationMaterial")
    # An entry we cannot check would lend the seal a credit that nobody gave it.
    need(material["tlogEntries"] == [], f"{what}: log entries, which we never write")
    public = strict.mapping(material["publicKey"], f"{what}: publicKey")
    _members(public, {"hint"}, f"{what}: publicKey")
    need(public["hint"] == _hint(key, what), f"{what}: the hint names another key")
    envelope = strict.mapping(found["dsseEnvelope"], f"{what}: dsseEnvelope")
    _members(envelope, {"payload", "payloadType", "signatures"}, f"{what}: dsseEnvelope")
    kind = envelope["payloadType"]
    need(kind == written.PAYLOAD_TYPE, f"{what}: the payload is not {written.PAYLOAD_TYPE}")
    signatures = _list(envelope["signatures"], f"{what}: signatures")
    need(len(signatures) == 1, f"{what}: {len(signatures)} signatures, not 1")
    only = strict.mapping(signatures[0], f"{what}: signature")
    _members(only, {"sig"}, f"{what}: signature")
    signature = _raw(only["sig"], f"{what}: signature")
    size = written.SIGNATURE_BYTES
    need(len(signature) == size, f"{what}: the signature has {len(signature)} bytes, not {size}")
    payload = _raw(envelope["payload"], f"{what}: payload")
    signed = written.pae(written.PAYLOAD_TYPE, payload)
    need(keys.verifies(key, signature, signed), f"{what}: signature verification failed")
    return payload


def _subjects(found: object, digests: Mapping[str, str], what: str) -> str | None:
    """The git commit among the subjects, if there is one; the others are exactly `digests`."""
    commit: str | None = None
    sealed: dict[str, str] = {}
    for entry in _list(found, f"{what}: subject"):
        subject = strict.mapping(entry, f"{what}: subject")
        digest = strict.mapping(subject.get("digest"), f"{what}: digest of a subject")
        if subject.keys() == {"digest"}:
            _members(digest, {"gitCommit"}, f"{what}: digest of a subject without a name")
            need(commit is None, f"{what}: two git commits")
            commit = strict.text(digest["gitCommit"], f"{what}: gitCommit")
            continue
        _members(subject, {"name", "digest"}, f"{what}: subject")
        name = strict.text(subject["name"], f"{what}: name of a subject")
        need(written.is_name(name), f"{what}: {name!a} is not the name of a packet's file")
        _members(digest, {"sha256"}, f"{what}: digest of {name}")
        strict.raw_hex(digest["sha256"], 32, f"{what}: digest of {name}")
        need(name not in sealed, f"{what}: {name} is sealed twice")
        sealed[name] = str(digest["sha256"])
    for name in sorted(sealed):
        need(name in digests, f"{what}: {name} is sealed, but not in the packet")
    for name in sorted(digests):
        # Names of files that nobody sealed may hold anything.
        need(name in sealed, f"{what}: {name!a} is in the packet, but not sealed")
        need(sealed[name] == digests[name], f"{what}: {name} is not the file that was sealed")
    return commit


def _results(predicate: Mapping[str, object], what: str) -> Mapping[str, str]:
    _members(predicate, {"result", "configuration", *written.LISTS.values()}, f"{what}: predicate")
    results: dict[str, str] = {}
    for result, member in written.LISTS.items():
        for entry in _list(predicate[member], f"{what}: {member}"):
            name = strict.text(entry, f"{what}: {member}")
            need(name not in results, f"{what}: {name!a} has two results")
            results[name] = result
    return results


def _configuration(predicate: Mapping[str, object], what: str) -> str:
    """The name of the only descriptor; that it is the subject's is seen when the statement is made again."""
    found = _list(predicate["configuration"], f"{what}: configuration")
    need(len(found) == 1, f"{what}: {len(found)} configurations, not 1")
    name = strict.mapping(found[0], f"{what}: configuration").get("name")
    need(name == CONFIGURATION, f"{what}: the configuration is not {CONFIGURATION}")
    return CONFIGURATION


def _canonical(data: bytes, what: str) -> dict[str, object]:
    found = strict.value(data, what)
    try:
        same = jcs.encode(found) == data  # type: ignore[arg-type]
    except (ValueError, TypeError) as error:
        raise strict.VerificationError(f"{what}: {error}") from error
    need(same, f"{what}: not canonical JSON")
    return found


def _members(found: Mapping[str, object], wanted: set[str], what: str) -> None:
    need(found.keys() == wanted, f"{what}: the members are not {', '.join(sorted(wanted))}")


def _list(found: object, what: str) -> Sequence[object]:
    if not isinstance(found, list):
        raise strict.VerificationError(f"{what}: not a list")
    return found


def _raw(found: object, what: str) -> bytes:
    """The bytes of standard, padded base64. DSSE lets readers take the other alphabet too; ours is written once."""
    spelled = strict.text(found, what)
    try:
        raw = base64.b64decode(spelled, validate=True)
    except (binascii.Error, ValueError) as error:
        raise strict.VerificationError(f"{what}: not base64") from error
    need(base64.b64encode(raw).decode() == spelled, f"{what}: base64 in another spelling")
    return raw


def _hint(key: bytes, what: str) -> str:
    try:
        return written.key_hint(key)
    except written.SealError as error:
        raise strict.VerificationError(f"{what}: {error}") from error
