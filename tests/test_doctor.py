"""Made-up situations, and what the doctor says of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from lwyolo.doctor import (
    NOTE,
    OK,
    PROBLEM,
    Check,
    Finding,
    devices,
    folders,
    import_finding,
    packages,
    run_check,
    seam,
    thop,
    threads,
    versions,
)
from lwyolo.engine.parser import KNOWN_SHAPES, NEWEST, OLDEST
from lwyolo.errors import PluginError, UnsupportedUltralyticsError

PLACE = "/site-packages/thop/__init__.py"
GIB = 2**30
MIB = 2**20


def commands(finding: Finding) -> list[str]:
    return finding.remedy.splitlines()


# One check that fails


def test_what_a_check_raises_is_a_problem():
    def look(_):
        raise RuntimeError("operator torchvision::nms does not exist\nand a page more")

    assert [PROBLEM] == [f.state for f in run_check(Check("x", look), {}, {})]
    assert "RuntimeError: operator torchvision::nms does not exist" == run_check(Check("x", look), {}, {})[0].found


def test_a_bug_of_ours_is_not_hidden():
    def look(_):
        raise KeyError("ours")

    with pytest.raises(KeyError):
        run_check(Check("x", look), {}, {})


def test_a_check_without_its_package_is_left_out():
    def look(_):
        raise AssertionError("must not be called")

    found = run_check(Check("seam", look, ("torch", "ultralytics")), {}, {"ultralytics": "ImportError: no"})

    assert [Finding("seam", NOTE, "not checked, since ultralytics cannot be imported")] == found


def test_a_package_that_cannot_be_imported_is_named_with_the_command():
    finding = import_finding("torch", "OSError: libcudart.so.12: cannot open shared object file")

    assert (PROBLEM, "import torch") == (finding.state, finding.check)
    assert ["python -m pip install --force-reinstall torch"] == commands(finding)


# thop


def test_ultralytics_thop_alone_is_right():
    finding = thop.finding({"ultralytics-thop": "2.2.3"}, PLACE, 0.001)

    assert (OK, "") == (finding.state, finding.remedy)


def test_both_thops_are_a_problem_with_both_commands_in_order():
    finding = thop.finding({"thop": "0.1.1", "ultralytics-thop": "2.2.3"}, PLACE, 0.0)

    assert PROBLEM == finding.state
    assert "thop 0.1.1 and ultralytics-thop 2.2.3" in finding.found
    assert "prints 0.0 GFLOPs for every model" in finding.found
    assert [
        "python -m pip uninstall -y thop",
        "python -m pip install --force-reinstall --no-deps ultralytics-thop",
    ] == commands(finding)[:2]


def test_both_thops_are_a_problem_also_where_an_older_ultralytics_still_counts():
    finding = thop.finding({"thop": "0.1.1", "ultralytics-thop": "2.2.3"}, PLACE, 0.001)

    assert PROBLEM == finding.state
    assert "counts 0.001 GFLOPs for one convolution, but a newer one prints 0.0" in finding.found


def test_the_original_thop_alone_is_a_problem():
    finding = thop.finding({"thop": "0.1.1"}, PLACE, 0.0)

    assert PROBLEM == finding.state
    assert "the import name belongs to thop 0.1.1" in finding.found


def test_no_thop_is_a_problem():
    finding = thop.finding({}, "", 0.0)

    assert PROBLEM == finding.state
    assert ["python -m pip install --force-reinstall --no-deps ultralytics-thop"] == commands(finding)


@pytest.mark.parametrize(("owners", "gflops"), [({"ultralytics-thop": "2.2.3"}, 0.0), ({}, 0.001), ({}, None)])
def test_a_folder_that_hides_thop_is_named(owners, gflops):
    finding = thop.finding(owners, "/home/me/thop/__init__.py", gflops)

    assert PROBLEM == finding.state
    assert "/home/me/thop/__init__.py" in finding.found
    assert "If /home/me/thop/__init__.py is no file of that package, rename or remove it." in commands(finding)


def test_one_convolution_is_counted_by_the_installed_thop():
    macs = 16 * 3 * 3 * 3 * 32 * 32  # Conv(3, 16, 3, 2) at 64 pixels, without its batch norm and activation

    assert 2 * macs / 1e9 <= thop.live_gflops() <= 1.2 * 2 * macs / 1e9


# Versions


@pytest.mark.parametrize(
    ("name", "version", "needed", "state"),
    [
        ("torch", "2.14.1+cu130", ">=2.1", OK),
        ("torch", "2.0.1", ">=2.1", PROBLEM),
        ("torch", "2.15.0.dev20260101", ">=2.1", OK),
        ("torch", "2.0.1", "", OK),  # lwyolo is not installed: its needs are not known
        ("python", "3.9.1", ">=3.10", PROBLEM),
        ("ultralytics", OLDEST, f">={OLDEST}", OK),
        ("ultralytics", NEWEST, f">={OLDEST}", OK),
        ("ultralytics", "8.3.99", f">={OLDEST}", PROBLEM),
        ("ultralytics", "99.0.0", f">={OLDEST}", NOTE),
    ],
)
def test_a_version_is_held_against_what_is_needed(name, version, needed, state):
    assert state == versions.version_finding(name, version, SpecifierSet(needed)).state


def test_the_remedy_of_a_version_is_a_command_of_the_needed_range():
    old = versions.version_finding("ultralytics", "8.3.99", SpecifierSet(f">={OLDEST}"))

    assert [f"python -m pip install 'ultralytics>={OLDEST},<={NEWEST}'"] == commands(old)
    assert ["Use Python >=3.10."] == commands(versions.version_finding("python", "3.9.1", SpecifierSet(">=3.10")))


def test_the_copy_that_runs_is_named_among_several():
    one, two = Path("/a/ultralytics"), Path("/b/ultralytics")

    assert OK == versions.copies_finding([one]).state
    assert NOTE == versions.copies_finding([one, two]).state
    assert "/a/ultralytics runs; there are others: /b/ultralytics." in versions.copies_finding([one, two]).found


def test_numpy_without_trapz_is_a_problem_for_an_older_ultralytics():
    here = {"ultralytics": "8.3.100", "numpy": "2.4.6"}
    finding = versions.integration_finding("AttributeError: module 'numpy' has no attribute 'trapz'", here)

    assert PROBLEM == finding.state
    assert "Ultralytics 8.3.100 cannot compute AP with NumPy 2.4.6" in finding.found
    assert "Or: python -m pip install 'numpy<2.4'" in commands(finding)
    assert OK == versions.integration_finding("", here).state


@pytest.mark.parametrize(
    ("torch", "needed", "error", "state"),
    [
        ("2.14.1+cpu", "==2.14.1", "", OK),
        ("2.13.0", "==2.14.1", "", PROBLEM),
        ("2.13.0", "", "", OK),
        ("2.14.1", "==2.14.1", "RuntimeError: operator torchvision::nms does not exist", PROBLEM),
    ],
)
def test_torchvision_must_fit_torch_and_run(torch, needed, error, state):
    here = {"torch": torch, "torchvision": "0.29.1"}

    assert state == versions.operators_finding(here, needed, ("cpu",), error).state


# Seam


def test_an_unknown_parser_is_a_note_and_a_known_one_is_not():
    assert OK == seam.finding(next(iter(KNOWN_SHAPES)), 9, [], False).state
    assert NOTE == seam.finding("000000000000", 9, [], False).state


def test_plugins_are_counted_and_left_out_ones_mentioned():
    found = seam.finding(next(iter(KNOWN_SHAPES)), 9, ["MyGate"], True).found

    assert "9 modules registered, 1 of plugins (MyGate)" in found
    assert "LWYOLO_NO_ENTRY_POINTS is set" in found


def test_a_failing_plugin_and_an_unknown_ultralytics_have_their_own_remedies():
    plugin = seam.failure(PluginError("plugin 'bad' of package worse cannot be loaded"))
    upstream = seam.failure(UnsupportedUltralyticsError("a shape that lwyolo does not know"))

    assert (PROBLEM, "plugin 'bad' of package worse cannot be loaded") == (plugin.state, plugin.found)
    assert "Or leave out plugins of installed packages: export LWYOLO_NO_ENTRY_POINTS=1" in commands(plugin)
    assert [f"python -m pip install 'ultralytics>={OLDEST},<={NEWEST}'"] == commands(upstream)


# Devices


@pytest.mark.parametrize(
    ("build", "driver", "visible", "state", "words"),
    [
        ("", False, None, OK, "built for the CPU alone"),
        ("", True, None, NOTE, "although an NVIDIA driver is installed"),
        ("CUDA 13.0", False, None, OK, "its driver is not installed"),
        ("CUDA 13.0", True, "", NOTE, "hidden by CUDA_VISIBLE_DEVICES=''"),
        ("CUDA 13.0", True, "-1", NOTE, "hidden by CUDA_VISIBLE_DEVICES='-1'"),
        ("CUDA 13.0", True, "7", PROBLEM, "(CUDA_VISIBLE_DEVICES=7): RuntimeError: No CUDA GPUs"),
        ("CUDA 13.0", True, None, PROBLEM, "its driver is installed: RuntimeError: No CUDA GPUs"),
    ],
)
def test_why_torch_sees_no_device(build, driver, visible, state, words):
    finding = devices.no_device_finding(build, driver, visible, "RuntimeError: No CUDA GPUs are available")

    assert state == finding.state
    assert words in finding.found
    assert (state == OK) == (finding.remedy == "")


def test_a_device_is_described_and_one_that_fails_is_a_problem():
    fine = devices.device_finding(devices.Device("H100", 80 * GIB, 60 * GIB, (9, 0)), "CUDA 12.8")
    old = devices.device_finding(devices.Device("K80", 12 * GIB, 0, (3, 7), "no kernel image"), "CUDA 12.8")

    assert (OK, "H100, 80.0 GiB, compute capability 9.0, CUDA 12.8, 60.0 GiB free") == (fine.state, fine.found)
    assert (PROBLEM, True) == (old.state, "compute capability 3.7" in old.found and "no kernel image" in old.found)


# Threads


def test_as_many_threads_as_cores_are_right():
    assert OK == threads.threads_finding(4, 4, {"OMP_NUM_THREADS": "4"}).state


def test_more_threads_than_cores_are_a_problem_with_the_number_to_set():
    finding = threads.threads_finding(64, 2, {})

    assert (PROBLEM, ["export OMP_NUM_THREADS=2"]) == (finding.state, commands(finding))


def test_a_variable_that_torch_did_not_follow_is_a_note():
    finding = threads.threads_finding(2, 2, {"OMP_NUM_THREADS": "8,2", "MKL_NUM_THREADS": "2"})

    assert (NOTE, ["export OMP_NUM_THREADS=2", "export MKL_NUM_THREADS=2"]) == (finding.state, commands(finding))


def test_ultralytics_counts_the_cores_of_the_whole_machine():
    assert OK == threads.ultralytics_finding(8, 8, usable=16, cores=16).state
    finding = threads.ultralytics_finding(8, 8, usable=2, cores=64)

    assert NOTE == finding.state
    assert "counted from all 64 cores of the machine, of which 2 are usable" in finding.found
    assert "Train with workers=2." in commands(finding)


@pytest.mark.parametrize(
    ("files", "own", "quota"),
    [
        ({"cpu.max": "max 100000"}, "0::/", None),
        ({"cpu.max": "150000 100000"}, "0::/", 1.5),
        ({"jobs/cpu.max": "400000 100000", "jobs/1/cpu.max": "max 100000"}, "0::/jobs/1", 4.0),
        ({"jobs/cpu.max": "400000 100000", "jobs/1/cpu.max": "200000 100000"}, "0::/jobs/1", 2.0),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "4:cpu,cpuacct:/", None),
        ({"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, "4:cpu,cpuacct:/docker/f00", 0.5),
        ({"memory/cpu.max": "100000 100000"}, "8:memory:/", None),
        ({}, "0::/", None),
    ],
)
def test_the_quota_is_the_least_of_all_groups_above(tmp_path, files, own, quota):
    (tmp_path / "own").write_text(own + "\n")
    for name, text in files.items():
        file = tmp_path / "groups" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")

    assert quota == threads.cpu_quota(tmp_path / "groups", tmp_path / "own")


def test_a_system_without_control_groups_has_no_quota(tmp_path):
    assert threads.cpu_quota(tmp_path, tmp_path / "missing") is None


def test_the_shared_memory_of_a_plain_container_is_too_small_for_eight_workers():
    one_batch = 16 * 3 * 640 * 640

    assert NOTE == threads.shared_memory_finding(64 * MIB, 8).state
    assert NOTE == threads.shared_memory_finding(8 * 4 * one_batch - 1, 8).state
    assert OK == threads.shared_memory_finding(8 * 4 * one_batch, 8).state


# Folders


def test_a_folder_that_is_a_file_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LWYOLO_PLUGIN_DIR", str(tmp_path / "file"))
    store = next(f for f in folders.look(os.environ) if f.check == "plugin store")

    assert PROBLEM == store.state
    assert f"{tmp_path / 'file'} cannot be written: Not a directory" in store.found
    assert ["export LWYOLO_PLUGIN_DIR=/a/folder/that/can/be/written"] == commands(store)


def test_a_folder_that_is_not_there_is_tried_above_and_not_made(tmp_path):
    place = folders.Place("runs folder", tmp_path / "a" / "b", "elsewhere")

    assert Finding("runs folder", OK, str(tmp_path / "a" / "b")) == folders.look_at(place)
    assert [] == list(tmp_path.iterdir())


def test_an_unwritable_folder_that_is_only_read_from_is_a_note(tmp_path):
    (tmp_path / "file").touch()

    assert NOTE == folders.look_at(folders.Place("datasets folder", tmp_path / "file", "elsewhere", False)).state


@pytest.mark.parametrize(("free", "state"), [(GIB - 1, NOTE), (GIB, OK), (None, OK)])
def test_less_than_one_gib_free_is_a_note(free, state):
    assert state == folders.place_finding(folders.Place("runs folder", Path("/runs"), "elsewhere"), "", free).state


@pytest.mark.parametrize(
    ("used", "asked", "state"),
    [
        ("/tmp/Ultralytics-0", "/mnt/settings", NOTE),
        ("/tmp/Ultralytics-0", None, NOTE),
        ("/tmp/mine/Ultralytics", "/tmp/mine", None),
        ("/mnt/settings/Ultralytics", "/mnt/settings", None),
    ],
)
def test_settings_that_fell_back_to_a_temporary_folder_are_noted(used, asked, state):
    finding = folders.fallback_finding(Path(used), asked, Path("/tmp"))

    assert state == (finding.state if finding else None)


# Packages


def test_an_extra_is_complete_or_names_what_is_missing():
    assert OK == packages.extra_finding("timm", {"timm>=1.0.15": ("1.0.31", True)}).state
    finding = packages.extra_finding(
        "onnx",
        {"onnx>=1.16": ("1.23.2", True), "onnxruntime>=1.18": ("1.2", False), "onnxscript>=0.2": ("", False)},
    )

    assert NOTE == finding.state
    assert "missing: onnxscript>=0.2; does not fit: onnxruntime>=1.18 (here: 1.2)" == finding.found
    assert ["python -m pip install 'lwyolo[onnx]'"] == commands(finding)


@pytest.fixture
def installed_lwyolo(tmp_path, monkeypatch):
    """Put a distribution in front of the path that says what the extras of lwyolo need."""
    info = tmp_path / "lwyolo-9.9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: lwyolo\nVersion: 9.9.9\n"
        "Requires-Dist: torch>=2.1\nRequires-Dist: numpy<1; python_version < '3'\n"
        "Provides-Extra: good\nRequires-Dist: torch>=2.1; extra == 'good'\n"
        "Provides-Extra: bad\nRequires-Dist: nosuchpackage>=3; extra == 'bad'\nRequires-Dist: torch>=99; extra == 'bad'\n"
        "Provides-Extra: dev\nRequires-Dist: nosuchlinter; extra == 'dev'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)


def test_extras_are_read_from_the_metadata(installed_lwyolo):
    found = {finding.check: finding for finding in packages.look_at_extras({})}

    assert {"extra good": OK, "extra bad": NOTE} == {name: finding.state for name, finding in found.items()}
    assert found["extra bad"].found.startswith("missing: nosuchpackage>=3; does not fit: torch>=99 (here: ")


def test_what_lwyolo_needs_leaves_out_extras_and_other_systems(installed_lwyolo):
    assert ["torch>=2.1"] == [str(one) for one in packages.requirements("lwyolo")]


def test_a_package_that_is_not_installed_requires_nothing():
    assert [] == packages.requirements("nosuchpackage")


@pytest.mark.parametrize(("allowed", "state"), [(False, OK), (True, NOTE)])
def test_automatic_installs_are_noted(allowed, state):
    finding = packages.automatic_installs_finding(allowed, True, {"YOLO_OFFLINE": "false"})

    assert state == finding.state
    assert "YOLO_OFFLINE=false" in finding.found
