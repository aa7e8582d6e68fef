"""What can be done about imbalance, as pipelines that prepare tables alike."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC, RandomOverSampler
from imblearn.pipeline import Pipeline
from sklearn.base import ClassifierMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from ._priors import PriorCorrectedClassifier
from ._sampler import GAMOSampler
from ._tables import MAX_LEVELS


@dataclass(frozen=True)
class Task:
    """What every contender is given alike, to learn on one fold.

    The columns of the table are `n_numbers` of numbers and behind them `n_categories`
    of categories; `counts` are the training rows by class.
    """

    learner: ClassifierMixin
    n_numbers: int
    n_categories: int
    counts: np.ndarray
    seed: int

    @property
    def n_neighbors(self):
        """SMOTE's five, or as many as the smallest class has."""
        return min(5, self.counts.min() - 1)

    @property
    def categorical(self):
        return list(range(self.n_numbers, self.n_numbers + self.n_categories))


def piped(task, sampler=None, learner=None):
    """Columns cleaned, resampled, categories one-hot, then the learner."""
    steps = {
        "clean": cleaner(task),
        "sampler": sampler,
        "encode": encoder(task),
        "learner": clone(task.learner) if learner is None else learner,
    }
    return Pipeline([(name, step) for name, step in steps.items() if step is not None])


def cleaner(task):
    """Numbers imputed and standardised, categories as codes."""
    numbers = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler()
    )
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=-1,
        encoded_missing_value=-2,
        max_categories=MAX_LEVELS,
    )
    return ColumnTransformer(
        [
            ("numbers", numbers, list(range(task.n_numbers))),
            ("categories", codes, task.categorical),
        ]
    )


def encoder(task):
    if not task.n_categories:
        return None
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return ColumnTransformer(
        [("categories", one_hot, task.categorical)], remainder="passthrough"
    )


def nothing(task):
    return piped(task)


def threshold_moving(task):
    """The threshold of two classes tuned; with more, the classes made equally likely.

    The latter multiplies probabilities by constants, as thresholds of classes do.
    """
    if len(task.counts) > 2:
        return PriorCorrectedClassifier(
            piped(task), prior="uniform", trained_prior="training"
        )
    folds = int(min(5, task.counts.min()))
    return TunedThresholdClassifierCV(
        piped(task), scoring="balanced_accuracy", cv=folds, random_state=task.seed
    )


def class_weights(task):
    learner = clone(task.learner).set_params(class_weight="balanced")
    return piped(task, learner=learner)


def random_over_sampling(task):
    return piped(task, RandomOverSampler(random_state=task.seed))


def smote(task):
    """SMOTE, or its form for tables with categories, or for those of nothing else."""
    common = {"k_neighbors": task.n_neighbors, "random_state": task.seed}
    if not task.n_categories:
        return piped(task, SMOTE(**common))
    if not task.n_numbers:
        return piped(task, SMOTEN(**common))
    return piped(task, SMOTENC(task.categorical, **common))


def gamo(task):
    columns = task.categorical or "auto"
    return piped(
        task, GAMOSampler(categorical_features=columns, random_state=task.seed)
    )


# From the simplest to the one that takes most.
CONTENDERS: dict[str, Callable] = {
    "nothing": nothing,
    "threshold moving": threshold_moving,
    "class weights": class_weights,
    "random over-sampling": random_over_sampling,
    "SMOTE": smote,
    "GAMO": gamo,
}
OVER_SAMPLERS = ("random over-sampling", "SMOTE", "GAMO")


def left_out(counts, n_splits):
    """Contenders that need two training rows of each class, where a fold has one.

    Two are what SMOTE and GAMO mix, and what tunes a threshold; with more than two
    classes none is tuned.
    """
    smallest = counts.min()
    if smallest - np.ceil(smallest / n_splits) >= 2:
        return []
    tuned = ["threshold moving"] if len(counts) == 2 else []
    return [*tuned, "SMOTE", "GAMO"]
