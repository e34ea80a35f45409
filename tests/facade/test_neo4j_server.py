import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from neo4j import GraphDatabase
from neo4j.exceptions import AuthError

from chiptrail import neo4j_server as module
from chiptrail.graphmodel.errors import ChiptrailError, InputError, UnknownNameError
from chiptrail.neo4j_server import RELEASES, prepare, serving

SECRET = '@@pass wörd "\\$x'


def ask(uri, query, password=SECRET, user="neo4j"):
    with GraphDatabase.driver(uri, auth=(user, password), max_transaction_retry_time=0) as driver:
        return [record.data() for record in driver.execute_query(query).records]


def test_server_answers_and_refuses_a_wrong_password(neo4j_server):
    assert ask(neo4j_server.uri, "RETURN 1 AS one", neo4j_server.password, neo4j_server.user) == [{"one": 1}]
    with pytest.raises(AuthError):
        ask(neo4j_server.uri, "RETURN 1 AS one", "another password", neo4j_server.user)


def test_server_is_of_the_release_asked_for(neo4j_server):
    if neo4j_server.process is None:
        pytest.skip("a server of the user's own")
    rows = ask(neo4j_server.uri, "CALL dbms.components() YIELD name, versions WHERE name = 'Neo4j Kernel' RETURN versions",
               neo4j_server.password)
    assert rows == [{"versions": [RELEASES[neo4j_server.release].version]}]


def test_password_is_in_no_file_and_no_list_of_processes(neo4j_server):
    if neo4j_server.process is None:
        pytest.skip("a server of the user's own")
    files = [path for path in neo4j_server.folder.rglob("*") if path.is_file()]
    assert {"neo4j.conf", "console.log", "debug.log"} <= {path.name for path in files}
    assert not [path for path in files if neo4j_server.password.encode() in path.read_bytes()]
    assert stat.S_IMODE(neo4j_server.folder.stat().st_mode) == 0o700
    assert neo4j_server.password not in repr(neo4j_server)
    listed = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(neo4j_server.process.pid)], capture_output=True, text=True).stdout
    assert "--home-dir" in listed
    assert neo4j_server.password not in listed


def test_nothing_listens_beyond_this_machine(neo4j_server):
    if neo4j_server.process is None or not Path("/proc/net/tcp6").exists():
        pytest.skip("a server of the user's own, or no /proc")
    sockets = set()
    for number in Path(f"/proc/{neo4j_server.process.pid}/fd").iterdir():
        if (target := os.readlink(number)).startswith("socket:["):
            sockets.add(target[8:-1])
    rows = [line.split() for kind in ("tcp", "tcp6", "udp", "udp6") for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]]
    open_to = {row[1].rpartition(":")[0] for row in rows if row[9] in sockets and row[3] in ("0A", "07")}
    assert open_to <= {"0100007F", "0000000000000000FFFF00000100007F"}
    assert open_to


def test_folder_of_a_running_server_is_refused(neo4j_server):
    if neo4j_server.process is None:
        pytest.skip("a server of the user's own")
    conf = (neo4j_server.folder / "conf/neo4j.conf").read_bytes()
    with pytest.raises(ChiptrailError, match=r"runs on .* already"), serving(neo4j_server.release, neo4j_server.folder):
        pass
    with pytest.raises(ChiptrailError, match=r"runs on .* already"):
        module.admin(neo4j_server.release, neo4j_server.folder, "--version")
    assert (neo4j_server.folder / "conf/neo4j.conf").read_bytes() == conf


@pytest.mark.neo4j
@pytest.mark.parametrize("release", [pytest.param(release, id=f"neo4j-{release}") for release in RELEASES])
def test_data_and_password_stay_and_tls_is_spoken(release, neo4j_ready, certificates, tmp_path, monkeypatch):
    neo4j_ready(release)
    folder = tmp_path / "server"
    with serving(release, folder, password=SECRET, heap="512m") as server:
        ask(server.uri, "CREATE (:Kept {name: 'é'})")
    assert server.process.poll() is not None
    port = int(server.uri.rpartition(":")[2])
    with socket.socket() as tried:
        assert tried.connect_ex(("127.0.0.1", port)) != 0

    with pytest.raises(InputError, match=r"another password") as refused, serving(release, folder, password="not that one", heap="512m"):
        pass
    assert "not that one" not in str(refused.value)

    authority, certificate, key = certificates
    with serving(release, folder, certificate=certificate, key=key, heap="512m") as server:
        assert server.password is None
        assert server.uri.startswith("bolt+s://127.0.0.1:")
        kept = [{"name": "é"}]
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        assert ask(server.uri.replace("bolt+s:", "bolt+ssc:"), "MATCH (n:Kept) RETURN n.name AS name") == kept
        with pytest.raises(Exception, match="Couldn't connect"):
            ask(server.uri, "RETURN 1")
        with pytest.raises(Exception, match="Couldn't connect"):
            ask(server.uri.replace("bolt+s:", "bolt:"), "RETURN 1")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        assert ask(server.uri.replace("bolt+s:", "neo4j+s:"), "MATCH (n:Kept) RETURN n.name AS name") == kept
    assert module.admin(release, folder, "--version").split()[-1].startswith(RELEASES[release].version)


