"""`compare`, on small tables of its own kinds."""

import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from joblib import parallel_config
from scipy.sparse import csr_array
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
)
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gamo_sampler import compare
from gamo_sampler._compare import by_frequency, measured, p_in_words, tabulated
from gamo_sampler._contenders import CONTENDERS, Task, left_out

LOGISTIC = {"logistic": LogisticRegression(max_iter=1000)}
ONCE = {"learners": LOGISTIC, "n_splits": 2, "n_repeats": 1, "random_state": 0}


@pytest.fixture(scope="module")
def cancer():
    """300 benign cells and 24 malignant ones, 5 columns."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    names = np.array(["malignant", "benign"])[y]
    rows = [
        np.flatnonzero(names == k)[:n] for k, n in (("benign", 300), ("malignant", 24))
    ]
    rows = np.sort(np.concatenate(rows))
    return X.iloc[rows, [0, 1, 4, 8, 9]], names[rows]


@pytest.fixture(scope="module")
def mixed():
    """Numbers, integers with gaps, dates, flags and categories, some missing."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [90, 24])
    frame = pd.DataFrame(
        {
            "site": rng.choice(["east", "west", None], len(y)),
            "size": np.where(rng.random(len(y)) < 0.1, np.nan, rng.normal(y)),
            "visits": pd.array([None, *rng.poisson(3, len(y) - 1)], dtype="Int64"),
            "seen": pd.Timestamp("2020-01-01")
            + pd.to_timedelta(np.arange(len(y)), "D"),
            "flag": rng.random(len(y)) < 0.2 + 0.5 * y,
        }
    )
    order = rng.permutation(len(y))
    return frame.iloc[order].reset_index(drop=True), y[order]


@pytest.fixture(scope="module")
def on_cancer(cancer):
    return compare(*cancer, **ONCE)


@pytest.fixture
def only(monkeypatch):
    """Leave out the contenders whose scores do not matter."""

    def keep(*names):
        few = {name: CONTENDERS[name] for name in names}
        monkeypatch.setattr("gamo_sampler._compare.CONTENDERS", few)

    return keep


@pytest.fixture
def nothing_alone(only):
    only("nothing")


def blobs(shift, counts, seed=0):
    """Two classes in four dimensions."""
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1], counts)
    return rng.normal(size=(len(y), 4)) + shift * y[:, None], y


def test_every_contender_is_scored_on_every_fold(on_cancer):
    scores = on_cancer.scores
    assert scores["error"].isna().all()
    assert len(scores) == 2 * len(CONTENDERS)
    assert len(scores[["contender", "fold"]].drop_duplicates()) == len(scores)
    assert (scores["seconds"] > 0).all()


def test_scores_are_those_of_the_pipeline_by_hand(cancer, nothing_alone):
    own = compare(*cancer, **ONCE | {"n_repeats": 2}).scores
    assert own[["repeat", "fold"]].to_numpy().tolist() == [
        [0, 0],
        [0, 1],
        [1, 0],
        [1, 1],
    ]
    X, y = cancer[0].to_numpy(), (cancer[1] == "malignant").astype(int)
    seed = np.random.RandomState(0).randint(2**31 - 1)
    folds = RepeatedStratifiedKFold(n_splits=2, n_repeats=2, random_state=seed)
    for (train, test), (_, row) in zip(folds.split(X, y), own.iterrows(), strict=True):
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(X[train], y[train])
        p, found = model.predict_proba(X[test])[:, 1], model.predict(X[test])
        expected = [
            balanced_accuracy_score(y[test], found),
            average_precision_score(y[test], p),
            brier_score_loss(y[test], p),
        ]
        columns = ["balanced_accuracy", "average_precision", "brier_score"]
        assert row[columns].to_list() == pytest.approx(expected)


