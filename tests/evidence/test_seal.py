from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sluicegate.evidence import keys, seal

# RFC 8032 section 7.1, test 1: key A of the DSSE repository's testvectors/vectors.json.
SIGN, PUBLIC = keys.signer(
    bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
)
KEY = bytes.fromhex(PUBLIC)
COMMIT = "d20ace7968ba43c0219f62d71334c1095bab1602"
FILES = {
    name: hashlib.sha256(name.encode()).hexdigest() for name in ("policy.json", "boundary.json")
}
TRACE: dict[str, Any] = {
    "monitor": {
        "type": "https://sluicegate.example/monitor/v1",
        "configSource": {"name": "policy.json", "digest": {"sha256": FILES["policy.json"]}},
        "tracePolicy": {"default": "deny", "synchronous": True},
    },
    "monitoredProcess": {
        "hostID": "https://ci.example/runner/7",
        "type": "https://sluicegate.example/run/v1",
        "event": "https://ci.example/runs/12/attempts/1",
    },
    "monitorLog": {
        "network": [{"hostname": "a.example", "port": 443, "protocol": "tcp", "allowed": 2}]
    },
    "metadata": {
        "buildStartedOn": "2026-01-02T03:04:05Z",
        "buildFinishedOn": "2026-01-02T03:04:06.5Z",
    },
}
RESULTS = {"udp-443": "passed", "raw-socket": "passed", "ipv6": "unknown"}


def described(name: str) -> dict[str, Any]:
    return {"name": name, "digest": {"sha256": FILES[name]}}


@pytest.mark.parametrize(
    ("kind", "payload", "encoded"),
    [
        # protocol.md, "Test Vectors".
        (
            "http://example.com/HelloWorld",
            b"hello world",
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world",
        ),
        # testvectors/vectors.json: empty-payload, empty-payload-type, url-safe-base64, non-ascii-payload-type.
        (seal.PAYLOAD_TYPE, b"", b"DSSEv1 28 application/vnd.in-toto+json 0 "),
        ("", b"{}", b"DSSEv1 0  2 {}"),
        (
            seal.PAYLOAD_TYPE,
            b"\xfb\xff\xbf>?",
            b"DSSEv1 28 application/vnd.in-toto+json 5 \xfb\xff\xbf>?",
        ),
        (
            "application/vnd.ex\xe4mple+json",
            b"x",
            b"DSSEv1 29 application/vnd.ex\xc3\xa4mple+json 1 x",
        ),
    ],
)
def test_what_is_signed(kind: str, payload: bytes, encoded: bytes) -> None:
    assert seal.pae(kind, payload) == encoded


def test_the_signature_of_the_published_vector() -> None:
    # testvectors/vectors.json, "single-signature".
    payload = b'{"_type":"https://in-toto.io/Statement/v1"}'
    envelope = json.loads(seal.bundle(payload, KEY, SIGN))["dsseEnvelope"]
    assert envelope == {
        "payload": "eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEifQ==",
        "payloadType": "application/vnd.in-toto+json",
        "signatures": [
            {
                "sig": "2WAfaHm5jluo0w+0rk8uVkluELJYWjSmU9x7EUzx+Ayt"
                "eDGJ4/nqyJXfmAUVFIAoQafWm7AxBZNw5M9ixNHiCA=="
            }
        ],
    }


def test_the_hint_is_of_the_key_as_others_write_it() -> None:
    der = Ed25519PublicKey.from_public_bytes(KEY).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert len(der) == 44
    assert seal.key_hint(KEY) == base64.b64encode(hashlib.sha256(der).digest()).decode()
    for size in (0, 31, 33, 44):
        with pytest.raises(seal.SealError, match=f"the key has {size} bytes, not 32"):
            seal.key_hint(b"k" * size)


def test_a_trace() -> None:
    text = seal.trace_statement(FILES, COMMIT, TRACE)
    assert json.loads(text) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            described("boundary.json"),
            described("policy.json"),
            {"digest": {"gitCommit": COMMIT}},
        ],
        "predicateType": "https://in-toto.io/attestation/runtime-trace/v0.1",
        "predicate": TRACE,
    }
    again = dict(reversed(FILES.items()))
    assert seal.trace_statement(again, COMMIT, dict(reversed(TRACE.items()))) == text
    assert b" " not in text
    assert text.startswith(b'{"_type":')


