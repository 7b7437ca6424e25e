"""
What this project measures of itself: real daemons, one process each, on real sockets of this machine.

Run from the checkout, in the environment where C{p2p} is installed::

    python -m bench broadcast --peers 16 --rate 1000 --size 64 --seconds 10 --json
    python -m bench broadcast --peers 16 --find
    python -m bench detect    --peers 16 --repeat 5 --json
    python -m bench register  --peers 10000 --repeat 3 --json

Each starts C{twistd -n p2pseed} and C{twistd -n p2ppeer} in a temporary
directory on free ports, asks them over their HTTP interfaces (UNIX sockets),
and ends them, on Ctrl-C too.  Progress goes to stderr, a table to stdout, or
with C{--json} one object that holds every single figure.  C{--python PATH}
names the interpreter that runs the daemons: that of an environment with what
C{pip install .} brings and nothing else, say.

B{broadcast}: messages are published at a steady rate through one daemon,
whether or not the network keeps up (an open loop).  A message's clock starts
when it was due to be published, not when the bench got round to it, so a
bench or a daemon that falls behind makes the figures worse, never better.
When and whether each daemon received each message is read afterwards from the
daemons' own records (C{GET /messages}): all messages of all daemons, no
sample, and no daemon is asked for anything while messages are published.  A
daemon notes the time once for each piece of bytes that it reads from a
socket, when it begins to look at it: so handling within the receiving daemon
is not in its own latency, but in that of all whom it relays to.

 - I{share delivered}: messages that every daemon received, of those due.
 - I{latency}: from due to the last daemon's receipt.
 - I{deliveries per CPU second}: receipts over the network (not the
   publisher's own) by the user and system time of all daemons, the seed too,
   from C{/proc/PID/stat}, from before the first message until all is
   received.  In it are the HTTP requests that publish, the log files, and the
   liveness checks.
 - I{bytes per delivery}: frames that carried a payload (first receipts and
   duplicates, as the daemons count them) times the frame's size, by receipts.
   Beside it, what the loopback interface counted in that time, which has the
   headers of TCP and IP, acknowledgements, pings, and the traffic of whatever
   else uses it.
 - I{resident memory}: C{VmRSS}, and the proportional share (C{Pss}), which
   counts what all daemons share only once; before and after the messages.

C{--find} looks for the highest rate at which everything is delivered
everywhere and the 95th percentile stays below half a second: it doubles the
rate until that fails, then bisects.  A rate counts as held if one of two
trials held it; both are in the output.

B{detect}: one daemon is killed (SIGKILL), another is frozen (SIGSTOP) and
thawed (SIGCONT).  Times are those of the daemons' own events, which the bench
follows as they happen, less the time just before the signal was sent.  Who
should know are the daemons that were linked to the victim at that moment, and
the seed.

B{register}: one seed alone, and many peers that exist on the wire only: they
connect, introduce themselves, register, and answer the seed's check at an
address of their own in 127.0.0.0/8 (one listener answers for all; which of
them was dialled, the socket tells).  They are written without Twisted, and
run in a process of their own, so that the seed is what is measured.  Memory
is the difference between the seed holding that many connections that have
introduced themselves and the same with all of them registered and checked.

B{frames} and B{simulate} start no daemons; what they measure stands at the top
of L{bench.frames} and L{bench.simulate}.

How the figures compare with others' stands in docs/performance.md.
"""
