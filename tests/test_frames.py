"""Containers in and out."""

import numpy as np
import pandas as pd
import pytest

from gamo_sampler._frames import container, extend, fill, template


@pytest.mark.parametrize(
    ("data", "values", "expected"),
    [
        ([1, 2], np.array([3]), [1, 2, 3]),
        (np.array([1, 2]), np.array([2.6]), np.array([1, 2, 3])),
        (np.array(["a"], dtype=object), np.array(["b"]), np.array(["a", "b"])),
        (pd.Series([1.5], name="y"), np.array([2]), pd.Series([1.5, 2], name="y")),
        (
            pd.DataFrame({"a": [1], "b": [True]}, index=["x"]),
            np.array([[1.7, 0.2]]),
            pd.DataFrame({"a": [1, 2], "b": [True, False]}, index=["x", 1]),
        ),
        (
            pd.Series([3, 4], index=[7, 2]),
            np.array([5]),
            pd.Series([3, 4, 5], index=[7, 2, 8]),
        ),
        (
            pd.Series(["u", "v"], dtype="category"),
            np.array(["v"], dtype=object),
            pd.Series(["u", "v", "v"], dtype="category"),
        ),
        (
            pd.DataFrame({"n": pd.array([1, 2], dtype="Int64")}),
            np.array([[2.6]]),
            pd.DataFrame({"n": pd.array([1, 2, 3], dtype="Int64")}),
        ),
    ],
)
def test_extend(data, values, expected):
    extended = extend(data, values)
    if isinstance(data, pd.DataFrame):
        pd.testing.assert_frame_equal(extended, expected)
    elif isinstance(data, pd.Series):
        pd.testing.assert_series_equal(extended, expected)
    else:
        assert type(extended) is type(expected)
        np.testing.assert_array_equal(extended, expected)
        assert getattr(extended, "dtype", None) == getattr(data, "dtype", None)


def test_columns_of_the_same_name():
    frame = pd.DataFrame([[1, 2.5]], columns=["a", "a"])
    filled = fill(template(frame), np.array([[3.4, 3.4]]))
    assert filled.columns.tolist() == ["a", "a"]
    assert filled.iloc[0].tolist() == [3, 3.4]


def test_container():
    array = np.eye(2)
    frame = pd.DataFrame(array)
    assert container(frame, array) is frame
    assert container(array.tolist(), array) == array.tolist()
    assert container(((1, 0), (0, 1)), array) is array
