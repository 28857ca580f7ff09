"""Reading settings from the environment. A value that cannot be used stops the start with one sentence."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


class SettingError(Exception):
    """A setting that cannot be used. The message names it, says what is wrong and what to write instead."""


class Env:
    """Typed access to environment variables. Empty values count as unset."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values = os.environ if values is None else values

    def text(self, name: str, default: str = "") -> str:
        """A text, stripped of surrounding space."""
        return self._values.get(name, "").strip() or default

    def flag(self, name: str, default: bool) -> bool:
        """A boolean: 1/0, true/false, yes/no, on/off."""
        value = self.text(name).lower()
        if not value:
            return default
        if value in _TRUE:
            return True
        if value in _FALSE:
            return False
        raise SettingError(f"{name}={value!r} is not yes or no: write {name}=true or {name}=false.")

    def number(self, name: str, default: int, *, least: int = 0, most: int = 2**31 - 1) -> int:
        """A whole number within limits."""
        value = self.text(name)
        if not value:
            return default
        try:
            number = int(value)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise SettingError(f"{name}={value!r} cannot be used: write a whole number from {least} to {most}.")
        return number

    def port(self, name: str, default: int) -> int:
        """A TCP port."""
        return self.number(name, default, least=1, most=65535)

    def choice(self, name: str, default: str, allowed: Iterable[str]) -> str:
        """One of several words."""
        options = sorted(allowed)
        value = self.text(name, default)
        if value not in options:
            raise SettingError(f"{name}={value!r} is not known: choose one of {', '.join(options)}.")
        return value

    def words(self, name: str, default: str) -> tuple[str, ...]:
        """A list, separated by commas."""
        return tuple(word.strip() for word in self.text(name, default).split(",") if word.strip())

    def path(self, name: str, default: str) -> Path:
        """A path; `~` stands for the home folder."""
        return Path(self.text(name, default)).expanduser().absolute()

    def secret(self, name: str, default: str = "") -> str:
        """A secret from NAME, or from the file that NAME_FILE names, which is how production mounts it."""
        file_name = self.text(f"{name}_FILE")
        if not file_name:
            return self.text(name, default)
        if self.text(name):
            raise SettingError(f"{name} and {name}_FILE are both set: keep one of them.")
        try:
            return Path(file_name).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingError(
                f"{name}_FILE={file_name!r} cannot be read ({error.strerror}): check the path."
            ) from error
