"""Estimators go to files and come back the same, and other files are refused."""

import copy
import json
import os
import pathlib
import pickle
import subprocess
import sys
from datetime import date

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
import sklearn
import torch
from scipy.optimize import LinearConstraint
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import balanced_accuracy_score, make_scorer
from torch import nn

import gamo_sampler
from gamo_sampler import (
    GAMO2Pix,
    GAMOClassifier,
    GAMOFeatures,
    GAMOSampler,
    _persistence,
    load,
)
from gamo_sampler._persistence import read_file, write_file
from gamo_sampler._saving import KIND
from gamo_sampler.baselines import AugmentationSampler, CGANSampler, DOSClassifier

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).round(3)
Y = np.arange(60) % 5 // 4 + (np.arange(60) % 20 == 19)  # 48, 9 and 3 rows
IMAGES = RNG.uniform(size=(40, 8, 8)).round(2)
DIGITS = np.repeat([0, 1], [30, 10])
QUICK = {"random_state": 0, "max_iter": 2}


def again(estimator, path, **builders):
    estimator.save(path)
    return load(path, **builders)


def bits(value):
    """What tells two results apart, with their types."""
    if isinstance(value, tuple | list):
        return [type(value), *map(bits, value)]
    if isinstance(value, dict):
        return [type(value), *map(bits, value.items())]
    if scipy.sparse.issparse(value):
        rows = value.tocsr()
        return type(value), *map(bits, (rows.data, rows.indices, rows.indptr))
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.dtype, value.shape, value.tobytes()
    if isinstance(value, pd.DataFrame | pd.Series):
        kinds = [value.dtypes.tolist()] if value.ndim > 1 else [value.dtype]
        names = [value.columns.tolist()] if value.ndim > 1 else [value.name]
        return repr(value.to_numpy(dtype=object).tolist()), *kinds, *names
    if isinstance(value, pl.DataFrame | pl.Series):
        return str(value.to_arrow()), getattr(value, "schema", None)
    if isinstance(value, pa.Table | pa.ChunkedArray):
        return str(value.to_pylist()), str(getattr(value, "schema", None))
    if isinstance(value, torch.Tensor):
        return bits(value.numpy())
    return type(value), repr(value)


def everything(estimator, X):
    """What a fitted estimator can do, of which sampling comes twice."""
    yield estimator.history_ if hasattr(estimator, "history_") else None
    for name in ("predict_proba", "predict", "extract_features", "transform"):
        if hasattr(estimator, name):
            yield getattr(estimator, name)(X)
    for _ in range(2):
        if hasattr(estimator, "sample"):
            yield estimator.sample(7)
    if hasattr(estimator, "provenance_"):
        yield from from_weights(estimator)


def from_weights(sampler):
    n_generated, n = sampler.provenance_.shape
    yield sampler.provenance_
    yield sampler.explain(n + n_generated - 1).to_numpy()
    yield sampler.carry(np.arange(n))
    yield sampler.affected_by([0, n - 1])
    if isinstance(sampler, GAMOSampler):
        yield dict(sampler.audit())
        yield sampler.recipe_.weights
        yield sampler.sample(3, random_state=5, return_weights=True)
        yield sampler.sampling_strategy_
        yield sampler.withdraw([n - 1])
        yield sampler.sample(5)


def assert_same(a, b, X):
    pairs = zip(everything(a, X), everything(b, X), strict=True)
    for one, other in pairs:
        assert bits(one) == bits(other)
    fitted = set(vars(a))
    assert fitted == set(vars(b))
    assert all(type(vars(a)[name]) is type(vars(b)[name]) for name in fitted)
    params = [{**e.get_params(deep=False), "random_state": 0} for e in (a, b)]
    assert str(params[0]) == str(params[1])


GAMES = {
    "default": {},
    "neighbors": {"neighborhood": 4},
    "full hull": {"neighborhood": None},
    "unconstrained": {"generator": "unconstrained"},
    "features": {"feature_extractor": "conv", "hidden_layer_sizes": (7, 5)},
    "features' average": {"feature_extractor": "conv", "weight_averaging": 0.9},
    "no discriminator": {"discriminator": None, "hidden_layer_sizes": [6]},
    "average": {"weight_averaging": 0.9},
    "stopped": {"early_stopping": True, "scoring": "balanced_accuracy"},
    "limits": {"max_sources": 2, "max_weight": 0.8},
    "strategy": {"sampling_strategy": {1: 12}, "class_weight": {0: 1.0, 2: 2.5}},
}


@pytest.mark.filterwarnings("ignore:Classes .* have one row each")
@pytest.mark.parametrize("game", GAMES.values(), ids=GAMES)
def test_sampler(tmp_path, game):
    sampler = GAMOSampler(**QUICK, **game)
    sampler.fit_resample(X, Y)
    assert_same(sampler, again(sampler, tmp_path / "file"), X)


@pytest.mark.parametrize("game", GAMES.values(), ids=GAMES)
def test_classifier(tmp_path, game):
    classifier = GAMOClassifier(**QUICK, **game).fit(X, Y)
    loaded = again(classifier, tmp_path / "file")
    assert_same(classifier, loaded, X)
    for prior in ("training", "uniform"):
        values = (c.predict_proba(X, prior=prior) for c in (classifier, loaded))
        assert bits(next(values)) == bits(next(values))


@pytest.mark.parametrize("images", [IMAGES, IMAGES[:, None], IMAGES.reshape(40, 64)])
def test_images(tmp_path, images):
    classifier = GAMOClassifier(
        feature_extractor="conv", image_shape=(1, 8, 8), **QUICK
    ).fit(images, DIGITS)
    loaded = again(classifier, tmp_path / "file")
    first = classifier.feature_extractor_[1][0].weight
    assert loaded.feature_extractor_[1][0].weight.stride() == first.stride()
    assert_same(classifier, loaded, images)


