"""Tables of mixed columns, of missing values, and sparse rows, in and out."""

import copy
import pickle
import re
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.over_sampling import SMOTENC
from imblearn.pipeline import make_pipeline
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.optimize import LinearConstraint
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.fixes import parse_version

from gamo_sampler import GAMOSampler
from gamo_sampler._tables import MAX_LEVELS, SparseTable, Table
from gamo_sampler._torch import Rows, Scaling

N = 59
CHOICES = ["vote", "draw", "block"]
Y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [40, 12, 7]))


def fitted(X, y=Y, **parameters):
    """The sampler, X_resampled and y_resampled."""
    sampler = GAMOSampler(**{"max_rounds": 2, "random_state": 0} | parameters)
    return sampler, *sampler.fit_resample(X, y)


def seconds(n):
    return pd.to_timedelta(n, unit="s")


def columns(rng):
    """A column of every type that pandas has, as arrays and lists."""
    n = N
    whole, letters = rng.integers(0, 100, n), rng.choice(list("abc"), n)
    moments = pd.Timestamp("2024-03-29") + seconds(whole * 5000)
    return {
        "float": rng.normal(size=n),
        "single": rng.normal(size=n).astype("float32"),
        "int": whole,
        "byte": whole.astype("uint8"),
        "Int64": pd.array(whole, dtype="Int64"),
        "Float32": pd.array(rng.normal(size=n), dtype="Float32"),
        "arrow": pd.array(whole, dtype="int64[pyarrow]"),
        "constant": np.full(n, 7),
        "moment": moments,
        "local": moments.tz_localize("UTC").tz_convert("Europe/Berlin"),
        "duration": seconds(whole),
        "bool": letters == "a",
        "boolean": pd.array(letters == "b", dtype="boolean"),
        "category": pd.Categorical(letters, categories=list("zcba")),
        "ordered": pd.Categorical(whole // 20, ordered=True),
        "str": letters,
        "string": pd.array(letters, dtype="string"),
        "object": pd.Series(list(zip(letters, whole // 50, strict=True)), dtype=object),
        "period": pd.PeriodIndex(moments, freq="D"),
        "interval": pd.cut(pd.Series(whole), 4),
        "same": np.full(n, "same"),
        "many": [f"row {i}" for i in range(n)],
    }


NUMBERS = ("float", "single", "int", "byte", "Int64", "Float32", "arrow", "constant")
INSTANTS = ("moment", "local", "duration")
INTEGERS = ("int", "byte", "Int64", "arrow", "constant")


@pytest.fixture(scope="module")
def frame():
    return pd.DataFrame(columns(np.random.default_rng(1)))


@pytest.fixture(scope="module", params=CHOICES)
def resampled(request, frame):
    return frame, *fitted(frame, categories=request.param)


# Statements about every generated row -------------------------------------


def sources_of(weights):
    """For each generated row, the positions that have weight."""
    return np.split(weights.indices, weights.indptr[1:-1])


def test_originals_are_untouched_and_types_kept(resampled):
    frame, _, X, y = resampled
    pd.testing.assert_frame_equal(X[:N], frame)
    pd.testing.assert_series_equal(X.dtypes, frame.dtypes)
    assert_array_equal(np.bincount(y), [40, 40, 40])
    assert_array_equal(X.index, np.arange(120))


def test_numbers_are_the_weighted_means(resampled):
    frame, sampler, X, _ = resampled
    numbers = frame[["float", "single"]].to_numpy(float)
    expected = sampler.provenance_ @ numbers
    assert_allclose(X[["float", "single"]][N:].to_numpy(float), expected, rtol=1e-6)
    whole = sampler.provenance_ @ frame[list(INTEGERS)].to_numpy(float)
    assert_array_equal(X[list(INTEGERS)][N:].to_numpy(float), np.rint(whole))


def test_instants_are_the_weighted_means(resampled):
    frame, sampler, X, _ = resampled
    for name in INSTANTS:
        origin = frame[name].min()
        means = sampler.provenance_ @ (frame[name] - origin).dt.total_seconds()
        found = (X[name][N:] - origin).dt.total_seconds()
        assert_allclose(found, means, atol=2e-6)


def test_values_lie_between_those_of_the_sources(resampled):
    frame, sampler, X, _ = resampled
    for name in NUMBERS + INSTANTS:
        values, made = frame[name], X[name][N:]
        for own, value in zip(sources_of(sampler.provenance_), made, strict=True):
            assert values.iloc[own].min() <= value <= values.iloc[own].max(), name


def test_categories_are_those_of_the_sources(resampled):
    frame, sampler, X, _ = resampled
    sources = sources_of(sampler.provenance_)
    for name in frame.columns.difference(NUMBERS + INSTANTS):
        for own, value in zip(sources, X[name][N:], strict=True):
            assert value in set(frame[name].iloc[own]), name


def test_votes_are_those_of_carry(frame):
    sampler, X, _ = fitted(frame)
    for name in ("bool", "str", "many"):
        votes = sampler.carry(frame[name].to_numpy(), how="vote")
        assert_array_equal(X[name][N:].to_numpy(), votes)


def test_block_takes_observed_combinations(frame):
    names = ["bool", "str", "ordered", "many"]
    _, X, _ = fitted(frame, categories="block")
    observed = set(frame[names].itertuples(index=False, name=None))
    assert set(X[names][N:].itertuples(index=False, name=None)) <= observed


def test_draws_differ_from_votes_and_combine_anew(frame):
    _, voted, _ = fitted(frame)
    sampler, drawn, _ = fitted(frame, categories="draw")
    many, letters = (frame[name].to_numpy() for name in ("many", "str"))
    assert (voted["many"][N:] != drawn["many"][N:]).mean() > 0.05
    of_many = dict(zip(many, letters, strict=True))
    assert (drawn["many"][N:].map(of_many) != drawn["str"][N:]).any()
    positions = drawn["many"][N:].str[4:].astype(int)
    weights = sampler.provenance_.toarray()
    assert (weights[np.arange(len(positions)), positions] > 0).all()


@st.composite
def tables(draw):
    """A small table with missing values and convex weights on its rows."""
    n = draw(st.integers(2, 6))

    def rows(values):
        return draw(st.lists(st.none() | values, min_size=n, max_size=n))

    seconds = st.integers(0, 10**8).map(
        lambda s: datetime(2000, 1, 1) + timedelta(0, s)
    )
    frame = pd.DataFrame(
        {
            "f": np.array(rows(st.floats(-1e6, 1e6)), float),
            "i": pd.array(rows(st.integers(-1000, 1000)), dtype="Int64"),
            "d": pd.Series(rows(seconds), dtype="datetime64[us]"),
            "c": pd.Categorical(rows(st.sampled_from("xyz")), categories=list("wxyz")),
            "s": pd.Series(rows(st.sampled_from(["p", "q"])), dtype=object),
        }
    )
    lists = st.lists(st.integers(0, 4), min_size=n, max_size=n).filter(any)
    weights = np.array(draw(st.lists(lists, min_size=1, max_size=4)), float)
    return frame, sparse.csr_array(weights / weights.sum(1, keepdims=True))


def in_polars(frame):
    kinds = {"c": pl.Categorical, "s": pl.String}
    return pl.DataFrame(
        {
            name: pl.Series(
                [None if pd.isna(value) else value for value in frame[name].tolist()],
                dtype=kinds.get(name),
                strict=False,
            )
            for name in ("f", "c", "s")
        }
    )


NAMES = {"f": False, "i": False, "d": False, "c": True, "s": True}


@settings(deadline=None, max_examples=60)
@given(tables(), st.sampled_from(CHOICES), st.integers(0, 9))
def test_any_table_with_missing_values(made, choice, seed):
    frame, weights = made
    table = Table.of(frame, list(NAMES.values()))
    X = table.mixed(weights, choice, np.random.RandomState(seed))
    assert X.columns.tolist() == list(NAMES)
    assert (X.dtypes == frame.dtypes).all()
    dense = weights.toarray()
    for name, is_category in NAMES.items():
        gone = frame[name].isna().to_numpy()
        missing_weight = dense[:, gone].sum(1)
        for row, value in enumerate(X[name]):
            own = frame[name].iloc[weights[[row]].indices]
            if is_category:
                assert value in set(own) or (pd.isna(value) and own.isna().any())
            elif abs(missing_weight[row] - 0.5) > 1e-9:
                assert pd.isna(value) == (missing_weight[row] > 0.5)
            if not is_category and not pd.isna(value):
                assert own.min() <= value <= own.max()


@settings(deadline=None, max_examples=30)
@given(tables())
def test_votes_of_any_table(made):
    frame, weights = made
    table = Table.of(frame, list(NAMES.values()))
    X = table.mixed(weights, "vote", None)
    codes = frame[["c", "s"]].apply(lambda column: pd.factorize(column)[0])
    for name in ("c", "s"):
        for row, value in enumerate(X[name]):
            own = weights[[row]]
            votes = pd.Series(own.data).groupby(codes[name].to_numpy()[own.indices])
            votes = votes.sum()
            of_value = codes[name][frame[name].isna() & pd.isna(value)]
            if not pd.isna(value):
                of_value = codes[name][frame[name] == value]
            assert votes[of_value.iloc[0]] >= votes.max() - 1e-9


@settings(deadline=None, max_examples=30)
@given(tables(), st.sampled_from(CHOICES))
def test_polars_gives_what_pandas_gives(made, choice):
    frame, weights = made
    frame = frame[["f", "c", "s"]]
    X = in_polars(frame).with_columns(pl.col("f").cast(pl.Float64))
    of_pandas, of_polars = (
        Table.of(T, [False, True, True]).mixed(
            weights, choice, np.random.RandomState(0)
        )
        for T in (frame, X)
    )
    assert of_polars.schema == X.schema
    for name in frame:
        expected = of_pandas[name].astype(object).where(of_pandas[name].notna(), None)
        assert of_polars[name].to_list() == expected.to_list()


def test_means_never_pass_the_extremes_by_a_last_bit():
    weights = np.random.default_rng(0).dirichlet(np.ones(5), size=200)
    table = Table.of(pd.DataFrame({"a": np.full(5, 0.1)}), [False])
    X = table.mixed(sparse.csr_array(weights), "vote", None)
    assert not (weights @ np.full(5, 0.1) / weights.sum(1) == 0.1).all()
    assert (X["a"] == 0.1).all()


def test_what_the_game_reads():
    """One-hot by frequency, missing ones a category; numbers and whether they miss."""
    frame = pd.DataFrame({"a": ["x", "y", "y", None], "b": [1, 3, np.nan, 2]})
    rows = Table.of(frame, [True, False])
    expected = [[0, 1, 0, 1, 0], [1, 0, 0, 3, 0], [1, 0, 0, 2, 1], [0, 0, 1, 2, 0]]
    assert_array_equal(rows[:], expected)
    assert_array_equal(rows[np.array([3, 0, 3])], np.array(expected)[[3, 0, 3]])
    assert rows.take([1, 3]).shape == (2, 5)
    assert rows.with_missing() == ["a", "b"]


def test_rare_levels_are_alike_for_the_game(frame):
    rows = Table.of(frame[["many"]], [True])
    assert rows.shape == (N, MAX_LEVELS)
    assert (rows[:].sum(1) == 0).sum() == N - MAX_LEVELS
    _, X, _ = fitted(frame[["many", "float"]])
    assert set(X["many"][N:]) <= set(frame["many"])


# Containers ---------------------------------------------------------------

INDEXES = {
    "labels": ([f"row {i}" for i in range(N)], N),
    "from 100": (pd.RangeIndex(100, 100 + N, name="id"), 100 + N),
    "steps": (pd.RangeIndex(0, 2 * N, 2), 2 * N - 1),
    "shuffled": (np.random.default_rng(0).permutation(N), N),
    "dates": (pd.date_range("2024", periods=N), N),
    "floats": (np.arange(N) / 2, N),
    "doubled": (np.arange(N) // 2, N // 2 + 1),
    "bytes": (pd.Index(255 - np.arange(N), dtype="uint8"), 256),
    "Int8": (pd.Index(127 - np.arange(N), dtype="Int8"), 128),
}


VISITS = pd.MultiIndex.from_arrays(
    [np.repeat(["p", "q"], [30, N - 30]), np.r_[:30, : N - 30]],
    names=["patient", "visit"],
)


def test_new_rows_are_of_no_label_of_other_levels(frame):
    X = frame[["float", "str"]].set_axis(VISITS)
    _, X_resampled, y_resampled = fitted(X, pd.Series(Y, index=VISITS))
    index = X_resampled.index
    assert index.names == ["patient", "visit"]
    assert index[:N].equals(VISITS)
    assert index.levels[0].equals(VISITS.levels[0])
    assert index.get_level_values("patient")[N:].isna().all()
    assert index.get_level_values("visit")[N:].tolist() == list(range(30, 30 + 61))
    assert y_resampled.index.equals(index)


@pytest.mark.parametrize("name", INDEXES)
def test_indexes_go_on(frame, name):
    index, first_new = INDEXES[name]
    X = frame[["float", "str"]].set_axis(index)
    y = pd.Series(Y, index=X.index)
    _, X_resampled, y_resampled = fitted(X, y)
    assert (X_resampled.iloc[:N].to_numpy() == X.to_numpy()).all()
    assert X_resampled.index.names in (X.index.names, [None])
    assert X_resampled.index[:N].tolist() == X.index.tolist()
    assert X_resampled.index[N:].tolist() == list(range(first_new, first_new + 61))
    assert y_resampled.index.equals(X_resampled.index)


@pytest.mark.parametrize(
    "name", ["labels", "from 100", "shuffled", "steps", "bytes", "levels"]
)
@pytest.mark.parametrize("with_categories", [True, False])
def test_blocks_are_what_fit_resample_returns(frame, name, with_categories):
    index = VISITS if name == "levels" else INDEXES[name][0]
    names = ["float", "int", "str", "local"] if with_categories else ["float", "int"]
    X = frame[names].set_axis(index)
    y = pd.Series(Y, index=X.index)
    _, *whole = fitted(X, y)
    for size in (7, 1000):
        sampler = GAMOSampler(max_rounds=2, random_state=0)
        blocks = zip(*sampler.iter_resample(X, y, chunk_size=size), strict=True)
        X_again, y_again = map(pd.concat, blocks)
        pd.testing.assert_frame_equal(X_again, whole[0])
        pd.testing.assert_series_equal(y_again, whole[1])


def test_blocks_of_drawn_categories(frame):
    _, X, _ = fitted(frame, categories="draw")
    sampler = GAMOSampler(max_rounds=2, random_state=0, categories="draw")
    blocks = [block for block, _ in sampler.iter_resample(frame, Y, chunk_size=13)]
    pd.testing.assert_frame_equal(pd.concat(blocks), X)


@pytest.fixture(scope="module")
def of_polars(frame):
    names = ["float", "single", "int", "byte", "moment", "local", "duration", "bool"]
    X = pl.DataFrame({name: frame[name].to_numpy() for name in names[:5]})
    return X.with_columns(
        local=X["moment"].dt.replace_time_zone("UTC"),
        duration=X["moment"] - X["moment"][0],
        day=X["moment"].dt.date(),
        time=X["moment"].dt.time(),
        bool=pl.Series(frame["bool"].to_numpy()),
        str=pl.Series(frame["str"].tolist()),
        category=pl.Series(frame["str"].tolist(), dtype=pl.Categorical),
        enum=pl.Series(frame["str"].tolist(), dtype=pl.Enum(list("abcd"))),
    )


def test_polars(of_polars):
    y = pl.Series("label", np.array(["one", "two", "three"])[Y])
    sampler, X, y_resampled = fitted(of_polars, y)
    assert X.schema == of_polars.schema
    assert X[:N].equals(of_polars)
    assert y_resampled.name == "label"
    assert y_resampled[:N].equals(y)
    assert y_resampled.value_counts()["count"].to_list() == [40] * 3
    for name in ("float", "int", "moment", "day", "duration"):
        for own, value in zip(
            sources_of(sampler.provenance_), X[name][N:], strict=True
        ):
            assert of_polars[name][own].min() <= value <= of_polars[name][own].max()
    for name in ("time", "str", "category", "enum"):
        for own, value in zip(
            sources_of(sampler.provenance_), X[name][N:], strict=True
        ):
            assert value in of_polars[name][own].to_list()
    new, labels = sampler.sample({"two": 3})
    assert new.schema == of_polars.schema
    assert labels.to_list() == ["two"] * 3


def test_polars_in_blocks(of_polars):
    _, X, _ = fitted(of_polars, pl.Series(Y))
    sampler = GAMOSampler(max_rounds=2, random_state=0)
    blocks = sampler.iter_resample(of_polars, pl.Series(Y), chunk_size=9)
    X_again, y_again = (pl.concat(parts) for parts in zip(*blocks, strict=True))
    assert X_again.equals(X)
    assert y_again.value_counts()["count"].to_list() == [40] * 3


def test_arrow(of_polars):
    X = of_polars.drop("time").to_arrow()
    _, X_resampled, _ = fitted(X)
    assert X_resampled.schema == X.schema
    assert X_resampled.slice(0, N).equals(X)


def test_lazy_frames_are_refused(of_polars):
    with pytest.raises(TypeError, match="LazyFrame, whose rows are not in memory"):
        fitted(of_polars.lazy())


@pytest.mark.parametrize("kind", [np.asarray, list])
def test_object_rows(frame, kind):
    X = frame[["float", "int", "str"]].astype(object).to_numpy()
    X = X if kind is np.asarray else X.tolist()
    sampler, X_resampled, _ = fitted(X, categorical_features=[2])
    assert type(X_resampled) is type(X)
    assert_array_equal(np.array(X_resampled, object)[:N], np.array(X, object))
    new = np.array(X_resampled, object)[N:]
    numbers = np.array(X, object)[:, :2].astype(float)
    assert_allclose(new[:, :2].astype(float), sampler.provenance_ @ numbers)
    assert set(new[:, 2]) <= set("abc")


def test_coded_categories_of_an_array(frame):
    X = frame[["float", "int"]].to_numpy(float)
    X[:, 1] //= 25
    sampler, X_resampled, _ = fitted(X, categorical_features=[False, True])
    assert X_resampled.dtype == X.dtype
    for own, value in zip(
        sources_of(sampler.provenance_), X_resampled[N:, 1], strict=True
    ):
        assert value in X[own, 1]


@pytest.mark.parametrize(
    "y",
    [
        Y.tolist(),
        np.eye(3, dtype=int)[Y],
        pd.Series(np.array(list("uvw"))[Y], dtype="category"),
        pd.DataFrame({"label": Y}),
        pl.Series(Y),
    ],
    ids=lambda y: type(y).__name__,
)
def test_labels_of_any_kind(frame, y):
    _, X, y_resampled = fitted(frame[["float", "str"]], y)
    assert type(y_resampled) is type(y)
    assert len(y_resampled) == len(X) == 120
    assert getattr(y_resampled, "dtype", None) == getattr(y, "dtype", None)


def test_frames_of_nothing_but_categories(frame):
    X = frame[["str", "bool", "period"]]
    sampler, X_resampled, _ = fitted(X, categories="block")
    assert (X_resampled.dtypes == X.dtypes).all()
    assert set(X_resampled.itertuples(index=False)) <= set(X.itertuples(index=False))
    assert all(own["in_hull"] for own in sampler.audit().values())
    with pytest.raises(ValueError, match="has 1 columns, but rows have 0"):
        sampler.verify(LinearConstraint([[1]], 0, 1))


def test_columns_of_the_same_name_are_refused_or_kept_apart(frame):
    """The former by scikit-learn, from 1.9 on, which names them."""
    X = frame[["float", "str"]].set_axis(["a", "a"], axis=1)
    if parse_version(sklearn.__version__) >= parse_version("1.9"):
        with pytest.raises(Exception, match="unique column names"):
            fitted(X)
        return
    _, X_resampled, _ = fitted(X)
    apart = fitted(frame[["float", "str"]])[1].set_axis(["a", "a"], axis=1)
    pd.testing.assert_frame_equal(X_resampled, apart)


# Sparse rows --------------------------------------------------------------

FORMATS = [
    *(sparse.csr_array, sparse.csr_matrix, sparse.csc_array, sparse.csc_matrix),
    *(sparse.coo_array, sparse.coo_matrix),
]


def with_zeros(dtype=float):
    values = np.random.default_rng(3).normal(size=(N, 6)) * 9
    return np.where(np.abs(values) > 9, values, 0).astype(dtype)


@pytest.mark.parametrize("dtype", [float, np.float32, np.int64, bool])
@pytest.mark.parametrize("kind", FORMATS)
def test_sparse_in_and_out(kind, dtype):
    dense = with_zeros(dtype)
    sampler, X, y = fitted(kind(dense))
    assert type(X) is kind
    assert X.dtype == dtype
    assert len(y) == X.shape[0] == 120
    rows = X.toarray()
    assert_array_equal(rows[:N], dense)
    expected = sampler.provenance_ @ dense.astype(float)
    if dtype in (np.int64, bool):
        assert_array_equal(rows[N:], np.rint(expected))
    else:
        assert_allclose(rows[N:], expected, rtol=1e-6, atol=1e-6)
    new, _ = sampler.sample({1: 3})
    assert type(new) is kind


def test_sparse_rows_stay_within_their_sources_to_the_last_bit():
    """Weights that sum to 1 but for their last bits, on one row and on two."""
    X = np.array([[0.1, 0.0, -0.3], [0.1, 0.7, 0.0]])
    table = SparseTable(sparse.csr_array(X), sparse.csr_array((0, 3)))
    for total in (1 - 2**-53, 1.0, 1 + 2**-52):
        weights = sparse.csr_array([[total, 0], [total / 3, total * 2 / 3]])
        copy, between = table.mixed(weights, "vote", None).toarray()
        assert_array_equal(copy, X[0])
        assert between[0] == 0.1
        assert 0 < between[1] < 0.7
        assert -0.3 < between[2] < 0


def test_extremes_of_sparse_rows_count_what_is_not_stored():
    X = sparse.csr_array(
        ([2.0, 3.0, -1.0, 5.0], [0, 1, 1, 1], [0, 2, 3, 4]), shape=(3, 3)
    )
    weights = sparse.csr_array([[0.5, 0.5, 0], [0, 0.5, 0.5], [1.0, 0, 0], [0, 0, 1.0]])
    low, high = SparseTable(X, None)._extremes(weights)
    assert_array_equal(low.toarray(), [[0, -1, 0], [0, -1, 0], [2, 3, 0], [0, 5, 0]])
    assert_array_equal(high.toarray(), [[2, 3, 0], [0, 5, 0], [2, 3, 0], [0, 5, 0]])
    nothing = SparseTable(sparse.csr_array((3, 3)), None)._extremes(weights)
    assert [extreme.nnz for extreme in nothing] == [0, 0]


def test_sparse_blocks_and_dense_ones_are_the_same():
    dense = with_zeros()
    _, of_dense, _ = fitted(dense)
    _, of_sparse, _ = fitted(sparse.csr_array(dense))
    assert_allclose(of_sparse.toarray(), of_dense, atol=1e-12)
    sampler = GAMOSampler(max_rounds=2, random_state=0)
    blocks = sampler.iter_resample(sparse.csr_array(dense), Y, chunk_size=9)
    again = sparse.vstack([block for block, _ in blocks])
    assert (again != of_sparse).nnz == 0


def test_sparse_frames():
    X = pd.DataFrame(with_zeros(), columns=list("abcdef"))
    X = X.astype(pd.SparseDtype(float, 0.0)).set_axis(np.arange(N) + 3)
    sampler, X_resampled, _ = fitted(X)
    assert (X_resampled.dtypes == X.dtypes).all()
    assert_array_equal(X_resampled.index, np.arange(120) + 3)
    expected = sampler.provenance_ @ X.sparse.to_dense().to_numpy()
    assert_allclose(X_resampled[N:].sparse.to_dense(), expected)


def test_some_columns_sparse(frame):
    X = frame[["float", "str"]].assign(zeros=pd.arrays.SparseArray(with_zeros()[:, 0]))
    _, X_resampled, _ = fitted(X, missing="propagate")
    assert (X_resampled.dtypes == X.dtypes).all()
    numbers = X.drop(columns="str")
    _, X_resampled, _ = fitted(numbers)
    assert (X_resampled.dtypes == numbers.dtypes).all()


def test_no_dense_copy_is_held():
    X = sparse.csr_array(with_zeros())
    for rows, is_resident in ((SparseTable(X, X[:0]), False), (X.toarray(), True)):
        held = Rows(rows, Scaling.of_rows(rows), torch.device("cpu")).resident
        assert (held is not None) == is_resident


def test_the_majority_is_never_dense(monkeypatch):
    """Of 40 rows of 59 the game reads minibatches, and the scaling a block."""
    rows = []
    read = SparseTable._read

    def counted(self, index):
        block = read(self, index)
        rows.append(len(block))
        return block

    for module in ("_torch", "_base", "_generation"):
        monkeypatch.setattr(f"gamo_sampler.{module}.block_size", lambda width: 10)
    monkeypatch.setattr(SparseTable, "_read", counted)
    monkeypatch.setattr("gamo_sampler._health.N_COMPARED", 12)  # rows that are measured
    # More of a game would read ahead: its minibatches are few values, not all rows.
    fitted(sparse.csr_array(with_zeros()), batch_size=8, max_rounds=1)
    assert max(rows) <= 19 + 8


def test_sparse_rows_have_no_categories():
    X = sparse.csr_array(with_zeros())
    with pytest.raises(ValueError, match=r"Sparse rows .* categorical_features is \[0"):
        fitted(X, categorical_features=[0])


@pytest.mark.parametrize("missing", ["error", "propagate"])
@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.coo_array, "frame"])
def test_sparse_rows_miss_nothing(missing, kind):
    X = sparse.csr_array(with_zeros())
    X.data[0] = np.nan
    frame = pd.DataFrame.sparse.from_spmatrix
    with pytest.raises(ValueError, match="contains NaN: sparse rows cannot miss"):
        fitted((frame if kind == "frame" else kind)(X), missing=missing)


# Missing values -----------------------------------------------------------


def test_missing_values_raise_by_default(frame):
    X = frame[["float", "str"]].copy()
    X.loc[3, "str"] = None
    with pytest.raises(ValueError, match=r"missing values, NaN, in columns \['str'\]"):
        fitted(X)
    X.loc[4, "float"] = np.nan
    with pytest.raises(ValueError, match=r"\['float', 'str'\].*missing='propagate'"):
        fitted(X)


@pytest.mark.parametrize("kind", ["float", "int", "array", "named", "object"])
def test_missing_values_of_plain_numbers_raise_by_default(frame, kind):
    X = frame[["float", "int", "single"]].rename(columns={"int": "whole"})
    X.loc[[3, 4], "single"] = np.nan
    parameters, expected = {}, "['single']"
    if kind in ("array", "named", "object"):
        dtype = object if kind == "object" else float
        X, expected = X.to_numpy(dtype), "[2]"
        parameters = {} if kind == "array" else {"categorical_features": [1]}
    elif kind == "int":
        X, expected = X.set_axis([4, 5, 6], axis=1), "[6]"
    message = f"Input X contains NaN: it has missing values, NaN, in columns {expected}"
    with pytest.raises(ValueError, match=re.escape(message) + ".*missing='propagate'"):
        fitted(X, **parameters)


def test_missing_values_are_passed_on(frame):
    rng = np.random.default_rng(2)
    X = frame.drop(columns=["byte", "int", "constant", "bool", "interval"])
    X = X.mask(rng.random(X.shape) < 0.3).astype(X.dtypes)
    sampler, X_resampled, _ = fitted(X, missing="propagate")
    assert (X_resampled.dtypes == X.dtypes).all()
    pd.testing.assert_frame_equal(X_resampled[:N], X)
    gone = X.isna().to_numpy(float)
    votes = sampler.provenance_ @ gone
    decided = np.abs(votes - 0.5) > 1e-9
    found = X_resampled[N:].isna().to_numpy()
    is_number = X.columns.isin(NUMBERS + INSTANTS)
    assert_array_equal((found == (votes > 0.5))[:, is_number & decided.all(0)], True)
    assert found[votes == 1].all()
    assert not found[votes == 0].any()


def test_missing_values_of_an_array():
    X = with_zeros()
    X[X == 0] = np.nan
    sampler, X_resampled, _ = fitted(X, missing="propagate")
    votes = sampler.provenance_ @ np.isnan(X)
    assert_array_equal(np.isnan(X_resampled[N:]), votes > 0.5)
    kept = votes < 0.5
    sums = (sampler.provenance_ @ np.where(np.isnan(X), 0, X))[kept]
    assert_allclose(X_resampled[N:][kept], sums / (1 - votes[kept]))


def test_a_column_without_values(frame):
    X = frame[["float", "str"]].assign(none=np.nan, never=pd.NaT)
    _, X_resampled, _ = fitted(X, missing="propagate")
    assert X_resampled[["none", "never"]].isna().all(axis=None)
    assert (X_resampled.dtypes == X.dtypes).all()


def test_the_tag_allows_what_is_passed_on():
    assert GAMOSampler(missing="propagate").__sklearn_tags__().input_tags.allow_nan
    assert not GAMOSampler().__sklearn_tags__().input_tags.allow_nan


# Errors -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"categorical_features": ["str", "x"]}, r"has \['x'\]"),
        ({"categorical_features": [0.5]}, r"has \[0.5\]"),
        ({"categorical_features": [True]}, r"a mask of all 2 columns, got \[True\]"),
        ({"categorical_features": [7]}, r"has \[7\]"),
        ({"categorical_features": "str"}, "must be a str among {'auto'}"),
        ({"categorical_features": ["float"]}, "'str' has values that are no numbers"),
        ({"categories": "mean"}, "'categories' parameter"),
        ({"missing": "drop"}, "'missing' parameter"),
        ({"generator": "unconstrained"}, "take generator='convex'"),
        ({"feature_extractor": "conv"}, "take generator='convex'"),
    ],
    ids=str,
)
def test_what_is_refused(frame, parameters, message):
    with pytest.raises(ValueError, match=message):
        fitted(frame[["float", "str"]], **parameters)


@pytest.mark.parametrize("kind", ["pandas", "polars", "object"])
def test_columns_of_lists_are_named(frame, kind):
    X = frame[["float"]].assign(many=[[i] for i in range(N)])
    parameters, name = {}, "'many'"
    if kind == "polars":
        X = pl.DataFrame(X.to_dict("list"))
    elif kind == "object":
        X, parameters, name = X.to_numpy(), {"categorical_features": [1]}, "1"
    message = f"Column {name} has values that are no categories .*unhashable"
    with pytest.raises(TypeError, match=message):
        fitted(X, **parameters)


@pytest.mark.parametrize("missing", ["error", "propagate"])
def test_a_frame_without_columns(missing):
    with pytest.raises(ValueError, match=r"0 feature\(s\) \(shape=\(59, 0\)\)"):
        fitted(pd.DataFrame(index=range(N)), missing=missing)


def test_empty_frames_and_infinity(frame):
    X = frame[["float", "str"]]
    with pytest.raises(ValueError, match=r"0 sample\(s\) \(shape=\(0, 2\)\)"):
        fitted(X[:0], Y[:0])
    with pytest.raises(ValueError, match="infinity in column 'float'"):
        fitted(X.assign(float=np.inf))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        fitted(X[:50])


@pytest.mark.parametrize("with_categories", [True, False])
@pytest.mark.parametrize("as_array", [True, False])
def test_identifiers_warn_once(frame, with_categories, as_array):
    X = frame[["float"]].assign(key=2**60 + np.arange(N))
    parameters = {}
    if as_array:
        X = X[["key"]].to_numpy()
    if with_categories and as_array:
        X = np.column_stack([X, frame["int"] // 25])
        parameters["categorical_features"] = [1]
    elif with_categories:
        X = X.assign(str=frame["str"])
    with pytest.warns(UserWarning, match="above 2") as seen:
        fitted(X, **parameters)
    assert len(seen) == 1
    assert seen[0].filename == __file__


def test_identifiers_as_categories_keep_their_digits(frame):
    X = frame[["float"]].assign(key=2**60 + np.arange(N))
    _, X_resampled, _ = fitted(X, categorical_features=["key"])
    assert X_resampled["key"].dtype == X["key"].dtype
    assert set(X_resampled["key"]) == set(X["key"])


# After fit ----------------------------------------------------------------


@pytest.fixture(scope="module")
def mixed(frame):
    return frame[["float", "int", "local", "str", "category", "many"]]


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize(
    "again", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))]
)
def test_copies_sample_the_same(mixed, choice, again):
    sampler, *_ = fitted(mixed, categories=choice)
    X, y = sampler.sample({1: 5, 2: 4}, random_state=3)
    X_again, y_again = again(sampler).sample({1: 5, 2: 4}, random_state=3)
    assert (X.dtypes == mixed.dtypes).all()
    pd.testing.assert_frame_equal(X_again, X)
    assert_array_equal(y_again, y)


