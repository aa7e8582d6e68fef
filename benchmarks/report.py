"""Tables of means, paired tests against gamo, mean ranks and their plots, from rows."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from .protocols import IMAGES, TUNING_SEEDS_FROM

REFERENCE = "gamo"
# ACSA and GM as printed, in two decimals, by the keys of the rows.
PRINTED = Path(__file__).with_name("paper.csv")
METRICS = {"acsa": "ACSA", "gm": "GM"}
# Of tables: they ask for no threshold.
PROBABILITY_METRICS = {
    "average_precision": "average precision",
    "roc_auc": "ROC AUC",
    "brier": "Brier score",
}
SMALLER_IS_BETTER = ("brier",)
FEWEST_UNITS = 5  # of which p values, ranks and plots are made
# Of generated images, `python -m benchmarks.pictures`.
PICTURES = "pictures"
PICTURE_METRICS = {
    "frechet": "Fréchet",
    "kernel": "kernel distance",
    "precision": "precision",
    "generative_recall": "recall",
    "coverage": "coverage",
    "novelty": "novelty",
    "acsa": "ACSA of CN",
    "gm": "GM of CN",
}
HEADER = (
    "method",
    "runs",
    *(
        f"{title}{suffix}"
        for title in METRICS.values()
        for suffix in (
            "",
            f" less {REFERENCE}'s",
            ", p (t)",
            ", p (Wilcoxon)",
            ", rank",
        )
    ),
    *(f"{title} in training" for title in METRICS.values()),
)
PROBABILITY_HEADER = (
    "method",
    "runs",
    *(
        f"{title}{suffix}"
        for title in PROBABILITY_METRICS.values()
        for suffix in ("", f" less {REFERENCE}'s", ", p (Wilcoxon)", ", rank")
    ),
)


def write_reports(rows, folder):
    """One table, and a plot of ranks on GM, for every protocol, condition and learner.

    Conditions of images have a table of all their sets beside that.

    Parameters
    ----------
    rows : list of dict
        Rows of results.
    folder : str or Path
        Where the files go, made where there is none.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    can_plot = importlib.util.find_spec("matplotlib") is not None
    if not can_plot:
        print("matplotlib is not installed: no plots.")
    for name, group in grouped(rows):
        if (group["condition"] == PICTURES).all():
            (folder / f"{name}.rst").write_text(picture_table(name, group))
            continue
        (folder / f"{name}.rst").write_text(table(name, group))
        if "brier" in group and group["brier"].notna().any():
            (folder / f"{name}_probabilities.rst").write_text(
                probability_table(name, group)
            )
        if len(in_print := printed(group)):
            (folder / f"{name}_printed.rst").write_text(
                printed_table(name, group, in_print)
            )
        if (group["table"] == "mixed").all():
            (folder / f"{name}_sets.rst").write_text(sets_table(name, group))
        if can_plot:
            plot_ranks(cells(group, "gm"), folder / f"{name}_gm.png")
    frame = reported(rows)
    of_images = frame["protocol"].isin(IMAGES)
    images = frame[of_images & ~frame["condition"].isin((PICTURES, "tune"))]
    for names, group in images.groupby(["condition", "loss"]):
        if group["protocol"].nunique() > 1:
            for metric in METRICS:
                name = "_".join(("images", *names, metric))
                (folder / f"{name}.rst").write_text(sets_table(name, group, metric))


def reported(rows):
    """Frame of the rows that reports take."""
    frame = pd.DataFrame(rows).drop_duplicates(
        ["protocol", "condition", "loss", "method", "learner", "seed"], keep="last"
    )
    # Those seeds score a part of the training rows, in every condition.
    for_reports = frame["seed"] < TUNING_SEEDS_FROM
    frame = frame[for_reports | (frame["condition"] == "tune")].copy()
    frame["unit"] = [unit(row) for row in rows_of(frame)]
    frame["table"] = frame["protocol"].str.split("/").str[0]
    return frame


def grouped(rows):
    """(file name, frame of rows) by protocol, condition, loss and learner."""
    frame = reported(rows)
    for names, group in frame.groupby(["table", "condition", "loss", "learner"]):
        yield "_".join(names), group


def rows_of(frame):
    return frame.to_dict("records")


def unit(row):
    """What is paired: seeds of one protocol, families of tables."""
    return row["params"].get("family") or row["seed"]


def cells(group, metric):
    """Scores, one line per unit, protocol and seed, and one column per method."""
    index = ["unit", "protocol", "seed"]
    return group.pivot(index=index, columns="method", values=metric)


def units(scores):
    """Mean scores per unit, of those cells' lines that all columns have.

    Of tables, sets are averaged over seeds, then families over their sets.
    """
    sets = scores.dropna().groupby(["unit", "protocol"]).mean()
    return sets.groupby("unit").mean()


# Statistics ---------------------------------------------------------------


def differences(scores, method):
    """Of a method from REFERENCE per unit, on what both have; none where it is that."""
    if method == REFERENCE or REFERENCE not in scores:
        return np.empty(0)
    pairs = units(scores[[method, REFERENCE]])
    return (pairs[method] - pairs[REFERENCE]).to_numpy()


