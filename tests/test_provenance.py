"""Generated rows say which rows they were made of."""

import sys
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import StratifiedKFold

from gamo_sampler import GAMOSampler
from gamo_sampler._provenance import ProvenanceMixin, heaviest

GENERATORS = [{}, {"neighborhood": 3}, {"neighborhood": None}]


@pytest.fixture(params=GENERATORS, ids=["class", "3", "full hull"])
def resampled(request, table):
    sampler = GAMOSampler(max_rounds=3, random_state=0, **request.param)
    return sampler, *table, *sampler.fit_resample(*table)


class Weighted(ProvenanceMixin, BaseEstimator):
    """Three generated rows of four."""

    def __init__(self):
        weights = [[0.2, 0.3, 0.5, 0], [0, 1, 0, 0], [0.25, 0.25, 0.25, 0.25]]
        self.provenance_ = csr_array(weights)

    def fit(self):
        return self


# The weights ------------------------------------------------------------------


def test_weights_give_the_generated_rows(resampled):
    sampler, X, y, X_resampled, y_resampled = resampled
    generated = X_resampled[len(X) :]
    weights = sampler.provenance_
    assert weights.shape == (len(generated), len(X))
    assert weights.data.min() > 0
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-12)
    np.testing.assert_allclose(weights @ X, generated, rtol=1e-9, atol=1e-12)
    made_of = weights @ np.eye(3)[y]
    np.testing.assert_allclose(made_of, np.eye(3)[y_resampled[len(X) :]], atol=1e-12)


def test_weights_that_do_not_count_are_dropped_before_the_row_is_made(table):
    X, y = table
    sampler = GAMOSampler(max_rounds=1, neighborhood=None, random_state=0)
    sampler.fit_resample(X, y)
    for unit in sampler.generator_.igu.units:  # weights far apart
        unit.weight *= 30
    rows, _, weights = sampler.sample({1: 40, 2: 40}, return_weights=True)
    n_sources = np.diff(weights.indptr)
    assert n_sources.min() < 7  # else nothing was dropped
    greatest = weights.max(axis=1).toarray()
    least = [weights.data[slice(*ends)].min() for ends in pairwise(weights.indptr)]
    assert (least >= 1e-6 * greatest).all()
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-12)
    np.testing.assert_allclose(weights @ X, rows, rtol=1e-9, atol=1e-12)


def test_two_sources_but_in_the_full_hull(resampled):
    sampler, *_ = resampled
    n_sources = np.diff(sampler.provenance_.indptr)
    if sampler.neighborhood is None:
        assert n_sources.tolist() == [12] * 28 + [7] * 33
    else:
        assert n_sources.max() == 2


def test_rows_of_sample_come_with_weights_too(resampled):
    sampler, X, y, *_ = resampled
    rows, labels, weights = sampler.sample(
        {1: 9, 2: 7}, random_state=3, return_weights=True
    )
    assert weights.shape == (16, len(X))
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-12)
    np.testing.assert_allclose(weights @ X, rows, rtol=1e-9, atol=1e-12)
    assert_array_equal((weights @ np.eye(3)[y]).argmax(1), labels)
    plain, plain_labels = sampler.sample({1: 9, 2: 7}, random_state=3)
    assert_array_equal(plain, rows)
    assert_array_equal(plain_labels, labels)


def test_tables_of_sample_come_with_weights_too(table):
    X, y = table
    frame = pd.DataFrame(X[:, :2], columns=["a", "b"])
    frame["row"] = [f"row {i}" for i in range(len(X))]
    sampler = GAMOSampler(max_rounds=3, random_state=0)
    sampler.fit_resample(frame, pd.Series(y, name="label"))
    rows, labels, weights = sampler.sample(20, return_weights=True)
    assert isinstance(rows, pd.DataFrame)
    assert labels.name == "label"
    np.testing.assert_allclose(weights @ X[:, :2], rows[["a", "b"]], rtol=1e-9)
    nearest = frame["row"].to_numpy()[weights.indices[heaviest(weights)]]
    assert_array_equal(nearest, rows["row"])


