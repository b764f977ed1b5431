"""VERIFY.md as text (sluicegate.verify.verifymd); its commands are run in tests/peers/test_openssl.py."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from sluicegate.verify import packet, verifymd
from tests.evidence import made
from tests.peers.second import VERIFIER


@pytest.fixture
def report(tmp_path: Path) -> packet.Report:
    return packet.verify(made.files(tmp_path, made.some()), [made.PIN])


def test_it_names_the_run_and_the_claimed_signer_and_nothing_else(report: packet.Report) -> None:
    page = verifymd.of_the_run(report)
    assert f"- run: `sluicegate/run/{report.run_nonce}`" in page
    assert f"- signer: `{made.PUBLIC}` (a claim" in page
    assert "@" not in page
    assert page.isascii()
    other = replace(report, run_nonce="1" * 32, signer_key="2" * 64, policy_hash="x", receipts=0)
    again = verifymd.of_the_run(other)
    assert again.replace("1" * 32, report.run_nonce).replace("2" * 64, made.PUBLIC) == page


def test_the_second_verifier_knows_the_same_page() -> None:
    digest = hashlib.sha256(verifymd._PAGE.encode()).hexdigest()
    assert f"const COMMANDS = '{digest}';" in VERIFIER.read_text()