def paired_tests(scores, method):
    """p values of the paired t-test and of Wilcoxon's, against REFERENCE.

    nan where there is no reference, fewer than FEWEST_UNITS pairs, or no difference.
    """
    found = differences(scores, method)
    if len(found) < FEWEST_UNITS or not found.any():
        return np.nan, np.nan
    if np.ptp(found) == 0:  # the t statistic would divide by zero
        return 0.0, stats.wilcoxon(found).pvalue
    return stats.ttest_1samp(found, 0).pvalue, stats.wilcoxon(found).pvalue


def mean_ranks(scores, smaller_is_better=False):
    """Mean rank per method, 1 is best, over the units that have all methods.

    nan where these are fewer than FEWEST_UNITS.
    """
    complete = units(scores)
    ranks = complete.rank(axis=1, ascending=smaller_is_better).mean()
    return ranks if len(complete) >= FEWEST_UNITS else ranks * np.nan


def friedman(scores):
    """p value of Friedman's test that all methods are alike; nan where too few."""
    complete = units(scores)
    if complete.shape[1] < 3 or len(complete) < FEWEST_UNITS:
        return np.nan
    return stats.friedmanchisquare(*complete.to_numpy().T).pvalue


def critical_difference(n_methods, n_units, alpha=0.05):
    """Nemenyi's: mean ranks further apart differ at the level alpha."""
    q = stats.studentized_range.ppf(1 - alpha, n_methods, np.inf) / np.sqrt(2)
    return q * np.sqrt(n_methods * (n_methods + 1) / (6 * n_units))


def cliques(ranks, distance):
    """Largest runs (first, last) of sorted mean ranks that do not differ."""
    ranks = np.asarray(ranks)
    lasts = np.searchsorted(ranks, ranks + distance, side="right") - 1
    # A run that ends where an earlier one does lies inside it.
    news = np.flatnonzero(np.diff(lasts, prepend=-1))
    return [(int(i), int(lasts[i])) for i in news if lasts[i] > i]


# Text ---------------------------------------------------------------------


def table(name, group):
    """A reStructuredText list-table, one line per method, by the difference in GM."""
    per_metric = {metric: cells(group, metric) for metric in METRICS}
    ranks = {metric: mean_ranks(scores) for metric, scores in per_metric.items()}
    lines = [HEADER]
    for method in from_the_best(per_metric["gm"]):
        own = group[group["method"] == method]
        found = [method, str(len(own))]
        for metric, scores in per_metric.items():
            tests = map(number, paired_tests(scores, method))
            found += [spread(scores, method), against(scores, method)]
            found += [*tests, number(ranks[metric][method], ".2f")]
        for metric in METRICS:
            in_training = units(cells(own, f"train_{metric}"))[method].mean()
            found.append(f"{in_training:.3f}")
        lines.append(found)
    return list_table(caption(name, group), lines) + footnote(group, per_metric)


def probability_table(name, group):
    """The same of the scores that ask for no threshold, by that in precision."""
    per_metric = {metric: cells(group, metric) for metric in PROBABILITY_METRICS}
    ranks = {
        metric: mean_ranks(scores, metric in SMALLER_IS_BETTER)
        for metric, scores in per_metric.items()
    }
    lines = [PROBABILITY_HEADER]
    for method in from_the_best(per_metric["average_precision"]):
        found = [method, str((group["method"] == method).sum())]
        for metric, scores in per_metric.items():
            _, p = paired_tests(scores, method)
            found += [spread(scores, method), against(scores, method), number(p)]
            found.append(number(ranks[metric][method], ".2f"))
        lines.append(found)
    title = f"{caption(name, group)}, scores that ask for no threshold"
    note = (
        "\nAs above; the order is that of the differences in average precision. Of the "
        "Brier score less is better.\n"
    )
    return list_table(title, lines) + note


def from_the_best(scores):
    """Methods by their mean difference from REFERENCE, or mean where there is none.

    Those that share no run with it come last.
    """
    if REFERENCE in scores:
        means = {m: pd.Series(differences(scores, m)).mean() for m in scores}
        means[REFERENCE] = 0.0
    else:
        means = {m: units(scores[[m]])[m].mean() for m in scores}
    return [*pd.Series(means).sort_values(ascending=False, kind="stable").index]


def spread(scores, method):
    return mean_and_deviation(units(scores[[method]])[method])


def against(scores, method):
    found = differences(scores, method)
    return f"{found.mean():+.3f}" if len(found) else ""


def sets_table(name, group, metric="gm"):
    """Means over the seeds, one line per method and one column per set.

    The mean over the sets, by which methods are ordered, is of those that have all.
    """
    means = group.pivot_table(metric, "method", "protocol")
    means["mean"] = means.mean(axis=1, skipna=False)
    means = means.sort_values("mean", ascending=False, kind="stable")
    sets = [protocol.split("/")[-1] for protocol in means.columns]
    lines = [(f"{METRICS[metric]} of", *sets)]
    for method, own in means.iterrows():
        lines.append([method, *(number(value, ".3f") for value in own)])
    return list_table(caption(name, group), lines)


