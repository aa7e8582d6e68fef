"""Types in the public signatures, for whoever checks code against them."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

Array: TypeAlias = NDArray[Any]
StrPath: TypeAlias = str | os.PathLike[str]
# Arrays and frames of any library, sparse, on disk, or lists: no type has them all.
Data: TypeAlias = Any
Labels: TypeAlias = Any
Seed: TypeAlias = int | np.random.RandomState | None
# How many rows to generate: in all, or by label.
Wanted: TypeAlias = int | Mapping[Any, int]
Device: TypeAlias = str | torch.device
ImageShape: TypeAlias = Sequence[int] | None
Sizes: TypeAlias = str | int | Sequence[int]
Strategy: TypeAlias = float | str | Mapping[Any, int] | Callable[..., Mapping[Any, int]]
Counts: TypeAlias = Sequence[int] | Array | None  # by class, in order
Prior: TypeAlias = str | ArrayLike | None
