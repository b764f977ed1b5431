"""The packet's seal: in-toto statements about its files, each in a Sigstore bundle. Pure.

Two bundles, because a Sigstore bundle v0.3 holds one envelope and an envelope one statement: `PROBES` says how the
boundary's self-test ended, `SEAL` what the run was and which files belong to it. Single attestations can be taken
away unseen (in-toto spec/v1/bundle.md), so `PROBES` is written first and is itself a subject of `SEAL`.

Sources: DSSE 1.0 protocol.md; in-toto attestation spec/v1/statement.md, spec/predicates/runtime-trace.md (v0.1) and
test-result.md (v0.1); sigstore protobuf-specs sigstore_bundle.proto.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection, Mapping

from sluicegate import jcs
from sluicegate.evidence.receipt import Sign

SEAL = "seal.sigstore.json"
PROBES = "probes.sigstore.json"
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
TRACE = "https://in-toto.io/attestation/runtime-trace/v0.1"
RESULTS = "https://in-toto.io/attestation/test-result/v0.1"
SIGNATURE_BYTES = 64
# Readers hold a bundle whole. A row for each of the 4,096 domains a packet may list takes less than half of this.
MAX_BUNDLE_BYTES = 4_194_304
# What a probe found, and the list of the predicate that names it. A probe without an answer proved nothing: it warns,
# so that the whole can be no more than WARNED. The format has no fourth list, and one of our own would be ignored.
LISTS = {"passed": "passedTests", "unknown": "warnedTests", "failed": "failedTests"}

# RFC 8410 sections 3 and 4: SubjectPublicKeyInfo of id-Ed25519 without parameters; the 32 bytes of the key follow.
_SPKI = bytes.fromhex("302a300506032b6570032100")
# A packet is one flat directory; the length is that of a Linux file name.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}\Z")
_HEX64 = re.compile(r"[0-9a-f]{64}\Z")
# in-toto digest_set.md: SHA-1 or SHA-256, as the repository has it.
_COMMIT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")
_URI = re.compile(r"[a-z][a-z0-9+.-]*:[!-~]+\Z")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z\Z", re.ASCII)
# Canonical text in which nothing but quote and backslash is escaped: no control character, nothing beyond ASCII.
_PRINTABLE = re.compile(rb'(?:[ -\[\]-~]|\\["\\])*+\Z')
_LOGS = {"process", "network", "fileAccess"}


class SealError(Exception):
    """The caller's values do not make a seal."""


