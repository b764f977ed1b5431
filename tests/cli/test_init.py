from __future__ import annotations

import os
from pathlib import Path

import pytest

from sluicegate.cli import init, policyfiles
from sluicegate.cli import main as cli


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository, and a machine whose clients are all configured by variables."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:hunter2@pip.example/simple")
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "https://npm.example/")
    (work / "requirements.txt").write_text(
        "--extra-index-url https://me:hunter2@corp.example/p/simple/\nsix\n"
    )
    (work / "web").mkdir()
    (work / "web/package.json").write_text("{}")
    return work


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = cli.main(["init", *argv])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_policy_that_run_takes_and_the_next_commands(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "node: web/package.json; the preset is npm.example here"
    assert (
        out.index("run --observe") < out.index("policy suggest") < out.index("sluicegate run -- ")
    )
    (policy,) = policyfiles.load((), str(here))
    assert [(rule.host, rule.preset) for rule in policy.allow] == [
        ("npm.example", "node"),
        ("pip.example", "python"),
        ("corp.example", ""),
    ]
    assert "hunter2" not in (here / "sluicegate.yaml").read_text() + out
    assert sorted(os.listdir(here)) == ["requirements.txt", "sluicegate.yaml", "web"]


def test_what_is_there_is_not_written_over(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = here / "sluicegate.yaml"
    file.write_text("mine")
    code, out, err = run(capsys)
    assert (code, out) == (1, "")
    assert "is there already" in err
    assert "--force" in err
    assert file.read_text() == "mine"
    assert run(capsys, "--print")[1].startswith("# What the command may reach")
    assert file.read_text() == "mine"
    assert run(capsys, "--force")[0] == 0
    assert file.read_text().startswith("# What the command may reach")


def test_what_stands_there_for_a_run_is_left(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """To remove it would take the wall's own mount away."""
    (here / "sluicegate.yaml").mkdir()
    for words in ((), ("--force",)):
        code, out, err = run(capsys, *words)
        assert (code, out) == (1, "")
        assert "is an empty directory, as there is while a run goes on" in err
    assert (here / "sluicegate.yaml").is_dir()


def test_a_link_is_replaced_and_not_followed(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here.parent / "victim").write_text("victim")
    (here / "sluicegate.yaml").symlink_to(here.parent / "victim")
    assert run(capsys)[0] == 1
    assert run(capsys, "--force")[0] == 0
    assert (here.parent / "victim").read_text() == "victim"
    (here / "sluicegate.yaml").unlink()
    (here / "sluicegate.yaml.new").symlink_to(here.parent / "victim")
    code, _, err = run(capsys)
    assert (code, (here.parent / "victim").read_text()) == (1, "victim")
    assert "can not be written: file exists" in err


def test_print_writes_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(os.listdir(here))
    assert run(capsys, "--print", ".")[0] == 0
    assert sorted(os.listdir(here)) == before


def test_names_of_files_are_harmless(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "requirements-\n::error::x\x1b[31m\u202e.txt").write_text(
        "-i https://evil.example/simple\n"
    )
    code, out, _ = run(capsys)
    assert code == 0
    text = (here / "sluicegate.yaml").read_text()
    assert not {"\x1b", "\u202e"} & set(out + text)
    assert "\n::error::" not in out + text
    policyfiles.load((), str(here))


def test_other_peoples_code_is_passed_over(here: Path) -> None:
    for place in ("node_modules/x", ".venv/lib", "vendor/y", "a/b/c/d/e/f"):
        (here / place).mkdir(parents=True)
        (here / place / "Cargo.toml").touch()
    (here / "a/Gemfile").touch()
    assert [one.preset for one in init.proposed(str(here))[0]] == ["node", "python", "ruby"]


@pytest.mark.parametrize(
    ("url", "repo"),
    [
        ("https://github.com/o/r.git", "o/r"),
        ("https://u:hunter2@github.com/o/r", "o/r"),
        ("git@github.com:o/r.git", "o/r"),
        ("ssh://git@github.com/o/r", "o/r"),
        ("https://evil.example/github.com/o/r", "OWNER/REPO"),
        ("https://github.com/o/..", "OWNER/REPO"),
    ],
)
def test_the_repositorys_own_name(here: Path, url: str, repo: str) -> None:
    (here / ".git").mkdir()
    (here / ".git/config").write_text(f'[remote "origin"]\n\turl = {url}\n')
    text = init.proposed(str(here))[1]
    assert f"  #   repos: [{repo}]\n" in text
    assert "hunter2" not in text


def test_submodules_are_read_alone(here: Path) -> None:
    (here / ".gitmodules").write_text(
        '[submodule "a"]\n\tpath = a\n\turl = https://github.com/x/a.git\n'
        '[submodule "b"]\n\turl = https://elsewhere.example/x/b.git\n[submodule "c"]\n\turl = ../c\n'
    )
    assert "    repos: [x/a]\n" in init.proposed(str(here))[1]
    (here / ".gitmodules").write_text('[submodule "c"]\n\turl = ../c\n')
    assert "  # - preset: github-read\n" in init.proposed(str(here))[1]


def test_an_empty_repository(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = here.parent / "empty"
    empty.mkdir()
    code, out, _ = run(capsys, str(empty))
    assert code == 0
    assert "no package files were found: the policy allows nothing yet" in out
    assert policyfiles.load((), str(empty))[0].allow == ()


@pytest.mark.parametrize("argv", [("--no",), ("a", "b"), ("/nowhere",)])
def test_usage(here: Path, argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, *argv)[0] == 2
    assert run(capsys, "--help")[1].startswith("usage: sluicegate init")
