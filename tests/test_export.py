"""Files that predict without this package, against `predict_proba`."""

import importlib.util
import json
import logging
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError
from torch import nn

from gamo_sampler import GAMOClassifier
from gamo_sampler._export import LOGGER, PriorCorrection, labels_json
from gamo_sampler._priors import change_prior, prior_ratio

HAS_ONNX = all(map(importlib.util.find_spec, ["onnx", "onnxscript", "onnxruntime"]))
needs_onnx = pytest.mark.skipif(not HAS_ONNX, reason="needs gamo_sampler[export]")
FORMATS = [".pt2", pytest.param(".onnx", marks=needs_onnx)]

# Every file in a folder, on the rows beside it: all of them, the first, and two.
SERVE = """
import sys
sys.modules["gamo_sampler"] = None  # importing it is an error
from pathlib import Path
import numpy as np
import torch

def program(path):
    served = torch.export.load(path).module()
    return lambda X: served(torch.from_numpy(X)).numpy()

def session(path):
    import onnxruntime
    served = onnxruntime.InferenceSession(path)
    return lambda X: served.run(["probabilities"], {"X": X})[0]

for path in Path(sys.argv[1]).glob("*"):
    loader = {".pt2": program, ".onnx": session}.get(path.suffix)
    if loader:
        served, X = loader(path), np.load(path.with_suffix(".npy"))
        np.savez(f"{path}.npz", *(served(part) for part in (X, X[:1], X[-2:])))
"""


class OwnFeatures(nn.Module):
    """Convolutions, batch statistics and dropout, which are at rest in a file."""

    def __init__(self, shape, n_out):
        super().__init__()
        channels, height, width = shape
        self.convolution = nn.Conv2d(channels, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.dense = nn.Linear(4 * height * width, n_out)

    def forward(self, images):
        x = torch.relu(self.norm(self.convolution(images)))
        return self.dense(nn.functional.dropout(x.flatten(1), training=self.training))


def own_classifier(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, 16), nn.GELU(), nn.Linear(16, n_out))


def make_rows():
    """Columns around offsets up to 1e9, such as seconds since 1970."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [40, 12, 7])
    X = rng.normal(size=(59, 5)) + y[:, None]
    return X * [1e-3, 1, 1, 1e6, 1e9] + [1e-3, 1.7e9, -1e3, 0, 1e9], y


def make_images(*shape):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [40, 12])
    light = (80 * y).reshape(-1, *[1] * len(shape))
    return (rng.integers(0, 170, size=(52, *shape)) + light).astype(np.uint8), y


def case_rows():
    return *make_rows(), {}, None


def case_integers():
    X, y = make_rows()
    return X.astype(np.int64), y, {}, None


def case_float32():
    X, y = make_rows()
    return X.astype(np.float32), y, {}, None


def case_averaged():
    """And with rows as another F takes them, a class that cannot occur."""
    parameters = {"weight_averaging": 0.9, "feature_extractor": own_classifier}
    return *make_rows(), parameters, [0.7, 0.3, 0.0]


def case_grey():
    X, y = make_images(8, 8)
    return X / 255, y, {"feature_extractor": "conv"}, "training"


def case_colour():
    """Channels last, in bytes."""
    return *make_images(8, 6, 3), {"feature_extractor": "conv"}, None


def case_own():
    """Channels first."""
    parameters = {"feature_extractor": OwnFeatures, "classifier": own_classifier}
    return *make_images(3, 8, 6), parameters, None


CASES = {
    "rows": case_rows,
    "integers": case_integers,
    "float32": case_float32,
    "averaged": case_averaged,
    "grey": case_grey,
    "colour": case_colour,
    "own": case_own,
}
# The graph is the same in both formats, and ONNX takes seconds.
FILES = [f"{name}.pt2" for name in CASES]
ONNX = [f"{name}.onnx" for name in ("rows", "averaged", "colour", "own")] * HAS_ONNX


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The folder of all files, and what `predict_proba` gives in each case."""
    folder = tmp_path_factory.mktemp("served")
    wanted = {}
    for name, case in CASES.items():
        X, y, parameters, prior = case()
        classifier = GAMOClassifier(max_iter=2, random_state=0, **parameters)
        classifier.fit(X, y)
        wanted[name] = classifier.predict_proba(X, prior=prior)
        np.save(folder / f"{name}.npy", X)
        for file in FILES + ONNX:
            if file.startswith(name):
                classifier.export(folder / file, X[:3], prior=prior)
    subprocess.run([sys.executable, "-c", SERVE, folder], check=True)
    return folder, wanted


