"""GAMOSampler: exact counts, rows of the hull, containers, pipelines."""

import pickle
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline, make_pipeline
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import StandardScaler

from gamo_sampler import GAMOClassifier, GAMOSampler

from .test_classifier import features


def sampler(**parameters):
    return GAMOSampler(**{"max_iter": 2, "random_state": 0} | parameters)


# Rows


def test_originals_first_then_the_generated_rows(table):
    X, y = table
    X_out, y_out = sampler().fit_resample(X, y)
    assert_array_equal(X_out[:59], X)
    assert_array_equal(y_out[:59], y)
    assert_array_equal(y_out[59:], np.repeat([1, 2], [28, 33]))
    assert X_out.shape == (120, 5)


@pytest.mark.parametrize("neighborhood", [None, "class", 4])
def test_generated_rows_are_weights_times_raw_rows(table, neighborhood):
    """The weights were learned on scaled rows, and mix the rows as they came."""
    X, y = table
    model = sampler(neighborhood=neighborhood)
    model.fit_resample(X, y)
    rows, _ = model.sample({1: 6, 2: 5}, random_state=3)
    # The draws of `sample`, and the weights that the generator makes of them.
    rng = torch.Generator().manual_seed(np.random.RandomState(3).randint(2**31 - 1))
    draw = model._lots.of(torch.tensor([0] * 6 + [1] * 5), rng)
    with torch.no_grad():
        weights = model.generator_.pruned_weights(draw)
    own = [X[y == 1], X[y == 2]]
    if neighborhood is None:
        W = [w.double().numpy() for w in weights]
        sources = [[x] * len(w) for w, x in zip(W, own, strict=True)]
        W, sources = [*W[0], *W[1]], [*sources[0], *sources[1]]
    else:
        W = weights.double().numpy()
        sources = np.concatenate(own)[model.generator_.igu.sources(draw)]
    for w, x, row in zip(W, sources, rows, strict=True):
        assert (w >= 0).all()
        assert w.sum() == pytest.approx(1)
        assert_allclose(w / w.sum() @ x, row, rtol=1e-9)


def assert_within_the_range_of_the_class(X, y, X_out, y_out):
    for label in np.unique(y):
        own, new = X[y == label], X_out[len(X) :][y_out[len(y) :] == label]
        assert (new >= own.min(0)).all()
        assert (new <= own.max(0)).all()


columns = st.floats(-1e6, 1e6, width=32)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), dtype=st.sampled_from([np.float32, np.float64]))
def test_any_table(data, dtype):
    """Exact counts, untouched originals and rows within their class's range."""
    counts = data.draw(st.lists(st.integers(1, 12), min_size=2, max_size=4))
    n, d = sum(counts), data.draw(st.integers(1, 4))
    X = data.draw(npst.arrays(dtype, (n, d), elements=columns))
    y = np.random.RandomState(0).permutation(np.repeat(np.arange(len(counts)), counts))
    model = sampler(
        max_iter=1,
        max_rounds=2,
        batch_size=data.draw(st.integers(1, 8)),
        neighborhood=data.draw(st.sampled_from(["class", None, 2, 3, 50])),
        schedule=data.draw(st.sampled_from(["joint", "algorithm", "per_class"])),
    )
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "No class is below|Class .* has one row")
        X_out, y_out = model.fit_resample(X, y)
    assert set(Counter(y_out.tolist()).values()) == {max(counts)}
    assert_array_equal(X_out[:n], X)
    assert X_out.dtype == dtype
    assert_within_the_range_of_the_class(X, y, X_out, y_out)


@pytest.mark.filterwarnings("ignore:No class is below:UserWarning")
@pytest.mark.parametrize("kind", ["frame", "objects", "sparse"])
def test_balanced_tables_come_back_as_they_are(kind):
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [0.5, 0.0, 0.0, 2.5]})
    if kind == "frame":
        frame["b"] = list("xyxy")
    X = frame if kind == "frame" else frame.to_numpy(object)
    X = csr_array(frame.to_numpy()) if kind == "sparse" else X
    y = np.array([0, 1, 0, 1])
    model = sampler(missing="propagate")
    X_out, y_out = model.fit_resample(X, y)
    assert type(X_out) is type(X)
    assert_array_equal(y_out, y)
    changed = X_out != X
    assert not (changed.nnz if kind == "sparse" else np.any(changed))
    assert model.audit() == {}


