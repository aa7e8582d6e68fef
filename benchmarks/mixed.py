"""Tables whose 0/1 columns are put back into columns of categories."""

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

TABLES = ("adbench_campaign", "keel_car-good", "uci_adult", "uci_hypothyroid")
# A one-hot row without a 1 is one of a missing category: of Adult, up to 6 %.
LEAST_SHARE = 0.9


def put_together(X):
    """A frame of the rows X (n, d), each run of one-hot columns one of categories.

    A 0/1 column that is in no run is one of two categories.
    """
    is_binary = np.isin(X, (0, 1)).all(0)
    columns, start = {}, 0
    while start < X.shape[1]:
        width = one_hot_width(X[:, start:], is_binary[start:])
        codes = X[:, start : start + width] @ np.arange(1, width + 1)
        columns[f"x{start}"] = (
            pd.Categorical(codes.astype(int)) if is_binary[start] else X[:, start]
        )
        start += width
    return pd.DataFrame(columns)


def one_hot_width(X, is_binary):
    """Of how many of the first columns at most one is 1, in most rows exactly one."""
    n = len(is_binary) if is_binary.all() else int(is_binary.argmin())
    sums = X[:, :n].cumsum(1)
    width = n if (sums <= 1).all() else int((sums > 1).any(0).argmax())
    complete = (sums[:, :width] == 1).all(0)
    if complete.any():
        return int(complete.argmax()) + 1
    return width if width and sums[:, width - 1].mean() >= LEAST_SHARE else 1


def preparation(X):
    """The scaling in front of a sampler, and what makes numbers of its rows.

    Arrays are numbers already. The columns of a frame that are no categories are
    standardised for the sampler, and all one-hot ones too for the learner.
    """
    if isinstance(X, np.ndarray):
        return StandardScaler(), FunctionTransformer()
    kinds = {"remainder": "passthrough", "verbose_feature_names_out": False}
    numbers = make_column_selector(dtype_include="number")
    scale = ColumnTransformer([("numbers", StandardScaler(), numbers)], **kinds)
    one_hot = OneHotEncoder(
        handle_unknown="ignore", sparse_output=False, drop="if_binary"
    )
    categories = make_column_selector(dtype_include="category")
    encode = ColumnTransformer([("categories", one_hot, categories)], **kinds)
    return scale.set_output(transform="pandas"), make_pipeline(encode, StandardScaler())