def test_the_same_seed_gives_the_same_rows(mixed):
    _, first, _ = fitted(mixed, categories="draw")
    _, second, _ = fitted(mixed, categories="draw")
    pd.testing.assert_frame_equal(first, second)


def test_rows_are_withdrawn(mixed):
    rows = np.flatnonzero(Y == 1)[:4]
    sampler, X, _ = fitted(mixed)
    kept = sampler.withdraw(rows)
    left = np.delete(np.arange(N), rows)
    assert_array_equal(kept[: len(left)], left)
    new = X.iloc[kept][len(left) :]
    assert_allclose(
        new["float"], sampler.provenance_ @ mixed["float"].to_numpy()[left], rtol=1e-9
    )
    more, _ = sampler.sample({1: 50})
    of_class = mixed[(Y == 1) & ~np.isin(np.arange(N), rows)]
    assert set(more["many"]) <= set(of_class["many"])
    assert more["float"].between(of_class["float"].min(), of_class["float"].max()).all()


def test_sparse_rows_are_withdrawn():
    X = with_zeros()
    rows = np.flatnonzero(Y == 2)[:5]
    X[rows, 0] = 1e6
    sampler, *_ = fitted(sparse.csr_array(X))
    sampler.withdraw(rows)
    assert sampler.sample({2: 50})[0].toarray()[:, 0].max() < 1e3