def test_weights_of_sample_are_on_the_rows_that_remain(table):
    X, y = table
    sampler = GAMOSampler(max_rounds=3, random_state=0)
    sampler.fit_resample(X, y)
    gone = np.arange(len(X)) % 4 == 0
    sampler.withdraw(gone)
    rows, _, weights = sampler.sample({1: 20}, return_weights=True)
    np.testing.assert_allclose(weights @ X[~gone], rows, rtol=1e-9, atol=1e-12)


def test_what_has_no_weights_gives_none_to_sample(table):
    sampler = GAMOSampler(generator="unconstrained", max_rounds=3, random_state=0)
    sampler.fit_resample(*table)
    assert sampler.sample(4)[0].shape == (4, 5)
    with pytest.raises(ValueError, match="return_weights=True needs generator='conv"):
        sampler.sample(4, return_weights=True)


@pytest.mark.parametrize("neighborhood", ["class", None])
def test_integers_are_rounded_after_mixing(table, neighborhood):
    X, y = table
    X = (X * 100).astype(int)
    sampler = GAMOSampler(neighborhood=neighborhood, max_rounds=3, random_state=0)
    X_resampled, _ = sampler.fit_resample(X, y)
    differences = sampler.provenance_ @ X - X_resampled[len(X) :]
    assert np.abs(differences).max() <= 0.5 + 1e-6


def test_weights_are_on_features_with_a_feature_extractor(digits):
    X, y = digits
    sampler = GAMOSampler(
        feature_extractor="conv", image_shape=(1, 8, 8), max_rounds=3, random_state=0
    )
    features, _ = sampler.fit_resample(X, y)
    mixed = sampler.provenance_ @ sampler.extract_features(X)
    np.testing.assert_allclose(mixed, features[len(X) :], atol=1e-5)


def test_early_stopping_weighs_no_row_that_is_held_out(table):
    X, y = table
    sampler = GAMOSampler(early_stopping=True, max_rounds=3, random_state=0)
    X_resampled, _ = sampler.fit_resample(X, y)
    np.testing.assert_allclose(sampler.provenance_ @ X, X_resampled[59:], rtol=1e-9)
    assert len(np.unique(sampler.provenance_.indices)) < (y > 0).sum()


def test_without_convexity_there_are_none(table):
    sampler = GAMOSampler(max_rounds=3, random_state=0)
    sampler.fit_resample(*table)
    sampler.set_params(generator="unconstrained").fit_resample(*table)
    assert not hasattr(sampler, "provenance_")
    with pytest.raises(AttributeError, match="with a convex generator"):
        sampler.carry(np.zeros(59))


def test_before_fit_resample(table):
    with pytest.raises(NotFittedError):
        GAMOSampler().explain(0)
    sampler = GAMOSampler().fit(*table)
    with pytest.raises(AttributeError, match="call fit_resample first"):
        sampler.affected_by([0])


@pytest.mark.filterwarnings("ignore:No class is below:UserWarning")
def test_nothing_generated_nothing_carried(table):
    X, _ = table
    sampler = GAMOSampler(max_rounds=3, random_state=0)
    sampler.fit_resample(X[:40], np.repeat([0, 1], 20))
    assert sampler.provenance_.shape == (0, 40)
    for how in ("mean", "vote", "draw", "dominant"):
        assert len(sampler.carry(np.arange(40), how)) == 0
    assert len(sampler.affected_by(range(40))) == 0
    assert sampler.explain(39).to_numpy().tolist() == [[39, 1]]


# What follows from them -----------------------------------------------------


def test_explain_names_sources_by_weight(resampled):
    sampler, X, _, X_resampled, _ = resampled
    for row in (59, 70, len(X_resampled) - 1):
        sources = sampler.explain(row)
        assert list(sources) == ["row", "weight"]
        assert sources["weight"].is_monotonic_decreasing
        mixed = sources["weight"].to_numpy() @ X[sources["row"]]
        np.testing.assert_allclose(mixed, X_resampled[row], rtol=1e-9)
    assert sampler.explain(3).to_numpy().tolist() == [[3, 1]]