@pytest.fixture
def certificates(tmp_path):
    """The certificate of an authority made for the test, and a certificate with its key for this machine."""
    if shutil.which("openssl") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("the command `openssl` must be there in CI")
        pytest.skip("no command `openssl`")
    authority, certificate, key = (tmp_path / name for name in ("authority.pem", "server.pem", "server.key"))

    def openssl(*words):
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=tmp_path)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "authority.key", "-out", authority.name, "-days", "2",
            "-subj", "/CN=An authority for tests")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key.name, "-out", "server.csr", "-subj", "/CN=localhost")
    (tmp_path / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", authority.name, "-CAkey", "authority.key", "-CAcreateserial", "-days", "2",
            "-extfile", "names", "-out", certificate.name)
    return authority, certificate, key


@pytest.mark.neo4j
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="no command `setpriv`, so a killed program leaves its server behind")
def test_server_ends_with_the_program_that_is_killed(neo4j_ready, tmp_path):
    neo4j_ready("5.26")
    program = ("import sys, time; from pathlib import Path; from chiptrail.neo4j_server import serving\n"
               "with serving('5.26', Path(sys.argv[1]), heap='512m') as server:\n"
               "    print(server.process.pid, flush=True); time.sleep(600)")
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "server")], stdout=subprocess.PIPE) as killed:
        java = int(killed.stdout.readline())
        os.kill(java, 0)
        killed.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while _runs(java):
        assert time.monotonic() < deadline, "the server outlived the program that started it"
        time.sleep(0.1)


def _runs(pid):
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A function that leaves only the commands given (name: shell script) on this machine; returns the folder of the user's cache."""
    commands = tmp_path / "commands"
    commands.mkdir()
    monkeypatch.setenv("PATH", str(commands))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(module, "JAVAS", ())
    monkeypatch.setattr(module, "find_spec", lambda name: None)

    def with_commands(**scripts):
        for name, script in scripts.items():
            (commands / name).write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
            (commands / name).chmod(0o755)
        return tmp_path / "cache/chiptrail"

    return with_commands


def java(version, then="exit 0"):
    return f'case "$1" in -version) echo \'openjdk version "{version}" 2023-01-01\' >&2; exit 0;; esac\n{then}'


def fetched(cache):
    (cache / "neo4j-5.26.29").mkdir(parents=True)


def test_lacking_java_is_named(machine):
    machine()
    with pytest.raises(ChiptrailError, match=r"5\.26\.29 needs Java 17 or newer; found: none\. Install one"):
        prepare("5.26")


@pytest.mark.parametrize(("version", "read"), [("11.0.2", 11), ("1.8.0_402", 8), ("20-ea", 20)])
def test_old_java_is_told_with_its_version(machine, version, read):
    machine(java=java(version))
    with pytest.raises(ChiptrailError, match=rf"needs Java 21 or newer; found: {read} \(.*commands/java\)"):
        prepare("2026")


def test_oldest_java_that_fits_is_taken(machine, tmp_path, monkeypatch):
    machine(java=java("25.0.1"))
    for version in ("11", "17", "21"):
        (tmp_path / version / "bin").mkdir(parents=True)
        shutil.copy(tmp_path / "commands/java", tmp_path / version / "bin/java")
        script = (tmp_path / version / "bin/java").read_text().replace("25.0.1", f"{version}.0.1")
        (tmp_path / version / "bin/java").write_text(script)
    monkeypatch.setattr(module, "JAVAS", ((str(tmp_path), "[0-9]*/bin/java"),))
    assert module.find_java("5.26") == tmp_path / "17/bin/java"
    assert module.find_java("2026") == tmp_path / "21/bin/java"


def test_lacking_maven_is_named(machine, tmp_path):
    machine(java=java("17.0.1"))
    with pytest.raises(ChiptrailError, match="no command `mvn`; install it"):
        prepare("5.26")


def test_broken_download_leaves_nothing(machine):
    half = 'for word; do case "$word" in -DoutputDirectory=*) mkdir "${word#*=}"; echo half > "${word#*=}/a.jar";; esac; done\n'
    address = "https://somebody:hidden@repository.example/a.jar"
    cache = machine(java=java("17.0.1"), mvn=f"{half} echo 'could not fetch {address}'; exit 1")
    with pytest.raises(ChiptrailError, match=r"could not be fetched.*\n.*repository.example") as failed:
        prepare("5.26")
    assert "hidden" not in str(failed.value)
    assert [path.name for path in cache.iterdir()] == ["neo4j-5.26.29.lock"]
    machine(mvn=half)
    assert (prepare("5.26") / "a.jar").read_text() == "half\n"
    machine(mvn="exit 1")
    assert prepare("5.26") == cache / "neo4j-5.26.29"


