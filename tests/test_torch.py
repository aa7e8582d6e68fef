"""Devices, scales, and rows by index."""

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from gamo_sampler._torch import Rows, Scaling, block_size, resolve_device

CPU = torch.device("cpu")


def test_auto_device_is_a_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto").type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto").type == "mps"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device("auto") == CPU
    assert resolve_device(CPU) == CPU


@pytest.mark.parametrize("device", ["gpu", "nonsense:3"])
def test_unknown_device_is_named(device):
    with pytest.raises(ValueError, match=f"device='{device}' cannot be used"):
        resolve_device(device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA")
def test_cuda_without_cuda_is_named():
    with pytest.raises(ValueError, match="device='cuda' cannot be used"):
        resolve_device("cuda")


def test_rows_are_standardised_per_column():
    X = np.array([[1.0, 5.0, 1e9], [3.0, 5.0, 1e9 + 2]])
    scaling = Scaling.of_rows(X)
    expected = torch.tensor([[-1.0, 0, -1], [1, 0, 1]])
    torch.testing.assert_close(scaling.forward(X), expected)
    np.testing.assert_allclose(scaling.inverse(expected), X)


def test_images_share_one_scale():
    X = np.array([[0, 0, 255], [0, 51, 204]], dtype=np.uint8)
    scaled = Scaling.of_images(X).forward(X)
    torch.testing.assert_close(scaled, torch.tensor([[-1, -1, 1], [-1, -0.6, 0.6]]))


def test_constant_images_do_not_divide_by_zero():
    X = np.full((3, 4), 7.0)
    assert (Scaling.of_images(X).forward(X) == 0).all()


@pytest.mark.parametrize("limit", ["MAX_RESIDENT_ROWS", "MAX_RESIDENT_VALUES"])
def test_large_arrays_give_the_same_rows(monkeypatch, limit):
    X = np.random.default_rng(0).normal(size=(50, 3))
    X.flags.writeable = False
    scaling = Scaling.of_rows(X)
    index = torch.tensor([4, 4, 30])
    resident = Rows(X, scaling, CPU)
    monkeypatch.setattr(f"gamo_sampler._torch.{limit}", 49)
    streamed = Rows(X, scaling, CPU)
    assert resident.resident is not None
    assert streamed.resident is None
    assert torch.equal(resident[index], streamed[index])


def test_blocks_of_large_images_have_fewer_rows():
    assert block_size(30) == block_size(784) == 4096
    assert block_size(3 * 224 * 224) == 27
    assert block_size(10**9) == 1


def test_a_column_that_is_constant_but_for_rounding_stays_small():
    """Of floats this large, the mean is off by hundreds, and the variance is 0."""
    X = np.full((40, 2), 4000123412341234567.0)
    X[:20, 1] += 512  # one step
    scaling = Scaling.of_rows(X)
    assert np.abs(scaling.forward(X).numpy()).max() < 1
    times = 1.7e9 + np.arange(40.0)[:, None]
    expected = StandardScaler().fit_transform(times)
    np.testing.assert_allclose(Scaling.of_rows(times).forward(times), expected, 1e-6)
