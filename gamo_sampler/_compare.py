"""Is over-sampling worth it here? Cross-validation of what can be done instead."""

import time
from collections.abc import Mapping
from html import escape
from numbers import Integral
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np
from imblearn.metrics import geometric_mean_score
from joblib import Parallel, delayed
from scipy.sparse import issparse
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
)
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.utils import (
    assert_all_finite,
    check_consistent_length,
    check_scalar,
    column_or_1d,
)
from sklearn.utils.multiclass import check_classification_targets

from ._bar import tqdm
from ._columns import as_floats, categorical_mask, is_frame, is_missing
from ._contenders import CONTENDERS, Task, left_out
from ._frames import import_pandas
from ._torch import private_random_state
from ._typing import Data, Labels, Seed
from ._verdict import (
    SCORES,
    against_nothing,
    by_fold,
    noise_by_score,
    too_few_to_tell,
    verdict,
)

if TYPE_CHECKING:
    from pandas import DataFrame


def compare(
    X: Data,
    y: Labels,
    *,
    learners: Mapping[str, Any] | None = None,
    n_splits: int = 5,
    n_repeats: int = 3,
    random_state: Seed = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> "Comparison":
    """Measure whether over-sampling is worth it on a table, or something simpler is.

    Repeated stratified cross-validation of doing nothing, moving the threshold, class
    weights, random over-sampling, SMOTE and GAMO, each in front of two learners, on the
    same folds and after the same preparation of the columns, which is learned on the
    training folds.

    Parameters
    ----------
    X : array-like or frame of shape (n_samples, n_features)
        Rows. Columns of a frame that hold neither numbers nor dates are categories.
        Values may be missing.
    y : array-like of shape (n_samples,)
        Labels, each of them on two rows or more.
    learners : dict of str to classifier, default=None
        Classifiers with `predict_proba`, by name. None is logistic regression, and
        histogram gradient boosting without early stopping.
    n_splits : int, default=5
        Number of folds, at least 2. There are as many as the smallest class has rows,
        if these are fewer.
    n_repeats : int, default=3
        How often to shuffle the rows into new folds.
    random_state : int, RandomState instance or None, default=None
        Seeds the folds and all contenders.
    n_jobs : int, default=None
        Number of fits at a time, as joblib takes it. Seconds are longer where fits
        share a processor.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    comparison : Comparison
        Prints as the verdict and a table. It holds

        - ``verdict``, str, what to do in words;
        - ``recommended``, dict, the contender to take by learner;
        - ``summary``, DataFrame by learner and contender: mean scores, and differences
          from doing nothing on the same folds, of balanced accuracy with a confidence
          interval, ``low`` to ``high``, and the ``p`` of its test;
        - ``scores``, DataFrame, a row per fit: its scores, the seconds of training, and
          the error where it failed.

    Raises
    ------
    ImportError
        Without pandas.
    TypeError
        If X is sparse, or `learners` no dict.
    ValueError
        If y has one class, or a class of one row, if `learners` is empty, or if a
        learner fails without any over-sampling.

    See Also
    --------
    GAMOSampler : One of the contenders.
    PriorCorrectedClassifier : Mends the probabilities behind an over-sampler.

    Notes
    -----
    **Contenders.** Numbers are imputed by their median and standardised; then comes the
    sampler, if any; then categories are made one-hot, their 32 most frequent levels
    alone, rarer ones together. SMOTE is SMOTENC where there are categories and SMOTEN
    where there is nothing else, with min(5, n - 1) neighbours for n rows in the
    smallest class. The threshold is moved by
    :class:`sklearn.model_selection.TunedThresholdClassifierCV` for balanced accuracy;
    for more than two classes, to that of equally likely classes
    (:class:`PriorCorrectedClassifier`). Probabilities are scored as they were before.
    GAMO is ``GAMOSampler()``. SMOTE, GAMO and, with two classes, moving the threshold
    are left out where a fold has one training row of a class.

    **Scores.** Average precision is that of the rarer class, or the mean over more than
    two. The Brier score is the lower the better; over-sampling and class weights
    change what probabilities mean, which `PriorCorrectedClassifier` can undo.

    **Verdict.** Differences are tested by the corrected resampled t-test [1]_, as folds
    share training rows; intervals are at 95 %, and ``p`` is multiplied by the number of
    contenders that were tried (Bonferroni). With few rows of a class folds may agree by
    chance, so their standard deviation is taken to be at least what one test row of the
    smallest class changes. A contender is better than doing nothing where the interval
    of its difference in balanced accuracy is above 0, and the difference at least .001.
    Doing nothing is recommended unless one that is better has a ``p`` below .05. Then
    it is the simplest of those that are better, in the order of the list at the top,
    that is within one standard error of the best of them. A contender that failed on a
    fold is not considered. The first line is on the learner that is chosen by the same
    rule. That no gain is beyond chance does not mean that there is none: with few rows
    of a class intervals are wide, and the verdict says where even a gain on each of
    them could be chance.

    References
    ----------
    .. [1] C. Nadeau, Y. Bengio, "Inference for the Generalization Error", Machine
       Learning 52, 2003.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from gamo_sampler import compare
    >>> X, y = load_iris(return_X_y=True)
    >>> X, y = X[:70], y[:70]  # 50 rows and 20, easy to tell apart
    >>> learners = {"logistic": LogisticRegression()}
    >>> comparison = compare(
    ...     X, y, learners=learners, n_splits=2, n_repeats=1, random_state=0
    ... )
    >>> print(comparison.verdict.splitlines()[0])
    Do nothing, with logistic: over-sampling is not worth it here.
    """
    check_scalar(n_splits, "n_splits", Integral, min_val=2)
    check_scalar(n_repeats, "n_repeats", Integral, min_val=1)
    check_scalar(verbose, "verbose", Integral, min_val=0)
    check_learners(learners)
    X, n_numbers = tabulated(X)
    y = by_frequency(y)
    check_consistent_length(X, y)
    seed = int(private_random_state(random_state).randint(2**31 - 1))
    counts = np.bincount(y)
    n_folds = min(n_splits, int(counts.min()))
    folds = RepeatedStratifiedKFold(
        n_splits=n_folds, n_repeats=n_repeats, random_state=seed
    )
    learners = default_learners(seed) if learners is None else learners
    fits = list(planned(X, y, n_numbers, learners, folds, seed))
    pool = Parallel(n_jobs=n_jobs, return_as="generator")
    found = tqdm(
        pool(delayed(measured)(*fit, X, y) for fit in fits),
        total=len(fits),
        unit="fit",
        disable=not verbose,
    )
    rows = [name | result for (name, *_), result in zip(fits, found, strict=True)]
    remarks = list(limits(counts, n_splits, n_folds, n_repeats))
    return Comparison(rows, noise_by_score(counts, n_folds), remarks)


def check_learners(learners):
    if learners is None:
        return
    if not isinstance(learners, Mapping):
        raise TypeError(
            "learners must be a dict of classifiers by name, such as "
            f"{{'logistic': LogisticRegression()}}, but is {learners!r}."
        )
    if not learners:
        raise ValueError("learners is empty. Name a classifier, or pass None for two.")


def limits(counts, n_splits, n_folds, n_repeats):
    """Sentences on what cannot be done with the rows that the smallest class has."""
    smallest, gone = counts.min(), left_out(counts, n_folds)
    if n_folds < n_splits:
        yield f"The smallest class has {smallest} rows, hence {n_folds} folds."
    if gone:
        yield (
            f"Left out: {', '.join(gone)}, for want of two training rows of each class."
        )
    n_tests = len(CONTENDERS) - 1 - len(gone)
    if too_few_to_tell(counts, n_folds, n_repeats, n_tests):
        yield (
            f"Too little to tell: even a gain on each of the {smallest} rows of the "
            f"smallest class could be chance, in {n_folds * n_repeats} folds."
        )


def planned(X, y, n_numbers, learners, folds, seed):
    """(names, task, train, test) of every fit; names are those of the row of scores."""
    n_splits = folds.get_n_splits() // folds.n_repeats
    gone = left_out(np.bincount(y), n_splits)
    contenders = [name for name in CONTENDERS if name not in gone]
    for i, (train, test) in enumerate(folds.split(X, y)):
        repeat, fold = divmod(i, n_splits)
        where = {"repeat": repeat, "fold": fold}
        counts = np.bincount(y[train])
        for name, learner in learners.items():
            task = Task(learner, n_numbers, X.shape[1] - n_numbers, counts, seed + i)
            for contender in contenders:
                names = {"learner": name, "contender": contender} | where
                yield names, task, train, test


def default_learners(seed):
    return {
        "logistic regression": LogisticRegression(max_iter=1000),
        # Rows held out to stop early would have copies among those learned from.
        "gradient boosting": HistGradientBoostingClassifier(
            early_stopping=False, random_state=seed
        ),
    }


def tabulated(X):
    """A pandas frame of the columns of floats, then those of strings; their number."""
    pd = import_pandas("compare")
    if issparse(X):
        raise TypeError("compare takes dense tables, but X is sparse.")
    if is_frame(X) and not hasattr(X, "iloc"):
        X = nw.from_native(X, eager_only=True).to_pandas()
    X = X if is_frame(X) else pd.DataFrame(X).infer_objects()
    categorical = categorical_mask(X, "auto")
    numbers, categories = [], []
    for i, name in enumerate(X.columns):
        column = X.iloc[:, i]
        if categorical[i]:
            categories.append(strings(column))
        else:
            numbers.append(as_floats(column, name)[0])
    columns = dict(enumerate([*numbers, *categories]))
    return pd.DataFrame(columns), len(numbers)


def strings(column):
    """Categories of any type as strings, which can be sorted; NaN where one misses."""
    pairs = zip(column.tolist(), is_missing(column), strict=True)
    return np.array([np.nan if gone else str(v) for v, gone in pairs], dtype=object)


def by_frequency(y):
    """Labels as 0 for the most frequent one, 1 for the next, so that 1 is the rare one.

    In scikit-learn's scores for two classes, 1 is the one that counts.
    """
    y = column_or_1d(y)
    assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    labels, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    if len(labels) < 2:
        raise ValueError(f"y has one class, {labels.tolist()}; compare needs two.")
    if counts.min() < 2:
        raise ValueError(
            f"Class {labels[counts.argmin()]} has one row; compare needs two, one to "
            "learn from and one to test on. Leave the class out, or find another row."
        )
    return np.argsort(np.argsort(-counts, kind="stable"))[codes]


def measured(names, task, train, test, X, y):
    """Scores of one fit, or its error."""
    try:
        start = time.perf_counter()
        model = CONTENDERS[names["contender"]](task).fit(X.iloc[train], y[train])
        seconds = time.perf_counter() - start
        return scored(model, X.iloc[test], y[test]) | {"seconds": seconds}
    except Exception as error:  # whatever it is, it is reported
        return {"error": f"{type(error).__name__}: {error}"}


def scored(model, X, y):
    found = model.predict(X)
    # Moving a threshold leaves probabilities as they are.
    probabilities = getattr(model, "estimator_", model).predict_proba(X)
    binary = probabilities.shape[1] == 2
    labels = np.arange(probabilities.shape[1])
    return {
        "balanced_accuracy": balanced_accuracy_score(y, found),
        "geometric_mean": geometric_mean_score(y, found),
        "average_precision": average_precision_score(
            y, probabilities[:, 1] if binary else probabilities
        ),
        "brier_score": brier_score_loss(y, probabilities, labels=labels),
    }


def change_in_words(row):
    if np.isnan(row["low"]):
        return ""
    change, low, high = row[["balanced_accuracy_difference", "low", "high"]]
    return f"{change:+.3f} ({low:+.3f} to {high:+.3f})"


def p_in_words(p):
    if np.isnan(p):
        return ""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


class Comparison:
    """What `compare` found: `verdict`, `recommended`, `summary`, `scores`; see there.

    It prints as the verdict and a table, in notebooks too.
    """

    verdict: str
    recommended: dict[str, str]
    summary: "DataFrame"
    scores: "DataFrame"

    def __init__(self, rows, noises, remarks):
        import pandas as pd

        columns = ["learner", "contender", "repeat", "fold", *SCORES, "seconds"]
        self.scores = pd.DataFrame(rows, columns=[*columns, "error"])
        self._check()
        self.recommended, self.verdict = verdict(self.scores, noises, remarks)
        self.summary = self._summary(noises["balanced_accuracy"])

    def _check(self):
        """Raise where there is nothing to compare with."""
        failed = self.scores.query("contender == 'nothing' and error.notna()")
        if len(failed):
            learner, error = failed[["learner", "error"]].iloc[0]
            raise ValueError(f"{learner} fails without any over-sampling: {error}")

    def _summary(self, noise):
        grouped = self.scores.groupby(["learner", "contender"], sort=False)
        table = grouped[[*SCORES, "seconds"]].mean()
        base = table.xs("nothing", level="contender")
        for score in SCORES:
            table[f"{score}_difference"] = table[score] - base[score]
        table["failed"] = grouped["error"].count()
        columns = ["low", "high", "p"]
        table[columns] = self._tests(columns, noise).reindex(table.index)
        return table

    def _tests(self, columns, noise):
        import pandas as pd

        found = {
            (learner, name): test[1:]
            for learner in self.recommended
            for name, test in against_nothing(
                by_fold(self.scores, learner, "balanced_accuracy"), noise
            ).items()
        }
        return pd.DataFrame(found, index=columns, dtype=float).T

    def table(self) -> "DataFrame":
        """The summary in strings, a DataFrame to be printed."""
        frame = self.summary
        shown = frame[[*SCORES]].map("{:.3f}".format).rename(columns=SCORES)
        shown.insert(1, "against nothing", frame.apply(change_in_words, axis=1))
        shown.insert(2, "p", frame["p"].map(p_in_words))
        shown["seconds"] = frame["seconds"].map("{:.2f}".format)
        if frame["failed"].any():
            shown["failed folds"] = frame["failed"].astype(str)
        return shown.rename_axis([None, None])

    def __repr__(self):
        return f"{self.verdict}\n\n{self.table().to_string()}"

    def _repr_html_(self):
        lines = "".join(f"<p>{escape(line)}</p>" for line in self.verdict.splitlines())
        return lines + self.table().to_html()