@pytest.mark.parametrize("decoder", ["shared", "per_class"])
@pytest.mark.parametrize("images", [IMAGES, (255 * IMAGES).astype(np.uint8)])
def test_images_from_features(tmp_path, decoder, images):
    game = GAMOClassifier(feature_extractor="conv", max_iter=2)
    sampler = GAMO2Pix(game, decoder=decoder, max_rounds=4, random_state=0)
    sampler.fit_resample(images, DIGITS)
    loaded = again(sampler, tmp_path / "file")
    assert bits(sampler.reconstruct(images)) == bits(loaded.reconstruct(images))
    assert_same(sampler, loaded, images)


def test_images_of_rows_that_are_none(tmp_path):
    game = GAMOClassifier(feature_extractor="conv", max_iter=2)
    sampler = GAMO2Pix(game, max_rounds=4, random_state=0).fit(X, Y > 0)
    assert_same(sampler, again(sampler, tmp_path / "file"), X)


def test_features(tmp_path):
    game = GAMOClassifier(feature_extractor="conv", **QUICK)
    features = GAMOFeatures(game).fit(IMAGES, DIGITS)
    features.set_output(transform="pandas")
    loaded = again(features, tmp_path / "file")
    assert bits(features.transform(IMAGES)) == bits(loaded.transform(IMAGES))
    names = loaded.get_feature_names_out()
    assert names.tolist() == features.get_feature_names_out().tolist()


@pytest.mark.parametrize("frozen", [False, True])
def test_a_game_that_came_fitted_is_stored_once(tmp_path, frozen):
    game = GAMOClassifier(feature_extractor="conv", **QUICK).fit(IMAGES, DIGITS)
    given = FrozenEstimator(game) if frozen else game
    features = GAMOFeatures(given, prefit=not frozen).fit(IMAGES, DIGITS)
    loaded = again(features, tmp_path / "file")
    own = loaded.classifier.estimator if frozen else loaded.classifier
    assert own is loaded.classifier_
    assert_same(features, loaded, IMAGES)


def test_the_fit_can_be_repeated(tmp_path):
    """Parameters come back as what they were."""
    sampler = GAMOSampler(**QUICK, device=torch.device("cpu"))
    resampled, _ = sampler.fit_resample(X, Y)
    loaded = again(sampler, tmp_path / "file")
    assert bits(loaded.fit_resample(X, Y)[0]) == bits(resampled)


def test_a_random_state_goes_on_where_it_was(tmp_path):
    sampler = GAMOSampler(random_state=np.random.RandomState(3), max_iter=1)
    sampler.fit_resample(X, Y)
    sampler._random_state.normal()  # of which it keeps another one
    loaded = again(sampler, tmp_path / "file")
    assert loaded.random_state is loaded._random_state
    assert loaded.random_state.normal() == sampler.random_state.normal()
    assert_same(sampler, loaded, X)


def test_another_bit_generator_is_refused_by_name(tmp_path):
    random_state = np.random.RandomState(np.random.PCG64(0))
    sampler = GAMOSampler(random_state=random_state, max_iter=1)
    sampler.fit_resample(X, Y)
    with pytest.raises(ValueError, match="random_state is a RandomState on PCG64"):
        sampler.save(tmp_path / "file")
    assert os.listdir(tmp_path) == []


def test_nothing_was_generated(tmp_path):
    sampler = GAMOSampler(**QUICK)
    with pytest.warns(UserWarning, match="nothing is generated"):
        sampler.fit_resample(X[:20], np.arange(20) % 2)
    loaded = again(sampler, tmp_path / "file")
    with pytest.raises(ValueError, match="Nothing to sample"):
        loaded.sample(1)
    classifier = GAMOClassifier(generator=None, **QUICK).fit(X, Y)
    assert bits(again(classifier, tmp_path / "file").predict_proba(X)) == bits(
        classifier.predict_proba(X)
    )
    only = GAMOClassifier(**QUICK).fit(X, np.zeros(60))
    assert again(only, tmp_path / "file").predict(X).tolist() == [0] * 60


KINDS_OF_G = [{"neighborhood": k} for k in (None, "class", 3)]
KINDS_OF_G += [{"generator": "unconstrained"}]


@pytest.mark.parametrize("game", KINDS_OF_G)
def test_after_a_batch_that_generates_nothing(tmp_path, game):
    """The generator of the batch before waits for the next one, also in the file."""
    classifier = GAMOClassifier(latent_dim=5, random_state=0, **game)
    classifier.partial_fit(X, Y, classes=[0, 1, 2])
    for rows in (Y == 0, Y == 0):
        classifier.partial_fit(X[rows], Y[rows])
    loaded = again(again(classifier, tmp_path / "file"), tmp_path / "file")
    for estimator in (classifier, loaded):
        estimator.partial_fit(X, Y)
    assert_same(classifier, loaded, X)


def break_off(view):
    raise RuntimeError("broken off")


@pytest.mark.parametrize("before", ["nothing", "a fit"])
@pytest.mark.parametrize("cause", ["training", "labels", "groups"])
def test_a_resampling_that_failed_is_not_saved(tmp_path, before, cause):
    sampler = GAMOSampler(**QUICK)
    if before == "a fit":
        sampler.fit_resample(X, Y)
    wrong = {"training": {}, "labels": {"y": Y[:-1]}, "groups": {"groups": [1]}}[cause]
    sampler.set_params(callbacks=[break_off])
    with pytest.raises((RuntimeError, ValueError)):
        sampler.fit_resample(**{"X": X, "y": Y} | wrong)
    sampler.set_params(callbacks=None)
    for use in (lambda: sampler.save(tmp_path / "file"), lambda: sampler.sample(3)):
        with pytest.raises(NotFittedError):
            use()
    assert os.listdir(tmp_path) == []
    sampler.fit_resample(X, Y)
    assert_same(sampler, again(sampler, tmp_path / "file"), X)


