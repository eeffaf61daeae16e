"""A small part of the scan of ``tools/dev/fuzz_readers.py``."""

import importlib.util
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / 'tools/dev'
READERS = (
    'coco',
    'list',
    'proposals_2',
    'proposals_4',
    'proposals_instances',
    'proposals_list',
    'proposals_json',
    'color_jpg',
    'color_png',
    'size_png',
    'size_tif',
    'depth_png',
    'depth_npy',
    'gray_pgm',
    'flow_flo',
    'caffemodel',
    'maps',
    'settings',
    'sunrgbd_splits',
    'shards_index.npy',
)


@pytest.fixture(scope='module')
def fuzz():
    if not Path('/proc/self/clear_refs').exists():
        pytest.skip('the peak of the memory is told by Linux only')
    path = list(sys.path)
    spec = importlib.util.spec_from_file_location(
        'fuzz_readers', FOLDER / 'fuzz_readers.py'
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules['fuzz_readers'] = module
    spec.loader.exec_module(module)
    yield module
    for name in ('fuzz_readers', 'readers', 'converter_readers'):
        del sys.modules[name]
    sys.path[:] = path


@pytest.mark.parametrize('name', READERS)
def test_damaged_files_are_named(fuzz, name):
    found = fuzz.scan(fuzz.READERS[name], range(30), None)
    assert not [finding.text for finding in found.values()]


def test_the_scan_finds_what_is_wrong(fuzz, tmp_path):
    def read(path):
        size = len(path.read_bytes())
        if size > 10:
            raise IndexError('no file')
        if size < 10:
            raise ValueError('no file either')
        if path.read_bytes() != b'0123456789':
            bytearray(600 << 20)[::4096] = b'x' * (600 << 8)

    def make(folder):
        (folder / 'a.txt').write_bytes(b'0123456789')
        return folder / 'a.txt'

    found = fuzz.scan(fuzz.Reader('bad', make, read), range(30), tmp_path)
    kinds = ' '.join(finding.text for finding in found.values())
    assert 'error of another kind: IndexError' in kinds
    assert 'message without the file: ValueError' in kinds
    assert 'MB taken' in kinds
    assert len(list(tmp_path.iterdir())) == len(found)


def test_the_same_number_is_the_same_mutation(fuzz):
    content = bytes(range(200))
    assert fuzz.mutate(content, 'a:1') == fuzz.mutate(content, 'a:1')
    assert len({fuzz.mutate(content, f'a:{i}') for i in range(50)}) > 40
