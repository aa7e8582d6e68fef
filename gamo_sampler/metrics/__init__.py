"""How good generated rows or images are, beside real ones of the same class.

Near the real ones in distribution (`frechet_distance`, `kernel_distance`), believable
and varied (`precision_recall`, `coverage`), and no copies (`nearest_real_distance`).
"""

from ._distances import frechet_distance, kernel_distance
from ._neighbors import coverage, nearest_real_distance, precision_recall

__all__ = [
    "coverage",
    "frechet_distance",
    "kernel_distance",
    "nearest_real_distance",
    "precision_recall",
]
