from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

import pytest

from sluicegate.policy.presets import PresetError
from sluicegate.presets import machine
from sluicegate.presets.machine import Machine


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A machine's directory, and the workspace `work` in it."""
    for name in ("work/bin", "bin", "home"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def look(here: Path, path: str = "") -> Machine:
    return Machine({"PATH": path}, str(here / "home"), (str(here / "work"),))


def program(path: Path) -> Path:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_files_are_read_and_remembered(here: Path) -> None:
    file = here / "home/.npmrc"
    file.write_bytes(b"a\xffb")
    made = look(here)
    assert made.read(str(file)) == "a\ufffdb"
    assert made.read(str(here / "home/none")) is None
    assert made.seen == {str(file)}


def test_only_regular_files_are_read_and_no_pipe_is_waited_for(here: Path) -> None:
    os.mkfifo(here / "pipe")
    made = look(here)
    for path in (here / "pipe", here, "/dev/null", "/dev/zero", "", "\0"):
        if str(path).startswith("/"):
            assert made.read(str(path)) is None
    assert made.read("") is None
    assert made.seen == set()


def test_no_more_is_read_than_configuration_has(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "MAX_TEXT", 4)
    (here / "long").write_text("123456")
    assert look(here).read(str(here / "long")) == "1234"


@pytest.mark.parametrize("name", ["work/pip.conf", "home/link", "work/link"])
def test_configuration_where_the_command_writes_is_an_error(here: Path, name: str) -> None:
    (here / "work/pip.conf").write_text("[global]\nindex-url = https://evil.example/\n")
    (here / "home/pip.conf").write_text("")
    (here / "home/link").symlink_to(here / "work/pip.conf")  # from outside to what it writes
    (here / "work/link").symlink_to(here / "home/pip.conf")  # and what it could turn elsewhere
    made = look(here)
    with pytest.raises(PresetError, match="lies where the command writes") as caught:
        made.read(str(here / name))
    assert "outside of the workspace" in caught.value.hint
    assert made.read(str(here / "work/none")) is None
    assert "evil" not in str(caught.value)


def test_a_relative_path_is_an_error(here: Path) -> None:
    with pytest.raises(PresetError, match="is a relative path"):
        look(here).read("pip.conf")


def test_programs_of_the_workspace_are_passed_over(here: Path) -> None:
    program(here / "work/bin/npm")
    real = program(here / "bin/npm-cli.js")
    (here / "home/npm").symlink_to(real)
    (here / "bin/npm").symlink_to(here / "work/bin/npm")
    (here / "work/bin/node").symlink_to(real)
    path = f"{here}/work/bin:work/bin:{here}/bin:{here}/home:{here}/home"
    assert look(here, path).programs("npm") == (str(real),)
    assert look(here, path).programs("none") == look(here, path).programs("node") == ()
    assert look(here, "").programs("npm") == ()


def test_names_of_a_directory(here: Path) -> None:
    (here / "home/b").touch()
    (here / "home/a").touch()
    made = look(here)
    assert made.names(str(here / "home")) == ("a", "b")
    assert (
        made.names(str(here / "none")) == made.names(str(here / "work")) == made.names("home") == ()
    )


def test_a_member_of_an_archive(here: Path) -> None:
    archive = here / "a.whl"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("pip/x.py", "text")
    made = look(here)
    assert made.member(str(archive), "pip/x.py") == "text"
    assert made.member(str(archive), "none") is None
    (here / "bad.whl").write_bytes(archive.read_bytes()[:30])
    assert made.member(str(here / "bad.whl"), "pip/x.py") is None
    assert made.member(str(here / "none.whl"), "x") is None


def test_the_first_match_in_a_program(here: Path) -> None:
    (here / "cargo").write_bytes(b"\0" * 5000 + b"key=one key=two")
    (here / "empty").touch()
    made = look(here)
    assert made.first(str(here / "cargo"), rb"key=(\w+)") == "one"
    assert made.first(str(here / "cargo"), rb"none=(\w+)") is None
    assert made.first(str(here / "empty"), rb"(x)") is None
    assert made.first(str(here / "none"), rb"(x)") is None


def test_interpreters_that_may_hold_pip(here: Path) -> None:
    for name in ("bin/python3", "work/bin/python3"):
        program(here / name)
    (here / "lib/python3.11/site-packages").mkdir(parents=True)
    (here / "work/lib/python3.11/site-packages").mkdir(parents=True)
    found = look(here, f"{here}/work/bin:{here}/bin").interpreters()
    assert found[:2] == (f"{here}/lib/python3.11/site-packages", f"{here}/lib/python3.11")
    assert not [path for path in found if path.startswith(f"{here}/work")]
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert f"{sys.base_prefix}/lib/{version}" in found


def test_no_client_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine has: presets are made without starting a process."""
    from sluicegate.policy import grammar
    from sluicegate.policy.presets import READ
    from sluicegate.presets import catalog, text

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    for name in ("posix_spawn", "posix_spawnp", "fork", "system", "execve"):
        monkeypatch.setattr(os, name, refuse)
    monkeypatch.setattr("subprocess.Popen", refuse)
    made = Machine(os.environ, os.path.expanduser("~"))
    for name in catalog.COMPUTED:
        rows = catalog.found(name, (), lambda: made).rows
        assert {row.methods for row in rows} <= {READ}
        lines = "\n".join(text.lines(rows))
        rules = grammar.parse(f"version: 1\nallow:\n{lines}\n", "p").allow
        assert [rule.paths for rule in rules] == [tuple(sorted(row.paths)) for row in rows]
        assert not [rule for rule in rules if rule.wildcard]
