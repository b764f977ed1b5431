"""Pieces of HTML. Texts are escaped on their way in, so what is put together holds no other markup than ours. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sluicegate.report.escape import page, size

MAX_CELL = 400  # characters of one text on the page; a path of 8 KiB is in the packet


class Html(str):
    """Text that is markup already: made here, or of escaped parts. Everything else is escaped."""

    __slots__ = ()


def text(found: object, most: int = MAX_CELL) -> Html:
    """`found` as text, unless it is markup already."""
    return found if isinstance(found, Html) else Html(page(found, most))


def join(*parts: object) -> Html:
    """`parts`, one after the other."""
    return Html("".join(map(text, parts)))


def tag(name: str, *parts: object, **attributes: object) -> Html:
    """An element. An attribute's `_` is `-`, and a trailing one is for Python's own words; None leaves it out."""
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{page(value, MAX_CELL)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{said}>{join(*parts)}</{name}>")


def code(found: object, most: int = MAX_CELL) -> Html:
    """`found` as what a machine reads; `<bdi>`, so that no text turns its neighbours around."""
    return tag("code", tag("bdi", text(found, most)))


def section(name: str, title: str, *parts: object) -> Html:
    """A region with its heading, to be linked to as `#name`."""
    head = tag("h2", title, id=f"{name}-title")
    return tag("section", head, *parts, id=name, aria_labelledby=f"{name}-title")


def details(title: object, *parts: object) -> Html:
    """What is folded until asked for."""
    return tag("details", tag("summary", title), *parts)


def table(caption: str, heads: Sequence[tuple[str, str]], rows: Iterable[Sequence[object]]) -> Html:
    """A table; `heads` are (words, class of the column). The first cell of a row is its head."""
    head = tag("tr", *(tag("th", word, scope="col", class_=kind or None) for word, kind in heads))
    kinds = [kind or None for _, kind in heads]
    body = [
        tag(
            "tr",
            *(
                tag("th", cell, scope="row", class_=kind)
                if not at
                else tag("td", cell, class_=kind)
                for at, (cell, kind) in enumerate(zip(row, kinds, strict=True))
            ),
        )
        for row in rows
    ]
    made = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body))
    # It may be wider than the window: then it is scrolled, by keyboard too.
    return tag("div", made, class_="scroll", tabindex="0", role="region", aria_label=caption)


def pairs(found: Iterable[tuple[str, object]]) -> Html:
    """Names and what they are; those that are empty are left out."""
    rows = [
        tag("div", tag("dt", name), tag("dd", said))
        for name, said in found
        if said not in ("", None)
    ]
    return tag("dl", *rows, class_="pairs")


def commands(found: str, label: str) -> Html:
    """Lines to copy."""
    lines = "\n".join(page(line, 4 * MAX_CELL) for line in found.split("\n"))
    return tag("pre", tag("code", Html(lines)), class_="copy", tabindex="0", aria_label=label)


def bar(part: int, most: int, kind: str) -> Html:
    """`part` of `most` as a bar's length; for the eye only, the number stands beside it."""
    share = 0.0 if most <= 0 else 100 * part / most
    shown = max(share, 1.0) if part else 0.0
    rect = Html(f'<rect class="{kind}" width="{shown:.2f}%" height="100%"/>')
    return Html(f'<svg class="bar" aria-hidden="true" focusable="false">{rect}</svg>')


def amount(count: int, most: int, kind: str) -> Html:
    """Bytes, with their bar."""
    return join(size(count), bar(count, most, kind) if count else "")


def badge(word: str, kind: str) -> Html:
    """A word that says how something is judged; its colour is never all that says it."""
    return tag("span", word, class_=f"badge {kind}")
