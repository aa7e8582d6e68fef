"""The published experiments' data: real images, class sizes with a long tail."""

from ._folders import load_celeba, load_lsun, load_sun397
from ._long_tailed import fetch_long_tailed

__all__ = ["fetch_long_tailed", "load_celeba", "load_lsun", "load_sun397"]
