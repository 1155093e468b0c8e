// Gradio's page asks by a `fetch` that loses no answer.

import { withEveryAnswer } from "./gradio-stream.js";

window.fetch = withEveryAnswer(window.fetch, window.location.href);
