"""Merging the detections of several views of an image."""

from mmxdistill.models.test_time_augs.caffe_tta import CaffeTTAModel

__all__ = ['CaffeTTAModel']
