"""Which contender to take: paired differences over folds, and what they mean."""

from typing import NamedTuple

import numpy as np
from scipy.stats import t

from ._contenders import CONTENDERS, OVER_SAMPLERS

# Columns of scores, and how they are printed.
SCORES = {
    "balanced_accuracy": "balanced accuracy",
    "geometric_mean": "GM",
    "average_precision": "average precision",
    "brier_score": "Brier score",
}
LESS_IS_BETTER = ("brier_score",)
# A gain that does not show in three digits is none, however sure it is.
LEAST_GAIN = 0.001
ALPHA = 0.05


class Noise(NamedTuple):
    """What chance does to the differences of a score over folds.

    `ratio` is that of test rows to training rows; `step` is what a fold's score changes
    by where one test row of the smallest class changes sides.
    """

    ratio: float
    step: float


def noise_by_score(counts, n_splits):
    """{score: Noise} for the rows by class."""
    share = n_splits / counts.min()  # of a class's test rows in a fold, one row
    binary = len(counts) == 2
    steps = {
        "balanced_accuracy": share / len(counts),
        # That of the rarer of two classes, or the mean over more.
        "average_precision": share if binary else share / len(counts),
        # Squares are summed over more than two classes: one lost, another won.
        "brier_score": (1 if binary else 2) * n_splits / counts.sum(),
    }
    return {score: Noise(1 / (n_splits - 1), step) for score, step in steps.items()}


def standard_error(differences, noise):
    """That of the mean of paired differences over folds.

    The variance is that of the corrected resampled t-test (Nadeau and Bengio, Machine
    Learning 52, 2003), (1/n + ratio) s^2, as folds share training rows. Folds that
    happen to agree are no proof: s is at least a step.
    """
    variance = max(np.var(differences, ddof=1), noise.step**2)
    return np.sqrt((1 / len(differences) + noise.ratio) * variance)


def interval(differences, noise):
    """Mean of paired differences over folds, and its confidence limits."""
    mean = np.mean(differences)
    reach = t.ppf(1 - ALPHA / 2, len(differences) - 1)
    reach *= standard_error(differences, noise)
    return float(mean), float(mean - reach), float(mean + reach)


def p_value(differences, noise):
    """That of the two-sided test of a mean of 0."""
    size = abs(np.mean(differences)) / standard_error(differences, noise)
    return float(2 * t.sf(size, len(differences) - 1))


def against_nothing(wide, noise):
    """{contender: (mean, low, high, p)} of one learner's differences.

    `wide` has a column of scores by fold for each contender. p is corrected for the
    number of contenders (Bonferroni), the limits are not.
    """
    gains = {name: wide[name] - wide["nothing"] for name in wide.columns[1:]}
    return {
        name: (*interval(d, noise), min(1.0, len(gains) * p_value(d, noise)))
        for name, d in gains.items()
    }


def by_fold(scores, learner, score):
    """Scores by fold, a column for each contender that failed on none."""
    own = scores[scores["learner"] == learner]
    wide = own.pivot(index=["repeat", "fold"], columns="contender", values=score)
    wide = wide[[name for name in CONTENDERS if name in wide]].dropna(axis=1)
    return -wide if score in LESS_IS_BETTER else wide


def recommend(wide, noise):
    """The contender to take, by one learner's scores.

    Nothing, unless one is better even where account is taken of how many were tried;
    then the simplest of the better ones.
    """
    better = {
        name: p
        for name, (mean, low, _, p) in against_nothing(wide, noise).items()
        if low > 0 and mean >= LEAST_GAIN
    }
    if not better or min(better.values()) >= ALPHA:
        return "nothing"
    return simplest({name: wide[name] for name in better}, noise)


def simplest(columns, noise):
    """The first name whose scores are within one standard error of the best ones."""
    best = max(columns.values(), key=np.mean)
    for name, column in columns.items():
        behind = best - column
        if np.mean(behind) <= standard_error(behind, noise):
            return name


def overall(scores, recommended, noise):
    """The learner to take with what is recommended for it, by the same rule."""
    columns = {
        learner: by_fold(scores, learner, "balanced_accuracy")[contender]
        for learner, contender in recommended.items()
    }
    order = list(CONTENDERS)
    ranked = sorted(
        columns.items(),
        key=lambda item: (order.index(recommended[item[0]]), -np.mean(item[1])),
    )
    return simplest(dict(ranked), noise)


