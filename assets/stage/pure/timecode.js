// Formatting and parsing of times: minutes, seconds and hundredths.

/**
 * Format a time: 3.21 is "00:03.21".
 * @param {number} seconds
 * @param {string} decimalSign the language's, a point or a comma
 */
export function formatTime(seconds, decimalSign) {
  const hundredths = Math.round(seconds * 100);
  /** @param {number} n */
  const pad = (n) => String(n).padStart(2, "0");
  const whole = `${pad(Math.floor(hundredths / 6000))}:${pad(Math.floor(hundredths / 100) % 60)}`;
  return `${whole}${decimalSign}${pad(hundredths % 100)}`;
}

/**
 * Parse "00:03.21", "1:02:03" or "3,21" as seconds; null if it is not a time.
 * @param {string} text
 * @returns {?number}
 */
export function parseTime(text) {
  const written = text.trim().replace(",", ".");
  if (!/^(\d+:){0,2}\d+(\.\d*)?$/.test(written)) return null;
  return written.split(":").reduce((sum, unit) => sum * 60 + Number(unit), 0);
}
