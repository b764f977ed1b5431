"""Attacks on the steps that come after the run: what they execute, and what they are told by.

The verdict is the machine's: a place that a later step reads is as it was, or it is not. In the open each attack
changes one; behind the wall all of them together change none.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import TIERS, new_tier
from tests.world import USER, World

MARK = "seccanary-later"
ORDERS = ("set_env_1", "add_path_1", "set_output_1", "save_state_1", "step_summary_1")
VARIABLES = ("GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY")
TOKENS = (
    *("ACTIONS_RUNTIME_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL"),
    *("GITHUB_TOKEN", "CI_JOB_TOKEN", "CI_REGISTRY_PASSWORD", "GITLAB_ENV", "JENKINS_NODE_COOKIE"),
    *("CI_JOB_JWT_V2", "BUILDKITE_AGENT_ACCESS_TOKEN", "SYSTEM_ACCESSTOKEN", "RUNNER_TEMP"),
)
# Where a runner's temporary directory may lie, from the place's top.
TEMPS = ("runner/_work/_temp", "home/tmp/_temp", "runner/_work/repo/repo/deep/down/_temp")
GITLAB, JENKINS = (
    "runner/_work/repo/repo.tmp/gitlab_runner_env",
    "runner/_work/repo/repo@tmp/secret",
)

# Each is executed in the workspace; TEMP is the runner's.
PRELUDE = """
import contextlib, os, shutil, sys
TEMP, MARK = sys.argv[1:3]
EVIL = "#!/bin/sh\\n# " + MARK + "-evil\\n"

def put(path, text=EVIL):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w") as file:
        file.write(text)

def add(path):
    with open(path, "a") as file:
        file.write(EVIL)

def over(path):
    put("mine")
    os.rename("mine", path)

def instead(path):
    os.rename(path, path + "-old")
    shutil.copytree(path + "-old", path, symlinks=True)

