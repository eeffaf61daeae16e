"""Imports of the package point downwards, also those inside functions."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import mmxdistill

PACKAGE = Path(mmxdistill.__file__).parent
ROOT = PACKAGE.parent

# Modules beside the rooms: every room may use them, and they use no room.
COMMON = {path.stem for path in PACKAGE.glob('*.py')} - {'registry', 'infer'}
COMMON = COMMON - {'__init__'} | {''}
# Room -> the rooms that it may use.
ROOMS = {
    **{module: set() for module in COMMON},
    'registry': set(),
    'encodings': set(),
    'caffe': set(),
    'synthetic': {'encodings'},
    'datasets': {'encodings', 'caffe', 'registry'},
    'converters': {'encodings', 'datasets', 'synthetic'},
    'models': {'encodings', 'caffe', 'datasets', 'registry'},
    'evaluation': {'encodings', 'caffe', 'datasets', 'models', 'registry'},
    'engine': {'datasets', 'models', 'evaluation', 'registry'},
    'visualization': {'encodings', 'datasets', 'evaluation', 'registry'},
}
# At the top: uses all rooms, and no other room uses it.
ROOMS['studies'] = set(ROOMS) - COMMON
# For new images; its command line is a module of the package.
ROOMS['apis'] = {'datasets', 'models', 'visualization', 'registry'}
ROOMS['infer'] = {'apis'}
PURE = ('encodings', 'caffe')  # usable without any mm* package
STACK = ('mmengine', 'mmcv', 'mmdet')
# Rooms that draw; others import matplotlib where they need it, or not at all.
DRAWING = ('visualization',)
# Folders of tools that answer --help at once.
QUICK_TOOLS = (
    'tools',
    'tools/analysis_tools',
    'tools/dataset_converters',
    'tools/model_converters',
)
MODULES = [path.relative_to(ROOT) for path in PACKAGE.rglob('*.py')]


def room_of(module: str) -> str:
    """``mmxdistill.models.layers`` -> ``models``."""
    name = ([*module.split('.'), ''])[1]
    return name if name in ROOMS or not name else f'unknown room {name}'


def runs_later(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == 'TYPE_CHECKING'
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))


def imports(source: str, path: Path) -> Iterator[tuple[str, bool]]:
    """Absolute names of what a module imports, and whether it runs at once.

    Whole names of ``from a import b`` are a.b, as b may be a module.
    """
    package = path.with_suffix('').parts[:-1]
    tree = ast.parse(source)
    inner = {
        child
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        or (
            isinstance(node, ast.If) and 'TYPE_CHECKING' in ast.dump(node.test)
        )
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1]
            parts = [*(above if node.level else ()), node.module or '']
            base = '.'.join(part for part in parts if part)
            names = [f'{base}.{alias.name}' for alias in node.names]
        else:
            continue
        yield from ((name, node not in inner) for name in names)


def violations(source: str, path: Path) -> list[str]:
    """What is wrong with the imports of a module of the package."""
    here = room_of('.'.join(path.with_suffix('').parts[:2]))
    if path.name == '__init__.py' and len(path.parts) == 2:
        here = ''
    found = []
    for name, at_top in imports(source, path):
        top = name.partition('.')[0]
        if top == PACKAGE.name:
            there = room_of(name)
            if there.startswith('unknown') and name.count('.') == 1:
                there = ''  # a name of mmxdistill/__init__.py
            if there != here and there not in ROOMS.get(here, ()) | COMMON:
                found.append(f'{path}: {here} must not import {name}')
        elif top in ('tools', 'tests', 'configs'):
            found.append(f'{path}: the package must not import {name}')
        elif top in STACK and here in PURE:
            found.append(f'{path}: {here} must not need {top}')
        elif top == 'matplotlib' and at_top and here not in DRAWING:
            found.append(f'{path}: imports {top} when it is imported')
    return found


def test_every_room_has_its_place():
    rooms = {path.parent.name for path in PACKAGE.glob('*/__init__.py')}
    assert rooms == set(ROOMS) - COMMON - {'registry', 'infer'}
    # Each room uses earlier ones only, so there is no circle.
    seen: set[str] = set()
    for room, used in ROOMS.items():
        assert used <= seen, room
        seen.add(room)


def test_imports_point_downwards():
    assert len(MODULES) > 100
    found = [
        line
        for path in MODULES
        for line in violations((ROOT / path).read_text(), path)
    ]
    assert found == []


def modules_at_start(path: Path) -> set[str]:
    """Names of all modules that are imported when a file is."""
    found: set[str] = set()
    todo, seen = [path], set()
    while todo:
        file = todo.pop()
        if file in seen:
            continue
        seen.add(file)
        for name, at_top in imports(file.read_text(), file.relative_to(ROOT)):
            if not at_top:
                continue
            parts = name.split('.')
            found.add(parts[0])
            base = ROOT if parts[0] == PACKAGE.name else file.parent
            for end in range(1, len(parts) + 1):
                module = base.joinpath(*parts[:end])
                for one in (module / '__init__.py', module.with_suffix('.py')):
                    if one.is_file():
                        todo.append(one)
    return found


@pytest.mark.parametrize(
    'tool',
    [
        path.relative_to(ROOT).as_posix()
        for folder in QUICK_TOOLS
        for path in sorted((ROOT / folder).glob('*.py'))
        # Its help shows the data set that is generated by default.
        if path.stem != 'make_synthetic_rgbd'
    ]
    + ['mmxdistill/infer.py'],
)
def test_tools_help_before_they_import_the_stack(tool):
    """It takes ten seconds and more."""
    slow = {*STACK, 'torch', 'matplotlib', 'scipy', 'numba'}
    assert modules_at_start(ROOT / tool).isdisjoint(slow)


@pytest.mark.parametrize(
    ('path', 'source', 'wrong'),
    [
        ('engine/hooks/a.py', 'import mmxdistill.apis', True),
        ('engine/hooks/a.py', 'from mmxdistill import visualization', True),
        ('evaluation/a.py', 'import mmxdistill.engine.hooks', True),
        ('engine/hooks/a.py', 'from ..optimizers import x', False),
        ('engine/hooks/a.py', 'from ...models import x', False),
        ('models/a.py', 'def f():\n from ..engine.hooks import x', True),
        ('datasets/a.py', 'from mmxdistill.models import VGG16', True),
        ('datasets/a.py', 'from mmxdistill import config_path', False),
        ('datasets/a.py', 'from mmxdistill.nowhere import x', True),
        ('datasets/a.py', 'import matplotlib.pyplot', True),
        ('datasets/a.py', 'def f():\n import matplotlib', False),
        ('visualization/a.py', 'from matplotlib.axes import Axes', False),
        ('encodings/a.py', 'def f():\n  import mmcv', True),
        ('caffe/a.py', 'from mmengine.config import Config', True),
        ('caffe/a.py', 'import torch', False),
        ('converters/nyud2/a.py', 'from mmxdistill.models import x', True),
        ('synthetic/a.py', 'from .frame import x', False),
        ('tables.py', 'from mmxdistill.encodings import x', True),
        ('studies/a.py', 'from tools.train import main', True),
        ('evaluation/a.py', 'import mmxdistill.studies', True),
    ],
)
def test_finds_what_points_upwards(path, source, wrong):
    assert bool(violations(source, Path('mmxdistill', path))) == wrong
