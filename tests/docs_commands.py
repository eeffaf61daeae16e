"""What tests do with the commands of the pages, and how they do it.

A command is *run* as it stands (the tutorials on the data that they make, the
tools of ``RUN`` on small files where the page has its own, written by
``docs_data.py``), or *parsed* by its tool, with the configs that it names
loaded and its options merged into them; ``PARSED`` says why it cannot be run,
and which test runs the tool. Everything is done in this process.
"""

from __future__ import annotations

import argparse
import inspect
import runpy
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest
from docs_blocks import ROOT
from mmengine.config import Config

RUN = (
    'tools/analysis_tools/average_splits.py',
    'tools/analysis_tools/browse_pairs.py',
    'tools/analysis_tools/check_dataset.py',
    'tools/analysis_tools/proposal_recall.py',
    'tools/analysis_tools/show_hha.py',
    'tools/dataset_converters/encode_depth.py',
    'tools/dataset_converters/encode_flow.py',
    'tools/dataset_converters/generate_proposals.py',
    'tools/dataset_converters/jhmdb.py',
    'tools/dataset_converters/mot.py',
    'tools/dataset_converters/pack_shards.py',
    'tools/dataset_converters/sunrgbd.py',
    'tools/dataset_converters/ucf101_pairs.py',
    'tools/dev/list_snippets.py',
)
# Beginning of a command -> why it is not run, test that runs its tool.
PARSED = {
    '.ci/run': ('runs all tests', '.ci/run'),
    '-m mmxdistill.infer': (
        'wants a trained fusion',
        'tests/test_apis/test_users_folder.py',
    ),
    '-m sphinx': ('half a minute', '.ci/run'),
    'pip install .': ('installs', 'tests/test_setup.py'),
    'tools/analysis_tools/compare_fusion.py': (
        'wants a trained fusion',
        'tests/test_tools/test_fusion_tools.py',
    ),
    'tools/analysis_tools/export_fiftyone.py': (
        'needs FiftyOne and its database',
        'tests/test_visualization/test_fiftyone_export.py',
    ),
    'tools/analysis_tools/fit_fusion_weights.py': (
        'wants a trained fusion',
        'tests/test_tools/test_fusion_tools.py',
    ),
    'tools/analysis_tools/paper_tables.py': (
        'trains for hours, or builds all networks of the paper',
        'tests/test_studies/test_paper.py',
    ),
    'tools/analysis_tools/real_pairs.py': (
        'trains for hours',
        'tests/test_studies/test_real_pairs.py',
    ),
    'tools/analysis_tools/show_filters.py': (
        'wants trained weights',
        'tests/test_tools/test_show_filters.py',
    ),
    'tools/benchmarks/': (
        'measures for minutes',
        'tests/test_tools/test_benchmarks.py',
    ),
    'tools/cache_teacher.py': (
        'wants the data set',
        'tests/test_engine/test_hooks/test_teacher_cache.py',
    ),
    'tools/dataset_converters/generate_proposals.py data/kitchen_rgbd/': (
        'searches images of the real size',
        'tests/test_tools/test_generate_proposals.py',
    ),
    'tools/dataset_converters/generate_proposals.py data/roadscene_rgbt/': (
        'searches images of the real size',
        'tests/test_tools/test_generate_proposals.py',
    ),
    'tools/dataset_converters/make_synthetic_rgbd.py': (
        'draws for minutes',
        'tests/test_tools/test_quickstart.py',
    ),
    'tools/dataset_converters/nyud2': (
        'wants all 1449 frames',
        'tests/test_tools/test_nyud2_converters.py',
    ),
    'tools/dev/flow_rates.py': (
        'trains for half an hour',
        'tests/test_flow_rates.py',
    ),
    'tools/dev/model_index.py': (
        'writes files of the checkout',
        'tests/test_configs.py',
    ),
    'tools/dist_train.sh': (
        'trains for minutes to days',
        'tests/test_tools/test_end_to_end.py',
    ),
    'tools/model_converters/caffe_to_mm.py': (
        'wants the published file',
        'tests/test_tools/test_model_converters.py',
    ),
    'tools/model_converters/select_classes.py': (
        'wants the published weights',
        'tests/test_tools/test_select_classes.py',
    ),
    'tools/quickstart.sh': (
        'trains for minutes',
        'tests/test_tools/test_quickstart.py',
    ),
    'tools/run_tests.sh': ('runs tests', 'tests/test_setup.py'),
    'tools/test.py': (
        'wants trained weights',
        'tests/test_config_steps.py',
    ),
    'tools/train.py': (
        'trains for minutes to days',
        'tests/test_config_steps.py',
    ),
}
# What stands for a file of the reader's.
_NAMES = {
    'CONFIG': 'configs/late_fusion/fusion_squeezenet_rgb-thermal_roadscene.py',
    'fusion.py': (
        'configs/late_fusion/fusion_squeezenet_rgb-thermal_roadscene.py'
    ),
    'CHECKPOINT': 'fusion.pth',
}


