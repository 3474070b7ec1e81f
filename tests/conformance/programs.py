"""Client programs in memory: one that is right, and for each row one with a mistake there."""

from collections.abc import Callable

from chatproto import ChatConnection, ConnectionClosed, Receive, Role
from chatproto.conformance import Close, Connect, EndWriting, Play, Write


class Program:
    """Writes what it reads from its user, and prints what it receives, if that is a RECEIVE."""

    def __init__(self) -> None:
        self.connection = ChatConnection(Role.CLIENT)
        self.printer = ChatConnection(Role.SERVER)
        self.written = b""
        self.printed = b""
        self.has_ended = False
        self.has_exited = False

    def read_input(self, data: bytes) -> None:
        self.written += data

    def end_of_input(self) -> None:
        self.written += b"CHAT/1.0 LOGOUT\n"

    def receive(self, data: bytes) -> None:
        for event in self.connection.receive_data(data):
            if isinstance(event, Receive):
                self.show(event)

    def end_of_stream(self) -> None:
        for event in self.connection.receive_eof():
            if isinstance(event, ConnectionClosed):
                self.has_ended = self.has_exited = True

    def show(self, message: Receive) -> None:
        self.printed += self.printer.send(message)


def play_with(program: Program, play: Play) -> None:
    """Play a transcript with a program in memory, until there is a verdict."""
    now = 0.0
    ended: set[str] = set()
    while True:
        for action in play.advance(now):
            match action:
                case Connect("user"):
                    pass
                case Write("user", data):
                    program.read_input(data)
                case EndWriting("user"):
                    program.end_of_input()
                case Write("server", data):
                    if not program.has_ended:
                        program.receive(data)
                case EndWriting("server") | Close("server"):
                    program.end_of_stream()
                case _:
                    raise AssertionError(action)
        if play.verdict is not None:
            return
        written, program.written = program.written, b""
        printed, program.printed = program.printed, b""
        if written:
            play.received("server", written)
        if printed:
            play.received("user", printed)
        for has_ended, end in ((program.has_ended, "server"), (program.has_exited, "user")):
            if has_ended and end not in ended:
                ended.add(end)
                play.ended(end, "it was enough")
                written = b"changed"
        if not (written or printed):
            assert play.deadline is not None
            now = min(now + 0.05, play.deadline)


class LogsInWithoutEnd(Program):
    def read_input(self, data: bytes) -> None:
        self.written += data.replace(b"\n", b"") if b" LOGIN " in data else data


class StripsWhatItSends(Program):
    def read_input(self, data: bytes) -> None:
        self.written += data.strip() + b"\n"


class NoGroups(Program):
    def read_input(self, data: bytes) -> None:
        if b" GROUP " not in data:
            self.written += data


class StripsWhatItShows(Program):
    def show(self, message: Receive) -> None:
        super().show(Receive(message.sender, message.data.strip()))


class TakesPiecesForLines(Program):
    def receive(self, data: bytes) -> None:
        super().receive(data if data.endswith(b"\n") else data + b"\n")


class KeepsCarriageReturns(Program):
    def receive(self, data: bytes) -> None:
        super().receive(data.replace(b"\r\n", b"\r\r\n"))


class ShortLines(Program):
    def receive(self, data: bytes) -> None:
        super().receive(
            b"".join(each for each in data.splitlines(keepends=True) if len(each) < 4096)
        )


class AnyVersion(Program):
    def receive(self, data: bytes) -> None:
        super().receive(data.replace(b"CHAT/1.1", b"CHAT/1.0"))


class Trims(Program):
    def receive(self, data: bytes) -> None:
        super().receive(data.lstrip(b" "))


class EndsAtNotices(Program):
    def receive(self, data: bytes) -> None:
        super().receive(data)
        if b"*server*" in data:
            self.has_ended = self.has_exited = True


class CutsLongLines(Program):
    def receive(self, data: bytes) -> None:
        super().receive(data[:4095] + b"\n" + data[4095:] if len(data) > 4096 else data)


class RunsHalfLines(Program):
    def end_of_stream(self) -> None:
        if self.connection.inside_line:
            self.receive(b"\n")
        super().end_of_stream()


class GoesOn(Program):
    def end_of_stream(self) -> None:
        """Do not notice."""


class NeverLogsOut(Program):
    def end_of_input(self) -> None:
        """Do not notice."""


PROGRAMS: dict[str, Callable[[], Program]] = {
    "LOGIN is the first line": LogsInWithoutEnd,
    "SEND keeps spaces": StripsWhatItSends,
    "GROUP, BROADCAST and LEAVE": NoGroups,
    "RECEIVE: spaces": StripsWhatItShows,
    "a line in pieces": TakesPiecesForLines,
    "CRLF": KeepsCarriageReturns,
    "a line of 4096": ShortLines,
    "lines that are no RECEIVE": AnyVersion,
    "a line with a space": Trims,
    "notices": EndsAtNotices,
    "a line over 4096 bytes": CutsLongLines,
    "half a line": RunsHalfLines,
    "the program ends": GoesOn,
    "at the end of its input": NeverLogsOut,
}
"""A program with a mistake for each row, by the beginning of the row's text."""