def test_verify_is_on_the_columns_that_hold_numbers(frame):
    X = frame[["str", "int", "float", "bool"]].assign(float=lambda f: f["int"] + 1.5)
    sampler, *_ = fitted(X)
    found = sampler.verify(LinearConstraint([[-1, 1], [1, 0]], [1, -1], [2, 50]))
    for label in (1, 2):
        above = (X["int"][label == Y] > 50).sum()
        assert found[label]["real"] == [0, above]
        assert found[label]["generated"][0] == 0


def test_audit_and_leakage(mixed):
    sampler, *_ = fitted(mixed)
    audit = sampler.audit()
    assert {label: own["n_real"] for label, own in audit.items()} == {1: 12, 2: 7}
    assert all(own["in_hull"] for own in audit.values())
    assert len(sampler.check_leakage(StratifiedKFold(3).split(mixed, Y)))
    assert len(sampler.check_leakage(groups=Y)) == 0
    means = sampler.carry(mixed["float"].to_numpy())
    assert_allclose(means, sampler.provenance_ @ mixed["float"].to_numpy())


def test_recipes_make_the_same_table_again(frame):
    sampler, X, y = fitted(frame)
    X_again, y_again = sampler.recipe_.apply(frame, Y)
    exact = frame.columns.difference(["float", "single", "Float32", *INSTANTS])
    pd.testing.assert_frame_equal(X_again[exact], X[exact])
    pd.testing.assert_frame_equal(X_again, X, rtol=1e-6)
    assert_array_equal(y_again, y)


