"""Every check of the project. A gate that looked at nothing fails: each one counts what it saw.

nox                 all that a change must pass
nox -s demo         the demonstration, offline
nox -s tests-3.12   one interpreter; further arguments after -- go to pytest
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.download_python = "never"
# Nox would fail under CI for each missing interpreter. Here it says which it skips; `require_an_interpreter` has the last word.
nox.options.error_on_missing_interpreters = False
nox.options.sessions = [
    "lint",
    "contracts",
    "typing",
    "docs",
    "tests",
    "lowest",
    "examples",
    "wheel",
    "httpx2",
    "servers",
    "airflow",
]

PYTHONS = ("3.11", "3.12", "3.13")
ROOT = Path(__file__).parent
PACKAGE = ROOT / "src" / "controlroom"
PYTEST = ("pytest", "-q", "-n", "auto", "--dist", "worksteal", "--durations=15", "--durations-min=1")
# Kills, state machines and laws prove what no other version of Python or of a library changes: they run on the first
# interpreter, where nothing is measured, since measuring doubles their time. The last interpreter and the lowest versions see
# what is quick, and the engines; those between the surface, and what Airflow's session does there. `nox -s tests-3.13 -- tests`
# runs all of it on another.
UNMEASURED = ("tests/faults", "tests/stateful", "tests/property")
MEASURED = (*PYTEST, *(f"--ignore={folder}" for folder in UNMEASURED))
# The contract of the stores, without those that need a server: nothing that varies here changes what one answers.
CONTRACT = ("tests/contract", "-k", "not seaweedfs and not ministack")
SURFACE = (*PYTEST, *CONTRACT, "tests/surface", "tests/unit/errors", "tests/unit/logs")
ENGINES = ("database_ledger", "database_orm", "database_reads", "database_units", "http_fault*", "logs*", "settings*")
ON_ENGINES = tuple(str(path) for name in ENGINES for path in ROOT.glob(f"tests/integration/test_{name}.py"))
WITH_ENGINES = (*PYTEST, *CONTRACT, "tests/unit", "tests/surface", *ON_ENGINES)
# What holds no library's hand is the same whatever their versions are.
HOLDS_NO_LIBRARY = ("errors", "explain", "generate", "policy", "redaction")
WITH_LIBRARIES = (
    *PYTEST,
    "tests/unit",
    *(f"--ignore=tests/unit/{folder}" for folder in HOLDS_NO_LIBRARY),
    *CONTRACT,
    "tests/surface",
    *ON_ENGINES,
    "tests/integration/test_s3_connections.py",
)
# What the tests start that is no Python package: the program, and Debian's package of it.
PROGRAMS = {
    "chromium": "chromium",
    "mariadbd": "mariadb-server-core",  # the server alone: nothing that would start with the machine
    "my_print_defaults": "mariadb-client-core",
    "pgbouncer": "pgbouncer",
    "mkfs.btrfs": "btrfs-progs",
    "mkfs.xfs": "xfsprogs",
}
# Debian keeps servers where a user's PATH does not look.
SEARCHED = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin", "/usr/lib/postgresql/bin"])
SERVERS = ("datasette", "django", "djangorestframework", "fastapi", "fastapi-pagination", "sqlakeyset", "uvicorn")
EXAMPLE_PATHS = [path for path in ("examples", "tests/docs") if (ROOT / path).is_dir()]

# lint-imports tells a number that includes what is imported from elsewhere; the graph it draws knows our own modules.
COUNT_MODULES = """
import sys, grimp
seen, files = len(grimp.build_graph("controlroom", cache_dir=None).modules), int(sys.argv[1])
sys.exit(None if seen == files > 0 else f"{seen} modules in the graph, {files} files in src")
"""


def runs(python: Path, version: str) -> bool:
    """Whether *python* is a working interpreter of that version: a pyenv shim may answer that it is not installed."""
    probe = [str(python), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        done = subprocess.run(probe, capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return False
    return done.stdout.strip() == version


def find(version: str) -> Path | None:
    """The interpreter of that version on PATH or under pyenv; the one that runs nox first, since it certainly works."""
    name = f"python{version}"
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}*/bin/{name}"))
    on_path = [Path(folder) / name for folder in os.get_exec_path()]
    candidates = [Path(sys.base_prefix) / "bin" / name, *on_path, *pyenv]
    return next((path for path in candidates if path.is_file() and runs(path, version)), None)


FOUND = {version: python for version in PYTHONS if (python := find(version))}
# Nox looks interpreters up on PATH; those under pyenv are put there, behind nothing that would shadow them.
os.environ["PATH"] = os.pathsep.join([*{str(python.parent): 0 for python in FOUND.values()}, os.environ["PATH"]])
FIRST = next(iter(FOUND), None)
LAST = next(reversed(FOUND), None)
AIRFLOW_PYTHON = next((version for version in ("3.12", "3.13", "3.11") if version in FOUND), None)


def require_an_interpreter(session: nox.Session) -> None:
    """Say which interpreters are absent; fail when all are."""
    for version in PYTHONS:
        if version not in FOUND:
            session.warn(f"SKIPPED: no Python {version} on PATH or under ~/.pyenv/versions; its tests did not run")
    if not FOUND:
        session.error(f"none of Python {', '.join(PYTHONS)} was found: no test can run")


def count(session: nox.Session, pattern: str, output: str | None, what: str) -> int:
    """The number that *pattern* finds in *output*; none, or zero, fails the gate."""
    found = re.search(pattern, output or "")
    number = int(found.group(1)) if found else 0
    if number == 0:
        session.error(f"the gate looked at nothing: no {what} in\n{output}")
    session.log(f"{number} {what}")
    return number


def source_modules() -> list[Path]:
    """Every Python file of the package."""
    return sorted(PACKAGE.rglob("*.py"))


@nox.session(default=False)
def interpreters(session: nox.Session) -> None:
    """Which interpreters the tests run on."""
    require_an_interpreter(session)
    for version, python in FOUND.items():
        session.log(f"Python {version}: {python}")


@nox.session(python=FIRST)
def lint(session: nox.Session) -> None:
    """Ruff: every rule but those that pyproject.toml gives a reason against."""
    session.install("ruff>=0.14")
    files = session.run("ruff", "check", "--show-files", silent=True)
    count(session, r"(\d+)", str(len((files or "").split())), "files to lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session(python=FIRST)
def contracts(session: nox.Session) -> None:
    """import-linter: the tower stands, and no module stands outside it."""
    # Editable, since lint-imports reads the installed copy: of a stale wheel it would report yesterday's imports.
    session.install("--editable", ".", "import-linter>=2.5")
    session.run("python", "-c", COUNT_MODULES, str(len(source_modules())))
    report = session.run("lint-imports", "--no-cache", silent=True)
    session.log(report)
    count(session, r"Contracts: (\d+) kept, 0 broken", report, "contracts kept")


@nox.session(python=FIRST)
def typing(session: nox.Session) -> None:
    """Mypy in strict mode; basedpyright: every public symbol has a known type."""
    extras = ".[asyncpg,demo,httpx2,mysql,otel,postgres,speed,yaml]"
    session.install("--editable", extras, "basedpyright>=1.30", "mypy>=1.18", "pytest>=9.0", "types-PyYAML")
    checked = [path for path in ("src", "tests/typing", "examples") if (ROOT / path).is_dir()]
    session.run("mypy", *checked)
    # mypy knows no LiteralString. Without the path, an environment in the project's folder would be looked into.
    session.run("basedpyright", "--pythonpath", f"{session.bin}/python", "tests/typing/statements.py")
    # From the environment that has the package: outside it, verifytypes is content with 0 symbols.
    report = session.run("basedpyright", "--ignoreexternal", "--verifytypes", "controlroom", silent=True)
    count(session, r"[Ww]ith known type: (\d+)", report, "exported symbols with a known type")
    if "completeness score: 100%" not in (report or ""):
        session.error(f"the public surface is not completely typed:\n{report}")


@nox.session(python=FIRST)
def docs(session: nox.Session) -> None:
    """The documentation builds without a warning."""
    session.install("--editable", ".[docs]")
    site = Path(session.create_tmp()) / "site"
    shutil.rmtree(site, ignore_errors=True)
    session.run("mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site))
    pages = [page for page in site.rglob("index.html") if page.stat().st_size > 0]
    sources = list((ROOT / "docs").rglob("*.md"))
    if len(pages) < len(sources) or not sources:
        session.error(f"{len(pages)} pages built from {len(sources)} sources")
    session.log(f"{len(pages)} pages built")


def install_programs(session: nox.Session) -> None:
    """Install what the tests start and this machine lacks, where that may be done; elsewhere those tests say why they skip."""
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program, path=SEARCHED) is None]
    if not missing:
        return
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if shutil.which("apt-get") is None or (sudo and shutil.which("sudo") is None):
        session.warn(f"NOT INSTALLED: {', '.join(missing)}; the tests that need them skip")
        return
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    session.run(*apt, "update", external=True, silent=True)
    session.run(*apt, "install", "--yes", "--no-install-recommends", *missing, external=True, silent=True)


def s3_servers(session: nox.Session) -> dict[str, str]:
    """Install ministack where its pins are nobody's business, and return what tells the tests where it is."""
    home = Path(session.virtualenv.location).parent / "ministack"
    if not (home / "bin" / "ministack").exists():
        session.run(
            sys.executable, "-m", "virtualenv", "--quiet", "--python", str(FOUND[FIRST]), str(home), external=True
        )
        session.run(str(home / "bin" / "pip"), "install", "--quiet", "ministack>=1.5", external=True, silent=True)
    return {"CONTROLROOM_TESTS_MINISTACK": str(home / "bin" / "ministack")}


