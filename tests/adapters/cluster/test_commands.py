"""`--cluster`: what operators see of it."""

import json
import signal
import urllib.request
from pathlib import Path

import pytest

from ..processes import PROGRAMS, run, spawn
from ..servers import TIMEOUT, clients, reserved_port
from .insides import Redis


@pytest.mark.parametrize("command", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_a_node(command: list[str], redis: Redis, tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client")
    config, port = tmp_path / "chat.toml", reserved_port()
    text = f'port = 0\ncluster = "{redis.url}"\nnode = "a"\nmetrics-port = {port}\n'
    config.write_text(text, encoding="utf-8")
    with spawn([*command, "--config", str(config)], tmp_path / "log") as process:
        url = f"http://127.0.0.1:{port}"
        with (
            # Once she has logged in, it serves.
            clients(process.address, "alice"),
            urllib.request.urlopen(f"{url}/metrics", timeout=TIMEOUT) as page,
            urllib.request.urlopen(f"{url}/ready", timeout=TIMEOUT) as ready,
        ):
            lines = page.read().decode().splitlines()
            assert ready.status == 200
            assert json.load(ready) == {"ready": True, "status": "ok", "standing": "up"}
        assert 'chatproto_cluster_standing{standing="up"} 1.0' in lines
        assert "chatproto_cluster_nodes 1.0" in lines
        config.write_text(f'{text}max-groups = 7\nnames = "any"\n', encoding="utf-8")
        process.popen.send_signal(signal.SIGHUP)
        process.wait_for_log(
            "ERROR the old configuration stays in use: the policy and the limits on groups belong"
            " to the chat, not to one server: "
        )
        with clients(process.address, "bob"):
            pass
        assert process.end(signal.SIGTERM) == 0
    assert "INFO joined the chat" in process.log


@pytest.mark.parametrize("kind", ["sync", "asyncio"])
def test_a_redis_that_is_not_there(kind: str) -> None:
    url = f"redis://127.0.0.1:{reserved_port()}/tea"
    result = run(*PROGRAMS[kind], "--port", "0", "--cluster", url)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: can't use Redis at 127.0.0.1:")
    assert "Connection refused" in result.stderr