def test_images_of_a_fit_that_failed_are_not_saved(tmp_path):
    game = GAMOClassifier(feature_extractor="conv", max_iter=2)
    sampler = GAMO2Pix(game, max_rounds=2, random_state=0).fit(IMAGES, DIGITS)
    game.callbacks = [break_off]
    for fit in (sampler.fit, sampler.fit_resample):
        with pytest.raises(RuntimeError, match="broken off"):
            fit(IMAGES, DIGITS)
        with pytest.raises(NotFittedError):
            sampler.save(tmp_path / "file")
    assert os.listdir(tmp_path) == []
    game.callbacks = None
    with pytest.warns(UserWarning, match="nothing is generated"):
        sampler.set_params(sampling_strategy={}).fit_resample(IMAGES, DIGITS)
    assert again(sampler, tmp_path / "file").provenance_.shape == (0, 40)


def test_only_checked(tmp_path):
    sampler = GAMOSampler().fit(X, Y)
    loaded = again(sampler, tmp_path / "file")
    assert loaded.sampling_strategy_ == sampler.sampling_strategy_
    with pytest.raises(NotFittedError):
        loaded.sample(1)


@pytest.mark.parametrize(
    "estimator", [GAMOClassifier(), GAMOSampler(), GAMO2Pix(), GAMOFeatures()]
)
def test_not_fitted(tmp_path, estimator):
    with pytest.raises(NotFittedError):
        estimator.save(tmp_path / "file")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("neighborhood", ["class", 9, None])  # of 9 rows at most
@pytest.mark.parametrize("gone", [[4, 9], [19, 39], [19, 39, 59], np.flatnonzero(Y)])
def test_after_rows_were_withdrawn(tmp_path, neighborhood, gone):
    sampler = GAMOSampler(neighborhood=neighborhood, **QUICK)
    sampler.fit_resample(X, Y)
    sampler.withdraw(gone)
    loaded = again(sampler, tmp_path / "file")
    if np.size(gone) > 3:
        with pytest.raises(ValueError, match="withdrawn"):
            loaded.sample(1)
    else:
        assert bits(sampler.sample(9)) == bits(loaded.sample(9))
        assert bits(sampler.withdraw([0])) == bits(loaded.withdraw([0]))


@pytest.mark.filterwarnings("ignore:3 of the 12 rows")
def test_groups(tmp_path):
    sampler = GAMOSampler(neighborhood=3, **QUICK)
    sampler.fit_resample(X, Y, groups=np.arange(60) // 20)
    assert_same(sampler, again(sampler, tmp_path / "file"), X)


def test_metadata_requests(tmp_path):
    with sklearn.config_context(enable_metadata_routing=True):
        sampler = GAMOSampler(**QUICK).set_fit_resample_request(groups="patient")
        sampler.fit(X, Y)
        loaded = again(sampler, tmp_path / "file")
        asked = loaded.get_metadata_routing().fit_resample.requests
    assert asked == {"groups": "patient"}


def test_rows_in_the_order_of_columns(tmp_path):
    rows = np.asfortranarray(X.astype(np.float32))
    sampler = GAMOSampler(**QUICK, neighborhood=None)
    sampler.fit_resample(rows, Y)
    loaded = again(sampler, tmp_path / "file")
    assert loaded._pool.stride() == sampler._pool.stride()
    assert_same(sampler, loaded, rows)


# Labels and tables ----------------------------------------------------------------

LABELS = {
    "int": np.array([3, -1, 2**62]),
    "int8": np.array([3, -1, 2], dtype=np.int8),
    "float": np.array([-1.0, 1.0, 2.0], dtype=np.float32),
    "bool": np.array([True, False, False]),
    "text": np.array(["a", "é \u2603", "ccc"]),
    "objects": np.array(["a", "é", "ccc"], dtype=object),
    "dates": np.array(["2024-01-01", "2024-05-05", "NaT"], dtype="M8[D]")[[0, 1, 1]],
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels(tmp_path, labels):
    y = labels[Y]
    sampler = GAMOSampler(**QUICK)
    sampler.fit_resample(X, y)
    assert_same(sampler, again(sampler, tmp_path / "file"), X)
    classifier = GAMOClassifier(**QUICK).fit(X, y)
    loaded = again(classifier, tmp_path / "file")
    assert bits(loaded.classes_) == bits(classifier.classes_)
    assert_same(classifier, loaded, X)


@pytest.mark.parametrize(
    "y",
    [Y.tolist(), pd.Series(Y, name="t", index=range(60, 120)), pl.Series("t", Y)],
    ids=["list", "pandas", "polars"],
)
def test_kinds_of_y(tmp_path, y):
    sampler = GAMOSampler(**QUICK)
    sampler.fit_resample(X, y)
    loaded = again(sampler, tmp_path / "file")
    assert bits(loaded.sample(5)) == bits(sampler.sample(5))


def pandas_table():
    rng = np.random.default_rng(1)
    words = rng.choice(["a", "b", None], 60)
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(60), "D")
    return pd.DataFrame(
        {
            "float": X[:, 0],
            "int8": rng.integers(0, 9, 60).astype(np.int8),
            "bool": rng.integers(0, 2, 60).astype(bool),
            "Int64": pd.array([None, *range(59)], dtype="Int64"),
            "Float32": pd.array(X[:, 1], dtype="Float32"),
            "boolean": pd.array([None, *(np.arange(59) % 2 == 0)], dtype="boolean"),
            "object": np.array(words, dtype=object),
            "str": pd.Series(words, dtype="str"),
            "string": pd.array(words, dtype=pd.StringDtype("python")),
            "levels": pd.Categorical(words, ["b", "a", "never"], ordered=True),
            "bins": pd.cut(X[:, 2], 3),
            "day": days,
            "zone": days.tz_localize("Europe/Paris"),
            "span": pd.to_timedelta(np.arange(60), "h"),
            "arrow": pd.array(X[:, 3], dtype=pd.ArrowDtype(pa.float64())),
        }
    )


TABLES = {
    "pandas": pandas_table(),
    "pandas, other labels": pandas_table().set_axis(
        pd.MultiIndex.from_product([["x", "y"], range(30)], names=["a", None])
    ),
    "polars": pl.DataFrame(
        {
            "int": np.arange(60),
            "float": X[:, 0],
            "word": list("abc") * 20,
            "category": pl.Series(list("abc") * 20, dtype=pl.Categorical),
            "enum": pl.Series(list("abc") * 20, dtype=pl.Enum(["c", "b", "a"])),
            "day": pl.Series(range(60)).cast(pl.Date),
            "time": pl.Series(range(60)).cast(pl.Datetime("ns", "UTC")),
        }
    ),
    "arrow": pa.table(
        {
            "int": pa.array(range(60), pa.int16()),
            "float": X[:, 0],
            "word": list("abc") * 20,
            "coded": pa.array(list("abc") * 20).dictionary_encode(),
            "day": pa.array(range(60), pa.int32()).cast(pa.date32()),
            "time": pa.array(range(60), pa.timestamp("us", "UTC")),
        }
    ),
    "array": np.where(X > 1.5, np.nan, X),
    "objects": np.where(X > 1.5, None, X),
}


@pytest.mark.parametrize("choice", ["vote", "block"])
def test_choices_of_categories(tmp_path, choice):
    sampler = GAMOSampler(categories=choice, missing="propagate", **QUICK)
    sampler.fit_resample(TABLES["pandas"], Y)
    loaded = again(sampler, tmp_path / "file")
    assert bits(loaded.sample(9)) == bits(sampler.sample(9))


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_mixed_tables(tmp_path, table):
    sampler = GAMOSampler(categories="draw", missing="propagate", **QUICK)
    sampler.fit_resample(table, Y)
    loaded = again(sampler, tmp_path / "file")
    line = LinearConstraint(np.eye(sampler._table.numbers()[0].shape[1]))
    assert sampler.verify(line) == loaded.verify(line)
    assert_same(sampler, loaded, table)
    assert bits(loaded.sample(9)) == bits(sampler.sample(9))
    if hasattr(table, "columns"):
        names = list(loaded.get_feature_names_out())
        assert names == list(sampler.get_feature_names_out())


def test_named_categories(tmp_path):
    codes = np.arange(60) % 3
    sampler = GAMOSampler(categorical_features=[1], **QUICK)
    sampler.fit_resample(np.column_stack([X, codes])[:, [0, 4]], Y)
    loaded = again(sampler, tmp_path / "file")
    positions = loaded.recipe_.categorical_features
    assert bits(positions) == bits(sampler.recipe_.categorical_features)
    assert_same(sampler, loaded, X[:, :2])


@pytest.mark.parametrize(
    "kind",
    [
        scipy.sparse.csr_array,
        scipy.sparse.csc_matrix,
        scipy.sparse.coo_array,
        scipy.sparse.lil_matrix,
        lambda X: pd.DataFrame.sparse.from_spmatrix(scipy.sparse.csr_array(X)),
    ],
)
def test_sparse_rows(tmp_path, kind):
    rows = kind(np.where(X > 0.5, X, 0))
    sampler = GAMOSampler(**QUICK)
    sampler.fit_resample(rows, Y)
    assert_same(sampler, again(sampler, tmp_path / "file"), rows)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "float32", "Int64", "float64"])