def test_recipes_of_other_tables(of_polars):
    sampler, X, _ = fitted(of_polars)
    again, _ = sampler.recipe_.apply(of_polars, Y)
    assert again.schema == X.schema
    assert again.drop("float", "single").equals(X.drop("float", "single"))
    dense = with_zeros()
    sampler, X, _ = fitted(sparse.csr_array(dense))
    again, _ = sampler.recipe_.apply(sparse.csr_array(dense), Y)
    assert_allclose(again.toarray(), X.toarray(), rtol=1e-9)
    coded = np.column_stack([dense, np.arange(N) % 4])
    sampler, X, _ = fitted(coded, categorical_features=[6])
    again, _ = sampler.recipe_.apply(coded, Y, categorical_features=[6])
    assert_allclose(again, X, rtol=1e-9)
    assert set(again[:, 6]) == {0, 1, 2, 3}


def test_features_are_the_rows_themselves(mixed):
    sampler, *_ = fitted(mixed)
    pd.testing.assert_frame_equal(sampler.extract_features(mixed), mixed)
    assert sampler.get_feature_names_out().tolist() == mixed.columns.tolist()
    assert sampler.n_features_in_ == 6


def test_early_stopping(mixed):
    sampler, X, _ = fitted(mixed, early_stopping=True, max_rounds=4)
    expected = sampler.provenance_ @ mixed["float"].to_numpy()
    assert_allclose(X["float"][N:], expected, rtol=1e-9)
    votes = sampler.carry(mixed["many"].to_numpy(), how="vote")
    assert_array_equal(X["many"][N:].to_numpy(), votes)


