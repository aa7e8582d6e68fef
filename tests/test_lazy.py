"""Arrays larger than memory: checks, reads, and the results of arrays in memory."""

from itertools import chain

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import torch
import zarr
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError

from gamo_sampler import GAMO2Pix, GAMOClassifier, GAMOFeatures, GAMOSampler
from gamo_sampler._lazy import (
    ChunkedRows,
    LazyRows,
    ReadAhead,
    Subset,
    check_rows,
    is_lazy,
    lazy_rows,
    subset,
)

KINDS = ["memmap", "zarr", "dask"]


@pytest.fixture
def lazy(tmp_path):
    """A function that puts an array into a file, or into a graph."""

    def make(kind, X):
        if kind == "memmap":
            X.tofile(tmp_path / "X")
            return np.memmap(tmp_path / "X", X.dtype, "r", shape=X.shape)
        if kind == "zarr":
            chunks = (7, *X.shape[1:])
            return zarr.create_array({}, data=X, chunks=chunks)
        return da.from_array(X, chunks=((10, len(X) - 10), *X.shape[1:]))

    return make


@pytest.fixture
def small_reads(monkeypatch):
    """So few rows are resident, and read at once, that 59 rows are many."""
    monkeypatch.setattr("gamo_sampler._torch.MAX_RESIDENT_ROWS", 10)
    monkeypatch.setattr("gamo_sampler._torch.BLOCK", 8)
    monkeypatch.setattr("gamo_sampler._lazy.CHUNK_VALUES", 35)
    monkeypatch.setattr("gamo_sampler._lazy.AHEAD_VALUES", 100)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(59, 5), (59, 2, 3)])
def test_rows_by_slice_and_by_positions(lazy, kind, shape):
    X = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    rows, flat = lazy_rows(lazy(kind, X)), X.reshape(59, -1)
    assert is_lazy(rows)
    assert rows.shape == flat.shape
    assert (rows.ndim, rows.size, rows.dtype) == (2, flat.size, flat.dtype)
    assert (len(rows), rows.min(), rows.max()) == (59, flat.min(), flat.max())
    for index in [slice(3, 9), slice(None), slice(0), slice(50, 99), [5, 58, 5, 0], []]:
        index = index if isinstance(index, slice) else np.array(index, int)
        np.testing.assert_array_equal(rows[index], flat[index], strict=True)


@pytest.mark.parametrize("kind", KINDS)
def test_positions_out_of_bounds_and_iteration_are_refused(lazy, kind):
    rows = lazy_rows(lazy(kind, np.zeros((59, 5))))
    for index in (59, -1, np.array([3, 59]), np.array([-2, 3])):
        with pytest.raises(IndexError, match="there are 0 to 58"):
            rows[index]
    with pytest.raises(TypeError, match="not iterable"):
        iter(rows)


def test_what_is_lazy(table):
    X, _ = table
    assert not any(map(is_lazy, [X, X.tolist(), torch.tensor(X), pd.DataFrame(X)]))


def test_chunks_are_read_whole_once_in_a_pass():
    X = np.arange(200).reshape(100, 2)
    loads = []

    def load(rows):
        loads.append((rows.start, rows.stop))
        return X[rows]

    rows = ChunkedRows(X.shape, X.dtype, [0, 40, 41, 100], load)
    assert rows.edges.tolist() == [0, 100]
    rows.edges = np.array([0, 40, 41, 100])
    for start in range(0, 100, 8):
        np.testing.assert_array_equal(rows[start : start + 8], X[start : start + 8])
    assert loads == [(0, 40), (40, 41), (41, 100)]
    np.testing.assert_array_equal(rows[np.array([99, 3, 50])], X[[99, 3, 50]])
    assert loads[3:] == [(0, 40), (41, 100)]


def test_small_chunks_are_read_several_at_once(monkeypatch):
    monkeypatch.setattr("gamo_sampler._lazy.CHUNK_VALUES", 40)
    X = np.arange(200).reshape(100, 2)
    rows = ChunkedRows(X.shape, X.dtype, np.arange(0, 101, 4), lambda rows: X[rows])
    assert rows.edges.tolist() == [0, 20, 40, 60, 80, 100]
    np.testing.assert_array_equal(rows[:], X)


def test_a_subset_is_a_view(lazy, table):
    X, _ = table
    index = np.arange(1, 59, 2)
    some = subset(lazy_rows(lazy("zarr", X)), index)
    assert isinstance(some, Subset)
    assert some.shape == (29, 5)
    np.testing.assert_array_equal(some[:4], X[index][:4])
    np.testing.assert_array_equal(some[np.array([7, 2])], X[index][[7, 2]])
    assert isinstance(subset(X, index), np.ndarray)