def test_plain_frames(tmp_path, dtype):
    frame = pd.DataFrame(X.round() ** 2, columns=list("abcd")).astype(dtype)
    sampler = GAMOSampler(**QUICK)
    sampler.fit_resample(frame, Y)
    loaded = again(sampler, tmp_path / "file")
    assert loaded.feature_names_in_.tolist() == list("abcd")
    assert_same(sampler, loaded, frame)


def test_index_goes_on(tmp_path):
    frame = pd.DataFrame(X, index=range(100, 160))
    sampler = GAMOSampler(**QUICK)
    sampler.fit_resample(frame, Y)
    loaded = again(sampler, tmp_path / "file")
    a, b = (s.sample(5)[0].index for s in (sampler, loaded))
    assert a.identical(b)


def test_labels_of_rows_are_not_stored(tmp_path):
    table = pandas_table().set_axis([f"patient {i}" for i in range(60)])
    sampler = GAMOSampler(missing="propagate", **QUICK)
    sampler.fit_resample(table, Y)
    sampler.save(tmp_path / "file")
    assert b"patient" not in (tmp_path / "file").read_bytes()


@pytest.mark.parametrize(
    ("column", "name"),
    [
        (pd.Series([date(2024, 1, 1 + i % 20) for i in range(60)]), None),
        (pd.Series([frozenset([i % 2]) for i in range(60)]), "frozenset"),
        (pd.Series([complex(i % 2) for i in range(60)], dtype=object), "complex"),
    ],
)
def test_values_of_other_types_are_refused_by_name(tmp_path, column, name):
    table = pd.DataFrame({"a": X[:, 0], "b": column})
    sampler = GAMOSampler(**QUICK)
    sampler.fit_resample(table, Y)
    if name is None:
        assert_same(sampler, again(sampler, tmp_path / "file"), table)
        return
    match = f"_table.columns.1.*{name}.* Cast column 'b' to 'string'"
    with pytest.raises(ValueError, match=match):
        sampler.save(tmp_path / "file")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("missing", ["y", None, np.nan, pd.NA, pd.NaT, np.str_("")])
def test_columns_of_objects(tmp_path, missing):
    cities = pd.Series(["x", "y", missing] * 20, dtype=object)
    table = pd.DataFrame({"a": X[:, 0], "city": cities})
    sampler = GAMOSampler(missing="propagate", **QUICK)
    sampler.fit_resample(table, Y)
    loaded = again(sampler, tmp_path / "file")
    assert_same(sampler, loaded, table)
    drawn, expected = (s.sample(30)[0]["city"] for s in (loaded, sampler))
    assert drawn.dtype == object
    assert list(map(type, drawn)) == list(map(type, expected))
    assert repr(drawn.tolist()) == repr(expected.tolist())


class Frame(pd.DataFrame):
    @property
    def _constructor(self):
        return Frame


def test_frames_of_other_types_are_refused_by_name(tmp_path):
    sampler = GAMOSampler(**QUICK)
    sampler.fit_resample(Frame(X, columns=list("abcd")), Y)
    with pytest.raises(ValueError, match=r"_templates\.0 is of type .*Frame"):
        sampler.save(tmp_path / "file")
    assert os.listdir(tmp_path) == []


