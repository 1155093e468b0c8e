// Titles of the page.

const PAGE = "Recorte";

/**
 * Return the page's title.
 * @param {?number} done how far the run on the page is, 0 to 1; null if there is none
 * @param {string} name the session's
 */
export function titleOf(done, name) {
  if (done === null) return PAGE;
  return `${Math.floor(100 * done)} %${name && ` · ${name}`} – ${PAGE}`;
}
