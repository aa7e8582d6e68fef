"""Balanced data for what does not fit in memory, and for torch's own loops."""

from ._balanced import BalancedDataset
from ._parquet import resample_parquet

__all__ = ["BalancedDataset", "resample_parquet"]
