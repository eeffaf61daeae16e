"""Classes of published data sets, for their converters and data sets."""

__all__ = ['JHMDB_CLASSES', 'NYUD2_CLASSES', 'UCF101_CLASSES']

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

# In the order of classInd.txt, whose numbers count from 1.
UCF101_CLASSES = tuple(
    """
ApplyEyeMakeup ApplyLipstick Archery BabyCrawling BalanceBeam BandMarching
BaseballPitch Basketball BasketballDunk BenchPress Biking Billiards
BlowDryHair BlowingCandles BodyWeightSquats Bowling BoxingPunchingBag
BoxingSpeedBag BreastStroke BrushingTeeth CleanAndJerk CliffDiving
CricketBowling CricketShot CuttingInKitchen Diving Drumming Fencing
FieldHockeyPenalty FloorGymnastics FrisbeeCatch FrontCrawl GolfSwing Haircut
Hammering HammerThrow HandstandPushups HandstandWalking HeadMassage HighJump
HorseRace HorseRiding HulaHoop IceDancing JavelinThrow JugglingBalls
JumpingJack JumpRope Kayaking Knitting LongJump Lunges MilitaryParade Mixing
MoppingFloor Nunchucks ParallelBars PizzaTossing PlayingCello PlayingDaf
PlayingDhol PlayingFlute PlayingGuitar PlayingPiano PlayingSitar PlayingTabla
PlayingViolin PoleVault PommelHorse PullUps Punch PushUps Rafting
RockClimbingIndoor RopeClimbing Rowing SalsaSpin ShavingBeard Shotput
SkateBoarding Skiing Skijet SkyDiving SoccerJuggling SoccerPenalty StillRings
SumoWrestling Surfing Swing TableTennisShot TaiChi TennisSwing ThrowDiscus
TrampolineJumping Typing UnevenBars VolleyballSpiking WalkingWithDog
WallPushups WritingOnBoard YoYo
""".split()
)
