"""The README's snippets and commands, the docstrings' examples, the examples."""

import doctest
import importlib
import pkgutil
import re
import runpy
import sys
import tomllib
from collections import Counter

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from numpydoc.validate import validate

import gamo_sampler
from gamo_sampler import GAMOClassifier, GAMOSampler

from .pages import ROOT, public_names, snippet, snippets

README = (ROOT / "README.rst").read_text()


@pytest.mark.filterwarnings("ignore:The least populated class:UserWarning")
def test_readme_snippets_run_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for block in snippets("README.rst"):
        exec(block, namespace)
    assert len(namespace["X_more"]) == 50
    assert namespace["search"].best_params_["discriminator"] in ("auto", None)


def test_the_page_on_large_data_runs_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    marks = ["np.memmap", "zarr", "resample_parquet", "DataLoader"]
    namespace = {}
    with torch.random.fork_rng([]):  # the network's weights, the loader's seeds
        for mark in marks:
            exec(snippet("doc/large.rst", mark), namespace)
    X, y = namespace["X"], namespace["y"]
    X_resampled, y_resampled = GAMOSampler(random_state=0).fit_resample(np.array(X), y)
    rows = np.fromfile("balanced.f4", np.float32).reshape(-1, 8)
    np.testing.assert_array_equal(rows, X_resampled)
    np.testing.assert_array_equal(np.fromfile("balanced.i8", int), y_resampled)
    assert namespace["probabilities"].shape == (5000, 2)
    assert namespace["counts"]["after"] == dict.fromkeys((0, 1), sum(y == 0))
    assert len(pd.read_parquet("balanced")) == len(rows)
    counts = Counter()
    for rank in ("0", "1", "2"):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("WORLD_SIZE", "3")
        exec(snippet("doc/large.rst", "X[own]"), namespace)
        served = torch.cat([batch for batch, _ in namespace["part"]]).numpy()
        counts.update(row.tobytes() for row in served)
    assert {counts[row.tobytes()] for row in X} == {1}
    assert counts.total() == pytest.approx(len(rows), rel=0.1)


def test_pages_snippets_are_python():
    """Those of clusters that the tests have not got."""
    for page in (ROOT / "doc").glob("*.rst"):
        for block in snippets(page):
            compile(block, page, "exec")


def test_ci_runs_the_readme_s_commands():
    commands = re.findall(r"^    (python -m pip install .*)$", README, re.MULTILINE)
    assert len(commands) == 2
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    assert f"({commands[0]})" in script
    assert f"({commands[1]})" == script[-1]


@pytest.mark.parametrize(
    "name",
    [m.name for m in pkgutil.iter_modules(gamo_sampler.__path__, "gamo_sampler.")],
)
def test_doctests(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", dict(public_names()))
def test_docstrings_are_complete(name):
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    checks = settings["tool"]["numpydoc_validation"]["checks"]
    left_out = {*checks} - {"GL08", "PR01", "RT01", "SS02"}
    assert not [e for e in validate(name)["errors"] if e[0] not in left_out]


@pytest.mark.parametrize("estimator", [GAMOClassifier, GAMOSampler])
def test_every_parameter_is_documented_in_order(estimator):
    section = re.search(
        r"Parameters\n    -+\n(.*?)\n    Attributes\n", estimator.__doc__, re.DOTALL
    ).group(1)
    documented = re.findall(r"^    (\w+) : (.*)$", section, re.MULTILINE)
    parameters = estimator().get_params()
    order = list(estimator.__init__.__kwdefaults__)
    assert [name for name, _ in documented] == order
    for name, description in documented:
        default = parameters[name]
        shown = re.search(r"default=(.*)$", description).group(1)
        if isinstance(default, str):
            assert shown == f'"{default}"'
        elif isinstance(default, float):
            assert float(shown) == default
        else:
            assert shown == str(default)
    assert "%(" not in estimator.__doc__


@pytest.mark.parametrize(
    "path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem
)
@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
def test_examples_run(path, capsys, monkeypatch):
    short = ["--rounds", "20"] if "--rounds" in path.read_text() else []
    monkeypatch.setattr(sys, "argv", [str(path), *short])
    plt.switch_backend("agg")
    runpy.run_path(str(path), run_name="__main__")
    for number in plt.get_fignums():
        plt.figure(number).canvas.draw()
    plt.close("all")
    assert capsys.readouterr().out