def test_many_minibatches_are_read_at_once(monkeypatch):
    monkeypatch.setattr("gamo_sampler._lazy.AHEAD_VALUES", 12)
    X = np.random.default_rng(0).normal(size=(50, 2))
    asked = []

    class Spied(LazyRows):
        def _read(self, index):
            asked.append(index)
            return X[index]

    ahead = ReadAhead(Spied(X.shape, X.dtype))
    batches = torch.randperm(50, generator=torch.Generator().manual_seed(0))[:12]
    for batch in ahead.over(batches.view(4, 3)):
        np.testing.assert_array_equal(ahead[batch.numpy()], X[batch])
    assert [len(index) for index in asked] == [6, 6]
    np.testing.assert_array_equal(ahead[np.arange(20)], X[:20])
    assert len(asked) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_the_sampler_gives_the_same_bits(lazy, table, kind, small_reads):
    X, y = table
    expected = GAMOSampler(random_state=0, max_iter=3)
    X_expected, y_expected = expected.fit_resample(X, y)
    sampler = GAMOSampler(random_state=0, max_iter=3)
    in_file = lazy(kind, X)
    X_found, y_found = sampler.fit_resample(in_file, y)
    np.testing.assert_array_equal(X_found, X_expected, strict=True)
    np.testing.assert_array_equal(y_found, y_expected, strict=True)
    assert type(X_found) is np.ndarray
    assert sampler.n_features_in_ == 5
    assert (sampler.provenance_ != expected.provenance_).nnz == 0
    found = sampler.sample(5, random_state=0)
    np.testing.assert_array_equal(found[0], expected.sample(5, random_state=0)[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_classifier_gives_the_same_bits(
    lazy, table, kind, early_stopping, small_reads
):
    X, y = table
    X = X.astype(np.float32)
    fits = [
        GAMOClassifier(max_iter=3, early_stopping=early_stopping, random_state=0).fit(
            rows, y
        )
        for rows in (X, lazy(kind, X))
    ]
    expected, found = fits
    assert found.history_ == expected.history_
    in_file = lazy(kind, X)
    probabilities = expected.predict_proba(X)
    np.testing.assert_array_equal(found.predict_proba(in_file), probabilities)
    np.testing.assert_array_equal(found.predict(in_file), expected.predict(X))
    np.testing.assert_array_equal(found.extract_features(in_file), X)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(60, 8, 8), (60, 8, 8, 3)])
def test_images_give_the_same_bits(lazy, kind, shape, small_reads):
    X = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    y = np.repeat([0, 1], [45, 15])
    game = GAMOClassifier(feature_extractor="conv", max_iter=1, random_state=0)
    expected = GAMOFeatures(game).fit(X, y).transform(X)
    in_file = lazy(kind, X)
    found = GAMOFeatures(game).fit(in_file, y).transform(in_file)
    np.testing.assert_array_equal(found, expected)
    if kind == "zarr":  # whoever keeps all rows loads them
        fits = [
            GAMO2Pix(game, max_rounds=2, random_state=0).fit_resample(rows, y)[0]
            for rows in (X, in_file)
        ]
        np.testing.assert_array_equal(*fits)


@pytest.mark.parametrize("make", [GAMOSampler, GAMOClassifier])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_fit_reads_little_at_once(table, make, early_stopping, small_reads):
    """Chunks of 7 rows, minibatches of 4, blocks of 8: never all of 59."""
    X, y = table
    read = []

    class Counted(LazyRows):
        def _read(self, index):
            read.append(X[index].size)
            return X[index]

    rows = Counted(X.shape, X.dtype)
    model = make(
        max_iter=2, batch_size=4, early_stopping=early_stopping, random_state=0
    )
    if make is GAMOSampler:
        for X_block, _ in model.iter_resample(rows, y, chunk_size=9):
            assert len(X_block) <= 9
    else:
        model.fit(rows, y).predict(rows)
    # The rows of the two small classes are kept: 19 of 5 values.
    assert max(read) <= 100
    assert sum(read) > X.size


def test_the_result_is_put_together_in_blocks(table, small_reads):
    """Beside the result no array is as large as X."""
    X, y = table
    read = []

    class Counted(LazyRows):
        def _read(self, index):
            read.append(X[index].size)
            return X[index]

    sampler = GAMOSampler(max_iter=1, batch_size=4, random_state=0)
    found, _ = sampler.fit_resample(Counted(X.shape, X.dtype), y)
    np.testing.assert_array_equal(found[:59], X, strict=True)
    assert max(read) <= 100


