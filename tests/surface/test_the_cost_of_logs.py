"""`controlroom.logs` costs what the standard library costs: counted in modules, not in seconds."""

from __future__ import annotations

import subprocess
import sys

LIST_LOADED = "import sys; import controlroom.logs; {}; print(*sys.modules)"


def loaded_after(more: str = "pass") -> set[str]:
    command = [sys.executable, "-c", LIST_LOADED.format(more)]
    names = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    return {name.partition(".")[0] for name in names}


def test_importing_the_logs_loads_the_standard_library_and_us() -> None:
    empty = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    before = {name.partition(".")[0] for name in empty.stdout.split()}  # what the environment loads into every process

    others = {name for name in loaded_after() - before if name not in sys.stdlib_module_names}
    assert others == {"controlroom"}


def test_a_dropped_event_loads_nothing_either() -> None:
    loaded = loaded_after("controlroom.logs.get_logger('app').info('tried')")

    assert loaded & {"structlog", "rich", "orjson"} == set()
