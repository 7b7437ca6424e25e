"""
Which frames the bytes that arrive are: counted by type of message, and the payload frames by broadcast.

Nothing in a daemon counts for this.  The simulated network hands over what has
arrived, in blocks, and frames are recognised by their first bytes: a length,
the head of a MessagePack array, and the number of the message's type.  Of a
L{Message<p2p.wire.messages.Message>} origin and sequence number follow at a
fixed place, and these bytes name the broadcast.  A frame that comes in pieces
is put together again.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import Any

import msgspec

from p2p.wire.codec import HEADER
from p2p.wire.messages import AnyMessage, Batch, Message

_length = Struct(">I").unpack_from
_NUMBER_SIZE = {0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9}


def _numberOf(type: Any) -> int:
    number: int = type.__struct_config__.tag
    return number


TYPES: dict[int, type] = {_numberOf(type): type for type in AnyMessage.__args__}
"""The types of message by their number."""

_MESSAGE = _numberOf(Message)
_BATCH = _numberOf(Batch)
_decodeBatch = msgspec.msgpack.Decoder(Batch).decode

PAYLOADS = (Message, Batch)
"""The types that carry payloads."""

_TYPE_AT = HEADER + 1
_ORIGIN_AT = HEADER + 4
_SEQUENCE_AT = _ORIGIN_AT + 16


def broadcastKey(origin: bytes, sequence: int) -> bytes:
    """The bytes in a frame that name a broadcast."""
    return origin + msgspec.msgpack.encode(sequence)


class Traffic:
    """
    What has arrived so far.

    @ivar frames: by number of type.
    @ivar bytes: by number of type, headers included.
    @ivar payloads: copies of a payload, by L{broadcastKey}; of several in one frame, each is one.
    """

    def __init__(self) -> None:
        self.frames = [0] * 256
        self.bytes = [0] * 256
        self.payloads: dict[bytes, int] = {}
        self._started: dict[int, bytes] = {}

    def arrived(self, events: Iterable[tuple[float, int, Any, bytes | None]]) -> None:
        """
        Count a block of what a network's clock has done.

        @param events: each with the end of a connection it happened at, and the bytes that arrived, if it was that.
        """
        frames, sizes, payloads, started = self.frames, self.bytes, self.payloads, self._started
        for _, _, target, data in events:
            if data is None:
                continue
            if started:
                before = started.pop(target.serial, None)
                if before is not None:
                    data = before + data
            start, end = 0, len(data)
            while start < end:
                if end - start < HEADER:
                    started[target.serial] = data[start:]
                    break
                stop = start + HEADER + _length(data, start)[0]
                if stop > end:
                    started[target.serial] = data[start:]
                    break
                try:
                    kind = data[start + _TYPE_AT]
                    frames[kind] += 1
                    sizes[kind] += stop - start
                    if kind == _MESSAGE:
                        first = data[start + _SEQUENCE_AT]
                        last = start + _SEQUENCE_AT + (1 if first < 0x80 else _NUMBER_SIZE[first])
                        key = data[start + _ORIGIN_AT : last]
                        payloads[key] = payloads.get(key, 0) + 1
                    elif kind == _BATCH:
                        for message in _decodeBatch(data[start + HEADER : stop]).messages:
                            key = broadcastKey(message.origin, message.sequence)
                            payloads[key] = payloads.get(key, 0) + 1
                except (IndexError, KeyError, msgspec.DecodeError):
                    # That is no message: whom it was sent to will say so.
                    pass
                start = stop

    def count(self, types: Iterable[type]) -> int:
        """How many frames of some types."""
        return sum(self.frames[_numberOf(type)] for type in types)

    def byType(self) -> dict[str, dict[str, int]]:
        """Frames and bytes by the name of the type."""
        return {
            type.__name__: {"frames": self.frames[number], "bytes": self.bytes[number]}
            for number, type in sorted(TYPES.items())
            if self.frames[number]
        }
