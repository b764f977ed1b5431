from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.evidence import canonical, chain, journal, keys, receipt, recorder
from tests import receipts
from tests.evidence import made

VECTOR = Path(__file__).parent.parent / "vectors" / "clean-room-vector-1.jsonl"
SIGN, KEY = keys.signer(hashlib.sha256(b"clean-room-vector-1").digest())


def test_the_published_vector_is_reproduced_byte_for_byte() -> None:
    prev, out = recorder.GENESIS, b""
    for seq, line in enumerate(VECTOR.read_bytes().splitlines()):
        entry = json.loads(line)
        detail = entry["detail"]
        if entry["type"] == "action_receipt":
            detail = json.loads(receipts.sealed(detail["action_record"], KEY, SIGN))
        if entry["type"] == "checkpoint":
            detail = json.loads(recorder.checkpoint_detail(seq, SIGN(prev.encode()))[0])
        words = (entry["type"], entry["event_kind"], entry["transport"], entry["summary"])
        text, prev = recorder.line(seq, entry["ts"], *words, canonical.encode(detail), prev)
        out += text + b"\n"
    digest = "46d9cf29018207b297ac082f3cc83560f80792fd037b3f74f1763ccbf8f579c4"
    assert hashlib.sha256(out).hexdigest() == digest


def test_genesis_of_the_vector() -> None:
    policy = "sha256:" + hashlib.sha256(b"policy-vector").hexdigest()
    run = chain.Run(
        "00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100", policy, KEY, 60
    )
    assert chain.genesis(run).startswith("g1:ba51bdcb2cfd272c")


def test_a_message_of_another_shape_is_refused() -> None:
    with pytest.raises(journal.MessageError):
        journal.check({"flow": {}})


RUN = chain.Run("0" * 32, "1" * 32, "sha256:" + "2" * 64, KEY, 60)
NOW = "2026-01-02T03:04:05.6Z"
EFFECTS = {
    "read": ("external_read", "full"),
    "write": ("external_write", "compensatable"),
    "unclassified": ("none", "unknown"),
}
# Texts that a template, JSON or HTML would understand come often.
SAID = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20
) | st.sampled_from(
    ["%", "%b", "%%d", "%(a)s", "{}", "\\", "\\u003c", '"', "<a&b>", '","verdict":"block"']
)
WORD = SAID.filter(lambda text: text not in {"", "boundary", "receipt_session"})
PLAIN = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | SAID
FLOWS = st.dictionaries(
    SAID, PLAIN | st.lists(PLAIN, max_size=3) | st.dictionaries(SAID, PLAIN, max_size=3)
)
MESSAGES = st.fixed_dictionaries(
    {
        "flow": FLOWS.map(lambda flow: {**flow, "kind": "connection"}),
        "action_id": st.integers(0, 2**40).map(made.action),
        "action_type": st.sampled_from(sorted(journal._TYPES)),
        "verdict": st.just("allow"),
        "target": WORD,
        "transport": WORD,
    },
    optional={
        "phase": st.sampled_from([None, "intent", "outcome"]),
        **dict.fromkeys(("method", "layer", "pattern", "severity"), st.none() | SAID),
    },
) | st.builds(made.message, st.integers(1, 9), st.sampled_from(["a.example", "w.example"]))


