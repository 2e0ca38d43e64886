"""A look at the opcodes of a pickle before it is loaded, so that nothing in it exhausts memory or the stack.

The loader believes the lengths and the memo indices that a file states: six bytes can ask for
gigabytes. A pickle written by ``pickle`` never needs an index above the number of bytes before it,
nor, in the formats read here, a text or a frame of more than some megabytes.

CPython hashes a tuple by recursion without a limit, and a tuple that is a key is hashed while it is
loaded: some hundred thousand tuples in each other end the process, and forty pairs, each of the one before
twice, take days. So tuples in tuples are followed; a file whose tuples hold small integers only is spared this.
"""

from __future__ import annotations

import pickle
import re
from functools import lru_cache

MAX_DEPTH = 100
"""Most tuples in each other."""
MAX_TUPLES = 10_000
"""Most tuples in one tuple, each counted as often as it is met on the way down."""

_BARE = b"(012NRQ]ae}u)sobld\x81\x88\x89\x8f\x90\x91\x92\x93\x94\x97\x98"
_TUPLES = b"t\x85\x86\x87"
_FIXED = rb"[Kqh\x80\x82].|[M\x83]..|[Jj\x84].{4}|G.{8}"
_SIZES = (
    {ord(op): 2 for op in "Kqh\x80\x82"}
    | {ord(op): 3 for op in "M\x83"}
    | {ord(op): 5 for op in "Jj\x84r"}
    | {ord("G"): 9}
)
_LINES = {ord(op): 1 for op in "IFLSVgpP"} | {ord(op): 2 for op in "ci"}
_LENGTHS = {ord("X"): 4, ord("B"): 4, ord("T"): 4, 0x8B: 4, 0x8A: 1, 0x8C: 1, ord("C"): 1, ord("U"): 1} | dict.fromkeys(
    (0x8D, 0x8E, 0x95, 0x96), 8
)
_FRAME, _STOP, _LONG_BINPUT, _PUT = 0x95, ord("."), ord("r"), ord("p")
_LONGEST_LINE = 2**16
_KEPT = 2**25
"""Bytes that are kept to look at again, should tuples be nested; after so many they are followed anyway."""
_FLAT = re.compile(rb"\((?:K.|\x95..[\x00-\x0f]\x00{5})*\Z", re.DOTALL)
"""A tuple of small integers whose end is in the next piece: it is looked at again then, as a whole."""
_LONGEST_FLAT = 1024
_SHORT = 33
"""Texts shorter than this are skipped inside the pattern: they are most of a large file."""


def _short_texts() -> bytes:
    texts = b"|".join(b"\\x%02x\\x00{3}.{%d}" % (n, n) for n in range(_SHORT))
    small = b"|".join(b"\\x%02x.{%d}" % (n, n) for n in range(_SHORT))
    return b"X(?:%s)|\\x8c(?:%s)" % (texts, small)


@lru_cache(maxsize=40)
def _run(bits: int) -> re.Pattern[bytes]:
    """Matches opcodes whose size is known at once, with memo indices below 2^bits (bits 8..31)."""
    whole, rest = divmod(bits, 8)
    top = b"[\x00-" + re.escape(bytes([2**rest - 1])) + b"]"
    index = b"r" + b"." * whole + top + b"\x00" * (3 - whole)
    pattern = rb"(?:\((?:K.|\x95..[\x00-\x0f]\x00{5})*t|[%s]|%s|%s|%s)*" % (
        re.escape(_BARE),
        _FIXED,
        index,
        _short_texts(),
    )
    return re.compile(pattern, re.DOTALL)


