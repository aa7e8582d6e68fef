"""A balanced data set made again from positions and weights."""

import pickle
import zipfile

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, load_npz
from sklearn.exceptions import NotFittedError

from gamo_sampler import GAMOSampler, Recipe

WEIGHTS = csr_array([[0, 0, 0.5, 0.5], [0, 0, 0.25, 0.75]])


def resampled(X, y, **parameters):
    sampler = GAMOSampler(**{"max_rounds": 3, "random_state": 0} | parameters)
    return sampler.fit_resample(X, y), sampler.recipe_


def test_of_known_weights():
    X, y = Recipe(WEIGHTS).apply([[1, 2], [3, 4], [10, 20], [20, 40]], list("aabb"))
    assert X == [[1, 2], [3, 4], [10, 20], [20, 40], [15, 30], [17.5, 35]]
    assert y == list("aabbbb")


@pytest.mark.parametrize("neighborhood", ["class", 3, None])
def test_saved_and_applied_elsewhere(table, tmp_path, neighborhood):
    X, y = table
    (X_resampled, y_resampled), recipe = resampled(X, y, neighborhood=neighborhood)
    recipe.save(tmp_path / "recipe.npz")
    X_again, y_again = Recipe.load(tmp_path / "recipe.npz").apply(X, y)
    assert_allclose(X_again, X_resampled, rtol=1e-12)
    assert_array_equal(X_again[:59], X)
    assert_array_equal(y_again, y_resampled)


def test_the_file_holds_positions_and_weights_alone(table, tmp_path):
    X, y = table
    _, recipe = resampled(X, np.array(["secret", "b", "c"])[y])
    recipe.save(tmp_path / "recipe.npz")
    with zipfile.ZipFile(tmp_path / "recipe.npz") as file:
        names = {name.removesuffix(".npy") for name in file.namelist()}
    assert names == {"data", "format", "indices", "indptr", "shape", "_is_array"}
    assert (load_npz(tmp_path / "recipe.npz") != recipe.weights).nnz == 0


def typed(X):
    """A frame of floats, integers, small integers, booleans, with missing allowed."""
    frame = pd.DataFrame(
        {
            "float": X[:, 0],
            "single": X[:, 1].astype("float32"),
            "int": (X[:, 4] * 100).astype(int),
            "byte": np.clip(X[:, 1], 0, 255).astype("uint8"),
            "bool": X[:, 0] > 1,
        }
    )
    return frame.assign(nullable=frame["int"].astype("Int64"))


def test_frames_and_their_types(table):
    X, y = table
    X, y = typed(X), pd.Series(np.array(["u", "v", "w"])[y], dtype="category")
    (X_resampled, y_resampled), recipe = resampled(X, y)
    X_again, y_again = recipe.apply(X, y)
    pd.testing.assert_frame_equal(X_again, X_resampled, rtol=1e-6)
    whole = ["int", "byte", "bool", "nullable"]
    assert (X_again[whole] == X_resampled[whole]).all(axis=None)
    pd.testing.assert_series_equal(y_again, y_resampled)


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint8])
def test_arrays_and_their_types(digits, dtype):
    X, y = digits
    X = X.astype(dtype)
    (X_resampled, _), recipe = resampled(X, y)
    X_again, _ = recipe.apply(X, y)
    assert X_again.dtype == dtype
    if dtype == np.float32:
        assert_allclose(X_again, X_resampled, atol=1e-5)
    else:
        assert_array_equal(X_again, X_resampled)


def test_one_vs_all_labels(table):
    X, y = table
    y = np.eye(3, dtype=int)[y]
    (_, y_resampled), recipe = resampled(X, y)
    assert_array_equal(recipe.apply(X, y)[1], y_resampled)


def test_features(digits):
    X, y = digits
    X, y = X[y < 3], y[y < 3]
    sampler = GAMOSampler(
        feature_extractor="conv", image_shape=(1, 8, 8), max_rounds=3, random_state=0
    )
    features, _ = sampler.fit_resample(X, y)
    again, _ = sampler.recipe_.apply(sampler.extract_features(X), y)
    assert_allclose(again, features, atol=1e-5)


def test_other_values_in_the_same_rows(table):
    """Such as the raw columns behind those that were resampled."""
    X, y = table
    _, recipe = resampled(X, y)
    raw, _ = recipe.apply(np.column_stack([X**2, X]), y)
    assert_allclose(raw[59:], recipe.weights @ np.column_stack([X**2, X]))


def test_after_rows_were_withdrawn(table):
    X, y = table
    sampler = GAMOSampler(max_rounds=3, random_state=0)
    X_resampled, y_resampled = sampler.fit_resample(X, y)
    kept = sampler.withdraw([3, 8, 20])
    left = kept[kept < 59]
    X_again, y_again = sampler.recipe_.apply(X[left], y[left])
    assert_allclose(X_again, X_resampled[kept], rtol=1e-12)
    assert_array_equal(y_again, y_resampled[kept])


@pytest.mark.filterwarnings("ignore:No class is below:UserWarning")
def test_nothing_generated(table):
    X, _ = table
    y = np.repeat([0, 1], 20)
    _, recipe = resampled(X[:40], y)
    X_again, y_again = recipe.apply(X[:40], y)
    assert_array_equal(X_again, X[:40])
    assert_array_equal(y_again, y)
    assert repr(recipe) == "<Recipe for 0 rows made of 40>"


