"""One root cause of a training that fails: what it is, how it shows, how it is mended."""

import dataclasses

__all__ = ["Cause"]


@dataclasses.dataclass(frozen=True)
class Cause:
    """A label of a diagnosis.

    Args:
        family: `"head"`, `"body"`, `"optimizer"`, `"protocol"`, `"data"` or `"labels"`.
        label: What findings carry as `cause`.
        meaning: One sentence.
        shows: What one sees in a training that has it.
        why: What goes on underneath.
        confirm: How to make sure by hand.
        mend: The mended line, Python.
        source: Where it is described: a paper, or the documentation of Keras.

    >>> kcnn.callbacks.causes.CAUSES["lr_too_low"].meaning
    'The step is too small.'
    """

    family: str
    label: str
    meaning: str
    shows: str
    why: str
    confirm: str
    mend: str
    source: str = ""

    def markdown(self) -> str:
        """The cause as a page."""
        parts = [
            f"# `{self.label}`",
            self.meaning,
            f"**How it shows.** {self.shows}",
            f"**Why.** {self.why}",
            f"**How to make sure.** {self.confirm}",
            f"**The mended line.**\n\n```python\n{self.mend}\n```",
        ]
        if self.source:
            parts.append(f"Source: {self.source}")
        return "\n\n".join(parts) + "\n"