def test_summary_holds_means_and_differences(on_cancer):
    scores, summary = on_cancer.scores, on_cancer.summary
    means = scores.groupby("contender")["brier_score"].mean()
    of_smote = summary.loc["logistic", "SMOTE"]
    assert of_smote["brier_score"] == pytest.approx(means["SMOTE"])
    assert of_smote["brier_score_difference"] == pytest.approx(
        means["SMOTE"] - means["nothing"]
    )
    assert of_smote["low"] < of_smote["balanced_accuracy_difference"] < of_smote["high"]
    assert summary.loc[("logistic", "nothing"), ["low", "high", "p"]].isna().all()
    assert list(summary.loc["logistic"].index) == list(CONTENDERS)


def test_moving_the_threshold_leaves_probabilities_alone(on_cancer):
    summary = on_cancer.summary.loc["logistic"]
    for score in ("average_precision", "brier_score"):
        assert summary.loc["threshold moving", f"{score}_difference"] == 0


def test_another_seed_gives_other_folds(cancer, on_cancer, nothing_alone):
    other = compare(*cancer, **ONCE | {"random_state": 1})
    assert not other.scores["brier_score"].isin(on_cancer.scores["brier_score"]).any()


def test_prints(on_cancer):
    text, html = repr(on_cancer), on_cancer._repr_html_()
    assert text.startswith(on_cancer.verdict)
    for shown in (text, html):
        assert "threshold moving" in shown
        assert (
            f"{on_cancer.summary.loc[('logistic', 'GAMO'), 'brier_score']:.3f}" in shown
        )
    assert "failed folds" not in text


def test_small_p():
    shown = [p_in_words(p) for p in (0.00099, 0.001, 0.9996, np.nan)]
    assert shown == ["<0.001", "0.001", "1.000", ""]


def test_names_are_escaped(cancer, nothing_alone):
    found = compare(*cancer, **ONCE | {"learners": {"<b>": GaussianNB()}})
    assert "<b>" not in found._repr_html_()


def test_do_nothing_on_separable_classes():
    found = compare(*blobs(6, [80, 20]), **ONCE)
    assert found.recommended == {"logistic": "nothing"}
    assert found.verdict.startswith("Do nothing, with logistic")


def test_do_nothing_on_balanced_classes():
    # A sampler warns of balanced classes, and warnings are errors here: two more rows.
    found = compare(*blobs(1, [62, 60]), **ONCE)
    assert found.verdict.startswith("Do nothing, with logistic")


def test_over_sampling_where_it_helps():
    """The nearest row decides: no threshold or weight, but new rows take room."""
    learners = {"nearest": KNeighborsClassifier(1)}
    found = compare(
        *blobs(1.1, [1000, 80]), **ONCE | {"n_splits": 5, "learners": learners}
    )
    assert found.recommended["nearest"] in ("SMOTE", "GAMO")
    assert found.verdict.startswith("Over-sampling is worth it here")
    assert "class weights failed with nearest on 5 of 5 folds" in found.verdict
    assert "Invalid parameter 'class_weight'" in found.verdict
    assert found.summary.loc[("nearest", "class weights"), "failed"] == 5
    assert "failed folds" in repr(found)


def test_something_simpler_where_that_is_as_good(only):
    only("nothing", "threshold moving", "SMOTE")
    found = compare(*blobs(1, [1500, 100]), **ONCE | {"n_splits": 5})
    assert found.recommended == {"logistic": "threshold moving"}
    assert found.verdict.startswith(
        "Use threshold moving, with logistic: over-sampling"
    )


def test_mixed_tables_of_any_library(mixed):
    frame, y = mixed
    found = compare(pl.from_pandas(frame), pl.Series(y), **ONCE)
    assert found.scores["error"].isna().all()
    tables = [tabulated(X) for X in (pl.from_pandas(frame), frame)]
    pd.testing.assert_frame_equal(tables[0][0], tables[1][0])
    assert tables[0][1] == tables[1][1]


def test_categories_alone(mixed):
    frame, y = mixed
    found = compare(frame[["site", "flag"]], y, **ONCE)
    assert found.scores["error"].isna().all()
    assert found.summary.loc[("logistic", "nothing"), "average_precision"] > y.mean()


