"""What may be printed to a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return ``text`` without what would steer the terminal: names of runs and layers may hold anything."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