def test_other_data_are_refused():
    X = np.eye(4)
    with pytest.raises(ValueError, match="is for 4 rows, but X has 3"):
        Recipe(WEIGHTS).apply(X[:3], [0, 0, 1])
    with pytest.raises(ValueError, match="rows of different labels"):
        Recipe(WEIGHTS).apply(X, [0, 1, 1, 0])
    with pytest.raises(ValueError, match="rows of different labels"):
        Recipe(WEIGHTS).apply(X, np.eye(2)[[0, 1, 1, 0]])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        Recipe(WEIGHTS).apply(X, [0, 1, 1])
    with pytest.raises(ValueError, match="infinity"):
        Recipe(WEIGHTS).apply(X - np.inf, [0, 0, 1, 1])


@pytest.mark.parametrize("as_kind", [np.array, pd.DataFrame, np.ndarray.tolist])
def test_missing_values_are_passed_on(as_kind):
    X = np.array([[1, 2], [3, 4], [10, np.nan], [20, 40]])
    X_again, _ = Recipe(WEIGHTS).apply(as_kind(X), [0, 0, 1, 1])
    assert type(X_again) is type(as_kind(X))
    # Half of the weight is on what is known, or more.
    expected = np.r_[X, [[15, 40], [17.5, 40]]]
    assert_array_equal(np.array(X_again, float), expected)


def test_none_in_lists_is_passed_on():
    X = [[1.0, 2.0], [3.0, 4.0], [10.0, None], [20.0, 40.0]]
    X_again, _ = Recipe(WEIGHTS).apply(X, [0, 0, 1, 1])
    assert X_again == [*X, [15, 40], [17.5, 40]]


@pytest.mark.parametrize("as_frame", [True, False])
def test_as_the_sampler_passed_them_on(table, as_frame):
    X, y = table
    X = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    X = pd.DataFrame(X) if as_frame else X
    (X_resampled, _), recipe = resampled(X, y, missing="propagate")
    assert np.isnan(np.asarray(X_resampled)[59:]).any()
    X_again, _ = recipe.apply(X, y)
    assert_allclose(X_again, X_resampled, rtol=1e-12)


@pytest.mark.parametrize("given", [["a", "b"], [0, 1], [True, True, False, False]])
def test_named_categories_are_saved_as_positions(table, tmp_path, given):
    """Their codes are numbers, which would be averaged."""
    X, y = table
    X = pd.DataFrame(X[:, :4], columns=list("bacd")).assign(b=np.arange(59) % 4)
    X["a"] = np.arange(59) % 3
    (X_resampled, _), recipe = resampled(X, y, categorical_features=given)
    recipe.save(tmp_path / "recipe.npz")
    again = Recipe.load(tmp_path / "recipe.npz")
    assert_array_equal(again.categorical_features, [0, 1])
    pd.testing.assert_frame_equal(again.apply(X, y)[0], X_resampled)
    assert (load_npz(tmp_path / "recipe.npz") != recipe.weights).nnz == 0
    means, _ = again.apply(X.astype(float), y, categorical_features="auto")
    assert set(X_resampled["b"]) < set(means["b"])
    # A fit without names forgets them.
    assert resampled(X, y)[1].categorical_features == "auto"


def test_no_categories_are_named_too(table, tmp_path):
    X, y = table
    X = pd.DataFrame(X, columns=list("abcde"))
    X["whole"] = np.arange(59).astype(object)
    (X_resampled, _), recipe = resampled(X, y, categorical_features=[])
    recipe.save(tmp_path / "recipe.npz")
    X_again, _ = Recipe.load(tmp_path / "recipe.npz").apply(X, y)
    pd.testing.assert_frame_equal(X_again, X_resampled)


@pytest.mark.parametrize("content", [b"", b"hello", pickle.dumps({}), b"\x93NUMPY"])
def test_what_is_no_file_of_arrays_is_refused_without_advice(tmp_path, content):
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="other holds no recipe") as raised:
        Recipe.load(path)
    assert "pickle" not in str(raised.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": [1.5, -0.5, 0.25, 0.75]}, "at least 0, got -0.5"),
        ({"data": [np.nan, 0.5, 0.25, 0.75]}, "at least 0, got nan"),
        ({"data": [0.5, 0.5, 0.25, 0.7]}, "sums are from 0.95 to 1"),
        ({"indices": [2, 9, 2, 3]}, "indices must be < 4"),
        ({"indices": [2, -3, 2, 3]}, "indices must be >= 0"),
        ({"indptr": [0, 5, 4]}, "indptr"),
    ],
    ids=str,
)
def test_files_of_other_things_are_refused(tmp_path, change, message):
    path = tmp_path / "other.npz"
    Recipe(WEIGHTS).save(path)
    with np.load(path) as file:
        parts = dict(file)
    np.savez(path, **parts | {name: np.array(v) for name, v in change.items()})
    with pytest.raises(ValueError, match=rf"other.npz holds no recipe: .*{message}"):
        Recipe.load(path)


def test_before_fit_resample(table):
    assert not hasattr(GAMOSampler(), "recipe_")
    with pytest.raises(NotFittedError):
        _ = GAMOSampler().recipe_
    sampler = GAMOSampler(generator="unconstrained", max_rounds=1, random_state=0)
    sampler.fit_resample(*table)
    with pytest.raises(AttributeError, match="with a convex generator"):
        _ = sampler.recipe_


def test_pickles_are_refused(tmp_path):
    path = tmp_path / "recipe.npz"
    Recipe(WEIGHTS).save(path)
    with np.load(path) as file:
        parts = dict(file)
    np.savez(path, **parts | {"data": parts["data"].astype(object)})
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        Recipe.load(path)
