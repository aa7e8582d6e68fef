"""What the measures of a game tell at its end, in words, with what to do about it."""

from dataclasses import dataclass

from scipy.special import bdtr

from ._audit import COPY_WEIGHT

# Ordinary games stayed on the other side of these, with room to spare.
COPIES = 0.9  # share of a class's generated rows
FEW_ROWS = 0.02  # of a class's rows, and
FEWEST_ROWS = 2  # at least so many rows, of
MANY_ROWS = 10  # or more
SURE = 0.98  # D's accuracy on either kind of row
N_EPOCHS = 5  # in all of which D is as sure, or a player does not learn
STILL = 1e-12  # norm of a gradient, while
LOSS = 0.01  # there would be this to learn from
LEARNED = 0.7  # recall of a class that M has learned, with the
CHANCE = 0.01  # that it finds so few held-out rows nevertheless


@dataclass
class Outcome:
    """What is known of a game at its end."""

    history: list  # of dict
    by_class: dict  # of lists: what was measured last, by name
    labels: list  # (c,) of the classes
    n_real: list  # (c,) rows that M learned from
    generated: list  # (g,) positions of the classes that are generated
    smallest: list  # (g,) rows of each one's smallest cell
    bounded: bool  # whether rows given out have bounds on their weights
    held_out: dict  # by label, the numbers of rows held out and found

    def named(self, values):
        """Values by label, where there is any, for a message."""
        return ", ".join(f"class {self.labels[i]} ({v})" for i, v in values.items())


def diagnose(outcome):
    """Messages on what went wrong, one of a kind."""
    found = (kind(outcome) for kind in (copies, few_rows, sure, still, memorised))
    return [message for message in found if message]


def copies(outcome):
    """But for classes of which all rows are copies, of which other warnings tell."""
    shares = outcome.by_class.get("near_copies", [])
    classes = zip(outcome.generated, shares, outcome.smallest, strict=False)
    found = {i: f"{s:.0%}" for i, s, size in classes if s > COPIES and size > 1}
    if found and not outcome.bounded:
        return (
            "G makes near copies, rows with a weight above "
            f"{COPY_WEIGHT} on a single real one: of {outcome.named(found)}. Lower "
            "learning_rate or max_rounds, or take neighborhood='class', with which G "
            "cannot choose to copy."
        )


def few_rows(outcome):
    """As many rows as would be used as much if all were used alike."""
    found = {}
    coverage = outcome.by_class.get("coverage", [])
    for i, share in zip(outcome.generated, coverage, strict=False):
        n = outcome.n_real[i]
        if n >= MANY_ROWS and share * n < max(FEWEST_ROWS, FEW_ROWS * n):
            found[i] = f"{share * n:.1f} of {n}"
    if found:
        return (
            "G collapsed to few rows: what it generates is made of as good as so many "
            f"real rows of {outcome.named(found)}. Lower learning_rate or max_rounds, "
            "play with a discriminator, or take neighborhood='class', with which every "
            "row takes part."
        )


def sure(outcome):
    """D tells all rows apart."""
    names = ("d_accuracy_real", "d_accuracy_generated")
    last = [[record.get(name, 0) for name in names] for record in _last(outcome)]
    if last and min(map(min, last)) >= SURE:
        real, generated = last[-1]
        return (
            f"D is saturated: in the last {N_EPOCHS} epochs it told nearly all rows "
            f"apart ({real:.0%} of real, {generated:.0%} of generated ones at the end),"
            " and G does not learn to deceive it. Take more discriminator_weight or "
            "label_smoothing, a smaller discriminator, or a lower learning_rate."
        )


def still(outcome):
    """M or D has something to learn, but no gradient to learn it by."""
    found = [
        name
        for name, letter in (("classifier", "m"), ("discriminator", "d"))
        if _last(outcome)
        and all(_is_still(record, letter) for record in _last(outcome))
    ]
    if found:
        return (
            f"The {' and the '.join(found)} no longer learned in the last {N_EPOCHS} "
            "epochs: the gradient was 0, though the loss was not. Lower learning_rate, "
            "and look for extreme values in X."
        )


def memorised(outcome):
    """M finds all rows that it learned from, and few of those held out."""
    found = {}
    recalls = outcome.by_class.get("recall", [])
    for i, recall in enumerate(recalls):
        n, right = outcome.held_out.get(outcome.labels[i], (0, 0))
        if recall == 1 and bdtr(right, n, LEARNED) < CHANCE:
            found[i] = f"all {outcome.n_real[i]} learned from, {right} of {n} held out"
    if found:
        return (
            f"M memorised rows, going by those it finds: {outcome.named(found)}. Take "
            "mixup, smaller hidden_layer_sizes or a lower n_iter_no_change; of a rare "
            "class only more rows may help."
        )


def _last(outcome):
    """The last records, none where there are not twice as many: a game has a start."""
    enough = len(outcome.history) >= 2 * N_EPOCHS
    return outcome.history[-N_EPOCHS:] if enough else []


def _is_still(record, letter):
    losses = [record.get(f"{letter}_{kind}", 0) for kind in ("real", "generated")]
    return record.get(f"{letter}_grad_norm", 1) < STILL and max(losses) > LOSS
