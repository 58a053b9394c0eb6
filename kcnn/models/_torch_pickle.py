"""The part of pickle that `torch.save` needs for tensors in dictionaries, as data alone.

A pickle is a program for a stack machine. This machine knows dictionaries, lists, tuples,
numbers, strings and tensors, imports nothing and calls nothing. Each step takes at least one
byte of the file and makes at most one small object, nothing is ever hashed, compared or printed
but strings and numbers, so time and memory stay in proportion to the file, however it is nested.
The file must not give out more than it has, so a large one comes by `mmap`.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["DTYPES", "Storage", "TensorRecord", "load_pickle"]

DTYPES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "u2",  # widened to float32 when read
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
MOST_AXES = 32  # of a tensor
MOST_STEPS = 1 << 20  # a tensor takes about 30, so this is 35,000 tensors
_MARK = object()


@dataclass(frozen=True)
class Storage:
    """Numbers in a row somewhere else in the file."""

    kind: str
    key: str
    length: int


@dataclass(frozen=True)
class TensorRecord:
    """A view of a storage."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


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


def load_pickle(file: Any, storages: dict[str, Storage] | None = None) -> Any:
    """The next pickle of `file`; the storages that it refers to are added to `storages`.

    Raises ValueError for anything but the kinds named above, or where the file ends within.
    """
    machine = _Machine({} if storages is None else storages)
    for count, (code, argument, _) in enumerate(pickletools.genops(file)):
        if count >= MOST_STEPS:
            raise ValueError(f"its pickle has more than {MOST_STEPS} steps")
        if code.name in _LITERALS:
            machine.push(_LITERALS[code.name] if argument is None else argument)
        elif code.name not in _STEPS:
            raise _refuse(f"it holds the pickle operation {code.name}")
        else:
            _STEPS[code.name](machine, *([] if code.arg is None else [argument]))
    return machine.pop()


def _refuse(what: str) -> ValueError:
    return ValueError(f"{what}; only tensors in dictionaries are read, nothing is run")


def is_whole(value: Any) -> bool:
    return type(value) is int and value >= 0


def tensor_record(arguments: tuple[Any, ...]) -> TensorRecord:
    """The arguments of torch's `_rebuild_tensor_v2`, each of its type."""
    if len(arguments) < 4 or not isinstance(arguments[0], Storage):
        raise ValueError("a tensor without a storage")
    storage, offset, size, stride = arguments[:4]
    for name, axes in (("size", size), ("stride", stride)):
        if not isinstance(axes, tuple) or len(axes) > MOST_AXES:
            raise ValueError(f"a tensor whose {name} is no tuple of at most {MOST_AXES} numbers")
    if len(size) != len(stride) or not all(map(is_whole, (offset, *size, *stride))):
        numbers = all(type(n) is int for n in (*size, *stride))
        seen = f"{size} with strides {stride}" if numbers else "that are no numbers"
        raise ValueError(f"a tensor of size {seen}"[:300])
    return TensorRecord(storage, offset, size, stride)


class _Machine:
    def __init__(self, storages: dict[str, Storage]):
        self.storages = storages
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

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

    def name(self, name: str) -> None:
        if name not in _KNOWN:
            raise _refuse(f"it asks for {name[:160]}")
        self.push(_Name(name))

    def name_from_stack(self) -> None:
        name, module = self.pop(), self.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise ValueError("its pickle names what is no text")
        self.name(f"{module}.{name}")

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


# What pushes its argument or, where it has none, this value.
_LITERALS = {
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "NONE")),
    **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE", "BINSTRING", "SHORT_BINSTRING")),
    "NEWTRUE": True,
    "NEWFALSE": False,
}
_STEPS: dict[str, Callable[..., Any]] = {
    "EMPTY_DICT": lambda m: m.push({}),
    "EMPTY_LIST": lambda m: m.push([]),
    "EMPTY_TUPLE": lambda m: m.push(()),
    "MARK": lambda m: m.push(_MARK),
    "TUPLE": lambda m: m.push(tuple(m.pop_to_mark())),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "APPEND": lambda m: (value := m.pop(), m.top(list).append(value)),
    "APPENDS": lambda m: (values := m.pop_to_mark(), m.top(list).extend(values)),
    "SETITEM": lambda m: m.set_items([m.pop(), m.pop()][::-1]),
    "SETITEMS": lambda m: m.set_items(m.pop_to_mark()),
    "BINPUT": _Machine.remember,
    "LONG_BINPUT": _Machine.remember,
    "MEMOIZE": lambda m: m.remember(len(m.memo)),
    "BINGET": _Machine.recall,
    "LONG_BINGET": _Machine.recall,
    "GLOBAL": lambda m, names: m.name(names.replace(" ", ".")),
    "STACK_GLOBAL": _Machine.name_from_stack,
    "REDUCE": _Machine.call,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.refer,
    "PROTO": lambda m, version: None,
    "FRAME": lambda m, size: None,
    "STOP": lambda m: None,
}
