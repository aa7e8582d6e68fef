"""Random tables and random parameters: exact results, or an error that says why not."""

import re
import tempfile
import warnings
from collections import Counter
from itertools import count
from numbers import Integral
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imblearn.utils import check_sampling_strategy
from scipy.sparse import csr_array, issparse
from sklearn.utils._param_validation import (
    Interval,
    StrOptions,
    make_constraint,
)

from gamo_sampler import GAMOClassifier, GAMOSampler
from gamo_sampler.exceptions import TrainingWarning

# Parameters ---------------------------------------------------------------------


def by_constraint(constraint):
    """A strategy for small values that satisfy it, or None where it does not tell."""
    if constraint is None:
        return st.none()
    if constraint == "boolean":
        return st.booleans()
    if isinstance(constraint, StrOptions):
        return st.sampled_from(sorted(constraint.options))
    if not isinstance(constraint, Interval) or constraint.left is None:
        return None
    left, right = constraint.left, constraint.right
    right = left + 4 if right is None else right
    if constraint.type is Integral:
        return st.integers(left, right)
    return st.floats(left, right, width=32).filter(
        make_constraint(constraint).is_satisfied_by
    )


def linear(n_in, n_out):
    """A network as users build them, which draws from torch's process-wide RNG."""
    return torch.nn.Sequential(torch.nn.Dropout(0.1), torch.nn.Linear(n_in, n_out))


def of_labels(values):
    """Strategy of mappings of some of the table's labels to values."""
    return lambda table: st.dictionaries(
        st.sampled_from(list(np.unique(table.labels))), values, min_size=1
    )


def strategies(table):
    names = by_constraint(GAMOClassifier._parameter_constraints["sampling_strategy"][1])
    counts = {label: n + 3 for label, n in table.counts().items()}
    return names | st.floats(0.25, 1) | st.just(counts) | st.just(lambda y: counts)


FOLDER = tempfile.TemporaryDirectory()
NUMBERS = count()


def new_file():
    """Each fit needs a file of its own."""
    return Path(FOLDER.name) / f"{next(NUMBERS)}.checkpoint"


def follow(view):
    assert view.record["epoch"] == view.epoch == len(view.history)


def end(view):
    return True


# Where the constraint does not tell, or lets through what only asks for trouble.
DRAWN_BY_HAND = {
    "generator": st.sampled_from(["convex"] * 4 + ["unconstrained", linear]),
    "discriminator": st.sampled_from(["auto", "auto", None, linear]),
    "classifier": st.sampled_from(["auto", "auto", linear]),
    "feature_extractor": st.sampled_from([None] * 5 + ["conv", linear]),
    "image_shape": lambda table: st.sampled_from(
        [None, None, (1, 1, table.n_features)]
    ),
    "class_weight": lambda table: (
        st.none() | st.just("balanced") | of_labels(st.floats(0.25, 4))(table)
    ),
    "sampling_strategy": strategies,
    "hidden_layer_sizes": st.lists(st.integers(1, 8), min_size=1, max_size=2),
    "learning_rate": st.floats(1e-6, 0.1),
    "epsilon": st.floats(1e-10, 1e-2),  # less is 0 in float32
    "max_weight": st.sampled_from([1.0, 1.0, 0.75]),
    "min_sources": st.sampled_from([1.0, 1.0, 1.5]),
    "scoring": st.sampled_from([None, "balanced_accuracy", "neg_log_loss"]),
    "callbacks": st.sampled_from([None, [], [follow], (follow, end)]),
    "checkpoint": st.none() | st.builds(new_file) | st.builds(new_file).map(str),
    "verbose": st.just(0),
    "random_state": st.integers(0, 2**32 - 1),
    "device": st.just("cpu"),
    "categorical_features": st.just("auto"),  # the mixed tables draw it
}


def is_drawn(name, constraints):
    return name in DRAWN_BY_HAND or None not in map(by_constraint, constraints)