def test_two_at_once_fetch_once(machine, tmp_path):
    machine(java=java("17.0.1"), mvn=f'echo run >> {tmp_path}/runs; sleep 0.3\nfor word; do case "$word" in '
                                     '-DoutputDirectory=*) mkdir "${word#*=}";; esac; done')
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(prepare, ["5.26", "5.26"])
    assert first == second
    assert (tmp_path / "runs").read_text() == "run\n"


def test_unknown_release():
    with pytest.raises(UnknownNameError, match=r"did you mean '5\.26'"):
        prepare("5.27")


def test_server_that_ends_shows_what_it_said_last(machine, tmp_path):
    then = f'echo "$@" >> {tmp_path}/arguments\ncase "$1" in @*) cat > {tmp_path}/input; exit 0;; esac\necho cannot go on; exit 3'
    fetched(machine(java=java("17.0.1", then)))
    with pytest.raises(ChiptrailError, match=r"code 3\. .*\ncannot go on$"), serving("5.26", tmp_path / "run", password=SECRET):
        pass
    arguments = (tmp_path / "arguments").read_text()
    assert "CommunityEntryPoint" in arguments
    assert "pass w" not in arguments
    assert '"--" "@@@pass wörd \\"\\\\$x"' in (tmp_path / "input").read_text()


def test_server_that_hangs_is_stopped(machine, tmp_path):
    then = f'case "$1" in @*) exit 0;; esac\necho $$ > {tmp_path}/pid; echo still thinking; exec sleep 600'
    fetched(machine(java=java("17.0.1", then)))
    with pytest.raises(ChiptrailError, match=r"did not start in time.*\nstill thinking"), serving("5.26", tmp_path / "run", seconds=1):
        pass
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_taken_port_is_told(machine, tmp_path):
    fetched(machine(java=java("17.0.1")))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ChiptrailError, match=f"port {port} is taken"), serving("5.26", tmp_path / "run", bolt_port=port):
            pass
        with pytest.raises(ChiptrailError, match=f"port {port} is taken"), serving("5.26", tmp_path / "run", http_port=port):
            pass
        assert module.free_port(port) not in (0, port)
    assert module.free_port(port) == port


def test_password_with_a_line_break_is_refused(machine, tmp_path):
    fetched(machine(java=java("17.0.1")))
    with pytest.raises(InputError, match=r"control character") as refused, serving("5.26", tmp_path / "run", password="broken\npassword"):
        pass
    assert "broken" not in str(refused.value)


def test_refused_password_is_not_repeated(machine, tmp_path):
    fetched(machine(java=java("17.0.1", "cat; echo; echo too short; exit 1")))
    with pytest.raises(ChiptrailError, match="could not be set") as refused, serving("5.26", tmp_path / "run", password="sesame"):
        pass
    assert "too short" in str(refused.value)
    assert "sesame" not in str(refused.value)


def test_folders_of_others_are_left_alone(machine, tmp_path):
    fetched(machine(java=java("17.0.1")))
    photos = tmp_path / "photos"
    photos.mkdir(mode=0o755)
    (photos / "holiday.jpg").touch()
    own = tmp_path / "own"
    (own / "conf").mkdir(parents=True)
    (own / "conf/neo4j.conf").write_text("server.bolt.enabled=true\n")
    for folder in (photos, own, photos / "holiday.jpg"):
        with pytest.raises(InputError, match="name a"), serving("5.26", folder):
            pass
    assert stat.S_IMODE(photos.stat().st_mode) == 0o755
    assert [path.name for path in photos.iterdir()] == ["holiday.jpg"]
    assert (own / "conf/neo4j.conf").read_text() == "server.bolt.enabled=true\n"


def test_folder_of_another_release_is_refused(machine, tmp_path):
    fetched(machine(java=java("21.0.1", "exit 1")))
    (tmp_path / "cache/chiptrail/neo4j-2026.09.0").mkdir()
    with pytest.raises(ChiptrailError, match="could not be set"), serving("5.26", tmp_path / "run", password=SECRET):
        pass
    with pytest.raises(InputError, match="another server or release"), serving("2026", tmp_path / "run", password=SECRET):
        pass


def test_default_folders_are_the_users_own(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert module.home("5.26") == tmp_path / "data/chiptrail/neo4j-5.26"
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert module.jars("2026") == tmp_path / ".cache/chiptrail/neo4j-2026.09.0"


def test_certificate_without_key_is_refused(tmp_path):
    with pytest.raises(InputError, match="give both"), serving("5.26", tmp_path, certificate=tmp_path / "server.pem"):
        pass
