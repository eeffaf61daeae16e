import sys

import pytest

from mmxdistill.caffe import read_caffemodel
from mmxdistill.caffe.schema import V1_LAYER_TYPES, messages


def test_v1_layer_types() -> None:
    numbers = {
        'Convolution': 4,
        'Data': 5,
        'Dropout': 6,
        'InnerProduct': 14,
        'LRN': 15,
        'Pooling': 17,
        'ReLU': 18,
        'Softmax': 20,
        'Split': 22,
        'Eltwise': 25,
        'Power': 26,
        'Deconvolution': 39,
    }
    for name, number in numbers.items():
        assert V1_LAYER_TYPES[number] == name


def test_missing_protobuf(monkeypatch: pytest.MonkeyPatch) -> None:
    messages.cache_clear()
    monkeypatch.setitem(sys.modules, 'google.protobuf', None)
    with pytest.raises(ImportError, match=r"pip install 'mmxdistill\[caffe\]"):
        read_caffemodel('any.caffemodel')
