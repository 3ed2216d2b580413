"""Names of users' models and data as DOT can hold them: whatever stands in one, Graphviz sees a name, no markup."""

from __future__ import annotations

import re

import graphviz

# What XML (Graphviz's SVG) or UTF-8 cannot hold: control characters, surrogates, non-characters.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def dot_name(text: str) -> str:
    """Return ``text`` as it can stand in a quoted DOT name; different texts give different names."""
    escaped = text.replace("\\", "\\\\")
    if escaped.startswith("%"):
        escaped = f"\\u0025{escaped[1:]}"
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", escaped)


def dot_quoted(text: str) -> str:
    """Return ``text`` as a quoted DOT name."""
    return '"' + dot_name(text).replace('"', '\\"') + '"'


def dot_label(*lines: str) -> str:
    """Return a label that shows ``lines`` literally: no HTML, entities or escapes of Graphviz."""
    shown = (_UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", line) for line in lines if line)
    escaped = (line.replace("\\", "\\\\").replace("&", "&amp;") for line in shown)
    return graphviz.nohtml("\\n".join(escaped))