def pae(payload_type: str, payload: bytes) -> bytes:
    """The bytes an envelope's signature is over: DSSE 1.0, protocol.md, "Signature Definition"."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def key_hint(key: bytes) -> str:
    """The hint that names a raw Ed25519 public key: base64 of the SHA-256 of its DER SubjectPublicKeyInfo.

    As cosign derives it (pkg/cosign/bundle/protobundle.go, `MakeNewBundle`), and as sigstore_common.proto recommends.

    Raises:
        SealError: not 32 bytes.
    """
    if len(key) != 32:
        raise SealError(f"the key has {len(key)} bytes, not 32")
    return base64.b64encode(hashlib.sha256(_SPKI + key).digest()).decode()


def trace_statement(
    subjects: Mapping[str, str], commit: str | None, trace: Mapping[str, object]
) -> bytes:
    """The canonical statement that the run `trace` describes left the files `subjects` (name to hex SHA-256).

    `commit`: the hex of the workspace's commit, if it has one; a subject of its own, so that a policy can join on it.
    `trace`: the predicate. `monitor` and `monitoredProcess` say who watched what; of `monitorLog` one list is enough.

    Raises:
        SealError: a name, digest or commit of another form, the seal itself among the files, or no such predicate.
    """
    _check_trace(trace)
    found = _subjects(subjects, {SEAL})
    if commit is not None:
        if not _COMMIT.match(commit):
            raise SealError("the commit is not the hex of a git object")
        # Last: older sigstore-go takes the algorithm it hashes a file with from the first subject alone.
        found.append({"digest": {"gitCommit": commit}})
    return _statement(found, TRACE, trace)


def results_statement(
    results: Mapping[str, str], subjects: Mapping[str, str], configuration: str = "boundary.json"
) -> bytes:
    """The canonical statement that the probes `results` (name to `passed`, `failed` or `unknown`) ended so.

    `configuration`: which of `subjects` says what was probed. The commit is no subject: whoever joins on it would
    read that the tests of that commit had passed.

    Raises:
        SealError: no results or one of another kind, a name or digest of another form, no such configuration.
    """
    found = _subjects(subjects, {SEAL, PROBES})
    if configuration not in subjects:
        raise SealError(f"the configuration {configuration!a} is not among the subjects")
    tests = _tests(results)
    failed, warned = tests[LISTS["failed"]], tests[LISTS["unknown"]]
    predicate: dict[str, object] = {
        "result": "FAILED" if failed else "WARNED" if warned else "PASSED",
        "configuration": [entry for entry in found if entry["name"] == configuration],
        **tests,
    }
    return _statement(found, RESULTS, predicate)


def bundle(statement: bytes, signer_key: bytes, sign: Sign) -> bytes:
    """The canonical Sigstore bundle v0.3 of `statement`, signed by the holder of the raw public key `signer_key`.

    The signature names no `keyid`: cosign compares one with the key's SSH fingerprint (go-securesystemslib
    dsse/verify.go) and passes the signature over where they differ. Without it, every verifier tries the key it has.

    Raises:
        SealError: the key or the signature is not one of Ed25519, or the bundle is too long to be read.
    """
    hint = key_hint(signer_key)
    signature = sign(pae(PAYLOAD_TYPE, statement))
    if len(signature) != SIGNATURE_BYTES:
        raise SealError(f"the signature has {len(signature)} bytes, not {SIGNATURE_BYTES}")
    text = jcs.encode(
        {
            "mediaType": MEDIA_TYPE,
            # An empty list is written out: not every reader takes a missing one for it (sigstore-models 0.0.6).
            "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": base64.b64encode(statement).decode(),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{"sig": base64.b64encode(signature).decode()}],
            },
        }
    )
    if len(text) > MAX_BUNDLE_BYTES:
        raise SealError(f"the bundle has {len(text)} bytes, more than {MAX_BUNDLE_BYTES}")
    return text


def is_name(name: str) -> bool:
    """Whether `name` can be that of a file in a packet."""
    return bool(_NAME.match(name))


def _check_trace(trace: Mapping[str, object]) -> None:
    """Nothing, if `trace` is a runtime-trace v0.1 predicate of the members that its text defines."""
    required = {"monitor", "monitoredProcess", "monitorLog"}
    _members(trace, "the predicate", required, {"metadata"})
    monitor = _object(trace, "monitor")
    _members(monitor, "monitor", {"type"}, {"configSource", "tracePolicy"})
    _text(monitor, "monitor", "type", _URI)
    for name in sorted(monitor.keys() - {"type"}):
        _object(monitor, name)
    process = _object(trace, "monitoredProcess")
    _members(process, "monitoredProcess", {"hostID", "type", "event"})
    for name in ("hostID", "type"):
        _text(process, "monitoredProcess", name, _URI)
    _text(process, "monitoredProcess", "event", re.compile("."))
    log = _object(trace, "monitorLog")
    _members(log, "monitorLog", set(), _LOGS)
    if not log:
        raise SealError("monitorLog has none of process, network and fileAccess")
    for name, rows in log.items():
        if not isinstance(rows, list | tuple) or not all(isinstance(row, dict) for row in rows):
            raise SealError(f"monitorLog: {name} is not a list of objects")
    if "metadata" in trace:
        times = _object(trace, "metadata")
        _members(times, "metadata", set(), {"buildStartedOn", "buildFinishedOn"})
        for name in times:
            _text(times, "metadata", name, _TIME)


def _members(
    found: Mapping[str, object], what: str, required: set[str], optional: Collection[str] = ()
) -> None:
    if missing := required - found.keys():
        raise SealError(f"{what} lacks {sorted(missing)}")
    if unknown := found.keys() - required - set(optional):
        raise SealError(f"{what} has the unknown members {sorted(unknown)}")


def _object(holder: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = holder[name]
    if not isinstance(found, dict):
        raise SealError(f"{name} is not an object")
    return found


def _text(holder: Mapping[str, object], what: str, name: str, form: re.Pattern[str]) -> None:
    found = holder[name]
    if not isinstance(found, str) or not form.match(found):
        raise SealError(f"{what}: {name} has another form")


def _subjects(files: Mapping[str, str], unwritten: set[str]) -> list[dict[str, object]]:
    if not files:
        raise SealError("no files to seal")
    for name, digest in files.items():
        if not is_name(name):
            raise SealError(f"{name!a} is not the name of a packet's file")
        if name in unwritten:
            raise SealError(f"{name} cannot be a subject: it is written later")
        if not _HEX64.match(digest):
            raise SealError(f"the digest of {name} is not 64 digits of lower-case hex")
    return [{"name": name, "digest": {"sha256": files[name]}} for name in sorted(files)]


def _tests(results: Mapping[str, str]) -> dict[str, list[str]]:
    if not results:
        raise SealError("no results of probes")
    if odd := sorted(set(results.values()) - LISTS.keys()):
        raise SealError(f"results of an unknown kind: {odd}")
    return {
        member: sorted(name for name, found in results.items() if found == result)
        for result, member in LISTS.items()
    }


def _statement(
    subjects: list[dict[str, object]], kind: str, predicate: Mapping[str, object]
) -> bytes:
    whole = {
        "_type": STATEMENT,
        "subject": subjects,
        "predicateType": kind,
        "predicate": dict(predicate),
    }
    try:
        text = jcs.encode(whole)  # type: ignore[arg-type]
    except (ValueError, TypeError) as error:
        raise SealError(f"the predicate has no canonical form: {error}") from error
    if not _PRINTABLE.match(text):
        raise SealError("the predicate has text that is not printable ASCII")
    return text