@pytest.mark.parametrize("cls", [GAMOClassifier, GAMOSampler])
def test_every_parameter_is_drawn(cls):
    constraints = cls._parameter_constraints
    assert [name for name in constraints if not is_drawn(name, constraints[name])] == []


@st.composite
def parameters(draw, cls, table, **fixed):
    """A third of the parameters, the rest by default, but for a small game."""
    chosen = {"max_iter": 1, "max_rounds": 2, "random_state": 0, "latent_dim": 3}
    chosen["hidden_layer_sizes"] = (4,)
    constraints = cls._parameter_constraints
    names = [name for name in sorted(constraints) if name not in fixed]
    for name in draw(st.lists(st.sampled_from(names), unique=True, max_size=14)):
        strategy = DRAWN_BY_HAND.get(name)
        if strategy is None:
            strategy = st.one_of(*map(by_constraint, constraints[name]))
        chosen[name] = draw(strategy(table) if callable(strategy) else strategy)
    chosen["max_iter"] = min(chosen["max_iter"], 2)
    return chosen | fixed


# Tables -------------------------------------------------------------------------

DTYPES = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
DTYPES += ["bool", "object", "float16", "float32", "float32", *["float64"] * 4]
DAY = np.datetime64("2024-02-28")
LABELS = {
    "int": lambda k: k,
    "negative": lambda k: -3 * k,
    "float": lambda k: 2.0 * k - 7,
    "str": lambda k: f"class {k}",
    "bool": lambda k: k == 1,
    "date": lambda k: DAY + k,
    "bytes": lambda k: b"%d" % k,
    "uint8": np.uint8,
}


class Example:
    """A table as a user gives it, and what it says."""

    def __init__(self, values, labels, X, y):
        self.values, self.labels, self.X, self.y = values, labels, X, y
        self.n_features = values.shape[1]

    def __repr__(self):
        return (
            f"{type(self.X).__name__} of {self.values.shape} {self.values.dtype}, "
            f"{Counter(self.labels.tolist())}:\n{self.values[:10]!r}"
        )

    def counts(self):
        labels, counts = np.unique(self.labels, return_counts=True)
        return dict(zip(labels, counts.tolist(), strict=True))


@st.composite
def class_sizes(draw):
    kind = draw(st.sampled_from(["few", "few", "few", "many", "extreme", "one"]))
    if kind == "many":  # up to 60 classes
        return draw(st.lists(st.integers(1, 3), min_size=5, max_size=60))
    if kind == "extreme":
        return [draw(st.sampled_from([500, 5000])), draw(st.integers(1, 2))]
    if kind == "one":
        return [draw(st.integers(1, 5))]
    return draw(st.lists(st.integers(1, 25), min_size=2, max_size=5))


@st.composite
def columns(draw, y, dtype, rng):
    """(n,) numbers: spread or not, of any size that the dtype can hold."""
    n = len(y)
    kind = draw(st.sampled_from(["normal", "normal", "constant", "few", "by class"]))
    column = {
        "normal": rng.normal(size=n),
        "constant": np.full(n, rng.normal()),
        "few": rng.integers(-1, 2, n).astype(float),
        "by class": rng.normal(size=y.max() + 1)[y],
    }[kind]
    if np.dtype(dtype).kind in "biu":
        return column * 10
    most = 3 if dtype == "float16" else 30
    scale = draw(st.sampled_from([0, 0, 0, most, -most, 8]))
    offset = draw(st.sampled_from([0, 0, 1e3 if dtype == "float16" else 1e9]))
    return column * 10.0 ** min(scale, most) + offset


@st.composite
def labelled(draw):
    """Labels of some kind, and class indices, (n,)."""
    sizes = draw(class_sizes())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    y = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    kinds = [k for k in LABELS if k != "bool" or len(sizes) <= 2]
    label = LABELS[draw(st.sampled_from(kinds))]
    return np.array([label(k) for k in y]), y, rng


