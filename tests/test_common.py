"""The checks of scikit-learn and imbalanced-learn."""

import pytest
from imblearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_param_validation,
)
from imblearn.utils.estimator_checks import (
    parametrize_with_checks as parametrize_with_imblearn_checks,
)
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import (
    parametrize_with_checks as parametrize_with_sklearn_checks,
)

from gamo_sampler import (
    GAMO2Pix,
    GAMOClassifier,
    GAMOFeatures,
    GAMOSampler,
    PriorCorrectedClassifier,
)

# check_class_weight_classifiers sets max_iter to 1,000: fewer rounds will do.
ESTIMATORS = [
    GAMOClassifier(max_iter=20, max_rounds=200, random_state=0),
    GAMOClassifier(max_iter=20, max_rounds=200, generator=None, random_state=0),
    GAMOClassifier(
        max_iter=30, max_rounds=200, feature_extractor="conv", random_state=0
    ),
    GAMOFeatures(GAMOClassifier(max_iter=2, feature_extractor="conv", random_state=0)),
    GAMOSampler(max_iter=2, random_state=0),
    GAMO2Pix(
        GAMOClassifier(max_iter=2, feature_extractor="conv", random_state=0),
        max_rounds=20,
        random_state=0,
    ),
    GAMOSampler(max_iter=2, neighborhood=None, random_state=0),
    GAMOSampler(max_iter=2, missing="propagate", random_state=0),
    PriorCorrectedClassifier(LogisticRegression(), trained_prior="training"),
    PriorCorrectedClassifier(LogisticRegression(class_weight="balanced")),
]
SAMPLERS = [e for e in ESTIMATORS if isinstance(e, GAMO2Pix | GAMOSampler)]
IMAGES_ARE_DENSE = {
    "check_samplers_pandas_sparse": "GAMO2Pix refuses sparse X with a TypeError"
}
DRAWS_BY_ROW = {
    "check_sample_weight_equivalence_on_dense_data": (
        "minibatches and generated rows are drawn by row: a row twice and a row of "
        "weight 2 give other draws"
    )
}
# Several checks fit balanced data, of which a sampler warns.
pytestmark = pytest.mark.filterwarnings("ignore:No class is below the size:UserWarning")


@pytest.fixture(autouse=True)
def torch_and_numpy_untouched():
    """In place of the one for all tests: the checks draw from numpy's own RNG."""


def test_tags():
    tags = GAMOSampler().__sklearn_tags__()
    assert tags.input_tags.sparse
    assert tags.input_tags.dataframe


def expected_sklearn_failures(estimator):
    return DRAWS_BY_ROW if isinstance(estimator, GAMOClassifier) else {}


@parametrize_with_sklearn_checks(
    ESTIMATORS, expected_failed_checks=expected_sklearn_failures
)
def test_sklearn_checks(estimator, check):
    check(estimator)


def expected_failures(sampler):
    return IMAGES_ARE_DENSE if isinstance(sampler, GAMO2Pix) else {}


@parametrize_with_imblearn_checks(SAMPLERS, expected_failed_checks=expected_failures)
def test_imblearn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(
    "check", [check_param_validation, check_dataframe_column_names_consistency]
)
def test_imblearn_checks_that_are_not_in_its_list(check, estimator):
    check(type(estimator).__name__, estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_constraints_name_every_parameter(estimator):
    assert set(estimator._parameter_constraints) == set(
        estimator.get_params(deep=False)
    )
