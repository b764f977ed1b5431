from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from sluicegate import jcs
from sluicegate.evidence import keys
from sluicegate.evidence import seal as written
from sluicegate.verify import seal, strict
from tests.evidence.test_seal import COMMIT, FILES, KEY, RESULTS, SIGN, TRACE, described

Change = Callable[[Any], object]
SEALED = FILES | {written.PROBES: "5" * 64}
TRACED = written.bundle(written.trace_statement(SEALED, COMMIT, TRACE), KEY, SIGN)
PROBED = written.bundle(written.results_statement(RESULTS, FILES), KEY, SIGN)
OTHER_SIGN, OTHER = keys.signer(b"o" * 32)
SIGNATURE = base64.b64decode(json.loads(TRACED)["dsseEnvelope"]["signatures"][0]["sig"])


def refused(bundle: bytes, said: str, kind: str = written.TRACE, key: bytes = KEY) -> None:
    digests = SEALED if kind == written.TRACE else FILES
    with pytest.raises(strict.VerificationError) as found:
        seal.checked(bundle, key, kind, digests)
    name = written.SEAL if kind == written.TRACE else written.PROBES
    assert str(found.value) == f"{name}: {said}"


def payload_of(bundle: bytes) -> bytes:
    return base64.b64decode(json.loads(bundle)["dsseEnvelope"]["payload"])


def changed(change: Change, bundle: bytes = TRACED) -> bytes:
    """The bundle after `change` of its JSON; nothing is signed again."""
    found = json.loads(bundle)
    change(found)
    return jcs.encode(found)


def signed_again(change: Change, bundle: bytes = TRACED) -> bytes:
    """The bundle after `change` of its statement, as the holder of the key would write it."""
    found = json.loads(payload_of(bundle))
    change(found)
    return written.bundle(jcs.encode(found), KEY, SIGN)


def envelope(**changes: object) -> Change:
    return lambda found: found["dsseEnvelope"].update(changes)


def material(**changes: object) -> Change:
    return lambda found: found["verificationMaterial"].update(changes)


def statement(**changes: object) -> Change:
    return lambda found: found.update(changes)


def subjects(change: Change) -> Change:
    return lambda found: change(found["subject"])


def predicate(**changes: object) -> Change:
    return lambda found: found["predicate"].update(changes)


def dropped(*path: str) -> Change:
    def drop(found: Any) -> None:
        for name in path[:-1]:
            found = found[name]
        del found[path[-1]]

    return drop


def sig(raw: bytes) -> dict[str, str]:
    return {"sig": base64.b64encode(raw).decode()}


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def test_what_was_sealed_comes_back() -> None:
    found = seal.checked(TRACED, KEY, written.TRACE, SEALED)
    assert found == seal.Sealed(COMMIT, TRACE, {})
    rest = written.bundle(written.trace_statement(FILES, None, TRACE), KEY, SIGN)
    assert seal.checked(rest, KEY, written.TRACE, FILES).commit is None


def test_results_come_back() -> None:
    found = seal.checked(PROBED, KEY, written.RESULTS, FILES)
    assert (found.commit, found.results) == (None, RESULTS)
    assert found.predicate["result"] == "WARNED"


def test_a_predicate_without_rules() -> None:
    with pytest.raises(ValueError, match="no rules for the predicate urn:x"):
        seal.checked(TRACED, KEY, "urn:x", SEALED)


@pytest.mark.parametrize(
    ("bundle", "said"),
    [
        (b"", "Expecting value: line 1 column 1 (char 0)"),
        (b"[]", "not an object"),
        (TRACED + b"\n", "not canonical JSON"),
        (b" " + TRACED, "not canonical JSON"),
        (TRACED.replace(b":", b": ", 1), "not canonical JSON"),
        (TRACED.replace(b"bundle", b"\\u0062undle"), "not canonical JSON"),
        (TRACED.replace(b"{", b'{"mediaType":"x",', 1), "a member appears twice"),
        (TRACED.replace(b'{"sig"', b'{"sig":"","sig"'), "a member appears twice"),
        (TRACED.replace(b"{", b'{"a":1.0,', 1), "1.0 is not an integer"),
        (b" " * (written.MAX_BUNDLE_BYTES + 1), "longer than 4194304 bytes"),
    ],
)
def test_one_spelling(bundle: bytes, said: str) -> None:
    refused(bundle, said)


