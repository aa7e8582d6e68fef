"""Which contender to take: paired differences over folds, and what they mean."""

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


def standard_error(differences, ratio):
    """That of the mean of paired differences over folds.

    The variance is that of the corrected resampled t-test (Nadeau and Bengio, Machine
    Learning 52, 2003), (1/n + ratio) s^2, as folds share training rows: `ratio` is
    that of test rows to training rows.
    """
    n = len(differences)
    return np.sqrt((1 / n + ratio) * np.var(differences, ddof=1))


def interval(differences, ratio):
    """Mean of paired differences over folds, and its confidence limits."""
    mean = np.mean(differences)
    reach = t.ppf(1 - ALPHA / 2, len(differences) - 1)
    reach *= standard_error(differences, ratio)
    return float(mean), float(mean - reach), float(mean + reach)


def p_value(differences, ratio):
    """That of the two-sided test of a mean of 0."""
    mean, error = np.mean(differences), standard_error(differences, ratio)
    if error == 0:
        return float(mean == 0)
    return float(2 * t.sf(abs(mean) / error, len(differences) - 1))


def against_nothing(wide, ratio):
    """{contender: (mean, low, high, p)} of one learner's differences.

    `wide` has a column of scores by fold for each contender. p is corrected for the
    number of contenders (Bonferroni), the limits are not.
    """
    gains = {name: wide[name] - wide["nothing"] for name in wide.columns[1:]}
    return {
        name: (*interval(d, ratio), min(1.0, len(gains) * p_value(d, ratio)))
        for name, d in gains.items()
    }


def by_fold(scores, learner, score):
    """Scores by fold, a column for each contender that failed on none."""
    own = scores[scores["learner"] == learner]
    wide = own.pivot(index=["repeat", "fold"], columns="contender", values=score)
    wide = wide[[name for name in CONTENDERS if name in wide]].dropna(axis=1)
    return -wide if score in LESS_IS_BETTER else wide


def recommend(wide, ratio):
    """The contender to take, by one learner's scores.

    Nothing, unless one is better even where account is taken of how many were tried;
    then the simplest of the better ones.
    """
    better = {
        name: p
        for name, (mean, low, _, p) in against_nothing(wide, ratio).items()
        if low > 0 and mean >= LEAST_GAIN
    }
    if not better or min(better.values()) >= ALPHA:
        return "nothing"
    return simplest({name: wide[name] for name in better}, ratio)


def simplest(columns, ratio):
    """The first name whose scores are within one standard error of the best ones."""
    best = max(columns.values(), key=np.mean)
    for name, column in columns.items():
        behind = best - column
        if np.mean(behind) <= standard_error(behind, ratio):
            return name


def overall(scores, recommended, ratio):
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
    return simplest(dict(ranked), ratio)


def verdict(scores, ratio):
    """What to do, by learner, and that in words."""
    learners = scores["learner"].unique()
    recommended = {
        name: recommend(by_fold(scores, name, "balanced_accuracy"), ratio)
        for name in learners
    }
    chosen = overall(scores, recommended, ratio)
    lines = [headline(recommended[chosen], chosen)]
    for learner in learners:
        lines.append(in_words(scores, learner, recommended[learner], ratio))
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


def in_words(scores, learner, contender, ratio):
    wide = by_fold(scores, learner, "balanced_accuracy")
    words = no_gain(wide, ratio)
    if contender != "nothing":
        words = (
            f"{gain(wide, contender, ratio)}; {costs(scores, learner, contender)}"
            f"{the_best(wide, contender, ratio)}"
        )
    return f"With {learner}, {words}{rankings(scores, learner, ratio)}"


def no_gain(wide, ratio):
    base = wide["nothing"].mean()
    words = f"no gain over the balanced accuracy of {base:.3f} is beyond chance"
    means = wide.mean().drop("nothing")
    if means.empty:
        return f"{words}."
    best = means.idxmax()
    mean, low, high = interval(wide[best] - wide["nothing"], ratio)
    return f"{words}; the largest is {mean:+.3f} ({low:+.3f} to {high:+.3f}), {best}."


def gain(wide, contender, ratio):
    before, after = wide["nothing"].mean(), wide[contender].mean()
    _, low, high = interval(wide[contender] - wide["nothing"], ratio)
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


def the_best(wide, contender, ratio):
    """A sentence on the one with the highest mean, where that is another one."""
    best = wide.mean().idxmax()
    mean, low, high = interval(wide[best] - wide[contender], ratio)
    if mean < LEAST_GAIN:
        return ""
    return f" The highest is {best}, {mean:.3f} above ({low:.3f} to {high:.3f})."


def rankings(scores, learner, ratio):
    """A sentence on those who need ranks or probabilities."""
    picks = {
        score: recommend(by_fold(scores, learner, score), ratio)
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
