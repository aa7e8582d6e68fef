"""Warnings that point at the user's line, however deep they come from."""

import os
import sys
import warnings
from pathlib import Path

import imblearn
import sklearn

LIBRARIES = tuple(
    f"{Path(file).parent}{os.sep}"  # not another folder whose name begins like it
    for file in (__file__, sklearn.__file__, imblearn.__file__)
)


def warn(message, category=UserWarning):
    """Warn at the first caller that is neither this package nor one that calls it."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename.startswith(LIBRARIES):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