"""
ATTACKS = {
    "orders": "[add(f'{TEMP}/_runner_file_commands/{n}') for n in os.listdir(TEMP + '/_runner_file_commands')]",
    "orders by name": "add(TEMP + '/_runner_file_commands/set_env_1')",
    "orders of a new step": "put(TEMP + '/_runner_file_commands/set_env_2')",
    "runner's temp moved away": "instead(os.path.dirname(TEMP)); add(TEMP + '/_runner_file_commands/set_env_1')",
    "order linked": "os.link(TEMP + '/_runner_file_commands/set_env_1', 'l'); add('l')",
    "gitlab": "add('../repo.tmp/gitlab_runner_env')",
    "new hook": "put('.git/hooks/post-checkout')",
    "hook": "add('.git/hooks/pre-commit')",
    "hook over": "over('.git/hooks/pre-commit')",
    "hook linked": "os.link('.git/hooks/pre-commit', 'l'); add('l')",
    "hook's target": "add('scripts/push')",
    "hook's target over": "over('scripts/push')",
    "hook's target moved": "instead('scripts'); add('scripts/push')",
    "hooks moved": "instead('.git/hooks'); add('.git/hooks/pre-commit')",
    "hooks linked": "shutil.rmtree('.git/hooks'); put('h/x'); os.symlink('../h', '.git/hooks')",
    "hooks' mode": "os.chmod('.git/hooks/pre-commit', 0o644)",
    "git moved": "instead('.git'); add('.git/config')",
    "configuration": "add('.git/config')",
    "configuration over": "over('.git/config')",
    "configuration gone": "os.unlink('.git/config')",
    "configuration elsewhere": "put('elsewhere/config'); put('.git/commondir', '../elsewhere\\n')",
    "nested configuration elsewhere": "put('vendor/lib/.git/commondir', '/nowhere\\n')",
    "configuration of the work tree": "put('.git/config.worktree')",
    "hook of an included configuration": "add('hooks-of-b/pre-commit')",
    "hook that the user's settings name": "add('hooks-of-user/pre-commit')",
    "configuration by git": "os.system('git config core.fsmonitor ./' + MARK)",
    "included configuration": "add('conf/extra')",
    "included configuration moved": "instead('conf'); add('conf/extra')",
    "hooks elsewhere": "add('.husky/pre-commit')",
    "submodule's hook": "put('.git/modules/deep/sub/hooks/post-checkout')",
    "submodule's configuration": "add('.git/modules/deep/sub/config')",
    "modules moved": "instead('.git/modules'); add('.git/modules/deep/sub/config')",
    "work tree": "put('.git/worktrees/tree/commondir', '/nowhere')",
    "git file": "put('sub/.git', 'gitdir: ../mine')",
    "nested configuration": "add('vendor/lib/.git/config')",
    "nested moved": "instead('vendor/lib'); add('vendor/lib/.git/config')",
    "workflow": "add('.github/workflows/ci.yml')",
    "workflow over": "over('.github/workflows/ci.yml')",
    "new workflow": "put('.github/workflows/evil.yml')",
    "workflows moved": "instead('.github'); add('.github/workflows/ci.yml')",
    "action": "add('.github/actions/one/action.yml')",
    "pipeline": "over('.gitlab-ci.yml')",
    "pipeline gone": "os.unlink('Jenkinsfile')",
    "pipeline's mode": "os.chmod('Jenkinsfile', 0o777)",
    "a policy for the next run": "put('sluicegate.yaml', 'version: 1')",
    "a policy moved there": "put('mine'); os.path.isdir('sluicegate.yaml') and os.rmdir('sluicegate.yaml');"
    " os.rename('mine', 'sluicegate.yaml')",
    "a policy linked": "os.symlink('mine', 'sluicegate.yaml')",
    "a policy in its place": "os.rename('sluicegate.yaml', 'was') if os.path.exists('sluicegate.yaml') else 0;"
    " put('sluicegate.yaml')",
}
READ = (
    "import os, sys\n"
    "seen = [n for n, v in os.environ.items() if sys.argv[1] in v]\n"
    "for path in sys.argv[2:]:\n"
    "    try:\n"
    "        seen += [os.path.basename(path)] if sys.argv[1] in open(path).read() else []\n"
    "    except OSError: pass\n"
    "print(sorted(seen))\n"
)


@dataclass(frozen=True, slots=True)
class Place:
    """A machine of a CI: home, runner, and a repository that is checked out."""

    top: Path
    temp: Path

    @property
    def work(self) -> Path:
        return self.top / "runner/_work/repo/repo"

    @property
    def orders(self) -> list[Path]:
        return [self.temp / "_runner_file_commands" / name for name in ORDERS]

    @property
    def env(self) -> dict[str, str]:
        found = {name: f"{MARK}-{name}" for name in TOKENS}
        found |= dict(zip(VARIABLES, map(str, self.orders), strict=True))
        return found | {"HOME": str(self.top / "home"), "RUNNER_TEMP": str(self.temp)}

    def state(self) -> dict[str, tuple[int, bytes]]:
        """What later steps read: mode and content (of a link, where it leads) by path."""
        git = (".git/hooks", ".git/config", ".git/commondir", ".git/worktrees", ".git/modules")
        git += (".git/config.worktree", "hooks-of-b", "hooks-of-user")
        places = [self.work / name for name in git]
        places += [self.work / name for name in (".husky", "conf", "sub/.git", "vendor/lib/.git")]
        places += [self.work / name for name in (".github", ".gitlab-ci.yml", "Jenkinsfile")]
        places += [
            self.work / "scripts",
            self.work / "sluicegate.yaml",
            self.temp,
            self.top / GITLAB,
            self.top / JENKINS,
        ]
        files = [file for place in places for file in (place, *place.rglob("*"))]
        return {
            str(file): (
                file.lstat().st_mode,
                os.readlink(file).encode() if file.is_symlink() else file.read_bytes(),
            )
            for file in files
            if file.is_symlink() or file.is_file()
        }


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def furnish(top: Path, temp: str) -> Place:
    place = Place(top, top / temp)
    work = place.work
    work.mkdir(parents=True)
    subprocess.run(["git", "init", "-q", "-b", "main", work], check=True)
    with (work / ".git/config").open("a") as file:
        file.write("[core]\n\thooksPath = .husky/_\n[include]\n\tpath = ../conf/extra\n")
    texts = {
        **dict.fromkeys(
            (".git/hooks/pre-commit", ".husky/_/h", ".husky/pre-commit"), "#!/bin/sh\n"
        ),
        **dict.fromkeys(
            (
                "scripts/push",
                "hooks-of-b/pre-commit",
                "hooks-of-user/pre-commit",
                "Jenkinsfile",
                ".gitlab-ci.yml",
            ),
            "# mine\n",
        ),
        "conf/extra": "[include]\n\tpath = b\n",
        "conf/b": "[core]\n\thooksPath = hooks-of-b\n",
        "vendor/lib/.git/HEAD": "ref: refs/heads/main\n",
        ".git/modules/deep/sub/HEAD": "ref: refs/heads/main\n",
        ".git/modules/deep/sub/config": "[core]\n",
        ".git/modules/deep/sub/hooks/x": "#!/bin/sh\n",
        ".git/worktrees/tree/HEAD": "ref: refs/heads/tree\n",
        ".git/worktrees/tree/commondir": "../..\n",
        "sub/.git": "gitdir: ../.git/modules/deep/sub\n",
        "vendor/lib/.git/config": "[core]\n",
        ".github/workflows/ci.yml": "on: push\n",
        ".github/actions/one/action.yml": "runs: {using: composite}\n",
    }
    for name, text in texts.items():
        _put(work / name, text)
    (work / ".git/hooks/pre-push").symlink_to("../../scripts/push")
    (work / ".git/hooks/pre-commit").chmod(0o755)
    for order in place.orders:
        _put(order, f"{MARK}\n")
    for name in (GITLAB, JENKINS):
        _put(top / name, f"{MARK}\n")
    (top / "home").mkdir(exist_ok=True)
    _put(top / "home/.gitconfig", "[core]\n\thooksPath = hooks-of-user\n")
    for path in (top, *top.rglob("*")):
        os.chown(path, USER, USER, follow_symlinks=False)
    top.chmod(0o755)
    return place


@pytest.fixture
def top() -> Iterator[Path]:
    # Outside of what each boundary has of its own.
    made = Path(tempfile.mkdtemp(prefix="sluicegate-", dir="/home"))
    yield made
    shutil.rmtree(made)


def script(names: list[str]) -> str:
    """Each attack by itself, whatever became of the others."""
    lines = [f"with contextlib.suppress(OSError, shutil.Error): {ATTACKS[name]}" for name in names]
    return PRELUDE + "\n".join(lines)


def behind(world: World, place: Place, tier: str, code: str, *words: str, policy: str = "") -> str:
    run = new_tier(world, tier)
    argv, packet = run.argv(["/usr/bin/python3", "-c", code, *words], policy or "version: 1\n")
    argv[argv.index("--workdir") + 1] = str(place.work)
    done = world.run(argv, user=run.user, env=place.env, cwd=place.work)
    assert done.code == 0, done.err
    assert (packet / "seal.sigstore.json").exists()
    return done.out


@pytest.mark.parametrize("name", ATTACKS)
def test_in_the_open_each_attack_reaches_a_later_step(top: Path, name: str) -> None:
    place = furnish(top, TEMPS[2 if "moved away" in name else 0])
    before = place.state()
    argv = ["/usr/bin/python3", "-c", script([name]), str(place.temp), MARK]
    subprocess.run(argv, check=True, cwd=place.work, user=USER, group=USER, extra_groups=[])
    assert place.state() != before


@pytest.mark.parametrize("temp", TEMPS)
@pytest.mark.parametrize("tier", TIERS)
def test_behind_the_wall_none_does(world: World, top: Path, tier: str, temp: str) -> None:
    place = furnish(top, temp)
    before = place.state()
    behind(world, place, tier, script(list(ATTACKS)), str(place.temp), MARK)
    assert place.state() == before
    assert not os.path.lexists(place.work / "sluicegate.yaml")


@pytest.mark.parametrize("temp", TEMPS)
def test_what_later_steps_are_told_by_is_not_seen(world: World, top: Path, temp: str) -> None:
    place = furnish(top, temp)
    paths = [*place.orders, place.top / GITLAB, place.top / JENKINS]
    words = [MARK, *map(str, paths)]
    open_ = subprocess.run(
        ["/usr/bin/python3", "-c", READ, *words], env=place.env, capture_output=True, text=True
    )
    wanted = sorted([*set(TOKENS) - {"RUNNER_TEMP"}, *(path.name for path in paths)])
    assert open_.stdout == f"{wanted}\n"
    for tier in TIERS:
        assert behind(world, place, tier, READ, *words) == "[]\n"


@pytest.mark.parametrize("tier", TIERS)
def test_where_variables_were_taken_the_runners_places_are_found(
    world: World, top: Path, tier: str
) -> None:
    place = furnish(top, TEMPS[0])
    words = [MARK, *map(str, (*place.orders, place.top / GITLAB, place.top / JENKINS))]
    run = new_tier(world, tier)
    argv, _ = run.argv(["/usr/bin/python3", "-c", READ, *words], "version: 1\n")
    argv[argv.index("--workdir") + 1] = str(place.work)
    done = world.run(argv, user=run.user, cwd=place.work)
    assert (done.code, done.out) == (0, "[]\n"), done.err


@pytest.mark.parametrize("tier", TIERS)
def test_what_a_policy_leaves_writable_is(world: World, top: Path, tier: str) -> None:
    place = furnish(top, TEMPS[0])
    policy = "version: 1\nagent: {writable: [.github, .git/hooks]}\n"
    tries = ["workflow", "new hook", "action", "configuration", "pipeline"]
    before = place.state()
    behind(world, place, tier, script(tries), str(place.temp), MARK, policy=policy)
    changed = {name for name, found in place.state().items() if before.get(name) != found}
    names = (".github/workflows/ci.yml", ".github/actions/one/action.yml")
    assert changed == {str(place.work / n) for n in (*names, ".git/hooks/post-checkout")}