def test_far_from_zero_nothing_is_lost(table):
    """Time stamps: float32 could not tell these rows apart."""
    X, y = table
    X = (X - X.mean(0)) / X.std(0) * 100 + 1.7e9
    X_out, y_out = sampler().fit_resample(X, y)
    assert_within_the_range_of_the_class(X, y, X_out, y_out)
    assert (X_out[59:].std(0) > 0).all()


def test_constant_columns_stay_constant(table):
    X, y = table
    X = np.column_stack([X, np.full(59, 0.1)])
    X_out, _ = sampler().fit_resample(X, y)
    assert (X_out[:, -1] == 0.1).all()


def test_generated_rows_help_on_real_data():
    X, y = load_breast_cancer(return_X_y=True)

    def score(seed, *steps):
        """Balanced accuracy with 15 malignant and 250 benign training rows."""
        rng = np.random.RandomState(seed)
        malignant, benign = (rng.permutation(np.flatnonzero(y == i)) for i in (0, 1))
        train = np.concatenate([malignant[:15], benign[:250]])
        test = np.setdiff1d(np.arange(len(y)), train)
        model = make_pipeline(StandardScaler(), *steps, LogisticRegression())
        model.fit(X[train], y[train])
        return balanced_accuracy_score(y[test], model.predict(X[test]))

    plain = np.mean([score(seed) for seed in range(4)])
    resampled = np.mean([score(seed, sampler(max_iter=30)) for seed in range(4)])
    assert resampled > plain + 0.01


# Counts


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("auto", {1: 28, 2: 33}),
        ("minority", {2: 33}),
        ("not minority", {1: 28}),
        ("all", {1: 28, 2: 33}),
        (0.29, {2: 5}),  # round(11.6) = 12, of which class 1 has 12 already
        (1.0, {1: 28, 2: 33}),
        ({2: 20}, {2: 13}),
        (lambda y: {1: 13}, {1: 1}),
    ],
)
def test_counts(table, strategy, expected):
    X, y = table
    model = sampler(sampling_strategy=strategy)
    _, y_out = model.fit_resample(X, y)
    assert Counter(y_out[59:].tolist()) == expected
    assert {k: n for k, n in model.sampling_strategy_.items() if n} == expected


def test_floats_round_instead_of_truncating():
    X, y = np.random.default_rng(0).normal(size=(110, 2)), np.repeat([0, 1], [100, 10])
    _, y_out = sampler(sampling_strategy=0.29).fit_resample(X, y)
    assert (y_out == 1).sum() == 29


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ({9: 50}, "9.* target class is/are not present"),
        ({1: 5}, "should be greater or equal to the original"),
        ({1: -5}, "cannot be negative"),
        (0.1, "sampling_strategy=0.1 asks for 4 rows per class.*Raise it above 0.175"),
        (1.5, "'sampling_strategy' parameter"),
        ({1: 20.0}, "sampling_strategy must give integers by class label"),
        ({1: "20"}, "sampling_strategy must give integers by class label"),
        (lambda y: None, "sampling_strategy must give integers by class label"),
    ],
)
def test_bad_sampling_strategy(table, strategy, message):
    with pytest.raises(ValueError, match=message):
        sampler(sampling_strategy=strategy).fit_resample(*table)


# Small classes, balanced data


@pytest.mark.parametrize("neighborhood", [None, "class", 5])
def test_classes_of_one_two_and_three_rows(neighborhood):
    X = np.random.default_rng(0).normal(size=(16, 3))
    y = np.repeat([0, 1, 2, 3], [10, 1, 2, 3])
    model = sampler(neighborhood=neighborhood)
    with pytest.warns(
        UserWarning, match="Class 1 has one row to learn from: its 9 .* copies"
    ):
        X_out, y_out = model.fit_resample(X, y)
    assert Counter(y_out.tolist()) == dict.fromkeys(range(4), 10)
    assert_array_equal(X_out[16:][y_out[16:] == 1], np.tile(X[10], (9, 1)))
    assert_within_the_range_of_the_class(X, y, X_out, y_out)


def test_balanced_data_is_a_no_op_with_a_warning(table):
    X, y = table
    X, y = X[y < 2][:24], np.repeat([0, 1], 12)
    model = sampler()
    with pytest.warns(UserWarning, match="nothing is generated"):
        X_out, y_out = model.fit_resample(X, y)
    assert_array_equal(X_out, X)
    assert_array_equal(y_out, y)
    assert X_out is not X
    assert model.classes_.tolist() == [0, 1]
    assert model.history_ == []
    assert model.n_iter_ == 0
    assert_array_equal(model.extract_features(X), X)
    with pytest.raises(ValueError, match="no class was generated"):
        model.sample(3)


