"""What may be done with the data sets that the converters read.

Their own pages decide; these are the sentences that ``--help`` and the pages
of the documentation show.
"""

__all__ = ['TERMS']

TERMS = dict(
    jhmdb='JHMDB: the terms are those of its page at the Max Planck '
    'Institute; the videos are from HMDB51. Nothing of it is part of this '
    'package.',
    mot='MOTChallenge: CC BY-NC-SA 3.0, so no commercial use. Nothing of it '
    'is part of this package.',
    nyud2='NYU Depth v2: published for research, without a licence text that '
    'we know of; ask its authors before you redistribute it or use it '
    'commercially. Nothing of it is part of this package.',
    sunrgbd='SUN RGB-D: published for research, without a licence text that '
    'we know of; its parts (NYU Depth v2, B3DO, SUN3D) have authors and terms '
    'of their own. Nothing of it is part of this package.',
    ucf101='UCF101: videos of YouTube, published for research without a '
    'licence text that we know of; the rights are with those who uploaded '
    'them. Nothing of it is part of this package.',
)
