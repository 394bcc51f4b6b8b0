"""The two distributions as users get them: what is in them, and that each runs with what its metadata requires."""

import subprocess
from pathlib import Path

import pytest

from tests.support.distributions import ROOT, Built, Installation, MissingDependencyError, build, install
from tests.support.sandbox_server import SandboxProcess
from tests.support.soap_conversation import Conversation

PACKAGES = {
    "sfmc_import": [
        "worker/sfmc_import", "worker/sfmc_transport", "producers/sfmc_producers", "ops/local/sfmc_local",
        "ops/server/sfmc_server",
    ],
    "sfmc_sandbox": ["ops/sandbox/sfmc_sandbox"],
}  # fmt: skip
PROJECTS = {"sfmc_import": ROOT, "sfmc_sandbox": ROOT / "ops" / "sandbox"}
HOST_MODULES = ("worker", "producers", "ops", "tests")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Built]:
    return {name: build(project, tmp_path_factory.mktemp(name)) for name, project in PROJECTS.items()}


@pytest.fixture(scope="module")
def sandbox_alone(built: dict[str, Built], tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(tmp_path_factory.mktemp("sandbox-alone"), built["sfmc_sandbox"])


@pytest.fixture(scope="module")
def import_alone(built: dict[str, Built], tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return install(tmp_path_factory.mktemp("import-alone"), built["sfmc_import"])


@pytest.fixture(scope="module")
def import_with_demo(built: dict[str, Built], tmp_path_factory: pytest.TempPathFactory) -> Installation:
    try:
        return install(tmp_path_factory.mktemp("with-demo"), *built.values(), extras=("demo",))
    except MissingDependencyError as missing:
        pytest.skip(f"not in this environment: {missing}")


@pytest.fixture
def host(import_with_demo: Installation, tmp_path: Path) -> Installation:
    """A project with modules of the names that the folders of this repository have."""
    for name in HOST_MODULES:
        (tmp_path / f"{name}.py").write_text(f"OWNER = 'host {name}'\n")
    return Installation(import_with_demo.folder, tmp_path)


def shipped_files(packages: list[str]) -> dict[str, bytes]:
    """The files of packages under version control, by their name in a wheel."""
    listed = subprocess.run(["git", "ls-files", "-z", *packages], cwd=ROOT, capture_output=True, text=True, check=True)
    names = [(folder, name) for name in listed.stdout.split("\0") for folder in packages if name.startswith(folder)]
    return {
        str(Path(name).relative_to(Path(folder).parent)): (ROOT / name).read_bytes()
        for folder, name in names
        if (ROOT / name).is_file()
    }


@pytest.mark.parametrize("name", PACKAGES)
def test_a_wheel_has_the_files_of_its_packages_and_no_others(name: str, built: dict[str, Built]) -> None:
    contents = {file: text for file, text in built[name].contents.items() if ".dist-info/" not in file}

    assert contents == shipped_files(PACKAGES[name])


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("sfmc_import", [".lua", ".wsdl", ".html", ".css", ".js", "py.typed"]),
        ("sfmc_sandbox", [".xsd", ".pem", "py.typed"]),
    ],
)
def test_a_wheel_has_the_data_that_its_code_reads(name: str, kinds: list[str], built: dict[str, Built]) -> None:
    missing = [kind for kind in kinds if not any(file.endswith(kind) for file in built[name].contents)]

    assert missing == []


@pytest.mark.parametrize("name", PACKAGES)
def test_a_wheel_has_the_licence_of_the_project(name: str, built: dict[str, Built]) -> None:
    licences = [text for file, text in built[name].contents.items() if file.endswith(".dist-info/licenses/LICENSE")]

    assert licences == [(ROOT / "LICENSE").read_bytes()]


@pytest.mark.parametrize("name", PACKAGES)
def test_a_source_archive_builds_the_same_wheel(name: str, built: dict[str, Built], tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "built").mkdir()

    again = build(built[name].unpacked_archive(tmp_path / "source"), tmp_path / "built")

    assert again.contents == built[name].contents


def test_the_source_archive_of_the_sandbox_has_its_documents(built: dict[str, Built], tmp_path: Path) -> None:
    folder = built["sfmc_sandbox"].unpacked_archive(tmp_path)

    wanted = [
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        *(f"docs/{page.name}" for page in (ROOT / "ops/sandbox/docs").iterdir()),
    ]
    assert [name for name in wanted if not (folder / name).is_file()] == []


def test_the_sandbox_alone_answers_a_perform(sandbox_alone: Installation, tmp_path: Path) -> None:
    command = [sandbox_alone.program("sfmc-sandbox")]
    with SandboxProcess(["--tls"], command=command, cwd=tmp_path):
        pass  # the certificate that comes with it is found

    with SandboxProcess(command=command, cwd=tmp_path) as sandbox:
        sandbox.control.define("daily", FileSpec="daily.csv")
        reply = Conversation(sandbox).perform("daily")

        assert reply.text("OverallStatus") == "OK"
        assert [start["task_id"] for start in sandbox.control.performs()] == reply.texts("ID")


def test_the_sandbox_alone_says_its_version(sandbox_alone: Installation, built: dict[str, Built]) -> None:
    done = sandbox_alone.run("sfmc-sandbox", "--version")

    version = built["sfmc_sandbox"].wheel.name.split("-")[1]
    assert (done.returncode, done.stdout) == (0, f"sfmc-sandbox {version}\n")


def test_the_sandbox_alone_brings_nothing_of_the_product(sandbox_alone: Installation) -> None:
    for name in ("sfmc_import", "sfmc_local", "celery", "redis"):
        assert "ModuleNotFoundError" in sandbox_alone.run("python", "-c", f"import {name}").stderr


@pytest.mark.parametrize("command", [["sfmc-import", "--help"], ["python", "-m", "sfmc_import", "--help"]])
def test_the_product_alone_shows_its_help(import_alone: Installation, command: list[str]) -> None:
    done = import_alone.run(*command)

    assert done.returncode == 0, done.stderr
    assert "worker" in done.stdout


def test_the_product_alone_examines_its_settings(import_alone: Installation) -> None:
    done = import_alone.run("sfmc-import", "doctor")

    assert done.returncode in {1, 2}
    assert "SFMC_AUTH_URL" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["sandbox", "demo"])
def test_the_product_alone_says_what_a_command_needs(import_alone: Installation, command: str) -> None:
    done = import_alone.run("sfmc-import", command, "--port=0" if command == "sandbox" else "--fast")

    assert done.returncode != 0
    assert "sfmc-import[demo]" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.nightly
def test_the_product_with_the_extra_runs_its_demo_in_a_folder_with_modules_of_the_same_names(
    host: Installation,
) -> None:
    done = host.run("sfmc-import", "demo", "--fast", PYTHONPATH=".")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "none twice" in done.stdout


@pytest.mark.parametrize("command", [["sfmc-import", "--help"], ["python", "-m", "sfmc_import", "--help"]])
def test_the_command_runs_in_a_folder_with_modules_of_the_same_names(host: Installation, command: list[str]) -> None:
    assert host.run(*command, PYTHONPATH=".").returncode == 0


def test_a_host_imports_the_client_and_keeps_its_modules(host: Installation) -> None:
    lines = [
        "from sfmc_import.client import submit",
        *(f"import {name}; print({name}.OWNER)" for name in HOST_MODULES),
    ]

    done = host.run("python", "-c", "\n".join(lines))

    assert done.stderr == ""
    assert done.stdout.splitlines() == [f"host {name}" for name in HOST_MODULES]
