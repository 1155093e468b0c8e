// Helpers to create and query nodes.

/**
 * Make a node.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} className
 * @param {Record<string, string>} [attributes]
 */
export function node(tag, className, attributes = {}) {
  const made = document.createElement(tag);
  made.className = className;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

/**
 * Adjust `parent` to `count` children and return them; existing ones are kept, with focus and hover.
 * @template {HTMLElement} Child
 * @param {HTMLElement} parent
 * @param {number} count
 * @param {() => Child} make
 */
export function pool(parent, count, make) {
  while (parent.children.length > count) parent.lastElementChild?.remove();
  while (parent.children.length < count) parent.append(make());
  return /** @type {Child[]} */ ([...parent.children]);
}

/**
 * Return the descendants that match a selector.
 * @template {HTMLElement} Found
 * @param {ParentNode} parent
 * @param {string} selector
 */
export const all = (parent, selector) => /** @type {Found[]} */ ([...parent.querySelectorAll(selector)]);

/**
 * Return the buttons of a node by their `data-do`.
 * @param {ParentNode} parent
 * @returns {Record<string, HTMLButtonElement>}
 */
export function buttonsOf(parent) {
  /** @type {HTMLButtonElement[]} */
  const buttons = all(parent, "[data-do]");
  return Object.fromEntries(buttons.map((button) => [button.dataset.do, button]));
}

/**
 * Return the element that an event happened on.
 * @param {Event} event
 */
export const targetOf = (event) => /** @type {HTMLElement} */ (event.target);

/**
 * Return the nearest element that matches a selector, the event's target among them.
 * @param {Event} event
 * @param {string} selector
 * @returns {?HTMLElement}
 */
export const closest = (event, selector) => targetOf(event).closest(selector);
