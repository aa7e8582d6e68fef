"""resample_parquet and BalancedDataset."""

import ast
import builtins
import doctest
import re
import subprocess
import sys
from collections import Counter

import dask.array as da
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import zarr
from imblearn.datasets import make_imbalance
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError
from sklearn.naive_bayes import GaussianNB
from torch.utils.data import DataLoader

import gamo_sampler.data
from benchmarks import stream
from gamo_sampler import GAMO2Pix, GAMOClassifier, GAMOSampler
from gamo_sampler.data import BalancedDataset, _balanced, _parquet, resample_parquet

# From Python 3.12 on, of the loader's workers.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")


@pytest.mark.parametrize("module", [_balanced, _parquet])
def test_doctests(module):
    found = doctest.testmod(module)
    assert found.failed == 0
    assert found.attempted > 9


def test_public_names():
    assert set(gamo_sampler.data.__all__) == {"BalancedDataset", "resample_parquet"}


# resample_parquet


@pytest.fixture
def frame():
    """Names "a" and "b" as labels, 60 and 25 rows, between columns of four types."""
    rng = np.random.default_rng(0)
    label = np.array(["a", "b"])[(np.arange(85) % 17 < 5).astype(int)]
    return pd.DataFrame(
        {
            "amount": rng.normal(size=85).astype(np.float32),
            "label": label,
            "count": rng.integers(-100, 100, 85, dtype=np.int16),
            "price": 1e4 + rng.normal(size=85),
            "flag": rng.integers(2, size=85).astype(bool),
        }
    )


@pytest.fixture
def folder(frame, tmp_path):
    """Two files with row groups of 10 rows."""
    source = tmp_path / "source"
    source.mkdir()
    parts = {"part-0": frame[:40], "part-1": frame[40:]}
    for name, part in parts.items():
        part.to_parquet(source / f"{name}.parquet", index=False, row_group_size=10)
    return source


@pytest.fixture
def sampler():
    return GAMOSampler(max_iter=3, random_state=0)


def test_originals_stay_and_generated_rows_follow(frame, folder, sampler, tmp_path):
    target = tmp_path / "target"
    counts = resample_parquet(
        folder, target, label="label", sampler=sampler, chunk_size=8
    )
    assert counts == {"before": {"a": 60, "b": 25}, "after": {"a": 60, "b": 60}}
    found = pd.read_parquet(target)
    pd.testing.assert_frame_equal(found[:85], frame)
    assert (found["label"][85:] == "b").all()
    for file in folder.iterdir():
        assert (target / file.name).read_bytes() == file.read_bytes()
    new = target / "part-1_generated.parquet"
    assert pq.read_schema(new).equals(pq.read_schema(folder / "part-0.parquet"))
    assert pq.read_metadata(new).num_row_groups == 5  # 35 rows by 8
    assert len(list(target.iterdir())) == 3


def test_rows_are_those_of_an_array(frame, folder, sampler, tmp_path):
    """The same training and the same rows; integers rounded, each in its type."""
    resample_parquet(folder, tmp_path / "target", label="label", sampler=sampler)
    found = pd.read_parquet(tmp_path / "target")[85:]
    X = frame.drop(columns="label").astype(float).to_numpy()
    X_expected, _ = GAMOSampler(max_iter=3, random_state=0).fit_resample(
        X, frame["label"].to_numpy()
    )
    expected = X_expected[85:]
    for j, name in enumerate(["amount", "count", "price", "flag"]):
        values = expected[:, j]
        if name in ("count", "flag"):
            values = np.rint(values)
        values = values.astype(frame[name].dtype)
        np.testing.assert_array_equal(found[name], values, strict=False)
        assert found[name].dtype == frame[name].dtype
    more, labels = sampler.sample({"b": 3})
    assert more.shape == (3, 4)
    assert labels.tolist() == ["b"] * 3


def test_row_groups_are_read_one_at_a_time(folder, sampler, tmp_path, monkeypatch):
    monkeypatch.setattr("gamo_sampler._torch.MAX_RESIDENT_ROWS", 10)
    monkeypatch.setattr("gamo_sampler._lazy.CHUNK_VALUES", 1)
    sizes = []
    load = _parquet.ParquetRows._chunk

    def spy(self, i):
        rows = load(self, i)
        sizes.append(len(rows))
        return rows

    monkeypatch.setattr(_parquet.ParquetRows, "_chunk", spy)
    resample_parquet(folder, tmp_path / "target", label="label", sampler=sampler)
    assert set(sizes) == {5, 10}


