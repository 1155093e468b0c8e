// Matching of files with a field's `accept`.

/**
 * Return whether a field's `accept`, such as "video/*, .mkv", matches a file.
 * @param {{name: string, type: string}} file
 * @param {string} accept the field's `accept`; empty for every file
 */
export function fits({ name, type }, accept) {
  const kinds = accept.split(",").map((kind) => kind.trim().toLowerCase());
  /** @param {string} kind */
  const matches = (kind) =>
    kind.startsWith(".") ? name.toLowerCase().endsWith(kind) : type.startsWith(kind.replace("*", ""));
  return kinds.every((kind) => !kind) || kinds.some((kind) => kind && matches(kind));
}
