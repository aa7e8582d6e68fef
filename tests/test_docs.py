"""The README's snippets and commands, the docstrings' examples, the examples."""

import doctest
import importlib
import pkgutil
import re
import runpy
import sys
import tomllib
from collections import Counter
from contextlib import suppress
from inspect import getdoc
from types import ModuleType

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from numpydoc.validate import validate

import gamo_sampler
from gamo_sampler import GAMOClassifier, GAMOSampler

from .pages import ROOT, pages, public_names, run, snippet, snippets

# Pages with a test of their own, which gives them what may not be there: clusters,
# ONNX, Optuna.
OWN = {"large", "saving", "serving", "training"}
README = (ROOT / "README.rst").read_text()


@pytest.mark.filterwarnings("ignore:The least populated class:UserWarning")
def test_readme_snippets_run_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = run("README.rst")
    assert len(namespace["X_more"]) == 50
    assert namespace["search"].best_params_["discriminator"] in ("auto", None)


def test_the_page_on_training_shows_health(capsys):
    exec(snippet("doc/training.rst", "# health"), {})
    epochs = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in epochs] == ["1", "11", "21"]
    assert all(0.9 < float(line.split()[-1]) <= 1 for line in epochs)


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


def test_the_page_on_serving_runs_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for mark in ["predict_proba", "torch.export.load"]:
        exec(snippet("doc/serving.rst", mark), namespace)
    wanted = namespace["wanted"]
    np.testing.assert_allclose(namespace["probabilities"], wanted, rtol=0, atol=1e-5)
    assert namespace["classes"] == [False, True]
    assert (
        namespace["labels"]
        == namespace["classifier"].predict(namespace["images"], prior="training")
    ).all()
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    exec(snippet("doc/serving.rst", "InferenceSession"), namespace)
    np.testing.assert_allclose(namespace["probabilities"], wanted, rtol=0, atol=1e-5)
    assert namespace["classes"] == [False, True]


def test_the_page_on_training_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        namespace = {}
        exec(snippet("doc/training.rst", "# checkpoints"), namespace)
    assert (tmp_path / "classifier.checkpoint").exists()
    assert namespace["classifier"].n_iter_ == 10


def test_the_page_on_saving_runs_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for block in snippets("doc/saving.rst"):
        exec(block, namespace)
    sampler, X = namespace["sampler"], namespace["X"]
    np.testing.assert_array_equal(sampler.sample({2: 5})[0], namespace["X_more"])
    first = sampler.classifier_[0].weight
    np.testing.assert_array_equal(namespace["weights"], first)
    assert namespace["classifier"].predict(X).shape == (110,)


class FakeTrial:
    """Of Optuna's trials what the page needs; the first one is pruned at once."""

    def __init__(self, number):
        self.number = number
        self.reported = []

    def suggest_float(self, name, low, high, log):
        return 1e-3

    def report(self, value, step):
        self.reported.append((value, step))

    def should_prune(self):
        return self.number == 0


class FakeStudy:
    def optimize(self, objective, n_trials):
        self.trials = [FakeTrial(number) for number in range(n_trials)]
        self.values = []
        for trial in self.trials:
            with suppress(TrialPrunedError):
                self.values.append(objective(trial))


class TrialPrunedError(Exception):
    pass


def test_the_page_on_training_runs_in_order(monkeypatch, capsys):
    optuna = ModuleType("optuna")
    optuna.TrialPruned = TrialPrunedError
    optuna.create_study = lambda direction: FakeStudy()
    monkeypatch.setitem(sys.modules, "optuna", optuna)
    namespace = {}
    marks = ["max_time", "is_good", "optuna", "warm_start", "partial_fit"]
    for mark in marks:
        exec(snippet("doc/training.rst", mark), namespace)
    pruned, *others = namespace["study"].trials
    assert [step for _, step in pruned.reported] == [1]
    for trial, value in zip(others, namespace["study"].values, strict=True):
        assert max(score for score, _ in trial.reported) == value
        assert trial.reported[-1][1] == 3
    assert namespace["model"].n_iter_ == 10
    assert capsys.readouterr().out.splitlines()[-1] == "10"


@pytest.mark.parametrize(
    "page", [page for page in pages() if page.stem not in OWN], ids=str
)
def test_pages_run_in_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng([]):
        run(page)
    plt.close("all")


@pytest.mark.parametrize("page", pages(), ids=str)
def test_pages_snippets_are_python(page):
    """Those that do not run here, too."""
    for block in snippets(page):
        compile(block, page, "exec")


def test_ci_runs_the_readme_s_commands():
    commands = re.findall(r"^    (python -m pip install .*)$", README, re.MULTILINE)
    install, test, document = commands
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    assert f"({install})" in script
    assert f"({test})" == script[-1]
    assert document.endswith("sphinx -W -D plot_gallery=0 doc doc/_build/html")


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
        r"Parameters\n-+\n(.*?)\nAttributes\n", getdoc(estimator), re.DOTALL
    ).group(1)
    documented = re.findall(r"^(\w+) : (.*)$", section, re.MULTILINE)
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


def examples():
    """Those of many fits are slow tests."""
    for path in sorted((ROOT / "examples").glob("*.py")):
        slow = path.stem in ("plot_all_samplers", "plot_images")
        yield pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * slow)


@pytest.mark.parametrize("path", [*examples()])
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