def test_two_rows_are_no_evidence():
    """Class weights find both, each in its fold, by the same difference."""
    X = np.random.default_rng(1).normal(size=(30, 1))
    X, y = np.r_[X, [[2.6], [2.7]]], np.repeat([0, 1], [30, 2])
    found = compare(X, y, **ONCE | {"learners": {"lr": LogisticRegression()}})
    gains = found.summary.loc["lr", "balanced_accuracy_difference"]
    assert gains["class weights"] == 0.5
    assert found.recommended == {"lr": "nothing"}
    assert found.summary["p"].max() == found.summary["p"].min() == 1
    assert "By other scores" not in found.verdict
    assert found.verdict.splitlines()[1:3] == [
        "Left out: threshold moving, SMOTE, GAMO, for want of two training rows of "
        "each class.",
        "Too little to tell: even a gain on each of the 2 rows of the smallest class "
        "could be chance, in 2 folds.",
    ]
    assert "failed" not in found.verdict


def test_as_many_folds_as_the_smallest_class_has_rows(only):
    only("nothing", "threshold moving", "SMOTE")
    found = compare(*blobs(1, [30, 3]), **ONCE | {"n_splits": 5, "n_repeats": 2})
    assert found.scores.groupby("contender").size().tolist() == [6, 6, 6]
    assert found.scores["error"].isna().all()
    assert found.verdict.splitlines()[1] == (
        "The smallest class has 3 rows, hence 3 folds."
    )


def test_no_remarks_where_rows_suffice(only):
    only("nothing", "class weights")
    lines = compare(*blobs(1, [60, 20]), **ONCE | {"n_splits": 5}).verdict.splitlines()
    assert [line.split()[0] for line in lines] == [lines[0].split()[0], "With"]


@pytest.mark.parametrize(
    ("counts", "n_splits", "names"),
    [
        ([30, 2], 2, ["threshold moving", "SMOTE", "GAMO"]),
        ([30, 3], 2, ["threshold moving", "SMOTE", "GAMO"]),
        ([30, 20, 2], 2, ["SMOTE", "GAMO"]),
        ([30, 3], 3, []),
        ([30, 4], 2, []),
    ],
)
def test_who_needs_two_training_rows(counts, n_splits, names):
    assert left_out(np.array(counts), n_splits) == names
    y = np.repeat(range(len(counts)), counts)
    folds = StratifiedKFold(n_splits).split(y, y)
    least = min(np.bincount(y[train]).min() for train, _ in folds)
    assert (least < 2) == bool(names)


def test_three_classes(table):
    X, y = table
    found = compare(X, np.array(list("abc"))[y], **ONCE)
    assert found.scores["error"].isna().all()
    summary = found.summary.loc["logistic"]
    assert summary.loc["threshold moving", "brier_score_difference"] == 0
    moved = summary.loc["threshold moving", "balanced_accuracy_difference"]
    assert moved != 0


def test_default_learners(cancer):
    found = compare(*cancer, n_splits=2, n_repeats=1, random_state=0)
    assert list(found.recommended) == ["logistic regression", "gradient boosting"]
    assert found.scores["error"].isna().all()


def test_fits_at_the_same_time_give_the_same(cancer, on_cancer):
    with parallel_config("threading"):
        found = compare(*cancer, **ONCE | {"n_jobs": 2})
    without = [s.scores.drop(columns="seconds") for s in (found, on_cancer)]
    pd.testing.assert_frame_equal(*without)


def test_progress_bar(cancer, capsys):
    compare(*cancer, **ONCE, verbose=1)
    assert "12/12" in capsys.readouterr().err


