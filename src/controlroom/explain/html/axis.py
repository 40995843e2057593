"""The time axis: where an instant lies on it, and its ticks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from controlroom.explain.html.markup import Html, element

__all__ = ["Axis"]

_MOST_TICKS: Final = 6
_STEPS_S: Final = (
    *(unit * step for unit in (0.001, 0.01, 0.1, 1.0) for step in (1, 2, 5)),
    *(10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 10_800.0, 21_600.0, 43_200.0),
)
_MINUTE_S: Final = 60
_DAY_S: Final = 86_400.0
_NARROWEST: Final = 0.35  # per cent: a shorter bar could not be seen
_LAST_LABEL: Final = 93  # per cent: a label that begins behind this would be cut off


@dataclass(frozen=True, slots=True)
class Axis:
    """*whole_s* seconds from edge to edge."""

    whole_s: float

    def bar(self, began_s: float, length_s: float, class_: str, *, is_thin: bool = False) -> Html:
        """Return a bar from *began_s* on; never so short, or so far out, that it could not be seen."""
        left = min(max(began_s / self.whole_s * 100, 0.0), 100.0 - _NARROWEST)
        right = min(max((began_s + length_s) / self.whole_s * 100, left + _NARROWEST), 100.0)
        y, height = (10, 6) if is_thin else (7, 12)
        class_ = f"{class_} thin" if is_thin else class_
        return element("rect", class_=class_, x=f"{left:.2f}%", width=f"{right - left:.2f}%", y=y, height=height, rx=2)

    def labels(self) -> Html:
        """Return the head of the axis."""
        texts = (
            element("text", _label(at), x=f"{at / self.whole_s * 100:.2f}%", dx=4 if at else 0, y=14)
            for at in self._ticks()
            if at / self.whole_s * 100 < _LAST_LABEL
        )
        return element("svg", *texts, class_="lane axis", aria_hidden="true")

    def grid(self) -> Html:
        """Return the lines that stand behind all rows."""
        places = [f"{at / self.whole_s * 100:.2f}%" for at in self._ticks()]
        lines = (element("line", x1=x, x2=x, y1=0, y2="100%") for x in places)
        return element("svg", *lines, class_="grid", aria_hidden="true")

    def _ticks(self) -> list[float]:
        fitting = (step for step in _STEPS_S if self.whole_s / step <= _MOST_TICKS)
        step = next(fitting, None) or _DAY_S * -(-self.whole_s // (_DAY_S * _MOST_TICKS))
        return [place * step for place in range(int(self.whole_s / step) + 1)]


def _label(at_s: float) -> str:
    """Return the name of a tick: a round number of its largest unit, or of two."""
    if at_s < _MINUTE_S:
        return f"{at_s * 1_000:g} ms" if 0 < at_s < 1 else f"{at_s:g} s"
    minutes, seconds = divmod(round(at_s), _MINUTE_S)
    if seconds:
        return f"{minutes}:{seconds:02} min"
    hours, minutes = divmod(minutes, _MINUTE_S)
    return f"{minutes} min" if not hours else f"{hours}:{minutes:02} h" if minutes else f"{hours:,} h"
