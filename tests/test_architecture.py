"""The house rules, executable: rooms, effects, sizes, and a test beside every module."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "sluicegate"
MODULES = sorted(p for p in SRC.rglob("*.py") if p.stat().st_size > 1)
MAX_LINES = 400
MAX_FUNCTION_LINES = 60

COMMON = {"facts", "jcs", "moments", "orders", "posture"}
# Room -> the rooms it may import. The order is the path of a connection.
MAY_IMPORT = {
    "facts": set[str](),
    "jcs": set[str](),
    "moments": set[str](),
    "orders": set[str](),
    "posture": set[str](),
    "runner": set[str](),
    "wire": COMMON,
    "scan": set[str](),
    "policy": COMMON | {"wire"},
    "presets": COMMON | {"wire", "policy"},
    "evidence": COMMON,
    "boundary": COMMON | {"wire"},
    "gate": COMMON | {"wire", "policy", "evidence", "scan"},
    "verify": COMMON | {"evidence", "policy"},
    "action": {"runner"},
    "report": COMMON | {"verify", "runner", "__version__"},
    "cli": COMMON
    | {
        "action",
        "wire",
        "policy",
        "presets",
        "evidence",
        "scan",
        "boundary",
        "gate",
        "verify",
        "report",
        "__version__",
    },
}
# Modules where effects live, by room. Everything else may import none of EFFECTS.
SHELLS = {
    "boundary/build.py",
    "boundary/command.py",
    "boundary/digests.py",
    "boundary/doctor.py",
    "boundary/init.py",
    "boundary/measure.py",
    "boundary/mounts.py",
    "boundary/network.py",
    "boundary/nssdb.py",
    "boundary/privilege.py",
    "boundary/procfs.py",
    "boundary/probe.py",
    "boundary/repositories.py",
    "boundary/streams.py",
    "boundary/survey.py",
    "boundary/syscalls.py",
    "boundary/terminal.py",
    "boundary/trustsurvey.py",
    "boundary/warden.py",
    "boundary/witness.py",
    "evidence/notary.py",
    "gate/actions.py",
    "gate/authority.py",
    "gate/bell.py",
    "gate/cut.py",
    "gate/desk.py",
    "gate/dial.py",
    "gate/dnstcp.py",
    "gate/exchange.py",
    "gate/h2call.py",
    "gate/h2inside.py",
    "gate/h2side.py",
    "gate/h2up.py",
    "gate/kept.py",
    "gate/news.py",
    "gate/orders.py",
    "gate/linger.py",
    "gate/push.py",
    "gate/websocket.py",
    "gate/loop.py",
    "gate/meter.py",
    "gate/opened.py",
    "gate/pipes.py",
    "gate/threads.py",
    "gate/flow.py",
    "gate/lookup.py",
    "gate/origins.py",
    "gate/reach.py",
    "gate/relay.py",
    "gate/resolver.py",
    "gate/retry.py",
    "gate/secure.py",
    "gate/second.py",
    "gate/serve.py",
    "gate/watch.py",
    "gate/drops.py",
    "gate/ledger.py",
    "presets/machine.py",
    "verify/files.py",
    "verify/workers.py",
}
EFFECTS = {
    *("asyncio", "ctypes", "fcntl", "os", "random", "secrets", "select", "selectors", "signal"),
    *("socket", "subprocess", "sys", "tempfile", "termios", "threading", "time"),
}
# A verifier that opened a socket, or ran the code it is meant to check, would prove nothing.
VERIFIER_NEVER = {"socket", "ssl", "asyncio", "http", "urllib", "requests", "subprocess"}


def imports(module: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import hides the room"
            if node.module == "sluicegate":
                found |= {f"sluicegate.{alias.name}" for alias in node.names}
            else:
                found.add(node.module or "")
    return found


def named_by_tests() -> set[str]:
    """Modules of ours that any test imports, in either spelling, or names in its docstring."""
    found: set[str] = set()
    for test in (ROOT / "tests").rglob("*.py"):
        tree = ast.parse(test.read_text())
        found |= set(re.findall(r"sluicegate\.\w+\.\w+", ast.get_docstring(tree) or ""))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


NAMED_BY_TESTS = named_by_tests()


def room(module: Path) -> str:
    return module.relative_to(SRC).parts[0].removesuffix(".py")


@pytest.mark.parametrize("module", MODULES, ids=lambda p: str(p.relative_to(SRC)))
def test_module_keeps_to_its_room(module: Path) -> None:
    here, used = room(module), imports(module)
    if here in {"__init__", "__main__"}:
        return
    ours = {name.split(".")[1] for name in used if name.startswith("sluicegate.")}
    assert ours <= MAY_IMPORT[here] | {here}
    name = str(module.relative_to(SRC))
    if name not in SHELLS and here != "cli":
        assert not {used_name.split(".")[0] for used_name in used} & EFFECTS
    if here == "verify":
        assert not {used_name.split(".")[0] for used_name in used} & VERIFIER_NEVER
        assert not {u for u in used if u == "sluicegate.evidence.notary"}


@pytest.mark.parametrize("module", MODULES, ids=lambda p: str(p.relative_to(SRC)))
def test_module_and_its_functions_are_short(module: Path) -> None:
    text = module.read_text()
    assert len(text.splitlines()) <= MAX_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < MAX_FUNCTION_LINES, node.name


@pytest.mark.parametrize("module", MODULES, ids=lambda p: str(p.relative_to(SRC)))
def test_module_has_its_test(module: Path) -> None:
    if module.name in {"__init__.py", "__main__.py", "facts.py"}:
        return
    name = str(module.relative_to(SRC))
    test = ROOT / "tests" / module.relative_to(SRC).with_name(f"test_{module.name}")
    if name in SHELLS or room(module) == "cli":
        # A shell is proven where its effects are real: by any test that imports it, or that says so.
        wanted = f"sluicegate.{name.removesuffix('.py').replace('/', '.')}"
        assert test.exists() or wanted in NAMED_BY_TESTS, f"no test names {wanted}"
        return
    assert test.exists(), f"no {test}"


def test_importing_the_verifier_loads_neither_gate_nor_socket() -> None:
    import subprocess
    import sys

    code = (
        "import sys; before = set(sys.modules); import sluicegate.verify.packet;"
        "new = set(sys.modules) - before;"
        "print([m for m in new if m.startswith('sluicegate.gate') or m == 'sluicegate.evidence.notary'"
        " or m in ('socket', 'ssl', 'subprocess', 'asyncio')])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
