from twisted.application.service import ServiceMaker

p2pseed = ServiceMaker(
    "p2p seed",
    "p2p.daemon.seed",
    "A seed of a p2p network: keeps the list of active peers.",
    "p2pseed",
)
p2ppeer = ServiceMaker(
    "p2p peer",
    "p2p.daemon.peer",
    "A peer of a p2p network: links itself to others, spreads messages, watches who is alive.",
    "p2ppeer",
)
