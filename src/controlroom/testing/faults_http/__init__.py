"""A list behind an API that lies and fails by plan, over real sockets; and a trial of your own client against all of it."""

from __future__ import annotations

from controlroom.testing.faults_http.faults import FAULTS, Fault
from controlroom.testing.faults_http.lists import PARAMETERS, STYLES, ListOptions, ServedPage, Style
from controlroom.testing.faults_http.server import FaultServer, Received
from controlroom.testing.faults_http.trial import Verdict, put_through

__all__ = [
    "FAULTS",
    "PARAMETERS",
    "STYLES",
    "Fault",
    "FaultServer",
    "ListOptions",
    "Received",
    "ServedPage",
    "Style",
    "Verdict",
    "put_through",
]
