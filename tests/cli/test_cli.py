"""The real command, run as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lwyolo.cli import main, parse
from lwyolo.cli._arguments import known_keys, read_pairs
from lwyolo.cli.train import _overrides
from lwyolo.errors import UsageError

COMMANDS = [
    "train",
    "info",
    "view",
    "bench",
    "hardware",
    "doctor",
    "modules",
    "demo",
    "report",
    "roofline",
    "calibrate",
    "data",
    "data stats",
    "data check",
    "data leaks",
    "data split",
    "data convert",
    "data diff",
    "data demo",
]
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
        (["train", "--yaml", "cfg/yolov8n-dyhed.yaml", "--data", "coco8.yaml"], "cfg/yolov8n-dyhed.yaml: no such model YAML. Did you mean yolov8-dyhead.yaml?"),
        (["train", "yolov8n.yaml", "--data", "coco8.yaml", "--weight", "no.pt"], "--weight: no checkpoint no.pt."),
        (["train", "yolov8n.yaml"], "no data. Give --data with a data YAML; lwyolo data demo OUT makes a small set."),
        (["train", "yolov8n.yaml", "--data", "no.yaml"], "no.yaml: no such data YAML."),
        (["train", "a.yaml", "--yaml", "b.yaml"], "model is given twice: b.yaml and a.yaml."),
        (["train", "yolov8n.yaml", "scale=s"], "scale=s: Ultralytics' scale is a gain of the augmentation, a number. The scale of the model is --scale s."),
        (["train", "yolov8n.yaml", "mode=val"], "mode: this command trains. For other modes use lwyolo.YOLO in Python."),
        (["train", "yolov8n.yaml", "--imgsz", "48x64"], "--imgsz with two numbers is for --info; training takes one."),
        (["info", "yolov8n.yaml", "--imgsz", "0"], "argument --imgsz: '0' is no image size; expected 640, or height and width as 480 640. See lwyolo info --help."),
        (["modules", "--plugins", "no.py"], "plugin no.py: no such file."),
        (["modules", "--plugins", "nosuch"], "no module named 'nosuch'."),
        (["train", "--resume", "no/last.pt"], "--resume: no checkpoint no/last.pt."),
        (["train", "--yaml", "x.yaml", "--plugins", "no.py"], "plugin no.py: no such file."),
        (["data", "stats", "no.yaml"], "no.yaml: no such file or folder."),
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


def test_a_data_yaml_whose_images_are_missing_is_refused_before_a_run_folder_is_made(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_text("train: images/train\nval: images/val\nnames: [pin]\n")

    assert f"my.yaml: train: {tmp_path / 'images/train'} does not exist." == message(
        capsys, "train", "yolov8n.yaml", "--data", "my.yaml"
    )
    assert [Path("my.yaml")] == list(Path().iterdir())


def given(*arguments: str) -> dict:
    return _overrides(parse(["train", *arguments]))


def test_a_model_is_given_by_option_by_position_or_as_ultralytics_does():
    assert {"model": "a.yaml"} == given("--yaml", "a.yaml") == given("a.yaml") == given("model=a.yaml")


def test_resume_takes_a_checkpoint_and_leaves_pairs_behind_it_alone():
    assert {"resume": True, "lr0": 0.1} == given("--resume", "lr0=0.1")
    assert {"resume": "runs/last.pt", "lr0": 0.1} == given("--resume", "runs/last.pt", "lr0=0.1")


def test_only_what_was_given_is_passed_on_wherever_it_stands():
    assert {"model": "a.yaml", "epochs": 3, "batch": 0.5, "device": "0,1", "imgsz": 320, "cos_lr": True} == given(
        "cos_lr=True", "--epochs", "3", "a.yaml", "--batch", "0.5", "--imgsz", "320", "device=0,1"
    )


def test_ctrl_c_ends_with_its_own_code_and_no_traceback(capsys, monkeypatch):
    monkeypatch.setattr("lwyolo.cli.modules.read_catalogue", _interrupted)

    assert 130 == main(["modules"])
    assert "lwyolo: interrupted.\n" == capsys.readouterr().err


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_debug_shows_the_traceback():
    with pytest.raises(UsageError):
        main(["train", "--info", "--debug"])


def test_output_may_be_cut_by_its_reader(root):
    command = f"{sys.executable} -m lwyolo modules | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=root, capture_output=True, text=True)

    assert (0, "") == (done.returncode, done.stderr)


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


def test_the_image_size_counts_however_it_is_given():
    sizes = [["--imgsz", "64", "96"], ["--imgsz", "64x96"], ["imgsz=[64,96]"]]
    titles = [run("train", "yolov8n.yaml", "--info", *size).stdout.splitlines()[0] for size in sizes]

    assert 3 * ["One forward pass: 64 × 96, batch 1, float32;"] == [title[:44] for title in titles]


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
