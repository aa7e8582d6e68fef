"""Image layouts."""

import tracemalloc

import numpy as np
import pytest

from gamo_sampler import GAMOClassifier
from gamo_sampler._images import (
    ChannelsLast,
    as_read,
    as_rows,
    check_image_shape,
)


def test_rows_pass_through():
    X = np.zeros((5, 12))
    assert as_rows(X, None) == (X, None)
    assert as_rows(X, (1, 3, 4)) == (X, (1, 3, 4))


@pytest.mark.parametrize(
    ("shape", "image_shape", "expected"),
    [
        ((5, 8, 6), None, (1, 8, 6)),
        ((5, 3, 8, 6), None, (3, 8, 6)),
        ((5, 8, 6, 3), None, (3, 8, 6)),
        ((5, 8, 6, 1), None, (1, 8, 6)),
        ((5, 7, 8, 6), (7, 8, 6), (7, 8, 6)),
        ((5, 8, 6, 7), (7, 8, 6), (7, 8, 6)),
        ((5, 3, 8, 3), (3, 8, 3), (3, 8, 3)),
    ],
)
def test_layouts(shape, image_shape, expected):
    X = np.arange(np.prod(shape)).reshape(shape)
    rows, found = as_rows(X, image_shape)
    assert found == expected
    images = rows.reshape(-1, *expected)
    if X.ndim == 3:
        X = X[:, None]
    elif X.shape[1:] != expected:
        X = X.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(images, X)


@pytest.mark.parametrize(
    ("shape", "image_shape"),
    [
        ((5, 3, 8, 3), None),
        ((5, 7, 8, 6), None),
        ((5, 8, 6), (3, 4, 4)),
        ((5, 3, 8, 6), (8, 6, 3)),
        ((5, 2, 2, 2, 2), None),
    ],
)
def test_unclear_layouts_are_refused(shape, image_shape):
    with pytest.raises(ValueError, match=r"cannot be read as images with image_shape"):
        as_rows(np.zeros(shape), image_shape)


@pytest.mark.parametrize(
    "image_shape", [(1, 8), (0, 8, 8), (-1, 8, 8), (1, 8.0, 8), 64]
)
def test_image_shape_must_be_three_positive_integers(image_shape):
    with pytest.raises(ValueError, match="image_shape must be three positive integers"):
        check_image_shape(image_shape, 64)


def test_image_shape_must_multiply_to_the_features():
    with pytest.raises(ValueError, match=r"\(1, 8, 9\) has 72 values, but X has 64"):
        check_image_shape((1, 8, 9), 64)
    assert check_image_shape([1, 8, 8], 64) == (1, 8, 8)


def test_channels_last_files_are_not_read_whole(tmp_path):
    shape = (600, 64, 64, 3)  # 7 MB of bytes
    values = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    values.tofile(tmp_path / "images")
    on_disk = np.memmap(tmp_path / "images", np.uint8, "r", shape=shape)
    expected, _ = as_rows(values, None)
    tracemalloc.start()
    rows, image_shape, ordered = as_read(on_disk, None)
    rows = ordered(rows)
    some = rows[[5, 3]]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert image_shape == (3, 64, 64)
    assert peak < values.nbytes / 20
    np.testing.assert_array_equal(some, expected[[5, 3]])
    assert some.dtype == np.uint8
    assert (rows.shape, rows.size, len(rows)) == (expected.shape, expected.size, 600)
    assert (rows.min(), rows.max()) == (expected.min(), expected.max())
    np.testing.assert_array_equal(rows[:], expected)


@pytest.mark.parametrize("feature_extractor", ["conv", None])
def test_the_layout_changes_nothing(feature_extractor):
    rng = np.random.RandomState(0)
    planes, y = rng.randint(256, size=(40, 3, 8, 8)), np.repeat([0, 1], [28, 12])
    last = np.moveaxis(planes, 1, -1)
    models = [
        GAMOClassifier(
            feature_extractor=feature_extractor, max_rounds=5, random_state=0
        ).fit(X, y)
        for X in (planes, last)
    ]
    np.testing.assert_array_equal(*[m.predict_proba(last) for m in models])
    np.testing.assert_array_equal(*[m.sample(5, random_state=0)[0] for m in models])
    features = [
        m.extract_features(X) for m, X in zip(models, (planes, last), strict=True)
    ]
    np.testing.assert_array_equal(*features)


def test_channels_last_files_are_trained_on_by_minibatch(tmp_path, monkeypatch):
    shape = (60, 8, 8, 3)
    images = np.memmap(tmp_path / "images", np.float32, "w+", shape=shape)
    images[:] = np.random.default_rng(0).normal(size=shape)
    y = np.repeat([0, 1], [45, 15])
    monkeypatch.setattr("gamo_sampler._torch.MAX_RESIDENT_ROWS", 10)
    monkeypatch.setattr("gamo_sampler._torch.BLOCK", 16)
    monkeypatch.setattr("gamo_sampler._lazy.AHEAD_VALUES", 1)
    read = []
    in_order = ChannelsLast.__getitem__

    def spy(self, index):
        rows = in_order(self, index)
        read.append(len(rows))
        return rows

    monkeypatch.setattr(ChannelsLast, "__getitem__", spy)
    GAMOClassifier(feature_extractor="conv", max_iter=1, random_state=0).fit(images, y)
    assert len(read) > 2
    assert max(read) <= 32  # a minibatch
