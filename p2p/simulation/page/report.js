// The network at any moment, drawn from spans of time; see p2p/simulation/story.py for what they are.
// draw(t) looks at nothing but t and what was chosen, so time may run, jump and go backwards.

const $ = id => document.getElementById(id);
const NEVER = 1e12;
const names = story.names, seeds = story.seeds, count = names.length, duration = story.duration;
const xs = story.places.map(place => place[0]), ys = story.places.map(place => place[1]);

// Times come in tenths of milliseconds.
const seconds = ticks => ticks / 1e4;
const ending = ticks => ticks < 0 ? NEVER : seconds(ticks);

const lives = names.map(() => []);
for (const [node, begin, end, how] of story.lives) lives[node].push({ begin: seconds(begin), end: ending(end), how });

function lifeAt(node, t) {
  let last = null;
  for (const life of lives[node]) { if (life.begin > t) break; last = life; }
  return last;
}

const linkA = [], linkB = [], linkFrom = [], linkTo = [], linkSides = [];
for (let i = 0; i < story.links.length; i += 5) {
  linkA.push(story.links[i]); linkB.push(story.links[i + 1]);
  linkFrom.push(seconds(story.links[i + 2])); linkTo.push(ending(story.links[i + 3])); linkSides.push(story.links[i + 4]);
}

const verdicts = [];
for (let i = 0; i < story.verdicts.length; i += 4)
  verdicts.push({ at: seconds(story.verdicts[i]), what: story.verdicts[i + 1], by: story.verdicts[i + 2], of: story.verdicts[i + 3] });

const listed = names.slice(0, seeds).map(() => ({ times: [], sizes: [] }));
for (let i = 0; i < story.listed.length; i += 3) {
  const list = listed[story.listed[i + 1]];
  list.times.push(seconds(story.listed[i]));
  list.sizes.push((list.sizes.at(-1) ?? 0) + story.listed[i + 2]);
}

const messages = story.messages.map(message => {
  const times = [], peers = [], senders = [], arrivals = new Map([[message.origin, [message.at]]]);
  for (let i = 0; i < message.arrivals.length; i += 3) {
    const at = message.at + seconds(message.arrivals[i]), peer = message.arrivals[i + 1];
    times.push(at); peers.push(peer); senders.push(message.arrivals[i + 2]);
    // Who is started again may get it once more.
    if (arrivals.has(peer)) arrivals.get(peer).push(at); else arrivals.set(peer, [at]);
  }
  // When the last of those had it who ran when it was sent.
  const arrived = times.findLast((at, i) => lifeAt(peers[i], at)?.begin <= message.at) ?? message.at;
  return { ...message, times, peers, senders, arrivals, arrived };
});

// How many of the sorted times are not after t.
function until(times, t) {
  let low = 0, high = times.length;
  while (low < high) { const middle = (low + high) >> 1; if (times[middle] <= t) low = middle + 1; else high = middle; }
  return low;
}

// When a message came to a node the last time before t.
function received(message, node, t) {
  const times = message.arrivals.get(node) ?? [];
  return times[until(times, t) - 1];
}

// What is told in words.

const FAULT = { pause: "stopped", partition: "a partition begins", loss: "segments get lost", slow: "links are slow",
  throttle: "links are narrow", liar: "liars begin", clock: "clocks go wrong" };
const HEALED = { pause: "go on", partition: "the partition heals", loss: "loss is over", slow: "slowness is over",
  throttle: "links are wide again", liar: "liars stop" };

function some(nodes) { return nodes === null || nodes === undefined ? "all" : nodes.length === 1 ? names[nodes[0]] : `${nodes.length} nodes`; }

