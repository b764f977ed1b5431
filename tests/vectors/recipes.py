"""Packets that must be refused, each a recipe over a valid one: `must-reject/README.md` says how a recipe reads.

`python -m tests.vectors.recipes DIRECTORY` writes every packet out, for those who test another verifier.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluicegate import jcs
from sluicegate.evidence import canonical, keys, note, packet, seal
from tests.evidence import made
from tests.peers import second
from tests.vectors import runs
from tests.vectors.runs import Files

HERE = Path(__file__).parent / "must-reject"
EVIDENCE, FLOWS, PACKET = "evidence.jsonl", "flows.jsonl", "packet.json"
SEEDS = {"record": made.SEED, "other": runs.OTHER_SEED}
PUBLIC = {name: keys.signer(seed)[1] for name, seed in SEEDS.items()}
Edit = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One packet that must be refused, and by which check."""

    family: str
    name: str
    hopes: str
    edits: Sequence[Edit]
    outcome: int
    check: str
    pins: Sequence[str]

    @property
    def id(self) -> str:
        return f"{self.family}: {self.name}"

    @property
    def directory(self) -> str:
        """Where `main` writes it."""
        return re.sub(r"[^a-z0-9]+", "-", self.id.lower()).strip("-")


def recipes() -> list[Recipe]:
    """All of them, family by family."""
    found = []
    for file in sorted(HERE.glob("*.json")):
        if file.name == "checks.json":
            continue
        family = json.loads(file.read_text())
        for told in family["recipes"]:
            pins = [PUBLIC.get(pin, pin) for pin in told.get("pins", ["record"])]
            found.append(
                Recipe(
                    file.stem,
                    told["name"],
                    told.get("hopes", family["hopes"]),
                    [*family.get("before", []), *told["edits"], *family.get("after", [])],
                    told.get("outcome", family.get("outcome", 1)),
                    told.get("check", family.get("check")),
                    pins,
                )
            )
    return found


def bare() -> list[dict[str, Any]]:
    """Recipes of recorder files without a packet, by the reasons that the format's public corpus names."""
    return list(json.loads((HERE.parent / "must-reject-bare.json").read_text())["recipes"])


def checks() -> dict[str, dict[str, Any]]:
    """By name of a check what it guards, and what each of our verifiers says if it fails."""
    return dict(json.loads((HERE / "checks.json").read_text()))


@dataclass(slots=True)
class Cook:
    """The packet so far, and those it may be spliced with."""

    files: Files
    bases: Mapping[str, Files]

    def value(self, told: object) -> object:
        """A value of a recipe: as it is written, or what `$sha256`, `$opening`, `$key` or `$repeat` in it stand for."""
        if isinstance(told, dict) and "$sha256" in told:
            digest = hashlib.sha256(self.files[told["$sha256"]]).hexdigest()
            return told.get("prefix", "") + digest
        if isinstance(told, dict) and "$opening" in told:
            opened = json.loads(self.files["boundary.json"])["open"]
            return packet.opening_digest(opened).removeprefix("sha256:")
        if isinstance(told, dict) and "$key" in told:
            return PUBLIC[told["$key"]]
        if isinstance(told, dict) and "$repeat" in told:
            return self.text(told)
        if isinstance(told, dict):
            return {name: self.value(item) for name, item in told.items()}
        return told

    def text(self, told: Any) -> str:
        if isinstance(told, list):
            return "".join(self.text(part) for part in told)
        if isinstance(told, dict):
            return str(told["$repeat"][0]) * int(told["$repeat"][1])
        return str(told)

    def bytes(self, edit: Edit, name: str = "text") -> bytes:
        if "hex" in edit:
            return bytes.fromhex(edit["hex"])
        return self.text(edit[name]).encode()


def cooked(recipe: Recipe, bases: Mapping[str, Files]) -> Files:
    """The packet that `recipe` describes. Every edit of it changes something."""
    assert recipe.edits or recipe.pins != [PUBLIC["record"]], recipe.id
    return edited(recipe.edits, bases)


def edited(edits: Sequence[Edit], bases: Mapping[str, Files]) -> Files:
    cook = Cook(dict(bases["whole"]), bases)
    for edit in edits:
        before = dict(cook.files)
        VERBS[edit["do"]](cook, edit)
        assert cook.files != before or edit["do"] in REPAIRS, f"{edit} changes nothing"
    return cook.files


# ---- files and bytes


def remove(cook: Cook, edit: Edit) -> None:
    del cook.files[edit["file"]]


