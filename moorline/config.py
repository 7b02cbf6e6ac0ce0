# SPDX-License-Identifier: Apache-2.0
"""One TOML file holds all settings; unknown keys and wrong values are refused with the key named."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails

from moorline.errors import MoorlineError

DEFAULT_PATH: Final = Path("/etc/moorline/moorline.toml")
"""Where the settings are read from when no path is given."""


class ConfigError(MoorlineError):
    """A configuration file that cannot be used."""


class Section(BaseModel):
    """Base of every section of the file: immutable, and without room for unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _truth_is_no_number(cls, data: Any) -> Any:
        """Refuse true where a number belongs: Python takes it for 1."""
        for key, value in data.items() if isinstance(data, dict) else ():
            field = cls.model_fields.get(key) if isinstance(value, bool) else None
            if field is not None and field.annotation is not bool:
                raise ValueError(f"{key} = {str(value).lower()} is neither number nor text: write one")
        return data


class LogConfig(Section):
    """``[log]``: what the controller and the node write to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


S = TypeVar("S", bound=Section)


def load(path: Path, model: type[S]) -> S:
    """Read the file at ``path`` as ``model``; raises ``ConfigError`` naming file, key, value and mend."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"configuration {path} cannot be read ({error.strerror}): name another with --config"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"configuration {path} is not UTF-8 text at octet {error.start}: save it as UTF-8"
        ) from error
    except RecursionError as error:
        raise ConfigError(f"configuration {path} is nested too deeply: write it flatter") from error
    except ValueError as error:  # also a number of thousands of digits
        raise ConfigError(f"configuration {path} is not valid TOML: {_sentence(str(error))}") from error
    return parse(content, model, str(path))


def parse(content: dict[str, Any], model: type[S], source: str) -> S:
    """Check ``content`` against ``model``; ``source`` is what the error calls it."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"configuration {source}: {_first_problem(error, model)}") from error


def _first_problem(error: ValidationError, model: type[Section]) -> str:
    errors = error.errors(include_url=False)
    # A key that is misspelt is missing as well.
    first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
    where: tuple[int | str, ...] = first["loc"]
    key = _dotted(where)
    if first["type"] == "extra_forbidden":
        return f"unknown key {key}: {_known_keys(where, model)}"
    if first["type"] == "missing":
        return f"key {key} is missing: set it"
    value = first["input"]
    if where and isinstance(
        value, dict
    ):  # a whole section was refused; its content would only hide the reason
        return f"section {key} is wrong: {_reason(first)}"
    if not where:
        return _reason(first)
    return f"key {key} = {value!r} is wrong: {_reason(first)}"


def _reason(error: ErrorDetails) -> str:
    """What is wrong in the words of a file, which knows no Python."""
    match error["type"]:
        case "tuple_type":
            return "write a list"
        case "model_type" | "dict_type":
            return "write keys with their values"
        case "path_type":
            return "write a path"
        case "too_short":
            return f"write {error['ctx']['min_length']} or more"
        case "too_long":
            return f"write {error['ctx']['max_length']} at most"
    return _sentence(error["msg"])


def _dotted(where: tuple[int | str, ...]) -> str:
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _known_keys(where: tuple[int | str, ...], model: type[Section]) -> str:
    """Name the key that was probably meant, else all that exist beside the unknown one."""
    section = _section_at(where[:-1], model)
    known = [field.alias or name for name, field in section.model_fields.items()]
    close = difflib.get_close_matches(str(where[-1]), known, n=1)
    return f"did you mean {close[0]}?" if close else f"known here are {', '.join(sorted(known)) or 'no keys'}"


def _section_at(where: tuple[int | str, ...], model: type[BaseModel]) -> type[BaseModel]:
    """Walk the model's fields along ``where``; stops at the last section that is one."""
    for part in where:
        field = next((f for n, f in model.model_fields.items() if part in (n, f.alias)), None)
        if field is not None:
            model = _section_in(field.annotation) or model
    return model


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """The section type inside ``Section``, ``Section | None``, ``tuple[Section, ...]`` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if (found := _section_in(argument)) is not None:
            return found
    return None


def _sentence(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:] if message[:2].istitle() else message
