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
