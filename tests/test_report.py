"""The report: what it shows, and that names cannot break it."""

import hashlib
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from gamo_sampler import GAMOSampler
from gamo_sampler._report import (
    MAX_COLUMNS,
    bars,
    colour,
    correlations,
    histogram,
    outline,
    panels,
    write_report,
    written,
)

EVIL = "<script>alert('x')</script>&"


@pytest.fixture
def made(tmp_path):
    """A table with names that are HTML, its resampling, and the page on it."""
    rng = np.random.default_rng(0)
    n = 60
    frame = pd.DataFrame(
        {
            EVIL: rng.normal(size=n),
            "level": rng.choice(["<i>low</i>", "high"], n),
            "size": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
            "seen": pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(n), "D"),
            "class": np.where(np.arange(n) < 45, "common", "<rare>"),
        }
    )
    source = tmp_path / "<b>.csv"
    frame.to_csv(source, index=False)
    sampler = GAMOSampler(missing="propagate", random_state=4)
    X, y = sampler.fit_resample(frame.drop(columns="class"), frame["class"])
    page = tmp_path / "report.html"
    write_report(page, source, X.assign(**{"class": y}), "class", sampler, "again '<'")
    return sampler, source, page.read_text(encoding="utf-8")


class Tags(HTMLParser):
    """The tags that a browser would see, and those left open."""

    def __init__(self, page):
        super().__init__()
        self.names, self.open, self.links = set(), [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.names.add(tag)
        self.links += [v for k, v in attributes if k in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_names_are_escaped_and_nothing_is_loaded(made):
    _, _, page = made
    tags = Tags(page)
    assert not tags.open
    assert not tags.names & {"script", "i", "b", "rare", "link", "img", "iframe"}
    assert not tags.links
    assert "url(" not in page
    assert "&lt;script&gt;" in page
    assert "&lt;i&gt;low" in page


def test_it_holds_counts_audit_and_warning(made):
    sampler, _, page = made
    assert "<td>&lt;rare&gt;</td><td>15</td><td>45</td><td>30</td>" in page
    assert "<td>common</td><td>45</td><td>45</td><td>0</td>" in page
    assert sampler.audit()._repr_html_() in page
    assert "mixing rows is not anonymisation" in re.sub(r"\s+", " ", page)


def test_it_holds_what_repeats_it(made):
    sampler, source, page = made
    assert "<pre>again &#x27;&lt;&#x27;</pre>" in page
    assert "<td>seed</td><td>4</td>" in page
    assert hashlib.sha256(source.read_bytes()).hexdigest() in page
    for name, value in sampler.get_params().items():
        assert f"<td>{name}</td><td>{value}</td>" in page
    assert f"<td>pandas</td><td>{pd.__version__}</td>" in page


def test_columns_of_the_generated_class_alone(made):
    _, _, page = made
    assert "Columns of class &lt;rare&gt;" in page
    assert "Columns of class common" not in page
    assert page.count("<figcaption>") == 4 + 2
    assert "missing: " in page
    assert page.count("2020-02-15") == 1  # the first day of the class


def test_histogram_has_shares_of_each():
    column = pd.Series([0.0, 0.0, 1.0, 1.0, *[0.0] * 6], name="x")
    real, generated = re.findall(r'd="([^"]*)"', histogram(column, 4))
    # Half of the real rows in the first and the last bin, all generated in the first.
    assert real.startswith("M0 100V52.0H10.0V100.0H")
    assert real.endswith("V52.0H200.0V100Z")
    assert generated.startswith("M0 100V4.0H10.0V100.0H")
    assert generated.endswith("V100.0H200.0V100Z")


def test_a_column_without_values_has_no_picture():
    assert histogram(pd.Series([np.nan, np.nan]), 1) == ""
    assert "<svg" in histogram(pd.Series([np.nan, 1.0]), 1)


def test_histogram_of_a_narrow_column():
    picture = histogram(pd.Series([1e17, 1e17 + 16] * 3, name="x"), 2)
    real, generated = re.findall(r'd="([^"]*)"', picture)
    assert real == generated  # half of the rows at each end, in both
    assert real.startswith("M0 100V4.0H")
    assert real.endswith("V4.0H200.0V100Z")


def test_a_constant_is_one_bar():
    picture = histogram(pd.Series([1e17] * 6, name="x"), 2)
    assert picture.count('d="M0 100V4.0H200.0V100Z"') == 2


def test_outline_is_closed_at_the_bottom():
    assert outline(np.array([1.0, 0.5])) == "M0 100V4.0H100.0V52.0H200.0V100Z"


def test_bars_have_the_most_frequent_levels_and_missing_ones():
    column = pd.Series([*"aaab", None, *"aabbb"])
    picture = bars(column, 5)
    assert "<title>a: 60.0% and 40.0%</title>" in picture
    assert "<title>(missing): 20.0% and 0.0%</title>" in picture
    many = bars(pd.Series(list("abcdefghijkl")), 6)
    assert many.count("<title>") == 8
    assert "and 4 more" in many


def test_long_levels_are_cut():
    picture = bars(pd.Series(["x" * 40, "y"]), 1)
    assert f"<title>{'x' * 40}: 100.0%" in picture
    assert f">{'x' * 13}\N{HORIZONTAL ELLIPSIS}</text>" in picture


def test_correlations_of_both(made):
    rng = np.random.default_rng(0)
    a = rng.normal(size=40)
    b = np.where(np.arange(40) < 20, a, -a)  # turned round in the generated rows
    frame = pd.DataFrame({"a": a, "word": "w", "b": b, "c": 1.0})
    text = correlations(frame, 20)
    assert "They differ most for a and b: 1.00 and -1.00." in text
    assert text.count("<rect") == 2 * 9
    assert "<title>a, b: -1.00</title>" in text
    assert "<title>a, c: nan</title>" in text
    assert correlations(frame[["a", "word"]], 20) == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1.0, "rgb(255,0,0)"),
        (0.0, "rgb(255,255,255)"),
        (-1.0, "rgb(0,0,255)"),
        (np.nan, "#ccc"),
    ],
)
def test_colours(value, shown):
    assert colour(value) == shown


def test_many_columns_are_cut_and_said():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(6, MAX_COLUMNS + 5)))
    shown = panels(frame, 3)
    assert f"The first {MAX_COLUMNS} of {MAX_COLUMNS + 5} columns." in shown
    assert shown.count("<figure>") == MAX_COLUMNS


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12345.678, "1.235e+04"),
        (np.int64(12), "12"),
        (pd.Timestamp("2020-02-03"), "2020-02-03"),
        (pd.Timestamp("2020-02-03 04:05:06.7"), "2020-02-03 04:05"),
    ],
)
def test_ends_of_the_axis(value, text):
    assert written(value) == text
