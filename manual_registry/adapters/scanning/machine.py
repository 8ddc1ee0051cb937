"""Runs a pickle with nothing in it: the standard library's own machine, where every import is an empty stand-in.

A scanner that lists opcodes can be led astray (memo entries written twice, a payload before a broken opcode, names that
only the stack knows). This one follows the very steps that loading would take, imports and calls nothing, and has seen an
import by the time it would have happened. Rules held here: whatever loading would choke on is :class:`Broken`; memory and
steps are bounded, whatever sizes the file claims; large blocks of bytes are passed over, not kept. joblib puts the bytes
of arrays between the opcodes; they are skipped as joblib itself would read them.
"""

from __future__ import annotations

import _compat_pickle
import pickle
import struct
from collections.abc import Callable
from typing import Any, BinaryIO, ClassVar, Final

from manual_registry.adapters.scanning.findings import Broken, Watch

#: Blocks of bytes and texts larger than this are passed over.
_KEPT: Final = 1 << 16
_LONGEST_LINE: Final = 1 << 20
_LARGEST_FRAME: Final = 256 << 20
_DEEPEST: Final = 20
_COUNTED: Final = 1 << 12
_WRAPPER: Final = ("joblib.numpy_pickle", "NumpyArrayWrapper")
#: What the first pickle of a file of torch before 1.6 holds.
TORCH_MAGIC: Final = 0x1950A86A20F9469CFC6C

Import = tuple[str, str]


class Stand:
    """Stands for an import, or for what became of it; ``made`` is False for the import itself."""

    __slots__ = ("args", "made", "origin", "state")

    def __init__(self, origin: Import | None, *, made: bool, args: Any = ()) -> None:
        """Keep where it comes from and with what it was made."""
        self.origin, self.made, self.args, self.state = origin, made, args, None