# What is given again --------------------------------------------------------------


def dense(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, 5), nn.Dropout(0.2), nn.Linear(5, n_out))


class Normed(nn.Module):
    """With buffers, state that is not stored, and weights that are shared."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.norm = nn.BatchNorm1d(n_in)
        self.layer = nn.Linear(n_in, n_out)
        self.same = self.layer
        self.register_buffer("ones", torch.ones(n_out), persistent=False)

    def forward(self, x):
        return self.same(self.norm(x)) * self.ones


def level(y):
    return dict.fromkeys(np.unique(y)[1:], 20)


SCORER = make_scorer(balanced_accuracy_score)


def given():
    return {
        "classifier": Normed,
        "discriminator": dense,
        "generator": dense,
        "feature_extractor": Normed,
        "scoring": SCORER,
    }


def test_builders(tmp_path):
    classifier = GAMOClassifier(early_stopping=True, **QUICK, **given()).fit(X, Y)
    loaded = again(classifier, tmp_path / "file", **given())
    assert loaded.scoring is SCORER
    assert loaded.classifier_.same is loaded.classifier_.layer
    assert not any(p.requires_grad for p in loaded.classifier_.parameters())
    assert_same(classifier, loaded, X)


def test_a_strategy_is_given_again(tmp_path):
    sampler = GAMOSampler(sampling_strategy=level, **QUICK)
    sampler.fit_resample(X, Y > 0)
    loaded = again(sampler, tmp_path / "file", sampling_strategy=level)
    assert_same(sampler, loaded, X)


def test_forgotten_builders_are_named(tmp_path):
    path = tmp_path / "file"
    GAMOClassifier(classifier=dense, generator=dense, **QUICK).fit(X, Y).save(path)
    with pytest.raises(ValueError, match=r"classifier=\.\.\., generator=\.\.\.\."):
        load(path)
    with pytest.raises(ValueError, match=r"to load: generator=\.\.\.\.") as info:
        load(path, classifier=dense)
    assert str(path) in str(info.value)


def test_builders_too_many_are_named(tmp_path):
    path = tmp_path / "file"
    GAMOClassifier(classifier=dense, **QUICK).fit(X, Y).save(path)
    for name in ("generator", "nonsense"):
        match = f"{name} is given, but the file needs: classifier\\."
        with pytest.raises(ValueError, match=match):
            load(path, classifier=dense, **{name: dense})
    GAMOClassifier(**QUICK).fit(X, Y).save(tmp_path / "none")
    with pytest.raises(ValueError, match="the file needs: nothing"):
        load(tmp_path / "none", classifier=dense)


def test_a_misspelt_builder_is_named_first(tmp_path):
    path = tmp_path / "file"
    GAMOClassifier(classifier=dense, generator=dense, **QUICK).fit(X, Y).save(path)
    needed = "is given, but the file needs: classifier, generator"
    with pytest.raises(ValueError, match=f"loaded: clasifier {needed}"):
        load(path, clasifier=dense)
    with pytest.raises(ValueError, match=f"loaded: clasifier, genrator {needed}"):
        load(path, genrator=dense, clasifier=dense)


def test_builders_that_are_no_functions(tmp_path):
    path = tmp_path / "file"
    GAMOClassifier(classifier=dense, **QUICK).fit(X, Y).save(path)
    with pytest.raises(ValueError, match="classifier='auto' is no function"):
        load(path, classifier="auto")
    with pytest.raises(ValueError, match="no function"):
        load(path, classifier=[1, 2])


def test_another_builder_is_refused(tmp_path):
    path = tmp_path / "file"
    GAMOClassifier(classifier=dense, **QUICK).fit(X, Y).save(path)
    with pytest.raises(ValueError, match=r"classifier_ has other weights.*layer"):
        load(path, classifier=Normed)
    with pytest.raises(ValueError, match=r"must return a torch.nn.Module"):
        load(path, classifier=lambda n_in, n_out: None)


@pytest.mark.parametrize("frozen", [False, True])
def test_builders_within(tmp_path, frozen):
    game = GAMOClassifier(feature_extractor=dense, **QUICK)
    if frozen:
        game = FrozenEstimator(game.fit(X, Y))
    features = GAMOFeatures(game).fit(X, Y)
    features.save(tmp_path / "file")
    with pytest.raises(ValueError, match=r"classifier__feature_extractor=\.\.\."):
        load(tmp_path / "file")
    loaded = load(tmp_path / "file", classifier__feature_extractor=dense)
    assert_same(features, loaded, X)


class Stateful(Normed):
    def get_extra_state(self):
        return {"what": "ever"}

    def set_extra_state(self, state):
        pass


def test_networks_with_other_state_are_refused_by_name(tmp_path):
    classifier = GAMOClassifier(classifier=Stateful, **QUICK).fit(X, Y)
    with pytest.raises(ValueError, match=r"classifier_ has .*extra_state"):
        classifier.save(tmp_path / "file")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"neighborhood": 4},
        {"hidden_layer_sizes": [9]},
        {"latent_dim": 3},
        {"generator": "unconstrained"},
        {"feature_extractor": "conv"},
    ],
)
def test_parameters_that_were_changed_after_fit(tmp_path, changed):
    sampler = GAMOSampler(neighborhood=3, **QUICK)
    sampler.fit_resample(X, Y)
    sampler.set_params(**changed)
    with pytest.raises(ValueError, match=r"_ is not what.*changed after fit"):
        sampler.save(tmp_path / "file")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("changed", [{"decoder": "per_class"}, {"latent_dim": 7}])
def test_parameters_of_decoders_that_were_changed_after_fit(tmp_path, changed):
    game = GAMOClassifier(feature_extractor="conv", max_iter=1)
    sampler = GAMO2Pix(game, max_rounds=1, random_state=0).fit(IMAGES, DIGITS)
    sampler.set_params(**changed)
    with pytest.raises(ValueError, match=r"decoders_ is not what.*changed after fit"):
        sampler.save(tmp_path / "file")
    assert os.listdir(tmp_path) == []


def test_own_attributes(tmp_path):
    classifier = GAMOClassifier(**QUICK).fit(X, Y)
    classifier.note = {"who": ("me", float("inf")), 3: pathlib.Path("a")}
    assert again(classifier, tmp_path / "file").note == classifier.note
    classifier.note = lambda: None
    with pytest.raises(ValueError, match=r"note is of type builtins.function"):
        classifier.save(tmp_path / "other")
    assert os.listdir(tmp_path) == ["file"]


def test_subclasses_are_refused(tmp_path):
    class Mine(GAMOClassifier):
        pass

    with pytest.raises(ValueError, match="Mine"):
        Mine(**QUICK).fit(X, Y).save(tmp_path / "file")
    assert os.listdir(tmp_path) == []


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    path = tmp_path / "nothing" / "iris.gamo"
    classifier = GAMOClassifier(**QUICK).fit(X, Y)
    with pytest.raises(FileNotFoundError) as info:
        classifier.save(path)
    assert info.value.filename == str(path)
    assert str(info.value).endswith(f": {str(path)!r}")


def test_a_failed_save_keeps_the_old_file(tmp_path, monkeypatch):
    def fail(*args):
        raise OSError("disk full")

    path = tmp_path / "file"
    classifier = GAMOClassifier(**QUICK).fit(X, Y)
    classifier.save(path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        classifier.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["file"]


# Files of others ------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "file"
    sampler = GAMOSampler(hidden_layer_sizes=[3], latent_dim=2, **QUICK)
    sampler.fit_resample(X, Y)
    sampler.save(path)
    return path


def tampered(saved, path, change):
    """The file with another content, and its right hash."""
    header, tensors = read_file(saved, KIND)
    change(header["shared"][-1], tensors)
    write_file(path, KIND, header, tensors)
    return path


def refused(path, match=None, **builders):
    with pytest.raises(ValueError, match=match) as info:
        load(path, **builders)
    assert str(path) in str(info.value)


def test_every_truncation_is_refused(saved, tmp_path):
    content, cut = saved.read_bytes(), tmp_path / "cut"
    for n in range(0, len(content), 97):
        cut.write_bytes(content[:n])
        refused(cut)


def test_a_thousand_random_flips_are_refused(saved, tmp_path):
    content, flipped = saved.read_bytes(), tmp_path / "flipped"
    rng = np.random.default_rng(0)
    for _ in range(1000):
        damaged = bytearray(content)
        damaged[rng.integers(len(content))] ^= 1 << rng.integers(8)
        flipped.write_bytes(damaged)
        refused(flipped)


def set_parameter(name, value):
    def change(spec, tensors):
        spec["parameters"][name] = value

    return change


def set_fitted(name, value):
    def change(spec, tensors):
        spec["fitted"][name] = value

    return change


def set_tensor(name, make):
    def change(spec, tensors):
        [found] = [n for n in tensors if n.endswith(name)]
        tensors[found] = make(tensors[found])

    return change


def drop_tensor(name):
    def change(spec, tensors):
        [found] = [n for n in tensors if n.endswith(name)]
        del tensors[found]

    return change


def set_type(name):
    def change(spec, tensors):
        spec["type"] = name

    return change


def drop_fitted(name):
    def change(spec, tensors):
        del spec["fitted"][name]

    return change


def of_scaling(name, value):
    def change(spec, tensors):
        spec["fitted"]["_scaling"][name] = value

    return change


def of_random_state(name, value):
    def change(spec, tensors):
        [position] = [v for k, v in spec["fitted"].items() if k == "_random_state"]
        assert position["type"] == "shared"
        spec["fitted"]["_random_state"] = {
            "type": "numpy.RandomState",
            "key": array_of(tensors, np.ones(624, np.uint32)),
            "position": 0,
            "has_gauss": 0,
            "gauss": 0.0,
            name: value,
        }

    return change


def array_of(tensors, values):
    tensors["own"] = torch.from_numpy(values)
    shape, dtype = list(values.shape), values.dtype.str
    kind = {"type": "numpy.ndarray", "shape": shape, "dtype": dtype, "order": "C"}
    return {**kind, "tensor": "own"}


HUGE = 10**9
HOSTILE = {
    "a network of 4 exabytes": set_parameter("hidden_layer_sizes", [HUGE, HUGE]),
    "a network of gigabytes": set_parameter("hidden_layer_sizes", [HUGE]),
    "noise of gigabytes": set_parameter("latent_dim", HUGE),
    "sizes beyond integers": set_parameter("hidden_layer_sizes", [2**62, 2**62]),
    "a million layers": set_parameter("hidden_layer_sizes", [1] * 10**6),
    "an image of gigabytes": set_fitted(
        "_image_shape", {"type": "builtins.tuple", "items": [1, HUGE, HUGE]}
    ),
    "unknown class": set_type("gamo_sampler.Nonsense"),
    "a class of others": set_type("os.system"),
    "no estimator": set_type("gamo_sampler.Scaling"),
    "type of another type": set_type(["gamo_sampler.GAMOSampler"]),
    "another estimator": set_type("gamo_sampler.GAMO2Pix"),
    "unknown parameter": set_parameter("nonsense", 1),
    "parameter of another type": set_parameter("batch_size", "32"),
    "parameter out of range": set_parameter("learning_rate", -1.0),
    "value of unknown type": set_parameter("loss", {"type": "builtins.eval"}),
    "value of no type": set_parameter("loss", {"a": 1}),
    "something to call": set_parameter("scoring", {"type": "given", "name": "os"}),
    "in place of a method": set_fitted("sample", 1),
    "in place of the class": set_fitted("__class__", 1),
    "itself": set_fitted("note", {"type": "shared", "index": 10**6}),
    "its own insides": set_fitted("note", {"type": "shared", "index": -1}),
    "no classes": drop_fitted("classes_"),
    "no draws": drop_fitted("_lots"),
    "no random state": drop_fitted("_random_state"),
    "no templates": drop_fitted("_templates"),
    "classes of another type": set_fitted("classes_", "abc"),
    "flag of another type": set_fitted("_is_trained", 1),
    "fewer classes": set_tensor("classes_", lambda t: t[:2]),
    "no rows": drop_tensor("_pool"),
    "fewer rows": set_tensor("_pool", lambda t: t[:-1]),
    "infinite rows": set_tensor("_pool", lambda t: t / 0),
    "rows as whole numbers": set_tensor("_pool", lambda t: t.long()),
    "rows far away": set_tensor("_members", lambda t: t + 10**6),
    "rows before the first": set_tensor("_members", lambda t: t - 100),
    "fewer positions": set_tensor("_members", lambda t: t[:-1]),
    "other sizes": set_tensor("_lots.sizes", lambda t: t + 1),
    "no sizes": set_tensor("_lots.sizes", lambda t: t * 0),
    "cells across classes": set_tensor("_lots.cells", lambda t: t.flip(0)),
    "unknown class drawn": set_tensor("_lots.classes", lambda t: t + 7),
    "negative counts": set_tensor("_deficit", lambda t: -t),
    "counts that are none": set_tensor("_deficit", lambda t: t * float("nan")),
    "no scale": set_tensor("_scaling.scale", lambda t: t * 0),
    "a center that is none": set_tensor("_scaling.center", lambda t: t * float("nan")),
    "scale of another length": set_tensor("_scaling.scale", lambda t: t[:1]),
    "scale of words": of_scaling("scale", "abcd"),
    "weights that are none": set_tensor(
        "classifier_.0.weight", lambda t: t * float("nan")
    ),
    "weights missing": drop_tensor("classifier_.2.weight"),
    "weights of another shape": set_tensor("classifier_.2.weight", lambda t: t[:1]),
    "weights of another type": set_tensor("classifier_.2.bias", lambda t: t.double()),
    "weights on rows beyond": set_tensor("provenance_.indices", lambda t: t + 60),
    "weights on rows before": set_tensor("provenance_.indices", lambda t: t - 60),
    "rows of weights beyond": set_tensor("provenance_.indptr", lambda t: t * 2),
    "a random state beyond": of_random_state("position", 10**6),
    "a random state before": of_random_state("position", -1),
    "a random state of words": of_random_state("key", "abc"),
    "half a normal": of_random_state("has_gauss", 3),
    "an array of objects": set_fitted(
        "classes_", {"type": "numpy.ndarray", "shape": [1], "dtype": "|O"}
    ),
    "an array of no shape": set_fitted(
        "classes_", {"type": "numpy.ndarray", "shape": [-1], "dtype": "<i8"}
    ),
    "infinite JSON": set_fitted("n_iter_", {"type": "builtins.float"}),
    "an unknown device": set_fitted(
        "device_", {"type": "torch.device", "value": "nonsense"}
    ),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_hostile_content_with_a_right_hash(saved, tmp_path, change):
    refused(tampered(saved, tmp_path / "file", change), "cannot be loaded")


def in_state(name, value):
    """Another state of M's optimiser."""

    def change(spec, tensors):
        players = dict(spec["fitted"]["_players"]["items"])
        parts = dict(players["M"]["items"])
        parts["optimizer"]["items"] = [[name, value]]

    return change


