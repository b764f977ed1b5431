"""A runner for workflows of one job, as far as ours need one: faithful in what an action can see and can break.

Steps are processes of the user `runner`. `run` steps are scripts for bash; `uses: ./` and `uses: OWNER/NAME@REF` are
the composite action of this tree. Read: GITHUB_OUTPUT, GITHUB_ENV, GITHUB_PATH, GITHUB_STEP_SUMMARY, and workflow
commands on stdout and stderr, stop-commands and the deprecated set-output included (actions/runner:
ActionCommandManager, FileCommandManager, CompositeActionHandler, ScriptHandler).
"""

from __future__ import annotations

import json
import re
import subprocess
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import yaml

from tests.action.expressions import as_text, evaluate, expand

SHELLS = {
    None: ["bash", "-e"],
    "bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"],
    "sh": ["sh", "-e"],
}
COMMAND = re.compile(r"^::(?P<name>[A-Za-z0-9-]+)(?: (?P<rest>[^:]*(?:%3A[^:]*)*))?::(?P<data>.*)$")
OLD_COMMAND = re.compile(r"##\[(?P<name>[A-Za-z0-9-]+)(?: (?P<rest>[^\]]*))?\](?P<data>.*)$")
FILES = ("OUTPUT", "ENV", "PATH", "STEP_SUMMARY", "STATE")
# Of a step's summary; a longer one is thrown away (docs, job summaries).
MAX_SUMMARY = 1 << 20


class Machine(Protocol):
    """Where steps run: `popen` starts a process of the user `runner`."""

    def popen(
        self, argv: list[str], env: Mapping[str, str], cwd: Path
    ) -> subprocess.Popen[bytes]: ...


@dataclass
class Step:
    """How a step ended. `log` is what its page shows, masked; `annotations` are (kind, properties, message)."""

    outcome: str = "skipped"
    conclusion: str = "skipped"
    outputs: dict[str, str] = field(default_factory=dict)
    log: str = ""
    raw: str = ""
    summary: str = ""
    annotations: list[tuple[str, dict[str, str], str]] = field(default_factory=list)
    code: int = 0