def test_row_groups_of_no_rows(frame, sampler, tmp_path):
    source = tmp_path / "source.parquet"
    table = pa.Table.from_pandas(frame, preserve_index=False)
    with pq.ParquetWriter(source, table.schema) as writer:
        for rows in (table[:0], table[:50], table[:0], table[50:], table[:0]):
            writer.write_table(rows)
    rows = _parquet.ParquetRows([source], ["amount", "count"])
    rows.edges = np.array([0, 50, 85])
    expected = frame[["amount", "count"]].to_numpy()
    np.testing.assert_array_equal(rows[:], expected, strict=True)
    np.testing.assert_array_equal(rows[np.array([84, 49, 50])], expected[[84, 49, 50]])


@pytest.mark.parametrize(
    "labels",
    [
        pd.Series(np.arange(85) % 17 < 5),
        pd.Series((np.arange(85) % 17 < 5).astype(np.int8)),
        pd.Series(np.where(np.arange(85) % 17 < 5, "rare", "common"), dtype="category"),
    ],
    ids=["bool", "int8", "category"],
)
def test_labels_of_any_type_from_one_file(frame, sampler, tmp_path, labels):
    frame["label"] = labels
    frame.to_parquet(tmp_path / "source.parquet", index=False)
    counts = resample_parquet(
        tmp_path / "source.parquet", tmp_path / "out", label="label", sampler=sampler
    )
    found = pd.read_parquet(tmp_path / "out")["label"]
    assert found.dtype == labels.dtype
    assert Counter(found) == counts["after"]
    assert set(counts["after"].values()) == {60}
    assert counts["before"] == dict(Counter(labels))


@pytest.mark.parametrize("unit", ["D", "ns"])
def test_dates_as_labels_are_keys_as_numpy_has_them(frame, sampler, tmp_path, unit):
    days = np.array(["2020-01-01", "2021-01-01"], f"M8[{unit}]")
    table = pa.Table.from_pandas(frame.drop(columns="label"), preserve_index=False)
    labels = pa.array(days[(frame["label"] == "b").astype(int)])
    pq.write_table(table.append_column("label", labels), tmp_path / "source.parquet")
    counts = resample_parquet(
        tmp_path / "source.parquet", tmp_path / "out", label="label", sampler=sampler
    )
    assert counts["before"] == dict(zip(days, [60, 25], strict=True))
    assert counts["after"] == dict.fromkeys(days, 60)
    assert len(sampler.sample(dict.fromkeys([*counts["after"]][1:], 2))[0]) == 2


@pytest.mark.parametrize("name", ["label=5", "amount=5"])
def test_a_folder_named_like_a_partition(frame, folder, sampler, tmp_path, name):
    source = folder.rename(tmp_path / name)
    counts = resample_parquet(
        source, tmp_path / "target", label="label", sampler=sampler
    )
    assert counts["after"] == {"a": 60, "b": 60}
    assert len(pd.read_parquet(tmp_path / "target")) == 120


def test_folders_and_hidden_files_in_the_source_are_left_out(
    frame, folder, sampler, tmp_path
):
    for name in ("_draft.parquet", ".part-3.parquet"):
        frame.to_parquet(folder / name, index=False)
    (folder / "more.parquet").mkdir()
    target = tmp_path / "target"
    counts = resample_parquet(folder, target, label="label", sampler=sampler)
    assert counts["before"] == {"a": 60, "b": 25}
    names = ["part-0.parquet", "part-1.parquet", "part-1_generated.parquet"]
    assert sorted(path.name for path in target.iterdir()) == names


@pytest.mark.parametrize("codec", ["none", "snappy", "zstd"])
def test_generated_rows_are_compressed_alike(frame, sampler, tmp_path, codec):
    source, target = tmp_path / "source.parquet", tmp_path / "target"
    frame.to_parquet(source, index=False, compression=codec)
    resample_parquet(source, target, label="label", sampler=sampler)
    found, expected = (
        pq.read_metadata(path).row_group(0).column(0).compression
        for path in (target / "source_generated.parquet", source)
    )
    assert found == expected


