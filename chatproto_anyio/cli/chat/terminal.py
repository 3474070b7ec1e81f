"""Chat on a terminal: a prompt below the lines of the conversation, by prompt_toolkit."""

import contextlib
import os
import re
import signal
import sys
import termios
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterator
from functools import partial
from itertools import accumulate
from time import strftime
from typing import Final, TextIO

import anyio
from anyio.abc import TaskStatus
from anyio.streams.memory import MemoryObjectReceiveStream
from prompt_toolkit import PromptSession
from prompt_toolkit.application import in_terminal, run_in_terminal
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import (
    CompleteEvent,
    Completer,
    Completion,
    get_common_complete_suffix,
)
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_completions, has_focus
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout.dimension import AnyDimension, Dimension
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.layout.utils import explode_text_fragments
from prompt_toolkit.renderer import print_formatted_text
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import get_cwidth

from chatproto import visible, visible_name

from .conversation import Conversation
from .lines import LineKind, OutputLine
from .parsing import (
    USAGES,
    is_slash_command,
    length_of_names,
    without_controls,
)
from .vocabulary import Vocabulary
from .wrapping import wrap

QUEUE_SIZE: Final = 1000
"""The most inputs that wait to be executed, and the most lines that wait to be shown."""

PRINT_INTERVAL: Final = 0.02
"""Seconds between two times that lines are printed."""

NO_CONNECTION: Final = "(offline) "
"""What stands in front of the prompt during an outage."""

WAITING: Final = "(waiting) "
"""What stands there while the server does not answer."""

STYLE: Final = Style.from_dict(
    {
        "prompt": "bold",
        # Bold even without colours. A text is never bold: a long one that goes on in another row
        # cannot pass for the head of another line.
        "head": "bold",
        # What is for this user in particular stands out, even without colours.
        LineKind.RECEIVED: "ansigreen underline",
        LineKind.RECEIVED_IN_GROUP: "ansibrightblue",
        LineKind.MENTIONED: "ansiyellow reverse",
        LineKind.SENT: "ansicyan",
        LineKind.FAILED: "ansired",
        LineKind.ERROR: "ansired",
        LineKind.INFO: "ansimagenta",
    }
)


MOST_PASTED: Final = 5
"""The most lines that are sent at once without asking."""

NARROWEST: Final = 20
"""The fewest columns for the rows of a text: the rows after the first one begin below the head of
the line, or further to the left if that leaves less."""

# What ends a line in pasted text, for example from a word processor (UAX 14, class BK, and NEL).
_LINE_ENDS: Final = re.compile(r"\r\n|[\n\v\f\r\x85\u2028\u2029]")


@contextlib.asynccontextmanager
async def open_terminal(conversation: Conversation) -> AsyncIterator["TerminalInterface"]:
    """Show a prompt on the terminal until the context ends.

    Args:
        conversation: Its prompt and its vocabulary are used.
    """
    interface = TerminalInterface(conversation)
    with interface.read():
        async with anyio.create_task_group() as tasks:
            await tasks.start(interface.run_prompt)
            tasks.start_soon(interface.print_lines)
            tasks.start_soon(interface.handle_job_control)
            try:
                await interface.show(OutputLine.info("/help lists the commands"))
                yield interface
            finally:
                interface.close()


