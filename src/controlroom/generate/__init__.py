"""A declared client from an OpenAPI document: what it lists, how its pages go on, and what a record is.

A document is a stranger's text, and becomes a program here. So none of its text reaches the module but as a string
literal, a comment or a docstring (`literals`, `prose`), and every name is made of ASCII letters, digits and underscores
(`names`). Where the document leaves two readings, the one whose end is proved is taken, and a comment says so.
"""

from __future__ import annotations

from controlroom.generate.module import Generated, generate
from controlroom.generate.reading import parsed

__all__ = ["Generated", "generate", "parsed"]
