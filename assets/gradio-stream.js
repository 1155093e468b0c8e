// A `fetch` for Gradio's page by which no answer is lost when its stream of answers is closed.
//
// The answers to a page's events come on one stream. The server closes it when no more are due, and the page opens
// another with its next event. An event that is sent before the page has read of the closing takes the stream for open
// still, and would wait for ever. So here a stream on which an answer is due after all goes on with what the server
// has next, and an event that is sent after a closing hears of its place in the queue when the page has read of it. A
// stream that the page opens for answers which it has all read on the one before would stay open with nothing to say:
// it is closed at once.
//
// Known to fit Gradio 6.31, the oldest that requirements.txt allows and the newest there was when this was written.
// It relies on this: an event is sent to /queue/join, which answers {"event_id": ...}; the stream is /queue/data, of
// messages "data: {JSON}" with an empty line after each; an event's last one is "process_completed", and a stream's
// is "close_stream", of which the page reads before it takes it for closed. Look at these again for another version:
// tests/js/gradio-stream.test.js holds what is done with them, and tests/ui/page/test_stage.py that the page still does so.

const READ_WITHIN = 50; // ms: it takes the page no timer, only promises, to read what it is given

/** @typedef {Parameters<typeof fetch>} FetchArguments */

/**
 * Return a `fetch` that hands over every answer.
 * @param {typeof fetch} ask the one that is used
 * @param {string} base the page's address
 * @param {() => Promise<void>} [untilRead] fulfilled when the page has read what it was just given
 * @returns {typeof fetch}
 */
export function withEveryAnswer(
  ask,
  base,
  untilRead = () => new Promise((resolve) => setTimeout(resolve, READ_WITHIN)),
) {
  /** Events that were sent and have no place in the queue yet. @type {Set<Promise<Response>>} */
  const joining = new Set();
  /** Events in the queue whose last answer has not been read. @type {Set<string>} */
  const due = new Set();
  /** Events whose last answer was read before their place. @type {Set<string>} */
  const early = new Set();
  /** The server's message that closes a stream, once it has sent one. @type {?string} */
  let closeMessage = null;
  /** Fulfilled when the page has read that its stream was closed. */
  let closingRead = Promise.resolve();

  /** @param {Promise<Response>} sent */
  async function place(sent) {
    const answer = await sent;
    if (answer.ok) {
      const { event_id: event } = await answer.clone().json();
      if (!early.delete(event)) due.add(event);
    }
    return answer;
  }

  /** @param {FetchArguments} request */
  async function join(request) {
    const placed = place(ask(...request));
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
      const whole = (text + value).split("\n\n");
      text = whole.pop() ?? "";
      yield* whole;
    }
  }

  /** @param {string} message */
  function closing(message) {
    closingRead = untilRead();
    return message;
  }

  /**
   * Read the messages of a stream and of those that go on with it.
   * @param {Response} answer
   * @param {FetchArguments} request
   */
  async function* answers(answer, request) {
    for (;;) {
      let closed = false;
      for await (const message of messages(answer)) {
        const { msg, event_id: event } = JSON.parse(message.slice("data:".length));
        if (msg === "process_completed" && !due.delete(event)) early.add(event);
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
    if (!first.ok) return first;
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
    const [asked] = request;
    const { pathname } = new URL(asked instanceof Request ? asked.url : asked, base);
    if (pathname.endsWith("/queue/join")) return join(request);
    if (pathname.endsWith("/queue/data")) return stream(request);
    return ask(...request);
  };
}