def tool_of(command: list[str]) -> str:
    """The command without its interpreter."""
    assert command[0] in ('bash', 'pip', 'python'), command
    return ' '.join(command[command[0] != 'pip' :])


def why_not_run(command: list[str]) -> tuple[str, str] | None:
    """Reason and test of a command that is parsed; None if it is run.

    Raises:
        KeyError: Nothing is done with it.
    """
    text = tool_of(command)
    found = [key for key in PARSED if text.startswith(key)]
    if found:
        return PARSED[max(found, key=len)]
    if command[1] not in RUN:
        raise KeyError(f"no test runs '{text}': see tests/docs_commands.py")
    return None


@lru_cache
def load_config(path: str) -> Config:
    """Config of the checkout."""
    return Config.fromfile(ROOT / path)


class Shell:
    """Runs or parses commands in a folder, in this process.

    Args:
        path (Path): The folder, in which one is already.
        patch (MonkeyPatch): Puts back what commands change.
    """

    def __init__(self, path: Path, patch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.patch = patch
        self.parsers: dict[str, Callable[..., argparse.Namespace]] = {}

    def _load(self, tool: str, run_name: str) -> dict:
        path = self.path / tool
        path = path if path.is_file() else ROOT / tool
        self.patch.syspath_prepend(path.parent)
        return runpy.run_path(str(path), run_name=run_name)

    def run(self, command: list[str]) -> None:
        """Run it as a shell would; it must end well."""
        python, tool, *arguments = command
        assert python == 'python'
        argv = arguments if tool == '-m' else [tool, *arguments]
        self.patch.setattr(sys, 'argv', argv)
        try:
            if tool == '-m':
                runpy.run_module(arguments[0], run_name='__main__')
            else:
                self._load(tool, '__main__')
        except SystemExit as end:
            assert end.code in (None, 0), (command, end.code)

    def parse(self, command: list[str]) -> None:
        """Let the tool parse it; load the configs that it names."""
        _, tool, *arguments = command
        arguments = [_NAMES.get(word, word) for word in arguments]
        for word in arguments:
            if word.startswith('configs/'):
                load_config(word)
            elif Path(word).suffix == '.pth':  # tools look whether it is there
                Path(word).parent.mkdir(parents=True, exist_ok=True)
                Path(word).touch()
        if tool == '-m':
            tool = arguments.pop(0).replace('.', '/') + '.py'
        elif tool == 'tools/dist_train.sh':
            assert int(arguments.pop(1)) > 1
            tool = 'tools/train.py'
        tool = tool.replace('quickstart.sh', 'quickstart.py')
        if not tool.endswith('.py') or tool == 'sphinx.py':
            for word in arguments:  # of pytest, pip or Sphinx
                known = word.startswith('build/') or (ROOT / word).exists()
                assert '/' not in word or known, word
        elif tool == 'tools/dev/model_index.py':
            assert set(arguments) <= {'--check'}
        else:
            self._parse(tool, arguments)

    def _parse(self, tool: str, arguments: list[str]) -> None:
        if tool not in self.parsers:
            self.parsers[tool] = self._load(tool, 'parsed')['parse_args']
        parse = self.parsers[tool]
        self.patch.setattr(sys, 'argv', [tool, *arguments])
        takes = inspect.signature(parse).parameters
        args = parse(arguments) if takes else parse()
        if getattr(args, 'cfg_options', None):
            self._merge(args.config, args.cfg_options)

    def _merge(self, config: str, options: dict) -> None:
        """Options must override something, or be a model's arguments."""
        cfg = load_config(config)
        for key in options:
            node = cfg
            *parents, last = key.split('.')
            for parent in parents:
                if parent not in node:
                    break
                node = node[parent]
            known = last in node or 'type' in node
            assert known, f'{config} has no {key}'