def go_json(value: object) -> bytes:
    """As Go writes it: members in the order given, and no angle bracket or ampersand as such."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text.encode()


def in_full(
    message: Mapping[str, object], actor: str, seq: int, root: str, prev: str
) -> tuple[bytes, bytes, str, str]:
    """The two lines of `message` after `seq` others, written out as docs/packet.md has them, and the next two links."""
    facts = rfc8785.dumps(message["flow"])  # type: ignore[arg-type]
    kind, verdict, transport = (message[n] for n in ("action_type", "verdict", "transport"))
    effect, reversibility = EFFECTS.get(str(kind), ("external_write", "unknown"))
    record = {
        "version": 1,
        "action_id": message["action_id"],
        "action_type": kind,
        "timestamp": NOW,
        "principal": "local",
        "actor": actor,
        "delegation_chain": None,
        "target": message["target"],
        "side_effect_class": effect,
        "reversibility": reversibility,
        "policy_hash": RUN.policy_hash,
        "verdict": verdict,
        "decision_phase": message.get("phase"),
        "transport": transport,
        **{name: message.get(name) for name in ("method", "layer", "pattern", "severity")},
        "request_id": "sha256:" + hashlib.sha256(facts).hexdigest(),
        "chain_prev_hash": root,
        "chain_seq": seq,
        "run_nonce": RUN.nonce,
    }
    record = {
        n: v for n, v in record.items() if v or n in {"delegation_chain", "actor", "chain_seq"}
    }
    signature = SIGN(hashlib.sha256(go_json(record)).digest()).hex()
    detail = {
        "version": 1,
        "action_record": record,
        "signature": f"ed25519:{signature}",
        "signer_key": KEY,
    }
    summary = f"receipt: {verdict} {kind} {transport}"
    parts = ("2", seq, NOW, "proxy", "", "action_receipt", kind, transport, summary)
    head = "".join(f"{part}\0" for part in parts).encode()
    digest = hashlib.sha256(head + go_json(detail) + b"\0\0" + prev.encode()).hexdigest()
    line = {
        "v": 2,
        "seq": seq,
        "ts": NOW,
        "session_id": "proxy",
        "type": "action_receipt",
        "event_kind": kind,
        "transport": transport,
        "summary": summary,
        "detail": detail,
        "prev_hash": prev,
        "hash": digest,
    }
    return facts + b"\n", go_json(line) + b"\n", receipt.receipt_hash(go_json(detail)), digest


@given(st.lists(MESSAGES, max_size=4), WORD)
def test_every_line_is_what_its_members_written_out_are(
    messages: list[dict[str, object]], actor: str
) -> None:
    book = journal.Journal(RUN, SIGN, actor)
    root, prev = chain.genesis(RUN), recorder.GENESIS
    # Twice: what was made once for the many is used again.
    for seq, message in enumerate(messages * 2):
        facts, line, root, prev = in_full(message, actor, seq, root, prev)
        assert book.flow(journal.check(message), NOW) == (facts, line)
        assert (book.root, book.receipts) == (root, seq + 1)


def agreed(message: Mapping[str, object]) -> bool:
    """Whether `message` is of the agreed shape, one member after the other."""
    needed = {"flow", "action_id", "action_type", "verdict", "target", "transport"}
    free = {"method", "layer", "pattern", "severity", "phase"}
    texts = {n: v for n, v in message.items() if n != "flow" and not (n in free and v is None)}
    flow, phase = message.get("flow"), message.get("phase")
    return (
        needed <= set(message) <= needed | free
        and all(isinstance(v, str) and re.fullmatch("[ -~]*", v) for v in texts.values())
        and isinstance(flow, dict)
        and re.fullmatch("[a-z][a-z0-9-]{0,31}", str(flow.get("kind"))) is not None
        and flow["kind"] != "boundary"
        and message["transport"] not in {"", "boundary", "receipt_session"}
        and message["target"] != ""
        and re.fullmatch(
            "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
            str(message["action_id"]),
        )
        is not None
        and message["action_type"] in journal._TYPES
        and (
            message["verdict"] == "allow" or (message["verdict"] in {"block", "warn"} and not phase)
        )
        and phase in {None, "intent", "outcome"}
    )


ODD = st.sampled_from(
    [
        *(None, True, 0, 1.5, [], {}, ["allow"], {"kind": "x"}, "", "\n", "\x7f", "\xe9"),
        *("boundary", "receipt_session", "allow", "block", "intent"),
        *(made.action(1).upper(), made.own(1)),
    ]
)


@given(MESSAGES, st.sampled_from([*sorted(journal._WANTED | journal._OPTIONAL), "more"]), ODD)
def test_no_member_of_a_message_is_anything_else(
    message: dict[str, object], name: str, odd: object
) -> None:
    for changed in (message | {name: odd}, {n: v for n, v in message.items() if n != name}):
        try:
            journal.check(changed)
        except journal.MessageError:
            assert not agreed(changed)
        else:
            assert agreed(changed)


@pytest.mark.parametrize("kind", [None, 5, "", "Boundary", "boundary", "a b", "a" * 33, ["a"]])
def test_the_kind_of_a_flow(kind: object) -> None:
    with pytest.raises(journal.MessageError, match=r"kind|boundary"):
        journal.check(made.message(1, flow={"kind": kind}))


FLOWS_REFUSED = [
    *(0.5, 2**53, -(2**53), 10**30, "\r", "\x1f", "\x7f", "\u2028", "\xe9", "\ud800"),
    *([[[[[[[[[]]]]]]]]], [[]] * 1024, "x" * 65_536, {"\xe9": 1}, {"a\tb": 1}),
]


@pytest.mark.parametrize("value", FLOWS_REFUSED, ids=lambda value: ascii(value)[:16])
def test_what_no_flow_holds(value: object) -> None:
    book = journal.Journal(RUN, SIGN)
    for flow in ({"a": value}, {"a": {"b": [value]}}, {"a": '"\\{[', "b": value}):
        with pytest.raises(journal.MessageError):
            book.flow(made.message(1, flow=flow), NOW)


def test_keys_survive_their_text() -> None:
    assert keys.read_private(keys.write_private(b"s" * 32)) == b"s" * 32
    assert keys.read_public(KEY) == bytes.fromhex(KEY)