class PickleScanner:
    """Follows the opcodes of a stream that comes in pieces.

    Args:
        pickles: how many pickles follow each other; what comes after them is not looked at.
        longest: largest admitted text, byte string or frame, in bytes.
        follow: follow tuples from the start, not from the first that may hold another.
    """

    def __init__(self, pickles: int = 1, longest: int = 2**26, follow: bool = False) -> None:
        self._left, self._longest = pickles, longest
        self._nesting = follow
        self._depths: TupleDepths | None = None
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._tail, self._skip, self._total = b"", 0, 0

    def feed(self, data: bytes) -> None:
        """Look at the next piece.

        Raises:
            pickle.UnpicklingError: an unknown opcode, or an index, a length or a depth that no honest file has.
        """
        start = self._total - len(self._tail)
        self._total += len(data)
        if self._left == 0:
            return
        if self._skip >= len(data):
            self._skip -= len(data)
            return
        data = self._tail + data[self._skip :]
        start += self._skip
        self._tail, self._skip = b"", 0
        end = self._look(data, start)
        self._tail, self._skip = data[end:] if self._left else b"", max(end - len(data), 0)
        self._follow(data[:end])

    def _look(self, data: bytes, start: int) -> int:
        """Where the last opcode ends that is known to be whole, or is passed over; maybe beyond the data."""
        run = _run(min(max(self._total.bit_length(), 16), 31))
        at, size = 0, len(data)
        while self._left and at < size:
            match = run.match(data, at)
            assert match is not None  # the pattern matches nothing, too
            at = match.end()
            if at < size:
                end = self._variable(data, at, start + at)
                if end is None:
                    break
                at = end
        unfinished = _FLAT.search(data, max(0, at - _LONGEST_FLAT), at) if self._left and at <= size else None
        return unfinished.start() if unfinished else at

    def _follow(self, data: bytes) -> None:
        """Follow tuples, as soon as one may hold another; before, keep what there was."""
        if self._depths is None:
            self._kept.append(data)
            self._kept_bytes += len(data)
            if not self._nesting and self._kept_bytes <= _KEPT:
                return
            self._depths, kept, self._kept = TupleDepths(), self._kept, []
            for part in kept[:-1]:  # not joined: of long texts only the beginnings are kept
                self._depths.feed(part)
        self._depths.feed(data)

    def _variable(self, data: bytes, at: int, place: int) -> int | None:
        """Where the opcode at ``at`` ends; None where more bytes are needed to know."""
        op = data[at]
        if op in _TUPLES:
            self._nesting = True
            return at + 1
        if op == _STOP:
            self._left -= 1
            return at + 1
        if op in _LENGTHS:
            width = _LENGTHS[op]
            head = at + 1 + width
            if head > len(data):
                return None
            length = int.from_bytes(data[at + 1 : head], "little")
            if length > self._longest:
                raise pickle.UnpicklingError(
                    f"byte {place}: a length of {length:,}, expected at most {self._longest:,}"
                )
            return head if op == _FRAME else head + length
        if op in _LINES:
            end = at
            for _ in range(_LINES[op]):
                end = data.find(b"\n", end) + 1
                if end == 0:
                    if len(data) - at > _LONGEST_LINE:
                        raise pickle.UnpicklingError(f"byte {place}: a line without an end")
                    return None
            if op == _PUT and not (data[at + 1 : end - 1].isdigit() and int(data[at + 1 : end - 1]) <= self._total):
                raise pickle.UnpicklingError(f"byte {place}: a memo index of {data[at + 1 : end - 1][:20]!r}")
            return end
        if op in _SIZES and at + _SIZES[op] > len(data):
            return None
        if op == _LONG_BINPUT:
            index = int.from_bytes(data[at + 1 : at + 5], "little")
            raise pickle.UnpicklingError(f"byte {place}: a memo index of {index:,}, more than bytes so far")
        raise pickle.UnpicklingError(f"byte {place}: {data[at : at + 1]!r} is no opcode of a pickle")


# --- depth of tuples ------------------------------------------------------------------------------

# What an opcode takes from the stack, and whether it puts there something that is no tuple.
_POPS = {
    **{ord(op): (1, False) for op in "ab"},
    **{ord(op): (1, True) for op in "Q"},
    **{ord(op): (2, True) for op in "R\x81\x93"},
    ord("s"): (2, False),
    0x92: (3, True),
    0x98: (0, False),
}
_TO_MARK = {ord(op): False for op in "1ue\x90"} | {ord(op): True for op in "ldoi\x91"}
_SIZED = {ord("\x85"): 1, ord("\x86"): 2, ord("\x87"): 3}
_DEPTH, _EMPTY = 2**32 - 1, 2**32 + 1
_NO_EFFECT = {0x80: 2, 0x95: 9}


@lru_cache(maxsize=1)
def _token() -> re.Pattern[bytes]:
    """Matches an opcode, or one that pushes what is no tuple together with the one that names this."""
    pushes = rb"[K\x82].|[M\x83]..|[J\x84].{4}|G.{8}|[N\]}\x88\x89\x8f\x97]|" + _short_texts()
    return re.compile(
        rb"(%s)(?:(\x94)|([qr])(?:(?<=q).|(?<=r).{4}))?|h(.)|j(.{4})|q(.)|r(.{4})|(.)" % pushes, re.DOTALL
    )


