"""What `sluicegate.boundary.doctor` says of this machine agrees with what works on it."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest

from sluicegate.boundary import doctor, network
from sluicegate.boundary.doctor import Finding, tiers
from sluicegate.boundary.model import ROOT_TIER, ROOTLESS_TIER
from tests.kernel.host import become_ordinary


def test_root_is_offered_the_root_tier_and_nothing_is_left() -> None:
    before = Path("/proc/self/mountinfo").read_text()
    findings = doctor.examine()
    assert [f for f in findings if not f.ok and ROOT_TIER in f.tiers] == []
    assert tiers(findings) == (ROOT_TIER,)
    assert all(f.remedy and f.detail for f in findings)
    assert Path("/proc/self/mountinfo").read_text() == before


def test_ordinary_user_is_offered_the_rootless_tier() -> None:
    with tempfile.TemporaryFile() as report:
        pid = os.fork()
        if pid == 0:
            try:
                become_ordinary()
                found = doctor.examine()
                said = [tiers(found), [f.name for f in found if not f.ok]]
                os.write(report.fileno(), json.dumps(said).encode())
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        report.seek(0)
        offered, missing = json.loads(report.read())
    assert offered == [ROOTLESS_TIER]
    assert "root" in missing


def test_what_is_missing_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "TOOL_DIRECTORIES", ("/nonexistent",))
    findings = doctor.examine()
    assert tiers(findings) == ()
    by_name = {finding.name: finding for finding in findings}
    assert by_name["nft"].remedy == "install nftables"
    assert not by_name["capture"].ok


def test_a_finding_counts_against_its_tiers_only() -> None:
    bad = Finding("x", False, "no", "do", (ROOT_TIER,))
    assert tiers((bad,)) == (ROOTLESS_TIER,)
    assert tiers((Finding("x", False, "no", "do", ()),)) == (ROOT_TIER, ROOTLESS_TIER)