const log = [];
lives.forEach((spans, node) => spans.forEach((life, number) => {
  log.push([life.begin, `${names[node]} ${number ? "starts again" : "starts"}`, ""]);
  if (life.end < NEVER) log.push([life.end, `${names[node]} ${life.how === "leave" ? "leaves" : life.how === "host" ? "loses power" : "crashes"}`, life.how === "leave" ? "" : "bad"]);
}));
for (const fault of story.faults) {
  const whom = fault.nodes !== undefined ? ` (${some(fault.nodes)})` : "";
  log.push([fault.from, (FAULT[fault.what] ?? fault.what) + whom, "bad"]);
  if (fault.to < duration) log.push([fault.to, (HEALED[fault.what] ?? `${fault.what} is over`) + whom, "good"]);
}
for (const verdict of verdicts)
  if (verdict.what !== 1) log.push([verdict.at, verdict.what === 3 ? `${names[verdict.by]} strikes ${names[verdict.of]} off`
    : verdict.what === 0 ? `${names[verdict.by]} suspects ${names[verdict.of]}` : `${names[verdict.by]} calls ${names[verdict.of]} dead`, verdict.what === 2 ? "bad" : ""]);
for (const message of messages) log.push([message.at, `message ${message.number} from ${names[message.origin] ?? "a peer"}`, "good"]);
log.sort((a, b) => a[0] - b[0]);
const logTimes = log.map(entry => entry[0]);

// What is chosen.

let now = 0, playing = false, speed = 1, following = null, chosen = "latest", picked = -1, before = 0;
const SPEEDS = [0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 100];
for (const value of SPEEDS) $("speed").add(new Option(`${value} ×`, value));
// Shown while a message is followed; nobody chooses it.
const asItArrives = new Option("as it arrives", "arrivals");
asItArrives.hidden = true;
$("speed").add(asItArrives);
const latest = new Option("the latest", "latest"), none = new Option("none", "none");
$("message").add(latest); $("message").add(none);
for (const message of messages)
  $("message").add(new Option(`${message.number}: ${message.at.toFixed(2)} s, ${names[message.origin] ?? "?"}, to ${message.reached} of ${message.live}`, message.number));
$("message").disabled = $("follow").disabled = !messages.length;
const messageTimes = messages.map(message => message.at);

function current() {
  if (chosen === "none") return null;
  if (chosen !== "latest") return messages.find(message => message.number === chosen) ?? null;
  const message = messages[until(messageTimes, now) - 1];
  // It is of interest until it has arrived, and a moment longer.
  return message && now <= Math.max(message.at + 1.0, message.arrived + 0.5) ? message : null;
}

// Drawing.

const canvas = $("network"), pen = canvas.getContext("2d"), line = $("timeline"), stroke = line.getContext("2d");
let colours = {}, scale = 1, left = 0, top_ = 0;

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ink", "pale", "rule", "card", "up", "unreached", "down", "paused", "has", "seed", "link", "half", "cut", "notice", "group", "ring"])
    colours[name] = style.getPropertyValue(`--${name}`).trim();
}