@nox.session(python=PYTHONS if FOUND else None)  # nox skips what is missing; with nothing found, the body must say so
def tests(session: nox.Session) -> None:
    """The suite: whole, with branch coverage, on the first interpreter found; shorter on the others."""
    require_an_interpreter(session)
    install_programs(session)
    session.install("--editable", ".[test]")
    if session.posargs:
        session.run("pytest", "-q", *session.posargs, env=s3_servers(session))
        return
    if session.python != FIRST:
        session.run(*(WITH_ENGINES if session.python == LAST else SURFACE))
        return
    s3 = s3_servers(session)
    data = Path(session.create_tmp()) / "coverage"
    measure(session, data, *MEASURED, env=s3)
    session.run("coverage", "report", f"--data-file={data}")
    session.run(*PYTEST, *UNMEASURED, env=s3)
    # Decisions are proved where they are made: by their own unit tests, not by what happens to pass through them.
    policy = data.with_name("coverage-of-policy")
    measure(session, policy, *PYTEST, "tests/unit/policy")
    session.run("coverage", "report", f"--data-file={policy}", "--include=src/controlroom/policy/*", "--fail-under=100")


def measure(session: nox.Session, data: Path, *command: str, env: dict[str, str] | None = None) -> None:
    """Run *command* under coverage into *data*, its subprocesses included."""
    for old in data.parent.glob(f"{data.name}*"):
        old.unlink()
    session.run(
        "coverage", "run", f"--data-file={data}", "-m", *command, env={"COVERAGE_FILE": str(data), **(env or {})}
    )
    session.run("coverage", "combine", "--quiet", f"--data-file={data}")


