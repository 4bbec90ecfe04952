"""Training curves as TensorBoard reads them: TFRecord files of `Event` messages with scalar summaries.

A record is its length (uint64), the masked CRC-32C of the length, the message, the masked CRC-32C of the message, all
little-endian (TensorFlow, core/lib/io/record_writer.h). A message is protocol buffers' wire format of event.proto and
summary.proto, of which four fields are needed; that is less code than the packages that write it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

POLYNOMIAL = 0x82F63B78  # Castagnoli's, reflected (RFC 3720, appendix B.4)
MASK = 0xA282EAD8
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
VERSION = "brain.Event:2"


def event_file(start: float, points: Iterable[tuple[float, int, Mapping[str, float]]]) -> bytes:
    """Return the bytes of an event file. points: (seconds since 1970, step, tag -> value) in order."""
    events = [_field(1, FIXED64, struct.pack("<d", start)) + _field(3, BYTES, VERSION.encode())]
    for seconds, step, values in points:
        summary = b"".join(_field(1, BYTES, _value(tag, value)) for tag, value in values.items())
        time = _field(1, FIXED64, struct.pack("<d", seconds))
        events.append(time + _field(2, VARINT, _varint(step)) + _field(5, BYTES, summary))
    return b"".join(map(record, events))


def record(data: bytes) -> bytes:
    """Return one record of a TFRecord file."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked(length)) + data + struct.pack("<I", masked(data))


def masked(data: bytes) -> int:
    """Return the masked CRC-32C: rotated right by 15 bits, plus a constant."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + MASK) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of some bytes."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (POLYNOMIAL if byte & 1 else 0)
    return byte


TABLE = [_entry(byte) for byte in range(256)]


def _value(tag: str, value: float) -> bytes:
    return _field(1, BYTES, tag.encode()) + _field(2, FIXED32, struct.pack("<f", value))


def _field(number: int, kind: int, data: bytes) -> bytes:
    return _varint(number << 3 | kind) + (_varint(len(data)) if kind == BYTES else b"") + data


def _varint(number: int) -> bytes:
    """Return a number that is not negative in base 128, lowest digits first."""
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])
