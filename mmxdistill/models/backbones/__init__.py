"""Backbones: with Caffe's layer names, and those of timm."""

from mmxdistill.models.backbones.caffenet import CaffeNet
from mmxdistill.models.backbones.squeezenet import SqueezeNet
from mmxdistill.models.backbones.timm_backbone import TimmBackbone
from mmxdistill.models.backbones.vgg import VGG16

__all__ = ['VGG16', 'CaffeNet', 'SqueezeNet', 'TimmBackbone']