@pytest.mark.parametrize("file", FILES + ONNX)
def test_a_file_predicts_without_the_package(served, file):
    folder, wanted = served
    with np.load(folder / f"{file}.npz") as found:
        whole, first, last = found.values()
    assert whole.dtype == np.float64
    expected = wanted[file.split(".")[0]]
    assert np.ptp(expected, axis=0).max() > 0.01  # rows differ
    parts = [whole, first, last], [expected, expected[:1], expected[-2:]]
    for part, of_classifier in zip(*parts, strict=True):
        np.testing.assert_allclose(part, of_classifier, rtol=0, atol=1e-5)


def test_scaling_in_single_precision_would_not_do():
    """The bar of 1e-5 sees seconds since 1970 that have lost their digits."""
    X, y = make_rows()
    classifier = GAMOClassifier(max_iter=2, random_state=0).fit(X, y)
    lost = classifier.predict_proba(X.astype(np.float32))
    assert np.abs(lost - classifier.predict_proba(X)).max() > 1e-3


@pytest.fixture(scope="module")
def fitted():
    X, y = make_rows()
    labels = np.array(["common", "rare", "rarest"])[y]
    return GAMOClassifier(max_iter=1, random_state=0).fit(X, labels), X


def test_labels_in_a_program(fitted, tmp_path):
    classifier, X = fitted
    classifier.export(str(tmp_path / "a.pt2"), X)  # a string is a path too
    extra = {"classes.json": ""}
    torch.export.load(tmp_path / "a.pt2", extra_files=extra)
    assert json.loads(extra["classes.json"]) == ["common", "rare", "rarest"]


@needs_onnx
def test_names_and_labels_in_onnx(served):
    import onnxruntime

    session = onnxruntime.InferenceSession(served[0] / "rows.onnx")
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == [0, 1, 2]
    assert [i.name for i in session.get_inputs()] == ["X"]
    assert [o.name for o in session.get_outputs()] == ["probabilities"]


@pytest.mark.parametrize(
    ("classes", "listed"),
    [
        (np.array([1, 5]), [1, 5]),
        (np.array([False, True]), [False, True]),
        (np.array([0.5, 1.0]), [0.5, 1.0]),
        (np.array(["a", "b"], dtype=object), ["a", "b"]),
        (np.array(["2024-01-01T00:00:01"], dtype="M8[ns]"), None),
        (np.array([pd.Timestamp("2024-01-01")], dtype=object), ["2024-01-01 00:00:00"]),
    ],
)
def test_labels_of_any_type_are_in_the_file(classes, listed):
    found = json.loads(labels_json(classes))
    assert found == (listed or ["2024-01-01T00:00:01.000000000"])