MEMBERS = "the members are not dsseEnvelope, mediaType, verificationMaterial"
IN_TOTO = "the payload is not application/vnd.in-toto+json"
V03 = "not application/vnd.dev.sigstore.bundle.v0.3+json"
ENVELOPE = "dsseEnvelope: the members are not payload, payloadType, signatures"
BAD = "signature verification failed"
PAYLOAD = payload_of(TRACED)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (statement(extra=1), MEMBERS),
        (dropped("mediaType"), MEMBERS),
        (statement(messageSignature={}), MEMBERS),
        (statement(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.3"), V03),
        (statement(mediaType=written.MEDIA_TYPE + ";x"), V03),
        (statement(mediaType=3), V03),
        (statement(verificationMaterial=[]), "verificationMaterial: not an object"),
        (
            dropped("verificationMaterial", "tlogEntries"),
            "verificationMaterial: the members are not publicKey, tlogEntries",
        ),
        (
            material(timestampVerificationData={}),
            "verificationMaterial: the members are not publicKey, tlogEntries",
        ),
        (
            material(certificate={"rawBytes": ""}),
            "verificationMaterial: the members are not publicKey, tlogEntries",
        ),
        (material(tlogEntries=[{"logIndex": "1"}]), "log entries, which we never write"),
        (material(tlogEntries=None), "log entries, which we never write"),
        (material(publicKey={}), "publicKey: the members are not hint"),
        (material(publicKey={"hint": "h", "rawBytes": "k"}), "publicKey: the members are not hint"),
        (material(publicKey={"hint": ""}), "the hint names another key"),
        (
            material(publicKey={"hint": written.key_hint(bytes.fromhex(OTHER))}),
            "the hint names another key",
        ),
        (statement(dsseEnvelope=None), "dsseEnvelope: not an object"),
        (envelope(extra=1), ENVELOPE),
        (dropped("dsseEnvelope", "payload"), ENVELOPE),
        (envelope(payloadType="application/json"), IN_TOTO),
        (envelope(payloadType=written.PAYLOAD_TYPE.upper()), IN_TOTO),
        (envelope(signatures={}), "signatures: not a list"),
        (envelope(signatures=[]), "0 signatures, not 1"),
        (envelope(signatures=[sig(SIGNATURE), sig(SIGNATURE)]), "2 signatures, not 1"),
        (envelope(signatures=["s"]), "signature: not an object"),
        (
            envelope(signatures=[sig(SIGNATURE) | {"keyid": "k"}]),
            "signature: the members are not sig",
        ),
        (envelope(signatures=[{"sig": None}]), "signature: not a string"),
        (envelope(signatures=[sig(SIGNATURE[:-1])]), "the signature has 63 bytes, not 64"),
        (envelope(signatures=[sig(b"")]), "the signature has 0 bytes, not 64"),
        (envelope(signatures=[sig(flipped(SIGNATURE))]), BAD),
        (envelope(signatures=[sig(SIGN(PAYLOAD))]), BAD),
        (envelope(signatures=[sig(SIGN(written.pae("application/json", PAYLOAD)))]), BAD),
        (
            envelope(signatures=[sig(SIGN(written.pae(written.PAYLOAD_TYPE, PAYLOAD)[:-1]))]),
            BAD,
        ),
        (
            envelope(signatures=[sig(OTHER_SIGN(written.pae(written.PAYLOAD_TYPE, PAYLOAD)))]),
            BAD,
        ),
        (envelope(payload=base64.b64encode(PAYLOAD + b" ").decode()), BAD),
        (envelope(payload=""), BAD),
        (envelope(payload=json.loads(PROBED)["dsseEnvelope"]["payload"]), BAD),
        (envelope(payload=7), "payload: not a string"),
    ],
)
def test_a_changed_bundle(change: Change, said: str) -> None:
    refused(changed(change), said)


