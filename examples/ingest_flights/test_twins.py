"""The two colours of the job differ in async, await and class names, and in nothing else."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent

_CLASS_NAMES = r"\b(ApiClient|Database|Inbox|LocalStore)\b"
_AWAITED = r"((?:work\.)?uow\.\w+(?:\.\w+)?\(|database\.create_control_tables\(|work\.open_text\(|(?<!def )load_\w+\()"


def async_twin(source: str) -> str:
    source = re.sub(_CLASS_NAMES, r"Async\1", source)
    source = re.sub(rf"(?<![\w.]){_AWAITED}", r"await \1", source)
    source = re.sub(r"^(\s*)(def|with) ", r"\1async \2 ", source, flags=re.MULTILINE)
    return re.sub(r"^(\s*)(for (?:page|delivery) in) ", r"\1async \2 ", source, flags=re.MULTILINE)


def with_sorted_imports(source: str) -> str:
    """A class name that begins with another letter stands elsewhere in a sorted import."""
    return re.sub(
        r"^from controlroom import \(?([\w,\s]+?)\)?\n\n",
        lambda match: "import " + ", ".join(sorted(re.findall(r"\w+", match[1]))) + "\n\n",
        source,
        count=1,
        flags=re.MULTILINE,
    )


def test_the_async_job_is_the_sync_job_with_async_await_and_class_names():
    sync, twin = ((HERE / f"ingest_{colour}.py").read_text() for colour in ("sync", "async"))
    assert "await" in twin
    assert "await" not in sync
    assert with_sorted_imports(async_twin(sync)) == with_sorted_imports(twin)