def write(cook: Cook, edit: Edit) -> None:
    cook.files[edit["file"]] = cook.bytes(edit)


def append(cook: Cook, edit: Edit) -> None:
    cook.files[edit["file"]] += cook.bytes(edit)


def prepend(cook: Cook, edit: Edit) -> None:
    cook.files[edit["file"]] = cook.bytes(edit) + cook.files[edit["file"]]


def take(cook: Cook, edit: Edit) -> None:
    """The same file of another run."""
    cook.files[edit["file"]] = cook.bases[edit["from"]][edit["file"]]


def copy(cook: Cook, edit: Edit) -> None:
    cook.files[edit["to"]] = cook.files[edit["file"]]


def cut(cook: Cook, edit: Edit) -> None:
    """Only the first so many bytes; negative: all but the last."""
    cook.files[edit["file"]] = cook.files[edit["file"]][: edit["bytes"]]


def flip(cook: Cook, edit: Edit) -> None:
    """One bit of the byte at a place; negative: from the end."""
    data = bytearray(cook.files[edit["file"]])
    data[edit["at"]] ^= edit.get("bits", 1)
    cook.files[edit["file"]] = bytes(data)


def replace(cook: Cook, edit: Edit) -> None:
    """Text by text, in a line or in the whole file; the first only, or `all`."""
    old, new = edit["old"].encode(), cook.bytes(edit, "new")

    def change(data: bytes) -> bytes:
        assert old in data, edit
        return data.replace(old, new, -1 if edit.get("all") else 1)

    if "line" in edit:
        lines = lines_of(cook, edit)
        at = place(lines, edit["line"])
        lines[at] = change(lines[at])
        join(cook, edit, lines)
    else:
        cook.files[edit["file"]] = change(cook.files[edit["file"]])


# ---- lines


def lines_of(cook: Cook, edit: Edit, base: str = "") -> list[bytes]:
    return (cook.bases[base] if base else cook.files)[edit["file"]].splitlines(keepends=True)


def join(cook: Cook, edit: Edit, lines: Sequence[bytes]) -> None:
    cook.files[edit["file"]] = b"".join(lines)


def kinds(line: bytes) -> set[str]:
    """What a line may be called: the kind of its facts, or of its entry, receipt, control and phase."""
    try:
        entry = json.loads(line)
    except ValueError:
        return set()
    if "kind" in entry:
        return {entry["kind"]}
    record = entry.get("detail", {}).get("action_record", {})
    control = record.get("session_control", {}).get("kind", "")
    named = {control or record.get("decision_phase") or entry["type"]}
    return named | (
        {record.get("transport", ""), record.get("verdict", "")} if not control else set()
    )


def place(lines: Sequence[bytes], line: str | int) -> int:
    """Where a line stands: by its number, or the first of its kind."""
    if isinstance(line, int):
        return line % len(lines)
    return next(at for at, text in enumerate(lines) if line in kinds(text))


def drop_line(cook: Cook, edit: Edit) -> None:
    lines = lines_of(cook, edit)
    del lines[place(lines, edit["line"])]
    join(cook, edit, lines)


def repeat_line(cook: Cook, edit: Edit) -> None:
    lines = lines_of(cook, edit)
    at = place(lines, edit["line"])
    lines.insert(place(lines, edit["at"]) if "at" in edit else at, lines[at])
    join(cook, edit, lines)


def swap_lines(cook: Cook, edit: Edit) -> None:
    lines = lines_of(cook, edit)
    one, two = place(lines, edit["line"]), place(lines, edit["with"])
    lines[one], lines[two] = lines[two], lines[one]
    join(cook, edit, lines)


def move_line(cook: Cook, edit: Edit) -> None:
    """A line to where another stands; those between move up."""
    lines = lines_of(cook, edit)
    to = place(lines, edit["to"])
    lines.insert(to, lines.pop(place(lines, edit["line"])))
    join(cook, edit, lines)


def cut_after(cook: Cook, edit: Edit) -> None:
    lines = lines_of(cook, edit)
    join(cook, edit, lines[: place(lines, edit["line"]) + 1])


def take_line(cook: Cook, edit: Edit) -> None:
    """A line of another run in place of ours; with `rest`, and all after it."""
    ours, theirs = lines_of(cook, edit), lines_of(cook, edit, edit["from"])
    at = place(ours, edit["line"])
    join(
        cook, edit, ours[:at] + (theirs[at:] if edit.get("rest") else [theirs[at], *ours[at + 1 :]])
    )


