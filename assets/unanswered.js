// Events of the page that the server has not answered yet: a run begins once the choices before it are saved.

/** Gradio sends the last of the edits that were made during another one when that one is answered. */
const nextTask = () => new Promise((resolve) => setTimeout(resolve));

/**
 * @param {(request: Parameters<typeof fetch>) => boolean} isAwaited false for events that may take long
 * @param {() => Promise<unknown>} [untilSent] fulfilled when the page has sent what waited for an answer
 */
export function createUnanswered(isAwaited, untilSent = nextTask) {
  /** @type {Set<Promise<void>>} */
  const unanswered = new Set();
  return {
    /**
     * Note an event that is sent; see `withEveryAnswer`.
     * @param {Parameters<typeof fetch>} request
     * @param {Promise<void>} answered
     */
    add(request, answered) {
      if (!isAwaited(request)) return;
      unanswered.add(answered);
      answered.then(() => unanswered.delete(answered));
    },

    /** Wait until everything that was sent before is answered. */
    async settled() {
      while (unanswered.size) {
        await Promise.all(unanswered);
        await untilSent();
      }
    },
  };
}

/**
 * Return false for an event whose handler answers again and again, as that of the previews.
 * @param {Parameters<typeof fetch>} request
 * @param {Window["gradio_config"]} config
 */
export function answersOnce([, options], config) {
  const { fn_index: number } = JSON.parse(String(options?.body));
  const called = config?.dependencies.find(({ id }) => id === number);
  return !called?.types.generator;
}