def pairs(*items):
    return {"type": "builtins.dict", "items": list(items)}


OF_PLAYERS = {
    "no dict": set_fitted("_players", 3),
    "an unknown player": set_fitted("_players", pairs(["Q", pairs()])),
    "a player of a number": set_fitted("_players", pairs([1, pairs()])),
    "a player of no parts": set_fitted("_players", pairs(["M", 3])),
    "a part of no player": set_fitted(
        "_players", pairs(["M", pairs(["legs", pairs()])])
    ),
    "a part that is none": set_fitted("_players", pairs(["M", pairs(["network", 1])])),
    "a player that is absent": set_fitted("_players", pairs(["F", pairs()])),
    "no moments": in_state("state", 3),
    "moments of others": in_state("state", pairs([17, pairs()])),
    "moments by name": in_state("state", pairs(["0", pairs()])),
    "no moments of one": in_state("state", pairs([0, pairs()])),
    "moments that are numbers": in_state("state", pairs([0, pairs(["step", 1.0])])),
    "shorter moments": set_tensor("M.optimizer.state.0.exp_avg", lambda t: t[:1]),
    "moments that are none": set_tensor(
        "M.optimizer.state.0.exp_avg_sq", lambda t: t * float("nan")
    ),
    "moments of another type": set_tensor(
        "M.optimizer.state.0.exp_avg", lambda t: t.double()
    ),
    "weights that are shorter": set_tensor("M.network.0.weight", lambda t: t[:1]),
    "an average of others": set_tensor("M.average.module.0.bias", lambda t: t[:1]),
    "an average of none": drop_tensor("M.average.module.0.bias"),
    "idle cells of nobody": set_fitted("_idle_cells", [0]),
    "idle cells of words": set_fitted("_idle_cells", ["a"]),
    "a history of words": set_fitted("history_", ["abc"]),
    "a history of nothing": set_fitted("history_", []),
    "an epoch that is none": set_fitted("history_", [pairs(["epoch", 2])]),
    "a word in it": set_fitted("history_", [pairs(["epoch", 1], ["m_real", "a"])]),
    "a list of words": set_fitted("history_", [pairs(["epoch", 1], ["recall", ["a"]])]),
    "a number in it": set_fitted("history_", [pairs(["epoch", 1], [3, 0.5])]),
    "epochs without rounds": set_fitted("n_rounds_", 0),
}


