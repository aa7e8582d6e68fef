"""What a sampler made of a table, as one HTML file that loads nothing."""

import hashlib
import platform
from html import escape
from importlib.metadata import version
from numbers import Real

import numpy as np
import torch

from ._columns import as_floats, categorical_mask

MAX_COLUMNS = 40
MAX_LEVELS = 8
N_BINS = 20
LIBRARIES = ("gamo_sampler", "torch", "scikit-learn", "imbalanced-learn", "pandas")
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-size: 14px; }
th, td { padding: .2rem .8rem .2rem 0; text-align: right; vertical-align: top;
  border-bottom: 1px solid #ddd; overflow-wrap: break-word; }
th:first-child, td:first-child, .parameters td { text-align: left; }
.parameters td { overflow-wrap: anywhere; }
pre { background: #f4f4f4; padding: .6rem; white-space: pre-wrap;
  overflow-wrap: anywhere; }
.panels { display: grid; gap: 1.2rem;
  grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); }
.pair { display: grid; gap: 1.2rem; grid-template-columns: 1fr 1fr; max-width: 44rem; }
figure { margin: 0; overflow: hidden; }
figcaption { font-weight: 600; overflow-wrap: anywhere; }
small { color: #555; font-weight: 400; display: block; }
svg { width: 100%; display: block; }
svg text { font-size: 11px; fill: #444; }
.real { fill: #9aa5b1; }
.generated { fill: #d9480f; fill-opacity: .3; stroke: #d9480f; stroke-width: 1.2; }
.key { display: inline-block; width: .9rem; height: .9rem; vertical-align: -2px;
  margin: 0 .3rem 0 1rem; }
"""
KEY = """<p><svg class="key"><rect class="real" width="100%" height="100%"/></svg>
real rows <svg class="key"><rect class="generated" width="100%" height="100%"/></svg>
generated rows; shares of the rows of each</p>"""
WARNING = """<p>Generated rows are weighted means of real rows, with categories of
theirs: mixing rows is not anonymisation. This page shows ranges and categories of the
real rows.</p>"""


def write_report(path, source, frame, target, sampler, command):
    """Write the report on `frame`, what `sampler` made of the file `source`.

    Its columns are those of `source`, with labels in the column `target`; generated
    rows are at its end. `command` is what makes it again.
    """
    n_real = sampler.provenance_.shape[1]
    body = [
        f"<h1>{escape(source.name)}, resampled</h1>",
        WARNING,
        "<h2>Rows by class</h2>",
        counts(frame[target], n_real),
        "<h2>Audit</h2>",
        "<p>How near generated rows are to copies of real ones.</p>",
        sampler.audit()._repr_html_(),
        *classes(frame, target, n_real),
        "<h2>To repeat it</h2>",
        repetition(source, sampler, command),
    ]
    title = f"<title>{escape(source.name)}, resampled</title>"
    page = "\n".join(body)
    path.write_text(
        f'<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8">{title}'
        f"<style>{STYLE}</style>\n<body>\n{page}\n</body></html>\n",
        encoding="utf-8",
    )


def table(lines, kind=""):
    """Rows of cells, the first of them a header."""
    head, *rest = [[escape(str(cell)) for cell in line] for line in lines]
    rows = ["".join(f"<th>{cell}</th>" for cell in head)]
    rows += ["".join(f"<td>{cell}</td>" for cell in line) for line in rest]
    inner = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<table class="{kind}">{inner}</table>'


def counts(labels, n_real):
    was, now = labels.iloc[:n_real].value_counts(), labels.value_counts()
    lines = [
        (label, was[label], now[label], now[label] - was[label]) for label in now.index
    ]
    return table([("class", "before", "after", "generated"), *lines])


def classes(frame, target, n_real):
    """A section for each class that was generated."""
    is_real = np.arange(len(frame)) < n_real
    if is_real.all():
        yield "<p>Nothing was generated: no class is below the size asked for.</p>"
    for label in frame[target][~is_real].unique():
        own = (frame[target] == label).to_numpy()
        rows = frame[own].drop(columns=target)
        n = int((own & is_real).sum())
        yield f"<h2>Columns of class {escape(str(label))}</h2>{KEY}"
        yield panels(rows, n)
        yield correlations(rows, n)


def panels(rows, n):
    """A picture of each column, of n real rows and the generated ones behind them."""
    categorical = categorical_mask(rows, "auto")
    shown = [
        panel(name, rows.iloc[:, i], n, bars if categorical[i] else histogram)
        for i, name in enumerate(rows.columns[:MAX_COLUMNS])
    ]
    return f'{limit(rows.shape[1])}<div class="panels">{"".join(shown)}</div>'


def limit(n):
    if n <= MAX_COLUMNS:
        return ""
    return f"<p>The first {MAX_COLUMNS} of {n} columns.</p>"


def panel(name, column, n, draw):
    gone = [part.isna().mean() for part in (column.iloc[:n], column.iloc[n:])]
    missing = f"missing: {gone[0]:.1%} and {gone[1]:.1%}" if any(gone) else ""
    return (
        f"<figure><figcaption>{escape(str(name))}<small>{missing}</small></figcaption>"
        f"{draw(column, n)}</figure>"
    )


def histogram(column, n):
    """Steps of both over the same bins, and the range below them."""
    values, _ = as_floats(column, column.name)
    present = values[~np.isnan(values)]
    if not len(present):
        return ""
    # From the least one on, as those far from 0 need not differ by a bin's width.
    values = values - present.min()
    width = np.nanmax(values)
    edges = np.linspace(0, width, N_BINS + 1 if width else 2)
    parts = [
        np.histogram(part, edges)[0] / len(part) for part in (values[:n], values[n:])
    ]
    top = max(map(np.max, parts))
    steps = [
        f'<path class="{kind}" d="{outline(shares / top)}"/>'
        for kind, shares in zip(("real", "generated"), parts, strict=True)
    ]
    return (
        f'<svg viewBox="0 0 200 118">{"".join(steps)}'
        f'<text x="0" y="114">{written(column.min())}</text>'
        f'<text x="200" y="114" text-anchor="end">{written(column.max())}</text></svg>'
    )


def outline(heights):
    """The path around bars of heights from 0 to 1, in 200 by 100."""
    x = np.linspace(0, 200, len(heights) + 1).round(1)
    y = (100 - 96 * heights).round(1)
    steps = "".join(
        f"H{right}V{y[i]}" if i < len(y) else f"H{right}"
        for i, right in enumerate(x[1:], start=1)
    )
    return f"M0 100V{y[0]}{steps}V100Z"


def bars(column, n):
    """Shares of the most frequent categories, a pair of bars for each."""
    levels = column.astype(object).where(column.notna(), "(missing)").map(str)
    parts = [
        part.value_counts(normalize=True) for part in (levels.iloc[:n], levels.iloc[n:])
    ]
    shown = levels.value_counts().index[:MAX_LEVELS]
    pairs = [[part.get(level, 0.0) for part in parts] for level in shown]
    top = max(map(max, pairs))
    lines = "".join(
        pair_of_bars(14 * i, level, pair, top)
        for i, (level, pair) in enumerate(zip(shown, pairs, strict=True))
    )
    more = levels.nunique() - len(shown)
    note = f"<small>and {more} more</small>" if more else ""
    return f'<svg viewBox="0 0 200 {14 * len(shown)}">{lines}</svg>{note}'


def pair_of_bars(y, level, shares, top):
    name = level if len(level) <= 14 else level[:13] + "\N{HORIZONTAL ELLIPSIS}"
    real, generated = (
        f'y="{y + 2}" width="{110 * share / top:.1f}" height="10"' for share in shares
    )
    title = f"{level}: {shares[0]:.1%} and {shares[1]:.1%}"
    return (
        f'<g><title>{escape(title)}</title><text x="84" y="{y + 11}" '
        f'text-anchor="end">{escape(name)}</text>'
        f'<rect class="real" x="90" {real}/>'
        f'<rect class="generated" x="90" {generated}/></g>'
    )


def written(value):
    """A number, or a date to the minute."""
    if isinstance(value, Real):
        return f"{value:.4g}"
    return escape(str(value).removesuffix(" 00:00:00")[:16])


def correlations(rows, n):
    """Matrices of the columns of numbers, side by side, and how far they differ."""
    places = np.flatnonzero(~categorical_mask(rows, "auto"))[:MAX_COLUMNS]
    names = rows.columns[places].map(str)
    columns = {i: as_floats(rows.iloc[:, i], i)[0] for i in places}
    numbers = type(rows)(columns)
    if len(places) < 2:
        return ""
    real, generated = (part.corr().to_numpy() for part in (numbers[:n], numbers[n:]))
    apart = np.abs(real - generated)
    note = ""
    if not np.isnan(apart).all():
        i, j = np.unravel_index(np.nanargmax(apart), apart.shape)
        note = (
            f"They differ most for {names[i]} and {names[j]}: {real[i, j]:.2f} and "
            f"{generated[i, j]:.2f}."
        )
    pictures = "".join(
        f"<figure><figcaption>{title}</figcaption>{heatmap(matrix, names)}</figure>"
        for title, matrix in (("real rows", real), ("generated rows", generated))
    )
    return (
        "<h3>Correlations</h3><p>Blue is -1, white 0, red 1, grey where a column is "
        f"constant, in the order of the columns above, whose names show under the "
        f'pointer. {escape(note)}</p><div class="pair">{pictures}</div>'
    )


def heatmap(matrix, names):
    """A square for each pair of columns, whose names show under the pointer."""
    size = 200 / len(matrix)
    cells = "".join(
        f'<rect x="{j * size:.2f}" y="{i * size:.2f}" width="{size:.2f}" '
        f'height="{size:.2f}" fill="{colour(value)}"><title>{escape(names[i])}, '
        f"{escape(names[j])}: {value:.2f}</title></rect>"
        for (i, j), value in np.ndenumerate(matrix)
    )
    return f'<svg viewBox="0 0 200 200" shape-rendering="crispEdges">{cells}</svg>'


def colour(value):
    """From blue at -1 over white to red at 1."""
    if np.isnan(value):
        return "#ccc"
    faded = round(255 * (1 - abs(value)))
    red, blue = (255, faded) if value > 0 else (faded, 255)
    return f"rgb({red},{faded},{blue})"


def repetition(source, sampler, command):
    """The command, the file it was run on, and all that the result depends on."""
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    versions = [(name, version(name)) for name in LIBRARIES]
    versions.append(("Python", platform.python_version()))
    facts = [
        ("", ""),
        ("seed", sampler.random_state),
        (f"SHA-256 of {source.name}", digest),
        ("trained on", sampler.device_),
        ("threads of torch, on which the last bits depend", torch.get_num_threads()),
        *versions,
    ]
    parameters = [("parameter", "value"), *sorted(sampler.get_params().items())]
    return (
        f"<pre>{escape(command)}</pre>{table(facts, 'parameters')}"
        "<details><summary>All parameters of GAMOSampler</summary>"
        f"{table(parameters, 'parameters')}</details>"
    )
