import numpy as np
import pytest
import torch
from imblearn.datasets import make_imbalance
from sklearn.datasets import load_digits

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def torch_and_numpy_untouched():
    """Fail a test that changes the process's random state or torch's settings."""

    def state():
        name, keys, *rest = np.random.get_state()  # noqa: NPY002
        return {
            "torch RNG": torch.random.get_rng_state().tolist(),
            "numpy RNG": (name, keys.tolist(), *rest),
            "default dtype": torch.get_default_dtype(),
            "threads": torch.get_num_threads(),
            "grad mode": torch.is_grad_enabled(),
        }

    before = state()
    yield
    after = state()
    changed = [name for name in before if before[name] != after[name]]
    assert not changed, f"changed by the test: {changed}"


@pytest.fixture(scope="session")
def digits():
    """Long-tailed digits: 120 rows of class 0 down to 8 of class 9."""
    X, y = load_digits(return_X_y=True)
    counts = dict(enumerate([120, 100, 80, 60, 45, 35, 25, 18, 12, 8]))
    return make_imbalance(X, y, sampling_strategy=counts, random_state=0)


@pytest.fixture
def table():
    """Three classes of 40, 12 and 7 rows with 5 columns on very different scales."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [40, 12, 7])
    X = rng.normal(size=(59, 5)) + y[:, None]
    X = X * [1, 10, 1e-3, 1e4, 1] + [0, 100, 0, -5e4, 3]
    order = rng.permutation(59)
    return X[order], y[order]
