"""What a package index and an npm registry serve: one tool for each, made in memory, both called TOOL.

`/simple/` is for pip, `/npm/` for npm. The index of NAME keeps its files on another host, FILES, as the large ones
do; asked by an address, it keeps them itself.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
import zipfile

TOOL = "sealed-tool"
NAME, FILES = "forge.test", "store.test"
INSTALLED = "sealed-tool is here"  # what it says when it runs
WHEEL = "sealed_tool-1.0-py3-none-any.whl"
TARBALL = "sealed-tool-1.0.0.tgz"


def answer(host: str, path: str) -> tuple[str, bytes] | None:
    """Media type and body of `path`, asked of `host`; None if it is no path of a registry."""
    files = f"https://{FILES if host == NAME else host}/files"
    if path == f"/simple/{TOOL}/":
        digest = hashlib.sha256(wheel()).hexdigest()
        page = f'<!DOCTYPE html><a href="{files}/{WHEEL}#sha256={digest}">{WHEEL}</a>'
        return "text/html", page.encode()
    if path == f"/npm/{TOOL}":
        return "application/json", json.dumps(_packument(f"{files}/{TARBALL}")).encode()
    if path == f"/files/{WHEEL}":
        return "application/octet-stream", wheel()
    if path == f"/files/{TARBALL}":
        return "application/octet-stream", tarball()
    return None


def wheel() -> bytes:
    """The wheel; the same bytes every time."""
    info = "sealed_tool-1.0.dist-info"
    members = {
        "sealed_tool.py": f"print({INSTALLED!r})\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {TOOL}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    members[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in (*members, f"{info}/RECORD"))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in members.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return file.getvalue()


def tarball() -> bytes:
    """The npm package; the same bytes every time."""
    members = {
        "package/package.json": json.dumps({"name": TOOL, "version": "1.0.0"}),
        "package/index.js": f"console.log({INSTALLED!r})\n",
    }
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, text in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return gzip.compress(file.getvalue(), mtime=0)


def _packument(url: str) -> dict[str, object]:
    digest = base64.b64encode(hashlib.sha512(tarball()).digest()).decode()
    dist = {"tarball": url, "integrity": f"sha512-{digest}"}
    version = {"name": TOOL, "version": "1.0.0", "dist": dist}
    return {"name": TOOL, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
