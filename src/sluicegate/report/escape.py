"""Text that the command may have chosen, made harmless for the place it goes to. Pure.

The record itself is printable ASCII; a policy's file name, a path, or a later format may not be. So each sink gets
text of `visible` only, and escapes what its own syntax means.
"""

from __future__ import annotations

import html
import re

from sluicegate.runner import logged

# Characters of one text that anybody reads. What is cut is in the packet.
MAX_TEXT = 300
# A colon only where it could begin an emoji or follow a link's scheme: `pol.yaml:8` stays readable as source. The dot
# of `www.`, which GitHub takes for a link without a scheme.
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|!&~@$]|:(?=//|[a-z_+-])|(?<=[Ww]{3})\.|^[-+=.])")


def visible(text: object, most: int = MAX_TEXT) -> str:
    r"""`text` on one line, at most `most` characters of it and an ellipsis; what is not seen is shown as `\u....`."""
    whole = str(text)
    shown = whole if whole.isascii() and whole.isprintable() else "".join(map(_shown, whole[:most]))
    return shown if len(whole) <= most >= len(shown) else shown[:most] + "..."


def _shown(character: str) -> str:
    # Python's word for it covers controls, formats (bidi, zero width), half characters and every space but the plain.
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def markdown(text: object, most: int = MAX_TEXT) -> str:
    """`text` as words of Markdown, GitHub's included: no markup, no mention, no link, no cell, no emoji."""
    return _MARKUP.sub(_entity, visible(text, most))


def _entity(found: re.Match[str]) -> str:
    # An entity is text to every Markdown reader, in tables too, where a backslash is read twice.
    # GitHub looks for mentions in what was rendered: a word joiner keeps `@` from its name.
    return f"&#{ord(found[1])};" + ("&#8288;" if found[1] == "@" else "")


def code(text: object, most: int = MAX_TEXT) -> str:
    """`text` in a code span of GitHub's Markdown, in a table's cell too."""
    # Inside a span only a backtick ends it, and in a table a bar ends the cell.
    shown = logged(visible(text, most)).replace("`", "'").replace("|", "\u00a6")
    return f"`{shown or '-'}`"  # of nothing, the two backticks would begin a longer span


def lines(text: object, most: int = MAX_TEXT) -> list[str]:
    """The lines of `text` for a fenced block, which none of them can end, and none of which is a runner's command."""
    shown = (logged(visible(line, most)).replace("`", "'") for line in str(text).split("\n"))
    return [line.replace("::", ": :") if line.lstrip().startswith("::") else line for line in shown]


def page(text: object, most: int = MAX_TEXT) -> str:
    """`text` as text or attribute of HTML or XML."""
    return html.escape(visible(text, most), quote=True)


def size(count: int) -> str:
    """`count` bytes in words with one digit after the point: `1.5 MiB`."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            break
        amount /= 1024
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"


def times(count: int, one: str, more: str = "") -> str:
    """`1 request`, `3 requests`."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"
