// Errors of refused requests.

/** Refusal by the server; its message is a sentence for the visitor. */
export class Refusal extends Error {}

/**
 * Convert the response to a failed request: to a `Refusal` if it has a sentence, else to an error with its status.
 * @param {Response} response
 * @returns {Promise<Error>}
 */
export async function refusalOf(response) {
  try {
    const { error } = await response.json();
    if (typeof error === "string" && error) return new Refusal(error);
  } catch {
    // No JSON: there is no sentence to show.
  }
  return new Error(String(response.status));
}
