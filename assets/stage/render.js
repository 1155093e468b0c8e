// Rendering of the state. Code that changes the state calls `render`; `main.js` sets what it draws. This module is
// separate so that actions need not import the drawing code, which imports them.

let draw = () => {};

/**
 * Set the function that `render` calls.
 * @param {() => void} drawAll
 */
export function onRender(drawAll) {
  draw = drawAll;
}

/** Draw the state, at once. */
export function render() {
  draw();
}
