"""The studies on real pairs."""

from mmxdistill.studies.rgb_flow import RGB_FLOW

__all__ = ['STUDIES']

STUDIES = {study.name: study for study in (RGB_FLOW,)}
