"""Keep the source of the plugins that a run used beside its weights."""

from __future__ import annotations

import shutil
from typing import Any

from lwyolo import plugins
from lwyolo.hook import Hook, register_hook


@register_hook
class PluginsHook(Hook):
    """Copies plugin files into the run folder, so that its checkpoints can be opened on another machine."""

    def on_train_start(self, trainer: Any) -> None:
        """Copy each file that is not there yet."""
        for name, file in plugins.sources().items():
            target = trainer.save_dir / "plugins" / f"{name}.py"
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(file, target)