def test_chunks_are_not_read_for_each_minibatch(table, monkeypatch):
    """An epoch of 15 minibatches of 4 rows, and 9 chunks, read in six passes."""
    monkeypatch.setattr("gamo_sampler._torch.MAX_RESIDENT_ROWS", 10)
    monkeypatch.setattr("gamo_sampler._lazy.CHUNK_VALUES", 1)
    X, y = table
    loads = []

    def load(rows):
        loads.append(rows)
        return X[rows]

    rows = ChunkedRows(X.shape, X.dtype, np.r_[np.arange(0, 59, 7), 59], load)
    GAMOClassifier(batch_size=4, max_iter=1, random_state=0).fit(rows, y)
    # For the scaling, the rows to mix, twice and by class, minibatches and outputs.
    assert len(loads) <= 6 * 9


def test_labels_may_be_lazy_too(lazy, table):
    X, y = table
    X_lazy, y_lazy = lazy("dask", X), lazy("dask", y)
    settings = {"random_state": 0, "max_iter": 1}
    expected, found = (
        GAMOSampler(**settings).fit_resample(*data)
        for data in [(X, y), (X_lazy, y_lazy)]
    )
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    classifier = GAMOClassifier(**settings).fit(X_lazy, y_lazy)
    np.testing.assert_array_equal(classifier.classes_, [0, 1, 2])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (-np.inf, "infinity")])
def test_what_is_not_finite_is_named_by_column(lazy, table, kind, value, name):
    X, y = table
    X[[3, 40], [4, 1]] = value
    for fit in (GAMOSampler().fit_resample, GAMOSampler().iter_resample):
        with pytest.raises(ValueError, match=rf"contains {name} in columns \[1, 4\]"):
            fit(lazy(kind, X), y)
    classifier = GAMOClassifier(max_iter=1).fit(X[4:40], y[4:40])
    with pytest.raises(ValueError, match=rf"contains {name} in columns \[1, 4\]"):
        classifier.predict(lazy(kind, X))


@pytest.mark.parametrize("kind", KINDS)
def test_refused_shapes_and_types(lazy, table, kind):
    X, y = table
    sampler = GAMOSampler(max_iter=1, random_state=0)
    with pytest.raises(ValueError, match=r"Expected 2D array, got a .* of shape"):
        sampler.fit_resample(lazy(kind, X[:, 0]), y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        sampler.fit_resample(lazy(kind, X), y[:50])
    with pytest.raises(TypeError, match="holds complex128; it must hold numbers"):
        sampler.fit_resample(lazy(kind, X.astype(complex)), y)
    classifier = GAMOClassifier(max_iter=1).fit(X, y)
    with pytest.raises(ValueError, match="X has 4 features, but GAMOClassifier is"):
        classifier.predict(lazy(kind, X[:, :4].copy()))
    with pytest.raises(ValueError, match=r"1 sample\(s\) .* minimum of 2"):
        check_rows(classifier, da.from_array(X[:1]), y[:1], ensure_min_samples=2)


@pytest.mark.parametrize(
    "settings", [{"categorical_features": [0]}, {"missing": "propagate"}]
)
def test_tables_are_arrays_in_memory(lazy, table, settings):
    """Or a memmap, which parallel searches make of them."""
    X, y = table
    sampler = GAMOSampler(max_iter=2, random_state=0, **settings)
    expected, _ = sampler.fit_resample(X, y)
    found, _ = sampler.fit_resample(lazy("memmap", X), y)
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", ["zarr", "dask"])
@pytest.mark.parametrize(
    "settings", [{"categorical_features": [0]}, {"missing": "propagate"}]
)
def test_tables_are_refused(lazy, table, kind, settings):
    X, y = table
    with pytest.raises(ValueError, match="takes categorical_features='auto' and miss"):
        GAMOSampler(**settings).fit_resample(lazy(kind, X), y)


def test_dask_with_unknown_rows_or_columns_is_refused(table):
    X, y = table
    rows = da.from_array(X)
    for unknown in (rows[rows[:, 0] > -99], rows[:, rows[0] > -1e9]):
        with pytest.raises(ValueError, match="compute_chunk_sizes"):
            GAMOSampler().fit_resample(unknown, y)


def test_dask_with_sparse_chunks_is_refused(table):
    X, y = table
    rows = da.from_array(X, chunks=(20, 5)).map_blocks(csr_array)
    sampler = GAMOSampler(max_iter=1, random_state=0)
    with pytest.raises(TypeError, match="chunks of type csr_array, which must be"):
        sampler.fit_resample(rows, y)
    dense = rows.map_blocks(lambda chunk: chunk.toarray(), dtype=rows.dtype)
    np.testing.assert_array_equal(sampler.fit_resample(dense, y)[0][:59], X)


# iter_resample


def collected(blocks):
    X, y = zip(*blocks, strict=True)
    return X, y


@pytest.mark.parametrize("chunk_size", [1, 10, 1000])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"neighborhood": None, "sampling_strategy": {2: 30}},
        {"generator": "unconstrained"},
        {"feature_extractor": lambda n_in, n_out: torch.nn.Linear(n_in, 3)},
        {"generator": lambda n_in, n_out: Drawing(n_in, n_out)},
    ],
)
def test_blocks_make_up_the_whole(table, chunk_size, settings, monkeypatch):
    monkeypatch.setattr("gamo_sampler._generation.CHUNK_VALUES", 2000)
    X, y = table
    settings = {"max_iter": 2, "random_state": 0} | settings
    X_expected, y_expected = GAMOSampler(**settings).fit_resample(X, y)
    sampler = GAMOSampler(**settings)
    Xs, ys = collected(sampler.iter_resample(X, y, chunk_size=chunk_size))
    np.testing.assert_array_equal(np.concatenate(Xs), X_expected, strict=True)
    np.testing.assert_array_equal(np.concatenate(ys), y_expected, strict=True)
    sizes, n_new = list(map(len, Xs)), len(X_expected) - 59
    assert sizes == [len(y_block) for y_block in ys]
    assert sizes == cut(59, chunk_size) + cut(n_new, chunk_size)
    assert not hasattr(sampler, "provenance_")
    assert len(sampler.sample(3)[0]) == 3


