"""Errors that a user can mend: one line that says what is wrong, where, and what to do about it."""

from __future__ import annotations

EXIT_OK, EXIT_ERROR, EXIT_USAGE, EXIT_NOTHING_USABLE, EXIT_PREEMPTED = 0, 1, 2, 3, 75


def printable(text: str) -> str:
    """The text on one line that any terminal and any file takes: what cannot be shown becomes an escape (`\\n`)."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class UserError(Exception):
    """Something outside the program is wrong: a file, a subject, a setting.

    Printed by the launchers as `error: WHAT (WHERE): MEND`; `exit_code` is the process's status.
    """

    exit_code = EXIT_ERROR

    def __init__(self, what: str, where: object, mend: str):
        self.what, self.mend = (printable(" ".join(text.split())) for text in (what, mend))
        self.where = printable(str(where))
        super().__init__(f"{self.what} ({self.where}): {self.mend}")


class DataError(UserError):
    """A file or a subject that cannot be used; a batch quarantines it and goes on."""


class ConfigError(UserError):
    """A setting or a flag that is wrong; all wrong ones are reported at once."""

    exit_code = EXIT_USAGE


class NothingUsableError(UserError):
    """The input held nothing that could be used."""

    exit_code = EXIT_NOTHING_USABLE


class Preempted(UserError):
    """The machine asked the process to stop; the state is saved and the same command goes on."""

    exit_code = EXIT_PREEMPTED
