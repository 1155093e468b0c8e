// Replaces the page's `fetch` by one that loses no answer of Gradio's event stream, and knows which are awaited.

import { withEveryAnswer } from "./gradio-stream.js";
import { answersOnce, createUnanswered } from "./unanswered.js";

const unanswered = createUnanswered((request) => answersOnce(request, window.gradio_config));
window.fetch = withEveryAnswer(window.fetch, window.location.href, undefined, unanswered.add);
window.recorte = { ...window.recorte, settled: unanswered.settled };
