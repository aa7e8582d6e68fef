"""Bounds on the weights of generated rows."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.testing import assert_allclose, assert_array_equal

from gamo_sampler import GAMO2Pix, GAMOClassifier, GAMOSampler
from gamo_sampler._draws import Lots
from gamo_sampler._limits import Limits


def limited(weights, *limits):
    return Limits(*limits)(torch.tensor(weights, dtype=torch.float32)).numpy()


def resampled(X, y, **parameters):
    sampler = GAMOSampler(**{"max_rounds": 3, "random_state": 0} | parameters)
    return sampler, *sampler.fit_resample(X, y)


def effective(weights):
    return 1 / (weights**2).sum(1)


# The rule ---------------------------------------------------------------------


def test_the_heaviest_sources_stay():
    found = limited([[0.1, 0.4, 0.2, 0.3]], 2)
    assert_allclose(found, [[0, 4 / 7, 0, 3 / 7]], rtol=1e-6)
    assert limited([[0.1, 0.4, 0.2, 0.3]], 1).tolist() == [[0, 1, 0, 0]]
    within = [[0.125, 0.5, 0.25, 0.125]]
    assert limited(within, 4).tolist() == within


def test_of_two_sources_the_weight_is_clipped():
    found = limited([[0.95, 0, 0.05], [0.0, 0.25, 0.75], [0.02, 0, 0.98]], None, 0.9)
    assert_allclose(found, [[0.9, 0, 0.1], [0, 0.25, 0.75], [0.1, 0, 0.9]], rtol=1e-6)


def test_three_sources_become_more_equal():
    found = limited([[0.75, 0.25, 0.0, 0.0], [0.7, 0.2, 0.1, 0]], None, 0.6)
    # t = (.7 - .6) / (.7 - 1/3) = 3/11 of the way to a third each.
    expected = [[0.6, 0.4, 0, 0], [0.6, 0.2 + 0.4 / 11, 0.1 + 0.7 / 11, 0]]
    assert_allclose(found, expected, rtol=1e-6)


def test_the_effective_number_of_sources():
    found = limited([[0.75, 0.25, 0], [0.5, 0.5, 0], [0.8, 0.1, 0.1]], None, 1.0, 1.8)
    assert_allclose(effective(found), [1.8, 2, 1.8], rtol=1e-6)
    assert (found[:2, 2] == 0).all()


def test_a_vanished_source_comes_back():
    """The first of them: in a pair the anchor's, never twice the other row's."""
    n = 40  # short rows may be sorted in order by chance
    found = limited([[0.0] * n + [1.0] + [0.0] * n], None, 0.9)
    assert np.flatnonzero(found).tolist() == [0, n]
    assert_allclose(found[0, [0, n]], [0.1, 0.9])


@pytest.mark.filterwarnings("ignore:G makes near copies")
def test_an_anchor_s_weight_may_vanish(table, monkeypatch):
    """Where u is nearly 1, sin(u pi / 2)^2 is 1 in single precision."""
    X, y = table
    of = Lots.of

    def near_one(*arguments):
        draw = of(*arguments)
        draw.u[:, 0] = 1 - 1e-5
        return draw

    monkeypatch.setattr(Lots, "of", near_one)
    free, *_ = resampled(X, y)
    assert (np.diff(free.provenance_.indptr) == 1).all()
    sampler, *_ = resampled(X, y, max_weight=0.9)
    assert_allclose(sampler.provenance_.toarray().max(1), 0.9)


@given(
    weights=npst.arrays(
        np.float32, (3, 6), elements=st.floats(0, 1, width=32) | st.just(0)
    ),
    max_sources=st.none() | st.integers(3, 8),
    max_weight=st.floats(1 / 3, 1),
    min_sources=st.floats(1, 3),
)
@example(np.zeros((3, 6), np.float32), None, np.nextafter(1, 0), 1.0)
@example(np.zeros((3, 6), np.float32), None, 1.0, np.nextafter(2, 3))
def test_bounds_hold_whatever_the_weights(
    weights, max_sources, max_weight, min_sources
):
    weights[:, 0] += 1e-3
    weights /= weights.sum(1, keepdims=True)
    found = limited(weights, max_sources, max_weight, min_sources)
    assert (found >= 0).all()
    assert_allclose(found.sum(1), 1, rtol=1e-12)
    assert found.max() <= max_weight + 1e-12
    assert (effective(found) >= min_sources - 1e-9).all()
    assert ((found > 0).sum(1) <= (max_sources or 6)).all()
    # The order of the weights stays.
    for before, after in zip(weights, found, strict=True):
        assert (np.diff(after[np.argsort(-before, kind="stable")]) <= 1e-12).all()


def test_bounds_that_are_met_change_nothing():
    weights = torch.tensor([[0.5, 0.25, 0.25, 0.0]])
    assert torch.equal(Limits(3, 0.5, 2.0)(weights), weights.double())
    assert not Limits()
    assert Limits(max_sources=9)


# Of a sampler -----------------------------------------------------------------


@pytest.mark.parametrize("neighborhood", ["class", 3, None])
def test_generated_rows_are_within_the_bounds(table, neighborhood):
    X, y = table
    parameters = {"neighborhood": neighborhood}
    free, *_ = resampled(X, y, **parameters)
    bounds = {"max_sources": 4, "max_weight": 0.7, "min_sources": 1.8}
    sampler, X_resampled, _ = resampled(X, y, **parameters, **bounds)
    weights = sampler.provenance_
    assert weights.max() <= 0.7 + 1e-12
    assert (effective(weights.toarray()) >= 1.8 - 1e-9).all()
    n_sources = np.diff(weights.indptr)
    assert (n_sources == (4 if neighborhood is None else 2)).all()
    # The statement is exact: the bounded weights are those of the rows.
    assert_allclose(weights @ X, X_resampled[59:], rtol=1e-9, atol=1e-12)
    assert all(own["near_copies"] == 0 for own in sampler.audit().values())
    if neighborhood == "class":
        assert free.provenance_.max() > 0.95
        # The game was the same: so are the sources, and the weights within bounds.
        assert_array_equal(free.provenance_.indices, weights.indices)
        inside = np.abs(free.provenance_.data - 0.5) < 0.1
        assert inside.any()
        assert_allclose(weights.data[inside], free.provenance_.data[inside])


def test_the_same_for_further_rows(table):
    _, y = table
    one_hot = np.eye(59)
    sampler, *_ = resampled(one_hot, y, max_weight=0.6)
    X_more, _ = sampler.sample({1: 50, 2: 50})
    assert X_more.max() == pytest.approx(0.6)
    classifier = GAMOClassifier(max_iter=1, max_weight=0.6, random_state=0)
    rows, _ = classifier.fit(one_hot, y).sample({1: 50})
    assert rows.max() == pytest.approx(0.6)


def test_single_precision(table):
    X, y = table
    sampler, X_resampled, _ = resampled(X.astype(np.float32), y, max_weight=0.6)
    assert X_resampled.dtype == np.float32
    assert_allclose(sampler.provenance_ @ X, X_resampled[59:], rtol=1e-5)
    assert sampler.provenance_.max() <= 0.6 + 1e-12


def test_images(digits):
    X, y = digits
    X, y = X[y < 3].reshape(-1, 8, 8), y[y < 3]
    game = GAMOClassifier(
        feature_extractor="conv", max_iter=1, max_weight=0.6, random_state=0
    )
    sampler = GAMO2Pix(game, max_rounds=5, random_state=0)
    sampler.fit_resample(X, y)
    assert sampler.provenance_.max() <= 0.6 + 1e-12


@settings(deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_no_bounds_no_change(seed):
    weights = np.random.default_rng(seed).dirichlet(np.ones(5), size=4)
    found = limited(weights, 5, 1.0, 1.0)
    assert_allclose(found, weights, rtol=1e-5)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_weight": 0.4}, r"need rows made of 3 .* class 1 are made of 2 at most"),
        ({"min_sources": 2.5}, r"min_sources=2.5 need rows made of 3 .* of 2 at most"),
        ({"max_weight": 0.9, "max_sources": 1}, "of 2 or more, .* of 1 at most"),
        ({"min_sources": 8, "neighborhood": None}, "of 8 or more, .* class 2 .* of 7"),
        ({"max_weight": 0.9, "generator": "unconstrained"}, "of generator='convex'"),
        ({"max_weight": 0}, "max_weight"),
        ({"max_weight": 1.1}, "max_weight"),
        ({"min_sources": 0.5}, "min_sources"),
        ({"max_sources": 0}, "max_sources"),
    ],
)
def test_bounds_that_cannot_be_met(table, parameters, message):
    with pytest.raises(ValueError, match=message):
        resampled(*table, **parameters)


def test_a_class_of_one_row_cannot_but_be_copied(table):
    X, y = table
    y = np.where(np.arange(59) == np.flatnonzero(y == 2)[0], 3, np.minimum(y, 1))
    with pytest.raises(ValueError, match="class 3 are made of 1 at most"):
        resampled(X, y, max_weight=0.9)


def test_one_row_that_remains(table):
    X, y = table
    sampler, *_ = resampled(X, y, max_weight=0.9)
    sampler.withdraw(np.flatnonzero(y == 2)[1:])
    assert len(sampler.sample({1: 3})[0]) == 3
    with pytest.raises(ValueError, match="class 2 are made of 1 at most"):
        sampler.sample({2: 3})


def test_the_plain_network_has_no_weights(table):
    with pytest.raises(ValueError, match="but generator=None"):
        GAMOClassifier(generator=None, max_weight=0.9).fit(*table)