@pytest.mark.parametrize("neighborhood", [None, 3])
def test_other_neighborhoods_and_bounds(mixed, neighborhood):
    sampler, X, _ = fitted(mixed, neighborhood=neighborhood, max_weight=0.6)
    assert sampler.provenance_.max() <= 0.6 + 1e-9
    for own, value in zip(sources_of(sampler.provenance_), X["many"][N:], strict=True):
        assert value in set(mixed["many"].iloc[own])


def test_a_class_of_one_row_gives_copies(mixed):
    y = np.r_[np.zeros(40, int), np.ones(18, int), 2]
    with pytest.warns(UserWarning, match="39 generated rows are copies"):
        _, X, y_resampled = fitted(mixed, y)
    copies = X[y_resampled == 2]
    assert len(copies.drop_duplicates()) == 1


@pytest.mark.filterwarnings("ignore:No class is below:UserWarning")
def test_nothing_generated(mixed, of_polars):
    for X in (mixed, of_polars, sparse.csr_array(with_zeros())):
        sampler, X_resampled, _ = fitted(X, sampling_strategy={1: 12})
        assert X_resampled.shape == X.shape
        assert type(X_resampled) is type(X)
        assert sampler.provenance_.shape == (0, N)


# With others --------------------------------------------------------------


def encoder():
    return make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector("[sc]")),
        (StandardScaler(), make_column_selector("[fi]")),
    )


