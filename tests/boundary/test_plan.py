"""Which mounts, in which order."""

from dataclasses import replace

import pytest

from sluicegate.boundary.model import (
    ROOT_TIER,
    ROOTLESS_TIER,
    BoundaryError,
    Command,
    Folder,
    Spec,
    Trust,
)
from sluicegate.boundary.plan import Do, Entry, Host, Step, mount_plan, within

COMMAND = Command(("true",), (), "/home/ann/p", 1001, 1001)
SPEC = Spec("r", ROOT_TIER, COMMAND, "/home/ann/p", ("/srv/cache",), "/home/ann", ())
HOST = Host(
    mounts=(
        *(("/proc", "proc"), ("/home", "ext4"), ("/run/user/1", "tmpfs"), ("/nfs", "autofs")),
        *(("/home/ann/p/volume", "ext4"), ("/data", "xfs"), ("/tmp", "tmpfs")),
    ),
    entries=(Entry("bin", "usr/bin"), Entry("usr"), Entry("dev")),
    stores=(("/home/ann/.ssh", True), ("/home/ann/.netrc", False)),
    hidden=(("/home/ann/p/packet", True),),
    sockets=("/run/docker.sock", "/home/ann/p/s", "/srv/x.sock"),
    texts=(("/etc/hosts", "hosts"),),
    home_exists=True,
)


def targets(steps: tuple[Step, ...], do: Do) -> list[str]:
    return [step.target for step in steps if step.do is do]


def test_root_tier_overlays_root_and_other_file_systems() -> None:
    steps = mount_plan(SPEC, HOST)
    assert steps[0] == Step(Do.OVERLAY, "/", "/")
    assert targets(steps, Do.OVERLAY) == ["/", "/data", "/home"]
    assert targets(steps, Do.HOME) == ["/home/ann"]
    assert targets(steps, Do.TREE) == ["/home/ann/p", "/srv/cache"]
    assert targets(steps, Do.EMPTY_DIRECTORY) == ["/home/ann/.ssh", "/home/ann/p/packet"]
    assert targets(steps, Do.COVER) == ["/home/ann/.netrc"]
    assert targets(steps, Do.SOCKET) == ["/home/ann/p/s", "/srv/x.sock"]


def test_parents_come_before_what_lies_in_them_and_covers_last() -> None:
    steps = mount_plan(SPEC, HOST)
    order = [
        next(i for i, s in enumerate(steps) if (s.do, s.target) == wanted)
        for wanted in (
            (Do.OVERLAY, "/home"),
            (Do.HOME, "/home/ann"),
            (Do.TREE, "/home/ann/p"),
            (Do.EMPTY_DIRECTORY, "/home/ann/.ssh"),
        )
    ]
    assert order == sorted(order)


def test_rootless_builds_root_from_its_directories() -> None:
    steps = mount_plan(replace(SPEC, tier=ROOTLESS_TIER), HOST)
    assert steps[:4] == (
        Step(Do.TMPFS, "/"),
        Step(Do.LINK, "/bin", "usr/bin"),
        Step(Do.OVERLAY, "/usr", "/usr"),
        Step(Do.DIRECTORY, "/dev"),
    )


def test_home_that_is_bound_or_missing_is_not_overlaid() -> None:
    bound = mount_plan(replace(SPEC, workspace="/home"), HOST)
    assert targets(bound, Do.HOME) == []
    missing = mount_plan(replace(SPEC, home="/tmp/home"), replace(HOST, home_exists=False))
    made = Step(Do.DIRECTORY, "/tmp/home", mode=0o700, owner=(1001, 1001))
    assert made in missing


def test_sockets_of_a_workspace_in_a_private_tree_are_covered() -> None:
    asked = replace(SPEC, workspace="/tmp/w")
    steps = mount_plan(asked, replace(HOST, sockets=("/tmp/w/s", "/tmp/s")))
    assert targets(steps, Do.SOCKET) == ["/tmp/w/s"]


def test_a_covered_document_is_still_one() -> None:
    host = replace(HOST, stores=(("/home/ann/.m2/settings.xml", False),))
    (step,) = (s for s in mount_plan(SPEC, host) if s.do is Do.COVER)
    assert (step.text, step.mode) == ("<settings/>\n", 0o444)


