"""Certificate databases of NSS: a copy with the run's authority lies where the command looks, the host's stays.

Both tiers (sluicegate.boundary.nssdb).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sluicegate.boundary import nssdb
from sluicegate.boundary.model import Spec, Trust
from sluicegate.gate import certificates
from tests.kernel.host import TIERS, UID, Outcome, ground, run, spec

PEM, THEIRS = (
    certificates.issuer(None, name, 1, datetime.now(UTC)).pem.decode()
    for name in ("ours", "theirs")
)
USER = (UID, UID)
LIST = "certutil -L -d sql:$HOME/.pki/nssdb"
both = pytest.mark.parametrize("name", TIERS)
needs_tool = pytest.mark.skipif(
    shutil.which("certutil") is None, reason="an optional client: no certutil on this machine"
)


def database(there: Path, *words: str) -> Path:
    """An empty one of the user's, with an authority of theirs in it."""
    there.mkdir(parents=True)
    tool = ["certutil", "-d", f"sql:{there}", *words]
    subprocess.run([*tool, "-N", *(() if words else ("--empty-password",))], check=True)
    add = [*tool, "-A", "-n", "theirs", "-t", "C,,", "-a"]
    subprocess.run(add, input=THEIRS, text=True, check=True)
    for path in (there.parent, there, *there.iterdir()):
        os.chown(path, *USER)
    return there


def listed(top: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() if p.is_file() else b"" for p in sorted(top.rglob("*"))}


def trusting(asked: Spec, env: Mapping[str, str] | None = None) -> Spec:
    with nssdb.copies(asked.home, env or {}, USER) as found:
        made = nssdb.extended(found, PEM, USER)
    assert not [copy for copy in found if copy.there and os.path.exists(copy.there)]
    return replace(asked, trust=Trust(databases=made))


def outcomes(found: Outcome) -> list[str]:
    assert found.error == ""
    return [said for what, _, said in found.plan if what.startswith("certificate database")]


def browser(top: Path) -> dict[str, str]:
    """The environment of a command that finds one."""
    (top / "bin").mkdir()
    (top / "bin/chromium").write_text("#!/bin/sh\n")
    (top / "bin/chromium").chmod(0o755)
    return {"PATH": str(top / "bin")}


@needs_tool
@both
@pytest.mark.parametrize("place", [".pki/nssdb", ".local/share/pki/nssdb"])
def test_one_that_is_there_is_copied_and_keeps_what_it_had(name: str, place: str) -> None:
    with ground() as top:
        there = database(top / "home" / place)
        before = listed(top)
        script = f"certutil -L -d sql:$HOME/{place}; touch ~/{place}/new && echo written; id -u"
        found = run(trusting(spec(name, top, script)))
        assert outcomes(found) == ["done"]
        assert "theirs" in found.said
        assert "sluicegate" in found.said
        assert found.said.endswith(f"written\n{UID}\n")
        assert listed(top) == before
        assert not (there / "new").exists()


@needs_tool
@both
def test_a_new_one_where_a_browser_would_make_it(name: str) -> None:
    with ground() as top:
        env = browser(top)
        before = listed(top)
        script = f"{LIST}; touch ~/.pki/other && stat -c %u:%a ~/.pki ~/.pki/nssdb"
        found = run(trusting(spec(name, top, script), env))
        assert outcomes(found) == ["done"]
        assert "C,," in found.said
        assert "theirs" not in found.said
        assert found.said.endswith(f"{UID}:700\n{UID}:700\n")
        assert listed(top) == before


def test_without_one_and_without_a_browser_nothing_is_done() -> None:
    with ground() as top, nssdb.copies(str(top / "home"), {"PATH": str(top)}, USER) as found:
        assert found == ()


@needs_tool
def test_what_a_test_tool_keeps_is_a_browser() -> None:
    with ground() as top:
        (top / "home/.cache/ms-playwright").mkdir(parents=True)
        with nssdb.copies(str(top / "home"), {}, USER) as (one,):
            assert (one.new, one.why) == (True, "")
            assert one.path == str(top / "home/.pki/nssdb")
            assert os.stat(one.there).st_mode & 0o777 == 0o700


