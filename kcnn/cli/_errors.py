"""Errors as one or two lines on the terminal, exit code 2, no traceback."""

import click

__all__ = ["Friendly"]


class Friendly(click.Group):
    """A group whose commands end with a line instead of a traceback.

    Wrong data, settings or models are ValueErrors of kcnn, and what the disk refuses is an
    OSError: both carry a message for people. Anything else is a fault of ours and keeps its
    traceback, as does everything under `--debug`.
    """

    def invoke(self, ctx: click.Context):
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            if ctx.params.get("debug"):
                raise
            fail("Interrupted.")
        except (ValueError, OSError) as error:
            if ctx.params.get("debug"):
                raise
            fail(describe(error))


def describe(error: Exception) -> str:
    """The message of an error, with the file an OSError is about."""
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror}{where}."
    return str(error) or type(error).__name__


def fail(message: str) -> None:
    """Print the message on standard error and end with exit code 2."""
    click.echo(f"kcnn: {message}", err=True)
    raise SystemExit(2)