def printed(group):
    """The paper's own scores in the conditions of a group; no lines where none."""
    run = group.iloc[0]
    scores = pd.read_csv(PRINTED, dtype=str)
    of = scores["protocol"] == run["protocol"].removesuffix("-full")
    of &= (scores["loss"] == run["loss"]) & (run["condition"] == "paper")
    return scores[of]


def printed_table(name, group, in_print):
    """ACSA / GM of the paper's contenders, as printed and by the rows."""
    means = group.groupby("method")[["acsa", "gm"]].mean()
    lines = [("ACSA / GM", "in the paper", "here", "runs")]
    for row in rows_of(in_print):
        method, runs = row["method"], (group["method"] == row["method"]).sum()
        here = "{:.3f} / {:.3f}".format(*means.loc[method]) if runs else ""
        lines.append([method, f"{row['acsa']} / {row['gm']}", here, str(runs)])
    note = (
        "\nThe paper's contenders and their game are its own, tested on 100 rows per "
        "class. Here ``gamo`` has this package's defaults, and ``cg``, ``cg_d`` and "
        "``gamo_no_d`` are changes of it; ``gamo_published`` has the published "
        "settings.\n"
    )
    return list_table(f"{caption(name, group)}, beside the paper's", lines) + note


def picture_table(name, group):
    """The same of generated images, the least Fréchet distance first."""
    means = group.groupby("method")["frechet"].mean().sort_values()
    lines = [("method", "runs", *PICTURE_METRICS.values())]
    for method in means.index:
        own = group[group["method"] == method]
        values = [mean_and_deviation(own[metric]) for metric in PICTURE_METRICS]
        lines.append([method, str(len(own)), *values])
    return list_table(caption(name, group), lines)


def mean_and_deviation(values):
    """Of those that are there, in three decimals; nothing where none are."""
    values = values.dropna()
    if values.empty:
        return ""
    # Without a break, for rows of one line.
    deviation = f"\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{values.std():.3f}"
    deviation = deviation if len(values) > 1 else ""
    return f"{values.mean():.3f}{deviation}"


def number(value, form=".2g"):
    return "" if np.isnan(value) else format(value, form)


def caption(name, group):
    is_smoke = any("smoke" in params for params in group["params"])
    return f"{name}{' (smoke test: shortened runs)' if is_smoke else ''}"


def list_table(title, lines):
    text = [f".. list-table:: {title}", "   :header-rows: 1", ""]
    for cells in lines:
        first, *rest = cells
        text.append(f"   * - {first}".rstrip())
        text += [f"     - {cell}".rstrip() for cell in rest]
    return "\n".join(text) + "\n"


def footnote(group, per_metric):
    text = [
        "",
        "Mean ± standard deviation over seeds or families, of a method's own runs. "
        f"Differences from {REFERENCE} and p values, which are not corrected for their "
        "number, are paired, on the runs that both have; the order is that of the "
        "differences in GM.",
    ]
    for metric, scores in per_metric.items():
        p = number(friedman(scores)) or "none"
        text.append(
            f"{METRICS[metric]}: {len(scores.dropna())} of {len(scores)} sets and "
            f"seeds have all methods; ranked are the {len(units(scores))} seeds or "
            f"families of these. Friedman's p: {p}."
        )
    text.append(f"There are no p values or ranks below {FEWEST_UNITS} of them.")
    if (n_versions := sources(group)) > 1:
        text.append(f"The rows are of {n_versions} versions of the source at least.")
    return "\n".join(text) + "\n"


def sources(group):
    """Number of versions of the package's source; the oldest rows do not say theirs."""
    versions = [row.get("versions") for row in rows_of(group)]
    return len({v.get("source") if isinstance(v, dict) else None for v in versions})


# Plots --------------------------------------------------------------------


def plot_ranks(scores, path):
    """Critical-difference plot: methods on their mean ranks, bars join equals.

    None, and one of earlier rows goes, where there are too few.
    """
    from matplotlib.figure import Figure

    path.unlink(missing_ok=True)
    complete = units(scores)
    if complete.shape[1] < 3 or len(complete) < FEWEST_UNITS:
        return
    ranks = mean_ranks(scores).sort_values()
    distance = critical_difference(len(ranks), len(complete))
    figure = Figure(figsize=(7, 1.5 + 0.25 * len(ranks)), layout="constrained")
    ax = figure.subplots()
    height = np.arange(1, len(ranks) + 1)
    ax.hlines(height, 1, ranks, color="0.85", lw=1)
    ax.plot(ranks, height, "ko")
    for first, last in cliques(ranks, distance):
        ends = [ranks.iloc[first], ranks.iloc[last]]
        ax.plot(ends, [height[last] + 0.35] * 2, color="tab:red", lw=2.5)
    ax.set_yticks(height, ranks.index)
    ax.invert_yaxis()
    ax.set_title(path.stem.replace("_", " "))
    ax.set_xlabel(
        f"mean rank over {len(complete)}; critical difference {distance:.2f} "
        "(Nemenyi, .05)"
    )
    figure.savefig(path, dpi=150)
