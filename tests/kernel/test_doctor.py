"""`sluicegate doctor` on a machine that can do both tiers (sluicegate.cli.doctor)."""

from __future__ import annotations

import sys

from tests.conftest import Tier


def test_doctor_names_the_tier_that_run_then_gives(tier: Tier) -> None:
    done = tier.world.run([sys.executable, "-m", "sluicegate", "doctor"], user=tier.user)
    assert done.code == 0, done.out + done.err
    assert f"tier {tier.name}: yes" in done.out
    assert tier.run(["true"]).boundary()["open"]["tier"] == tier.name


def test_doctor_takes_no_arguments(tier: Tier) -> None:
    done = tier.world.run([sys.executable, "-m", "sluicegate", "doctor", "me"], user=tier.user)
    assert done.code == 2
    assert "hint: " in done.err
