"""chatproto.__main__: it runs the command, or says which package is missing."""

import importlib
import runpy
import sys

import pytest

from chatproto import __version__
from chatproto.__main__ import main


@pytest.fixture(autouse=True)
def arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["chatproto", "--version"])


def test_runs_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"chatproto {__version__}\n"


def test_python_dash_m(capsys: pytest.CaptureFixture[str]) -> None:
    # By its path: pytest loads the modules of a package with a plugin in its own way, which
    # `runpy` does not know.
    with pytest.raises(SystemExit):
        runpy.run_path(main.__code__.co_filename, run_name="__main__")
    assert capsys.readouterr().out == f"chatproto {__version__}\n"


@pytest.mark.parametrize("package", ["anyio", "click"])
def test_a_package_that_is_missing(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [each for each in sys.modules if each.startswith("chatproto_anyio")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(sys, "argv", ["chatproto", "send", "--help"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == (
        f"Error: the command needs the package {package}: "
        "pip install 'chatproto-sansio[server]', or '.[server]' in a checkout"
    )


@pytest.mark.parametrize(
    "module", ["anyio", "prompt_toolkit", "prometheus_client.core", "unheard.of"]
)
def test_a_package_that_is_missing_when_the_command_runs(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def command(**_: str) -> None:
        importlib.import_module(module)

    monkeypatch.setattr("chatproto_anyio.cli.main.cli", command)
    package, *_ = module.split(".")
    # Another test may have imported it.
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SystemExit, match=f"^Error: the command needs the package {package}: "):
        main()


def test_a_module_that_is_missing_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "chatproto_anyio.cli.main", raising=False)
    monkeypatch.setitem(sys.modules, "chatproto_anyio.cli.main", None)
    with pytest.raises(ModuleNotFoundError):
        main()
