"""What tests want to be printed after all of them, also from the processes of pytest-xdist, which print nothing."""

from __future__ import annotations

lines: list[str] = []