function fit() {
  for (const [element, context] of [[canvas, pen], [line, stroke]]) {
    const ratio = window.devicePixelRatio || 1;
    element.width = Math.round(element.clientWidth * ratio);
    element.height = Math.round(element.clientHeight * ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
  }
  const width = canvas.clientWidth, height = canvas.clientHeight, margin = 14;
  scale = Math.min((width - 2 * margin) / story.width, (height - 2 * margin) / story.height);
  left = (width - scale * story.width) / 2;
  top_ = (height - scale * story.height) / 2;
}

const X = node => left + scale * xs[node], Y = node => top_ + scale * ys[node];

function draw() {
  const t = now, message = current();
  const active = story.faults.filter(fault => fault.from <= t && (t < fault.to || fault.to === duration));
  const partition = active.find(fault => fault.what === "partition");
  // Who is started again meanwhile runs.
  const paused = new Set(active.filter(fault => fault.what === "pause")
    .flatMap(fault => fault.nodes.filter(node => lifeAt(node, t)?.begin <= fault.from)));
  const liars = new Set(active.filter(fault => fault.what === "liar").flatMap(fault => fault.nodes));
  const group = new Int8Array(count).fill(-1);
  if (partition) {
    // In one direction only the first group is parted, from all others.
    const side = number => partition.oneWay ? Math.min(number, 1) : number;
    partition.groups.forEach((nodes, number) => nodes.forEach(node => group[node] = side(number)));
  }
  pen.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
  const radius = Math.max(1.6, Math.min(7, scale * 0.30 / Math.sqrt(count)));

  if (partition?.discs) {
    pen.fillStyle = colours.group; pen.strokeStyle = colours.ring; pen.lineWidth = 1; pen.setLineDash([4, 4]);
    for (const [x, y, r] of partition.discs) {
      pen.beginPath(); pen.arc(left + scale * x, top_ + scale * y, scale * r * 1.02, 0, 7); pen.fill(); pen.stroke();
    }
    pen.setLineDash([]);
  }

  // Links: those that hold, those that only one end holds, those that a partition cuts.
  const whole = new Path2D(), half = new Path2D(), cut = new Path2D(), own = new Path2D();
  let links = 0;
  for (let i = 0; i < linkA.length && linkFrom[i] <= t; i++) {
    if (linkTo[i] <= t) continue;
    const a = linkA[i], b = linkB[i];
    if (linkSides[i] === 2) links++;
    const path = a === picked || b === picked ? own : group[a] >= 0 && group[b] >= 0 && group[a] !== group[b] ? cut : linkSides[i] === 2 ? whole : half;
    path.moveTo(X(a), Y(a)); path.lineTo(X(b), Y(b));
  }
  pen.lineWidth = count > 400 ? 0.6 : 0.9;
  pen.strokeStyle = colours.link; pen.globalAlpha = message ? 0.55 : 1; pen.stroke(whole); pen.globalAlpha = 1;
  pen.lineWidth = count > 400 ? 0.6 : 1.1;
  pen.strokeStyle = colours.half; pen.globalAlpha = count > 400 ? 0.6 : 1; pen.stroke(half); pen.globalAlpha = 1;
  pen.lineWidth = 1.1;
  pen.strokeStyle = colours.cut; pen.setLineDash([6, 5]); pen.stroke(cut); pen.setLineDash([]);
  pen.strokeStyle = colours.up; pen.lineWidth = 1.6; pen.stroke(own);

  // The message on its way.
  if (message && message.at <= t) {
    const done = new Path2D(), fresh = new Path2D();
    pen.fillStyle = colours.has;
    for (let i = 0; i < message.times.length; i++) {
      const sender = message.senders[i], peer = message.peers[i], at = message.times[i];
      if (sender < 0) continue;
      // What came late was not under way for all that time.
      const left_ = Math.max(received(message, sender, at) ?? message.at, at - 0.4);
      if (at <= t) {
        const path = t - at < 0.25 ? fresh : done;
        path.moveTo(X(sender), Y(sender)); path.lineTo(X(peer), Y(peer));
      } else if (left_ <= t) {
        const share = (t - left_) / Math.max(1e-6, at - left_);
        pen.beginPath();
        pen.arc(X(sender) + share * (X(peer) - X(sender)), Y(sender) + share * (Y(peer) - Y(sender)), Math.max(1.5, radius * 0.5), 0, 7);
        pen.fill();
      }
    }
    pen.strokeStyle = colours.has;
    pen.globalAlpha = count > 400 ? 0.25 : 0.4; pen.lineWidth = 1; pen.stroke(done);
    pen.globalAlpha = 0.9; pen.lineWidth = 1.5; pen.stroke(fresh); pen.globalAlpha = 1;
  }

  // Verdicts of the last moment.
  const shown = playing && !following ? Math.max(0.6, 0.6 * speed) : 0.6, first = until(verdictTimes, t - shown), last = until(verdictTimes, t);
  // Where hundreds die at once, each is told more softly.
  const loud = Math.max(0.12, Math.min(1, 60 / (last - first)));
  for (let i = first; i < last; i++) {
    const { at, what, by, of } = verdicts[i];
    if (what === 1 || by < seeds) continue;
    pen.strokeStyle = colours.notice; pen.globalAlpha = loud * (what === 0 ? 0.35 : 0.9) * (1 - (t - at) / shown); pen.lineWidth = 1.6;
    pen.beginPath(); pen.moveTo(X(by), Y(by)); pen.lineTo(X(of), Y(of)); pen.stroke();
    pen.beginPath(); pen.arc(X(of), Y(of), radius * (1.5 + 2 * (t - at) / shown), 0, 7); pen.stroke();
    pen.globalAlpha = 1;
  }

  // Nodes.
  let running = 0, dead = 0, gone = 0, stopped = 0, has = 0;
  for (let node = 0; node < count; node++) {
    const life = lifeAt(node, t);
    if (!life) continue;
    const x = X(node), y = Y(node), up = life.end > t, seed = node < seeds, holds = message && received(message, node, t) >= life.begin;
    if (!seed) { if (up) { running++; if (paused.has(node)) stopped++; if (holds) has++; } else if (life.how === "leave") gone++; else dead++; }
    if (!up && life.how === "leave") continue;
    pen.beginPath();
    if (seed) pen.rect(x - 6, y - 6, 12, 12); else pen.arc(x, y, up ? radius : radius * 0.8, 0, 7);
    if (!up) {
      pen.strokeStyle = colours.down; pen.lineWidth = 1.3; pen.stroke();
      if (radius > 3) { pen.beginPath(); pen.moveTo(x - 2.2, y - 2.2); pen.lineTo(x + 2.2, y + 2.2); pen.moveTo(x + 2.2, y - 2.2); pen.lineTo(x - 2.2, y + 2.2); pen.stroke(); }
    } else {
      pen.fillStyle = paused.has(node) ? colours.paused : seed ? colours.seed
        : message && message.at <= t ? (holds ? colours.has : colours.unreached) : colours.up;
      pen.fill();
      if (liars.has(node) || node === picked || (message && node === message.origin && message.at <= t)) {
        pen.strokeStyle = liars.has(node) ? colours.notice : colours.ink; pen.lineWidth = 1.8;
        pen.beginPath(); pen.arc(x, y, radius + 2.5, 0, 7); pen.stroke();
      }
    }
    if (seed) {
      const list = listed[node], size = list.sizes[until(list.times, t) - 1] ?? 0;
      label(up ? `${names[node]}${canvas.clientWidth < 560 ? ":" : "  lists"} ${size}` : `${names[node]} is down`, x + 11, y + 4, "left");
    }
  }
  if (picked >= 0) label(names[picked], X(picked), Y(picked) - radius - 6, "center");
  if (message && message.at <= t && message.origin >= 0 && message.origin !== picked)
    label(names[message.origin], X(message.origin), Y(message.origin) - radius - 6, "center");
  tell(t, { running, dead, gone, stopped, links, message, has, active });
}

function label(text, x, y, align) {
  pen.font = "12px system-ui, sans-serif"; pen.textAlign = align; pen.lineJoin = "round";
  pen.strokeStyle = colours.card; pen.lineWidth = 4; pen.strokeText(text, x, y);
  pen.fillStyle = colours.ink; pen.fillText(text, x, y);
}

const verdictTimes = verdicts.map(verdict => verdict.at);
let told = "";

function tell(t, { running, dead, gone, stopped, links, message, has, active }) {
  $("clock").textContent = t.toFixed(3);
  $("time").value = t;
  const rows = [["peers running", running], ["links", links]];
  if (stopped) rows.push(["stopped", stopped]);
  if (dead) rows.push(["dead", dead]);
  if (gone) rows.push(["left", gone]);
  for (const fault of active) if (fault.what !== "pause") rows.push([fault.what, `${(fault.to - t).toFixed(1)} s more`]);
  if (message && message.at <= t) rows.push([`message ${message.number}`, `${has} ${has === 1 ? "has" : "have"} it`], ["since it was sent", `${(t - message.at).toFixed(3)} s`]);
  const entries = log.slice(Math.max(0, until(logTimes, t) - 11), until(logTimes, t)).reverse();
  const key = JSON.stringify([rows, entries.length ? entries[0] : 0]);
  if (key === told) return;
  told = key;
  $("counts").replaceChildren(...rows.map(([name, value]) => row(name, value)));
  $("log").replaceChildren(...entries.map(([at, text, mood]) => {
    const item = document.createElement("li"), when = document.createElement("time"), what = document.createElement("span");
    when.textContent = at.toFixed(2); what.textContent = text; what.className = mood;
    item.append(when, what);
    return item;
  }));
}

function row(name, value) {
  const line = document.createElement("tr"), head = document.createElement("th"), cell = document.createElement("td");
  head.textContent = name; cell.textContent = value;
  line.append(head, cell);
  return line;
}

// The timeline: spans of faults, how many peers run, when one died, when something was published.

const changes = [];
lives.forEach((spans, node) => { if (node >= seeds) for (const life of spans) { changes.push([life.begin, 1]); if (life.end < NEVER) changes.push([life.end, -1]); } });
changes.sort((a, b) => a[0] - b[0]);

function drawTimeline() {
  const width = line.clientWidth, height = line.clientHeight, at = t => 8 + (width - 16) * t / duration, base = height - 15;
  stroke.clearRect(0, 0, width, height);
  stroke.globalAlpha = 0.22; stroke.fillStyle = colours.paused;
  for (const fault of story.faults) stroke.fillRect(at(fault.from), 2, Math.max(2, at(fault.to) - at(fault.from)), base - 2);
  stroke.globalAlpha = 1;
  let running = 0, most = 1;
  for (const [, by] of changes) { running += by; most = Math.max(most, running); }
  running = 0;
  stroke.beginPath(); stroke.moveTo(at(0), base);
  for (const [t, by] of changes) {
    stroke.lineTo(at(t), base - (base - 4) * running / most);
    running += by;
    stroke.lineTo(at(t), base - (base - 4) * running / most);
  }
  stroke.lineTo(at(duration), base - (base - 4) * running / most);
  stroke.strokeStyle = colours.up; stroke.lineWidth = 1.2; stroke.stroke();
  stroke.fillStyle = colours.has;
  for (const message of messages) stroke.fillRect(at(message.at) - 0.5, base - 5, 1, 5);
  stroke.strokeStyle = colours.rule; stroke.beginPath(); stroke.moveTo(at(0), base + .5); stroke.lineTo(at(duration), base + .5); stroke.stroke();
  stroke.fillStyle = colours.pale; stroke.font = "11px system-ui, sans-serif";
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000, 200000].find(step => duration / step <= 10) ?? duration;
  for (let t = 0; t <= duration + 1e-9; t += step) {
    stroke.textAlign = t === 0 ? "left" : t > duration - step / 4 ? "right" : "center";
    stroke.fillText(`${+t.toFixed(1)} s`, at(t), height - 3);
  }
  stroke.strokeStyle = colours.ink; stroke.lineWidth = 1.4;
  stroke.beginPath(); stroke.moveTo(at(now), 0); stroke.lineTo(at(now), base + 3); stroke.stroke();
}

