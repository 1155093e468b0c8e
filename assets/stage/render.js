// The call to draw the state. Whoever changes it calls `render`; `main.js` says what that draws. Between them stands
// nothing else, so that actions need not import what draws, which imports them.

let draw = () => {};

/**
 * Have `render` call this function.
 * @param {() => void} drawAll
 */
export function onRender(drawAll) {
  draw = drawAll;
}

/** Draw the state, at once. */
export function render() {
  draw();
}
