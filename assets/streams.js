// No answer is lost when Gradio's stream of answers is closed.
//
// The answers to a page's events come on one stream. The server closes it when no more are due, and the page
// opens another with its next event. An event that is sent before the page has read of the closing takes the
// stream for open still, and would wait for ever. So here a stream on which an answer is due after all goes on
// with what the server has next, and an event that is sent after a closing hears of its place in the queue
// when the page has read of it. A stream that the page opens for answers which it has all read on the one
// before would stay open with nothing to say: it is closed at once.

(() => {
  const READ_WITHIN = 50; // ms: it takes the page no timer, only promises, to read what it is given
  const ask = window.fetch;
  const joining = new Set(); // what was sent and has no place in the queue yet
  const due = new Set(); // events in the queue whose last answer has not been read
  const early = new Set(); // events whose last answer was read before their place
  let close = null; // the server's message that closes a stream, once it has sent one
  let left = Promise.resolve(); // fulfilled when the page has read that its stream was closed

  async function place(sent) {
    const answer = await sent;
    if (answer.ok) {
      const { event_id: event } = await answer.clone().json();
      if (!early.delete(event)) due.add(event);
    }
    return answer;
  }

  async function join(request) {
    const placed = place(ask(...request));
    joining.add(placed);
    try {
      await placed;
    } finally {
      joining.delete(placed);
    }
    await left;
    return placed;
  }

  /** What the server says on a stream, a message at a time. */
  async function* messages(answer) {
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let said = "";
    for (let { value, done } = await reader.read(); !done; { value, done } = await reader.read()) {
      const whole = (said + value).split("\n\n");
      said = whole.pop();
      yield* whole;
    }
  }

  function closing() {
    left = new Promise((gone) => setTimeout(gone, READ_WITHIN));
    return close;
  }

  async function* answers(answer, request) {
    for (;;) {
      let closed = false;
      for await (const message of messages(answer)) {
        const { msg, event_id: event } = JSON.parse(message.slice("data:".length));
        if (msg === "process_completed" && !due.delete(event)) early.add(event);
        closed = msg === "close_stream"; // and is the last
        if (closed) close = message;
        else yield message;
      }
      if (!closed) return;
      await Promise.allSettled([...joining]);
      if (due.size === 0) {
        yield closing();
        return;
      }
      answer = await ask(...request);
      if (!answer.ok) throw new Error(`The stream of answers is gone: ${answer.status}`);
    }
  }

  async function stream(request) {
    await Promise.allSettled([...joining]);
    if (due.size === 0 && close !== null) {
      const headers = { "Content-Type": "text/event-stream" };
      return new Response(`${closing()}\n\n`, { headers });
    }
    const first = await ask(...request);
    if (!first.ok) return first;
    const source = answers(first, request);
    const letters = new TextEncoder();
    const body = new ReadableStream({
      async pull(controller) {
        const { value, done } = await source.next();
        if (done) controller.close();
        else controller.enqueue(letters.encode(`${value}\n\n`));
      },
    });
    return new Response(body, { status: first.status, headers: first.headers });
  }

  window.fetch = (...request) => {
    const { pathname } = new URL(request[0].url ?? request[0], window.location.href);
    if (pathname.endsWith("/queue/join")) return join(request);
    if (pathname.endsWith("/queue/data")) return stream(request);
    return ask(...request);
  };
})();
