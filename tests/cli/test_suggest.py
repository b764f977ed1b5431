from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.cli import main as cli
from sluicegate.cli import suggest
from sluicegate.policy import learn, needs
from tests.evidence import made
from tests.policy.test_again import GET, seen


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    packet = tmp_path / "packet"
    packet.mkdir()
    for name, data in made.files(tmp_path, made.some()).items():
        (packet / name).write_bytes(data)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_packet_becomes_a_policy_that_covers_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["policy", "suggest", "packet", "--key", made.PUBLIC]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    head, _, rest = told.out.partition("version: 1\n")
    assert head.splitlines()[1].endswith(f"9 receipts, signed by {made.PUBLIC[:16]}...")
    assert rest == (
        "allow:\n"
        "  # by a program that was gone\n"
        "  # 1 connection, 3 bytes up, 4 down; not looked into; seq 4\n"
        "  - host: b.example\n"
        "    ports: [443]\n"
        "\n"
        "# TLS that was not looked into has no methods and paths: with `inspect: all` in the run's policy it has.\n"
        "\n"
        "# Not suggested:\n"
        "#   2x denied: a.example port 443 (default)\n"
    )
    (here / "new.yaml").write_text(told.out)
    assert cli.main(["replay", "--policy", "new.yaml", "packet"]) == 0


def test_a_packet_that_nobody_pins_is_said_to_be_so(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["policy", "suggest", "packet", "packet"]) == 0
    told = capsys.readouterr()
    assert told.out.count("NOT pinned to a key") == 2
    assert "seq 1:4, 2:4" in told.out
    assert "packet: not pinned" in told.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "packet"),
        (["missing"], "missing: No such file"),
        (["packet", "--key", "0" * 64], "signed by another key"),
        (["packet", "--what"], "--what"),
    ],
)
def test_wrong_usage(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert cli.main(["policy", "suggest", *words]) == 2
    told = capsys.readouterr()
    assert (said in told.err, told.out) == (True, "")


def test_what_is_held_has_an_end(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suggest, "MAX_DECISIONS", 2)
    assert cli.main(["policy", "suggest", "packet"]) == 2
    told = capsys.readouterr()
    assert ("more than 2 decisions to learn from" in told.err, told.out) == (True, "")


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["policy", "suggest", "--help"]) == 0
    assert "--no-presets" in capsys.readouterr().out


def test_what_is_printed_is_what_was_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    learnt = learn.learn(needs.needs([[seen(GET)]]).all())
    machine = suggest.presetting.here(".")
    for text, said in (("version: 2\n", "is no policy"), ("version: 1\n", "says other things")):
        with pytest.raises(RuntimeError, match=said):
            suggest._same(text, learnt, [], machine)
