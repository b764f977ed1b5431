"""Coverage-guided fuzzing of the verifier: `make deep SECONDS=600`. Exits with 1 if an invariant did not hold."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

# Seconds that one input may take; the longest honest packet of the corpus takes a hundredth.
TIMEOUT_SECONDS = 20
MAX_BYTES = 20_000  # of one input; scripts are far shorter
FOUND = Path(".fuzz")


def one(target: str, options: list[str]) -> None:
    """Fuzz in this process, until libFuzzer ends it."""
    import atheris  # type: ignore[import-not-found,unused-ignore]

    with atheris.instrument_imports(include=["sluicegate"]):
        from tests.fuzz import targets

    atheris.Setup([sys.argv[0], *options], targets.TARGETS[target])
    atheris.Fuzz()


def all_of_them(seconds: int) -> int:
    """How many targets have a finding; each gets its share of `seconds`, and leaves what it found in `.fuzz`."""
    from tests.fuzz import targets

    broken = 0
    for target in targets.TARGETS:
        place = FOUND / target
        seeds = place / "seeds"
        seeds.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(targets.seeds(target)):
            (seeds / f"seed-{number}").write_bytes(data)
        share = max(1, seconds // len(targets.TARGETS))
        limits = [
            f"-max_total_time={share}",
            f"-timeout={TIMEOUT_SECONDS}",
            f"-max_len={MAX_BYTES}",
        ]
        options = [*limits, f"-artifact_prefix={place}/", "-print_final_stats=1", str(seeds)]
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.deep", target, *options],
            capture_output=True,
            check=False,
        )
        said = (done.stdout + done.stderr).decode(errors="replace")
        runs = re.findall(r"number_of_executed_units: (\d+)", said)
        print(f"{target}: {runs[-1] if runs else 0} executions in {share} s", flush=True)
        # No execution at all is a fuzzer that does not run.
        if done.returncode or not runs or runs[-1] == "0":
            broken += 1
            print(said[-4000:])
            print(f"{target}: exit {done.returncode}; the input is in {place}")
    return broken


if __name__ == "__main__":
    if len(sys.argv) == 2:
        raise SystemExit(1 if all_of_them(int(sys.argv[1])) else 0)
    one(sys.argv[1], sys.argv[2:])
