"""The space in which all measures compare rows."""

import numpy as np
from sklearn.utils import check_array


def as_features(real, generated, features, *, min_rows=1):
    """Real and generated rows in the space that `features` names.

    Parameters
    ----------
    real, generated : array-like of shape (n, ...)
        What is compared; the two numbers of rows may differ.
    features : None, callable or fitted object
        None takes the rows as they are.
    min_rows : int, default=1
        Fewest rows that the measure can do with, on either side.

    Returns
    -------
    real, generated : ndarray of shape (n, d), float64
        Their features.

    Raises
    ------
    TypeError
        If `features` cannot map rows.
    ValueError
        If the features are no finite tables of the same width, a row for each row, or
        there are too few.
    """
    extract = _extractor(features)
    real = _checked(real, extract, "real", min_rows)
    generated = _checked(generated, extract, "generated", min_rows)
    if real.shape[1] != generated.shape[1]:
        raise ValueError(
            "real and generated must have the same number of features, got "
            f"{real.shape[1]} and {generated.shape[1]}."
        )
    return real, generated


def _extractor(features):
    """The function X -> (n, d) that `features` stands for."""
    if features is None:
        return lambda X: X
    if isinstance(features, type):
        raise TypeError(
            f"features must be a fitted object, got the class {features.__name__}."
        )
    for method in ("extract_features", "transform"):
        if hasattr(features, method):
            return getattr(features, method)
    if callable(features):
        return features
    raise TypeError(
        "features must be None, a callable, or a fitted object with extract_features "
        f"or transform, got {features!r}."
    )


def _checked(X, extract, name, min_rows):
    rows = extract(X)
    given, found = np.shape(X), np.shape(rows)
    if len(found) != 2 or found[0] != given[0]:
        raise ValueError(
            f"The features of {name} must have shape (n_rows, n_features), got {found} "
            f"from {given}. Images need `features` that turn each into a row."
        )
    if found[0] < min_rows:
        raise ValueError(f"{name} must have at least {min_rows} rows, got {found[0]}.")
    # Bytes would overflow, and single precision blurs what is nearly 0.
    return check_array(rows, dtype=np.float64, input_name=name)
