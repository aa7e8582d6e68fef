"""Quality of generated rows: closed forms, brute force, and what is refused."""

import doctest
import importlib
from itertools import product

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import sqrtm
from scipy.spatial import KDTree
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from gamo_sampler import GAMOClassifier, metrics
from gamo_sampler.metrics import (
    _distances,
    coverage,
    frechet_distance,
    kernel_distance,
    nearest_real_distance,
    precision_recall,
)

MEASURES = [getattr(metrics, name) for name in metrics.__all__]
NEIGHBOURS = [precision_recall, coverage]


def normal(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def gaussian(mean, covariance, n=50, seed=0):
    """Rows whose sample mean and covariance are exactly these."""
    Z = normal(n, len(mean), seed)
    Q, _ = np.linalg.qr(Z - Z.mean(axis=0))  # its columns are centred too
    return mean + np.sqrt(n - 1) * Q @ np.linalg.cholesky(covariance).T


def spread(d, seed):
    """A covariance without any symmetry."""
    A = normal(d, d, seed)
    return A @ A.T + 0.1 * np.eye(d)


def test_frechet_of_diagonal_gaussians():
    a, b, shift = np.array([1, 4, 9]), np.array([16, 1, 0.25]), np.array([1, 2, -3])
    real = gaussian(np.zeros(3), np.diag(a))
    generated = gaussian(shift, np.diag(b), n=30, seed=1)
    # 14 + (1 - 4)^2 + (2 - 1)^2 + (3 - 0.5)^2
    assert_allclose(frechet_distance(real, generated), 30.25)


@pytest.mark.parametrize("d", [1, 2, 5, 20])
def test_frechet_of_general_gaussians(d):
    S_r, S_g, shift = spread(d, 0), spread(d, 1), normal(1, d, 2)[0]
    real = gaussian(np.zeros(d), S_r)
    generated = gaussian(shift, S_g, n=80, seed=3)
    expected = shift @ shift + np.trace(S_r + S_g - 2 * sqrtm(S_r @ S_g).real)
    assert_allclose(frechet_distance(real, generated), expected)


def test_frechet_of_two_lines():
    """Rank 1 in 500 dimensions: r^2 + g^2 - 2 r g |cos|, for deviations r and g."""
    u, v = np.linalg.qr(normal(500, 2))[0].T
    v = 0.6 * u + 0.8 * v
    real = np.outer([-1, 0, 1], 5 * u)
    generated = np.outer([-1, 0, 0, 1], 2 * v) * np.sqrt(1.5)
    assert_allclose(frechet_distance(real, generated), 25 + 4 - 2 * 5 * 2 * 0.6)


def test_frechet_where_rows_are_fewer_than_features():
    real, generated = normal(8, 40), 2 * normal(5, 40, 1) + 1
    S_r, S_g = (np.cov(X, rowvar=False) for X in (real, generated))
    values, vectors = np.linalg.eigh(S_r)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    overlap = np.sqrt(np.linalg.eigvalsh(root @ S_g @ root).clip(1e-12)).sum()
    shift = real.mean(axis=0) - generated.mean(axis=0)
    expected = shift @ shift + np.trace(S_r) + np.trace(S_g) - 2 * overlap
    assert_allclose(frechet_distance(real, generated), expected, rtol=1e-5)


def test_frechet_is_symmetric():
    real, generated = normal(8, 5), 3 * normal(20, 5, 1)
    forth, back = frechet_distance(real, generated), frechet_distance(generated, real)
    assert_allclose(forth, back)


def test_frechet_of_a_translation():
    real = gaussian(np.ones(4), spread(4, 0))
    generated = gaussian(np.ones(4), spread(4, 1))
    t = np.array([1, -2, 0.5, 3])
    moved = frechet_distance(real, generated + t)
    assert_allclose(moved - frechet_distance(real, generated), t @ t)
    assert_allclose(frechet_distance(real + 7, generated + 7 + t), moved)


@pytest.mark.parametrize("shape", [(2, 1), (5, 40), (100, 3), (4, 4)])
def test_frechet_of_the_same_rows(shape):
    X = 100 * normal(*shape) + 1000
    assert 0 <= frechet_distance(X, X) < 1e-15 * shape[1] * 1e6
    assert 0 <= frechet_distance(X, X[::-1]) < 1e-15 * shape[1] * 1e6


TABLES = npst.arrays(
    np.float64, st.tuples(st.integers(2, 6), st.just(3)), elements=st.floats(-9, 9)
)


@settings(deadline=None, derandomize=True)
@given(TABLES, TABLES)
def test_frechet_is_never_negative(real, generated):
    distance = frechet_distance(real, generated)
    shift = real.mean(axis=0) - generated.mean(axis=0)
    assert distance >= shift @ shift * (1 - 1e-12)


def brute_kernel_distance(real, generated):
    def mean(X, Y, other):
        return np.mean(
            [
                (x @ y / len(x) + 1) ** 3
                for i, x in enumerate(X)
                for j, y in enumerate(Y)
                if i != j or not other
            ]
        )

    within = mean(real, real, True) + mean(generated, generated, True)
    return within - 2 * mean(real, generated, False)


@pytest.mark.parametrize("block", [1, 3, 4, 7, 1024])
def test_kernel_distance_against_a_double_loop(monkeypatch, block):
    monkeypatch.setattr(_distances, "BLOCK", block)
    real, generated = normal(7, 3), normal(5, 3, 1) + 0.5
    expected = brute_kernel_distance(real, generated)
    assert_allclose(kernel_distance(real, generated), expected)
    assert_allclose(kernel_distance(generated, real), expected)


def test_kernel_distance_of_an_array_to_itself():
    X = normal(6, 3)
    distance = kernel_distance(X, X)
    assert distance < 0
    assert_allclose(distance, brute_kernel_distance(X, X))


def test_no_kernel_is_greater_than_a_block(monkeypatch):
    sizes = []
    kernel = _distances.polynomial_kernel

    def watched(*args, **kwargs):
        sizes.append(kernel(*args, **kwargs).shape)
        return kernel(*args, **kwargs)

    monkeypatch.setattr(_distances, "polynomial_kernel", watched)
    monkeypatch.setattr(_distances, "BLOCK", 4)
    kernel_distance(normal(9, 2), normal(6, 2))
    assert np.max(sizes) == 4


@pytest.mark.parametrize("p", [0.25, 0.5, 1])
def test_kernel_distance_has_the_population_s_value_as_its_mean(p):
    """For one feature it is 3 d_1^2 + 3 d_2^2 + d_3^2.

    d_k is the difference of the k-th moments: 0.5 - p for all three, as the 3 real and
    2 generated rows are 0 or 1. The mean is that over all 32 samples there are.
    """
    mean = 0.0
    for bits in product([0, 1], repeat=5):
        real, generated = np.split(np.array(bits)[:, None], [3])
        ones = generated.sum()
        probability = 0.5**3 * p**ones * (1 - p) ** (2 - ones)
        mean += probability * kernel_distance(real, generated)
    assert_allclose(mean, 7 * (0.5 - p) ** 2, atol=1e-12)


def test_kernel_distance_is_unbiased():
    """Mean of 1000 draws: within 3.5 standard errors of 0, each about 0.08.

    With the diagonal, 6 and 9 rows would raise it by (1 / 6 + 1 / 9) (16 - 2.5), which
    is 3.75: the means of k(x, x) and of k(x, x') for two standard normal features.
    """
    rng = np.random.default_rng(0)
    draws = np.array(
        [
            kernel_distance(rng.normal(size=(6, 2)), rng.normal(size=(9, 2)))
            for _ in range(1000)
        ]
    )
    error = draws.std(ddof=1) / np.sqrt(len(draws))
    assert error < 0.1
    assert draws.min() < 0
    assert abs(draws.mean()) < 3.5 * error


def test_nothing_is_covered_from_outside():
    real, generated = normal(30, 2), normal(20, 2, 1) + 100
    assert precision_recall(real, generated) == (0, 0)
    assert coverage(real, generated) == 0


def test_the_same_rows_are_fully_covered():
    X = normal(30, 2)
    assert precision_recall(X, X) == (1, 1)
    assert coverage(X, X) == 1


def test_one_of_two_clusters_is_covered():
    cluster = normal(20, 3)
    real = np.concatenate([cluster, cluster + 100])
    assert precision_recall(real, cluster) == (1, 0.5)
    assert coverage(real, cluster) == 0.5
    assert precision_recall(cluster, real) == (0.5, 1)
    assert coverage(cluster, real) == 1


def test_a_far_row_raises_recall_but_not_coverage():
    real = np.arange(10.0)[:, None]
    generated = np.array([[100.0], [101.0], [-100.0]])
    precision, recall = precision_recall(real, generated, n_neighbors=2)
    assert (precision, recall) == (0, 1)
    assert coverage(real, generated, n_neighbors=2) == 0


def brute_balls(centres, k):
    """Each centre with the squared radius of its ball, by loops and sorting."""
    for i, a in enumerate(centres):
        others = [np.sum((a - b) ** 2) for j, b in enumerate(centres) if j != i]
        yield a, sorted(others)[k - 1]


def brute_share(points, centres, k):
    balls = list(brute_balls(centres, k))
    return np.mean([any(np.sum((p - c) ** 2) <= r for c, r in balls) for p in points])


# Whole numbers have many ties and are compared without rounding.
GRIDS = npst.arrays(
    np.uint8, st.tuples(st.integers(4, 12), st.just(2)), elements=st.integers(0, 255)
) | npst.arrays(
    np.uint8, st.tuples(st.integers(4, 12), st.just(2)), elements=st.integers(0, 4)
)


@settings(deadline=None, derandomize=True)
@given(GRIDS, GRIDS, st.integers(1, 3))
def test_neighbour_measures_against_loops(real, generated, k):
    R, G = real.astype(float), generated.astype(float)
    expected = brute_share(G, R, k), brute_share(R, G, k)
    assert precision_recall(real, generated, n_neighbors=k) == expected
    covered = [any(np.sum((c - g) ** 2) <= r for g in G) for c, r in brute_balls(R, k)]
    assert coverage(real, generated, n_neighbors=k) == np.mean(covered)
    nearest = [min(np.sqrt(np.sum((r - g) ** 2)) for r in R) for g in G]
    assert_allclose(nearest_real_distance(real, generated), nearest)


def test_five_neighbours_by_default():
    """The last of 0, ..., 9 has a ball up to 14."""
    real = np.arange(10)[:, None]
    generated = np.array([[13.5], [14.5], [50], [60], [70], [80]])
    precision, _ = precision_recall(real, generated)
    assert precision == 1 / 6
    assert coverage(real, generated[:1]) == 1 / 10
    assert coverage(real, generated[1:]) == 0


def test_copies_on_the_edge_of_a_ball_are_inside():
    """Far from the origin, where |x|^2 - 2 xy + |y|^2 has lost the last digits."""
    real = normal(40, 64) + 1e4
    _, nearest = KDTree(real).query(real, k=6)  # the row itself comes first
    for j in range(5):
        expected = np.mean((nearest == j).any(axis=1))
        assert coverage(real, real[[j]]) == expected


def test_copies_are_at_distance_zero():
    real = normal(40, 64) + 1e4
    generated = real[[3, 3, 17]] + [[0], [0], [1e-6]]
    distances = nearest_real_distance(real, generated)
    assert_array_equal(distances[:2], 0)
    assert_allclose(distances[2], 8e-6, rtol=1e-5)


def test_nearest_real_distance():
    distances = nearest_real_distance([[0, 0], [10, 0]], [[3, 4], [10, 1], [0, 0]])
    assert_array_equal(distances, [5, 1, 0])
    assert distances.dtype == np.float64


@pytest.mark.parametrize("measure", [*NEIGHBOURS, nearest_real_distance])
def test_chunks_do_not_change_the_result(measure):
    real, generated = normal(70, 3), normal(50, 3, 1) + 0.5
    whole = measure(real, generated)
    with sklearn.config_context(working_memory=2e-3):  # MiB: three rows of 70
        assert_array_equal(measure(real, generated), whole)


@pytest.mark.parametrize("measure", [frechet_distance, kernel_distance, coverage])
def test_results_are_plain_floats(measure):
    assert type(measure(normal(9, 3), normal(8, 3))) is float


def test_precision_and_recall_are_a_tuple_of_plain_floats():
    result = precision_recall(normal(9, 3), normal(8, 3))
    assert type(result) is tuple
    assert [type(share) for share in result] == [float, float]


@pytest.mark.parametrize("measure", MEASURES)
def test_bytes_do_not_overflow(measure):
    rng = np.random.default_rng(0)
    real, generated = rng.integers(0, 256, size=(2, 12, 5), dtype=np.uint8)
    expected = measure(real.astype(float), generated.astype(float))
    assert_array_equal(measure(real, generated), expected)


@pytest.mark.parametrize("measure", MEASURES)
def test_single_precision_is_not_kept(measure):
    real, generated = normal(2 * 12, 5).astype(np.float32).reshape(2, 12, 5)
    expected = measure(real.astype(float), generated.astype(float))
    assert_array_equal(measure(real, generated), expected)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("container", [pd.DataFrame, np.ndarray.tolist])
def test_frames_and_lists(measure, container):
    real, generated = normal(9, 3), normal(8, 3, 1)
    expected = measure(real, generated)
    assert_allclose(measure(container(real), container(generated)), expected)


@pytest.mark.parametrize("measure", MEASURES)
def test_inputs_are_left_alone(measure):
    real, generated = normal(9, 3), normal(8, 3, 1)
    measure(real, generated)
    assert_array_equal(real, normal(9, 3))
    assert_array_equal(generated, normal(8, 3, 1))


@pytest.fixture
def images(digits):
    """Real and generated images of one class."""
    X = digits[0][:40].reshape(-1, 8, 8)
    return X[:25], np.roll(X[25:], 1, axis=1)


def flat(X):
    return X.reshape(len(X), -1)


@pytest.mark.parametrize("measure", MEASURES)
def test_features_by_a_function(images, measure):
    real, generated = images
    expected = measure(flat(real), flat(generated))
    assert_array_equal(measure(real, generated, flat), expected)
    halves = measure(real, generated, features=lambda X: flat(X) / 2)
    assert measure in NEIGHBOURS or np.any(halves != expected)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(
    "transformer", [StandardScaler(), make_pipeline(StandardScaler(), PCA(2))]
)
def test_features_by_a_transformer(measure, transformer):
    real, generated = normal(30, 4) * [1, 9, 3, 5], normal(20, 4, 1) + 1
    transformer.fit(real)
    expected = measure(transformer.transform(real), transformer.transform(generated))
    assert_array_equal(measure(real, generated, transformer), expected)
    assert np.any(measure(real, generated) != expected)


@pytest.fixture(scope="module")
def game(digits):
    X, y = digits
    model = GAMOClassifier(feature_extractor="conv", max_iter=1, random_state=0)
    return model.fit(X.reshape(-1, 8, 8), y)


@pytest.mark.parametrize("measure", MEASURES)
def test_features_of_the_game(images, game, measure):
    real, generated = images
    expected = measure(game.extract_features(real), game.extract_features(generated))
    assert_array_equal(measure(real, generated, game), expected)
    assert np.all(np.isfinite(expected))


def test_extract_features_comes_before_transform():
    class Both:
        def __call__(self, X):
            return 5 * X

        def transform(self, X):
            return 3 * X

    class All(Both):
        def extract_features(self, X):
            return 2 * X

    real, generated = [[0.0, 0.0]], [[3.0, 4.0]]
    real, generated = np.array(real), np.array(generated)
    assert nearest_real_distance(real, generated, All()) == 10
    assert nearest_real_distance(real, generated, Both()) == 15


@pytest.mark.parametrize("measure", MEASURES)
def test_images_need_features(images, measure):
    real, generated = images
    message = r"real must have shape \(n_rows, n_features\), got \(25, 8, 8\).*`featu"
    with pytest.raises(ValueError, match=message):
        measure(real, generated)
    with pytest.raises(ValueError, match=r"features of generated .*got \(15, 8, 8\)"):
        measure(flat(real), generated)
    with pytest.raises(ValueError, match=r"features of real .*got \(3,\) from \(3,\)"):
        measure(np.zeros(3), generated)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_row_for_each_row(measure):
    real, generated = np.zeros((9, 4)), np.zeros((8, 4))
    message = r"features of real .*got \(18, 2\) from \(9, 4\)"
    with pytest.raises(ValueError, match=message):
        measure(real, generated, lambda X: X.reshape(-1, 2))


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("features", ["conv", LogisticRegression(), 3])
def test_features_that_map_nothing(measure, features):
    message = r"features must be None, a callable.*extract_features or transform, got "
    with pytest.raises(TypeError, match=message):
        measure(normal(9, 3), normal(9, 3), features)


def test_features_that_are_not_fitted():
    with pytest.raises(NotFittedError):
        frechet_distance(normal(9, 3), normal(9, 3), GAMOClassifier())


def test_sparse_features():
    X = np.arange(9)[:, None]
    with pytest.raises(TypeError, match="dense data is required"):
        frechet_distance(X, X, OneHotEncoder().fit(X))


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_are_finite(measure, value):
    good = normal(9, 3)
    bad = good.copy()
    bad[3, 1] = value
    what = "NaN" if np.isnan(value) else "infinity"
    with pytest.raises(ValueError, match=f"Input real contains {what}"):
        measure(bad, good)
    with pytest.raises(ValueError, match=f"Input generated contains {what}"):
        measure(good, bad)


@pytest.mark.parametrize("measure", MEASURES)
def test_widths_agree(measure):
    message = "same number of features, got 3 and 4"
    with pytest.raises(ValueError, match=message):
        measure(normal(9, 3), normal(9, 4))


@pytest.mark.parametrize("measure", [frechet_distance, kernel_distance])
def test_two_rows_at_least(measure):
    one, two = normal(1, 3), normal(2, 3)
    assert np.isfinite(measure(two, two + 1))
    with pytest.raises(ValueError, match="real must have at least 2 rows, got 1"):
        measure(one, two)
    with pytest.raises(ValueError, match="generated must have at least 2 rows, got 1"):
        measure(two, one)


def test_more_rows_than_neighbours():
    few, enough = normal(5, 2), normal(6, 2)
    precision_recall(enough, enough)
    for measure in NEIGHBOURS:
        message = "real has 5 rows, but n_neighbors=5 needs at least 6"
        with pytest.raises(ValueError, match=message):
            measure(few, enough)
    message = "generated has 5 rows, but n_neighbors=5 needs at least 6"
    with pytest.raises(ValueError, match=message):
        precision_recall(enough, few)
    assert coverage(enough, enough[:1]) > 0


@pytest.mark.parametrize("measure", [coverage, nearest_real_distance])
def test_one_generated_row_at_least(measure):
    with pytest.raises(ValueError, match="generated must have at least 1 rows, got 0"):
        measure(normal(9, 3), np.empty((0, 3)))


@pytest.mark.parametrize("measure", NEIGHBOURS)
def test_number_of_neighbours(measure):
    X = normal(9, 3)
    with pytest.raises(ValueError, match="n_neighbors == 0, must be >= 1"):
        measure(X, X, n_neighbors=0)
    with pytest.raises(TypeError, match="n_neighbors must be an instance of"):
        measure(X, X, n_neighbors=2.5)


@pytest.mark.parametrize(("name", "n_public"), [("_distances", 2), ("_neighbors", 3)])
def test_doctests(name, n_public):
    module = importlib.import_module(f"gamo_sampler.metrics.{name}")
    result = doctest.testmod(module)
    assert result.failed == 0
    assert result.attempted >= 2 * n_public


def test_a_class_in_place_of_a_fitted_object():
    X = np.zeros((5, 2))
    with pytest.raises(TypeError, match="must be a fitted object, got the class PCA"):
        frechet_distance(X, X, PCA)