class Tape:
    """A file that says when it ends: a read beyond that is :class:`Broken`, not a short answer."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        """Read ``file`` from where it stands; ``size`` is the number of bytes up to its end."""
        self._file, self.left = file, size

    def read(self, count: int) -> bytes:
        """Return exactly ``count`` bytes."""
        if count < 0 or count > self.left:
            raise Broken("it ends in the middle of a value")
        data = self._file.read(count)
        if len(data) != count:
            raise Broken("it ends in the middle of a value")
        self.left -= count
        return data

    def readline(self) -> bytes:
        """Return a line, its end included."""
        line = self._file.readline(min(_LONGEST_LINE, self.left))
        self.left -= len(line)
        if not line.endswith(b"\n"):
            raise Broken("a line without an end")
        return line

    def skip(self, count: int) -> None:
        """Pass over ``count`` bytes."""
        if count < 0 or count > self.left:
            raise Broken("it ends in the middle of a value")
        while count:
            count -= len(self.read(min(count, 1 << 20)))


class Machine(pickle._Unpickler):  # the one in Python; the other cannot be followed
    """One pickle. ``imports`` are all that it asked for, in order; ``called`` tells whether anything was called."""

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(pickle._Unpickler.dispatch)
    pop_mark: Callable[[], list[Any]]

    def __init__(self, tape: Tape, watch: Watch, *, depth: int = 0) -> None:
        """Read from ``tape``; steps are counted in ``watch``."""
        super().__init__(tape, encoding="bytes")
        self.tape, self.watch, self.depth = tape, watch, depth
        self.imports: list[Import] = []
        self.called = False
        self.changed: list[Import] = []
        self.cut = False
        self.result: Any = None

    def run(self) -> None:
        """Take every step up to STOP; raises :class:`Broken` where loading would end in an error."""
        try:
            self.load()
            if self.cut:
                raise Broken("a frame that is cut off")
        except Broken:
            raise
        except (ArithmeticError, AttributeError, EOFError, LookupError, pickle.PickleError, struct.error) as problem:
            raise Broken(f"{type(problem).__name__}: {problem}") from None
        except (TypeError, ValueError, RecursionError, MemoryError, NotImplementedError) as problem:
            raise Broken(f"{type(problem).__name__}: {problem}") from None

    def load(self) -> Any:
        """The loop of the standard library, counted."""
        self._unframer = pickle._Unframer(self._file_read, self._file_readline)  # type: ignore[attr-defined]
        self.read, self.readline = self._unframer.read, self._unframer.readline
        self.metastack: list[list[Any]] = []
        self.stack: list[Any] = []
        self.append = self.stack.append
        self.proto = 0
        steps = 0
        while True:
            key = self.read(1)
            if not key:
                raise Broken("it ends without STOP")
            steps += 1
            if steps == _COUNTED:
                self.watch.opcode(steps)
                steps = 0
            action = self.dispatch.get(key[0])
            if action is None:
                raise Broken(f"opcode {key!r} does not exist")
            try:
                action(self)
            except pickle._Stop as stop:  # type: ignore[attr-defined]
                self.watch.opcode(steps)
                self.result = stop.value
                return stop.value

    # -- what would import or call ------------------------------------------------------------------------

    def find_class(self, module: str, name: str) -> Stand:
        """Take note of an import; under protocols before 3 by its name of today, as loading would."""
        if self.proto < 3:
            module, name = _compat_pickle.NAME_MAPPING.get((module, name), (module, name))
            module = _compat_pickle.IMPORT_MAPPING.get(module, module)
        self.imports.append((module, name))
        return Stand((module, name), made=False)

    def persistent_load(self, pid: Any) -> Stand:
        """Stand for an object kept outside (torch keeps its tensors so)."""
        return Stand(None, made=True)

    def get_extension(self, code: int) -> None:
        """Name an entry of the extension registry, which only the loading process knows."""
        self.imports.append(("copyreg", f"extension {code}"))
        self.append(Stand(("copyreg", f"extension {code}"), made=False))

    def _call(self, callee: Any, args: Any = ()) -> Stand:
        if not isinstance(callee, Stand):
            raise Broken(f"a {type(callee).__name__} is called")
        self.called = True
        return Stand(callee.origin, made=True, args=args)

    def load_reduce(self) -> None:
        """Call of a function or class."""
        args = self.stack.pop()
        self.stack[-1] = self._call(self.stack[-1], args)

    def load_newobj(self) -> None:
        """Make an object."""
        self.load_reduce()

    def load_newobj_ex(self) -> None:
        """Make an object with named arguments."""
        self.stack.pop()
        self.load_reduce()

    def load_inst(self) -> None:
        """Import and call in one step."""
        module, name = self.readline()[:-1].decode("ascii"), self.readline()[:-1].decode("ascii")
        args = self.pop_mark()
        self.append(self._call(self.find_class(module, name), args))

    def load_obj(self) -> None:
        """Call with the arguments behind a mark."""
        args = self.pop_mark()
        self.append(self._call(args.pop(0), args))

    def load_build(self) -> None:
        """Give an object its state."""
        state = self.stack.pop()
        found = self.stack[-1]
        if not isinstance(found, Stand):
            raise Broken(f"a {type(found).__name__} is given a state")
        self.called = True
        found.state = state
        if not found.made and found.origin is not None:
            self.changed.append(found.origin)
        elif found.origin == _WRAPPER:
            self.stack[-1] = self._array(state)

    # -- arrays of joblib ---------------------------------------------------------------------------------

    def _array(self, state: Any) -> Stand:
        """Pass over the bytes that follow a NumpyArrayWrapper, as its ``read_array`` would take them."""
        if not isinstance(state, dict) or not isinstance(state.get("dtype"), Stand):
            raise Broken("an array of joblib without its dtype")
        size, objects = _item(state["dtype"])
        if objects:
            if self.depth >= _DEEPEST:
                raise Broken("arrays nested too deep")
            inner = Machine(self.tape, self.watch, depth=self.depth + 1)
            try:
                inner.run()
            finally:
                self.imports += inner.imports
                self.changed += inner.changed
            return Stand(("numpy", "ndarray"), made=True)
        count = size
        for length in state.get("shape", ()):
            if type(length) is not int or length < 0:
                raise Broken("an array of joblib with an odd shape")
            count *= length
        if state.get("numpy_array_alignment_bytes") is not None:
            self.tape.skip(self.tape.read(1)[0])
        self.tape.skip(count)
        return Stand(("numpy", "ndarray"), made=True)

    # -- containers: nothing is hashed, nothing grows that is not needed ----------------------------------

    def load_append(self) -> None:
        """Add to a list."""
        value = self.stack.pop()
        self._extend([value])

    def load_appends(self) -> None:
        """Add to a list."""
        self._extend(self.pop_mark())

    def _extend(self, values: list[Any]) -> None:
        found = self.stack[-1]
        if isinstance(found, list):
            found.extend(values)
        elif not isinstance(found, Stand):
            raise Broken(f"a {type(found).__name__} is added to")

    def load_setitem(self) -> None:
        """Add to a mapping."""
        value, key = self.stack.pop(), self.stack.pop()
        self._update([key, value])

    def load_setitems(self) -> None:
        """Add to a mapping."""
        self._update(self.pop_mark())

    def _update(self, items: list[Any]) -> None:
        found = self.stack[-1]
        if isinstance(found, dict):
            # Only texts are kept as keys: hashing tuples of tuples can take for ever.
            found.update({key: value for key, value in zip(items[::2], items[1::2]) if type(key) is str})  # noqa: B905
        elif not isinstance(found, Stand):
            raise Broken(f"a {type(found).__name__} is given items")

    def load_dict(self) -> None:
        """Make a mapping."""
        items = self.pop_mark()
        self.append({})
        self._update(items)

    def load_empty_set(self) -> None:
        """Make a set."""
        self.append(Stand(("builtins", "set"), made=True))

    def load_additems(self) -> None:
        """Add to a set."""
        self.pop_mark()
        if not isinstance(self.stack[-1], Stand):
            raise Broken("what is no set is added to")

    def load_frozenset(self) -> None:
        """Make a frozen set."""
        self.pop_mark()
        self.append(Stand(("builtins", "frozenset"), made=True))

    # -- large values -------------------------------------------------------------------------------------

    def load_frame(self) -> None:
        """Begin a frame."""
        (size,) = struct.unpack("<Q", self.read(8))
        if size > _LARGEST_FRAME:
            raise Broken(f"a frame of {size} bytes")
        # The machine in C stops at a frame that is cut off, the one in Python runs what there is: so does this one.
        self.cut = self.cut or size > self.tape.left
        self._unframer.load_frame(min(size, self.tape.left))

    def _block(self, form: str) -> None:
        (size,) = struct.unpack(form, self.read(struct.calcsize(form)))
        if size < 0 or size > self.tape.left + _LARGEST_FRAME:
            raise Broken("it ends in the middle of a value")
        if size <= _KEPT:
            self.append(self.read(size))
            return
        while size:
            piece = len(self.read(min(size, _KEPT)))
            if not piece:
                raise Broken("it ends in the middle of a value")
            size -= piece
        self.append(Stand(("builtins", "bytes"), made=True))

    def load_binbytes(self) -> None:
        """A block of bytes."""
        self._block("<I")

    def load_binbytes8(self) -> None:
        """A large block of bytes."""
        self._block("<Q")

    def load_binstring(self) -> None:
        """A block of bytes of Python 2 (a text, where it is used as a name)."""
        self._block("<i")
        if isinstance(self.stack[-1], bytes):
            self.stack[-1] = self.stack[-1].decode("latin-1")

    def load_short_binstring(self) -> None:
        """The same, short."""
        self.append(self.read(self.read(1)[0]).decode("latin-1"))

    def _text(self, form: str) -> None:
        self._block(form)
        if isinstance(self.stack[-1], bytes):
            self.stack[-1] = str(self.stack[-1], "utf-8", "surrogatepass")

    def load_binunicode(self) -> None:
        """A text."""
        self._text("<I")

    def load_binunicode8(self) -> None:
        """A large text."""
        self._text("<Q")

    def load_next_buffer(self) -> None:
        """A buffer kept outside."""
        self.append(Stand(("builtins", "bytes"), made=True))

    def load_readonly_buffer(self) -> None:
        """The buffer before it becomes read-only."""
        if not self.stack:
            raise Broken("nothing there")

    # loading decodes texts of Python 2 as its caller says; as a name both are the same to us
    def _decode_string(self, value: bytes) -> str:
        return value.decode("latin-1")


def _item(dtype: Stand) -> tuple[int, bool]:
    """Return the bytes of one item of a numpy dtype, and whether it holds objects."""
    code = dtype.args[0] if isinstance(dtype.args, tuple) and dtype.args else None
    if dtype.origin is None or not dtype.origin[0].startswith("numpy") or not isinstance(code, str) or not code:
        raise Broken("an array of joblib with an odd dtype")
    state = dtype.state if isinstance(dtype.state, tuple) else ()
    size = state[5] if len(state) > 5 and type(state[5]) is int and state[5] > 0 else None
    flags = state[7] if len(state) > 7 and type(state[7]) is int else 0
    if code[0] == "O" or flags & 1:
        return 0, True
    if size is None:
        digits = code[1:]
        if not digits.isascii() or not digits.isdigit():
            raise Broken("an array of joblib with an odd dtype")
        size = int(digits) * (4 if code[0] == "U" else 1)
    return size, False


_OVERRIDDEN: Final = (
    (pickle.REDUCE, Machine.load_reduce),
    (pickle.NEWOBJ, Machine.load_newobj),
    (pickle.NEWOBJ_EX, Machine.load_newobj_ex),
    (pickle.INST, Machine.load_inst),
    (pickle.OBJ, Machine.load_obj),
    (pickle.BUILD, Machine.load_build),
    (pickle.APPEND, Machine.load_append),
    (pickle.APPENDS, Machine.load_appends),
    (pickle.SETITEM, Machine.load_setitem),
    (pickle.SETITEMS, Machine.load_setitems),
    (pickle.DICT, Machine.load_dict),
    (pickle.EMPTY_SET, Machine.load_empty_set),
    (pickle.ADDITEMS, Machine.load_additems),
    (pickle.FROZENSET, Machine.load_frozenset),
    (pickle.FRAME, Machine.load_frame),
    (pickle.BINBYTES, Machine.load_binbytes),
    (pickle.BINBYTES8, Machine.load_binbytes8),
    (pickle.BYTEARRAY8, Machine.load_binbytes8),
    (pickle.BINSTRING, Machine.load_binstring),
    (pickle.SHORT_BINSTRING, Machine.load_short_binstring),
    (pickle.BINUNICODE, Machine.load_binunicode),
    (pickle.BINUNICODE8, Machine.load_binunicode8),
    (pickle.NEXT_BUFFER, Machine.load_next_buffer),
    (pickle.READONLY_BUFFER, Machine.load_readonly_buffer),
)
Machine.dispatch.update({opcode[0]: action for opcode, action in _OVERRIDDEN})
