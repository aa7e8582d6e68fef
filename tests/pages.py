"""Blocks of python in the documentation's pages."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def snippets(path):
    """Blocks of python in a page, in order."""
    text = (ROOT / path).read_text()
    for block in re.split(r"\.\. code-block:: python\n\n", text)[1:]:
        lines = re.match(r"(?:    .*\n|\n)+", block).group()
        yield re.sub(r"^    ", "", lines, flags=re.MULTILINE)


def snippet(path, mark):
    """The one block of a page that has `mark` in it."""
    [found] = [block for block in snippets(path) if mark in block]
    return found
