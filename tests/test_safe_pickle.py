import os
import pickle
import sys
from collections import OrderedDict

import numpy as np
import pytest
import torch
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.structures import InstanceData

from mmxdistill.safe_pickle import read_pickle


@pytest.fixture
def file(tmp_path):
    return tmp_path / 'a.pkl'


@pytest.mark.parametrize('protocol', range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_containers_and_numbers(file, protocol):
    content = OrderedDict(
        a=[np.arange(6, dtype='>f4').reshape(2, 3).T, np.float64(0.1)],
        b=(1, 2.5, 'text', b'bytes', None, True, {1, 2}, frozenset('x')),
        c=np.zeros((0, 4)),
        d=np.array([np.ones(2), np.ones(3)], object),
    )
    file.write_bytes(pickle.dumps(content, protocol))
    found = read_pickle(file)
    np.testing.assert_array_equal(found['a'][0], content['a'][0])
    assert found['a'][1] == 0.1
    assert found['b'] == content['b']
    assert found['c'].shape == (0, 4)
    assert len(found['d'][1]) == 3


def test_predictions(file):
    boxes = torch.arange(24.0).reshape(6, 4)[::2]
    item = InstanceData(bboxes=boxes, scores=np.ones(3))
    boxed = InstanceData(bboxes=HorizontalBoxes(boxes), scores=torch.ones(3))
    file.write_bytes(pickle.dumps(dict(a=item, b=boxed)))
    found = read_pickle(file)
    np.testing.assert_array_equal(found['a'].bboxes, boxes.numpy())
    np.testing.assert_array_equal(found['b'].bboxes.tensor, boxes.numpy())
    np.testing.assert_array_equal(found['b'].scores, [1, 1, 1])


class OfGPU:
    """Pickles boxes as if their storage was on a GPU."""

    def __init__(self, *boxes):
        self.boxes = boxes

    def __reduce__(self):
        if self.boxes:
            tensor = self.boxes[0]
            args = OfGPU(), 0, tuple(tensor.shape), tensor.stride(), 0, {}
            return torch._utils._rebuild_tensor_v2, args
        content = pickle.dumps(torch.arange(8.0)).split(b'B', 1)[1][4:]
        content = content.replace(b'\3\0\0\0cpu', b'\6\0\0\0cuda:0')
        return torch.storage._load_from_bytes, (content,)


def test_tensors_of_a_gpu_and_of_half_precision(file):
    boxes = torch.arange(8.0).reshape(2, 4)
    for content in (OfGPU(boxes), boxes.bfloat16(), boxes.half()):
        file.write_bytes(pickle.dumps(content))
        assert (b'cuda' in file.read_bytes()) == (type(content) is OfGPU)
        np.testing.assert_array_equal(read_pickle(file), boxes.numpy())


class Evil:
    def __reduce__(self):
        return os.mkdir, (f'{os.environ["EVIL"]}/it_ran',)


@pytest.mark.parametrize('protocol', [0, 2, 4])
def test_code_of_a_proposal_file_does_not_run(
    file, tmp_path, monkeypatch, protocol
):
    monkeypatch.setenv('EVIL', str(tmp_path))
    file.write_bytes(pickle.dumps(dict(a=Evil()), protocol))
    with pytest.raises(ValueError, match=r'a\.pkl.* mkdir|posix\.mkdir'):
        read_pickle(file, way_out='set trust_pickle=True')
    assert not (tmp_path / 'it_ran').exists()
    read_pickle(file, trust=True)
    assert (tmp_path / 'it_ran').exists()


# What a damaged file may ask for, in the opcodes of the format.
BOMBS = {
    # An index of the memo: the unpickler in C makes a table of that length.
    'memo': b'\x80\x02]r\xff\xff\xff\x7f.',
    'bytes': b'\x80\x04\x8e' + (2**40).to_bytes(8, 'little') + b'x.',
    'bytearray': b'\x80\x05\x96' + (2**36).to_bytes(8, 'little') + b'x.',
    'array': b'\x80\x02cnumpy\nndarray\n(J\xff\xff\xff\x7ftR.',
    'shape': (
        b'\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n'
        b'J\xff\xff\xff\x7f\x85U\x01b\x87R.'
    ),
}


@pytest.mark.parametrize('name', BOMBS)
def test_size_of_a_pickle_bounds_its_memory(file, name):
    resource = pytest.importorskip('resource')
    file.write_bytes(BOMBS[name])
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        found = read_pickle(file)
    except ValueError as error:
        assert str(file) in str(error)
    else:
        assert sys.getsizeof(found) < 1000
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used
    assert growth < 100_000  # kB


@pytest.mark.parametrize('content', [b'', b'abc', pickle.dumps([1])[:-3]])
def test_damaged(file, content):
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r'a\.pkl'):
        read_pickle(file)
    with pytest.raises(FileNotFoundError, match='none'):
        read_pickle(file.with_name('none'))


@pytest.mark.parametrize(
    'change',
    [
        # The state of a dtype with two items less: NumPy would crash.
        (b'NNNJ\xff\xff\xff\xff', b'NJ\xff\xff\xff\xff'),
        # More elements than there are bytes.
        (b'K\x02\x85', b'K\x7f\x85'),
    ],
)
def test_states_that_numpy_trusts_are_checked(tmp_path, change):
    content = pickle.dumps(np.zeros(2), 2)
    assert change[0] in content
    path = tmp_path / 'a.pkl'
    path.write_bytes(content.replace(*change))
    with pytest.raises(ValueError, match=r'a\.pkl.* of state'):
        read_pickle(path)
