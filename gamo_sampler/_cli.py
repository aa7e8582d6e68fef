"""``python -m gamo_sampler resample`` and ``compare``, for those who have a file."""

import argparse
import shlex
from pathlib import Path

import numpy as np

from ._compare import compare, import_pandas
from ._report import write_report
from ._sampler import GAMOSampler

PROG = "python -m gamo_sampler"
STRATEGIES = ("auto", "minority", "not minority", "not majority", "all")


def main(argv):
    """Run one of the commands of `COMMANDS`, with its arguments."""
    parser = make_parser()
    arguments = parser.parse_args(argv)
    try:
        COMMANDS[arguments.command](arguments)
    except (ImportError, OSError, TypeError, ValueError) as error:
        parser.error(str(error))


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
    kind_of(arguments.out)
    check_new(arguments.out)
    if arguments.report:
        if arguments.report.suffix != ".html":
            raise ValueError(f"{arguments.report} does not end in .html.")
        check_new(arguments.report)
    frame = read(arguments.data)
    X, y = split(frame, arguments.target, arguments.data)
    sampler = GAMOSampler(
        sampling_strategy=arguments.strategy,
        missing="propagate",
        random_state=seed_of(arguments),
        verbose=1,
    )
    X_all, y_all = sampler.fit_resample(X, y)
    X_all.insert(frame.columns.get_loc(arguments.target), arguments.target, y_all)
    write(X_all, arguments.out)
    print_counts(y, y_all, arguments.out)
    if arguments.report:
        write_report(
            arguments.report,
            arguments.data,
            X_all,
            arguments.target,
            sampler,
            command(arguments),
        )
        print(f"Report: {arguments.report}")


def compare_file(arguments):
    X, y = split(read(arguments.data), arguments.target, arguments.data)
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
    return f"{PROG} {shlex.join(words)} --seed {arguments.seed}"


def kind_of(path):
    if path.suffix not in (".csv", ".parquet"):
        raise ValueError(f"{path} ends neither in .csv nor in .parquet.")
    return path.suffix


def check_new(path):
    """Find out before anything is trained."""
    if path.exists():
        raise FileExistsError(f"{path} exists, and is not overwritten.")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"There is no folder {path.absolute().parent}.")


def read(path):
    pd = import_pandas()
    if kind_of(path) == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path)


def write(frame, path):
    if kind_of(path) == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)


def split(frame, target, path):
    """Columns and labels."""
    if target not in frame:
        names = ", ".join(map(str, frame.columns))
        raise ValueError(f"{path} has no column {target!r}. Its columns: {names}.")
    missing = frame[target].isna().sum()
    if missing:
        raise ValueError(f"Column {target!r} misses {missing} labels. Leave them out.")
    return frame.drop(columns=target), frame[target]


def print_counts(before, after, path):
    was, now = before.value_counts(), after.value_counts()
    print("\nrows by class, before and after")
    for label in was.index:
        print(f"  {label}: {was[label]}, {now[label]}")
    print(f"Written: {path}")
