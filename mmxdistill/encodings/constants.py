"""The constants of HHA, as in ``saveHHA`` of rcnn-depth and rgbdutils."""

# Half sizes of the windows in which normals are fitted, pixels.
ANGLE_RADIUS = 3
GRAVITY_RADIUS = 10

# Gravity: normals within a threshold (degrees) of the axis are floors and
# ceilings, those within it of the perpendicular plane are walls.
GRAVITY_THRESHOLDS = (45.0, 15.0)
GRAVITY_ITERATIONS = 5  # at each threshold
# Eigenvalues closer than this, per normal, leave the axis undetermined.
EIGEN_TIE = 1e-9
# A new axis at a right angle to the old one has no sign of its own: if their
# cosine is below the first, it points along the second.
SIGN_TIE = 1e-9
SIGN_BREAKER = (1.0, 1e-3, 1e-6)

# Disparity channel: 31000 / z, with z in cm, and at least 100.
DISPARITY_SCALE = 31000.0
MIN_DEPTH_CM = 100.0

# Angle channel: degrees + 128 - 90, so that a wall is mid-grey.
ANGLE_OFFSET = 128.0 - 90.0
# In MATLAB max(-1, NaN) is -1: no normal is 180 degrees.
NO_NORMAL_LEVEL = 218

# Height channel: tilts up to this many degrees are not corrected.
MIN_TILT = 0.1
# Ground below the camera, cm: if no point is lower than the first, the
# ground is not in view and the second is assumed.
MIN_CAMERA_HEIGHT = 90.0
DEFAULT_CAMERA_HEIGHT = 130.0
