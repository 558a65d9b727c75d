"""The pydantic base of every configuration model: unknown keys are errors, docstrings are descriptions."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator


class StrictModel(BaseModel):
    """A configuration section: immutable, and a key that it does not know is a mistake.

    Numbers are finite, and `true` is none.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        protected_namespaces=(),
        allow_inf_nan=False,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_boolean_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and wants_number(cls.model_fields[str(info.field_name)].annotation):
            raise ValueError(f"expected a number, found {str(value).lower()}")
        return value


def without_unset(fields: dict[str, Any], unset: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out keys that came later and are not used: the fingerprints of earlier runs are made without them.

    Args:
        fields: a section as it is written.
        unset: such keys, with the values that they have where nobody sets them.

    Returns:
        The others.
    """
    return {name: value for name, value in fields.items() if name not in unset or value != unset[name]}


def wants_number(annotation: Any) -> bool:
    """Say whether an annotation asks for a number, where pydantic and Python would take True for 1."""
    arms = set(typing.get_args(annotation)) or {annotation}
    return bool(arms & {int, float}) and bool not in arms