def test_a_learner_that_fails_by_itself(cancer):
    class Broken(GaussianNB):
        def fit(self, X, y):
            raise RuntimeError("out of order")

    with pytest.raises(
        ValueError, match=r"b fails without .* RuntimeError: out of order"
    ):
        compare(*cancer, **ONCE | {"learners": {"b": Broken()}})


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"n_splits": 1}, ValueError, "n_splits == 1"),
        ({"n_repeats": 0}, ValueError, "n_repeats == 0"),
        ({"y": np.zeros(30)}, ValueError, r"y has one class, \[0.0\]"),
        (
            {"y": np.arange(30) == 3},
            ValueError,
            "Class True has one row; comp",
        ),
        ({"learners": GaussianNB()}, TypeError, r"a dict .* but is GaussianNB\(\)"),
        ({"learners": {}}, ValueError, "learners is empty. Name a classifier"),
        ({"y": np.linspace(0, 1, 30)}, ValueError, "Unknown label type"),
        ({"y": np.repeat([0, 1], 10)}, ValueError, "inconsistent numbers of samples"),
        ({"X": csr_array(np.eye(30))}, TypeError, "dense tables, but X is sparse"),
    ],
)
def test_errors(change, error, message):
    data = {"X": np.eye(30), "y": np.arange(30) % 2}
    with pytest.raises(error, match=message):
        compare(**data | ONCE | change)


def test_without_pandas(cancer, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install 'gamo_sampler\[cli\]'"):
        compare(*cancer, **ONCE)


def test_columns_are_sorted_into_numbers_and_categories(mixed):
    frame, n_numbers = tabulated(mixed[0])
    assert n_numbers == 3
    assert [frame[i].dtype.kind for i in range(3)] == ["f", "f", "f"]
    gaps = mixed[0]["visits"].isna().to_list()
    assert frame[1].isna().to_list() == gaps
    assert any(gaps)
    assert set(frame.iloc[:, 3].dropna()) == {"east", "west"}
    assert frame.iloc[:, 3].isna().sum() == mixed[0]["site"].isna().sum()
    days = frame.iloc[:, 2] / frame.iloc[:, 2].max()
    assert days.sum() == pytest.approx(len(days) / 2)


def test_labels_by_frequency():
    assert by_frequency(list("bacacccab")).tolist() == [2, 1, 0, 1, 0, 0, 0, 1, 2]


def test_each_sampler_sees_what_the_others_see(mixed, monkeypatch):
    """Prepared numbers and codes of categories, before these are one-hot."""
    frame, n_numbers = tabulated(mixed[0])
    y = mixed[1]
    task = Task(LOGISTIC["logistic"], n_numbers, 2, np.bincount(y), 0)
    seen = {}
    for name in ("random over-sampling", "SMOTE", "GAMO"):
        model = CONTENDERS[name](task).fit(frame, y)
        rows = model[0].transform(frame)
        seen[name] = rows
        _, labels = model.named_steps["sampler"].fit_resample(rows, y)
        assert np.bincount(labels).tolist() == [90, 90]
        assert model[-1].n_features_in_ == 3 + 3 + 2
    for rows in seen.values():
        np.testing.assert_array_equal(rows, seen["SMOTE"])
    assert rows[:, :3].mean(0) == pytest.approx(0)


def test_smote_has_the_neighbours_that_there_are():
    counts = np.array([20, 3])
    task = Task(LOGISTIC["logistic"], 4, 0, counts, 0)
    assert CONTENDERS["SMOTE"](task).named_steps["sampler"].k_neighbors == 2
    task = Task(LOGISTIC["logistic"], 4, 0, np.array([20, 9]), 0)
    assert CONTENDERS["SMOTE"](task).named_steps["sampler"].k_neighbors == 5


def test_a_failure_is_told_not_raised():
    X, y = blobs(1, [20, 2])
    task = Task(LOGISTIC["logistic"], 4, 0, np.array([19, 1]), 0)
    rows = np.arange(21)
    found = measured({"contender": "SMOTE"}, task, rows, rows, pd.DataFrame(X), y)
    assert list(found) == ["error"]
    assert "k_neighbors" in found["error"]
