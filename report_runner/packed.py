"""Rows of a large result, packed by column in chunks: some bytes a cell instead of a hundred.

Every value comes back as it was, of the same type. A chunk is unpacked when it is read; whoever
reads one column unpacks that column alone.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, overload

CHUNK_ROWS = 4096
PLAIN_ROWS = 5 * CHUNK_ROWS  # up to here rows stay a list, which is faster
_LEVEL = 1  # of zlib
_SEPARATOR = "\0"

Row = tuple[Any, ...]
# Texts joined by a sign that none of them has are smaller and faster than pickled values.
_FROM_TEXT: dict[str, Callable[[str], Any]] = {"str": str, "int": int, "Decimal": Decimal}
_TYPES = {str: "str", int: "int", Decimal: "Decimal"}


Decoder = Callable[[str], Any]


class PackedRows(Sequence[Row]):
    """Like a list of tuples that is not changed any more.

    With `decoders` the values are kept as the database's texts, and made when they are read.
    """

    def __init__(
        self,
        chunks: Sequence[Sequence[bytes]],
        length: int,
        decoders: Sequence[Decoder | None] = (),
    ) -> None:
        self._chunks = chunks  # of each the columns
        self._length = length
        self._decoders = decoders
        self._last: tuple[int, list[Row]] = (-1, [])

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Row]:
        for number in range(len(self._chunks)):
            yield from self._rows(number)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self._length))]
        position = index + self._length if index < 0 else index
        if not 0 <= position < self._length:
            raise IndexError(index)
        chunk, row = divmod(position, CHUNK_ROWS)
        if self._last[0] != chunk:
            self._last = chunk, self._rows(chunk)
        return self._last[1][row]

    def column(self, number: int) -> Iterator[Any]:
        """The values of one column."""
        for chunk in self._chunks:
            yield from self.decoded(number, _unpack(chunk[number]))

    def texts(self) -> Iterator[list[Sequence[str | None]]] | None:
        """The columns of each chunk as the database wrote them; None where that is not known."""
        if not self._decoders:
            return None
        return ([_unpack(column) for column in chunk] for chunk in self._chunks)

    def decoded(self, number: int, values: Sequence[Any]) -> Sequence[Any]:
        """What the column's texts mean."""
        decoder = self._decoders[number] if self._decoders else None
        return values if decoder is None else _decoded(decoder, values)

    def _rows(self, chunk: int) -> list[Row]:
        columns = enumerate(map(_unpack, self._chunks[chunk]))
        return list(zip(*(self.decoded(*column) for column in columns), strict=True))


class RowCollector:
    """Takes rows one by one; from PLAIN_ROWS on it packs them."""

    def __init__(self) -> None:
        self._open: list[Row] = []
        self._chunks: list[list[bytes]] = []
        self._packed = 0

    def __len__(self) -> int:
        return self._packed + len(self._open)

    def add(self, row: Row) -> None:
        self._open.append(row)
        if len(self._open) > PLAIN_ROWS or (self._chunks and len(self._open) == CHUNK_ROWS):
            self._pack()

    def _pack(self) -> None:
        """All whole chunks."""
        whole = len(self._open) - len(self._open) % CHUNK_ROWS
        for begin in range(0, whole, CHUNK_ROWS):
            self._chunk(self._open[begin : begin + CHUNK_ROWS])
        del self._open[:whole]

    def _chunk(self, rows: Sequence[Row]) -> None:
        self._chunks.append([_pack(values) for values in zip(*rows, strict=True)])
        self._packed += len(rows)

    def rows(self, decoders: Sequence[Decoder | None] = ()) -> Sequence[Row]:
        """All rows; none may be added any more. `decoders` make the values of texts."""
        if not self._chunks:
            return _decoded_rows(self._open, decoders)
        if self._open:
            self._chunk(self._open)
            self._open = []
        return PackedRows(self._chunks, self._packed, decoders)


def _decoded(decoder: Decoder, values: Sequence[Any]) -> list[Any]:
    return [None if value is None else decoder(value) for value in values]


def _decoded_rows(rows: list[Row], decoders: Sequence[Decoder | None]) -> list[Row]:
    if not rows or not any(decoders):
        return rows
    columns = [
        values if decoder is None else _decoded(decoder, values)
        for decoder, values in zip(decoders, zip(*rows, strict=True), strict=True)
    ]
    return list(zip(*columns, strict=True))


def _pack(values: Sequence[Any]) -> bytes:
    kinds = {type(value) for value in values}
    nulls = [index for index, value in enumerate(values) if value is None]
    kinds.discard(type(None))
    name = _TYPES.get(kinds.pop()) if len(kinds) == 1 else None
    body: Any = values
    if name is not None:
        texts = ["" if value is None else str(value) for value in values]
        joined = _SEPARATOR.join(texts)
        if joined.count(_SEPARATOR) == len(texts) - 1:
            body = joined
        else:
            name = None  # a text with the separator in it
    return zlib.compress(pickle.dumps((name, nulls, body), pickle.HIGHEST_PROTOCOL), _LEVEL)


def _unpack(packed: bytes) -> Sequence[Any]:
    name, nulls, body = pickle.loads(zlib.decompress(packed))  # noqa: S301 - packed above
    if name is None:
        values: Sequence[Any] = body
        return values
    texts = body.split(_SEPARATOR)
    if not nulls:
        return texts if name == "str" else list(map(_FROM_TEXT[name], texts))
    for index in nulls:
        texts[index] = "0"
    found = list(map(_FROM_TEXT[name], texts))
    for index in nulls:
        found[index] = None
    return found
