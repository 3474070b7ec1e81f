"""An application's rules: hooks that decide at random, and know what has become of each message."""

from random import Random

from chatproto import Broadcast, ChatBroker, Drop, HookVerdict, Refusal, Reply, Said, Send

from .client import GROUPS, Ledger, key_of


class Rules:
    """What the hooks of a world decide.

    Args:
        ledger: Where to note which messages do not pass, and which are changed.
        random: For the verdicts.
    """

    def __init__(self, ledger: Ledger, random: Random) -> None:
        self.lenient = False
        """Whether everything passes from now on."""
        self.broker: ChatBroker[int]
        self._ledger = ledger
        self._random = random
        # The questions that are open, by token.
        self._asked: dict[int, Said] = {}

    def hook(self, said: Said) -> HookVerdict | None:
        """Decide about an event at once; sometimes fail, or end the speaker's connections."""
        kind = self._random.random()
        if not self.lenient and kind < 0.01:
            self._stop(said)
            raise RuntimeError("a mistake in a rule")
        if not self.lenient and kind < 0.012 and said.name is not None:
            assert self.broker.desk.kick(said.name, "enough")
        return self._decide(said)

    def answer(self) -> None:
        """Answer some of the open questions, and note which the broker has withdrawn."""
        for question in self.broker.take_hook_questions():
            self._asked[question.token] = question.said
        for token in self.broker.take_withdrawn_questions():
            # Not there if the connection has ended before anybody took the question.
            if token in self._asked:
                self._stop(self._asked.pop(token))
        for token, said in list(self._asked.items()):
            if self.lenient or self._random.random() < 0.5:
                del self._asked[token]
                self.broker.decide(token, self._decide(said) or said.event)

    def _decide(self, said: Said) -> HookVerdict | None:
        kind = 1.0 if self.lenient else self._random.random()
        if kind < 0.2:
            self._stop(said)
            return (Refusal("RULE", "not here"), Reply(b"no", "*mod*"), Drop())[int(kind * 15)]
        if kind > 0.8:
            return None
        match said.event:
            case Send(to, data) if to != GROUPS.decode():
                self._ledger.change(*key_of(data))
                return Send(to, data + b"!")
            case Broadcast(group, data):
                self._ledger.change(*key_of(data))
                return Broadcast(group, data + b"!")
        return said.event

    def _stop(self, said: Said) -> None:
        match said.event:
            case Send(to, data) if to != GROUPS.decode():
                self._ledger.stopped.add(key_of(data))
            case Broadcast(_, data):
                self._ledger.stopped.add(key_of(data))
