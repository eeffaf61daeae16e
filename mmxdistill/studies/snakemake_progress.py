"""Snakemake with a progress that a newcomer understands.

What its log says goes to :class:`Progress`, by the interface of its logger
plugins. Imported by the process that runs Snakemake only.
"""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from types import ModuleType

from snakemake.cli import main as snakemake
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry

from mmxdistill.studies.progress import Progress


class LogHandler(LogHandlerBase):
    """Passes on what happens to the steps."""

    progress: Progress
    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        """Let the last line move while nothing happens."""
        self._names: dict[int, str] = {}
        self._failed = False
        self._errors: list[str] = []
        self._end = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self._end.wait(0.2):
            self.progress.tick()

    def emit(self, record: logging.LogRecord) -> None:
        """Handle one record of Snakemake's log."""
        fields = vars(record)
        event = fields.get('event')
        if event == LogEvent.JOB_INFO and fields['log']:
            self._names[fields['jobid']] = fields['rule_name']
            self.progress.start(fields['rule_name'])
        elif event == LogEvent.JOB_FINISHED:
            if name := self._names.get(fields['job_id']):
                self.progress.finish(name)
        elif event == LogEvent.JOB_ERROR:
            self._failed = True
            self.progress.fail(fields['rule_name'])
        elif record.levelno >= logging.ERROR:
            self._errors.append(record.getMessage())
            self.progress.explain(self._errors[-1])

    def close(self) -> None:
        """Say what went wrong beside the steps, if nothing else did."""
        self._end.set()
        if self._errors and not self._failed:
            print('\n'.join(dict.fromkeys(self._errors)), flush=True)
        super().close()


def main(args: list[str]) -> None:
    """Run Snakemake.

    Args:
        args (list[str]): Its arguments, with ``--configfile``.
    """
    plan = Path(args[args.index('--configfile') + 1])
    LogHandler.progress = Progress(json.loads(plan.read_text())['steps'])
    plugin = ModuleType('snakemake_logger_plugin_steps')
    vars(plugin)['LogHandler'] = LogHandler
    LoggerPluginRegistry().register_plugin(plugin.__name__, plugin)
    snakemake([*args, '--logger', 'steps'])
