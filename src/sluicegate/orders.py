"""What later steps execute, by the names of files: what the boundary makes read-only, and what a manifest flags. Pure.

Paths are relative to a tree that the command could write, `/` between their names, and spelled as `spelled` does.
"""

from __future__ import annotations

# At the top of a tree: what a CI system executes of it, and what the next run takes for its policy where none is named.
WORKFLOWS = (
    *(".github/workflows", ".github/actions", ".gitea/workflows", ".forgejo/workflows"),
    *(".gitlab-ci.yml", ".gitlab-ci.yaml", ".gitlab/ci", "Jenkinsfile", ".jenkins"),
    *(".circleci", ".buildkite", ".woodpecker", ".woodpecker.yml", ".woodpecker.yaml"),
    *(".drone.yml", ".travis.yml", ".azure-pipelines", "azure-pipelines.yml"),
    *("azure-pipelines.yaml", "bitbucket-pipelines.yml", ".cirrus.yml", "appveyor.yml"),
    *(".appveyor.yml", "cloudbuild.yaml", ".semaphore", ".teamcity"),
    *("sluicegate.yaml", ".pipelock"),
)
# Anywhere: what GitHub takes for an action.
ACTIONS = frozenset(("action.yml", "action.yaml"))
# Files and directories from which hooks are started, beside those of `.git`.
HOOKS = frozenset(
    (
        *(".husky", ".githooks", ".pre-commit-config.yaml", ".pre-commit-hooks.yaml"),
        *("lefthook.yml", "lefthook.yaml", ".lefthook.yml", ".overcommit.yml"),
    )
)
# In a git directory (gitrepository-layout(5)): `config` names programs that any git command starts, `commondir` says
# where else `config` is looked for, `config.worktree` adds to it.
GIT = frozenset(("config", "config.worktree", "commondir", "gitdir"))
GIT_OUTSIDE = frozenset((".gitmodules", ".gitattributes", "HEAD"))  # HEAD: of a bare repository
# What a package manager, a build or a shell executes or is configured by when it is started there.
SCRIPTS = frozenset(
    (
        *("package.json", ".npmrc", ".yarnrc", ".yarnrc.yml", ".pnpmfile.cjs", "binding.gyp"),
        *("bunfig.toml", "deno.json", "deno.jsonc", "setup.py", "setup.cfg", "pyproject.toml"),
        *("tox.ini", "noxfile.py", "conftest.py", "pytest.ini", "sitecustomize.py"),
        *("usercustomize.py", "pip.conf", "uv.toml", "Makefile", "makefile", "GNUmakefile"),
        *("CMakeLists.txt", "meson.build", "build.rs", "Cargo.toml", "build.gradle"),
        *("build.gradle.kts", "settings.gradle", "settings.gradle.kts", "gradle.properties"),
        *("gradlew", "mvnw", "pom.xml", "Rakefile", "Gemfile", "composer.json", "Dockerfile"),
        *("Containerfile", "docker-compose.yml", "compose.yaml", "Justfile", "justfile"),
        *("Taskfile.yml", ".envrc", ".env", ".bashrc", ".profile", ".bazelrc", "WORKSPACE"),
        *("tasks.json", "devcontainer.json", "go.work", "BUILD", "BUILD.bazel"),
    )
)
SCRIPT_ENDINGS = (".gemspec", ".mk", ".pth", ".csproj", ".targets", ".props")
# Of these directories everything is code of somebody else: there the names mean little.
VENDORED = frozenset(("node_modules", "site-packages"))
# A flag and how much it weighs: the least is told first, and is the last to be left out.
FLAGS = {
    **dict.fromkeys(("git", "hook", "set-id", "workflow"), 0),
    **dict.fromkeys(("link-out", "script", "special"), 1),
    **dict.fromkeys(("executable", "hard-link"), 2),
}
UNFLAGGED = 3


def spelled(name: bytes) -> str:
    """`name` as printable ASCII, without loss: what is not, and `%`, as `%` and two upper-case digits of hex."""
    return "".join(chr(b) if 0x20 <= b <= 0x7E and b != 0x25 else f"%{b:02X}" for b in name)


def of_name(path: str, *, gone: bool, changed: bool) -> set[str]:
    """The flags that a path's name gives. `gone`: it is there no more; `changed`: it was there, and still is."""
    names = path.split("/")
    last, found = names[-1], set[str]()
    if ".git" in names:
        found |= _of_git(names[names.index(".git") + 1 :], gone=gone, changed=changed)
    elif last in GIT_OUTSIDE:
        found.add("git")
    if HOOKS & set(names):
        found.add("hook")
    if last in ACTIONS or any(path == w or path.startswith(f"{w}/") for w in WORKFLOWS):
        found.add("workflow")
    if not VENDORED & set(names) and (last in SCRIPTS or last.endswith(SCRIPT_ENDINGS)):
        found.add("script")
    return found


def _of_git(inner: list[str], *, gone: bool, changed: bool) -> set[str]:
    if not inner:
        return {"git"}
    if inner[0] == "objects":
        # They are named by what is in them: one that changes is none any more.
        return {"git"} if changed else set()
    if inner[0] in {"refs", "logs"}:
        return set()  # branches may be called anything
    if "hooks" in inner:
        return set() if inner[-1].endswith(".sample") else {"hook"}  # no hook has such a name
    return {"git"} if inner[-1] in GIT or (inner == ["HEAD"] and gone) else set()


def leads_out(path: str, target: str) -> bool:
    """Whether a symbolic link at `path` leads out of its tree, by its text: an absolute one always does."""
    depth = path.count("/")
    if target.startswith("/"):
        return True
    for name in target.split("/"):
        if name == "..":
            depth -= 1
            if depth < 0:
                return True
        elif name not in {"", "."}:
            depth += 1
    return False


def is_object(path: str) -> bool:
    """Whether it is one of git's objects or packs: they come and go in numbers, and are counted, not listed."""
    names = path.split("/")
    if ".git" not in names:
        return False
    inner = names[names.index(".git") + 1 :]
    if inner[:1] == ["modules"] and "objects" in inner:
        inner = inner[inner.index("objects") :]
    hexadecimal = len(inner) > 1 and len(inner[1]) == 2 and set(inner[1]) <= set("0123456789abcdef")
    return inner[:1] == ["objects"] and len(inner) > 1 and (hexadecimal or inner[1] == "pack")
