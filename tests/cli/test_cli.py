"""The real command, run as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lwyolo.cli import main
from lwyolo.cli._arguments import known_keys, read_pairs
from lwyolo.errors import UsageError

COMMANDS = ["train", "info", "modules", "demo", "report", "data", "data stats", "data convert", "data demo"]
MINE = """
from torch import Tensor, nn

from lwyolo import Paper, register_module


@register_module(
    kind="attention",
    paper=Paper(title="A gate of mine", venue="Nowhere", year=2026, url="https://example.org"),
    row="[-1, 1, MyGate, []]",
)
class MyGate(nn.Module):
    \"\"\"Halves its input.

    Shapes:
        x: [B, C, H, W]
        returns: [B, C, H, W]
    \"\"\"

    def forward(self, x: Tensor) -> Tensor:
        return x / 2
"""


def run(
    *arguments: str, cwd: Path | None = None, check: bool = True, program=("-m", "lwyolo")
) -> subprocess.CompletedProcess:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, *program, *arguments],
        cwd=cwd or root,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])},
    )
    assert not check or 0 == done.returncode, done.stderr[-2000:]
    return done


def message(capsys, *arguments: str) -> str:
    """Run a command line that is refused, and return what it printed."""
    assert 2 == main(list(arguments))
    out, err = capsys.readouterr()
    assert "" == out
    return err.removeprefix("lwyolo: ").rstrip("\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_examples(command, capsys):
    with pytest.raises(SystemExit) as leave:
        main([*command.split(), "--help"])

    assert 0 == leave.value.code
    assert "examples:\n  lwyolo " in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--help"], ["modules"], ["modules", "DyHead"], ["data", "--help"]])
def test_starts_without_torch_and_ultralytics(arguments):
    code = (
        "import sys\nfrom lwyolo.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        "print('HEAVY', sorted({'torch', 'ultralytics', 'numpy', 'pandas', 'cv2'} & set(sys.modules)))"
    )

    assert "HEAVY []" in run("-c", code, program=()).stdout


def test_modules_lists_name_kind_and_venue():
    lines = run("modules").stdout.splitlines()

    assert any(line.split()[:4] == ["DyHead", "neck", "CVPR", "2021"] for line in lines)


def test_one_module_is_shown_with_all_that_a_yaml_needs():
    out = run("modules", "DyHead").stdout

    assert "Signature: DyHead(ch, c2, n=1" in out
    assert "YAML row:  - [[15, 18, 21], 1, DyHead, [256]]" in out
    assert "x: list of [B, ch_l, H_l, W_l], finest level first" in out
    assert "https://arxiv.org/abs/2106.08322" in out
    assert "opset 19" in out


def test_unknown_module_gives_the_nearest(capsys):
    assert "unknown module 'DyHed'. Did you mean DyHead?" == message(capsys, "modules", "DyHed")


def test_unknown_key_gives_the_nearest_before_anything_starts(capsys):
    assert "unknown argument 'epoch'. Did you mean epochs?" == message(capsys, "train", "--yaml", "x.yaml", "epoch=3")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["train", "--yml", "x"], "unknown option --yml. Did you mean --yaml? See lwyolo train --help."),
        (["trian"], "argument COMMAND: invalid choice: 'trian'"),
        (["train", "--epochs", "many"], "argument --epochs: invalid int value: 'many'. See lwyolo train --help."),
        (["train", "--epochs", "3", "epochs=4"], "epochs is given twice: 3 and 4."),
        (["train", "--info"], "--info needs a model: --yaml FILE."),
        (["train", "lr0="], "lr0= has no value."),
        (["train"], "no model. Give --yaml with a model YAML, or --resume with a checkpoint."),
        (["train", "--yaml", "cfg/yolov8n-dyhed.yaml"], "cfg/yolov8n-dyhed.yaml: no such model YAML. Did you mean yolov8-dyhead.yaml?"),
        (["train", "--yaml", "yolov8n.yaml", "--weight", "no.pt"], "--weight: no checkpoint no.pt."),
        (["train", "--resume", "no/last.pt"], "--resume: no checkpoint no/last.pt."),
        (["train", "--yaml", "x.yaml", "--plugins", "no.py"], "plugin no.py: no such file."),
        (["data", "stats", "no.yaml"], "no.yaml: no such data YAML."),
        (["data", "convert", "a", "b", "--from", "vok"], "unknown data format 'vok'. Did you mean voc?"),
        (["report", "no"], "no: no such record. A run folder of lwyolo holds record.json."),
    ],
)  # fmt: skip
def test_bad_input_gets_one_message(arguments, expected, capsys, tmp_path, monkeypatch):
    if "--yaml" in arguments and "cfg/" in arguments[2]:
        monkeypatch.chdir(Path(__file__).resolve().parents[2])
    else:
        monkeypatch.chdir(tmp_path)
    text = message(capsys, *arguments)

    assert text == expected or (expected.endswith("'trian'") and text.startswith(expected))


def test_resume_without_any_checkpoint_says_where_it_looked(capsys, tmp_path):
    assert (
        f"--resume: no last.pt under {tmp_path}. Train first, or name the checkpoint: --resume path/to/last.pt."
    ) == message(capsys, "train", "--resume", "--project", str(tmp_path))


def test_a_plugin_that_registers_nothing_is_refused(tmp_path):
    (tmp_path / "empty.py").write_text("x = 1\n")
    done = run("info", "yolov8n.yaml", "--plugins", str(tmp_path / "empty.py"), check=False)

    assert (
        2,
        f"lwyolo: plugin {tmp_path / 'empty.py'}: registers no module. Decorate a class with @register_module(paper=…).\n",
    ) == (done.returncode, done.stderr)


def test_a_yaml_with_code_in_its_activation_is_refused_and_nothing_runs(capsys, tmp_path):
    target = tmp_path / "pwned"
    text = (Path(__file__).resolve().parents[2] / "cfg" / "yolov8-dyhead.yaml").read_text()
    evil = tmp_path / "yolov8n-evil.yaml"
    evil.write_text(f"activation: __import__('os').system('touch {target}')\n{text}")

    assert "is refused: expected a class of torch.nn with literal arguments" in message(
        capsys, "train", "--yaml", str(evil), "--info"
    )
    assert not target.exists()


def test_every_known_key_is_one_of_ultralytics():
    from ultralytics.cfg import DEFAULT_CFG_DICT

    assert set(DEFAULT_CFG_DICT) >= set(known_keys())
    assert {"lr0", "epochs", "cos_lr"} <= set(known_keys())


def test_pairs_are_literals_and_names_stay_text():
    assert {"lr0": 0.001, "cos_lr": True, "name": "001", "cache": "ram", "freeze": [0, 1]} == read_pairs(
        ["lr0=1e-3", "cos_lr=True", "name=001", "cache=ram", "freeze=[0, 1]"]
    )
    with pytest.raises(UsageError, match=r"unexpected 'cos_lr': expected key=value"):
        read_pairs(["cos_lr"])


def test_train_py_prints_the_cost_and_saves_it(tmp_path):
    out = run("--yaml", "cfg/yolov8-dyhead.yaml", "--info", "--project", str(tmp_path), program=("train.py",)).stdout

    assert "yolov8n-dyhead" in out
    assert "4.747" in out
    assert "DyHead" in out
    assert "Ultralytics 8." in out
    assert "4.747" in (tmp_path / "yolov8-dyhead-info" / "cost.md").read_text()


def test_info_puts_models_side_by_side():
    out = run("info", "yolov8n.yaml", "cfg/yolov8n-dyheadlite.yaml").stdout

    assert "4.372" in out
    assert "against yolov8n" in out


def test_info_tells_two_copies_of_ultralytics_apart(tmp_path):
    (tmp_path / "ultralytics").mkdir()
    (tmp_path / "ultralytics" / "__init__.py").write_text("")
    code = (
        "import sys, ultralytics\n"
        f"sys.path.append({str(tmp_path)!r})\n"
        "from lwyolo.cli._cost import origin\nprint(origin())"
    )
    out = run("-c", code, program=()).stdout

    assert f"another copy, not used: {tmp_path / 'ultralytics'}" in out


def test_a_module_of_the_users_own_trains_from_the_command_line_and_its_checkpoint_opens_elsewhere(
    tmp_path, monkeypatch
):
    (tmp_path / "my_modules.py").write_text(MINE)
    (tmp_path / "mine.yaml").write_text(
        "nc: 6\nscales: {n: [0.33, 0.25, 1024]}\nbackbone:\n"
        + "".join(f"  - [-1, 1, Conv, [{c}, 3, 2]]\n" for c in (64, 64, 64, 64, 64))
        + "head:\n  - [2, 1, MyGate, []]\n  - [[5, 3, 4], 1, Detect, [nc]]\n"
    )
    run("data", "demo", "demo", "--images", "10", "--size", "64", cwd=tmp_path)
    common = ["--project", "runs", "--name", "mine", "--plugins", "my_modules.py"]
    run(
        "train", "--yaml", "mine.yaml", "--data", "demo/data.yaml", "--epochs", "1", "--imgsz", "64", "--batch", "4",
        "--device", "cpu", "--seed", "1", *common, "plots=False", "workers=0", cwd=tmp_path,
    )  # fmt: skip
    folder = tmp_path / "runs" / "mine"
    (tmp_path / "my_modules.py").unlink()
    opened = run(
        "-c",
        f"from ultralytics import YOLO; print(YOLO({str(folder / 'weights/best.pt')!r}).model.model[5])",
        program=(),
        cwd=tmp_path / "demo",
    )
    report = run("report", str(folder)).stdout

    assert "MyGate()" in opened.stdout
    assert "A gate of mine (Nowhere 2026)" in report
    assert 1 == len(list((folder / "plugins").glob("my_modules_*.py")))


def test_modules_shows_a_plugin_file_without_running_it(tmp_path):
    (tmp_path / "my_modules.py").write_text(MINE + "\nraise SystemExit('ran')\n")

    assert "MyGate (attention)" in run("modules", "MyGate", "--plugins", str(tmp_path / "my_modules.py")).stdout
