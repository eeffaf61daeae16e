"""Child registries of mmdet's, scope ``mmxdistill``.

Configs name our components ``type='mmxdistill.X'`` under
``default_scope='mmdet'``: mmengine imports this module to resolve the scope,
and ``locations`` imports the packages that register the components, so no
``custom_imports`` is needed.
"""

from mmdet.registry import DATA_SAMPLERS as MMDET_DATA_SAMPLERS
from mmdet.registry import DATASETS as MMDET_DATASETS
from mmdet.registry import HOOKS as MMDET_HOOKS
from mmdet.registry import METRICS as MMDET_METRICS
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.registry import OPTIM_WRAPPERS as MMDET_OPTIM_WRAPPERS
from mmdet.registry import OPTIMIZERS as MMDET_OPTIMIZERS
from mmdet.registry import TASK_UTILS as MMDET_TASK_UTILS
from mmdet.registry import TRANSFORMS as MMDET_TRANSFORMS
from mmdet.registry import WEIGHT_INITIALIZERS as MMDET_WEIGHT_INITIALIZERS
from mmengine.registry import Registry

from mmxdistill.compat import patch_checkpoint_loading

__all__ = [
    'DATASETS',
    'DATA_SAMPLERS',
    'HOOKS',
    'METRICS',
    'MODELS',
    'OPTIMIZERS',
    'OPTIM_WRAPPERS',
    'TASK_UTILS',
    'TRANSFORMS',
    'WEIGHT_INITIALIZERS',
]

_SCOPE = 'mmxdistill'

# Here, and not with the package, which stays light: whatever resumes a
# training has built something of ours before.
patch_checkpoint_loading()

DATASETS = Registry(
    'dataset',
    parent=MMDET_DATASETS,
    scope=_SCOPE,
    locations=['mmxdistill.datasets'],
)
DATA_SAMPLERS = Registry(
    'data sampler',
    parent=MMDET_DATA_SAMPLERS,
    scope=_SCOPE,
    locations=['mmxdistill.datasets'],
)
TRANSFORMS = Registry(
    'transform',
    parent=MMDET_TRANSFORMS,
    scope=_SCOPE,
    locations=['mmxdistill.datasets.transforms'],
)
MODELS = Registry(
    'model',
    parent=MMDET_MODELS,
    scope=_SCOPE,
    locations=['mmxdistill.models'],
)
WEIGHT_INITIALIZERS = Registry(
    'weight initializer',
    parent=MMDET_WEIGHT_INITIALIZERS,
    scope=_SCOPE,
    locations=['mmxdistill.models'],
)
TASK_UTILS = Registry(
    'task util',
    parent=MMDET_TASK_UTILS,
    scope=_SCOPE,
    locations=['mmxdistill.models'],
)
HOOKS = Registry(
    'hook',
    parent=MMDET_HOOKS,
    scope=_SCOPE,
    locations=['mmxdistill.engine'],
)
OPTIMIZERS = Registry(
    'optimizer',
    parent=MMDET_OPTIMIZERS,
    scope=_SCOPE,
    locations=['mmxdistill.engine'],
)
OPTIM_WRAPPERS = Registry(
    'optim_wrapper',
    parent=MMDET_OPTIM_WRAPPERS,
    scope=_SCOPE,
    locations=['mmxdistill.engine'],
)
METRICS = Registry(
    'metric',
    parent=MMDET_METRICS,
    scope=_SCOPE,
    locations=['mmxdistill.evaluation'],
)
