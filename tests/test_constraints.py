"""What linear constraints on real rows say of generated ones."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.optimize import LinearConstraint
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError

from gamo_sampler import GAMOSampler
from gamo_sampler._constraints import count_outside

INF = np.inf
NEIGHBORHOODS = ["class", 3, None]


def resampled(X, y, **parameters):
    sampler = GAMOSampler(**{"max_rounds": 2, "random_state": 0} | parameters)
    return sampler, *sampler.fit_resample(X, y)


def shares(n=40):
    """Rows of four shares that sum to 1, and their labels, 1 in four of them."""
    rng = np.random.default_rng(0)
    return rng.dirichlet([1, 2, 3, 4], size=n), np.arange(n) % 4 == 0


def test_of_known_rows():
    rows = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 2.0]])
    weights = csr_array([[0, 0.5, 0.5], [0.5, 0.5, 0], [2, -1, 0]])
    lines = LinearConstraint([[1, 0], [1, 1], [0, 1]], [0, -INF, 1], [4, 2.5, INF])
    counts = count_outside([lines], weights, rows)
    assert counts == {"real": [0, 1, 2], "generated": [1, 1, 2]}
    # A number for each line of all the constraints, in their order.
    parts = [LinearConstraint(lines.A[i], lines.lb[i], lines.ub[i]) for i in (2, 0)]
    counts = count_outside(parts, weights, rows)
    assert counts == {"real": [2, 0], "generated": [2, 1]}


@pytest.mark.parametrize("neighborhood", NEIGHBORHOODS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_shares_stay_shares(neighborhood, dtype):
    X, y = shares()
    sampler, X_resampled, _ = resampled(X.astype(dtype), y, neighborhood=neighborhood)
    total = LinearConstraint(np.ones(4), 1, 1)
    ranges = LinearConstraint(np.eye(4), 0, 1)
    counts = {"real": [0] * 5, "generated": [0] * 5}
    assert sampler.verify([total, ranges]) == {True: counts}
    np.testing.assert_allclose(X_resampled.sum(1), 1, rtol=1e-6)


def test_what_does_not_hold_is_counted():
    X, y = shares()
    sampler, X_resampled, _ = resampled(X, y)
    first = np.median(X[y, 0])
    counts = sampler.verify(LinearConstraint([[1, 0, 0, 0]], -INF, first))
    found = {"real": [5], "generated": [int((X_resampled[40:, 0] > first).sum())]}
    assert counts == {True: found}
    assert found["generated"][0] > 0


def test_rows_that_leave_the_hull_are_found():
    X, y = shares()
    sampler, *_ = resampled(X, y)
    sampler.provenance_.data *= 1.001
    counts = sampler.verify(LinearConstraint(np.ones(4), 1, 1))
    assert counts == {True: {"real": [0], "generated": [20]}}


def test_each_class_by_its_own_rows(table):
    X, y = table
    sampler, *_ = resampled(X, y)
    least = X[y == 1].min(0)
    counts = sampler.verify(LinearConstraint(np.eye(5), least, INF))
    assert list(counts) == [1, 2]
    assert counts[1] == {"real": [0] * 5, "generated": [0] * 5}
    assert counts[2]["real"] == (X[y == 2] < least).sum(0).tolist()
    assert sum(counts[2]["real"]) > 0


def test_integers_before_they_are_rounded():
    """a = 2b holds for the mixture; rounding is of each column by itself."""
    b = np.array([1, 2, 5, 9, 3, 4, 6, 8, 7, 10, 12])
    X, y = np.column_stack([2 * b, b]), np.arange(11) < 4
    sampler, X_resampled, _ = resampled(X, y)
    counts = sampler.verify(LinearConstraint([[1, -2]], 0, 0))
    assert counts == {True: {"real": [0], "generated": [0]}}
    assert np.abs(X_resampled[11:] @ [1, -2]).max() <= 1.5


def test_features_of_a_network(digits):
    X, y = digits
    sampler, features, _ = resampled(
        X[y < 3], y[y < 3], feature_extractor="conv", image_shape=(1, 8, 8)
    )
    n = features.shape[1]
    counts = sampler.verify(LinearConstraint(np.eye(n), -1, 1))  # tanh
    assert list(counts) == [1, 2]
    assert all(own["generated"] == [0] * n for own in counts.values())


def test_frames_and_lists():
    X, y = shares()
    line = LinearConstraint([[1, 1, 1, 1]], 1, 1)
    for data in (pd.DataFrame(X), X.tolist()):
        sampler, *_ = resampled(data, y)
        assert sampler.verify(line) == {True: {"real": [0], "generated": [0]}}


@pytest.mark.filterwarnings("ignore:No class is below:UserWarning")
def test_nothing_generated():
    X, _ = shares()
    sampler, *_ = resampled(X, np.arange(40) % 2)
    assert sampler.verify(LinearConstraint(np.ones(4), 1, 1)) == {}


def test_what_it_takes():
    X, y = shares()
    with pytest.raises(NotFittedError):
        GAMOSampler().verify(LinearConstraint(np.ones(4), 1, 1))
    sampler, *_ = resampled(X, y)
    with pytest.raises(ValueError, match="A has 3 columns, but rows have 4"):
        sampler.verify(LinearConstraint(np.ones(3), 1, 1))
    with pytest.raises(TypeError, match=r"a scipy.optimize.LinearConstraint, .* 'a<b'"):
        sampler.verify(["a<b"])


# Missing values, and other types ----------------------------------------------


def with_a_gap(n=60):
    """Three columns, of which the second lacks a value, and 12 labels of 1."""
    X = np.random.default_rng(0).normal(size=(n, 3))
    X[50, 1] = np.nan
    return X, np.arange(n) >= 48


def test_missing_values_hide_nothing():
    X, y = with_a_gap()
    sampler, *_ = resampled(X, y, missing="propagate")
    first = sampler.verify(LinearConstraint([[1, 0, 0]], ub=-100))
    assert first == {True: {"real": [12], "generated": [36]}}
    # The row that misses the value is unknown, not outside.
    second = sampler.verify(LinearConstraint([[0, 1, 0]], ub=-100))
    assert second[True]["real"] == [11]
    assert second[True]["generated"][0] >= 30


def test_ranges_hold_for_means_of_what_is_known():
    rows = np.array([[0.0, 4.0], [2.0, np.nan], [4.0, 8.0]])
    weights = csr_array([[0.25, 0.5, 0.25], [0.1, 0.9, 0.0]])
    ranges = LinearConstraint(np.eye(2), [0, 4], [4, 8])
    counts = count_outside([ranges], weights, rows)
    assert counts == {"real": [0, 0], "generated": [0, 0]}
    # (2, 6) and (1.8, unknown): half of what is missing would be 3.
    above = LinearConstraint(np.eye(2), [1.9, 5.9], INF)
    counts = count_outside([above], weights, rows)
    assert counts == {"real": [1, 1], "generated": [1, 0]}


def test_across_columns_missing_values_matter():
    """The second is twice the first in all rows that have both, not in their mean."""
    rows = np.array([[0.0, 0.0], [2.0, 4.0], [4.0, np.nan]])
    line = LinearConstraint([[2, -1]], 0, 0)
    counts = count_outside([line], csr_array([[0.3, 0.3, 0.4]]), rows)
    assert counts == {"real": [0], "generated": [1]}


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint8", "float32"])
def test_sparse_rows_of_any_type(dtype):
    X, y = with_a_gap()
    X = csr_array(np.abs(10 * np.nan_to_num(X)).round().astype(dtype))
    sampler, *_ = resampled(X, y)
    counts = sampler.verify(LinearConstraint([[1, 0, 0], [0, 1, 0]], -200, [200, -200]))
    assert counts == {True: {"real": [0, 12], "generated": [0, 36]}}


def test_dates_are_no_numbers():
    X, y = with_a_gap()
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 2]})
    frame.insert(1, "when", pd.Timestamp("2024-03-30") + pd.to_timedelta(X[:, 0], "D"))
    frame.insert(0, "long", pd.to_timedelta(X[:, 0], "D"))
    sampler, *_ = resampled(frame, y)
    counts = sampler.verify(LinearConstraint(np.eye(2), -100, [100, -100]))
    assert counts == {True: {"real": [0, 12], "generated": [0, 36]}}
    message = r"has 4 columns, but rows have 2 that hold numbers: \['a', 'b'\]"
    with pytest.raises(ValueError, match=message):
        sampler.verify(LinearConstraint(np.eye(4), -100, 100))


# Any constraint ---------------------------------------------------------------

numbers = st.floats(-1e4, 1e4, width=32)


@settings(deadline=None, max_examples=30)
@given(
    X=npst.arrays(np.float64, (14, 3), elements=numbers),
    A=npst.arrays(np.float64, (4, 3), elements=st.floats(-10, 10, width=16)),
    neighborhood=st.sampled_from(NEIGHBORHOODS),
)
def test_whatever_holds_for_a_class_holds_for_its_mixtures(X, A, neighborhood):
    """The tightest bounds that the real rows satisfy, of random directions."""
    y = np.arange(14) < 5
    sampler, X_resampled, _ = resampled(
        X, y, neighborhood=neighborhood, hidden_layer_sizes=(4,)
    )
    values = X[y] @ A.T
    tight = LinearConstraint(A, values.min(0), values.max(0))
    nothing = {"real": [0] * 4, "generated": [0] * 4}
    assert sampler.verify(tight) == {True: nothing}
    # The rows themselves, not only their weights.
    margin = 1e-9 * (np.abs(A) @ np.abs(X[y]).max(0))
    generated = X_resampled[14:] @ A.T
    assert (generated >= values.min(0) - margin).all()
    assert (generated <= values.max(0) + margin).all()