class TupleDepths:
    """Follows how tuples of a pickle are nested: for each object its depth, and how many tuples hashing it meets.

    Both are one integer, depth + 2^32 x tuples; 0 for what is no tuple.

    Only tuples in tuples count: lists and dictionaries cannot be hashed, a frozenset keeps the hashes of
    what it holds, and what is built by calls is hashed by identity.
    """

    def __init__(self) -> None:
        self._tail = 0
        self._start()

    def _start(self) -> None:
        self._stack: list[int] = []
        self._marks: list[int] = []
        self._named: dict[int, int] = {}  # tuples by their number in the memo
        self._memoized = 0
        self._numbered = False

    def feed(self, data: bytes) -> None:
        """Follow opcodes, all of them whole but for a long text at the end.

        Raises:
            pickle.UnpicklingError: tuples are nested too deep, or what no pickler writes.
        """
        try:
            at = 0
            while at < len(data):
                at = self._follow(data, at)
        except (IndexError, ValueError):
            raise pickle.UnpicklingError("opcodes that no pickler writes in this order") from None
        if self._memoized and self._numbered:
            raise pickle.UnpicklingError("objects are named in both the old and the new way")

    def _follow(self, data: bytes, at: int) -> int:
        """Follow opcodes up to one that is rare; returns where the next one begins."""
        stack, named = self._stack, self._named
        push, get = stack.append, named.get
        for match in _token().finditer(data, at):
            kind = match.lastindex
            if kind == 1:
                push(0)
            elif kind == 2:
                push(0)
                self._memoized += 1
            elif kind == 3:
                push(0)
                self._numbered = True
            elif kind == 4 or kind == 5:
                push(get(int.from_bytes(match[kind], "little"), 0))
            elif kind == 6 or kind == 7:
                self._numbered = True
                self._name(int.from_bytes(match[kind], "little"))
            else:
                op = data[match.start()]
                if op == 0x28:  # MARK
                    self._marks.append(len(stack))
                elif op in _SIZED:
                    self._tuple(len(stack) - _SIZED[op])
                elif op == 0x74:  # TUPLE
                    self._tuple(self._marks.pop())
                elif op == 0x29:  # EMPTY_TUPLE
                    push(_EMPTY)
                elif op == 0x94:  # MEMOIZE
                    self._name(self._memoized)
                    self._memoized += 1
                elif op in _POPS:
                    count, pushes = _POPS[op]
                    if count:
                        if len(stack) < count:
                            raise IndexError
                        del stack[-count:]
                    if pushes:
                        push(0)
                elif op in _TO_MARK and op != 0x69:
                    del stack[self._marks.pop() :]
                    if _TO_MARK[op]:
                        push(0)
                else:
                    return self._rare(data, match.start(), op)
        return len(data)

    def _name(self, number: int) -> None:
        """Remember the top of the stack under a number."""
        top = self._stack[-1]
        if top:
            self._named[number] = top
        else:
            self._named.pop(number, None)

    def _tuple(self, start: int) -> None:
        """Make a tuple of what is on the stack from ``start`` on."""
        if start < 0:
            raise IndexError
        parts = self._stack[start:]
        depth, count = 1, 1
        if any(parts):
            depth += max(part & _DEPTH for part in parts)
            count += sum(part >> 32 for part in parts)
            if depth > MAX_DEPTH or count > MAX_TUPLES:
                raise pickle.UnpicklingError(f"more than {MAX_DEPTH} tuples in each other, or {MAX_TUPLES:,} in one")
        self._stack[start:] = [count << 32 | depth]

    def _rare(self, data: bytes, at: int, op: int) -> int:
        """Follow one more opcode; returns where the next one begins."""
        stack = self._stack
        if op in _LENGTHS and op != _FRAME:
            head = at + 1 + _LENGTHS[op]
            stack.append(0)
            return head + int.from_bytes(data[at + 1 : head], "little")
        if op in _LINES:
            end = at
            for _ in range(_LINES[op]):
                end = data.index(b"\n", end) + 1
            if op == 0x67:  # GET
                stack.append(self._named.get(int(data[at + 1 : end - 1]), 0))
            elif op == _PUT:
                self._numbered = True
                self._name(int(data[at + 1 : end - 1]))
            elif op == 0x69:  # INST
                stack[self._marks.pop() :] = [0]
            else:
                stack.append(0)
            return end
        if op == 0x30:  # POP, of an object or a mark
            if self._marks and self._marks[-1] == len(stack):
                self._marks.pop()
            else:
                stack.pop()
        elif op == 0x32:  # DUP
            stack.append(stack[-1])
        elif op == _STOP:
            self._start()
        return at + _NO_EFFECT.get(op, 1)