@pytest.fixture(scope="module")
def of_batches(tmp_path_factory):
    """A file of a classifier that learns from batches, with an average."""
    path = tmp_path_factory.mktemp("batches") / "file"
    classifier = GAMOClassifier(weight_averaging=0.5, random_state=0)
    classifier.partial_fit(X, Y, classes=[0, 1, 2]).save(path)
    return path


@pytest.mark.parametrize("change", OF_PLAYERS.values(), ids=OF_PLAYERS)
def test_hostile_states_to_go_on_from(of_batches, tmp_path, change):
    refused(tampered(of_batches, tmp_path / "file", change), "cannot be loaded")


def test_history_of_a_loaded_file_goes_on(of_batches, tmp_path):
    path = tampered(of_batches, tmp_path / "file", lambda spec, tensors: None)
    assert load(path).partial_fit(X, Y).n_iter_ == 2


def test_tampering_itself_is_no_damage(saved, tmp_path):
    path = tampered(saved, tmp_path / "file", lambda spec, tensors: None)
    assert bits(load(path).sample(5)) == bits(load(saved).sample(5))


def test_a_huge_network_takes_no_memory(saved, tmp_path):
    change = set_parameter("hidden_layer_sizes", [30_000, 30_000])  # 3.6 GB
    path = tampered(saved, tmp_path / "file", change)
    code = (
        "import resource, gamo_sampler\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        f"try: gamo_sampler.load({str(path)!r})\n"
        "except ValueError as error: print(error)\n"
        "print(peak() - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    *_, message, kib = done.stdout.splitlines()
    assert "other weights" in message
    assert int(kib) < 200 * 1024


def test_newer_versions(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(_persistence, "MINOR", 9)
    header, tensors = read_file(saved, KIND)
    write_file(tmp_path / "minor", KIND, header, tensors)
    monkeypatch.setattr(_persistence, "MAJOR", 2)
    write_file(tmp_path / "major", KIND, header, tensors)
    monkeypatch.undo()
    assert bits(load(tmp_path / "minor").sample(5)) == bits(load(saved).sample(5))
    refused(tmp_path / "major", "newer")


def test_a_parameter_that_came_later_has_its_default(saved, tmp_path):
    def older(spec, tensors):
        del spec["parameters"]["mixup"]

    assert load(tampered(saved, tmp_path / "file", older)).mixup == 0.0


def test_other_kinds_of_ours(tmp_path):
    write_file(tmp_path / "file", "checkpoint", {}, {})
    refused(tmp_path / "file", "'checkpoint'.*'estimator'")
    write_file(tmp_path / "file", KIND, {}, {})
    refused(tmp_path / "file", "cannot be loaded")


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_pickles_are_not_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "file"
    path.write_bytes(pickle.dumps(Bomb()))
    refused(path, "another kind of file")
    torch.save({"state": torch.zeros(3)}, path)
    refused(path, "another kind of file")
    joblib.dump(Bomb(), path)
    refused(path, "another kind of file")
    assert os.listdir(tmp_path) == ["file"]


def test_nothing_is_executed(saved, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("executed")

    modules = set(sys.modules)
    for module, name in [(pickle, "load"), (pickle, "loads"), (torch, "load")]:
        monkeypatch.setattr(module, name, never)
    for name in ("eval", "exec", "compile"):
        monkeypatch.setattr(f"builtins.{name}", never)
    load(saved)
    assert set(sys.modules) == modules


def test_no_pickle_in_what_is_written(saved):
    payload = saved.read_bytes().split(b"\n", 2)[2]
    length = int.from_bytes(payload[:8], "little")
    header = json.loads(payload[8 : 8 + length])
    assert set(header["__metadata__"]) == {"header"}
    kinds = {spec["dtype"] for name, spec in header.items() if name != "__metadata__"}
    assert kinds <= {"F32", "F64", "I32", "I64", "U32", "U8"}


# Pickle, joblib and copies --------------------------------------------------------

COPIES = {
    "pickle": lambda estimator, path: pickle.loads(pickle.dumps(estimator)),
    "joblib": lambda estimator, path: joblib.load(joblib.dump(estimator, path)[0]),
    "deepcopy": lambda estimator, path: copy.deepcopy(estimator),
}


def estimators():
    game = GAMOClassifier(feature_extractor="conv", **QUICK)
    return {
        "classifier": GAMOClassifier(**QUICK),
        "sampler": GAMOSampler(neighborhood=4, **QUICK),
        "images": GAMO2Pix(game, max_rounds=3, random_state=0),
        "features": GAMOFeatures(game),
        "cgan": CGANSampler(max_iter=2, random_state=0),
        "dos": DOSClassifier(max_iter=2, random_state=0),
        "augmentation": AugmentationSampler(random_state=0),
    }


def fitted(estimator):
    """Fitted to images or rows, and what came out of it."""
    rows = IMAGES.reshape(40, 64)
    if isinstance(estimator, GAMOClassifier | GAMOFeatures | DOSClassifier):
        return estimator.fit(rows, DIGITS), None
    if isinstance(estimator, AugmentationSampler):
        rows = IMAGES
    return estimator, estimator.fit_resample(rows, DIGITS)


@pytest.mark.parametrize("name", estimators())
@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_copies(tmp_path, copied, name):
    before = copied(estimators()[name], tmp_path / "file")
    estimator, result = fitted(estimators()[name])
    before, same_result = fitted(before)
    assert bits(result) == bits(same_result)
    after = copied(estimator, tmp_path / "file")
    rows = IMAGES.reshape(40, 64)
    for value, other in zip(
        everything(estimator, rows), everything(after, rows), strict=True
    ):
        assert bits(value) == bits(other)


@pytest.mark.parametrize("name", list(estimators())[:4])
def test_nothing_that_is_pickled_is_on_a_device(name, monkeypatch):
    """So that a fit on a GPU is loaded where there is none."""
    estimator, _ = fitted(estimators()[name])
    devices = []
    rebuild = torch.Tensor.__reduce_ex__

    def noted(tensor, protocol):
        devices.append(tensor.device.type)
        return rebuild(tensor, protocol)

    monkeypatch.setattr(torch.Tensor, "__reduce_ex__", noted)
    monkeypatch.setattr(nn.Parameter, "__reduce_ex__", noted)
    pickle.dumps(estimator)
    assert devices
    assert set(devices) == {"cpu"}


def test_public_name():
    assert gamo_sampler.load is load
