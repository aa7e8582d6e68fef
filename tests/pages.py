"""The documentation's pages: blocks of python, and the names that they are about."""

import importlib
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


def public_names():
    """(name, object) of public functions and classes, and of their own methods."""
    for module in ("", ".baselines", ".data", ".datasets", ".metrics"):
        module = importlib.import_module(f"gamo_sampler{module}")
        for name in module.__all__:
            found = getattr(module, name)
            if callable(found):
                yield f"{module.__name__}.{name}", found
            for method in dir(found) if isinstance(found, type) else ():
                where = getattr(getattr(found, method), "__module__", None) or ""
                if method[0] != "_" and where.startswith("gamo_sampler"):
                    yield f"{module.__name__}.{name}.{method}", getattr(found, method)