class Drawing(torch.nn.Module):
    """A generator that draws from torch's process-wide generator at rest, too."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.layer = torch.nn.Linear(n_in, n_out)

    def forward(self, x):
        return self.layer(x) + torch.randn(len(x), 1)


def cut(n, size):
    return [min(size, n - start) for start in range(0, n, size)]


def test_blocks_of_frames_and_lists(table):
    X, y = table
    frame = pd.DataFrame({"a": X[:, 0].astype(np.float32), "b": (X[:, 1]).astype(int)})
    names = pd.Series(np.array(["x", "y", "z"])[y], name="label")
    sampler = GAMOSampler(max_iter=2, random_state=0)
    X_expected, y_expected = sampler.fit_resample(frame, names)
    Xs, ys = collected(sampler.iter_resample(frame, names, chunk_size=20))
    pd.testing.assert_frame_equal(pd.concat(Xs, ignore_index=True), X_expected)
    pd.testing.assert_series_equal(pd.concat(ys, ignore_index=True), y_expected)
    lists = collected(sampler.iter_resample(X.tolist(), y.tolist()))
    expected = sampler.fit_resample(X.tolist(), y.tolist())
    assert tuple(list(chain(*parts)) for parts in lists) == expected


def test_one_hot_labels_stay_one_hot(table):
    X, y = table
    code = np.eye(3, dtype=int)[y]
    sampler = GAMOSampler(max_iter=2, random_state=0)
    _, ys = collected(sampler.iter_resample(X, code, chunk_size=50))
    np.testing.assert_array_equal(np.concatenate(ys), sampler.fit_resample(X, code)[1])


def test_nothing_to_generate(table):
    X, y = table
    sampler = GAMOSampler(sampling_strategy={2: 7}, random_state=0)
    with pytest.warns(UserWarning, match="nothing is generated") as caught:
        Xs, _ = collected(sampler.iter_resample(X, y))
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(np.concatenate(Xs), X)
    with pytest.warns(UserWarning, match="nothing is generated"):
        found, _ = sampler.fit_resample(zarr.create_array({}, data=X), y)
    np.testing.assert_array_equal(found, X, strict=True)


def test_errors_and_training_come_with_the_call(table):
    X, y = table
    sampler = GAMOSampler(max_iter=1, random_state=0)
    with pytest.raises(ValueError, match="chunk_size == 0, must be >= 1"):
        sampler.iter_resample(X, y, chunk_size=0)
    with pytest.raises(ValueError, match="inconsistent"):
        sampler.iter_resample(X, y[1:])
    sampler.iter_resample(X, y)
    assert sampler.n_iter_ == 1
    assert len(sampler.sample({2: 4})[0]) == 4


def test_blocks_to_come_are_those_of_their_own_fit(table):
    X, y = table
    sampler = GAMOSampler(max_iter=2, random_state=0)
    expected, labels = sampler.fit_resample(X, y)
    blocks = sampler.iter_resample(X, y, chunk_size=20)
    first = next(blocks)
    sampler.set_params(max_weight=0.6)
    sampler.fit_resample(X + 1000, np.where(y == 0, 3, y))
    Xs, ys = collected(chain([first], blocks))
    np.testing.assert_array_equal(np.concatenate(Xs), expected)
    np.testing.assert_array_equal(np.concatenate(ys), labels)


# iter_sample


@pytest.mark.parametrize("chunk_size", [1, 7, 100])
def test_sampled_blocks_are_those_of_sample(table, chunk_size):
    X, y = table
    sampler = GAMOSampler(max_iter=2, random_state=0)
    sampler.fit_resample(pd.DataFrame(X), y)
    wanted = {1: 20, 2: 3}
    expected, labels = sampler.sample(wanted, random_state=5)
    blocks = sampler.iter_sample(wanted, chunk_size=chunk_size, random_state=5)
    Xs, ys = collected(blocks)
    assert {len(rows) for rows in Xs[:-1]} <= {chunk_size}
    pd.testing.assert_frame_equal(pd.concat(Xs, ignore_index=True), expected)
    np.testing.assert_array_equal(np.concatenate(ys), labels)


def test_memory_of_sampled_blocks_does_not_grow(table, monkeypatch):
    monkeypatch.setattr("gamo_sampler._generation.CHUNK_VALUES", 400)
    X, y = table
    sampler = GAMOSampler(max_iter=2, random_state=0)
    sampler.fit_resample(X, y)
    made = []
    mixture = GAMOSampler._mixture

    def counted(*args):
        made.append(len(args[2].y))
        return mixture(*args)

    monkeypatch.setattr(GAMOSampler, "_mixture", counted)
    blocks = sampler.iter_sample({1: 10_000}, chunk_size=50, random_state=0)
    assert made == []
    next(blocks)
    assert sum(made) <= 50 + max(made)


def test_sampled_blocks_are_checked_at_the_call(table):
    sampler = GAMOSampler(max_iter=2, random_state=0)
    with pytest.raises(NotFittedError):
        sampler.iter_sample(3)
    sampler.fit_resample(*table)
    with pytest.raises(ValueError, match="chunk_size"):
        sampler.iter_sample(3, chunk_size=0)
    with pytest.raises(ValueError, match="asks for rows of"):
        sampler.iter_sample({7: 3})


def test_the_consumer_finds_torch_as_it_was(table):
    """Between blocks the modes and the random state are the caller's."""
    X, y = table
    settings = {"max_iter": 1, "random_state": 0}
    settings["generator"] = lambda n_in, n_out: Drawing(n_in, n_out)
    expected = GAMOSampler(**settings).fit_resample(X, y)[0]
    with torch.inference_mode(), torch.random.fork_rng():
        torch.manual_seed(5)
        drawn, own = [], torch.Generator().manual_seed(5)
        found = []
        for block, _ in GAMOSampler(**settings).iter_resample(X, y, chunk_size=7):
            assert torch.is_inference_mode_enabled()
            drawn.append(torch.rand(()))
            found.append(block)
        expected_draws = torch.rand(len(drawn), generator=own)
    assert torch.stack(drawn).tolist() == expected_draws.tolist()
    np.testing.assert_array_equal(np.concatenate(found), expected)


def test_a_file_is_not_read_by_the_checks(lazy, table):
    X, y = table
    in_file = lazy("memmap", X)
    rows, _ = check_rows(GAMOSampler(), in_file, y)
    assert rows.source is in_file


def test_blocks_are_no_views_of_the_file(table, tmp_path):
    X, y = table
    files = []
    for name, array in (("X", X), ("y", y)):
        array.tofile(tmp_path / name)
        path, dtype = tmp_path / name, array.dtype
        files.append(np.memmap(path, dtype, "r+", shape=array.shape))
    sampler = GAMOSampler(max_iter=1, random_state=0)
    for block, labels in sampler.iter_resample(*files, chunk_size=20):
        block *= 0
        labels *= 0
    np.testing.assert_array_equal(files[0], X)
    np.testing.assert_array_equal(files[1], y)
