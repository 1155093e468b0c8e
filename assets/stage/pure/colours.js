// The colours of objects. A colour is "#rrggbb".

const LEAST_CONTRAST = 3; // to 1, as WCAG requires of graphics

/**
 * Return an object's colour; "" where there is no palette.
 * @param {string[]} palette
 * @param {number} number the object's, from 1
 */
export function colourOf(palette, number) {
  return palette.length ? palette[(number - 1) % palette.length] : "";
}

/**
 * Return a text colour for a background: white if its contrast suffices, else near black; "" for no colour.
 * The contrast is that of WCAG 2: https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio
 * @param {string} colour
 */
export function inkOn(colour) {
  if (!colour) return "";
  const [r, g, b] = [1, 3, 5]
    .map((at) => parseInt(colour.slice(at, at + 2), 16) / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 1.05 / (0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05) >= LEAST_CONTRAST ? "#fff" : "#111";
}
