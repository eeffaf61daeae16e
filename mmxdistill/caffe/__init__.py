"""Caffe files: .caffemodel reading and writing, mapping to mm models."""

from mmxdistill.caffe.caffemodel import (
    CaffeLayer,
    CaffeModel,
    read_caffemodel,
    write_caffemodel,
)
from mmxdistill.caffe.definition import read_prototxt
from mmxdistill.caffe.mapping import caffe_to_mm, collect_blobs, mm_to_caffe

__all__ = [
    'CaffeLayer',
    'CaffeModel',
    'caffe_to_mm',
    'collect_blobs',
    'mm_to_caffe',
    'read_caffemodel',
    'read_prototxt',
    'write_caffemodel',
]