def test_a_trace_without_a_commit_or_times() -> None:
    rest = {name: TRACE[name] for name in ("monitor", "monitoredProcess", "monitorLog")}
    made = json.loads(seal.trace_statement(FILES, None, rest))
    assert made["subject"] == [described("boundary.json"), described("policy.json")]
    assert made["predicate"] == rest
    sha256 = "ab" * 32
    made = json.loads(seal.trace_statement(FILES, sha256, rest))
    assert made["subject"][-1] == {"digest": {"gitCommit": sha256}}


def test_results() -> None:
    assert json.loads(seal.results_statement(RESULTS, FILES)) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [described("boundary.json"), described("policy.json")],
        "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
        "predicate": {
            "result": "WARNED",
            "configuration": [described("boundary.json")],
            "passedTests": ["raw-socket", "udp-443"],
            "warnedTests": ["ipv6"],
            "failedTests": [],
        },
    }


@pytest.mark.parametrize(
    ("results", "whole"),
    [
        ({"a": "passed"}, "PASSED"),
        ({"a": "passed", "b": "unknown"}, "WARNED"),
        ({"a": "unknown"}, "WARNED"),
        ({"a": "passed", "b": "unknown", "c": "failed"}, "FAILED"),
    ],
)
def test_the_worst_result_is_the_whole(results: dict[str, str], whole: str) -> None:
    predicate = json.loads(seal.results_statement(results, FILES, "policy.json"))["predicate"]
    assert predicate["result"] == whole
    assert predicate["configuration"] == [described("policy.json")]


def test_a_bundle() -> None:
    statement = seal.trace_statement(FILES, COMMIT, TRACE)
    text = seal.bundle(statement, KEY, SIGN)
    signature = SIGN(b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(statement), statement))
    assert json.loads(text) == {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": seal.key_hint(KEY)}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(statement).decode(),
            "payloadType": "application/vnd.in-toto+json",
            "signatures": [{"sig": base64.b64encode(signature).decode()}],
        },
    }
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")).encode()


def test_a_bundle_that_nobody_would_read() -> None:
    with pytest.raises(seal.SealError, match="the bundle has 5592768 bytes, more than 4194304"):
        seal.bundle(b" " * seal.MAX_BUNDLE_BYTES, KEY, SIGN)


def test_what_is_no_signature() -> None:
    with pytest.raises(seal.SealError, match="the signature has 63 bytes, not 64"):
        seal.bundle(b"{}", KEY, lambda _: b"s" * 63)
    with pytest.raises(seal.SealError, match="the key has 31 bytes, not 32"):
        seal.bundle(b"{}", KEY[1:], SIGN)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "no files to seal"),
        ({"": "0" * 64}, "'' is not the name of a packet's file"),
        ({"../policy.json": "0" * 64}, "'../policy.json' is not the name"),
        ({".hidden": "0" * 64}, "'.hidden' is not the name"),
        ({"pol\u0456cy.json": "0" * 64}, r"'pol\\u0456cy.json' is not the name"),
        ({"a\n": "0" * 64}, r"'a\\n' is not the name"),
        ({"a" * 256: "0" * 64}, "is not the name"),
        ({"a": "0" * 63}, "the digest of a is not 64 digits of lower-case hex"),
        ({"a": "A" * 64}, "the digest of a is not 64 digits of lower-case hex"),
        ({"a": "sha256:" + "0" * 64}, "the digest of a is not 64 digits of lower-case hex"),
        ({seal.SEAL: "0" * 64}, "seal.sigstore.json cannot be a subject: it is written later"),
    ],
)
def test_what_is_no_subject(files: dict[str, str], said: str) -> None:
    with pytest.raises(seal.SealError, match=said):
        seal.trace_statement(files, None, TRACE)
    with pytest.raises(seal.SealError, match=said):
        seal.results_statement(RESULTS, files)


