"""Values in words that are the same in another process."""

import hashlib
import re
from collections.abc import Mapping
from functools import partial

import numpy as np


def described(value):
    """Text that is the same in another process, and other text for another value."""
    if isinstance(value, np.ndarray):
        is_object = value.dtype.hasobject
        content = repr(value.tolist()).encode() if is_object else value.tobytes()
        return f"{value.dtype} {value.shape} {hashlib.sha256(content).hexdigest()}"
    if isinstance(value, np.random.RandomState):
        return described(value.get_state(legacy=False))
    if isinstance(value, Mapping):
        return described(list(value.items()))
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(described, value))}]"
    if isinstance(value, partial):
        return described(["partial", value.func, value.args, value.keywords])
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return without_addresses(repr(value))


def without_addresses(text):
    return re.sub(" at 0x[0-9a-f]+", "", text)
