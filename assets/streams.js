// Replaces the page's `fetch` by one that loses no answer of Gradio's event stream.

import { withEveryAnswer } from "./gradio-stream.js";

window.fetch = withEveryAnswer(window.fetch, window.location.href);