def test_nothing_to_generate(frame, tmp_path):
    frame.to_parquet(tmp_path / "source.parquet", index=False)
    with pytest.warns(UserWarning, match="nothing is generated") as caught:
        counts = resample_parquet(
            tmp_path / "source.parquet",
            tmp_path / "out",
            label="label",
            sampler=GAMOSampler(sampling_strategy={"b": 25}),
        )
    assert caught[0].filename == __file__
    assert counts["before"] == counts["after"]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out"), frame)


def test_nothing_is_overwritten(folder, tmp_path):
    (tmp_path / "target").write_text("mine")
    with pytest.raises(FileExistsError, match="overwrites nothing"):
        resample_parquet(folder, tmp_path / "target", label="label")
    assert (tmp_path / "target").read_text() == "mine"


def test_a_failure_leaves_nothing(folder, sampler, tmp_path, monkeypatch):
    """As the rows are written, at the last moment."""
    blocks = GAMOSampler._new_blocks

    def cut_off(self, size):
        yield next(blocks(self, 3))
        assert [path.name for path in tmp_path.iterdir()] != ["source"]
        raise KeyboardInterrupt

    monkeypatch.setattr(GAMOSampler, "_new_blocks", cut_off)
    with pytest.raises(KeyboardInterrupt):
        resample_parquet(folder, tmp_path / "target", label="label", sampler=sampler)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def refused(source, error, match, **settings):
    target = source.parent / "target"
    with pytest.raises(error, match=match):
        resample_parquet(source, target, **{"label": "label"} | settings)
    assert not target.exists()


def test_what_is_refused(frame, folder, tmp_path):
    refused(tmp_path / "none", FileNotFoundError, "neither a Parquet file nor")
    refused(
        folder, ValueError, r"'target': there are \['amount', 'label'", label="target"
    )
    refused(folder, TypeError, r"other types: {'label': .*string", label="flag")
    refused(folder, TypeError, "got a GAMOClassifier", sampler=GAMOClassifier())
    refused(folder, ValueError, "chunk_size == 0", chunk_size=0)
    conv = GAMOSampler(feature_extractor="conv")
    refused(folder, ValueError, "has to be None", sampler=conv)
    for settings in ({"missing": "propagate"}, {"categorical_features": [0]}):
        (name,) = settings
        table = GAMOSampler(**settings)
        refused(folder, ValueError, f"the sampler has {name}=", sampler=table)
    wrong = GAMOSampler(loss="none")
    refused(folder, ValueError, "The 'loss' parameter", sampler=wrong)
    frame.drop(columns="flag").to_parquet(folder / "part-2.parquet", index=False)
    refused(folder, ValueError, "part-2.parquet has other columns")