class TerminalInterface:
    """A `UserInterface` on a terminal. `open_terminal` makes one."""

    def __init__(self, conversation: Conversation) -> None:
        self._ended = anyio.Event()
        self._input_in, self._input_out = anyio.create_memory_object_stream[str](QUEUE_SIZE)
        self._lines_in, self._lines_out = anyio.create_memory_object_stream[StyleAndTextTuples](
            QUEUE_SIZE
        )
        self._job_control = anyio.CancelScope()
        # The lines of which the user was asked whether to send them.
        self._asked_for: str | None = None
        self._keyboard = RawInput(sys.stdin)
        self._session = PromptSession[str](
            partial(self._make_prompt, conversation),
            input=self._keyboard,
            style=STYLE,
            completer=_VocabularyCompleter(conversation.vocabulary),
            complete_while_typing=False,
            input_processors=[_EscapeProcessor()],
            key_bindings=_key_bindings(),
            erase_when_done=True,
        )
        # Enter does not end the prompt, so there is always a prompt that takes the next keys.
        self._session.default_buffer.accept_handler = self._accept
        self._session.default_buffer.on_text_changed += partial(_name_recipient, conversation)
        window = self._session.layout.current_window
        self._height_by_default = window.height
        window.height = self._input_height

    def read(self) -> MemoryObjectReceiveStream[str]:
        """Read what the user types, until the user quits or `close` is called."""
        return self._input_out

    def take_unread(self) -> list[str]:
        """Take what the user has typed and nobody has read."""
        unread = []
        with contextlib.suppress(anyio.WouldBlock, anyio.EndOfStream):
            while True:
                unread.append(self._input_out.receive_nowait())
        return unread

    async def wait_until_ended(self) -> None:
        """Wait until the prompt has ended."""
        await self._ended.wait()

    async def show(self, line: OutputLine) -> None:
        """Show a line above the prompt."""
        await self._lines_in.send(self._fragments(line))

    async def run_prompt(self, *, task_status: TaskStatus[None]) -> None:
        """Show the prompt and take keys, until the user quits or `close` is called."""
        # If it is cancelled, prompt_toolkit leaves the terminal's answers for the shell to read.
        with anyio.CancelScope(shield=True), self._input_in, contextlib.suppress(EOFError):
            # Ctrl-C is a key here. SIGINT ends the whole program, not only the prompt. Errors
            # that the event loop reports go to the handler of `run_client`. The handler of
            # prompt_toolkit would wait for Enter, even when a signal has ended the program.
            await self._session.prompt_async(
                pre_run=task_status.started, handle_sigint=False, set_exception_handler=False
            )
        self._ended.set()

    async def print_lines(self) -> None:
        """Print lines above the prompt, until `close` is called."""
        # If it is cancelled while it prints, prompt_toolkit never ends.
        with anyio.CancelScope(shield=True), self._lines_out:
            async for fragments in self._lines_out:
                for _ in range(self._lines_out.statistics().current_buffer_used):
                    fragments += self._lines_out.receive_nowait()
                await run_in_terminal(partial(self._print, fragments))
                # Hiding and redrawing the prompt takes longer than printing many lines.
                await anyio.sleep(PRINT_INTERVAL)

    async def handle_job_control(self) -> None:
        """Stop the process on SIGTSTP, and show the prompt again on SIGCONT, until `close`."""
        signals = anyio.open_signal_receiver(signal.SIGTSTP, signal.SIGCONT)
        with self._job_control, signals as received:
            async for number in received:
                # If it is cancelled in the middle, prompt_toolkit never ends.
                with anyio.CancelScope(shield=True):
                    if number == signal.SIGCONT:
                        self._forget_screen()
                    async with in_terminal():
                        if number == signal.SIGTSTP:
                            self._keyboard.stop_process()
                        else:
                            self._keyboard.restore_raw_mode()

    def close(self) -> None:
        """End the prompt, and end printing once all lines are printed."""
        self._job_control.cancel()
        self._end_prompt()
        self._lines_in.close()

    def _end_prompt(self) -> None:
        app = self._session.app
        if app.is_running and not app.is_done:
            app.exit()

    def _forget_screen(self) -> None:
        """Treat the cursor's line as a new one, because the shell has used the terminal."""
        app = self._session.app
        app.renderer.reset()
        app.output.write_raw("\r")

    def _make_prompt(self, conversation: Conversation) -> StyleAndTextTuples:
        """The prompt with the user and the recipient, after the state of the connection."""
        mark = WAITING if conversation.is_waiting else ""
        if not conversation.is_connected:
            mark = NO_CONNECTION
        return [
            (f"class:{LineKind.ERROR}", mark),
            ("class:prompt", self._shorten(conversation.prompt)),
        ]

    def _input_height(self) -> AnyDimension:
        """How high the input is. Several lines take half of the terminal at most.

        So a long paste does not hide the conversation, nor the question whether to send it.
        """
        if self._session.default_buffer.document.line_count == 1:
            return self._height_by_default
        return Dimension(max=max(self._session.app.output.get_size().rows // 2, 1))

    def _shorten(self, prompt: str) -> str:
        """Shorten a prompt to half of the width. Keep its end, which names the recipient."""
        width = self._session.app.output.get_size().columns // 2
        if get_cwidth(prompt) <= width:
            return prompt
        # A mark at the start goes too, because it would combine with the dots.
        while prompt and (get_cwidth(prompt) > width - 3 or get_cwidth(prompt[0]) == 0):
            prompt = prompt[1:]
        return f"...{prompt}"

    def _fragments(self, line: OutputLine) -> StyleAndTextTuples:
        """A line with its time, wrapped for the terminal as it is now."""
        *head, (style, text) = line.fragments(strftime("%H:%M"))
        width = self._session.app.output.get_size().columns
        # A name may be wider than the terminal.
        taken = sum(get_cwidth(each) for _, each in head) % width
        indent = min(taken, max(width - NARROWEST, 0))
        text = wrap(text, width, taken, indent, get_cwidth)
        return [*head, (style, text), ("", "\n")]

    def _print(self, fragments: StyleAndTextTuples) -> None:
        app = self._session.app
        # Text is printed as it is: an `OutputLine` has no escape sequences.
        print_formatted_text(app.output, fragments, STYLE, color_depth=app.color_depth)
        app.output.flush()

    def _accept(self, buffer: Buffer) -> bool:
        """Queue the input.

        Returns:
            Whether the input stays at the prompt: the queue is full, or the user has to confirm
            that so many lines are to be sent.
        """
        if buffer.text.rstrip() == "/quit":
            # As Ctrl-D does. What was typed before is still executed.
            self._end_prompt()
            return False
        lines = buffer.text.count("\n") + 1
        if lines > MOST_PASTED and self._asked_for != buffer.text:
            self._asked_for = buffer.text
            text = f"these are {lines} lines: Enter once more sends them, Ctrl-C clears them"
            with contextlib.suppress(anyio.WouldBlock):
                self._lines_in.send_nowait(self._fragments(OutputLine.info(text)))
            return True
        try:
            self._input_in.send_nowait(buffer.text)
        except anyio.WouldBlock:
            return True
        self._asked_for = None
        return False


class RawInput(Vt100Input):
    """A keyboard that stays in raw mode while prompt_toolkit prints above the prompt.

    Otherwise, in that moment, the terminal would echo keys and turn Ctrl-C into a signal.
    """

    def __init__(self, stdin: TextIO) -> None:
        super().__init__(stdin)
        self._settings = self._raw_settings = termios.tcgetattr(self.fileno())

    @contextlib.contextmanager
    def raw_mode(self) -> Iterator[None]:
        """Take keys as they are, until the end of the context."""
        with super().raw_mode():
            self._raw_settings = termios.tcgetattr(self.fileno())
            yield

    def cooked_mode(self) -> contextlib.AbstractContextManager[None]:
        """Change nothing."""
        return contextlib.nullcontext()

    def stop_process(self) -> None:
        """Stop this process as SIGTSTP does by default, with the keyboard as it was at first.

        This returns when the process is continued. Where nobody could continue it, the system does
        not stop it, and this returns at once.
        """
        termios.tcsetattr(self.fileno(), termios.TCSANOW, self._settings)
        # With the default handlers, the SIGCONT that continues the process has no other effect.
        numbers = (signal.SIGTSTP, signal.SIGCONT)
        handlers = [signal.signal(number, signal.SIG_DFL) for number in numbers]
        os.kill(os.getpid(), signal.SIGTSTP)
        # In the background, this stops the process again until it is in the foreground.
        self.restore_raw_mode()
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)
            # As asyncio does.
            signal.siginterrupt(number, False)

    def restore_raw_mode(self) -> None:
        """Take keys as they are again, after the shell has changed that."""
        termios.tcsetattr(self.fileno(), termios.TCSANOW, self._raw_settings)


class _VocabularyCompleter(Completer):
    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    def get_completions(
        self,
        document: Document,
        complete_event: CompleteEvent,  # noqa: ARG002
    ) -> Iterator[Completion]:
        text = document.text_before_cursor
        prefix, words = self._vocabulary.complete(text)
        for word in words:
            usage = USAGES.get(word)
            yield Completion(
                # An argument or text follows.
                f"{word} " if is_slash_command(text) else word,
                -len(prefix),
                display=visible_name(word),
                display_meta=usage.description if usage else None,
            )


class _EscapeProcessor(Processor):
    """Shows the input escaped, as the line that it becomes. Tab adds names that others chose."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        fragments = explode_text_fragments(transformation_input.fragments)
        line = "".join(character for _, character, *_ in fragments)
        shown: StyleAndTextTuples = [
            (style, text)
            for (style, *_), text in zip(fragments, _shown_characters(line), strict=True)
        ]
        # Where each character starts. The cursor may also be behind the last one.
        starts = list(accumulate((len(text) for _, text, *_ in shown), initial=0))

        def source_to_display(position: int) -> int:
            return starts[min(position, len(shown))] + max(position - len(shown), 0)

        def display_to_source(position: int) -> int:
            return bisect_right(starts, position) - 1

        return Transformation(shown, source_to_display, display_to_source)


def _shown_characters(line: str) -> Iterator[str]:
    """How each character of a line is shown."""
    end_of_names = length_of_names(line)
    yield from map(visible_name, line[:end_of_names])
    text = line[end_of_names:]
    shown = visible(text)
    position = 0
    for each in text:
        # Some stay as they are only between others. An escape, or a space, never starts with the
        # character that it stands for.
        character = each if shown.startswith(each, position) else visible(each)
        position += len(character)
        yield character


def _name_recipient(conversation: Conversation, buffer: Buffer) -> None:
    """Turn `/reply` or `/r` into what it stands for, as soon as a space follows.

    So the user sees who will get the text, and what arrives while the user types can't change it.
    """
    last = conversation.last_message
    if last is not None and (command := last.command(buffer.text)) is not None:
        buffer.document = Document(command)


def _key_bindings() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("c-c", filter=has_focus(DEFAULT_BUFFER))
    def clear_or_quit(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=EOFError)

    @bindings.add("c-z")
    def stop(_event: KeyPressEvent) -> None:
        # Signal the whole job, as the terminal itself does. This process has a handler.
        os.kill(0, signal.SIGTSTP)

    @bindings.add("c-q")
    def ignore(_event: KeyPressEvent) -> None:
        # By default, the next key would be inserted whatever it is.
        pass

    @bindings.add(Keys.BracketedPaste)
    def paste(event: KeyPressEvent) -> None:
        first, *rest = map(without_controls, _LINE_ENDS.split(event.data))
        if rest and not rest[-1]:
            # The end of the last line.
            rest.pop()
        buffer = event.current_buffer
        if rest and not buffer.cursor_position and first.startswith("/"):
            # Several lines are text, whatever they begin with.
            first = f"/{first}"
        buffer.insert_text("\n".join([first, *rest]))

    @bindings.add("tab", filter=has_focus(DEFAULT_BUFFER) & ~has_completions)
    def complete(event: KeyPressEvent) -> None:
        # prompt_toolkit would complete in a task. The next keys may arrive before that runs.
        buffer = event.current_buffer
        requested = CompleteEvent(completion_requested=True)
        completions = list(buffer.completer.get_completions(buffer.document, requested))
        if len(completions) == 1:
            buffer.apply_completion(completions[0])
        elif common := get_common_complete_suffix(buffer.document, completions):
            buffer.insert_text(common)
        elif completions:
            buffer.start_completion()

    return bindings