@both
def test_without_the_tool_the_record_says_so(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ground() as top:
        env = browser(top)
        monkeypatch.setenv("PATH", str(top / "bin"))
        found = run(trusting(spec(name, top, "ls -A ~"), env))
        (said,) = outcomes(found)
    assert said == "left as it is: certutil (package libnss3-tools) is not installed"
    assert found.said == ""


@needs_tool
@both
def test_one_with_a_password_stays_as_it_is(name: str) -> None:
    with ground() as top:
        (top / "word").write_text("a secret word\n")
        database(top / "home/.pki/nssdb", "-f", str(top / "word"))
        found = run(trusting(spec(name, top, LIST)))
        (said,) = outcomes(found)
    assert said.startswith("left as it is: ")
    assert "SEC_ERROR_BAD_PASSWORD" in said
    assert "theirs" in found.said
    assert "sluicegate" not in found.said


@needs_tool
@pytest.mark.parametrize("kind", ["link", "hard link", "pipe", "garbage"])
def test_what_is_no_file_of_the_users_is_not_read(kind: str) -> None:
    """The supervisor may be root: nothing that only root can read comes inside by way of a home."""
    with ground() as top:
        there = top / "home/.pki/nssdb"
        there.mkdir(parents=True)
        secret = top / "shadow"
        secret.write_bytes(b"root:hash\n" * 3)
        secret.chmod(0o600)
        place = there / "cert9.db"
        if kind == "link":
            place.symlink_to(secret)
        elif kind == "hard link":
            os.link(secret, place)
        elif kind == "pipe":
            os.mkfifo(place)
        else:
            place.write_bytes(b"root:hash\n" * 3)
            os.chown(place, *USER)
        with nssdb.copies(str(top / "home"), {}, USER) as found:
            made = nssdb.extended(found, PEM, USER)
            inside = [p.read_bytes() for c in found if c.there for p in Path(c.there).iterdir()]
        assert all(not one.files and one.why.startswith("left as it is") for one in made)
        assert kind == "garbage" or b"root:hash" not in b"".join(inside)
        assert len(made) == (kind != "pipe")


@needs_tool
def test_the_tool_loads_no_library_that_a_home_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be code of whoever wrote the home, outside of the boundary. Inside, the command has its own file."""
    with ground() as top:
        there = database(top / "home/.pki/nssdb")
        evil = f"library={top}/evil.so\nname=evil\n\n"
        with (there / "pkcs11.txt").open("a") as file:
            file.write(evil)
        (top / "bin").mkdir()
        (top / "seen").touch(0o666)
        (top / "seen").chmod(0o666)
        real = shutil.which("certutil")
        script = (
            f'#!/bin/sh\nid -u >>{top}/seen; cat "${{2#sql:}}"/* >>{top}/seen\nexec {real} "$@"\n'
        )
        (top / "bin/certutil").write_text(script)
        (top / "bin/certutil").chmod(0o755)
        monkeypatch.setenv("PATH", f"{top}/bin:{os.environ['PATH']}")
        with nssdb.copies(str(top / "home"), {}, USER) as found:
            (made,) = nssdb.extended(found, PEM, USER)
        assert (made.why, [name for name, _ in made.files]) == ("", [*nssdb.FILES, "pkcs11.txt"])
        seen = (top / "seen").read_bytes()
        assert seen.startswith(f"{UID}\n".encode())
        assert b"theirs" in seen
        assert b"evil" not in seen
        assert evil in dict(made.files)["pkcs11.txt"]


@pytest.mark.parametrize("kind", ["the directory", "the database"])
def test_a_link_out_of_the_home_is_not_followed(kind: str) -> None:
    with ground() as top:
        env = browser(top)
        (top / "other/nssdb").mkdir(parents=True)
        if kind == "the directory":
            (top / "home/.pki").symlink_to(top / "other")
        else:
            (top / "home/.pki").mkdir()
            (top / "home/.pki/nssdb").symlink_to(top / "other/nssdb")
        with nssdb.copies(str(top / "home"), env, USER) as found:
            assert not [one for one in found if one.path.startswith(str(top / "other"))]


@needs_tool
@both
def test_in_a_workspace_nothing_is_made_and_what_is_there_is_covered(name: str) -> None:
    """A home that is the workspace: what were made there would stay."""
    with ground() as top:
        env = browser(top)
        asked = replace(spec(name, top, "ls -A ~"), home=str(top / "work"))
        found = run(trusting(asked, env))
        (said,) = outcomes(found)
        assert said.startswith("left out: ")
        assert ".pki" not in found.said
        there = database(top / "work/.pki/nssdb")
        before = listed(there)
        asked = replace(
            asked,
            command=replace(asked.command, argv=("/bin/sh", "-c", "certutil -L -d sql:.pki/nssdb")),
        )
        found = run(trusting(asked))
        assert outcomes(found) == ["done"]
        assert "sluicegate" in found.said
        assert listed(there) == before
