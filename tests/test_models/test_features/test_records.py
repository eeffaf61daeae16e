import pytest
import torch

from mmxdistill.models.features.records import decode, encode, pack, unpack


def restored(x, dtype):
    return decode(unpack(pack(encode(x, dtype, 'pool5'))))


@pytest.mark.parametrize(
    ('dtype', 'size', 'tolerance'),
    [('float16', 2, 3e-4), ('bfloat16', 2, 2e-3), ('int8', 1, 1e-2)],
)
def test_features_come_back(dtype, size, tolerance):
    x = torch.randn(64, 12, 16, generator=torch.manual_seed(0)).relu()
    x[3] = 0.0
    x[4] = 7.5
    record = pack(encode(x, dtype, 'pool5'))
    assert len(record) < size * x.numel() + 1000
    found = decode(unpack(memoryview(bytearray(record))))
    assert found.dtype == torch.float32
    assert (found - x).norm() <= tolerance * x.norm()
    assert torch.equal(found[3:5], x[3:5])
    # Rounded once, it stays.
    assert torch.allclose(restored(found, dtype), found, atol=1e-6)


@pytest.mark.parametrize('shape', [(5,), (5, 3), (1, 1, 1), (5, 7, 1)])
@pytest.mark.parametrize('dtype', ['float16', 'int8'])
def test_all_shapes(shape, dtype):
    x = torch.rand(shape, generator=torch.manual_seed(0))
    assert restored(x, dtype).shape == x.shape


@pytest.mark.parametrize(
    ('x', 'dtype', 'message'),
    [
        ([1.0, 7e4], 'float16', r"'pool5'.*7e\+04.*'bfloat16'"),
        # As silent as an overflow: all of it becomes zero.
        ([1e-9, 2e-9], 'float16', r"does not fit float16.*'bfloat16'"),
        ([1.0, float('inf')], 'bfloat16', 'not finite'),
        ([1.0, float('nan')], 'int8', 'not finite'),
    ],
)
def test_values_that_do_not_fit(x, dtype, message):
    with pytest.raises(ValueError, match=message):
        encode(torch.tensor(x), dtype, 'pool5')


def test_zero_is_a_feature():
    for dtype in ('float16', 'int8'):
        assert torch.equal(
            restored(torch.zeros(2, 3), dtype), torch.zeros(2, 3)
        )


def test_records_hold_any_tensors():
    tensors = dict(
        a=torch.arange(5),
        b=torch.tensor(1.5),
        c=torch.ones(3, dtype=torch.bfloat16),
    )
    found = unpack(pack(tensors))
    assert list(found) == list(tensors)
    for name, tensor in tensors.items():
        assert torch.equal(found[name], tensor)
        assert found[name].dtype == tensor.dtype
