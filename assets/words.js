// Strings in the page's language, shared by all scripts.

/**
 * Return the code of the first language that a table has, of those a browser or a server names ("es-AR"); else "en".
 * @param {Record<string, unknown>} table
 * @param {...(?string | undefined)} languages
 */
export function languageCode(table, ...languages) {
  const code = (languages.find(Boolean) || "en").toLowerCase().split("-")[0];
  return code in table ? code : "en";
}

/**
 * Fill in the {fields} of a string; those that are not given stay as they are.
 * @param {string} text
 * @param {Record<string, unknown>} [fields]
 */
export function fill(text, fields = {}) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in fields ? String(fields[name]) : whole));
}
