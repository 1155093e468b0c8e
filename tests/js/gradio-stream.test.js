// Gradio's stream of answers, with a server that says what it is told to, and a page that reads when it is told to.

import assert from "node:assert/strict";
import { test } from "node:test";
import { withEveryAnswer } from "../../assets/gradio-stream.js";

const CLOSE = { msg: "close_stream", event_id: null };
const completed = (event) => ({ msg: "process_completed", event_id: event });
const place = (event) => Response.json({ event_id: event });

/** Let everything happen that waits for nothing but promises. */
async function settle() {
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
}

/** A stream of the server: `send` a message, `end` the connection, or `close` it as Gradio does. */
class ServerStream {
  constructor() {
    this.body = new ReadableStream({
      start: (controller) => {
        this.controller = controller;
      },
    });
    this.response = new Response(this.body, { headers: { "Content-Type": "text/event-stream" } });
  }

  send(message) {
    this.sendBytes(new TextEncoder().encode(`data: ${JSON.stringify(message)}\n\n`));
  }

  sendBytes(bytes) {
    this.controller.enqueue(bytes);
  }

  end() {
    this.controller.close();
  }

  /** Say that no more answers are due, and end. */
  close() {
    this.send(CLOSE);
    this.end();
  }
}

/** Read a stream as the page does: `messages` are those that it has read so far. */
function read(response) {
  const page = { messages: [], ended: false, error: null };
  (async () => {
    let text = "";
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const whole = text.split("\n\n");
      text = whole.pop();
      page.messages.push(...whole.map((message) => JSON.parse(message.slice("data:".length))));
    }
    page.ended = true;
  })().catch((error) => {
    page.error = error;
  });
  return page;
}

/** A page before a server: `asked` are the requests that reached the server, answered by the test. */
function setUp() {
  const asked = [];
  const closings = []; // functions that say that the page has read of a closing
  const fetch = withEveryAnswer(
    (url) => new Promise((answer) => asked.push({ url, answer })),
    "http://page.example/",
    () => new Promise((resolve) => closings.push(resolve)),
  );
  const join = () => fetch("/gradio_api/queue/join", { method: "POST" });
  const data = () => fetch("/gradio_api/queue/data?session_hash=s");
  /** Answer the newest request. */
  const answer = async (response) => {
    await settle();
    asked.at(-1).answer(response);
    await settle();
  };
  return { asked, closings, fetch, join, data, answer };
}

/** Send events, give them their places and open a stream: `server` says what is on it, `got` is read of it. */
async function open(page, ...events) {
  for (const event of events) {
    const joined = page.join();
    await page.answer(place(event));
    await joined;
  }
  const opened = page.data();
  const server = new ServerStream();
  await page.answer(server.response);
  return { server, got: read(await opened) };
}

/** Send an event, give it its place, open a stream and read its answer and the closing. */
async function askOnce(page, event = "first") {
  const { server, got } = await open(page, event);
  server.send(completed(event));
  server.close();
  await settle();
  assert.deepEqual(got.messages, [completed(event), CLOSE]);
  assert.ok(got.ended);
}

test("an event sent while the stream closes is answered on that stream", async () => {
  const page = setUp();
  const { server, got } = await open(page, "first");
  server.send(completed("first"));
  await settle();

  const second = page.join(); // its place is still to come
  server.close();
  await settle();
  assert.deepEqual(got.messages, [completed("first")], "the page hears of no closing");
  assert.equal(page.asked.length, 3);

  await page.answer(place("second"));
  assert.equal((await (await second).json()).event_id, "second");
  assert.match(page.asked.at(-1).url, /queue\/data/, "the stream goes on with another of the server's");
  assert.equal(page.asked.length, 4);
  const more = new ServerStream();
  await page.answer(more.response);
  more.send(completed("second"));
  more.close();
  await settle();
  assert.deepEqual(got.messages, [completed("first"), completed("second"), CLOSE]);
  assert.ok(got.ended);
});

test("a pending event keeps the stream open", async () => {
  const page = setUp();
  const { server, got } = await open(page, "first", "second");
  server.send(completed("first"));
  server.close();
  await settle();
  assert.deepEqual(got.messages, [completed("first")]);
  assert.equal(page.asked.length, 4);
});

test("an answer that arrives before its confirmation is not awaited", async () => {
  const page = setUp();
  const { server, got } = await open(page, "first");
  server.send(completed("first"));
  const second = page.join();
  await settle();
  server.send(completed("second")); // the server is quicker than its own answer to the request
  server.close();
  await settle();
  assert.deepEqual(got.messages, [completed("first"), completed("second")]);
  await page.answer(place("second"));
  assert.deepEqual(got.messages, [completed("first"), completed("second"), CLOSE]);
  assert.equal(page.asked.length, 3, "no other stream is opened");
  page.closings.at(-1)();
  assert.equal((await second).status, 200);
});