def test_fit_alone_trains_nothing(table):
    model = sampler().fit(*table)
    assert model.sampling_strategy_ == {1: 28, 2: 33}
    with pytest.raises(NotFittedError):
        model.sample(3)
    with pytest.raises(NotFittedError):
        model.extract_features(table[0])


def test_classes_tied_with_the_largest_are_not_oversampled():
    X = np.random.default_rng(0).normal(size=(25, 2))
    y = np.repeat([0, 1, 2], [10, 10, 5])
    assert Counter(sampler().fit_resample(X, y)[1][25:].tolist()) == {2: 5}


# Containers and dtypes


def test_frame_in_frame_out(table):
    X, y = table
    frame = pd.DataFrame(
        {
            "amount": X[:, 0],
            "count": np.round(X[:, 1]).astype(np.int32),
            "small": X[:, 2].astype(np.float32),
            "flag": X[:, 4] > 3,
        },
        index=np.arange(59) * 2,
    )
    labels = pd.Series(np.array(["low", "mid", "high"])[y], name="risk")
    labels = labels.astype("category")
    model = sampler()
    X_out, y_out = model.fit_resample(frame, labels)
    assert list(X_out.columns) == list(frame.columns)
    assert_array_equal(X_out.dtypes, frame.dtypes)
    pd.testing.assert_frame_equal(X_out[:59], frame)
    assert_array_equal(X_out.index[59:], 117 + np.arange(61))
    assert y_out.dtype == labels.dtype
    assert y_out.name == "risk"
    assert_array_equal(y_out.index, np.arange(120))
    assert Counter(y_out) == dict.fromkeys(["low", "mid", "high"], 40)
    more, more_labels = model.sample({"high": 4})
    assert_array_equal(more.dtypes, frame.dtypes)
    assert more_labels.tolist() == ["high"] * 4
    assert more_labels.dtype == labels.dtype


def test_integers_become_the_nearest_not_the_lower_one():
    X = np.array([[0], [1]] * 20 + [[10], [11]] * 4)
    y = np.repeat([0, 1], [40, 8])
    X_out, _ = sampler(neighborhood=None).fit_resample(X, y)
    assert X_out.dtype == X.dtype
    # Mixtures of as many 10 as 11 lie on both sides of 10.5.
    assert set(X_out[48:, 0]) == {10, 11}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8])
def test_dtype_is_kept(table, dtype):
    X, y = table
    X = ((X - X.min(0)) / (X.max(0) - X.min(0)) * 100).astype(dtype)
    X_out, y_out = sampler().fit_resample(X, y.astype(np.int8))
    assert X_out.dtype == dtype
    assert y_out.dtype == np.int8
    assert_array_equal(X_out[:59], X)


def test_lists_and_one_versus_all_labels(table):
    X, y = table
    X_out, y_out = sampler().fit_resample(X.tolist(), y.tolist())
    assert isinstance(X_out, list)
    assert isinstance(y_out, list)
    _, column = sampler().fit_resample(X, y[:, None].tolist())
    assert_array_equal(column[:, 0], y_out)
    _, encoded = sampler().fit_resample(X, np.eye(3, dtype=int)[y])
    assert_array_equal(encoded.argmax(1), y_out)


def test_string_labels(table):
    X, y = table
    labels = np.array(["ordinary", "rare", "very rare"])[y]
    _, y_out = sampler().fit_resample(X, labels)
    assert Counter(y_out.tolist()) == dict.fromkeys(labels.tolist(), 40)


def test_labels_in_mixed_lists_and_dates(table):
    X, y = table
    X_out, y_out = sampler().fit_resample(X, [["a", 1, 2][i] for i in y])
    assert Counter(y_out) == {"a": 40, "1": 40, "2": 40}
    assert len(X_out) == 120
    for unit in ("Y", "D", "s"):
        days = np.array(["2020", "2021", "2022"], dtype=f"M8[{unit}]")[y]
        _, days_out = sampler().fit_resample(X, days)
        assert set(Counter(days_out).values()) == {40}
    frame_labels = pd.Series(pd.to_datetime(["2020", "2021", "2022"])[y])
    _, days_out = sampler().fit_resample(X, frame_labels)
    assert set(Counter(days_out).values()) == {40}


def test_one_sparse_column_stays_sparse(table):
    X, y = table
    column = pd.arrays.SparseArray(np.arange(59))
    frame = pd.DataFrame({"amount": X[:, 0], "grade": column})
    model = sampler()
    X_out, _ = model.fit_resample(frame, y)
    assert_array_equal(X_out.dtypes, frame.dtypes)
    expected = np.rint(model.provenance_ @ np.arange(59))
    assert_array_equal(X_out["grade"][59:], expected)