@pytest.mark.parametrize("row", [-1, 120, 5.5])
def test_explain_knows_its_rows(table, row):
    sampler = GAMOSampler(max_rounds=3, random_state=0)
    sampler.fit_resample(*table)
    with pytest.raises(ValueError, match=f"from 0 to 119, .* got {row}"):
        sampler.explain(row)


def test_carry_mean_takes_any_shape(resampled):
    sampler, X, _, X_resampled, _ = resampled
    generated = X_resampled[59:]
    np.testing.assert_allclose(sampler.carry(X), generated, rtol=1e-9)
    np.testing.assert_allclose(sampler.carry(X[:, 0]), generated[:, 0], rtol=1e-9)
    images = X[:, :4].reshape(-1, 2, 2)
    carried = sampler.carry(images)
    np.testing.assert_allclose(carried, generated[:, :4].reshape(-1, 2, 2), rtol=1e-9)


def test_carry_means_of_dates():
    days = np.array(["2024-01-01", "2024-01-11", "2024-01-21", "NaT"], "M8[D]")
    means = Weighted().carry(days)
    assert means.dtype == days.dtype
    # .3 * 10 + .5 * 20 days; a row; the mean of the three that are known.
    assert means.astype(str).tolist() == ["2024-01-14", "2024-01-11", "2024-01-11"]
    durations = np.array([0, 10, 20, 30], "m8[s]")
    assert Weighted().carry(durations).astype(int).tolist() == [13, 10, 15]


def test_carry_of_known_weights():
    rows = Weighted()
    names = np.array(["b", "b", "c", "a"])
    assert rows.carry([1, 2, 3, 4]).tolist() == pytest.approx([2.3, 2, 2.5])
    # .5 for b and .5 for c; of the tie the least.
    assert rows.carry(names, "vote").tolist() == ["b", "b", "b"]
    assert rows.carry(names, "dominant").tolist() == ["c", "b", "b"]
    assert rows.carry(pd.Series(names), "dominant").tolist() == ["c", "b", "b"]
    dates = np.array(["2020", "2021", "2022", "2023"], "datetime64[Y]")
    assert rows.carry(dates, "dominant")[0] == dates[2]


@pytest.mark.parametrize("how", ["mean", "vote", "draw", "dominant"])
def test_carrying_leaves_the_weights_alone(how):
    rows = Weighted()
    before = rows.provenance_.copy()
    first = rows.carry([3, 1, 3, 1], how, random_state=0)
    np.testing.assert_array_equal(rows.carry([3, 1, 3, 1], how, random_state=0), first)
    for name in ("data", "indices", "indptr"):
        kept, was = getattr(rows.provenance_, name), getattr(before, name)
        np.testing.assert_array_equal(kept, was)


def test_draws_follow_the_weights():
    rows = Weighted()
    rng = np.random.RandomState(0)
    drawn = np.stack(
        [rows.carry(range(4), "draw", random_state=rng) for _ in range(4000)]
    )
    shares = np.stack([(drawn == i).mean(0) for i in range(4)], axis=1)
    np.testing.assert_allclose(shares, rows.provenance_.toarray(), atol=0.03)
    same = [rows.carry(range(4), "draw", random_state=1).tolist() for _ in range(2)]
    assert same[0] == same[1]


def test_carry_says_what_it_takes():
    rows = Weighted()
    with pytest.raises(ValueError, match=r"for each of the 4 rows of X, got .*\(3,\)"):
        rows.carry([1, 2, 3])
    with pytest.raises(ValueError, match="mean, vote, draw, dominant, got 'max'"):
        rows.carry([1, 2, 3, 4], "max")
    with pytest.raises(ValueError, match="'mean' takes numbers and dates, got <U1"):
        rows.carry(list("abcd"))


