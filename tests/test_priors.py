"""Probabilities under another prior than that of training."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB

from gamo_sampler import GAMOClassifier, GAMOSampler, PriorCorrectedClassifier
from gamo_sampler._priors import change_prior, check_prior

SETTINGS = [
    {},
    {"sampling_strategy": {1: 20}},  # in all
    {"generator": None},
    {"generated_weight": "algorithm"},
    {"generator": None, "class_weight": "balanced"},
    {"generator": None, "logit_adjustment": 1.0},
    {"class_weight": {0: 2}, "logit_adjustment": 0.5},
]
P = np.array([40, 12, 7]) / 59
EXPECTED = [
    [1 / 3, 1 / 3, 1 / 3],
    np.array([40, 20, 7]) / 67,
    P,
    (P + np.array([0, 28, 33]) / 61) / 2,
    [1 / 3, 1 / 3, 1 / 3],
    [1 / 3, 1 / 3, 1 / 3],
    np.array([2, 1, 1]) * P**-0.5 / (P**-0.5 @ [2, 1, 1]),
]


def fitted(table, **parameters):
    return GAMOClassifier(**{"max_iter": 2, "random_state": 0} | parameters).fit(*table)


def skewed(n=4000):
    return make_classification(n, weights=[0.95], flip_y=0, random_state=0)


# The rule -------------------------------------------------------------------


def test_of_known_probabilities():
    p = np.array([[0.5, 0.5], [0.9, 0.1]])
    found = change_prior(p, np.array([0.5, 0.5]), np.array([0.8, 0.2]))
    assert_allclose(found, [[0.8, 0.2], [0.72 / 0.74, 0.02 / 0.74]])


def test_a_class_that_cannot_occur():
    p = np.array([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]])
    found = change_prior(p, np.full(3, 1 / 3), np.array([0, 0.25, 0.75]))
    assert_allclose(found[0], [0, 0.4, 0.6])
    assert_allclose(found[1], [0, 0.25, 0.75])  # x speaks for that class alone


def test_a_class_that_was_not_learned():
    trained, p = np.array([0, 0.5, 0.5]), np.array([[0, 0.3, 0.7]])
    assert_allclose(change_prior(p, trained, np.array([0, 0.5, 0.5])), p)
    with pytest.raises(ValueError, match=r"Classes \[0\] .* had no weight"):
        change_prior(p, trained, np.full(3, 1 / 3))


shares = st.lists(st.floats(0.01, 1), min_size=3, max_size=3).map(
    lambda values: np.array(values) / sum(values)
)


@given(shares, shares, shares)
def test_there_and_back(p, trained, prior):
    there = change_prior(p[None], trained, prior)
    assert_allclose(there.sum(), 1)
    assert_allclose(change_prior(there, prior, trained)[0], p)


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ("balanced", r'"uniform", "training" or .* \(3,\), .* got \'balanced\''),
        ([0.5, 0.5], r"shape \(3,\), .* got \[0.5, 0.5\]"),
        (0.5, r"shape \(3,\), .* got 0.5"),
        ([0.5, 0.6, -0.1], r"at least 0, with sum 1. Got \[0.5, 0.6, -0.1\]"),
        ([0.5, 0.5, 0.5], "at least 0, with sum 1. Got .*, with sum 1.5"),
        ([0.5, 0.5, np.nan], "at least 0, with sum 1. Got .*, with sum nan"),
    ],
)
def test_bad_priors(table, prior, message):
    with pytest.raises(ValueError, match=message):
        check_prior(prior, P)
    with pytest.raises(ValueError, match=message):
        fitted(table).predict(table[0], prior=prior)


# Of GAMOClassifier ------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "expected"), zip(SETTINGS, EXPECTED, strict=True)
)
def test_what_it_is_trained_for(table, parameters, expected):
    classifier = fitted(table, **parameters)
    assert_allclose(classifier.class_prior_, P)
    assert_allclose(classifier.trained_prior_, expected, rtol=1e-6)


def test_as_trained_is_the_default(table):
    X, _ = table
    classifier = fitted(table)
    as_trained = classifier.predict_proba(X)
    assert_allclose(classifier.predict_proba(X, prior="uniform"), as_trained)
    plain = fitted(table, generator=None)
    as_trained = plain.predict_proba(X)
    assert_allclose(plain.predict_proba(X, prior="training"), as_trained)
    assert np.abs(plain.predict_proba(X, prior="uniform") - as_trained).max() > 0.05


@pytest.mark.parametrize("prior", [None, "uniform", "training", [0, 0.1, 0.9]])
def test_predict_agrees_with_predict_proba(table, prior):
    X, _ = table
    classifier = fitted(table)
    probabilities = classifier.predict_proba(X, prior=prior)
    assert_allclose(probabilities.sum(1), 1)
    assert_array_equal(classifier.predict(X, prior=prior), probabilities.argmax(1))
    if isinstance(prior, list):
        assert (probabilities[:, 0] == 0).all()
        assert_allclose(
            probabilities,
            change_prior(
                classifier.predict_proba(X), np.full(3, 1 / 3), np.array(prior)
            ),
        )


def test_a_pipeline_passes_it_on(table):
    X, y = table
    model = make_pipeline("passthrough", GAMOClassifier(max_iter=1, random_state=0))
    model.fit(X, y)
    expected = model[-1].predict_proba(X, prior="training")
    assert_array_equal(model.predict_proba(X, prior="training"), expected)


@pytest.mark.parametrize("parameters", [{}, {"generator": None, "logit_adjustment": 1}])
def test_the_training_prior_mends_the_classifier_s_probabilities(parameters):
    X, y = skewed()
    classifier = GAMOClassifier(
        loss="log_loss", max_rounds=300, random_state=0, **parameters
    ).fit(X[:2000], y[:2000])
    as_trained = log_loss(y[2000:], classifier.predict_proba(X[2000:]))
    corrected = log_loss(y[2000:], classifier.predict_proba(X[2000:], prior="training"))
    assert corrected < 0.8 * as_trained


# Of any classifier ------------------------------------------------------------


@pytest.mark.parametrize("sampler", [RandomOverSampler, GAMOSampler])
def test_a_pipeline_s_probabilities_are_mended(sampler):
    X, y = skewed()
    model = make_pipeline(sampler(random_state=0), LogisticRegression())
    corrected = PriorCorrectedClassifier(model).fit(X[:2000], y[:2000])
    p = corrected.predict_proba(X[2000:])[:, 1]
    resampled = corrected.estimator_.predict_proba(X[2000:])[:, 1]
    assert resampled.mean() > 3 * y.mean()
    assert p.mean() == pytest.approx(y.mean(), rel=0.25)
    assert brier_score_loss(y[2000:], p) < 0.5 * brier_score_loss(y[2000:], resampled)
    assert_array_equal(corrected.predict(X[2000:]), p > 0.5)


def test_priors_of_its_own():
    X, y = skewed(300)
    names = np.array(["rare", "usual"])[(y == 0).astype(int)]
    plain = LogisticRegression().fit(X, names)
    corrected = PriorCorrectedClassifier(
        LogisticRegression(), prior=[0.3, 0.7], trained_prior="training"
    ).fit(X, names)
    assert corrected.classes_.tolist() == ["rare", "usual"]
    frequencies = np.array([y.mean(), 1 - y.mean()])
    assert_allclose(corrected.class_prior_, frequencies)
    expected = change_prior(plain.predict_proba(X), frequencies, np.array([0.3, 0.7]))
    assert_allclose(corrected.predict_proba(X), expected)
    assert set(corrected.predict(X)) == {"rare", "usual"}
    again = PriorCorrectedClassifier(
        LogisticRegression(), prior="training", trained_prior=frequencies
    ).fit(X, names)
    assert_allclose(again.predict_proba(X), plain.predict_proba(X))


def test_naive_bayes_says_the_same_of_its_own_priors():
    """The rule is exact where the model is p(x|i) times a prior."""
    X, y = skewed(300)
    corrected = PriorCorrectedClassifier(GaussianNB(priors=[0.5, 0.5])).fit(X, y)
    assert_allclose(corrected.predict_proba(X), GaussianNB().fit(X, y).predict_proba(X))


def test_a_fitted_classifier_goes_to_other_data():
    X, y = skewed(300)
    plain = LogisticRegression(class_weight="balanced").fit(X, y)
    elsewhere = np.r_[np.flatnonzero(y), np.flatnonzero(y == 0)[:50]]
    corrected = PriorCorrectedClassifier(FrozenEstimator(plain))
    corrected.fit(X[elsewhere], y[elsewhere])
    assert_array_equal(corrected.estimator_.coef_, plain.coef_)
    assert_allclose(
        corrected.class_prior_, [1 - y[elsewhere].mean(), y[elsewhere].mean()]
    )
    only = PriorCorrectedClassifier(FrozenEstimator(plain)).fit(X[y == 1], y[y == 1])
    assert only.class_prior_.tolist() == [0, 1]
    assert (only.predict(X) == 1).all()
    with pytest.raises(ValueError, match=r"labels \[2\] .* classes are \[0, 1\]"):
        corrected.fit(X, y + 1)


def test_sparse_rows_frames_and_a_search():
    X, y = skewed(300)
    dense = PriorCorrectedClassifier(LogisticRegression(class_weight="balanced"))
    rows = sparse.csr_array(X)
    found = dense.fit(rows, y).predict_proba(rows)
    assert_allclose(found, dense.fit(X, y).predict_proba(X), atol=1e-3)
    frame = pd.DataFrame(X).add_prefix("x")
    assert dense.fit(frame, pd.Series(y)).feature_names_in_[0] == "x0"
    priors = {"prior": ["training", "uniform"]}
    search = GridSearchCV(dense, priors, scoring="neg_log_loss", cv=2).fit(X, y)
    assert search.best_params_ == {"prior": "training"}


def test_bad_parameters():
    X, y = skewed(300)
    with pytest.raises(ValueError, match=r"trained_prior must be .* got"):
        PriorCorrectedClassifier(LogisticRegression(), trained_prior=[1]).fit(X, y)
    with pytest.raises(ValueError, match=r"prior must be .* with sum 1.1"):
        PriorCorrectedClassifier(LogisticRegression(), prior=[0.6, 0.5]).fit(X, y)
    with pytest.raises(ValueError, match=r"'estimator' parameter .* 'predict_proba'"):
        PriorCorrectedClassifier(RandomOverSampler()).fit(X, y)


class NeverFitted(LogisticRegression):
    def fit(self, X, y):
        raise AssertionError("fitted")


@pytest.mark.parametrize("name", ["prior", "trained_prior"])
@pytest.mark.parametrize("value", [[0.5, 0.6], [0.2, 0.3, 0.5], [-0.5, 1.5]])
def test_wrong_priors_are_found_before_the_fit(name, value):
    model = PriorCorrectedClassifier(NeverFitted(), **{name: value})
    with pytest.raises(ValueError, match=rf"^{name} must be"):
        model.fit(np.eye(2), [0, 1])


def test_a_frozen_estimator_knows_more_classes():
    X, y = np.eye(3), np.arange(3)
    frozen = FrozenEstimator(LogisticRegression().fit(X, y))
    for estimator in (frozen, make_pipeline(frozen)):
        model = PriorCorrectedClassifier(estimator, prior=[0.5, 0.25, 0.25])
        assert model.fit(X[:2], y[:2]).classes_.tolist() == [0, 1, 2]
        with pytest.raises(ValueError, match=r"shape \(3,\)"):
            clone(model).set_params(prior=[0.5, 0.5]).fit(X[:2], y[:2])
