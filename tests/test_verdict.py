"""The rule by which `compare` recommends, on scores made up for it."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from gamo_sampler._contenders import CONTENDERS
from gamo_sampler._verdict import (
    against_nothing,
    by_fold,
    interval,
    p_value,
    recommend,
    simplest,
    standard_error,
    verdict,
)

RATIO = 1 / 4
# Folds that differ a lot, and what a contender adds to them, a little unevenly.
FOLDS = np.linspace(0.5, 0.7, 10)
UNEVEN = np.array([-1, 1] * 5)


def wide(**gains):
    """Scores by fold of doing nothing and of contenders: (gain, unevenness)."""
    columns = {"nothing": FOLDS}
    for name, (gain, spread) in gains.items():
        columns[name.replace("_", " ")] = FOLDS + gain + spread * UNEVEN
    return pd.DataFrame(columns)


def tidy(wides, **others):
    """Scores as `compare` has them, of {learner: wide}."""
    rows = []
    for learner, table in wides.items():
        for contender, column in table.items():
            for i, score in enumerate(column):
                names = {"learner": learner, "contender": contender}
                names |= {"repeat": i // 5, "fold": i % 5}
                rows.append(
                    names
                    | {"balanced_accuracy": score, "geometric_mean": score}
                    | {"average_precision": 0.5, "brier_score": 0.1}
                    | {"seconds": 1.0, "error": np.nan}
                    | others.get(contender.replace(" ", "_"), {})
                )
    return pd.DataFrame(rows)


def test_without_shared_rows_it_is_the_t_test():
    d = np.random.default_rng(0).normal(0.3, 1, 12)
    expected = ttest_1samp(d, 0)
    limits = expected.confidence_interval(0.95)
    assert interval(d, 0) == pytest.approx((d.mean(), *limits))
    assert p_value(d, 0) == pytest.approx(expected.pvalue)


def test_shared_rows_widen_it_as_nadeau_and_bengio_say():
    d = np.array([1.0, 2.0, 3.0, 6.0])
    # Variance 14/3; 10 test rows for 40 training rows.
    assert standard_error(d, 10 / 40) == pytest.approx(
        np.sqrt((1 / 4 + 1 / 4) * 14 / 3)
    )
    assert p_value(d, RATIO) > p_value(d, 0)


def test_equal_differences():
    assert p_value(np.zeros(5), RATIO) == 1
    assert p_value(np.full(5, 0.5), RATIO) == 0


def test_p_counts_the_contenders():
    d = 0.01 + 0.01 * UNEVEN
    found = against_nothing(wide(SMOTE=(0.01, 0.01), GAMO=(0.1, 0.01)), RATIO)
    assert found["SMOTE"][3] == pytest.approx(2 * p_value(d, RATIO))
    assert found["SMOTE"][:3] == pytest.approx(interval(d, RATIO))


def test_nothing_where_gains_are_chance():
    assert recommend(wide(SMOTE=(0.01, 0.1), GAMO=(0.02, 0.1)), RATIO) == "nothing"
    assert recommend(wide(SMOTE=(-0.1, 0.01)), RATIO) == "nothing"
    assert recommend(wide(), RATIO) == "nothing"


def test_nothing_where_one_of_many_is_just_beyond_chance():
    gains = dict.fromkeys(["threshold_moving", "class_weights", "SMOTE"], (0.0, 0.1))
    alone = wide(GAMO=(0.05, 0.03))
    among_others = wide(**gains, GAMO=(0.05, 0.03))
    assert 0.02 < against_nothing(alone, RATIO)["GAMO"][3] < 0.05
    assert recommend(alone, RATIO) == "GAMO"
    assert recommend(among_others, RATIO) == "nothing"


def test_a_gain_too_small_to_show_is_none():
    assert recommend(wide(SMOTE=(0.0009, 0.0)), RATIO) == "nothing"
    assert recommend(wide(SMOTE=(0.0011, 0.0)), RATIO) == "SMOTE"


def test_the_simplest_of_those_level_with_the_best():
    gains = {"class_weights": (0.05, 0.01), "SMOTE": (0.1, 0.01), "GAMO": (0.101, 0.02)}
    assert recommend(wide(**gains), RATIO) == "SMOTE"
    gains["threshold_moving"] = (0.1, 0.02)
    table = wide(**gains)[["nothing", "threshold moving", "class weights", "SMOTE"]]
    assert recommend(table, RATIO) == "threshold moving"


def test_within_one_standard_error():
    best, other = FOLDS, FOLDS + 0.01 * UNEVEN
    error = standard_error(0.01 * UNEVEN, RATIO)
    for behind, chosen in ((0.99 * error, "other"), (1.01 * error, "best")):
        assert simplest({"other": other - behind, "best": best}, RATIO) == chosen


def test_failed_contenders_are_left_out_and_named():
    scores = tidy({"trees": wide(SMOTE=(0.2, 0.0), GAMO=(0.1, 0.0))})
    place = scores.index[scores["contender"] == "SMOTE"][2]
    scores.loc[place, ["balanced_accuracy", "average_precision"]] = np.nan
    scores["error"] = scores["error"].astype(object)
    scores.loc[place, "error"] = "ValueError: too few\nmore on it"
    assert list(by_fold(scores, "trees", "balanced_accuracy")) == ["nothing", "GAMO"]
    recommended, words = verdict(scores, RATIO)
    assert recommended == {"trees": "GAMO"}
    assert words.endswith(
        "SMOTE failed with trees on 1 of 10 folds and is not considered: "
        "ValueError: too few"
    )


def test_columns_come_in_the_order_of_simplicity():
    shuffled = wide(GAMO=(0, 0), SMOTE=(0, 0), class_weights=(0, 0))
    found = by_fold(tidy({"trees": shuffled}), "trees", "balanced_accuracy")
    assert list(found) == [name for name in CONTENDERS if name in shuffled]


def test_the_brier_score_is_better_if_less():
    table = wide(SMOTE=(0.0, 0.0), GAMO=(0.0, 0.0))
    scores = tidy(
        {"trees": table}, SMOTE={"brier_score": 0.05}, GAMO={"brier_score": 0.2}
    )
    assert recommend(by_fold(scores, "trees", "brier_score"), RATIO) == "SMOTE"
    _, words = verdict(scores, RATIO)
    assert words.endswith("By other scores, best are: Brier score: SMOTE.")


@pytest.mark.parametrize(
    ("gains", "headline"),
    [
        ({"GAMO": (0.0, 0.1)}, "Do nothing, with trees: "),
        ({"GAMO": (0.1, 0.0)}, "Over-sampling is worth it here: GAMO, with trees."),
        (
            {"threshold_moving": (0.1, 0.0), "SMOTE": (0.1, 0.0)},
            "Use threshold moving, with trees: over-sampling does no better",
        ),
    ],
)
def test_headlines(gains, headline):
    _, words = verdict(tidy({"trees": wide(**gains)}), RATIO)
    assert words.startswith(headline)


def test_words_give_gain_costs_and_the_highest():
    gains = {"class_weights": (0.1, 0.0), "SMOTE": (0.105, 0.02)}
    scores = tidy(
        {"trees": wide(**gains)},
        class_weights={"average_precision": 0.4, "brier_score": 0.25},
    )
    _, words = verdict(scores, RATIO)
    assert (
        "class weights raises balanced accuracy from 0.600 to 0.700, by 0.100" in words
    )
    assert "precision changes by -0.100, the Brier score" in words
    assert "by +0.150." in words
    assert "The highest is SMOTE, 0.005 above" in words


def test_words_on_the_largest_gain_where_none_is_sure():
    _, words = verdict(tidy({"trees": wide(SMOTE=(0.02, 0.1))}), RATIO)
    assert "no gain over the balanced accuracy of 0.600 is beyond chance" in words
    assert "the largest is +0.020 (" in words
    assert "), SMOTE." in words


def test_the_first_line_is_on_the_better_learner():
    better, worse = wide(SMOTE=(0.2, 0.0)), wide(threshold_moving=(0.1, 0.0))
    recommended, words = verdict(tidy({"linear": worse, "trees": better}), RATIO)
    assert recommended == {"linear": "threshold moving", "trees": "SMOTE"}
    assert words.startswith("Over-sampling is worth it here: SMOTE, with trees.")


def test_the_first_line_is_on_the_simpler_of_level_learners():
    level = wide(threshold_moving=(0.2, 0.01))
    scores = tidy({"trees": wide(SMOTE=(0.201, 0.0)), "linear": level})
    assert verdict(scores, RATIO)[1].startswith("Use threshold moving, with linear")
