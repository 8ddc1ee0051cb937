"""What a pickle says of itself: which globals it names, and of what class the object in it is.

Rules held here: opcodes are read one by one and nothing is ever run; a stack of labels stands for the objects. What ends in
the middle, or is no pickle after all, is told as such.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

#: Kinds of a label.
CLASS: Final = "class"
INSTANCE: Final = "instance"
MADE: Final = "made by"
PLAIN: Final = "plain"
TEXT: Final = "text"
_MARK: Final = (PLAIN, "collection")
#: What these take from the stack goes into the object below it.
_INTO: Final = frozenset({"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"})
#: What a plain unpickler has no answer for.
_OUTSIDE: Final = frozenset({"PERSID", "BINPERSID", "NEXT_BUFFER"})
_BROKEN: Final = (ValueError, IndexError, KeyError, OverflowError)
_OPCODES: Final = {each.code.encode("latin-1"): each for each in pickletools.opcodes}
#: Arrays, which are passed over: the bytes of their length.
_ARRAYS: Final = {"BINBYTES": 4, "BINBYTES8": 8, "BYTEARRAY8": 8}
#: So many opcodes are read (a vocabulary of 600,000 words, forests of 10,000 trees), some seconds' worth.
STEPS: Final = 2_000_000
#: No text or number of a model is longer than this.
LONGEST: Final = 1 << 20
#: No array is longer: 1 TiB.
_FAR: Final = 1 << 40
#: So many texts are kept.
_TEXTS: Final = 8

Label = tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What a pickle was seen to hold.

    ``outermost``: ``(INSTANCE, "sklearn.svm._classes.SVC")`` is one of that class, ``(MADE, "f")`` what a call of ``f``
    gave, ``(CLASS, …)`` a class or function itself, ``(PLAIN, "dict")`` a value of Python's own, ``(TEXT, …)`` a text;
    None: it was not read to its end, and ``why`` says why. ``names`` are the globals it names, ``texts`` its first ones,
    ``outside`` whether it points to something beside it.
    """

    outermost: Label | None
    names: frozenset[str]
    texts: tuple[str, ...]
    outside: bool = False
    why: str | None = None


def names(head: bytes) -> Iterator[str]:
    """Yield ``module.name`` of each global that the beginning of a pickle names; nothing where it is no pickle."""
    if not head.startswith(b"\x80"):
        return
    words: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(head):
            if opcode.name == "GLOBAL":
                yield str(argument).replace(" ", ".")
            elif opcode.name == "STACK_GLOBAL" and len(words) >= 2:
                yield f"{words[-2]}.{words[-1]}"
            elif isinstance(argument, str):
                words.append(argument)
    except _BROKEN:
        return


def tell(stream: BinaryIO, steps: int = STEPS) -> Told:
    """Read the pickle at the place where ``stream`` stands, up to its end or ``steps`` opcodes."""
    machine = _Machine()
    why = "the pickle ends in the middle, or is none after all"
    try:
        for count, (opcode, argument) in enumerate(_opcodes(stream)):
            if opcode.name == "STOP":
                return machine.told(machine.stack[-1], None)
            if count >= steps:
                why = f"the pickle is too long to tell what it holds (over {steps:,} steps)"
                break
            machine.step(opcode, argument)
    except _BROKEN:
        pass
    return machine.told(None, why)


def _opcodes(stream: BinaryIO) -> Iterator[tuple[Any, Any]]:
    """Yield opcodes with their arguments, as ``pickletools.genops`` does; of arrays None."""
    file: Any = _Short(stream)
    while code := stream.read(1):
        opcode = _OPCODES[code]
        argument = None
        if opcode.name in _ARRAYS:
            length = int.from_bytes(file.read(_ARRAYS[opcode.name]), "little")
            stream.seek(min(length, _FAR), 1)  # beyond the end there is no opcode
        elif opcode.arg is not None:
            argument = opcode.arg.reader(file)
        yield opcode, argument


@dataclass(frozen=True, slots=True)
class _Short:
    """A file of which nothing long is read."""

    stream: BinaryIO

    def read(self, length: int) -> bytes:
        if length > LONGEST:
            raise ValueError(f"{length} bytes")
        return self.stream.read(length)

    def readline(self) -> bytes:
        return self.stream.readline(LONGEST)


@dataclass(frozen=True, slots=True)
class _Effect:
    """What an opcode does to the stack: takes what lies above a mark, then so many labels, and gives these."""

    marked: bool
    takes: int
    gives: tuple[Label, ...]


def _effect(opcode: Any) -> _Effect:
    below = [each.name for each in opcode.stack_before]
    marked = "mark" in below
    takes = below.index("mark") if marked else len(below)
    if opcode.name in _INTO:
        return _Effect(marked, takes - 1, ())
    return _Effect(marked, takes, tuple((PLAIN, str(each.name)) for each in opcode.stack_after))


_EFFECTS: Final = {each.name: _effect(each) for each in pickletools.opcodes}


@dataclass(slots=True)
class _Machine:
    """The stack of an unpickler, with labels for objects; ``_MARK`` is where a collection begins."""

    stack: list[Label] = field(default_factory=list)
    memo: dict[int, Label] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    texts: list[str] = field(default_factory=list)
    outside: bool = False

    def told(self, outermost: Label | None, why: str | None) -> Told:
        """Return what was seen."""
        return Told(
            outermost=outermost, names=frozenset(self.names), texts=tuple(self.texts), outside=self.outside, why=why
        )

    def step(self, opcode: Any, argument: Any) -> None:
        """Do what an opcode does to the stack."""
        match opcode.name:
            case "PROTO" | "FRAME":
                pass
            case "MEMOIZE":
                self.memo[len(self.memo)] = self.stack[-1]
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self.memo[int(argument)] = self.stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                self.stack.append(self.memo[int(argument)])
            case "GLOBAL":
                self._named(str(argument).replace(" ", "."))
            case "STACK_GLOBAL":
                name, module = self.stack.pop(), self.stack.pop()
                self._named(f"{module[1]}.{name[1]}")
            case "NEWOBJ" | "NEWOBJ_EX" | "REDUCE":
                del self.stack[-2 if opcode.name == "NEWOBJ_EX" else -1 :]
                kind = MADE if opcode.name == "REDUCE" else INSTANCE
                self.stack.append((kind, self.stack.pop()[1]))
            case "MARK":
                self.stack.append(_MARK)
            case _:
                self._other(opcode, argument)

    def _named(self, name: str) -> None:
        self.names.add(name)
        self.stack.append((CLASS, name))

    def _other(self, opcode: Any, argument: Any) -> None:
        effect = _EFFECTS[opcode.name]
        self.outside |= opcode.name in _OUTSIDE
        if effect.marked:
            while self.stack.pop() is not _MARK:
                pass
        if effect.takes:
            del self.stack[len(self.stack) - effect.takes :]
        if isinstance(argument, str):
            self.stack.append((TEXT, argument))
            if len(self.texts) < _TEXTS:
                self.texts.append(argument)
        else:
            self.stack.extend(effect.gives)
