"""The few protobuf fields of ``NetParameter`` that hold names and weights.

Built at run time with the protobuf runtime; fields that are not listed here
(hyper-parameters of the layers) are skipped by the parser. Float arrays are
declared as ``bytes``: a packed array and a byte string look the same in the
file, and bytes go to NumPy without a Python object per number. Strings are
``bytes`` too, so that a foreign file fails in one place, where it is decoded.
"""

from functools import cache
from types import SimpleNamespace

__all__ = ['V1_LAYER_TYPES', 'messages']

# message: {field: (number, type, repeated)}; a type that is the name of a
# message refers to it.
_MESSAGES = {
    'BlobShape': {'dim': (1, 'int64', True)},
    'BlobProto': {
        'num': (1, 'int32', False),
        'channels': (2, 'int32', False),
        'height': (3, 'int32', False),
        'width': (4, 'int32', False),
        'data': (5, 'bytes', True),
        'shape': (7, 'BlobShape', False),
        'double_data': (8, 'bytes', True),
    },
    'LayerParameter': {
        'name': (1, 'bytes', False),
        'type': (2, 'bytes', False),
        'bottom': (3, 'bytes', True),
        'top': (4, 'bytes', True),
        'blobs': (7, 'BlobProto', True),
    },
    'V1LayerParameter': {
        'layer': (1, 'bytes', False),  # only in the older V0 format
        'bottom': (2, 'bytes', True),
        'top': (3, 'bytes', True),
        'name': (4, 'bytes', False),
        'type': (5, 'int32', False),
        'blobs': (6, 'BlobProto', True),
    },
    'NetParameter': {
        'name': (1, 'bytes', False),
        'layer': (100, 'LayerParameter', True),
    },
}

# V1LayerParameter.LayerType, by number, under the names of the new format.
V1_LAYER_TYPES = (
    'None',
    'Accuracy',
    'BNLL',
    'Concat',
    'Convolution',
    'Data',
    'Dropout',
    'EuclideanLoss',
    'Flatten',
    'HDF5Data',
    'HDF5Output',
    'Im2col',
    'ImageData',
    'InfogainLoss',
    'InnerProduct',
    'LRN',
    'MultinomialLogisticLoss',
    'Pooling',
    'ReLU',
    'Sigmoid',
    'Softmax',
    'SoftmaxWithLoss',
    'Split',
    'TanH',
    'WindowData',
    'Eltwise',
    'Power',
    'SigmoidCrossEntropyLoss',
    'HingeLoss',
    'MemoryData',
    'ArgMax',
    'Threshold',
    'DummyData',
    'Slice',
    'MVN',
    'AbsVal',
    'Silence',
    'ContrastiveLoss',
    'Exp',
    'Deconvolution',
)


@cache
def messages() -> SimpleNamespace:
    """Return the message classes, as attributes, plus ``DecodeError``.

    Raises:
        ImportError: If the protobuf runtime is not installed.
    """
    try:
        from google.protobuf import (
            descriptor_pb2,
            descriptor_pool,
            message,
            message_factory,
        )
    except ImportError as error:
        raise ImportError(
            'Reading and writing .caffemodel files needs the protobuf '
            "runtime: pip install 'mmxdistill[caffe]' (or: pip install "
            'protobuf)'
        ) from error

    field_proto = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name='mmxdistill/caffe.proto', package='caffe', syntax='proto2'
    )
    for message_name, fields in _MESSAGES.items():
        descriptor = file.message_type.add(name=message_name)
        for name, (number, kind, repeated) in fields.items():
            label = 'LABEL_REPEATED' if repeated else 'LABEL_OPTIONAL'
            field = descriptor.field.add(
                name=name, number=number, label=getattr(field_proto, label)
            )
            if kind in _MESSAGES:
                field.type = field_proto.TYPE_MESSAGE
                field.type_name = f'.caffe.{kind}'
            else:
                field.type = getattr(field_proto, f'TYPE_{kind.upper()}')
    file.message_type[0].field[0].options.packed = True

    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    classes = {
        name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f'caffe.{name}')
        )
        for name in _MESSAGES
    }
    return SimpleNamespace(**classes, DecodeError=message.DecodeError)
