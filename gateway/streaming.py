"""Server-sent events, looked at as they pass.

Bytes go through unchanged, event by event; a reader (`gateway.apis`) sees each event's data. Memory is bounded: an
event larger than `EVENT_MOST` is passed on in pieces and not looked at.
"""

from __future__ import annotations

from gateway.apis.base import StreamReader, Verdict

EVENT_MOST = 8 * 2**20
_LONGEST_BOUNDARY = len(b"\r\n\r\n")


class EventStream:
    """Splits one stream into events. After `ended`, `held` has the end mark and what follows it, to be sent last."""

    def __init__(self, reader: StreamReader, *, event_most: int = EVENT_MOST) -> None:
        self._reader = reader
        self._event_most = event_most
        self._tail = bytearray()
        self._scanned = 0  # how much of the tail is known to hold no boundary
        self._too_large = False  # in the midst of an event that is passed on unseen
        self.ended = False
        self.held = b""

    def feed(self, chunk: bytes) -> bytes:
        """Take what arrived; returns what may be passed on now."""
        if self.ended:
            self.held += chunk
            return b""
        self._tail += chunk
        buffer = self._tail
        crlf = b"\r" in buffer
        out = bytearray()
        start = 0
        while not self.ended:
            end = _boundary(buffer, max(start, self._scanned), crlf=crlf)
            if end < 0:
                break
            event = bytes(buffer[start:end])
            start = end
            self._scanned = 0
            self._pass(event, out)
        if self.ended:
            self.held += bytes(buffer[start:])
            start = len(buffer)
        del buffer[:start]
        self._scanned = max(len(buffer) - _LONGEST_BOUNDARY + 1, 0)
        if len(buffer) > self._event_most or (self._too_large and buffer):
            self._too_large = True
            keep = len(buffer) - self._scanned  # a boundary may be cut in two
            out += buffer[: self._scanned]
            del buffer[: len(buffer) - keep]
            self._scanned = 0
        return bytes(out)

    def finish(self) -> bytes:
        """The stream is over: returns what is left, such as a last event with no empty line after it."""
        rest, out = bytes(self._tail), bytearray()
        self._tail.clear()
        if rest and not self.ended:
            self._pass(rest, out)
        return bytes(out)

    def _pass(self, event: bytes, out: bytearray) -> None:
        if self._too_large:
            self._too_large = False
            out += event
            return
        data = data_of(event)
        verdict = self._reader.see(data) if data else Verdict.PASS
        if verdict is Verdict.PASS:
            out += event
        elif verdict is Verdict.LAST:
            self.ended = True
            self.held = event


def data_of(event: bytes) -> bytes:
    """The data of one event: its `data:` lines joined (the HTML standard, section 9.2.6); b"" when it has none."""
    if event.startswith(b"data:") and event.find(b"\n") >= len(event) - _LONGEST_BOUNDARY:
        return event[5:].strip()
    lines = [line[5:].removeprefix(b" ") for line in event.splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines).strip()


def _boundary(buffer: bytearray, start: int, *, crlf: bool) -> int:
    """Where the event that begins at `start` ends, its empty line included; -1 when it is not complete."""
    end = buffer.find(b"\n\n", start)
    found = end + 2 if end >= 0 else -1
    if crlf:
        end = buffer.find(b"\r\n\r\n", start)
        if end >= 0 and (found < 0 or end + 4 < found):
            found = end + 4
    return found
