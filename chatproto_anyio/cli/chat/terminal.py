"""Chat on a terminal, with prompt_toolkit."""

import contextlib
import sys
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterator
from functools import partial
from itertools import accumulate
from time import strftime
from typing import Final

import anyio
from anyio.abc import TaskStatus
from anyio.streams.memory import MemoryObjectReceiveStream
from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
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
from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
from prompt_toolkit.layout.utils import explode_text_fragments
from prompt_toolkit.renderer import print_formatted_text
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import get_cwidth

from chatproto import visible

from .conversation import Conversation
from .lines import Kind, Line, remark
from .parsing import USAGES, is_command
from .vocabulary import Vocabulary

LINES_WAITING: Final = 1000
"""The most lines that wait to be obeyed, and to be shown."""

REST: Final = 0.02
"""Seconds for which lines are collected before more of them are shown."""

STYLE: Final = Style.from_dict(
    {
        "prompt": "bold",
        Kind.PERSON: "ansigreen",
        Kind.OWN: "ansicyan",
        Kind.TROUBLE: "ansired",
        Kind.REMARK: "ansimagenta",
    }
)


@contextlib.asynccontextmanager
async def open_terminal(conversation: Conversation) -> AsyncIterator["Terminal"]:
    """Have a prompt on the terminal as long as the context lasts.

    Args:
        conversation: Knows what the prompt says and what Tab completes.
    """
    terminal = Terminal(conversation)
    with terminal.typed():
        async with anyio.create_task_group() as tasks:
            await tasks.start(terminal.read)
            tasks.start_soon(terminal.print)
            try:
                await terminal.show(remark("/help lists what you can type besides words"))
                yield terminal
            finally:
                terminal.close()


class Terminal:
    """A prompt, with lines appearing above it. `open_terminal` makes one."""

    def __init__(self, conversation: Conversation) -> None:
        self.patience = 2.0
        """Somebody sits there and waits."""
        self._typing, self._typed = anyio.create_memory_object_stream[str](LINES_WAITING)
        self._showing, self._shown = anyio.create_memory_object_stream[StyleAndTextTuples](
            LINES_WAITING
        )
        self._session = PromptSession[str](
            lambda: [("class:prompt", self._shortened(conversation.prompt))],
            input=RawInput(sys.stdin),
            style=STYLE,
            completer=_VocabularyCompleter(conversation.vocabulary),
            complete_while_typing=False,
            input_processors=[_Escape()],
            key_bindings=_key_bindings(),
            erase_when_done=True,
        )
        # The prompt stays when a line has been typed: what is typed next is never on its own.
        self._session.default_buffer.accept_handler = self._accept

    def typed(self) -> MemoryObjectReceiveStream[str]:
        """What is typed, until somebody ends it."""
        return self._typed

    async def show(self, line: Line) -> None:
        """Show a line above the prompt."""
        await self._showing.send([*line.fragments(strftime("%H:%M")), ("", "\n")])

    async def read(self, *, task_status: TaskStatus[None]) -> None:
        """Have the prompt, until somebody or `close` ends it."""
        # Not to be cancelled: that would leave the terminal's answers for the shell to read.
        with anyio.CancelScope(shield=True), self._typing, contextlib.suppress(EOFError):
            # Ctrl-C is a key here. Signals come from elsewhere, and are not for the prompt.
            await self._session.prompt_async(pre_run=task_status.started, handle_sigint=False)

    async def print(self) -> None:
        """Print what there is to show, until `close`."""
        # Cancelled in the wrong moment, prompt_toolkit waits for ever in the end.
        with anyio.CancelScope(shield=True), self._shown:
            async for fragments in self._shown:
                for _ in range(self._shown.statistics().current_buffer_used):
                    fragments += self._shown.receive_nowait()
                await run_in_terminal(partial(self._print, fragments))
                # Taking the prompt away and putting it back takes longer than many lines.
                await anyio.sleep(REST)

    def close(self) -> None:
        """Have the other methods end."""
        app = self._session.app
        if app.is_running and not app.is_done:
            app.exit()
        self._showing.close()

    def _shortened(self, prompt: str) -> str:
        """The end of a prompt, where whom one talks to stands: half the width is for typing."""
        room = self._session.app.output.get_size().columns // 2
        if get_cwidth(prompt) <= room:
            return prompt
        while prompt and get_cwidth(prompt) > room - 3:
            prompt = prompt[1:]
        return f"...{prompt}"

    def _print(self, fragments: StyleAndTextTuples) -> None:
        app = self._session.app
        # Fragments are printed as they are, and none has an escape sequence.
        print_formatted_text(app.output, fragments, STYLE, color_depth=app.color_depth)
        app.output.flush()

    def _accept(self, buffer: Buffer) -> bool:
        """Take what was typed.

        Returns:
            Whether it is to stay where it is.
        """
        try:
            self._typing.send_nowait(buffer.text)
        except anyio.WouldBlock:
            return True
        return False


class RawInput(Vt100Input):
    """A keyboard that prompt_toolkit leaves alone while it prints above the prompt.

    Otherwise the terminal would show by itself what is typed in just that moment, and take a Ctrl-C
    for a signal.
    """

    def cooked_mode(self) -> contextlib.AbstractContextManager[None]:
        """Change nothing."""
        return contextlib.nullcontext()


class _VocabularyCompleter(Completer):
    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    def get_completions(
        self,
        document: Document,
        complete_event: CompleteEvent,  # noqa: ARG002
    ) -> Iterator[Completion]:
        text = document.text_before_cursor
        start, words = self._vocabulary.completions(text)
        for word in words:
            yield Completion(
                # Commands go on.
                f"{word} " if is_command(text) else word,
                -len(start),
                display=visible(word),
                display_meta=USAGES[word].meaning if word in USAGES else None,
            )


class _Escape(Processor):
    """Shows what does not print as `visible` does: names that Tab completes are others' choice."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        fragments = explode_text_fragments(transformation_input.fragments)
        # Whoever types a backslash sees a backslash.
        shown: StyleAndTextTuples = [
            (style, character if character == "\\" else visible(character))
            for style, character, *_ in fragments
        ]
        # Where each character starts; the cursor may also be behind the last one.
        starts = list(accumulate((len(text) for _, text, *_ in shown), initial=0))

        def source_to_display(position: int) -> int:
            return starts[min(position, len(shown))] + max(position - len(shown), 0)

        def display_to_source(position: int) -> int:
            return bisect_right(starts, position) - 1

        return Transformation(shown, source_to_display, display_to_source)


def _key_bindings() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("c-c", filter=has_focus(DEFAULT_BUFFER))
    def clear_or_quit(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=EOFError)

    @bindings.add("tab", filter=has_focus(DEFAULT_BUFFER) & ~has_completions)
    def complete(event: KeyPressEvent) -> None:
        # At once, and not in a task as usual: on a slow line, what is typed next is here already.
        buffer = event.current_buffer
        asked = CompleteEvent(completion_requested=True)
        completions = list(buffer.completer.get_completions(buffer.document, asked))
        if len(completions) == 1:
            buffer.apply_completion(completions[0])
        elif common := get_common_complete_suffix(buffer.document, completions):
            buffer.insert_text(common)
        elif completions:
            buffer.start_completion()

    return bindings
