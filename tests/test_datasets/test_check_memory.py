import os

import pytest

from mmxdistill.datasets import check_memory, checks
from mmxdistill.datasets.check_memory import CheckMemory, cache_folder

CHECKED = []


class Loader:
    """Reads a file, notes that, and refuses those that hold 'bad'."""

    def __init__(self, setting=0):
        self.setting = setting

    def paths(self, info):
        return dict(rgb=info['img_path'], x=info['img_path'] + '.x')

    def check(self, info):
        CHECKED.append(os.path.basename(info['img_path']))
        for path in self.paths(info).values():
            with open(path) as file:
                if 'bad' in file.read():
                    raise ValueError(f"'{path}' is bad")


class DataSet:
    def __init__(self, folder, numbers=range(5), setting=0):
        self.paths = [str(folder / f'{n}.png') for n in numbers]
        self.pipeline = type('Pipeline', (), {})()
        self.pipeline.transforms = [Loader(setting)]

    def __len__(self):
        return len(self.paths)

    def get_data_info(self, index):
        return dict(img_path=self.paths[index], width=9, height=9)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv('MMXDISTILL_CACHE', str(tmp_path / 'cache'))
    for number in range(5):
        (tmp_path / f'{number}.png').write_text('good')
        (tmp_path / f'{number}.png.x').write_text('good')
    return tmp_path


def checked(*args, **kwargs):
    """Files that a check opens."""
    CHECKED.clear()
    checks.check_samples(DataSet(*args, **kwargs))
    return [int(name.split('.')[0]) for name in CHECKED]


def memory(folder):
    (path,) = (folder / 'cache/checked_samples').iterdir()
    return path


def test_what_has_passed_is_not_opened_again(folder, monkeypatch):
    assert checked(folder, range(3)) == [0, 1, 2]
    assert checked(folder) == [3, 4]
    assert checked(folder) == []
    assert memory(folder).stat().st_size < 100
    assert checked(folder, setting=1) == [0, 1, 2, 3, 4]
    monkeypatch.setattr(check_memory.cv2, '__version__', 'another')
    assert checked(folder) == [0, 1, 2, 3, 4]


def test_changed_files_are_checked_again(folder):
    checked(folder)
    (folder / '1.png.x').write_text('better')
    stat = (folder / '3.png').stat()
    times = stat.st_atime_ns, stat.st_mtime_ns + 1
    os.utime(folder / '3.png', ns=times)
    assert checked(folder) == [1, 3]


def test_bad_and_missing_files_are_never_remembered(folder):
    (folder / '1.png').write_text('bad')
    (folder / '2.png.x').unlink()
    for expected in ([0, 1, 2, 3, 4], [1, 2]):
        with pytest.raises(ValueError, match='2 of 5 samples') as error:
            checked(folder)
        assert [int(n.split('.')[0]) for n in CHECKED] == expected
        assert '2.png.x' in str(error.value)


def test_a_record_of_another_size_is_another_sample(folder, monkeypatch):
    checked(folder)
    get = DataSet.get_data_info
    monkeypatch.setattr(
        DataSet, 'get_data_info', lambda s, i: {**get(s, i), 'width': i}
    )
    assert checked(folder) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize('damage', ['cut', 'turned', 'other', 'empty'])
def test_a_damaged_memory_is_left_out_by_name(folder, damage, monkeypatch):
    said = []
    monkeypatch.setattr(
        check_memory, 'print_log', lambda text, logger: said.append(text)
    )
    checked(folder)
    path = memory(folder)
    content = path.read_bytes()
    broken = {
        'cut': content[:-9],
        'turned': content[:30] + bytes([content[30] ^ 1]) + content[31:],
        'other': b'something else',
        'empty': b'',
    }
    path.write_bytes(broken[damage])
    assert checked(folder) == [0, 1, 2, 3, 4]
    assert f"'{path}' is damaged" in said[0]
    assert checked(folder) == []


def test_two_processes_add_to_each_other(folder):
    loader = Loader()
    first, second = (CheckMemory.of_loader(loader) for _ in range(2))
    first.add([1, 2])
    second.add([2, 2**64 - 1])
    found = CheckMemory.of_loader(loader).known.tolist()
    assert found == [1, 2, 2**64 - 1]


def test_old_states_do_not_fill_it(folder, monkeypatch):
    monkeypatch.setattr(check_memory, '_ROOM', 2)
    memory = CheckMemory.of_loader(Loader())
    memory.add(range(4))
    memory.add([4, 5])
    assert memory.known.tolist() == [*range(6)]
    memory.add([9])
    assert memory.known.tolist() == [9]


def test_a_folder_that_cannot_be_written_is_no_error(folder, monkeypatch):
    (folder / 'file').write_text('')
    monkeypatch.setenv('MMXDISTILL_CACHE', str(folder / 'file'))
    assert checked(folder) == checked(folder) == [0, 1, 2, 3, 4]


def test_where_it_is_kept(monkeypatch):
    monkeypatch.setenv('MMXDISTILL_CACHE', '')
    assert cache_folder() is None
    monkeypatch.delenv('MMXDISTILL_CACHE')
    monkeypatch.setenv('XDG_CACHE_HOME', '/caches')
    assert str(cache_folder()) == '/caches/mmxdistill'
