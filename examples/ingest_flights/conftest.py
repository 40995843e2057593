from __future__ import annotations

import sys
from pathlib import Path

# The demo runs as scripts that import their neighbours; pytest's importlib mode does not put their folder on the path.
sys.path.insert(0, str(Path(__file__).resolve().parent))
