"""Blocks of code in the pages, and what tests do with each of them.

Python is run by ``tests/test_docs.py``, tutorials with all their commands by
``tests/test_tutorials.py``. Other commands name data that must be downloaded;
the tests below run their tools on small files of the same layout. A block that
no test runs has a comment above it that says why::

    <!-- not run: needs mim, which is not in the test environment -->

``tools/dev/list_snippets.py`` prints all of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *sorted(ROOT.glob('*.md')),
    *sorted((ROOT / 'docs').rglob('*.md')),
]
# Tool -> what runs it in the tests.
TESTED = {
    '.ci/run': '.ci/run',
    'mmxdistill.infer': 'tests/test_apis/test_users_folder.py',
    'pip install .': 'tests/test_setup.py',
    'tools/analysis_tools/average_splits.py': (
        'tests/test_tools/test_average_splits.py'
    ),
    'tools/analysis_tools/browse_pairs.py': (
        'tests/test_tools/test_browse_pairs.py'
    ),
    'tools/analysis_tools/check_dataset.py': (
        'tests/test_tools/test_check_dataset.py'
    ),
    'tools/analysis_tools/compare_fusion.py': (
        'tests/test_tools/test_fusion_tools.py'
    ),
    'tools/analysis_tools/fit_fusion_weights.py': (
        'tests/test_tools/test_fusion_tools.py'
    ),
    'tools/analysis_tools/paper_tables.py': 'tests/test_studies/test_paper.py',
    'tools/analysis_tools/proposal_recall.py': (
        'tests/test_tools/test_proposal_recall.py'
    ),
    'tools/analysis_tools/real_pairs.py': (
        'tests/test_studies/test_real_pairs.py'
    ),
    'tools/analysis_tools/show_filters.py': (
        'tests/test_tools/test_show_filters.py'
    ),
    'tools/analysis_tools/show_hha.py': 'tests/test_tools/test_show_hha.py',
    'tools/benchmarks/': 'tests/test_tools/test_benchmarks.py',
    'tools/cache_teacher.py': (
        'tests/test_engine/test_hooks/test_teacher_cache.py'
    ),
    'tools/dataset_converters/encode_depth.py': (
        'tests/test_tools/test_encode_depth.py'
    ),
    'tools/dataset_converters/encode_flow.py': (
        'tests/test_tools/test_encode_flow.py'
    ),
    'tools/dataset_converters/generate_proposals.py': (
        'tests/test_tools/test_generate_proposals.py'
    ),
    'tools/dataset_converters/jhmdb.py': (
        'tests/test_tools/test_video_converters.py'
    ),
    'tools/dataset_converters/make_synthetic_rgbd.py': (
        'tests/test_tools/test_quickstart.py'
    ),
    'tools/dataset_converters/mot.py': (
        'tests/test_tools/test_video_converters.py'
    ),
    'tools/dataset_converters/nyud2_detection.py': (
        'tests/test_tools/test_nyud2_converters.py'
    ),
    'tools/dataset_converters/nyud2_pairs.py': (
        'tests/test_tools/test_nyud2_converters.py'
    ),
    'tools/dataset_converters/pack_shards.py': (
        'tests/test_tools/test_pack_shards.py'
    ),
    'tools/dataset_converters/sunrgbd.py': (
        'tests/test_tools/test_sunrgbd_converter.py'
    ),
    'tools/dataset_converters/ucf101_pairs.py': (
        'tests/test_tools/test_video_converters.py'
    ),
    'tools/dev/model_index.py': 'tests/test_configs.py',
    'tools/dist_train.sh': 'tests/test_tools/test_end_to_end.py',
    'tools/model_converters/caffe_to_mm.py': (
        'tests/test_tools/test_model_converters.py'
    ),
    'tools/model_converters/mm_to_caffe.py': (
        'tests/test_tools/test_model_converters.py'
    ),
    'tools/model_converters/select_classes.py': (
        'tests/test_tools/test_select_classes.py'
    ),
    'tools/quickstart.sh': 'tests/test_tools/test_quickstart.py',
    'tools/run_tests.sh': 'tests/test_setup.py',
    # Each config: a step of training and an image of testing.
    'tools/test.py': 'tests/test_config_steps.py',
    'tools/train.py': 'tests/test_config_steps.py',
}
# Pages whose Python is run by a test of their own.
PAGE_TESTS = {
    'docs/inference.md': 'tests/test_apis/test_users_folder.py',
    'docs/tutorials/own_detector.md': 'tests/test_tutorials.py',
    'docs/tutorials/own_modality.md': 'tests/test_tutorials.py',
}
_BLOCK = re.compile(
    r'(?:^<!-- (?P<note>[^>]*?) -->\n\n?)?^```(?P<language>python|bash)\n'
    r'(?P<text>.*?)^```',
    re.M | re.S,
)
_FILE = re.compile(r'# (mine/\w+\.py)\n')


@dataclass(frozen=True)
class Block:
    """A block.

    Attributes:
        page: Path below the checkout.
        language: python or bash.
        text: What is in it.
        note: The comment above it.
    """

    page: str
    language: str
    text: str
    note: str = ''

    @property
    def reason(self) -> str:
        """Why it is not run; empty if it is."""
        return self.note.removeprefix('not run: ') * self.note.startswith(
            'not run: '
        )

    @property
    def run_by(self) -> list[str]:
        """Test files that run it."""
        page = PAGE_TESTS.get(self.page)
        if page and (self.language == 'python' or 'tutorials' in page):
            return [page]
        if self.language == 'python':
            return ['tests/test_docs.py']
        return list(dict.fromkeys(map(tested_by, self.commands)))

    @property
    def file(self) -> str:
        """Name of the file that it is, if the first line says one."""
        found = _FILE.match(self.text)
        return found[1] if found else ''

    @property
    def commands(self) -> list[list[str]]:
        """Words of each command."""
        text = self.text.replace('\\\n', ' ')
        lines = (line.split('#')[0].split() for line in text.split('\n'))
        return [
            list(dropwhile(lambda word: '=' in word, words))
            for words in lines
            if words
        ]


def blocks(page: Path) -> list[Block]:
    """All blocks of Python and bash of a page."""
    name = page.relative_to(ROOT).as_posix()
    return [
        Block(name, found['language'], found['text'], found['note'] or '')
        for found in _BLOCK.finditer(page.read_text('utf-8'))
    ]


def tested_by(command: list[str]) -> str:
    """The test file that runs a command's tool.

    Args:
        command (list[str]): Its words.

    Raises:
        KeyError: There is none.
    """
    text = ' '.join(command).removeprefix('python -m ')
    text = text.removeprefix('python ').removeprefix('bash ')
    found = [key for key in TESTED if text.startswith(key)]
    if not found:
        raise KeyError(f"no test runs '{text}': see tests/docs_blocks.py")
    return TESTED[max(found, key=len)]
