"""The values of a server's options: from the command line, the environment, a file, the default.

The first of these that sets an option decides.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, NamedTuple

from chatproto import Limits, Policy

from ..cluster.url import hide_password
from ..sockets.listeners import EVERYWHERE
from .config_file import read_config
from .environment import CLIENT_VARIABLES, ELSEWHERE, unknown_variables, why_ignored
from .options import POLICIES, Option


@dataclass(frozen=True, slots=True)
class Settings:
    """The value of each option, and where it comes from."""

    values: Mapping[str, Any]
    """The values, by `Option.key`."""
    places: Mapping[str, str]
    """Where values were set: `--port`, `CHATPROTO_PORT`, `port in chat.toml`. A value that is the
    default has none."""
    warnings: Sequence[str]
    """What was ignored, for the log."""

    def name_of(self, key: str) -> str:
        """What to call an option in an error: the place where it was set, or its name."""
        return self.places.get(key, f"--{key.replace('_', '-')}")


class _Setting(NamedTuple):
    """An option that is set."""

    place: str
    texts: Sequence[str]


def read_settings(
    options: Sequence[Option],
    arguments: Mapping[str, Sequence[str]],
    environment: Mapping[str, str],
) -> Settings:
    """Find out the values of all options.

    Args:
        options: The options.
        arguments: The texts on the command line, by `Option.key`. A flag has the text `yes`.
        environment: The environment variables.

    Raises:
        ValueError: A value is wrong, options contradict each other, or the configuration file is of
            no use. The error names the place.
    """
    warnings: list[str] = []
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    path = ""
    in_file: Mapping[str, Sequence[str]] = {}
    # The file comes first: it may set all others.
    for option in sorted(options, key=lambda each: each.key != "config"):
        setting = (
            _from_arguments(option, arguments)
            or _from_environment(option, environment, warnings)
            or _from_file(option, path, in_file)
        )
        if setting is None:
            values[option.key] = option.default
        else:
            values[option.key] = _value_of(option, setting)
            places[option.key] = setting.place
        if option.key == "config" and values["config"] is not None:
            path = values["config"]
            in_file = read_config(path, options)
    known = {ELSEWHERE, *CLIENT_VARIABLES, *(option.variable for option in options)}
    warnings += unknown_variables(environment, known)
    settings = Settings(values, places, warnings)
    _check_together(options, settings)
    return settings


class Use(NamedTuple):
    """What a server uses for an option."""

    name: str
    """The name of the option."""
    text: str
    """The value, as people write it; or what it stands for, in words."""
    place: str
    """Where it was set, see `Settings.places`; `default` for nowhere."""


def in_use(options: Iterable[Option], settings: Settings) -> list[Use]:
    """What a server with these settings uses.

    An option that another one decides has the value and the place of that. Options without a use
    are left out.
    """
    values, places = settings.values, settings.places
    policy = policy_of(settings)
    uses: list[Use] = []
    for option in options:
        value, place = values[option.key], places.get(option.key, "default")
        if option.key == "check" or (option.needs and not _is_set(option.needs, values)):
            continue
        if value is None and hasattr(policy, option.key):
            value = getattr(policy, option.key).value
            place = places.get("policy", "default")
        text = option.text_of(value)
        if option.key == "cluster" and value is not None:
            text = hide_password(value)
        if not values["host"] and values["unix"]:
            # Then it listens on no TCP port.
            if option.key in ("port", "reuse_port"):
                continue
            text = "none" if option.key == "host" else text
        elif option.key == "host" and not value:
            text = "127.0.0.1"
        uses.append(Use(option.name, text or option.default_words or "none", place))
    return uses


def _is_set(name: str, values: Mapping[str, Any]) -> bool:
    return values[name.replace("-", "_")] not in (None, ())


def limits_of(settings: Settings) -> Limits:
    """The limits that the options say.

    Raises:
        ValueError: The limits make no sense.
    """
    keys = [each.name for each in fields(Limits) if each.name in settings.values]
    try:
        return Limits(**{key: settings.values[key] for key in keys})
    except ValueError as error:
        # The error names fields. The operator knows the places where they were set: name those.
        words = re.sub(
            r"\w+",
            lambda word: settings.name_of(word[0]) if word[0] in keys else word[0],
            str(error),
        )
        raise ValueError(words) from None


def policy_of(settings: Settings) -> Policy:
    """The policy that the options say: one of them names it, and others refine it."""
    values = settings.values
    policy = POLICIES[values["policy"]]
    chosen = {
        each.name: type(getattr(policy, each.name))(values[each.name])
        for each in fields(Policy)
        if values.get(each.name) is not None
    }
    return replace(policy, **chosen)


def _from_arguments(option: Option, arguments: Mapping[str, Sequence[str]]) -> _Setting | None:
    texts = arguments.get(option.key)
    return _Setting(f"--{option.name}", texts) if texts else None


def _from_environment(
    option: Option, environment: Mapping[str, str], warnings: list[str]
) -> _Setting | None:
    text = environment.get(option.variable, "")
    if not text:
        return None
    if (warning := why_ignored(option.variable, text)) is not None:
        warnings.append(warning)
        return None
    return _Setting(option.variable, text.split(",") if option.is_multiple else [text])


def _from_file(option: Option, path: str, in_file: Mapping[str, Sequence[str]]) -> _Setting | None:
    texts = in_file.get(option.key)
    return None if texts is None else _Setting(f"{option.name} in {path}", texts)


def _value_of(option: Option, setting: _Setting) -> Any:
    try:
        values = [option.value_of(text) for text in setting.texts]
    except ValueError as error:
        raise ValueError(f"{setting.place}: {error}") from None
    if option.is_multiple:
        return tuple(values)
    if len(values) > 1 and not option.is_flag:
        raise ValueError(f"{setting.place} takes one value, and has {len(values)}")
    return values[0]


def _check_together(options: Iterable[Option], settings: Settings) -> None:
    """Refuse options that have no use without another one.

    Raises:
        ValueError: There is such an option.
    """
    places = settings.places
    needs = {option.key: option.needs for option in options if option.needs}
    for key, name in needs.items():
        if key in places and name.replace("-", "_") not in places:
            raise ValueError(f"{places[key]} has no use without --{name}")
    if "state" in places and "cluster" in places:
        raise ValueError(
            f"{places['state']} has no use with {places['cluster']}: a cluster keeps its groups in"
            " Redis"
        )
    if "cluster" in places and settings.values["reuse_port"] and "node" not in places:
        raise ValueError(
            f"{places['reuse_port']} with {places['cluster']} needs --node, different for each"
            " process: all of them have the same port"
        )
    if "unix" in places and "host" not in places:
        for key in ("port", "reuse_port"):
            if key in places and settings.values[key] is not False:
                raise ValueError(
                    f"{places[key]} has no use: with {places['unix']} and without --host, the"
                    " server listens on no TCP port"
                )
    if "port" in places and settings.values["metrics_port"] == settings.values["port"] != 0:
        hosts = {*settings.values["host"], settings.values["metrics_host"]}
        if len(hosts) == 1 or hosts & _WILDCARDS:
            raise ValueError(f"{places['metrics_port']}: the chat has that port ({places['port']})")


_WILDCARDS: Final = {EVERYWHERE, "0.0.0.0", "::"}  # noqa: S104
