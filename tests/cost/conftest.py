"""Stock models, built once a session."""

from __future__ import annotations

from functools import cache

import pytest
from torch import nn


@cache
def build(name: str) -> nn.Module:
    from ultralytics.nn.tasks import DetectionModel, RTDETRDetectionModel

    return (RTDETRDetectionModel if "rtdetr" in name else DetectionModel)(f"{name}.yaml", verbose=False).eval()


@pytest.fixture(scope="session")
def stock():
    """Build a stock model in evaluation mode by its name; tests leave it as it is, which one of them checks."""
    return build