@st.composite
def tables(draw):
    """Examples of dense numbers."""
    labels, y, rng = draw(labelled())
    dtype = draw(st.sampled_from(DTYPES))
    d = draw(st.integers(1, 2 if len(y) > 400 else 6))
    values = np.stack([draw(columns(y, dtype, rng)) for _ in range(d)], 1)
    if np.dtype(dtype).kind == "u":
        values = np.abs(values)
    if draw(st.booleans()):  # duplicates
        values = values[rng.integers(0, len(y), len(y))]
    values = values > 0 if dtype == "bool" else values.astype(dtype)
    X = laid_out(values, draw(st.sampled_from(LAYOUTS)))
    return Example(values, labels, X, draw(labels_as(labels)))


LAYOUTS = ["C", "F", "strided", "backwards", "read-only", "list", "pandas", "polars"]


def laid_out(values, layout):
    if layout == "list":
        return values.tolist()
    if layout == "pandas":
        return pd.DataFrame(values).add_prefix("x")
    if layout == "polars" and values.dtype not in (np.float16, object):
        return pl.DataFrame({f"x{i}": column for i, column in enumerate(values.T)})
    if layout == "strided":
        return np.repeat(np.repeat(values, 2, 0), 3, 1)[::2, ::3]
    X = values[::-1].copy()[::-1] if layout == "backwards" else values.copy()
    X = np.asfortranarray(X) if layout == "F" else X
    X.flags.writeable = layout != "read-only"
    return X


def labels_as(labels):
    kinds = [labels.copy(), labels.tolist(), pd.Series(labels, name="label")]
    if labels.dtype.kind == "M":
        kinds.pop(1)  # dates of Python are the other kind
    return st.sampled_from(kinds)


@st.composite
def mixed(draw):
    """Examples of categories, dates, flags and missing values, or of sparse numbers."""
    labels, y, rng = draw(labelled())
    n = len(y)
    if draw(st.integers(0, 4)) == 0:
        values = np.where(rng.random((n, 3)) < 0.7, 0, rng.normal(size=(n, 3)))
        return Example(values, labels, csr_array(values), labels)
    holes = rng.random(n) < draw(st.sampled_from([0, 0.3, 1]))
    numbers = np.where(holes, np.nan, rng.normal(size=n))
    data = {
        "number": numbers,
        "whole": rng.integers(-5, 5, n),
        "text": rng.choice(["a", "b", "c"], n),
        "flag": rng.random(n) < 0.5,
        "level": pd.Categorical(rng.choice(["low", "high"], n)),
        "date": (DAY + rng.integers(0, 900, n)).astype("datetime64[us]"),
        "object": np.where(holes, None, rng.choice(["x", "y"], n)),
    }
    names = draw(st.lists(st.sampled_from(sorted(data)), min_size=1, unique=True))
    frame = pd.DataFrame({name: data[name] for name in names})
    X = pl.from_pandas(frame) if draw(st.booleans()) else frame
    return Example(frame.to_numpy(dtype=object), labels, X, labels)


# What may be refused ------------------------------------------------------------

ALLOWED = [
    # Data that nobody can learn from, in scikit-learn's and imbalanced-learn's words.
    r"a minimum of 2 is required",  # one row
    r"needs to have more than 1 class\. Got 1 class",
    r"labels represented as bytes is not supported",
    # Parameters that contradict each other, or ask of the data what it has not.
    r"^sampling_strategy=[\d.]+ asks for \d+ rows per class, but the smallest",
    r"are for the weights of generator='convex'",
    r"^max_weight=.* need rows made of \d+ or more, but those of class",
    r"^Sparse rows, categories and missing values are mixed by weights",
    r"^early_stopping needs a class with at least 2 rows to validate on",
    r"^resume=True needs a checkpoint",
    r"^checkpoint=.* is for a fit from the start, but warm_start=True",
    # In scikit-learn's: the log-loss needs all classes among the rows held out.
    r"^y_true and y_prob contain different number of classes",
    r"^y_true contains only one label",
    # Tables that are to be told more about.
    r"^Input X contains NaN: it has missing values.* missing='propagate'",
    r"^Column '\w+' has values that are no numbers.*Name it in categorical_features",
]