def insert_line(cook: Cook, edit: Edit) -> None:
    lines = lines_of(cook, edit)
    lines.insert(place(lines, edit["line"]), cook.bytes(edit) + b"\n")
    join(cook, edit, lines)


def put_line(cook: Cook, edit: Edit) -> None:
    lines = lines_of(cook, edit)
    lines[place(lines, edit["line"])] = cook.bytes(edit) + b"\n"
    join(cook, edit, lines)


# ---- values


def changed(cook: Cook, edit: Edit, found: Any) -> Any:
    """`found` after the edit of what `path` points at: RFC 6901, and -1 is the last of a list."""
    *steps, last = edit["path"].split("/")[1:] or [""]
    holder = found
    for step in steps:
        holder = holder[int(step) if isinstance(holder, list) else step]
    name = int(last) if isinstance(holder, list) else last
    verb = edit["do"]
    if verb == "set":
        holder[name] = cook.value(edit["value"])
    elif verb == "unset":
        del holder[name]
    elif verb == "rename":
        items = [(edit["to"] if key == name else key, value) for key, value in holder.items()]
        holder.clear()
        holder.update(items)
    elif verb == "add":
        (holder[name] if last else holder).append(cook.value(edit["value"]))
    else:
        inner = holder[name] if last else holder
        if isinstance(inner, list):
            inner.reverse()
        else:
            items = list(reversed(inner.items()))
            inner.clear()
            inner.update(items)
    return found


def spelled(name: str, value: object) -> bytes:
    """`value` as the writer of the file `name` spells it."""
    if name == EVIDENCE:
        return canonical.encode(value)
    if name == PACKET:
        return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=True).encode()
    return jcs.encode(value)  # type: ignore[arg-type]


def value_edit(cook: Cook, edit: Edit) -> None:
    name = edit["file"]
    if "line" in edit:
        lines = lines_of(cook, edit)
        at = place(lines, edit["line"])
        lines[at] = spelled(name, changed(cook, edit, json.loads(lines[at]))) + b"\n"
        join(cook, edit, lines)
        return
    data = cook.files[name]
    end = b"\n" if data.endswith(b"\n") else b""
    cook.files[name] = spelled(name, changed(cook, edit, json.loads(data))) + end


# ---- what an attacker repairs, without a key and with one


def rehash(cook: Cook, edit: Edit) -> None:
    """Numbers, links and hashes of entries again: all that needs no key."""
    prev, out = "genesis", b""
    for seq, line in enumerate(cook.files[EVIDENCE].splitlines()):
        entry = json.loads(line)
        entry |= {"seq": seq, "prev_hash": prev}
        texts = [str(entry[name]) for name in ("v", "seq", "ts", "session_id")]
        texts += [
            "",
            *(str(entry[name]) for name in ("type", "event_kind", "transport", "summary")),
        ]
        raw = canonical.encode(entry["detail"])
        hashed = [*(text.encode() for text in texts), raw, b"", prev.encode()]
        prev = entry["hash"] = hashlib.sha256(b"\0".join(hashed)).hexdigest()
        out += canonical.encode(entry) + b"\n"
    cook.files[EVIDENCE] = out


def sign(cook: Cook, edit: Edit) -> None:
    """Every receipt numbered, linked, bound to its facts and signed again, then every entry made again.

    `receipts` are edits of action records before they are signed, `entries` of entries before they are hashed.
    """
    lines = cook.files[EVIDENCE].splitlines()
    facts = iter(cook.files[FLOWS].splitlines())

    def chosen(name: str, seq: int) -> list[Edit]:
        told = edit.get(name, [])
        return [one for one in told if one["line"] == "every" or place(lines, one["line"]) == seq]

    def record(seq: int, found: dict[str, Any]) -> None:
        if "request_id" in found:
            found["request_id"] = made.digest(next(facts, b""))
        for one in chosen("receipts", seq):
            changed(cook, one, found)
            if not one.get("as is"):
                second.ordered(found)

    def entry(seq: int, found: dict[str, Any]) -> None:
        for one in chosen("entries", seq):
            if one["do"] == "sign":
                again = second.signed(found["detail"]["action_record"], SEEDS[one["key"]])
                found["detail"] = again
            elif one["do"] == "sign checkpoint":
                sign_with = keys.signer(SEEDS[one["key"]])[0]
                found["detail"]["signature"] = sign_with(found["prev_hash"].encode()).hex()
            else:
                changed(cook, one, found)

    cook.files[EVIDENCE] = second.rebuilt(lines, record, entry)


def finish(cook: Cook, edit: Edit) -> None:
    """Tree head, root in packet.json and page, and both seals, signed by the record's key for what is there now."""
    cook.files = second.finished(cook.files, cook.bases["whole"])