def too_few_to_tell(counts, n_splits, n_repeats, n_tests):
    """Whether even a gain on each row of the smallest class could be chance."""
    noise = noise_by_score(counts, n_splits)["balanced_accuracy"]
    most = np.full(n_splits * n_repeats, 1 / len(counts))
    return n_tests * p_value(most, noise) >= ALPHA


def verdict(scores, noises, remarks=()):
    """What to do, by learner, and that in words, `remarks` behind the first line."""
    noise = noises["balanced_accuracy"]
    learners = scores["learner"].unique()
    recommended = {
        name: recommend(by_fold(scores, name, "balanced_accuracy"), noise)
        for name in learners
    }
    chosen = overall(scores, recommended, noise)
    lines = [headline(recommended[chosen], chosen), *remarks]
    for learner in learners:
        lines.append(in_words(scores, learner, recommended[learner], noises))
        lines += failures(scores, learner)
    return recommended, "\n".join(lines)


def headline(contender, learner):
    if contender == "nothing":
        return f"Do nothing, with {learner}: over-sampling is not worth it here."
    if contender in OVER_SAMPLERS:
        return f"Over-sampling is worth it here: {contender}, with {learner}."
    return (
        f"Use {contender}, with {learner}: over-sampling does no better, and is not "
        "worth it here."
    )


def in_words(scores, learner, contender, noises):
    noise = noises["balanced_accuracy"]
    wide = by_fold(scores, learner, "balanced_accuracy")
    words = no_gain(wide, noise)
    if contender != "nothing":
        words = (
            f"{gain(wide, contender, noise)}; {costs(scores, learner, contender)}"
            f"{the_best(wide, contender, noise)}"
        )
    return f"With {learner}, {words}{rankings(scores, learner, noises)}"


def no_gain(wide, noise):
    base = wide["nothing"].mean()
    words = f"no gain over the balanced accuracy of {base:.3f} is beyond chance"
    means = wide.mean().drop("nothing")
    if means.empty:
        return f"{words}."
    best = means.idxmax()
    mean, low, high = interval(wide[best] - wide["nothing"], noise)
    return f"{words}; the largest is {mean:+.3f} ({low:+.3f} to {high:+.3f}), {best}."


def gain(wide, contender, noise):
    before, after = wide["nothing"].mean(), wide[contender].mean()
    _, low, high = interval(wide[contender] - wide["nothing"], noise)
    return (
        f"{contender} raises balanced accuracy from {before:.3f} to {after:.3f}, by "
        f"{after - before:.3f} ({low:.3f} to {high:.3f})"
    )


def costs(scores, learner, contender):
    """Changes of the other scores."""
    own = scores[scores["learner"] == learner].groupby("contender")
    change = {
        score: own[score].mean()[contender] - own[score].mean()["nothing"]
        for score in ("average_precision", "brier_score")
    }
    return (
        f"average precision changes by {change['average_precision']:+.3f}, the Brier "
        f"score, where less is better, by {change['brier_score']:+.3f}."
    )


def the_best(wide, contender, noise):
    """A sentence on the one with the highest mean, where that is another one."""
    best = wide.mean().idxmax()
    mean, low, high = interval(wide[best] - wide[contender], noise)
    if mean < LEAST_GAIN:
        return ""
    return f" The highest is {best}, {mean:.3f} above ({low:.3f} to {high:.3f})."


def rankings(scores, learner, noises):
    """A sentence on those who need ranks or probabilities."""
    picks = {
        score: recommend(by_fold(scores, learner, score), noises[score])
        for score in ("average_precision", "brier_score")
    }
    found = [f"{SCORES[s]}: {name}" for s, name in picks.items() if name != "nothing"]
    if not found:
        return " None improves average precision or the Brier score beyond chance."
    return f" By other scores, best are: {'; '.join(found)}."


def failures(scores, learner):
    """A line for each contender that failed on a fold, with the first error."""
    own = scores[scores["learner"] == learner]
    for name, of_one in own.groupby("contender", sort=False):
        errors = of_one["error"].dropna()
        if len(errors):
            yield (
                f"{name} failed with {learner} on {len(errors)} of {len(of_one)} folds "
                f"and is not considered: {errors.iloc[0].splitlines()[0]}"
            )
