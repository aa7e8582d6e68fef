"""``python -m benchmarks run PROTOCOL --out FILE`` and ``report FILES --out DIR``."""

import argparse
import sys
import traceback
from pathlib import Path

from joblib import Parallel, delayed

from . import methods, protocols, report, rows, toy

LOSSES = {
    "paper": "least_squares",
    "today": "log_loss",
    "ablation": "least_squares",
    "tune": "least_squares",
}


def parse_seeds(text):
    """Seeds [0, 1, 2, 7] from "0-2,7"."""
    seeds = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    return seeds


def make_parser():
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run a protocol, a row of JSON per run")
    run.add_argument(
        "protocol", help=f"{', '.join(protocols.PROTOCOLS)}, or tabular/NAME"
    )
    run.add_argument("--methods", nargs="+", help="default: all of the condition")
    run.add_argument("--condition", choices=LOSSES, default="paper")
    run.add_argument(
        "--loss",
        choices=("least_squares", "cross_entropy", "log_loss"),
        help="default: log_loss today, else least_squares",
    )
    run.add_argument("--seeds", type=parse_seeds, default="0-9")
    run.add_argument("--jobs", type=int, default=1, help="worker processes")
    run.add_argument("--device", default="auto")
    run.add_argument("--data-home", help="folder of the data sets")
    run.add_argument("--size", choices=("small", "large"), default="small")
    run.add_argument(
        "--full", action="store_true", help="89 epochs where 20 are the default"
    )
    run.add_argument(
        "--rounds", type=int, help="smoke tests only: rounds in place of the protocol's"
    )
    run.add_argument("--out", required=True, help="file of rows; those there are kept")
    run.set_defaults(do=run_command)
    tables = commands.add_parser("report", help="tables and plots from files of rows")
    tables.add_argument("files", nargs="+")
    tables.add_argument("--out", required=True, help="folder for the tables")
    tables.set_defaults(do=report_command)
    return parser


def main(arguments=None):
    """Run the command line; the exit status."""
    arguments = make_parser().parse_args(arguments)
    return arguments.do(arguments)


def run_command(a):
    writer = rows.Writer(a.out)
    check_smoke(rows.read(a.out), a)
    jobs = [job for job in all_jobs(a) if not writer.keys.issuperset(job.keys())]
    print(f"{len(jobs)} runs to do.", flush=True)
    runs = Parallel(a.jobs, return_as="generator_unordered")(
        delayed(attempt)(job) for job in jobs
    )
    n_failed = sum(keep(writer, *done) for done in runs)
    if a.protocol == "toy":
        draw_toy(a)
    return 1 if n_failed else 0


def all_jobs(a):
    """The jobs that the command line asks for, seed by seed."""
    protocols.check_protocol(a.protocol, a.condition, a.seeds)
    names = a.methods or protocols.default_methods(a.protocol, a.condition)
    methods.check_methods(names, a.condition, protocols.table_of(a.protocol))
    loss = a.loss or LOSSES[a.condition]
    shared = {"data_home": a.data_home, "device": a.device, "rounds": a.rounds}
    keys = protocols.protocol_keys(a.protocol, a.size, a.full, a.data_home)
    return [
        protocols.Job(key, a.condition, loss, name, seed, **shared)
        for seed in a.seeds
        for key in keys
        for name in names
    ]


def check_smoke(found, a):
    """Rows of smoke tests and of real runs do not share a file."""
    for row in found:
        rounds = row["params"].get("smoke", {}).get("rounds")
        if rounds != a.rounds:
            raise ValueError(
                f"{a.out} holds rows made with --rounds {rounds}, but --rounds is "
                f"{a.rounds}; give another file."
            )


def attempt(job):
    """The job with its rows, or with what went wrong."""
    try:
        return job, protocols.run(job), None
    except Exception:
        return job, [], traceback.format_exc()


def keep(writer, job, done, error):
    """Write the rows of a job and say so; whether it failed."""
    for row in done:
        writer.add(row)
    name = f"{job.protocol} {job.condition} {job.loss} {job.method} seed {job.seed}"
    if error:
        print(f"FAILED {name}\n{error}", file=sys.stderr, flush=True)
        return True
    found = " ".join(
        f"{row['learner']} {row['acsa']:.3f}/{row['gm']:.3f}" for row in done
    )
    print(f"{name}: {found}", flush=True)
    return False


def draw_toy(a):
    """The picture of the first seed, beside the rows."""
    job = protocols.Job(
        "toy",
        a.condition,
        a.loss or LOSSES[a.condition],
        "",
        a.seeds[0],
        device=a.device,
        rounds=a.rounds,
    )
    data = toy.make_toy(job.seed)
    panels = toy.fit_panels(protocols.split_settings(job, data), data)
    toy.plot(panels, data, Path(a.out).with_suffix(".png"))


def report_command(a):
    found = [row for file in a.files for row in rows.read(file)]
    if not found:
        raise ValueError(f"No rows in {', '.join(a.files)}.")
    report.write_reports(found, a.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
