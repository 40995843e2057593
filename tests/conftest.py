"""Hypothesis profiles for every test, the signals as a person at a terminal finds them, and the HTTP library chosen.

`ci` draws the same examples on every run, so that a red run can be repeated; `nightly` looks further. No profile has a
deadline: how fast a machine is, is not what a test here decides.
"""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

# A shell without job control starts what it puts in the background with SIGINT ignored, and whatever that starts inherits
# it (POSIX, XCU 2.9.3.1): the jobs that the tests interrupt would never hear of it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The tests' own doubles are of the library that the client is bound to.
if os.environ.get("CONTROLROOM_HTTP_LIBRARY") == "httpx2":
    import httpx2

    httpx2.alias_httpx()

settings.register_profile("dev", deadline=None)
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],  # two shared cores may be slow for reasons of their own
)
settings.register_profile("nightly", deadline=None, max_examples=5_000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))