def test_affected_by():
    rows = Weighted()
    assert rows.affected_by([3]).tolist() == [6]
    assert rows.affected_by([0, 3]).tolist() == [4, 6]
    assert rows.affected_by(1).tolist() == [4, 5, 6]
    assert rows.affected_by([]).tolist() == []
    assert rows.affected_by([True, False, False, True]).tolist() == [4, 6]
    with pytest.raises(ValueError, match=r"or a mask of its rows, got \[True\]"):
        rows.affected_by([True])
    with pytest.raises(ValueError, match=r"from 0 to 3, .* got \[1.5\]"):
        rows.affected_by([1.5])
    with pytest.raises(ValueError, match=r"from 0 to 3, .* got \[4\]"):
        rows.affected_by([4])
    with pytest.raises(ValueError, match=r"from 0 to 3, .* got \[-1\]"):
        rows.affected_by(-1)


def test_leakage_between_folds_and_groups():
    rows = Weighted()  # of 0, 1, 2; of 1; of all four
    assert rows.check_leakage([([0, 1, 2], [3])]).tolist() == [6]
    assert rows.check_leakage([([1], [0, 2, 3])]).tolist() == [4, 6]
    # A row in neither part leaks nothing.
    assert rows.check_leakage([([0, 1], [3])]).tolist() == [6]
    assert rows.check_leakage([([0, 1], [])]).tolist() == []
    mask = np.array([False, False, False, True])
    assert rows.check_leakage([(~mask, mask)]).tolist() == [6]
    two = [([0, 1, 2], [3]), ([1, 3], [0, 2])]
    assert rows.check_leakage(two).tolist() == [4, 6]
    assert rows.check_leakage(groups=["a", "a", "a", "b"]).tolist() == [6]
    assert rows.check_leakage(groups=["a", "b", "a", "b"]).tolist() == [4, 6]
    assert rows.check_leakage(groups=pd.Series([1, 1, 1, 1])).tolist() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Give either folds or groups"),
        ({"folds": [([0], [1])], "groups": [0, 0, 1, 1]}, "either folds or groups"),
        ({"folds": iter([])}, "an iterator that was used up"),
        ({"folds": [([0], [4])]}, r"from 0 to 3, .* got \[4\]"),
        ({"groups": [0, 1]}, r"groups must have shape \(4,\), .* got shape \(2,\)"),
    ],
)
def test_check_leakage_says_what_it_takes(arguments, message):
    with pytest.raises(ValueError, match=message):
        Weighted().check_leakage(**arguments)


def test_leakage_of_resampling_before_the_split(resampled):
    sampler, X, y, *_ = resampled
    folds = list(StratifiedKFold(2, shuffle=True, random_state=0).split(X, y))
    leaking = sampler.check_leakage(folds)
    assert len(leaking)
    side = np.zeros(len(X))
    side[folds[0][1]] = 1
    # Two folds are one split: a share in both is between 0 and 1.
    share = sampler.carry(side)
    mixed = 59 + np.flatnonzero((share > 1e-12) & (share < 1 - 1e-12))
    assert_array_equal(leaking, mixed)
    assert_array_equal(sampler.check_leakage(groups=side), leaking)
    assert len(sampler.check_leakage(groups=y)) == 0


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.integers(0, 3), min_size=5, max_size=5), max_size=6))
def test_heaviest_is_argmax(counts):
    counts = [row for row in counts if any(row)]
    dense = np.array(counts, dtype=float).reshape(-1, 5)
    weights = csr_array(dense)
    found = weights.indices[heaviest(weights)]
    np.testing.assert_array_equal(found, dense.argmax(1))
    votes = Weighted()
    votes.provenance_ = weights
    np.testing.assert_array_equal(votes.carry(np.arange(5), "vote"), dense.argmax(1))


def test_explain_says_what_it_needs(table, monkeypatch):
    sampler = GAMOSampler(max_rounds=1, random_state=0)
    sampler.fit_resample(*table)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"explain needs pandas: pip install"):
        sampler.explain(60)
