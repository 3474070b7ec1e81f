"""What `docs/how-to/tls.md` tells readers to type works, from an empty folder."""

import re
import runpy
import shlex
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from chatproto import LoginRefusedError
from chatproto_sync import connect

from .adapters.processes import COMMANDS, run, spawn

PAGE = (Path(__file__).parent.parent / "docs" / "how-to" / "tls.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def commands(program: str) -> list[list[str]]:
    """The page's commands of one program, in order."""
    texts = [text.replace("\\\n", "") for language, text in BLOCKS if language == "sh"]
    lines = [shlex.split(line) for text in texts for line in text.splitlines()]
    return [line for line in lines if line[0] == program]


def has_openssl_3() -> bool:
    """Whether the `openssl` here is the one that the page asks for; LibreSSL has fewer options."""
    if shutil.which("openssl") is None:
        return False
    said = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True)
    return re.match(r"OpenSSL ([3-9]|\d\d)\.", said.stdout) is not None


@pytest.mark.skipif(not has_openssl_3(), reason="OpenSSL 3 is not installed")
def test_the_page_leads_to_a_login_with_a_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    steps = commands("openssl")
    assert len(steps) == 5
    for step in steps:
        subprocess.run(step, check=True, capture_output=True)
    (_, _, *serve), (_, send, *arguments) = commands("chatproto")
    assert send == "send"
    serve[serve.index("*")] = "127.0.0.1"  # tests stay on this machine
    with spawn([*COMMANDS["asyncio"], *serve, "--port", "0"], tmp_path / "log") as server:
        port = server.address.rpartition(":")[2]
        sent = run(sys.executable, "-m", "chatproto", send, "--port", port, *arguments)
        assert (sent.returncode, sent.stderr) == (0, "")

        [python] = [text for language, text in BLOCKS if language == "python"]
        script = tmp_path / "script.py"
        script.write_text(python, encoding="utf-8")
        page = runpy.run_path(str(script))
        connect_there = partial(connect, port=int(port))
        page["run_bot"].__globals__["connect"] = connect_there
        page["run_bot"]()
        assert capsys.readouterr().out == "it works\n"
        with (
            pytest.raises(LoginRefusedError, match="your certificate is for somebody else"),
            connect_there("localhost", name="bob", ssl=page["over_tls"]("alice")),
        ):
            pass
        assert server.end(signal.SIGTERM) == 0
