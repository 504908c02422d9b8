"""What every launcher shares: flags, exit codes, and errors as one line on stderr."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence

from absl import app, flags, logging

from semiqc_jax.errors import EXIT_ERROR, EXIT_OK, EXIT_USAGE, UserError

_DEBUG = flags.DEFINE_bool("debug", False, "Print the traceback of an error.")


def run_main(main: Callable[[], object]) -> None:
    """Parse the flags, call `main()` and exit: the only entry point of a launcher.

    Exit codes: 0, or the integer that `main` returns; a `UserError`'s own; 2 for wrong flags; 1 for anything
    unexpected. Errors are one line, `error: WHAT (WHERE): MEND`; `--debug` adds the traceback.
    """
    logging.set_verbosity(logging.ERROR)  # Orbax warns of what is no fault
    app.run(lambda argv: _guarded(main), flags_parser=_parse)


def _parse(argv: Sequence[str]) -> list[str]:
    help_line = f"python {argv[0]} --helpshort lists the flags"
    try:
        rest = flags.FLAGS(argv)
    except UserError as error:
        _fail(str(error), error.exit_code)
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        _fail(f"{_one_line(error)} (command line): {help_line}", EXIT_USAGE)
    if len(rest) > 1:
        _fail(f"unexpected {' '.join(rest[1:])!r} (command line): {help_line}", EXIT_USAGE)
    return rest


def _guarded(main: Callable[[], object]) -> int:
    try:
        code = main()
    except UserError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("stopped (keyboard): run the same command again", EXIT_ERROR)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__}: {_one_line(error)} ({frame.filename}, line {frame.lineno})"
        _fail(f"{what}: this is a bug, run again with --debug and report it", EXIT_ERROR)
    return code if isinstance(code, int) else EXIT_OK


def _fail(message: str, exit_code: int) -> None:
    if _DEBUG.value if flags.FLAGS.is_parsed() else "--debug" in sys.argv:
        traceback.print_exc()
    print(f"error: {message}", file=sys.stderr)
    sys.exit(exit_code)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