def test_dates_in_an_array_are_refused(table):
    X, y = table
    dates = X.astype("M8[s]")
    with pytest.raises(TypeError, match="datetime64"):
        sampler().fit_resample(dates, y)
    with pytest.raises(TypeError, match="X holds dates"):
        GAMOClassifier().fit(dates, y)


def test_unconstrained_integers_do_not_wrap_around(digits):
    X, y = digits
    parameters = {"generator": "unconstrained", "max_rounds": 40}
    X_out, _ = sampler(**parameters).fit_resample(X.astype(np.uint8), y)
    # Column 0 is 0 in all rows: values just below it must not turn into 255.
    assert X_out[:, 0].max() < 100
    flags = pd.DataFrame(X[:, :3] > 0).astype("boolean")
    flags_out, _ = sampler(**parameters).fit_resample(flags, y)
    assert (flags_out.dtypes == "boolean").all()


@pytest.mark.parametrize("name", ["generator", "feature_extractor"])
def test_users_networks_draw_from_the_run_alone(table, name):
    """Same seed, same rows; the fixture of all tests watches torch's own RNG."""

    class Noisy(torch.nn.Linear):
        def forward(self, x):
            return super().forward(x + torch.randn_like(x))

    model = sampler(**{name: Noisy})
    first, _ = model.fit_resample(*table)
    again, _ = model.fit_resample(*table)
    assert_array_equal(first, again)
    fixed = [model.sample(4, random_state=1)[0] for _ in range(2)]
    assert_array_equal(*fixed)


def test_caller_s_default_device_makes_no_difference(table):
    X, y = table
    model = sampler()
    expected, _ = model.fit_resample(X, y)
    more = model.sample(4)[0]
    with torch.device("meta"):
        got, _ = model.fit_resample(X, y)
        assert_array_equal(model.sample(4)[0], more)
    assert_array_equal(got, expected)


def test_held_out_rows_are_no_sources(table):
    """A class of two rows keeps one: its copies are announced."""
    X, y = table
    keep = np.r_[np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:2]]
    with pytest.warns(UserWarning, match="Class 1 has one row to learn from"):
        X_out, _ = sampler(early_stopping=True).fit_resample(X[keep], y[keep])
    assert len(np.unique(X_out[42:], axis=0)) == 1


# Sampling again


def test_sample_gives_new_rows_without_training_again(table):
    model = sampler()
    X_out, _ = model.fit_resample(*table)
    history = model.history_
    rows, labels = model.sample({2: 3})
    assert labels.tolist() == [2, 2, 2]
    assert not any((rows == row).all(1).any() for row in X_out[59:])
    assert not np.array_equal(model.sample({2: 3})[0], rows)
    assert model.history_ is history
    fixed = [model.sample(4, random_state=1)[0] for _ in range(2)]
    assert_array_equal(*fixed)


def test_same_seed_same_rows_and_pickle(table):
    model = sampler()
    first, _ = model.fit_resample(*table)
    again, _ = model.fit_resample(*table)
    assert_array_equal(first, again)
    loaded = pickle.loads(pickle.dumps(model))
    assert_array_equal(loaded.sample(3)[0], model.sample(3)[0])


# Feature spaces


@pytest.mark.parametrize("feature_extractor", ["conv", features])
def test_with_a_feature_extractor_the_rows_are_features(digits, feature_extractor):
    X, y = digits
    model = sampler(
        feature_extractor=feature_extractor, image_shape=(1, 8, 8), max_rounds=3
    )
    X_out, y_out = model.fit_resample(X, y)
    width = 64 if feature_extractor == "conv" else 7
    assert X_out.shape == (1200, width)
    assert_allclose(X_out[:503], model.extract_features(X), rtol=1e-6)
    assert len(model.get_feature_names_out()) == width
    assert_within_the_range_of_the_class(X_out[:503], y, X_out, y_out)
    from_images, _ = model.fit_resample(X.reshape(-1, 8, 8), y)
    assert_array_equal(from_images, X_out)
    assert model.sample({9: 2})[0].shape == (2, width)


@pytest.mark.parametrize(("feature_extractor", "width"), [("conv", 64), (features, 7)])
def test_balanced_features(digits, feature_extractor, width):
    X, y = digits
    X, y = X[y > 7][:16], np.repeat([0, 1], 8)
    model = sampler(feature_extractor=feature_extractor)
    with pytest.warns(UserWarning, match="nothing is generated"):
        X_out, _ = model.fit_resample(X, y)
    assert_allclose(X_out, model.extract_features(X), rtol=1e-6)
    assert X_out.shape == (16, width)
    assert len(model.get_feature_names_out()) == width


