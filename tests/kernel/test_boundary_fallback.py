"""What a boundary does where the kernel or a file system lacks something. Nothing gets weaker.

Proves `sluicegate.boundary.mounts`.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

import pytest

from sluicegate.boundary import survey, syscalls
from sluicegate.boundary.model import ROOT_TIER
from tests.kernel.host import PYTHON, TIERS, UID, ground, run, spec
from tests.kernel.test_boundary import CONNECT

both = pytest.mark.parametrize("tier", TIERS)


def without_overlay(monkeypatch: pytest.MonkeyPatch) -> None:
    real = syscalls.mount

    def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
        if kind == "overlay":
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        real(source, target, kind, flags, data)

    monkeypatch.setattr(syscalls, "mount", mount)


@both
def test_without_overlay_all_is_read_only_and_sockets_are_covered(
    tier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_overlay(monkeypatch)
    with ground() as top:
        (top / "work" / "connect.py").write_text(CONNECT)
        (top / "home" / ".ssh").mkdir()
        (top / "home" / ".ssh" / "key").write_text("key")
        place = f"/srv/{top.name}.s"
        with socket.socket(socket.AF_UNIX) as listener:
            try:
                listener.bind(place)
                listener.listen(1)
                os.chmod(place, 0o777)
                found = run(
                    spec(
                        tier,
                        top,
                        f"{PYTHON} connect.py {place}; ls -A ~/.ssh; touch ~/x /usr/x /srv/x"
                        " 2>&1 | grep -c Read-only; echo > made; test -c /dev/null && ls /tmp",
                    )
                )
            finally:
                os.unlink(place)
        assert found.error == ""
        assert found.said.splitlines()[:3] == [f"refused {place}"] * 2 + ["3"]
        assert (top / "work" / "made").exists()
        outcomes = {where: how for what, where, how in found.plan if "overlay" in what}
        assert outcomes[str(top / "home")] == "bound read-only: No such device"


def without_mapping(monkeypatch: pytest.MonkeyPatch) -> None:
    real = syscalls.mount_setattr

    def setattr_(
        tree: int, attributes: int, userns: int | None = None, recursive: bool = False
    ) -> None:
        if userns is not None:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        real(tree, attributes, userns, recursive)

    monkeypatch.setattr(syscalls, "mount_setattr", setattr_)


def test_home_of_another_owner_is_mapped_and_else_only_its_top_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    script = "cat ~/private; echo x > ~/new && cat ~/new; stat -c %u ~"
    with ground() as top:
        (top / "home" / "private").write_text("mine\n")
        (top / "home" / "private").chmod(0o600)
        os.chown(top / "home", 0, 0)
        (top / "home").chmod(0o700)
        mapped = run(spec(ROOT_TIER, top, script))
        assert mapped.said == f"mine\nx\n{UID}\n"
        without_mapping(monkeypatch)
        plain = run(spec(ROOT_TIER, top, script))
        assert plain.said.splitlines()[-2:] == ["x", str(UID)]
        assert "mine" not in plain.said
        assert os.listdir(top / "home") == ["private"]


def test_workspace_that_cannot_be_mapped_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    without_mapping(monkeypatch)
    with ground() as top:
        os.chown(top / "work", 0, 0)
        found: Any = run(spec(ROOT_TIER, top, "echo started"))
        assert "BoundaryError" in found.error
        assert str(top / "work") in found.error
        assert found.said == ""


@both
def test_resolver_file_that_is_a_link_into_run(tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = "/run/systemd/resolve/stub-resolv.conf"
    monkeypatch.setattr(
        survey, "_texts", lambda command: iter([(place, "nameserver 10.255.0.1\n")])
    )
    with ground() as top:
        found = run(spec(tier, top, f"cat {place}; ls /run/systemd/resolve"))
        assert found.said == "nameserver 10.255.0.1\nstub-resolv.conf\n"


@both
def test_store_behind_a_link_and_a_single_bound_file(tier: str) -> None:
    with ground() as top:
        for name in ("dot", "work/shared"):
            (top / name).mkdir()
        (top / "dot" / "credentials").write_text("token")
        (top / "work" / "shared" / "credentials").write_text("token")
        (top / "home" / ".aws").symlink_to(top / "work" / "shared")
        (top / "one").write_text("one\n")
        os.chown(top / "one", UID, UID)
        asked = spec(
            tier,
            top,
            f"cat ~/.aws/credentials shared/credentials; ls {top}; echo two >> {top}/one",
            binds=(str(top / "one"),),
        )
        found = run(asked)
        assert found.error == ""
        assert "token" not in found.said
        assert found.said.splitlines()[-3:] == ["home", "one", "work"]
        assert (top / "one").read_text() == "one\ntwo\n"
