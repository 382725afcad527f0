"""Files from outside, held against a schema: bounded, without pickle, and never a traceback."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.case import Case, Scalar
from harness.errors import UserError

MAXIMUM_BYTES = 256 * 2**20
MAXIMUM_DEPTH = 100

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False, lt=1e9)]
Loops = Annotated[int, Field(ge=1, le=10**12)]
Name = Annotated[str, Field(min_length=1, max_length=2000)]
Text = Annotated[str, Field(max_length=20_000)]


class Part(BaseModel):
    """A part of a file of which the declared fields matter, and any other is passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Definition(BaseModel):
    """A case, as the files that this harness wrote carry it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    study: Annotated[str, Field(min_length=1, max_length=100)]
    axes: Annotated[dict[Annotated[str, Field(max_length=100)], Scalar], Field(max_length=100)]
    replicate: Annotated[int, Field(ge=0, le=10**6)] = 0

    def case(self, name: str) -> Case:
        """The case; `name` is the file's, for messages.

        Raises:
            UserError: it cannot be kept.
        """
        with keepable(name):
            return Case(self.study, {"backend": "imported", **self.axes}, self.replicate)


M = TypeVar("M", bound=BaseModel)


def json_of(content: bytes, name: str) -> Any:
    """JSON without NaN and infinities.

    Raises:
        UserError: it is none, or is nested beyond reason.
    """

    def refuse(word: str) -> Any:
        raise ValueError(f"{word} is no number")

    try:
        found = json.loads(content.decode("utf-8"), parse_constant=refuse)
    except RecursionError:
        raise UserError(f"{name}: nested too deeply", expected=f"at most {MAXIMUM_DEPTH} levels") from None
    except ValueError as error:  # of the decoder, of the parser, of too long an integer
        raise UserError(f"{name}: not JSON: {error}"[:300], remedy="export the file again") from error
    _check_depth(found, name)
    return found


def model_of(model: type[M], data: Any, name: str) -> M:
    """The data as `model`.

    Raises:
        UserError: with the first place where it does not fit.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{name}: {place or 'content'}: {first['msg']}"[:300]) from error


def embedded(model: type[M], text: Any, name: str) -> M | None:
    """A model that stands in the file as a string of JSON; None where there is none.

    Raises:
        UserError: it stands there and does not fit.
    """
    if not isinstance(text, str) or not text:
        return None
    with keepable(name):  # half a surrogate pair has no bytes
        content = text.encode()
    return model_of(model, json_of(content, name), name)


@contextmanager
def keepable(name: str) -> Iterator[None]:
    """What a case or an outcome cannot hold is refused where it stands in a file, before anything is written.

    Raises:
        UserError: in place of the ValueError that :class:`Case` or :class:`Measured` raises.
    """
    try:
        yield
    except ValueError as error:
        raise UserError(
            f"{name}: {error}"[:300],
            expected="whole numbers of at most 64 bits, and text in Unicode",
            remedy="mend the file at that place",
        ) from error


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def listing(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _check_depth(data: Any, name: str) -> None:
    layer, depth = [data], 0
    while layer:
        depth += 1
        if depth > MAXIMUM_DEPTH:
            raise UserError(f"{name}: nested too deeply", expected=f"at most {MAXIMUM_DEPTH} levels")
        layer = [
            inner
            for value in layer
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, dict | list)
        ]
