"""A story as one HTML page that can be kept, mailed and opened anywhere."""

from __future__ import annotations

from controlroom.explain.html.page import render_html

__all__ = ["render_html"]
