"""Factors: what they are, which points of them are trained on, and how they are encoded."""

from typing import TYPE_CHECKING

from hyperfactor import lazy

if TYPE_CHECKING:
    from hyperfactor.factors import encoding as encoding, regions as regions, space as space
    from hyperfactor.factors.encoding import (
        Bump as Bump,
        ByFactor as ByFactor,
        Encoding as Encoding,
        OneHot as OneHot,
        Periodic as Periodic,
        Ramp as Ramp,
        Sinusoidal as Sinusoidal,
    )
    from hyperfactor.factors.regions import (
        Corner as Corner,
        Cross as Cross,
        Difference as Difference,
        Everything as Everything,
        Interior as Interior,
        Rectangle as Rectangle,
        Region as Region,
        Rim as Rim,
        Strip as Strip,
        Union as Union,
    )
    from hyperfactor.factors.space import Factor as Factor, FactorSpace as FactorSpace
else:
    __getattr__, __dir__, __all__ = lazy.attach(
        __name__,
        ("encoding", "regions", "space"),
        {
            "space": ("Factor", "FactorSpace"),
            "regions": (
                "Corner",
                "Cross",
                "Difference",
                "Everything",
                "Interior",
                "Rectangle",
                "Region",
                "Rim",
                "Strip",
                "Union",
            ),
            "encoding": ("Bump", "ByFactor", "Encoding", "OneHot", "Periodic", "Ramp", "Sinusoidal"),
        },
    )
