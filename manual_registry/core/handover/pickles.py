"""What the beginning of a pickle says: which globals it names, and of what class the object in it is.

Rules held here: opcodes are read one by one and nothing is ever run; a stack of labels stands for the objects. What ends in
the middle, or is no pickle after all, gives what was seen until then.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

#: Kinds of a label.
CLASS: Final = "class"
INSTANCE: Final = "instance"
MADE: Final = "made by"
PLAIN: Final = "plain"
TEXT: Final = "text"
_MARK: Final = (PLAIN, "collection")
#: What these take from the stack goes into the object below it.
_INTO: Final = frozenset({"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"})
_BROKEN: Final = (ValueError, IndexError, KeyError, OverflowError)

Label = tuple[str, str]


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


def outermost(head: bytes) -> Label | None:
    """Return what the object is, as far as the beginning tells; None: no pickle, or too little of one.

    ``(INSTANCE, "sklearn.svm._classes.SVC")`` is one of that class, ``(MADE, "f")`` what a call of ``f`` gave,
    ``(CLASS, …)`` a class or function itself, ``(PLAIN, "dict")`` a value of Python's own, ``(TEXT, …)`` a text.
    """
    if not head.startswith(b"\x80"):
        return None
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(head):
            if opcode.name == "STOP":
                return machine.stack[-1]
            machine.step(opcode, argument)
    except _BROKEN:
        # What is at the bottom may still be put into something else: the rest would tell.
        bottom = machine.stack[0] if machine.stack else None
        return None if bottom is not None and bottom[0] == CLASS else bottom
    return None


@dataclass(slots=True)
class _Machine:
    """The stack of an unpickler, with labels for objects; ``_MARK`` is where a collection begins."""

    stack: list[Label] = field(default_factory=list)
    memo: dict[int, Label] = field(default_factory=dict)

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
                self.stack.append((CLASS, str(argument).replace(" ", ".")))
            case "STACK_GLOBAL":
                name, module = self.stack.pop(), self.stack.pop()
                self.stack.append((CLASS, f"{module[1]}.{name[1]}"))
            case "NEWOBJ" | "NEWOBJ_EX" | "REDUCE":
                del self.stack[-2 if opcode.name == "NEWOBJ_EX" else -1 :]
                kind = MADE if opcode.name == "REDUCE" else INSTANCE
                self.stack.append((kind, self.stack.pop()[1]))
            case "MARK":
                self.stack.append(_MARK)
            case _:
                self._other(opcode, argument)

    def _other(self, opcode: Any, argument: Any) -> None:
        below = [each.name for each in opcode.stack_before]
        if "mark" in below:
            while self.stack.pop() is not _MARK:
                pass
            below = below[: below.index("mark")]
        if opcode.name in _INTO:
            del self.stack[len(self.stack) - len(below) + 1 :]
            return
        del self.stack[len(self.stack) - len(below) :]
        if isinstance(argument, str):
            self.stack.append((TEXT, argument))
        else:
            self.stack.extend((PLAIN, str(each.name)) for each in opcode.stack_after)