def test_frames_are_rows_of_their_columns(fitted, tmp_path):
    classifier, X = fitted
    with pytest.warns(UserWarning, match="X has feature names"):
        classifier.export(tmp_path / "a.pt2", pd.DataFrame(X, columns=list("abcde")))
    program = torch.export.load(tmp_path / "a.pt2").module()
    found = program(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(found, classifier.predict_proba(X), rtol=0, atol=1e-5)


def test_the_prior_is_that_of_predict_proba():
    """Where M says nothing on the classes that can occur, it is the prior itself."""
    trained, prior = np.array([0.2, 0.8, 0.0]), np.array([1.0, 0.0, 0.0])
    p = np.array([[0.0, 1.0, 0.0], [0.3, 0.7, 0.0]])
    found = PriorCorrection(prior_ratio(trained, prior), prior)(torch.tensor(p))
    np.testing.assert_allclose(found, change_prior(p, trained, prior), atol=1e-15)


# Errors -------------------------------------------------------------------


def test_a_path_tells_the_format(fitted, tmp_path):
    classifier, X = fitted
    with pytest.raises(ValueError, match=r"end in one of \.pt2, \.onnx.*a\.pkl"):
        classifier.export(tmp_path / "a.pkl", X)
    assert not list(tmp_path.iterdir())


def test_it_has_to_be_fitted(tmp_path):
    with pytest.raises(NotFittedError):
        GAMOClassifier().export(tmp_path / "a.pt2", [[0.0, 1.0]])


def test_rows_are_those_of_predict(fitted, tmp_path):
    classifier, X = fitted
    with pytest.raises(ValueError, match=r"X has 4 features, but .* expecting 5"):
        classifier.export(tmp_path / "a.pt2", X[:, :4])
    with pytest.raises(ValueError, match="prior must be"):
        classifier.export(tmp_path / "a.pt2", X, prior=[1.0, 1.0])


@pytest.mark.parametrize("missing", ["onnx", "onnxscript"])
def test_onnx_is_an_extra(fitted, tmp_path, monkeypatch, missing):
    classifier, X = fitted
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"pip install \"gamo_sampler\[export\]\""):
        classifier.export(tmp_path / "a.onnx", X)
    classifier.export(tmp_path / "a.pt2", X)  # which needs neither


class Branching(nn.Module):
    """What it does depends on values: no graph does."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.dense = nn.Linear(n_in, n_out)

    def forward(self, x):
        scores = self.dense(x)
        return scores if scores.sum() > 0 else -scores


def test_networks_that_torch_cannot_export(tmp_path):
    X, y = make_rows()
    classifier = GAMOClassifier(classifier=Branching, max_iter=1, random_state=0)
    classifier.fit(X, y)
    with pytest.raises(ValueError, match=r"torch\.export cannot follow"):
        classifier.export(tmp_path / "a.pt2", X)
    assert not list(tmp_path.iterdir())


# Quiet --------------------------------------------------------------------


@pytest.mark.parametrize("suffix", FORMATS)
def test_nothing_is_printed_and_filters_stay(fitted, tmp_path, capfd, suffix):
    classifier, X = fitted
    shown, before = [], list(warnings.filters)
    handler = logging.Handler()
    handler.emit = shown.append
    logger = logging.getLogger(LOGGER)
    logger.addHandler(handler)
    classifier.export(tmp_path / f"a{suffix}", X)  # a warning would be an error
    assert not shown
    assert capfd.readouterr() == ("", "")
    logger.warning("something else")
    logger.removeHandler(handler)
    assert [record.getMessage() for record in shown] == ["something else"]
    assert warnings.filters == before
    assert not logger.filters


class Warns(nn.Linear):
    def forward(self, x):
        warnings.warn("mind the gap", stacklevel=1)
        return super().forward(x)


def test_warnings_of_own_networks_are_seen(tmp_path):
    X, y = make_rows()
    classifier = GAMOClassifier(classifier=Warns, max_iter=1, random_state=0)
    with pytest.warns(UserWarning, match="mind the gap"):
        classifier.fit(X, y)
    with pytest.warns(UserWarning, match="mind the gap"):
        classifier.export(tmp_path / "a.pt2", X)


def test_in_any_mode_of_torch(fitted, tmp_path):
    classifier, X = fitted
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode():
            classifier.export(tmp_path / "a.pt2", X)
    finally:
        torch.set_default_dtype(before)
    program = torch.export.load(tmp_path / "a.pt2").module()
    found = program(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(found, classifier.predict_proba(X), rtol=0, atol=1e-5)
