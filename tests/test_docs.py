"""What the documentation says must be there and be true."""

import importlib
import inspect
import re
import shutil
from pathlib import Path

import docs_data
import numpy as np
import pytest
import yaml
from docs_blocks import PAGE_TESTS, PAGES, ROOT, blocks
from docs_commands import PARSED, RUN, Shell, why_not_run
from mmengine.config import Config
from mmengine.registry import VISBACKENDS, VISUALIZERS

import mmxdistill
import mmxdistill.caffe
import mmxdistill.encodings
from mmxdistill import options, registry
from mmxdistill.converters import ucf101
from mmxdistill.converters.terms import TERMS

BLOCK = re.compile(r'^```(\w*)\n(.*?)^```', re.M | re.S)
BLOCKS = [block for page in PAGES for block in blocks(page)]


def python_of(page):
    return [b.text for b in blocks(ROOT / page) if b.language == 'python']


@pytest.fixture(scope='module')
def small_files(tmp_path_factory):
    path = tmp_path_factory.mktemp('reader')
    docs_data.write(path)
    return path


@pytest.mark.parametrize(
    'page',
    sorted({b.page for b in BLOCKS if b.language == 'bash' and not b.reason}),
)
def test_commands(page, small_files, registries, tmp_path, monkeypatch):
    """Run where that is cheap; else parsed, with the configs they name."""
    folder = tmp_path / 'reader'
    shutil.copytree(small_files, folder, symlinks=True)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(options, 'available_cpus', lambda: 1)
    monkeypatch.setattr(ucf101, 'SPLIT_SIZES', {})
    monkeypatch.delenv('MMXDISTILL_DATA', raising=False)
    shell = Shell(folder, monkeypatch)
    for block in blocks(ROOT / page):
        if block.language != 'bash' or block.reason or block.is_tutorial:
            continue
        for words in block.commands:
            command = [
                word.replace('$MMXDISTILL_DATA', docs_data.SHARED)
                for word in words
            ]
            if why_not_run(command) is None:
                shell.run(command)
            else:
                shell.parse(command)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links(page):
    text = BLOCK.sub('', page.read_text())
    for target in re.findall(r'\]\(([^)#]+)[^)]*\)', text):
        if '://' not in target:
            assert (page.parent / target).exists(), target


def test_what_becomes_of_commands():
    """Each has a test; none hides where no block is found."""
    for tool in RUN:
        assert (ROOT / tool).is_file()
    for key, (_, test) in PARSED.items():
        text = (ROOT / test).read_text()
        # Some tests call what the command line calls.
        name = Path(key.split()[-1]).stem if key.endswith('.py') else ''
        name = {
            'paper_tables': 'paper_run',
            'model_index': 'index_files',
            'cache_teacher': 'fill_cache',
            'test': '',
            'train': '',
            'make_synthetic_rgbd': 'quickstart',
            'export_fiftyone': 'export_groups',
        }.get(name, name)
        assert name in text, (key, test)
    with pytest.raises(KeyError, match='no test runs'):
        why_not_run(['python', 'tools/unknown.py'])
    for page in PAGES:
        hidden = re.findall(
            r'^(?:    |\t)(?:python|bash|pip) .*',
            BLOCK.sub('', page.read_text()),
            re.M,
        )
        assert not hidden, (page, hidden)


@pytest.fixture
def registries():
    """Forget what a page registers."""
    from mmdet.registry import TRANSFORMS

    for name in registry.__all__:
        getattr(registry, name).import_from_location()
    nodes = [TRANSFORMS, registry.TRANSFORMS, registry.MODELS]
    before = [dict(node.module_dict) for node in nodes]
    yield
    for node, modules in zip(nodes, before, strict=True):
        node._module_dict.clear()
        node._module_dict.update(modules)


def configured(node):
    """All dicts with a type in a value."""
    if isinstance(node, dict):
        if isinstance(node.get('type'), str):
            yield node
        for child in node.values():
            yield from configured(child)
    elif isinstance(node, (list, tuple)):
        for child in node:
            yield from configured(child)


def check_arguments(cfg):
    """A component of that name exists, and takes these arguments."""
    nodes = [getattr(registry, name) for name in registry.__all__]
    nodes += [VISBACKENDS, VISUALIZERS]
    found = [kind for node in nodes if (kind := node.get(cfg['type']))]
    assert found, cfg['type']
    known = inspect.signature(found[0]).parameters
    if any(p.kind is p.VAR_KEYWORD for p in known.values()):
        return
    assert cfg.keys() - {'type', '_delete_', '_scope_'} <= known.keys(), cfg


def given():
    """What the text around a page's Python takes for granted."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (2, 48, 64, 3), np.uint8)
    depth = np.full((425, 560), 2000.0)
    load = dict(type='LoadImageFromFile')
    return dict(
        load_rgb=[load],
        load_thermal=[load],
        first=frames[0],
        second=frames[1],
        depth_mm=depth,
        raw_depth_mm=depth,
        kitchen_depth_mm=np.full((480, 640), 2000.0),
    )


@pytest.mark.parametrize(
    'page',
    sorted(
        {
            block.page
            for block in BLOCKS
            if block.language == 'python' and block.page not in PAGE_TESTS
        }
    ),
)
def test_python(page, registries, tmp_path):
    """Runs; and components take what they are given."""
    names = given()
    for number, text in enumerate(python_of(page)):
        for part, meaning in (
            ('{{$MMXDISTILL_DATA:data}}', 'data'),
            ("'./fast_rcnn", f"'{ROOT}/configs/fast_rcnn/fast_rcnn"),
            ("'./roadscene", f"'{ROOT}/configs/_base_/datasets/roadscene"),
            ("'./pairs", f"'{ROOT}/configs/_base_/datasets/pairs"),
            ('_base_.pack.meta_keys', "'img_id'"),  # a part of a config
        ):
            text = text.replace(part, meaning)  # noqa: PLW2901
        if '_base_' in text:
            path = tmp_path / f'block_{number}.py'
            path.write_text(text)
            assert Config.fromfile(path)
        else:
            exec(compile(text, page, 'exec'), names)
    for name, value in names.items():
        if not name.startswith('_'):
            for cfg in configured(value):
                check_arguments(cfg)


@pytest.mark.parametrize(
    ('page', 'name'),
    [
        ('docs/data.md', 'roadscene_rgbt.py'),
        ('docs/data.md', 'roadscene_rgbt_pairs.py'),
    ],
)
def test_shown_data_set_is_the_real_one(page, name):
    real = (ROOT / 'configs/_base_/datasets' / name).read_text().strip()
    shown = [text.strip() for text in python_of(page)]
    assert any(len(text) > 200 and real.endswith(text) for text in shown)


def test_way_back_to_mmdet(tmp_path):
    """The config in docs/fast_rcnn.md builds, with nothing of Caffe left."""
    (text,) = python_of('docs/fast_rcnn.md')
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
    page = (ROOT / 'docs/components.md').read_text()
    table = page.split('| component |')[1]
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
