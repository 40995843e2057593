"""How long a page may become, and how much had to be left out of it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Budget"]


@dataclass(slots=True)
class Budget:
    """Bytes that may still be written.

    Attributes:
        left_bytes: So many.
        cut: How many things were left out because they did not fit.
    """

    left_bytes: int
    cut: int = 0

    def pays_for(self, *parts: str) -> bool:
        """Return whether *parts* fit together, and take what they cost off what is left."""
        size_bytes = sum(len(part.encode()) for part in parts)
        if size_bytes > self.left_bytes:
            return False
        self.left_bytes -= size_bytes
        return True