def reseal(cook: Cook, edit: Edit) -> None:
    """Both seals over the files that are there now."""
    cook.files = second.resealed(cook.files)


def die(cook: Cook, edit: Edit) -> None:
    """What is left of a run that was killed after a line: no end, and half a boundary.json."""
    lines = cook.files[EVIDENCE].splitlines()
    cook.files = second.prefix(cook.files, place(lines, edit["line"]) + 1)


def statement(cook: Cook, edit: Edit) -> None:
    """A value edit within what a bundle signs, signed again by the record's key."""
    inner = edit | {"do": edit["edit"]}
    cook.files = second.sealed_again(
        cook.files, lambda found: changed(cook, inner, found), edit["file"]
    )


def sign_bundle(cook: Cook, edit: Edit) -> None:
    """Another signature of a bundle: by `key`, over `payload` alone or over the PAE of another `type`."""
    bundle = json.loads(cook.files[edit["file"]])
    payload = base64.b64decode(bundle["dsseEnvelope"]["payload"])
    over = (
        payload
        if edit.get("over") == "payload"
        else seal.pae(edit.get("type", seal.PAYLOAD_TYPE), payload)
    )
    signature = keys.signer(SEEDS[edit["key"]])[0](over)
    spelled = base64.b64encode(signature).decode()
    if edit.get("respell"):
        # 64 bytes leave four bits of the last letter that no strict reader lets be anything but 0.
        spelled = spelled[:-3] + chr(ord(spelled[-3]) + 1) + "=="
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = spelled
    if edit.get("hint"):
        key = bytes.fromhex(PUBLIC[edit["key"]])
        bundle["verificationMaterial"]["publicKey"]["hint"] = seal.key_hint(key)
    cook.files[edit["file"]] = jcs.encode(bundle)


def sign_note(cook: Cook, edit: Edit) -> None:
    """The checkpoint again: `text` (with $ORIGIN, $SIZE, $ROOT of the right one) under each of `signatures`."""
    origin, size, root = cook.bases["whole"]["checkpoint"].decode().split("\n")[:3]

    def filled(text: str) -> str:
        return text.replace("$ORIGIN", origin).replace("$SIZE", size).replace("$ROOT", root)

    text, signatures = filled(edit.get("text", "$ORIGIN\n$SIZE\n$ROOT\n")), b""
    for one in edit["signatures"]:
        sign_with = keys.signer(SEEDS[one["key"]])[0]
        claimed = PUBLIC[one.get("claims", one["key"])]
        name = filled(one.get("name", "$ORIGIN"))
        signed = note.sign(text, name, bytes.fromhex(claimed), sign_with)
        signatures += signed.partition(b"\n\n")[2] * one.get("times", 1)
    cook.files["checkpoint"] = f"{text}\n".encode() + signatures


VERBS: dict[str, Callable[[Cook, Edit], None]] = {
    "remove": remove,
    "write": write,
    "append": append,
    "prepend": prepend,
    "take": take,
    "copy": copy,
    "cut": cut,
    "flip": flip,
    "replace": replace,
    "drop line": drop_line,
    "repeat line": repeat_line,
    "swap lines": swap_lines,
    "move line": move_line,
    "cut after": cut_after,
    "take line": take_line,
    "insert line": insert_line,
    "put line": put_line,
    **dict.fromkeys(("set", "unset", "rename", "add", "reverse"), value_edit),
    "rehash": rehash,
    "sign": sign,
    "finish": finish,
    "reseal": reseal,
    "die": die,
    "statement": statement,
    "sign bundle": sign_bundle,
    "sign note": sign_note,
}
# Over an honest packet these give the same packet again.
REPAIRS = {"rehash", "sign", "finish", "reseal"}


def main(directory: Path) -> None:
    """Every packet in a directory of its own, the three bases too, and `index.json` with what is expected."""
    with tempfile.TemporaryDirectory() as place:
        bases = runs.bases(Path(place))
    index = []
    packets = dict(bases)
    for one in recipes():
        assert one.directory not in packets, one.id
        packets[one.directory] = cooked(one, bases)
        expected = {"pins": one.pins, "outcome": one.outcome, "check": one.check}
        index.append({"packet": one.directory, "hopes": one.hopes} | expected)
    for name, files in packets.items():
        (directory / name).mkdir(parents=True)
        for file, data in files.items():
            (directory / name / file).write_bytes(data)
    (directory / "index.json").write_text(json.dumps(index, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
