"""Reading the configuration again while the server runs."""

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from ssl import SSLContext
from typing import Protocol

from chatproto import Limits, Policy

from ..sockets.driver import logger
from .certificates import Certificate, CertificateError
from .options import Option
from .settings import Settings, limits_of, policy_of
from .startup import load_certificate


class ConfigurableServer(Protocol):
    """The part of a server that can change while it runs."""

    def reconfigure(
        self,
        *,
        policy: Policy | None = None,
        limits: Limits | None = None,
        notices: bool | None = None,
    ) -> None:
        """Use another policy, other limits, and notices or none, for all connections.

        Raises:
            ValueError: The other nodes of a cluster would not agree.
        """

    def replace_ssl(self, context: SSLContext) -> None:
        """Use another context for the TLS of new connections."""


class Reloader:
    """Reads the settings again, and gives the server what can change while it runs.

    Args:
        options: The options.
        read: Reads the settings, or raises ValueError.
        settings: The settings that the server has started with.
        server: The server.
        certificate: The certificate that the server has started with; None for no TLS.
    """

    def __init__(
        self,
        options: Iterable[Option],
        read: Callable[[], Settings],
        settings: Settings,
        server: ConfigurableServer,
        certificate: Certificate | None,
    ) -> None:
        self._live = {each.key for each in options if each.is_live}
        self._read = read
        self._settings = settings
        self._server = server
        self._certificate = certificate

    def expiry(self) -> datetime | None:
        """When the first certificate in use expires; None if there is none, or no date."""
        return None if self._certificate is None else self._certificate.expiry

    def reload(self) -> str:
        """Read the configuration file and the certificate again. The log tells the result.

        A wrong file changes nothing, and options that need a restart keep their values.

        Returns:
            What is wrong, or takes no effect, in words for people; empty for nothing.
        """
        wrong: list[str] = []
        values = self._settings.values
        if values["config"] is None and values["tls_cert"] is None:
            logger.info("there is no configuration file and no certificate to read again")
            wrong.append("there is no configuration file and no certificate to read again")
        if values["config"] is not None:
            try:
                if fixed := self._reconfigure(self._read()):
                    logger.warning("these options change only with a restart: %s", _names(fixed))
                    wrong.append(f"these options change only with a restart: {_names(fixed)}")
            except ValueError as error:
                logger.error("the old configuration stays in use: %s", error)
                wrong.append(f"the old configuration stays in use: {error}")
        # Even if the configuration is wrong: the operator may have replaced the certificate.
        try:
            self._replace_certificate()
        except CertificateError as error:
            logger.error("the old certificate stays in use: %s", error)
            wrong.append(f"the old certificate stays in use: {error}")
        return "; ".join(wrong)

    def _reconfigure(self, found: Settings) -> Sequence[str]:
        """Use other settings.

        Returns:
            The keys of options that have changed, but keep their values until a restart.

        Raises:
            ValueError: The limits make no sense, or the other nodes of a cluster would not agree.
                Nothing has changed.
        """
        before, limits = self._settings, limits_of(found)
        changed = [key for key, value in found.values.items() if value != before.values[key]]
        # A server uses TLS or not, for good.
        switches_tls = None in (found.values["tls_cert"], before.values["tls_cert"])
        fixed = [
            key
            for key in changed
            if key not in self._live or (switches_tls and key.startswith("tls_"))
        ]
        live = [key for key in changed if key not in fixed]
        self._server.reconfigure(
            policy=policy_of(found), limits=limits, notices=not found.values["no_notices"]
        )
        kept = {key: before.values[key] for key in fixed}
        self._settings = Settings({**found.values, **kept}, found.places, found.warnings)
        logging.getLogger().setLevel(found.values["log_level"].upper())
        logger.info("the configuration was read again, changes: %s", _names(live))
        return fixed

    def _replace_certificate(self) -> None:
        """Use the certificate that the files have now.

        Raises:
            CertificateError: The files can't be used. Nothing has changed.
        """
        certificate = load_certificate(self._settings)
        if certificate is not None:
            self._server.replace_ssl(certificate.context)
            self._certificate = certificate
            logger.info("the certificate was read again")


def _names(keys: Iterable[str]) -> str:
    return ", ".join(key.replace("_", "-") for key in keys) or "none"
