"""The policy as a JSON Schema for editors, made of the tables that the grammar reads by. Pure.

What the grammar takes, the schema takes. What it refuses for its structure (a key that is not known, a value of another
kind, a number out of range) the schema refuses too; what only a look at the whole says, it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from sluicegate.jcs import Json
from sluicegate.policy import (
    asked,
    conditions,
    credentials,
    grammar,
    paths,
    presets,
    rules,
    scalars,
)
from sluicegate.policy.model import METHOD

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Json]
# A name or `*.` and a name; the rest is for `wire.names` to say.
_HOST = re.compile(r"(?:\*\.)?[^\s/:*@]+")
MIN_PORT, MAX_PORT = 1, 65_535


def schema() -> Schema:
    """The schema, JSON Schema 2020-12. A key that has no words here is taken whatever its value is."""
    return {
        "$schema": DIALECT,
        "title": "sluicegate policy",
        "description": "What the command may reach. What no rule allows is denied.",
        **_object(_TOP, grammar.KEYS, required=("version",)),
        "$defs": _DEFS,
    }


def covered() -> dict[str, tuple[set[str], set[str]]]:
    """For each table of the grammar, its keys and those that the schema has words for."""
    return {
        "policy": (set(grammar.KEYS), set(_TOP)),
        "agent": (set(grammar.AGENT), set(_AGENT)),
        "limits": (set(grammar.LIMITS), set(_LIMITS)),
        "rule": (set(rules.KEYS), set(_RULE)),
        "preset": (set(presets.KEYS), set(_PRESET)),
        "secret": (set(credentials.KEYS), set(_SECRET)),
    }


def _object(known: Schema, keys: Iterable[str], required: Iterable[str] = ()) -> Schema:
    found: Schema = {
        "type": "object",
        "properties": {key: known.get(key, {}) for key in keys},
        "additionalProperties": False,
    }
    needed = tuple(required)
    return found | ({"required": needed} if needed else {})


def _text(pattern: re.Pattern[str], words: str = "") -> Schema:
    found: Schema = {"type": "string", "pattern": f"^(?:{pattern.pattern})$"}
    return found | ({"description": words} if words else {})


def _list(item: Json, words: str, least: int = 0, most: int | None = None) -> Schema:
    found: Schema = {"type": "array", "items": item, "description": words}
    found |= {"minItems": least} if least else {}
    return found | ({"maxItems": most} if most is not None else {})


def _globs(words: str) -> Schema:
    glob: Schema = {"type": "string", "maxLength": conditions.MAX_CONDITION_VALUE}
    several = _list(glob, "one of them must match", 1, asked.MAX_GLOBS)
    return {
        "type": "object",
        "minProperties": 1,
        "maxProperties": asked.MAX_NAMES,
        "additionalProperties": {"anyOf": (glob, several)},
        "description": words,
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _one_of(keys: Iterable[str]) -> Json:
    return tuple({"required": (key,)} for key in keys)


def _written(words: str, name: str, *, many: int | None = None) -> Schema:
    """A list that may be left empty: then YAML has null."""
    found = _list(_ref(name), words, 0, many)
    return found | {"type": ("array", "null")}


_PORT: Schema = {"type": "integer", "minimum": MIN_PORT, "maximum": MAX_PORT}
_METHODS = _list(
    _text(METHOD) | {"not": {"const": "CONNECT"}},
    "in upper case; without: GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS",
    1,
)
_RULE: Schema = {
    "host": _text(_HOST, 'a name, or "*." and a name for all below it; never itself'),
    "ip": _text(rules.NETWORK, "an address or a network, such as 10.1.2.0/24"),
    "ports": _list(_PORT, "without: 80 and 443 in allow, every port in deny", 1),
    "methods": _METHODS,
    "paths": _list(
        {"type": "string", "pattern": "^/", "maxLength": paths.MAX_GLOB},
        "globs: * stays in one segment, ** crosses segments",
        1,
    ),
    "query": _globs("parameters: each must be there, and met by one of its globs"),
    "headers": _globs("headers: each must be there, and met by one of its globs"),
    "inspect": {"type": "boolean", "description": "true: open its TLS; false: never open it"},
}
_PRESET: Schema = {
    "preset": {"type": "string", "description": "`sluicegate presets` lists them"},
    "repos": _list(
        _text(presets.REPO), "OWNER/REPO, of a preset that reads repositories", 1, presets.MAX_REPOS
    ),
}
_SIZE: Schema = {
    "description": "bytes, or with KB, MB, GB, TB (of 1000), KiB, MiB, GiB, TiB (of 1024)",
    "anyOf": (
        {"type": "integer", "minimum": 1, "maximum": scalars.MAX_BYTES},
        _text(scalars.SIZE),
    ),
}
_LIMITS: Schema = {
    **{
        name: {"type": "integer", "minimum": 1, "maximum": most}
        for name, (most, _) in grammar.COUNTS.items()
    },
    "upload": _SIZE,
    "upload_per_host": _SIZE,
}
_AGENT: Schema = {
    "env": _list(_text(grammar.VARIABLE), "variables that the command is given"),
    "bind": _list(_text(grammar.BIND), "further paths that the command may write to"),
    "outputs": _list(
        _text(grammar.OUTPUT),
        "outputs that the command may hand to later steps",
        0,
        grammar.MAX_OUTPUTS,
    ),
    "writable": _list(
        _text(grammar.RELATIVE), "paths in the workspace that later steps execute, left writable"
    ),
}
_SECRET: Schema = {
    "env": _text(credentials.VARIABLE, "the supervisor's variable that holds the value"),
    "file": _text(credentials.FILE, "the file that holds the value"),
    "fd": _text(credentials.DESCRIPTOR, "the name of `run --secret-fd NAME=N`"),
    "as": _text(credentials.VARIABLE, "the command's variable, which holds a placeholder"),
    "hosts": _list(_text(_HOST), "where the value may go", 1),
    "methods": _METHODS,
    "header": _text(asked.HEADER, "the header that the value is put into"),
    "bearer": {
        "const": True,
        "description": "the value follows Bearer in the header authorization",
    },
    "basic": {
        "anyOf": ({"const": True}, _text(credentials.USER)),
        "description": "the password of this user, or (true) of whom the client names",
    },
    "query": _text(asked.PARAMETER, "the query parameter that the value is put into"),
    "sigv4": {
        "const": True,
        "description": "AWS requests that are signed with the placeholder are signed with the value",
    },
}
_TOP: Schema = {
    "version": {"const": grammar.VERSION},
    "mode": {
        "enum": grammar.MODES,
        "description": "observe: let through what would be denied, marked so",
    },
    "allow": _written("what may be reached; nothing else", "allowed"),
    "deny": _written("what may not be reached, whatever allows it", "denied"),
    "inspect": {
        "enum": grammar.INSPECT,
        "description": "whose TLS is opened: as rules need it, all, or none",
    },
    "limits": _object(_LIMITS, grammar.LIMITS),
    "record": {"enum": grammar.RECORD, "description": "digests of contents are put on record"},
    "secrets": _written(
        "values that the gate puts into requests", "secret", many=grammar.MAX_SECRETS
    ),
    "agent": _object(_AGENT, grammar.AGENT),
}
_HOST_KEYS = tuple(key for key in rules.KEYS if key != "ip")
_IP_KEYS = tuple(key for key in rules.KEYS if key not in {"host", "inspect"})
_DEFS: Schema = {
    "allowed": {
        "anyOf": (
            _object(_RULE, _HOST_KEYS, ("host",)),
            _object(_RULE, _IP_KEYS, ("ip",)),
            _object(_PRESET, presets.KEYS, ("preset",)),
        )
    },
    "denied": {
        "anyOf": (
            _object(_RULE, (key for key in _HOST_KEYS if key != "inspect"), ("host",)),
            _object(_RULE, _IP_KEYS, ("ip",)),
        )
    },
    "secret": {
        **_object(_SECRET, credentials.KEYS, ("hosts",)),
        "allOf": (
            {"oneOf": _one_of(credentials.SOURCES)},
            {"oneOf": _one_of(credentials.PLACES)},
            {"anyOf": _one_of(("env", "as"))},
        ),
    },
}
