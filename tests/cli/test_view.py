"""`lwyolo view`: the drawing in a file, and the graph in Netron."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from lwyolo.cli import main


def start(*arguments: object, cwd: Path, root: Path, path: Path | None = None) -> subprocess.Popen:
    """Start the real command; a runner in the background may have told its children to ignore Ctrl-C."""
    before = [str(path)] if path else []
    return subprocess.Popen(
        [sys.executable, "-m", "lwyolo", *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*before, str(root)]), "TMPDIR": str(cwd.parent / "tmp")},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.fixture
def cwd(tmp_path) -> Path:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "cwd").mkdir()
    return tmp_path / "cwd"


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


def get(port: int, path: str = "") -> bytes:
    with urllib.request.urlopen(f"http://localhost:{port}/{path}", timeout=10) as answer:
        return answer.read()


def end(process: subprocess.Popen) -> tuple[int, str, str]:
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


def message(capsys, *arguments: object) -> str:
    """Run a command line that is refused, and return what it printed."""
    assert 2 == main(["view", *map(str, arguments)])
    out, err = capsys.readouterr()
    assert "" == out
    return err.removeprefix("lwyolo: ").rstrip("\n")


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit):
        main(["view", "--help"])

    assert "examples:\n  lwyolo view " in capsys.readouterr().out


def test_svg_is_written_without_a_viewer(cwd, root):
    (cwd / "out.svg").write_text("an older one")
    process = start("view", root / "cfg/yolov8n-dyhead.yaml", "--svg", "out.svg", cwd=cwd, root=root)
    out, err = process.communicate(timeout=100)

    assert (0, "The layers of yolov8n-dyhead are drawn in out.svg\n", "") == (process.returncode, out, err)
    assert 24 + 1 == len(list(ET.parse(cwd / "out.svg").iter("{http://www.w3.org/2000/svg}g")))
    assert ["out.svg"] == names(cwd)


def test_svg_shows_the_graph_that_was_asked_for(tmp_path, capsys):
    for option, words in (("--scale=n", "deployed (fused) graph"), ("--unfused", "training graph")):
        assert 0 == main(["view", "yolov8n.yaml", "--imgsz", "96x128", "--svg", str(tmp_path / "a.svg"), option])
        text = (tmp_path / "a.svg").read_text(encoding="utf-8")

        assert words in text
        assert "input 3×96×128" in text


def test_an_exported_file_is_served_as_it_is_until_ctrl_c(cwd, root, port):
    (cwd / "mine.onnx").write_bytes(b"graph")
    process = start("view", "mine.onnx", "--no-browser", "--port", port, cwd=cwd, root=root)
    first = process.stdout.readline()
    page, graph = get(port), get(port, "data/mine.onnx")

    assert f"mine.onnx at http://localhost:{port} (Ctrl-C ends)\n" == first
    assert b"/data/mine.onnx" in page
    assert b"graph" == graph
    assert (0, "", "") == end(process)
    assert ["mine.onnx"] == names(cwd)


@pytest.mark.parametrize("make", ["checkpoint", "cfg/yolov8n-dyhead.yaml"])
def test_a_model_is_exported_into_a_temporary_folder_that_goes_away(make, cwd, root, port):
    import onnx

    from lwyolo import YOLO

    model = root / make
    if make == "checkpoint":
        model = cwd / "mine.pt"
        YOLO("yolov8n.yaml").save(model)
    before = {file: file.stat().st_mtime_ns for file in model.parent.iterdir()}
    process = start("view", model, "--no-browser", "--port", port, "--imgsz", "32x64", cwd=cwd, root=root)
    lines = [process.stdout.readline(), process.stdout.readline()]
    graph = onnx.load_from_string(get(port, f"data/{model.stem}.onnx")).graph
    served = list((cwd.parent / "tmp").glob("lwyolo-view-*/*.onnx"))

    assert [f"Exporting {model} to ONNX\n", f"{model.stem}.onnx at http://localhost:{port} (Ctrl-C ends)\n"] == lines
    assert [1, 3, 32, 64] == [dim.dim_value for dim in graph.input[0].type.tensor_type.shape.dim]
    assert [f"{model.stem}.onnx"] == [file.name for file in served]
    assert (0, "", "") == end(process)
    assert [] == list((cwd.parent / "tmp").glob("lwyolo-view-*"))
    assert before == {file: file.stat().st_mtime_ns for file in model.parent.iterdir()}
    assert names(cwd) == (["mine.pt"] if make == "checkpoint" else [])


def test_ctrl_c_during_the_export_leaves_nothing_behind(cwd, root):
    process = start("view", "yolov8n.yaml", "--no-browser", cwd=cwd, root=root)
    process.stdout.readline()
    time.sleep(0.3)

    assert 130 == end(process)[0]
    assert [] == list((cwd.parent / "tmp").glob("lwyolo-view-*"))
    assert [] == names(cwd)


@pytest.mark.parametrize(("package", "extra"), [("netron", "view"), ("onnx", "onnx")])
def test_a_missing_package_is_named_with_its_extra(package, extra, cwd, root, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / f"{package}.py").write_text(f"raise ModuleNotFoundError('No module named {package}')")
    process = start("view", "yolov8n.yaml", "--no-browser", cwd=cwd, root=root, path=blocked)
    out, err = process.communicate(timeout=60)

    assert (2, "") == (process.returncode, out)
    assert (
        f"lwyolo: view needs the package {package} (No module named {package}). "
        f"Install it with: pip install 'lwyolo[{extra}]'\n"
    ) == err


def test_a_port_in_use_is_said(cwd, root):
    (cwd / "mine.onnx").write_bytes(b"graph")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        process = start("view", "mine.onnx", "--no-browser", "--port", port, cwd=cwd, root=root)
        _, err = process.communicate(timeout=60)

    assert f"lwyolo: --port {port}: Address already in use. Choose another, or none for one that is free.\n" == err


def test_a_model_that_cannot_be_exported_is_one_message(monkeypatch, capsys):
    from lwyolo.engine import view

    def export(self, **_):
        raise RuntimeError("no symbolic function\nand a long tale")

    monkeypatch.setattr(view.YOLO, "export", export)

    assert 2 == main(["view", "yolov8n.yaml", "--no-browser"])
    assert (
        "lwyolo: yolov8n.yaml: cannot be exported to ONNX: no symbolic function. "
        "Its layers can be drawn without: --svg FILE.\n"
    ) == capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["none/best.onnx"], "none/best.onnx: no such file."),
        (["cfg"], "cfg: a folder; give one file of it."),
        (["yolov8"], "yolov8: no such file; the name of a stock model ends in .yaml or .pt."),
        (["README.mdd"], "README.mdd: no such file. Did you mean README.md?"),
        (["README.md", "--svg", "a.svg"], "README.md: --svg draws the layers of a model YAML or a checkpoint; it is not available yet for exported files. To see its operators: lwyolo view README.md"),
        (["cfg/yolov8n-dyhed.yaml", "--svg", "a.svg"], "cfg/yolov8n-dyhed.yaml: no such model YAML. Did you mean yolov8-dyhead.yaml?"),
        (["yolov8n.yaml", "--svg", "a.png"], "--svg a.png: expected a file name that ends in .svg."),
        (["yolov8n.yaml", "--svg", "none/a.svg"], "--svg none/a.svg: there is no folder none."),
        (["yolov8n.yaml", "--svg", "a.svg", "--port", "80"], "--port: --svg opens no viewer."),
        (["yolov8n.yaml", "--svg", "a.svg", "--no-browser"], "--no-browser: --svg opens no viewer."),
        (["yolov8n.yaml", "--unfused"], "--unfused: Netron shows the deployed graph; the option goes with --svg."),
        (["README.md", "--imgsz", "64"], "--imgsz: README.md is opened as it is."),
        (["yolov8n.yaml", "--port", "0"], "argument --port: '0' is no port; expected a number from 1 to 65535. See lwyolo view --help."),
    ],
)  # fmt: skip
def test_mistakes_are_explained(arguments, expected, capsys, monkeypatch, root):
    monkeypatch.chdir(root)

    assert expected == message(capsys, *arguments)