@pytest.fixture(scope="module")
def learnable():
    rng = np.random.default_rng(5)
    y = np.repeat([0, 1], [90, 20])
    letters = np.where(y, rng.choice(list("ab"), 110), rng.choice(list("bcd"), 110))
    return pd.DataFrame({"s": letters, "f": rng.normal(size=110) + y}), y


def test_in_a_pipeline_before_an_encoder(learnable):
    X, y = learnable
    sampler = GAMOSampler(max_rounds=2, random_state=0)
    model = make_pipeline(sampler, encoder(), LogisticRegression()).fit(X, y)
    assert (model.predict(X)[y == 1] == 1).mean() > 0.8
    plain = make_pipeline(encoder(), LogisticRegression()).fit(X, y)
    assert model.predict(X).sum() > plain.predict(X).sum()


def test_in_a_search(learnable):
    sampler = GAMOSampler(max_rounds=2, random_state=0)
    model = make_pipeline(sampler, encoder(), LogisticRegression())
    grid = {"gamosampler__categories": CHOICES}
    search = GridSearchCV(model, grid, scoring="balanced_accuracy", cv=2)
    assert search.fit(*learnable).best_score_ > 0.7


def test_after_a_step_that_gives_frames(learnable):
    X, y = learnable
    scale = make_column_transformer(
        (StandardScaler(), ["f"]),
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    balance = make_pipeline(scale, GAMOSampler(max_rounds=2, random_state=0))
    X_resampled, _ = balance.fit_resample(X, y)
    assert X_resampled.columns.tolist() == ["f", "s"]
    assert set(X_resampled["s"][110:]) <= {"a", "b"}


def test_it_takes_what_smotenc_takes(learnable):
    X, y = learnable
    X = X.astype({"s": "category"})
    theirs, _ = SMOTENC("auto", random_state=0).fit_resample(X, y)
    ours, _ = fitted(X, y)[1:]
    assert (ours.dtypes == theirs.dtypes).all()
    assert ours.shape == theirs.shape
