"""The part of pickle that `torch.save` needs for tensors in dictionaries, as data alone.

A pickle is a program for a stack machine. This machine knows dictionaries, lists, tuples,
numbers, strings and tensors, imports nothing and calls nothing. Each step takes at least one
byte of the file and makes at most one small object, nothing is ever hashed, compared or printed
but strings and numbers, so time and memory stay in proportion to the file, however it is nested.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from kcnn.models._torch_record import DTYPES, Storage, is_whole, tensor_record

__all__ = ["load_pickle"]

MOST_STEPS = 1 << 20  # a tensor takes about 30, so this is 35,000 tensors
MOST_TEXT = 1 << 16  # bytes of one string; names of layers have a hundred
_MARK = object()


@dataclass(frozen=True)
class _Name:
    """A name of another module: known, never imported."""

    name: str


_KNOWN = {
    "collections.OrderedDict",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
    *(f"torch.{kind}" for kind in DTYPES),
}


def load_pickle(file: BinaryIO, storages: dict[str, Storage] | None = None) -> Any:
    """The next pickle of `file`; the storages that it refers to are added to `storages`.

    Raises ValueError for anything but the kinds named above, EOFError where the file ends within.
    """
    return _Machine(file, {} if storages is None else storages).run()


def _refuse(what: str) -> ValueError:
    return ValueError(f"{what}; only tensors in dictionaries are read, nothing is run")


class _Machine:
    def __init__(self, file: BinaryIO, storages: dict[str, Storage]):
        self.file, self.storages = file, storages
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        for _ in range(MOST_STEPS):
            code = self.read(1)
            if code == b".":
                return self.pop()
            step = _STEPS.get(code)
            if step is None:
                raise _refuse(f"it holds the pickle operation {code!r}")
            step(self)
        raise ValueError(f"its pickle has more than {MOST_STEPS} steps")

    # --- the file and the stack

    def read(self, count: int) -> bytes:
        data = self.file.read(count)
        if len(data) != count:
            raise EOFError("it ends too early")
        return data

    def unsigned(self, count: int) -> int:
        return int.from_bytes(self.read(count), "little")

    def text(self, length: int) -> str:
        if length > MOST_TEXT:
            raise ValueError(f"its pickle has a string of {length} bytes")
        return self.read(length).decode("utf-8")

    def line(self) -> str:
        data = self.file.readline(MOST_TEXT)
        if not data.endswith(b"\n"):
            raise EOFError("a name without an end")
        return data[:-1].decode("ascii")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise ValueError("its pickle takes more than it made")
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        taken = []
        while self.stack and self.stack[-1] is not _MARK:
            taken.append(self.stack.pop())
        if not self.stack:
            raise ValueError("its pickle takes more than it made")
        self.stack.pop()
        return taken[::-1]

    def top(self, kind: type) -> Any:
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise ValueError(f"its pickle fills what is no {kind.__name__}")
        return self.stack[-1]

    # --- the steps that do more than push

    def set_items(self, items: list[Any]) -> None:
        target = self.top(dict)
        if len(items) % 2:
            raise ValueError("its pickle has a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, (str, int)):
                raise ValueError(f"its dictionaries have keys of type {type(key).__name__}")
            target[key] = value

    def name(self, module: str, name: str) -> None:
        if f"{module}.{name}" not in _KNOWN:
            raise _refuse(f"it asks for {module[:80]}.{name[:80]}")
        self.push(_Name(f"{module}.{name}"))

    def name_from_stack(self) -> None:
        name, module = self.pop(), self.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise ValueError("its pickle names what is no text")
        self.name(module, name)

    def remember(self, number: int) -> None:
        self.push(value := self.pop())
        self.memo[number] = value

    def recall(self, number: int) -> None:
        if number not in self.memo:
            raise ValueError("its pickle refers to what it never made")
        self.push(self.memo[number])

    def call(self) -> None:
        """`REDUCE`: a tensor of its parts, a parameter of its tensor, an empty dictionary."""
        arguments, function = self.pop(), self.pop()
        if not (isinstance(function, _Name) and isinstance(arguments, tuple)):
            raise _refuse("it calls what is no function")
        if function.name == "collections.OrderedDict" and not arguments:
            self.push({})
        elif function.name.endswith("_rebuild_tensor_v2"):
            self.push(tensor_record(arguments))
        elif function.name.endswith("_rebuild_parameter") and arguments:
            self.push(arguments[0])
        else:
            raise _refuse(f"it calls {function.name} in another way than torch.save")

    def build(self) -> None:
        """Attributes of a dictionary (PyTorch keeps versions of layers there) are dropped."""
        self.pop()
        self.top(dict)

    def refer(self) -> None:
        """A storage by its persistent id."""
        pid = self.pop()
        if not isinstance(pid, tuple) or len(pid) not in (5, 6) or pid[0] != "storage":
            raise ValueError("it refers to what is no tensor's storage")
        kind, key, length = pid[1], pid[2], pid[4]
        if not isinstance(kind, _Name) or kind.name.removeprefix("torch.") not in DTYPES:
            raise ValueError("it refers to a storage of no known type")
        if not isinstance(key, str) or not is_whole(length) or pid[5:] not in ((), (None,)):
            raise ValueError("it refers to what is no tensor's storage")
        storage = Storage(kind.name.removeprefix("torch."), key, length)
        self.push(self.storages.setdefault(key, storage))


def _tuple_of(count: int) -> Callable[[_Machine], None]:
    def step(machine: _Machine) -> None:
        machine.push(tuple([machine.pop() for _ in range(count)][::-1]))

    return step


_STEPS: dict[bytes, Callable[[_Machine], Any]] = {
    # numbers, strings and constants
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"J": lambda m: m.push(struct.unpack("<i", m.read(4))[0]),
    b"K": lambda m: m.push(m.unsigned(1)),
    b"M": lambda m: m.push(m.unsigned(2)),
    b"\x8a": lambda m: m.push(int.from_bytes(m.read(m.unsigned(1)), "little", signed=True)),
    b"G": lambda m: m.push(struct.unpack(">d", m.read(8))[0]),
    b"X": lambda m: m.push(m.text(m.unsigned(4))),
    b"\x8c": lambda m: m.push(m.text(m.unsigned(1))),
    b"U": lambda m: m.push(m.text(m.unsigned(1))),  # of Python 2
    b"T": lambda m: m.push(m.text(m.unsigned(4))),
    # containers
    b"}": lambda m: m.push({}),
    b"]": lambda m: m.push([]),
    b")": lambda m: m.push(()),
    b"(": lambda m: m.push(_MARK),
    b"t": lambda m: m.push(tuple(m.pop_to_mark())),
    b"\x85": _tuple_of(1),
    b"\x86": _tuple_of(2),
    b"\x87": _tuple_of(3),
    b"a": lambda m: (value := m.pop(), m.top(list).append(value)),
    b"e": lambda m: (values := m.pop_to_mark(), m.top(list).extend(values)),
    b"s": lambda m: m.set_items([m.pop(), m.pop()][::-1]),
    b"u": lambda m: m.set_items(m.pop_to_mark()),
    # what was made before
    b"q": lambda m: m.remember(m.unsigned(1)),
    b"r": lambda m: m.remember(m.unsigned(4)),
    b"\x94": lambda m: m.remember(len(m.memo)),
    b"h": lambda m: m.recall(m.unsigned(1)),
    b"j": lambda m: m.recall(m.unsigned(4)),
    # names, calls, storages
    b"c": lambda m: m.name(m.line(), m.line()),
    b"\x93": _Machine.name_from_stack,
    b"R": _Machine.call,
    b"b": _Machine.build,
    b"Q": _Machine.refer,
    # protocol and frames
    b"\x80": lambda m: m.read(1),
    b"\x95": lambda m: m.read(8),
}
