"""Who imports whom: the map of the package, checked against its imports."""

import ast
from pathlib import Path

import gamo_sampler

ALLOWED = {
    "__init__": {"_classifier", "_published", "_sampler", "_version"},
    "__main__": {"__init__", "_images"},
    "_base": {"_build", "_game", "_images", "_losses", "_networks", "_torch", "_watch"},
    "_build": {"_networks"},
    "_classifier": {"_base", "_docs", "_images"},
    "_docs": set(),
    "_draws": {"_losses", "_torch"},
    "_frames": set(),
    "_game": {"_draws", "_losses", "_torch"},
    "_images": set(),
    "_losses": set(),
    "_networks": {"_losses"},
    "_published": set(),
    "_sampler": {"_base", "_docs", "_frames", "_images", "_torch"},
    "_torch": set(),
    "_version": set(),
    "_watch": set(),
}


def imports_of_ours(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not any(a.name.startswith("gamo_sampler") for a in node.names)
        if isinstance(node, ast.ImportFrom) and not node.level:
            assert not node.module.startswith("gamo_sampler")
        if isinstance(node, ast.ImportFrom) and node.level:
            module = node.module or ""
            for alias in node.names:
                yield module or (
                    alias.name if alias.name.startswith("_") else "__init__"
                )


def test_imports_follow_the_map():
    package = Path(gamo_sampler.__file__).parent
    found = {path.stem: set(imports_of_ours(path)) for path in package.glob("*.py")}
    assert found == ALLOWED


def test_public_names():
    assert set(gamo_sampler.__all__) == {
        "GAMOClassifier",
        "GAMOSampler",
        "__version__",
        "published",
    }
