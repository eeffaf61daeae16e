"""Classes of published data sets, for their converters and data sets."""

__all__ = ['JHMDB_CLASSES', 'NYUD2_CLASSES']

# Of Gupta et al.; index + 1 is the authors' class number (0 = background).
NYUD2_CLASSES = (
    'bathtub',
    'bed',
    'bookshelf',
    'box',
    'chair',
    'counter',
    'desk',
    'door',
    'dresser',
    'garbage-bin',
    'lamp',
    'monitor',
    'night-stand',
    'pillow',
    'sink',
    'sofa',
    'table',
    'television',
    'toilet',
)

JHMDB_CLASSES = (
    'brush_hair',
    'catch',
    'clap',
    'climb_stairs',
    'golf',
    'jump',
    'kick_ball',
    'pick',
    'pour',
    'pullup',
    'push',
    'run',
    'shoot_ball',
    'shoot_bow',
    'shoot_gun',
    'sit',
    'stand',
    'swing_baseball',
    'throw',
    'walk',
    'wave',
)
