"""The page that tells which model runs in which runtime, and that it tells of all of them."""

from __future__ import annotations

import importlib
import re
import sys

import pytest

from lwyolo.engine.files import first_scale, with_scale
from lwyolo.engine.support import Support, support

REASON = "ncnn: Block cannot be exported: it sorts; use BlockLite."
ROWS = [
    Support("a", "openvino", "agrees", "boxes by up to …", 0.00024, 1.26e-7),
    Support("a", "ncnn", "refused", f"{REASON} It can be tried in torch, openvino."),
    Support("b", "openvino", "differs", "7 boxes differ by more than 0.001 (…)", 3.4, 0.0),
    Support("b", "ncnn", "refused", f"{REASON} It can be tried in openvino."),
    Support("c", "openvino", "agrees", "boxes by up to …", 0.0, 0.0),
    Support("c", "ncnn", "differs", "no box could be compared"),
]


@pytest.fixture(scope="module")
def script(root):
    sys.path.insert(0, str(root / "scripts"))
    yield importlib.import_module("update_support")
    sys.path.remove(str(root / "scripts"))


@pytest.fixture(scope="module")
def document(script):
    return script.PAGE.read_text(encoding="utf-8")


@pytest.fixture
def written(script, monkeypatch):
    monkeypatch.setattr(script, "version", lambda name: "1.2.3")
    return script.page(ROWS)


def verdicts(document):
    """Return the verdict of each model and runtime in the table of a page."""
    head, _, *rows = ([c.strip() for c in line.split("|")[1:-1]] for line in document.splitlines() if line[:1] == "|")
    return {
        (row[0], name): re.match(r"\w+", cell)[0] for row in rows for name, cell in zip(head[1:], row[1:], strict=True)
    }


def test_a_cell_holds_the_verdict_and_the_largest_differences(written):
    assert "| Model | openvino | ncnn |" in written
    assert "| a | agrees: 0.0002 px, 1e-07 | refused [^1] |" in written
    assert "| b | differs: 3 px, 0 [^2] | refused [^1] |" in written
    assert "| c | agrees: equal | differs [^3] |" in written


def test_a_reason_is_told_once_without_what_the_table_says(written):
    assert [
        f"[^1]: {REASON}",
        "[^2]: 7 boxes differ by more than 0.001 (…)",
        "[^3]: no box could be compared",
    ] == written.splitlines()[-3:]


def test_the_page_heads_itself_with_command_versions_and_tolerance(written):
    flat = " ".join(written.split())

    assert "`python scripts/update_support.py`" in written
    assert "ultralytics 1.2.3, torch 1.2.3, onnx 1.2.3, onnxruntime 1.2.3, openvino 1.2.3, ncnn 1.2.3" in flat
    assert "within 0.001 of the box's longer side (at least 1 px)" in flat
    assert "within 0.001 of the highest score (at least 0.001)" in flat
    assert "128 × 128" in written


def test_the_page_is_the_same_for_the_same_rows(script, written, document):
    assert written == script.page(ROWS)
    assert max(map(len, written.partition("[^1]:")[0].splitlines())) <= 120
    before, after = (text.partition("Each model")[2].partition("\n| Model |")[0] for text in (written, document))
    assert before == after


def test_nothing_is_written_where_a_model_fails_midway(script, monkeypatch, tmp_path):
    def fails(*_):
        yield ROWS[0]
        raise OSError("no space left")

    monkeypatch.setattr("lwyolo.engine.support.support", fails)
    monkeypatch.setattr("lwyolo.speed.runtime.Runtime.missing", lambda self: None)
    monkeypatch.setattr(script, "PAGE", tmp_path / "runtimes.md")

    with pytest.raises(OSError, match="no space left"):
        script.main()
    assert [] == list(tmp_path.iterdir())


def test_a_runtime_that_is_missing_is_named(script, monkeypatch):
    monkeypatch.setattr("lwyolo.speed.runtime.Runtime.missing", lambda self: f"{self.name} is not installed")

    with pytest.raises(SystemExit, match="ncnn is not installed"):
        script.main()


def test_the_document_tells_of_every_model_in_every_runtime(script, document, root):
    files = sorted((root / "cfg").glob("*.yaml"))
    names = [with_scale(file.name, first_scale(file)).removesuffix(".yaml") for file in files]
    expected = {(name, runtime) for name in (*names, *script.STOCK) for runtime in script.RUNTIMES}

    assert expected == verdicts(document).keys()
    assert {"agrees", "refused"} >= set(verdicts(document).values())


def test_the_document_states_the_versions_that_it_was_made_with(script, document):
    assert [] == [name for name in script.PACKAGES if not re.search(rf"\b{name}\s+\d+(\.\d+)*", document)]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["cfg/yolov8n-dyhead.yaml", "yolo11n.yaml"])
def test_the_document_says_what_is_found_again(script, document, root, model):
    source = root / model if model.startswith("cfg") else model
    found = {(row.model, row.runtime): row.verdict for row in support([source], script.RUNTIMES, script.IMGSZ)}

    assert len(script.RUNTIMES) == len(found)
    assert found == {place: verdict for place, verdict in verdicts(document).items() if place in found}
