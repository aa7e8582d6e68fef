"""Images as rows: layouts in, (channels, height, width) order out."""

import math
from functools import partial
from numbers import Integral

import numpy as np

from ._lazy import in_memory, is_lazy, lazy_rows

CHANNELS = (1, 3, 4)


def as_rows(X, image_shape):
    """N-d X as flat rows in (channels, height, width) order, with that shape.

    X of shape (n, height, width), (n, channels, height, width) or
    (n, height, width, channels). Other X passes through with `image_shape`.
    """
    X, image_shape, ordered = as_read(in_memory(X), image_shape)
    return (X if ordered is None else ordered(X)[:]), image_shape


def as_read(X, image_shape):
    """The same, but flat rows in the order in which they lie in memory or in a file.

    The third value, where it is not None, is what such rows, once they are checked, are
    to be wrapped in: it puts those that are asked for in order.
    """
    if getattr(X, "ndim", 2) < 3:
        return X, image_shape, None
    X = X if is_lazy(X) else np.asarray(X)
    found = _layouts(X.shape[1:])
    if image_shape is not None:
        wanted = tuple(image_shape)
        found = {shape: last for shape, last in found.items() if shape == wanted}
    else:
        plausible = {s: last for s, last in found.items() if s[0] in CHANNELS}
        found = plausible if X.ndim == 4 else found
    if len(found) != 1:
        raise ValueError(
            f"X of shape {X.shape} cannot be read as images with "
            f"image_shape={image_shape}; X is (n, height, width), "
            "(n, channels, height, width) or (n, height, width, channels), and "
            "image_shape=(channels, height, width) settles which."
        )
    [(image_shape, channels_last)] = found.items()
    rows = lazy_rows(X) if is_lazy(X) else X.reshape(len(X), math.prod(image_shape))
    ordered = partial(ChannelsLast, image_shape=image_shape) if channels_last else None
    return rows, image_shape, ordered


class ChannelsLast:
    """Flat rows of (height, width, channels), read as (channels, height, width).

    An index of rows gives an array. So an array in a file, or a large one in memory, is
    read, and put in order, one minibatch at a time.
    """

    ndim = 2

    def __init__(self, rows, image_shape):
        self.rows = rows
        self.image_shape = image_shape
        self.shape = rows.shape
        self.size = rows.size
        self.dtype = rows.dtype

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        channels, height, width = self.image_shape
        images = self.rows[index].reshape(-1, height, width, channels)
        return np.moveaxis(images, -1, 1).reshape(len(images), self.shape[1])

    def min(self):
        return self.rows.min()

    def max(self):
        return self.rows.max()


def check_image_shape(image_shape, n_features):
    """`image_shape` as a tuple of ints that multiplies to `n_features`, or None."""
    if image_shape is None:
        return None
    shape = np.atleast_1d(np.asarray(image_shape, dtype=object))
    shape = tuple(shape.tolist())  # lists in it stay lists
    if len(shape) != 3 or not all(isinstance(n, Integral) and n > 0 for n in shape):
        raise ValueError(
            "image_shape must be three positive integers, (channels, height, width), "
            f"got {shape}."
        )
    if math.prod(shape) != n_features:
        raise ValueError(
            f"image_shape={shape} has {math.prod(shape)} values, but X has "
            f"{n_features} features."
        )
    return tuple(map(int, shape))


def _layouts(shape):
    """Possible (channels, height, width), each with whether channels come last."""
    if len(shape) == 2:
        return {(1, *shape): False}
    if len(shape) != 3:
        return {}
    return {(shape[2], *shape[:2]): True} | {shape: False}
