"""Programs that the action itself starts: none of the workspace, where an earlier step's command may have put it."""

from __future__ import annotations

import os
import shutil


def program(name: str) -> str:
    """Where PATH has `name` outside of the checkout; a path of nothing where it has not."""
    checkout = os.environ.get("GITHUB_WORKSPACE")
    inside = os.path.realpath(checkout) if checkout else ""
    for directory in os.environ.get("PATH", os.defpath).split(":"):
        found = shutil.which(name, path=directory) if directory.startswith("/") else None
        if found is None:
            continue
        places = (os.path.realpath(directory), os.path.realpath(found))
        if not inside or not any(f"{place}/".startswith(f"{inside}/") for place in places):
            return found
    return f"{os.devnull}/{name}"
