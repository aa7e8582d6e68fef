"""What the baselines with networks share: parameters and batches."""

from numbers import Integral

import torch
from sklearn.utils._param_validation import Interval

from .._base import BaseGAMO

CONSTRAINTS = {
    name: BaseGAMO._parameter_constraints[name]
    for name in (
        "loss",
        "image_shape",
        "hidden_layer_sizes",
        "max_iter",
        "batch_size",
        "learning_rate",
        "beta_1",
        "beta_2",
        "epsilon",
        "random_state",
        "device",
    )
} | {"max_rounds": [Interval(Integral, 1, None, closed="left"), None]}


def epochs(n, params, rng):
    """Yield one list of batches per epoch, positions of shuffled rows, (b,) each."""
    size = min(params.batch_size, n)
    per_epoch = -(-n // size)
    # Full batches, wrapped around: batch normalisation may not take one row.
    wrapped = torch.arange(per_epoch * size) % n
    left = n_rounds(n, params)
    while left > 0:
        order = torch.randperm(n, generator=rng)
        yield order[wrapped].split(size)[:left]
        left -= per_epoch


def n_rounds(n, params):
    """Number of batches in all epochs."""
    most = -(-n // min(params.batch_size, n)) * params.max_iter
    return min(most, params.max_rounds or most)
