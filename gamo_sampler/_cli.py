"""``python -m gamo_sampler resample`` and ``compare``, for those who have a file."""

import argparse
import shlex
import sys
import warnings
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from sklearn.utils.multiclass import type_of_target

from ._compare import compare
from ._files import check_new, kind_of, longer, new_file, read, write, write_longer
from ._report import write_report
from ._sampler import GAMOSampler

PROG = "python -m gamo_sampler"
STRATEGIES = ("auto", "minority", "not minority", "not majority", "all")


def main(argv):
    """Run one of the commands of `COMMANDS`, with its arguments."""
    parser = make_parser()
    arguments = parser.parse_args(argv)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = print_warning
            COMMANDS[arguments.command](arguments)
    except (ImportError, OSError, TypeError, ValueError) as error:
        parser.error(str(error))


def print_warning(message, *where):
    """Without the line of code, which says nothing to those who have a file."""
    print(f"Warning: {message}", file=sys.stderr)


def make_parser():
    parser = argparse.ArgumentParser(prog=PROG)
    commands = parser.add_subparsers(dest="command", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("data", type=Path, help="a table, .csv or .parquet")
    shared.add_argument(
        "--target", required=True, metavar="COLUMN", help="the column of labels"
    )
    shared.add_argument(
        "--seed", type=int, help="of all draws; drawn, and printed, if not given"
    )
    add_resample(commands, shared)
    add_compare(commands, shared)
    return parser


def add_resample(commands, shared):
    text = "Write a copy of a table with generated rows of the rare classes at its end."
    resampling = commands.add_parser(
        "resample", parents=[shared], help=text, description=text
    )
    resampling.add_argument(
        "--out", type=Path, required=True, help="a new file, .csv or .parquet"
    )
    resampling.add_argument(
        "--strategy",
        type=parse_strategy,
        default="auto",
        help="auto and all: every class to the size of the largest; minority: the "
        "rarest class alone; a number such as 0.5: every class to that share of the "
        "largest; or another word of imbalanced-learn (default: auto)",
    )
    resampling.add_argument(
        "--report", type=Path, metavar="FILE.html", help="a new file, on what was made"
    )


def add_compare(commands, shared):
    text = "Measure by cross-validation whether over-sampling is worth it on a table."
    comparing = commands.add_parser(
        "compare", parents=[shared], help=text, description=text
    )
    comparing.add_argument("--jobs", type=int, help="fits at a time (default: 1)")


def parse_strategy(text):
    if text in STRATEGIES:
        return text
    try:
        share = float(text)
        if not 0 < share <= 1:
            raise ValueError
        return share
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is none of {', '.join(STRATEGIES)}, nor a number above 0 and up "
            "to 1"
        ) from None


def resample_file(arguments):
    check_outputs(arguments)
    frame = read(arguments.data, arguments.target)
    X, y = split(frame, arguments)
    sampler = GAMOSampler(
        sampling_strategy=arguments.strategy,
        missing="propagate",
        random_state=seed_of(arguments),
        verbose=1,
    )
    page = new_file(arguments.report) if arguments.report else nullcontext()
    with new_file(arguments.out) as out, page as report:
        write(frame.head(), out)  # what cannot be written shows before training
        made = resampled(sampler, X, y, frame)
        write_longer(arguments.data, made, len(frame), out)
        if report:
            words = arguments.data, made, arguments.target, sampler, command(arguments)
            write_report(report, *words)
    print_counts(y, made[arguments.target], arguments.out)
    if report:
        print(f"Report: {arguments.report}")


def check_outputs(arguments):
    kind_of(arguments.out)
    check_new(arguments.out)
    if arguments.report:
        if arguments.report.suffix.lower() != ".html":
            raise ValueError(f"{arguments.report} does not end in .html.")
        check_new(arguments.report)


def resampled(sampler, X, y, frame):
    """`frame`, split into X and y, with generated rows at its end."""
    X_all, y_all = sampler.fit_resample(X, y)
    X_all.insert(frame.columns.get_loc(y.name), y.name, y_all)
    if len(X_all) == len(frame) or frame.index.inferred_type == "integer":
        return X_all
    print(
        f"Generated rows have no label in the index {list(frame.index.names)}: only "
        "integers are continued.",
        file=sys.stderr,
    )
    return X_all.set_axis(longer(frame.index, len(X_all)))


def compare_file(arguments):
    X, y = split(read(arguments.data, arguments.target), arguments)
    seed = seed_of(arguments)
    found = compare(X, y, random_state=seed, n_jobs=arguments.jobs, verbose=1)
    print(f"\n{found}\n\nseed {seed}")


COMMANDS = {"resample": resample_file, "compare": compare_file}


def seed_of(arguments):
    """The one given, else one that is drawn, and noted to be found in the report."""
    if arguments.seed is None:
        arguments.seed = int(np.random.default_rng().integers(2**31 - 1))
    return arguments.seed


def command(arguments):
    """What to type to repeat it."""
    words = [arguments.command, str(arguments.data), "--target", arguments.target]
    words += ["--out", str(arguments.out), "--strategy", str(arguments.strategy)]
    if arguments.report:
        words += ["--report", str(arguments.report)]
    return f"{PROG} {shlex.join(words)} --seed {arguments.seed}"


def split(frame, arguments):
    """Columns and labels."""
    target = arguments.target
    if target not in frame:
        names = ", ".join(map(str, frame.columns))
        raise ValueError(
            f"{arguments.data} has no column {target!r}. Its columns: {names}."
        )
    missing = frame[target].isna().sum()
    if missing:
        raise ValueError(f"Column {target!r} misses {missing} labels. Leave them out.")
    check_labels(frame[target])
    return frame.drop(columns=target), frame[target]


def check_labels(labels):
    kind = type_of_target(labels)
    if kind not in ("binary", "multiclass"):
        raise ValueError(
            f"Column {labels.name!r} holds no classes, but {kind} values such as "
            f"{labels.iloc[0]}."
        )
    if labels.nunique() < 2:
        raise ValueError(
            f"Column {labels.name!r} has one class, {labels.iloc[0]!r}. It takes two."
        )


def print_counts(before, after, path):
    was, now = before.value_counts(), after.value_counts()
    print("\nrows by class, before and after")
    for label in was.index:
        print(f"  {label}: {was[label]}, {now[label]}")
    print(f"Written: {path}")
