"""
Frames and messages: bytes to L{p2p.wire.messages} and back.  Pure.

A frame is a length (4 bytes, big-endian, of what follows) and a message in
MessagePack.  L{Decoder} is fed what came in, in whatever pieces, and yields
messages one at a time, so that its caller may stop, or raise the limit, after
any of them: what a stranger may send is smaller than what a neighbour may.

A message that is whole in the piece that came in is cut from it without any
other copy; only what straddles pieces is collected, in one buffer, so that a
sender of tiny pieces costs no more memory than it sends.

A node that floods gets the same few bytes again and again: a broadcast comes
over several links with the same hop count.  So a short frame that makes up a
piece by itself, of one of the types in L{SHARED}, is remembered with its
message (L{met}) once it has been taken apart and checked; when it comes again
it is looked up, in a quarter of the time.  Messages never change, so it does
not show that several get the same object.  Where frames come many at a time
they are not looked up: cutting each out to ask would cost what it saves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import Struct as Packing

import msgspec

from p2p.wire.errors import LocalProtocolError, RemoteProtocolError
from p2p.wire.messages import AnyMessage, Message, Ping, Pong
from p2p.wire.reasons import MALFORMED, TOO_LARGE

HEADER = 4
"""Bytes in front of each message."""

STRANGER_LIMIT = 4 * 2**10
"""The largest message that is taken from whom has not said who it is, in bytes."""

OVERHEAD = 2**18
"""
What a neighbour may send beyond the largest payload, in bytes: room for the
longest list of contacts or of what one side has.
"""

SHARED: frozenset[type] = frozenset({Message, Ping, Pong})
"""The types whose frames are remembered: those that come often, and hold nothing that could be changed."""

MET = 1024
"""Frames that are remembered at most; when there are as many, all are forgotten."""

MET_SIZE = 512
"""A frame of so many bytes is not remembered any more; less than anybody's limit."""

_length = Packing(">I")
_unpackLength = _length.unpack_from
_packLength = _length.pack
_encode = msgspec.msgpack.Encoder().encode
_decode: Callable[[bytes], AnyMessage] = msgspec.msgpack.Decoder(AnyMessage).decode

_EMPTY = bytearray()

_met: dict[bytes, AnyMessage] = {}

met = _met.get
"""
The message of a whole frame that was met lately, or C{None}.

It may be taken for what a L{Decoder} would give that keeps nothing of an
earlier piece, and whose limit is not below L{MET_SIZE}.
"""


def encode(message: AnyMessage) -> bytes:
    """
    A message as a frame.

    @raise LocalProtocolError: it is too large for any frame.
    """
    body = _encode(message)
    if len(body) > 0xFFFFFFFF:
        raise LocalProtocolError(f"{type(message).__name__} of {len(body)} bytes")
    return _packLength(len(body)) + body


class Decoder:
    """
    Takes bytes as they come and gives messages.

    @ivar limit: the largest message taken, in bytes; may change at any time
        and holds from the next message on.
    """

    __slots__ = ("_kept", "_need", "limit")

    def __init__(self, limit: int = STRANGER_LIMIT) -> None:
        self.limit = limit
        self._kept = _EMPTY
        self._need = HEADER

    @property
    def unfinished(self) -> bool:
        """The beginning of a frame has come, and its end has not."""
        return bool(self._kept)

    @property
    def arriving(self) -> int:
        """Bytes that have come of a message that is not complete yet."""
        return len(self._kept)

    def feed(self, data: bytes) -> Iterator[AnyMessage]:
        """
        The messages that are complete with these bytes.

        Consume it to its end, or never feed this decoder again.

        @raise RemoteProtocolError: a frame is too large or holds no message.
        """
        kept = self._kept
        if kept:
            kept += data
            if len(kept) < self._need:
                return
            data = bytes(kept)
            self._kept = _EMPTY
        start = 0
        end = len(data)
        last = end - HEADER
        while start <= last:
            size = _unpackLength(data, start)[0]
            if size > self.limit:
                raise RemoteProtocolError(TOO_LARGE, f"a frame of {size} bytes, {self.limit} are allowed")
            begin = start + HEADER
            stop = begin + size
            if stop > end:
                self._need = HEADER + size
                break
            try:
                message = _decode(data[begin:stop])
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise RemoteProtocolError(MALFORMED, str(error)[:200]) from None
            if end < MET_SIZE and stop - start == end and message.__class__ in SHARED:
                if len(_met) >= MET:
                    _met.clear()
                _met[data] = message
            start = stop
            yield message
        else:
            self._need = HEADER
        if start < end:
            self._kept = bytearray(data[start:] if start else data)
