"""What is decided before a run begins, and what is known when its wall stands: the open part of boundary.json."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sluicegate import __version__, posture
from sluicegate.boundary import build, repositories
from sluicegate.boundary.model import Spec
from sluicegate.cli import closing, supervise, timing
from sluicegate.cli.options import Options
from sluicegate.policy.model import Policy
from sluicegate.policy.together import together

OUTPUT_VARIABLE = "GITHUB_OUTPUT"
SHOWN_HOLES = 5
DOCKER_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock")


class SetupError(Exception):
    """The run can not begin; `hint` is the remedy."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Handing:
    """What is handed on: the names that are `granted`, from our file at `path` to the runner's, `real`.

    Both paths are empty where no policy grants an output, or there is no runner to take one.
    """

    granted: tuple[str, ...] = ()
    path: str = ""
    real: str = ""

    @property
    def env(self) -> dict[str, str]:
        return {OUTPUT_VARIABLE: self.path} if self.path else {}

    @property
    def binds(self) -> tuple[str, ...]:
        return (self.path,) if self.path else ()

    @property
    def hidden(self) -> tuple[str, ...]:
        return (self.real,) if self.real else ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything decided before anything is started."""

    options: Options
    policies: tuple[Policy, ...]
    spec: Spec
    packet: str
    withheld: tuple[str, ...]
    owner: tuple[int, int] | None
    started_at: str
    secrets: tuple[str, ...] = ()
    checkpoints: str | None = None
    authority: Mapping[str, object] | None = None
    handing: Handing = Handing()
    # Of the policies' files, where a person may add to them.
    texts: tuple[str, ...] = ()


@contextlib.contextmanager
def _served(run: str) -> Iterator[dict[str, object]]:
    """Two services of the host for as long as the probe lasts: what it tries to reach is really there."""
    name = f"sluicegate-probe-{run}"
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(f"\0{name}")
        unix.listen()
        # A host without loopback has nothing there to be reached.
        with contextlib.suppress(OSError):
            tcp.bind(("127.0.0.1", 0))
            tcp.listen()
        yield {"name": name, "port": tcp.getsockname()[1]}


def _probed(
    plan: Plan, wall: build.Boundary, command: supervise.Control
) -> tuple[dict[str, str], frozenset[str], tuple[str, ...]]:
    """The ways that were tried from inside, those whose traffic was captured, and the holes.

    Raises:
        SetupError: there is a hole, and nobody said to go on all the same; or an outcome that none can be.
    """
    try:
        command.expect("ready")
        with _served(plan.spec.run) as aims:
            key = "" if plan.options.key is None else os.path.abspath(plan.options.key)
            said = command.ask({"probe": {"key": key, **aims}}, "probe")
    except supervise.ControlError as error:
        raise SetupError(str(error)) from error
    outcomes = {name: closing.ascii_text(str(value)) for name, value in said.items()}
    captured = wall.captured()
    timing.mark("probed")
    if odd := posture.strange(outcomes) or ", ".join(sorted(captured - posture.CAPTURABLE)):
        # No verifier would take it: better now than when the command has ended.
        raise SetupError(f"the probe found what no record can hold: {odd}")
    found = posture.holes(outcomes, captured)
    if found and not plan.options.unsafe_ignore_holes:
        raise SetupError(
            "the boundary does not hold: " + "; ".join(found[:SHOWN_HOLES]),
            "`sluicegate doctor` says what this machine lacks",
        )
    return outcomes, captured, found


# Member of the CI job in the record -> the variable that the runner sets.
CI_VARIABLES = {
    "repository": "GITHUB_REPOSITORY",
    "workflow": "GITHUB_WORKFLOW",
    "run_id": "GITHUB_RUN_ID",
    "run_attempt": "GITHUB_RUN_ATTEMPT",
    "ref": "GITHUB_REF",
    "sha": "GITHUB_SHA",
}
MAX_CI_TEXT = 256  # characters: a ref has 244 at most, a commit 64


def ci_job(environ: Mapping[str, str]) -> dict[str, str]:
    """What the runner says of the job that this run is of; empty where it is not one of a CI.

    The word is that of whoever started the run, as is everything about it that the boundary can not measure.
    """
    if environ.get("GITHUB_ACTIONS") != "true":
        return {}
    said = {name: environ.get(variable, "") for name, variable in CI_VARIABLES.items()}
    return {name: closing.ascii_text(text[:MAX_CI_TEXT]) for name, text in said.items() if text}


def head_commit(workspace: str) -> str:
    """The commit that the workspace's HEAD names, or an empty text: no repository, or one we do not understand."""
    top = os.path.join(workspace, ".git")
    head = repositories.readable(os.path.join(top, "HEAD")).strip()
    if head.startswith("ref: "):
        name = head.removeprefix("ref: ")
        if not re.fullmatch(r"refs/[A-Za-z0-9._/@+-]+", name) or ".." in name:
            return ""
        head = repositories.readable(os.path.join(top, name)).strip()
        if not head:
            packed = repositories.readable(os.path.join(top, "packed-refs"))
            rows = (line.split() for line in packed.splitlines())
            head = next((row[0] for row in rows if row[1:] == [name]), "")
    return head if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", head) else ""


def opened(plan: Plan, wall: build.Boundary, command: supervise.Control) -> dict[str, object]:
    """The open part of boundary.json: what was asked, what was achieved."""
    spec, argv = plan.spec, plan.spec.command.argv
    outcomes, captured, found = _probed(plan, wall, command)
    docker = any(os.path.exists(path) for path in DOCKER_SOCKETS)
    secrets = bool(together(plan.policies).secrets)
    digest = hashlib.sha256(b"\0".join(os.fsencode(word) for word in argv)).hexdigest()
    whole: dict[str, object] = {
        "run": spec.run,
        "tier": spec.tier,
        "started_at": plan.started_at,
        "sluicegate": __version__,
        "kernel": os.uname().release,
        "plan": list(wall.plan),
        "counters": wall.counters(),
        "network": wall.network(),
        "withheld": list(plan.withheld),
        "workspace_credentials": list(plan.secrets),
        # Arguments may hold secrets: the count and the digest bind them, the text stays out.
        "command": {
            "name": os.path.basename(argv[0]),
            "args": len(argv) - 1,
            "argv_sha256": digest,
        },
        "identity": {"uid": spec.command.uid, "gid": spec.command.gid},
        "probe": {
            "outcomes": outcomes,
            "captured": sorted(captured),
            "docker": docker,
            "holes": list(found),
            "results": posture.results(outcomes, captured),
        },
        "commit": head_commit(spec.workspace),
        "ci": ci_job(os.environ),
        "holes_ignored": bool(found),
        "posture": {
            "enforcement_mode": posture.enforcement(spec.tier),
            "runner_os": posture.SYSTEM,
            "runner_arch": os.uname().machine,
            **posture.members(outcomes, captured, docker),
            "websocket_frame_scanning": posture.frame_scanning(secrets=secrets),
        },
    }
    if plan.authority is not None:
        whole["authority"] = dict(plan.authority)
    # Names and paths of the host may hold bytes that are no text.
    return {name: closing.ascii_values(value) for name, value in whole.items()}