def test_a_store_that_was_bound_by_its_name_is_there_and_nothing_within_one() -> None:
    named = mount_plan(replace(SPEC, binds=("/home/ann/.ssh",)), HOST)
    assert "/home/ann/.ssh" not in targets(named, Do.EMPTY_DIRECTORY)
    assert "/home/ann/.ssh" in targets(named, Do.TREE)
    with pytest.raises(BoundaryError, match=r"lies in /home/ann/\.ssh, a credential store"):
        mount_plan(replace(SPEC, binds=("/home/ann/.ssh/sub",)), HOST)
    # The home as a whole unmasks nothing.
    whole = mount_plan(replace(SPEC, binds=("/home/ann",)), HOST)
    assert "/home/ann/.ssh" in targets(whole, Do.EMPTY_DIRECTORY)


def test_a_scratch_directory_around_the_workspace_is_not_hidden() -> None:
    host = replace(HOST, hidden=(("/home/ann", True), ("/w/_temp", True)))
    steps = mount_plan(SPEC, host)
    assert targets(steps, Do.EMPTY_DIRECTORY) == ["/home/ann/.ssh", "/w/_temp"]


def test_within_is_by_component() -> None:
    assert within("/a/b", "/a")
    assert within("/a", "/")
    assert not within("/ab", "/a")


def test_the_directories_above_what_is_kept_can_not_be_moved() -> None:
    kept = ("/home/ann/p/a/b/one.yaml", "/srv/cache/two.yaml", "/home/ann/p/a/three.yaml")
    steps = mount_plan(replace(SPEC, kept=kept), HOST)
    assert targets(steps, Do.PINNED) == ["/home/ann/p/a", "/home/ann/p/a/b"]
    assert targets(steps, Do.KEPT) == list(kept)
    order = [step.do for step in steps if step.do in {Do.TREE, Do.PINNED, Do.KEPT}]
    assert order == [Do.TREE] * 2 + [Do.PINNED] * 2 + [Do.KEPT] * 3


def test_what_is_guarded_is_kept_and_what_is_hidden_in_the_workspace_stays_in_its_place() -> None:
    top = SPEC.workspace
    host = replace(HOST, guarded=(f"{top}/.git/config",), hidden=((f"{top}/a/b/_temp", True),))
    steps = mount_plan(SPEC, host)
    assert targets(steps, Do.KEPT) == [f"{top}/.git/config"]
    assert targets(steps, Do.PINNED) == [f"{top}/.git", f"{top}/a", f"{top}/a/b"]
    order = [step.do for step in steps if step.target.startswith(top)]
    assert order.index(Do.PINNED) < order.index(Do.KEPT) < order.index(Do.EMPTY_DIRECTORY)


def test_sockets_of_a_home_in_a_private_tree_are_covered() -> None:
    asked = replace(SPEC, home="/tmp/home")
    steps = mount_plan(asked, replace(HOST, sockets=("/tmp/home/agent", "/tmp/s")))
    assert [step.target for step in steps if step.do is Do.SOCKET] == ["/tmp/home/agent"]


def test_stores_are_overlaid_after_what_they_lie_in() -> None:
    tree = SPEC.workspace
    inside, outside = f"{tree}/.venv/cacert.pem", "/etc/ssl/certs/ca-certificates.crt"
    folder = Folder("/etc/ssl/certs", (("a.pem", "A"),), (("b.0", "a.pem"),))
    trusted = replace(SPEC, trust=Trust(((inside, "in"), (outside, "out")), (folder,)))
    steps = mount_plan(trusted, HOST)
    shown = Step(Do.FOLDER, folder.path, files=folder.files, links=folder.links)
    out = Step(Do.STORE, outside, mode=0o444, text="out")
    own = Step(Do.STORE, inside, mode=0o444, text="in")
    bound = Step(Do.TREE, tree, tree)
    order = [steps.index(step) for step in (shown, out, bound, own)]
    assert order == sorted(order)
    assert [step for step in steps if step not in {shown, out, own}] == list(mount_plan(SPEC, HOST))
