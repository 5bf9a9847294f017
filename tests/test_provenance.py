from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

import pytest

from lwyolo import provenance
from lwyolo.record import GitRecord


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "none"))
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    for name in ("a", "b", "c"):
        (folder / name).write_text(name * 40)
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


def test_a_clean_tree_is_clean(repository):
    commit = git(repository, "rev-parse", "HEAD").strip()
    state = provenance.git_state(repository)

    assert GitRecord(commit, "main", 0, 0, 0) == state
    assert state.clean


def test_added_modified_and_untracked_files_are_counted(repository):
    for name in ("new", "staged and changed"):
        (repository / name).write_text(name)
        git(repository, "add", name)
    (repository / "staged and changed").write_text("again")
    (repository / "a").write_text("changed")
    (repository / "b").unlink()
    git(repository, "mv", "c", "moved")
    for name in ("left.pt", "锈蚀.txt", "two\nlines"):
        (repository / name).write_text("")
    state = provenance.git_state(repository)

    assert (2, 3, 3) == (state.added, state.modified, state.untracked)
    assert not state.clean


def test_unmerged_files_count_as_modified(repository):
    git(repository, "checkout", "-qb", "other")
    (repository / "d").write_text("theirs")
    git(repository, "add", "d")
    git(repository, "commit", "-qm", "theirs")
    git(repository, "checkout", "-q", "main")
    (repository / "d").write_text("ours")
    git(repository, "add", "d")
    git(repository, "commit", "-qm", "ours")
    with pytest.raises(subprocess.CalledProcessError):
        git(repository, "merge", "other")
    state = provenance.git_state(repository)

    assert (0, 1, 0) == (state.added, state.modified, state.untracked)


def test_a_tree_without_a_branch_says_head(repository):
    git(repository, "checkout", "-q", "--detach")

    assert "HEAD" == provenance.git_state(repository).branch


def test_outside_a_repository_there_is_no_git(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    assert provenance.git_state(tmp_path) is None


def test_before_the_first_commit_there_is_no_git(tmp_path):
    git(tmp_path, "init", "-q")

    assert provenance.git_state(tmp_path) is None


def test_without_the_program_there_is_no_git(repository, monkeypatch):
    monkeypatch.setenv("PATH", "")

    assert provenance.git_state(repository) is None


def test_a_slow_git_is_given_up(repository, monkeypatch):
    def slow(command, **options):
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(provenance.subprocess, "run", slow)

    assert provenance.git_state(repository) is None


def test_in_a_deleted_folder_everything_else_is_collected(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    found = provenance.collect(["lwyolo", "train"])

    assert (None, ("lwyolo", "train")) == (found.git, found.command)
    assert found.cores > 0


def test_versions_are_those_of_the_loaded_packages(monkeypatch):
    monkeypatch.setitem(sys.modules, "ultralytics", types.SimpleNamespace(__version__="8.9.9", __file__="x"))
    found = provenance.versions()

    assert "8.9.9" == found["ultralytics"]
    assert ".".join(map(str, sys.version_info[:3])) == found["python"]


def test_both_packages_that_are_imported_as_thop_are_told_apart(tmp_path, monkeypatch):
    info = tmp_path / "thop-0.1.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thop\nVersion: 0.1.1\n")
    before = provenance.versions()
    monkeypatch.syspath_prepend(tmp_path)
    found = provenance.versions()

    assert "0.1.1" == found["thop"]
    assert before["ultralytics-thop"] == found["ultralytics-thop"]
    assert before.get("thop") != "0.1.1"


def copy_of_ultralytics(folder: Path) -> Path:
    (folder / "ultralytics").mkdir(parents=True)
    (folder / "ultralytics" / "__init__.py").write_text('__version__ = "0"\n')
    return folder / "ultralytics"


def test_a_second_copy_of_ultralytics_is_found(tmp_path, monkeypatch):
    used = Path(__import__("ultralytics").__file__).resolve().parent
    second = copy_of_ultralytics(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    monkeypatch.syspath_prepend(tmp_path / "link")

    assert [used, second] == provenance.ultralytics_copies()


def test_the_copy_in_the_current_folder_comes_first_where_none_is_loaded(tmp_path):
    first = copy_of_ultralytics(tmp_path)
    code = "from lwyolo import provenance; print(*provenance.ultralytics_copies(), sep='\\n')"
    root = Path(provenance.__file__).resolve().parent.parent
    environment = {"PYTHONPATH": str(root), "PATH": ""}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )

    assert str(first) == run.stdout.splitlines()[0]


def test_collecting_loads_neither_torch_nor_ultralytics():
    code = (
        "import sys; from lwyolo import provenance; p = provenance.collect();"
        "print(p.gpus, sorted({'torch', 'ultralytics', 'numpy'} & set(sys.modules)), bool(p.versions['torch']))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "() [] True\n" == run.stdout


def test_the_processor_has_a_name():
    assert provenance.cpu_name()
    assert provenance.ram_mib() is None or provenance.ram_mib() > 256