def refusal(error):
    text = str(error)
    return any(re.search(pattern, text, re.S) for pattern in ALLOWED)


def attempt(call):
    """What the call gives, or None where it is refused as it should be."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", TrainingWarning)
            for pattern in WARNINGS:
                warnings.filterwarnings("ignore", pattern)
            return call()
    except (ValueError, TypeError, MemoryError) as error:
        if refusal(error):
            return None
        raise


WARNINGS = [
    "No class is below the size",
    ".* Going back to the end of epoch",
    "Class .* has one row to learn from",
    "Classes .* have one row each",
    # scikit-learn's
    "The number of unique classes is greater than 50%",
    "y_pred contains classes not in y_true",  # those of one row are not held out
]

# Properties ---------------------------------------------------------------------


def as_given(X):
    """A copy to compare with, whatever X is."""
    if isinstance(X, pl.DataFrame):
        return X.to_pandas()
    if issparse(X):
        return pd.DataFrame(X.toarray())
    return pd.DataFrame(X).copy()


def first_rows(X, n):
    if isinstance(X, list):
        return X[:n]
    return X.iloc[:n] if hasattr(X, "iloc") else X[:n]


def wanted(strategy, counts, labels):
    """Rows to generate per label."""
    if isinstance(strategy, float | int):
        size = round(strategy * max(counts.values()))
        return {label: max(size - n, 0) for label, n in counts.items()}
    given = check_sampling_strategy(strategy, labels, "over-sampling")
    return {label: given.get(label, 0) for label in counts}


def assert_in_hull(example, X_new, y_new, weights):
    """Mixtures of rows of the class: within its range, and what the weights give."""
    assert (weights.data >= 0).all()
    np.testing.assert_allclose(weights.sum(1), 1, rtol=0, atol=1e-6)
    rows = example.values.astype(float)
    mixed, size = weights @ rows, weights @ np.abs(rows)
    new = np.asarray(X_new).astype(float)
    dtype = example.values.dtype
    exact = dtype.kind in "fO"
    eps = np.finfo(dtype if dtype.kind == "f" else float).eps
    # Rounding is to the nearest integer, or bool, for which half a step is allowed.
    slack = 16 * eps * size + (0 if exact else 0.5)
    assert (
        np.abs(new - mixed) <= slack + np.finfo(np.float16).tiny * (eps > 1e-4)
    ).all()
    for label in np.unique(y_new):
        own, made = rows[example.labels == label], new[y_new == label]
        assert (made >= own.min(0)).all()
        assert (made <= own.max(0)).all()
    sources = weights.tocoo()
    assert (example.labels[sources.col] == y_new[sources.row]).all()


def assert_resampled(example, strategy, X_out, y_out):
    """Original rows first and untouched, as many generated ones as are asked for."""
    n = len(example.labels)
    first, given = as_given(first_rows(X_out, n)), as_given(example.X)
    if isinstance(example.X, np.ndarray) and example.X.dtype.kind == "O":
        given = given.astype(float)  # as scikit-learn reads it
    pd.testing.assert_frame_equal(first, given, check_index_type=False)
    y_out = np.asarray(y_out)
    assert (y_out[:n] == example.labels).all()
    counts = example.counts()
    found = {label: int((y_out[n:] == label).sum()) for label in counts}
    assert found == wanted(strategy, counts, example.labels)


def classifiers(data):
    example = data.draw(tables())
    model = GAMOClassifier(**data.draw(parameters(GAMOClassifier, example)))
    before = as_given(example.X)
    if attempt(lambda: model.fit(example.X, example.y)) is None:
        return
    pd.testing.assert_frame_equal(as_given(example.X), before)
    p = model.predict_proba(example.X)
    assert p.shape == (len(example.labels), len(np.unique(example.labels)))
    np.testing.assert_allclose(p.sum(1), 1)
    assert ((p >= 0) & (p <= 1)).all()
    assert (model.predict(example.X) == model.classes_[p.argmax(1)]).all()
    for record in model.history_:  # numbers, and lists of them by class
        assert np.isfinite(np.hstack(list(record.values()))).all()
    made = model._pool is not None and attempt(lambda: model.sample(5))
    if made:
        assert np.isfinite(made[0]).all()
        assert np.isin(made[1], example.labels).all()


def samplers(data):
    example = data.draw(tables())
    chosen = data.draw(parameters(GAMOSampler, example))
    sampler, before = GAMOSampler(**chosen), as_given(example.X)
    resampled = attempt(lambda: sampler.fit_resample(example.X, example.y))
    if resampled is None:
        return
    X_out, y_out = resampled
    assert type(X_out) is type(example.X) or sampler.feature_extractor is not None
    assert type(y_out) is type(example.y)
    pd.testing.assert_frame_equal(as_given(example.X), before)
    X_new = np.asarray(X_out)[len(example.labels) :]
    y_new = np.asarray(y_out)[len(example.labels) :]
    assert np.isfinite(X_new.astype(float)).all()
    if sampler.feature_extractor is not None:
        return
    assert_resampled(example, sampler.sampling_strategy, X_out, y_out)
    if sampler.generator == "convex":
        assert_in_hull(example, X_new, y_new, sampler.provenance_)


def mixed_tables(data):
    example = data.draw(mixed())
    fixed = {"feature_extractor": None, "generator": "convex", "image_shape": None}
    if not issparse(example.X):
        names = list(example.X.columns)
        text = [name for name in names if name in ("text", "level", "object")]
        some = st.lists(st.sampled_from(names), unique=True)
        kinds = st.just("auto") | some.map(lambda more: sorted({*text, *more})) | some
        fixed["categorical_features"] = data.draw(kinds)
        fixed["missing"] = data.draw(st.sampled_from(["propagate"] * 3 + ["error"]))
    chosen = data.draw(parameters(GAMOSampler, example, **fixed))
    sampler, before = GAMOSampler(**chosen), as_given(example.X)
    resampled = attempt(lambda: sampler.fit_resample(example.X, example.y))
    if resampled is None:
        return
    X_out, y_out = resampled
    assert type(X_out) is type(example.X)
    pd.testing.assert_frame_equal(as_given(example.X), before)
    assert_resampled(example, sampler.sampling_strategy, X_out, y_out)
    n = len(example.labels)
    assert_of_the_class(example, as_given(X_out)[n:], np.asarray(y_out)[n:])


def assert_of_the_class(example, X_new, y_new):
    """In each column within the range of the class, and of its categories."""
    old = as_given(example.X)
    assert (X_new.dtypes == old.dtypes).all()
    for label in np.unique(y_new):
        own, made = old[example.labels == label], X_new[y_new == label]
        for name in old.columns:
            column, values = own[name], made[name].dropna()
            assert column.isna().any() or len(values) == len(made)
            if column.dtype.kind in "iufM":
                assert values.between(column.min(), column.max()).all()
            else:
                assert values.isin(column).all()


def fuzz(check, n):
    @settings(
        max_examples=n,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],  # where the machine is busy
    )
    @given(st.data())
    def test(data):
        check(data)

    return test


test_classifiers = fuzz(classifiers, 40)
test_samplers = fuzz(samplers, 50)
test_mixed_tables = fuzz(mixed_tables, 30)
test_many_classifiers = pytest.mark.slow(fuzz(classifiers, 800))
test_many_samplers = pytest.mark.slow(fuzz(samplers, 800))
test_many_mixed_tables = pytest.mark.slow(fuzz(mixed_tables, 600))
