// A `fetch` for Gradio's page that loses no answer when the event stream is closed.
//
// The answers to a page's events arrive on one stream. The server closes it when none are pending, and the page opens
// another with its next event. An event sent before the page has read the close message relies on the old stream, and
// would wait for ever. So here a stream with a pending answer continues with a new request to the server, and an event
// sent after the close message is only confirmed once the page has read that message. A stream that the page opens
// for answers that it has already read on the previous one would stay open without messages: it is closed at once.
//
// Known to fit Gradio 6.31, the oldest that requirements.txt allows and the newest there was when this was written.
// It relies on this: an event is sent to /queue/join, which answers {"event_id": ...}; the stream is /queue/data, of
// messages "data: {JSON}" with an empty line after each; an event's last one is "process_completed", and a stream's
// is "close_stream", of which the page reads before it takes it for closed. Check this for another version:
// tests/js/gradio-stream.test.js tests this file, and tests/ui/page/test_stage.py that the page behaves so.

const READ_WITHIN = 50; // ms; the page reads a message within promises, without timers

/** @typedef {Parameters<typeof fetch>} FetchArguments */

/**
 * Return a `fetch` that delivers every answer.
 * @param {typeof fetch} ask the wrapped fetch
 * @param {string} base the page's address
 * @param {() => Promise<void>} [untilRead] fulfilled when the page has read the last message
 * @param {(request: FetchArguments, answered: Promise<void>) => void} [onEvent] called for each event that is sent,
 *   with a promise that is fulfilled when its last answer has arrived, or none can arrive
 * @returns {typeof fetch}
 */
export function withEveryAnswer(
  ask,
  base,
  untilRead = () => new Promise((resolve) => setTimeout(resolve, READ_WITHIN)),
  onEvent = () => {},
) {
  /** Events that were sent and are not confirmed yet. @type {Set<Promise<Response>>} */
  const joining = new Set();
  /** Confirmed events whose last answer has not arrived, and what to call when it has. @type {Map<string, () => void>} */
  const due = new Map();
  /** Events whose last answer arrived before their confirmation. @type {Set<string>} */
  const early = new Set();
  /** The server's message that closes a stream, once one was received. @type {?string} */
  let closeMessage = null;
  /** Fulfilled when the page has read that its stream was closed. */
  let closingRead = Promise.resolve();

  /**
   * @param {Promise<Response>} sent
   * @param {() => void} finish
   */
  async function place(sent, finish) {
    let confirmed = false;
    try {
      const answer = await sent;
      if (answer.ok) {
        const { event_id: event } = await answer.clone().json();
        confirmed = !early.delete(event);
        if (confirmed) due.set(event, finish);
      }
      return answer;
    } finally {
      if (!confirmed) finish();
    }
  }

  /** @param {string} event */
  function complete(event) {
    const finish = due.get(event);
    if (finish) finish();
    else early.add(event);
    due.delete(event);
  }

  /** Finish the events whose answers were lost with their stream. */
  function abandon() {
    for (const finish of due.values()) finish();
  }

  /** @param {FetchArguments} request */
  async function join(request) {
    /** @type {() => void} */
    let finish = () => {};
    onEvent(
      request,
      new Promise((resolve) => {
        finish = resolve;
      }),
    );
    const placed = place(ask(...request), finish);
    joining.add(placed);
    try {
      await placed;
    } finally {
      joining.delete(placed);
    }
    await closingRead;
    return placed;
  }

  /**
   * Read a stream, a message at a time.
   * @param {Response} answer
   */
  async function* messages(answer) {
    const bytes = /** @type {ReadableStream<BufferSource>} */ (answer.body);
    const reader = bytes.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (let { value, done } = await reader.read(); !done; { value, done } = await reader.read()) {
      const complete = (text + value).split("\n\n");
      text = complete.pop() ?? "";
      yield* complete;
    }
  }

  /** @param {string} message */
  function closing(message) {
    closingRead = untilRead();
    return message;
  }

  /**
   * Read the messages of a stream and of those that continue it.
   * @param {Response} answer
   * @param {FetchArguments} request
   */
  async function* answers(answer, request) {
    try {
      yield* everyAnswer(answer, request);
    } finally {
      abandon();
    }
  }

  /**
   * @param {Response} answer
   * @param {FetchArguments} request
   */
  async function* everyAnswer(answer, request) {
    for (;;) {
      let closed = false;
      for await (const message of messages(answer)) {
        const { msg, event_id: event } = JSON.parse(message.slice("data:".length));
        if (msg === "process_completed") complete(event);
        closed = msg === "close_stream"; // and is the last
        if (closed) closeMessage = message;
        else yield message;
      }
      if (!closed || closeMessage === null) return;
      await Promise.allSettled([...joining]);
      if (due.size === 0) {
        yield closing(closeMessage);
        return;
      }
      answer = await ask(...request);
      if (!answer.ok) throw new Error(`The stream of answers is gone: ${answer.status}`);
    }
  }

  /** @param {FetchArguments} request */
  async function stream(request) {
    await Promise.allSettled([...joining]);
    if (due.size === 0 && closeMessage !== null) {
      const headers = { "Content-Type": "text/event-stream" };
      return new Response(`${closing(closeMessage)}\n\n`, { headers });
    }
    const first = await ask(...request);
    if (!first.ok) {
      abandon();
      return first;
    }
    const source = answers(first, request);
    const encoder = new TextEncoder();
    const body = new ReadableStream({
      async pull(controller) {
        const { value, done } = await source.next();
        if (done) controller.close();
        else controller.enqueue(encoder.encode(`${value}\n\n`));
      },
    });
    return new Response(body, { status: first.status, headers: first.headers });
  }

  return (...request) => {
    const [resource] = request;
    const { pathname } = new URL(resource instanceof Request ? resource.url : resource, base);
    if (pathname.endsWith("/queue/join")) return join(request);
    if (pathname.endsWith("/queue/data")) return stream(request);
    return ask(...request);
  };
}
