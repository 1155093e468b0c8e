// The elements of a component that its scripts fill, by the names in its template.

/**
 * Return the elements below `root` that have a `data-part`, by its value.
 * @param {ParentNode} root
 * @returns {Record<string, HTMLElement>}
 */
export function namedParts(root) {
  /** @type {NodeListOf<HTMLElement>} */
  const nodes = root.querySelectorAll("[data-part]");
  return Object.fromEntries([...nodes].map((node) => [node.dataset.part, node]));
}
