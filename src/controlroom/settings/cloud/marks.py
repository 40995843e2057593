"""How a reference is known, and how it stands beside other keys. Apart from the grammar, which only references need."""

from __future__ import annotations

from typing import Final

__all__ = ["REFERENCE", "is_reference"]

REFERENCE: Final = "\0reference"
"""The key under which a reference stands in the place of a mapping, beside the keys that were given one by one."""

_SCHEMES = ("aws-sm://", "aws-ssm://")


def is_reference(text: str) -> bool:
    """Tell whether *text* begins like a reference; whether it is a good one, `parsed` says."""
    return text.lstrip()[:10].lower().startswith(_SCHEMES)
