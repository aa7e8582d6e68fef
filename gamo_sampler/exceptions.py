"""Warnings and errors that training gives."""

__all__ = ["NotFiniteError", "TrainingWarning"]


class NotFiniteError(ValueError):
    """A player's losses, weights or outputs are not finite."""


class TrainingWarning(UserWarning):
    """Training went on to its end, but something in it went wrong.

    See Also
    --------
    GAMOClassifier : `history_` has the measures that the warnings are about.
    """
