// MQTT.js through one listener: `node client.mjs SCENE[,SCENE...] JSON`. Prints one JSON object: what the client was
// told in each scene. They are played one after the other.
// JSON: { port, version: 4 | 5, ca, cert, key }; without `ca` in the clear.

import { readFileSync } from 'node:fs'
import mqtt from 'mqtt'

const [what, text] = process.argv.slice(2)
const door = JSON.parse(text)
const PATIENCE = 5000

const within = (promise, name) =>
  Promise.race([
    promise,
    new Promise((_, late) => setTimeout(() => late(new Error(`${name}: nothing within ${PATIENCE} ms`)), PATIENCE).unref()),
  ])

function options(clientId, more = {}) {
  const tls = door.ca && {
    protocol: 'mqtts',
    ca: readFileSync(door.ca),
    cert: readFileSync(door.cert),
    key: readFileSync(door.key),
  }
  return {
    host: '127.0.0.1',
    port: door.port,
    protocol: 'mqtt',
    protocolVersion: door.version,
    clientId,
    clean: true,
    reconnectPeriod: 0,
    ...tls,
    ...more,
  }
}

// A client that keeps what arrives: `next()` is the next message.
async function open(clientId, more) {
  const client = await within(mqtt.connectAsync(options(clientId, more)), `connect ${clientId}`)
  return listening(client)
}

function listening(client) {
  const arrived = []
  const waiting = []
  client.on('message', (topic, payload, packet) => {
    const message = { topic, payload: payload.toString(), qos: packet.qos, retain: packet.retain }
    if (waiting.length) waiting.shift()(message)
    else arrived.push(message)
  })
  client.next = () =>
    arrived.length ? Promise.resolve(arrived.shift()) : within(new Promise((got) => waiting.push(got)), 'a message')
  return client
}

const kept = (clean) => (door.version === 5 ? { clean, properties: { sessionExpiryInterval: clean ? 0 : 60 } } : { clean })
const told = async (promise) => promise.then(() => 'done', (error) => error.code ?? error.message)

async function everyQos() {
  const both = await open('js-both')
  const granted = await both.subscribeAsync('ok/a/#', { qos: 2 })
  const messages = []
  for (const qos of [0, 1, 2]) {
    await both.publishAsync(`ok/a/${qos}`, `${qos}`, { qos })
    messages.push(await both.next())
  }
  await both.unsubscribeAsync('ok/a/#')
  await both.publishAsync('ok/a/1', 'not wanted', { qos: 1 })
  await both.subscribeAsync('ok/b', { qos: 1 })
  await both.publishAsync('ok/b', 'wanted', { qos: 1 })
  messages.push(await both.next())
  await both.endAsync()
  return { granted: granted.map((one) => one.qos), messages }
}

// MQTT.js does not look at the broker's Receive Maximum (20 of Mosquitto), so no more than that at once.
async function burst() {
  const both = await open('js-burst')
  await both.subscribeAsync('ok/burst', { qos: 2 })
  const got = []
  for (let from = 0; from < 150; from += 15) {
    const some = Array.from({ length: 15 }, (_, at) => from + at)
    await Promise.all(some.map((at) => both.publishAsync('ok/burst', `${at}`, { qos: at % 3 })))
    while (got.length < from + 15) got.push(Number((await both.next()).payload))
  }
  await both.endAsync()
  return got.sort((a, b) => a - b)
}

async function session() {
  await (await open('js-keeper', kept(true))).endAsync()
  const first = await open('js-keeper', kept(false))
  await first.subscribeAsync('ok/later', { qos: 2 })
  await first.endAsync()
  const other = await open('js-other')
  for (const qos of [1, 2]) await other.publishAsync('ok/later', `${qos}`, { qos })
  await other.endAsync()
  // Its messages come right behind the CONNACK: listen before connecting.
  const again = listening(mqtt.connect(options('js-keeper', kept(false))))
  const connack = await within(new Promise((got) => again.once('connect', got)), 'the session')
  const messages = [await again.next(), await again.next()]
  await again.endAsync()
  await (await open('js-keeper', kept(true))).endAsync()
  return { present: connack.sessionPresent, messages: messages.map((one) => one.payload) }
}

// The test cuts the broker's connections when it reads "cut"; the client dials again by itself.
async function reconnects() {
  const steady = listening(mqtt.connect(options('js-steady', { ...kept(false), reconnectPeriod: 100 })))
  await within(new Promise((got) => steady.once('connect', got)), 'connect')
  await steady.subscribeAsync('ok/again', { qos: 1 })
  const again = new Promise((got) => steady.once('connect', got))
  console.log('cut')
  await within(again, 'reconnect')
  await steady.publishAsync('ok/again', 'after', { qos: 2 })
  const message = await steady.next()
  await steady.endAsync()
  return message.payload
}

async function pings() {
  const idle = await open('js-idle', { keepalive: 1 })
  const pong = new Promise((got) => idle.on('packetreceive', (packet) => packet.cmd === 'pingresp' && got('pong')))
  const heard = await within(pong, 'PINGRESP')
  await idle.endAsync()
  return heard
}

async function refusals() {
  const thief = await open('js-thief')
  const codes = []
  thief.on('packetreceive', (packet) => {
    if (packet.cmd === 'puback' || packet.cmd === 'pubrec') codes.push([packet.cmd, packet.reasonCode ?? 0])
    if (packet.cmd === 'suback') codes.push([packet.cmd, ...packet.granted])
  })
  const publishes = []
  for (const qos of [0, 1, 2]) publishes.push(await told(thief.publishAsync('no/x', 'smuggled', { qos })))
  const subscribe = await told(thief.subscribeAsync('no/#', { qos: 1 }))
  await thief.subscribeAsync('ok/x', { qos: 2 })
  const honest = await told(thief.publishAsync('ok/x', 'honest', { qos: 2 }))
  const message = await thief.next()
  await thief.endAsync()
  const will = { topic: 'no/last', payload: 'smuggled', qos: 1 }
  const refused = await told(mqtt.connectAsync(options('js-mortal', { will })))
  return { publishes, subscribe, codes, honest, message: message.payload, will: refused }
}

async function mortal() {
  await open('js-mortal', { will: { topic: 'ok/last', payload: 'gone', qos: 1, retain: false } })
  process.kill(process.pid, 'SIGKILL')
}

const scenes = { everyQos, burst, session, reconnects, pings, refusals, mortal }
const results = {}
for (const scene of what.split(',')) results[scene] = await scenes[scene]()
console.log(JSON.stringify(results))
process.exit(0)