def respelled(change: Callable[[str], str]) -> bytes:
    def spell(found: Any) -> None:
        only = found["dsseEnvelope"]["signatures"][0]
        only["sig"] = change(only["sig"])

    return changed(spell)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.translate(str.maketrans("+/", "-_")), "signature: not base64"),
        (lambda text: text.rstrip("="), "signature: not base64"),
        (lambda text: text + "\n", "signature: not base64"),
        (lambda text: text[:8] + " " + text[8:], "signature: not base64"),
        (
            lambda text: text[:-3] + chr(ord(text[-3]) + 1) + "==",
            "signature: base64 in another spelling",
        ),
        (lambda text: text + "\xe4", "signature: not base64"),
    ],
    ids=["alphabet", "padding", "newline", "space", "loose bits", "not ASCII"],
)
def test_base64_has_one_spelling(change: Callable[[str], str], said: str) -> None:
    assert set("+/") & set(base64.b64encode(SIGNATURE).decode())
    refused(respelled(change), said)


def test_another_key() -> None:
    refused(TRACED, "the hint names another key", key=bytes.fromhex(OTHER))
    refused(TRACED, "the key has 31 bytes, not 32", key=KEY[1:])
    # One who signs with their own key and claims ours.
    theirs = written.bundle(PAYLOAD, KEY, OTHER_SIGN)
    refused(theirs, BAD)


STATEMENT = "statement: the members are not _type, predicate, predicateType, subject"
WRITER = "not what its writer makes of the same facts"
NAME = "policy.json"
AT = 1  # where policy.json is among the subjects


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (statement(extra=1), STATEMENT),
        (dropped("predicate"), STATEMENT),
        (statement(_type="https://in-toto.io/Statement/v0.1"), "not an in-toto Statement v1"),
        (statement(predicateType=written.RESULTS), f"the predicate type is not {written.TRACE}"),
        (
            statement(predicateType=written.TRACE.replace("v0.1", "v0.2")),
            f"the predicate type is not {written.TRACE}",
        ),
        (statement(subject={}), "subject: not a list"),
        (statement(subject=[]), "'boundary.json' is in the packet, but not sealed"),
        (subjects(lambda found: found.pop(AT)), "'policy.json' is in the packet, but not sealed"),
        (
            subjects(lambda found: found.append({"name": "x", "digest": {"sha256": "0" * 64}})),
            "x is sealed, but not in the packet",
        ),
        (subjects(lambda found: found.append(found[AT])), "policy.json is sealed twice"),
        (
            subjects(lambda found: found.append({"name": NAME, "digest": {"sha256": "0" * 64}})),
            "policy.json is sealed twice",
        ),
        (
            subjects(lambda found: found[AT]["digest"].update(sha256="0" * 64)),
            "policy.json is not the file that was sealed",
        ),
        (
            subjects(lambda found: found[AT]["digest"].update(sha256=FILES[NAME].upper())),
            "digest of policy.json: not 32 bytes of hex",
        ),
        (
            subjects(lambda found: found[AT]["digest"].update(sha256=FILES[NAME][:-2])),
            "digest of policy.json: not 32 bytes of hex",
        ),
        (
            subjects(lambda found: found[AT]["digest"].update(sha512="0" * 128)),
            "digest of policy.json: the members are not sha256",
        ),
        (
            subjects(lambda found: found[AT].update(digest={"md5": "0" * 32})),
            "digest of policy.json: the members are not sha256",
        ),
        (
            subjects(lambda found: found[AT].update(digest="x")),
            "digest of a subject: not an object",
        ),
        (subjects(lambda found: found[AT].pop("digest")), "digest of a subject: not an object"),
        (
            subjects(lambda found: found[AT].update(uri="u")),
            "subject: the members are not digest, name",
        ),
        (subjects(lambda found: found[AT].update(name=1)), "name of a subject: not a string"),
        (
            subjects(lambda found: found[AT].update(name="../policy.json")),
            "'../policy.json' is not the name of a packet's file",
        ),
        (subjects(lambda found: found.append("x")), "subject: not an object"),
        (
            subjects(lambda found: found[AT].pop("name")),
            "digest of a subject without a name: the members are not gitCommit",
        ),
        (subjects(lambda found: found.append(found[-1])), "two git commits"),
        (
            subjects(lambda found: found[-1]["digest"].update(gitCommit="HEAD")),
            "the commit is not the hex of a git object",
        ),
        (
            subjects(lambda found: found[-1]["digest"].update(gitCommit=COMMIT.upper())),
            "the commit is not the hex of a git object",
        ),
        (
            subjects(lambda found: found[-1]["digest"].update(gitCommit=1)),
            "gitCommit: not a string",
        ),
        (subjects(lambda found: found.reverse()), WRITER),
        (statement(predicate=[]), "predicate: not an object"),
        (dropped("predicate", "monitorLog"), "the predicate lacks ['monitorLog']"),
        (predicate(extra=1), "the predicate has the unknown members ['extra']"),
        (predicate(monitorLog={}), "monitorLog has none of process, network and fileAccess"),
        (
            predicate(monitorLog={"network": [{"hostname": "\x1b[2J"}]}),
            "the predicate has text that is not printable ASCII",
        ),
    ],
)
def test_a_changed_statement_by_the_holder_of_the_key(change: Change, said: str) -> None:
    refused(signed_again(change), said)


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (PAYLOAD + b"\n", "statement: not canonical JSON"),
        (PAYLOAD.replace(b"{", b'{"_type":"x",', 1), "statement: a member appears twice"),
        (
            b"\xff",
            "statement: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
        ),
        (b'{"\xc3\xa4":1}', "statement: key '\xe4' is not an ASCII string"),
        (b'{"a":' + b"[" * 200 + b"]" * 200 + b"}", "statement: nested deeper than 128"),
    ],
)
def test_a_signed_payload_of_another_spelling(payload: bytes, said: str) -> None:
    refused(written.bundle(payload, KEY, SIGN), said)


