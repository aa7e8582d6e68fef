"""How much the classes count in M's loss."""

from collections.abc import Mapping
from numbers import Real

import numpy as np
import torch
from sklearn.utils import compute_class_weight


def class_weights(given, classes, y, sample_weight):
    """(c,) weights of rows in M's loss, scikit-learn's by `class_weight`, `given`.

    `y` are class indices, and `sample_weight` is a tensor alike, or None.
    """
    indices = np.arange(len(classes))
    if isinstance(given, Mapping):
        unknown = [label for label in given if label not in list(classes)]
        if unknown:
            raise ValueError(
                f"class_weight names {unknown}, but the classes are {classes.tolist()}."
            )
        wrong = {label: w for label, w in given.items() if not _is_weight(w)}
        if wrong:
            raise ValueError(
                f"class_weight must hold finite numbers of at least 0, got {wrong}."
            )
        given = {i: given.get(classes[i], 1.0) for i in indices}
    if sample_weight is not None:
        sample_weight = sample_weight.numpy()
    weights = compute_class_weight(
        given, classes=indices, y=y.numpy(), sample_weight=sample_weight
    )
    return torch.tensor(weights, dtype=torch.float32)


def margin(tau, n_classes, y, sample_weight):
    """(c,) tau log P_i: the loss makes up for what M's scores are given."""
    if not tau:
        return torch.zeros(n_classes, dtype=torch.float32)
    sums = y.bincount(sample_weight, minlength=n_classes).double()
    return tau * (sums / sums.sum()).log().float()


def _is_weight(w):
    return isinstance(w, Real) and 0 <= w < np.inf