function show(t) {
  now = Math.min(duration, Math.max(0, t));
  draw();
  drawTimeline();
}

// A message is followed at the pace at which it arrives: from one delivery to the next it takes the third root of the
// time between them, all together FOLLOWED seconds.  So one sees a wave of a tenth of a second as well as the next one,
// and a wait of half a minute before it is short.
const FOLLOWED = 10;

// What is watched when: times of deliveries, and seconds of those who watch.
function pace(message) {
  const times = [message.at, ...message.times.slice(0, until(message.times, message.arrived))], watched = [0];
  for (let i = 1; i < times.length; i++) watched.push(watched[i - 1] + Math.cbrt(times[i] - times[i - 1]));
  return { times, watched: watched.map(sum => sum / watched.at(-1) * FOLLOWED) };
}

// What is in the one list where x is in the other; between two values it goes evenly.
function across(from, to, x) {
  const i = Math.max(1, Math.min(from.length - 1, until(from, x)));
  return to[i - 1] + (x - from[i - 1]) / (from[i] - from[i - 1] || 1) * (to[i] - to[i - 1]);
}

function follow(message) {
  following = pace(message);
  $("speed").value = asItArrives.value;
  show(message.at);
  play(true);
}

function unfollow() {
  following = null;
  $("speed").value = speed;
}

