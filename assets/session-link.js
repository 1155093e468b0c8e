// Links to a session.

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * Return the id of the session that a text is a link to; "" if it is no such link.
 * @param {string} text
 */
export function sessionIn(text) {
  try {
    const { protocol, searchParams } = new URL(text.trim().split(/\s/)[0]);
    const id = searchParams.get("session") ?? "";
    return /^https?:$/.test(protocol) && UUID.test(id) ? id : "";
  } catch {
    return "";
  }
}
