"""Images as rows: layouts in, (channels, height, width) order out."""

import math
from tempfile import TemporaryFile

import numpy as np
from sklearn.utils import gen_batches

from ._torch import block_size

CHANNELS = (1, 3, 4)


def as_rows(X, image_shape):
    """N-d X as flat rows in (channels, height, width) order, with that shape.

    X of shape (n, height, width), (n, channels, height, width) or
    (n, height, width, channels). Other X passes through with `image_shape`.
    """
    if getattr(X, "ndim", 2) < 3:
        return X, image_shape
    X = X if isinstance(X, np.memmap) else np.asarray(X)
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
    if channels_last:
        X = _on_disk(X) if isinstance(X, np.memmap) else np.moveaxis(X, -1, 1)
    return np.asarray(X).reshape(len(X), math.prod(image_shape)), image_shape


def _on_disk(X):
    """`np.moveaxis(X, -1, 1)`, written block by block to a file without a name."""
    height, width, channels = X.shape[1:]
    shape = len(X), channels, height, width
    with TemporaryFile() as file:  # the map holds it until it is gone itself
        planar = np.memmap(file, X.dtype, "w+", shape=shape)
    for block in gen_batches(len(X), block_size(math.prod(shape[1:]))):
        planar[block] = np.moveaxis(X[block], -1, 1)
    return planar


def check_image_shape(image_shape, n_features):
    """`image_shape` as a tuple of ints that multiplies to `n_features`, or None."""
    if image_shape is None:
        return None
    shape = tuple(np.atleast_1d(image_shape).tolist())
    if len(shape) != 3 or not all(isinstance(n, int) and n > 0 for n in shape):
        raise ValueError(
            "image_shape must be three positive integers, (channels, height, width), "
            f"got {shape}."
        )
    if math.prod(shape) != n_features:
        raise ValueError(
            f"image_shape={shape} has {math.prod(shape)} values, but X has "
            f"{n_features} features."
        )
    return shape


def _layouts(shape):
    """Possible (channels, height, width), each with whether channels come last."""
    if len(shape) == 2:
        return {(1, *shape): False}
    if len(shape) != 3:
        return {}
    return {(shape[2], *shape[:2]): True} | {shape: False}