def test_unconstrained_rows_come_in_the_units_of_the_input(table):
    X, y = table
    X_out, _ = sampler(generator="unconstrained", max_iter=40).fit_resample(X, y)
    scale = X.std(0)
    assert (np.abs(X_out[59:].mean(0) - X.mean(0)) < 5 * scale).all()


# In company


def test_in_a_pipeline_beside_smote(table):
    X, y = table
    for over_sampler in (sampler(), SMOTE(k_neighbors=3, random_state=0)):
        model = Pipeline([("sampler", over_sampler), ("clf", GaussianNB())])
        assert model.fit(X, y).predict(X).shape == (59,)
    pipeline = Pipeline([("gamo", sampler()), ("clf", GaussianNB())])
    assert len(cross_val_score(pipeline, X, y, cv=2)) == 2
    search = GridSearchCV(pipeline, {"gamo__neighborhood": [None, 3]}, cv=2)
    scores = search.fit(X, y).cv_results_["mean_test_score"]
    assert len(scores) == 2
    assert np.isfinite(scores).all()


def test_classifier_and_sampler_play_the_same_game(table):
    model = sampler()
    model.fit_resample(*table)
    classifier = GAMOClassifier(max_iter=2, random_state=0).fit(*table)
    assert model.history_ == classifier.history_


# What it refuses


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ([[np.nan], [1], [2]], [0, 0, 1], "Input X contains NaN"),
        ([[np.inf], [1], [2]], [0, 0, 1], "Input X contains infinity"),
        ([[1j], [1], [2]], [0, 0, 1], "Complex data not supported"),
        ([["a"], ["b"], ["c"]], [0, 0, 1], "could not convert string|dtype='numeric'"),
        ([1, 2, 3], [0, 0, 1], "Expected 2D array, got 1D array"),
        (np.empty((0, 1)), [], "0 sample"),
        ([[1], [2]], [0, 0, 1], "inconsistent numbers of samples"),
        ([[1]], [0], "needs to have more than 1 class"),
        ([[1], [2], [3]], [0, 0, 0], "needs to have more than 1 class"),
        ([[1], [2], [3]], [0.1, 0.2, 0.3], "Unknown label type: continuous"),
        ([[1], [2], [3]], [0, np.nan, 1], "Input y contains NaN"),
        ([[1], [2], [3]], np.array([[1, 1], [0, 1], [1, 0]]), "Multilabel"),
        (np.ones((3, 2, 2)), [0, 0, 1], r"shape \(3, 2, 2\); without a feature_ext"),
    ],
)
def test_bad_data(X, y, message):
    with pytest.raises(ValueError, match=message):
        sampler().fit_resample(X, y)


def test_a_sampler_needs_a_generator(table):
    with pytest.raises(ValueError, match="'generator' parameter of GAMOSampler"):
        sampler(generator=None).fit_resample(*table)


def test_a_failed_fit_leaves_the_data_alone(table):
    X, y = (a.copy() for a in table)
    with pytest.raises(ValueError, match="device"):
        sampler(device="nonsense").fit_resample(X, y)
    assert_array_equal(X, table[0])
    assert_array_equal(y, table[1])


@pytest.mark.parametrize(
    ("parameters", "n_rounds"),
    [
        ({}, 50),
        ({"neighborhood": 4}, 50),
        ({"max_rounds": 7}, 7),
        ({"max_rounds": None}, 60),
    ],
)
def test_the_game_is_short_where_the_generator_starts_from_good_rows(
    table, parameters, n_rounds
):
    sampler = GAMOSampler(
        max_iter=60, rounds_per_epoch=1, batch_size=2, random_state=0, **parameters
    )
    sampler.fit_resample(*table)
    assert sampler.n_iter_ == n_rounds


@pytest.mark.parametrize(
    "parameters",
    [
        {"neighborhood": None},
        {"generator": "unconstrained"},
        {"feature_extractor": "conv"},
    ],
)
def test_the_game_is_as_long_as_the_classifier_s_elsewhere(parameters):
    # Asked of the limit itself: to play so many rounds takes too long.
    limit = GAMOSampler(**parameters)._round_limit()
    assert limit == GAMOClassifier(**parameters)._round_limit() == 1000


def test_without_a_limit_the_epochs_end_the_game():
    assert GAMOSampler(max_rounds=None)._round_limit() is None
