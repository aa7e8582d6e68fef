"""The documentation's pages: blocks of python, and the names that they are about."""

import importlib
import re
from contextlib import redirect_stdout
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from io import StringIO
from pathlib import Path

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(
    r"^\.\. code-block:: (python|text)\n((?:    :.*\n)*)\n((?:    .*\n|\n)+)",
    re.MULTILINE,
)
BUILT = {"_build", "_static", "_templates", "auto_examples", "benchmarks", "generated"}


def pages():
    """The pages that people write, in alphabetic order."""
    paths = [path.relative_to(ROOT) for path in (ROOT / "doc").rglob("*.rst")]
    return sorted(path for path in paths if not BUILT & set(path.parts[:-1]))


def blocks(path):
    """(kind, options, text) of blocks of python and of text, in order."""
    for kind, options, lines in BLOCK.findall((ROOT / path).read_text()):
        yield kind, options, re.sub(r"^    ", "", lines, flags=re.MULTILINE)


def snippets(path):
    """Blocks of python in a page, in order."""
    return [text for kind, _, text in blocks(path) if kind == "python"]


def snippet(path, mark):
    """The one block of a page that has `mark` in it."""
    [found] = [block for block in snippets(path) if mark in block]
    return found


def run(path):
    """Run a page's blocks of python in order, and return what they define.

    A block of text after one of them is what it prints. Blocks with a caption belong
    to another place, such as a file, and are left out.
    """
    namespace, printed = {}, ""
    for kind, options, text in blocks(path):
        if options:
            continue
        if kind == "text":
            same = OutputChecker().check_output(
                text, printed, ELLIPSIS | NORMALIZE_WHITESPACE
            )
            assert same, f"{path} shows\n{text}but this is printed:\n{printed}"
            continue
        with redirect_stdout(StringIO()) as out:
            exec(compile(text, path, "exec"), namespace)
        printed = out.getvalue()
    return namespace


def public_names():
    """(name, object) of public functions and classes, and of their own methods."""
    for module in ("", ".baselines", ".data", ".datasets", ".displays", ".metrics"):
        module = importlib.import_module(f"gamo_sampler{module}")
        for name in module.__all__:
            found = getattr(module, name)
            if callable(found):
                yield f"{module.__name__}.{name}", found
            for method in dir(found) if isinstance(found, type) else ():
                where = getattr(getattr(found, method), "__module__", None) or ""
                if method[0] != "_" and where.startswith("gamo_sampler"):
                    yield f"{module.__name__}.{name}.{method}", getattr(found, method)