def test_the_seal_is_written_after_the_probes() -> None:
    files = FILES | {seal.PROBES: "0" * 64}
    names = [
        entry["name"] for entry in json.loads(seal.trace_statement(files, None, TRACE))["subject"]
    ]
    assert names == ["boundary.json", "policy.json", "probes.sigstore.json"]
    with pytest.raises(seal.SealError, match=r"probes\.sigstore\.json cannot be a subject"):
        seal.results_statement(RESULTS, files)


@pytest.mark.parametrize(
    "commit", ["", "HEAD", COMMIT.upper(), COMMIT[:-1], COMMIT + "\n", "0" * 63]
)
def test_what_is_no_commit(commit: str) -> None:
    with pytest.raises(seal.SealError, match="the commit is not the hex of a git object"):
        seal.trace_statement(FILES, commit, TRACE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"monitor": {}}, r"monitor lacks \['type'\]"),
        ({"monitor": "m"}, "monitor is not an object"),
        ({"monitor": {"type": "no uri"}}, "monitor: type has another form"),
        ({"monitor": {"type": "https://m.example", "id": "x"}}, r"unknown members \['id'\]"),
        (
            {"monitor": {"type": "https://m.example", "tracePolicy": []}},
            "tracePolicy is not an object",
        ),
        ({"monitoredProcess": {"hostID": "https://h.example"}}, r"lacks \['event', 'type'\]"),
        ({"monitoredProcess": TRACE["monitoredProcess"] | {"event": ""}}, "event has another form"),
        (
            {"monitoredProcess": TRACE["monitoredProcess"] | {"hostID": 7}},
            "hostID has another form",
        ),
        ({"monitorLog": {}}, "none of process, network and fileAccess"),
        ({"monitorLog": {"dns": []}}, r"unknown members \['dns'\]"),
        ({"monitorLog": {"network": {}}}, "network is not a list of objects"),
        ({"monitorLog": {"network": ["a"]}}, "network is not a list of objects"),
        ({"metadata": {"startedOn": "x"}}, r"unknown members \['startedOn'\]"),
        ({"metadata": {"buildStartedOn": "2026-01-02"}}, "buildStartedOn has another form"),
        ({"extra": 1}, r"the predicate has the unknown members \['extra'\]"),
        ({"monitorLog": {"network": [{"share": 0.5}]}}, "no canonical form: float"),
        ({"monitorLog": {"network": [{"bytes": 2**53}]}}, "no canonical form: .* 53-bit range"),
        ({"monitorLog": {"network": [{"host": "\ud800"}]}}, "no canonical form"),
        ({"monitorLog": {"network": [{"host": "\u0430.example"}]}}, "not printable ASCII"),
        ({"monitorLog": {"network": [{"host": "a\x1b[2J"}]}}, "not printable ASCII"),
        ({"monitorLog": {"network": [{"host": "a\x7f"}]}}, "not printable ASCII"),
    ],
)
def test_what_is_no_trace(change: dict[str, Any], said: str) -> None:
    with pytest.raises(seal.SealError, match=said):
        seal.trace_statement(FILES, None, TRACE | change)


def test_a_trace_without_its_members() -> None:
    for name in ("monitor", "monitoredProcess", "monitorLog"):
        rest = {other: value for other, value in TRACE.items() if other != name}
        with pytest.raises(seal.SealError, match=rf"the predicate lacks \['{name}'\]"):
            seal.trace_statement(FILES, None, rest)


def test_quotes_and_backslashes_are_printable() -> None:
    rows = {"network": [{"host": '"\\n\\"'}]}
    assert seal.trace_statement(FILES, None, TRACE | {"monitorLog": rows})


@pytest.mark.parametrize(
    ("results", "configuration", "said"),
    [
        ({}, "boundary.json", "no results of probes"),
        ({"a": "PASSED"}, "boundary.json", r"results of an unknown kind: \['PASSED'\]"),
        ({"a": "passed", "b": ""}, "boundary.json", r"results of an unknown kind: \[''\]"),
        ({"a": "passed"}, "plan.json", "the configuration 'plan.json' is not among the subjects"),
        ({"a\n": "passed"}, "boundary.json", "not printable ASCII"),
    ],
)
def test_what_are_no_results(results: dict[str, str], configuration: str, said: str) -> None:
    with pytest.raises(seal.SealError, match=said):
        seal.results_statement(results, FILES, configuration)
