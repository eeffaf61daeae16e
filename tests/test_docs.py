"""What the documentation says must be there and be true."""

import importlib
import re
from itertools import dropwhile
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config

import mmxdistill
import mmxdistill.caffe
import mmxdistill.encodings
from mmxdistill import registry
from mmxdistill.converters.terms import TERMS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted(ROOT.glob('*.md')), *sorted((ROOT / 'docs').rglob('*.md'))]
BLOCK = re.compile(r'^```(\w*)\n(.*?)^```', re.M | re.S)


def blocks(page, language):
    return [
        text
        for found, text in BLOCK.findall(page.read_text())
        if found == language
    ]


def commands(page):
    lines = [
        line.split('#')[0].split()
        for block in blocks(page, 'bash')
        for line in block.replace('\\\n', ' ').splitlines()
    ]
    # Without the variables that are set before a command.
    rest = [list(dropwhile(lambda word: '=' in word, w)) for w in lines]
    return [words for words in rest if words]


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_commands(page):
    """Tools and configs exist, and the tools know the flags."""
    for words in commands(page):
        if words[0] == 'pip':
            continue
        assert words[0] in ('bash', 'python'), words
        source = (ROOT / words[1]).read_text()
        # Converters' options first: they use the others.
        for module in ('converters/arguments', 'options'):
            if f'mmxdistill.{module.replace("/", ".")}' in source:
                source += (ROOT / f'mmxdistill/{module}.py').read_text()
        partner = {
            'tools/test.py': 'train.py',
            'tools/cache_teacher.py': 'train.py',
            'tools/quickstart.sh': 'quickstart.py',
        }.get(words[1])
        if partner is not None:
            source += (ROOT / 'tools' / partner).read_text()
        for word in words[2:]:
            if word.startswith('--'):
                assert word.split('=')[0] in source, (words, word)
            elif word.startswith('configs/'):
                Config.fromfile(str(ROOT / word))


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links(page):
    text = BLOCK.sub('', page.read_text())
    for target in re.findall(r'\]\(([^)#]+)[^)]*\)', text):
        if '://' not in target:
            assert (page.parent / target).exists(), target


def test_python_blocks_compile():
    for page in PAGES:
        for block in blocks(page, 'python'):
            compile(block, page.name, 'exec')


@pytest.mark.parametrize(
    ('page', 'name'),
    [
        ('README.md', 'roadscene_rgbt.py'),
        ('docs/data.md', 'roadscene_rgbt_pairs.py'),
    ],
)
def test_shown_data_set_is_the_real_one(page, name):
    real = (ROOT / 'configs/_base_/datasets' / name).read_text().strip()
    shown = [block.strip() for block in blocks(ROOT / page, 'python')]
    assert any(len(text) > 200 and real.endswith(text) for text in shown)


def test_way_back_to_mmdet(tmp_path):
    """The config in docs/fast_rcnn.md builds, with nothing of Caffe left."""
    (text,) = blocks(ROOT / 'docs' / 'fast_rcnn.md', 'python')
    folder = ROOT / 'configs' / 'fast_rcnn'
    leaf = tmp_path / 'leaf.py'
    leaf.write_text(text.replace("'./", f"'{folder}/"))
    cfg = Config.fromfile(str(leaf))
    roi_head = cfg.model.roi_head
    assert 'Caffe' not in str(roi_head.bbox_head.bbox_coder)
    assert 'Caffe' not in str([roi_head.bbox_roi_extractor, cfg.custom_hooks])
    assert 'Caffe' not in str([cfg.model.train_cfg, cfg.model.test_cfg])
    roi_head.bbox_head.fc_channels = 8
    detector = registry.MODELS.build(cfg.model)
    assert type(detector.roi_head).__name__ == 'StandardRoIHead'


def test_components_in_the_table_exist():
    names = set()
    for attribute in registry.__all__:
        node = getattr(registry, attribute)
        node.import_from_location()
        names |= set(node.module_dict)
    table = (ROOT / 'README.md').read_text().split('| component |')[1]
    rows = re.findall(r'^\| (`.*?) \|', table, re.M)
    assert len(rows) > 5
    for row in rows:
        for name in re.findall(r'`([^`]+)`', row):
            if re.fullmatch(r'[A-Z]\w+', name):
                assert name in names, name


def test_camera_presets_in_the_docs():
    text = ''.join(page.read_text() for page in PAGES)
    for name in re.findall(r"camera='(\w+)'", text):
        mmxdistill.encodings.PinholeCamera.preset(name)


def test_terms_of_data_sets():
    """Where a command touches data, its terms stand, as in --help."""
    text = ' '.join(
        ' '.join(page.read_text().replace('\n>', ' ').split())
        for page in PAGES
    )
    tools = ''.join(
        path.read_text() for path in ROOT.glob('tools/dataset_converters/*.py')
    )
    for name, terms in TERMS.items():
        assert terms in text, name
        assert f"epilog=TERMS['{name}']" in tools


def exists(name):
    """Whether a dotted name can be imported, or is registered."""
    module, _, attribute = name.rpartition('.')
    if module == 'mmxdistill' and attribute[0].isupper():
        return registry.MODELS.get(name) is not None
    try:
        if hasattr(importlib.import_module(module), attribute):
            return True
        return importlib.import_module(name) is not None
    except ModuleNotFoundError:
        return False


def test_moved_names():
    page = (ROOT / 'CHANGELOG.md').read_text()
    rows = re.findall(r'^\| `(mmx.*?)` \| (?:`(.*?)`)?', page, re.M)
    assert len(rows) > 10
    for old, new in rows:
        assert not exists(old), old
        assert not new or exists(new), new


def test_citation():
    content = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert content['version'] == mmxdistill.__version__
    change = re.search(r'^## (\S+)', (ROOT / 'CHANGELOG.md').read_text(), re.M)
    assert change[1] == mmxdistill.__version__
