import errno
import hashlib
import os
import signal
import time

from mmxdistill import shards
from mmxdistill.shards import ShardStore


def key(name):
    return hashlib.blake2b(str(name).encode(), digest_size=16).digest()


def filled(folder, names, size=1000, **kwargs):
    store = ShardStore(folder, **kwargs)
    for name in names:
        store.put(key(name), str(name).encode().ljust(size, b'.'))
    return store


def read(store, name):
    record = store.get(key(name))
    return None if record is None else bytes(record).rstrip(b'.').decode()


def in_child(function):
    """Run in another process; its signal or exit status."""
    child = os.fork()
    if child == 0:
        function()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_records_come_back(tmp_path):
    store = filled(tmp_path, range(100), shard_bytes=9000)
    store.flush()
    for other in (store, ShardStore(tmp_path)):
        assert len(other) == 100
        assert [read(other, n) for n in range(100)] == [*map(str, range(100))]
        assert other.get(key('none')) is None
    assert len(list(tmp_path.iterdir())) == 12
    assert all(p.stat().st_size < 10_500 for p in tmp_path.iterdir())


def test_what_is_in_memory_is_found_and_not_shared(tmp_path):
    store = filled(tmp_path, 'a')
    assert read(store, 'a') == 'a'
    assert read(ShardStore(tmp_path), 'a') is None


def test_last_of_equal_keys(tmp_path):
    store = ShardStore(tmp_path)
    for value in (b'1', b'2'):
        store.put(key('a'), value)
        store.flush()
    assert bytes(store.get(key('a'))) == b'2'


def test_last_of_equal_keys_that_is_still_there(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, '_MAX_RECENT', 0)
    store = ShardStore(tmp_path)
    for value in (b'1', b'2'):
        before = set(tmp_path.iterdir())
        store.put(key('a'), value)
        store.flush()
    (last,) = set(tmp_path.iterdir()) - before
    last.unlink()
    store.get(key('a'))  # learns that it has gone
    assert bytes(store.get(key('a'))) == b'1'


def test_many_keys_are_merged_into_a_table(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, '_MAX_RECENT', 10)
    monkeypatch.setattr(shards, '_MAX_OPEN', 2)
    store = filled(tmp_path, range(50), shard_bytes=2000)
    assert [read(store, n) for n in range(50)] == [*map(str, range(50))]


def test_killed_while_it_writes(tmp_path, monkeypatch):
    filled(tmp_path, 'ab').flush()

    def die(file):
        os.kill(os.getpid(), signal.SIGKILL)

    def work():
        store = filled(tmp_path, 'cd')
        monkeypatch.setattr(os, 'fsync', die)
        store.flush()

    assert in_child(work) == -signal.SIGKILL
    (orphan,) = tmp_path.glob('.*.tmp')
    store = ShardStore(tmp_path)
    assert [read(store, n) for n in 'abcd'] == ['a', 'b', None, None]
    assert orphan.exists()  # it may be of a process that is at work
    os.utime(orphan, (time.time() - 7200,) * 2)
    ShardStore(tmp_path)
    assert not orphan.exists()


def test_processes_add_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, '_LOOK_EVERY', float('inf'))
    store = ShardStore(tmp_path)

    def work():
        filled(tmp_path, range(50), shard_bytes=5000).flush()

    assert in_child(work) == 0
    assert read(store, 7) is None  # it has looked a moment ago
    monkeypatch.setattr(shards, '_LOOK_EVERY', 0)
    assert [read(store, n) for n in range(50)] == [*map(str, range(50))]


def test_damaged_shards_are_left_alone(tmp_path, caplog):
    for name in 'abc':
        filled(tmp_path, name).flush()
    one, two, _ = sorted(
        tmp_path.iterdir(), key=lambda path: path.read_bytes()
    )
    one.write_bytes(one.read_bytes()[:-100])
    content = bytearray(two.read_bytes())
    content[-30] ^= 1
    two.write_bytes(content)
    (tmp_path / '0.shard').write_bytes(b'')
    store = ShardStore(tmp_path)
    assert [read(store, n) for n in 'abc'] == [None, None, 'c']
    assert len(caplog.records) == 3


class TestLimit:
    def test_unused_for_the_longest_time_goes_first(self, tmp_path):
        for age, name in ((300, 'a'), (100, 'b'), (200, 'c')):
            before = {*tmp_path.glob('*.shard')}
            filled(tmp_path, name).flush()
            (path,) = {*tmp_path.glob('*.shard')} - before
            os.utime(path, (time.time() - age,) * 2)
        store = filled(tmp_path, 'de', max_bytes=4000, shard_bytes=1000)
        found = [read(store, n) for n in 'abcde']
        assert found == [None, 'b', None, 'd', 'e']
        assert store.size() <= 4000
        assert store.problem is None

    def test_what_this_run_uses_stays(self, tmp_path, caplog):
        filled(tmp_path, 'a').flush()
        for path in tmp_path.glob('*.shard'):
            os.utime(path, (time.time() - 100,) * 2)
        store = ShardStore(tmp_path, max_bytes=3000)
        assert read(store, 'a') == 'a'
        for name in 'bcd':
            store.put(key(name), name.encode().ljust(1000, b'.'))
            store.flush()
        assert [read(store, n) for n in 'abcd'] == ['a', 'b', None, None]
        assert 'limit of 3e-06 GB' in store.problem
        assert len(caplog.records) == 1

    def test_removed_by_another_process(self, tmp_path):
        filled(tmp_path, 'ab').flush()
        store = ShardStore(tmp_path)
        view = store.get(key('a'))
        other = ShardStore(tmp_path)
        for path in tmp_path.glob('*.shard'):
            path.unlink()
        assert bytes(view)[:1] == b'a'
        assert read(other, 'b') is None
        other.put(key('b'), b'new')
        other.flush()
        assert read(other, 'b') == 'new'


def test_full_disk_ends_nothing(tmp_path, monkeypatch, caplog):
    store = filled(tmp_path, 'a')

    def full(file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, 'fsync', full)
    store.flush()
    store.put(key('b'), b'b')
    assert 'No space left' in store.problem
    assert read(store, 'a') is read(store, 'b') is None
    assert list(tmp_path.iterdir()) == []
    assert len(caplog.records) == 1


def test_folder_without_permission_is_read(tmp_path, monkeypatch):
    filled(tmp_path, 'a').flush()
    store = ShardStore(tmp_path)

    def refuse(*_):  # not asked of the file system: root may write anywhere
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, 'fsync', refuse)
    assert read(store, 'a') == 'a'
    store.put(key('b'), b'b')
    store.flush()
    assert 'Permission denied' in store.problem


def test_cleared(tmp_path):
    store = filled(tmp_path, 'a')
    store.flush()
    store.put(key('b'), b'b')
    store.clear()
    assert store.get(key('a')) is store.get(key('b')) is None
    assert len(store) == len(list(tmp_path.iterdir())) == 0