@nox.session(python=FIRST)
def lowest(session: nox.Session) -> None:
    """The suite against the lowest versions that pyproject.toml admits."""
    session.install("uv")
    lowest_direct = ["uv", "pip", "install", "--python", str(Path(session.virtualenv.location)), "--reinstall"]
    session.run(
        *lowest_direct, "--resolution", "lowest-direct", "--editable", ".[aiosqlite,asyncpg,demo,mysql,postgres,speed]"
    )
    # The tools stay current; what is installed already satisfies them and stays low.
    session.run("uv", "pip", "install", "--python", str(Path(session.virtualenv.location)), "--editable", ".[test]")
    session.run(*WITH_LIBRARIES, *session.posargs, env=s3_servers(session))


@nox.session(python=FIRST)
def httpx2(session: nox.Session) -> None:
    """The HTTP client on the maintained fork of its library."""
    session.install("--editable", ".[httpx2,test]")
    paths = [*ROOT.glob("tests/*/test_http*.py"), ROOT / "tests/unit/http"]
    # respx patches httpx alone, and its plugin would import it before the tests can put httpx2 in its place.
    chosen = {"CONTROLROOM_HTTP_LIBRARY": "httpx2", "PYTEST_ADDOPTS": "-p no:respx"}
    session.run(*PYTEST, *map(str, paths), *session.posargs, env=chosen)


