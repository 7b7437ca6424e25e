from p2p.peer.strategies import Strategy

random = Strategy(
    "overlay",
    "random",
    "dials min(random 1..n, 4) of n candidates, and replaces what it loses",
    "p2p.peer.overlay.RandomLinks",
)
hyparview = Strategy(
    "overlay",
    "hyparview",
    "keeps 5 links and 30 further addresses, mixed by random walks (Leitao, Pereira, Rodrigues 2007)",
    "p2p.peer.hyparview.HyParView",
)
flood = Strategy(
    "broadcast",
    "flood",
    "sends what is new to every neighbour but the one that it came from",
    "p2p.peer.broadcast.Flood",
)
plumtree = Strategy(
    "broadcast",
    "plumtree",
    "sends what is new along a tree and announces it over the other links, which mend the tree",
    "p2p.peer.plumtree.Plumtree",
)
heartbeat = Strategy(
    "detector",
    "heartbeat",
    "pings every neighbour, and dials afresh whoever is silent",
    "p2p.peer.liveness.Heartbeat",
)
swim = Strategy(
    "detector",
    "swim",
    "pings one neighbour at a time, asks others about who does not answer, suspects, and lets it refute",
    "p2p.peer.swim.Swim",
)