def test_a_target_nowhere_is_refused_before_training(folder, sampler, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        resample_parquet(
            folder, tmp_path / "nowhere" / "target", label="label", sampler=sampler
        )
    assert not hasattr(sampler, "sampling_strategy_")


def test_what_is_refused_in_the_data(frame, tmp_path):
    source = tmp_path / "_source.parquet"
    frame.to_parquet(source, index=False)
    refused(source, ValueError, "leave _source.parquet out")
    source = tmp_path / "source.parquet"
    frame[["label"]].to_parquet(source, index=False)
    refused(source, ValueError, "no column but 'label'")
    frame.set_index("count").to_parquet(source)
    refused(source, ValueError, r"\['count'\] hold the index")
    frame.astype({"count": "Int16"}).assign(
        count=lambda f: f["count"].mask(f.index == 70)
    ).to_parquet(source, index=False)
    refused(source, ValueError, "missing values in column 'count'")
    frame.assign(price=frame["price"].mask(frame.index == 3, np.inf)).to_parquet(
        source, index=False
    )
    refused(source, ValueError, r"contains infinity in columns \['price'\]")
    frame.assign(label=frame["label"].mask(frame.index > 80)).to_parquet(
        source, index=False
    )
    refused(source, ValueError, "'label' has 4 missing values")


def test_without_pyarrow(folder, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    refused(folder, ImportError, r"gamo_sampler\[large\]")


def test_benchmark(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(stream, "ROWS_PER_GROUP", 100)
    stream.report(tmp_path, 5050)
    before, after, figures = capsys.readouterr().out.splitlines()
    assert before.startswith("before: 5,050 rows {0: ")
    counts = ast.literal_eval(re.search("{.*}", after).group())
    assert counts[0] == counts[1] > 4900
    assert after.startswith(f"after: {2 * counts[0]:,} rows")
    assert re.match(r"\d+ s on 1 thread\(s\); peak memory \d+ MiB", figures)
    assert len(list((tmp_path / "source").iterdir())) == 3


@pytest.mark.slow
def test_memory_is_a_fraction_of_the_data():
    command = [sys.executable, "-m", "benchmarks.stream", "--rows", "2000000"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    peak, before = map(int, re.findall(r"(\d+) MiB", output))
    n_rows = int(re.search("after: (.*) rows", output).group(1).replace(",", ""))
    assert peak - before < n_rows * 30 * 4 / 2**20 / 2


# BalancedDataset


@pytest.fixture
def fitted(table):
    sampler = GAMOSampler(max_iter=2, random_state=0)
    sampler.fit_resample(*table)
    return sampler


def everything(loader):
    rows, labels = zip(*loader, strict=True)
    return torch.cat(rows).numpy(), torch.cat(labels).numpy()


def real_rows(rows, X):
    """Positions in X of those rows that are there, sorted; the others are generated."""
    found = {row.tobytes(): i for i, row in enumerate(X.astype(np.float32))}
    positions = [found.get(row.tobytes(), -1) for row in rows]
    return np.array(positions)


@pytest.fixture
def loaders(monkeypatch):
    """Loaders of 0 or 2 workers, over windows of 8 rows."""
    monkeypatch.setattr(_balanced, "BATCHES_AT_ONCE", 2)

    def make(dataset, n_workers, seed=0, **settings):
        generator = torch.Generator().manual_seed(seed)
        return DataLoader(
            dataset,
            batch_size=None,
            num_workers=n_workers,
            generator=generator,
            **settings,
        )

    return make


@pytest.mark.parametrize("n_workers", [0, 2])
def test_a_pass_is_balanced_and_has_every_row_once(table, fitted, loaders, n_workers):
    X, y = table
    dataset = BalancedDataset(fitted, X, y, batch_size=4, random_state=0)
    loader = loaders(dataset, n_workers)
    passes = [everything(loader) for _ in range(2)]
    assert len(loader) == 30
    new = []
    for rows, labels in passes:
        assert rows.dtype == np.float32
        assert labels.dtype == np.int64
        assert np.bincount(labels).tolist() == [40, 40, 40]
        positions = real_rows(rows, X)
        assert sorted(positions[positions >= 0]) == list(range(59))
        assert positions[:20].max() > 30  # shuffled
        assert (labels[positions >= 0] == y[positions[positions >= 0]]).all()
        generated = rows[positions < 0]
        for i in (1, 2):
            own = generated[labels[positions < 0] == i]
            low, high = X[y == i].min(0), X[y == i].max(0)
            assert (own >= low - 1e-2).all()
            assert (own <= high + 1e-2).all()
        new.append(generated)
    # Fresh in every pass, and no worker repeats another's.
    assert len(np.unique(np.concatenate(new), axis=0)) == 2 * 61


@pytest.mark.parametrize("n_workers", [0, 2])
def test_a_seed_gives_the_same_passes(table, fitted, loaders, n_workers):
    def passes(random_state=0, seed=0):
        dataset = BalancedDataset(fitted, *table, random_state=random_state)
        loader = loaders(dataset, n_workers, seed)
        return np.concatenate([everything(loader)[0] for _ in range(2)])

    expected = passes()
    np.testing.assert_array_equal(passes(), expected)
    assert not np.array_equal(passes(random_state=1), expected)
    if n_workers:
        assert not np.array_equal(passes(seed=1), expected)


def test_the_number_of_workers_changes_no_minibatch(table, fitted, loaders):
    def minibatches(n_workers):
        dataset = BalancedDataset(fitted, *table, batch_size=4, random_state=0)
        loader = loaders(dataset, n_workers)
        return {rows.numpy().tobytes() for rows, _ in loader}

    assert minibatches(1) == minibatches(2)


def test_persistent_workers_go_on(table, fitted, loaders):
    dataset = BalancedDataset(fitted, *table, batch_size=8, random_state=0)
    loader = loaders(dataset, 1, persistent_workers=True)
    first, second = everything(loader)[0], everything(loader)[0]
    assert not np.array_equal(np.sort(first, 0), np.sort(second, 0))


def test_labels_become_indices_and_strategies_hold(table, loaders):
    X, y = table
    names = np.array(["x", "y", "z"])[y]
    classifier = GAMOClassifier(
        sampling_strategy={"z": 20}, max_iter=2, random_state=0
    ).fit(X, names)
    dataset = BalancedDataset(classifier, X, names, random_state=0)
    _, labels = everything(loaders(dataset, 0))
    assert np.bincount(labels).tolist() == [40, 12, 20]
    assert dataset.classes_.tolist() == ["x", "y", "z"]


@pytest.mark.parametrize("kind", ["memmap", "zarr", "dask"])
def test_rows_that_are_not_in_memory(table, loaders, tmp_path, kind):
    """Workers are forked after the parent has read: none of its threads is theirs."""
    X, y = table
    if kind == "memmap":
        X.tofile(tmp_path / "X")
        rows = np.memmap(tmp_path / "X", X.dtype, "r", shape=X.shape)
    elif kind == "zarr":
        rows = zarr.create_array({}, data=X, chunks=(10, 5))
    else:
        rows = da.from_array(X, chunks=(10, 5))
    fitted = GAMOSampler(max_iter=2, random_state=0)
    fitted.fit_resample(rows, y)
    dataset = BalancedDataset(fitted, rows, y, batch_size=4, random_state=0)
    found, labels = everything(loaders(dataset, 2, timeout=30))
    positions = real_rows(found, X)
    assert sorted(positions[positions >= 0]) == list(range(59))
    assert np.bincount(labels).tolist() == [40, 40, 40]


def test_chunks_are_read_one_after_the_other(table, fitted, loaders, monkeypatch):
    monkeypatch.setattr("gamo_sampler._lazy.CHUNK_VALUES", 1)
    X, y = table
    rows = zarr.create_array({}, data=X, chunks=(20, 5))
    dataset = BalancedDataset(fitted, rows, y, batch_size=4, random_state=0)
    positions = real_rows(everything(loaders(dataset, 0))[0], X)
    chunks = positions[positions >= 0] // 20
    # A window of 8 rows can have the end of one chunk and the start of the next.
    assert np.count_nonzero(np.diff(chunks)) < 10
    assert sorted(positions[positions >= 0]) == list(range(59))


def test_images(loaders):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (50, 8, 8), dtype=np.uint8)
    y = np.repeat([0, 1], [35, 15])
    game = GAMOClassifier(feature_extractor="conv", max_iter=1, random_state=0)
    sampler = GAMO2Pix(game, max_rounds=2, random_state=0)
    sampler.fit_resample(X, y)
    dataset = BalancedDataset(sampler, X, y, random_state=0)
    rows, labels = everything(loaders(dataset, 0))
    assert rows.shape == (70, 8, 8)
    assert np.bincount(labels).tolist() == [35, 35]
    with pytest.raises(ValueError, match=r"rows of shape \(\d+,\), but those of X"):
        BalancedDataset(game.fit(X, y), X, y)


def test_what_a_dataset_refuses(table, fitted):
    X, y = table
    with pytest.raises(NotFittedError):
        BalancedDataset(GAMOSampler().fit(X, y), X, y)
    with pytest.raises(ValueError, match=r"labels \[7\], which the fitted estimator"):
        BalancedDataset(fitted, X, np.where(y == 2, 7, y))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        BalancedDataset(fitted, X, y[1:])
    with pytest.raises(ValueError, match="batch_size == 0"):
        BalancedDataset(fitted, X, y, batch_size=0)
    with pytest.raises(ValueError, match="contains NaN"):
        BalancedDataset(fitted, X * np.nan, y)
    plain = GAMOClassifier(generator=None, max_iter=1).fit(X, y)
    with pytest.raises(ValueError, match=r"of \[1, 2\] with .* generates \[\]"):
        BalancedDataset(plain, X, y)


@pytest.mark.parametrize("counts", [[40, 12, 7], [7, 7, 7]])
def test_rows_are_to_be_like_those_of_the_fit(table, fitted, counts):
    """Also where nothing is generated."""
    sizes = dict(enumerate(counts))
    X, y = make_imbalance(*table, sampling_strategy=sizes, random_state=0)
    frame = pd.DataFrame(X, columns=list("abcde"))
    sampler = GAMOSampler(max_iter=1, random_state=0)
    sampler.fit_resample(pd.DataFrame(table[0], columns=list("abcde")), table[1])
    assert BalancedDataset(sampler, frame, y).X.shape == X.shape
    with pytest.raises(ValueError, match="feature names should match"):
        BalancedDataset(sampler, frame[list("abced")], y)
    for rows in (X[:, :4], da.from_array(X[:, :4])):
        with pytest.raises(ValueError, match="X has 4 features, but GAMOSampler"):
            BalancedDataset(fitted, rows, y)
    with pytest.raises(TypeError, match="holds complex128; it must hold numbers"):
        BalancedDataset(fitted, da.from_array(X.astype(complex)), y)
    rows = da.from_array(X)
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        BalancedDataset(fitted, rows[rows[:, 0] > -99], y)


def test_estimators_of_tables_are_refused(table):
    X, y = table
    with pytest.raises(TypeError, match="or a GAMO2Pix, got a GaussianNB"):
        BalancedDataset(GaussianNB().fit(X, y), X, y)
    mixed = pd.DataFrame(X).assign(kind=np.array(["x", "y"])[y % 2])
    mixed.columns = mixed.columns.astype(str)
    for rows, settings in [
        (csr_array(X), {}),
        (mixed, {}),
        (X, {"missing": "propagate"}),
    ]:
        sampler = GAMOSampler(max_iter=1, random_state=0, **settings)
        sampler.fit_resample(rows, y)
        with pytest.raises(ValueError, match="what it generates are tables"):
            BalancedDataset(sampler, rows, y)


def test_classes_that_the_fit_did_not_generate(table, fitted):
    X, y = table
    with pytest.raises(ValueError, match=r"of \[0\] with .* generates \[1, 2\]\. Fit"):
        BalancedDataset(fitted, X, np.array([2, 1, 0])[y])
    fitted.withdraw(y == 1)
    kept = y != 1
    dataset = BalancedDataset(fitted, X[kept], y[kept])
    assert sum(len(rows) for rows, _ in dataset) == 80
    with pytest.raises(ValueError, match=r"of \[1\] with .* generates \[2\]\. Fit"):
        BalancedDataset(fitted, X, y)


def test_images_of_classes_that_were_not_generated():
    X = np.random.default_rng(0).integers(0, 256, (20, 4, 4), dtype=np.uint8)
    y = np.repeat([0, 1], 10)
    sampler = GAMO2Pix(max_rounds=1, random_state=0)
    with pytest.warns(UserWarning, match="nothing is generated"):
        sampler.fit_resample(X, y)
    assert sum(len(rows) for rows, _ in BalancedDataset(sampler, X, y)) == 20
    with pytest.raises(ValueError, match=r"of \[1\] with .* generates \[\]"):
        BalancedDataset(sampler, X[:15], y[:15])


def test_values_too_large_for_float32_are_named_by_column(table, fitted):
    X, y = table
    X[7, 3] = 1e300
    with pytest.raises(ValueError, match=r"too large for float32 in columns \[3\]"):
        list(BalancedDataset(fitted, X, y))
    sampler = GAMOSampler(max_iter=1, random_state=0)
    sampler.fit_resample(pd.DataFrame(table[0][:, :3], columns=list("abc")), y)
    frame = pd.DataFrame(X[:, [0, 1, 3]], columns=list("abc"))
    with pytest.raises(ValueError, match=r"too large for float32 in columns \['c'\]"):
        list(BalancedDataset(sampler, frame, y))
