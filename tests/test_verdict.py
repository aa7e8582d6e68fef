"""The rule by which `compare` recommends, on scores made up for it."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp
from sklearn.metrics import balanced_accuracy_score, brier_score_loss

from gamo_sampler._contenders import CONTENDERS
from gamo_sampler._verdict import (
    Noise,
    against_nothing,
    by_fold,
    interval,
    noise_by_score,
    p_value,
    recommend,
    simplest,
    standard_error,
    too_few_to_tell,
    verdict,
)

# A step so small that the spread of the differences counts.
RATIO = 1 / 4
NOISE = Noise(RATIO, step=1e-6)
NOISES = dict.fromkeys(("balanced_accuracy", "average_precision", "brier_score"), NOISE)
ALONE = NOISE._replace(ratio=0)
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
    assert interval(d, ALONE) == pytest.approx((d.mean(), *limits))
    assert p_value(d, ALONE) == pytest.approx(expected.pvalue)


def test_shared_rows_widen_it_as_nadeau_and_bengio_say():
    d = np.array([1.0, 2.0, 3.0, 6.0])
    # Variance 14/3; 10 test rows for 40 training rows.
    assert standard_error(d, Noise(10 / 40, 1e-6)) == pytest.approx(
        np.sqrt((1 / 4 + 1 / 4) * 14 / 3)
    )
    assert p_value(d, NOISE) > p_value(d, ALONE)


def test_folds_that_agree_are_taken_to_differ_by_a_step():
    few = Noise(RATIO, step=0.5)
    assert p_value(np.zeros(5), few) == 1
    expected = 0.5 * np.sqrt(1 / 5 + RATIO)
    assert standard_error(np.full(5, 0.5), few) == pytest.approx(expected)
    assert p_value(np.full(5, 0.5), few) > 0.2
    low, high = interval(np.full(5, 0.5), few)[1:]
    assert low < 0 < 1 < high
    # One that differs more is left as it is.
    assert standard_error(UNEVEN, few) == standard_error(UNEVEN, NOISE)


def test_nothing_where_folds_of_few_rows_agree():
    table = wide(SMOTE=(0.5, 0.0))
    assert recommend(table, NOISE) == "SMOTE"
    assert recommend(table, Noise(RATIO, step=0.5)) == "nothing"


@pytest.mark.parametrize("counts", [(30, 10), (30, 20, 10)])
def test_a_step_is_what_one_row_of_the_smallest_class_changes(counts):
    """In one of 5 folds, which has 2 of the 10 rows, by the scores themselves."""
    y = np.repeat(range(len(counts)), np.array(counts) // 5)
    right = np.eye(len(counts))[y]
    wrong = right.copy()
    wrong[-1] = right[0]
    found = noise_by_score(np.array(counts), 5)
    recall = balanced_accuracy_score(y, wrong.argmax(1))
    assert found["balanced_accuracy"].step == pytest.approx(1 - recall)
    brier = brier_score_loss(y, wrong, labels=np.arange(len(counts)))
    assert found["brier_score"].step == pytest.approx(brier)
    classes = 1 if len(counts) == 2 else 3
    assert found["average_precision"].step == pytest.approx(1 / 2 / classes)


def test_noise_has_the_ratio_of_test_rows_to_training_rows():
    assert noise_by_score(np.array([30, 10]), 5)["brier_score"].ratio == 1 / 4


def test_eight_rows_cannot_tell_and_nine_can():
    """Five tests at 3 times 5 folds; few folds, or more tests, can tell less."""
    enough = np.array([100, 9])
    assert too_few_to_tell(np.array([100, 8]), 5, 3, 5)
    assert not too_few_to_tell(enough, 5, 3, 5)
    assert too_few_to_tell(enough, 5, 3, 20)
    assert too_few_to_tell(enough, 2, 1, 5)


def test_remarks_come_behind_the_first_line():
    _, words = verdict(tidy({"trees": wide(SMOTE=(0.1, 0.0))}), NOISES, ["Mind it."])
    first, second, third = words.splitlines()
    assert first.startswith("Over-sampling is worth it here")
    assert second == "Mind it."
    assert third.startswith("With trees, ")


def test_p_counts_the_contenders():
    d = 0.01 + 0.01 * UNEVEN
    found = against_nothing(wide(SMOTE=(0.01, 0.01), GAMO=(0.1, 0.01)), NOISE)
    assert found["SMOTE"][3] == pytest.approx(2 * p_value(d, NOISE))
    assert found["SMOTE"][:3] == pytest.approx(interval(d, NOISE))


def test_nothing_where_gains_are_chance():
    assert recommend(wide(SMOTE=(0.01, 0.1), GAMO=(0.02, 0.1)), NOISE) == "nothing"
    assert recommend(wide(SMOTE=(-0.1, 0.01)), NOISE) == "nothing"
    assert recommend(wide(), NOISE) == "nothing"


def test_nothing_where_one_of_many_is_just_beyond_chance():
    gains = dict.fromkeys(["threshold_moving", "class_weights", "SMOTE"], (0.0, 0.1))
    alone = wide(GAMO=(0.05, 0.03))
    among_others = wide(**gains, GAMO=(0.05, 0.03))
    assert 0.02 < against_nothing(alone, NOISE)["GAMO"][3] < 0.05
    assert recommend(alone, NOISE) == "GAMO"
    assert recommend(among_others, NOISE) == "nothing"


def test_a_gain_too_small_to_show_is_none():
    assert recommend(wide(SMOTE=(0.0009, 0.0)), NOISE) == "nothing"
    assert recommend(wide(SMOTE=(0.0011, 0.0)), NOISE) == "SMOTE"


def test_the_simplest_of_those_level_with_the_best():
    gains = {"class_weights": (0.05, 0.01), "SMOTE": (0.1, 0.01), "GAMO": (0.101, 0.02)}
    assert recommend(wide(**gains), NOISE) == "SMOTE"
    gains["threshold_moving"] = (0.1, 0.02)
    table = wide(**gains)[["nothing", "threshold moving", "class weights", "SMOTE"]]
    assert recommend(table, NOISE) == "threshold moving"


def test_within_one_standard_error():
    best, other = FOLDS, FOLDS + 0.01 * UNEVEN
    error = standard_error(0.01 * UNEVEN, NOISE)
    for behind, chosen in ((0.99 * error, "other"), (1.01 * error, "best")):
        assert simplest({"other": other - behind, "best": best}, NOISE) == chosen


def test_failed_contenders_are_left_out_and_named():
    scores = tidy({"trees": wide(SMOTE=(0.2, 0.0), GAMO=(0.1, 0.0))})
    place = scores.index[scores["contender"] == "SMOTE"][2]
    scores.loc[place, ["balanced_accuracy", "average_precision"]] = np.nan
    scores["error"] = scores["error"].astype(object)
    scores.loc[place, "error"] = "ValueError: too few\nmore on it"
    assert list(by_fold(scores, "trees", "balanced_accuracy")) == ["nothing", "GAMO"]
    recommended, words = verdict(scores, NOISES)
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
    assert recommend(by_fold(scores, "trees", "brier_score"), NOISE) == "SMOTE"
    _, words = verdict(scores, NOISES)
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
    _, words = verdict(tidy({"trees": wide(**gains)}), NOISES)
    assert words.startswith(headline)


def test_words_give_gain_costs_and_the_highest():
    gains = {"class_weights": (0.1, 0.0), "SMOTE": (0.105, 0.02)}
    scores = tidy(
        {"trees": wide(**gains)},
        class_weights={"average_precision": 0.4, "brier_score": 0.25},
    )
    _, words = verdict(scores, NOISES)
    assert (
        "class weights raises balanced accuracy from 0.600 to 0.700, by 0.100" in words
    )
    assert "precision changes by -0.100, the Brier score" in words
    assert "by +0.150." in words
    assert "The highest is SMOTE, 0.005 above" in words


def test_words_on_the_largest_gain_where_none_is_sure():
    _, words = verdict(tidy({"trees": wide(SMOTE=(0.02, 0.1))}), NOISES)
    assert "no gain over the balanced accuracy of 0.600 is beyond chance" in words
    assert "the largest is +0.020 (" in words
    assert "), SMOTE." in words


def test_the_first_line_is_on_the_better_learner():
    better, worse = wide(SMOTE=(0.2, 0.0)), wide(threshold_moving=(0.1, 0.0))
    recommended, words = verdict(tidy({"linear": worse, "trees": better}), NOISES)
    assert recommended == {"linear": "threshold moving", "trees": "SMOTE"}
    assert words.startswith("Over-sampling is worth it here: SMOTE, with trees.")


def test_the_first_line_is_on_the_simpler_of_level_learners():
    level = wide(threshold_moving=(0.2, 0.01))
    scores = tidy({"trees": wide(SMOTE=(0.201, 0.0)), "linear": level})
    assert verdict(scores, NOISES)[1].startswith("Use threshold moving, with linear")