class Job:
    """One job in `home`: its workspace is checked out already, the action lies where the runner would put it."""

    def __init__(self, machine: Machine, home: Path, action: Path, env: Mapping[str, str]) -> None:
        self.machine, self.action = machine, action
        self.workspace, self.temp = home / "repo/repo", home / "_temp"
        self.env = dict(env)
        self.paths: list[str] = []
        self.masks: list[str] = []
        self.steps: dict[str, Step] = {}
        self.failed = False
        self.event: dict[str, Any] = {}
        self.secrets: dict[str, str] = {}
        self.started: Callable[[subprocess.Popen[bytes]], None] | None = None

    def run(self, text: str) -> list[Step]:
        """The steps of the only job of the workflow in `text`, in order."""
        workflow = yaml.safe_load(text)
        (job,) = workflow["jobs"].values()
        self.env |= {
            k: self.expand(v) for k, v in {**workflow.get("env", {}), **job.get("env", {})}.items()
        }
        return [self.step(step) for step in job["steps"]]

    def step(self, step: Mapping[str, Any]) -> Step:
        """One step of a workflow."""
        done = Step()
        condition = str(step.get("if", "success()"))
        condition = re.sub(r"^\s*\$\{\{(.*)\}\}\s*$", r"\1", condition, flags=re.DOTALL)
        if not re.search(r"\b(always|failure|success|cancelled)\(\)", condition):
            condition = f"success() && ({condition})"
        if evaluate(condition, self.contexts(), self.functions()):
            env = {k: self.expand(v) for k, v in step.get("env", {}).items()}
            if "run" in step:
                self._script(done, step, env, {}, {})
            else:
                self._uses(done, step, env)
            done.outcome = done.conclusion = "failure" if done.code else "success"
            if done.code and step.get("continue-on-error"):
                done.conclusion = "success"
            self.failed = self.failed or done.conclusion == "failure"
        if "id" in step:
            self.steps[step["id"]] = done
        return done

    def expand(self, value: Any, **more: Any) -> str:
        return expand(as_text(value), {**self.contexts(), **more}, self.functions())

    def contexts(self) -> dict[str, Any]:
        found = {
            name: {"outputs": s.outputs, "outcome": s.outcome, "conclusion": s.conclusion}
            for name, s in self.steps.items()
        }
        github = {
            "workspace": str(self.workspace),
            "event": self.event,
            "base_ref": self.env.get("GITHUB_BASE_REF", ""),
        }
        return {
            "github": {
                **github,
                "event_name": self.env.get("GITHUB_EVENT_NAME", ""),
                "token": "ghs_job_token",
            },
            "runner": {"temp": str(self.temp), "os": "Linux", "arch": "X64"},
            "env": self.env,
            "steps": found,
            "secrets": self.secrets,
        }

    def functions(self) -> dict[str, Callable[..., Any]]:
        return {
            "always": lambda: True,
            "cancelled": lambda: False,
            "failure": lambda: self.failed,
            "success": lambda: not self.failed,
            "toJSON": lambda value: json.dumps(value, indent=2),
            "fromJSON": json.loads,
            "format": lambda text, *rest: text.format(*rest),
        }

    def _uses(self, done: Step, step: Mapping[str, Any], env: Mapping[str, str]) -> None:
        if step["uses"].startswith("actions/checkout@"):
            return  # it is checked out
        action = yaml.safe_load((self.action / "action.yml").read_text())
        given = {k: self.expand(v) for k, v in step.get("with", {}).items()}
        for name in given.keys() - action["inputs"].keys():
            done.annotations.append(("warning", {}, f"Unexpected input(s) '{name}'"))
        declared = {k: self.expand(v.get("default", "")) for k, v in action["inputs"].items()}
        inputs = {**declared, **{k: v for k, v in given.items() if k in declared}}
        assert action["runs"]["using"] == "composite"
        outer, self.steps = self.steps, {}
        try:
            for inner in action["runs"]["steps"]:
                part = Step()
                assert "shell" in inner, "a composite action's run step must name its shell"
                # An action's step sees its inputs as a context; no INPUT_ variable is made for it.
                self._script(
                    part, inner, env, {"inputs": inputs}, {"GITHUB_ACTION_PATH": str(self.action)}
                )
                if "id" in inner:
                    self.steps[inner["id"]] = part
                done.code = part.code
                done.log, done.raw = done.log + part.log, done.raw + part.raw
                done.summary += part.summary
                done.annotations += part.annotations
                if part.code:
                    break
            done.outputs = {
                k: self.expand(v["value"], inputs=inputs) for k, v in action["outputs"].items()
            }
        finally:
            self.steps = outer

    def _script(
        self,
        done: Step,
        step: Mapping[str, Any],
        env: Mapping[str, str],
        contexts: Mapping[str, Any],
        own: Mapping[str, str],
    ) -> None:
        commands = self.temp / "_runner_file_commands"
        commands.mkdir(exist_ok=True)
        files = {name: commands / f"{name.lower()}_{uuid.uuid4()}" for name in FILES}
        script = self.temp / f"{uuid.uuid4()}.sh"
        script.write_text(self.expand(step["run"], **contexts) + "\n")
        for path in (*files.values(), commands, script):
            if path not in {commands, script}:
                path.touch()
            self.chown(path)
        inner = {k: self.expand(v, **contexts) for k, v in step.get("env", {}).items()}
        everything = {**self.env, **env, **inner, **own}
        everything |= {f"GITHUB_{name}": str(path) for name, path in files.items()}
        everything["PATH"] = ":".join([*reversed(self.paths), everything["PATH"]])
        where = self.workspace / self.expand(step.get("working-directory", "."), **contexts)
        process = self.machine.popen([*SHELLS[step.get("shell")], str(script)], everything, where)
        if self.started is not None:
            self.started(process)
        said, _ = process.communicate(timeout=120)
        done.code = process.returncode
        done.raw = said.decode("utf-8", "replace")
        self._listen(done)
        self._read(done, files)
        for path in (*files.values(), script):
            path.unlink()

    def chown(self, path: Path) -> None:
        """Gives what the runner made to its user; the tests' runner is root."""

    def _listen(self, done: Step) -> None:
        stopped = ""
        for line in done.raw.splitlines():
            found = COMMAND.match(line.lstrip()) or OLD_COMMAND.search(line)
            name = found["name"] if found else ""
            if found and stopped:
                if name == stopped:
                    stopped = ""
            elif found:
                stopped = (
                    self._command(done, name, found["rest"] or "", _decoded(found["data"]))
                    or stopped
                )
            for secret in self.masks:
                line = line.replace(secret, "***")
            done.log += line + "\n"

    def _command(self, done: Step, name: str, rest: str, data: str) -> str:
        pairs = (pair.partition("=") for pair in rest.split(",") if pair)
        properties = {
            key.strip(): _decoded(value).replace("%3A", ":").replace("%2C", ",")
            for key, _, value in pairs
        }
        if name == "stop-commands":
            return data
        if name == "add-mask":
            self.masks.append(data)
        elif name == "set-output":
            done.outputs[properties["name"]] = data
        elif name in {"error", "warning", "notice"}:
            done.annotations.append((name, properties, data))
        return ""

    def _read(self, done: Step, files: Mapping[str, Path]) -> None:
        done.outputs |= _pairs(files["OUTPUT"].read_text())
        self.env |= _pairs(files["ENV"].read_text())
        self.paths += files["PATH"].read_text().split()
        summary = files["STEP_SUMMARY"].read_text()
        done.summary = summary if len(summary.encode()) <= MAX_SUMMARY else ""


def _decoded(text: str) -> str:
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


def _pairs(text: str) -> dict[str, str]:
    """NAME=VALUE lines, and NAME<<WORD blocks, which end at a line that is WORD."""
    found: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        if not line:
            continue
        equals, block = line.find("="), line.find("<<")
        if block >= 0 and (equals < 0 or block < equals):
            held: list[str] = []
            while (part := next(lines)) != line[block + 2 :]:
                held.append(part)
            found[line[:block]] = "\n".join(held)
        else:
            assert equals > 0, f"Invalid format {line!r}"
            found[line[:equals]] = line[equals + 1 :]
    return found
