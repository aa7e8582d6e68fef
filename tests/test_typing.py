"""What a type checker knows of the public names; `python -m mypy` reads this too."""

from importlib.resources import files
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import gamo_sampler
from gamo_sampler import (
    GAMOClassifier,
    GAMOSampler,
    PriorCorrectedClassifier,
    Recipe,
    compare,
    published,
)
from gamo_sampler.metrics import coverage, nearest_real_distance

from .pages import public_names

X, y = load_iris(return_X_y=True)
X, y = X[:110], y[:110]  # 50, 50 and 10 rows


def test_the_package_says_that_it_has_types():
    assert files(gamo_sampler).joinpath("py.typed").is_file()


def test_public_functions_and_methods_say_what_they_return():
    functions = {k: v.__init__ if isinstance(v, type) else v for k, v in public_names()}
    bare = [k for k, v in functions.items() if "return" not in v.__annotations__]
    assert len(functions) > 50
    assert not bare


def test_sampler() -> None:
    sampler = GAMOSampler(max_rounds=1, random_state=0)
    _, y_resampled = sampler.fit_resample(X, y)
    assert len(y_resampled) == 150
    assert isinstance(assert_type(sampler.recipe_, Recipe), Recipe)
    assert isinstance(assert_type(sampler.carry(y), NDArray[Any]), np.ndarray)
    for block in sampler.iter_sample({2: 5}, chunk_size=3):
        assert_type(block, tuple[Any, Any])
        assert len(block) == 2


def test_classifiers() -> None:
    assert_type(published("mnist"), dict[str, Any])
    classifier = GAMOClassifier(max_rounds=1)
    classifier.fit(X, y)
    probabilities = assert_type(
        classifier.predict_proba(X, prior=[0.2, 0.3, 0.5]), NDArray[Any]
    )
    assert probabilities.shape == (110, 3)
    corrected = PriorCorrectedClassifier(LogisticRegression(), prior="uniform")
    corrected.fit(X, y)
    assert isinstance(assert_type(corrected.predict(X), NDArray[Any]), np.ndarray)


def test_functions() -> None:
    assert isinstance(assert_type(coverage(X, X + 0.1), float), float)
    assert isinstance(
        assert_type(nearest_real_distance(X, X), NDArray[Any]), np.ndarray
    )
    learners = {"logistic": LogisticRegression()}
    comparison = compare(X[:70], y[:70], learners=learners, n_splits=2, n_repeats=1)
    assert isinstance(assert_type(comparison.verdict, str), str)
    assert isinstance(assert_type(comparison.recommended, dict[str, str]), dict)
