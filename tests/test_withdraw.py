"""Rows are taken out, with all that was made of them."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

from gamo_sampler import GAMOSampler

NEIGHBORHOODS = ["class", 3, None]


def resampled(X, y, **parameters):
    sampler = GAMOSampler(**{"max_rounds": 3, "random_state": 0} | parameters)
    return sampler, *sampler.fit_resample(X, y)


def of_class(y, label, n):
    return np.flatnonzero(y == label)[:n]


@pytest.mark.parametrize("neighborhood", ["class", 3])
def test_what_is_kept(table, neighborhood):
    X, y = table
    sampler, X_resampled, y_resampled = resampled(X, y, neighborhood=neighborhood)
    rows = np.r_[of_class(y, 1, 2), of_class(y, 0, 3)]
    dropped = np.r_[rows, sampler.affected_by(rows)]
    kept = sampler.withdraw(rows)
    assert_array_equal(kept, np.setdiff1d(np.arange(120), dropped))
    assert 5 < len(dropped) < 30
    # All is as if the remaining rows had been resampled.
    X_kept, y_kept = X_resampled[kept], y_resampled[kept]
    X_left = np.delete(X, rows, axis=0)
    assert_array_equal(X_kept[:54], X_left)
    assert sampler.provenance_.shape == (len(kept) - 54, 54)
    assert_allclose(sampler.provenance_ @ X_left, X_kept[54:], rtol=1e-9)
    counts = {1: 10 + sampler.sampling_strategy_[1], 2: 40}
    assert {label: (y_kept == label).sum() for label in (1, 2)} == counts
    audit = sampler.audit()
    assert audit[1]["n_real"] == 10
    assert audit[1]["n_generated"] == counts[1] - 10
    assert all(own["in_hull"] for own in audit.values())


def test_all_rows_of_the_class_are_in_the_full_hull(table):
    X, y = table
    sampler, *_ = resampled(X, y, neighborhood=None)
    kept = sampler.withdraw(of_class(y, 2, 1))
    assert len(kept) == 58 + 28
    assert sampler.sampling_strategy_ == {1: 28, 2: 0}


@pytest.mark.parametrize("neighborhood", NEIGHBORHOODS)
def test_new_rows_are_made_of_the_others(table, neighborhood):
    X, y = table
    rows = of_class(y, 1, 5)
    X[rows, 4] = 1e6
    sampler, *_ = resampled(X, y, neighborhood=neighborhood)
    assert sampler.sample({1: 200})[0][:, 4].max() > 1e3
    sampler.withdraw(rows)
    X_new, y_new = sampler.sample({1: 200, 2: 20})
    assert_array_equal(y_new, np.repeat([1, 2], [200, 20]))
    rest = np.setdiff1d(np.flatnonzero(y == 1), rows)
    assert X_new[:200, 4].max() <= X[rest, 4].max()
    assert (X_new[:200] >= X[rest].min(0)).all()
    twos = X[y == 2]
    assert ((X_new[200:] >= twos.min(0)) & (X_new[200:] <= twos.max(0))).all()
    # Each of the rest takes part.
    assert len(np.unique(X_new[:200], axis=0)) > 20


@pytest.mark.parametrize("neighborhood", NEIGHBORHOODS)
def test_nothing_of_the_rows_is_held(table, neighborhood):
    X, y = table
    rows = of_class(y, 2, 4)
    sampler, *_ = resampled(X, y, neighborhood=neighborhood)
    keys = getattr(sampler.generator_.igu, "keys", None)
    sampler.withdraw(rows)
    again = pickle.loads(pickle.dumps(sampler))
    assert_array_equal(again._pool, np.r_[X[y == 1], X[y == 2][4:]])
    stays = np.delete(np.arange(59), rows)
    assert_array_equal(X[stays][again._members], again._pool)
    left = torch.tensor([True] * 12 + [False] * 4 + [True] * 3)
    if neighborhood is None:
        assert [u.out_features for u in again.generator_.igu.units] == [12, 3]
        assert [len(u.bias) for u in again.generator_.igu.units] == [12, 3]
    else:
        assert_array_equal(again.generator_.igu.keys, keys[left])
    if neighborhood == 3:
        neighbors = again.generator_.igu.neighbors
        assert neighbors.shape == (15, 2)
        assert neighbors[:12].max() < 12 <= neighbors[12:].min()


def test_the_full_hull_s_weights_are_renormalised(table):
    X, y = table
    sampler, *_ = resampled(X, y, neighborhood=None)
    _, before = sampler._generate_with_weights([3, 2], np.random.RandomState(1))
    rows = of_class(y, 1, 4)
    sampler.withdraw(rows)
    _, after = sampler._generate_with_weights([3, 2], np.random.RandomState(1))
    rest = before[:, np.setdiff1d(np.arange(59), rows)].toarray()
    assert_allclose(after.toarray(), rest / rest.sum(1, keepdims=True), rtol=1e-5)


def test_twice_is_once_and_positions_move(table):
    X, y = table
    once, *_ = resampled(X, y)
    twice, *_ = resampled(X, y)
    first, second = of_class(y, 1, 12)[[3, 7]], of_class(y, 2, 1)
    kept = once.withdraw(np.r_[first, second])
    then = twice.withdraw(first)
    moved = second - (first < second).sum()
    assert_array_equal(then[twice.withdraw(moved)], kept)
    assert (once.provenance_ != twice.provenance_).nnz == 0
    assert_array_equal(once._members, twice._members)
    a, b = (s.sample({1: 5, 2: 5}, random_state=0)[0] for s in (once, twice))
    assert_array_equal(a, b)


def test_nothing_withdrawn_nothing_changed(table):
    sampler, X_resampled, _ = resampled(*table)
    before = sampler.sample({1: 5}, random_state=0)[0]
    assert_array_equal(sampler.withdraw([]), np.arange(len(X_resampled)))
    assert_array_equal(sampler.sample({1: 5}, random_state=0)[0], before)


@pytest.mark.parametrize("neighborhood", NEIGHBORHOODS)
def test_a_whole_class_and_all_of_them(table, neighborhood):
    X, y = table
    sampler, *_ = resampled(X, y, neighborhood=neighborhood)
    kept = sampler.withdraw(y == 1)
    assert len(kept) == 47 + 33
    assert_array_equal(sampler.sample(4)[1], [2] * 4)
    assert list(sampler.audit()) == [2]
    with pytest.raises(ValueError, match=r"rows of \[1\], but .* classes are \[2\]"):
        sampler.sample({1: 1})
    kept = sampler.withdraw(y[y != 1] == 2)
    assert len(kept) == 40
    assert sampler.provenance_.shape == (0, 40)
    assert sampler.audit() == {}
    with pytest.raises(ValueError, match="generated have been withdrawn"):
        sampler.sample(1)
    assert sampler.generator_ is None


@pytest.mark.filterwarnings("ignore:No class is below:UserWarning")
def test_a_new_fit_starts_anew(table):
    X, y = table
    sampler, *_ = resampled(X, y)
    sampler.withdraw(y > 0)
    sampler.fit_resample(X, y)
    assert len(sampler.sample(5)[0]) == 5
    sampler.withdraw(y > 0)
    sampler.fit_resample(X[:40], np.repeat([0, 1], 20))
    with pytest.raises(ValueError, match="no class was generated in fit"):
        sampler.sample(5)


def with_secrets(as_type):
    y = np.repeat([0, 1], [30, 8])
    codes = np.arange(38)
    names = pd.Series([f"secret {i}" for i in codes]).astype(as_type)
    return pd.DataFrame({"code": codes + 0.5, "name": names}), y


@pytest.mark.parametrize("n", [3, 8])
@pytest.mark.parametrize("as_type", ["str", object])
def test_no_value_of_the_rows_is_pickled(as_type, n):
    X, y = with_secrets(as_type)
    sampler, *_ = resampled(X, y)
    assert b"secret 31" in pickle.dumps(sampler)
    sampler.withdraw(of_class(y, 1, n))
    assert b"secret 31" not in pickle.dumps(sampler)
    assert (b"secret 37" in pickle.dumps(sampler)) == (n == 3)


def test_levels_stay_as_they_are_the_type():
    X, y = with_secrets("category")
    sampler, *_ = resampled(X, y)
    sampler.withdraw(of_class(y, 1, 3))
    X_new, _ = sampler.sample({1: 40})
    assert X_new["name"].dtype == X["name"].dtype
    assert set(X_new["name"]) <= set(X["name"][33:])


def test_one_row_remains_but_copies_are_excluded(table):
    X, y = table
    sampler, *_ = resampled(X, y, max_weight=0.6)
    sampler.withdraw(of_class(y, 2, 6))
    with pytest.raises(ValueError, match="max_weight"):
        sampler.sample({2: 3})


@pytest.mark.parametrize("neighborhood", NEIGHBORHOODS)
def test_one_row_remains(table, neighborhood):
    X, y = table
    sampler, *_ = resampled(X, y, neighborhood=neighborhood)
    sampler.withdraw(of_class(y, 2, 6))
    X_new, _ = sampler.sample({2: 3})
    assert_allclose(X_new, np.tile(X[y == 2][6], (3, 1)), rtol=1e-12)


def test_rows_held_out_of_the_game(table):
    X, y = table
    sampler, X_resampled, _ = resampled(X, y, early_stopping=True)
    held_out = np.setdiff1d(np.flatnonzero(y > 0), sampler._members)
    kept = sampler.withdraw(held_out)
    assert_array_equal(kept, np.setdiff1d(np.arange(len(X_resampled)), held_out))
    X_left = np.delete(X, held_out, axis=0)
    assert_allclose(
        sampler.provenance_ @ X_left, X_resampled[kept][len(X_left) :], rtol=1e-9
    )


def test_features_and_frames(digits):
    X, y = digits
    X, y = pd.DataFrame(X[y < 3]), y[y < 3]
    sampler, features, _ = resampled(
        X, y, feature_extractor="conv", image_shape=(1, 8, 8), neighborhood=3
    )
    rows = of_class(y, 2, 10)
    kept = sampler.withdraw(rows)
    assert_array_equal(np.delete(features[:300], rows, axis=0), features[kept][:290])
    assert_allclose(
        sampler.provenance_ @ features[kept][:290], features[kept][290:], atol=1e-5
    )
    assert sampler.sample({2: 3})[0].shape == (3, features.shape[1])


@pytest.mark.filterwarnings("ignore:No class is below:UserWarning")
def test_where_nothing_was_generated(table):
    X, _ = table
    sampler, *_ = resampled(X[:40], np.repeat([0, 1], 20))
    assert_array_equal(sampler.withdraw([0, 39]), np.arange(1, 39))
    assert sampler.provenance_.shape == (0, 38)


def test_what_it_takes(table):
    with pytest.raises(NotFittedError):
        GAMOSampler().withdraw([0])
    sampler, *_ = resampled(*table)
    before = sampler.provenance_
    with pytest.raises(ValueError, match=r"positions in X, from 0 to 58, .* \[59\]"):
        sampler.withdraw([59])
    assert sampler.provenance_ is before
    free, *_ = resampled(*table, generator="unconstrained")
    with pytest.raises(AttributeError, match="with a convex generator"):
        free.withdraw([0])
