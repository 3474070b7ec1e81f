"""Lets Atheris look for bytes with which one of `fuzz.targets` finds something wrong.

    .venv/bin/pip install atheris
    .venv/bin/python -m fuzz.guided [TARGET ...] [--seconds S] [--seed N] [--corpus FOLDER]
    .venv/bin/python -m fuzz.guided TARGET --replay FILE

Atheris changes bytes that have reached new code in the package, and tries again. It begins with the
conformance transcripts and with what earlier runs have found. Without a name, each target has its
turn. The exit status is 1 after a failure; the bytes are in a file then. `--replay` runs them once
more, without Atheris, and makes them as small as possible.
"""

import argparse
import importlib.util
import re
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path
from typing import Final, NoReturn

CORPUS: Final = Path(__file__).parent.parent / "build" / "fuzz"
"""Where inputs are kept unless the command line says otherwise."""
NAMES: Final = ("connection", "paths", "service", "session", "noise", "world")
"""The names of the targets. Atheris has to be there before they are imported."""
LONGEST: Final = 2000
"""Bytes of the longest input."""
SLOWEST: Final = 120
"""Seconds that an input may take, on a machine that has other things to do."""
PATIENCE: Final = 30.0
"""Seconds to make a failing input smaller."""

WORDS: Final = (
    *(b"CHAT/1.0 LOGIN ", b"CHAT/1.0 LOGOUT\n", b"CHAT/1.0 SEND ", b"CHAT/1.0 RECEIVE "),
    *(b"CHAT/1.0 GROUP g ", b"CHAT/1.0 BROADCAST g ", b"CHAT/1.0 LEAVE g\n"),
    *(b"CHAT/1.1 ", b"ann ", b"bob ", "bücher ".encode(), b"*server* ", b"*groups* "),
    *(b"*groups* on\n", b"*groups* list\n", b"*groups* members g\n", b"*groups* add g eve\n"),
    *(b"\r\n", b"\n", b"\r\r\n", b"\t", "\xa0".encode(), "\u3000".encode(), b"\0", b"\xff"),
    *(b"\0chatproto echo 0", b"\0chatproto echo 1", b"in g bob ", b"added g ann bob\n"),
    *(b"GET / HTTP/1.1\r\n", b"Host: x\r\n", b"*2\r\n$5\r\n", b"HTTP/1.1 400 Bad Request\r\n"),
    *(b"ERR NAME_IN_USE LOGIN x", b"refused NOT_ALLOWED ", b"on\n", b"list g\n", b"x" * 60),
    *(b"\xfe" + bytes([4 * action + client]) for action in range(16) for client in range(4)),
)
"""What is worth inserting: words of the protocol, and beginnings of records."""


def fuzz(name: str, seconds: float, corpus: Path, seed: int) -> NoReturn:
    """Fuzz one target, and end the process.

    Args:
        name: The target's name.
        seconds: How long.
        corpus: The folder with the inputs of all targets.
        seed: Of all that is chosen; 0 for another one each time.
    """
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["chatproto", "fuzz.grammar", "fuzz.service"]):
        targets = importlib.import_module("fuzz.targets")
    inputs = importlib.import_module("fuzz.inputs")
    folder = corpus / name
    folder.mkdir(parents=True, exist_ok=True)
    for data in inputs.beginnings(name):
        (folder / sha256(data).hexdigest()[:16]).write_bytes(data[:LONGEST])
    words = corpus / "words"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in WORDS))
    options = {
        "seed": seed,
        "max_total_time": max(1, round(seconds)),
        "max_len": LONGEST,
        "timeout": SLOWEST,
        "rss_limit_mb": 2000,
        "dict": words,
        "artifact_prefix": f"{corpus}/{name}-",
        "print_final_stats": 1,
        "verbosity": 0,
    }
    atheris.Setup(
        [sys.argv[0], *[f"-{key}={value}" for key, value in options.items()], str(folder)],
        targets.TARGETS[name],
    )
    atheris.Fuzz()
    sys.exit(0)


def _escaped(word: bytes) -> str:
    """A word as libFuzzer reads it."""
    return "".join(f"\\x{byte:02x}" for byte in word)


def replay(name: str, data: bytes) -> int:
    """Run one input, and make it smaller as long as it fails in the same way.

    Returns:
        The exit status.
    """
    target = importlib.import_module("fuzz.targets").TARGETS[name]
    minimal = importlib.import_module("fuzz.broker").minimal
    end = time.monotonic() + PATIENCE

    def failure(smaller: bytes) -> Exception | None:
        try:
            target(smaller)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what was looked for
            return error
        return None

    first = failure(data)
    if first is None:
        print("nothing is wrong with it")
        return 0

    def fails(pieces: list[bytes]) -> bool:
        if time.monotonic() > end:
            return False
        found = failure(b"".join(pieces))
        return type(found) is type(first) and _kind(found) == _kind(first)

    # At first whole lines, then bytes.
    for pattern in (rb"[^\n]*\n|[^\n]+", rb"(?s:.)"):
        data = b"".join(minimal(tuple(re.findall(pattern, data)), fails))
    print(f"{name}: {data!r}\n{failure(data)!r}")
    return 1


def _kind(error: Exception | None) -> object:
    """What has to stay the same of an error."""
    return getattr(error, "kind", None)


def main() -> int:
    """Fuzz as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(NAMES)}")
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="for all of them together (default: 60)"
    )
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="where inputs are kept")
    parser.add_argument("--seed", type=int, default=0, help="(default: another one each time)")
    parser.add_argument("--replay", type=Path, help="a file with the input of a failure")
    arguments = parser.parse_args()
    targets = arguments.targets or NAMES
    if unknown := set(targets) - set(NAMES):
        parser.error(f"there is no target {', '.join(unknown)}, only {', '.join(NAMES)}")
    if arguments.replay:
        return replay(targets[0], arguments.replay.read_bytes())
    if importlib.util.find_spec("atheris") is None:
        parser.error("Atheris is not installed; try `.venv/bin/pip install atheris`")
    seconds = arguments.seconds / len(targets)
    if len(targets) == 1:
        fuzz(targets[0], seconds, arguments.corpus, arguments.seed)
    failed = []
    for name in targets:
        print(f"{name}, {seconds:.0f} s", flush=True)
        command = [sys.executable, "-m", "fuzz.guided", name, "--seconds", str(seconds)]
        command += ["--corpus", str(arguments.corpus), "--seed", str(arguments.seed)]
        done = subprocess.run(command, check=False)  # noqa: S603
        failed += [name] * (done.returncode != 0)
    for name in failed:
        print(
            f"{name} has failed: python -m fuzz.guided {name} --replay {arguments.corpus}/{name}-…"
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