RESULT = (
    "predicate: the members are not configuration, failedTests, passedTests, result, warnedTests"
)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (statement(predicateType=written.TRACE), f"the predicate type is not {written.RESULTS}"),
        (
            subjects(lambda found: found.append({"digest": {"gitCommit": COMMIT}})),
            "a git commit among what was probed",
        ),
        (predicate(result="PASSED"), WRITER),
        (predicate(failedTests=["raw-socket"]), "'raw-socket' has two results"),
        (predicate(passedTests=["udp-443", "raw-socket"]), WRITER),
        (predicate(passedTests=["udp-443", "udp-443"]), "'udp-443' has two results"),
        (predicate(passedTests=[], warnedTests=[]), "no results of probes"),
        (predicate(passedTests="udp-443"), "passedTests: not a list"),
        (predicate(failedTests=[1]), "failedTests: not a string"),
        (
            dropped("predicate", "warnedTests"),
            RESULT,
        ),
        (
            predicate(url="https://ci.example"),
            RESULT,
        ),
        (predicate(configuration=[]), "0 configurations, not 1"),
        (predicate(configuration=["x"]), "configuration: not an object"),
        (predicate(configuration=[{"name": 1}]), "the configuration is not boundary.json"),
        (
            predicate(configuration=[{"name": "plan.json", "digest": {"sha256": "0" * 64}}]),
            "the configuration is not boundary.json",
        ),
        (
            predicate(
                configuration=[described("boundary.json") | {"digest": {"sha256": "0" * 64}}]
            ),
            WRITER,
        ),
    ],
)
def test_changed_results_by_the_holder_of_the_key(change: Change, said: str) -> None:
    refused(signed_again(change, PROBED), said, written.RESULTS)


def test_one_bundle_in_the_place_of_the_other() -> None:
    refused(PROBED, f"the predicate type is not {written.TRACE}")
    refused(TRACED, f"the predicate type is not {written.RESULTS}", written.RESULTS)


def test_a_packet_of_other_files() -> None:
    def said(digests: dict[str, str]) -> str:
        with pytest.raises(strict.VerificationError) as found:
            seal.checked(TRACED, KEY, written.TRACE, digests)
        return str(found.value)

    more = SEALED | {"x\x1b\u0456": "0" * 64}
    assert said(more) == r"seal.sigstore.json: 'x\x1b\u0456' is in the packet, but not sealed"
    fewer = {name: SEALED[name] for name in FILES}
    assert (
        said(fewer) == "seal.sigstore.json: probes.sigstore.json is sealed, but not in the packet"
    )
    assert said({}) == "seal.sigstore.json: boundary.json is sealed, but not in the packet"
    swapped = SEALED | {NAME: SEALED["boundary.json"], "boundary.json": SEALED[NAME]}
    assert said(swapped) == "seal.sigstore.json: boundary.json is not the file that was sealed"


def test_any_bit_of_a_bundle_counts() -> None:
    for at in range(len(TRACED)):
        wrong = bytearray(TRACED)
        wrong[at] ^= 1
        with pytest.raises(strict.VerificationError):
            seal.checked(bytes(wrong), KEY, written.TRACE, SEALED)
