from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.cli import policyfiles, presetting
from sluicegate.cli.options import Options
from sluicegate.cli.presetting import Presets
from sluicegate.policy.model import PolicyError
from sluicegate.policy.presets import PresetError


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    (tmp_path / "home").mkdir()
    return tmp_path


def presets(here: Path, **env: str) -> Presets:
    return Presets({"PATH": "", **env}, str(here / "home"), (str(here / "work"),))


def load(here: Path, *given: str, text: str = "", **env: str) -> list[str]:
    if text:
        (here / "work/sluicegate.yaml").write_text(text)
    (policy,) = policyfiles.load((), str(here / "work"), presets=presets(here, **env), given=given)
    return [f"{rule.label} {rule.host}" for rule in policy.allow]


def test_a_preset_without_any_file(here: Path) -> None:
    assert load(here, "python", PIP_INDEX_URL="https://m.example/simple") == [
        "allow[0] --preset python m.example"
    ]


def test_presets_are_added_to_the_file_that_is_there(here: Path) -> None:
    text = "version: 1\nallow:\n  - host: a.example\n  - preset: python\n"
    assert load(here, "openai", text=text, PIP_INDEX_URL="https://m.example/simple") == [
        "allow[0] sluicegate.yaml:3 a.example",
        "allow[1] sluicegate.yaml:4 m.example",
        "allow[2] --preset openai api.openai.com",
        "allow[3] --preset openai api.openai.com",
    ]


def test_presets_beside_several_files_are_an_error(here: Path) -> None:
    with pytest.raises(PolicyError, match="--preset: presets are given beside several policies"):
        policyfiles.load(("a", "b"), str(here), given=("openai",))


def test_repositories_of_several_options_add_up(here: Path) -> None:
    made = presets(here).rules(("github-push=o/r", "github-push=o/s,o/t"))
    assert {path.rpartition("/")[0] for path in made[1].paths} >= {"/o/r", "/o/s", "/o/t"}
    paths = [rule.paths for rule in presets(here).rules(("github-read=o/r", "github-read"))]
    assert "/*/*/git-upload-pack" in [path for some in paths for path in some]


@pytest.mark.parametrize(
    ("given", "said", "hint"),
    [
        ("zzz", 'preset "zzz" is not known', "one of: "),
        ("github-push", "wants the repositories", "repos"),
        ("github-read=o", '"o" is not OWNER/REPO', "--preset github-read=OWNER/REPO"),
        ("github-read=", '"" is not OWNER/REPO', ""),
        ("python=o/r", "has no repositories", "remove repos"),
        ("", "is not known", ""),
        ("\x1b[31m", "is not known", ""),
    ],
)
def test_options_that_are_wrong(here: Path, given: str, said: str, hint: str) -> None:
    with pytest.raises(PolicyError) as caught:
        load(here, given)
    assert said in caught.value.message
    assert hint in caught.value.hint
    assert "\x1b" not in str(caught.value)


def test_configuration_that_the_workspace_holds_does_not_count(here: Path) -> None:
    (here / "work/pip.conf").write_text("[global]\nindex-url = https://evil.example/simple\n")
    with pytest.raises(PolicyError, match="lies where the command writes"):
        load(here, "python", PIP_CONFIG_FILE=str(here / "work/pip.conf"))
    (here / "work/.npmrc").write_text("registry=https://evil.example/\n")
    assert load(here, "node", NPM_CONFIG_REGISTRY="https://m.example/") == [
        "allow[0] --preset node m.example"
    ]


def test_what_was_read_where_the_command_will_write(here: Path) -> None:
    made = presets(here)
    assert made.written((str(here / "home"),)) is None
    (here / "home/.npmrc").write_text("registry=https://m.example/\n")
    made("node", ())
    assert made.written((str(here / "home"),)) == str(here / "home/.npmrc")
    assert made.written((str(here / "hom"), str(here / "work"))) is None


def test_what_a_preset_lacks_is_told_once_and_not_when_quiet(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = here / "home/.cargo"
    config.mkdir()
    (config / "config.toml").write_text('[registries.a]\nindex = "sparse+https://a.example/"\n')
    presets(here)("rust", ())
    assert (
        "sluicegate: preset rust: where a.example keeps its crates is not known"
        in capsys.readouterr().err
    )
    made = presets(here)
    made.quiet = True
    made("rust", ())
    assert capsys.readouterr().err == ""


def test_a_run_looks_with_the_commands_home_and_the_variables_that_it_is_given() -> None:
    options = Options(("true",), env=("PIP_INDEX_URL=https://m.example/simple", "OTHER"))
    made = presetting.of_run(options, {"PATH": "/bin", "PIP_INDEX_URL": "x"}, "/home/me", "/w")
    assert made.env == {"PATH": "/bin", "PIP_INDEX_URL": "https://m.example/simple"}
    assert (made.home, made.untrusted) == ("/home/me", ("/w",))


def test_nothing_is_loaded_without_a_preset(here: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from sluicegate.cli import policyfiles; policyfiles.load((), '/');"
        "print([m for m in sys.modules if m.startswith('sluicegate.presets')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_error_in_a_file_names_its_line(here: Path) -> None:
    with pytest.raises(
        PolicyError, match=r"sluicegate\.yaml:3:13: allow\[0\]: preset \"pythn\" is not known"
    ):
        load(here, text="version: 1\nallow:\n  - preset: pythn\n")
    with pytest.raises(PresetError):
        presets(here)("pythn", ())


def test_all_of_the_repository_is_its_authors(here: Path) -> None:
    (here / "repo/.git").mkdir(parents=True)
    (here / "repo/sub").mkdir()
    sub, repo, home = (str(here / name) for name in ("repo/sub", "repo", "home"))
    assert presetting.repositories({}, home, sub) == (sub, repo)
    assert presetting.repositories({}, home, str(here / "work")) == (str(here / "work"),)
    env = {"GITHUB_WORKSPACE": repo, "CI_PROJECT_DIR": home}
    assert presetting.repositories(env, "/nowhere", sub) == (sub, repo, home)
    # Dotfiles in a repository are the user's own.
    assert presetting.repositories({}, f"{repo}/home", f"{repo}/home/project") == (
        f"{repo}/home/project",
    )


def test_whose_client_will_not_know_of_its_registry(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "home/.npmrc").write_text("registry=https://m.example/\n")
    config = here / "home/.config/pip"
    config.mkdir(parents=True)
    (config / "pip.conf").write_text("[global]\nindex-url = https://me:hunter2@m.example/simple\n")
    made = presets(here, GOPROXY="https://m.example")
    for name in ("node", "python", "go"):
        made(name, ())
    made.unseen(("OTHER",), ())
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if "made from" in line] == [
        f"sluicegate: preset python is made from {config}/pip.conf, which the command does not get: it may hold a key",
        f"sluicegate: preset node is made from {here}/home/.npmrc, which the command does not get: it may hold a key",
    ]
    assert "hint: tell its client without the key: --env NPM_CONFIG_REGISTRY=URL" in said
    assert "hunter2" not in str(said)
    # Without a key the command sees it; a variable and what a variable leads to it may not.
    (config / "pip.conf").write_text("[global]\nindex-url = https://m.example/simple\n")
    made.unseen(("GOPROXY",), (f"{config}/pip.conf",))
    said = capsys.readouterr().err.splitlines()
    assert len([line for line in said if "made from" in line]) == 3
    made.quiet = True
    made.unseen(("GOPROXY",), ())
    assert capsys.readouterr().err == ""