@nox.session(python=FIRST)
def servers(session: nox.Session) -> None:
    """The client against servers that nobody here wrote; json-server comes from npm, and is skipped where that is absent."""
    session.install("--editable", ".[test]", *SERVERS)
    kept = {"CONTROLROOM_TESTS_NPM": str(Path(session.virtualenv.location) / "npm")}
    paths = ("tests/thirdparty", "tests/integration/test_generated_client.py")
    report = session.run("pytest", "-q", *paths, *session.posargs, env=kept, silent=True)
    session.log(report)
    count(session, r"(\d+) passed", report, "tests against other people's servers")


@nox.session(python=AIRFLOW_PYTHON)
def airflow(session: nox.Session) -> None:
    """Tasks inside a real Airflow, in an environment of its own: its 130 packages and their pins are not ours."""
    session.install("--editable", ".[test]", "apache-airflow==3.3.2")
    report = session.run("pytest", "-q", "tests/airflow", *session.posargs, silent=True)
    session.log(report)
    count(session, r"(\d+) passed", report, "tests inside Airflow")


@nox.session(python=FIRST)
def examples(session: nox.Session) -> None:
    """The examples' own tests, and every Python block of the README and the documentation."""
    session.install("--editable", ".[test]")
    session.run(*PYTEST, *EXAMPLE_PATHS)


@nox.session(python=FIRST, reuse_venv=False)
def wheel(session: nox.Session) -> None:
    """Build, look inside, install, and test what a user would get, with the source tree out of reach."""
    session.install("build")
    work = Path(session.create_tmp()) / "wheel"
    shutil.rmtree(work, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(work / "dist"), silent=True)
    built = next((work / "dist").glob("*.whl"))
    inspect(session, built)
    session.install(f"{built}[test]")
    for path in ("tests", "docs", "examples", "README.md", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / path).is_dir() else shutil.copy
        copy(ROOT / path, work / path)
    session.chdir(work)
    origin = session.run("python", "-c", "import controlroom; print(controlroom.__file__)", silent=True)
    if "site-packages" not in (origin or ""):
        session.error(f"the source tree is not out of reach: {origin}")
    session.run(*PYTEST, "tests/surface", *CONTRACT)


def inspect(session: nox.Session, built: Path) -> None:
    """Every module, what the modules read, and py.typed; nothing else."""
    with zipfile.ZipFile(built) as archive:
        names = set(archive.namelist())
    files = [*source_modules(), *PACKAGE.rglob("*.css"), *PACKAGE.rglob("*.js"), PACKAGE / "py.typed"]
    expected = {str(path.relative_to(PACKAGE.parent)) for path in files}
    if missing := sorted(expected - names):
        session.error(f"{built.name} lacks {missing}")
    if foreign := sorted(name for name in names - expected if not re.match(r"controlroom-[^/]+\.dist-info/", name)):
        session.error(f"{built.name} holds {foreign}")
    session.log(f"{len(expected)} files in {built.name}")


@nox.session(python=FIRST, default=False)
def demo(session: nox.Session) -> None:
    """The demonstration: a week of flights from an API that misbehaves on purpose. Offline."""
    session.install("--editable", ".[demo]")
    session.run("python", "examples/ingest_flights/demo.py", *session.posargs)


@nox.session(python=FIRST, default=False)
def benchmarks(session: nox.Session) -> None:
    """Side by side with peers, as ratios."""
    found = sorted(path for path in (ROOT / "benchmarks").glob("*.py") if not path.name.startswith("_"))
    if not found:
        session.error("there is no benchmark to run")
    session.install("--editable", ".[test]", "aws-lambda-powertools", "loguru", "python-json-logger", "requests")
    for path in found:
        session.run("python", str(path), *session.posargs)


@nox.session(python=FIRST, default=False)
def mutation(session: nox.Session) -> None:
    """Mutants of the decisions, the taxonomy and the redaction; survivors are listed."""
    session.install("--editable", ".[test]", "mutmut>=3.3")
    session.run("mutmut", "run", *session.posargs)
    session.run("mutmut", "results")