// When it is after so many more seconds of watching.
function ahead(passed) {
  if (!following) return now + passed * speed;
  const { times, watched } = following;
  return Math.min(times.at(-1), across(watched, times, across(times, watched, now) + passed));
}

function frame(when) {
  if (!playing) return;
  show(ahead(Math.min(0.1, (when - before) / 1000)));
  before = when;
  if (now >= (following ? following.times.at(-1) : duration)) play(false);
  requestAnimationFrame(frame);
}

function play(on) {
  if (on && now >= duration) now = 0;
  if (on && !playing) { before = performance.now(); requestAnimationFrame(frame); }
  playing = on;
  if (!on && following && now >= following.times.at(-1)) unfollow();
  $("play").textContent = on ? "❚❚ pause" : "▶ play";
}

function setSpeed(value) {
  speed = SPEEDS.reduce((best, one) => Math.abs(Math.log(one / value)) < Math.abs(Math.log(best / value)) ? one : best);
  $("speed").value = speed;
}

function choose(value) {
  chosen = value === "latest" || value === "none" ? value : Number(value);
  $("message").value = chosen;
}

$("time").max = duration;
function jump(t) { unfollow(); show(t); }

$("time").oninput = event => jump(Number(event.target.value));
$("play").onclick = () => play(!playing);
$("speed").onchange = event => { speed = Number(event.target.value); unfollow(); };
$("message").onchange = event => { choose(event.target.value); jump(now); };
$("follow").onclick = () => {
  if (typeof chosen !== "number") choose((messages[Math.max(0, until(messageTimes, now) - 1)] ?? messages[0]).number);
  const message = current();
  if (message.arrived > message.at) follow(message); else jump(message.at);
};
line.onclick = event => jump(duration * (event.offsetX - 8) / (line.clientWidth - 16));
canvas.onclick = event => {
  let best = -1, distance = 15 ** 2;
  for (let node = 0; node < count; node++) {
    const d = (X(node) - event.offsetX) ** 2 + (Y(node) - event.offsetY) ** 2;
    if (d < distance) { best = node; distance = d; }
  }
  picked = best === picked ? -1 : best;
  show(now);
};
document.addEventListener("keydown", event => {
  if (event.target.tagName === "SELECT" || event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (event.key === " " && event.target.tagName !== "BUTTON") play(!playing);
  else if (step) jump(now + step * Math.max(0.01, speed * 0.1));
  else return;
  event.preventDefault();
});

function theme(dark) {
  document.documentElement.classList.toggle("dark", dark);
  readColours();
  show(now);
}
$("theme").onclick = () => theme(!document.documentElement.classList.contains("dark"));
new ResizeObserver(() => { fit(); show(now); }).observe(canvas);

// A moment can be linked to: report.html#t=52.5&message=20&theme=dark
const given = new URLSearchParams(location.hash.slice(1));
setSpeed(Math.max(0.01, duration / 60));
choose(given.get("message") ?? "latest");
picked = names.indexOf(given.get("peer") ?? "");
now = Math.min(duration, given.has("t") ? Number(given.get("t")) || 0 : story.opening);
fit();
theme(given.has("theme") ? given.get("theme") === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
document.documentElement.dataset.ready = "yes";
