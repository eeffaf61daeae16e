import faulthandler
import os
import signal
import threading

import pytest

from mmxdistill.datasets import checks


class FakeTransform:
    def check(self, info):
        if info['n'] % 100 == 7:
            raise ValueError(f'bad file {info["n"]}')


class FakeDataset:
    def __init__(self, size):
        self.size = size
        self.pipeline = type('Pipeline', (), {})()
        self.pipeline.transforms = [object(), FakeTransform()]

    def __len__(self):
        return self.size

    def get_data_info(self, index):
        return dict(n=index)


@pytest.mark.parametrize('size', [150, 1400])
def test_serial_and_parallel_check_find_the_same(size):
    with pytest.raises(ValueError, match='bad file 7') as error:
        checks.check_samples(FakeDataset(size))
    found = (size + 92) // 100
    assert f'{found} of {size} samples' in str(error.value)
    if found > checks._SHOWN:
        assert f'and {found - checks._SHOWN} more' in str(error.value)


def test_good_samples_pass():
    checks.check_samples(FakeDataset(5))


class KilledBy(FakeTransform):
    """A check that ends its process, as the kernel short of memory does."""

    def check(self, info):
        if info['n'] == 150:
            faulthandler.disable()  # pytest's would print where
            os.kill(os.getpid(), signal.SIGKILL)


def test_sample_that_kills_its_process_is_named(monkeypatch):
    monkeypatch.setattr(checks, 'available_cpus', lambda: 2)
    dataset = FakeDataset(220)
    dataset.pipeline.transforms = [KilledBy()]
    dataset.get_data_info = lambda n: dict(n=n, img_path=f'color/{n}.png')
    found = []

    def run():
        try:
            checks.check_samples(dataset)
        except ValueError as error:
            found.append(str(error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(600)
    assert not thread.is_alive(), 'it waits for a process that is gone'
    (message,) = found
    assert '1 of 220 samples cannot be loaded' in message
    assert "'color/150.png': " in message
    assert 'SIGKILL' in message
