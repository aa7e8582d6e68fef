"""Rows with what belongs to each of them."""

from dataclasses import dataclass

import numpy as np
import torch

from ._lazy import subset


@dataclass(frozen=True)
class Labelled:
    """Rows to learn from.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows; images flat, in (channels, height, width) order.
    y : ndarray of int of shape (n_samples,)
        Class indices.
    sample_weight : ndarray of shape (n_samples,), default=None
        Positive weights in M's loss. None: all alike.
    groups : ndarray of int of shape (n_samples,), default=None
        Rows of two groups are not mixed. None: any of a class are.
    """

    X: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray | None = None
    groups: np.ndarray | None = None

    def part(self, index):
        """Some of the rows."""
        return Labelled(
            subset(self.X, index),
            self.y[index],
            _at(self.sample_weight, index),
            _at(self.groups, index),
        )

    def cells(self):
        """(n,) numbers of the rows' cells, a class or a group within it, by class."""
        y = torch.tensor(self.y, dtype=torch.long)
        if self.groups is None:
            return y
        code = y * (int(self.groups.max()) + 1) + torch.tensor(self.groups)
        return code.unique(return_inverse=True)[1]


def _at(values, index):
    return None if values is None else values[index]
