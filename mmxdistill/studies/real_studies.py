"""The studies on real pairs."""

from mmxdistill.studies.fast_rcnn_pairs import KITCHEN, ROADSCENE
from mmxdistill.studies.rgb_flow import RGB_FLOW
from mmxdistill.studies.rgb_thermal import RGB_THERMAL

__all__ = ['STUDIES']

STUDIES = {
    study.name: study for study in (RGB_FLOW, RGB_THERMAL, KITCHEN, ROADSCENE)
}
