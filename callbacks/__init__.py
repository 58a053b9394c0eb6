"""Instruments for `model.fit`: each hears what training says and answers with findings."""

if __name__ != "kcnn.callbacks":
    raise ImportError(
        "This folder is the package kcnn.callbacks; importing it as "
        f"{__name__!r} would define every class twice. Use `import kcnn.callbacks`."
    )

__all__: list[str] = []
