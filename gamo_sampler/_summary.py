"""The fitted game's summary, within scikit-learn's HTML representation."""

from html import escape

from ._game import LOSSES
from ._stored import require

BY_CLASS = {
    "n_real": "real rows",
    "n_generated": "generated rows",
    "effective_sources": "effective sources of a row",
    "recall": "M's recall",
}


class SummaryMixin:
    """For estimators in whose HTML representation the game is summed up.

    `_played` is the estimator that has played it.
    """

    def _get_params_html(self, *args, **kwargs):
        # What every diagram asks an estimator for, that of a pipeline too.
        params = super()._get_params_html(*args, **kwargs)
        played = self._played
        if getattr(played, "_is_trained", False) and getattr(played, "_summary", None):
            shown = params._html_repr() + summary(played)
            params._html_repr = lambda: shown
        return params

    @property
    def _played(self):
        return self


def summed_up(outcome, n_generated, messages):
    """What is kept of a game's `Outcome` for the summary, by class or in words."""
    n_classes = len(outcome.labels)
    sources = dict(
        zip(
            outcome.generated,
            outcome.by_class.get("effective_sources", []),
            strict=False,
        )
    )
    return {
        "n_real": outcome.n_real,
        "n_generated": n_generated,
        "effective_sources": [sources.get(i) for i in range(n_classes)],
        "recall": outcome.by_class.get("recall", [None] * n_classes),
        "messages": messages,
    }


def check_summary(kept, n_classes):
    """That what was read is what `summed_up` returns of so many classes."""
    columns = [kept.get(name) for name in BY_CLASS] if kept else []
    fits = all(type(own) is list and len(own) == n_classes for own in columns)
    fits = fits and type(kept.get("messages", [])) is list
    require(fits, "the summary of the game is not of its classes.")


def summary(played):
    """HTML of the game that an estimator has played."""
    last = played.history_[-1] if played.history_ else {}
    facts = [
        ("epochs", played.n_iter_),
        ("rounds", played.n_rounds_),
        ("device", played.device_),
        *(
            (f"last loss {name}", _written(last[name]))
            for name in LOSSES
            if name in last
        ),
    ]
    messages = played._summary["messages"]
    warned = "".join(f"<li>{escape(str(message))}</li>" for message in messages)
    warned = f'<ul style="white-space: normal">{warned}</ul>' if warned else ""
    return (
        '<div class="estimator-table"><details><summary>Game</summary>'
        f"{_table(facts)}{_table(_classes(played), ('class', *BY_CLASS.values()))}"
        f"<p>{'Warnings:' if warned else 'No warnings.'}</p>{warned}</details></div>"
    )


def _classes(played):
    """Lines of the table of classes."""
    kept = played._summary
    return [
        (label, *(_written(kept[name][i]) for name in BY_CLASS))
        for i, label in enumerate(played.classes_)
    ]


def _written(value):
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _table(lines, header=()):
    """HTML of a table that scrolls where it is long."""
    head = "".join(f'<th scope="col">{escape(str(cell))}</th>' for cell in header)
    head = f"<thead><tr>{head}</tr></thead>" if head else ""
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in line)}</tr>"
        for line in lines
    )
    return (
        '<div style="max-height: 20em; overflow: auto" tabindex="0">'
        f'<table class="parameters-table">{head}<tbody>{rows}</tbody></table></div>'
    )
