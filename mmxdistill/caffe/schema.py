"""The protobuf fields of ``NetParameter`` that tell names, weights and layers.

Built at run time with the protobuf runtime; fields that are not listed here
are skipped by the parser. Float arrays of weights are declared as ``bytes``: a
packed array and a byte string look the same in the file, and bytes go to NumPy
without a Python object per number. Strings are ``bytes`` too, so that a
foreign file fails in one place, where it is decoded. Enumerations are numbers
(``ENUM_VALUES`` has their names in text files).
"""

from functools import cache
from types import SimpleNamespace

__all__ = ['ENUM_VALUES', 'SETTINGS', 'V1_LAYER_TYPES', 'messages']

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
        # Of NVIDIA's Caffe, and of OpenCV's shrinkCaffeModel.
        'raw_data_type': (10, 'int32', False),
        'raw_data': (12, 'bytes', False),
    },
    'ConvolutionParameter': {
        'num_output': (1, 'int64', False),
        'bias_term': (2, 'bool', False),
        'pad': (3, 'int64', True),
        'kernel_size': (4, 'int64', True),
        'group': (5, 'int64', False),
        'stride': (6, 'int64', True),
        'pad_h': (9, 'int64', False),
        'pad_w': (10, 'int64', False),
        'kernel_h': (11, 'int64', False),
        'kernel_w': (12, 'int64', False),
        'stride_h': (13, 'int64', False),
        'stride_w': (14, 'int64', False),
        'dilation': (18, 'int64', True),
    },
    'LRNParameter': {
        'local_size': (1, 'int64', False),
        'alpha': (2, 'float', False),
        'beta': (3, 'float', False),
        'norm_region': (4, 'int32', False),
        'k': (5, 'float', False),
    },
    'PoolingParameter': {
        'pool': (1, 'int32', False),
        'kernel_size': (2, 'int64', False),
        'stride': (3, 'int64', False),
        'pad': (4, 'int64', False),
        'kernel_h': (5, 'int64', False),
        'kernel_w': (6, 'int64', False),
        'stride_h': (7, 'int64', False),
        'stride_w': (8, 'int64', False),
        'pad_h': (9, 'int64', False),
        'pad_w': (10, 'int64', False),
        'global_pooling': (12, 'bool', False),
        'round_mode': (13, 'int32', False),
    },
    'ReLUParameter': {'negative_slope': (1, 'float', False)},
    'TransformationParameter': {
        'scale': (1, 'float', False),
        'mean_file': (4, 'bytes', False),
        'mean_value': (5, 'float', True),
    },
    'LayerParameter': {
        'name': (1, 'bytes', False),
        'type': (2, 'bytes', False),
        'bottom': (3, 'bytes', True),
        'top': (4, 'bytes', True),
        'blobs': (7, 'BlobProto', True),
        'transform_param': (100, 'TransformationParameter', False),
        'convolution_param': (106, 'ConvolutionParameter', False),
        'lrn_param': (118, 'LRNParameter', False),
        'pooling_param': (121, 'PoolingParameter', False),
        'relu_param': (123, 'ReLUParameter', False),
    },
    'V1LayerParameter': {
        'layer': (1, 'bytes', False),  # only in the older V0 format
        'bottom': (2, 'bytes', True),
        'top': (3, 'bytes', True),
        'name': (4, 'bytes', False),
        'type': (5, 'int32', False),
        'blobs': (6, 'BlobProto', True),
        'convolution_param': (10, 'ConvolutionParameter', False),
        'lrn_param': (18, 'LRNParameter', False),
        'pooling_param': (19, 'PoolingParameter', False),
        'relu_param': (30, 'ReLUParameter', False),
        'transform_param': (36, 'TransformationParameter', False),
    },
    'NetParameter': {
        'name': (1, 'bytes', False),
        'layers': (2, 'V1LayerParameter', True),
        'layer': (100, 'LayerParameter', True),
    },
}

# Messages of a layer that hold its hyper-parameters.
SETTINGS = (
    'convolution_param',
    'lrn_param',
    'pooling_param',
    'relu_param',
    'transform_param',
)

# V1LayerParameter.LayerType in the order of its numbers: its names in text
# files, and what the current format calls them.
_V1_TYPES = {
    'NONE': 'None',
    'ACCURACY': 'Accuracy',
    'BNLL': 'BNLL',
    'CONCAT': 'Concat',
    'CONVOLUTION': 'Convolution',
    'DATA': 'Data',
    'DROPOUT': 'Dropout',
    'EUCLIDEAN_LOSS': 'EuclideanLoss',
    'FLATTEN': 'Flatten',
    'HDF5_DATA': 'HDF5Data',
    'HDF5_OUTPUT': 'HDF5Output',
    'IM2COL': 'Im2col',
    'IMAGE_DATA': 'ImageData',
    'INFOGAIN_LOSS': 'InfogainLoss',
    'INNER_PRODUCT': 'InnerProduct',
    'LRN': 'LRN',
    'MULTINOMIAL_LOGISTIC_LOSS': 'MultinomialLogisticLoss',
    'POOLING': 'Pooling',
    'RELU': 'ReLU',
    'SIGMOID': 'Sigmoid',
    'SOFTMAX': 'Softmax',
    'SOFTMAX_LOSS': 'SoftmaxWithLoss',
    'SPLIT': 'Split',
    'TANH': 'TanH',
    'WINDOW_DATA': 'WindowData',
    'ELTWISE': 'Eltwise',
    'POWER': 'Power',
    'SIGMOID_CROSS_ENTROPY_LOSS': 'SigmoidCrossEntropyLoss',
    'HINGE_LOSS': 'HingeLoss',
    'MEMORY_DATA': 'MemoryData',
    'ARGMAX': 'ArgMax',
    'THRESHOLD': 'Threshold',
    'DUMMY_DATA': 'DummyData',
    'SLICE': 'Slice',
    'MVN': 'MVN',
    'ABSVAL': 'AbsVal',
    'SILENCE': 'Silence',
    'CONTRASTIVE_LOSS': 'ContrastiveLoss',
    'EXP': 'Exp',
    'DECONVOLUTION': 'Deconvolution',
}
V1_LAYER_TYPES = tuple(_V1_TYPES.values())

# Numbers of the enumerations that the fields above have, by name.
ENUM_VALUES = {
    'type': {name: number for number, name in enumerate(_V1_TYPES)},
    'pool': {'MAX': 0, 'AVE': 1, 'STOCHASTIC': 2},
    'norm_region': {'ACROSS_CHANNELS': 0, 'WITHIN_CHANNEL': 1},
    'round_mode': {'CEIL': 0, 'FLOOR': 1},
}


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
