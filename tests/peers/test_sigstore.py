"""Sigstore's own verifier, from the package index, accepts the bundles we write."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sluicegate.evidence import seal
from tests.evidence.test_seal import COMMIT, FILES, KEY, RESULTS, SIGN, TRACE
from tests.peers.conftest import Packet
from tests.verify.test_seal import OTHER, OTHER_SIGN

PROGRAM = Path(__file__).parent / "programs" / "sigstore"
INSTALL = (
    *("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"),
    *("--fetch-retries", "1", "--fetch-timeout", "60000"),
)
# What npm says when nobody answered. That an answer was wrong, a checksum above all, is no reason to skip.
UNREACHABLE = re.compile(
    r"npm (?:error|ERR!) code (?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH"
    r"|ETIMEDOUT|ERR_SOCKET_TIMEOUT|FETCH_ERROR|E50[234])\b"
)
STATEMENT = seal.trace_statement(FILES | {seal.PROBES: "5" * 64}, COMMIT, TRACE)


@dataclass(frozen=True, slots=True)
class Peer:
    """The verifier, installed, and where it reads bundles from."""

    directory: Path

    def verify(self, bundle: bytes, key: bytes = KEY) -> tuple[int, str]:
        """Its exit code, and what it says of `bundle` when it trusts `key` alone."""
        file = self.directory / "bundle.json"
        file.write_bytes(bundle)
        der = Ed25519PublicKey.from_public_bytes(key).public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        done = subprocess.run(
            ["node", self.directory / "verify.js", file, base64.b64encode(der).decode()],
            capture_output=True,
            text=True,
            check=False,
        )
        assert not done.stderr, done.stderr
        return done.returncode, done.stdout.strip()


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Peer:
    directory = tmp_path_factory.mktemp("sigstore")
    shutil.copytree(PROGRAM, directory, dirs_exist_ok=True)
    done = subprocess.run(
        [*INSTALL, "--cache", directory / "cache"],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and UNREACHABLE.search(done.stderr):
        pytest.skip("the npm registry cannot be reached")
    assert done.returncode == 0, done.stderr
    return Peer(directory)


@pytest.mark.parametrize("name", [seal.SEAL, seal.PROBES])
def test_the_bundles_of_real_runs(peer: Peer, packets: dict[str, Packet], name: str) -> None:
    for kind, packet in packets.items():
        bundle = (packet.directory / name).read_bytes()
        code, said = peer.verify(bundle, bytes.fromhex(packet.signer))
        assert code == 0, f"{kind}: {said}"
        statement = json.loads(said)
        for subject in statement["subject"]:
            if "name" in subject:
                data = (packet.directory / subject["name"]).read_bytes()
                assert subject["digest"] == {"sha256": hashlib.sha256(data).hexdigest()}
        other = bundle.replace(b'"payload":"', b'"payload":"AAAA', 1)
        assert peer.verify(other, bytes.fromhex(packet.signer))[0] == 1
        assert peer.verify(bundle, bytes.fromhex(OTHER))[0] == 1


def changed(change: Callable[[Any], object]) -> bytes:
    found = json.loads(seal.bundle(STATEMENT, KEY, SIGN))
    change(found)
    return json.dumps(found).encode()


@pytest.mark.parametrize("statement", [STATEMENT, seal.results_statement(RESULTS, FILES)])
def test_our_bundles(peer: Peer, statement: bytes) -> None:
    bundle = seal.bundle(statement, KEY, SIGN)
    assert peer.verify(bundle) == (0, statement.decode())
    code, said = peer.verify(bundle, bytes.fromhex(OTHER))
    assert (code, said.partition(":")[0]) == (1, "PUBLIC_KEY_ERROR key not found")


@pytest.mark.parametrize(
    ("bundle", "said"),
    [
        (
            changed(
                lambda found: found["dsseEnvelope"].update(
                    payload=base64.b64encode(STATEMENT.replace(b"a.example", b"b.example")).decode()
                )
            ),
            "SIGNATURE_ERROR signature verification failed",
        ),
        (
            changed(lambda found: found["dsseEnvelope"].update(payloadType="application/json")),
            "SIGNATURE_ERROR signature verification failed",
        ),
        (
            seal.bundle(STATEMENT, KEY, OTHER_SIGN),
            "SIGNATURE_ERROR signature verification failed",
        ),
        (
            changed(lambda found: found["dsseEnvelope"]["signatures"].append({"sig": "AA=="})),
            "content.dsseEnvelope.signatures invalid bundle",
        ),
        (
            changed(lambda found: found["dsseEnvelope"].update(signatures=[])),
            "content.dsseEnvelope.signatures invalid bundle",
        ),
        (changed(lambda found: found.update(mediaType="text/plain")), "mediaType invalid bundle"),
    ],
    ids=["payload", "type", "signer", "two signatures", "no signature", "media type"],
)
def test_it_refuses_what_was_changed(peer: Peer, bundle: bytes, said: str) -> None:
    assert peer.verify(bundle) == (1, said)
