// An agent in JavaScript, written from docs/protocol.md alone: the lamplighter of example.py. It looks at pixels. After
// a while of dark it asks for day, after a while of brightness for night, and it prints what it sees.
//
//     npm install --no-save zeromq @msgpack/msgpack      # in the folder of the checkout; Node.js 18 or newer
//     longtake serve &
//     node clients/agents/lamplighter.cjs --seconds 60 [--endpoint tcp://127.0.0.1:5570] [--model diorama] [--seed 1]
"use strict";
const { parseArgs } = require("node:util");
const { decode, encode } = require("@msgpack/msgpack");
const { Dealer } = require("zeromq");

const PATIENCE_S = 4; // how long it must be dark, or bright, before the agent acts
const DARK = 0.35; // mean brightness, 0 to 1, below which a picture is dark
const HELLO_S = 10;
const ANSWER_S = 120; // opening a world may take as long as loading the model
const SCRIPT = {
  name: "lamplighter",
  title: "The Lamplighter",
  template: "a white bird flies over a big city {time}",
  slots: [{ name: "time", default: "day", values: { day: "by day", night: "at night" } }],
  events: { day: { set: { time: "day" } }, night: { set: { time: "night" } } },
};

// One DEALER socket. What arrives goes to `take(message, pixels)`; what is sent goes out one after the other.
class Channel {
  constructor(endpoint, take) {
    this.socket = new Dealer({ linger: 200, maxMessageSize: 67108864 });
    this.socket.connect(endpoint);
    this.sent = Promise.resolve();
    this.read(take);
  }
  async read(take) {
    for await (const [header, pixels] of this.socket) take(decode(header), pixels);
  }
  send(message) {
    return (this.sent = this.sent.then(() => this.socket.send(encode(message))));
  }
}

class Session {
  constructor(endpoint) {
    this.endpoint = endpoint;
    this.requests = 0;
    this.waiting = new Map(); // a request's number, "welcome" or "picture", to the promise that it settles
    this.pictures = [];
    this.heard = Date.now();
    this.control = new Channel(endpoint, (message) => this.take(message));
  }
  async connect(client) {
    this.control.send({ type: "hello", version: [1, 1], client });
    this.welcome = await this.answer("welcome", HELLO_S, `no Longtake server answers at ${this.endpoint}`);
    const place = this.welcome.frames_endpoint; // with tcp a port, on the host that the control socket reached
    const endpoint = /^\d+$/.test(place) ? this.endpoint.replace(/:\d+$/, `:${place}`) : place;
    this.frames = new Channel(endpoint, (message, pixels) => this.take(message, pixels));
    this.beat = setInterval(() => this.heartbeat(), this.welcome.heartbeat_s * 1000);
  }
  heartbeat() {
    this.control.send({ type: "heartbeat", sent: performance.now() / 1000, reply: false });
    if (Date.now() - this.heard > 3000 * this.welcome.heartbeat_s) this.fail("the server is gone");
  }
  take(message, pixels) {
    this.heard = Date.now();
    if (message.type === "frame") {
      if (!this.settle("picture", { ...message, pixels })) this.pictures.push({ ...message, pixels });
    } else if (message.type === "heartbeat") {
      if (!message.reply) this.control.send({ ...message, reply: true });
    } else if (message.type === "goodbye") this.fail("the server said goodbye");
    else if (message.type === "error" && message.request == null) this.fail(message.message);
    else this.settle(message.type === "welcome" ? "welcome" : message.request, message);
  }
  settle(key, value) {
    const found = this.waiting.get(key);
    this.waiting.delete(key);
    if (value.type === "error") found?.reject(new Error(value.message));
    else found?.resolve(value);
    return found !== undefined;
  }
  fail(reason) {
    for (const { reject } of this.waiting.values()) reject(new Error(reason));
    this.waiting.clear();
  }
  answer(key, seconds, otherwise) {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(otherwise)), seconds * 1000);
      const settled = (settle) => (value) => { clearTimeout(late); settle(value); };
      this.waiting.set(key, { resolve: settled(resolve), reject: settled(reject) });
    });
  }
  ask(type, fields, channel = this.control) {
    const request = ++this.requests;
    channel.send({ type, request, ...fields });
    return this.answer(request, ANSWER_S, `no answer to ${type} within ${ANSWER_S} s`);
  }
  async open(fields, buffer) {
    const joined = await this.ask("open", { mode: "lockstep", ...fields });
    const wanted = { session: this.welcome.session, world: joined.world, delivery: "every", credit: buffer };
    await this.ask("subscribe", wanted, this.frames);
    return joined;
  }
  // Moves a lockstep world on; returns its pictures: the fields of `frame`, and `pixels`, rows of RGB bytes.
  async advance(world, ticks) {
    const [, pictures] = await Promise.all([
      this.ask("control", { world, action: "advance", ticks }),
      this.takePictures(world, ticks),
    ]);
    return pictures;
  }
  async takePictures(world, count) {
    const taken = [];
    while (taken.length < count) {
      const late = `no picture within ${ANSWER_S} s`;
      taken.push(this.pictures.shift() ?? (await this.answer("picture", ANSWER_S, late)));
      this.frames.send({ type: "credit", world, frames: 1 });
    }
    return taken;
  }
  async close() {
    clearInterval(this.beat);
    if (this.welcome) await this.control.send({ type: "goodbye" });
    for (const channel of [this.control, this.frames]) channel?.socket.close();
  }
}

async function direct(session, { model, seconds, seed }) {
  await session.connect("lamplighter in JavaScript");
  const { world, model: { fps, block_frames } } = await session.open({ model, seed, script: SCRIPT }, 16);
  for (let tick = 0, lit = true, since = 0; tick < seconds * fps; ) {
    for (const picture of await session.advance(world, block_frames)) {
      tick = picture.tick + 1;
      const light = picture.pixels.reduce((sum, value) => sum + value, 0) / picture.pixels.length / 255;
      if (light >= DARK !== lit) [lit, since] = [!lit, tick];
      if (tick - since !== Math.round(PATIENCE_S * fps)) continue;
      const name = lit ? "night" : "day";
      const ack = await session.ask("event", { world, name });
      const seen = `${(picture.tick / fps).toFixed(1)} s  brightness ${light.toFixed(2)}`;
      console.log(`${seen}  ${name} from tick ${ack.tick}`);
    }
  }
  await session.ask("control", { world, action: "close" });
}

async function main() {
  const defaults = { endpoint: "tcp://127.0.0.1:5570", model: "diorama", seconds: "60", seed: "1" };
  const names = Object.keys(defaults);
  const options = Object.fromEntries(names.map((name) => [name, { type: "string", default: defaults[name] }]));
  const { values } = parseArgs({ options });
  const [seconds, seed] = [Number(values.seconds), Number(values.seed)];
  if (!(seconds > 0) || !Number.isSafeInteger(seed)) throw new Error("--seconds and --seed are such as 60 and 1");
  if (!/^(tcp|ipc):\/\/./.test(values.endpoint)) throw new Error("--endpoint is tcp://HOST:PORT or ipc://PATH");
  const session = new Session(values.endpoint);
  try {
    await direct(session, { model: values.model, seconds, seed });
  } finally {
    await session.close();
  }
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