test("a stream without pending answers is closed at once", async () => {
  const page = setUp();
  await askOnce(page);
  const before = page.asked.length;
  const got = read(await page.data());
  await settle();
  assert.deepEqual(got.messages, [CLOSE]);
  assert.ok(got.ended);
  assert.equal(page.asked.length, before, "the server is not asked");
});

test("a stream waits for unconfirmed events before it is closed", async () => {
  const page = setUp();
  await askOnce(page);
  page.closings.at(-1)();
  const joined = page.join();
  const opened = page.data();
  await settle();
  assert.match(page.asked.at(-1).url, /queue\/join/);
  await page.answer(place("second"));
  await joined;
  assert.match(page.asked.at(-1).url, /queue\/data/);
  const server = new ServerStream();
  await page.answer(server.response);
  const got = read(await opened);
  server.send(completed("second"));
  await settle();
  assert.deepEqual(got.messages, [completed("second")]);
});

test("an event sent after the close message is confirmed once the page has read that", async () => {
  const page = setUp();
  await askOnce(page);
  let placed = false;
  const second = page.join().then((answer) => {
    placed = true;
    return answer;
  });
  await page.answer(place("second"));
  assert.equal(placed, false);
  page.closings.at(-1)();
  assert.equal((await (await second).json()).event_id, "second");
});

test("a page's first stream is passed through", async () => {
  const page = setUp();
  const { server, got } = await open(page);
  server.send({ msg: "heartbeat" });
  await settle();
  assert.deepEqual(got.messages, [{ msg: "heartbeat" }]);
});

test("a refused event is not awaited", async () => {
  const page = setUp();
  const { server, got } = await open(page, "first");
  server.send(completed("first"));
  const second = page.join();
  server.close();
  await page.answer(Response.json({ detail: "full" }, { status: 503 }));
  assert.deepEqual(got.messages, [completed("first"), CLOSE]);
  page.closings.at(-1)();
  assert.equal((await second).status, 503);
});

test("an event that did not reach the server fails and is not awaited", async () => {
  const page = setUp();
  await askOnce(page);
  page.closings.at(-1)();
  const second = page.join();
  await settle();
  page.asked.at(-1).answer(Promise.reject(new TypeError("offline")));
  await assert.rejects(second, /offline/);
  const got = read(await page.data());
  await settle();
  assert.deepEqual(got.messages, [CLOSE]);
});

test("a broken stream ends and is not continued", async () => {
  const page = setUp();
  const { server, got } = await open(page, "first");
  server.end();
  await settle();
  assert.ok(got.ended);
  assert.equal(page.asked.length, 2);
});

test("a stream fails if it cannot be continued", async () => {
  const page = setUp();
  const { server, got } = await open(page, "first");
  server.close();
  await page.answer(new Response("", { status: 404 }));
  assert.match(String(got.error), /404/);
});

test("a refused stream is passed through", async () => {
  const page = setUp();
  const opened = page.data();
  await page.answer(new Response("no", { status: 403 }));
  const answer = await opened;
  assert.equal(answer.status, 403);
  assert.equal(await answer.text(), "no");
});

test("messages may be split anywhere", async () => {
  const page = setUp();
  const { server, got } = await open(page, "first");
  const message = { ...completed("first"), output: "größer als 5 €" };
  const bytes = new TextEncoder().encode(`data: ${JSON.stringify(message)}\n\n`);
  for (const byte of bytes) server.sendBytes(new Uint8Array([byte]));
  await settle();
  assert.deepEqual(got.messages, [message]);
});

test("other requests are passed through", async () => {
  const page = setUp();
  const answered = page.fetch("/media/1/times");
  const response = Response.json([0]);
  await page.answer(response);
  assert.equal(await answered, response);
  const asked = page.fetch(new Request("http://page.example/gradio_api/queue/joined"));
  await page.answer(response);
  assert.equal(await asked, response);
});

test("an event is answered once its last answer has arrived", async () => {
  const stream = new ServerStream();
  const answered = [];
  const fetch = withEveryAnswer(
    async (path) => (path.endsWith("join") ? place("a") : stream.response),
    "http://page/",
    async () => {},
    ([path], done) => done.then(() => answered.push(path)),
  );
  await fetch("/queue/join", {});
  read(await fetch("/queue/data"));
  await settle();
  assert.deepEqual(answered, []);
  stream.send(completed("a"));
  await settle();
  assert.deepEqual(answered, ["/queue/join"]);
});

test("an event is answered if it is refused, and if its answers are lost", async () => {
  const stream = new ServerStream();
  const answered = [];
  const fetch = withEveryAnswer(
    async (path) => {
      if (path.endsWith("data")) return stream.response;
      return path.startsWith("/refused") ? new Response("", { status: 503 }) : place("a");
    },
    "http://page/",
    async () => {},
    ([path], done) => done.then(() => answered.push(path)),
  );
  await fetch("/refused/queue/join", {});
  await settle();
  assert.deepEqual(answered, ["/refused/queue/join"]);
  await fetch("/queue/join", {});
  read(await fetch("/queue/data"));
  stream.end();
  await settle();
  assert.deepEqual(answered, ["/refused/queue/join", "/queue/join"]);
});
